"""The engine: exact batches, globals put back, nothing leaked, every failure with a reason."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import (
    MOD,
    PATCH,
    SYNAPSES,
    TESTS,
    candidates,
    fresh_python,
    gap,
    printed_by,
    run,
    synapse,
)

from stpspec import api
from stpspec.engine import cells, nrn
from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import compilation, library, nmodl
from stpspec.engine.mechanisms.description import describe
from stpspec.engine.simulate import simulate
from stpspec.errors import MechanismError, SpecError, TemplateError, UnknownNameError
from stpspec.specs.model import Cell

TRAIN = {"train": {"kind": "train"}}
PAIR = {"pair": {"kind": "spike_times", "times": [0, 20], "tail": 20}}
QUICK = {"dt": 0.1, "settle": 20}
FAST_SPIKING = {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}
PYRAMIDAL = {"file": "pyramidal.py", "template": "PyramidalCell"}
TESTING_MOD = {"mod": [str(MOD)]}
PLAIN = {"fixed": {"e": 0}, "model": TESTING_MOD}


def free_cell(cell, numerics=None):
    """Return an experiment on an active cell that is free to spike."""
    return synapse(
        {"train": {"kind": "train", "recovery_delay": 60}},
        model={"cell": cell},
        recording={"kind": "current_clamp", "signals": ["somatic_voltage", "synaptic_current"]},
        numerics={"settle": 100, **(numerics or {})},
    )


def same_traces(a, b, protocols=None):
    """See that two trees hold the same bits (and times, spikes, arrivals) for each candidate."""
    for protocol in protocols or a.children:
        one, other = a[protocol].to_dataset(), b[protocol].to_dataset()
        assert set(one.data_vars) == set(other.data_vars)
        for name in set(one.variables) - {"candidate"}:
            assert one[name].values.tobytes() == other[name].values.tobytes(), (protocol, name)


def candidate(tree, k):
    """Return the tree of one candidate."""
    return tree.isel(candidate=slice(k, k + 1))


def one_by_one(experiment, values):
    """Return a tree for each candidate, simulated alone."""
    bound, n = bind(experiment), len(next(iter(values.values())))
    return [simulate(bound, {k: v[i : i + 1] for k, v in values.items()}) for i in range(n)]


# -- a batch is n single runs -------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [1, 2, 16])
def test_batch_of_synapses_gives_to_the_bit_what_single_runs_give(replicas):
    experiment = synapse(TRAIN, numerics={"replicas": replicas})
    together = run(experiment, candidates())
    for k, alone in enumerate(one_by_one(experiment, candidates())):
        same_traces(candidate(together, k), alone)


def test_batch_of_coupled_cells_gives_to_the_bit_what_single_runs_give():
    values = {"g": np.array([1e-4, 5e-4, 1e-3, 5e-3])}
    trees = [run(gap((200.0, 100.0), numerics={"replicas": n}), values) for n in (1, 16)]
    same_traces(*trees)
    for k, alone in enumerate(one_by_one(gap((200.0, 100.0)), values)):
        same_traces(candidate(trees[1], k), alone)


@pytest.mark.parametrize("cell", [FAST_SPIKING, PYRAMIDAL], ids=lambda c: c["template"])
def test_batch_of_active_cells_gives_to_the_bit_what_single_runs_give(cell):
    values = candidates() | {"weight": np.array([1.0, 5.0, 20.0, 80.0, 2.0])}
    together = run(free_cell(cell), values)
    for k, alone in enumerate(one_by_one(free_cell(cell), values)):
        same_traces(candidate(together, k), alone)
    voltage = together["train"]["somatic_voltage"].values[:, 0]
    assert len({v.tobytes() for v in voltage}) == 5


def test_active_cell_spikes_in_one_replica_without_touching_the_other():
    experiment = free_cell(FAST_SPIKING)
    both = run(experiment, {"U": 0.5, "weight": [0.0, 100.0]})
    voltage = both["train"]["somatic_voltage"].values[:, 0]
    assert voltage[1].max() > 0
    assert np.ptp(voltage[0]) < 5
    same_traces(candidate(both, 0), run(experiment, {"U": 0.5, "weight": 0.0}))


def test_result_does_not_depend_on_what_ran_before():
    before = run(synapse(TRAIN), candidates())
    run(synapse(PAIR, kernel=(1.0, 10.0), numerics={"dt": 0.1, "temperature": 35}), {"U": 0.9})
    run(free_cell(FAST_SPIKING), {"U": 0.5, "weight": 100.0})
    run(gap((200.0, 100.0)), {"g": 0.001})
    same_traces(before, run(synapse(TRAIN), candidates()))


def test_protocol_that_is_asked_for_is_run_alone_and_an_unknown_one_gets_the_nearest():
    experiment = synapse({"one": {"kind": "single_event"}, "two": {"kind": "single_event"}})
    assert list(api.simulate(experiment, protocols="two").children) == ["two"]
    with pytest.raises(UnknownNameError, match=r"no protocol is called 'tow'. Did you mean 'two'"):
        api.simulate(experiment, protocols=["one", "tow"])


def test_protocols_of_one_run_do_not_touch_each_other():
    protocols = {"long": {"kind": "train", "frequency": 100}, **PAIR, **TRAIN}
    together = run(synapse(protocols), candidates())
    for name, protocol in protocols.items():
        same_traces(together, run(synapse({name: protocol}), candidates()), [name])


def test_time_constants_within_their_bounds_do_not_change_the_length_of_a_run():
    bounds = {"tau_decay": {"min": 1, "max": 12}, "U": {"min": 0.1, "max": 0.9}}
    experiment = synapse(TRAIN, parameters=bounds)
    values = {"tau_decay": np.array([2.0, 12.0, 5.0]), "U": np.array([0.2, 0.4, 0.6])}
    together = run(experiment, values)
    for k, alone in enumerate(one_by_one(experiment, values)):
        same_traces(candidate(together, k), alone)


def test_longest_decay_of_a_batch_only_lengthens_the_runs_of_the_others():
    values = {"tau_decay": np.array([2.0, 12.0]), "U": np.array([0.2, 0.4])}
    together = run(synapse(TRAIN), values)
    for k, alone in enumerate(one_by_one(synapse(TRAIN), values)):
        n = alone["train"].sizes["time"]
        common = together.isel(candidate=slice(k, k + 1)).isel(time=slice(n), missing_dims="ignore")
        same_traces(common, alone)


def test_other_cells_of_the_users_process_do_not_change_a_trace():
    before = run(synapse(PAIR), candidates())
    h = nrn.hoc()
    section = h.Section(name="users_own")
    section.insert("hh")
    clamp = h.IClamp(section(0.5))
    clamp.delay, clamp.dur, clamp.amp = 10, 500, 1
    same_traces(before, run(synapse(PAIR), candidates()))
    del clamp, section


# -- GLOBAL parameters --------------------------------------------------------------------------


def decaying(numerics=None, protocols=PAIR):
    return synapse(protocols, mechanism="GlobalDecay", **PLAIN, numerics=numerics)


def test_global_parameter_differs_between_candidates_of_one_batch():
    tau = np.array([1.0, 4.0, 2.0, 4.0, 9.0, 1.0])
    gmax = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-3
    together = run(decaying(), {"tau": tau, "gmax": gmax})
    for k, alone in enumerate(one_by_one(decaying(), {"tau": tau, "gmax": gmax})):
        same_traces(candidate(together, k), alone)
    pair = together["pair"].to_dataset()
    time, g = pair["time"].values, pair["conductance"].values[:, 0]
    inside = (time > 501.35) & (time < 521.25)
    exact = 1e3 * gmax[:, None] * np.exp(-(time[inside] - 501.3) / tau[:, None])
    np.testing.assert_allclose(g[:, inside], exact, rtol=1e-9)


def test_global_parameter_is_put_back_and_starts_at_the_mechanisms_default():
    run(decaying(), {"tau": [7.0, 8.0]})
    assert nrn.hoc().tau_GlobalDecay == 3.0
    default, explicit = run(decaying()), run(decaying(), {"tau": 3.0})
    same_traces(default, explicit)


def test_fixed_value_of_a_global_parameter_holds_for_every_batch():
    fixed = {"fixed": {"e": 0, "tau": 5.0}, "model": TESTING_MOD, "mechanism": "GlobalDecay"}
    bound = bind(synapse(PAIR, **fixed))
    simulate(bound, {"gmax": 0.002})
    tree = simulate(bound, {"gmax": 0.001})
    same_traces(tree, run(decaying(), {"tau": 5.0, "gmax": 0.001}))


# -- globals and leftovers ----------------------------------------------------------------------

GLOBALS = ("celsius", "dt", "steps_per_ms", "secondorder", "v_init", "tstop", "tau_GlobalDecay")


@pytest.mark.parametrize("active", [0, 1])
@pytest.mark.parametrize("how", ["well", "time limit", "bad name"])
def test_every_global_of_neuron_is_as_it_was(active, how):
    bind(decaying())
    h = nrn.hoc()
    cvode = h.CVode()
    mine = {"celsius": 33.5, "dt": 0.0625, "steps_per_ms": 16.0, "secondorder": 2, "v_init": -61.0,
            "tstop": 17.0, "tau_GlobalDecay": 4.5}  # fmt: skip
    default = {name: getattr(h, name) for name in GLOBALS}
    tolerance = cvode.atol()
    try:
        for name, value in mine.items():
            setattr(h, name, value)
        cvode.active(active)
        numerics = {"temperature": 20, "time_limit": 1e-9 if how == "time limit" else 600}
        if how == "bad name":
            with pytest.raises(SpecError, match="tua"):
                simulate(bind(decaying(numerics)), {"tua": 3.0})
        else:
            simulate(bind(decaying(numerics)), {"tau": [1.0, 2.0]})
        assert {name: getattr(h, name) for name in GLOBALS} == mine
        assert cvode.active() == active
        assert cvode.atol() == tolerance
    finally:
        cvode.active(0)
        for name, value in default.items():
            setattr(h, name, value)


def test_nothing_of_a_run_is_left_in_neuron():
    h = nrn.hoc()
    experiments = [synapse(PAIR, numerics=QUICK), free_cell(FAST_SPIKING), gap((200.0, 100.0))]
    bounds = [bind(e) for e in experiments]
    census = ["Vector", "NetCon", "SEClamp", "IClamp", "TsodyksMarkram", "GapJunction",
              "FInitializeHandler", "FastSpikingInterneuron"]  # fmt: skip

    def count():
        return {"Section": len(list(h.allsec()))} | {n: int(h.List(n).count()) for n in census}

    before = count()
    for bound in bounds:
        simulate(bound)
    assert count() == before


LEAKS = """
import gc, json, os
from helpers import gap, synapse
from stpspec.engine import nrn
from stpspec.engine.binding.bind import bind
from stpspec.engine.simulate import simulate

