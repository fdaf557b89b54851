"""Did a request have the outcome a person would want? Checks over two observations of a home and the outcome.

A case's `expect` maps check names to specifications (`EVERYDAY.md` is their reference). All must hold, and
whatever changed must be claimed by one of them: a check that wants a new event claims that event and no
other, so a duplicate, a side effect or a wrong extra step fails the case. No check knows which tool
was called.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import unquote_plus

from edge_agent.evals.world import Contact, Draft, Event, File, Folder, Item, Message, Observed, Task

Decision = Literal["act", "ask", "decline", "failed"]
Spec = Mapping[str, Any]
Needle = str | Sequence[str]
"""Text to find, or alternatives of which one must be found."""

T = TypeVar("T", bound=Item)

#: What a question may mention to count as asking for a slot; `to` and `at` only as a whole entry of `asked`.
SLOTS: Mapping[str, frozenset[str]] = {
    slot: frozenset(words.split())
    for slot, words in {
        "when": "when time date day hour due start until at",
        "how_long": "long duration length minutes seconds hours time",
        "what": "what text body content message say note about subject title name item task unit units into",
        "who": "who whom which recipient contact person name email address number to",
        "where": "where place destination folder location address zone timezone city country path to",
        "which": "which what name title file path event appointment message email mail choose",
    }.items()
}
_WHOLE_ONLY = frozenset({"to", "at"})
_SETTINGS = ("volume", "brightness", "dark_mode")


class Outcome(Protocol):
    """What a run reports beyond the home's state."""

    @property
    def answer(self) -> str:
        """Everything said to the person."""

    @property
    def decision(self) -> Decision: ...

    @property
    def asked(self) -> Sequence[str]:
        """Names of the parameters asked for, or the questions themselves."""

    @property
    def system(self) -> Mapping[str, Any]:
        """State of the simulated host, shaped like `world["system"]`."""

    @property
    def opened(self) -> Sequence[str]:
        """Files, URLs and programs opened, in order."""

    @property
    def clipboard(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    passed: bool
    reasons: tuple[str, ...]
    """Why it failed; empty when passed."""


def judge(expect: Spec, before: Observed, after: Observed, outcome: Outcome) -> Verdict:
    """Check an outcome; about a millisecond.

    Args:
        expect: A case's checks, well formed (`lint`).
        before: The home just after `materialise`; also holds the system and clipboard the run began with.
        after: The home after the run.
        outcome: What the run reports.

    With `any`, each alternative is judged together with the other checks; one that passes is enough, and the
    reasons of a failure are those of the alternative that came closest.
    """
    shared = {name: spec for name, spec in expect.items() if name != "any"}
    verdicts = [_judge({**shared, **extra}, before, after, outcome) for extra in expect.get("any", [{}])]
    return min(verdicts, key=lambda verdict: len(verdict.reasons))


def _each(name: str, spec: Any) -> Sequence[Any]:
    return spec if isinstance(spec, list) and name != "asks" else [spec]


def _judge(expect: Spec, before: Observed, after: Observed, outcome: Outcome) -> Verdict:
    trial = _Trial(before, after, outcome)
    wanted = "ask" if "asks" in expect else "decline" if "declines" in expect else "act"
    if outcome.decision != wanted:
        trial.fail(f"decision is {outcome.decision!r}, not {wanted!r}")
    for name, spec in expect.items():
        if name in _CHECKS:
            for each in _each(name, spec):
                _CHECKS[name](trial, each)
    if not expect.get("allow_other"):
        trial.nothing_else()
    return Verdict(not trial.reasons, tuple(trial.reasons))


@dataclass(slots=True)
class _Trial:
    """The differences between two observations, from which checks claim what they want."""

    before: Observed
    after: Observed
    outcome: Outcome
    reasons: list[str] = field(default_factory=list)
    added: Counter[Item] = field(init=False)
    removed: Counter[Item] = field(init=False)
    touched: set[str] = field(default_factory=set)
    """Paths claimed so far: folders that came or went with them are claimed too."""
    settings: dict[str, Any] = field(init=False)
    """The settings the outcome should have: as before, but for what a check asked."""
    started: list[str] = field(init=False)
    ended: list[str] = field(init=False)
    opened: list[str] = field(init=False)
    clipboard_claimed: bool = False

    def __post_init__(self) -> None:
        old, new = Counter(self.before.items), Counter(self.after.items)
        self.added, self.removed = new - old, old - new
        self.settings = {key: self.before.system[key] for key in _SETTINGS if key in self.before.system}
        was, now = _programs(self.before.system), _programs(self.outcome.system)
        self.started, self.ended = sorted((now - was).elements()), sorted((was - now).elements())
        self.opened = list(self.outcome.opened)

    def fail(self, reason: str) -> None:
        self.reasons.append(reason)

    def claim(self, kind: type[T], matches: Callable[[T], bool], wanted: str) -> T | None:
        """Take one added item that matches; it then no longer counts as an unexpected change."""
        item = next((item for item in self.added if isinstance(item, kind) and matches(item)), None)
        if item is None:
            self.fail(f"no new {kind.__name__.lower()} with {wanted}")
            return None
        self.added -= Counter([item])
        if isinstance(item, File | Folder):
            self.touched.add(item.path)
        return item

    def claim_gone(self, kind: type[T], matches: Callable[[T], bool], wanted: str) -> list[T]:
        """Require that every item that matched before is gone, and that there was one."""
        targets: list[T] = [item for item in self.before.items if isinstance(item, kind) and matches(item)]
        left = set(self.after.items).intersection(targets)
        if not targets or left:
            self.fail(f"{kind.__name__.lower()} with {wanted} {'is still there' if left else 'was never there'}")
        self.removed -= Counter(targets)
        self.touched |= {item.path for item in targets if isinstance(item, File)}
        return targets

    def nothing_else(self) -> None:
        for word, items in (("new", self.added), ("gone", self.removed)):
            for item in items.elements():
                if not (isinstance(item, Folder) and any(p.startswith(f"{item.path}/") for p in self.touched)):
                    self.fail(f"unexpected change, {word}: {_describe(item)}")
        for key, value in self.settings.items():
            if (actual := self.outcome.system.get(key, value)) != value:
                self.fail(f"unexpected change: {key} is {actual!r}, not {value!r}")
        for word, names in (("started", self.started), ("closed", self.ended), ("opened", self.opened)):
            self.reasons += [f"unexpectedly {word}: {name}" for name in names]
        if not self.clipboard_claimed and self.outcome.clipboard != self.before.clipboard:
            self.fail("unexpected change: the clipboard")


# ---- matching


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"[‐‑‒–—−]", "-", re.sub(r"[‘’]", "'", re.sub(r"[“”]", '"', text)))
    return " ".join(text.split())


