from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.home_assistant import HomeAssistant, Truth, describe, same, spellings, tools, wrong_slots
from edge_agent.predict import Prediction
from edge_agent.tools import check_schema

HOME = {
    "areas": [{"name": "Attic", "id": "attic_id"}, {"name": "Boat House", "id": "boat_id"}],
    "floors": [{"name": "Roof", "id": "roof_id"}],
    "entities": [
        {"name": "Lantern", "id": "light.lantern", "area": "attic_id", "state": "off"},
        {"name": "Trapdoor", "id": "cover.trapdoor", "attributes": {"device_class": "hatch"}},
        {"name": "Gull", "id": "binary_sensor.gull_sound", "attributes": {"device_class": "sound"}},
        {"name": "Gull", "id": "binary_sensor.gull_light", "attributes": {"device_class": "light"}},
        {"name": "Granny[']s List", "id": "todo.granny"},
    ],
}
SLOT = {"description": "as the data has it", "required": False}
NEEDED = {**SLOT, "required": True}
INTENTS = {
    "HassTurnOn": {
        "description": "x",
        "slots": {"name": SLOT, "area": SLOT, "floor": SLOT, "domain": SLOT, "device_class": SLOT},
    },
    "HassGetState": {
        "description": "x",
        "slots": {"name": SLOT, "area": SLOT, "domain": SLOT, "device_class": SLOT, "state": SLOT},
    },
    "HassSetPosition": {"description": "x", "slots": {"name": SLOT, "domain": SLOT, "position": NEEDED}},
    "HassRespond": {"description": "x", "slots": {"response": SLOT}},
    "HassListAddItem": {"description": "x", "slots": {"item": NEEDED, "name": NEEDED}},
    "HassStartTimer": {"description": "x", "slots": {"hours": SLOT, "name": SLOT}},
    "HassCancelTimer": {"description": "x", "slots": {"start_minutes": SLOT, "name": SLOT, "area": SLOT}},
    "HassJuggle": {"description": "Juggles lanterns", "slots": {"number": NEEDED}},
}
SENTENCES: list[dict[str, Any]] = [
    {"id": 1, "text": "light the lantern", "intent": "HassTurnOn", "slots": {"name": "Lantern"}, "context": {}},
    {
        "id": 2,
        "text": "lights on",
        "intent": "HassTurnOn",
        "slots": {"area": "Boat House", "domain": "light"},
        "context": {"area": "Boat House"},
    },
    {
        "id": 3,
        "text": "do you hear the gull",
        "intent": "HassGetState",
        "slots": {"name": "Gull", "domain": "binary_sensor", "device_class": "sound", "state": "on"},
        "context": {"domain": "binary_sensor"},
    },
]
SUITE = HomeAssistant()


