from __future__ import annotations

import dataclasses
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import StoreError
from edge_agent.ledger import CallRow, Ledger, Row

DAY = 86_400.0
NOW = 1_000 * DAY
SECRETS = ("plants and secrets", "watered quietly", "geranium", "result of watering", "tap was shut", "no water")

ROW = Row(
    id="aa11",
    at=NOW,
    model="tiny.gguf",
    text="plants and secrets",
    answer="watered quietly",
    tools_offered=40,
    tools_kept=("water", "wait"),
    prompt_tokens=300,
    reused_tokens=200,
    generated_tokens=20,
    forced_tokens=12,
    elapsed_ms=123.5,
    steps_ms={"retrieve": 1.5, "decode": 100.0},
    energy={"joules": 2.5, "source": "rapl"},
    steps_joules={"decode": 2.0},
    confidence=0.75,
    decision="act",
    error="no water",
    calls=(
        CallRow("garden.water", {"plant": "geranium", "litres": 2}, "result of watering", "", 7, 12.5),
        CallRow("garden.close", {}, "", "tap was shut", 0, 0.5),
    ),
)


def row(**changes: Any) -> Row:
    return dataclasses.replace(ROW, **changes)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "data", clock=lambda: NOW)
    yield made
    made.close()


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_row_comes_back_as_it_went_in(ledger: Ledger) -> None:
    ledger.add(ROW)
    (found,) = ledger.rows()
    assert dataclasses.replace(found, tools_kept=tuple(found.tools_kept)) == ROW


def test_unknown_is_kept_as_unknown(ledger: Ledger) -> None:
    bare = row(text=None, answer=None, energy=None, steps_joules=None, confidence=None, error=None, calls=())
    ledger.add(bare)
    (found,) = ledger.rows()
    assert (found.energy, found.steps_joules, found.confidence, found.error) == (None, None, None, None)
    assert found.calls == ()


def test_the_file_is_the_owners(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add(ROW)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()} == {0o600}


def test_without_content_no_text_is_anywhere_in_the_files(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, store_content=False, clock=lambda: NOW)
    ledger.add(ROW)
    ledger.add(row(id="bb22", error=None))
    written = everything_on_disk(tmp_path)  # file and write-ahead log
    assert b"garden.water" in written
    assert [secret for secret in SECRETS if secret.encode() in written] == []
    plain, found = ledger.rows()
    ledger.close()
    assert (found.text, found.answer, found.error, plain.error) == (None, None, "(not kept)", None)
    assert [(c.tool, c.arguments, c.result, c.error, c.action) for c in found.calls] == [
        ("garden.water", {}, "", "", 7),
        ("garden.close", {}, "", "(not kept)", 0),
    ]
    assert (found.prompt_tokens, found.steps_ms, found.confidence) == (300, ROW.steps_ms, 0.75)


def test_with_content_the_texts_are_there(ledger: Ledger, tmp_path: Path) -> None:
    """Proves that the test above can fail."""
    ledger.add(ROW)
    assert all(secret.encode() in everything_on_disk(tmp_path) for secret in SECRETS)


@pytest.mark.parametrize("text", ["größe 🎉", "tab\tnul\x00", "file \udcff name", "'; DROP TABLE requests; --"])
def test_any_text_can_be_kept(ledger: Ledger, text: str) -> None:
    call = CallRow("t", {"a": text}, text, text, 0, 0.0)
    ledger.add(row(text=text, answer=text, error=text, calls=(call,)))
    (found,) = ledger.rows()
    kept = text.replace("\udcff", "?")
    assert (found.text, found.answer, found.error, found.calls[0].result) == (kept, kept, kept, kept)
    assert found.calls[0].arguments == {"a": kept}


# -- looking -----------------------------------------------------------------------------------------------


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    call = CallRow("files.find_files", {}, "", "", 1, 1.0)
    ledger.add(row(id="aa11", at=NOW - 30, text="Find the 100% report"))
    ledger.add(row(id="ab22", at=NOW - 20, text="find a_b", decision="ask", calls=(call,)))
    ledger.add(row(id="b_33", at=NOW - 10, text="find axb", decision="decline", calls=()))
    ledger.add(row(id="c!44", at=NOW - 10, text="hello!", decision="act", calls=(call, call)))
    return ledger


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, ["c!44", "b_33", "ab22", "aa11"]),
        ({"limit": 2}, ["c!44", "b_33"]),
        ({"limit": 0}, []),
        ({"since": NOW - 20}, ["c!44", "b_33", "ab22"]),
        ({"decision": "ask"}, ["ab22"]),
        ({"text": "find"}, ["b_33", "ab22", "aa11"]),
        ({"text": "100%"}, ["aa11"]),
        ({"text": "a_b"}, ["ab22"]),
        ({"text": "!"}, ["c!44"]),
        ({"text": "%"}, ["aa11"]),
        ({"id": "a"}, ["ab22", "aa11"]),
        ({"id": "_"}, []),
        ({"id": "b_"}, ["b_33"]),
        ({"id": "33"}, []),
        ({"tool": "find_files"}, ["c!44", "ab22"]),
        ({"tool": "garden"}, ["aa11"]),
        ({"tool": "find_files", "decision": "act"}, ["c!44"]),
        ({"tool": "' OR 1=1 --"}, []),
    ],
)
def test_filters(filled: Ledger, filters: dict[str, Any], ids: list[str]) -> None:
    assert [found.id for found in filled.rows(**filters)] == ids