def _contains(haystack: str, needle: str) -> bool:
    """Case-insensitive substring; a digit at either end of the needle must not continue in the text."""
    needle = _fold(needle)
    left = r"(?<!\d)(?<!\d[.,:])" if needle[:1].isdigit() else ""
    right = (r"(?!\d)(?![.,]\d)" if ":" in needle else r"(?!\d)(?![.,:]\d)") if needle[-1:].isdigit() else ""
    return re.search(left + re.escape(needle) + right, _fold(haystack)) is not None


def _any_of(needle: Needle) -> Sequence[str]:
    return (needle,) if isinstance(needle, str) else needle


def _has(haystack: str, needles: Iterable[Needle]) -> bool:
    return not _lacking(haystack, needles)


def _lacking(haystack: str, needles: Iterable[Needle]) -> list[Needle]:
    return [needle for needle in needles if not any(_contains(haystack, text) for text in _any_of(needle))]


def _at(value: datetime | None, wanted: str | None, tolerance_s: float = 60) -> bool:
    if wanted is None:
        return True
    return value is not None and abs((value - datetime.fromisoformat(wanted)).total_seconds()) <= tolerance_s


def _glob(pattern: str) -> re.Pattern[str]:
    """`*` stays within one path component, `**/` crosses any number of them; letter case is ignored."""
    parts = re.split(r"(\*\*/|\*)", pattern)
    regex = "".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(regex, re.IGNORECASE)


def _programs(system: Mapping[str, Any]) -> Counter[str]:
    return Counter(str(process["name"]).casefold() for process in system.get("processes", ()))


