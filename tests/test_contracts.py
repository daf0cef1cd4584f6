"""Every built-in keeps the contract of its sort; each needs three lines here."""

import numpy as np
import pytest

from stpspec.fitters.methods.local import Bounded, LeastSquares, Minimize
from stpspec.fitters.methods.samplers import Optuna
from stpspec.registry import FITTERS, LOSSES, METRICS, PROTOCOLS
from stpspec.specs.protocol import Continuous, GapStep, SingleEvent, SpikeTimes, Train, Trains
from stpspec.testing import (
    DRIVE,
    FitterContract,
    LossContract,
    MetricContract,
    ProtocolContract,
)

STEP = GapStep()
OPTIONS = {"trace": {"windows": [[0.0, 20.0]], "interval": 0.5}}
NEEDS = {"step": STEP, "drive": DRIVE}


def _metric_test(name: str) -> type:
    needs = METRICS.get(name).needs
    protocol = next((NEEDS[n] for n in needs if n in NEEDS), Train())
    members = {"metric": name, "protocol": protocol, "options": OPTIONS.get(name, {})}
    return type(f"Test_{name}", (MetricContract,), members)


# All metrics, so that a new one cannot be forgotten.
globals().update({f"Test_{name}": _metric_test(name) for name in METRICS.names()})
globals().update(
    {f"TestLoss_{name}": type(f"TestLoss_{name}", (LossContract,), {"loss": name})
     for name in LOSSES.names()}
)  # fmt: skip


class TestSingleEvent(ProtocolContract):
    protocol = SingleEvent()


class TestTrain(ProtocolContract):
    protocol = Train()


class TestLongTrain(ProtocolContract):
    protocol = Train(frequency=20, recovery_delay=2000, n_induction=10, n_recovery=2)


class TestTrains(ProtocolContract):
    protocol = Trains(frequencies=[10, 50], recovery_delays=[250, 500])


class TestContinuous(ProtocolContract):
    protocol = Continuous(frequency=20)


class TestGapStep(ProtocolContract):
    protocol = GapStep(cell=2)


class TestSpikeTimes(ProtocolContract):
    protocol = SpikeTimes(times=[*np.arange(10) * 50.0, 950.0], n_induction=10)


SMOOTH = {"parabola": 1e-8, "rosenbrock": 1e-6, "coupling_curve": 1e-8, "at_bound": 1e-6}


class TestLeastSquares(FitterContract):
    fitter = LeastSquares()
    solves = SMOOTH | {"nan_region": 1e-8}


class TestSlsqp(FitterContract):
    fitter = Minimize(method="SLSQP")
    solves = SMOOTH | {"nan_region": 1e-8}


class TestLbfgsb(FitterContract):
    fitter = Minimize(method="L-BFGS-B")
    solves = SMOOTH


class TestTnc(FitterContract):
    fitter = Minimize(method="TNC")
    solves = {"parabola": 1e-6, "at_bound": 1e-6}


@pytest.mark.long
class TestTrustConstr(FitterContract):
    fitter = Minimize(method="trust-constr")
    solves = {"parabola": 1e-6}


class TestNelderMead(FitterContract):
    fitter = Minimize(method="Nelder-Mead")
    solves = {"parabola": 1e-6, "noise": 1e-4, "nan_region": 1e-6}


class TestPowell(FitterContract):
    fitter = Minimize(method="Powell")
    solves = {"parabola": 1e-6, "noise": 1e-4}


@pytest.mark.long
class TestCobyla(FitterContract):
    fitter = Minimize(method="COBYLA")
    solves = {"parabola": 1e-6, "noise": 1e-4}


@pytest.mark.long
class TestCobyqa(FitterContract):
    fitter = Minimize(method="COBYQA")
    solves = {"parabola": 1e-6}


class TestBounded(FitterContract):
    fitter = Bounded()
    parameters = 1
    solves = {"parabola": 1e-8, "coupling_curve": 1e-8, "at_bound": 1e-4}


class TestTpe(FitterContract):
    fitter = Optuna(sampler="tpe", budget={"evaluations": 120})
    solves = {"parabola": 0.02, "staircase": 0.02, "nan_region": 0.02}


class TestRandom(FitterContract):
    fitter = Optuna(sampler="random", budget={"evaluations": 200})
    solves = {"parabola": 0.05, "staircase": 0.05}


@pytest.mark.long
class TestQmc(FitterContract):
    fitter = Optuna(sampler="qmc", budget={"evaluations": 128})
    solves = {"parabola": 0.05, "staircase": 0.05}


@pytest.mark.long
class TestCmaes(FitterContract):
    fitter = Optuna(sampler="cmaes", budget={"evaluations": 200})
    solves = {"parabola": 1e-2, "noise": 1e-2}


def test_every_registered_protocol_and_fitter_has_its_contract_here():
    tested = [v for v in globals().values() if isinstance(v, type)]
    protocols = {t.protocol.kind for t in tested if t.__mro__[1] is ProtocolContract}
    fitters = {t.fitter.kind for t in tested if t.__mro__[1] is FitterContract}
    assert protocols == set(PROTOCOLS.names())
    assert fitters == set(FITTERS.names())
