"""Texts of the plain Python scripts: cells, mechanism, simulation of each model, and traces."""

from __future__ import annotations

HEAD = '''"""{title}.

Compile the mechanisms first, in this folder: nrnivmodl mod. Then: python {script}.
In a fixed step NEURON records a current one sample after the voltage that it belongs to.
"""

import functools
import importlib.util
import os
import sys
from pathlib import Path

from neuron import h

h.load_file("stdrun.hoc")
TEMPLATES = Path(__file__).resolve().parent / "templates"

'''

CELLS = '''

@functools.cache
def template_of(file, name):
    """Return what builds a cell: a HOC template, or a class in a Python file."""
    path = TEMPLATES / file
    if path.suffix == ".hoc":
        h.load_file(str(path))
        return getattr(h, name)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(f"template_{name}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def build(description):
    """Build a cell as its template does, and set what is set of its sections."""
    before, arguments = Path.cwd(), description["arguments"]
    os.chdir(TEMPLATES / description["folder"])  # from where a template reads its files
    template = template_of(description["file"], description["template"])
    cell = template(**arguments) if isinstance(arguments, dict) else template(*arguments)
    os.chdir(before)
    for section, name, value in description["section_values"]:
        setattr(section_of(cell, section), name, value)
    return cell


def section_of(cell, name):
    """Return a section of a cell by its name, such as dend[0]."""
    attribute, _, index = name.partition("[")
    found = getattr(cell, attribute)
    if not index and hasattr(found, "nseg"):
        return found
    return list(found)[int(index.rstrip("]") or 0)]


def place_of(cell, description):
    """Return the segment that a description names by its section and position."""
    return section_of(cell, description["section"])(description["position"])
'''

MECHANISM = '''

def place_mechanism(site):
    """Place the mechanism in a segment, with its values."""
    point = getattr(h, MECHANISM)(site)
    for name, value in VALUES.items():
        setattr(point, name, value)
    for name, value in GLOBAL_VALUES.items():  # shared by all of this mechanism
        setattr(h, f"{name}_{MECHANISM}", value)
    return point


def constant_current(place, amplitude):
    """Return an electrode in current clamp."""
    electrode = h.IClamp(place)
    electrode.delay, electrode.dur, electrode.amp = 0, 1e9, amplitude
    return electrode


def record(point, variables, **others):
    """Record the time, currents and variables of the mechanism, and other references."""
    references = {"time": h._ref_t}
    references |= {f"current {name}": getattr(point, f"_ref_{name}") for name in CURRENTS}
    references |= {f"variable {name}": getattr(point, f"_ref_{name}") for name in variables}
    references |= others
    return {name: h.Vector().record(reference) for name, reference in references.items()}


def initialize():
    """Begin at rest."""
    h.celsius, h.dt, h.steps_per_ms = TEMPERATURE, DT, 1 / DT
    h.finitialize(V_INIT)


def advance(stop):
    """Run to a time, ms."""
    context = h.ParallelContext()
    context.set_maxstep(1000)
    context.psolve(stop)
'''

SYNAPSE = '''

def simulate(protocol):
    """Return the time (ms) and what was recorded under a protocol: nA, uS, mV."""
    cell = build(CELL)
    site, place = place_of(cell, CELL), place_of(cell, protocol["electrode"])
    synapse = place_mechanism(site)
    electrode = clamp(place, protocol["electrode"])
    netcon = h.NetCon(None, synapse)
    netcon.weight[0] = WEIGHT
    recorded = record(
        synapse, protocol["variables"], clamp_current=electrode._ref_i,
        somatic_voltage=place._ref_v, synapse_voltage=site._ref_v,
    )
    initialize()
    for arrival in protocol["arrivals"]:  # at the synapse: the delay is in it
        netcon.event(arrival)
    advance(protocol["stop"])
    return {name: list(vector) for name, vector in recorded.items()}


def clamp(place, description):
    """Return the electrode in voltage or in current clamp."""
    if "holding_current" in description:
        return constant_current(place, description["holding_current"])
    electrode = h.SEClamp(place)
    electrode.rs, electrode.dur1 = description["series_resistance"], 1e9
    electrode.amp1 = description["holding_potential"]
    return electrode
'''

POINTER = '''

def connect(gaps, sites):
    """Let each side of the gap junction read the voltage of the other where it is."""
    for gap, other in zip(gaps, reversed(sites)):
        h.setpointer(other._ref_v, PARTNER_VOLTAGE, gap)
'''

TRANSFER = '''

def connect(gaps, sites):
    """Let NEURON give each side of the gap junction the voltage of the other at every step."""
    context = h.ParallelContext()
    for number, (gap, other) in enumerate(zip(gaps, reversed(sites))):
        context.source_var(other._ref_v, number, sec=other.sec)
        context.target_var(gap, getattr(gap, f"_ref_{PARTNER_VOLTAGE}"), number)
    context.setup_transfer()
'''

GAP_JUNCTION = '''

def simulate(protocol):
    """Return the time (ms) and what was recorded under a protocol: nA, mV."""
    cells = [build(description) for description in CELLS]
    sites = [place_of(cell, description) for cell, description in zip(cells, CELLS)]
    gaps = [place_mechanism(site) for site in sites]
    connect(gaps, sites)
    electrode = protocol["electrode"]
    places = [place_of(cell, electrode) for cell in cells]
    held = [constant_current(place, electrode["holding_current"]) for place in places]
    current = protocol["step"]
    step = h.IClamp(places[current["cell"] - 1])
    step.delay, step.dur, step.amp = current["start"], current["duration"], current["amplitude"]
    recorded = record(
        gaps[0], protocol["variables"],
        somatic_voltage_1=places[0]._ref_v, somatic_voltage_2=places[1]._ref_v,
    )
    initialize()
    advance(protocol["stop"])
    h.ParallelContext().gid_clear(4)  # no transfer outlives its gap junction
    return {name: list(vector) for name, vector in recorded.items()}
'''

MAIN = '''

def main():
    """Run all protocols and write one file of traces for each."""
    for name, protocol in PROTOCOLS.items():
        lines = []
        for signal, values in simulate(protocol).items():
            lines += [signal, str(len(values)), *(repr(v) for v in values)]
        (Path.cwd() / f"traces_{name}.txt").write_text("\\n".join(lines) + "\\n")


if __name__ == "__main__":
    main()
'''
