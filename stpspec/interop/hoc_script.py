"""Export to HOC: one file that builds the cell, places the synapse and runs all protocols."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stpspec.errors import ResultError
from stpspec.interop.preparation import Preparation, write_texts
from stpspec.interop.python_script import code_of, electrode_of, variables_of

SCRIPT = "synapse.hoc"


def files_of(p: Preparation) -> dict[str, str]:
    """Return name → text of the files of this export.

    Raises
    ------
    ResultError
        If an argument of the cell cannot be written in HOC.
    """
    lines = [
        f"// {(p.experiment.description or p.name)}",
        "// Compile the mechanisms first, in this folder: nrnivmodl mod. Then: nrniv -python "
        "synapse.hoc",
        "// In a fixed step NEURON records a current one sample after the voltage it belongs to.",
        'load_file("stdrun.hoc")',
        "objref cell, synapse, electrode, netcon, nil, context, cvode_, file, arrivals",
        *_cell(p),
        *_in_section(p, p.section, f"synapse = new {p.mechanism}({_number(p.position)})"),
        *(f"synapse.{n} = {_number(v)}" for n, v in p.values.items()),
        *(f"{n}_{p.mechanism} = {_number(v)}  // GLOBAL" for n, v in p.global_values.items()),
        *(
            line
            for s, n, v in p.section_values
            for line in _in_section(p, s, f"{n} = {_number(v)}")
        ),
        "netcon = new NetCon(nil, synapse)",
        f"netcon.weight = {_number(p.weight)}",
        "objref recorded[100], names",
        "strdef file_name",
        f"start_voltage = {_number(p.numerics['v_init'])}",
        f"celsius = {_number(p.numerics['temperature'])}",
        f"dt = {_number(p.numerics['dt'])}",
        "steps_per_ms = 1/dt",
        "context = new ParallelContext()",
        "{context.set_maxstep(1000)}",
        *_SIMULATE,
    ]
    for name, arrivals in p.arrivals.items():
        lines += [*_electrode(p, name), "names = new List()", *_recorded(p, name)]
        lines.append("arrivals = new Vector()")
        lines += [f"{{arrivals.append({_number(a)})}}" for a in arrivals]
        lines.append(f'simulate("{name}", {_number(p.stops[name])})')
    return {**code_of(p), SCRIPT: "\n".join(lines) + "\n"}


_SIMULATE = """
proc simulate() { local k  // name of the protocol, end of the run in ms
    finitialize(start_voltage)
    for k = 0, arrivals.size() - 1 netcon.event(arrivals.x[k])
    context.psolve($2)
    file = new File()
    sprint(file_name, "traces_%s.txt", $s1)
    file.wopen(file_name)
    for k = 0, names.count() - 1 {
        file.printf("%s\\n%d\\n", names.o(k).s, recorded[k].size())
        recorded[k].printf(file, "%.17g\\n")
    }
    file.close()
}
""".splitlines()


def _number(value: float) -> str:
    return repr(float(value))


def _is_hoc(p: Preparation) -> bool:
    return p.template_file.endswith(".hoc")


def _cell(p: Preparation) -> list[str]:
    if _is_hoc(p):
        given = ", ".join(_argument(a) for a in p.arguments)
        return [f'load_file("templates/{p.template_file}")', f"cell = new {p.template}({given})"]
    path = Path(p.template_file)
    arguments = p.arguments
    written = ", ".join(
        f"{k}={v!r}" for k, v in arguments.items()
    ) if isinstance(arguments, dict) else ", ".join(map(repr, arguments))  # fmt: skip
    if '"' in written:
        raise ResultError(
            "an argument of the cell holds a quotation mark, which HOC cannot pass on"
        )
    folder = (Path("templates") / path.parent).as_posix()
    return [
        "// A Python class: HOC asks Python for it.",
        "objref python",
        f"nrnpython(\"import sys; sys.path.insert(0, '{folder}')\")",
        f'nrnpython("from {path.stem} import {p.template}")',
        f'nrnpython("synapse_cell = {p.template}({written})")',
        "python = new PythonObject()",
        "cell = python.synapse_cell",
    ]


def _argument(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ResultError(f"an argument of the cell cannot be written in HOC: {value!r}")
    return f'"{value}"' if isinstance(value, str) else _number(value)


def _in_section(p: Preparation, section: str, statement: str) -> list[str]:
    if _is_hoc(p):
        return [f"cell.{section} {statement}"]
    return [f"{{cell.{section}.push()}}", statement, "{pop_section()}"]


def _electrode(p: Preparation, protocol: str) -> list[str]:
    e = electrode_of(p, protocol)
    at = _number(e["position"])
    if "holding_potential" in e:
        return [
            *_in_section(p, e["section"], f"electrode = new SEClamp({at})"),
            f"electrode.rs = {_number(e['series_resistance'])}",
            "electrode.dur1 = 1e9",
            f"electrode.amp1 = {_number(e['holding_potential'])}",
        ]
    return [
        *_in_section(p, e["section"], f"electrode = new IClamp({at})"),
        "electrode.del = 0",
        "electrode.dur = 1e9",
        f"electrode.amp = {_number(e['holding_current'])}",
    ]


def _recorded(p: Preparation, protocol: str) -> list[str]:
    e = electrode_of(p, protocol)
    named = {"time": "&t", "clamp_current": "&electrode.i"}
    named |= {f"current {n}": f"&synapse.{n}" for n in p.currents}
    named |= {f"variable {n}": f"&synapse.{n}" for n in variables_of(p, protocol)}
    lines: list[str] = []
    statements = [(n, f"recorded[{k}].record({ref})") for k, (n, ref) in enumerate(named.items())]
    for k, (name, statement) in enumerate(statements):
        lines += [f"recorded[{k}] = new Vector()", f"{{{statement}}}",
                  f'{{names.append(new String("{name}"))}}']  # fmt: skip
    voltages = {"somatic_voltage": (e["section"], e["position"]),
                "synapse_voltage": (p.section, p.position)}  # fmt: skip
    for k, (name, (section, position)) in enumerate(voltages.items(), len(statements)):
        voltage = f"recorded[{k}].record(&v({_number(position)}))"
        lines += [
            f"recorded[{k}] = new Vector()",
            *_in_section(p, section, f"{{{voltage}}}"),
            f'{{names.append(new String("{name}"))}}',
        ]
    return lines


def command(_folder: Path) -> list[str]:
    """Return the command that runs this export in its folder: HOC in a process of Python."""
    return [sys.executable, "-c", f"from neuron import h; h.load_file({SCRIPT!r})"]


def write(p: Preparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return []
