from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packs_fixture import NOW, RecordingContext, make_context

from edge_agent.errors import RefusedError, ToolError
from edge_agent.toolpacks import finding
from edge_agent.toolpacks.filewords import known, parse, score, time_span, tokens

FILES = {
    "Documents/lease.pdf": 11,
    "Documents/lease-2019-old.pdf": 12,
    "Documents/budget.xlsx": 13,
    "Documents/Taxes/2023/w2_form.pdf": 14,
    "Documents/Taxes/2024/w2_form.pdf": 15,
    "Documents/Grandma's Apple Pie.docx": 16,
    "Documents/notes in german.txt": 17,
    "Documents/Résumé.docx": 18,
    "Downloads/Q3Report.pdf": 100,
    "Downloads/holiday.jpg": 300,
    "Downloads/beach.png": 200,
    "Downloads/setup.zip": 5000,
    "Downloads/report.txt": 5,
    "Pictures/Rome/colosseum.jpg": 90,
    "Desktop/todo.txt": 3,
    "Desktop/all hands.md": 3,
    ".secret/lease.pdf": 1,
    "code/node_modules/budget.js": 1,
}


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    for name, size in FILES.items():
        path = ctx.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        age_in(path, 60)
    age_in(ctx.home / "Downloads/holiday.jpg", 1)
    age_in(ctx.home / "Downloads/Q3Report.pdf", 9)
    return ctx


def age_in(path: Path, days: float) -> None:
    moment = NOW.timestamp() - days * 86_400
    os.utime(path, (moment, moment))


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("lease.pdf", "Documents/lease.pdf"),
        ("the lease pdf", "Documents/lease.pdf"),
        ("LEASE", "Documents/lease.pdf"),
        ("old lease", "Documents/lease-2019-old.pdf"),
        ("my budget spreadsheet", "Documents/budget.xlsx"),
        ("documents/BUDGET.xlsx", "Documents/budget.xlsx"),
        ("~/Desktop/todo.txt", "Desktop/todo.txt"),
        ("the file todo.txt", "Desktop/todo.txt"),
        ("w2 form from 2023", "Documents/Taxes/2023/w2_form.pdf"),
        ("w2 in 2024", "Documents/Taxes/2024/w2_form.pdf"),
        ("grandma's apple pie document", "Documents/Grandma's Apple Pie.docx"),
        ("resume", "Documents/Résumé.docx"),
        ("notes in german", "Documents/notes in german.txt"),
        ("q3 report", "Downloads/Q3Report.pdf"),
        ("the report pdf in downloads", "Downloads/Q3Report.pdf"),
        ("report from last week", "Downloads/Q3Report.pdf"),
        ("yesterday's photo", "Downloads/holiday.jpg"),
        ("photo since last week", "Downloads/holiday.jpg"),
        ("the biggest file in downloads", "Downloads/setup.zip"),
        ("largest picture in my downloads folder", "Downloads/holiday.jpg"),
        ("latest photo", "Downloads/holiday.jpg"),
        ("the zip", "Downloads/setup.zip"),
        ("all hands", "Desktop/all hands.md"),
        ("the hand", "Desktop/all hands.md"),
        ("picture in Rome", "Pictures/Rome/colosseum.jpg"),
        ('"budget.xlsx"', "Documents/budget.xlsx"),
    ],
)
def test_one(ctx: RecordingContext, said: str, name: str) -> None:
    assert finding.one(ctx, said) == (ctx.home / name).resolve()


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("w2 form", "can mean 2 files: ~/Documents/Taxes/2023/w2_form.pdf, ~/Documents/Taxes/2024", "folder"),
        ("the leese pdf", "no file matches 'the leese pdf'", "lease"),
        ("lease in downloads", "no file matches 'lease in downloads' in ~/Downloads", "say the name"),
        ("budget.js", "no file matches", "budget.xlsx"),
        ("a\x00b", "not a file name", None),
        ("  ", "not a file name", None),
    ],
)
def test_one_refuses(ctx: RecordingContext, said: str, message: str, hint: str | None) -> None:
    with pytest.raises(ToolError) as caught:
        finding.one(ctx, said)
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_nothing_outside_home(ctx: RecordingContext) -> None:
    with pytest.raises(RefusedError):
        finding.one(ctx, "/etc/passwd")
    (ctx.home / "link.txt").symlink_to("/etc/passwd")
    with pytest.raises(RefusedError):
        finding.one(ctx, "link.txt")
    with pytest.raises(ToolError, match="no file matches"):
        finding.one(ctx, "the link text")


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (
            "all the files in downloads",
            ["Q3Report.pdf", "beach.png", "holiday.jpg", "report.txt", "setup.zip"],
        ),
        ("the photos in downloads", ["beach.png", "holiday.jpg"]),
        ("every pdf in taxes", ["w2_form.pdf", "w2_form.pdf"]),
        ("pictures from yesterday", ["holiday.jpg"]),
        ("the newest photos", ["holiday.jpg"]),
        ("todo", ["todo.txt"]),
        ("my Taxes folder", ["Taxes"]),
    ],
)
def test_several(ctx: RecordingContext, said: str, names: list[str]) -> None:
    assert [path.name for path in finding.several(ctx, said)] == names


