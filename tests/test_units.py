"""Quantities: numbers or strings with a unit, refused with a message that names the unit."""

import gc
import math
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from small import python

from stpspec import units
from stpspec.specs import quantities
from stpspec.units import UnitError, convert, split

# type → (unit in messages, "1" of another unit of the dimension, its value, a wrong dimension)
TYPES = {
    "Millisecond": ("ms", "1 s", 1000.0, "1 mV"),
    "Millivolt": ("mV", "1 V", 1000.0, "1 ms"),
    "Nanoampere": ("nA", "1 pA", 0.001, "1 nS"),
    "Microsiemens": ("uS", "1 nS", 0.001, "1 nA"),
    "Hertz": ("Hz", "1 kHz", 1000.0, "1 ms"),
    "Celsius": ("degC", "274.15 K", 1.0, "1 ms"),
    "Megaohm": ("Mohm", "1 kohm", 0.001, "1 uS"),
    "Second": ("s", "1 min", 60.0, "1 mV"),
}


@pytest.fixture(params=TYPES, ids=str)
def typed(request):
    return (TypeAdapter(getattr(quantities, request.param)), *TYPES[request.param])


def test_a_bare_number_is_in_the_unit_of_the_field(typed):
    adapter = typed[0]
    assert adapter.validate_python(2) == 2.0
    assert adapter.validate_python(2.5) == 2.5
    assert adapter.validate_python("2.5") == 2.5


def test_a_string_is_converted_to_the_unit_of_the_field(typed):
    adapter, unit, other, value, _ = typed
    assert adapter.validate_python(other) == pytest.approx(value, rel=1e-14)
    assert adapter.validate_python(f"2.5 {unit}") == 2.5
    assert adapter.validate_python(f"2.5{unit}") == 2.5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "nan", "inf ms", "1e999", "", "ms"])
def test_what_is_not_a_finite_number_is_refused_with_the_unit(typed, bad):
    adapter, unit, *_ = typed
    with pytest.raises(ValidationError, match=rf"\b{unit}\b"):
        adapter.validate_python(bad)


@pytest.mark.parametrize("bad", [True, False, None, [1.0], {"value": 1}, b"1", 1j])
def test_what_is_no_number_or_text_is_refused_with_the_unit(typed, bad):
    adapter, unit, *_ = typed
    with pytest.raises(ValidationError, match=rf"\b{unit}\b"):
        adapter.validate_python(bad)


def test_a_unit_of_another_dimension_is_refused_with_both_units(typed):
    adapter, unit, _, _, wrong = typed
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(wrong)
    assert f"in {unit}" in str(caught.value)
    assert repr(wrong.split()[1]) in str(caught.value)


@pytest.mark.parametrize(
    "bad", ["1 parsec/ms", "1 mss", "1 m s V", "1 )", "1 ms ms", "1 __import__"]
)
def test_unknown_units_are_refused(bad):
    with pytest.raises(UnitError, match="ms"):
        convert(bad, "ms")


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.25 s", "ms", 250.0), ("-10 pA", "nA", -0.01), ("34 °C", "degC", 34.0),
        ("34 degC", "degC", 34.0), ("0.5 nS", "uS", 0.0005), ("0.5 µS", "uS", 0.5),
        ("0.5 μS", "uS", 0.5), ("500 MΩ", "Mohm", 500.0), ("500 MOhm", "Mohm", 500.0),
        ("1 umho", "uS", 1.0), ("1 mA/cm2", "uA/cm2", 1000.0), ("5 /ms", "1/s", 5000.0),
        ("5 /s", "kHz", 0.005), ("1e-3 s", "ms", 1.0), (".5 s", "ms", 500.0), ("+2 ms", "ms", 2.0),
        ("0.3", "1", 0.3), (0.3, "", 0.3), (3, "ms", 3.0), ("100 um2", "um2", 100.0),
    ],
)  # fmt: skip
def test_the_ways_people_and_mechanisms_write_units_are_understood(text, unit, value):
    assert convert(text, unit) == pytest.approx(value, rel=1e-14)


def test_a_unit_where_the_mechanism_declares_none_is_refused_in_plain_words():
    with pytest.raises(UnitError, match=r"expected a number without unit, and 'ms' is one"):
        convert("3 ms", "1")


def test_a_conversion_adds_no_noise_to_the_decimal_digits():
    assert convert("-10 pA", "nA") == -0.01
    assert convert("0.3 nS", "uS") == 0.0003


@given(st.floats(-1e9, 1e9, allow_subnormal=False))
def test_a_number_written_with_its_unit_is_the_number(value):
    assert convert(f"{value!r} ms", "ms") == pytest.approx(value, rel=1e-14)
    assert convert(repr(value), "ms") == value


def test_a_quantity_is_split_into_number_and_unit():
    assert split(" 20  ms ") == (20.0, "ms")
    assert split("-1.5e-3") == (-0.0015, "")
    with pytest.raises(UnitError, match="'twenty ms'"):
        split("twenty ms")


