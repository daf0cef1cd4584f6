"""NEURON's settings of a run, which belong to the process: put back after each of our own runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from stpspec.engine import nrn

_NAMES = ("celsius", "dt", "steps_per_ms", "secondorder", "v_init", "tstop")


@contextlib.contextmanager
def settings_restored(more: Sequence[str] = ()) -> Iterator[None]:
    """Put back the settings that a simulation changes, also where it fails.

    What is built inside must be gone by the end: NEURON refuses the variable step, which the
    program that uses us may have on, while a mechanism is there that cannot run under it.

    Parameters
    ----------
    more : sequence of str
        Further variables of ``h``, such as the GLOBAL ones of a mechanism.
    """
    h, cvode = nrn.hoc(), nrn.cvode()
    before = {name: getattr(h, name) for name in (*_NAMES, *more)}
    active, atol, rtol = cvode.active(), cvode.atol(), cvode.rtol()
    generator = h.use_mcell_ran4()
    try:
        yield
    finally:
        h.use_mcell_ran4(generator)
        cvode.active(active)
        cvode.atol(atol)
        cvode.rtol(rtol)
        for name, value in before.items():
            setattr(h, name, value)
