"""Four contacts, as vCard files, for tests of packs that look people up."""

from __future__ import annotations

from edge_agent.workspace import Context

PEOPLE = (
    ("Anna Berg", "+49 170 111", "anna@example.org"),
    ("Tom Ode", "+1 555 0100", "tom@example.org"),
    ("Smith and Sons", "", "office@smith.example"),
    ("Mute Mike", "", ""),
)


def write_people(ctx: Context) -> None:
    folder = ctx.home / ".contacts"
    folder.mkdir()
    for number, (name, phone, email) in enumerate(PEOPLE):
        first, _, last = name.partition(" ")
        lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{number}", f"FN:{name}", f"N:{last};{first};;;"]
        lines += [f"TEL;TYPE=CELL:{phone}"] if phone else []
        lines += [f"EMAIL:{email}"] if email else []
        (folder / f"{number}.vcf").write_text("\r\n".join([*lines, "END:VCARD", ""]))
