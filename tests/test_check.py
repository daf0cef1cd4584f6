"""``check``: everything that only the loaded mechanism and the built cell can tell, in one go."""

import pytest
from helpers import MOD
from small import data

from stpspec import api, errors
from stpspec.engine.binding import inspection
from stpspec.engine.child import Child
from stpspec.specs.experiment import Experiment


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(**changes):
    """Return path → text of every problem."""
    found = api.check(data(**changes))
    assert len({p.path for p in found}) == len(found), "a problem is reported twice"
    return {p.path: str(p) for p in found}


def test_an_experiment_without_problems_has_none_as_data_and_as_object():
    assert api.check(data()) == []
    assert api.check(Experiment.from_data(data())) == []


MINE = (
    "begintemplate Mine\npublic {0}\ncreate {0}\nproc init() {{ create {0} }}\nendtemplate Mine\n"
)


def test_the_process_that_is_asked_about_shipped_files_is_kept_and_no_other(here, monkeypatch):
    """A template of the user may have been edited, and no process can load it twice."""
    begun = []

    def begin(child):
        begun.append(child)
        return really_begin(child)

    really_begin = Child._begin
    monkeypatch.setattr(Child, "_begin", begin)
    assert check() == {}
    begun.clear()
    assert check(model__fixed={"tau_decay": "3 ms"}) == {}
    assert begun == []
    cell = {"file": "mine.hoc", "template": "Mine", "arguments": []}
    (here / "mine.hoc").write_text(MINE.format("soma"))
    assert check(model__cell=cell) == {}
    (here / "mine.hoc").write_text(MINE.format("axon"))
    assert "has no section 'soma'" in str(check(model__cell=cell))
    assert len(begun) == 2


def test_everything_the_mechanism_and_the_cell_can_tell_comes_at_once_with_the_data_problems():
    found = check(
        seed=-1,
        model__section="soam",
        model__current="ii",
        model__fixed={"tau_recc": "300 ms", "tau_decay": "3 mV", "tau_rise": "1 s", "gmax": "1 kS",
                      "e": "0 mV", "weight": 2},
        recording__electrode_section="axon",
        recording__variables=["u_lst", "R_last"],
        recording__signals=["synaptic_current", "conductance"],
        model__conductance="gg",
        protocols__train={"kind": "train", "n_induction": 4},
        parameters={
            "U": {"min": -0.5, "max": 1.5}, "tau_facl": {"min": 1, "max": 2},
            "tau_facil": {"min": "1 mV", "max": "2 mV"},
            "tau_rec": {"min": "100 ms", "max": 20},
        },
        objective__terms__induction={"metric": "induction", "protocol": "train", "target": 1},
    )  # fmt: skip
    assert set(found) == {
        "seed", "model.section", "model.current", "model.fixed.tau_recc", "model.fixed.tau_decay",
        "recording.electrode_section", "recording.variables.0", "model.conductance",
        "model.fixed.gmax", "parameters.U.min", "parameters.U.max", "parameters.tau_facl",
        "parameters.tau_facil", "parameters.tau_rec", "objective.terms.induction.metric",
    }  # fmt: skip
    assert "did you mean 'tau_rec'" in found["model.fixed.tau_recc"]
    assert "in ms" in found["model.fixed.tau_decay"]
    assert "'mV' has another dimension" in found["parameters.tau_facil"]
    assert "did you mean 'tau_facil'" in found["parameters.tau_facl"]
    assert "allows 0 to 1;" in found["parameters.U.max"]
    assert found["parameters.tau_rec"].startswith("parameters.tau_rec: min must be below max (got")
    assert "received" not in found["parameters.tau_rec"]
    assert "did you mean 'u_last'" in found["recording.variables.0"]
    assert "'soma'" in found["model.section"]
    assert "six induction pulses" in found["objective.terms.induction.metric"]


