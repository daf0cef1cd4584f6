"""The summary of an experiment on one screen, for the prompt of Python and for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stpspec.formatting import html_lines, html_table, outline, wrapped
from stpspec.formatting.layout import screen_width
from stpspec.specs.base import Spec
from stpspec.specs.fitter import FitterSpec
from stpspec.specs.model import Cell, ModelSpec, Synapse
from stpspec.specs.objective import Objective
from stpspec.specs.parameters import Parameter
from stpspec.specs.protocol import Protocol
from stpspec.specs.quantities import unit_of
from stpspec.specs.recording import RecordingSpec
from stpspec.specs.target_source import TargetSource

Row = tuple[str, str, str]

_ENTRIES = 12  # of one part: more than this does not fit on a screen


class Overview(Spec):
    """A spec that shows itself as a table of its parts."""

    def overview(self) -> list[Row]:
        """Return what there is to see as rows: part, name, text."""
        parts: dict[str, Mapping[str, str]] = {
            name: _PARTS.get(name, _plain)(value) if value is not None else {}
            for name, value in ((n, getattr(self, n)) for n in type(self).model_fields)
            if name not in _HEAD
        }
        rows: list[Row] = []
        for part, entries in parts.items():
            shown = list(entries.items())[:_ENTRIES]
            if len(entries) > _ENTRIES:
                shown.append(("…", f"and {len(entries) - _ENTRIES} more"))
            for number, (name, text) in enumerate(shown):
                rows.append((_LABELS.get(part, part) if number == 0 else "", name, text))
        return rows

    def _head(self) -> list[str]:
        return [str(text) for text in (getattr(self, n, "") for n in _HEAD[1:]) if text]

    def __repr__(self) -> str:
        head = [f"{type(self).__name__} {self._head()[0]}"]
        width = min(screen_width() or 100, 100)
        head += [line for text in self._head()[1:] for line in wrapped(text, width)]
        return "\n".join([*head, "", outline(self.overview(), width)])

    def _repr_html_(self) -> str:
        name, *more = self._head()
        title = html_lines(name, "font-weight: 600; font-size: 1.1em")
        return title + html_lines("\n".join(more)) + html_table(self.overview(), header=False)


_HEAD = ("format", "name", "description", "source")
_LABELS = {"objective": "targets"}


def _model(model: ModelSpec) -> dict[str, str]:
    def place(cell: Cell, section: str, position: float) -> str:
        return f"{section}({position:g}) of {cell.template} ({cell.file})"

    first, *second = (place(c, *s) for c, s in zip(model.cells, model.sites, strict=True))
    text = f"{model.mechanism} in {first}"
    if second:
        text = f"{model.mechanism} between {first} and {second[0]}"
    texts = {"": text}
    if model.fixed:
        texts["fixed"] = ", ".join(f"{n} = {_value(v)}" for n, v in model.fixed.items())
    if isinstance(model, Synapse):
        texts["net_con"] = _fields(model.net_con, every=True)
    return texts


def _recording(recording: RecordingSpec) -> dict[str, str]:
    return {"": _with_kind(recording)}


def _protocols(protocols: Mapping[str, Protocol]) -> dict[str, str]:
    return {name: _with_kind(p, every=True) for name, p in protocols.items()}


def _parameters(parameters: Mapping[str, Parameter]) -> dict[str, str]:
    texts = {}
    for name, p in parameters.items():
        start = f", start {_value(p.start)}" if p.start is not None else ""
        log = " (log)" if p.scale == "log" else ""
        texts[name] = f"{_value(p.min)} … {_value(p.max)}{log}{start}"
    return texts


def _targets(objective: Objective) -> dict[str, str]:
    texts = {}
    for name, term in objective.terms.items():
        sd = f" ± {_value(term.sd)}" if term.sd is not None else ""
        sd += f" (n = {_value(term.n)})" if term.n is not None else ""
        target = _value(term.target)
        if isinstance(term.target, TargetSource):
            target = f"from {term.target.source} {target}"
        text = f"{term.metric} of {term.protocol}: {target}{sd}"
        left = {"metric", "protocol", "target", "sd", "n", "options", "written"}
        more = [_fields(term, left), ", ".join(f"{n} {_value(v)}" for n, v in term.options.items())]
        more = [m for m in more if m]
        texts[name] = text + (f" ({'; '.join(more)})" if more else "")
    if objective.cost:
        texts["cost"] = objective.cost
    return texts


def _fitter(fitter: FitterSpec) -> dict[str, str]:
    budget = fitter.budget
    limits = [f"{budget.evaluations} evaluations"] if budget.evaluations is not None else []
    limits += [f"{budget.seconds:g} s"] if budget.seconds is not None else []
    at_most = f"at most {' or '.join(limits)}" if limits else ""
    # What an algorithm or sampler is called is worth reading even where it is the default.
    named = ", ".join(str(getattr(fitter, n)) for n in ("method", "sampler") if hasattr(fitter, n))
    said = _fields(fitter, {"budget", "method", "sampler"})
    return {"": ", ".join(t for t in (fitter.kind, named, said, at_most) if t)}


def _numerics(numerics: Spec) -> dict[str, str]:
    return {"": _fields(numerics)}


def _plain(value: object) -> dict[str, str]:
    return {"": _value(value)} if value not in (None, "", [], {}) else {}


# Each takes what the field of its name holds.
_PARTS: dict[str, Callable[[Any], dict[str, str]]] = {
    "model": _model, "recording": _recording, "protocols": _protocols, "parameters": _parameters,
    "objective": _targets, "fitter": _fitter, "numerics": _numerics,
}  # fmt: skip


def _with_kind(spec: Protocol | RecordingSpec, every: bool = False) -> str:
    said = _fields(spec, every=every)
    return f"{spec.kind}: {said}" if said else spec.kind


def _fields(spec: Spec, left_out: set[str] | None = None, *, every: bool = False) -> str:
    """Name the fields that have a unit or are not at their default, or every one that is set."""
    said = []
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        if name in {"kind", *(left_out or ())} or value in (None, "", [], {}):
            continue
        unit = unit_of(field)
        if every or unit or value != field.get_default(call_default_factory=True):
            said.append(f"{name} {_value(value)} {unit}".rstrip())
    return ", ".join(said)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(_value(v) for v in value[:8])
        return f"[{shown}, … {len(value)} values]" if len(value) > 8 else f"[{shown}]"
    if isinstance(value, Spec):
        return f"({_fields(value)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{n}: {_value(v)}" for n, v in value.items()) + "}"
    return str(value)
