"""A journal for those who only read it: never locked, never written, and read in fewer steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from stpspec.errors import StudyError

_CREATE_STUDY, _DELETE_STUDY, _CREATE_TRIAL = 0, 1, 4  # what the lines of a journal do
_PARAM, _STATE, _STEP, _USER, _SYSTEM = 5, 6, 7, 8, 9
_FINISHED = {s.value for s in TrialState if s.is_finished()}
_RUNNING = TrialState.RUNNING.value


class ReadOnlyJournal(JournalFileBackend):
    """A journal file that exists, to be read.

    What has happened to a trial before the first reading comes as one line: for each line Optuna
    copies a trial, which is a third of the time in which a large study opens.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str):
        super().__init__(path)
        self._left_out = 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the lines from a number on; the numbers count what has been yielded."""
        found = whole(self._file_path, super().read_logs(log_number_from + self._left_out))
        if log_number_from:
            yield from found
            return
        lines = list(found)
        merged = _merged(lines)
        self._left_out = len(lines) - len(merged)
        yield from merged

    def append_logs(self, logs: list[dict[str, Any]]) -> NoReturn:
        """Refuse.

        Raises
        ------
        StudyError
            Always.
        """
        raise StudyError("this journal was opened to be read only")


def whole(path: str, logs: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal, or say that it is none.

    Raises
    ------
    StudyError
        If a line, other than the last, is not what Optuna writes.
    """
    try:
        for line in logs:
            if not isinstance(line, dict) or "op_code" not in line:
                raise ValueError(str(line)[:40])
            yield line
    except ValueError as error:  # of JSON, or of UTF-8
        raise StudyError(
            f"{path} is no journal of a study, or a damaged one ({error}); name another file, or "
            f"move this one away"
        ) from error


def _merged(lines: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Put what happened to each trial into the line that created it."""
    names: set[str] = set()
    trials: list[dict[str, Any]] = []
    kept = []
    for line in lines:
        code = line["op_code"]
        if code == _CREATE_STUDY:
            names.add(line["study_name"])
        elif code == _CREATE_TRIAL and line["study_id"] < len(names):
            line = _template(line)
            trials.append(line)
        elif code in (_PARAM, _STATE, _STEP, _USER, _SYSTEM) and line["trial_id"] < len(trials):
            _take(trials[line["trial_id"]], line)
            continue
        elif code in (_CREATE_TRIAL, _DELETE_STUDY):
            return lines  # the ids of trials would not be their places in the file
        kept.append(line)
    return kept


def _template(line: dict[str, Any]) -> dict[str, Any]:
    own = ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values")
    return {"state": _RUNNING} | line | {n: dict(line.get(n, {})) for n in own}


def _take(trial: dict[str, Any], line: dict[str, Any]) -> None:
    """Let a line change its trial, as Optuna would: a finished one changes no more."""
    code = line["op_code"]
    if trial["state"] in _FINISHED:
        return
    if code == _PARAM:
        trial["params"][line["param_name"]] = line["param_value_internal"]
        trial["distributions"][line["param_name"]] = line["distribution"]
    elif code == _USER:
        trial["user_attrs"] |= line["user_attr"]
    elif code == _SYSTEM:
        trial["system_attrs"] |= line["system_attr"]
    elif code == _STEP:
        trial["intermediate_values"][line["step"]] = line["intermediate_value"]
    elif line["state"] != trial["state"]:  # else another process has begun it already
        times = ("datetime_start", "datetime_complete")
        trial |= {n: line[n] for n in ("state", *times) if n in line}
        if line["values"] is not None:
            trial |= {"value": None, "values": line["values"]}