rebuilds = REBUILDS
quick = {"dt": 0.1, "settle": 2, "replicas": 2}
pair = {"pair": {"kind": "spike_times", "times": [0, 5], "tail": 5}}
step = {"step": {"kind": "gap_step", "duration": 5}}
fixed = {"e": 0, "tau_rise": 0.2, "tau_decay": 1}
cell = {"cell": {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}}
work = [
    (bind(synapse(pair, fixed=fixed, numerics=quick)), {"U": [0.2, 0.4]}),
    (bind(synapse(pair, fixed=fixed, numerics=quick, model=cell)), {"U": [0.2, 0.4]}),
    (bind(gap((200.0, 100.0), step, numerics=quick)), {"g": [0.001, 0.002]}),
]
h = nrn.hoc()
names = ["Vector", "NetCon", "SEClamp", "IClamp", "TsodyksMarkram", "GapJunction",
         "FInitializeHandler", "FastSpikingInterneuron"]

def census():
    gc.collect()
    return {"Section": len(list(h.allsec()))} | {n: int(h.List(n).count()) for n in names}

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

counts, memory = [], []
for k in range(rebuilds):
    bound, values = work[k % 3]
    simulate(bound, values)
    if k in (rebuilds // 4, rebuilds // 2, rebuilds - 1):
        counts.append(census())
        memory.append(megabytes())
print(json.dumps({"counts": counts, "memory": memory}))
"""


def leaks(rebuilds, folder):
    found = printed_by(LEAKS.replace("REBUILDS", str(rebuilds)), folder)
    assert found["counts"][0] == found["counts"][1] == found["counts"][2]
    # What is there is what the process itself holds: no cell, no synapse, no recording.
    assert {k: v for k, v in found["counts"][0].items() if v} == {}
    return found["memory"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_leaks_over_200_rebuilds(tmp_path):
    quarter, half, whole = leaks(200, tmp_path)
    assert whole - half < 1.5
    assert whole - quarter < 2


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_leaks_over_2000_rebuilds(tmp_path):
    quarter, half, whole = leaks(2000, tmp_path)
    # MB. NEURON itself keeps about 0.1 kB of each NetCon, handler and recorded Vector ever made.
    assert whole - half < 2
    assert whole - quarter < 3


# -- failures -----------------------------------------------------------------------------------


def test_nan_fails_its_candidate_only_and_leaves_the_neighbours_bit_identical():
    experiment = synapse(PAIR, mechanism="Dividing", **PLAIN)
    share = np.array([1.0, 0.0, 0.5, 2.0])
    tree = simulate(bind(experiment), {"share": share})
    failure = list(tree["failure"].values)
    assert [bool(f) for f in failure] == [False, True, False, False]
    assert "pair:" in failure[1]
    assert "nan" in failure[1]
    assert "t = 501.3" in failure[1]
    assert np.isnan(tree["pair"]["synaptic_current"].values[1]).all()
    for k in (0, 2, 3):
        same_traces(candidate(tree, k), run(experiment, {"share": share[k]}))


def test_batch_in_which_every_candidate_fails_gives_a_reason_for_each():
    experiment = synapse(PAIR, mechanism="Dividing", **PLAIN)
    tree = simulate(bind(experiment), {"share": [0.0, 0.0]})
    assert all("nan" in f for f in tree["failure"].values)


def test_nan_in_a_free_cell_fails_its_candidate_only():
    experiment = synapse(
        PAIR, mechanism="Dividing", **PLAIN,
        recording={"kind": "current_clamp", "signals": ["somatic_voltage"]},
    )  # fmt: skip
    tree = simulate(bind(experiment), {"share": [1.0, 0.0]})
    assert [bool(f) for f in tree["failure"].values] == [False, True]
    same_traces(candidate(tree, 0), run(experiment, {"share": 1.0}))
    run(experiment, {"share": 1.0})  # and the next run is whole


def test_time_limit_is_a_failure_with_its_reason():
    tree = simulate(bind(synapse(TRAIN, numerics={"time_limit": 1e-9})), {"U": [0.2, 0.5]})
    for failure in tree["failure"].values:
        assert failure.startswith("train: the simulation passed its time limit of 1e-09 s")
    assert np.isnan(tree["train"]["synaptic_current"].values).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"u": 0.5}, "did you mean 'U'"),
        ({"U": [0.1, np.nan]}, "finite"),
        ({"U": [0.1, 0.2], "tau_rec": [1.0, 2.0, 3.0]}, "as many values as the longest"),
        ({"U": []}, "finite number"),
    ],
)
def test_candidates_that_cannot_be_are_refused_before_anything_runs(values, message):
    with pytest.raises(SpecError, match=message):
        simulate(bind(synapse(PAIR)), values)


def test_failing_hoc_template_gives_hocs_own_words(tmp_path):
    (tmp_path / "wrong.hoc").write_text(
        "begintemplate Wrong\npublic soma\ncreate soma\nproc init() {\n"
        "  soma { insert no_such_channel }\n}\nendtemplate Wrong\n"
    )
    code = """
import json
from stpspec.engine import cells
from stpspec.errors import TemplateError
from stpspec.specs.model import Cell
try:
    cells.build(Cell(file="wrong.hoc", template="Wrong"))
except TemplateError as error:
    print(json.dumps(str(error)))
"""
    message = printed_by(code, tmp_path)
    assert "wrong.hoc" in message
    assert "no_such_channel" in message


def test_hoc_template_with_a_syntax_error_gives_hocs_own_words(tmp_path):
    (tmp_path / "broken.hoc").write_text("begintemplate Broken\nproc init( {\nendtemplate Broken\n")
    code = """
import json
from stpspec.engine import cells
from stpspec.errors import TemplateError
from stpspec.specs.model import Cell
try:
    cells.build(Cell(file="broken.hoc", template="Broken"))
except TemplateError as error:
    print(json.dumps(str(error)))
"""
    message = printed_by(code, tmp_path)
    assert "broken.hoc" in message
    assert "syntax error" in message or "parse error" in message


def test_failing_python_template_names_file_and_cause(tmp_path):
    path = tmp_path / "cell.py"
    path.write_text("class Cell:\n    def __init__(self):\n        raise ValueError('no dend')\n")
    with pytest.raises(TemplateError, match=r"cell\.py.*no dend"):
        cells.build(Cell(file=str(path), template="Cell"))
    with pytest.raises(TemplateError, match="Did you mean 'Cell'"):
        cells.build(Cell(file=str(path), template="Cel"))


@pytest.mark.parametrize(
    ("section", "guess"), [("som", "soma"), ("soma[1]", "soma"), ("dendrite", "It has")]
)
def test_section_that_is_not_there_is_named_with_those_that_are(section, guess):
    with pytest.raises(TemplateError, match=guess):
        cells.section(cells.build(Cell(**PATCH)), section)


# -- the mechanism cache ------------------------------------------------------------------------


def builds(cache):
    """Return the finished builds in a cache, and see that nothing half-made is left."""
    entries = sorted(p.name for p in (cache / "mechanisms").iterdir() if p.is_dir())
    assert not [e for e in entries if e.startswith("build-")]
    return entries


def test_same_content_is_compiled_once_and_changed_content_again(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "GlobalDecay.mod"
    shutil.copy(MOD / "GlobalDecay.mod", source)
    compiled = compilation.compile_library([source])
    stamp = compiled.stat().st_mtime_ns
    (tmp_path / "elsewhere").mkdir()
    twin = shutil.copy(source, tmp_path / "elsewhere" / "GlobalDecay.mod")
    os.utime(twin, (1, 1))
    assert compilation.compile_library([type(source)(twin)]) == compiled
    assert compiled.stat().st_mtime_ns == stamp
    assert len(builds(tmp_path / "cache")) == 1
    source.write_text(source.read_text().replace("tau = 3 (ms)", "tau = 4 (ms)"))
    assert compilation.compile_library([source]) != compiled
    assert len(builds(tmp_path / "cache")) == 2


@pytest.mark.long
def test_three_processes_at_once_compile_the_same_content_once(tmp_path):
    cache, log = tmp_path / "cache", tmp_path / "log"
    log.mkdir()
    code = f"""
import json, os
from pathlib import Path
from stpspec.engine.mechanisms import compilation
real = compilation._nrnivmodl
def counted(*arguments):
    Path({str(log)!r}, str(os.getpid())).touch()
    return real(*arguments)
compilation._nrnivmodl = counted
print(json.dumps(str(compilation.compile_library([Path({str(MOD / "GlobalDecay.mod")!r})]))))
"""
    environment = {**os.environ, "STPSPEC_CACHE": str(cache)}
    together = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    answers = [p.communicate(timeout=300) for p in together]
    assert [p.returncode for p in together] == [0, 0, 0], answers
    libraries = {json.loads(out.splitlines()[-1]) for out, _ in answers}
    assert len(libraries) == 1
    assert len(builds(cache)) == 1
    assert len(list(log.iterdir())) == 1


@pytest.mark.long
def test_name_of_a_file_does_not_matter_to_the_mechanism_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    text = (MOD / "GlobalDecay.mod").read_text()
    paths = [tmp_path / "my mods" / "a-syn.v2.mod", tmp_path / "b" / "a-syn.v2.mod"]
    for path, name in zip(paths, ("OneOfTwo", "OtherOfTwo"), strict=True):
        path.parent.mkdir()
        path.write_text(text.replace("GlobalDecay", name))
    built = compilation.compile_library(paths).read_bytes()
    assert b"OneOfTwo" in built
    assert b"OtherOfTwo" in built


def test_mechanism_that_does_not_compile_shows_file_line_and_the_compilers_words(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "Broken.mod"
    lines = (MOD / "GlobalDecay.mod").read_text().replace("GlobalDecay", "Broken").splitlines()
    row = next(k for k, line in enumerate(lines) if "g = gmax * s" in line)
    lines[row] = "    g = gmax * * s"
    path.write_text("\n".join(lines))
    with pytest.raises(MechanismError) as caught:
        compilation.compile_library([path])
    message = str(caught.value)
    assert f"{path}:{row + 1}" in message
    assert "syntax error" in message.lower() or "illegal" in message.lower()
    assert builds(tmp_path / "cache") == []


def test_verbatim_that_does_not_compile_shows_the_compilers_words(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "Verbose.mod"
    text = (MOD / "GlobalDecay.mod").read_text().replace("GlobalDecay", "Verbose")
    verbatim = "INITIAL {\n    VERBATIM\n    no_such_thing = 1;\n    ENDVERBATIM"
    path.write_text(text.replace("INITIAL {", verbatim))
    with pytest.raises(MechanismError) as caught:
        compilation.compile_library([path])
    message = str(caught.value)
    assert str(path) in message
    assert "no_such_thing" in message
    assert builds(tmp_path / "cache") == []


def test_name_that_is_loaded_already_with_other_content_is_refused(tmp_path):
    text = (MOD / "GlobalDecay.mod").read_text()
    (tmp_path / "mine.mod").write_text(text.replace("tau = 3 (ms)", "tau = 4 (ms)"))
    bind(decaying())
    with pytest.raises(MechanismError, match=r"already loaded .* from another source"):
        library.ensure_loaded([str(tmp_path / "mine.mod")])
    mine = {"mod": [str(tmp_path / "mine.mod")]}
    with pytest.raises(SpecError, match="GlobalDecay"):
        bind(synapse(PAIR, mechanism="GlobalDecay", fixed={"e": 0}, model=mine))


def test_name_of_a_mechanism_that_neuron_brings_is_refused(tmp_path):
    text = (MOD / "GlobalDecay.mod").read_text().replace("GlobalDecay", "ExpSyn")
    (tmp_path / "ExpSyn.mod").write_text(text)
    with pytest.raises(MechanismError, match="ExpSyn"):
        library.ensure_loaded([str(tmp_path / "ExpSyn.mod")])


def test_mechanism_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(SpecError, match="Did you mean 'TsodyksMarkram'"):
        bind(synapse(PAIR, mechanism="TsodyksMarkam"))
    with pytest.raises(SpecError, match=r"no file 'nowhere\.mod'"):
        bind(synapse(PAIR, model={"mod": ["nowhere.mod"]}))


@pytest.mark.long
def test_compiled_mechanisms_in_the_current_folder_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    compiled = compilation.compile_library([MOD / "GlobalDecay.mod"])
    (key,) = builds(tmp_path / "cache")
    built = tmp_path / "cache" / "mechanisms" / key
    work = tmp_path / "work"
    shutil.copytree(built, work)
    assert (work / compiled.relative_to(built)).exists()
    monkeypatch.delenv("STPSPEC_CACHE")
    there = "import json\nfrom neuron import h\nprint(json.dumps(hasattr(h, 'GlobalDecay')))"
    assert printed_by(there, work) is True  # NEURON alone does load it
    ours = """
import json
from stpspec.engine import nrn
from helpers import PATCH, run, synapse
tree = run(synapse({"one": {"kind": "single_event", "duration": 5}}), {"U": 0.5})
print(json.dumps(hasattr(nrn.hoc(), "GlobalDecay")))
"""
    assert printed_by(ours, work) is False


def test_current_folder_is_the_same_after_neuron_is_imported(tmp_path):
    code = "import os\nfrom stpspec.engine import nrn\nnrn.hoc()\nprint(os.getcwd())"
    done = fresh_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path)


# -- what a mechanism says of itself ------------------------------------------------------------


def test_description_of_a_mechanism_has_range_and_global_parameters_with_units():
    bind(decaying())
    found = describe("GlobalDecay")
    assert found.parameters == {"gmax": "uS", "e": "mV", "tau": "ms"}
    assert found.global_parameters == {"tau"}
    assert found.states == {"s"}
    assert {"g", "i"} <= found.assigned
    assert found.defaults == {"gmax": 0.001, "e": 0.0, "tau": 3.0}


def test_golden_synapses_are_within_the_limits_of_the_mechanism():
    limits = nmodl.read(TESTS.parent / "mod" / "TsodyksMarkram.mod").limits
    for values in SYNAPSES:
        for name, value in zip(("U", "tau_rec", "tau_facil"), values, strict=True):
            assert limits[name][0] <= value <= limits[name][1]


# -- what the machine or a file can do to it ----------------------------------------------------


def test_cache_that_cannot_be_written_is_named_with_the_way_out(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    code = (
        "from helpers import synapse\n"
        "from stpspec import simulate\n"
        "from stpspec.errors import SpecError\n"
        "try:\n"
        "    simulate(synapse({'one': {'kind': 'single_event'}}))\n"
        "except SpecError as error:\n"
        "    import json; print(json.dumps(str(error)))\n"
    )
    text = printed_by(code, tmp_path, cache=blocked / "cache")
    assert "cannot be kept in" in text
    assert "STPSPEC_CACHE" in text


@pytest.mark.parametrize("value", [True, "0.5 ms", 1.5, "half", [0.3, None], float("nan")])
def test_values_are_checked_as_in_the_yaml(value):
    experiment = synapse({"one": {"kind": "single_event"}})
    with pytest.raises(SpecError, match="U"):
        run(experiment, {"U": value})


def test_values_take_units_one_by_one():
    experiment = synapse({"one": {"kind": "single_event"}})
    tree = run(experiment, {"tau_rec": ["0.5 s", 500.0, "500000 us"], "U": np.float32(0.5)})
    np.testing.assert_allclose(tree["tau_rec"], 500.0)
