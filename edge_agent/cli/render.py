"""How results look: JSON for programs, tables and plain lines for people.

Texts come from strangers (files, pages, models), so whatever could steer a terminal is shown, not sent.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from ..errors import RefusedError

if TYPE_CHECKING:
    from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

_KEPT = "\n\t"
#: zero-width (non-)joiner: part of emoji and of several scripts
_JOINERS = "\u200c\u200d"


class Group(click.Group):
    """A group of commands that shows its help when none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, nothing else.")(command)


def emit(document: Any) -> None:
    """One JSON document on one line of stdout."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    click.echo(json.dumps(document, ensure_ascii=plain, default=str))


def say(text: str) -> None:
    """A result for a person: stdout."""
    click.echo(visible(text))


def notice(text: str) -> None:
    """Something on the side: stderr."""
    click.echo(visible(text), err=True)


def visible(text: str, *, strict: bool = False) -> str:
    """`text` with control, direction-changing and invisible characters written as escapes (`\\x1b`, `\\u202e`).

    strict: line breaks, joiners and unusual blanks as well, so that two different texts never look the same
    for want of a glyph. Letters of other scripts that look alike stay as they are.
    """

    def shown(char: str) -> str:
        kind = unicodedata.category(char)
        if char in _KEPT + _JOINERS:
            return char.encode("unicode_escape").decode() if strict else char
        if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or (strict and kind == "Zs" and char != " "):
            return char.encode("unicode_escape", "surrogatepass").decode()
        return char

    return text if text.isascii() and text.isprintable() else "".join(map(shown, text))


def arguments_shown(arguments: object) -> str:
    """JSON of arguments in which every character can be seen."""
    return visible(json.dumps(arguments, ensure_ascii=False, default=str), strict=True)


def console(*, stderr: bool = False) -> Console:
    """A rich console that takes texts literally and does not fold the lines of a pipe."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = 10_000
    return made


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """A plain table on stdout; `right` names the columns of numbers. None is shown as a dash. On a narrow
    terminal the last column is folded, so names stay whole."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings, 1):
        justify: Literal["left", "right"] = "right" if heading in right else "left"
        made.add_column(heading, justify=justify, overflow="fold", no_wrap=place < len(headings))
    for row in rows:
        made.add_row(*("–" if cell is None else visible(str(cell)) for cell in row))
    # Through click, which takes the colours out of a pipe; rich pads every line and ends the process itself
    # when the pipe is closed.
    screen = console()
    with screen.capture() as drawn:
        screen.print(made)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other; absent values are left out."""
    known = [(name, value) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}  {value}")


def number(value: float | None, unit: str = "", digits: int = 1) -> str | None:
    return None if value is None else f"{value:,.{digits}f}{unit}"


def size(size_bytes: int | None) -> str | None:
    if size_bytes is None:
        return None
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def interactive() -> bool:
    """Whether a person can be asked: both what they type and what they see is a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asked(question: str) -> bool:
    """Asks on stderr, reads a line. Only y and yes mean yes; the end of the input means no."""
    click.echo(f"{question} [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")


def confirm(question: str, *, yes: bool) -> None:
    """Returns when the person agrees. Raises RefusedError when not, or when there is nobody to ask."""
    if yes:
        return
    if not interactive():
        raise RefusedError("this needs a yes, and there is no terminal to ask on", hint="add --yes")
    if not asked(question):
        raise RefusedError("not confirmed; nothing was done")


def progress(done: int, total: int) -> None:
    """How far a long run is, on stderr: one line that changes on a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty() or done % 25 == 0 or done == total:
        click.echo(f"{done}/{total}", err=True, nl=False)
        click.echo("\r" if sys.stderr.isatty() and done < total else "\n", err=True, nl=False)
