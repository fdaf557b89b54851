"""Contacts for tests of packs that look people up: four people, without the contacts pack's files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from edge_agent import toolpacks
from edge_agent.errors import ToolError


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    phone: str = ""
    email: str = ""


PEOPLE = {
    "anna": Person("Anna Berg", "+49 170 111", "anna@example.org"),
    "tom": Person("Tom Ode", "+1 555 0100", "tom@example.org"),
    "smith and sons": Person("Smith and Sons", "", "office@smith.example"),
    "mute": Person("Mute Mike"),
}


def resolve(ctx: object, text: str) -> Person:
    try:
        return PEOPLE[text.strip().lower()]
    except KeyError:
        raise ToolError(f"no contact is called {text!r}") from None


def give_people(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("edge_agent.toolpacks.contacts")
    module.resolve = resolve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(toolpacks, "contacts", module, raising=False)
