from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

from edge_agent.grammar import parse_gbnf

__all__ = ["line"]

ARGUMENTS = {
    "type": "object",
    "properties": {
        "minutes": {"type": "integer", "minimum": 1, "maximum": 90},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}, "uniqueItems": True},
    },
    "required": ["minutes"],
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "set_timer", "description": "Set.", "parameters": ARGUMENTS}},
    {"name": "bad", "inputSchema": {"type": "objekt"}},
    {"name": "post", "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}}},
    {"type": "function", "function": {"name": "now"}},
]
DATE = 'root ::= year "-" month\nyear ::= [0-9]{4}\nmonth ::= [0-9]{2}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "g.gbnf"
    path.write_text(DATE)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps({"tools": TOOLS}))
    return path


def test_show(line: Line, file: Path) -> None:
    (document,) = line("grammar", "show", "jot", "--json").json
    assert document["tool"] == "jot"
    assert "title" in document["gbnf"]
    assert parse_gbnf(line("grammar", "show", "paper.jot").out)
    assert line("grammar", "show", "nope").code == 6
    assert line("grammar", "show", str(file)).out == DATE.replace("root ", "root  ").replace("\nyear ", "\nyear  ")
    assert parse_gbnf(line("grammar", "show", str(file), "--json").json["gbnf"])


def test_show_schemas(line: Line, tools: Path) -> None:
    ran = line("grammar", "show", str(tools), "--tool", "set_timer")
    assert ran.code == 0
    assert parse_gbnf(ran.out)
    assert "checked after decoding: set_timer.tags: uniqueItems -> " in ran.err
    ran = line("grammar", "show", str(tools))
    assert ran.code == 7
    assert "error: bad: 'objekt' is not a type" in ran.err
    document = line("grammar", "show", str(tools), "--json").json
    assert [each["tool"] for each in document] == ["set_timer", "bad", "post", "now"]
    assert "objekt" in document[1]["error"]
    assert line("grammar", "show", str(tools), "--tool", "bad").code == 7


def test_lint(line: Line, file: Path) -> None:
    ran = line("grammar", "lint", str(file))
    assert (ran.code, ran.out, ran.err) == (0, "", f"{file}: fine\n")
    file.write_text(DATE + 'spare ::= "x"\n')
    ran = line("grammar", "lint", str(file))
    assert (ran.code, ran.out) == (0, f"{file}:4:1: warning: rule 'spare' is never used\n")
    assert line("grammar", "lint", str(file), "--json").json[0]["line"] == 4


def test_lint_schemas(line: Line, tools: Path) -> None:
    ran = line("grammar", "lint", str(tools))
    assert ran.code == 1
    first, *_, last = ran.out.splitlines()
    assert first.startswith(f"{tools}: relaxed: set_timer.tags: uniqueItems -> ")
    assert last == f"{tools}: error: bad: 'objekt' is not a type"
    document = line("grammar", "lint", str(tools), "--tool", "set_timer", "--json").json
    assert {each["kind"] for each in document} == {"relaxed"}
    assert {each["tool"] for each in document} == {"set_timer"}
    assert line("grammar", "lint", str(tools), "--tool", "post").out == ""


