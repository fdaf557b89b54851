"""A person's words for files, taken apart and scored against names.

"all the pdfs from last week in downloads" is a word (pdf), a span of time, a place, and a plural. Everything
here is pure but `known`, which looks which of a folder's names exists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from ..when import parse_moment
from ..workspace import Context


def fold(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def singular(word: str) -> str:
    """One spelling for singular and plural ("grocery" for groceries), which need not be a word ("movy")."""
    word = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
    return word[:-2] + "y" if len(word) > 4 and word.endswith("ie") else word


#: Extensions of each kind.
KINDS: Mapping[str, frozenset[str]] = {
    kind: frozenset(extensions.split())
    for kind, extensions in {
        "pdf": "pdf",
        "photo": "jpg jpeg png gif webp heic heif tif tiff bmp avif",
        "video": "mp4 mov mkv avi webm m4v",
        "audio": "mp3 m4a flac ogg opus wav aac",
        "document": "pdf doc docx odt rtf txt md pages",
        "spreadsheet": "xlsx xls ods csv tsv",
        "presentation": "pptx ppt odp key",
        "text": "txt md log rst",
        "archive": "zip tar gz tgz bz2 xz 7z rar",
        "ebook": "epub mobi azw3",
        "word": "doc docx odt",
    }.items()
}
_KIND_WORDS = {kind: kind for kind in KINDS} | {
    singular(word): kind
    for kind, words in {
        "photo": "picture image pic photograph",
        "video": "movie film clip",
        "audio": "song music track recording",
        "document": "doc",
        "spreadsheet": "excel sheet",
        "presentation": "slide deck powerpoint slideshow",
        "archive": "zip",
        "text": "txt",
        "ebook": "book",
    }.items()
    for word in words.split()
}
_ORDERS = {
    "newest": "newest", "latest": "newest", "last": "newest", "recent": "newest", "oldest": "oldest",
    "biggest": "biggest", "largest": "biggest", "smallest": "smallest",
}  # fmt: skip
_FILLER = frozenset(
    {"the", "a", "an", "my", "our", "your", "this", "that", "these", "those", "of", "most", "please"}
    | {"file", "folder", "directory", "called", "named", "titled"}
)
_ALL = frozenset({"all", "every", "each", "everything"})
_PLACES = {
    singular(word): place
    for place, words in {
        "desktop": "desktop",
        "documents": "document doc",
        "downloads": "download",
        "pictures": "picture photo image",
        "music": "music",
        "videos": "video movie",
        "notes": "note",
    }.items()
    for word in words.split()
}
_YEAR = re.compile(r"(?:19|20)\d\d")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MOMENT = re.compile(
    r"\b(?:(from|since|of)\s+)?(?:the\s+)?"
    r"(today|yesterday|(?:this|last|past)\s+(?:\d+\s+)?(?:day|week|weekend|month|year|\w+day)s?)\b(?:['’]s)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A person's words for files, taken apart.

    words: what names it. under: words of a folder it lies in. place: a known folder it lies in.
    span: [since, until) of its last change. dated: words of that span which a name may hold too ("2023").
    order: superlative, or "". plural: several are meant.
    """

    words: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    place: Path | None = None
    span: tuple[datetime, datetime] | None = None
    dated: tuple[str, ...] = ()
    order: str = ""
    plural: bool = False


def parse(ctx: Context, text: str) -> Phrase:
    """Takes a phrase apart (see the module's head)."""
    span: tuple[datetime, datetime] | None = None
    if (said := _MOMENT.search(text)) and (span := time_span(said[2], ctx.now)):
        text = f"{text[: said.start()]} {text[said.end() :]}".strip()
        span = (span[0], ctx.now) if said[1] and said[1].lower() == "since" else span
    head, *clauses = re.split(r"(?:^|\s+)(in|inside|within|from|on|under|at|since)\s+", text, flags=re.IGNORECASE)
    place: Path | None = None
    words, under, dated = [*tokens(head)], list[str](), tuple[str, ...]()
    for preposition, clause in zip(clauses[::2], clauses[1::2], strict=True):
        if (known_place := known(ctx, clause)) is not None:
            place = known_place
        elif span is None and (moment := time_span(clause, ctx.now)) is not None:
            span = (moment[0], ctx.now) if preposition.lower() == "since" else moment
            dated = tokens(clause)
        elif preposition.lower() in ("from", "since", "at"):
            words += tokens(clause)
        else:
            under += tokens(clause)
    raw = re.findall(r"\w+", fold(head))
    order = next((_ORDERS[word] for word in words if word in _ORDERS), "")
    many = any(w.endswith("s") and singular(w) in {*_KIND_WORDS, "file"} for w in raw)
    kept = tuple(w for w in words if w not in _FILLER and w not in _ALL and w not in _ORDERS)
    return Phrase(
        words=kept,
        under=tuple(word for word in under if word not in _FILLER),
        place=place,
        span=span,
        dated=dated,
        order=order,
        plural=not order and (many or bool(_ALL & set(raw))),
    )