def test_a_group_has_a_limit(ctx: RecordingContext) -> None:
    with pytest.raises(ToolError, match="5 files; at most 4"):
        finding.several(ctx, "all files in downloads", limit=4)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("downloads", "Downloads"),
        ("my Downloads folder", "Downloads"),
        ("on the desktop", "Desktop"),
        ("the rome folder", "Pictures/Rome"),
        ("taxes/2023", "Documents/Taxes/2023"),
        ("documents/taxes", "Documents/Taxes"),
        ("home", ""),
    ],
)
def test_folder(ctx: RecordingContext, said: str, name: str) -> None:
    if said == "taxes/2023":
        with pytest.raises(ToolError, match=r"no folder matches|can mean"):
            finding.folder(ctx, "taxes/1999")
    assert finding.folder(ctx, said) == (ctx.home / name).resolve()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("my photos", "Pictures"),
        ("the photo folder", "Pictures"),
        ("the photo", None),
        ("document", None),
        ("the docs", "Documents"),
        ("Desktop", "Desktop"),
        ("music", "Music"),
        ("~", ""),
        ("the downloads pdf", None),
        ("", None),
    ],
)
def test_known(ctx: RecordingContext, said: str, name: str | None) -> None:
    assert known(ctx, said) == (None if name is None else (ctx.home / name).resolve())


def test_a_known_folder_may_be_new_or_localised(ctx: RecordingContext) -> None:
    with pytest.raises(ToolError, match="~/Music does not exist"):
        finding.folder(ctx, "music")
    assert finding.folder(ctx, "music", new=True) == ctx.home / "Music"
    (ctx.home / "Musik").mkdir()
    (ctx.home / ".config").mkdir()
    (ctx.home / ".config/user-dirs.dirs").write_text('XDG_MUSIC_DIR="$HOME/Musik"\n')
    assert finding.folder(ctx, "my music folder") == ctx.home / "Musik"


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("to documents", "Documents/todo.txt"),
        ("into my Taxes folder", "Documents/Taxes/todo.txt"),
        ("done.txt", "Desktop/done.txt"),
        ("documents/done.txt", "documents/done.txt"),
        ("Videos", "Videos/todo.txt"),
    ],
)
def test_destination(ctx: RecordingContext, to: str, target: str) -> None:
    assert finding.destination(ctx, to, ctx.home / "Desktop/todo.txt") == ctx.home / target


def test_a_walk_reports_its_limit(ctx: RecordingContext) -> None:
    assert finding.walk(ctx.home).complete
    short = finding.walk(ctx.home, limit=3)
    assert (len(short.entries), short.complete) == (3, False)
    assert not finding.walk(ctx.home, seconds=0).complete


def test_scores_order_names_as_documented() -> None:
    words = tokens("lease")
    order = [score(words, name) for name in ("lease.pdf", "lease-old.pdf", "leases-old-copy.pdf", "sublease.pdf")]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == 4
    assert score(tokens("lease car"), "lease.pdf") == 0
    assert score(tokens("lease 2023"), "lease.pdf", frozenset({"2023"})) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("said", "since", "until"),
    [
        ("today", "2026-11-28", "2026-11-29"),
        ("yesterday", "2026-11-27", "2026-11-28"),
        ("last week", "2026-11-16", "2026-11-23"),
        ("the past month", "2026-10-01", "2026-11-01"),
        ("June", "2026-06-01", "2026-07-01"),
        ("December", "2025-12-01", "2026-01-01"),
        ("june 2024", "2024-06-01", "2024-07-01"),
        ("2024", "2024-01-01", "2025-01-01"),
        ("Tuesday", "2026-11-24", "2026-11-25"),
        ("November 3", "2026-11-03", "2026-11-04"),
        ("3 May", "2026-05-03", "2026-05-04"),
    ],
)
def test_time_span(said: str, since: str, until: str) -> None:
    expected = tuple(datetime.fromisoformat(day).replace(tzinfo=NOW.tzinfo) for day in (since, until))
    assert time_span(said, NOW) == expected


@pytest.mark.parametrize(("said", "days"), [("last 7 days", 7), ("this week", 5.4), ("this month", 27.4)])
def test_time_span_until_now(said: str, days: float) -> None:
    span = time_span(said, NOW)
    assert span is not None
    assert (NOW - span[0]).total_seconds() / 86_400 == pytest.approx(days, abs=0.1)
    assert span[1] > NOW


@pytest.mark.parametrize("said", ["anna", "my downloads", "june gloom", "99999", "5pm", ""])
def test_not_a_time_span(said: str) -> None:
    assert time_span(said, NOW) is None


@given(text=st.text(max_size=40))
def test_any_words_can_be_taken_apart(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    ctx = make_context(tmp_path_factory.getbasetemp())
    phrase = parse(ctx, text)
    assert set(phrase.words) <= set(tokens(text))
    assert 0 <= score(phrase.words, text) <= 1.2
