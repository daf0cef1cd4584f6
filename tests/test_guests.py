"""One NEURON, in a process and on a machine that have other guests: none changes a number."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import small
from helpers import MOD, TESTS, fresh_python, printed_by, synapse, values_of
from test_workers import faulty

import stpspec
from stpspec.config.overrides import quoted
from stpspec.engine.child import Child, ChildEndedError
from stpspec.engine.mechanisms import compilation, compiler_messages, library, nmodl
from stpspec.errors import FitError, MechanismError, SpecError, SpecProblem

TRAIN = {"train": {"kind": "train", "frequency": 50, "n_recovery": 0}}
ABORT, EXIT = 5, 6

# -- a program that has a NEURON model of its own -------------------------------------------

HOSTS = {
    "cells": "made = [h.Section(name=f's{k}') for k in range(3)]; [s.insert('hh') for s in made]",
    "a section named as ours": "made = h.Section(name='soma')",
    "events": "made = h.NetStim(); made.number, made.interval, made.start = 1e9, 0.1, 0",
    "a handler of finitialize": "made = h.FInitializeHandler(lambda: setattr(h, 'celsius', 99))",
    "threads": "pc.nthread(2)",
    "local steps": "cvode.use_local_dt(1)",
    "short steps": "cvode.active(1); cvode.maxstep(0.01)",
    "a queue of bins": "cvode.queue_mode(1)",
    "settings": "h.celsius, h.dt, h.steps_per_ms, h.secondorder, h.tstop = 37, .1, 10, 2, 1; "
                "cvode.atol(1)",
    "a stopped run": "h.stoprun = 1",
    "its own advance()": "h('proc advance() { t = t + 1 }'); h('proc init() { dt = 7 }')",
    "errors of numpy": "np.seterr(all='raise')",
}  # fmt: skip

HOSTED = f"""\
import json, numpy as np
from neuron import h
from test_guests import trace
h.load_file("stdrun.hoc")
pc, cvode = h.ParallelContext(), h.CVode()
def settings():
    return [pc.nthread(), h.celsius, h.dt, h.steps_per_ms, h.secondorder, h.tstop, h.stoprun,
            cvode.active(), cvode.atol(), cvode.maxstep(), cvode.use_local_dt(), np.geterr()]
usual = settings()
found = {{}}
for name, code in {HOSTS!r}.items():
    exec(code, globals())
    before = settings()
    found[name] = trace("fixed"), trace("variable"), before == settings()
    made = None
    (pc.nthread(usual[0]), cvode.active(0), cvode.use_local_dt(0), cvode.maxstep(1e9),
     cvode.queue_mode(0), cvode.atol(usual[8]), np.seterr(**usual[-1]))
    h.celsius, h.dt, h.steps_per_ms, h.secondorder, h.tstop, h.stoprun = usual[1:7]
print(json.dumps(found))
"""


def trace(integrator):
    """Return the amplitudes of a train, in pA."""
    made = synapse(TRAIN, numerics={"settle": 50, "integrator": integrator})
    tree = stpspec.simulate(made, {"U": 0.4, "tau_rec": 300})
    return values_of(tree, "amplitudes", "train")[0].tolist()


def test_nothing_that_a_program_has_in_neuron_changes_a_number_and_all_of_it_stays(tmp_path):
    found = printed_by(HOSTED, tmp_path)
    right = [trace("fixed"), trace("variable")]
    assert set(found) == set(HOSTS)
    for name, (fixed, variable, kept) in found.items():
        assert fixed == right[0], name
        np.testing.assert_allclose(variable, right[1], rtol=1e-6, err_msg=name)
        assert kept, name


GOES_ON = """\
import json
from neuron import h
h.load_file("stdrun.hoc")
s = h.Section(name="s"); s.insert("hh")
stim = h.IClamp(s(0.5)); stim.delay, stim.dur, stim.amp = 5, 1, 30
v, t = h.Vector().record(s(0.5)._ref_v), h.Vector().record(h._ref_t)
h.finitialize(-65); h.continuerun(7)
if {between}:
    import stpspec
    from test_guests import trace
    trace("variable")
