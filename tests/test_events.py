from __future__ import annotations

import importlib
import json
import pkgutil
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge_agent
from edge_agent.events import CallFinished, Decided, Event, Notice, Retrieved, all_events, from_json, to_json

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_NUMBER = st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _NUMBER | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    known = {
        "Any": _JSON,
        "Mapping[str, Any]": st.dictionaries(_TEXT, _JSON, max_size=3),
        "Mapping[str, str]": st.dictionaries(_TEXT, _TEXT, max_size=3),
        "str": _TEXT,
        "float": _NUMBER,
        "tuple[float, ...]": st.lists(_NUMBER, max_size=3).map(tuple),
    }
    name = hint.__name__ if isinstance(hint, type) else str(hint).replace("collections.abc.", "").replace("typing.", "")
    return known[name] if name in known else st.from_type(hint)


def events() -> st.SearchStrategy[Event]:
    kinds = []
    for kind in all_events().values():
        hints = {name: values(hint) for name, hint in get_type_hints(kind).items()}
        kinds.append(st.builds(kind, **hints))
    return st.one_of(kinds)


@given(events())
def test_every_event_survives_json(event: Event) -> None:
    text = to_json(event)
    assert from_json(text) == event
    assert json.loads(text)["event"] == type(event).__name__


def test_all_events_of_the_package_are_known() -> None:
    """An event class in any module is among `all_events`, and is frozen and slotted."""
    found = set()
    root = Path(edge_agent.__file__).parent
    for module in pkgutil.iter_modules([str(root)]):
        source = (root / f"{module.name}.py") if not module.ispkg else root / module.name / "__init__.py"
        if "(Event)" in source.read_text():
            loaded = importlib.import_module(f"edge_agent.{module.name}")
            classes = {each for each in vars(loaded).values() if isinstance(each, type)}
            found |= {each for each in classes - {Event} if issubclass(each, Event)}
    assert found == set(all_events().values())
    assert len(found) >= 9
    for kind in found:
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert not hasattr(kind(), "__dict__")


def test_what_a_tool_returned_is_written_as_text_when_it_is_not_json() -> None:
    text = to_json(CallFinished("notes.jot", data={"day": date(2026, 11, 28), "file": Path("a.md")}))
    assert json.loads(text)["data"] == {"day": "2026-11-28", "file": "a.md"}


def test_absent_fields_take_their_defaults() -> None:
    assert from_json('{"event": "Decided", "reason": "because"}') == Decided(reason="because")
    assert from_json('{"event": "Retrieved", "kept": ["a"]}') == Retrieved(kept=("a",))
    assert from_json('{"event": "Notice"}') == Notice()


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "Expecting value"),
        ("[]", "not an event"),
        ("null", "not an event"),
        ("{}", "not an event"),
        ('{"event": "Event"}', "not an event"),
        ('{"event": "Exploded"}', "not an event"),
        ('{"event": []}', "not an event"),
        ('{"event": {"a": 1}}', "not an event"),
        ('{"event": "Notice", "colour": 1}', "Notice has no field 'colour'"),
        ('{"event": "Retrieved", "kept": 5}', "Retrieved: kept is not a list"),
    ],
)
def test_what_is_no_event_is_a_value_error_that_says_why(text: str, about: str) -> None:
    with pytest.raises(ValueError, match=about):
        from_json(text)
