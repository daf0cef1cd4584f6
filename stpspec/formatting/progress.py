"""Progress bars of long calls, in a terminal and in a notebook."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

from stpspec.formatting import presentable


@contextlib.contextmanager
def progress_bar(
    name: str,
    unit: str,
    progress: Callable[..., None] | bool | None,
    remark: Callable[..., str] = lambda *_: "",
) -> Iterator[Callable[..., None] | None]:
    """Yield what a long call is to report to: a bar if ``progress`` is True, else ``progress``.

    Parameters
    ----------
    name, unit : str
        Of what is done, and what is counted.
    progress : callable, bool or None
    remark : callable
        Takes what is reported beside the counts, and returns what stands behind the bar.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    with _bar()(total=None, desc=presentable(name), unit=f" {unit}", leave=False) as shown:

        def report(done: int, total: int | None, *more: Any) -> None:
            shown.total = total
            shown.set_postfix_str(presentable(remark(*more)), refresh=False)
            shown.update(done - shown.n)

        yield report
        shown.refresh()  # with the last remark: short calls end between two redraws


def _bar() -> Any:
    """Return tqdm's bar: the widget in a notebook that can show it, else the one of text."""
    if "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm

        return tqdm
    from tqdm import tqdm

    return tqdm
