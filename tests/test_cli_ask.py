from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from cli_fixture import Line, home, line, tool
from packs_fixture import NOW

from edge_agent.cli.ask import read_request
from edge_agent.errors import InputError

__all__ = ["line"]

JOT = 'jot {"title":"milk"}'
POST = 'post {"to":"Ann","body":"hello"}'


def test_act(line: Line) -> None:
    line.answers = [JOT]
    ran = line("ask", "jot", "down", "milk")
    assert (ran.code, ran.out) == (0, "Wrote milk.\n")
    assert (home() / "milk.txt").read_text() == "milk"


def test_json_is_the_result_and_nothing_else(line: Line) -> None:
    line.answers = [JOT]
    result = line("ask", "jot down milk", "--json").json
    assert result["text"] == "jot down milk"
    assert result["decision"] == "act"
    assert result["exit_code"] == 0
    assert result["calls"][0]["tool"] == "paper.jot"
    assert result["energy"]["method"]
    assert "events" not in result


def test_why(line: Line) -> None:
    line.answers = [JOT]
    ran = line("ask", "jot down milk", "--why")
    for told in (
        "Wrote milk.",
        "retrieved 5 of 5 tools",
        "probability of a call",
        '"milk"',
        "request",
        "decode",
        "energy:",
    ):
        assert told in ran.out
    events = line("ask", "jot down milk", "--why", "--json").json["events"]
    assert {"Retrieved", "Prompted", "Decoded", "Verified", "Decided"} <= {event["event"] for event in events}


def test_dry_run_does_nothing(line: Line) -> None:
    line.answers = [JOT]
    ran = line("ask", "jot down milk", "--dry-run")
    assert ran.code == 0
    assert "Would run paper.jot" in ran.out
    assert not (home() / "milk.txt").exists()


@pytest.mark.parametrize(
    ("answer", "text", "code", "said"),
    [
        ("none", "tell me a joke", 8, "I have no tool for that."),
        ("wake {}", "wake me", 9, "at (When to wake)"),
        ("wake {}", "wake me --json", 9, '"asks": ["at"]'),
    ],
)
def test_outcomes_have_exit_codes(line: Line, answer: str, text: str, code: int, said: str) -> None:
    line.answers = [answer]
    ran = line("ask", *text.split())
    assert ran.code == code
    assert said in ran.out


def test_a_failing_tool_is_an_error(line: Line) -> None:
    line.answers = ["crash {}"]
    ran = line("ask", "fall over")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err == "error: paper.crash failed: ValueError: boom\n"
    assert line("ask", "fall over", "--json").json["exit_code"] == 6


def test_refused_without_a_terminal(line: Line) -> None:
    line.answers = [POST]
    ran = line("ask", "post a letter to Ann saying hello")
    assert (ran.code, ran.out) == (10, "")
    assert "--yes allows it" in ran.err
    assert "nothing was done" in ran.err


def test_yes_allows(line: Line) -> None:
    line.answers = [POST]
    assert line("ask", "--yes", "post a letter to Ann").out == "Posted to Ann.\n"


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("YES", 0), ("", 10), ("n", 10), ("yessir", 10), (None, 10)])
def test_approval_is_asked(line: Line, typed: str | None, code: int) -> None:
    line.answers = [POST]
    line.at_terminal(*([] if typed is None else [typed]))
    ran = line("ask", "post a letter to Ann")
    assert ran.code == code
    assert "post.post  (egress: sends something off this machine)" in ran.err
    assert '"hello"' in ran.err
    assert "[y/N]" in ran.err


def test_approval_shows_every_character(line: Line) -> None:
    line.answers = ['post {"to":"Ann\\u202e\\u001b[2Jx\\n","body":"a\u00a0b\u200d"}']
    line.at_terminal("n")
    shown = line("ask", "post a letter").err
    assert r'"Ann\u202e\u001b[2Jx\n"' in shown
    assert r'"a\xa0b\u200d"' in shown
    assert "\x1b" not in shown


def test_offline(line: Line) -> None:
    line.answers = [POST]
    ran = line("ask", "--offline", "--yes", "post a letter to Ann")
    assert ran.code == 12
    assert "--offline" in ran.err


