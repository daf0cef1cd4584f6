"""Generators of random numbers: which a .mod file draws from, and how each is seeded, by its text.

Public mechanisms draw in four ways: from RANDOM variables (NEURON 9), from a Random123 stream or a
Random object that a procedure such as ``setRNG`` or ``noiseFromRandom`` is given, and from NEURON's
one generator for all (``scop_random``, ``exprand``). Unseeded, the second kind often gives one
number for ever, so that two runs are equal: only the text tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stpspec.engine.mechanisms import c_code, linear_kinetics
from stpspec.engine.mechanisms.syntax import Node

NUMBER, OBJECT = "number", "object"  # what a procedure is given

# How random numbers are drawn in NMODL, and in the C of a VERBATIM block.
_OF_NEURON = frozenset({"scop_random", "normrand", "exprand", "poisrand"})
_DRAWS = _OF_NEURON | {"RANDOM", "rand", "random", "set_seed", "mcell_ran4", "mt19937"}
_DRAW = ("nrnran123_", "nrn_random_", "random_", "sample_")
# Generators of the C and C++ libraries, which nothing outside of the code can seed.
_OF_C = re.compile(
    r"\b(rand|random|rand_r|arc4random\w*|\w*rand48|mcell_ran4a?|gsl_r\w+)\s*\(|"
    r"\b(mt19937\w*|random_device|default_random_engine|minstd_rand0?)\b"
)
_PICKS = re.compile(
    r"\b(nrn_random_pick|nrnran123_(?:dblpick|ipick|negexp|normal|uniform|gauss))\b"
)
_MAKES = re.compile(r"\b(nrn_random_arg|nrnran123_newstream\w*|nrnran123_setids)\b")
_STREAM = re.compile(r"\bnrnran123_newstream")
_PROTOTYPE = re.compile(r"^[ \t]*(?:extern\b)?[\w \t*]+?\b\w+\s*\([^;{}]*\)\s*;", re.MULTILINE)
_BLOCKS = ("ProcedureBlock", "FunctionBlock")
_BRANCHES = ("IfStatement", "ElseIfStatement", "ElseStatement", "WhileStatement", "FromStatement")
_COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")
_NOT_SEEDERS = ("bbsavestate",)  # it copies a state
_CLASSIC = re.compile(
    r"\bPROCEDURE\s+(setRNG|noiseFromRandom123|noiseFromRandom)\s*\([^)]*\)\s*\{\s*"
    r"VERBATIM(.*?)ENDVERBATIM", re.DOTALL,
)  # fmt: skip


@dataclass(frozen=True)
class Generators:
    """What a .mod file draws random numbers from.

    Attributes
    ----------
    seeders : dict of str to tuple of str
        Procedures that give it its generators → what each is given, in order: ``number`` (an id
        of Random123, or a seed) or ``object`` (a Random object).
    distribution : str
        Which numbers it expects of a Random object: uniform, negexp, normal; empty if its text
        does not tell.
    of_neuron : bool
        Whether it draws from NEURON's one generator for all.
    unseedable : tuple of str
        What it draws by that nothing outside of it can seed.
    seeds_itself : bool
        Whether INITIAL seeds its generator, each time alike.
    in_steps : bool
        Whether it draws in each time step, and not upon events alone.
    """

    seeders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    distribution: str = ""
    of_neuron: bool = False
    unseedable: tuple[str, ...] = ()
    seeds_itself: bool = False
    in_steps: bool = False


def draws(program: Node) -> bool:
    """Tell whether a file, or its C code, draws random numbers."""
    return any(program.walk("RandomVar")) or speaks(program.calls()) or speaks(_words([program]))


def speaks(words: Iterable[str]) -> bool:
    """Tell whether any of some words draws random numbers, or makes what does."""
    return any(w in _DRAWS or w.startswith(_DRAW) or w.endswith("rand48") for w in words)


def c_words(texts: Iterable[str]) -> set[str]:
    """Return the words of C code, without those of comments and texts."""
    return {word for text in texts for word in re.findall(r"\w+", c_code.without_comments(text))}


def of_tree(program: Node) -> Generators:
    """Return what the syntax tree of a .mod file tells of its random numbers."""
    if not draws(program):
        return Generators()
    calls = program.calls()
    code = _code(program.walk("Verbatim"))
    found = _seeders(program)
    chosen = _chosen(found)
    initial = list(program.walk("InitialBlock", "ConstructorBlock"))
    at_first = linear_kinetics.reached(program, initial)
    makes_its_own = bool(_STREAM.search(_code(v for b in at_first for v in b.walk("Verbatim"))))
    has_random = any(program.walk("RandomVar"))
    given = any(s.takes for s in chosen) or has_random or makes_its_own
    picked = {m[1] for m in _PICKS.finditer(_PROTOTYPE.sub("", code))}
    unseedable = {m[1] or m[2] for m in _OF_C.finditer(_PROTOTYPE.sub("", code))}
    unseedable |= {n for n in calls if _OF_C.match(f"{n}(")} - {_name(b) for b in _own(program)}
    unseedable |= set() if given else picked
    steps = linear_kinetics.reached(
        program, list(program.walk("BreakpointBlock", "BeforeBlock", "AfterBlock"))
    )
    return Generators(
        seeders={s.name: s.takes for s in chosen},
        distribution=_distribution(program),
        of_neuron=bool(_OF_NEURON & (calls | _words([program]))),
        unseedable=tuple(sorted(unseedable)),
        seeds_itself=_always_seeds(initial) or (makes_its_own and not chosen),
        in_steps=any(speaks(b.calls()) or speaks(_words([b])) for b in steps),
    )


def of_words(text: str, c: Sequence[str]) -> Generators:
    """Return what is told by the text of a file that no parser reads, and by its C code."""
    chosen = {
        m[1]: _takes(c_code.without_comments(m[2]), 0)
        for m in _CLASSIC.finditer(re.sub(r"\bCOMMENT\b.*?\bENDCOMMENT\b", "", text, flags=re.S))
    }
    chosen = {n: takes for n, takes in chosen.items() if takes}
    if "noiseFromRandom123" in chosen:
        chosen.pop("noiseFromRandom", None)
    words = set(re.findall(r"\w+", text))
    of_neuron = bool(_OF_NEURON & words)
    told = chosen or of_neuron or not (speaks(words) or speaks(c_words(c)))
    return Generators(
        seeders=chosen, of_neuron=of_neuron,
        unseedable=() if told else ("what no parser of this NEURON reads",), in_steps=True,
    )  # fmt: skip


# -- what gives a file its generator ---------------------------------------------------------------


@dataclass(frozen=True)
class _Seeder:
    name: str
    takes: tuple[str, ...]
    pointers: frozenset[str]

    @property
    def rank(self) -> tuple[bool, int]:
        """Best first: ids of Random123, the more the better; a switch is the last."""
        return OBJECT in self.takes or not self.takes, -len(self.takes)


def _seeders(program: Node) -> list[_Seeder]:
    blocks, called = _own(program), program.calls()
    pointers = {_name(p) for p in program.walk("PointerVar", "BbcorePointerVar")}
    drawing = {n for b in blocks if speaks(b.calls()) or speaks(_words([b])) for n in b.names()}
    drawing |= _words([b for b in blocks if _name(b) in called])
    elsewhere = [b for b in _own(program) if _name(b) in called]
    elsewhere += program.walk("InitialBlock")
    drawing -= {n for b in elsewhere for n in linear_kinetics.assigned(b)}
    found = []
    for block in blocks:
        if _name(block) in called or _name(block) in _NOT_SEEDERS:
            continue
        code = _code(block.walk("Verbatim"))
        arguments = sum(1 for c in block.children if c.kind == "Argument")
        turns_on = bool(linear_kinetics.assigned(block) & drawing - {_name(block)})
        if _MAKES.search(code) or turns_on:
            mentioned = {p for p in pointers if re.search(rf"\b_p_{p}\b", code)}
            found.append(_Seeder(_name(block), _takes(code, arguments), frozenset(mentioned)))
    return found


def _takes(code: str, arguments: int) -> tuple[str, ...]:
    """Return what a procedure reads from its arguments; numbers, where it takes either."""

    def places(functions: str) -> set[int]:
        return {int(m[1]) for m in re.finditer(rf"\b(?:{functions})\s*\(\s*(\d+)", code)}

    objects = places("nrn_random_arg|hoc_objgetarg")
    numbers = places("getarg|hoc_getarg|chkarg|hoc_is_double_arg") | set(range(1, arguments + 1))
    numbers |= places("ifarg") - objects
    last = max(objects | numbers, default=0)
    return tuple(NUMBER if k in numbers or k not in objects else OBJECT
                 for k in range(1, last + 1))  # fmt: skip


def _chosen(found: Sequence[_Seeder]) -> list[_Seeder]:
    """Return the procedures to call: the best for each generator, one if none is told apart."""
    chosen: list[_Seeder] = []
    covered: set[str] = set()
    for seeder in sorted(found, key=lambda s: s.rank):
        new = seeder.pointers - covered if seeder.pointers else not chosen
        if new:
            chosen.append(seeder)
            covered |= seeder.pointers
    return chosen


def _always_seeds(initial: Sequence[Node]) -> bool:
    """Tell whether INITIAL seeds NEURON's generator whatever the parameters are."""
    return any(
        "set_seed" in statement.calls()
        for block in initial for body in block.walk("StatementBlock")
        for statement in body.children
        if body in block.children and not any(statement.walk(*_BRANCHES))
    )  # fmt: skip


