"""The program that had NEURON in this process before us: whether ours can run beside its model.

What it has made NEURON integrates with ours, and what it has set may change or end our simulations.
Where there is anything of the kind, ours run in a process of their own.
"""

from __future__ import annotations

import sys
from typing import Any

from stpspec.engine import nrn, templates
from stpspec.engine.binding.facts import Question
from stpspec.engine.mechanisms import library

# As NEURON begins. Each changes how simulations advance, and none is set by ours.
_OF_CVODE = {
    "condition_order": 1, "jacobian": 0, "maxorder": 5, "maxstep": 1e9, "minstep": 0,
    "queue_mode": 0, "stiff": 2, "use_daspk": 0, "use_fast_imem": 0, "use_local_dt": 0,
    "use_long_double": 0,
}  # fmt: skip
_OF_HOC = {"nrn_netrec_state_adjust": 0, "nrn_sparse_partrans": 0, "stoprun": 0}

_absent = False


def declare_absent() -> None:
    """Say that this process is ours alone."""
    global _absent
    _absent = True


def is_absent() -> bool:
    """Tell whether this process is known to be ours alone."""
    return _absent


def is_in_the_way(question: Question) -> bool:
    """Tell whether an experiment cannot be simulated beside what this process holds of others.

    Parameters
    ----------
    question : Question
        The mechanisms and cells of the experiment.

    Raises
    ------
    MechanismError, TemplateError
        If a source is missing or faulty.
    """
    if _absent or "neuron" not in sys.modules:
        return False
    with nrn.exclusive():
        return (
            library.contradicts(question.mod)
            or any(templates.contradicts(cell) for cell in question.cells)
            or _has_a_model()
            or _has_settings()
        )


def _has_a_model() -> bool:
    h = nrn.bare_hoc()
    sections = {section.name() for section in h.allsec()}
    return bool(
        sections - nrn.own_sections()
        or h.List("FInitializeHandler").count()
        or any(h.List(name).count() for name in library.artificial_cells())
    )


def _has_settings() -> bool:
    h, cvode, context = nrn.bare_hoc(), nrn.cvode(), nrn.parallel_context()
    return bool(
        context.nthread() != 1
        or context.nhost() != 1
        or any(_differs(cvode, name, usual) for name, usual in _OF_CVODE.items())
        or any(getattr(h, name, usual) != usual for name, usual in _OF_HOC.items())
    )


def _differs(cvode: Any, name: str, usual: float) -> bool:
    return hasattr(cvode, name) and getattr(cvode, name)() != usual  # NEURON 8 has fewer
