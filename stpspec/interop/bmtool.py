"""Import of the settings of bmtool's synapse notebooks: two dictionaries, or a folder of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.errors import MechanismError, SpecError, SpecProblem, TemplateError, nearest
from stpspec.interop.cell_files import PATCH, CellFile, find_cell, template_names
from stpspec.interop.imported import Imported, Mechanisms, file_name, understood
from stpspec.interop.json_files import read_mapping
from stpspec.interop.python_data import Computed, computed_in, read_python
from stpspec.resources import expanded

_GENERAL = ("tstart", "tdur", "threshold", "delay", "weight", "dt", "celsius", "temperature",
            "vclamp", "rise_interval")  # fmt: skip
_CONNECTION = ("spec_settings", "spec_syn_param")
_PLACE = ("post_cell", "vclamp_amp", "sec_x", "sec_id", "level_of_detail", "mechanism")
_OF_MECHANISM = ("level_of_detail", "mechanism", "mod_name", "synapse_type")
_NOT_NUMBERS = ("description", "comment", "source", "reference")
_NORMALIZED = {"preset": "percentile_90"}
# Their target → metric, protocol, options, unit.
_TARGETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "induction": ("induction", "train", _NORMALIZED),
    "recovery": ("recovery", "train", _NORMALIZED),
    "ppr": ("initial", "train", _NORMALIZED),
    "simple_ppr": ("paired_pulse_ratio", "train", {}),
    "max_amplitude": ("max_amplitude", "train", {}),
    "amplitude": ("amplitude", "single", {}),
    "rise_time": ("rise_time", "single", {}),
    "decay_time": ("decay_time", "single", {}),
    "latency": ("latency", "single", {}),
    "half_width": ("half_width", "single", {}),
}
_METHODS = {
    "SLSQP": "slsqp",
    "L-BFGS-B": "lbfgsb",
    "Nelder-Mead": "nelder_mead",
    "Powell": "powell",
}


def read_bmtool(
    settings: Path,
    mod: Sequence[Path] = (),
    cell: Path | None = None,
    json_folder: Path | None = None,
    mechanism: str | None = None,
) -> Imported:
    """Read settings of bmtool's synapse classes.

    Parameters
    ----------
    settings : Path
        A .json, .py or .ipynb file with the two dictionaries, or a folder of <connection>.json.
        Python is read as data and never executed.
    mod : sequence of Path
        .mod files or folders of them.
    cell : Path, optional
        The template file of the postsynaptic cells; by default the shipped patch.
    json_folder : Path, optional
        Of <connection>.json, whose values go before those of the settings.
    mechanism : str, optional
        For JSON files that name none.

    Raises
    ------
    SpecError
        If there are no settings in it, or what they need is computed when the file is run.
    MechanismError
        If a .mod file or folder is not there.
    """
    found = Imported()
    data = _Settings(found)
    if settings.is_dir():
        data.read_folder(settings)
    elif settings.suffix in (".py", ".ipynb"):
        data.read_script(settings)
    else:
        data.read_json(settings)
    if json_folder is not None:
        data.override_from(json_folder)
    data.refuse_computed()
    if not data.connections:
        like = '{"A2B": {"spec_settings": {…}, "spec_syn_param": {…}}}'
        raise SpecError([SpecProblem("", f"{settings} holds no connections, as in {like}")])
    base = settings if settings.is_dir() else settings.parent
    with understood("mechanisms_dir, templates_dir"):
        mods = list(mod) or data.folder_of("mechanisms_dir", base)
        cell = cell or data.template_file(base)
    _Mapper(found, data, Mechanisms(mods), cell, mechanism).map_all()
    return found


class _Settings:
    """The dictionaries as they are written."""

    def __init__(self, found: Imported):
        self.found = found
        self.general: dict[str, Any] = {}
        self.connections: dict[str, Any] = {}
        self.options: dict[str, Any] = {}  # of the classes and of the optimizer

    def read_folder(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.json")):
            self.connections[path.stem] = {
                "spec_syn_param": read_mapping(path),
                "spec_settings": {},
            }

    def read_json(self, path: Path) -> None:
        data = read_mapping(path)
        self._sort({"": data} | _named(data))

    def read_script(self, path: Path) -> None:
        read = read_python(path)
        for note in read.notes:
            self.found.note(note)
        self._sort(read.values)
        for name, keywords in read.calls:
            if name in ("SynapseTuner", "SynapseOptimizer", "optimize_parameters"):
                self._sort({k: v for k, v in keywords.items() if k.endswith("settings")})
                self.options |= keywords

    def _sort(self, values: Mapping[str, Any]) -> None:
        """Tell the two dictionaries by what is in them; names differ from notebook to notebook."""
        for name, value in values.items():
            if not isinstance(value, dict):
                if name in ("current_name", "other_vars_to_record", "slider_vars"):
                    self.options[name] = value
                continue
            if _is_connections(value):
                self.connections |= value
            elif name.lower().startswith("general") or len(set(value) & set(_GENERAL)) >= 2:
                self.general |= value
            elif name in ("target_metrics", "param_bounds"):
                self.options[name] = value

    def override_from(self, folder: Path) -> None:
        files = {p.stem: p for p in folder.glob("*.json")}
        for name, connection in self.connections.items():
            if name in files:
                with understood(name):
                    own = connection.setdefault("spec_syn_param", {})
                    own.update(read_mapping(files.pop(name)))
        for name in files:
            self.found.note(f"{files[name].name}: no connection is called {name!r}; left out")

    def refuse_computed(self) -> None:
        for key, flag in (("mechanisms_dir", "--mod"), ("templates_dir", "--cell")):
            if isinstance(named := self.options.get(key), Computed):
                self.found.note(f"{named.place}: {key} is computed when the file is run: {flag} "
                                f"says where they are")  # fmt: skip
        used = {"general": self.general, "connections": self.connections,
                "options": {k: v for k, v in self.options.items() if k in _OPTIONS}}  # fmt: skip
        faults = computed_in(used)
        if faults:
            problems = [SpecProblem(path, _computed(c)) for path, c in faults.items()]
            raise SpecError(problems, "the settings cannot be read as data")

    def folder_of(self, key: str, base: Path) -> list[Path]:
        """Return the folder of .mod files that the notebook names, or that lies beside it."""
        named = self.options.get(key)
        places = [base / named, base / named / "modfiles"] if isinstance(named, str) else []
        places += [base / n for n in ("modfiles", "mechanisms/modfiles", "mechanisms", "mod",
                                      "components/mechanisms/modfiles")]  # fmt: skip
        return [next((p for p in places if p.is_dir() and any(p.glob("*.mod"))), Path())][
            : any(p.is_dir() and any(p.glob("*.mod")) for p in places)
        ]

    def template_file(self, base: Path) -> Path | None:
        named = self.options.get("templates_dir")
        if not isinstance(named, str):
            return None
        place = base / named
        files = (
            [place] if place.is_file() else sorted(place.glob("*.hoc")) if place.is_dir() else []
        )
        return files[0] if len(files) == 1 else None


_OPTIONS = ("current_name", "other_vars_to_record",
            "target_metrics", "param_bounds", "run_single_event", "run_train_input",
            "train_frequency", "train_delay", "method")  # fmt: skip


def _computed(value: Computed) -> str:
    rule = f"{value.code} is computed when the file is run, and it is only read: write its value"
    return f"{value.place}: {rule}"


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inner dictionaries of a file that holds both by some names."""
    return {} if _is_connections(data) else dict(data)


