from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packs_fixture import RecordingContext, make_context
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from edge_agent.errors import ToolError
from edge_agent.toolpacks import reading
from edge_agent.toolpacks.documents import (
    document_length,
    rank_sentences,
    read_document,
    search_document,
    search_in_files,
    split_sentences,
    summarize_document,
)

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"


def make_pdf(path: Path, pages: list[str], password: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encryption = StandardEncryption(password, ownerPassword="owner", strength=128) if password else None
    canvas = Canvas(str(path), encrypt=encryption)
    for page in pages:
        for row, line in enumerate(page.splitlines()):
            canvas.drawString(40, 800 - 14 * row, line)
        canvas.showPage()
    canvas.save()


def make_zip(path: Path, member: str, xml: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, xml)


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    make_pdf(ctx.home / "Documents/lease.pdf", ["The deposit is 900 euros.", "The lease ends in May.", ""])
    return ctx


def test_read_a_pdf_whole_and_by_page(ctx: RecordingContext) -> None:
    whole = read_document.call({"file": "the lease pdf"}, ctx)
    assert whole.text.startswith("~/Documents/lease.pdf:\nThe deposit is 900 euros.")
    assert whole.data["pages"] == 3
    page = read_document.call({"file": "lease", "page": "two"}, ctx)
    assert page.text == "~/Documents/lease.pdf, page 2 of 3:\nThe lease ends in May."
    for bad in ("4", "0", "1.5", "last"):
        with pytest.raises(ToolError, match="pages are 1 to 3"):
            read_document.call({"file": "lease", "page": bad}, ctx)


def test_read_word_and_opendocument(ctx: RecordingContext) -> None:
    make_zip(
        ctx.home / "letter.docx",
        "word/document.xml",
        f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>Dear</w:t><w:tab/><w:t>Anna,</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>yours</w:t><w:delText>gone</w:delText></w:r></w:p></w:body></w:document>",
    )
    make_zip(
        ctx.home / "minutes.odt",
        "content.xml",
        f'<o:c xmlns:o="{OFFICE}office:1.0" xmlns:t="{OFFICE}text:1.0"><t:h>Minutes</t:h>'
        "<t:p>All <t:span>agreed</t:span> today.</t:p></o:c>",
    )
    assert reading.read(ctx, ctx.home / "letter.docx").text == "Dear\tAnna,\nyours"
    assert reading.read(ctx, ctx.home / "minutes.odt").text == "Minutes\nAll agreed today."
    assert document_length.call({"file": "minutes"}, ctx).text == "~/minutes.odt has 4 words."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfplain", "plain"),
        (b"caf\xe9", "café"),
        ("ünï".encode("utf-16"), "ünï"),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_read_plain_text_of_any_encoding(ctx: RecordingContext, data: bytes, text: str) -> None:
    (ctx.home / "a.txt").write_bytes(data)
    assert reading.read(ctx, ctx.home / "a.txt").text == text


def test_unreadable_documents_are_named(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    home = ctx.home
    make_pdf(home / "locked.pdf", ["secret"], password="pw")
    make_pdf(home / "scan.pdf", [""])
    (home / "broken.pdf").write_bytes(b"%PDF-1.4 nonsense")
    (home / "broken.docx").write_bytes(b"PK nonsense")
    make_zip(home / "other.docx", "readme", "x")
    make_zip(home / "bomb.docx", "word/document.xml", '<!DOCTYPE x [<!ENTITY a "aa">]><x>&a;</x>')
    (home / "photo.txt").write_bytes(b"\x89PNG\0\0")
    (home / "empty.txt").write_bytes(b"")
    for name, message in {
        "locked.pdf": "protected by a password|is encrypted",
        "scan.pdf": "has no text in it",
        "broken.pdf": "not a readable PDF",
        "broken.docx": "not a readable DOCX",
        "other.docx": "not a readable DOCX",
        "bomb.docx": "document type",
        "photo.txt": "not a text file",
        "empty.txt": "has no text",
    }.items():
        with pytest.raises(ToolError, match=rf"~/{name}.*(?:{message})"):
            read_document.call({"file": name}, ctx)
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(ToolError, match="at most"):
        read_document.call({"file": "lease.pdf"}, ctx)


def test_limits_are_said(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PAGES", 1)
    assert "of the part that was read" in document_length.call({"file": "lease"}, ctx).text
    (ctx.home / "long.txt").write_text("word " * 2_000)
    assert "(4,000 of 10,000 characters shown)" in read_document.call({"file": "long.txt"}, ctx).text
    monkeypatch.setattr(reading, "MAX_CHARACTERS", 100)
    assert reading.read(ctx, ctx.home / "long.txt").cut


def test_search_document(ctx: RecordingContext) -> None:
    found = search_document.call({"text": "LEASE  ends", "file": "lease"}, ctx)
    assert "mentions “LEASE  ends” once:\npage 2: … The lease ends in May." in found.text
    assert search_document.call({"text": "pets", "file": "lease"}, ctx).data["hits"] == []
    with pytest.raises(ToolError, match="no text to look for"):
        search_document.call({"text": " ", "file": "lease"}, ctx)


TEXT = """The harbour of Lisbon was rebuilt after the earthquake.
Fishing boats returned to the harbour in spring.
Boats from Porto brought timber for the harbour of Lisbon. My aunt prefers green tea over coffee.
The rebuilt harbour of Lisbon opened to boats in spring. Rain is expected elsewhere tomorrow evening."""


def test_the_summary_is_made_of_the_central_sentences(ctx: RecordingContext) -> None:
    sentences = split_sentences(TEXT)
    assert len(sentences) == 6
    assert rank_sentences(sentences) == [0, 2, 4] or set(rank_sentences(sentences)) < {0, 1, 2, 4}
    (ctx.home / "lisbon.md").write_text(TEXT)
    result = summarize_document.call({"file": "lisbon"}, ctx)
    assert result.text.startswith("Extractive summary of ~/lisbon.md (3 of its 6 sentences, unchanged):\n")
    assert "tea" not in result.text
    assert all(sentence in sentences for sentence in split_sentences(result.data["summary"]))


def test_ranking_edges() -> None:
    assert rank_sentences([]) == []
    assert rank_sentences(["one two three four"]) == [0]
    assert rank_sentences(["it is as it was"] * 4) == [0, 1, 2]
    assert len(rank_sentences([f"sentence number {i} speaks about topic {i % 7}" for i in range(300)])) == 5
    assert split_sentences("Dr. No said 3.5 is it. No! \n\n A heading of four") == [
        "No said 3.5 is it.",
        "A heading of four",
    ]


def test_search_in_files(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    (ctx.home / "Notes").mkdir()
    (ctx.home / "Notes/a.md").write_text("The deposit\nis paid.")
    (ctx.home / "bad.pdf").write_bytes(b"no")
    found = search_in_files.call({"text": "the deposit is"}, ctx)
    assert found.data["files"] == ["~/Documents/lease.pdf", "~/Notes/a.md"]
    assert found.text.endswith(" 1 could not be read.")
    assert search_in_files.call({"text": "deposit", "where": "notes"}, ctx).data["files"] == ["~/Notes/a.md"]
    assert search_in_files.call({"text": "zebra", "where": "notes"}, ctx).text == "No file contains “zebra”."
    monkeypatch.setattr("edge_agent.toolpacks.documents._SEARCH_S", -1.0)
    assert "stopped at its limit" in search_in_files.call({"text": "deposit"}, ctx).text
