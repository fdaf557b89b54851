"""Tool schemas and hand-written GBNF become one grammar, which says which tokens may come next.

`compile_schema(schema).accepts(text)` is the whole of it for one schema; `.gbnf`, `.report` and `.validate(value)`
stand beside. Nothing native is loaded until a matcher is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiled import Compiled, Relaxation
    from .gbnf import parse_gbnf, pretty, to_gbnf
    from .ir import Grammar, Lit, Node, Ref, alt, assemble, optional, repeat, seq
    from .library import grammar_file
    from .lint import check
    from .matcher import TextMatcher, TokenMatcher, accepts
    from .schema import compile_schema
    from .span import choices, word_spans

_HOMES = {
    "gbnf": ("parse_gbnf", "pretty", "to_gbnf"),
    "ir": ("Grammar", "Lit", "Node", "Ref", "alt", "assemble", "optional", "repeat", "seq"),
    "library": ("grammar_file",),
    "lint": ("check",),
    "matcher": ("TextMatcher", "TokenMatcher", "accepts"),
    "compiled": ("Compiled", "Relaxation"),
    "schema": ("compile_schema",),
    "span": ("choices", "word_spans"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Compiled", "Grammar", "Lit", "Node", "Ref", "Relaxation", "TextMatcher", "TokenMatcher", "accepts", "alt",
    "assemble", "check", "choices", "compile_schema", "grammar_file", "optional", "parse_gbnf", "pretty", "repeat",
    "seq", "to_gbnf", "word_spans",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