def test_a_value_is_compared_with_the_limits_in_the_unit_of_the_mechanism():
    assert not check(model__fixed={"tau_rise": "1 s"})
    found = check(model__fixed={"tau_rise": "20 s"})["model.fixed.tau_rise"]
    assert "1e-06 to 10000 ms" in found
    assert "'20 s'" in found


def test_an_unknown_mechanism_gets_the_nearest_name():
    found = check(model__mechanism="TsodyksMarkam", model__section="axon")
    assert "Did you mean 'TsodyksMarkram'" in found["model.mechanism"]
    assert "axon" in found["model.section"]


def test_a_missing_mechanism_file_is_named_with_the_places_it_was_looked_for_in(here):
    found = check(model__mod=["GabbaA.mod"], model__section="axon")
    assert "'GabbaA.mod'" in found["model.mod.0"]
    assert "Did you mean 'GabaA.mod'" in found["model.mod.0"]
    assert str(here) in found["model.mod.0"]
    assert "model.section" in found


def test_a_folder_without_mechanisms_is_said_to_have_none(here):
    (here / "empty").mkdir()
    assert "no .mod file" in check(model__mod=["empty"])["model.mod.0"]


BROKEN_NMODL = """\
NEURON {
    POINT_PROCESS Broken
    NONSPECIFIC_CURRENT i
}
ASSIGNED { v (mV) i (nA) }
BREAKPOINT {
    i = (v - 3
}
"""

BROKEN_C = """\
NEURON {
    POINT_PROCESS Broken
    NONSPECIFIC_CURRENT i
}
ASSIGNED { v (mV) i (nA) }
BREAKPOINT {
VERBATIM
    no_such_function(v);
ENDVERBATIM
    i = v
}
"""


def test_a_mechanism_that_is_no_nmodl_is_shown_with_the_compilers_file_and_line(here):
    (here / "Broken.mod").write_text(BROKEN_NMODL)
    found = check(model__mod=["Broken.mod"], model__mechanism="Broken", model__section="axon")
    text = found["model.mod"]
    assert f"{here / 'Broken.mod'}:8" in text  # where nocmodl notices that a ) is missing
    assert "Illegal" in text
    assert "Traceback" not in text
    assert "CalledProcessError" not in text
    assert "model.section" in found


def test_c_code_that_does_not_compile_is_shown_with_the_line_it_has_in_the_mechanism(here):
    (here / "Broken.mod").write_text(BROKEN_C)
    text = check(model__mod=["Broken.mod"], model__mechanism="Broken")["model.mod"]
    assert f"{here / 'Broken.mod'}:8" in text
    assert "no_such_function" in text


def test_a_character_that_nmodl_does_not_take_is_found_at_its_line(here):
    text = BROKEN_NMODL.replace("(v - 3", "v  : caf\u00e9")
    (here / "Broken.mod").write_text(text, encoding="utf-8")
    found = check(model__mod=["Broken.mod"], model__mechanism="Broken")["model.mod"]
    assert f"{here / 'Broken.mod'}:7" in found
    assert "Non-Ascii" in found


@pytest.mark.long
def test_what_is_missing_is_told_with_what_does_not_compile_and_what_is_not_used_is_not_told(here):
    (here / "Broken.mod").write_text(BROKEN_NMODL)
    unknown = BROKEN_NMODL.replace("Broken", "Unknown").replace("(v - 3", ": e is not\n    v - e")
    (here / "Unknown.mod").write_text(unknown)
    told = {"Broken": "Illegal expression", "Unknown": "‘e’ was not declared"}
    for name, other in (("Broken", "Unknown"), ("Unknown", "Broken")):
        files = ["absent.mod", "Broken.mod", "Unknown.mod", "gone"]
        found = check(model__mod=files, model__mechanism=name)
        assert set(found) == {"model.mod.0", "model.mod.3", "model.mod"}
        assert f"{here / name}.mod:8" in found["model.mod"]
        assert told[name] in found["model.mod"]
        assert other not in found["model.mod"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pas", "pas is a density mechanism; a synapse or a gap junction is a POINT_PROCESS"),
        ("IntFire1", "IntFire1 is an artificial cell; a synapse"),
        ("AlphaSynapse", "AlphaSynapse has no NET_RECEIVE block"),
        ("GapJunction", "GapJunction has no NET_RECEIVE block"),
        ("ReadsPointer", "ReadsPointer reads the POINTER calcium;"),
    ],
)
def test_what_events_cannot_drive_is_refused_where_neuron_would_crash(name, told):
    model = {"mechanism": name, "cell": {"file": "patch.py", "template": "Patch"}}
    mod = [str(MOD)] if (MOD / f"{name}.mod").exists() else []
    found = check(model={**model, "mod": mod}, parameters={}, objective=None)
    assert told in found["model.mechanism"]


