from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from edge_agent.adapt.rows import ordered, read
from edge_agent.dialects.base import Call
from edge_agent.errors import InputError

TOOL = {
    "name": "book",
    "description": "Books a table.",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["place", "people"],
    },
}
OTHER = {"name": "cancel", "description": "Cancels.", "parameters": {"type": "object", "properties": {}}}


def write(path: Path, *lines: object) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_arguments_come_in_the_order_of_the_schema(tmp_path: Path) -> None:
    row = {"q": "four at Luigi's", "calls": [["book", {"people": 4, "place": "Luigi's"}]], "near": ["cancel"]}
    (found,) = read(write(tmp_path / "rows.jsonl.gz", {"tool": TOOL}, {"tool": OTHER}, row))
    assert list(found.calls[0].arguments) == ["place", "people"]
    assert (found.called, found.concerned, found.near) == (("book",), ("book",), ("cancel",))


def test_what_is_asked_for_concerns_the_first_near_tool(tmp_path: Path) -> None:
    row = {"q": "a table please", "calls": [], "ask": ["place", "people"], "near": ["book", "cancel"]}
    (found,) = read(write(tmp_path / "rows.jsonl", {"tool": TOOL}, {"tool": OTHER}, row))
    assert found.concerned == ("book",)
    assert found.asks == ("place", "people")


def test_conversations_keep_calls_and_whose_result_a_turn_is(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "book"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "cancel", "arguments": {}}]},
        {"role": "tool", "content": "done"},
    ]
    (found,) = read(write(tmp_path / "r.jsonl", {"tool": OTHER}, {"msgs": turns, "calls": [], "none": "done"}))
    assert found.messages[1].calls == (Call("cancel", {}),)
    assert found.messages[2].name == "cancel"


def test_public_rows_bring_their_tools_and_keep_them_together(tmp_path: Path) -> None:
    row = {"query": "cancel it", "tools": [TOOL, OTHER], "answers": [{"name": "cancel", "arguments": {}}]}
    (found,) = read(write(tmp_path / "public.jsonl", row))
    assert found.closed
    assert found.near == ("book",)


@pytest.mark.parametrize("line", [{"q": "x", "calls": [["unknown", {}]]}, {"calls": []}, 3, {"q": "x"}])
def test_a_wrong_line_is_named(tmp_path: Path, line: object) -> None:
    with pytest.raises(InputError, match="line 2"):
        read(write(tmp_path / "rows.jsonl", {"tool": TOOL}, line))


def test_objects_inside_are_ordered_too() -> None:
    schema = {"properties": {"a": {"items": {"properties": {"x": {}, "y": {}}}}}}
    assert json.dumps(ordered({"b": 1, "a": [{"y": 1, "x": 2}]}, schema)) == '{"a": [{"x": 2, "y": 1}], "b": 1}'
