"""A clamped synapse without its cell: it gives what it gives on the cell, or it keeps the cell."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import candidates, synapse
from test_variable_step import CURRENT_CLAMP, FS, TRAIN, with_numerics

import stpspec
from stpspec.engine import nrn
from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.numerics import for_reading, under
from stpspec.engine.binding.scheme import ISOLATED, REFERENCE
from stpspec.engine.candidates import candidates_of
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.rigs.time_grid import blocks
from stpspec.engine.settings import settings_restored
from stpspec.engine.shortcuts import isolated_synapse
from stpspec.engine.shortcuts.ladder import choose
from stpspec.engine.simulate import evaluate
from stpspec.errors import SpecError
from stpspec.metrics.requests import Request
from stpspec.resources import shipped

CURRENT = {"signals": ["synaptic_current"]}
METRICS = ["amplitude", "latency", "rise_time", "decay_time", "half_width", "paired_pulse_ratio",
           "induction", "recovery"]  # fmt: skip
BOUNDS = {"U": {"min": 0.01, "max": 1}, "tau_rec": {"min": 1, "max": 2000},
          "tau_facil": {"min": 0, "max": 2000}}  # fmt: skip


def searching(protocols=TRAIN, **made):
    """Return a bound experiment, as a fit searches with it."""
    made.setdefault("recording", CURRENT)
    made.setdefault("parameters", BOUNDS if "mechanism" not in made else None)
    return for_reading(bind(synapse(protocols, **made)), [])


def without_cell(bound):
    rows = candidates_of(bound, None).rows
    with settings_restored():  # as around each batch
        return choose(bound, rows, bound.scheme).bound.scheme == ISOLATED


def measured(bound, columns, metrics=METRICS, **options):
    asked = [Request(m, m, "train", options) for m in metrics]
    rows = evaluate(bound, columns, ["train"], asked)
    assert {m.reason for row in rows for m in row.values()} == {""}
    return np.array([[float(m.value) for m in row.values()] for row in rows])


def own(text, folder, name="Own"):
    """Return the model of a mechanism of one's own, whose kinetics are given."""
    file = folder / f"{name}.mod"
    file.write_text(
        f"NEURON {{ POINT_PROCESS {name} RANGE g, i, e, tau NONSPECIFIC_CURRENT i }}\n"
        "PARAMETER { tau = 3 (ms) e = 0 (mV) } ASSIGNED { v (mV) i (nA) g (uS) }\n"
        "STATE { a (uS) b (uS) } INITIAL { a = 0 b = 0 }\n"
        f"{text}\n"
    )
    return {"mod": [str(file)]}


LINEAR = (
    "BREAKPOINT { SOLVE d METHOD cnexp g = a + b i = g*(v - e) }\n"
    "DERIVATIVE d { a' = -a/tau b' = -b/(2*tau) } NET_RECEIVE (w (uS)) { a = a + w }\n"
)


@pytest.mark.parametrize("kernel", [(0.2, 2.0), (0.5, 5.0), (1.0, 10.0), (2.0, 65.0)])
@pytest.mark.parametrize("frequency", [5, 50, 100])
def test_synapse_alone_gives_what_the_reference_numerics_give(kernel, frequency):
    protocols = {"train": {"kind": "train", "frequency": frequency}}
    bound = searching(protocols, kernel=kernel)
    assert without_cell(bound)
    metrics = [m for m in METRICS if kernel[1] * frequency < 400 or m[-4:] not in ("time", "idth")]
    fast, reference = (measured(b, candidates(), metrics) for b in (bound, under(bound, REFERENCE)))
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


def test_active_cell_holds_its_synapse_at_the_voltage_that_the_clamp_leaves():
    bound = searching(
        kernel=(0.5, 8.0), mechanism="GabaA", fixed={"e": -75}, model={"cell": FS},
        recording=CURRENT | {"holding_potential": -50}, parameters=BOUNDS,
    )  # fmt: skip
    assert without_cell(bound)
    fast, reference = (measured(b, candidates()) for b in (bound, under(bound, REFERENCE)))
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.3, 3, 30])
def test_charge_is_the_integral_however_long_the_window_is(decay):
    rise = 0.1
    bound = searching(
        {"train": {"kind": "single_event"}}, parameters={"tau_decay": {"min": 0.25, "max": 500}},
        fixed={"tau_rise": rise, "U": 1},
    )  # fmt: skip
    assert without_cell(bound)
    peak = rise * decay / (decay - rise) * np.log(decay / rise)
    largest = np.exp(-peak / decay) - np.exp(-peak / rise)
    found = measured(bound, {"tau_decay": np.array([decay])}, ["charge"])
    np.testing.assert_allclose(found, 70 * (decay - rise) / largest, rtol=1e-4)