def test_a_mod_file_without_a_mechanism_is_refused(here):
    (here / "empty.mod").write_text("TITLE nothing\n")
    assert "POINT_PROCESS" in check(model__mod=["empty.mod"])["model.mod.0"]


# -- templates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("absent.hoc", None, ["absent.hoc", "/templates"]),
        ("patchh.py", None, ["Did you mean 'patch.py'"]),
        ("cell.txt", "x", [".hoc or .py"]),
        ("cell.hoc", "begintemplate Cell\npublic soma\ncreate soma\nproc init() {\n"
         "  soma { L = no_such_function(3) }\n}\nendtemplate Cell\n",
         ["cell.hoc", "no_such_function"]),
        ("cell.hoc", "begintemplate Cell\nproc init( {\n}\nendtemplate Cell\n",
         ["cell.hoc", "near line 2"]),
        ("cell.hoc", "begintemplate Cel\nendtemplate Cel\n", ["Did you mean 'Cel'"]),
        ("cell.hoc", "begintemplate Cell\npublic soma\ncreate soma\nproc init() {\n"
         "  soma { insert no_such_channel }\n}\nendtemplate Cell\n", ["no_such_channel"]),
        ("cell.py", "class Cell:\n    def __init__(self):\n        1 / 0\n",
         ["cell.py", "ZeroDivisionError"]),
        ("cell.py", "import no_such_module_at_all\n", ["cell.py", "no_such_module_at_all"]),
        ("cell.py", "class Cell(:\n", ["cell.py", "SyntaxError"]),
        ("cell.py", "class Sell:\n    pass\n", ["Did you mean 'Sell'"]),
        ("cell.py", "class Cell:\n    pass\n", ["no section 'soma'", "none"]),
    ],
)  # fmt: skip
def test_a_template_that_is_missing_or_fails_is_one_problem_with_the_reason(
    here, file, text, words
):
    if text is not None:
        (here / file).write_text(text)
    found = check(model__cell={"file": file, "template": "Cell"}, model__fixed={"tau_recc": 1})
    assert "model.fixed.tau_recc" in found
    told = "\n".join(v for k, v in found.items() if k in ("model.cell", "model.section"))
    assert all(word in told for word in words), told


def test_arguments_a_template_does_not_take_are_named():
    found = check(model__cell__arguments={"resistence": 100})
    assert "resistence" in found["model.cell"]


def test_a_template_that_ends_the_process_is_a_problem_that_hides_no_other(here):
    (here / "cell.py").write_text("import os\nos._exit(3)\n")
    found = check(model__cell={"file": "cell.py", "template": "Cell"}, seed=-1, model__position=2)
    assert set(found) == {"seed", "model.position", "model.cell"}
    assert "ended with code 3" in found["model.cell"]


def test_a_template_that_never_ends_is_a_problem_and_no_hang(here, monkeypatch):
    monkeypatch.setattr(inspection, "_PATIENCE", 2)
    (here / "cell.py").write_text("while True: pass\n")
    found = check(model__cell={"file": "cell.py", "template": "Cell"}, seed=-1)
    assert "stopped after 2 s" in found["model.cell"]
    assert "seed" in found


