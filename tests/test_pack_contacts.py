"""The contacts pack, on cards as several programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packs_fixture import RecordingContext, make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.toolpacks import contacts

TOOLS = {tool.name: tool for tool in contacts.TOOLS}
CARDS = {
    "anna": "VERSION:3.0\nUID:anna\nFN:Anna Berg\nN:Berg;Anna;;;\nTEL;TYPE=WORK,VOICE:+49 30 5550100\n"
    "TEL;TYPE=CELL:+49 171 5550101\nEMAIL;TYPE=HOME:anna@home.example\nEMAIL;TYPE=WORK,PREF:anna@work.example\n"
    "X-ABLabel:kept\nNOTE:likes tea\\, not coffee",
    "anna2": "VERSION:4.0\nFN:Anna Müller\nTEL;VALUE=uri;TYPE=cell:tel:+49-171-5550102",
    "sam": "VERSION:3.0\nFN:Samuel Lee\nN:Lee;Samuel;;;\nNICKNAME:Sam,Sammy\nEMAIL:sam@example.org",
    "mom": "VERSION:3.0\nFN:Clara Voss\nNICKNAME:Mum\nTEL:0171 5550103",
    "odd": "VERSION:3.0\nFN:Seán O'Brien\nN:O'Brien;Seán;;;\nEMAIL:sean@example.org",
    "old": "VERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=96zil;Ay=C5=9Fe;;;\nTEL;CELL;PREF:0151 5550105",
    "doctor": "VERSION:3.0\nFN:Dr. Eva Weber\nTEL;TYPE=work:030 5550104",
}


def call(ctx: RecordingContext, tool: str, /, **arguments: Any) -> str:
    return TOOLS[tool].call(arguments, ctx).text


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    folder = ctx.home / ".contacts"
    folder.mkdir()
    for name, card in CARDS.items():
        body = f"BEGIN:VCARD\n{card}\nEND:VCARD\n".replace("\n", "\r\n")
        (folder / f"{name}.vcf").write_bytes(body.encode())
    (folder / "broken.vcf").write_text("nonsense")
    (folder / "empty.vcf").write_text("")
    return ctx


def test_examples_copy_from_their_sentence() -> None:
    for tool in contacts.TOOLS:
        assert 2 <= len(tool.examples) <= 4
        for example in tool.examples:
            tool.bind(example.arguments)
            assert all(value in example.text for value in example.arguments.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Anna Berg", "Anna Berg"),
        ("anna berg", "Anna Berg"),
        ("Anna Berg's", "Anna Berg"),
        ("to Anna Berg", "Anna Berg"),
        ("Berg", "Anna Berg"),
        ("Anna Muller", "Anna Müller"),
        ("Sam", "Samuel Lee"),
        ("sammy", "Samuel Lee"),
        ("Samuel", "Samuel Lee"),
        ("Sam Lee", "Samuel Lee"),
        ("my mom", "Clara Voss"),
        ("mother", "Clara Voss"),
        ("sean o'brien", "Seán O'Brien"),
        ("Ayşe", "Ayşe Özil"),
        ("Dr. Weber", "Dr. Eva Weber"),
        ("sean@example.org", "Seán O'Brien"),
        ("ANNA@work.example", "Anna Berg"),
    ],
)
def test_resolve(ctx: RecordingContext, text: str, name: str) -> None:
    assert contacts.resolve(ctx, text).name == name


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("Anna", r"several contacts fit 'Anna': Anna Berg \(anna@work.example\); Anna Müller", "whole name"),
        ("Zoe", "nobody in your contacts fits 'Zoe'", "add_contact"),
        ("Samuell", "nobody", "did you mean Samuel Lee?"),
        ("", "nobody", "add_contact"),
        ("the", "nobody", "add_contact"),
        ("nobody@example.org", "nobody", ""),
        ("Le", "nobody", ""),
    ],
)
def test_resolve_refuses(ctx: RecordingContext, text: str, message: str, hint: str) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        contacts.resolve(ctx, text)
    assert hint in (caught.value.hint or "")


def test_reading(ctx: RecordingContext) -> None:
    assert call(ctx, "find_contact", name="Anna Berg").splitlines() == [
        "Anna Berg",
        "- phone (work): +49 30 5550100",
        "- phone (mobile): +49 171 5550101",
        "- e-mail (work): anna@work.example",
        "- e-mail (home): anna@home.example",
    ]
    result = TOOLS["get_phone_number"].call({"name": "Anna Berg"}, ctx)
    assert result.text == "Anna Berg: +49 30 5550100 (work), +49 171 5550101 (mobile)"
    assert result.data == {"name": "Anna Berg", "phone": "+49 171 5550101"}
    assert call(ctx, "get_phone_number", name="Anna Müller") == "Anna Müller: +49-171-5550102 (mobile)"
    assert call(ctx, "get_email_address", name="Sam") == "Samuel Lee: sam@example.org"
    with pytest.raises(ToolError, match="Clara Voss has no e-mail"):
        call(ctx, "get_email_address", name="mom")
    with pytest.raises(ToolError, match="Samuel Lee has no phone"):
        call(ctx, "get_phone_number", name="Sam")


def test_no_address_book(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="nobody"):
        call(make_context(tmp_path), "find_contact", name="Sam")


@pytest.mark.parametrize("name", ["Lena Koch", "Priya", "Jean-Luc van der Berg", "Zoë Ångström"])
def test_add_contact(ctx: RecordingContext, name: str) -> None:
    before = tree(ctx)
    text = call(ctx, "add_contact", name=name, phone="+44 20 5550 0199", email="p@example.com")
    assert text == f"Added {name} to your contacts: +44 20 5550 0199, p@example.com."
    found = contacts.resolve(ctx, name)
    assert (found.name, found.phone, found.email) == (name, "+44 20 5550 0199", "p@example.com")
    assert found.path.stat().st_mode & 0o077 == 0
    undo(ctx)
    assert tree(ctx) == before


def test_add_to_someone_known(ctx: RecordingContext) -> None:
    before = tree(ctx)
    assert call(ctx, "add_contact", name="anna berg", phone="0171 99") == "Saved for Anna Berg: 0171 99."
    card = (ctx.home / ".contacts/anna.vcf").read_bytes()
    old = before[".contacts/anna.vcf"]
    assert old is not None
    assert card == old.replace(b"END:", b"TEL:0171 99\r\nEND:")
    call(ctx, "add_contact", name="Anna Berg", phone="+49-171-5550101", email="Anna@home.example")
    assert len(contacts.resolve(ctx, "Anna Berg").phones) == 3
    assert len(contacts.resolve(ctx, "Anna Berg").emails) == 2
    undo(ctx)
    assert tree(ctx) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "Lena", "phone": "call me"}, "'call me' is not a phone number"),
        ({"name": "Lena", "phone": "12"}, "not a phone number"),
        ({"name": "Lena", "email": "lena at home"}, "not an e-mail address"),
        ({"name": "Anna Berg"}, "in your contacts already"),
    ],
)
def test_add_refuses(ctx: RecordingContext, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        call(ctx, "add_contact", **arguments)
    assert ctx.changes == []
