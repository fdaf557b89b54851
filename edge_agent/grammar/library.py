"""The hand-written grammars of `grammars/*.gbnf`, as rules that compiled schemas share.

Rule `part` of file `date.gbnf` becomes `Date-part`, its root `Date`. The capital keeps them apart from the rules
of tools, which are lower case.
"""

from __future__ import annotations

from functools import cache

from ..errors import GrammarError
from .gbnf import parse_gbnf
from .ir import Alt, Grammar, Node, Ref, Repeat, Seq, alt, repeat, seq
from .strings import escape


@cache
def grammar_file(name: str, *, escaped: bool = False) -> Grammar:
    """The grammar `grammars/{name}.gbnf`; `escaped`: as it stands between the quotes of a JSON string.

    Parsed once per process (a few milliseconds). Raises GrammarError when there is no such file.
    """
    from ..config import resource

    path = resource("grammars") / f"{name}.gbnf"
    if not path.is_file():
        raise GrammarError(f"there is no grammar named {name!r}", hint=f"looked for {path}")
    source = parse_gbnf(path.read_text(encoding="utf-8"))
    title = name.capitalize()

    def public(rule: str) -> str:
        return title if rule == "root" else f"{title}-{rule}"

    def renamed(node: Node) -> Node:
        match node:
            case Ref(rule):
                return Ref(public(rule))
            case Seq(items):
                return seq(*map(renamed, items))
            case Alt(options):
                return alt(*map(renamed, options))
            case Repeat(item, low, high):
                return repeat(renamed(item), low, high)
        return escape(node) if escaped else node

    return Grammar({public(rule): renamed(node) for rule, node in source.rules.items()}, title)