def test_a_template_that_exits_is_a_problem_and_neither_success_nor_silence(here):
    (here / "cell.py").write_text("import sys\nsys.exit(0)\n")
    cell = {"file": "cell.py", "template": "Cell"}
    assert "SystemExit" in check(model__cell=cell)["model.cell"]
    with pytest.raises(errors.SpecError, match="SystemExit"):
        api.simulate(Experiment.from_data(data(model__cell=cell)))


SHARED_SECTION = """\
from neuron import h
soma = h.Section(name="soma")
class Cell:
    def __init__(self):
        self.soma = soma
"""

LISTED_SECTIONS = """\
from neuron import h
class Cell:
    def __init__(self):
        self.soma = h.Section(name="soma", cell=self)
        self.branches = [h.Section(name=f"dend[{k}]", cell=self) for k in range(2)]
"""


def test_cells_that_share_a_section_are_refused_as_their_candidates_would_add_up(here):
    (here / "cell.py").write_text(SHARED_SECTION)
    found = check(model__cell={"file": "cell.py", "template": "Cell"})
    assert "all cells share the section 'soma'" in found["model.cell"]


def test_a_section_is_found_by_the_name_that_neuron_gives_it(here):
    (here / "cell.py").write_text(LISTED_SECTIONS)
    cell = {"file": "cell.py", "template": "Cell"}
    assert not check(model__cell=cell, model__section="dend[1]")
    assert not check(model__cell=cell, model__section="branches[1]")
    assert "It has: soma, dend[0], dend[1]." in str(check(model__cell=cell, model__section="x"))


def test_a_template_that_prints_does_not_disturb_the_check(here):
    (here / "cell.hoc").write_text(
        'begintemplate Cell\npublic soma\ncreate soma\nproc init() {\n  print "hello {"\n}\n'
        "endtemplate Cell\n"
    )
    assert not check(model__cell={"file": "cell.hoc", "template": "Cell"})


def test_the_second_cell_of_a_gap_junction_is_checked_too():
    found = check(
        model={
            "kind": "gap_junction", "mechanism": "GapJunction",
            "cell": {"file": "patch.py", "template": "Patch"},
            "cell_2": {"file": "patch.py", "template": "Patsh"}, "fixed": {"g": "1 ms"},
        },
        recording={"kind": "current_clamp"}, parameters={}, objective=None,
        protocols={"step": {"kind": "gap_step"}},
    )  # fmt: skip
    assert set(found) == {"model.cell_2", "model.fixed.g"}
    assert "Did you mean 'Patch'" in found["model.cell_2"]


