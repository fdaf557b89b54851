"""GBNF, the grammar notation of llama.cpp, to and from the internal form.

Syntax after llama.cpp's `grammars/README.md`: `name ::= "text" [chars] (a | b) x? x* x+ x{2,5}` with `#` comments
and `.` for any character. Reading is a little more generous than llama.cpp (a rule may run over several lines);
what is written is the plain subset that every version of it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import GrammarError
from .ir import Alt, Chars, Grammar, Lit, Node, Ref, Repeat, Seq, alt, repeat, rewrite, seq, walk
from .lint import MAX_DEPTH, Places, check

if TYPE_CHECKING:
    from lark import Lark, Token

MAX_TEXT_BYTES = 600_000
MAX_COUNT_DIGITS = 9
#: Most parts that a repetition writes out.
MAX_WRITTEN = 500

_SYNTAX = r"""
start: rule+
rule: HEAD choice
choice: sequence ("|" sequence)*
sequence: item*
item: (text | chars | any | ref | "(" choice ")") COUNT*
text: TEXT
chars: CHARS
any: "."
ref: NAME

HEAD.2: /[A-Za-z0-9][A-Za-z0-9-]*[ \t]*::=/
NAME: /[A-Za-z0-9][A-Za-z0-9-]*/
TEXT: /"(\\.|[^"\\\n])*"/
CHARS: /\[(\\.|[^\]\\\n])*\]/
COUNT: /[?*+]|\{[ ]*[0-9]+[ ]*(,[ ]*[0-9]*[ ]*)?\}/
COMMENT: /#[^\n]*/
BLANK: /[ \t\r\n]+/
%ignore COMMENT
%ignore BLANK
"""
_PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"|\[(?:\\.|[^\]\\\n])*\]|#[^\n]*|[()]')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|(.)", re.DOTALL)
_NAMED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]"}


def parse_gbnf(text: str, *, root: str = "root") -> Grammar:
    """The grammar written in `text`. Raises GrammarError with line and column for a mistake in the syntax and
    for everything `lint.check` refuses. Costs about 20 µs a symbol; not meant for the path of a request.
    """
    grammar, places = parse_loosely(text, root=root)
    check(grammar, places)
    return grammar


def parse_loosely(text: str, *, root: str = "root") -> tuple[Grammar, Places]:
    """As `parse_gbnf`, without the lint: for tools that want its findings, and for fragments of a grammar."""
    from lark.exceptions import UnexpectedInput

    if len(text) > MAX_TEXT_BYTES:
        raise GrammarError(f"grammar text is {len(text)} long, more than {MAX_TEXT_BYTES}", line=1, column=1)
    _check_depth(text)
    if not _PIECE.sub("", text).strip():
        raise GrammarError(f"grammar has no rule named {root!r} to start from", line=1, column=1)
    reader = _Reader()
    try:
        reader.read(_parser().parse(text))
    except UnexpectedInput as error:
        line, column = error.line, error.column
        found = getattr(error, "token", getattr(error, "char", ""))
        if getattr(found, "type", "") == "$END":
            line, column, found = text.count("\n") + 1, len(text) - text.rfind("\n"), "end"
        raise GrammarError(f"grammar is not GBNF: unexpected {str(found)!r}", line=line, column=column) from None
    return Grammar(reader.rules, root), Places(reader.starts, reader.refs)


def to_gbnf(grammar: Grammar) -> str:
    """`grammar` as GBNF text, its start rule named `root` and first, source paths as comments.

    Raises GrammarError when `lint.check` refuses it, so whatever this returns is safe to give to llama.cpp.
    """
    check(grammar)
    grammar = plain(grammar)
    if grammar.root != "root" and "root" in grammar.rules:
        raise GrammarError("a rule named 'root' that is not the start rule cannot be written as GBNF")
    lines = [] if grammar.root == "root" else [f"root ::= {grammar.root}"]
    for name in sorted(grammar.rules, key=lambda name: name != grammar.root):
        note = grammar.notes.get(name, "")
        if note:
            lines.append(f"# {' '.join(note.split())}")
        lines.append(f"{name} ::= {_written(grammar.rules[name])}")
    return "\n".join(lines) + "\n"


def plain(grammar: Grammar) -> Grammar:
    """`grammar` without the nodes that GBNF has no notation for; where that makes a rule wider, its note says so."""
    from .regular import expand

    expanded, wider = expand(grammar)
    rules: dict[str, Node] = {}
    for name, node in expanded.rules.items():
        rules[name] = _counted(rewrite(node, lambda leaf: leaf, tokens=False), name, rules)
    notes = {**expanded.notes, **{name: f"{grammar.notes.get(name, name)}, wider than it says" for name in wider}}
    return Grammar(rules, expanded.root, notes)


def _counted(node: Node, name: str, rules: dict[str, Node]) -> Node:
    """`node` with what is repeated often as rules of their own: llama.cpp writes out copies of all else, and refuses
    more than 2,000 parts."""
    match node:
        case Seq(items):
            return seq(*(_counted(item, name, rules) for item in items))
        case Alt(options):
            return alt(*(_counted(option, name, rules) for option in options))
        case Repeat(item, low, high):
            inner = _counted(item, name, rules)
            often = high if high is not None else low
            if (
                often > 1
                and isinstance(inner, Seq | Alt | Repeat)
                and often * sum(1 for _ in walk(inner)) > MAX_WRITTEN
            ):
                rule = f"{name}--x{len(rules)}"
                rules[rule] = inner
                inner = Ref(rule)
            return repeat(inner, low, high)
    return node


def pretty(text: str) -> str:
    """`text` in this project's style: one rule a line, signs of definition aligned, comments kept in place.

    Raises GrammarError as `parse_gbnf`.
    """
    grammar, places = parse_loosely(text)
    check(grammar, places)
    width = max(map(len, grammar.rules))
    comments = {i: line.strip() for i, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith("#")}
    pieces = [(places.rules[name][0], f"{name:{width}} ::= {_written(node)}") for name, node in grammar.rules.items()]
    return "\n".join(line for _, line in sorted([*pieces, *comments.items()])) + "\n"


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_SYNTAX, parser="lalr", propagate_positions=False, maybe_placeholders=False)


class _Reader:
    """Turns lark's tree into nodes, remembering where rules stand and where they are mentioned."""

    def __init__(self) -> None:
        self.rules: dict[str, Node] = {}
        self.starts: dict[str, tuple[int, int]] = {}
        self.refs: dict[tuple[str, str], tuple[int, int]] = {}
        self._rule = ""

    def read(self, tree: Any) -> None:
        for rule in tree.children:
            head, choice = rule.children
            self._rule = head[: head.index(":")].rstrip()
            if self._rule in self.rules:
                raise GrammarError(f"rule {self._rule!r} is defined twice", line=head.line, column=head.column)
            self.starts[self._rule] = (head.line, head.column)
            self.rules[self._rule] = self._choice(choice)

    def _choice(self, tree: Any) -> Node:
        return alt(*(seq(*map(self._item, sequence.children)) for sequence in tree.children))

    def _item(self, tree: Any) -> Node:
        inner, *counts = tree.children
        if len(counts) > MAX_DEPTH:
            message = f"{len(counts)} counts nested on one part, more than {MAX_DEPTH}"
            raise GrammarError(message, line=counts[0].line, column=counts[0].column)
        node = self._choice(inner) if inner.data == "choice" else self._atom(inner)
        for count in counts:
            node = repeat(node, *_count(count))
        return node

    def _atom(self, tree: Any) -> Node:
        if tree.data == "any":
            return Chars((), negated=True)
        token = tree.children[0]
        if tree.data == "ref":
            self.refs.setdefault((self._rule, str(token)), (token.line, token.column))
            return Ref(str(token))
        parts = [_character(match, token) for match in _ESCAPE.finditer(token[1:-1])]
        return Lit("".join(char for char, _ in parts)) if tree.data == "text" else _chars(parts, token)


