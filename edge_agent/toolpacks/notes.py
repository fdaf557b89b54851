"""Notes: Markdown files in the notes folder, one note each, named by its title.

A note is `# Title`, a blank line, its text; other files there are left as they are. A title may be said in part
("the grocery note"); two that fit equally well are an error that lists both.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context
from . import finding, reading
from .filewords import score, tokens

_SHOWN = 4_000
_TITLE = 60  # characters of a title made from a long text


@tool(
    effect=Effect.WRITE,
    pack="notes",
    examples=(
        Example("Create a note called Ideas", {"title": "Ideas"}),
        Example(
            "make a note Groceries with milk, eggs and bread", {"title": "Groceries", "text": "milk, eggs and bread"}
        ),
        Example("note down that the garage code is 4412", {"title": "the garage code is 4412"}),
        Example(
            "Start a new note named Paris trip: book the museum on Monday",
            {"title": "Paris trip", "text": "book the museum on Monday"},
        ),
    ),
)
def create_note(
    ctx: Context, title: Annotated[str, copied("text")], text: Annotated[str, copied("text")] = ""
) -> ToolResult:
    """Write a new note.

    Args:
        title: What the note is called.
        text: What it says.
    """
    title = " ".join(title.split())
    if len(title) > _TITLE:
        title, text = title[:_TITLE].rsplit(" ", 1)[0], f"{title}\n{text}".strip()
    path = _folder(ctx) / f"{_file_name(ctx, title)}.md"
    if path.exists():
        raise ToolError(f"there is a note “{title}” already", hint=f"say: add … to my {title} note")
    ctx.write(path, f"# {title}\n" + (f"\n{text.strip()}\n" if text.strip() else ""))
    return ToolResult(f"Created the note “{title}” in {ctx.shown(path)}.", {"path": ctx.shown(path), "title": title})


@tool(
    effect=Effect.READ,
    pack="notes",
    examples=(
        Example("Open my Groceries note", {"title": "Groceries"}),
        Example("read the note about the Paris trip", {"title": "Paris trip"}),
        Example("what did I write in Ideas", {"title": "Ideas"}),
    ),
)
def read_note(ctx: Context, title: Annotated[str, copied("text")]) -> ToolResult:
    """Open a note and show what it says.

    Args:
        title: Which note.
    """
    path = _find(ctx, title)
    text = reading.read(ctx, path).text.strip()
    rest = f"\n… ({_SHOWN:,} of {len(text):,} characters shown)" if len(text) > _SHOWN else ""
    data = {"path": ctx.shown(path), "title": path.stem, "text": text[:20_000]}
    return ToolResult(f"{path.stem}:\n{_body(text)[:_SHOWN] or '(empty)'}{rest}", data)


@tool(
    effect=Effect.WRITE,
    pack="notes",
    examples=(
        Example("Add butter to my Groceries note", {"title": "Groceries", "text": "butter"}),
        Example("append call the bank to the To do note", {"title": "To do", "text": "call the bank"}),
        Example("write in Ideas: a lamp that dims itself", {"title": "Ideas", "text": "a lamp that dims itself"}),
    ),
)
def append_note(
    ctx: Context, title: Annotated[str, copied("text")], text: Annotated[str, copied("text")]
) -> ToolResult:
    """Add text to the end of a note that exists.

    Args:
        title: Which note.
        text: What to add.
    """
    path = _find(ctx, title)
    if not text.strip():
        raise ToolError("append_note: there is no text to add")
    old = path.read_bytes().decode("utf-8", errors="surrogateescape")
    last = old.rstrip().rpartition("\n")[2]
    bullet = re.match(r"\s*(?:[-*+] (?:\[[ xX]\] )?)", last)  # a list goes on as a list
    mark = re.sub(r"\[[xX]\]", "[ ]", bullet[0]) if bullet else "\n" if last.startswith("#") else ""
    new = old + ("" if old.endswith("\n") or not old else "\n") + f"{mark}{text.strip()}\n"
    ctx.write(path, new.encode("utf-8", errors="surrogateescape"))
    return ToolResult(f"Added “{text.strip()}” to the note “{path.stem}”.", {"path": ctx.shown(path)})


@tool(
    effect=Effect.READ,
    pack="notes",
    examples=(
        Example("Search my notes for wifi password", {"text": "wifi password"}),
        Example("which notes mention the landlord", {"text": "the landlord"}),
        Example("find the note about sourdough", {"text": "sourdough"}),
    ),
)
def search_notes(ctx: Context, text: Annotated[str, copied("text")]) -> ToolResult:
    """Search all notes for some words.

    Args:
        text: The words to look for.
    """
    wanted = set(tokens(text))
    if not wanted:
        raise ToolError("search_notes: there is nothing to look for")
    hits: list[dict[str, str]] = []
    for path in _notes(ctx):
        content = path.read_text(encoding="utf-8", errors="replace")
        if wanted <= {*tokens(path.stem), *tokens(content)}:
            lines = (line.strip() for line in content.splitlines() if wanted & set(tokens(line)))
            hits.append({"title": path.stem, "line": next(lines, "")[:120]})
    if not hits:
        return ToolResult(f"No note mentions “{text}”.", {"notes": []})
    shown = "\n".join(f"{hit['title']}: {hit['line']}" for hit in hits[:20])
    many = f"{len(hits)} note{'s' * (len(hits) != 1)}"
    return ToolResult(f"“{text}” is in {many}:\n{shown}", {"notes": hits})


@tool(effect=Effect.READ, pack="notes", examples=(Example("List my notes"), Example("what notes do I have")))
def list_notes(ctx: Context) -> ToolResult:
    """List the titles of all notes."""
    titles = sorted((path.stem for path in _notes(ctx)), key=str.casefold)
    if not titles:
        return ToolResult(f"There are no notes in {ctx.shown(_folder(ctx))}.", {"titles": []})
    rest = f" and {len(titles) - 50} more" if len(titles) > 50 else ""
    return ToolResult(
        f"{len(titles)} note{'s' * (len(titles) != 1)}: {', '.join(titles[:50])}{rest}.", {"titles": titles}
    )


@tool(
    effect=Effect.WRITE,
    pack="notes",
    examples=(
        Example("Delete my Ideas note", {"title": "Ideas"}),
        Example("throw away the note about the Paris trip", {"title": "Paris trip"}),
    ),
)
def delete_note(ctx: Context, title: Annotated[str, copied("text")]) -> ToolResult:
    """Delete a note: it goes to the trash.

    Args:
        title: Which note.
    """
    path = _find(ctx, title)
    ctx.trash(path)
    return ToolResult(f"Moved the note “{path.stem}” to the trash.", {"path": ctx.shown(path)})


def _folder(ctx: Context) -> Path:
    return ctx.folder("notes_dir", "Notes")


def _notes(ctx: Context) -> list[Path]:
    return [e.path for e in finding.walk(_folder(ctx)).entries if not e.folder and e.path.suffix.lower() == ".md"]


def _find(ctx: Context, title: str) -> Path:
    noise = {"note", "my", "the", "a", "an", "about", "called", "named", "titled", "in", "on", "to"}
    notes = _notes(ctx)
    said = tokens(title)
    words = tuple(word for word in said if word not in noise) or said
    scored = [(max(score(words, p.stem, folder=True), score(said, p.stem, folder=True)), p) for p in notes]
    best = max((value for value, _ in scored), default=0.0)
    fits = [path for value, path in scored if value and value > best - 0.05]
    if not title.strip() or not fits:
        near = ", ".join(sorted(path.stem for path in notes)[:8])
        raise ToolError(f"there is no note “{title}”", hint=f"the notes are: {near}" if near else "create it first")
    if len(fits) > 1:
        raise ToolError(f"“{title}” can mean {len(fits)} notes: {finding.listing(ctx, fits)}", hint="say more of it")
    return fits[0]


def _file_name(ctx: Context, title: str) -> str:
    """The title without what file systems refuse (Windows' list is the longest)."""
    name = re.sub(r'[<>:"/\\|?*]+', "-", title).strip(" .-")
    return ctx.path(name).name  # refuses an empty name and control characters


def _body(text: str) -> str:
    return re.sub(r"\A# [^\n]*\n*", "", text)


TOOLS = (create_note, read_note, append_note, search_notes, list_notes, delete_note)
