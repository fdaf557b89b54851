"""The checks of the everyday suite: each passes with its change and fails with near misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from everyday_fixture import WORLD, Ran, at, old

from edge_agent.evals import judge as judging
from edge_agent.evals.cases import lint
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

GYM = Event("Gym with Bo", at("11T18:00"), at("11T19:00"), "Hall 3")
TEA = Task("timer", "Tea", at("10T09:35"))
MILK = Task("todo", "Buy milk")
BO = Contact("Bo Li", ("+49 151 2345678",), ("Bo@example.org",))
MAIL = Draft(("bo@example.org",), "Hello there", "See you on Saturday")
TEXT = Message("Tom Whitfield <+44 20 7946 0318> 1", "ten minutes late")
YOGA = Event("Yoga class", at("12T18:30"), at("12T20:00"))
BANK = Task("reminder", "Call the bank", at("11T09:00"))
HELMET = Task("todo", "Buy a new bike helmet")
SHOPPING = "Notes/Shopping list.md"
CV = "Documents/CV Robin Hale.pdf"
PROGRAMS = WORLD["system"]["processes"]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    home = tmp_path_factory.mktemp("everyday") / "home"
    materialise(WORLD, home)
    return observe(home)


def new(path: str, text: str | None = None, sha256: str = "new") -> File:
    return File(path, sha256, text)


def changed(
    observed: Observed, *add: Item, drop: Sequence[Item | str] = (), trash: Sequence[str] = ()
) -> Observed:
    gone = [old(observed, item) if isinstance(item, str) else item for item in drop]
    assert all(item in observed.items for item in gone)
    kept = tuple(item for item in observed.items if item not in gone)
    return replace(
        observed, items=(*kept, *add), trash=frozenset(old(observed, path).sha256 for path in trash)
    )


def change(*add: Item, drop: Sequence[Item | str] = (), trash: Sequence[str] = (), **ran: Any) -> Any:
    return lambda observed: (changed(observed, *add, drop=drop, trash=trash), Ran(**ran))


def copy_of(source: str, path: str, drop: Sequence[str] = ()) -> Any:
    return lambda observed: (
        changed(observed, new(path, sha256=old(observed, source).sha256), drop=drop),
        Ran(),
    )


def says(answer: str, **ran: Any) -> Any:
    return change(answer=answer, **ran)


def system(**state: Any) -> Any:
    return change(system={**WORLD["system"], **state})


def events(title: str, **spec: Any) -> dict[str, Any]:
    return {"title_has": [title], "start": "2026-03-11T18:00:00+01:00", **spec}


REMINDER = {"reminder": {"text_has": ["tea"], "due": "2026-03-10T09:35:00+01:00", "tolerance_s": 30}}
MOVED_CV = {"file_absent": CV, "file_exists": {"path": "Desktop/*.pdf", "same_as": CV}}
CHECKS: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    (
        {"event": events("gym", duration_min=60, location_has=["hall"])},
        [change(GYM), change(replace(GYM, title="GYM!", start=at("11T18:01"), end=at("11T19:01")))],
        [
            change(),
            change(GYM, GYM),
            change(replace(GYM, title="Swim")),
            change(replace(GYM, start=at("11T18:02"), end=at("11T19:02"))),
            change(replace(GYM, end=at("11T19:30"))),
            change(replace(GYM, location="")),
            change(GYM, drop=[YOGA]),
        ],
    ),
    (
        {"event_absent": {"title_has": ["yoga"], "start": "2026-03-12T18:30:00+01:00"}},
        [change(drop=[YOGA])],
        [change(), change(replace(YOGA, title="Cancelled: Yoga"), drop=[YOGA])],
    ),
    (
        REMINDER,
        [change(TEA), change(replace(TEA, kind="alarm", due=TEA.due + timedelta(seconds=30)))],
        [
            change(),
            change(replace(TEA, kind="todo")),
            change(replace(TEA, text="")),
            change(replace(TEA, due=None)),
            change(replace(TEA, due=TEA.due + timedelta(seconds=31))),
        ],
    ),
    (
        {"reminder": [{"text_has": ["tea"], "due": "2026-03-10T09:35:00+01:00"}] * 2},
        [change(TEA, replace(TEA, kind="alarm"))],
        [change(TEA), change(TEA, TEA, TEA)],
    ),
    (
        {"reminder_absent": {"text_has": ["bank"]}},
        [change(drop=[BANK])],
        [change(), change(drop=[BANK, YOGA])],
    ),
    (
        {"todo": {"text_has": ["milk"]}},
        [change(MILK)],
        [change(), change(replace(MILK, done=True)), change(TEA)],
    ),
    (
        {"todo_done": {"text_has": ["helmet"]}},
        [change(replace(HELMET, done=True), drop=[HELMET])],
        [change(), change(drop=[HELMET]), change(replace(HELMET, done=True))],
    ),
    (
        {"contact": {"name_has": ["bo li"], "phone": "0151 2345678", "email": "bo@example.org"}},
        [change(BO)],
        [change(replace(BO, phones=("+49 151 2345679",))), change(replace(BO, emails=())), change()],
    ),
    (
        {
            "draft": {
                "to_has": "bo@example.org",
                "subject_has": ["hello"],
                "body_has": [["sunday", "saturday"]],
            }
        },
        [change(MAIL)],
        [
            change(),
            change(replace(MAIL, recipients=("bo@example.org", "eve@example.org"))),
            change(replace(MAIL, subject="")),
            change(replace(MAIL, body="See you")),
        ],
    ),
    (
        {"message": {"to_has": ["Tom", "+442079460318"], "body_has": [["10", "ten"], "late"]}},
        [change(TEXT), change(replace(TEXT, to="+442079460318"))],
        [change(replace(TEXT, to="Mum")), change(replace(TEXT, body="late")), change()],
    ),
    ({"file_exists": "**/*.png"}, [change(new("Pictures/a.PNG"))], [change(), change(new("a.jpg"))]),
    (
        {"file_exists": "Desktop/New/"},
        [change(Folder("Desktop/New"))],
        [change(new("Desktop/New")), change(Folder("Desktop/New/er")), change()],
    ),
    (
        MOVED_CV,
        [copy_of(CV, "Desktop/cv.pdf", drop=[CV])],
        [
            copy_of(CV, "Desktop/cv.pdf"),
            copy_of("Downloads/fonts.zip", "Desktop/cv.pdf", drop=[CV]),
            change(drop=[CV]),
        ],
    ),
    (
        {"file_exists": {"path": CV, "same_as": "Downloads/fonts.zip"}},
        [],  # writing over a file that was there is never a new file
        [copy_of("Downloads/fonts.zip", CV, drop=[CV])],
    ),
    (
        {"file_contains": {"path": SHOPPING, "has": ["oat milk", "eggs"]}},
        [change(new(SHOPPING, "- Eggs\n- Oat  milk"), drop=[SHOPPING])],
        [
            change(new(SHOPPING, "- oat milk"), drop=[SHOPPING]),
            change(new("Notes/x.md", "eggs, oat milk")),
            change(),
        ],
    ),
    (
        {"file_contains": {"path": "Notes/*.md", "has": ["eggs"], "new": True}},
        [change(new("Notes/New.md", "eggs"))],
        [change(new(SHOPPING, "eggs!"), drop=[SHOPPING]), change(new("Notes/a/b.md", "eggs"))],
    ),
    (
        {"trashed": "Downloads/*.zip"},
        [change(drop=["Downloads/fonts.zip"], trash=["Downloads/fonts.zip"])],
        [change(drop=["Downloads/fonts.zip"]), change(trash=["Downloads/fonts.zip"]), change()],
    ),
    (
        {"answer_has": ["chrome", ["14:30", "2:30"]]},
        [says("Chrome, at 2:30 pm"), says("chrome 2026-03-10T14:30:00"), says("chrome%20at 14:30")],
        [says("chrome"), says("chrome at 12:30"), says("chrome 14:305"), says("14:30")],
    ),
    ({"answer_lacks": ["fonts.zip"]}, [says("a.pdf")], [says("a.pdf, Fonts.zip")]),
    (
        {"answer_number": {"value": [1240.5, 40], "tolerance": 0.05}},
        [says("1,240.50 euros"), says("€1240.5"), says("**40**."), says("40,02")],
        [says("no number"), says("12405"), says("140"), says("40.5"), says("1.2.40"), says("v40")],
    ),
    (
        {"system": {"volume": 20, "dark_mode": True}},
        [system(volume=20, dark_mode=True)],
        [change(), system(volume=20), system(volume=20, dark_mode=True, brightness=1)],
    ),
    (
        {"system": {"processes_lacks": ["spotify"]}},
        [system(processes=[p for p in PROGRAMS if p["name"] != "spotify"])],
        [change(), system(processes=[])],
    ),
    (
        {"opened": "café oslo"},
        [change(opened=["https://maps.example/?q=Caf%C3%A9+Oslo"])],
        [change(), change(opened=["Café Oslo", "x"])],
    ),
    (
        {"opened": "calc"},
        [system(processes=[*PROGRAMS, {"name": "gnome-calculator"}])],
        [system(processes=[*PROGRAMS, {"name": "gnome-calculator"}, {"name": "x"}])],
    ),
    (
        {"clipboard_has": [["57"]]},
        [change(clipboard="57 words")],
        [change(), change(clipboard="157"), change(clipboard="57.5")],
    ),
    (
        {"any": [{"answer_has": ["http"]}, {"opened": "maps"}]},
        [says("http://maps"), change(opened=["maps"])],
        [change(), says("http", opened=["x"])],
    ),
    ({"answer_has": ["ok"], "allow_other": True}, [says("ok", drop=[YOGA])], [says("no")]),
    (
        {"asks": ["when"]},
        [says("At what time?", decision="ask"), says("", decision="ask", asked=["due_time"])],
        [
            says("When?"),
            says("Who?", decision="ask"),
            says("When?", decision="decline"),
            change(TEA, decision="ask", asked=["when"]),
        ],
    ),
    (
        {"asks": ["what"]},
        [says("What should it say?", decision="ask")],
        [says("At what time?", decision="ask")],
    ),
    (
        {"asks": ["where"]},
        [says("", decision="ask", asked=["to"])],
        [says("Do you want to?", decision="ask")],
    ),
    (
        {"declines": True},
        [says("I can't do that.", decision="decline")],
        [
            says("No"),
            says("Eh?", decision="ask"),
            change(TEA, decision="decline"),
            says("", decision="failed"),
        ],
    ),
]


@pytest.mark.parametrize(("expect", "good", "bad"), CHECKS, ids=[",".join(expect) for expect, _, _ in CHECKS])
def test_checks(expect: dict[str, Any], good: list[Any], bad: list[Any], before: Observed) -> None:
    assert lint(expect) == []
    for run in good:
        assert judge(expect, before, *run(before)) == Verdict(True, ())
    for run in bad:
        verdict = judge(expect, before, *run(before))
        assert not verdict.passed
        assert all(verdict.reasons)


def test_every_check_is_tried() -> None:
    tried = {name for expect, _, _ in CHECKS for name in expect}
    assert tried >= set(judging._CHECKS) | {"any", "allow_other", "declines"}


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (change(GYM), "unexpected change, new: event 'Gym with Bo' at 2026-03-11T18:00:00+01:00"),
        (change(drop=[BANK]), "unexpected change, gone: reminder 'Call the bank'"),
        (change(new("x.txt")), "unexpected change, new: file x.txt"),
        (change(new(CV), drop=[CV]), f"unexpected change, gone: file {CV}"),
        (change(Folder("x")), "unexpected change, new: folder x"),
        (change(BO), "unexpected change, new: contact 'Bo Li'"),
        (change(MAIL), "unexpected change, new: draft to bo@example.org"),
        (change(TEXT), "unexpected change, new: message to Tom Whitfield <+44 20 7946 0318> 1"),
        (system(brightness=1), "unexpected change: brightness is 1, not 70"),
        (system(processes=PROGRAMS[1:]), "unexpectedly closed: chrome"),
        (change(opened=["x"]), "unexpectedly opened: x"),
        (change(clipboard="x"), "unexpected change: the clipboard"),
    ],
)
def test_nothing_else_may_change(run: Any, reason: str, before: Observed) -> None:
    assert reason in judge({"answer_has": ["done"]}, before, *run(before)).reasons


def test_folders_come_and_go_with_their_files(before: Observed) -> None:
    deep = new("A/B/cv.pdf", sha256=old(before, CV).sha256)
    after = changed(before, Folder("A"), Folder("A/B"), deep, drop=[CV])
    expect = {"file_absent": CV, "file_exists": {"path": "A/B/cv.pdf", "same_as": CV}}
    assert judge(expect, before, after, Ran()).passed
    assert not judge(expect, before, changed(after, Folder("C")), Ran()).passed
