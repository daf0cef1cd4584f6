"""Specs: data that round-trip, problems that come all at once, names that resolve."""

import json
import re
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from small import ROOT, data, experiment, python

import stpspec
from stpspec import registry
from stpspec.config.compose import experiments, load
from stpspec.errors import SpecError
from stpspec.results.folder import to_yaml
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.numerics import Numerics
from stpspec.specs.objective import Objective
from stpspec.specs.schema import json_schema


def problems(**changes):
    """Return path → problem of the small experiment with fields changed."""
    made, found, _ = examine(data(**changes))
    assert (made is None) == bool(found)
    assert len({p.path for p in found}) == len(found), "a problem is reported twice"
    return {p.path: p for p in found}


# -- one field at a time ----------------------------------------------------------------------

PHYSICAL = {
    "numerics__dt": ("50 us", 0.05, "ms"),
    "numerics__settle": ("0.1 s", 100.0, "ms"),
    "numerics__temperature": ("300 K", 26.85, "degC"),
    "numerics__v_init": ("-0.06 V", -60.0, "mV"),
    "numerics__time_limit": ("2 min", 120.0, "s"),
    "recording__holding_potential": ("-0.05 V", -50.0, "mV"),
    "recording__series_resistance": ("5 kohm", 0.005, "Mohm"),
    "model__net_con__delay": ("500 us", 0.5, "ms"),
    "protocols__single__duration": ("0.03 s", 30.0, "ms"),
    "fitter__budget__seconds": ("1 min", 60.0, "s"),
}


def _at(thing, path):
    for key in path.split("__"):
        thing = thing[key] if isinstance(thing, dict) else getattr(thing, key)
    return thing


def _changes(path, value):
    kind = {"fitter__kind": "least_squares"} if path.startswith("fitter") else {}
    return kind | {path: value}


@pytest.mark.parametrize("path", PHYSICAL)
def test_every_physical_field_takes_a_number_or_a_string_with_a_unit(path):
    text, value, _ = PHYSICAL[path]
    assert _at(experiment(**_changes(path, text)), path) == pytest.approx(value, rel=1e-13)
    assert _at(experiment(**_changes(path, value)), path) == value


@pytest.mark.parametrize("bad", ["1 m", float("nan"), float("inf"), True, None, [1], "much"])
@pytest.mark.parametrize("path", PHYSICAL)
def test_every_physical_field_refuses_what_is_no_quantity_and_names_its_unit(path, bad):
    if path == "fitter__budget__seconds" and bad is None:
        return  # no limit
    found = problems(**_changes(path, bad))
    assert list(found) == [path.replace("__", ".")]
    assert re.search(rf"\b{PHYSICAL[path][2]}\b", found[path.replace("__", ".")].rule)


@pytest.mark.parametrize(
    ("kind", "field", "unit"),
    [
        ("train", "frequency", "Hz"), ("train", "recovery_delay", "ms"),
        ("continuous", "frequency", "Hz"), ("continuous", "duration", "ms"),
        ("gap_step", "amplitude", "nA"), ("gap_step", "duration", "ms"),
        ("spike_times", "tail", "ms"), ("single_event", "duration", "ms"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bad", ["1 kg", float("nan"), True])
def test_every_protocol_names_the_unit_of_a_field_that_is_wrong(kind, field, unit, bad):
    more = {"times": [0, 1]} if kind == "spike_times" else {}
    found = problems(protocols__extra={"kind": kind, field: bad, **more})
    assert re.search(rf"\b{unit}\b", found[f"protocols.extra.{field}"].rule)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"min": 0.9, "max": 0.1}, ["below", "0.9", "0.1"]),
        ({"min": 0.5, "max": 0.5}, ["below"]),
        ({"min": "1 s", "max": "20 ms"}, ["below", "'1 s'", "'20 ms'"]),
        ({"min": 0, "max": 1, "scale": "log"}, ["log", "> 0"]),
        ({"min": 0.1, "max": 0.9, "start": 1.5}, ["within", "1.5"]),
        ({"min": "1 ms", "max": "3 ms", "start": "1 s"}, ["within", "'1 s'"]),
    ],
)
def test_bounds_that_cannot_be_are_refused_with_their_values(parameter, words):
    found = problems(parameters={"U": parameter})
    assert list(found) == ["parameters.U"]
    assert all(word in found["parameters.U"].rule for word in words)


