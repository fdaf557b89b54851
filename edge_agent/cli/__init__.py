"""The command line. `main()` is the console script `edge-agent`.

One file per noun; each is imported when its command is used, and imports what it needs inside its functions,
so that `--help` answers at once. Results go to stdout, everything said along the way to stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile

import click

from ..errors import EXIT_INTERRUPTED, EdgeAgentError, InputError
from .render import emit, notice

#: command -> where it is
_COMMANDS = {
    "ask": "ask:ask",
    "chat": "chat:chat",
    "predict": "predict:predict",
    "tools": "tools:tools",
    "models": "models:models",
    "ledger": "ledger:ledger",
    "journal": "journal:journal",
    "undo": "journal:undo",
    "power": "power:power",
    "clock": "clock:clock",
    "config": "config:config",
    "adapt": "adapt:adapt",
    "grammar": "grammar:grammar",
    "eval": "evals:evals",
    "doctor": "doctor:doctor",
    "completion": "completion:completion",
}
PROGRAM = "edge-agent"
#: environment variable in which a shell's completion script asks
COMPLETE = "_EDGE_AGENT_COMPLETE"
#: as a shell reports a program that wrote to a closed pipe (128 + SIGPIPE)
EXIT_PIPE = 141


class Root(click.Group):
    """Commands by name, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __name__), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, 1)
            meant = f"did you mean {near[0]!r}?" if near else f'to ask for something: edge-agent ask "{args[0]} …"'
            raise click.UsageError(f"there is no command {args[0]!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl(exit_codes())
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    ("EDGE_AGENT_HOME", "one folder for settings, data and cache"),
                    ("EDGE_AGENT_NO_RINGER", "1: never start the program that rings timers"),
                    ("EDGE_AGENT_DEBUG", "1: show the traceback of an unexpected error"),
                    ("HF_TOKEN", "sent to huggingface.co by `models pull`"),
                    ("NO_COLOR", "no colours"),
                ]
            )


def exit_codes() -> list[tuple[str, str]]:
    """(code, meaning) of every way to end, made from the error classes."""
    meanings: dict[int, list[str]] = {0: ["done"], 8: ["declined: no tool fits"], 9: ["asked: more is needed"]}
    meanings |= {EXIT_INTERRUPTED: ["interrupted"], EXIT_PIPE: ["the reader of the output went away"]}

    def walk(cls: type[EdgeAgentError]) -> None:
        about = (cls.__doc__ or "").partition("\n")[0].rstrip(".")
        about = "a check failed, a text does not match, or an unexpected error" if cls is EdgeAgentError else about
        meanings.setdefault(cls.exit_code, []).append(f"{cls.kind}: {about}")
        for child in cls.__subclasses__():
            walk(child)

    walk(EdgeAgentError)
    return [(str(code), "; ".join(parts)) for code, parts in sorted(meanings.items())]


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import edge_agent

        click.echo(f"edge-agent {edge_agent.__version__}")
        ctx.exit()


@click.group(cls=Root, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """An agent that lives on your own machine.

    A small language model in this process turns what you say into verified tool calls. Nothing leaves the
    machine unless a command's name says so.

    \b
    edge-agent ask "remind me to water the plants in 20 minutes"
    edge-agent ask "what time is it in Tokyo" --why
    edge-agent chat
    edge-agent undo

    Every command has --help with examples, and --json for one JSON document on stdout and nothing else.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns the exit code. Never raises."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # replaced by something that is no TextIOWrapper
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _run(args, as_json="--json" in takewhile(lambda arg: arg != "--", args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # What is still buffered goes nowhere, or the interpreter complains while it shuts down.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE


def _run(args: list[str], *, as_json: bool) -> int:
    try:
        # Not cli.main(): it ends the process itself when a pipe is closed.
        if instruction := os.environ.get(COMPLETE):
            from click.shell_completion import shell_complete

            return shell_complete(cli, {}, PROGRAM, COMPLETE, instruction)
        with cli.make_context(PROGRAM, args) as ctx:
            cli.invoke(ctx)
        return 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:
        raise
    except (click.Abort, KeyboardInterrupt):
        return _failed("interrupted", "interrupted", None, EXIT_INTERRUPTED, as_json)
    except click.ClickException as error:
        place = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"{place.command_path} --help" if place else None
        return _failed(error.format_message(), InputError.kind, hint, InputError.exit_code, as_json)
    except EdgeAgentError as error:
        return _failed(error.message, error.kind, error.hint, error.exit_code, as_json)
    except Exception as error:
        if os.environ.get("EDGE_AGENT_DEBUG") == "1":
            import traceback

            traceback.print_exc()
        said = f"unexpected {type(error).__name__}: {error}"
        hint = "a bug: please report it with the output of `edge-agent doctor --report`; EDGE_AGENT_DEBUG=1 shows where"
        return _failed(said, "unexpected", hint, 1, as_json)


def _failed(message: str, kind: str, hint: str | None, code: int, as_json: bool) -> int:
    if as_json:
        emit({"error": {"kind": kind, "message": message, "hint": hint}})
    elif kind == "interrupted":
        notice(f"\n{message}" if sys.stderr.isatty() else message)  # the terminal has just shown ^C
    else:
        notice(f"error: {message}")
        if hint:
            notice(f"hint: {hint}")
    return code
