"""Cells and mechanisms as other laboratories write them: they work unchanged, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import run, synapse, values_of

from stpspec.engine import cells
from stpspec.errors import SpecError, TemplateError
from stpspec.specs.model import Cell

ONE = {"one": {"kind": "single_event"}}

# -- quit() in a template --------------------------------------------------------------------------

BRANCH = """\
begintemplate {name}
public soma
create soma
proc init() {{
  if (numarg() > 1) {{ fail() }}
  soma {{ L = 20 diam = 20 insert pas g_pas = 1e-4 e_pas = -70 }}
}}
proc fail() {{ printf("no such morphology\\n") quit() }}
endtemplate {name}
"""


def written(folder, text, name):
    file = folder / f"{name}.hoc"
    file.write_text(text.format(name=name))
    return str(file)


def test_cell_that_quits_in_an_error_branch_is_simulated_like_any_other(tmp_path):
    cell = {"file": written(tmp_path, BRANCH, "Branching"), "template": "Branching"}
    tree = run(synapse(ONE, model={"cell": cell}))
    patch = run(synapse(ONE))
    np.testing.assert_allclose(
        values_of(tree, "amplitude", "one"), values_of(patch, "amplitude", "one"), rtol=1e-3
    )


def test_quit_that_is_reached_is_the_error_with_where_and_what_was_printed(tmp_path):
    file = written(tmp_path, BRANCH, "Reaching")
    cell = {"file": file, "template": "Reaching", "arguments": [1, 2]}
    with pytest.raises(SpecError) as refused:
        run(synapse(ONE, model={"cell": cell}))
    text = str(refused.value)
    assert "the template calls quit() in Reaching[0].fail(), called by Reaching[0].init" in text
    assert "it had printed: no such morphology" in text
    cells.build(Cell(file=file, template="Reaching"))  # and this process can still build it


def test_file_that_quits_when_it_is_loaded_is_named_with_the_line(tmp_path):
    (tmp_path / "bye.hoc").write_text("x = 1\nquit()\n")
    (tmp_path / "cell.hoc").write_text('load_file("bye.hoc")\n')
    with pytest.raises(TemplateError, match=r"calls quit\(\) \(\S*bye\.hoc, line 2\)"):
        cells.build(Cell(file=str(tmp_path / "cell.hoc"), template="Nothing"))


@pytest.mark.parametrize("call", ["h.quit()", "h('quit()')", "h('{quit(3)}')", "exit()"])
def test_python_template_that_would_end_the_process_is_refused(tmp_path, call):
    file = tmp_path / "cell.py"
    file.write_text(
        f"from neuron import h\nclass Quitting:\n    def __init__(self):\n        {call}\n"
    )
    with pytest.raises(TemplateError, match=r"calls quit\(\)|SystemExit"):
        cells.build(Cell(file=str(file), template="Quitting"))
