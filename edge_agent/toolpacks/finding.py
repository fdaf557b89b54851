"""What a person calls a file or folder becomes a path: "the lease pdf", "newest photo in downloads".

The words are matched against names, kinds (`pdf`, `photo`, `spreadsheet`), folders above, the folders every
desktop has (Downloads, Documents), a time ("from last week") and a superlative ("the biggest"). Nothing is
guessed: two equally good matches are an error that lists both, no match is an error that lists near names.

Hidden files and folders, symbolic links and folders of machine-made files are not looked into. A walk stops
after 50,000 entries or 5 seconds and says so; it costs about 10 µs an entry, scoring as much again.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ..errors import EdgeAgentError, ToolError
from ..workspace import Context
from .filewords import KINDS, Phrase, extension_of, fold, known, parse, score, tokens, word_score

Want = Literal["file", "folder", "any"]
#: A kind of file as tools offer it; "file" is any.
Kind = Literal["file", "pdf", "photo", "video", "audio", "document", "spreadsheet", "presentation", "text", "archive"]

_MACHINE_MADE = frozenset({"node_modules", "__pycache__", "site-packages"}) | (
    {"Library"} if sys.platform == "darwin" else {"AppData"} if sys.platform == "win32" else set()
)
_TIE = 0.05  # scores closer than this are equally good


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder met on a walk."""

    path: Path
    folder: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk met, nearest to its root first. `complete` is False when a limit stopped it."""

    entries: tuple[Entry, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Matches with scores (0 to 1.2), best first; names that came near; whether all was looked at."""

    phrase: Phrase
    matches: tuple[tuple[float, Path], ...]
    near: tuple[Path, ...]
    complete: bool


# -- asked by tools ----------------------------------------------------------------------------------------


def one(ctx: Context, text: str, want: Want = "file") -> Path:
    """The one file or folder that `text` means.

    Raises ToolError listing the candidates when several fit equally well, or near names when none does, and
    RefusedError for a path outside home.
    """
    direct = _direct(ctx, text, want)
    if direct is not None:
        return direct
    found = find(ctx, text, want)
    if not found.matches:
        raise _nothing(ctx, text, want, found)
    best = found.matches[0][0]
    equal = [path for score, path in found.matches if found.phrase.order or score > best - _TIE]
    if found.phrase.order or len(equal) == 1:
        return equal[0]
    raise ToolError(
        f"{text!r} can mean {len(equal)} {_nouns(want)}: {listing(ctx, equal)}",
        hint="say more of its name, or its folder",
    )


def several(ctx: Context, text: str, want: Want = "any", limit: int = 200) -> tuple[Path, ...]:
    """What `text` means: every match of a plural ("all the pdfs in downloads"), else the one match.

    Raises ToolError as `one` does, and for a group of more than `limit` or one not looked through completely.
    """
    direct = _direct(ctx, text, want)
    if direct is not None:
        return (direct,)
    if not parse(ctx, text).plural:
        return (one(ctx, text, want),)
    found = find(ctx, text, "file")
    if not found.matches:
        raise _nothing(ctx, text, "file", found)
    more = "" if found.complete else " or more"
    if len(found.matches) > limit or not found.complete:
        raise ToolError(
            f"{text!r} means {len(found.matches)} files{more}; at most {limit} are changed at once",
            hint="name a folder or a kind of file",
        )
    paths = sorted(path for _, path in found.matches)
    # "all the files in downloads" are those one sees on opening it
    return tuple(path for path in paths if path.parent == found.phrase.place) or tuple(paths)


def folder(ctx: Context, text: str, *, new: bool = False) -> Path:
    """A folder: a known one ("downloads", "home"), a path, or the one with that name. Errors as `one`.

    `new`: a known folder ("my Pictures folder") need not exist yet; the change that needs it makes it.
    """
    text = re.sub(r"^\s*(?:to|into|in|onto|on|inside|under|from|within|at)\s+", "", text, flags=re.IGNORECASE)
    place = known(ctx, text)
    if place is not None and not (new or place.is_dir()):
        raise ToolError(f"{ctx.shown(place)} does not exist")
    return place or one(ctx, text, "folder")


def destination(ctx: Context, text: str, source: Path) -> Path:
    """Where `source` lies after it went to `text`: in that folder, or, if `text` has an extension, so named.

    Errors as `one`.
    """
    name = text.strip(" '\"")
    if re.search(r"\.\w{1,5}$", name) and at_path(ctx, name, "folder") is None:
        target = ctx.path(name)
        return target if "/" in name else source.with_name(target.name)
    return folder(ctx, name, new=True) / source.name


def find(
    ctx: Context,
    text: str,
    want: Want = "file",
    kind: str = "file",
    root: Path | None = None,
    span: tuple[datetime, datetime] | None = None,
) -> Found:
    """Every match under `root` (else the place the phrase names, else home), best or first by superlative.

    kind: a key of `filewords.KINDS`, or "file" for any. span: [since, until) of the last change.
    """
    phrase = parse(ctx, text)
    span = span or phrase.span
    seen = walk(root or phrase.place or ctx.home.resolve(), skip=ctx.data)
    entries = [e for e in seen.entries if want == "any" or e.folder == (want == "folder")]
    if kind != "file":
        entries = [e for e in entries if extension_of(e.path) in KINDS[kind]]
    # what may be part of a name is looked for there first: "form from 2023", "notes in german"
    home, words = str(ctx.home.resolve()), phrase.words + phrase.under
    matches = _scored(home, words + phrase.dated, entries) if phrase.dated else []
    if not matches:
        entries = [e for e in entries if span is None or _within(e.path, span)]
        inside = [e for e in entries if phrase.under and set(phrase.under) <= _above(home, e.path)]
        matches = _scored(home, phrase.words, inside) or _scored(home, words, entries)
    if phrase.order:
        matches.sort(key=lambda match: _rank(match[1], phrase.order))
    else:
        matches.sort(key=lambda match: (-match[0], len(match[1].parts), match[1]))
    near = () if matches else _near(words, [e.path for e in entries])
    return Found(phrase, tuple(matches), near, seen.complete)