def test_which_of_two_dimensions_a_bound_should_have_is_left_to_the_mechanism():
    assert problems(parameters={"U": {"min": "1 ms", "max": "1 mV"}}) == {}


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), "1 mss", True, None])
@pytest.mark.parametrize("end", ["min", "max"])
def test_bounds_that_are_no_finite_number_are_refused_where_they_stand(end, bad):
    found = problems(parameters={"U": {"min": 0.1, "max": 0.9} | {end: bad}})
    assert list(found) == [f"parameters.U.{end}"]


def test_a_missing_bound_is_said_to_be_missing():
    assert "required" in problems(parameters={"U": {"min": 0.1}})["parameters.U.max"].rule


# -- everything at once -----------------------------------------------------------------------


def test_all_problems_of_a_spec_are_reported_at_once_and_each_once():
    found = problems(
        name="not a name",
        model__positon=0.5,
        recording__holding_potential="-70 ms",
        protocols__bad={"kind": "trian"},
        protocols__train={"kind": "train", "frequency": -1},
        parameters={"U": {"min": 0.9, "max": 0.1}, "tau_rec": {"min": "20 ms"}},
        objective__terms__typo={"metric": "amplitud", "protocol": "single", "target": 1},
        objective__terms__absent={"metric": "amplitude", "protocol": "sinlge", "target": 1},
        objective__terms__cannot={"metric": "recovery", "protocol": "single", "target": 1},
        objective__terms__sd={"metric": "amplitude", "protocol": "single", "target": 1, "sd": -1},
        objective__terms__loss={
            "metric": "amplitude", "protocol": "single", "target": 1, "loss": "hubber",
        },
        numerics__dt=float("nan"),
        seed=-1,
        fiter={"kind": "bounded"},
    )  # fmt: skip
    assert set(found) == {
        "name", "model.positon", "recording.holding_potential", "protocols.bad.kind",
        "protocols.train.frequency", "parameters.U", "parameters.tau_rec.max",
        "objective.terms.typo.metric", "objective.terms.absent.protocol",
        "objective.terms.cannot.metric", "objective.terms.sd.sd", "objective.terms.loss.loss",
        "numerics.dt", "seed", "fiter",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "path", "nearest"),
    [
        ({"fiter": {}}, "fiter", "fitter"),
        ({"model__positon": 0.5}, "model.positon", "position"),
        ({"model__net_con": {"wieght": 1}}, "model.net_con.wieght", "weight"),
        ({"recording__holding_potental": 1}, "recording.holding_potental", "holding_potential"),
        ({"recording__kind": "voltage-clamp"}, "recording.kind", "voltage_clamp"),
        ({"protocols__x": {"kind": "trian"}}, "protocols.x.kind", "train"),
        ({"protocols__single__duraton": 3}, "protocols.single.duraton", "duration"),
        ({"parameters__U__mx": 3}, "parameters.U.mx", "max"),
        ({"objective__terms__size__metric": "amplitud"}, "objective.terms.size.metric",
         "amplitude"),
        ({"objective__terms__size__protocol": "singel"}, "objective.terms.size.protocol",
         "single"),
        ({"objective__terms__size__loss": "Huber"}, "objective.terms.size.loss", "huber"),
        ({"objective__terms__size__options": {"signl": "i"}},
         "objective.terms.size.options.signl", "signal"),
        ({"objective__terms__size__options": {"signal": "synaptic_curent"}},
         "objective.terms.size.options.signal", "synaptic_current"),
        ({"fitter": {"kind": "least-squares"}}, "fitter.kind", "least_squares"),
        ({"fitter": {"kind": "optuna", "bach": 3}}, "fitter.bach", "batch"),
        ({"numerics__setle": 3}, "numerics.setle", "settle"),
    ],
)  # fmt: skip
def test_a_misspelled_name_gets_the_nearest_valid_one(changes, path, nearest):
    found = problems(**changes)
    assert list(found) == [path]
    assert f"id you mean {nearest!r}?" in str(found[path])


