"""The sentences of the everyday suite: well formed, counted, sealed, and each one can be passed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from everyday_fixture import WORLD, Ran, old, only

from edge_agent.errors import InputError
from edge_agent.evals import judge as judging
from edge_agent.evals.cases import Case, lint, load_cases
from edge_agent.evals.judge import Verdict, judge
from edge_agent.evals.world import (
    Contact,
    Draft,
    Event,
    File,
    Folder,
    Item,
    Message,
    Observed,
    Task,
    materialise,
    observe,
)

CASES = load_cases()
EVALS = Path(judging.__file__).parent


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    home = tmp_path_factory.mktemp("everyday") / "home"
    materialise(WORLD, home)
    return observe(home)


@pytest.mark.parametrize(
    "expect",
    [
        {},
        {"remindr": {}},
        {"reminder": {"text_has": ["x"]}},
        {"reminder": {"due": "tomorrow"}},
        {"reminder": {"due": "2026-03-10T09:35:00"}},
        {"reminder": []},
        {"event": {"title_has": "x", "start": "2026-03-10T09:35:00+01:00"}},
        {"event_absent": {}},
        {"draft": {"to_has": "x"}},
        {"answer_has": []},
        {"answer_has": [[]]},
        {"answer_number": {"value": 3, "tolerance": 0}},
        {"system": {"volume": 130}},
        {"system": {"colour": "red"}},
        {"asks": ["why"]},
        {"asks": ["when"], "answer_has": ["x"]},
        {"declines": False},
        {"any": [{"opened": "x"}]},
        {"any": [{"opened": "x"}, {"any": []}]},
        {"any": [{"opened": "x"}, {"opened": "y"}], "opened": "z"},
    ],
)
def test_malformed_checks_are_found(expect: dict[str, Any]) -> None:
    assert lint(expect)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":1: not a case"),
        ('{"id": "a"}', ":1: not a case"),
        ('{"id": "a", "kind": "odd", "text": "t", "expect": {"declines": true}}', ":1: unknown kind 'odd'"),
        ('{"id": "a", "kind": "single", "text": "t", "expect": {"x": 1}}', ":1: expect: .*'x'"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(line)
    with pytest.raises(InputError, match=message):
        load_cases(tmp_path / "s.jsonl")


def test_counts_and_hash_are_those_of_the_description() -> None:
    page = (EVALS / "EVERYDAY.md").read_text(encoding="utf-8")
    stated = {kind: int(count) for kind, count in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)}
    assert stated == Counter(case.kind for case in CASES)
    assert stated["single"] >= 70
    assert stated["two_step"] >= 34
    assert stated["missing"] >= 18
    assert stated["impossible"] >= 18
    for name in ("everyday.jsonl", "everyday_world.json"):
        assert f"`{name}` | `{hashlib.sha256((EVALS / name).read_bytes()).hexdigest()}`" in page
    for name in {*judging._CHECKS, "any", "declines", "allow_other", *judging.SLOTS}:
        assert f"`{name}`" in page


def test_ids_and_sentences_are_unique_and_kinds_fit_their_checks() -> None:
    assert len({case.id for case in CASES}) == len({case.text.casefold() for case in CASES}) == len(CASES)
    for case in CASES:
        special = {"missing": {"asks"}, "impossible": {"declines"}}.get(case.kind)
        assert set(case.expect) == special if special else not {"asks", "declines"} & set(case.expect), (
            case.id
        )


def oracle(expect: Mapping[str, Any], start: Observed) -> tuple[Observed, Ran]:
    """The change a perfect agent would leave behind, built from the checks."""

    def each(name: str) -> list[Any]:
        spec = expect.get(name, [])
        return spec if isinstance(spec, list) else [spec]

    def words(needles: Sequence[Any]) -> str:
        return " / ".join(text if isinstance(text, str) else text[-1] for text in needles)

    add: list[Item] = []
    drop: list[Item] = []
    trash = set(start.trash)
    for spec in each("event"):
        begin = datetime.fromisoformat(spec["start"])
        length = timedelta(minutes=spec.get("duration_min", 60))
        add.append(
            Event(words(spec["title_has"]), begin, begin + length, words(spec.get("location_has", ())))
        )
    for spec in each("reminder"):
        add.append(
            Task("reminder", words(spec.get("text_has", ["ring"])), datetime.fromisoformat(spec["due"]))
        )
    add += [Task("todo", words(spec["text_has"])) for spec in each("todo")]
    drop += [e for spec in each("event_absent") for e in only(start, Event) if judging._is_event(e, spec)]
    drop += [t for spec in each("reminder_absent") for t in only(start, Task) if judging._rings(t, spec)]
    for spec in each("todo_done"):
        (task,) = (t for t in only(start, Task) if judging._is_todo(t, spec, False))
        drop.append(task)
        add.append(replace(task, done=True))
    for spec in each("contact"):
        add.append(Contact(words(spec["name_has"]), (spec.get("phone", ""),), (spec.get("email", ""),)))
    for spec in each("draft"):
        add.append(Draft((spec["to_has"],), words(spec.get("subject_has", ())), words(spec["body_has"])))
    add += [Message(words([spec["to_has"]]), words(spec["body_has"])) for spec in each("message")]
    for spec in each("file_exists"):
        path, sha256 = (
            (spec, "new") if isinstance(spec, str) else (spec["path"], old(start, spec["same_as"]).sha256)
        )
        path = path.replace("**/", "").replace("*", "made")
        add.append(Folder(path.rstrip("/")) if path.endswith("/") else File(path, sha256))
    for spec in each("file_contains"):
        path = spec["path"].replace("**/", "").replace("*", "made")
        drop += [f for f in only(start, File) if f.path == path]
        add.append(File(path, "new", words(spec["has"])))
    for name in ("file_absent", "trashed"):
        gone = [f for path in each(name) for f in only(start, File) if judging._glob(path).fullmatch(f.path)]
        drop += gone
        trash |= {f.sha256 for f in gone if name == "trashed"}
    numbers = " ".join(str(spec["value"][0]) for spec in each("answer_number"))
    state = {**start.system, **expect.get("system", {})}
    closed = state.pop("processes_lacks", ())
    state["processes"] = [p for p in state["processes"] if p["name"] not in closed]
    ran = Ran(
        answer=f"{words(each('answer_has'))} {numbers} {' '.join(each('asks')).replace('_', ' ')}",
        decision="ask" if "asks" in expect else "decline" if "declines" in expect else "act",
        system=state,
        opened=each("opened"),
        clipboard=words(each("clipboard_has")) or start.clipboard,
    )
    kept = tuple(item for item in start.items if item not in drop)
    return replace(start, items=(*kept, *add), trash=frozenset(trash)), ran


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_case_can_be_passed_and_is_failed_by_doing_nothing(case: Case, before: Observed) -> None:
    shared = {name: spec for name, spec in case.expect.items() if name != "any"}
    for extra in case.expect.get("any", [{}]):
        after, ran = oracle({**shared, **extra}, before)
        assert judge(case.expect, before, after, ran) == Verdict(True, ())
    assert not judge(case.expect, before, before, Ran()).passed
