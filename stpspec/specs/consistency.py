"""The rules between parts of an experiment; each works on whichever parts are valid."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from stpspec.errors import SpecProblem, UnknownNameError, nearest
from stpspec.registry import COSTS, LOSSES, METRICS, RECORDINGS, Registry
from stpspec.specs.base import problems_of
from stpspec.specs.objective import Objective, Term
from stpspec.specs.protocol import features, owner_of, runs_of
from stpspec.specs.recording import with_changes
from stpspec.specs.target_rules import (
    HasOptions,
    TargetMetric,
    scale_problems,
    several_runs_problems,
    value_problems,
)
from stpspec.specs.target_source import TargetSource

# Field name → valid value, of the type of the field; what is not valid is absent.
Parts = Mapping[str, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# What a metric needs of a protocol, in words.
NEEDS = {
    "event": "a presynaptic event",
    "pair": "at least two presynaptic events",
    "induction": "at least six induction pulses (n_induction)",
    "recovery": "a recovery pulse after the induction (n_induction, n_recovery)",
    "recovery_4": "at least four induction and four recovery pulses",
    "drive": "continuous drive of at least four pulses",
    "step": "a current step into a coupled cell",
    "trials": "at least two trials (trials: 100) of a mechanism that draws random numbers",
}


def cross_problems(parts: Parts) -> list[SpecProblem]:
    """Return the problems between the parts of an experiment.

    Parameters
    ----------
    parts : mapping
        Field name → valid value; what is not valid is missing.
    """
    problems = [*_name_problems(parts), *_protocol_problems(parts), *_recording_problems(parts)]
    objective = parts.get("objective")
    if objective is not None:
        for name, term in objective.terms.items():
            problems += _term_problems(f"objective.terms.{name}", term, parts)
        problems += _cost_problems(objective)
    problems += _fitter_problems(parts)
    return problems


def _name_problems(parts: Parts) -> Iterator[SpecProblem]:
    """Names become nodes and variables of datasets, beside the parameters."""
    model, objective = parts.get("model"), parts.get("objective")
    taken = {*parts.get("parameters", {}), *(model.fixed if model is not None else {})}
    named = {
        "protocols": (list(parts.get("protocols", {})), {"failure", "candidate"}),
        "objective.terms": (
            list(objective.terms) if objective is not None else [], {"reason", "candidate"},
        ),
    }  # fmt: skip
    for path, (names, reserved) in named.items():
        for name in names:
            if not _NAME.fullmatch(name):
                rule = "a name has letters, digits, _ . - and begins with a letter or digit"
                yield SpecProblem(f"{path}.{name}", rule, name)
            elif name in reserved or name in taken:
                what = "a parameter" if name in taken else "a part of every dataset"
                yield SpecProblem(
                    f"{path}.{name}", f"this is the name of {what}; choose another", name
                )


def _protocol_problems(parts: Parts) -> Iterator[SpecProblem]:
    model = parts.get("model")
    for name, protocol in parts.get("protocols", {}).items():
        if model is None:
            continue
        gives = "step" if "step" in protocol.provides() else "event"
        if gives != model.stimulated_by:
            wanted = NEEDS[model.stimulated_by]
            yield SpecProblem(
                f"protocols.{name}.kind",
                f"a {model.kind} model is stimulated by {wanted}; this protocol gives none",
                protocol.kind,
            )


def recordings_of(parts: Parts) -> dict[str, Any]:
    """Return protocol → how it is recorded, of the valid parts of an experiment.

    Parameters
    ----------
    parts : mapping
        Field name → valid value; what is not valid is missing.
    """
    default, found = parts.get("recording"), {}
    for name, protocol in parts.get("protocols", {}).items():
        with contextlib.suppress(ValidationError, UnknownNameError):  # told as a problem
            if default is not None:
                found[name] = with_changes(default, protocol.recording)
    return found


def recording_path(protocol: str, parts: Parts, field: str) -> str:
    """Return where a field of the recording of a protocol is set, or would be."""
    changes = parts["protocols"][protocol].recording or {}
    own = field in changes or "kind" in changes
    return f"protocols.{protocol}.recording.{field}" if own else f"recording.{field}"


def _recording_problems(parts: Parts) -> Iterator[SpecProblem]:
    model, recording = parts.get("model"), parts.get("recording")
    if recording is None:
        return
    for name, protocol in parts.get("protocols", {}).items():
        try:
            with_changes(recording, protocol.recording)
        except UnknownNameError as error:
            kind = protocol.recording.get("kind")
            guess = nearest(str(kind), RECORDINGS.names())
            yield SpecProblem(f"protocols.{name}.recording.kind", str(error), kind, guess)
        except ValidationError as error:
            yield from problems_of(error, f"protocols.{name}.recording")
    if model is None or model.stimulated_by != "step":
        return
    used = {recording_path(n, parts, "kind"): r for n, r in recordings_of(parts).items()}
    for path, one in (used or {"recording.kind": recording}).items():
        if one.kind != "current_clamp":
            yield SpecProblem(
                path,
                "coupled cells are recorded in current clamp (recording=current_clamp)",
                one.kind,
            )


def _term_problems(path: str, term: Term, parts: Parts) -> Iterator[SpecProblem]:
    yield from _loss_problems(path, term)
    metric = None
    try:
        metric = METRICS.get(term.metric)
    except UnknownNameError:
        yield _unknown(f"{path}.metric", METRICS, term.metric)
    if metric is not None:
        wrong_options = list(_option_problems(f"{path}.options", metric, term.options))
        yield from wrong_options
        if not isinstance(term.target, TargetSource):  # else when it is read
            yield from value_problems(path, term, metric, has_options=not wrong_options)
        if not wrong_options:
            yield from scale_problems(path, term, metric, parts)
        if not wrong_options or "signal" in term.options:
            yield from _signal_problems(path, term, metric, parts)
    protocols = parts.get("protocols", {})
    runs = runs_of(protocols)
    names = list(dict.fromkeys([*parts.get("protocol_names", list(protocols)), *runs]))
    if term.protocol not in names:
        yield SpecProblem(
            f"{path}.protocol",
            f"must name a protocol of this experiment ({', '.join(names)})",
            term.protocol,
            nearest(term.protocol, names),
        )
    elif metric is not None and term.protocol in {**protocols, **runs}:
        protocol = protocols.get(term.protocol) or runs[term.protocol]
        yield from several_runs_problems(path, term, metric, protocol)
        whole = is_whole(term.protocol, parts) and "trials" not in parts.get("wrong", ())
        given = features(protocol, parts.get("trials")) if whole else protocol.at_most | {"trials"}
        for need in metric.needs:
            if need not in given:
                yield SpecProblem(
                    f"{path}.metric",
                    f"{term.metric} needs {NEEDS.get(need, need)}, which the protocol "
                    f"{term.protocol!r} ({protocol.kind}) does not give",
                    term.metric,
                )


def is_whole(protocol: str, parts: Parts) -> bool:
    """Tell whether no field of a protocol was wrong: with a default instead, it gives another run.

    Parameters
    ----------
    protocol : str
    parts : mapping
        ``wrong`` holds the paths where anything is wrong.
    """
    path = f"protocols.{protocol}"
    return not any(p == path or p.startswith(f"{path}.") for p in parts.get("wrong", ()))


def _loss_problems(path: str, term: Term) -> Iterator[SpecProblem]:
    try:
        loss = LOSSES.get(term.loss)
    except UnknownNameError:
        yield _unknown(f"{path}.loss", LOSSES, term.loss)
        return
    yield from _option_problems(f"{path}.loss_options", loss, term.loss_options)
    if loss.takes_sd:
        return
    if term.sd is not None:
        rule = f"the loss {term.loss!r} divides by the target and takes no sd"
        yield SpecProblem(f"{path}.sd", rule, term.sd)


def _signal_problems(
    path: str, term: Term, metric: TargetMetric, parts: Parts
) -> Iterator[SpecProblem]:
    model = parts.get("model")
    owner = owner_of(term.protocol, parts.get("protocols", {}))
    recording = recordings_of(parts).get(owner or term.protocol)
    if recording is None and owner is None:
        recording = parts.get("recording")
    signal = term.options.get("signal")
    if recording is None or model is None or not metric.reads_signal:
        return
    signals = [*recording.signals, *recording.variables]
    wanted = signal or recording.default_signal
    is_clamped = recording.kind == "voltage_clamp" and recording.electrode_section == "soma"
    if wanted == "somatic_voltage" and is_clamped:
        yield SpecProblem(
            f"{path}.options.signal",
            f"{term.metric} reads the potential of the soma, which the voltage clamp holds: a "
            f"synaptic potential is recorded in current clamp (recording=current_clamp, or "
            f"protocols.{owner or term.protocol}.recording=current_clamp)",
            signal,
        )
        return
    if model.stimulated_by == "event" and wanted not in signals:
        place = "recording.signals"
        if owner is not None:
            place = recording_path(owner, parts, "signals")
        yield SpecProblem(
            f"{path}.options.signal" if signal else place,
            f"{term.metric} reads the signal {wanted!r}, which is not recorded "
            f"({place}: {', '.join(signals)})",
            signal,
            nearest(wanted, signals) if signal else None,
        )


def _cost_problems(objective: Objective) -> Iterator[SpecProblem]:
    if objective.cost is None:
        if not any(t.weight > 0 for t in objective.terms.values()):
            yield SpecProblem("objective.terms", "at least one term needs a weight above 0")
        return
    try:
        cost = COSTS.get(objective.cost)
    except UnknownNameError:
        yield _unknown("objective.cost", COSTS, objective.cost)
        return
    yield from _option_problems("objective.cost_options", cost, objective.cost_options)


def _fitter_problems(parts: Parts) -> Iterator[SpecProblem]:
    fitter = parts.get("fitter")
    if fitter is None or not {"parameters", "objective"} <= set(parts):
        return
    if not parts["parameters"] or parts["objective"] is None:
        return  # nothing to fit: `run` needs no fitter
    if any(t.loss not in LOSSES.names() for t in parts["objective"].terms.values()):
        return  # reported already, and a fitter cannot judge what it does not know
    for path, rule, received in fitter.objections(parts["parameters"], parts["objective"]):
        yield SpecProblem(path, rule, received)


def _option_problems(
    path: str, thing: HasOptions, options: Mapping[str, object]
) -> Iterator[SpecProblem]:
    try:
        thing.options.model_validate(dict(options))
    except ValidationError as error:
        yield from problems_of(error, path)


def _unknown(path: str, registry: Registry, name: str) -> SpecProblem:
    names = registry.names()
    return SpecProblem(
        path,
        f"no {registry.sort} of this name ({', '.join(names) or 'none is known'})",
        name,
        nearest(name, names),
    )