def test_an_unknown_field_and_a_missing_kind_are_known_by_their_kind_and_not_by_their_words():
    found = problems(numerics__dtt=3, protocols__second={"duration": 30}, seed=-1)
    unknown, missing = found["numerics.dtt"], found["protocols.second"]
    assert (unknown.kind, unknown.nearest) == ("unknown_field", "dt")
    assert str(unknown).endswith("; did you mean 'dt'?; received 3")
    assert "did you mean" not in unknown.rule
    assert missing.kind == "missing_kind"
    assert found["seed"].kind == "rule"


def test_a_rule_with_braces_and_percent_signs_is_printed_literally():
    name = "{rule_broken} {nearest} %s"
    assert repr(name) in str(problems(fitter__kind=name)["fitter"])


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"protocols__step": {"kind": "gap_step"}}, "protocols.step.kind", "presynaptic event"),
        ({"model__kind": "gap_junction"}, "recording.kind", "current clamp"),
        ({"objective__terms__size__metric": "recovery"}, "objective.terms.size.metric",
         "recovery pulse"),
        ({"objective__terms__size__target": [1, 2]}, "objective.terms.size.target",
         "single number"),
        ({"objective__terms__size__loss": "relative"}, "objective.terms.size.sd", "no sd"),
        ({"objective__terms__size__weight": 0}, "objective.terms", "weight above 0"),
        ({"objective__cost": "nobody"}, "objective.cost", "cost function"),
        ({"recording__signals": ["clamp_current"]}, "recording.signals", "synaptic_current"),
        ({"fitter": {"kind": "bounded"}, "parameters__tau_rec": {"min": 1, "max": 9}},
         "fitter.kind", "one parameter"),
        ({"fitter": {"kind": "least_squares"}, "objective__terms__size__loss": "absolute"},
         "fitter.kind", "residuals"),
        ({"fitter": {"kind": "optuna", "budget": {"evaluations": None}}}, "fitter.budget",
         "never ends"),
        ({"fitter": {"kind": "optuna", "sampler": "cmaes"}}, "fitter.sampler", "two parameters"),
        ({"protocols__t": {"kind": "spike_times", "times": [0, 5, 5]}}, "protocols.t", "rise"),
        ({"protocols__t": {"kind": "spike_times", "times": []}}, "protocols.t.times", "at least 1"),
        ({"numerics__settle": 0}, "numerics", "at least one dt"),
        ({"protocols": {}}, "protocols", "at least 1"),
    ],
)  # fmt: skip
def test_a_rule_between_parts_is_named_at_the_part_to_change(changes, path, words):
    found = problems(**changes)
    assert path in found, found
    assert words in found[path].rule


def test_a_spec_error_counts_its_problems_and_shows_what_was_received():
    with pytest.raises(SpecError, match=r"not valid \(2 problems\)") as caught:
        Experiment.from_data(data(seed=-3, name="a b"))
    assert "received -3" in str(caught.value)
    assert "received 'a b'" in str(caught.value)


def test_a_format_of_the_future_is_refused_with_what_to_do():
    found = problems(format=2)
    assert list(found) == ["format"]
    assert "newer stpspec" in found["format"].rule
    assert "pip install" in found["format"].rule


@pytest.mark.parametrize("bad", ["1", 0, None, 1.5, True])
def test_a_format_that_never_was_is_refused(bad):
    assert list(problems(format=bad)) == ["format"]


@pytest.mark.parametrize("bad", [[], "text", 3, None, {"a": 1}])
@pytest.mark.parametrize(
    "field",
    ["model", "recording", "protocols", "parameters", "objective", "fitter", "numerics", "plugins"],
)
def test_a_field_of_the_wrong_shape_is_a_problem_and_never_a_crash(field, bad):
    if (field, bad) in [("plugins", []), ("objective", None)]:
        return
    found = problems(**{field: bad})
    assert any(p == field or p.startswith(f"{field}.") for p in found)


@pytest.mark.parametrize("bad", [None, 3, "text", [1]])
@pytest.mark.parametrize(
    "path",
    ["protocols__single", "parameters__U", "objective__terms", "objective__terms__size",
     "model__cell", "model__fixed", "model__net_con", "objective__terms__size__options",
     "objective__terms__size__loss_options", "objective__terms__size__target"],
)  # fmt: skip
def test_an_entry_of_the_wrong_shape_is_a_problem_and_never_a_crash(path, bad):
    if path.endswith("target") and bad == 3:
        return
    assert problems(**{path: bad})