# -- which numbers it expects ----------------------------------------------------------------------


def _distribution(program: Node) -> str:
    """Return which numbers a file expects of its Random object; empty if that is not told.

    What is drawn in its place without an object tells; so does a comparison, as with a
    probability; then the name of the function, and at last a comment.
    """
    pickers = [b for b in program.walk(*_BLOCKS) if "nrn_random_pick" in _words([b])]
    everywhere = _code(program.walk("Verbatim"))
    if not any("nrn_random_pick" in _PROTOTYPE.sub("", v.text) for v in program.walk("Verbatim")):
        return ""
    instead = {n for b in pickers for n in (b.calls() | _words([b]))}
    if "normrand" in instead:
        return "normal"
    names = {_name(b) for b in pickers}
    if _is_compared(program, names) or re.search(r"nrn_random_pick\s*\([^;]*\)\s*[<>]", everywhere):
        return "uniform"
    for function, kind in (("exprand", "negexp"), ("scop_random", "uniform")):
        if function in instead:
            return kind
    for pattern, kind in ((r"norm|gauss|^n_?rand", "normal"), (r"^u_?rand|unif", "uniform"),
                          (r"^e_?rand|exp", "negexp")):  # fmt: skip
        if any(re.search(pattern, n, re.IGNORECASE) for n in names):
            return kind
    spoken = {m[1] for v in program.walk("Verbatim")
              for m in re.finditer(r"\b(negexp|uniform|normal)\s*\(", v.text)}  # fmt: skip
    return spoken.pop() if len(spoken) == 1 else ""


def _is_compared(program: Node, functions: set[str]) -> bool:
    """Tell whether what any of some functions returns is compared with something."""
    names, n = set(functions), -1
    while len(names) > n:
        n = len(names)
        for block in program.children:
            names |= {left.text for left, right in linear_kinetics.assignments(block)
                      if right.kind != "BinaryExpression" and right.names() & names}  # fmt: skip
    for node in program.walk("BinaryExpression"):
        is_comparison = any(c.kind == "BinaryOperator" and c.text in _COMPARISONS
                            for c in node.children)  # fmt: skip
        if is_comparison and node.names() & names:
            return True
    return False


def _own(program: Node) -> list[Node]:
    return list(program.walk(*_BLOCKS))


def _words(blocks: Iterable[Node]) -> set[str]:
    return c_words(v.text for b in blocks for v in b.walk("Verbatim"))


def _code(verbatim: Iterable[Node]) -> str:
    return "\n".join(c_code.without_comments(v.text) for v in verbatim)


def _name(node: Node) -> str:
    return next(node.walk("Name")).text