h.continuerun(20)
print(json.dumps([list(v), list(t)]))
"""


def test_simulation_of_the_program_goes_on_as_if_ours_had_not_been(tmp_path):
    alone, between = (printed_by(GOES_ON.format(between=b), tmp_path) for b in (False, True))
    assert between == alone
    assert max(alone[0]) > 0  # a spike


def test_executor_whose_processes_are_forked_from_a_model_is_refused(tmp_path):
    code = (
        "from neuron import h\nimport multiprocessing, stpspec\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from test_workers import faulty\n"
        "made = h.Section(name='mine')\n"
        "context = multiprocessing.get_context('fork')\n"
        "try:\n    stpspec.fit(faulty(workers=0), executor=ProcessPoolExecutor(1, context))\n"
        "except stpspec.StpspecError as error:\n    print(error)\n"
    )
    assert "take processes that are spawned, or workers: n" in fresh_python(code, tmp_path).stdout


# -- what the process has loaded, or the language it speaks ---------------------------------

CELL = """\
begintemplate {name}
public soma
create soma
proc init() {{ soma {{ L = {size} diam = {size} insert pas g_pas = 0.0001 e_pas = -70.5 }} }}
endtemplate {name}
"""
CURRENT_CLAMP = {"kind": "current_clamp", "signals": ["somatic_voltage"]}


def potential(folder, name="Own", template="Own", **model):
    """Return the first potential of a synapse on a cell of one's own, mV."""
    cell = {"file": str(folder / f"{name}.hoc"), "template": template}
    made = synapse(TRAIN, recording=CURRENT_CLAMP, model={"cell": cell, **model},
                   numerics={"settle": 50})  # fmt: skip
    return float(values_of(stpspec.simulate(made, {"U": 0.4}), "amplitudes", "train")[0][0])


@pytest.mark.long
@pytest.mark.needs("localedef")
def test_decimal_comma_of_a_language_changes_no_number(tmp_path):
    made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", "./de_DE.UTF-8"],
                          cwd=tmp_path, capture_output=True, check=False)  # fmt: skip
    if made.returncode > 1:  # 1: with warnings
        pytest.skip("the definition of the locale de_DE is not installed")
    (tmp_path / "Own.hoc").write_text(CELL.format(name="Own", size=20.5))
    code = (
        "import json, locale, pathlib\nlocale.setlocale(locale.LC_ALL, {!r})\n"
        "from test_guests import potential\n"
        "value = potential(pathlib.Path())\n"
        "from stpspec.engine import nrn\n"
        "with nrn.exclusive():\n    nrn.hoc()('read_number = 0.035')\n"
        "print(json.dumps([value, nrn.hoc().read_number, locale.localeconv()['decimal_point']]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "LOCPATH": str(tmp_path)}
    found = []
    for language in ("C", "de_DE.UTF-8"):
        done = subprocess.run([sys.executable, "-c", code.format(language)], cwd=tmp_path,
                              env=environment, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    (value, read, point), (value_de, read_de, point_de) = found
    assert (point, point_de) == (".", ",")
    assert (value_de, read_de) == (value, read) == (value, 0.035)


PLAIN = (MOD / "Faulty.mod").read_text(encoding="utf-8")


@pytest.mark.long
def test_other_contents_of_the_process_under_our_names_change_nothing(tmp_path):
    (tmp_path / "GabaA.mod").write_text(PLAIN.replace("Faulty", "GabaA"))
    (tmp_path / "Own.hoc").write_text(CELL.format(name="Own", size=20))
    (tmp_path / "other.hoc").write_text(CELL.format(name="Own", size=80))
    code = (
        "import json, os, pathlib\nfrom neuron import h\n"
        "from stpspec.engine.mechanisms import compilation\n"
        "h.nrn_load_dll(str(compilation.compile_library([pathlib.Path('GabaA.mod')])))\n"
        "h.load_file(1, 'other.hoc')\n"
        "assert hasattr(h, 'GabaA') and hasattr(h, 'Own')\n"
        "from test_guests import potential\n"
        "print(json.dumps(potential(pathlib.Path())))\n"
    )
    assert printed_by(code, tmp_path) == potential(tmp_path)


def test_mechanism_that_is_edited_is_simulated_as_it_is_now(tmp_path):
    file = tmp_path / "Edited.mod"
    sizes = []
    for factor in ("0.001", "0.002"):
        text = PLAIN.replace("Faulty", "Edited").replace("A + 0.001", f"A + {factor}")
        file.write_text(text)
        made = synapse({"one": {"kind": "single_event"}}, mechanism="Edited", fixed={},
                       model={"mod": [str(file)]}, recording={"signals": ["synaptic_current"]},
                       numerics={"settle": 20})  # fmt: skip
        sizes.append(values_of(stpspec.simulate(made), "amplitude", "one")[0])
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=1e-6)


# -- what ends a process --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(ABORT, "killed by SIGABRT", marks=pytest.mark.long),
        (EXIT, "it ended with code 0"),
    ],
)
def test_mechanism_that_ends_the_process_fails_its_candidates_alone(fault, told):
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 6}, "batch": 1}
    result = stpspec.fit(faulty(fault, workers=0, fitter=fitter))
    beyond = result.history["parameter_U"].values > 0.7
    reasons = result.history["reason"].values.astype(str)
    assert 0 < beyond.sum() < 6
    for reason, u in zip(reasons[beyond], result.history["parameter_U"].values[beyond],
                         strict=True):  # fmt: skip
        assert told in reason
        assert f"(Faulty with U = {u:.6g}, tau = " in reason
    assert set(reasons[~beyond]) == {""}