# -- specs are data ---------------------------------------------------------------------------

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-6, 1e6)
potential = st.floats(-1000, 1000)
times = st.one_of(positive, st.builds("{!r} s".format, st.floats(1e-3, 10.0)))
words = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@st.composite
def bounds(draw):
    # Apart by more than the 15 digits to which a quantity with a unit is converted.
    low = draw(st.floats(1e-3, 1e3))
    high = low * draw(st.floats(1.001, 1e3))
    unit = draw(st.sampled_from(["", " ms", " s", " nS"]))
    write = (lambda v: v) if not unit else (lambda v: f"{v!r}{unit}")
    start = draw(st.sampled_from([None, low, high, low + 0.5 * (high - low)]))
    return {
        "min": write(low), "max": write(high), "start": None if start is None else write(start),
        "scale": draw(st.sampled_from(["linear", "log"])),
    }  # fmt: skip


protocols = st.one_of(
    st.fixed_dictionaries({"kind": st.just("single_event")}, optional={"duration": times}),
    st.fixed_dictionaries(
        {"kind": st.just("train"), "n_induction": st.integers(1, 50)},
        optional={
            "frequency": st.floats(1e-3, 1000.0), "recovery_delay": times,
            "n_recovery": st.integers(0, 50),
        },
    ),
    st.fixed_dictionaries(
        {"kind": st.just("continuous")},
        optional={
            "frequency": st.floats(1e-3, 1000.0),
            # With more, of 1 kHz, there are too many pulses.
            "duration": st.none() | times.filter(lambda t: isinstance(t, str) or t < 9e4),
        },
    ),
    st.fixed_dictionaries(
        {"kind": st.just("spike_times"),
         "times": st.lists(st.floats(0, 1e5), min_size=1, max_size=8, unique=True).map(sorted)},
        optional={"n_induction": st.just(1) | st.none(), "tail": times},
    ),
)  # fmt: skip

fitters = st.one_of(
    st.fixed_dictionaries({"kind": st.just("least_squares")}, optional={"step": st.just(1e-5)}),
    st.fixed_dictionaries(
        {"kind": st.just("minimize")},
        optional={
            "method": st.sampled_from(["SLSQP", "Powell", "COBYQA"]),
            "start": st.sampled_from(["given", "middle", "random", "sobol"]),
            "budget": st.fixed_dictionaries(
                {}, optional={"evaluations": st.none() | st.integers(1, 10**6), "seconds": positive}
            ),
            "on_failure": st.sampled_from(["penalty", "raise"]),
            "options": st.dictionaries(words, finite, max_size=2),
        },
    ),
    st.fixed_dictionaries(
        {"kind": st.just("minimize"), "start": st.sampled_from(["random", "sobol"]),
         "n_starts": st.integers(1, 1024)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("optuna")},
        optional={"sampler": st.sampled_from(["tpe", "random"]), "batch": st.integers(1, 256)},
    ),
)  # fmt: skip

recordings = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("voltage_clamp")},
        optional={"holding_potential": potential, "series_resistance": st.floats(1e-6, 1e5),
                  "electrode_section": words, "variables": st.lists(words, max_size=2)},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("current_clamp")}, optional={"holding_current": st.floats(-100, 100)}
    ),
)  # fmt: skip

numerics = st.fixed_dictionaries(
    {"settle": st.floats(1.0, 1e4)},
    optional={"dt": st.floats(1e-4, 1.0), "temperature": st.floats(-20, 60), "v_init": potential,
              "replicas": st.integers(1, 1024), "time_limit": positive},
)  # fmt: skip

term_extras = st.one_of(
    st.fixed_dictionaries({"loss": st.just("squared")}, optional={"sd": positive}),
    st.fixed_dictionaries(
        {"loss": st.just("huber")},
        optional={"sd": positive, "loss_options": st.fixed_dictionaries({"delta": positive})},
    ),
    st.fixed_dictionaries({"loss": st.just("band")}, optional={"sd": positive}),
)


