"""Guessed roles of parameters: by name, by unit, by use in the equations, by their effect."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from stpspec.engine.survey.calibration import Response, better_holding, response
from stpspec.engine.survey.patch import ClampedPatch
from stpspec.engine.survey.record import ParameterRecord, Role
from stpspec.errors import SimulationError

# What laboratories call them; matched in full, without case, underscores left out.
_NAMES: dict[Role, str] = {
    "utilization": r"u|u0|u1|use|use0|usecell|uinit|ubase|utilization|utilisation|p0?|p0stp|prel|"
                   r"pr|prelease|releaseprob(ability)?|a0",
    "depression": r"d|dep|dep[12]|tau?rec(overy)?|trec|taud|taudep(r|ression)?|taudepress|tdep|"
                  r"taur|taud[12]|tauds",
    "facilitation": r"f|fac|facil|tau?fac(il|ilitation)?|tfac(il)?|tauf[12]?|tauu",
    "rise": r"tau?rise|trise|taur(ise)?(ampa|nmda|gaba[ab]?)?|tau1|tr|rise(time)?|tauon|tau0|"
            r"tau1(ampa|nmda|gaba[ab]?)|tau(ampa|nmda|gaba[ab]?)1|taua",
    "decay": r"tau?dec(ay)?|tau?decay(ampa|nmda|gaba[ab]?)?|tdecay|tau|tau2|td|decay(time)?|tauoff|"
             r"tau2(ampa|nmda|gaba[ab]?)|taud(ampa|nmda|gaba[ab]?)?|tau(ampa|nmda|gaba[ab]?)2?|"
             r"tauin|tau1|taui",
    "reversal": r"e|erev(ampa|nmda|gaba[ab]?)?|esyn|e(ampa|nmda|gaba[ab]?|rev)|vrev|"
                r"reversal|eexc|einh",
    "amplitude": r"gmax(ampa|nmda|gaba[ab]?)?|gbar|g|gsyn|gpeak|gunit|g0|initw|w|q|"
                 r"ase|scale|factor",
}  # fmt: skip
_TIMES: tuple[Role, ...] = ("depression", "facilitation", "rise", "decay")
_IN_EVENTS: tuple[Role, ...] = ("depression", "facilitation", "utilization")
_CLEAR = 0.01  # relative change of a measure that is an effect
_ON = 200.0  # ms, for a time constant of 0, which is off


def guess(
    parameters: list[ParameterRecord],
    used: Mapping[str, set[str]],
    patch: ClampedPatch | None,
) -> list[ParameterRecord]:
    """Return the parameters with their guessed roles and what the guesses rest on.

    Parameters
    ----------
    parameters : list of ParameterRecord
    used : mapping of str to set of str
        As :func:`stpspec.engine.survey.usage.uses`.
    patch : ClampedPatch, optional
        To try the effect of each parameter; without it only the text tells.
    """
    holding = -70.0 if patch is None else better_holding(patch)
    base = _measured(patch, holding)
    return [_guessed(p, used.get(p.name, set()), patch, base, holding) for p in parameters]


def _guessed(
    p: ParameterRecord,
    used: set[str],
    patch: ClampedPatch | None,
    base: Response | None,
    holding: float,
) -> ParameterRecord:
    role, why = _by_effect(p, patch, base, holding)
    named = [r for r, pattern in _NAMES.items() if _is_called(p.name, pattern) and _has_unit(p, r)]
    if role:
        reasons = [why]
        if role in named:
            reasons.insert(0, "name")
    else:
        fitting = [r for r in named if _is_used_as(used, r)] or (named if not used else [])
        if not fitting or (why == "inert" and fitting[0] not in _IN_EVENTS):
            return p
        role, reasons = fitting[0], ["name"]
    if p.unit or role == "utilization":
        reasons.insert(len(reasons) - (1 if why and role else 0), f"unit {p.unit or '1'}")
    if where := _place(used):
        reasons.append(where)
    return replace(p, role=role, why=tuple(dict.fromkeys(r for r in reasons if r != "inert")))


def _is_called(name: str, pattern: str) -> bool:
    return re.fullmatch(pattern, name.lower().replace("_", "")) is not None


def _has_unit(p: ParameterRecord, role: Role) -> bool:
    unit = p.unit.strip().lower()
    if role in _TIMES:
        return unit in ("ms", "s", "msec", "") and not (unit == "" and 0 < p.default <= 1)
    if role == "utilization":
        return unit in ("", "1") and 0 <= p.default <= 1
    if role == "reversal":
        return unit in ("mv", "v", "millivolt", "")
    return unit not in ("ms", "mv")


def _is_used_as(used: set[str], role: str) -> bool:
    """Tell whether a parameter is used where one of its role would be; so if that is unknown."""
    if not used or role not in _TIMES:
        return True
    return ("events" in used) if role in _IN_EVENTS else True


def _place(used: set[str]) -> str:
    words = {"events": "where events arrive", "kinetics": "in each step"}
    told = [words[u] for u in ("events", "kinetics") if u in used]
    return f"used {' and '.join(told)}" if told else ""


def _measured(patch: ClampedPatch | None, holding: float) -> Response | None:
    if patch is None:
        return None
    try:
        return response(patch, holding)
    except SimulationError:
        return None


def _by_effect(
    p: ParameterRecord, patch: ClampedPatch | None, base: Response | None, holding: float
) -> tuple[Role, str]:
    """Return the role that a change of the parameter shows, and in words what it changes."""
    if patch is None or base is None:
        return "", ""
    is_time = p.unit.strip().lower() in ("ms", "msec", "s")
    value = _other_value(p, is_time)
    try:
        with patch.changed({p.name: value}):
            tried = response(patch, holding)
    except (SimulationError, AttributeError, LookupError, TypeError):
        return "", ""
    return _role_of_change(p, value, base, tried, is_time)


def _role_of_change(
    p: ParameterRecord, value: float, base: Response, tried: Response, is_time: bool
) -> tuple[Role, str]:
    change = f"{p.default:g} → {value:g}"
    size, ratio = _relative(tried.amplitude, base.amplitude), tried.ratio - base.ratio
    rise, decay = _log(tried.rise, base.rise), _log(tried.decay, base.decay)
    up = value > p.default
    shape = max(abs(rise), abs(decay))
    if p.unit.strip().lower() == "mv" and abs(size) > _CLEAR and abs(ratio) < _CLEAR:
        return "reversal", f"{change} shifts the current by {size:+.0%}"
    ratios = f"{base.ratio:.3g} → {tried.ratio:.3g}"
    if is_time and shape > 0.05:
        if abs(decay) >= abs(rise):
            return "decay", f"{change} ms: decay {base.decay:.3g} → {tried.decay:.3g} ms"
        return "rise", f"{change} ms: peak after {base.rise:.3g} → {tried.rise:.3g} ms"
    if is_time and abs(ratio) > _CLEAR and abs(size) < _CLEAR:
        role: Role = "depression" if (ratio < 0) == up else "facilitation"
        return role, f"{change} ms: second / first response {ratios}"
    is_share = p.unit.strip() in ("", "1") and p.default <= 1
    is_more = (size > 0) == up and (ratio < 0) == up  # more is released, and more depleted
    if is_share and is_more and min(abs(size), abs(ratio)) > _CLEAR:
        return "utilization", f"{change}: first response {size:+.0%}, second / first {ratios}"
    in_proportion = p.default and abs(size + 1 - value / p.default) < 0.02
    if not is_time and in_proportion and abs(ratio) < _CLEAR and shape < 0.05:
        return "amplitude", f"{change}: first response {size:+.0%}"
    return "", "inert" if max(abs(size), abs(ratio), shape) < 1e-6 else ""


def _other_value(p: ParameterRecord, is_time: bool) -> float:
    if p.default == 0:
        value = _ON if is_time else 0.5
        return -60.0 if p.unit.strip().lower() == "mv" else value
    if p.unit.strip().lower() == "mv":
        return p.default + 10
    value = p.default * (2.0 if is_time or p.default > 1 else 0.5)
    low, high = p.limits or (-math.inf, math.inf)
    return value if low <= value <= high else p.default * 0.5


def _relative(value: float, base: float) -> float:
    return value / base - 1 if base else 0.0


def _log(value: float, base: float) -> float:
    if not (value > 0 and base > 0):  # also where either is not a number
        return 0.0
    return math.log(value / base)
