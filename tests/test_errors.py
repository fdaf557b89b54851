from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import errors
from edge_agent.cli import exit_codes
from edge_agent.errors import EdgeAgentError, GrammarError


def kinds(cls: type[EdgeAgentError] = EdgeAgentError) -> list[type[EdgeAgentError]]:
    return [cls, *(each for child in cls.__subclasses__() for each in kinds(child))]


@pytest.mark.parametrize("cls", kinds(), ids=lambda cls: cls.kind)
def test_every_error_says_what_it_is(cls: type[EdgeAgentError]) -> None:
    error = cls("what failed", hint="what to do")
    assert (str(error), error.message, error.hint) == ("what failed", "what failed", "what to do")
    assert cls("alone").hint is None
    assert cls.__doc__


def test_kinds_are_distinct() -> None:
    names = [cls.kind for cls in kinds()]
    assert len(names) == len(set(names))


def test_exit_codes_differ_by_kind() -> None:
    """A special case of an error may share its code; a schema is a grammar's other form."""
    for first in kinds():
        for second in kinds():
            related = issubclass(first, second) or issubclass(second, first)
            if not related and {first.kind, second.kind} != {"schema", "grammar"}:
                assert first.exit_code != second.exit_code, (first, second)
    outcomes = {errors.EXIT_OK, errors.EXIT_DECLINED, errors.EXIT_ASKED, errors.EXIT_INTERRUPTED}
    assert outcomes.isdisjoint({cls.exit_code for cls in kinds()})


def test_every_code_is_documented() -> None:
    table = dict(exit_codes())
    for cls in kinds():
        assert f"{cls.kind}: " in table[str(cls.exit_code)]
    assert {"0", "8", "9", "130"} <= set(table)


def test_grammar_errors_carry_their_place() -> None:
    error = GrammarError("bad", line=3, column=7)
    assert (error.line, error.column) == (3, 7)
    assert (GrammarError("bad").line, GrammarError("bad").column) == (None, None)


def test_only_errors_py_defines_errors_for_people() -> None:
    package = Path(errors.__file__).parent
    elsewhere = [cls for cls in kinds() if cls.__module__ != "edge_agent.errors"]
    assert elsewhere == [], package