@st.composite
def specs(draw):
    names = draw(st.lists(words.map("protocol_".__add__), min_size=1, max_size=3, unique=True))
    made = {
        "name": draw(words), "description": draw(text), "source": draw(text),
        "model": {
            "kind": "synapse",
            "cell": {"file": draw(words), "template": draw(words),
                     "arguments": draw(st.dictionaries(words, finite, max_size=2))},
            "mechanism": draw(words), "section": draw(words), "position": draw(st.floats(0, 1)),
            "mod": draw(st.lists(words, max_size=2)),
            "fixed": draw(st.dictionaries(words, finite | times, max_size=3)),
            "net_con": {"weight": draw(finite), "delay": draw(st.floats(0, 100))},
        },
        "recording": draw(recordings),
        "protocols": {name: draw(protocols) for name in names},
        "parameters": draw(st.dictionaries(words, bounds(), min_size=1, max_size=3)),
        "fitter": draw(fitters),
        "numerics": draw(numerics),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }  # fmt: skip
    term_names = draw(st.lists(words.map("target_term_".__add__), max_size=3, unique=True))
    if term_names:
        made["objective"] = {
            "terms": {
                name: {
                    "metric": draw(st.sampled_from(["amplitude", "rise_time", "charge"])),
                    "protocol": draw(st.sampled_from(names)),
                    "target": draw(positive), "weight": draw(positive), **draw(term_extras),
                }
                for name in term_names
            }
        }  # fmt: skip
    return made


@given(specs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_spec_round_trips_through_yaml_and_json_unchanged(made):
    original = Experiment.from_data(made)
    through_json = Experiment.from_data(json.loads(json.dumps(original.to_data())))
    through_yaml = Experiment.from_data(yaml.safe_load(to_yaml(original)))
    assert through_json == original
    assert through_yaml == original
    assert through_json.digest == through_yaml.digest == original.digest
    assert hash(through_yaml) == hash(original)
    assert through_yaml.to_data() == original.to_data()


def test_the_digest_does_not_depend_on_the_order_of_fields_or_on_how_a_value_is_written():
    one, two = data(seed=3), data(numerics__settle="0.02 s", seed=3)
    assert Experiment.from_data(one).digest == Experiment.from_data(two).digest
    shuffled = dict(reversed(list(one.items())))
    assert Experiment.from_data(shuffled).digest == Experiment.from_data(one).digest
    assert Experiment.from_data(data(seed=4)).digest != Experiment.from_data(one).digest


def test_the_digest_is_the_same_in_another_process():
    done = python(
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import small\n"
        "print(small.experiment().digest)"
    )
    assert done.stdout.strip() == experiment().digest, done.stderr


def test_a_spec_is_frozen():
    with pytest.raises(SpecError, match=r"frozen: experiment\.changed"):
        experiment().seed = 3
    with pytest.raises(SpecError, match="did you mean 'seed'"):
        experiment().sed = 3


def test_a_copy_with_changes_is_validated():
    made = experiment()
    assert made.copy_with(seed=5).seed == 5
    assert made.seed == 0
    with pytest.raises(ValueError, match="seed"):
        made.copy_with(seed=-1)


# -- what is shipped --------------------------------------------------------------------------

GROUPS = ("model", "recording", "protocol", "fitter", "numerics", "objective")
CONF = sorted(p for p in (ROOT / "conf").glob("*/*.yaml") if p.parent.name in GROUPS)


@pytest.mark.parametrize("path", CONF, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_file_in_conf_is_valid(path):
    group, content = path.parent.name, yaml.safe_load(path.read_text())
    tables = {
        "model": registry.MODELS, "recording": registry.RECORDINGS,
        "protocol": registry.PROTOCOLS, "fitter": registry.FITTERS,
    }  # fmt: skip
    if group in tables:
        cls = tables[group].get(content["kind"])
    else:
        cls = {"numerics": Numerics, "objective": Objective}[group]
    cls.model_validate(content)


def test_every_yaml_file_in_conf_belongs_to_a_group_that_is_tested():
    others = [p for p in (ROOT / "conf").rglob("*.yaml") if p not in CONF]
    assert [p.name for p in others] == ["config.yaml"]


@pytest.mark.parametrize("name", sorted(experiments()))
def test_every_shipped_experiment_loads(name):
    loaded = load(name)
    assert loaded.name == name
    assert loaded.source, "an experiment says where its targets come from"
    assert Experiment.from_data(loaded.to_data()) == loaded


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("conf/**/*.yaml"), *ROOT.glob("experiments/*/*.yaml")]), ids=str
)
def test_no_yaml_file_names_code_to_run(path):
    assert "_target_" not in path.read_text()


