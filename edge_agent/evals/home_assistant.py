"""Home Assistant's test sentences: one spoken command, and the intent and slots it means in one fixed home.

Data: `home-assistant/` with `sentences.jsonl.gz` (`{id, text, intent, slots, context}`), `intents.json` (every intent
with its slots) and `fixtures_en.json` (floors, areas, entities), of home-assistant/intents, CC BY 4.0.

A request shows all intents as tools, made by the data's own specification of slots; types and wording are ours. The
home stands in the system message, one line per kind of thing; the speaker's area, where a case has one, is a fact of
`now`. Exact: there is one call, it names the intent, and it has just the slots of the truth. Texts are compared without
regard to case and runs of blanks; a name that the fixtures write with optional parts (`Joe[']s`) is the same with and
without them; a list of one value is that value; where the truth is a list, any of it is right. Numbers are compared
as numbers, and never with texts. `HassRespond` has no `response` here: what is said is not part of the truth.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialects.base import Call
from ..errors import InputError
from .maskbench import json_lines
from .suite import Case, Verdict

if TYPE_CHECKING:
    from ..predict import Prediction

_NAME = "Name of the device as spoken, without article."
_AREA = "Room as spoken, without article, e.g. 'living room'; the speaker's own area if no place is said."
_FLOOR = "Floor as spoken, without article, e.g. 'upstairs', 'ground floor'."
_TIMER_NAME = "Name of the timer as spoken, e.g. 'pizza'."
_COVERS = ["awning", "blind", "curtain", "damper", "door", "garage", "gate", "shade", "shutter", "window"]
_SWITCHED = ["light", "switch", "fan", "cover", "lock", "media_player", "climate", "valve", "vacuum", "scene", "script"]
_MOVED = ["cover", "valve"]
_STATES = ["on", "off", "open", "closed", "locked", "unlocked", "playing", "paused", "home", "not_home"]
_MEDIA = ["album", "artist", "track", "playlist", "podcast", "movie", "tv_show", "music", "video"]
_TIMERS = tuple(f"Hass{verb}Timer" for verb in ("Cancel", "Increase", "Decrease", "Pause", "Unpause"))

#: What an intent does. One that is not here keeps the description it has in the data.
INTENTS = {
    "HassTurnOn": "Turns on, opens or presses one device, or all devices of a kind in an area or floor; also starts "
    "scenes and scripts by name. For a lock this locks it.",
    "HassTurnOff": "Turns off or closes one device, or all devices of a kind in an area or floor. For a lock this "
    "unlocks it.",
    "HassGetState": "Reads the state of devices, sensors and people. Answers questions such as whether something is "
    "on, which are open, how many are locked, where someone is.",
    "HassNevermind": "Ends the request without doing anything; the user changed their mind.",
    "HassRespond": "Answers a greeting or a question about the assistant itself.",
    "HassBroadcast": "Speaks a message on all voice satellites in the home.",
    "HassSetPosition": "Moves a cover or valve to a position, in percent open (0 closed, 100 fully open).",
    "HassGetCurrentDate": "Tells today's date.",
    "HassGetCurrentTime": "Tells what time it is.",
    "HassLightSet": "Sets the brightness or colour of lights.",
    "HassClimateSetTemperature": "Sets the target temperature of a thermostat, radiator or air conditioner.",
    "HassClimateGetTemperature": "Tells the current temperature of a room or thermostat.",
    "HassShoppingListAddItem": "Adds one item to the shopping list.",
    "HassShoppingListCompleteItem": "Checks one item off the shopping list.",
    "HassGetWeather": "Tells the weather.",
    "HassListAddItem": "Adds one item to a to-do list other than the shopping list.",
    "HassListCompleteItem": "Checks one item off a to-do list other than the shopping list.",
    "HassVacuumStart": "Starts a vacuum cleaner, or sends it out again.",
    "HassVacuumReturnToBase": "Sends a vacuum cleaner back to its dock.",
    "HassMediaPause": "Pauses what is playing.",
    "HassMediaUnpause": "Resumes paused media.",
    "HassMediaNext": "Skips to the next track, episode or chapter.",
    "HassMediaPrevious": "Goes back to the previous track, episode or chapter, or plays the last one again.",
    "HassSetVolume": "Sets the volume of a media player to a level.",
    "HassMediaSearchAndPlay": "Searches for media and plays the first result.",
    "HassStartTimer": "Starts a countdown timer. At least one of hours, minutes and seconds must be known.",
    "HassCancelAllTimers": "Cancels all timers.",
    "HassCancelTimer": "Cancels one timer.",
    "HassIncreaseTimer": "Adds time to a timer.",
    "HassDecreaseTimer": "Takes time off a timer.",
    "HassPauseTimer": "Pauses a running timer.",
    "HassUnpauseTimer": "Resumes a paused timer.",
    "HassTimerStatus": "Tells how much time is left on one or all timers.",
}


@dataclass(frozen=True, slots=True)
class Truth:
    """What a sentence means. names: each spelling of a name in the fixtures -> the one it is compared by."""

    intent: str
    slots: Mapping[str, Any]
    names: Mapping[str, str]


class HomeAssistant:
    """The suite; a category per intent. The home takes some 500 tokens of each prompt."""

    name = "home-assistant"

    def load(self, data: Path) -> list[Case]:
        """Raises InputError naming the file that is missing or wrong. data: the data's folder, or the one above."""
        folder = data / "home-assistant" if (data / "home-assistant").is_dir() else data
        home, intents = _read(folder / "fixtures_en.json"), _read(folder / "intents.json")
        try:
            shown = tools(intents, home)
            context = {"role": "system", "content": describe(home)}
            names = {key: text.casefold() for text in _names(home) for key in spellings(text)}
        except (LookupError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: not Home Assistant's fixtures and intents: {error!r}") from error

        def case(row: Any) -> Case:
            if row["intent"] not in intents:
                raise ValueError(f"intents.json has no {row['intent']!r}")
            id = f"home-{row['id']}"
            request = {"id": id, "messages": [context, {"role": "user", "content": str(row["text"])}], "tools": shown}
            if area := dict(row["context"]).get("area"):
                request["now"] = f"area: {area}"
            return Case(id, row["intent"], request, Truth(row["intent"], dict(row["slots"]), names))

        return list(json_lines(folder / "sentences.jsonl.gz", "sentence of Home Assistant", case))

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        truth: Truth = case.gold
        if len(prediction.calls) != 1:
            return Verdict(False, f"{len(prediction.calls)} calls instead of one", name_right=False)
        call = prediction.calls[0]
        if call.name != truth.intent:
            return Verdict(False, f"{call.name} instead of {truth.intent}", name_right=False)
        wrong = wrong_slots(call.arguments, truth)
        reason = "; ".join(f"{slot}: {_said(call, slot)} instead of {_meant(truth, slot)}" for slot in wrong)
        return Verdict(not wrong, reason, name_right=True, arguments_right=not wrong)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        """kind_aside_rate: right when `domain` and `device_class` are not compared beside a name: the data gives them
        there for some devices and not for others, and the device is the same. The other two: cases with a speaker's
        area, and without."""
        pairs = list(zip(cases, predictions, strict=True))
        passed = {case.id: self.judge(case, prediction).passed for case, prediction in pairs}
        aside = [passed[case.id] or _kind_aside(case.gold, prediction.calls) for case, prediction in pairs]
        placed = [passed[case.id] for case in cases if "now" in case.row]
        others = [passed[case.id] for case in cases if "now" not in case.row]
        return {"kind_aside_rate": _rate(aside), "with_area_rate": _rate(placed), "without_area_rate": _rate(others)}


def wrong_slots(said: Mapping[str, Any], truth: Truth) -> list[str]:
    """Slots that are wrong, missing, or said though they are none of it; in alphabetical order."""
    return [
        slot
        for slot in sorted({*said, *truth.slots})
        if slot not in said or slot not in truth.slots or not same(said[slot], truth.slots[slot], truth.names)
    ]


def same(said: Any, meant: Any, names: Mapping[str, str]) -> bool:
    """Whether a value is the one that is meant, or one of those (see the module's head)."""
    if isinstance(meant, list):
        return any(same(said, each, names) for each in meant)
    if isinstance(said, list):
        return len(said) == 1 and same(said[0], meant, names)
    if isinstance(said, str) and isinstance(meant, str):
        plain, other = " ".join(said.casefold().split()), " ".join(meant.casefold().split())
        return names.get(plain, plain) == names.get(other, other)
    return isinstance(said, bool) == isinstance(meant, bool) and bool(said == meant)


def spellings(template: str) -> set[str]:
    """A name with and without each of its `[optional]` parts, in lower case."""
    parts = re.split(r"\[([^\]]*)\]", template.casefold())
    choices = [("", part) if index % 2 else (part,) for index, part in enumerate(parts)]
    return {" ".join("".join(chosen).split()) for chosen in itertools.product(*choices)}


def describe(home: Mapping[str, Any]) -> str:
    """The home for a model: areas and floors, then the entities' names, a line per domain."""
    lines = {"areas": [each["name"] for each in home["areas"]], "floors": [each["name"] for each in home["floors"]]}
    for entity in home["entities"]:
        names = lines.setdefault(_domain(entity), [])
        if (name := re.sub(r"[\[\]]", "", entity["name"])) not in names:
            names.append(name)
    return "\n".join(f"{kind}: {', '.join(names)}" for kind, names in lines.items())


def tools(intents: Mapping[str, Any], home: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every intent as `{name, description, parameters}`. What can be asked about is what the home has."""
    domains = sorted({_domain(entity) for entity in home["entities"]})
    classes = {entity.get("attributes", {}).get("device_class") for entity in home["entities"]} - {None}
    return [_tool(name, intent, domains, sorted(classes | {*_COVERS})) for name, intent in intents.items()]


def _tool(name: str, intent: Mapping[str, Any], domains: list[str], classes: list[str]) -> dict[str, Any]:
    slots = {slot: about for slot, about in intent.get("slots", {}).items() if slot != "response"}
    properties = {slot: _slot(name, slot, about["description"], domains, classes) for slot, about in slots.items()}
    required = [slot for slot, about in slots.items() if about["required"]]
    return {
        "name": name,
        "description": INTENTS.get(name, intent["description"]),
        "parameters": {"type": "object", "properties": properties, "required": required},
    }


def _slot(intent: str, slot: str, about: str, domains: list[str], classes: list[str]) -> dict[str, Any]:
    """The schema of a slot. Home Assistant takes lists of domains, classes and states; so do we."""
    asks, timer = intent == "HassGetState", intent in (*_TIMERS, "HassTimerStatus", "HassCancelAllTimers")
    match slot:
        case "name" if timer:
            return _text(_TIMER_NAME)
        case "name" if intent == "HassStartTimer":
            return _text("Name for the timer as spoken, without 'timer'.")
        case "name" if intent in ("HassListAddItem", "HassListCompleteItem"):
            return _text("Name of the list as spoken, without 'list'.")
        case "name" if intent == "HassGetWeather":
            return _text("Name of the weather service or place, only if said.")
        case "name":
            return _text("Name of one device, person or sensor as spoken, without article." if asks else _NAME)
        case "area":
            return _text("Room in which the timer was started." if timer else _AREA)
        case "floor":
            return _text(_FLOOR)
        case "domain" if asks:
            kinds = "Kind of device, beside a name too: binary_sensor for yes or no, sensor for a value measured."
            return _list(domains, kinds)
        case "domain":
            moved = intent == "HassSetPosition"
            beside = "" if moved else " Beside a name only for scenes and scripts."
            kinds = f"Kind of device, for all devices of a kind ('kitchen lights').{beside}"
            return _list(_MOVED if moved else _SWITCHED, kinds)
        case "device_class" if asks:
            return _list(classes, "What is sensed, or kind of cover. Give the domain too.")
        case "device_class":
            return _list(_COVERS, "Kind of cover when no name is given. Give the domain too.")
        case "state":
            return _list(_STATES, "State that is asked about: on or off for a binary_sensor, on for what it detects.")
        case "hours" | "minutes" | "seconds":
            return {"type": "integer", "description": f"{slot.capitalize()}."}
        case "start_hours" | "start_minutes" | "start_seconds":
            return {"type": "integer", "description": f"{slot[6:].capitalize()} the timer was started with."}
        case "position":
            return _percent("Percent open.")
        case "brightness":
            return _percent("Percent, 0 to 100. 1 is the dimmest that is still on.")
        case "volume_level":
            return _percent("Percent, 0 to 100.")
        case "temperature":
            return {"type": "number", "description": "Target in degrees, in the unit of the home."}
        case "media_class":
            return {"type": "string", "enum": _MEDIA, "description": "Only when the kind is said; a song is a track."}
    return _text(_SLOTS.get(slot, about))


_SLOTS = {
    "color": "English colour name in lower case, e.g. 'red'.",
    "item": "Item as spoken, without article.",
    "message": "Message exactly as spoken.",
    "search_query": "What to look for, as spoken.",
    "conversation_command": "Command to carry out at the end, as spoken.",
}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _list(choices: list[str], description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": choices}, "description": description}


def _percent(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description, "minimum": 0, "maximum": 100}


def _kind_aside(truth: Truth, calls: Sequence[Call]) -> bool:
    if "name" not in truth.slots or len(calls) != 1 or calls[0].name != truth.intent:
        return False
    return not {*wrong_slots(calls[0].arguments, truth)} - {"domain", "device_class"}


def _said(call: Call, slot: str) -> str:
    return json.dumps(call.arguments[slot], ensure_ascii=False) if slot in call.arguments else "nothing"


def _meant(truth: Truth, slot: str) -> str:
    return json.dumps(truth.slots[slot], ensure_ascii=False) if slot in truth.slots else "nothing"


def _names(home: Mapping[str, Any]) -> list[str]:
    return [each["name"] for kind in ("floors", "areas", "entities") for each in home[kind]]


def _domain(entity: Mapping[str, Any]) -> str:
    return str(entity["id"]).partition(".")[0]


def _rate(passed: Sequence[bool]) -> float | None:
    return sum(passed) / len(passed) if passed else None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
