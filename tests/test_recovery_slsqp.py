"""SLSQP over all truths, in a file of its own so that it runs beside the others."""

import pytest
import recovery

import stpspec


@pytest.mark.long
def test_slsqp_recovers_at_least_18_of_20_truths():
    found = [
        recovery.worst_error(stpspec.fit(recovery.problem(t, "fitter=slsqp")), t)
        for t in recovery.truths()
    ]
    assert sum(error < 0.01 for error in found) >= 18, found