def test_each_candidate_gives_alone_what_it_gives_among_others():
    bound, columns = searching(), candidates()
    each = [measured(bound, {n: v[k : k + 1] for n, v in columns.items()}) for k in range(5)]
    np.testing.assert_allclose(measured(bound, columns), np.concatenate(each), rtol=3e-5)


def test_mechanism_of_ones_own_with_linear_kinetics_needs_no_cell(tmp_path):
    model = own(LINEAR, tmp_path, "Linear")
    weight = {"weight": {"min": 1e-4, "max": 1e-2}}
    bound = searching(mechanism="Linear", fixed={}, model=model, parameters=weight)
    assert without_cell(bound)
    columns = {"weight": np.array([5e-4, 1e-3])}
    fast, reference = (
        measured(b, columns, ["amplitude", "decay_time", "recovery"], baseline="pre_train")
        for b in (bound, under(bound, REFERENCE))
    )
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Coupled", LINEAR.replace("b' = -b/(2*tau)", "b' = (a - b)/(2*tau)")),
        pytest.param("Implicit", LINEAR.replace("cnexp", "derivimplicit"), marks=pytest.mark.long),
        ("Timed", LINEAR.replace("(w (uS)) { a = a + w }",
                                 "(w (uS)) { if (flag == 0) { a = a + w net_send(1.234, 1) } "
                                 "else { a = 0 } }")),
        pytest.param("Clocked", LINEAR.replace("g = a + b", "g = a*(1 + 0.1*sin(t))"),
                     marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_kinetics_that_large_steps_would_change_keep_the_cell(name, text, tmp_path):
    model = own(text, tmp_path, name)
    assert not without_cell(searching(mechanism=name, fixed={"weight": 0.001}, model=model))


def text(breakpoint="g = b - a", more="", a="-a/0.2", b="-b/tau"):
    return (
        "PARAMETER { tau = 3 (ms) U = 0.5 sat = 1 (uS) } STATE { a (uS) b (uS) }\n"
        f"BREAKPOINT {{ SOLVE d METHOD cnexp\n{breakpoint}\ni = g*(v - e) }}\n"
        f"DERIVATIVE d {{ a' = {a}\nb' = {b} }}\n{more}\n"
        "NET_RECEIVE (w (uS), last (ms)) { if (t > last + 5) { a = a*exp(-(t - last)/tau) } }\n"
    )


def exact(folder, *texts):
    """Return whether a step of any size is exact for each of some mechanisms."""
    files = [folder / f"{k}.mod" for k in range(len(texts))]
    for file, written in zip(files, texts, strict=True):
        file.write_text(written)
    found = nmodl.read_all(files)
    assert all(found[file].parsed for file in files)
    return [found[file].exact for file in files]


@pytest.mark.parametrize(
    "changed",
    [
        {"b": "(0.001*a - b)/50000"},  # calcium that many pulses gather
        {"b": "-b*b/tau"},
        {"b": "(level - b)/tau", "breakpoint": "level = 0.1*a\ng = b"},
        {"b": "(level - b)/tau", "breakpoint": "seen(a)\ng = b",
         "more": "PROCEDURE seen(x (uS)) { level = 2*x }"},
        {"b": "-b/slow()", "more": "FUNCTION slow() (ms) { slow = tau*(1 + a) }"},
        {"breakpoint": "g = b\nif (g > sat) { g = sat }"},
        {"breakpoint": "g = bent(b)",
         "more": "FUNCTION bent(x (uS)) (uS) { if (x > sat) { bent = sat } else { bent = x } }"},
        {"breakpoint": "g = b\nif (t > 1000) { g = 0 }"},
        {"breakpoint": "last = g\ng = 0.9*last + b"},
        {"breakpoint": "g = b*floor(3*a)"},
        {"breakpoint": "g = b*(a > sat)"},
        {"breakpoint": "g = bent(b)",
         "more": "FUNCTION bent(x (uS)) (uS) { TABLE FROM 0 TO 1 WITH 10 bent = x*x }"},
        {"b": "-b/tau\na'' = -a"},
        {"breakpoint": "g = b - held\nVERBATIM\nheld = b;\nENDVERBATIM"},
    ],
    ids=["fed", "not linear", "through a value", "through a procedure", "through a function",
         "threshold", "threshold in a function", "time", "memory", "floor", "comparison",
         "table of a state", "second order", "C"],
)  # fmt: skip
def test_what_would_only_show_after_many_events_is_found_in_the_source(changed, tmp_path):
    assert exact(tmp_path, text(), text(**changed)) == [True, False]


@pytest.mark.parametrize(
    "changed",
    [
        {"a": "(U - a)/(2*tau)", "b": "(1 - b) / tau"},
        {"b": "-b*3.57(/ms)"},
        {"b": "(inf - b)/tau", "breakpoint": "inf = 1/(1 + exp(-0.062(/mV)*v))\ng = a*b^4"},
        {"breakpoint": "if (v > -40) { g = a } else { g = b }"},
    ],
    ids=["relaxes", "unit", "voltage", "threshold of the voltage"],
)
def test_states_that_relax_by_themselves_need_no_small_steps(changed, tmp_path):
    assert exact(tmp_path, text(**changed)) == [True]


@pytest.mark.parametrize("name", ["TsodyksMarkram", "AmpaNmda", "GabaA"])
def test_our_own_synapses_need_no_small_steps(name):
    assert nmodl.read(shipped("mod") / f"{name}.mod").exact


@pytest.mark.parametrize("baseline", ["extrapolated", "local", "pre_train"])
def test_irregular_intervals_are_sampled_like_the_fixed_step_samples_them(baseline):
    times = np.cumsum([0, 0.3, 0.625, 50, 1.4, 57.125, 1.775, 2, 16.825, 1.5, 251.3, 3.3, 0.5])
    protocols = {"train": {"kind": "spike_times", "times": times.round(4).tolist()}}
    bound = searching(protocols, kernel=(0.3, 5))
    assert without_cell(bound)
    fast, reference = (
        [row["a"].value for row in evaluate(
            b, candidates(), ["train"],
            [Request("a", "amplitudes", "train", {"baseline": baseline})],
        )]
        for b in (bound, under(bound, REFERENCE))
    )  # fmt: skip
    np.testing.assert_allclose(fast, reference, rtol=1e-4, atol=1e-3)


RESTLESS = """\
from neuron import h

class Restless:
    '''A soma beside an axon that fires by itself, so strongly that the clamp gives way.'''
    def __init__(self):
        self.soma, self.axon = (h.Section(name=n, cell=self) for n in ("soma", "axon"))
        self.axon.connect(self.soma)
        self.soma.L = self.soma.diam = 20
        self.axon.L, self.axon.diam, self.axon.nseg = 2000, 10, 21
        self.axon.insert("hh")
        self.drive = h.IClamp(self.axon(1))
        self.drive.delay, self.drive.dur, self.drive.amp = 0, 1e9, 10
"""


def test_cell_that_the_clamp_does_not_quiet_is_kept(tmp_path):
    (tmp_path / "restless.py").write_text(RESTLESS)
    cell = {"file": str(tmp_path / "restless.py"), "template": "Restless"}
    assert not without_cell(searching(model={"cell": cell}))


@pytest.mark.parametrize(
    "made",
    [
        {"recording": CURRENT_CLAMP},
        {"recording": {"signals": ["clamp_current"]}},
        {"recording": CURRENT | {"series_resistance": "5 Mohm"}},
        {"model": {"cell": FS, "section": "dend"},
         "recording": CURRENT | {"electrode_section": "soma"}},
    ],
    ids=["current clamp", "current of the cell", "poor clamp", "dendrite"],
)  # fmt: skip
def test_cell_is_kept_where_it_is_part_of_what_is_measured(made):
    assert not without_cell(searching(**made))


def test_conductance_needs_no_cell():
    made = synapse(TRAIN, parameters=BOUNDS)  # records the current of the clamp as well
    options = {"signal": "conductance"}
    bound = for_reading(bind(made), [("amplitude", options)])
    assert without_cell(bound)
    fast, reference = (
        measured(b, candidates(), ["amplitude", "recovery"], **options)
        for b in (bound, under(bound, REFERENCE))
    )
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


def test_variable_that_no_term_reads_does_not_keep_the_cell():
    made = synapse(TRAIN, recording=CURRENT | {"variables": ["A"]}, parameters=BOUNDS)
    assert without_cell(for_reading(bind(made), [("amplitude", {})]))
    assert not without_cell(for_reading(bind(made), [("amplitude", {"signal": "A"})]))


def test_cell_is_kept_where_the_integrator_is_chosen():
    for integrator in ("fixed", "variable"):
        made = with_numerics(synapse(TRAIN, recording=CURRENT), integrator=integrator)
        assert not without_cell(for_reading(bind(made), []))


def test_longest_step_that_a_script_in_the_same_process_has_set_does_not_matter():
    bound = searching(kernel=(0.4, 4.0))
    nrn.hoc().ParallelContext().set_maxstep(10)
    assert without_cell(bound)
    nrn.hoc().ParallelContext().set_maxstep(1)
    fast, reference = (measured(b, candidates()) for b in (bound, under(bound, REFERENCE)))
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


def test_candidate_beyond_the_bounds_of_the_proof_keeps_its_cell():
    bound = searching(parameters={"tau_decay": {"min": 1, "max": 5}})
    assert isolated_synapse.on_compartment(bound, [{"tau_decay": 3.0}]) is not None
    assert isolated_synapse.on_compartment(bound, [{"tau_decay": 3.0}, {"tau_decay": 8.0}]) is None


def test_candidates_that_differ_in_what_is_not_free_are_compared_themselves():
    bound = searching(parameters={})
    columns = {"U": np.array([0.1, 0.4]), "tau_decay": np.array([2.0, 9.0])}
    assert isolated_synapse.on_compartment(bound, candidates_of(bound, columns).rows) is not None
    fast, reference = (measured(b, columns) for b in (bound, under(bound, REFERENCE)))
    np.testing.assert_allclose(fast, reference, rtol=3e-5, atol=1e-6)


def test_what_a_clamped_cell_costs_does_not_grow_with_its_compartments():
    bound = searching(model={"cell": {"file": "pyramidal.py", "template": "PyramidalCell"}})
    found = isolated_synapse.on_compartment(bound, candidates_of(bound, None).rows)
    assert found is not None
    assert found.experiment.model.cell.template == "BareCompartment"
    assert found.experiment.recording.holding_potential == pytest.approx(-70, abs=0.01)
    assert replace(found, experiment=bound.experiment) == bound


@pytest.mark.parametrize("arrivals", [[], [501.3], [501.3, 506.3, 1506.3], [0.01, 0.02, 0.5]])
def test_steps_begin_at_each_event_and_end_where_the_run_does(arrivals):
    ends = np.array([end for end, _ in blocks(arrivals, 2000.0, 0.025)])
    steps = np.array([n for _, n in blocks(arrivals, 2000.0, 0.025)])
    assert (np.diff(ends) > 0).all()
    assert ends[-1] == 2000.0
    assert set(arrivals) <= set(ends)
    sizes = np.diff(ends, prepend=0.0) / steps
    since = ends - np.array([max([0.0, *(a for a in arrivals if a < e)]) for e in ends])
    assert (sizes <= np.maximum(0.0125, since / 8) + 1e-9).all()
    before = np.isin(ends, arrivals) & (since > 2)
    assert (sizes[before] <= 0.025 + 1e-9).all()  # there the residue is read


def test_sweep_of_a_protocol_gives_what_each_experiment_gives_by_itself():
    experiment = synapse(TRAIN, recording=CURRENT)
    path = "protocols.train.n_recovery"
    swept = stpspec.sweep(experiment, {path: [0, 1, 4]})
    for n in (0, 1, 4):
        single = stpspec.sweep(experiment.changed({path: n}), {path: [n]})
        for name in set(single.data_vars) - {"reason"}:
            assert single[name].values[0] == pytest.approx(
                swept[name].sel(n_recovery=n).item(), nan_ok=True
            ), name


def test_sweep_of_a_protocol_refuses_runs_that_cannot_be_recorded():
    experiment = synapse(TRAIN, recording=CURRENT)
    with pytest.raises(SpecError, match=r"the run of 'train', .* can be recorded"):
        stpspec.sweep(experiment, {"protocols.train.frequency": [50, 1e-4]})


def test_fit_without_the_cell_is_the_same_to_the_bit_on_any_number_of_workers():
    terms = {
        "ppr": {"metric": "paired_pulse_ratio", "protocol": "train", "target": 1.2, "sd": 0.05},
        "induction": {"metric": "induction", "protocol": "train", "target": 0.1, "sd": 0.05},
    }
    experiment = synapse(TRAIN, recording=CURRENT, parameters=BOUNDS).copy_with(
        objective={"terms": terms},
        fitter={"kind": "optuna", "batch": 32, "budget": {"evaluations": 64}},
        numerics={"replicas": 8},
    )
    fits = [stpspec.fit(experiment.copy_with(workers=n)) for n in (0, 1, 2)]
    for one in fits[1:]:
        assert one.parameters == fits[0].parameters
        np.testing.assert_array_equal(one.history["loss"], fits[0].history["loss"])
