"""Studies: evaluations as Optuna trials, stored on disk, resumed, and shared by processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.studies.study import Study, study_for

__all__ = [
    "Study",
    "study_for",
]

__getattr__ = exports(
    __name__,
    {
        "Study": "study",
        "study_for": "study",
    },
)
