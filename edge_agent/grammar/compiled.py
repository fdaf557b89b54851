"""What a schema has been compiled to: its grammar, and what the grammar leaves to a validator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .ir import NOTHING, Grammar

if TYPE_CHECKING:
    from .validator import Validator


@dataclass(frozen=True, slots=True)
class Relaxation:
    """At `path` (`set_timer.label`) the grammar does not hold `keyword` exactly; `action` says what it does instead."""

    path: str
    keyword: str
    action: str

    def __str__(self) -> str:
        return f"{self.path}: {self.keyword} -> {self.action}"


@dataclass(frozen=True)
class Compiled:
    """A schema as grammar. `grammar` is a fragment: `ir.assemble` joins those of several tools.

    `report` lists where it accepts more than the schema, `narrowed` where less (beside what reading it as a call
    leaves out). `impossible` lists the required properties that have to be copied from words that are not there; the
    grammar then describes the value without them, and the person has to be asked.
    """

    grammar: Grammar
    report: tuple[Relaxation, ...]
    narrowed: tuple[Relaxation, ...]
    impossible: tuple[str, ...]
    schema: Any
    remotes: Mapping[str, Any] = field(default_factory=dict)
    formats: bool = True

    @property
    def gbnf(self) -> str:
        """The grammar for llama.cpp and for people. Raises GrammarError if it refers to rules given as copies, or
        if no value at all is allowed."""
        from .gbnf import to_gbnf

        return to_gbnf(self.grammar)

    @property
    def empty(self) -> bool:
        """Whether no value can satisfy the schema."""
        return self.grammar.rules[self.grammar.root] == NOTHING

    def accepts(self, text: str) -> bool:
        """Whether the grammar, alone, accepts `text`. Builds a matcher each time (a few milliseconds)."""
        from .matcher import accepts

        return not self.empty and accepts(self.grammar, text)

    @cached_property
    def _validator(self) -> Validator:
        from .validator import Validator

        return Validator(self.schema, remotes=self.remotes, formats=self.formats)

    def validate(self, value: Any) -> list[str]:
        """What the schema itself says against `value`, each with its place; empty when valid.

        Raises SchemaError when the schema is not valid JSON Schema or refers to a document that is not given.
        """
        return self._validator.errors(value)