def test_a_check_loads_neither_neuron_nor_a_template_into_the_caller(here):
    from small import ROOT, python

    (here / "cell.py").write_text(
        "import sys\nsys.modules['was_here'] = sys\n"
        "class Cell:\n    def __init__(self):\n        from neuron import h\n"
        "        self.soma = h.Section(name='soma', cell=self)\n"
    )
    done = python(
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import small, stpspec\n"
        "cell = {'file': 'cell.py', 'template': 'Cell'}\n"
        "assert stpspec.check(small.data(model__cell=cell)) == []\n"
        "print([m for m in ('neuron', 'was_here', 'stpspec_template_cell') if m in sys.modules])",
        cwd=here,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_process_that_asks_neuron_imports_nothing_that_neuron_does_not():
    from small import python

    code = (
        "import sys\nfrom stpspec.engine import nrn\nnrn.hoc()\nneuron = set(sys.modules)\n"
        "from stpspec.engine.binding import inspection\n"
        "own = {m.partition('.')[0] for m in set(sys.modules) - neuron} - {'__mp_main__'}\n"
        "print(sorted(own - sys.stdlib_module_names))\n"
        "print([m for m in sys.modules if m.startswith(('stpspec.specs', 'stpspec.metrics'))])"
    )
    done = python(code)
    assert done.stdout == "['stpspec']\n[]\n", done.stderr


def test_neuron_leaves_ipython_alone_unless_a_notebook_has_loaded_it():
    from small import python

    code = (
        "import sys\nfrom stpspec.engine import nrn\nnrn.hoc()\nprint('IPython' in sys.modules)\n"
        "import IPython; print(IPython.get_ipython())"
    )
    pytest.importorskip("IPython")
    assert python(code).stdout == "False\nNone\n"


@pytest.mark.parametrize("bad", [{}, {"model": None}, {"model": {"kind": "synapse"}}])
def test_a_check_of_next_to_nothing_says_what_is_required(bad):
    found = {p.path for p in api.check(bad)}
    assert "protocols" in found
    assert any(p.startswith("model") for p in found)


def test_one_invalid_field_hides_nothing_else_of_its_part():
    found = check(
        plugins=["no_such_plugin_module"],
        model__position=7,
        model__section="somaa",
        model__fixed={"Uu": 1, "tau_decay": "3 mV"},
        recording__holding_potential="3 ms",
        recording__electrode_section="axon",
        protocols__single__duration=-1,
        protocols__pulse={"kind": "single_event"},
        parameters={"U": {"min": 0.9, "max": 0.1}, "tau_recc": {"min": 1, "max": 2}},
        numerics__dt=-1,
        fitter={"kind": "minimize", "method": "SLSPQ", "step": 5},
        objective__terms={
            "a": {"metric": "ppr", "protocol": "pulse", "target": 1, "weight": -1},
            "b": {"metric": "amplitude", "protocol": "singel", "target": "x", "loss": "huberr"},
        },
    )
    assert {
        "plugins.0", "model.position", "model.section", "model.fixed.Uu", "model.fixed.tau_decay",
        "recording.holding_potential", "recording.electrode_section",
        "protocols.single.duration", "parameters.U", "parameters.tau_recc", "numerics.dt",
        "fitter.method", "fitter.step",
        "objective.terms.a.metric", "objective.terms.a.weight",
        "objective.terms.b.target", "objective.terms.b.protocol", "objective.terms.b.loss",
    } == set(found)  # fmt: skip


TERM = {"metric": "amplitude", "protocol": "single", "target": 42.0}


@pytest.mark.parametrize(
    ("metric", "more", "path", "told"),
    [
        ("amplitude", {"target": "2 ms"}, "target", "expected a quantity in pA"),
        ("amplitude", {"sd": "2 nS"}, "sd", "expected a quantity in pA"),
        ("rise_time", {"target": "1 mV"}, "target", "expected a quantity in ms"),
        ("charge", {"target": "1 pA"}, "target", "expected a quantity in pA ms"),
        ("amplitudes", {"target": [1.0, 2.0]}, "target", "gives 1 values"),
        ("amplitudes", {"target": ["1 mV"]}, "target", "expected a quantity in pA"),
        ("trace", {"target": [1.0], "options": {"windows": [[0, 5000]]}}, "options", "beyond"),
        ("trace", {"target": [1.0], "options": {"windows": [[0, 1]]}}, "target", "11 values"),
    ],
)
def test_units_and_lengths_of_targets_are_checked_against_their_metric(metric, more, path, told):
    found = check(objective={"terms": {"t": TERM | {"metric": metric} | more}})
    assert list(found) == [f"objective.terms.t.{path}"]
    assert told in found[f"objective.terms.t.{path}"]


@pytest.mark.parametrize(
    ("where", "name"),
    [("protocols", "a/b"), ("protocols", "U"), ("protocols", "failure"), ("protocols", ""),
     ("terms", "U"), ("terms", "reason"), ("terms", "a b")],
)  # fmt: skip
def test_names_that_clash_in_a_dataset_are_refused(where, name):
    protocol = {"kind": "single_event", "duration": "20 ms"}
    if where == "protocols":
        found = check(
            protocols={"single": protocol, name: protocol},
        )
    else:
        found = check(objective={"terms": {name: TERM}})
        where = "objective.terms"
    assert f"{where}.{name}" in found


def test_roles_reversal_and_pointer_that_the_mechanism_has_not_are_named():
    found = check(model__roles={"decay": ["tau_decy"]}, model__reversal="E")
    assert "did you mean 'tau_decay'" in found["model.roles.decay.0"]
    assert "parameter of this name" in found["model.reversal"]
    gap = {
        "kind": "gap_junction", "mechanism": "GapJunction", "partner_voltage": "vgapp",
        "cell": {"file": "patch.py", "template": "Patch"},
        "cell_2": {"file": "pyramidal.py", "template": "PyramidalCell"},
    }  # fmt: skip
    found = check(
        model=gap, protocols={"step": {"kind": "gap_step"}}, parameters={}, objective=None,
        recording={"kind": "current_clamp", "electrode_section": "soma"},
    )  # fmt: skip
    assert "did you mean 'vgap'" in found["model.partner_voltage"]


def test_a_current_that_is_not_recorded_need_not_have_a_name():
    term = {"metric": "amplitude", "protocol": "single", "target": 1,
            "options": {"signal": "clamp_current"}}  # fmt: skip
    parts = {"model__current": "ina", "objective__terms__size": term}
    assert check(recording__signals=["clamp_current"], **parts) == {}
    assert set(check(recording__signals=["synaptic_current", "clamp_current"], **parts)) == {
        "model.current"
    }


def test_roles_of_our_own_mechanisms_are_not_demanded_of_others():
    assert not check(
        model={"mechanism": "Exp2Syn", "cell": {"file": "patch.py", "template": "Patch"}},
        parameters={"tau2": {"min": 1, "max": 9}},
        recording={"kind": "voltage_clamp"},
    )


def test_a_section_that_both_cells_of_a_pair_lack_is_one_problem():
    patch = {"file": "patch.py", "template": "Patch"}
    found = check(
        model={"kind": "gap_junction", "mechanism": "GapJunction", "cell": patch, "cell_2": patch},
        recording={"kind": "current_clamp", "electrode_section": "axon"},
        parameters={}, objective=None, protocols={"step": {"kind": "gap_step"}},
    )  # fmt: skip
    assert set(found) == {"recording.electrode_section"}


def test_what_only_follows_from_a_default_put_in_for_a_wrong_field_is_not_told():
    budget = {"evaluations": None, "seconds": "x"}
    found = check(
        fitter={"kind": "optuna", "budget": budget},
        recording__signals=["clamp", 3],
        model__cell__arguments=7,
        parameters__Uu={"min": 0, "max": 1, "start": "x"},
    )
    assert set(found) == {
        "fitter.budget.seconds", "recording.signals.0", "recording.signals.1",
        "model.cell.arguments.dict[str,any]", "model.cell.arguments.list[any]",
        "parameters.Uu.start", "parameters.Uu",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "path"),
    [({"sd": -1}, "sd"), ({"sd": "0 pA"}, "sd"), ({"sd": [1, 2]}, "sd"), ({"target": []}, "target"),
     ({"target": "x"}, "target")],
)  # fmt: skip
def test_a_wrong_sd_or_target_does_not_hide_the_wrong_metric_and_protocol_of_its_term(wrong, path):
    term = TERM | {"metric": "amplitud", "protocol": "singel"} | wrong
    found = check(objective={"terms": {"t": term}})
    assert set(found) == {f"objective.terms.t.{n}" for n in (path, "metric", "protocol")}


