"""A log beside each result, also of a fit from Python; the program hears what it has asked for."""

import contextlib
import logging

import pytest
from test_studies import studied

import stpspec
from stpspec.log import recorded, to_terminal
from stpspec.results.fit_result import FitResult


def test_result_of_python_holds_the_log_of_its_fit(tmp_path):
    result = stpspec.fit(studied(tmp_path, study=None))
    log = (result.save(tmp_path / "saved") / "log.txt").read_text().splitlines()
    assert log == list(result.log)
    assert "INFO stpspec: fit of small with optuna, seed 0; " in log[0]
    assert "the best so far, at U = " in log[1]
    again = FitResult.load(tmp_path / "saved")
    assert again.log == result.log
    assert (again.save(tmp_path / "copy") / "log.txt").read_text().splitlines() == log


@pytest.mark.parametrize(("level", "heard"), [("WARNING", ["b"]), ("INFO", ["a", "b"])])
def test_log_is_kept_whole_and_the_program_hears_what_it_asked_for(level, heard, caplog):
    root = logging.getLogger("stpspec")
    with caplog.at_level(level, logger="stpspec"):
        before = (root.level, root.propagate, list(root.handlers))
        with recorded() as outer, recorded() as inner:
            logging.getLogger("stpspec.fitters").info("a")
            logging.getLogger("stpspec.fitters").warning("b")
            logging.getLogger("stpspec.fitters").debug("c")
        assert (root.level, root.propagate, list(root.handlers)) == before
    assert [line[-1] for line in inner.lines] == [line[-1] for line in outer.lines] == ["a", "b"]
    assert [r.getMessage() for r in caplog.records] == heard


def test_what_a_library_says_of_an_interrupt_is_not_shown(monkeypatch, capsys):
    """The pool of SQLAlchemy logs that it cannot close the cursor that was interrupted."""
    monkeypatch.setattr(logging.root, "handlers", [])
    to_terminal("warning")
    for first in (KeyboardInterrupt, ValueError):
        try:
            try:
                raise first
            except BaseException as error:
                raise OSError(f"after a {first.__name__}") from error
        except OSError:
            logging.getLogger("library").exception("cannot close it")
    shown = capsys.readouterr().err
    assert "OSError: after a ValueError" in shown
    assert "after a KeyboardInterrupt" not in shown


class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.words = []

    def emit(self, record):
        self.words.append(record.getMessage())


@pytest.mark.parametrize("where", ["stpspec", "stpspec.fitters", ""])
@pytest.mark.parametrize("level_of", ["", "stpspec.fitters"])
def test_handler_of_the_program_hears_the_same_as_without(where, level_of, caplog):
    heard, place = Heard(), logging.getLogger(where)
    place.addHandler(heard)
    try:
        with (
            caplog.at_level("WARNING"),
            caplog.at_level("NOTSET", logger="stpspec"),  # an earlier test may have set it
            caplog.at_level("NOTSET", logger="stpspec.fitters"),
            caplog.at_level("INFO", logger=level_of or "elsewhere"),
        ):
            for inside in (contextlib.nullcontext(), recorded()):
                with inside:
                    logging.getLogger("stpspec.fitters").info("a")
                    logging.getLogger("stpspec.fitters").warning("b")
                heard.words.append("|")
    finally:
        place.removeHandler(heard)
    text = " ".join(heard.words)
    assert text == ("a b | a b |" if level_of else "b | b |")
