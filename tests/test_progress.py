"""One bar per running thing, on a terminal alone: loss so far and time left."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
import small

FIT = ("fit", "small.yaml", "fitter=tpe", "fitter.budget.evaluations=300", "--out", "out")
CAMPAIGN = ("campaign", "table.csv", "small.yaml", "fitter=tpe",
            "fitter.budget.evaluations=100", "--out", "all")  # fmt: skip


@pytest.fixture
def here(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    (tmp_path / "table.csv").write_text("connection,size\na,42\nb,30\n")
    return tmp_path


def seen_on_a_terminal(*words, cwd):
    """Return what the command writes to a terminal of 80 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", *words], cwd=cwd, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    read = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # what Linux says when the other end is closed
            break
        if not part:
            break
        read += part
    os.close(ours)
    assert process.wait() == 0, read.decode()
    return read.decode()


def test_fit_shows_one_bar_with_the_loss_so_far_and_the_time_left(here):
    told = seen_on_a_terminal(*FIT, cwd=here)
    assert re.search(r"small: +\d+%\|.*\| \d+/300 \[00:\d\d<\d\d:\d\d, .*loss [\d.e-]+\]", told)


@pytest.mark.long
def test_campaign_shows_one_bar_over_its_connections_with_the_loss_of_the_one_that_runs(here):
    told = seen_on_a_terminal(*CAMPAIGN, cwd=here)
    assert re.search(r"all: +50%\|.*\| 1/2 \[00:\d\d<\d\d:\d\d", told)
    assert re.search(r"loss [\d.e-]+, \d+ simulations", told)
    assert "[2/2] b: done" in told


@pytest.mark.parametrize("words", [FIT, pytest.param(CAMPAIGN, marks=pytest.mark.long)])
def test_nothing_is_drawn_where_there_is_no_terminal(words, here):
    assert small.cli(*words, cwd=here).stderr == ""


@pytest.mark.long
def test_quiet_draws_nothing_on_a_terminal(here):
    assert "%|" not in seen_on_a_terminal(*FIT, "--quiet", cwd=here)