def _is_connections(value: Mapping[str, Any]) -> bool:
    inner = [v for v in value.values() if isinstance(v, dict)]
    return bool(inner) and any(set(v) & set(_CONNECTION) for v in inner)


class _Mapper:
    """Settings into data of experiments."""

    def __init__(
        self,
        found: Imported,
        data: _Settings,
        mechanisms: Mechanisms,
        cell: Path | None,
        mechanism: str | None,
    ):
        self._found, self._data, self._mechanisms = found, data, mechanisms
        self._cell_file = None if cell is None else expanded(cell).resolve()
        self._mechanism = mechanism
        self._cells: dict[str, CellFile] = {}

    def map_all(self) -> None:
        """Map all connections; what is wrong with one is a failure of that one."""
        with understood("general settings"):
            self._note_general()
        for name, connection in self._data.connections.items():
            try:
                with understood(name):
                    self._found.connections[name] = self._experiment(name, connection)
            except (MechanismError, TemplateError, SpecError) as error:
                self._found.failures[name] = str(error)

    def _note_general(self) -> None:
        for key in self._data.general:
            if key not in _GENERAL:
                self._unknown("general settings", key, _GENERAL)
        if "threshold" in self._data.general:
            self._found.note("threshold: presynaptic events are times here, none has to pass one")
        if "rise_interval" in self._data.general and "rise_time" not in self._targets():
            interval = self._data.general["rise_interval"]
            interval = list(interval) if isinstance(interval, tuple) else interval
            self._found.note(f"rise_interval: a term rise_time takes it, as options: "
                             f"{{interval: {interval}}}")  # fmt: skip

    def _unknown(self, where: str, key: str, known: Sequence[str]) -> None:
        guess = nearest(str(key), list(known))
        hint = f"; did you mean {guess!r}?" if guess else ""
        self._found.note(f"{where}: nothing is known of {key!r}, which is left out{hint}")

    def _experiment(self, name: str, connection: Any) -> dict[str, Any]:
        if not isinstance(connection, dict):
            raise SpecError([SpecProblem(name, "a connection is a mapping", connection)])
        for key in connection:
            if key not in _CONNECTION:
                self._unknown(name, key, _CONNECTION)
        place = dict(connection.get("spec_settings") or {})
        values = dict(connection.get("spec_syn_param") or {})
        for key in place:
            if key not in _PLACE:
                self._unknown(f"{name}, spec_settings", key, _PLACE)
        named = [m.pop(k) for m in (place, values) for k in _OF_MECHANISM if k in m]
        mechanism = str(named[0]) if named else self._mechanism
        if mechanism is None:
            raise SpecError([SpecProblem(name, "no mechanism is named: level_of_detail in "
                                         "spec_settings, or --mechanism")])  # fmt: skip
        model = self._model(name, mechanism, place)
        model["fixed"] = self._numbers(name, values)
        general = self._data.general
        data: dict[str, Any] = {
            "name": file_name(name),
            "description": f"{name}, from settings of bmtool",
            "model": model,
            "recording": self._recording(place),
            "protocols": {
                "train": {"kind": "train", **self._train()},
                "single": {"kind": "single_event", "duration": general.get("tdur", 100.0)},
            },
            "numerics": {
                "dt": general.get("dt", 0.025),
                "temperature": general.get("celsius", general.get("temperature", 20.0)),
                "settle": general.get("tstart", 500.0),
            },
        }
        if self._is_tuned(name):
            self._add_targets(data)
        return data

    def _is_tuned(self, name: str) -> bool:
        """Tell whether the optimizer of the notebook works on a connection: it has but one."""
        tuned = self._data.options.get("connection")
        is_known = isinstance(tuned, str) and tuned in self._data.connections
        if not is_known or name == tuned:
            return True
        if self._targets() or self._data.options.get("param_bounds"):
            self._found.note(f"the optimizer works on {tuned} alone: other connections have "
                             f"neither targets nor bounds")  # fmt: skip
        return False

    def _model(self, name: str, mechanism: str, place: Mapping[str, Any]) -> dict[str, Any]:
        general = self._data.general
        cell = self._cell(place.get("post_cell"))
        index = place.get("sec_id", 0)
        if not isinstance(index, int) or not 0 <= index < len(cell.sections):
            rule = f"{name}: sec_id must be 0 … {len(cell.sections) - 1}, for {cell.template}"
            raise SpecError([SpecProblem("sec_id", rule, index)])
        inserted = self._mechanisms.inserted_by(cell.file)
        own = self._mechanisms.entry(mechanism)
        model: dict[str, Any] = {
            "kind": "synapse",
            "cell": {"file": str(cell.file), "template": cell.template},
            "mechanism": mechanism,
            "mod": list(dict.fromkeys([*own, *inserted])),
            "section": cell.sections[index],
            "position": place.get("sec_x", 0.5),
            "net_con": {"weight": general.get("weight", 1.0), "delay": general.get("delay", 1.3)},
        }
        if cell.file.suffix == ".hoc":
            model["cell"]["arguments"] = []
        current = self._data.options.get("current_name", "i")
        if current != "i":
            model["current"] = current
        return model

    def _cell(self, template: str | None) -> CellFile:
        if self._cell_file is None:
            self._found.note(f"post_cell {template}: no template file is given (--cell), so the "
                             f"synapse is on the shipped patch")  # fmt: skip
            return PATCH
        if template is not None and template not in template_names(self._cell_file):
            known = template_names(self._cell_file)
            guess = nearest(template, known)
            hint = f" Did you mean {guess!r}?" if guess else ""
            raise TemplateError(f"{self._cell_file} defines no template {template!r}.{hint} "
                                f"Defined: {', '.join(known) or 'none'}.")  # fmt: skip
        key = template or ""
        if key not in self._cells:
            inserted = self._mechanisms.inserted_by(self._cell_file)
            self._cells[key] = find_cell(self._cell_file, template, inserted)
        return self._cells[key]

    def _numbers(self, name: str, values: Mapping[str, Any]) -> dict[str, float]:
        fixed = {}
        for key, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                if key not in _NOT_NUMBERS:
                    self._found.note(f"{name}: {key} = {value!r} is no number and is left out")
                continue
            fixed[key] = float(value)
        return fixed

    def _recording(self, place: Mapping[str, Any]) -> dict[str, Any]:
        variables = self._data.options.get("other_vars_to_record") or []
        more = {"variables": list(variables)} if variables else {}
        if self._data.general.get("vclamp", True):
            return {"kind": "voltage_clamp", "holding_potential": place.get("vclamp_amp", -70.0),
                    **more}  # fmt: skip
        return {"kind": "current_clamp", **more}

    def _targets(self) -> dict[str, Any]:
        return self._data.options.get("target_metrics") or {}

    def _train(self) -> dict[str, Any]:
        options = self._data.options
        return {"frequency": options.get("train_frequency", 50.0),
                "recovery_delay": options.get("train_delay", 250.0)}  # fmt: skip

    def _add_targets(self, data: dict[str, Any]) -> None:
        terms: dict[str, Any] = {}
        for name, target in self._targets().items():
            if name not in _TARGETS:
                self._unknown("target_metrics", name, list(_TARGETS))
                continue
            metric, protocol, options = _TARGETS[name]
            own = dict(options)
            if name == "rise_time" and "rise_interval" in self._data.general:
                own["interval"] = list(self._data.general["rise_interval"])
            terms[name] = {"metric": metric, "protocol": protocol, "target": target}
            if own:
                terms[name]["options"] = own
        bounds = self._data.options.get("param_bounds") or {}
        for name, pair in bounds.items():
            value = data["model"]["fixed"].pop(name, None)
            low, high = pair
            start = {} if value is None or not low <= value <= high else {"start": value}
            data.setdefault("parameters", {})[name] = {"min": low, "max": high, **start}
        if terms:
            data["objective"] = {"terms": terms}
            method = str(self._data.options.get("method", "SLSQP"))
            data["fitter"] = {"kind": "minimize", "method": method}
