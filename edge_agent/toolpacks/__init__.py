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

from collections.abc import Iterable
from importlib import import_module

from ..errors import ConfigError
from ..tools import Tool

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

    Only the packs asked for are imported. Raises ConfigError for a name that is no pack.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(PACKS))
    if unknown:
        raise ConfigError(f"there is no tool pack {unknown[0]!r}", hint=f"the packs are {', '.join(PACKS)}")
    found: list[Tool] = []
    for name in PACKS:
        if not wanted or name in wanted:
            found += import_module(f"{__name__}.{name}").TOOLS
    return found
