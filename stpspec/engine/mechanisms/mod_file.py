"""Content of a .mod file: what it declares, and what it does that a loaded mechanism hides."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stpspec.engine.mechanisms import c_code, generators, linear_kinetics, sharing, tokens
from stpspec.engine.mechanisms.syntax import Node

_DECLARATIONS = ("NEURON", "ASSIGNED", "PARAMETER")
_DECLARING = ("NeuronBlock", "AssignedBlock", "ParamBlock")


@dataclass(frozen=True)
class ModFile:
    """What a .mod file says.

    Attributes
    ----------
    kind : str
        POINT_PROCESS, ARTIFICIAL_CELL or SUFFIX; empty if it declares no mechanism.
    name : str
        Of the mechanism; empty if it declares none.
    parsed : bool
        Whether NEURON's parser has read it. If not, only ``kind``, ``name``, ``pointers``,
        ``pointers_read``, ``receives_events``, ``verbatim`` and ``draws_random`` are known, from
        its words; ``exact`` is False, and all else is empty.
    parameters : dict of str to str
        PARAMETER → unit, empty without one.
    limits : dict of str to (float, float)
        PARAMETER → ``<low, high>``.
    range_variables, global_variables : frozenset of str
    pointers : tuple of str
        POINTER and BBCOREPOINTER.
    pointers_read : tuple of str
        Those that its equations use: unset, they end the process. C code may test for that.
    inputs : tuple of str
        RANGE variables that equations use, that nothing in the file sets, and that are no
        PARAMETER: somebody else fills them.
    ions : dict of str to tuple of str
        Ion of a USEION → the variables of it that are written.
    nonspecific_currents, electrode_currents : tuple of str
    random_variables : tuple of str
        Declared as RANDOM.
    states : tuple of str
    methods : tuple of str
        Of each SOLVE; empty where none is given.
    receives_events : bool
        Whether there is a NET_RECEIVE block.
    event_arguments : dict of str to str
        Argument of NET_RECEIVE → unit; the first is the weight.
    unset_arguments : tuple of str
        Further arguments of NET_RECEIVE that it uses and never assigns: they need values. Not those
        that it does no more than compare with 0, which is the value of what nobody sets.
    initial_arguments : tuple of str
        Those that its INITIAL block assigns.
    stream_states : tuple of str
        Arguments of NET_RECEIVE that it assigns: what a NetCon remembers.
    verbatim : bool
        Whether there is C code in it.
    uncalled_c : tuple of str
        PROCEDUREs and FUNCTIONs with C code that nothing in the file calls, such as setRNG.
    draws_random : bool
        Whether it, or its C code, speaks of random numbers.
    calls : frozenset of str
        Functions that it calls and does not define, such as net_send and exp.
    sends_initially : bool
        Whether INITIAL sends the mechanism an event: net_send.
    assigned_initially : tuple of str
        PARAMETERs that INITIAL changes.
    tabulated : tuple of str
        Variables of an instance that a TABLE is made of: of one instance, for all of them.
    written_globals : tuple of str
        What all instances share and the file writes: GLOBAL and other variables of the mechanism.
    static_c : bool
        Whether its C code keeps data of its own, in one place for all instances.
    remembered : tuple of str
        What an instance changes and INITIAL does not set: PARAMETERs, variables, the weight.
    reads_time : bool
        Whether a step depends on the time itself, which no error of a variable step tells.
    seeders, distribution, of_neuron, unseedable, seeds_itself, in_steps
        What its random numbers are drawn from, as in
        :class:`stpspec.engine.mechanisms.generators.Generators`.
    exact : bool
        Whether a step of any size integrates it exactly at a constant voltage.
    """

    kind: str = ""
    name: str = ""
    parsed: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    range_variables: frozenset[str] = frozenset()
    global_variables: frozenset[str] = frozenset()
    pointers: tuple[str, ...] = ()
    pointers_read: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    ions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    nonspecific_currents: tuple[str, ...] = ()
    electrode_currents: tuple[str, ...] = ()
    random_variables: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    receives_events: bool = False
    event_arguments: dict[str, str] = field(default_factory=dict)
    unset_arguments: tuple[str, ...] = ()
    initial_arguments: tuple[str, ...] = ()
    stream_states: tuple[str, ...] = ()
    verbatim: bool = False
    uncalled_c: tuple[str, ...] = ()
    draws_random: bool = False
    calls: frozenset[str] = frozenset()
    sends_initially: bool = False
    assigned_initially: tuple[str, ...] = ()
    tabulated: tuple[str, ...] = ()
    written_globals: tuple[str, ...] = ()
    static_c: bool = False
    remembered: tuple[str, ...] = ()
    reads_time: bool = False
    seeders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    distribution: str = ""
    of_neuron: bool = False
    unseedable: tuple[str, ...] = ()
    seeds_itself: bool = False
    in_steps: bool = False
    exact: bool = False

    @property
    def membrane_currents(self) -> tuple[str, ...]:
        """Currents that flow through the membrane: nonspecific ones, and those of ions."""
        of_ions = (n for ion, written in self.ions.items() for n in written if n == f"i{ion}")
        return tuple(dict.fromkeys([*self.nonspecific_currents, *of_ions]))

    @property
    def sees_others(self) -> bool:
        """Whether it may share more with its neighbors than the voltage; so if that is unknown."""
        return bool(
            not self.parsed or self.ions or self.pointers or self.electrode_currents
            or self.random_variables or self.verbatim
        )  # fmt: skip


def to_json(content: ModFile) -> str:
    """Return a text that :func:`from_json` reads."""
    return json.dumps(dataclasses.asdict(content), default=sorted)  # a set has no order


def from_json(text: str) -> ModFile:
    """Return what :func:`to_json` has written.

    Raises
    ------
    ValueError
        If it is something else.
    """
    written, usual = json.loads(text), dataclasses.asdict(ModFile())
    if not isinstance(written, dict) or set(written) != set(usual):
        raise ValueError(text)
    return ModFile(**{name: _typed(written[name], like) for name, like in usual.items()})


def _typed(value: Any, like: Any) -> Any:
    """Return a value of the type of another; JSON has neither tuples nor sets."""
    if not isinstance(value, list if isinstance(like, tuple | frozenset) else type(like)):
        raise ValueError(value)
    if isinstance(value, dict):  # of texts, or of tuples
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    return type(like)(value)


def from_words(text: str) -> ModFile:
    """Return what can be told of the text of a .mod file that no parser reads."""
    found = list(tokens.tokens(text))
    kind, name = tokens.declaration(found)
    pointers = tuple(dict.fromkeys(tokens.pointers(found)))
    words = {t.text for t in found if t.kind == "word"}
    used = {t.text for t in found if t.kind == "word" and t.block not in _DECLARATIONS}
    c = [t.text for t in found if t.kind == "c"]
    return ModFile(
        kind=kind,
        name=name,
        pointers=pointers,
        pointers_read=_in_order(pointers, used),
        receives_events="NET_RECEIVE" in words,
        verbatim=bool(c),
        draws_random=generators.speaks(words) or generators.speaks(generators.c_words(c)),
        static_c=c_code.keeps_data(c, c),
        reads_time="STATE" not in words,
        **vars(generators.of_words(text, c)),
    )


def from_tree(program: Node) -> ModFile:
    """Return what the syntax tree of a .mod file says."""
    kind, name = next(
        ((s.children[0].text, s.children[1].text) for s in program.walk("Suffix")), ("", "")
    )
    blocks = list(_blocks(program))
    parameters = {_name(p): p for p in program.walk("ParamAssign")}
    used = {name for b in blocks if b.kind not in _DECLARING for name in b.names()}
    receive = next(program.walk("NetReceiveBlock"), Node(""))
    arguments = {_name(a): _unit(a) for a in receive.children if a.kind == "Argument"}
    pointers = _listed(program, "PointerVar", "BbcorePointerVar")
    in_range = frozenset(_listed(program, "RangeVar"))
    random = _listed(program, "RandomVar")
    c = [v.text for v in program.walk("Verbatim")]
    initially = linear_kinetics.reached(program, [b for b in blocks if b.kind == "InitialBlock"])
    set_initially = {n for b in initially for n in linear_kinetics.assigned(b)}
    return ModFile(
        kind=kind,
        name=name,
        parsed=True,
        written_globals=sharing.written_globals(program),
        static_c=c_code.keeps_data(c, [v.text for v in program.children if v.kind == "Verbatim"]),
        remembered=sharing.remembered(program),
        reads_time=sharing.reads_time(program),
        parameters={n: _unit(p) for n, p in parameters.items()},
        limits=dict(_limits(parameters)),
        range_variables=in_range,
        global_variables=frozenset(_listed(program, "GlobalVar")),
        pointers=pointers,
        pointers_read=_in_order(pointers, used),
        inputs=_in_order(sharing.inputs(program), used),
        ions={_name(ion): _listed(ion, "WriteIonVar") for ion in program.walk("Useion")},
        nonspecific_currents=_listed(program, "NonspecificCurVar"),
        electrode_currents=_listed(program, "ElectrodeCurVar"),
        random_variables=random,
        states=tuple(_name(s) for b in program.walk("StateBlock")
                     for s in b.children if s.kind == "AssignedDefinition"),
        methods=tuple(linear_kinetics.methods(program)),
        receives_events=bool(receive.kind),
        event_arguments=arguments,
        unset_arguments=_unset_arguments(receive, tuple(arguments)),
        initial_arguments=_in_order(arguments, {
            n for b in receive.walk("InitialBlock") for n in linear_kinetics.assigned(b)}),
        stream_states=_in_order(arguments, linear_kinetics.assigned(receive)),
        verbatim=bool(c),
        uncalled_c=_uncalled_c(program),
        draws_random=generators.draws(program),
        calls=frozenset(program.calls() - {_name(b) for b in _procedures(program)}),
        sends_initially=any("net_send" in b.calls() for b in initially),
        assigned_initially=_in_order(parameters, set_initially),
        tabulated=sharing.tabulated(program),
        exact=linear_kinetics.exact_in_any_step(program),
        **vars(generators.of_tree(program)),
    )  # fmt: skip


def _unset_arguments(receive: Node, arguments: tuple[str, ...]) -> tuple[str, ...]:
    if "_args" in generators.c_words(v.text for v in receive.walk("Verbatim")):
        return ()  # C code may set any of them
    body = [n for n in receive.children if n.kind != "Argument"]
    uses = Counter(n.text for b in body for n in b.walk("Name"))
    switches: Counter[str] = Counter()
    for_nothing = set[str]()
    for compared in (n for b in body for n in b.walk("BinaryExpression")):
        sides = [c for c in compared.children if c.kind != "BinaryOperator"]
        operator = next((c.text for c in compared.children if c.kind == "BinaryOperator"), "")
        names = [n.text for side in sides for n in side.walk("Name")]
        numbers = [n.text for side in sides for n in side.walk("Integer", "Double")]
        if operator in ("==", "!=") and len(names) == len(numbers) == 1:
            switches[names[0]] += 1
            for_nothing |= set(names) if float(numbers[0]) == 0 else set()
    assigned = linear_kinetics.assigned(receive)
    return tuple(
        n for n in arguments[1:]
        if uses[n] and n not in assigned and not (switches[n] == uses[n] and n in for_nothing)
    )  # fmt: skip


def _blocks(program: Node) -> Iterator[Node]:
    """Yield the blocks of a file and of what it includes."""
    for block in program.children:
        if block.kind == "Include":
            yield from _blocks(block)
        else:
            yield block


def _limits(parameters: Mapping[str, Node]) -> Iterator[tuple[str, tuple[float, float]]]:
    for name, parameter in parameters.items():
        limits = parameter.child("Limits")
        if limits is not None:
            low, high = limits.children
            yield name, (float(low.text), float(high.text))


def _name(node: Node) -> str:
    """Return the name that a declaration begins with, without the size of an array."""
    return next(node.walk("Name")).text


def _unit(node: Node) -> str:
    unit = node.child("Unit")
    return unit.text if unit is not None else ""


def _listed(node: Node, *kinds: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_name(found) for found in node.walk(*kinds)))


def _in_order(names: Iterable[str], chosen: set[str]) -> tuple[str, ...]:
    return tuple(n for n in names if n in chosen)


def _procedures(program: Node) -> list[Node]:
    return list(program.walk("ProcedureBlock", "FunctionBlock"))


def _uncalled_c(program: Node) -> tuple[str, ...]:
    called = program.calls()
    return tuple(
        _name(b) for b in _procedures(program) if any(b.walk("Verbatim")) and _name(b) not in called
    )