def test_command_tells_what_ended_each_simulation_and_is_no_success(tmp_path):
    made = small.data(
        model={**small.data()["model"], "mechanism": "Faulty", "fixed": {"fault": ABORT},
               "mod": [str(MOD / "Faulty.mod")]},
        parameters={"U": {"min": 0.8, "max": 0.95}},
        fitter={"kind": "optuna", "sampler": "random", "budget": {"evaluations": 2}},
    )  # fmt: skip
    (tmp_path / "e.yaml").write_text(json.dumps(made))
    done = small.cli("fit", "e.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "every one of 2 evaluations failed: the worker process was lost: killed by SIGABRT" in (
        done.stderr
    )
    assert "(Faulty with U = 0." in done.stderr


def test_child_that_ends_is_replaced_and_its_last_words_are_told():
    child = Child()
    try:
        with pytest.raises(ChildEndedError, match="it ended with code 1: sh: no") as caught:
            child.call(os.execvp, "sh", ["sh", "-c", "echo sh: no >&2; exit 1"])
        assert caught.value.had_begun
        assert child.call(abs, -3) == 3
        with pytest.raises(TimeoutError):
            child.call(os.system, "sleep 60", limit=0.2)
        assert child.call(abs, -4) == 4
    finally:
        child.close()


def test_child_works_in_the_folder_and_with_the_variables_of_the_moment(tmp_path, monkeypatch):
    child = Child()
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            monkeypatch.chdir(tmp_path / name)
            monkeypatch.setenv("STPSPEC_CACHE", name)
            monkeypatch.setenv(name, "ours")
            assert child.call(os.getcwd) == str(tmp_path / name)
            assert child.call(os.getenv, "STPSPEC_CACHE") == name
            assert child.call(os.getenv, name) == "ours"
            child.call(exec, f"import os; os.environ.setdefault('of_theirs', {name!r})")
            monkeypatch.delenv(name)
            assert child.call(os.getenv, name) is None
            assert child.call(os.getenv, "of_theirs") == "first"
    finally:
        child.close()


# -- folders, names and programs around -----------------------------------------------------


@pytest.mark.parametrize(
    "name", ["signal", *(pytest.param(n, marks=pytest.mark.long) for n in ("random", "stpspec"))]
)
def test_file_called_like_a_module_of_the_library_is_not_taken_for_it(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / "e.yaml").write_text(json.dumps(small.data(workers=1)))
    command = [sys.executable, "-P", "-m", "stpspec.cli"]  # as the installed command looks
    words = ["fitter=random", "fitter.budget.evaluations=2", "--out", "r"]
    for verb in (["check"], ["fit", *words]):
        done = subprocess.run([*command, *verb, "e.yaml"], cwd=tmp_path, text=True,
                              capture_output=True, timeout=300, check=False)  # fmt: skip
        assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "r" / "result.nc").is_file()


