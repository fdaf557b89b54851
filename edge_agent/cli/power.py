"""`edge-agent power`: which meters of energy this machine has."""

from __future__ import annotations

import click

from . import render


@click.command()
@render.json_option
def power(as_json: bool) -> None:
    """Show the energy meters, and what mends the rest.

    Without any, joules are estimated from CPU time, and said to be.

    \b
    edge-agent power
    """
    from ..power import PowerMonitor

    with PowerMonitor() as monitor:
        report = monitor.report()
    if as_json:
        render.emit([source.as_dict() for source in report])
        return
    rows = [
        (
            source.name,
            "yes" if source.available else "no",
            source.scope,
            render.number(source.update_s, " s", 3),
            " → ".join(filter(None, (source.reason, source.fix))),
        )
        for source in report
    ]
    render.table(("source", "works", "covers", "updates every", "note"), rows)
