"""JSON files of other programs: mappings, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stpspec.errors import SpecError, SpecProblem

TOO_DEEP = "is nested too deep to be read"


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping that a JSON file holds.

    Raises
    ------
    SpecError
        If it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError([SpecProblem("", f"{path} cannot be read as JSON: {error}")]) from None
    except RecursionError:
        raise SpecError([SpecProblem("", f"{path} {TOO_DEEP}")]) from None
    if not isinstance(data, dict):
        raise SpecError([SpecProblem("", f"{path} holds no mapping")])
    return data