def put(folder: Path, sentences: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "fixtures_en.json").write_text(json.dumps(HOME))
    (folder / "intents.json").write_text(json.dumps(INTENTS))
    with gzip.open(folder / "sentences.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in sentences)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    put(tmp_path / "home-assistant", SENTENCES)
    return tmp_path


def answer(*calls: Call) -> Prediction:
    return Prediction(id="", calls=calls, confidence=1.0, decision="act" if calls else "decline", verified=True)


def test_a_request_shows_the_home_and_every_intent(data: Path) -> None:
    plain, placed, asked = SUITE.load(data)
    assert [case.id for case in (plain, placed, asked)] == ["home-1", "home-2", "home-3"]
    assert [case.category for case in (plain, placed, asked)] == ["HassTurnOn", "HassTurnOn", "HassGetState"]
    system, user = placed.row["messages"]
    assert (system["role"], user) == ("system", {"role": "user", "content": "lights on"})
    assert placed.row["now"] == "area: Boat House"
    assert "now" not in plain.row
    assert "now" not in asked.row  # what the answer is about is not where the speaker is
    assert [tool["name"] for tool in asked.row["tools"]] == list(INTENTS)
    assert SUITE.load(data / "home-assistant") == [plain, placed, asked]


def test_the_home_stands_in_one_line_per_kind() -> None:
    assert describe(HOME).splitlines() == [
        "areas: Attic, Boat House",
        "floors: Roof",
        "light: Lantern",
        "cover: Trapdoor",
        "binary_sensor: Gull",
        "todo: Granny's List",
    ]


def test_tools_follow_the_slots_of_the_data() -> None:
    made = {tool["name"]: tool for tool in tools(INTENTS, HOME)}
    for tool in made.values():
        check_schema(tool["name"], tool["parameters"])
    properties = {name: tool["parameters"]["properties"] for name, tool in made.items()}
    for name, intent in INTENTS.items():
        assert list(properties[name]) == [slot for slot in intent["slots"] if slot != "response"]
    state = properties["HassGetState"]
    assert state["domain"]["items"]["enum"] == ["binary_sensor", "cover", "light", "todo"]
    assert {"hatch", "sound", "blind"} < {*state["device_class"]["items"]["enum"]}
    assert made["HassListAddItem"]["parameters"]["required"] == ["item", "name"]
    assert properties["HassSetPosition"]["domain"]["items"]["enum"] == ["cover", "valve"]
    assert made["HassJuggle"]["description"] == "Juggles lanterns"
    assert properties["HassJuggle"]["number"] == {"type": "string", "description": "as the data has it"}
    names = [properties[intent]["name"]["description"] for intent in properties if "name" in properties[intent]]
    assert len(names) == 6
    assert len({*names}) == 5  # a device, one that is asked about, a list, a new timer, a timer


RIGHT = [
    ("HassTurnOn", {"name": "Lantern"}, {"name": "lantern"}),
    ("HassTurnOn", {"name": "Lantern"}, {"name": "  LANTERN "}),
    ("HassTurnOn", {"domain": "light"}, {"domain": ["light"]}),
    ("HassTurnOn", {"name": ["gull ", "tern"]}, {"name": "Gull"}),
    ("HassTurnOn", {"name": ["gull ", "tern"]}, {"name": "tern"}),
    ("HassListAddItem", {"name": "Grannys List", "item": "x"}, {"name": "granny's  list", "item": "X"}),
    ("HassStartTimer", {"hours": 2}, {"hours": 2.0}),
    ("HassRespond", {}, {}),
]
WRONG = [
    ("HassTurnOn", {"name": "Lantern"}, {}, "name"),
    ("HassTurnOn", {"name": "Lantern"}, {"name": "Lanterns"}, "name"),
    ("HassTurnOn", {"name": "Lantern"}, {"name": "Lantern", "area": "Attic"}, "area"),
    ("HassTurnOn", {"name": "Lantern"}, {"name": "Lantern", "area": ""}, "area"),
    ("HassTurnOn", {"domain": "light"}, {"domain": ["light", "fan"]}, "domain"),
    ("HassTurnOn", {"domain": "light"}, {"domain": []}, "domain"),
    ("HassStartTimer", {"hours": 1}, {"hours": True}, "hours"),
    ("HassStartTimer", {"hours": 1}, {"hours": "1"}, "hours"),
    ("HassStartTimer", {"hours": 1}, {"hours": 1.5}, "hours"),
]
NAMES = dict.fromkeys(("granny's list", "grannys list"), "granny[']s list")


@pytest.mark.parametrize(("intent", "slots", "said"), RIGHT)
def test_right_slots(intent: str, slots: dict[str, Any], said: dict[str, Any]) -> None:
    assert wrong_slots(said, Truth(intent, slots, NAMES)) == []


@pytest.mark.parametrize(("intent", "slots", "said", "slot"), WRONG)
def test_wrong_slots(intent: str, slots: dict[str, Any], said: dict[str, Any], slot: str) -> None:
    assert wrong_slots(said, Truth(intent, slots, NAMES)) == [slot]


def test_what_is_not_text_is_compared_as_it_is() -> None:
    assert same(None, None, {})
    assert not same(None, 0, {})
    assert not same({"a": 1}, "a", {})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Lantern", {"lantern"}),
        ("Granny[']s", {"granny's", "grannys"}),
        ("[the ]Old [Oak ]Door", {"the old oak door", "the old door", "old oak door", "old door"}),
    ],
)
def test_spellings(template: str, expected: set[str]) -> None:
    assert spellings(template) == expected


def test_verdicts(data: Path) -> None:
    lantern, lights, gull = SUITE.load(data)
    right = SUITE.judge(lantern, answer(Call("HassTurnOn", {"name": "lantern"})))
    assert (right.passed, right.reason, right.name_right, right.arguments_right) == (True, "", True, True)
    other = SUITE.judge(lantern, answer(Call("HassTurnOff", {"name": "lantern"})))
    assert (other.passed, other.name_right, other.arguments_right) == (False, False, None)
    assert other.reason == "HassTurnOff instead of HassTurnOn"
    partly = SUITE.judge(lights, answer(Call("HassTurnOn", {"area": "Attic"})))
    assert (partly.passed, partly.name_right, partly.arguments_right) == (False, True, False)
    assert partly.reason == 'area: "Attic" instead of "Boat House"; domain: nothing instead of "light"'
    twice = Call("HassGetState", dict(gull.gold.slots))
    assert SUITE.judge(gull, answer(twice)).passed
    assert SUITE.judge(gull, answer(twice, twice)).reason == "2 calls instead of one"
    assert not SUITE.judge(gull, answer()).passed


def test_extra_figures(data: Path) -> None:
    cases = SUITE.load(data)
    bare = Call("HassGetState", {"name": "Gull", "state": "on"})
    answers = [answer(Call("HassTurnOn", {"name": "Lantern"})), answer(), answer(bare)]
    assert not SUITE.judge(cases[2], answers[2]).passed
    assert SUITE.extra(cases, answers) == {
        "kind_aside_rate": 2 / 3,
        "with_area_rate": 0.0,
        "without_area_rate": 0.5,
    }
    assert SUITE.extra(cases[:1], [answer(bare)])["with_area_rate"] is None
    silent = answer(Call("HassGetState", {"name": "Gull"}))
    assert SUITE.extra(cases[2:], [silent])["kind_aside_rate"] == 0.0


def test_unusable_data(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fixtures_en\.json: "):
        SUITE.load(tmp_path / "nowhere")
    folder = data / "home-assistant"
    put(folder, [{**SENTENCES[0], "intent": "HassFly"}])
    with pytest.raises(InputError, match=r"sentences\.jsonl\.gz:1: not a sentence of Home Assistant: .*'HassFly'"):
        SUITE.load(data)
    (folder / "intents.json").write_text("{")
    with pytest.raises(InputError, match=r"intents\.json: "):
        SUITE.load(data)
    (folder / "intents.json").write_text('{"HassTurnOn": {"slots": {"name": {}}}}')
    with pytest.raises(InputError, match="not Home Assistant's fixtures and intents: KeyError"):
        SUITE.load(data)