def _describe(item: Item) -> str:
    name = type(item).__name__.lower()
    match item:
        case File() | Folder():
            return f"{name} {item.path}"
        case Event():
            return f"{name} {item.title!r} at {item.start.isoformat()}"
        case Task():
            return f"{item.kind} {item.text!r}{' (done)' if item.done else ''}"
        case Contact():
            return f"{name} {item.name!r}"
        case Draft():
            return f"{name} to {', '.join(item.recipients)}"
        case Message():
            return f"{name} to {item.to}"


# ---- the checks


def _is_event(item: Event, spec: Spec) -> bool:
    minutes = (item.end - item.start).total_seconds() / 60
    return (
        _has(item.title, spec.get("title_has", ()))
        and _at(item.start, spec.get("start"))
        and minutes == spec.get("duration_min", minutes)
        and _has(item.location, spec.get("location_has", ()))
    )


def _rings(item: Task, spec: Spec) -> bool:
    return (
        item.kind != "todo"
        and _has(item.text, spec.get("text_has", ()))
        and _at(item.due, spec.get("due"), spec.get("tolerance_s", 60))
    )


def _is_todo(item: Task, spec: Spec, done: bool) -> bool:
    return item.kind == "todo" and item.done is done and _has(item.text, spec["text_has"])


def _todo_done(trial: _Trial, spec: Spec) -> None:
    trial.claim_gone(Task, lambda item: _is_todo(item, spec, False), f"{spec}")
    trial.claim(Task, lambda item: _is_todo(item, spec, True), f"{spec} done")


def _contact(trial: _Trial, spec: Spec) -> None:
    digits = re.sub(r"\D", "", spec.get("phone", "")).lstrip("0")
    email = spec.get("email", "").casefold()
    trial.claim(
        Contact,
        lambda item: (
            _has(item.name, spec["name_has"])
            and (not digits or any(re.sub(r"\D", "", phone).endswith(digits) for phone in item.phones))
            and (not email or email in {address.casefold() for address in item.emails})
        ),
        f"{spec}",
    )


def _draft(trial: _Trial, spec: Spec) -> None:
    trial.claim(
        Draft,
        lambda item: (
            set(item.recipients) == {spec["to_has"].casefold()}
            and _has(item.subject, spec.get("subject_has", ()))
            and _has(item.body, spec.get("body_has", ()))
        ),
        f"{spec}",
    )


def _message(trial: _Trial, spec: Spec) -> None:
    trial.claim(Message, lambda item: _has(item.to, [spec["to_has"]]) and _has(item.body, spec["body_has"]), f"{spec}")


def _file_exists(trial: _Trial, spec: str | Spec) -> None:
    path, source = (spec, None) if isinstance(spec, str) else (spec["path"], spec.get("same_as"))
    pattern = _glob(path.rstrip("/"))
    if path.endswith("/"):
        trial.claim(Folder, lambda item: pattern.fullmatch(item.path) is not None, path)
        return
    files = {item.path: item.sha256 for item in trial.before.items if isinstance(item, File)}
    trial.claim(
        File,
        lambda item: (
            pattern.fullmatch(item.path) is not None
            and item.path not in files
            and (source is None or item.sha256 == files.get(source))
        ),
        f"path {path}" + (f" and the content of {source}" if source else ""),
    )


def _file_contains(trial: _Trial, spec: Spec) -> None:
    pattern = _glob(spec["path"])
    old = {item.path: item for item in trial.before.items if isinstance(item, File)}
    written = trial.claim(
        File,
        lambda item: (
            pattern.fullmatch(item.path) is not None
            and _has(item.text or "", spec["has"])
            and not (spec.get("new") and item.path in old)
        ),
        f"{spec}",
    )
    if written and written.path in old:
        del trial.removed[old[written.path]]


def _file_absent(trial: _Trial, path: str) -> None:
    pattern = _glob(path)
    trial.claim_gone(File, lambda item: pattern.fullmatch(item.path) is not None, f"path {path}")


def _trashed(trial: _Trial, path: str) -> None:
    pattern = _glob(path)
    gone = trial.claim_gone(File, lambda item: pattern.fullmatch(item.path) is not None, f"path {path}")
    for item in gone:
        if item.sha256 not in trial.after.trash:
            trial.fail(f"{item.path} is not in the trash")


