"""No candidate, run or name stands for another: what one is given, no other changes."""

import json
import multiprocessing
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from helpers import MOD, fresh_python, run, synapse, values_of

import stpspec
from stpspec.engine import nrn
from stpspec.engine.mechanisms import c_code, library
from stpspec.errors import FitError, MechanismError

ONE = {"one": {"kind": "single_event"}}
CURRENT = {"signals": ["synaptic_current"]}


def of(name, protocols=None, *, weight=0.001, fixed=None, file=None, **made):
    """Return an experiment with one of the mechanisms of these tests."""
    model = {"mod": [str(file or MOD / f"{name}.mod")], "net_con": {"weight": weight}}
    made.setdefault("recording", CURRENT)
    made.setdefault("numerics", {"settle": 50})
    return synapse(protocols or ONE, mechanism=name, fixed=fixed or {}, model=model, **made)


def amplitudes(experiment, values=None, protocol="one"):
    return values_of(run(experiment, values), "amplitude", protocol)


# -- one name, one thing --------------------------------------------------------------------


def test_parameter_called_weight_goes_before_the_weight_of_the_connection():
    once = of("OwnWeight", weight=1)
    fixed = of("OwnWeight", weight=1, fixed={"weight": 2})
    np.testing.assert_allclose(amplitudes(once), 70, rtol=0.006)
    np.testing.assert_allclose(amplitudes(fixed), 140, rtol=0.006)
    np.testing.assert_allclose(amplitudes(once, {"weight": [1, 2]}), [70, 140], rtol=0.006)
    searched = stpspec.sweep(once, {"weight": [1, 2]})
    np.testing.assert_allclose(searched["one.amplitude"], [70, 140], rtol=1e-3)


def decaying(name, path, g="0.001", tau="5"):
    """Write a synapse of one decaying conductance, and return its file."""
    text = (MOD / "OwnWeight.mod").read_text(encoding="utf-8").replace("OwnWeight", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("gmax = 0.001", f"gmax = {g}").replace("tau = 5", f"tau = {tau}"))
    return path


@pytest.mark.parametrize("places", [("a/x.mod", "b/x.mod"), ("a/x.mod", "a/old.mod")])
def test_mechanism_of_two_sources_that_differ_is_an_error_that_names_both(places, tmp_path):
    files = [
        decaying("Twice", tmp_path / p, g) for p, g in zip(places, ("0.001", "0.005"), strict=True)
    ]
    folders = list(dict.fromkeys(str(f.parent) for f in files))
    with pytest.raises(MechanismError, match="two files define the mechanism 'Twice'") as error:
        library.sources(folders)
    assert all(str(file) in str(error.value) for file in files)
    made = of("Twice").changed({"model.mod": folders})
    assert "two files define" in str(stpspec.check(made))


@pytest.mark.long
def test_identical_copies_of_a_mechanism_are_one_source(tmp_path):
    files = [decaying("Copied", tmp_path / place / "x.mod") for place in "ab"]
    made = of("Copied", weight=1).changed({"model.mod": [str(f) for f in files]})
    np.testing.assert_allclose(amplitudes(made), 70, rtol=0.006)


# -- steps that resolve nothing -------------------------------------------------------------


def test_conductance_that_is_a_function_of_time_is_simulated_in_fixed_steps(caplog):
    protocols = ONE | {"train": {"kind": "train", "frequency": 20}}
    made = of("AlphaOfTime", protocols)
    found = stpspec.sweep(made, {"tau": [2, 5, 10]})
    np.testing.assert_allclose(found["one.amplitude"], 70, rtol=1e-3)
    ratios = found["train.paired_pulse_ratio"]
    np.testing.assert_allclose(ratios, stpspec.measure(
        made, stpspec.simulate(made, {"tau": [2, 5, 10]}), all_metrics=True
    )["train.paired_pulse_ratio"])  # fmt: skip
    assert caplog.text.count("the fixed step is used instead") == 1


def test_fit_of_a_conductance_that_is_a_function_of_time_finds_its_time_constant():
    made = of("AlphaOfTime", parameters={"tau": {"min": 1, "max": 20}})
    halves = {"metric": "half_width", "protocol": "one", "target": 5 * 2.44639, "sd": 0.1}
    result = stpspec.fit(made.copy_with(objective={"terms": {"half_width": halves}}))
    assert result.parameters["tau"] == pytest.approx(5, rel=2e-3)


# -- data of the mechanism ------------------------------------------------------------------

BLOCK = 70 / (1 + np.exp(0.062 * 70) * np.array([0.5, 1, 2]) / 3.57)