def at_path(ctx: Context, text: str, want: Want = "any") -> Path | None:
    """`text` taken literally as a path, letter case forgiven; None when nothing of that kind is there.

    Raises ToolError and RefusedError as `Context.path`; a link is judged by where it leads.
    """
    text = text.strip().strip("'\"")
    path = ctx.path(re.sub(r"^(?:the|my) (?:file |folder )?(?=\S+\.\w+$)", "", text))
    if not path.exists():
        path = _any_case(ctx, path)
    if path.is_symlink():
        ctx.path(str(path.resolve()))
    right = path.exists() if want == "any" else path.is_dir() if want == "folder" else path.is_file()
    return path if right else None


def listing(ctx: Context, paths: Iterable[Path], most: int = 5) -> str:
    """Paths as a person writes them, at most `most`, with how many were left out."""
    shown = [ctx.shown(path) for path in paths]
    rest = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + rest


# -- the parts ---------------------------------------------------------------------------------------------


def walk(root: Path, *, skip: Path | None = None, limit: int = 50_000, seconds: float = 5.0) -> Walk:
    """Files and folders below `root`, breadth first. Unreadable folders are passed over."""
    entries: list[Entry] = []
    waiting = deque([root])
    deadline = time.monotonic() + seconds
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as scan:
                children = sorted(scan, key=lambda child: child.name)
        except OSError:
            continue
        for child in children:
            if child.name.startswith(".") or child.is_symlink() or child.name in _MACHINE_MADE:
                continue
            if len(entries) >= limit or time.monotonic() > deadline:
                return Walk(tuple(entries), complete=False)
            path, is_folder = Path(child.path), child.is_dir(follow_symlinks=False)
            if path == skip:
                continue
            entries.append(Entry(path, is_folder))
            if is_folder:
                waiting.append(path)
    return Walk(tuple(entries), complete=True)


def _direct(ctx: Context, text: str, want: Want) -> Path | None:
    place = known(ctx, text) if want != "file" else None
    return place if place and place.is_dir() else at_path(ctx, text, want)


def _scored(home: str, words: tuple[str, ...], entries: list[Entry]) -> list[tuple[float, Path]]:
    each = [(score(words, e.path.name, _above(home, e.path), folder=e.folder), e.path) for e in entries]
    return [(value, path) for value, path in each if value > 0]


def _nothing(ctx: Context, text: str, want: Want, found: Found) -> EdgeAgentError:
    where = f" in {ctx.shown(found.phrase.place)}" if found.phrase.place else ""
    cut = "" if found.complete else " among those looked at (there are too many)"
    hint = f"near it: {listing(ctx, found.near)}" if found.near else "say the name as it is written, or the folder"
    return ToolError(f"no {'file or folder' if want == 'any' else want} matches {text!r}{where}{cut}", hint=hint)


def _near(words: tuple[str, ...], paths: list[Path], most: int = 3) -> tuple[Path, ...]:
    from difflib import get_close_matches

    partly = [(sum(word_score(w, tokens(p.name), frozenset(), extension_of(p)) for w in words), p) for p in paths]
    best = [path for value, path in sorted(partly, key=lambda pair: -pair[0])[:most] if value > 0]
    by_name = {" ".join(tokens(path.stem)): path for path in paths[:5_000]}
    spelled = [by_name[name] for name in get_close_matches(" ".join(words), by_name, most, 0.7)]
    return tuple(dict.fromkeys([*spelled, *best]))[:most]


def _any_case(ctx: Context, path: Path) -> Path:
    home = ctx.home.resolve()
    if not path.is_relative_to(home):
        return path
    here = home
    for part in path.relative_to(home).parts:
        exact = here / part
        if not exact.exists():
            children = here.iterdir() if here.is_dir() else iter(())
            exact = next((child for child in children if fold(child.name) == fold(part)), exact)
        here = exact
    return here


def _above(home: str, path: Path) -> frozenset[str]:
    return _parent_tokens(str(path)[len(home) :].rpartition(os.sep)[0])


@lru_cache(maxsize=16_384)
def _parent_tokens(relative: str) -> frozenset[str]:
    return frozenset(tokens(relative))


def _rank(path: Path, order: str) -> float:
    status = path.stat()
    value = status.st_mtime if order in ("newest", "oldest") else float(status.st_size)
    return -value if order in ("newest", "biggest") else value


def _within(path: Path, span: tuple[datetime, datetime]) -> bool:
    return span[0].timestamp() <= path.stat().st_mtime < span[1].timestamp()


def _nouns(want: Want) -> str:
    return "files or folders" if want == "any" else f"{want}s"
