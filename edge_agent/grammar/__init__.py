"""Tool schemas and hand-written GBNF become one grammar, which says which tokens may come next.

`compile_schema(schema).accepts(text)` is the whole of it for one schema; `.gbnf`, `.report` and `.validate(value)`
stand beside. Nothing native is loaded until a matcher is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache import compile_cached, matcher_cached
    from .compiled import Compiled, Relaxation
    from .expect import expected, explain
    from .gbnf import parse_gbnf, pretty, to_gbnf
    from .ir import Grammar, Lit, Node, Ref, alt, assemble, optional, repeat, seq
    from .library import grammar_file
    from .lint import check
    from .matcher import TextMatcher, TokenMatcher, accepts
    from .plan import reference, references, resolve_references
    from .schema import compile_schema
    from .span import choices, word_spans
    from .worker import compile_foreign, validate_foreign

_HOMES = {
    "cache": ("compile_cached", "matcher_cached"),
    "expect": ("expected", "explain"),
    "worker": ("compile_foreign", "validate_foreign"),
    "gbnf": ("parse_gbnf", "pretty", "to_gbnf"),
    "ir": ("Grammar", "Lit", "Node", "Ref", "alt", "assemble", "optional", "repeat", "seq"),
    "library": ("grammar_file",),
    "lint": ("check",),
    "matcher": ("TextMatcher", "TokenMatcher", "accepts"),
    "compiled": ("Compiled", "Relaxation"),
    "plan": ("reference", "references", "resolve_references"),
    "schema": ("compile_schema",),
    "span": ("choices", "word_spans"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Compiled", "Grammar", "Lit", "Node", "Ref", "Relaxation", "TextMatcher", "TokenMatcher", "accepts", "alt",
    "assemble", "check", "choices", "compile_cached", "compile_foreign", "compile_schema", "expected", "explain",
    "grammar_file", "matcher_cached", "optional", "parse_gbnf", "pretty", "reference", "references", "repeat",
    "resolve_references", "seq", "to_gbnf", "validate_foreign", "word_spans",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
