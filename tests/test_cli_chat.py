from __future__ import annotations

import io
import json

import pytest
from cli_fixture import Line, home, line

__all__ = ["line"]


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_turns_and_commands(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.answers = ['jot {"title":"milk"}', "none"]
    piped(monkeypatch, "jot milk\n\n/help\n/tools\n/nope\ntell me a joke\n/quit\nnever read\n")
    ran = line("chat")
    assert ran.code == 0
    assert ran.out == "Wrote milk.\nI have no tool for that.\n"
    assert "/undo [N]" in ran.err
    assert "paper.jot: Write a short memo." in ran.err
    assert "error: there is no command /nope" in ran.err


def test_one_json_line_per_turn(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.answers = ["look {}"]
    piped(monkeypatch, "look out\n/nope\n/undo\n")
    documents = [json.loads(each) for each in line("chat", "--json").out.splitlines()]
    assert documents[0]["decision"] == "act"
    assert documents[1]["error"]["kind"] == "input"
    assert documents[2] == {"undone": []}


def test_a_question_back_is_answered_in_the_next_line(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.answers = ["wake {}", 'wake {"at":"at 9"}']
    piped(monkeypatch, "wake me\nat 9\n")
    assert line("chat").out.splitlines() == ["I need more to wake: at (When to wake)?", "Waking at at 9."]


def test_undo(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.answers = ['jot {"title":"milk"}']
    piped(monkeypatch, "jot milk\n/undo\n/undo x\n")
    ran = line("chat", "--yes")
    assert not (home() / "milk.txt").exists()
    assert "which is new" in ran.err
    assert "/undo takes a number, not 'x'" in ran.err


def test_interrupts(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the prompt drops the line, in a request the request; Ctrl-D leaves."""
    typed = [KeyboardInterrupt(), "look out", "look again", EOFError()]

    def read(_: str = "") -> str:
        following = typed.pop(0)
        if isinstance(following, BaseException):
            raise following
        return following

    def answers(prompt: str) -> str:
        if "again" not in prompt:
            raise KeyboardInterrupt
        return "look {}"

    monkeypatch.setattr("builtins.input", read)
    line.answers = answers
    ran = line("chat")
    assert ran.code == 0
    assert "cancelled" in ran.err
    assert ran.out.startswith("It rains.")


def test_history_is_private_and_only_kept_if_content_is(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("readline")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    line.at_terminal("/help")
    history = line.agent().dirs.data / "chat_history"
    line("chat", "--json")
    assert not history.exists()
    line("config", "set", "store_content", "false")
    line.at_terminal("/help")
    line("chat")
    assert not history.exists()
    line("config", "set", "store_content", "true")
    line.at_terminal("/help")
    assert line("chat").out.startswith("edge-agent: say what you want done")
    assert history.stat().st_mode & 0o777 == 0o600
