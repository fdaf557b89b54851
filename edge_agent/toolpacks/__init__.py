"""Built-in tools, in packs; a pack is a module of this package with a tuple `TOOLS`.

| pack      | what it is for                                                                 |
|-----------|--------------------------------------------------------------------------------|
| clock     | time, timers, alarms, reminders                                                |
| calendar  | events in iCalendar files                                                      |
| contacts  | people in vCard files                                                          |
| notes     | Markdown notes                                                                 |
| todo      | to-do lists                                                                    |
| mail      | reading the inbox, writing drafts                                              |
| messages  | drafts of text messages                                                        |
| maps      | places and directions                                                          |
| files     | finding, opening, moving, copying, renaming, removing files                    |
| documents | what is inside PDFs and other documents                                        |
| system    | battery, disk, memory, programs, sound, brightness, dark mode, screenshots     |
| text      | sums, units, counting days and words, chance                                   |
| clipboard | reading and filling the clipboard                                              |
| web       | reading a page, opening a link, searching                                      |

The sixteen functions of TinyAgent (arXiv 2409.00608), the nearest published set, and the packs covering them:

| TinyAgent                                                        | pack            |
|------------------------------------------------------------------|-----------------|
| create_calendar_event, get_zoom_meeting_link                     | calendar        |
| get_phone_number, get_email_address                              | contacts        |
| create_note, open_note, append_note_content                      | notes           |
| create_reminder                                                  | clock           |
| compose_new_email, reply_to_email, forward_email                 | mail            |
| send_sms                                                         | messages        |
| maps_open_location, maps_show_directions                         | maps            |
| open_and_get_file_path                                           | files           |
| summarize_pdf                                                    | documents       |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from ..errors import ConfigError
from ..tools import Example, Tool

#: One example of a tool per line: {"tool": "pack.name", "text": sentence, "arguments": {...}}
EXAMPLES = Path(__file__).with_name("examples.jsonl")

PACKS: tuple[str, ...] = (
    "clock",
    "calendar",
    "contacts",
    "notes",
    "todo",
    "mail",
    "messages",
    "maps",
    "files",
    "documents",
    "system",
    "text",
    "clipboard",
    "web",
)


def load(names: Iterable[str] = ()) -> list[Tool]:
    """The tools of the named packs, in the order of PACKS; of all packs when none is named.

    Each has the examples written beside its function, then those of EXAMPLES. Only the packs asked for are
    imported; EXAMPLES is read once (a few milliseconds). Raises ConfigError for a name that is no pack, and for
    a line of EXAMPLES that is none or names no tool.
    """
    wanted = set(names) or set(PACKS)
    unknown = sorted(wanted.difference(PACKS))
    if unknown:
        raise ConfigError(f"there is no tool pack {unknown[0]!r}", hint=f"the packs are {', '.join(PACKS)}")
    more = read_examples(EXAMPLES)
    packs = [pack for pack in PACKS if pack in wanted]
    plain: list[Tool] = [tool for pack in packs for tool in import_module(f"{__name__}.{pack}").TOOLS]
    found = [replace(tool, examples=(*tool.examples, *more.get(tool.qualified, ()))) for tool in plain]
    not_loaded = set(PACKS) - wanted
    strays = more.keys() - {tool.qualified for tool in plain}
    for name in sorted(name for name in strays if name.partition(".")[0] not in not_loaded):
        raise ConfigError(f"{EXAMPLES.name}: there is no tool {name!r}")
    return found


@lru_cache(maxsize=1)
def read_examples(file: Path) -> Mapping[str, tuple[Example, ...]]:
    """Qualified tool name -> its examples, in the file's order. Raises ConfigError naming file and line."""
    found: dict[str, tuple[Example, ...]] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            tool, example = str(row["tool"]), Example(str(row["text"]), dict(row["arguments"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{file.name}, line {number}: not an example: {error!r}",
                hint='a line is {"tool": "clock.set_timer", "text": "...", "arguments": {...}}',
            ) from error
        found[tool] = (*found.get(tool, ()), example)
    return found