def test_a_wrong_bound_does_not_hide_that_there_is_no_such_parameter_nor_the_other_bound():
    found = check(
        parameters={
            "Uu": {"min": "x", "max": 1}, "tau_recc": {"min": "20 ms"}, "tau_facll": {},
            "U": {"min": [0], "max": 3, "start": 2, "scale": "log"},
            "tau_facil": {"min": -5, "max": "x"}, "tau_decay": {"min": "x", "max": "3 mV"},
        },
    )  # fmt: skip
    assert set(found) == {
        "parameters.Uu", "parameters.Uu.min", "parameters.tau_recc", "parameters.tau_recc.max",
        "parameters.tau_facll", "parameters.tau_facll.min", "parameters.tau_facll.max",
        "parameters.U.min", "parameters.U.max", "parameters.tau_facil.min",
        "parameters.tau_facil.max", "parameters.tau_decay.max", "parameters.tau_decay.min",
    }  # fmt: skip
    assert "did you mean 'tau_rec'" in found["parameters.tau_recc"]
    assert "has another dimension" in found["parameters.tau_decay.max"]
    assert found["parameters.tau_decay.max"].endswith("received '3 mV'")  # and no stand-in for min


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"numerics__dt": 1e-9}, "numerics.dt"),
        ({"numerics__settle": 1e9}, "numerics.settle"),
        ({"model__net_con": {"delay": 1e9}}, "model.net_con.delay"),
        ({"protocols__single": {"kind": "train", "recovery_delay": 1e12}},
         "protocols.single.recovery_delay"),
        ({"protocols__single": {"kind": "train", "frequency": 1e-6}}, "protocols.single"),
        ({"protocols__single": {"kind": "spike_times", "times": [0, 1e9]}}, "protocols.single"),
        ({"protocols__single": {"kind": "continuous"},
          "parameters__tau_rec": {"min": 1, "max": 1e6}}, "protocols.single"),
    ],
)  # fmt: skip
def test_a_run_too_long_to_be_recorded_is_refused_before_it_hangs(changes, path):
    assert set(check(**changes)) == {path}