def score(words: Iterable[str], name: str, above: frozenset[str] = frozenset(), *, folder: bool = False) -> float:
    """How well `words` (from `tokens`) name the file `name` that lies in folders made of the words `above`.

    Each word earns 1 as a word of the name or as the file's kind, 0.8 as a word's beginning, 0.6 inside the
    name, 0.5 in a folder above; the score is their mean, less 0.02 (at most 0.2) for each further word of the
    name, plus 0.2 when every word of the name was said. A word that earns nothing makes it 0. No words: 1.
    """
    words = tuple(words)
    if not words:
        return 1.0
    extension = "" if folder else extension_of(Path(name))
    parts = tokens(name)
    each = [word_score(word, parts, above, extension) for word in words]
    if not all(each):
        return 0.0
    plain = [word for word in words if extension not in KINDS.get(_KIND_WORDS.get(word, ""), ())]
    spare = [part for part in parts if part not in plain and part != extension]
    whole = not spare and bool(plain)
    return sum(each) / len(each) - min(0.02 * len(spare), 0.2) + (0.2 if whole else 0.0)


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    """Words of a name or phrase: case, accents and plural s dropped; `Q3Report_v2` is q, 3, report, v, 2."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return tuple(singular(word) for word in re.findall(r"[^\W\d_]+|\d+", fold(apart)))


def known(ctx: Context, text: str) -> Path | None:
    """The folder every desktop has by that name ("my downloads folder"), existing or not; else None.

    "my photos" and "the photo folder" are Pictures, "the photo" is a file.
    """
    words = [word for word in tokens(text) if word not in _FILLER]
    if words == ["home"] or text.strip() == "~":
        return ctx.home.resolve()
    place = _PLACES.get(words[0]) if len(words) == 1 else None
    said = fold(text).split()
    if place is None or not (place in (*words, said[-1]) or said[-1].endswith("s") or "folder" in said):
        return None
    if place == "notes":
        return ctx.folder("notes_dir", "Notes")
    names = [place.title(), place, *(["Movies"] if place == "videos" else [])]
    candidates = [*_xdg(ctx.home.resolve(), place), *(ctx.home.resolve() / name for name in names)]
    return next((path for path in candidates if path.is_dir()), ctx.home.resolve() / place.title())


def main_folders(ctx: Context) -> frozenset[Path]:
    """Home and the folders every desktop has: what no tool moves, renames or deletes."""
    places = (known(ctx, f"{place} folder") for place in {"home", *_PLACES.values()})
    return frozenset(place for place in places if place)


def time_span(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """[since, until) of a spoken past time ("last week", "yesterday", "June", "2025"); None if it is not one.

    Weeks start on Monday; "last week" is the week before this one, "last 7 days" ends now; a month without a
    year is the latest that has begun.
    """
    from dateutil.relativedelta import relativedelta

    said = re.findall(r"[^\W\d_]+|\d+", fold(text))
    words = ["last" if word == "past" else word for word in said if word not in ("the", "of", "from")]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match words:
        case ["this", "week" | "month" | "year" as unit]:
            first = {"month": midnight.replace(day=1), "year": midnight.replace(month=1, day=1)}
            return first.get(unit, midnight - timedelta(days=now.weekday())), now + timedelta(seconds=1)
        case ["last", number, "days" | "weeks" | "months" | "years" as units] if number.isdigit():
            back = relativedelta(**{units: min(int(number), 1000)})  # type: ignore[arg-type]
            return now - back, now + timedelta(seconds=1)
        case [year] if _YEAR.fullmatch(year):
            since = midnight.replace(month=1, day=1, year=int(year))
            return since, since + relativedelta(years=1)
        case [month] if month in _MONTHS:
            since = midnight.replace(day=1, month=_MONTHS.index(month) + 1)
            since -= relativedelta(years=since > now)
            return since, since + relativedelta(months=1)
        case [month, year] if month in _MONTHS and _YEAR.fullmatch(year):
            since = midnight.replace(day=1, month=_MONTHS.index(month) + 1, year=int(year))
            return since, since + relativedelta(months=1)
    moment = parse_moment(" ".join(words), now)
    if moment is None or not moment.has_date:
        return None
    since = moment.start.replace(hour=0, minute=0)
    until = moment.end or since + timedelta(days=1)
    if since > now:  # files are of the past: "Tuesday" is the last one, "3 May" that of this year or the last
        back = relativedelta(days=7) if since - now < timedelta(days=7) else relativedelta(years=1)
        return since - back, until - back
    return since, until


def word_score(word: str, parts: tuple[str, ...], above: frozenset[str], extension: str) -> float:
    if word in parts or extension in KINDS.get(_KIND_WORDS.get(word, ""), ()):
        return 1.0
    if len(word) >= 3 and word.isalpha():
        if any(part.startswith(word) for part in parts):
            return 0.8
        if word in "".join(parts):
            return 0.6
    return 0.5 if word in above else 0.0


def _xdg(home: Path, place: str) -> list[Path]:
    """A localised desktop's folder, from `~/.config/user-dirs.dirs` (freedesktop.org xdg-user-dirs)."""
    try:
        text = (home / ".config/user-dirs.dirs").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    key = {"downloads": "DOWNLOAD"}.get(place, place.upper())
    line = re.search(rf'^XDG_{key}_DIR="\$HOME/([^"]+)"', text, re.MULTILINE)
    return [home / line[1]] if line else []


def extension_of(path: Path) -> str:
    return path.suffix[1:].lower()
