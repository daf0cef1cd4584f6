"""Export to a plain Python script that needs NEURON and nothing else."""

from __future__ import annotations

import pprint
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stpspec.interop import python_texts
from stpspec.interop.preparation import (
    GapPreparation,
    Preparation,
    PreparedCell,
    SynapsePreparation,
    write_texts,
)


def script_name(p: Preparation) -> str:
    """Return the name of the script."""
    return f"{p.script}.py"


def files_of(p: Preparation) -> dict[str, str]:
    """Return name → text of the files of this export."""
    constants, simulation = _parts(p)
    values = [
        f"{n} = {pprint.pformat(v, width=96, sort_dicts=False)}" for n, v in constants.items()
    ]
    title = p.title.replace("\\", "/").replace('"', "'")  # of a docstring
    head = python_texts.HEAD.format(title=title, script=script_name(p))
    code = [python_texts.CELLS, python_texts.MECHANISM, *simulation, python_texts.MAIN]
    return {**p.code, script_name(p): head + "\n".join(values) + "\n" + "".join(code)}


def _parts(p: Preparation) -> tuple[dict[str, Any], list[str]]:
    """Return the constants of a script, and the text of its functions that simulate."""
    constants = {
        "MECHANISM": p.mechanism,
        "VALUES": p.values,
        "GLOBAL_VALUES": p.global_values,
        "CURRENTS": list(p.currents),
        "TEMPERATURE": p.numerics["temperature"],
        "DT": p.numerics["dt"],
        "V_INIT": p.numerics["v_init"],
    }
    if isinstance(p, GapPreparation):
        constants |= {"CELLS": [_cell(c) for c in p.cells], "PARTNER_VOLTAGE": p.partner_voltage}
        of_each = {n: {"step": {"start": p.onset, **asdict(s)}} for n, s in p.steps.items()}
        connect = python_texts.TRANSFER if p.is_transferred else python_texts.POINTER
        simulation = [connect, python_texts.GAP_JUNCTION]
    else:
        assert isinstance(p, SynapsePreparation)
        constants |= {"WEIGHT": p.weight, "CELL": _cell(p.cell)}
        of_each = {n: {"arrivals": times} for n, times in p.arrivals.items()}
        simulation = [python_texts.SYNAPSE]
    constants["PROTOCOLS"] = {
        n: {**own, "stop": p.stops[n], "electrode": p.electrode(n), "variables": p.variables(n)}
        for n, own in of_each.items()
    }
    return constants, simulation


def _cell(cell: PreparedCell) -> dict[str, Any]:
    own = {"section_values": list(cell.section_values), "folder": cell.folder or "."}
    return {**vars(cell), **own}


def command(p: Preparation) -> list[str]:
    """Return the command that runs this export in its folder."""
    return [sys.executable, script_name(p)]


def write(p: Preparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return []