@pytest.mark.parametrize(
    ("cell", "path"),
    [({"file": 3, "template": "Patch"}, "model.cell.file"), ("patch.py", "model.cell"),
     ({"template": "Patch"}, "model.cell.file"), ({"file": "patch.py"}, "model.cell.template"),
     ({"fiel": "patch.py", "template": "Patch"}, "model.cell.file")],
)  # fmt: skip
def test_a_wrong_cell_hides_nothing_else_of_its_model(cell, path):
    found = check(
        model__cell=cell, model__section="axon", model__fixed={"tau_recc": 1}, model__current="ii"
    )
    assert set(found) - {"model.cell.fiel"} == {path, "model.fixed.tau_recc", "model.current"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model__modd": ["own.mod"], "model__mechanism": "Own"}, {"model.modd"}),
        ({"model__mod": "own.mod", "model__mechanism": "Own"}, {"model.mod"}),
        (
            {
                "recording__signls": ["conductance"],
                "objective__terms__size__options": {"signal": "conductance"},
            },
            {"recording.signls"},
        ),
        ({"protocls": {"pulse": {"kind": "train"}}, "protocols": None}, {"protocols", "protocls"}),
        (
            {"objective__terms__size__optoins": {"signal": "conductance"}},
            {"objective.terms.size.optoins"},
        ),
    ],
)
def test_from_a_misspelled_field_nothing_follows(changes, told):
    assert set(check(**changes)) == told


def test_from_a_misspelled_part_no_fault_of_its_default_follows():
    wrong = data(objective__terms__size__target="3 mV", recordng={"kind": "current_clamp"})
    del wrong["recording"]
    assert [p.path for p in api.check(wrong)] == ["recordng"]


def test_a_misspelled_kind_hides_nothing_else_of_its_part():
    found = check(
        model__kind="synaps", model__section="axon", model__wieght=3,
        recording={"kind": "voltageclamp", "holding_potential": "3 ms"},
        protocols={"single": {"kind": "single_evnt", "duration": -1}},
        fitter={"kind": "minimise", "method": "SLSQPP"},
    )  # fmt: skip
    assert set(found) == {
        "model.kind", "model.section", "model.wieght", "recording.kind",
        "recording.holding_potential", "protocols.single.kind", "protocols.single.duration",
        "fitter.kind", "fitter.method",
    }  # fmt: skip
    assert "did you mean 'synapse'" in found["model.kind"]
    assert "did you mean 'single_event'" in found["protocols.single.kind"]


