"""Contract tests for plug-ins: inherit a class, name the thing, run pytest.

Nothing here needs NEURON. For example::

    from stpspec.testing import MetricContract


    class TestLateRatio(MetricContract):
        metric = "late_ratio"
"""

from stpspec.testing.contracts import DRIVE, LossContract, MetricContract, ProtocolContract
from stpspec.testing.fitters import PROBLEMS, FitterContract, problem
from stpspec.testing.responses import response_to

__all__ = [
    "DRIVE",
    "PROBLEMS",
    "FitterContract",
    "LossContract",
    "MetricContract",
    "ProtocolContract",
    "problem",
    "response_to",
]