@pytest.mark.parametrize("bad", [True, None, math.nan, math.inf, "nan ms", "1 mss", [1]])
def test_a_quantity_of_the_mechanism_is_checked_in_form_before_its_unit_is_known(bad):
    with pytest.raises(ValidationError):
        TypeAdapter(quantities.Quantity).validate_python(bad)


def test_what_is_copied_from_a_paper_or_declared_in_nmodl_is_understood():
    assert convert("\u221270 mV", "mV") == -70.0
    assert convert("100 MOhm", "megohm") == 100.0
    assert convert("1.5 ohm m", "ohm-cm") == pytest.approx(150.0)


def test_a_unit_of_the_mechanism_that_is_unknown_is_not_blamed_on_the_user():
    with pytest.raises(UnitError, match=r"the unit 'furlongs/xx' of the mechanism"):
        convert("3 ms", "furlongs/xx")


def test_an_unknown_unit_is_not_said_to_be_expected():
    with pytest.raises(ValidationError, match=r"unknown unit '-01-01'") as caught:
        TypeAdapter(quantities.Quantity).validate_python("2020-01-01")  # a date
    assert "expected -01-01" not in str(caught.value)


def test_a_quantity_of_the_mechanism_keeps_what_was_written():
    adapter = TypeAdapter(quantities.Quantity)
    assert adapter.validate_python("20 ms") == "20 ms"
    assert adapter.validate_python("20") == 20.0
    assert adapter.validate_python(20) == 20.0


def test_pint_is_imported_only_for_units_that_were_never_converted_before(tmp_path):
    code = (
        "import sys; from pydantic import TypeAdapter\n"
        "from stpspec.specs.quantities import Quantity\nfrom stpspec.units import convert\n"
        "convert(1.0, 'ms'); convert('1.5', 'ms'); assert 'pint' not in sys.modules\n"
        "TypeAdapter(Quantity).validate_python('5 nS')\n"
        "print(convert('1 s', 'ms'), convert('-10 pA', 'nA'), 'pint' in sys.modules)"
    )
    told = [python(code, STPSPEC_CACHE=str(tmp_path)).stdout for _ in range(2)]
    assert told == ["1000.0 -0.01 True\n", "1000.0 -0.01 False\n"]


@pytest.mark.parametrize(
    ("written", "unit"),
    [("pA", "nA"), ("kohm", "Mohm"), ("mA/cm2", "uA/cm2"), ("min", "ms"), ("nS", "uS"),
     ("degC", "degC"), ("/ms", "kHz"), ("K", "degC"), ("degF", "degC"), ("mV", "V")],
)  # fmt: skip
@settings(deadline=None)  # the first example imports pint
@given(number=st.floats(-1e9, 1e9, allow_subnormal=False))
def test_a_remembered_conversion_gives_the_number_of_pint_to_the_bit(written, unit, number):
    asked = float(f"{units._ask_pint(number, written, unit):.15g}")
    assert convert(f"{number!r} {written}", unit) == asked


def test_a_wrong_unit_is_told_alike_whether_or_not_others_are_remembered(tmp_path):
    code = (
        "from stpspec.units import UnitError, convert\nconvert('1 s', 'ms')\n"
        "wrong = (('1 mss', 'ms'), ('1 mV', 'ms'), ('1 s', '1'), ('1 s', 'furlongs/xx'))\n"
        "for text, unit in wrong:\n"
        "    try: print(convert(text, unit))\n"
        "    except UnitError as error: print(error)"
    )
    told = [python(code, STPSPEC_CACHE=str(tmp_path)).stdout for _ in range(2)]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 4
    assert "has another dimension" in told[0]


ASK = "from stpspec.units import convert; print(convert('5 ms', 's'))"


@pytest.mark.parametrize(
    "damage",
    [b"", b'{"ms": 3}',
     *(pytest.param(d, marks=pytest.mark.long)
       for d in (b"\x80\x04", b"[1]", b'{"ms": {"s": "x"}}'))],
)  # fmt: skip
def test_units_are_known_also_when_their_cache_is_torn_by_a_crash(damage, tmp_path):
    assert python(ASK, STPSPEC_CACHE=str(tmp_path)).stdout == "0.005\n"
    for file in (tmp_path / "units").iterdir():
        file.write_bytes(damage if file.suffix == ".json" else file.read_bytes()[:100])
    for _ in range(2):
        done = python(ASK, STPSPEC_CACHE=str(tmp_path))
        assert done.stdout == "0.005\n", done.stderr


def test_units_are_known_also_when_their_cache_cannot_be_written(tmp_path):
    (tmp_path / "cache").write_text("a file")
    done = python(ASK, STPSPEC_CACHE=str(tmp_path / "cache"))
    assert done.stdout == "0.005\n", done.stderr


def test_a_refused_conversion_holds_nothing_of_those_who_asked():
    """Else the cell of a rig stays in NEURON, and is integrated with the next one."""

    class Cell:
        pass

    def ask():
        cell = Cell()
        with pytest.raises(UnitError):
            convert("1 mV", "ms")
        return weakref.ref(cell)

    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()
