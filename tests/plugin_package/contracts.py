"""Three lines for each thing."""

from stpspec_example.things import Doublet, Grid

from stpspec.testing import FitterContract, LossContract, MetricContract, ProtocolContract


class TestLastRatio(MetricContract):
    metric = "last_ratio"


class TestFourthPower(LossContract):
    loss = "fourth_power"


class TestDoublet(ProtocolContract):
    protocol = Doublet()


class TestGrid(FitterContract):
    fitter = Grid(points=21)
    solves = {"parabola": 0.01, "staircase": 0.01}  # noqa: RUF012 (contract authors write plain)
