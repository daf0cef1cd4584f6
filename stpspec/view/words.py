"""Words of figures: metrics and fields as people say them, with their units."""

from __future__ import annotations

_METRICS = {
    "paired_pulse_ratio": "Paired-pulse ratio",
    "recovery_single": "Recovery of the first pulse",
    "initial": "Initial change",
    "max_amplitude": "Largest amplitude",
}
REFERENCES = {"paired_pulse_ratio": 1.0, "steady_state": 1.0, "induction": 0.0, "recovery": 0.0,
              "initial": 0.0, "recovery_single": 0.0}  # fmt: skip


def metric_words(metric: str) -> str:
    """Return the name of a metric as it is said, with a capital."""
    return _METRICS.get(metric, metric.replace("_", " ")[:1].upper() + metric.replace("_", " ")[1:])


def field_words(path: str, *, whole: bool = False) -> str:
    """Return the name of a field of an experiment as it is said; a parameter keeps its own.

    Parameters
    ----------
    path : str
        As ``protocols.train.frequency``.
    whole : bool
        Say of what it is a field, too.
    """
    *parents, last = path.split(".")
    if not parents or parents[-1] == "fixed":
        return last if parents else _sentence(last) if last == "recording" else last
    if parents[0] == "parameters":
        return f"{_sentence(last)} of {parents[-1]}"
    return f"{_sentence(last)} of {parents[-1]}" if whole else _sentence(last)


def _sentence(name: str) -> str:
    said = name.replace("_", " ")
    return said[:1].upper() + said[1:]
