"""Apple: no meter. The public tool needs root and the other way in is a private interface.

`powermetrics` runs as root only, and an agent that acts on a machine must not. IOReport, which some tools
read without root, is undocumented and changes between releases; it is not used. The CPU-time model stands in.
"""

from __future__ import annotations

from edge_agent.power.meter import Host, Meter, Unavailable


def open_meters(host: Host) -> list[Meter]:
    """Always raises Unavailable, with the command to look by hand on a Mac."""
    if host.platform != "darwin":
        raise Unavailable("only on macOS")
    raise Unavailable(
        "powermetrics needs root, and edge_agent does not run as root; IOReport is private and is not used",
        "sudo powermetrics --samplers cpu_power -i 1000   # by hand, beside edge_agent",
    )
