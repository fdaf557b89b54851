"""`edge-agent completion`: scripts that teach a shell to complete commands, tools, models and settings."""

from __future__ import annotations

import click

from ..errors import InputError
from . import render


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@render.json_option
def completion(shell: str, as_json: bool) -> None:
    """Print the completion script of a SHELL.

    \b
    edge-agent completion bash > ~/.local/share/bash-completion/completions/edge-agent
    edge-agent completion zsh > "${fpath[1]}/_edge-agent"
    edge-agent completion fish > ~/.config/fish/completions/edge-agent.fish
    """
    from click.shell_completion import get_completion_class

    from . import COMPLETE, PROGRAM, cli

    kind = get_completion_class(shell)
    if kind is None:
        raise InputError(f"this version of click does not know {shell}")
    # Not .source(): it would start bash to look at its version.
    maker = kind(cli, {}, PROGRAM, COMPLETE)
    script = maker.source_template % maker.source_vars()
    if as_json:
        render.emit({"shell": shell, "script": script})
    else:
        click.echo(script)
