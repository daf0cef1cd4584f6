"""Import of the synapses of a BMTK circuit: edge types with a mechanism and ``dynamics_params``."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.errors import SpecError, SpecProblem, StpspecError, nearest
from stpspec.interop import extension
from stpspec.interop.cell_files import PATCH, CellFile, find_cell
from stpspec.interop.imported import Imported, Mechanisms, file_name, understood
from stpspec.interop.json_files import read_mapping
from stpspec.interop.sonata_config import read_config
from stpspec.resources import expanded

_OF_MECHANISM = ("model_template", "mechanism", "level_of_detail", "synapse_type", "synapse_model")
_EDGE = ("edge_type_id", "target_query", "source_query", "syn_weight", "weight_function", "delay",
         "dynamics_params", "target_sections", "distance_range", "name", "connection", "template",
         "nsyns", "afferent_section_id", "afferent_section_pos", "sec_id", "sec_x", "section",
         "position", "weight", "conn_type", "threshold", "spec_syn_param", "target", "source",
         "target_node_type_id", "source_node_type_id", *_OF_MECHANISM)  # fmt: skip
_SECTIONS = {"somatic": "soma", "soma": "soma", "basal": "dend", "dend": "dend", "dendrite": "dend",
             "apical": "apic", "apic": "apic", "axon": "axon", "axonal": "axon"}  # fmt: skip
_BUILT_IN = {"exp2syn": "Exp2Syn", "expsyn": "ExpSyn"}  # whose `e` BMTK calls erev
_NOT_NUMBERS = (*_OF_MECHANISM, "description", "comment")


def read_bmtk(
    config: Path, mod: Sequence[Path] = (), cell: Path | None = None, template: str | None = None
) -> Imported:
    """Read the connections of a circuit_config.json, or of a simulation config that names one.

    Parameters
    ----------
    config : Path
    mod : sequence of Path
        .mod files or folders of them; by default those of ``mechanisms_dir``.
    cell : Path, optional
        Template file of the postsynaptic cell; by default that of the node type, where it is a
        HOC template, else the shipped patch.
    template : str, optional

    Raises
    ------
    SpecError
        If it is no such file, or names what is not there.
    """
    return _Circuit(config, mod, cell, template).read()


class _Circuit:
    def __init__(self, config: Path, mod: Sequence[Path], cell: Path | None, template: str | None):
        self._found = Imported()
        self._path = config
        self._simulation: dict[str, Any] = {}
        self._data = read_config(config)
        named = self._data.get("network")
        if isinstance(named, str):  # a simulation config
            self._simulation = self._data
            self._path = self._place(named)
            self._data = {**read_config(self._path), "run": self._data.get("run"),
                          "conditions": self._data.get("conditions")}  # fmt: skip
        self._components = self._data.get("components") or {}
        with understood("components.mechanisms_dir"):
            self._mods = list(mod) or self._folder("mechanisms_dir", "modfiles")
        self._mechanisms = Mechanisms(self._mods)
        self._given = cell, template
        self._cells: dict[tuple[str, str, str], CellFile] = {}

    def read(self) -> Imported:
        rows = [*self._inline(), *self._of_tables()]
        if not rows:
            rule = f"{self._path} has no connections: no edge_types_file in networks.edges"
            raise SpecError([SpecProblem("networks", rule)])
        own, folder = self._data.get(extension.KEY) or {}, self._path.resolve().parent
        for number, row in enumerate(rows, 1):
            name = _name(row, number)
            while name in self._found.connections:
                name = f"{name}_{number}"
            try:
                self._found.connections[name] = self._connection(name, row, own, folder)
            except StpspecError as error:
                self._found.failures[name] = str(error)
        return self._found

    def _connection(
        self, name: str, row: dict[str, Any], own: Mapping[str, Any], folder: Path
    ) -> dict[str, Any]:
        with understood(name):
            given = extension.own_experiment(own[name], folder) if name in own else {}
            arguments = given["model"]["cell"].get("arguments") if given else None
            data = self._experiment(name, row, arguments or [])
            if name in own:
                return extension.joined(data, own[name], folder)
            return self._assumed(data)

    # -- rows ------------------------------------------------------------------------------------

    def _inline(self) -> list[dict[str, Any]]:
        """Return the connections that stand in the file itself: a list, or a mapping by name."""
        found = self._data.get("connections") or []
        if isinstance(found, dict):
            found = [{"name": name, **row} for name, row in found.items() if isinstance(row, dict)]
        return [dict(row) for row in found if isinstance(row, dict)]

    def _of_tables(self) -> list[dict[str, Any]]:
        rows = []
        networks = self._data.get("networks") or {}
        for edges in networks.get("edges") or []:
            named = edges.get("edge_types_file")
            for row in self._table(named) if named else []:
                if row.get("dynamics_params") or any(row.get(k) for k in _OF_MECHANISM):
                    rows.append({**row, "_edges": edges})
                else:
                    self._found.note(f"edge type {row.get('edge_type_id')}: no mechanism and no "
                                     f"dynamics_params, so it is left out")  # fmt: skip
        return rows

    def _table(self, named: str) -> list[dict[str, Any]]:
        path = self._place(named)
        try:
            text = path.read_text(encoding="utf-8")
            separator = " " if " " in text.split("\n", 1)[0] else ","
            lines = text.splitlines()
            rows = list(csv.DictReader(lines, delimiter=separator, skipinitialspace=True))
        except (OSError, ValueError, csv.Error) as error:
            rule = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
            raise SpecError([SpecProblem("networks", rule)]) from None
        return [{k: v for k, v in row.items() if v not in (None, "", "NULL", "None", "NaN")}
                for row in rows]  # fmt: skip

    # -- one connection --------------------------------------------------------------------------

    def _experiment(
        self, name: str, row: dict[str, Any], arguments: dict[str, Any] | list[Any]
    ) -> dict[str, Any]:
        for key in row:
            if key not in _EDGE and not str(key).startswith("_"):
                guess = nearest(str(key), list(_EDGE))
                hint = f"; did you mean {guess!r}?" if guess else ""
                self._found.note(f"{name}: nothing is known of {key!r}, which is left out{hint}")
        values = self._parameters(name, row)
        values |= values.pop("global_parameters", None) or {}
        row = _of_edges(row, self._place)
        named = [row[k] for k in _OF_MECHANISM if row.get(k)]
        named += [values[k] for k in _OF_MECHANISM if values.get(k)]
        if not named:
            rule = "no mechanism is named: model_template, or level_of_detail in dynamics_params"
            raise SpecError([SpecProblem(name, rule)])
        mechanism = _called(str(named[0]))
        if mechanism in _BUILT_IN.values() and "erev" in values:
            values["e"] = values.pop("erev")
        cell = self._cell(row, arguments)
        section = self._section(name, row, cell)
        conditions = self._data.get("conditions") or {}
        run = self._data.get("run") or {}
        model: dict[str, Any] = {
            "kind": "synapse",
            "cell": {"file": str(cell.file), "template": cell.template},
            "mechanism": mechanism,
            "mod": list(dict.fromkeys([*self._mechanisms.entry(mechanism),
                                       *self._mechanisms.inserted_by(cell.file)])),
            "section": section,
            "position": _number(row, "sec_x", "position", "afferent_section_pos", default=0.5),
            "net_con": {"weight": _number(row, "syn_weight", "weight", default=1.0),
                        "delay": _number(row, "delay", default=1.3)},
            "fixed": {k: float(v) for k, v in values.items() if _is_number(v)},
        }  # fmt: skip
        for key, value in values.items():
            if not _is_number(value) and key not in _NOT_NUMBERS:
                self._found.note(f"{name}: {key} = {value!r} is no number and is left out")
        if cell.file.suffix == ".hoc":
            model["cell"]["arguments"] = []
        if row.get("weight_function") and "syn_weight" in row:
            self._found.note(f"{name}: the weight function {row['weight_function']} is not "
                             f"evaluated; syn_weight is taken as it is")  # fmt: skip
        return {
            "name": file_name(name),
            "description": f"{name}, from {self._path.name} of BMTK",
            "model": model,
            "recording": {"kind": "voltage_clamp"},
            "protocols": {"train": {"kind": "train"}, "single": {"kind": "single_event"}},
            "numerics": {ours: said[theirs] for ours, theirs, said in (
                ("temperature", "celsius", conditions), ("v_init", "v_init", conditions),
                ("dt", "dt", run)) if theirs in said},
        }  # fmt: skip

    def _assumed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return an experiment with the temperature of BMTK's simulations where none is said."""
        if "temperature" not in data["numerics"]:
            self._found.note("no celsius is said (simulation_config.json says it): 34 is taken")
            data["numerics"]["temperature"] = 34.0
        return data

    def _parameters(self, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
        given = row.get("dynamics_params", row.get("spec_syn_param"))
        if given is None:
            return {}
        if isinstance(given, dict):
            return dict(given)
        text = str(given)
        folders = self._folder("synaptic_models_dir", "synaptic_models")
        places = [*(f / text for f in folders), self._place(text)]
        path = next((p for p in places if p.is_file()), None)
        if path is None:
            looked = ", ".join(str(p.parent) for p in places)
            raise SpecError([SpecProblem(name, f"no file {text!r} in {looked}")])
        return read_mapping(path)

    def _section(self, name: str, row: Mapping[str, Any], cell: CellFile) -> str:
        for key in ("sec_id", "afferent_section_id"):
            if row.get(key) is not None:
                index = int(float(row[key]))
                if not 0 <= index < len(cell.sections):
                    rule = f"{key} must be 0 … {len(cell.sections) - 1}, for {cell.template}"
                    raise SpecError([SpecProblem(name, rule, index)])
                return cell.sections[index]
        wanted = row.get("section", row.get("target_sections"))
        if wanted is None:
            return cell.section
        words = re.findall(r"\w+(?:\[\d+\])?", str(wanted))
        named = [_SECTIONS.get(w, w) for w in words]
        fitting = [s for s in cell.sections if s in named or s.partition("[")[0] in named]
        if not fitting:
            self._found.note(f"{name}: {cell.template} has no section {' or '.join(words)}; the "
                             f"synapse is on {cell.section}")  # fmt: skip
            return cell.section
        if len(fitting) > 1:
            self._found.note(f"{name}: BMTK draws a place among {len(fitting)} sections; the "
                             f"synapse is on {fitting[0]}")  # fmt: skip
        return fitting[0]

    def _cell(self, row: Mapping[str, Any], arguments: dict[str, Any] | list[Any]) -> CellFile:
        file, template = self._given
        if file is None:
            file, template = self._template_of_target(row)
        if file is None:
            return PATCH
        key = str(file), template or "", repr(arguments)
        if key not in self._cells:
            inserted = self._mechanisms.inserted_by(file)
            self._cells[key] = find_cell(expanded(file).resolve(), template, inserted, arguments)
        return self._cells[key]

    def _template_of_target(self, row: Mapping[str, Any]) -> tuple[Path | None, str | None]:
        """Return the template file and the template of the target's node type."""
        named = row.get("template")
        wanted = row.get("target_query") or ""
        for node in self._nodes() if named is None else []:
            if _fits(node, str(wanted)) and ":" in str(node.get("model_template", "")):
                named = node["model_template"]
                break
        if named is None:
            self._found.note("no template of the postsynaptic cell is named, so the synapses are "
                             "on the shipped patch")  # fmt: skip
            return None, None
        kind, _, template = str(named).rpartition(":")
        folders = self._folder("templates_dir", "templates")
        for folder in folders:
            for path in [*sorted(folder.rglob("*.hoc")), *sorted(folder.rglob("*.py"))]:
                text = path.read_text(encoding="utf-8", errors="replace")
                if re.search(rf"^\s*(?:begintemplate|class)\s+{re.escape(template)}\b", text, re.M):
                    return path, template
        where = f" ({kind})" if kind not in ("", "hoc") else ""
        self._found.note(f"the cell {template}{where} is built by no template in "
                         f"{', '.join(map(str, folders)) or 'templates_dir'}: its synapses are on "
                         f"the shipped patch")  # fmt: skip
        return None, None

    def _nodes(self) -> list[dict[str, Any]]:
        networks = self._data.get("networks") or {}
        tables = [n.get("node_types_file") for n in networks.get("nodes") or []]
        return [row for t in tables if t and self._place(t).is_file() for row in self._table(t)]

    def _folder(self, key: str, below: str) -> list[Path]:
        named = self._components.get(key)
        if not isinstance(named, str):
            return []
        place = self._place(named)
        return [p for p in (place, place / below) if p.is_dir() and _holds(p, key)]

    def _place(self, named: str) -> Path:
        path = Path(named)
        return path if path.is_absolute() else self._path.parent / path


def _of_edges(row: Mapping[str, Any], place: Callable[[str], Path]) -> dict[str, Any]:
    """Return an edge type with what its first edge says itself, which goes before."""
    edges = (row.get("_edges") or {}).get("edges_file")
    if not edges or not place(edges).is_file():
        return dict(row)
    from stpspec.interop.sonata_files import first_edge

    return {**row, **first_edge(place(edges), row.get("edge_type_id"))}


def _called(name: str) -> str:
    """Return a mechanism by its name; BMTK writes those of NEURON in small letters."""
    return _BUILT_IN.get(name.lower(), name)


def _holds(folder: Path, key: str) -> bool:
    return key != "mechanisms_dir" or any(folder.glob("*.mod"))


def _name(row: Mapping[str, Any], number: int) -> str:
    """Return the name of a connection: its own, that of its parameters' file, or its edge type."""
    for key in ("name", "connection"):
        if row.get(key):
            return str(row[key])
    given = row.get("dynamics_params")
    if isinstance(given, str):
        return Path(given).stem
    return f"edge_{row.get('edge_type_id', number)}"


def _fits(node: Mapping[str, Any], query: str) -> bool:
    """Tell whether a node type fulfils ``key=='value'&key=='value'``."""
    pairs = re.findall(r"(\w+)\s*==\s*'?\"?([^'\"&]+)", query)
    return all(str(node.get(k)) == v.strip() for k, v in pairs if k in node)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(row: Mapping[str, Any], *keys: str, default: float) -> float:
    for key in keys:
        if row.get(key) is not None:
            try:
                return float(row[key])
            except (TypeError, ValueError):
                raise SpecError([SpecProblem(key, "must be a number", row[key])]) from None
    return default