def test_remotes(line: Line, tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "remotes" / "deep"
    folder.mkdir(parents=True)
    (folder / "people.json").write_text('{"$id": "http://people/", "enum": ["me", "you"]}')
    (folder / "note.json").write_text('{"type": "string"}')
    schema = tmp_path / "schema.json"
    schema.write_text('{"properties": {"who": {"$ref": "http://people/"}, "note": {"$ref": "deep/note.json"}}}')
    remotes = ("--remotes", str(folder.parent))
    assert "http://people/" in line("grammar", "lint", str(schema)).out
    assert line("grammar", "lint", str(schema), *remotes).out == ""
    assert line("grammar", "check", str(schema), '{"who":"me","note":"x"}', *remotes).out == "accepted\n"
    ran = line("grammar", "check", str(schema), '{"who":"them"}', *remotes)
    assert ran.code == 1
    assert "refused by the grammar: " in ran.out
    assert "refused by the validator: who: 'them' is not one of" in ran.out
    (folder / "broken.json").write_text("{")
    ran = line("grammar", "lint", str(schema), *remotes)
    assert (ran.code, "broken.json: not JSON" in ran.err) == (2, True)


def test_explain(line: Line, tools: Path, file: Path) -> None:
    (document,) = line("grammar", "explain", str(tools), "--tool", "set_timer", "--json").json
    rows = {row["property"]: row for row in document["properties"]}
    assert list(rows) == ["set_timer", "set_timer.minutes", "set_timer.tags", "set_timer.tags[]"]
    assert rows["set_timer.minutes"]["held"] == ["required", "integer", "minimum 1", "maximum 90"]
    assert rows["set_timer.tags"]["held"] == ["array"]
    assert rows["set_timer.tags"]["relaxed"][0].startswith("uniqueItems: ")
    assert rows["set_timer.tags[]"]["held"] == ["string", "enum (3)"]
    assert document["rules"] > 1
    assert document["bytes"] > 100
    assert 0 < document["compile_ms"] < 5000
    ran = line("grammar", "explain", str(tools), "--tool", "set_timer")
    assert ran.code == 0
    assert "required, integer, minimum 1, maximum 90" in ran.out
    assert line("grammar", "explain", "paper.jot").out.startswith("property")
    assert line("grammar", "explain", str(file)).code == 2


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"minutes":5}', 0, "accepted\n"),
        (
            '{"minutes":91}',
            1,
            'refused by the grammar: after {"minutes":9 (byte 12): expected ',
        ),
        ('{"minutes":5,"tags":["a","a"]}', 1, "refused by the validator: tags: ['a', 'a'] has non-unique elements\n"),
        ('{"minutes": 5}', 1, "accepted by the validator\n"),
        ('{"minutes":', 1, 'unfinished: after {"minutes": (byte 11): expected a digit'),
        ("five", 1, "refused by the validator: not JSON: "),
    ],
)
def test_check_schema(line: Line, tools: Path, text: str, code: int, said: str) -> None:
    ran = line("grammar", "check", str(tools), text, "--tool", "set_timer")
    assert ran.code == code
    assert said in ran.out
    document = line("grammar", "check", str(tools), text, "--tool", "set_timer", "--json").json
    assert document["accepted"] is (code == 0)
    assert document["accepted"] == (document["grammar"] and document["problems"] == [])


def test_check_takes_one_tool(line: Line, tools: Path) -> None:
    ran = line("grammar", "check", str(tools), "{}")
    assert (ran.code, "--tool set_timer|bad|post|now" in ran.err) == (2, True)
    assert line("grammar", "check", str(tools), "{}", "--tool", "none").code == 2
    assert line("grammar", "check", str(tools), "{}", "--tool", "now").code == 0
    assert line("grammar", "check", "paper.look", "{}").code == 0


@pytest.mark.parametrize("document", ["[]", "[7]", '{"tools": []}', '{"tools": [{"name": "x"}]}', "[", "{}}"])
def test_json_that_holds_no_schema(line: Line, tmp_path: Path, document: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(document)
    ran = line("grammar", "lint", str(path))
    assert ran.code == 2
    assert str(path) in ran.err


@pytest.mark.parametrize(("document", "code"), [("true", 0), ("{}", 0), ("false", 7), ('{"type": "x"}', 7), ("7", 7)])
def test_any_schema(line: Line, tmp_path: Path, document: str, code: int) -> None:
    path = tmp_path / "d.json"
    path.write_text(document)
    assert line("grammar", "check", str(path), '{"a": [1, 2]}').code == code


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
    ran = line("grammar", "check", str(file), "a")
    assert ran.code == 7
    assert ran.err.startswith(f"error: {file}:")
    assert said in ran.err
    ran = line("grammar", "lint", str(file))
    assert ran.code == 1
    assert said in ran.out
    assert ": error: " in ran.out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("2026-11", 0, "accepted\n"),
        ("2026-1", 1, "unfinished: after 2026-1 (byte 6): expected a digit, found the end\n"),
        ("2026/11", 1, 'refused by the grammar: after 2026 (byte 4): expected "-", found "/"\n'),
        ("", 1, "unfinished: at the start: expected a digit, found the end\n"),
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