@pytest.mark.parametrize(
    "name", ["TabulatedOnce", pytest.param("Tabulated", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_table_made_of_a_parameter_is_that_of_each_candidate(name, integrator):
    made = of(name, numerics={"settle": 200, "integrator": integrator},
              parameters={"mg": {"min": 0.1, "max": 4}})  # fmt: skip
    found = stpspec.sweep(made, {"mg": [0.5, 1, 2]})["one.amplitude"]
    np.testing.assert_allclose(found, BLOCK, rtol=0.006)
    term = {"metric": "amplitude", "protocol": "one", "target": BLOCK[1], "sd": 0.01}
    result = stpspec.fit(made.copy_with(objective={"terms": {"peak": term}}))
    assert result.parameters["mg"] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("name", "gains"),
    [
        ("GlobalFactor", [1, 4, 9]),
        ("StaticC", [1, 2, 3]),
        pytest.param("OutermostLocal", [1, 2, 3], marks=pytest.mark.long),
    ],
)
def test_what_all_instances_share_is_not_shared_by_candidates(name, gains):
    made = of(name, numerics={"settle": 200}, parameters={"gain": {"min": 0.5, "max": 4}})
    expected = 70.0 * np.array(gains)
    np.testing.assert_allclose(amplitudes(made, {"gain": [1, 2, 3]}), expected, rtol=0.006)
    found = stpspec.sweep(made, {"gain": [1, 2, 3]})["one.amplitude"]
    np.testing.assert_allclose(found, expected, rtol=0.006)


def test_c_code_keeps_data_where_it_is_static_or_outside_of_functions():
    keeps = ["static double last;", "double last = 0, other;", "static int n[3] = {0};"]
    keeps_not = ["#include <math.h>\n#define N 3", "extern double* vector_vec();",
                 "static double f(double x) { double y = 1; return x; }", "/* static */",
                 "double nrn_random_pick(void* r);\nvoid g(int n) { if (n) { h(); } }",
                 "typedef struct { double x; } Space;", "static int twice(int x);"]  # fmt: skip
    assert [c_code.keeps_data([c], [c]) for c in keeps] == [True] * 3
    assert [c_code.keeps_data([c], [c]) for c in keeps_not] == [False] * 7


# -- one run and the next -------------------------------------------------------------------


@pytest.mark.parametrize("integrator", ["fixed", "variable"])
def test_parameter_that_initial_changes_is_set_again_before_each_run(integrator):
    two = {"a": {"kind": "single_event"}, "b": {"kind": "single_event"}}
    made = of(
        "GrowingTau", two, fixed={"tau": 5}, numerics={"settle": 50, "integrator": integrator}
    )
    found = stpspec.sweep(made, {"tau": [5, 5]})
    for name in two:
        np.testing.assert_allclose(found[f"{name}.decay_time"], 7.5, rtol=0.01)
    tree = run(made)
    for name in two:
        np.testing.assert_allclose(values_of(tree, "decay_time", name), 7.5, rtol=0.01)


@pytest.mark.parametrize(
    "name", ["GrowingWeight", pytest.param("Counting", marks=pytest.mark.long)]
)
def test_what_an_event_changes_is_as_it_was_before_each_run(name):
    made = of(name, {n: {"kind": "single_event"} for n in "abc"})
    tree = run(made, {"weight": [0.001, 0.002]})
    for protocol in "abc":
        found = values_of(tree, "amplitude", protocol)
        np.testing.assert_allclose(found, [70, 140], rtol=0.006)


TIMED_CELL = """
from neuron import h

class Timed:
    def __init__(self):
        self.soma = h.Section("soma", self)
        self.soma.L = self.soma.diam = 20
        self.soma.insert("pas")
        self.source = h.NetStim()
        self.source.start, self.source.number = 100, 1
        self.other = h.ExpSyn(self.soma(0.5))
        self.connection = h.NetCon(self.source, self.other)
"""

FITS = """
import json
import multiprocessing
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
import stpspec
from stpspec.specs.experiment import Experiment
for made in json.loads(SEVERAL):
    print(stpspec.fit(Experiment.from_data(made)).parameters["tau"])
"""


@pytest.mark.parametrize("integrator", ["auto", pytest.param("fixed", marks=pytest.mark.long)])
def test_synapse_or_cell_that_sends_itself_events_is_fitted(integrator, tmp_path):
    (tmp_path / "timed.py").write_text(TIMED_CELL)
    decay = {"metric": "decay_time", "protocol": "one", "target": 5, "sd": 0.25}
    parts = {"parameters": {"tau": {"min": 2, "max": 20}},
             "numerics": {"settle": 500, "integrator": integrator}}  # fmt: skip
    cell = {"file": str(tmp_path / "timed.py"), "template": "Timed"}
    several = [
        of("SendsItself", **parts),
        of("OwnWeight", weight=1, **parts).changed({"model.cell": cell}),
    ]
    several = [e.copy_with(objective={"terms": {"decay": decay}}).to_data() for e in several]
    # In a process of its own: it ended here.
    done = fresh_python(f"SEVERAL = {json.dumps(several)!r}\n{FITS}", tmp_path)
    assert done.returncode == 0, done.stderr
    found = [float(line) for line in done.stdout.split()]
    np.testing.assert_allclose(found, [5, 5], rtol=0.01)


# -- all currents of a mechanism ------------------------------------------------------------


@pytest.mark.parametrize("signal", ["synaptic_current", "clamp_current"])
def test_synaptic_current_is_all_that_the_mechanism_passes(signal):
    made = of("TwoCurrents", recording={"signals": [signal, "somatic_voltage"]},
              parameters={"weight": {"min": 1e-4, "max": 0.1}})  # fmt: skip
    peak = {
        "metric": "amplitude",
        "protocol": "one",
        "target": 70,
        "sd": 1,
        "options": {"signal": signal},
    }
    result = stpspec.fit(made.copy_with(objective={"terms": {"peak": peak}}))
    assert result.parameters["weight"] == pytest.approx(0.001, rel=0.01)


def test_one_of_several_currents_is_recorded_where_it_is_asked_for():
    made = of("TwoCurrents", recording=CURRENT | {"variables": ["i", "ina"]})
    (sum_, i, ina) = (run(made)["one"][n].values for n in ("synaptic_current", "i", "ina"))
    np.testing.assert_allclose(sum_, 1000 * (i + ina), rtol=1e-12)
    np.testing.assert_allclose(amplitudes(made.changed({"model.current": "ina"})), 63, rtol=0.006)
    np.testing.assert_allclose(amplitudes(made.changed({"model.current": "i"})), 7, rtol=0.006)


def test_a_current_of_an_ion_alone_needs_no_name(tmp_path):
    text = (MOD / "TwoCurrents.mod").read_text().replace("TwoCurrents", "OneIon")
    for left_out in ("    NONSPECIFIC_CURRENT i\n", "    i (nA)\n", "    i = 0.1 * g * (v - e)\n"):
        assert left_out in text
        text = text.replace(left_out, "")
    (tmp_path / "OneIon.mod").write_text(text.replace("e, i, g, ina", "e, g, ina"))
    np.testing.assert_allclose(
        amplitudes(of("OneIon", file=tmp_path / "OneIon.mod")), 63, rtol=0.006
    )


def test_current_that_cannot_be_recorded_is_told(caplog):
    made = of("HiddenCurrent", recording={"signals": ["synaptic_current", "clamp_current"]})
    np.testing.assert_allclose(amplitudes(made), 7, rtol=0.006)
    assert "i alone: HiddenCurrent passes ina, too" in caplog.text


# -- threads --------------------------------------------------------------------------------

TRAIN = {"train": {"kind": "train", "frequency": 20}}


@pytest.mark.parametrize("integrator", ["fixed", "variable"])
def test_simulations_of_several_threads_give_what_each_gives_by_itself(integrator):
    made = synapse(TRAIN, numerics={"settle": 50, "integrator": integrator})
    each = [{"U": u, "tau_rec": 300} for u in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]

    def ratios(values):
        return values_of(stpspec.simulate(made, values), "paired_pulse_ratio", "train")

    one_by_one = [ratios(values) for values in each]
    with ThreadPoolExecutor(3) as threads:
        np.testing.assert_array_equal(list(threads.map(ratios, each)), one_by_one)


def fitted(target=0.6, executor=None):
    made = synapse(TRAIN, numerics={"settle": 50}, recording=CURRENT,
                   parameters={"U": {"min": 0.1, "max": 0.9}})  # fmt: skip
    term = {"metric": "paired_pulse_ratio", "protocol": "train", "target": target, "sd": 0.05}
    made = made.copy_with(objective={"terms": {"ppr": term}})
    return stpspec.fit(made, executor=executor).parameters["U"]


def test_fits_of_several_threads_give_what_each_gives_by_itself():
    targets = [0.5, 0.6, 0.7]
    one_by_one = [fitted(target) for target in targets]
    with ThreadPoolExecutor(3) as threads:
        np.testing.assert_array_equal(list(threads.map(fitted, targets)), one_by_one)


class Here(Executor):
    """An executor of nobody's class, which runs in this process."""

    def __init__(self):
        self._threads = ThreadPoolExecutor(1)

    def submit(self, fn, /, *args, **kwargs):
        return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


@pytest.mark.parametrize("executor", [lambda: ThreadPoolExecutor(2), Here])
def test_executor_that_runs_in_this_process_is_refused_with_the_reason(executor):
    with executor() as given, pytest.raises(FitError, match=r"runs in this process.*ProcessPool"):
        fitted(executor=given)


def takes_its_turn():
    with nrn.exclusive():
        return True


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12: a fork
def test_process_that_is_forked_while_a_thread_simulates_takes_its_turn():
    has_begun, may_end = threading.Event(), threading.Event()

    def simulates():
        with nrn.exclusive():
            has_begun.set()
            may_end.wait(60)

    fork = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(1) as thread, ProcessPoolExecutor(1, mp_context=fork) as processes:
        busy = thread.submit(simulates)
        assert has_begun.wait(60)
        try:
            assert processes.submit(takes_its_turn).result(60)
        finally:
            may_end.set()
        busy.result()