def _answer_has(trial: _Trial, needle: Needle) -> None:
    answer = trial.outcome.answer
    if not _has(f"{answer}\n{unquote_plus(answer)}", [needle]):
        trial.fail(f"the answer lacks {needle!r}")


def _answer_lacks(trial: _Trial, text: str) -> None:
    if _contains(trial.outcome.answer, text):
        trial.fail(f"the answer mentions {text!r}")


def _answer_number(trial: _Trial, spec: Spec) -> None:
    said = [_number(text) for text in re.findall(r"(?<![\w.,])-?\d+(?:[.,]\d+)*", _fold(trial.outcome.answer))]
    slack = spec.get("tolerance", 0) + 1e-9
    if not any(abs(number - wanted) <= slack for number in said for wanted in spec["value"]):
        trial.fail(f"the answer has no number near {spec['value']}")


def _number(text: str) -> float:
    """`1,240.5` and `418,60` as a reader of English text takes them; nan for a date or a version."""
    grouped = re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)
    try:
        return float(text.replace(",", "" if grouped else "."))
    except ValueError:
        return float("nan")


def _system(trial: _Trial, spec: Spec) -> None:
    for key, wanted in spec.items():
        if key == "processes_lacks":
            running = _programs(trial.outcome.system)
            for name in (str(name).casefold() for name in wanted):
                if any(name in program for program in running):
                    trial.fail(f"{name} is still running")
                trial.ended = [program for program in trial.ended if name not in program]
        else:
            trial.settings.pop(key, None)
            if (actual := trial.outcome.system.get(key)) != wanted:
                trial.fail(f"{key} is {actual!r}, not {wanted!r}")


def _opened(trial: _Trial, text: str) -> None:
    def shows(entry: str) -> bool:
        return _contains(entry, text) or _contains(unquote_plus(entry), text)

    if not any(shows(entry) for entry in [*trial.outcome.opened, *trial.started]):
        trial.fail(f"{text!r} was not opened")
    trial.opened = [entry for entry in trial.opened if not shows(entry)]
    trial.started = [entry for entry in trial.started if not shows(entry)]


def _clipboard_has(trial: _Trial, needle: Needle) -> None:
    trial.clipboard_claimed = True
    if not _has(trial.outcome.clipboard, [needle]):
        trial.fail(f"the clipboard lacks {needle!r}")


def _asks(trial: _Trial, slots: Sequence[str]) -> None:
    wanted = frozenset().union(*(SLOTS[slot] for slot in slots))
    for entry in (*trial.outcome.asked, trial.outcome.answer):
        # "what time" asks when, not what
        words = re.findall(r"[a-z]+", re.sub(r"\bwhat (?=time|date|day)", "", _fold(entry).replace("_", " ")))
        if wanted.intersection(words if len(words) == 1 else set(words) - _WHOLE_ONLY):
            return
    trial.fail(f"did not ask {' or '.join(slots)}")


_CHECKS: Mapping[str, Callable[[_Trial, Any], object]] = {
    "event": lambda trial, spec: trial.claim(Event, lambda item: _is_event(item, spec), f"{spec}"),
    "event_absent": lambda trial, spec: trial.claim_gone(Event, lambda item: _is_event(item, spec), f"{spec}"),
    "reminder": lambda trial, spec: trial.claim(Task, lambda item: _rings(item, spec), f"{spec}"),
    "reminder_absent": lambda trial, spec: trial.claim_gone(Task, lambda item: _rings(item, spec), f"{spec}"),
    "todo": lambda trial, spec: trial.claim(Task, lambda item: _is_todo(item, spec, False), f"{spec}"),
    "todo_done": _todo_done,
    "contact": _contact,
    "draft": _draft,
    "message": _message,
    "file_exists": _file_exists,
    "file_contains": _file_contains,
    "file_absent": _file_absent,
    "trashed": _trashed,
    "answer_has": _answer_has,
    "answer_lacks": _answer_lacks,
    "answer_number": _answer_number,
    "system": _system,
    "opened": _opened,
    "clipboard_has": _clipboard_has,
    "asks": _asks,
}
