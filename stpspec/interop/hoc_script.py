"""Export to HOC: one file that builds the cells, places the mechanism and runs all protocols."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from stpspec.interop.hoc_cells import built, in_section, number
from stpspec.interop.preparation import (
    GapPreparation,
    Preparation,
    SynapsePreparation,
    write_texts,
)


def script_name(p: Preparation) -> str:
    """Return the name of the script."""
    return f"{p.script}.hoc"


def files_of(p: Preparation) -> dict[str, str]:
    """Return name → text of the files of this export.

    Raises
    ------
    ResultError
        If an argument of a cell cannot be written in HOC.
    """
    lines = [
        f"// {p.title}",
        "// Compile the mechanisms first, in this folder: nrnivmodl mod. Then: nrniv -python "
        f"{script_name(p)}",
        "// In a fixed step NEURON records a current one sample after the voltage it belongs to.",
        'load_file("stdrun.hoc")',
        *built(p.cells),
        *_placed(p),
        "objref context, file, recorded[100], names",
        "strdef file_name",
        f"start_voltage = {number(p.numerics['v_init'])}",
        f"celsius = {number(p.numerics['temperature'])}",
        f"dt = {number(p.numerics['dt'])}",
        "steps_per_ms = 1/dt",
        "context = new ParallelContext()",
        "{context.set_maxstep(1000)}",
    ]
    if isinstance(p, GapPreparation):
        lines += [*_coupled(p), *_simulation()]
        of_each = {n: _current_clamps(p, n) for n in p.steps}
    else:
        assert isinstance(p, SynapsePreparation)
        lines += [*_connected(p), *_simulation(_EVENTS)]
        of_each = {n: [*_electrode(p, n), *_arrivals(p, n)] for n in p.arrivals}
    for name, own in of_each.items():
        lines += [*own, "names = new List()", *_recorded(p, name)]
        lines.append(f'simulate("{name}", {number(p.stops[name])})')
    return {**p.code, script_name(p): "\n".join(lines) + "\n"}


_EVENTS = "    for k = 0, arrivals.size() - 1 netcon.event(arrivals.x[k])"
_REST = r"""
    context.psolve($2)
    file = new File()
    sprint(file_name, "traces_%s.txt", $s1)
    file.wopen(file_name)
    for k = 0, names.count() - 1 {
        file.printf("%s\n%d\n", names.o(k).s, recorded[k].size())
        recorded[k].printf(file, "%.17g\n")
    }
    file.close()
}"""


def _simulation(*events: str) -> list[str]:
    """Return the lines that simulate a protocol and write its traces."""
    return [
        "proc simulate() { local k  // name of the protocol, end of the run in ms",
        "    finitialize(start_voltage)",
        *events,
        *_REST.strip("\n").splitlines(),
    ]


def _placed(p: Preparation) -> list[str]:
    """Return the lines that place ``points[k]`` in each cell and set all values."""
    lines = [f"objref points[{len(p.cells)}]"]
    for k, cell in enumerate(p.cells):
        new = f"points[{k}] = new {p.mechanism}({number(cell.position)})"
        lines += in_section(p.cells, k, cell.section, new)
        lines += [f"points[{k}].{n} = {number(v)}" for n, v in p.values.items()]
        for section, name, value in cell.section_values:
            lines += in_section(p.cells, k, section, f"{name} = {number(value)}")
    shared = p.global_values.items()
    return [*lines, *(f"{n}_{p.mechanism} = {number(v)}  // GLOBAL" for n, v in shared)]


def _recorded(p: Preparation, protocol: str) -> list[str]:
    """Return the lines that record what a protocol is measured by."""
    electrode = p.electrode(protocol)
    place = (electrode["section"], electrode["position"])
    references = {"time": "&t"}
    references |= {f"current {n}": f"&points[0].{n}" for n in p.currents}
    references |= {f"variable {n}": f"&points[0].{n}" for n in p.variables(protocol)}
    voltages: Mapping[str, tuple[int, str, float]]
    if isinstance(p, GapPreparation):
        voltages = {f"somatic_voltage_{k + 1}": (k, *place) for k in range(2)}
    else:
        references["clamp_current"] = "&electrode.i"
        voltages = {"somatic_voltage": (0, *place),
                    "synapse_voltage": (0, p.cell.section, p.cell.position)}  # fmt: skip
    lines: list[str] = []
    for k, (name, reference) in enumerate(references.items()):
        lines += [*_named(name, k), f"{{recorded[{k}].record({reference})}}"]
    for k, (name, (cell, section, position)) in enumerate(voltages.items(), len(references)):
        voltage = f"{{recorded[{k}].record(&v({number(position)}))}}"
        lines += [*_named(name, k), *in_section(p.cells, cell, section, voltage)]
    return lines


def _named(name: str, k: int) -> list[str]:
    return [f"recorded[{k}] = new Vector()", f'{{names.append(new String("{name}"))}}']


# -- a synapse -------------------------------------------------------------------------------------


def _connected(p: SynapsePreparation) -> list[str]:
    return [
        "objref electrode, netcon, nil, arrivals",
        "netcon = new NetCon(nil, points[0])",
        f"netcon.weight = {number(p.weight)}",
    ]


def _electrode(p: SynapsePreparation, protocol: str) -> list[str]:
    e = p.electrode(protocol)
    at = number(e["position"])
    if "holding_potential" in e:
        return [
            *in_section(p.cells, 0, e["section"], f"electrode = new SEClamp({at})"),
            f"electrode.rs = {number(e['series_resistance'])}",
            "electrode.dur1 = 1e9",
            f"electrode.amp1 = {number(e['holding_potential'])}",
        ]
    new = in_section(p.cells, 0, e["section"], f"electrode = new IClamp({at})")
    return [*new, *_current("electrode", 0, 1e9, e["holding_current"])]


def _arrivals(p: SynapsePreparation, protocol: str) -> list[str]:
    times = p.arrivals[protocol]
    return ["arrivals = new Vector()", *(f"{{arrivals.append({number(t)})}}" for t in times)]


def _current(name: str, start: float, duration: float, amplitude: float) -> list[str]:
    values = {"del": start, "dur": duration, "amp": amplitude}
    return [f"{name}.{field} = {number(value)}" for field, value in values.items()]


# -- a gap junction --------------------------------------------------------------------------------


def _coupled(p: GapPreparation) -> list[str]:
    """Return the lines that give each side the voltage of the other."""
    lines = ["objref held[2], current_step"]
    for k, other in ((0, 1), (1, 0)):
        there, variable = p.cells[other], f"points[{k}].{p.partner_voltage}"
        voltage = f"v({number(there.position)})"
        if not p.is_transferred:
            pointer = f"setpointer {variable}, {voltage}"
            lines += in_section(p.cells, other, there.section, pointer)
            continue
        source = f"{{context.source_var(&{voltage}, {k})}}"
        lines += in_section(p.cells, other, there.section, source)
        lines.append(f"{{context.target_var(points[{k}], &{variable}, {k})}}")
    return [*lines, *(["{context.setup_transfer()}"] if p.is_transferred else [])]


def _current_clamps(p: GapPreparation, protocol: str) -> list[str]:
    e, step = p.electrode(protocol), p.steps[protocol]
    new, lines = f"new IClamp({number(e['position'])})", []
    for k in range(2):
        lines += in_section(p.cells, k, e["section"], f"held[{k}] = {new}")
        lines += _current(f"held[{k}]", 0, 1e9, e["holding_current"])
    lines += in_section(p.cells, step.cell - 1, e["section"], f"current_step = {new}")
    return [*lines, *_current("current_step", p.onset, step.duration, step.amplitude)]


def command(p: Preparation) -> list[str]:
    """Return the command that runs this export in its folder: HOC in a process of Python."""
    return [sys.executable, "-c", f"from neuron import h; h.load_file({script_name(p)!r})"]


def write(p: Preparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return []