def test_totals_count_what_is_known(ledger: Ledger) -> None:
    assert ledger.totals() == {"requests": 0, "decisions": {}, "p50_ms": None, "p95_ms": None, "joules": None}
    for number in range(1, 101):
        energy = {"joules": 1.0} if number <= 10 else {"joules": None} if number <= 20 else None
        decision = "act" if number % 2 else "ask"
        ledger.add(row(id=f"{number}", elapsed_ms=float(number), energy=energy, decision=decision, calls=()))
    totals = ledger.totals()
    assert (totals["requests"], totals["decisions"]) == (100, {"act": 50, "ask": 50})
    assert (totals["p50_ms"], totals["p95_ms"], totals["joules"]) == (51.0, 96.0, 10.0)


# -- forgetting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "kept"),
    [(90, ["new", "at-the-edge"]), (1, ["new"]), (0, ["new", "at-the-edge", "old"])],
)
def test_rows_past_retention_go_with_the_next_one(tmp_path: Path, days: int, kept: list[str]) -> None:
    ledger = Ledger(tmp_path, retention_days=0, clock=lambda: NOW)
    ledger.add(row(id="old", at=NOW - 90 * DAY - 1))
    ledger.add(row(id="at-the-edge", at=NOW - 90 * DAY))
    ledger.close()
    ledger = Ledger(tmp_path, retention_days=days, clock=lambda: NOW)
    assert len(list(ledger.rows())) == 2  # reading deletes nothing
    ledger.add(row(id="new"))
    assert [found.id for found in ledger.rows()] == kept
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:  # its calls have gone, too
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (2 * len(kept),)
    connection.close()


@pytest.mark.parametrize(
    ("which", "count", "left"),
    [
        ({"id": "aa11"}, 1, ["c!44", "b_33", "ab22"]),
        ({"id": "a"}, 2, ["c!44", "b_33"]),
        ({"id": "_"}, 0, ["c!44", "b_33", "ab22", "aa11"]),
        ({"before": NOW - 20}, 1, ["c!44", "b_33", "ab22"]),
        ({"before": 0.0}, 0, ["c!44", "b_33", "ab22", "aa11"]),
        ({}, 4, []),
    ],
)
def test_forget(filled: Ledger, which: dict[str, Any], count: int, left: list[str]) -> None:
    assert filled.forget(**which) == count
    assert [found.id for found in filled.rows()] == left


def test_vacuum_removes_forgotten_text_from_the_files(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(30):
        ledger.add(row(id=f"{number:03}", text=f"plants and secrets {number}" * 50))
    ledger.add(row(id="stays", text="this one stays", answer="", error=None, calls=()))
    assert b"plants and secrets" in everything_on_disk(tmp_path)
    assert ledger.forget(id="0") == 30
    ledger.vacuum()
    written = everything_on_disk(tmp_path)
    assert [secret for secret in SECRETS if secret.encode() in written] == []
    assert b"this one stays" in written
    assert [found.id for found in ledger.rows()] == ["stays"]


def test_vacuum_says_when_another_is_reading(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add(ROW)
    ledger.forget()
    ledger._database.rows("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "data" / "ledger.db", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM requests").fetchall()
    with pytest.raises(StoreError, match=r"ledger\.db"):
        ledger.vacuum()
    other.execute("COMMIT")
    other.close()
    ledger.vacuum()
    assert b"geranium" not in everything_on_disk(tmp_path)


# -- trouble -----------------------------------------------------------------------------------------------


def test_a_ledger_from_the_future_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add(ROW)
    ledger.close()
    path = tmp_path / "data" / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer edge_agent"):
        ledger.add(row(id="other"))
    assert path.read_bytes() == before


def test_a_damaged_ledger_is_named(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.db").write_bytes(b"SQLite format 3\x00" + b"\x00\xff" * 4000)
    with pytest.raises(StoreError, match=r"ledger\.db"):
        list(ledger.rows())
    with pytest.raises(StoreError, match=r"ledger\.db"):
        ledger.add(ROW)


def test_a_request_is_written_once(ledger: Ledger) -> None:
    ledger.add(ROW)
    with pytest.raises(StoreError, match="UNIQUE"):
        ledger.add(row(text="again"))
    (found,) = ledger.rows()
    assert found.text == ROW.text
    assert len(found.calls) == 2