def _count(written: str) -> tuple[int, int | None]:
    if written in "?*+":
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[written]
    low, comma, high = written[1:-1].replace(" ", "").partition(",")
    if max(len(low), len(high)) > MAX_COUNT_DIGITS:
        return 10**MAX_COUNT_DIGITS, None  # refused by the lint, which names its rule
    return int(low), (int(high) if high else None) if comma else int(low)


def _character(match: re.Match[str], token: Token) -> tuple[str, bool]:
    """The character written by one piece of a text or set, and whether it was escaped."""
    escape, plain = match.groups()
    if escape is None:
        return plain, False
    if len(escape) > 1:
        code = int(escape[1:], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise GrammarError(f"\\{escape} is not a character", line=token.line, column=token.column)
        return chr(code), True
    if escape not in _NAMED:
        raise GrammarError(f"unknown escape \\{escape}", line=token.line, column=token.column)
    return _NAMED[escape], True


def _chars(parts: list[tuple[str, bool]], token: Token) -> Chars:
    negated = bool(parts) and parts[0] == ("^", False)
    parts = parts[negated:]
    ranges: list[tuple[int, int]] = []
    i = 0
    while i < len(parts):
        low = high = ord(parts[i][0])
        if i + 2 < len(parts) and parts[i + 1] == ("-", False):
            high = ord(parts[i + 2][0])
            i += 2
        if low > high:
            raise GrammarError(f"range in {token} runs backwards", line=token.line, column=token.column)
        ranges.append((low, high))
        i += 1
    if not ranges:
        raise GrammarError(f"empty set {token}", line=token.line, column=token.column)
    return Chars(tuple(ranges), negated)


def _check_depth(text: str) -> None:
    # Before lark sees it, since reading its tree is recursive.
    depth = 0
    for match in _PIECE.finditer(text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            raise GrammarError(f"groups are nested more than {MAX_DEPTH} deep", line=line, column=column)


def _written(node: Node, tight: bool = False) -> str:
    """GBNF of `node`; `tight` when a count or a neighbour follows, so that a choice needs its brackets."""
    match node:
        case Lit(text):
            return '"' + "".join(map(_escaped, text)) + '"'
        case Chars(ranges, negated):
            return _set(ranges, negated)
        case Ref(name):
            return name
        case Seq(items):
            return _grouped(" ".join(_written(item, not isinstance(item, Seq)) for item in items), False)
        case Repeat(item, low, high):
            inner = _written(item, True)
            return _grouped(inner, isinstance(item, Seq | Repeat)) + _suffix(low, high)
        case Alt(options):
            return _grouped(" | ".join(map(_written, options)), tight)
    raise AssertionError(f"no notation for {type(node).__name__}")


def _grouped(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _suffix(low: int, high: int | None) -> str:
    named = {(0, 1): "?", (0, None): "*", (1, None): "+"}
    if (low, high) in named:
        return named[low, high]
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"


def _set(ranges: Iterable[tuple[int, int]], negated: bool) -> str:
    inner = "".join(
        "-".join(_escaped(chr(code), '"\\[]^-') for code in ((low,) if low == high else (low, high)))
        for low, high in ranges
    )
    return f"[{'^' * negated}{inner}]" if inner else "."


def _escaped(char: str, special: str = '"\\') -> str:
    code = ord(char)
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if char in '"\\' and char in special:
        return "\\" + char
    if char.isprintable() and char not in special:
        return char
    return f"\\x{code:02X}" if code < 0x80 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