@pytest.mark.long
def test_umlauts_and_spaces_hold_for_cells_mechanisms_and_the_cache(tmp_path):
    folder = tmp_path / "Zellen für ä"
    folder.mkdir()
    (folder / "Zelle ü.hoc").write_text(CELL.format(name="Own", size=20))
    (folder / "Faulty.mod").write_text(PLAIN)
    code = (
        "import json, pathlib\nfrom test_guests import potential\n"
        "folder = pathlib.Path('Zellen für ä')\n"
        "own = dict(mechanism='Faulty', mod=[str(folder / 'Faulty.mod')], fixed={})\n"
        "print(json.dumps([potential(folder, 'Zelle ü'), potential(folder, 'Zelle ü', **own)]))\n"
    )
    ours, own = printed_by(code, tmp_path, cache=tmp_path / "Über Cache")
    assert ours > 0
    assert own > 0


def test_folder_of_mechanisms_is_its_mod_files(tmp_path):
    (tmp_path / "Own.mod").write_text(PLAIN.replace("Faulty", "Own"))
    (tmp_path / ".#Own.mod").symlink_to("me@host.1:2")  # Emacs is editing it
    (tmp_path / "._Own.mod").write_bytes(b"\0\5\26\7")  # macOS
    (tmp_path / "old.mod").mkdir()
    twice = "NEURON { SUFFIX nothing }\nFUNCTION twice(x) { twice = 2*x }\n"
    (tmp_path / "more-tools.mod").write_text(twice)
    found = library.sources([str(tmp_path)])
    own = {name: path.name for name, path in found.items() if path.parent == tmp_path}
    assert own == {"Own": "Own.mod", "nothing_more_tools": "more-tools.mod"}
    made = synapse({"one": {"kind": "single_event"}}, mechanism="Own", fixed={},
                   model={"mod": [str(tmp_path)]}, numerics={"settle": 20})  # fmt: skip
    for _ in range(2):
        tree = stpspec.simulate(made, {"U": [0.2, 0.4]})
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), [14, 28], rtol=0.02)


@pytest.mark.parametrize(
    "line",
    ["TITLE a POINT_PROCESS for NMDA", "TITLE NEURON { SUFFIX other }", "  TITLE it's \"quoted",
     "TITLE COMMENT on VERBATIM", ": POINT_PROCESS Other", "? SUFFIX other",
     "COMMENT NEURON { SUFFIX other } it's\nENDCOMMENT", 'TITLE INCLUDE "x.inc"'],
)  # fmt: skip
def test_keyword_in_a_title_or_a_comment_names_no_mechanism(line, tmp_path):
    file = tmp_path / "a.mod"
    file.write_text(f"{line}\n{PLAIN.replace('Faulty', 'Own')}")
    assert nmodl.declared_in([file]) == {"Own": file}
    assert nmodl.included_in(file) == {}


@pytest.mark.parametrize("named", ["no-such-c++ -O2", "ccache-of-mine g++"])
def test_compiler_is_the_one_that_neuron_calls(named, tmp_path, monkeypatch):
    file = tmp_path / "a.mod"
    file.write_text(PLAIN)
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", named)
    told = re.escape(f"needs {named.split()[0]} (the environment variable CXX), which is not inst")
    with pytest.raises(MechanismError, match=told):
        compilation.compile_library([file])


def test_compiler_under_another_name_is_used(tmp_path, monkeypatch):
    file, real = tmp_path / "a.mod", shutil.which("g++")
    assert real
    file.write_text(PLAIN)
    compiler = tmp_path / "my c" / "x86_64-conda-linux-gnu-c++"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was_used"\nexec {real} "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", compiler.name)
    assert compilation.compile_library([file]).is_file()
    assert (tmp_path / "was_used").exists()


def test_messages_of_a_compiler_are_few_lines_without_the_folder_of_the_build(tmp_path):
    file = tmp_path / "a.mod"
    file.write_text(PLAIN)
    output = "\n".join(f"/cache/build-1/x86_64/Faulty.cpp:{n}:2: error: no {n}" for n in range(30))
    told = compiler_messages.summary(output, {"Faulty": file}).splitlines()
    assert told[0] == f"the mechanisms do not compile: {file}"
    assert told[1].strip() == "Faulty.cpp:0:2: error: no 0"
    assert told[-1].strip() == "… and 22 lines more"
    assert len(told) == 10


