from __future__ import annotations

import io
from pathlib import Path

import pytest
from cli_fixture import Line, line

from edge_agent.grammar import parse_gbnf

__all__ = ["line"]

DATE = 'root ::= year "-" month\nyear ::= [0-9]{4}\nmonth ::= [0-9]{2}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "g.gbnf"
    path.write_text(DATE)
    return path


def test_show(line: Line) -> None:
    document = line("grammar", "show", "jot", "--json").json
    assert document["tool"] == "paper.jot"
    assert "title" in document["gbnf"]
    assert parse_gbnf(line("grammar", "show", "paper.jot").out)
    assert line("grammar", "show", "nope").code == 6


def test_lint(line: Line, file: Path) -> None:
    ran = line("grammar", "lint", str(file))
    assert (ran.code, ran.out, ran.err) == (0, "", f"{file}: fine\n")
    file.write_text(DATE + 'spare ::= "x"\n')
    assert line("grammar", "lint", str(file)).out == f"{file}:4:1: warning: rule 'spare' is never used\n"
    assert line("grammar", "lint", str(file), "--json").json[0]["line"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('root ::= root "a" | "b"\n', "left-recursive"),
        ("root ::= nope\n", "not defined"),
        ('rot ::= "a"\n', "no rule named 'root'"),
        ('root ::= "a\n', ":1:"),
        ('root ::= "a"{1900}\n', "1900"),
    ],
)
def test_lint_refuses(line: Line, file: Path, text: str, said: str) -> None:
    file.write_text(text)
    for command in ("lint", "check"):
        ran = line("grammar", command, str(file), *(["a"] if command == "check" else []))
        assert ran.code == 7
        assert ran.err.startswith(f"error: {file}:")
        assert said in ran.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("2026-11", 0, "accepted\n"),
        ("2026-1", 1, "unfinished: right so far, and more must follow\n"),
        ("2026/11", 1, "refused after 4 bytes: '2026' ⟂\n"),
        ("", 1, "unfinished: right so far, and more must follow\n"),
    ],
)
def test_check(line: Line, file: Path, text: str, code: int, said: str) -> None:
    ran = line("grammar", "check", str(file), text)
    assert (ran.code, ran.out) == (code, said)
    assert line("grammar", "check", str(file), text, "--json").json["accepted"] is (code == 0)


def test_check_reads_stdin(line: Line, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("2026-11"))
    assert line("grammar", "check", str(file)).code == 0


def test_files_that_cannot_be_read(line: Line, tmp_path: Path) -> None:
    assert line("grammar", "lint", str(tmp_path / "none.gbnf")).code == 2
    (tmp_path / "binary.gbnf").write_bytes(b"\xff\xfe")
    ran = line("grammar", "lint", str(tmp_path / "binary.gbnf"))
    assert ran.code == 2
    assert "binary.gbnf" in ran.err
