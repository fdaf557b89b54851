from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli import render
from edge_agent.errors import RefusedError


@pytest.mark.parametrize(
    ("text", "shown", "strictly"),
    [
        ("plain ASCII", "plain ASCII", "plain ASCII"),
        ("Größe 日本 عربى", "Größe 日本 عربى", "Größe 日本 عربى"),
        ("a\nb\tc", "a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x7f\x9b2J", r"\x7f\x9b2J", r"\x7f\x9b2J"),
        ("gpj\u202eexe.", r"gpj\u202eexe.", r"gpj\u202eexe."),
        ("👩\u200d💻", "👩\u200d💻", r"👩\u200d💻"),
        ("a\u00a0b", "a\u00a0b", r"a\xa0b"),
        ("\u2028\ufeff\udc80\U000e0041", r"\u2028\ufeff\udc80\U000e0041", r"\u2028\ufeff\udc80\U000e0041"),
    ],
)
def test_visible(text: str, shown: str, strictly: str) -> None:
    assert render.visible(text) == shown
    assert render.visible(text, strict=True) == strictly


@given(st.text())
def test_what_is_strictly_visible_is_printable(text: str) -> None:
    assert render.visible(text, strict=True).isprintable()


def test_table_is_literal_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    render.table(("a", "b"), [("[bold]no[/bold] :smile:", long), (None, "\x1b[2J")], right=["b"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("[bold]no[/bold] :smile:")
    assert long in lines[1]
    assert lines[2].split() == ["–", r"\x1b[2J"]
    assert all(line == line.rstrip() for line in lines)


def test_emit_escapes_what_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    render.emit({"path": "a\udcff\n"})
    assert capsys.readouterr().out == '{"path": "a\\udcff\\n"}\n'


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(None, None), (98_362_432, "98 MB"), (2_019_377_696, "2.02 GB"), (0, "0 MB")]
)
def test_size(size_bytes: int | None, shown: str | None) -> None:
    assert render.size(size_bytes) == shown


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, agreed: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert render.asked("Really?") is agreed
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Really? [y/N] ")


def test_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    render.confirm("Really?", yes=True)
    with pytest.raises(RefusedError, match="no terminal"):
        render.confirm("Really?", yes=False)
    monkeypatch.setattr(render, "interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n"))
    render.confirm("Really?", yes=False)
    with pytest.raises(RefusedError, match="not confirmed"):
        render.confirm("Really?", yes=False)