def test_symbol_that_c_code_lacks_is_named(tmp_path):
    call = "int nowhere_to_be_found(); nowhere_to_be_found();"
    file = tmp_path / "Lacking.mod"
    file.write_text(PLAIN.replace("Faulty", "Lacking").replace("\nVERBATIM", f"\nVERBATIM\n{call}"))
    data = small.data(model__mod=[str(file)], model__mechanism="Lacking")
    problem = next(p for p in stpspec.check(data) if p.path == "model.mod")
    assert "cannot be loaded: undefined symbol: " in problem.rule
    assert "nowhere_to_be_found" in problem.rule


@pytest.mark.long
def test_cache_on_a_file_system_that_executes_nothing_is_told_with_the_way_out(tmp_path):
    place = tmp_path / "cache"
    place.mkdir()
    (tmp_path / "e.yaml").write_text(json.dumps(small.data()))
    mounts = f"mount -t tmpfs -o size=200m,noexec tmpfs {place}"
    alone = ["unshare", "-rm", "sh", "-c"]
    if subprocess.run([*alone, mounts], capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount anything")
    done = subprocess.run(
        [*alone, f"{mounts} && exec {sys.executable} -m stpspec.cli check e.yaml"], cwd=tmp_path,
        env=os.environ | {"STPSPEC_CACHE": str(place)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "nothing is executed on its file system (noexec); name another folder" in done.stderr


# -- workers and words ----------------------------------------------------------------------


def test_problems_of_a_spec_survive_the_way_from_another_process():
    error = SpecError([SpecProblem("a.b", "rule", 3, where="f.yaml:2")], "no good")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.problems == error.problems


@pytest.mark.parametrize("where", ["workers", "executor", "own process"])
def test_metric_of_a_module_that_only_the_program_has_imported_is_measured_there(
    where, tmp_path, monkeypatch
):
    name = f"metric_of_{where.replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "from stpspec.metrics.registration import metric\n"
        f"@metric('{name}', 'signal')\n"
        "def tripled(response):\n    return 3 * response.amplitudes[0]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__(name)
    term = {"metric": name, "protocol": "single", "target": 84.0, "sd": 1.0}
    made = faulty(workers=int(where == "workers"), objective={"terms": {"t": term}},
                  parameters={"U": {"min": 0.05, "max": 0.7}}, fitter={"kind": "least_squares"},
                  )  # fmt: skip
    if where == "executor":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            result = stpspec.fit(made, executor=executor)
    else:
        result = stpspec.fit(made)
    assert result.parameters["U"] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    "text",
    ["o'neil", "x_${seed}", "a b $c", "b\\'q", 'd"q', "a,b", "${oc.env:HOME}", "a\\${x}", "x\\\\",
     "[a: {b}]", " ~x=1", "null"],
)  # fmt: skip
def test_text_reaches_hydra_as_it_is(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    value = OverridesParser.create().parse_override(f"a={quoted(text)}").value()
    assert OmegaConf.create({"a": str(value)}).a == text


@pytest.mark.long
@pytest.mark.parametrize(
    "out", [pytest.param("o'neil's", marks=pytest.mark.long), 'x ${seed} "$HOME"']
)
def test_folder_of_a_multirun_may_have_any_name(out, tmp_path):
    (tmp_path / "e.yaml").write_text(json.dumps(small.data()))
    words = ("fitter=random", "fitter.budget.evaluations=2", "--out", out)
    done = small.cli("fit", "-m", "e.yaml", "seed=1,2", *words, cwd=tmp_path)
    assert f"2 done; jobs.csv and jobs.png in {out}" in done.stdout, done.stderr
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {out}
    assert all((tmp_path / out / job / "result" / "result.nc").is_file() for job in "01")


def test_folder_of_a_user_that_there_is_not_is_a_name_like_others(tmp_path, monkeypatch):
    from stpspec.cli.main import main as command

    (tmp_path / "e.yaml").write_text(json.dumps(small.data()))
    monkeypatch.chdir(tmp_path)
    assert command(["run", "e.yaml", "--out=~nobody-of-this-name/r"]) == 0
    assert (tmp_path / "~nobody-of-this-name" / "r" / "simulation.nc").is_file()


def test_threads_are_refused_still():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor, pytest.raises(FitError, match="in this process"):
        stpspec.fit(faulty(workers=0), executor=executor)