REGISTRIES = [v for v in vars(registry).values() if isinstance(v, registry.Registry)]


@pytest.mark.parametrize("table", REGISTRIES, ids=lambda t: t.sort)
def test_every_registered_name_resolves(table):
    for name in table.names():
        thing = table.get(name)
        made = getattr(thing, "function", thing)
        if made.__module__.startswith("stpspec."):  # another test may have left a plug-in
            assert made.__doc__, f"{name} does not say what it is"


@pytest.mark.parametrize("table", REGISTRIES, ids=lambda t: t.sort)
def test_an_unknown_name_is_answered_with_those_that_are_known(table):
    from stpspec.errors import UnknownNameError

    with pytest.raises(UnknownNameError, match=f"no {table.sort} is called 'zzzz'") as caught:
        table.get("zzzz")
    assert all(name in str(caught.value) for name in table.names())


def test_a_name_of_ours_cannot_be_taken_and_the_clash_is_told_where_it_is_made():
    done = python(
        "import stpspec\n"
        "try:\n"
        "    @stpspec.metric('amplitude', 'mV')\n"
        "    def mine(response): 'Mine.'\n"
        "except ValueError as error: print(error)\n"
        "from stpspec.registry import METRICS\n"
        "print(METRICS.get('amplitude').unit, 'rise_time' in METRICS.names())"
    )
    clash, kept = done.stdout.splitlines()
    assert "a metric called 'amplitude' is already registered" in clash
    assert kept == "signal True"


def test_running_a_notebook_cell_again_registers_the_same_name_again():
    table = registry.Registry("thing", "stpspec.errors", "stpspec.nothing")
    for _ in range(2):

        @table.register("mine")
        def mine():
            pass

    assert table.names() == ["mine"]
    with pytest.raises(ValueError, match="already registered"):
        table.register("mine")(dict)


def test_every_kind_has_the_name_it_is_registered_under():
    for table in (registry.MODELS, registry.RECORDINGS, registry.PROTOCOLS, registry.FITTERS):
        for name in table.names():
            assert table.get(name).model_fields["kind"].default == name


# -- the schema -------------------------------------------------------------------------------


def _references(schema):
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


@pytest.mark.parametrize("part", [None, *GROUPS])
def test_every_reference_in_a_schema_resolves(part):
    schema = json_schema(part)
    assert json.loads(json.dumps(schema)) == schema
    for reference in _references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_the_schema_knows_every_field_of_every_kind():
    schema = json_schema()
    for table in (registry.MODELS, registry.RECORDINGS, registry.PROTOCOLS, registry.FITTERS):
        for name in table.names():
            cls: type[BaseModel] = table.get(name)
            shown = schema["$defs"][cls.__name__]
            assert set(shown["properties"]) == set(cls.model_fields)
            assert shown["additionalProperties"] is False


def test_a_schema_requires_nothing_that_a_group_may_supply():
    schema = json_schema()
    assert "required" not in schema
    assert not any("required" in definition for definition in schema["$defs"].values())
    assert {"defaults", "hydra"} <= set(schema["properties"])


# -- light ------------------------------------------------------------------------------------

HEAVY = ("neuron", "optuna", "matplotlib", "xarray", "scipy.optimize", "scipy.stats",
         "scipy.linalg", "scipy.sparse", "scipy.special")  # fmt: skip
# (pint itself asks whether there is a scipy: the empty shell of that package is loaded.)


