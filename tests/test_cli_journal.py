from __future__ import annotations

import pytest
from cli_fixture import Line, home, line

__all__ = ["line"]


def jot(line: Line, *titles: str) -> None:
    for title in titles:
        assert line("tools", "run", "jot", f'{{"title": "{title}"}}').code == 0


def test_journal_lists_newest_first(line: Line) -> None:
    jot(line, "one", "two")
    line("tools", "run", "crash")
    rows = line("journal", "--json").json
    assert [(row["tool"], row["state"], row["undoable"]) for row in rows] == [
        ("paper.crash", "failed", False),
        ("paper.jot", "done", True),
        ("paper.jot", "done", True),
    ]
    assert [row["arguments"] for row in line("journal", "--limit", "1", "--state", "done", "--json").json] == [
        {"title": "two"}
    ]
    shown = line("journal").out
    assert '{"title": "two"}' in shown
    assert "boom" in shown


def test_undo_shows_asks_and_reverses(line: Line) -> None:
    jot(line, "one", "two")
    line.at_terminal("n")
    refused = line("undo")
    assert refused.code == 10
    assert f"remove {home() / 'two.txt'}, which is new" in refused.err
    assert (home() / "two.txt").exists()
    line.at_terminal("y")
    done = line("undo", "--json").json["undone"]
    assert [each["tool"] for each in done] == ["paper.jot"]
    assert not (home() / "two.txt").exists()
    assert (home() / "one.txt").exists()


def test_undo_several(line: Line) -> None:
    jot(line, "one", "two", "three")
    assert line("undo", "2", "--yes").code == 0
    assert [name for name in ("one", "two", "three") if (home() / f"{name}.txt").exists()] == ["one"]


def test_undo_needs_a_terminal_or_a_yes(line: Line) -> None:
    jot(line, "one")
    ran = line("undo")
    assert ran.code == 10
    assert "--yes" in ran.err
    assert (home() / "one.txt").exists()


def test_what_stays_is_said(line: Line) -> None:
    jot(line, "one")
    line("tools", "run", "post", '{"to": "Ann"}', "--yes")
    ran = line("undo", "--yes")
    assert "stays: #2 post.post, which cannot be taken back" in ran.err
    assert not (home() / "one.txt").exists()


def test_undo_leaves_changed_files_alone(line: Line) -> None:
    jot(line, "one")
    (home() / "one.txt").write_text("mine now")
    ran = line("undo", "--yes")
    assert ran.code == 6
    assert "changed since" in ran.err
    assert (home() / "one.txt").read_text() == "mine now"


@pytest.mark.parametrize(
    ("argv", "code"), [(("undo",), 0), (("undo", "2", "--yes"), 2), (("undo", "0"), 2), (("undo", "x"), 2)]
)
def test_how_many(line: Line, argv: tuple[str, ...], code: int) -> None:
    if len(argv) > 2:
        jot(line, "one")
    assert line(*argv).code == code
