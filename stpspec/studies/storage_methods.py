"""Methods of a storage, each exchanged for one that does more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

Method = Callable[..., Any]


def exchange_methods(
    storage: BaseStorage, exchanged: Callable[[str, Method], Method], besides: Collection[str]
) -> None:
    """Exchange the methods of Optuna's interface, in this storage alone.

    Parameters
    ----------
    storage : BaseStorage
    exchanged : callable
        Takes a name and the method; returns what takes its place.
    besides : collection of str
        Methods that stay.
    """
    from optuna.storages import BaseStorage

    for name in vars(BaseStorage):
        if not name.startswith("_") and name not in besides:
            setattr(storage, name, exchanged(name, getattr(storage, name)))