@pytest.mark.parametrize("field", [{"n_induction": 0}, {"n_inductoin": 3}, {"frequency": "50 ms"}])
def test_from_a_wrong_field_of_a_protocol_no_length_or_need_follows(field):
    terms = {
        "a": TERM | {"metric": "amplitudes", "protocol": "train", "target": [1, 2, 3]},
        "b": TERM | {"metric": "recovery", "protocol": "train"},
    }
    train = {"kind": "train", "n_recovery": 0} | field
    found = check(protocols={"train": train}, objective={"terms": terms})
    expected = {f"protocols.train.{n}" for n in field}
    assert set(found) == expected


def test_what_no_field_of_a_protocol_could_give_is_told_even_when_a_field_is_wrong():
    terms = {
        "a": {"metric": "coupling_coefficient", "protocol": "train", "target": 0.1},
        "b": {"metric": "recovery", "protocol": "single", "target": 0.1},
        "c": {"metric": "steady_state", "protocol": "train", "target": 0.1},
        "d": {"metric": "induction", "protocol": "train", "target": 0.1},
    }
    protocols = {
        "train": {"kind": "train", "frequency": -5},
        "single": {"kind": "single_event", "duration": "x"},
    }
    found = check(protocols=protocols, objective={"terms": terms})
    assert set(found) == {"protocols.train.frequency", "protocols.single.duration",
                          *(f"objective.terms.{name}.metric" for name in "abc")}  # fmt: skip


def test_from_a_wrong_time_constant_no_length_of_a_target_follows():
    protocols = {"drive": {"kind": "continuous"}, "train": {"kind": "train"}}
    terms = {
        "drive": {"metric": "amplitudes", "protocol": "drive", "target": [1.0]},
        "train": {"metric": "amplitudes", "protocol": "train", "target": [1.0]},
    }
    wrong = {"tau_rec": {"min": 900, "max": "x"}}
    found = check(protocols=protocols, objective={"terms": terms}, parameters=wrong)
    assert set(found) == {"parameters.tau_rec.max", "objective.terms.train.target"}


TRACE = TERM | {"metric": "trace", "target": [0.0] * 11}


@pytest.mark.parametrize(
    ("settle", "options", "told"),
    [
        (20, {"windows": [[-20, -19]]}, ""),
        (20, {"windows": [[-21, -20]]}, "beyond what is recorded, -20 to"),
        (500, {"windows": [[-100, -99]]}, ""),
        (500, {"windows": [[-101, -100]]}, "beyond what is recorded, -100 to"),
        (20, {"windows": [[0, 1e12]]}, "beyond what is recorded"),
        (20, {"windows": [[-1e300, 1e300]]}, "beyond what is recorded"),
        (20, {"windows": [[0, 1]], "interval": 1e-12}, "more than 1e+06 samples"),
        (20, {"windows": [[0, 1]], "interval": 1e-320}, "more than 1e+06 samples"),
    ],
)
def test_windows_are_compared_with_what_is_recorded_before_any_sample_is_made(
    settle, options, told
):
    found = check(numerics__settle=settle, objective={"terms": {"t": TRACE | {"options": options}}})
    assert bool(found) == bool(told)
    assert told in found.get("objective.terms.t.options", "")


@pytest.mark.parametrize("name", ["tau_rec", "weight", "U"])
def test_a_protocol_or_term_must_not_be_called_like_a_parameter_of_the_mechanism(name):
    single = {"kind": "single_event"}
    found = check(
        protocols={name: single, "single": single}, objective={"terms": {name: TERM}}, parameters={}
    )
    assert set(found) == {f"protocols.{name}", f"objective.terms.{name}"}
    assert "parameter of TsodyksMarkram" in found[f"protocols.{name}"]
