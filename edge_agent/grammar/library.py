"""The hand-written grammars of `grammars/*.gbnf`, as rules that compiled schemas and one another share.

Rule `part` of file `date.gbnf` is `Date-part` for all others, its root `Date`: a name with a capital that a grammar
mentions without defining it (`root ::= Date [Tt] Time`) is a rule of the library. The rules of tools are lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..errors import GrammarError
from .gbnf import parse_loosely, to_gbnf
from .ir import Chars, Grammar, Node, Ref, facts, reachable, repeat, rewrite, token
from .lint import check
from .strings import SHORT, Spelling

#: The rules of JSON that are read as one piece.
_TOKENS = (
    "string", "number", "integer", "boolean", "null", "begin-object", "end-object", "begin-array", "end-array",
    "name-separator", "value-separator",
)  # fmt: skip
_JSON = ("json", "json-text")
#: What rules named `digits` come to in what a model writes, which could go on with them for ever.
_FEW_DIGITS = repeat(Chars(((0x30, 0x39),)), 1, 9)


def grammar_file(name: str, *, escaped: Spelling | None = None) -> Grammar:
    """The grammar `grammars/{name}.gbnf` and all it needs; `escaped`: as it stands between the quotes of JSON.

    Parsed once per process (a few milliseconds). Raises GrammarError when there is no such file.
    """
    return _escaped(name, escaped) if escaped else _parsed(name)


@cache
def _escaped(name: str, spelling: Spelling) -> Grammar:
    plain = _parsed(name)
    rules = {rule: spelling.escape(node) for rule, node in plain.rules.items()}
    if spelling is SHORT:
        rules |= {rule: _FEW_DIGITS for rule in rules if rule.endswith("-digits")}
    return Grammar(rules, plain.root)


@cache
def _parsed(name: str) -> Grammar:
    if name not in _texts():
        raise GrammarError(f"there is no grammar named {name!r}", hint="there are " + ", ".join(_texts()))
    source, _ = parse_loosely(_texts()[name])
    title = name.capitalize()
    public = {rule: title if rule == "root" else f"{title}-{rule}" for rule in source.rules}

    def renamed(node: Node) -> Node:
        return Ref(public.get(node.name, node.name)) if isinstance(node, Ref) else node

    rules = {public[rule]: rewrite(node, renamed) for rule, node in source.rules.items()}
    if name in _JSON:
        rules |= {public[rule]: token(rules[public[rule]]) for rule in _TOKENS if rule in public}
    grammar = Grammar({**rules, **_shared(rules)}, title)
    check(grammar)
    return grammar


def with_library(text: str) -> str:
    """GBNF text followed by the rules of the library that it mentions, so that it stands alone; its own places stay.

    Text that is no GBNF comes back as it is, for whoever reads it to refuse with its place.
    """
    try:
        shared = _shared(parse_loosely(text)[0].rules)
    except GrammarError:
        return text
    if not shared:
        return text
    _, _, written = to_gbnf(Grammar(shared, next(iter(shared)))).partition("\n")  # without a root of its own
    return f"{text.rstrip()}\n\n# From the library.\n{written}"


def _shared(rules: Mapping[str, Node]) -> dict[str, Node]:
    """The rules of the library that `rules` mention and do not define, and what those need."""
    missing = dict.fromkeys(name for node in rules.values() for name in facts(node).refs if name not in rules)
    found: dict[str, Node] = {}
    for rule in missing:
        homes = [name for name in _texts() if f"{rule}-".startswith(f"{name.capitalize()}-")]
        if homes:
            found |= reachable(_parsed(max(homes, key=len)).rules, rule)
    return found


@cache
def _texts() -> dict[str, str]:
    from ..config import resource

    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(resource("grammars").glob("*.gbnf"))}
