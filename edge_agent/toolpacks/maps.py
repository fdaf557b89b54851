"""Maps and meeting rooms as links. Making a link touches no network; opening it does (`open_link` of pack web).

Places go to OpenStreetMap (`search?query=`, `directions?from=&to=&engine=`, read from openstreetmap-website's
own sources). It knows no public transport, so that one link is Google's (Maps URLs, `api=1`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool

_ENGINES = {"car": "fossgis_osrm_car", "bike": "fossgis_osrm_bike", "walk": "fossgis_osrm_foot"}
_HOW = {"car": "by car", "bike": "by bike", "walk": "on foot", "transit": "by public transport"}
_COORDINATES = re.compile(r"\s*(-?\d{1,2}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*")


@tool(
    effect=Effect.READ,
    pack="maps",
    examples=(
        Example("Show the Eiffel Tower on a map", {"place": "the Eiffel Tower"}),
        Example("where is 12 Main Street, Springfield", {"place": "12 Main Street, Springfield"}),
        Example("map of Kyoto please", {"place": "Kyoto"}),
    ),
)
def map_link(place: Annotated[str, copied("text")]) -> ToolResult:
    """Show where a place or address is: make a map link.

    Args:
        place: Place, address or coordinates.
    """
    place = _place(place)
    if point := _COORDINATES.fullmatch(place):
        latitude, longitude = float(point[1]), float(point[2])
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise ToolError(f"map_link: {place!r} is not on Earth", hint="latitude first: 48.85, 2.35")
        spot = f"mlat={latitude}&mlon={longitude}#map=16/{latitude}/{longitude}"
        url, geo = f"https://www.openstreetmap.org/?{spot}", f"geo:{latitude},{longitude}"
    else:
        url = f"https://www.openstreetmap.org/search?{urlencode({'query': place})}"
        geo = f"geo:0,0?q={quote(place)}"
    return ToolResult(f"{place} on the map: {url}", {"url": url, "geo": geo, "place": place})


@tool(
    effect=Effect.READ,
    pack="maps",
    examples=(
        Example("Directions to the airport", {"to": "the airport"}),
        Example(
            "how do I walk from the station to the museum",
            {"to": "the museum", "start": "the station", "by": "walk"},
        ),
        Example("bike route from Delft to Leiden", {"to": "Leiden", "start": "Delft", "by": "bike"}),
        Example("get me to City Hall by public transport", {"to": "City Hall", "by": "transit"}),
    ),
)
def directions(
    to: Annotated[str, copied("text")],
    start: Annotated[str, copied("text")] = "",
    by: Literal["car", "walk", "bike", "transit"] = "car",
) -> ToolResult:
    """Show the way to a place: make a link with directions.

    Args:
        to: Where to go.
        start: Where from. The map asks for it if not said.
        by: How to travel.
    """
    to = _place(to)
    start = _place(start) if start else ""
    if by == "transit":
        way = {"api": "1", "destination": to, "travelmode": "transit"} | ({"origin": start} if start else {})
        url = f"https://www.google.com/maps/dir/?{urlencode(way)}"
    else:
        url = f"https://www.openstreetmap.org/directions?{urlencode({'engine': _ENGINES[by], 'from': start, 'to': to})}"
    from_where = f" from {start}" if start else ""
    return ToolResult(f"Directions{from_where} to {to} {_HOW[by]}: {url}", {"url": url, "to": to, "from": start})


@tool(
    effect=Effect.READ,
    pack="maps",
    examples=(
        Example("Create a video meeting link for the Budget review", {"title": "Budget review"}),
        Example("make a video call link"),
        Example("I need a meeting link called Book club", {"title": "Book club"}),
    ),
)
def create_meeting_link(title: Annotated[str, copied("text")] = "") -> ToolResult:
    """Make a link for a video call or online meeting that you can share.

    Args:
        title: What the meeting is called.
    """
    import secrets

    words = re.findall(r"[A-Za-z0-9]+", title)[:6]
    room = "-".join([*(word.capitalize() for word in words), secrets.token_hex(8)])
    url = f"https://meet.jit.si/{room}"
    text = f"Meeting link: {url}\nNothing was booked: the room opens when the first person signs in there."
    return ToolResult(text, {"url": url, "title": title})


def _place(text: str) -> str:
    place = " ".join(text.split())
    if not place:
        raise ToolError("there is no place to show", hint="say its name or address")
    return place


TOOLS = (map_link, directions, create_meeting_link)
