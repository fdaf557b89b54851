from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from edge_agent.errors import ToolError
from edge_agent.toolpacks.maps import create_meeting_link, directions, map_link


def query(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


@pytest.mark.parametrize(
    "place", ["the Eiffel Tower", "12 Main St, Springfield", "Café & Bar #3", "a?b=c&d", "東京駅", "100, rue X"]
)
def test_map_link_carries_the_place_whole(place: str) -> None:
    result = map_link.call({"place": f" {place} "})
    assert query(result.data["url"]) == {"query": place}
    assert result.data["url"] in result.text
    assert result.data["geo"].startswith("geo:0,0?q=")


def test_map_link_of_coordinates() -> None:
    data = map_link.call({"place": "48.8584, 2.2945"}).data
    assert data["url"] == "https://www.openstreetmap.org/?mlat=48.8584&mlon=2.2945#map=16/48.8584/2.2945"
    assert data["geo"] == "geo:48.8584,2.2945"
    for bad in ("91, 0", "0, 181"):
        with pytest.raises(ToolError, match="not on Earth"):
            map_link.call({"place": bad})


@pytest.mark.parametrize(
    ("by", "engine", "said"),
    [
        ("car", "fossgis_osrm_car", "by car"),
        ("walk", "fossgis_osrm_foot", "on foot"),
        ("bike", "fossgis_osrm_bike", "by bike"),
    ],
)
def test_directions(by: str, engine: str, said: str) -> None:
    result = directions.call({"to": "Leiden & The Hague", "start": "Delft", "by": by})
    assert urlsplit(result.data["url"]).netloc == "www.openstreetmap.org"
    assert query(result.data["url"]) == {"engine": engine, "from": "Delft", "to": "Leiden & The Hague"}
    assert result.text.startswith(f"Directions from Delft to Leiden & The Hague {said}: https://")


def test_directions_by_transit_and_without_a_start() -> None:
    url = directions.call({"to": "City Hall", "by": "transit"}).data["url"]
    assert query(url) == {"api": "1", "destination": "City Hall", "travelmode": "transit"}
    url = directions.call({"to": "City Hall", "by": "transit", "start": "Home"}).data["url"]
    assert query(url)["origin"] == "Home"
    assert query(directions.call({"to": "City Hall"}).data["url"])["from"] == ""


def test_meeting_links_cannot_be_guessed() -> None:
    result = create_meeting_link.call({"title": "Bücher & budget review!"})
    assert result.data["url"].startswith("https://meet.jit.si/B-Cher-Budget-Review-")
    assert "Nothing was booked" in result.text
    rooms = {create_meeting_link.call({}).data["url"] for _ in range(20)}
    assert len(rooms) == 20
    assert all(len(url.rpartition("/")[2]) == 16 for url in rooms)


@pytest.mark.parametrize("arguments", [{"to": " "}, {"to": "x", "start": " "}])
def test_no_place(arguments: dict[str, str]) -> None:
    with pytest.raises(ToolError, match="no place"):
        directions.call(arguments)
