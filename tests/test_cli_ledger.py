from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from cli_fixture import Line, line

from edge_agent.cli.ledger import moment
from edge_agent.config import Dirs
from edge_agent.errors import InputError
from edge_agent.ledger import CallRow, Ledger, Row

__all__ = ["line"]

DAY = 86_400.0


@pytest.fixture
def rows() -> list[Row]:
    """Four requests, the newest first as the ledger gives them."""

    def row(id: str, days_ago: float, text: str, decision: str, *tools: str) -> Row:
        energy = {"joules": 2.0, "low": 1.0, "high": 3.0, "source": "rapl", "scope": "package", "method": "counter"}
        return Row(
            id=id, at=time.time() - days_ago * DAY, model="m.gguf", text=text, answer=f"answer to {text}",
            tools_offered=85, tools_kept=("look", "jot"), prompt_tokens=100, reused_tokens=60, generated_tokens=12,
            forced_tokens=9, elapsed_ms=123.4, steps_ms={"decode": 100.0}, energy=energy,
            steps_joules={"decode": 1.5}, confidence=0.75, decision=decision, error=None,
            calls=tuple(CallRow(tool, {"a": "b\x1b"}, "done", "", 1, 5.0) for tool in tools),
        )  # fmt: skip

    made = [
        row("aaaa1111", 0.01, "water the plants", "act", "clock.set_timer"),
        row("aaaa2222", 1, "what time is it", "act", "clock.current_time"),
        row("bbbb3333", 3, "100% of_it", "decline"),
        row("cccc4444", 10, "call Ann", "ask", "phone.call"),
    ]
    book = Ledger(Dirs.default().data)
    for each in made:
        book.add(each)
    return made


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ((), ["aaaa1111", "aaaa2222", "bbbb3333", "cccc4444"]),
        (("--since", "2d"), ["aaaa1111", "aaaa2222"]),
        (("--since", "1h"), ["aaaa1111"]),
        (("--decision", "decline"), ["bbbb3333"]),
        (("--tool", "clock"), ["aaaa1111", "aaaa2222"]),
        (("--text", "0% of_"), ["bbbb3333"]),
        (("--text", "%"), ["bbbb3333"]),
        (("--limit", "1"), ["aaaa1111"]),
        (("--tool", "clock", "--text", "time"), ["aaaa2222"]),
        (("--tool", "nothing"), []),
    ],
)
def test_filters(line: Line, filters: tuple[str, ...], ids: list[str]) -> None:
    assert [row["id"] for row in line("ledger", "list", *filters, "--json").json] == ids
    exported = line("ledger", "export", *filters).out.splitlines()
    assert [json.loads(each)["id"] for each in exported] == ids


@pytest.mark.usefixtures("rows")
def test_list_and_show_for_people(line: Line) -> None:
    assert "water the plants" in line("ledger", "list").out
    shown = line("ledger", "show", "aaaa1").out
    for told in (
        "water the plants",
        "0.75",
        "look, jot of 85",
        "100 tokens, 60",
        "2.00 J (1.00 to 3.00), rapl",
        r"b\u001b",
    ):
        assert told in shown
    assert line("ledger", "show", "aaaa1", "--json").json["calls"][0]["tool"] == "clock.set_timer"


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("id", "said"), [("aaaa", "several requests begin"), ("zz", "no request begins"), ("%", "no request")]
)
def test_show_needs_one(line: Line, id: str, said: str) -> None:
    ran = line("ledger", "show", id)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.usefixtures("rows")
def test_stats(line: Line) -> None:
    totals = line("ledger", "stats", "--json").json
    assert totals["requests"] == 4
    assert totals["decisions"] == {"act": 2, "decline": 1, "ask": 1}
    assert totals["joules"] == 8.0
    assert "8.0 J" in line("ledger", "stats").out


def test_an_empty_ledger(line: Line) -> None:
    assert line("ledger", "list", "--json").json == []
    assert line("ledger", "stats").code == 0
    assert line("ledger", "export").out == ""


@pytest.mark.usefixtures("rows")
def test_export_to_a_file(line: Line, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    assert line("ledger", "export", "--out", str(out), "--json").json == {"rows": 4, "out": str(out)}
    assert len(out.read_text().splitlines()) == 4
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("argv", "left"),
    [
        (("bbbb",), ["aaaa1111", "aaaa2222", "cccc4444"]),
        (("--since", "2d"), ["bbbb3333", "cccc4444"]),
        (("--tool", "phone"), ["aaaa1111", "aaaa2222", "bbbb3333"]),
        (("--all",), []),
        (("--text", "nobody said this"), ["aaaa1111", "aaaa2222", "bbbb3333", "cccc4444"]),
    ],
)
def test_forget(line: Line, rows: list[Row], argv: tuple[str, ...], left: list[str]) -> None:
    assert line("ledger", "forget", *argv, "--yes", "--json").json == {"forgotten": len(rows) - len(left)}
    assert [row["id"] for row in line("ledger", "list", "--json").json] == left


@pytest.mark.usefixtures("rows")
def test_forget_leaves_no_trace_in_the_file(line: Line) -> None:
    line("ledger", "forget", "--all", "--yes")
    for file in Dirs.default().data.glob("ledger.db*"):
        assert b"water the plants" not in file.read_bytes()


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(("argv", "code"), [((), 2), (("--all",), 10), (("aaaa",), 2), (("nope", "--yes"), 2)])
def test_forget_is_careful(line: Line, argv: tuple[str, ...], code: int) -> None:
    assert line("ledger", "forget", *argv).code == code
    assert len(line("ledger", "list", "--json").json) == 4


@pytest.mark.usefixtures("rows")
def test_forget_asks(line: Line) -> None:
    line.at_terminal("n", "y")
    assert line("ledger", "forget", "--all").code == 10
    assert line("ledger", "forget", "--all").out == "forgot 4 requests\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0.0), ("90s", 910.0), ("5m", 700.0), ("2d", 1000 - 2 * DAY), ("1w", 1000 - 7 * DAY), ("0h", 1000.0)],
)
def test_moment_of_an_age(text: str, seconds: float) -> None:
    assert moment(text, now=1000.0) == seconds


def test_moment_of_a_time() -> None:
    assert moment("2026-11-28") == datetime(2026, 11, 28).timestamp()
    assert moment("2026-11-28T09:30+00:00") == 1_795_858_200.0


@pytest.mark.parametrize("text", ["2y", "d", "-1d", "soon", "1.5h", "٣d "])
def test_no_moment(text: str) -> None:
    with pytest.raises(InputError, match="--since"):
        moment(text)