def test_loading_an_experiment_imports_nothing_heavy():
    done = python(
        "import sys, stpspec\n"
        "from stpspec.config.compose import experiments\n"
        "for name in experiments(): stpspec.load(name)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_module_that_registers_a_built_in_is_named_by_its_registry():
    done = python(
        "import importlib, pkgutil, stpspec.fitters, stpspec.metrics\n"
        "from stpspec.registry import COSTS, FITTERS, LOSSES, METRICS\n"
        "def names(): return [table.names() for table in (COSTS, FITTERS, LOSSES, METRICS)]\n"
        "before = names()\n"
        "for package in (stpspec.fitters, stpspec.metrics):\n"
        "    for module in pkgutil.iter_modules(package.__path__, f'{package.__name__}.'):\n"
        "        importlib.import_module(module.name)\n"
        "assert names() == before and all(before[1:])"
    )
    assert done.returncode == 0, done.stderr


# -- plug-ins ---------------------------------------------------------------------------------


def test_a_plugin_module_that_cannot_be_imported_is_one_clear_problem(tmp_path, monkeypatch):
    found = problems(plugins=["no_such_plugin_module"], seed=-1)
    assert set(found) == {"plugins.0", "seed"}  # and what else is wrong is told beside it
    assert "'no_such_plugin_module' cannot be imported" in found["plugins.0"].rule
    assert "ModuleNotFoundError" in found["plugins.0"].rule
    (tmp_path / "plugin_that_breaks.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "ZeroDivisionError" in problems(plugins=["plugin_that_breaks"])["plugins.0"].rule
    assert "plugin_that_breaks" not in sys.modules
    (tmp_path / "plugin_that_exits.py").write_text("import sys\nsys.exit(0)\n")
    assert "SystemExit: 0" in problems(plugins=["plugin_that_exits"])["plugins.0"].rule


PLUGIN = '''\
"""A metric, a loss, a cost function, a protocol and a fitter of one's own."""

from typing import Literal

import numpy as np

import stpspec
from stpspec.fitters.outcome import Outcome
from stpspec.specs.fitter import FitterSpec
from stpspec.specs.protocol import Protocol
from stpspec.specs.stimulus import Stimulus


@stpspec.metric("peak_in_nanoampere", "nA")
def peak_in_nanoampere(response, *, factor: float = 1.0) -> float:
    """Peak of the first response, nA."""
    return float(response.amplitudes[0]) * 1e-3 * factor


@stpspec.loss("fourth_power", residuals=True)
def fourth_power(value, target, sd, *, scale: float = 1.0):
    """((value - target) / sd)^4."""
    return scale * ((value - target) / sd) ** 4


@stpspec.cost("distance")
def distance(metrics, targets, *, power: float = 1.0) -> float:
    """Sum of the absolute misses."""
    return float(sum(abs(metrics[n] - targets[n]) ** power for n in targets))


@stpspec.protocol("pair_of_events")
class PairOfEvents(Protocol):
    """Two events, so far apart."""

    kind: Literal["pair_of_events"] = "pair_of_events"
    interval: float = 5.0

    def stimulus(self, timing):
        return Stimulus((0.0, self.interval), self.interval + 20.0)

    def provides(self):
        return frozenset({"event", "pair"})


@stpspec.fitter("grid")
class Grid(FitterSpec):
    """Every point of a grid, as one batch."""

    kind: Literal["grid"] = "grid"
    points: int = 5

    def minimize(self, problem):
        axes = [np.linspace(0, 1, self.points)] * problem.n
        problem.evaluate(np.stack([a.ravel() for a in np.meshgrid(*axes)], axis=1))
        return Outcome("finished", f"{self.points} points an axis")
'''

USE = """\
import json, sys
sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])
import small, stpspec
from stpspec.specs.experiment import Experiment
changed = dict(
    plugins=["my_plugin"], name="plugged",
    protocols={"pair": {"kind": "pair_of_events", "interval": 4.0}},
    objective__terms={
        "peak": {"metric": "peak_in_nanoampere", "protocol": "pair", "target": 0.035,
                 "options": {"factor": 1.0}, "loss": "fourth_power", "sd": 0.001},
        "ratio": {"metric": "paired_pulse_ratio", "protocol": "pair", "target": 0.5},
    },
    fitter={"kind": "grid", "points": 9},
)
exp = small.experiment(**changed)
assert Experiment.from_data(exp.to_data()) == exp
assert stpspec.check(exp) == []
res = stpspec.fit(exp)
assert res.n_evaluations == 9 and res.status == "finished", res
assert 'nA' in str(res)
cost = small.experiment(**changed, objective__cost="distance", objective__cost_options={"power": 2})
cos = stpspec.fit(cost)
bad = small.data(**changed, objective__cost="distance", objective__cost_options={"pwer": 2})
bad["fitter"]["point"] = 3
found = [p.path for p in stpspec.check(bad)]
print(json.dumps([list(res.history.loss.values), res.parameters, cos.loss,
                  {k: float(v) for k, v in cos.metrics.items()}, found]))
"""


def test_drive_that_would_not_fit_into_memory_is_refused_before_anything_is_simulated():
    drive = {"kind": "continuous", "frequency": "1 kHz", "duration": "200 s"}
    for kind in (drive, {"kind": "single_event", "duration": "1e9 s"}):
        made = data()
        made["protocols"]["more"] = kind
        _, problems, _ = examine(made)
        assert [p.path for p in problems][:1] in (["protocols.more"], ["protocols.more.duration"])


@pytest.mark.long
def test_a_plugin_module_adds_a_metric_a_loss_a_cost_a_protocol_and_a_fitter(tmp_path):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    done = python(USE, str(tmp_path), str(ROOT / "tests"))
    assert done.returncode == 0, done.stderr
    losses, parameters, cost, metrics, found = json.loads(done.stdout.splitlines()[-1])
    assert losses.index(min(losses)) == (parameters["U"] - 0.1) / 0.8 * 8
    assert cost == pytest.approx((metrics["peak"] - 0.035) ** 2 + (metrics["ratio"] - 0.5) ** 2)
    assert set(found) == {"fitter.point", "objective.cost_options.pwer"}


MISTAKEN = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, stpspec
from helpers import dataset_of, measure, tree_of
from small import experiment
from stpspec.errors import MetricError
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement

@stpspec.metric("several", "pA")
def several(response):
    return np.arange(3.0)

@stpspec.metric("single", "pA", vector=True)
def single(response):
    return 3.0

@stpspec.loss("raising")
def raising(value, target, sd):
    raise KeyError("nothing")

time = np.arange(0.0, 20.0, 0.5)
tree = tree_of({"one": dataset_of(time, [np.exp(-time)], [5.0])})
print(measure(tree, "several", "one")[0].reason)
print(measure(tree, "single", "one")[0].reason)
term = {"metric": "amplitude", "protocol": "single", "target": 1.0, "loss": "raising"}
try:
    fitter = {"kind": "minimize"}
    Judge(experiment(objective={"terms": {"t": term}}, fitter=fitter).objective)(
        {"t": Measurement(np.array(2.0), "pA")})
except MetricError as error:
    print(error)
"""


def test_a_plugin_that_gives_what_it_does_not_declare_or_raises_is_named():
    done = python(MISTAKEN, str(ROOT / "tests"))
    several, single, raising = done.stdout.splitlines()
    assert "'several' failed: it gave values of shape (3,), and declares one number" in several
    assert "'single' failed: it gave a number, and declares a list of numbers" in single
    assert raising == "t: the loss 'raising' failed: KeyError: 'nothing'"


@pytest.mark.parametrize("wrong", ["0,1", "x", [1], True, None, {}, float("nan")])
def test_both_bounds_may_be_wrong_in_any_way(wrong):
    _, problems, parts = examine(data(parameters={"U": {"min": wrong, "max": wrong}}))
    assert {p.path for p in problems} == {"parameters.U.min", "parameters.U.max"}
    assert set(parts["parameters"]) == {"U"}


@pytest.mark.parametrize("verb", [stpspec.fit, stpspec.simulate, lambda e: stpspec.sweep(e, {})])
@pytest.mark.parametrize(
    ("given", "cure"),
    [("pvalb_pyr", r"stpspec\.load\('pvalb_pyr'\)"), ({"name": "x"}, "from_data"), (3, "load")],
)
def test_what_is_no_experiment_is_refused_with_what_makes_one_of_it(verb, given, cure):
    with pytest.raises(TypeError, match=f"an Experiment is needed, and not .*{cure}"):
        verb(given)
