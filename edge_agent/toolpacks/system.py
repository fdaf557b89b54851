"""This computer itself: battery, disk, memory, load, programs, sound, light, dark mode, screenshots.

Everything goes through `ctx.host`; what the platform lacks, the host reports. Levels are whole percentages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..when import parse_number
from ..workspace import Context, unused

#: Steps of "louder" and "brighter" in percentage points.
VOLUME_STEP, BRIGHTNESS_STEP = 10, 20
#: Some screens are black at 0%, and a black screen cannot show how to get back.
BRIGHTNESS_LEAST = 1
_LEVELS = {"mute": 0, "off": 0, "zero": 0, "half": 50, "halfway": 50, "full": 100, "max": 100, "maximum": 100}


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("How much battery do I have left?"),
        Example("is my laptop charging"),
    ),
)
def battery_status(ctx: Context) -> ToolResult:
    """Tell how full the battery is and whether it is charging."""
    battery = ctx.host.battery()
    left = battery["seconds_left"]
    rest = f", about {_span(left)} left" if left and not battery["plugged"] else ""
    power = "plugged in" if battery["plugged"] else "on battery power"
    return ToolResult(f"Battery at {battery['percent']:.0f}%, {power}{rest}.", dict(battery))


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("How much free space is on my disk?"),
        Example("is my hard drive nearly full"),
    ),
)
def disk_space(ctx: Context) -> ToolResult:
    """Tell how much disk space is free on this computer."""
    stats = ctx.host.stats()
    free, total = stats["disk_free_gb"], stats["disk_total_gb"]
    data = {"free_gb": free, "total_gb": total}
    return ToolResult(f"{free:g} GB of {total:g} GB are free ({_share(free, total)}).", data)


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("How much memory is in use?"),
        Example("how much RAM does this computer have"),
    ),
)
def memory_usage(ctx: Context) -> ToolResult:
    """Tell how much memory (RAM) is used and free."""
    stats = ctx.host.stats()
    free, total = stats["memory_free_gb"], stats["memory_total_gb"]
    used = round(total - free, 1)
    data = {"used_gb": used, "free_gb": free, "total_gb": total}
    return ToolResult(f"{used:g} GB of {total:g} GB memory are in use ({_share(used, total)}).", data)


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("How busy is the processor?"),
        Example("what's the CPU load right now"),
        Example("how long has this computer been running"),
    ),
)
def system_load(ctx: Context) -> ToolResult:
    """Tell how busy the processor (CPU) is and how long the computer has been on."""
    stats = ctx.host.stats()
    data = {key: stats[key] for key in ("load_percent", "uptime_s")}
    up = _span(stats["uptime_s"])
    text = f"The processor is {stats['load_percent']:g}% busy; the computer has been on for {up}."
    return ToolResult(text, data)


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("What is using so much memory?", {"by": "memory"}),
        Example("which programs are slowing down my computer", {"by": "cpu"}),
        Example("Show me the running programs", {}),
    ),
)
def list_processes(ctx: Context, by: Literal["memory", "cpu"] = "memory") -> ToolResult:
    """List the running programs that use the most memory or CPU.

    Args:
        by: What to rank them by.
    """
    key = {"memory": "memory_mb", "cpu": "cpu_percent"}[by]
    rows = sorted(ctx.host.processes(), key=lambda row: -float(row[key]))
    lines = [f"- {r['name']} ({r['pid']}): {r['memory_mb']:.0f} MB, {r['cpu_percent']:.0f}% CPU" for r in rows[:10]]
    more = f"\nand {len(rows) - 10} more" if len(rows) > 10 else ""
    return ToolResult("\n".join(lines) + more if rows else "No programs are running.", [dict(row) for row in rows])


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("Am I connected to the internet?"),
        Example("what's my IP address"),
    ),
)
def network_status(ctx: Context) -> ToolResult:
    """Tell whether this computer is connected to a network, and its local IP address."""
    stats = ctx.host.stats()
    data = {"online": stats["online"], "addresses": list(stats["addresses"])}
    if not stats["online"]:
        return ToolResult("Not connected to any network.", data)
    return ToolResult(f"Connected to a network; local address {', '.join(stats['addresses'])}.", data)


@tool(
    effect=Effect.READ,
    pack="system",
    examples=(
        Example("How loud is the sound?"),
        Example("what's the volume at"),
    ),
)
def get_volume(ctx: Context) -> ToolResult:
    """Tell the current sound volume."""
    level = ctx.host.volume_get()
    return ToolResult(f"The volume is at {level}%." if level else "The sound is muted.", level)


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("Set the volume to 30%", {"level": "30%"}),
        Example("turn the sound to fifty percent", {"level": "fifty percent"}),
        Example("volume at 80 please", {"level": "80"}),
    ),
)
def set_volume(ctx: Context, level: Annotated[str, copied("number")]) -> ToolResult:
    """Set the sound volume to a number, like 40 percent.

    Args:
        level: How loud, 0 to 100.
    """
    return _set_volume(ctx, _percent(level, "volume"))


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("Turn it up a bit", {"direction": "up"}),
        Example("the music is too loud", {"direction": "down"}),
        Example("Mute the sound", {"direction": "mute"}),
        Example("full volume", {"direction": "max"}),
    ),
)
def change_volume(ctx: Context, direction: Literal["up", "down", "mute", "max"]) -> ToolResult:
    """Turn the sound louder or quieter, mute it, or turn it all the way up.

    Args:
        direction: Which way.
    """
    now = ctx.host.volume_get()
    return _set_volume(ctx, _moved(now, direction, VOLUME_STEP, 0))


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("Set the screen brightness to 60 percent", {"level": "60 percent"}),
        Example("brightness 25", {"level": "25"}),
        Example("put my display at forty percent brightness", {"level": "forty percent"}),
    ),
)
def set_brightness(ctx: Context, level: Annotated[str, copied("number")]) -> ToolResult:
    """Set the screen brightness to a number, like 60 percent.

    Args:
        level: How bright, 1 to 100.
    """
    return _set_brightness(ctx, _percent(level, "brightness"))


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("make the screen brighter", {"direction": "up"}),
        Example("Dim the display", {"direction": "down"}),
        Example("Turn the screen to full brightness", {"direction": "max"}),
        Example("lowest brightness please", {"direction": "min"}),
    ),
)
def change_brightness(ctx: Context, direction: Literal["up", "down", "max", "min"]) -> ToolResult:
    """Make the screen brighter or dimmer, or as bright or dim as it goes.

    Args:
        direction: Which way.
    """
    now = ctx.host.brightness_get()
    return _set_brightness(ctx, _moved(now, direction, BRIGHTNESS_STEP, BRIGHTNESS_LEAST))


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("Switch to dark mode", {"state": "on"}),
        Example("turn off dark mode", {"state": "off"}),
        Example("go back to the light theme", {"state": "off"}),
    ),
)
def set_dark_mode(ctx: Context, state: Literal["on", "off"]) -> ToolResult:
    """Turn dark mode (the dark theme) on or off.

    Args:
        state: On is dark, off is light.
    """
    was, now = ctx.host.dark_mode_get(), state == "on"
    if was != now:
        ctx.undo_with("system.set_dark_mode", {"state": "on" if was else "off"})
        ctx.host.dark_mode_set(now)
    return ToolResult(f"Dark mode is {state}.", {"state": state, "changed": was != now})


@tool(
    effect=Effect.WRITE,
    pack="system",
    examples=(
        Example("Take a screenshot"),
        Example("capture my screen"),
    ),
)
def take_screenshot(ctx: Context) -> ToolResult:
    """Take a picture of the whole screen and save it in Pictures."""
    image = ctx.host.screenshot()
    folder = ctx.folder("screenshots_dir", "Pictures/Screenshots")
    path = unused(folder / f"Screenshot {ctx.now:%Y-%m-%d %H.%M.%S}.png")
    ctx.write(path, image, private=True)
    return ToolResult(f"Saved {ctx.shown(path)}.", {"path": str(path)})


@tool(
    effect=Effect.READ,  # starts an installed program without arguments: nothing of the person's changes
    pack="system",
    examples=(
        Example("Open Firefox", {"name": "Firefox"}),
        Example("start the calculator app", {"name": "calculator"}),
        Example("launch spotify for me", {"name": "spotify"}),
    ),
)
def open_program(ctx: Context, name: Annotated[str, copied("name")]) -> ToolResult:
    """Open a program or app by its name.

    Args:
        name: The program.
    """
    found = ctx.host.launch(_named(name))
    return ToolResult(f"Opened {found}.", {"program": found})


@tool(
    effect=Effect.IRREVERSIBLE,
    pack="system",
    examples=(
        Example("Close Firefox", {"name": "Firefox"}),
        Example("quit the spotify app", {"name": "spotify"}),
        Example("kill gimp, it's frozen", {"name": "gimp"}),
    ),
)
def close_program(ctx: Context, name: Annotated[str, copied("name")]) -> ToolResult:
    """Close a running program or app; unsaved work in it may be lost.

    Args:
        name: The program.
    """
    count = ctx.host.close(_named(name))
    return ToolResult(f"Asked {name} to close ({count} process{'es' if count > 1 else ''}).", {"asked": count})


def _set_volume(ctx: Context, level: int) -> ToolResult:
    was = _change(ctx, "system.set_volume", ctx.host.volume_get(), level, ctx.host.volume_set)
    return ToolResult(
        f"Volume set to {level}% (was {was}%)." if level else "Sound muted.", {"level": level, "was": was}
    )


def _set_brightness(ctx: Context, level: int) -> ToolResult:
    level = max(level, BRIGHTNESS_LEAST)
    was = _change(ctx, "system.set_brightness", ctx.host.brightness_get(), level, ctx.host.brightness_set)
    return ToolResult(f"Brightness set to {level}% (was {was}%).", {"level": level, "was": was})


def _change(ctx: Context, undo: str, was: int, level: int, apply: Callable[[int], None]) -> int:
    if was != level:
        ctx.undo_with(undo, {"level": str(was)})
        apply(level)
    return was


def _moved(now: int, direction: str, step: int, least: int) -> int:
    ends = {"mute": 0, "min": least, "max": 100}
    if direction in ends:
        return ends[direction]
    return max(least, min(100, now + (step if direction == "up" else -step)))


def _percent(text: str, what: str) -> int:
    """The level a person names: "30%", "thirty percent", "half", "max". Raises ToolError outside 0 to 100."""
    word = text.strip().casefold()
    value = _LEVELS[word] if word in _LEVELS else parse_number(text)
    if value is not None and 0 < value < 1 and "%" not in text:
        value *= 100  # "a quarter" is said of the whole
    if value is None or not 0 <= value <= 100:
        raise ToolError(f"{what}: {text!r} is not a level from 0 to 100 percent")
    return round(value)


def _named(name: str) -> str:
    plain = name.strip()
    for filler in ("the ", "my "):
        plain = plain[len(filler) :] if plain.casefold().startswith(filler) else plain
    for filler in (" app", " application", " program"):
        plain = plain[: -len(filler)] if plain.casefold().endswith(filler) else plain
    if not plain:
        raise ToolError("no program was named", hint='say its name, as in "open Firefox"')
    return plain


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours) + [f"{rest} min"] * (not days)
    return " ".join(parts)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%"


TOOLS = (
    battery_status,
    disk_space,
    memory_usage,
    system_load,
    list_processes,
    network_status,
    get_volume,
    set_volume,
    change_volume,
    set_brightness,
    change_brightness,
    set_dark_mode,
    take_screenshot,
    open_program,
    close_program,
)