def test_output_cannot_steer_the_terminal(line: Line) -> None:
    line.answers = ["look {}"]
    assert line("ask", "look out").out == "It rains.\\x1b[31m\n"


def test_interrupted_actions_are_told(line: Line) -> None:
    with line.agent() as agent:
        agent.journal.intend("earlier", "post.post", "", "irreversible", {})
        database = agent.dirs.data / "journal.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE actions SET born = born - 1000")  # another process, long dead
    assert "post.post was interrupted" in line("ask", "hello there").err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([" "], 2, "the request is empty"),
        (["x" * 100_000], 2, "at most 20,000 are read"),
        (["ab\udcff"], 2, "not valid UTF-8: byte 0xff at offset 2"),
        ([], 2, "Missing argument"),
        (["hi", "--now", "soon"], 2, "'soon' is not an ISO time"),
        (["hi", "--pack", "nope"], 3, "there is no tool pack 'nope'"),
    ],
)
def test_bad_input(line: Line, words: list[str], code: int, said: str) -> None:
    line.tools = None if "--pack" in words else line.tools
    ran = line("ask", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: ")
    assert said in ran.err
    error = line("ask", *words, "--json").json["error"]
    assert said in error["message"]
    assert set(error) == {"kind", "message", "hint"}


def test_stdin(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(raw: bytes) -> Any:
        return io.TextIOWrapper(io.BytesIO(raw))

    monkeypatch.setattr("sys.stdin", piped("größer 😀\n".encode()))
    assert read_request(["-"]) == "größer 😀\n"
    monkeypatch.setattr("sys.stdin", piped(b"abc\x80"))
    with pytest.raises(InputError, match="byte 0x80 at offset 3"):
        read_request(["-"])
    monkeypatch.setattr("sys.stdin", piped(b"x" * 2_000_000))
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        read_request(["-"])
    assert read_request(["a", "-", "b"]) == "a - b"


def test_now_is_what_tools_see(line: Line) -> None:
    seen = []

    @tool(effect="read", pack="paper")
    def watch(ctx: Any) -> str:
        """Tell the time."""
        seen.append(ctx.now)
        return "ok"

    line.tools = [watch]
    line.answers = ["watch {}"]
    line("ask", "what time", "--now", "2030-01-02T03:04+05:00")
    line("config", "set", "timezone", "Asia/Tokyo")
    line("ask", "what time", "--now", "2030-01-02T03:04")
    line("ask", "what time")
    assert [moment.isoformat() for moment in seen] == [
        "2030-01-02T03:04:00+05:00",
        "2030-01-02T03:04:00+09:00",
        NOW.isoformat(),
    ]


@pytest.mark.parametrize(
    ("argv", "started"),
    [(["set it"], True), (["set it", "--dry-run"], False), (["look"], False), (["set it", "NO_RINGER"], False)],
)
def test_ringer(line: Line, monkeypatch: pytest.MonkeyPatch, argv: list[str], started: bool) -> None:
    @tool(effect="write", pack="clock")
    def set_timer(ctx: Any) -> str:
        """Set it."""
        return "Set."

    @tool(effect="read", pack="clock")
    def look() -> str:
        """Look."""
        return "Nothing."

    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr("edge_agent.toolpacks.ringer.ensure_running", lambda *folders: calls.append(folders))
    monkeypatch.setenv("EDGE_AGENT_NO_RINGER", "1" if "NO_RINGER" in argv else "")
    line.tools = [set_timer, look]
    line.answers = ["look {}" if "look" in argv else "set_timer {}"]
    ran = line("ask", *argv)
    assert ran.code == 0
    assert bool(calls) == started
    if started:
        assert calls == [(home() / ".calendars/tasks", line.agents[0].dirs.data / "ringer")]


def test_content_is_not_kept_when_the_person_says_so(line: Line) -> None:
    line("config", "set", "store_content", "false")
    line.answers = [JOT]
    line("ask", "jot down milk")
    (row,) = line("ledger", "list", "--json").json
    assert "milk" not in json.dumps(row)
