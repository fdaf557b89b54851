from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edge_agent.adapt import reproduce
from edge_agent.adapt.overlap import LEAST_WORDS
from edge_agent.adapt.reproduce import BUILTIN, PUBLIC, fingerprint, gather, own_tools
from edge_agent.adapt.rows import read
from edge_agent.errors import InputError
from edge_agent.evals.cases import load_cases

TOOL = {"name": "ring", "description": "Rings.", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authored = [{"tool": TOOL}, *({"q": text, "calls": [["ring", {}]], "near": []} for text in ("ring", "ding dong"))]
    public = [{"query": "ring it", "tools": [TOOL], "answers": [{"name": "ring", "arguments": {}}]}]
    files = {"authored_x": authored, **dict.fromkeys(PUBLIC, public)}
    for name, lines in files.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_rows_that_resemble_an_evaluation_sentence_are_withheld(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [row.text for row in gather(folder).foreign if not row.closed] == ["ring", "ding dong"]
    monkeypatch.setattr(reproduce, "WITHHELD", frozenset([fingerprint("Ding, DONG!")]))
    assert [row.text for row in gather(folder).foreign if not row.closed] == ["ring"]


def test_what_is_held_out_is_not_trained_on(folder: Path) -> None:
    rows = gather(folder)
    assert rows.held
    trained = {fingerprint(row.text) for row in (*rows.foreign, *rows.builtin)}
    assert not trained & {fingerprint(row.text) for row in rows.held}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no authored_\*\.jsonl\.gz"):
        gather(tmp_path)


def test_builtin_rows_fit_the_tools_as_they_are_today() -> None:
    tools = own_tools()
    for row in read(BUILTIN, tools):
        for call in row.calls:
            faults = list(Draft202012Validator(dict(tools[call.name].parameters)).iter_errors(dict(call.arguments)))
            assert not faults, (row.text, call, faults)


def test_no_everyday_sentence_is_trained_on(folder: Path) -> None:
    trained = {fingerprint(row.text) for row in gather(folder).builtin}
    said = [case.text for case in load_cases() if len(case.text.split()) >= LEAST_WORDS]
    assert not trained & set(map(fingerprint, said))
