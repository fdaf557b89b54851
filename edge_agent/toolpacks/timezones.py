"""Which time zone a person means by a city, country or zone name. The zones are the system's IANA data."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from ..errors import ToolError
from .filewords import fold

#: Places that no zone is named after. Countries with several zones are given by their capital.
_PLACES = {
    "Africa/Cairo": "egypt",
    "Africa/Johannesburg": "south africa, cape town, pretoria, durban",
    "Africa/Lagos": "nigeria, abuja",
    "Africa/Nairobi": "kenya",
    "Africa/Casablanca": "morocco, marrakesh, rabat",
    "America/Argentina/Buenos_Aires": "argentina",
    "America/Bogota": "colombia, medellin",
    "America/Chicago": "dallas, houston, austin, san antonio, minneapolis, new orleans, st louis, "
    "nashville, memphis, kansas city, milwaukee, texas, illinois, central time, cst, "
    "cdt",
    "America/Denver": "salt lake city, colorado, utah, mountain time, mst, mdt",
    "America/Lima": "peru",
    "America/Los_Angeles": "san francisco, seattle, san diego, portland, las vegas, san jose, sacramento, "
    "oakland, silicon valley, california, la, west coast, pacific time, pst, pdt",
    "America/Mexico_City": "mexico, guadalajara",
    "America/New_York": "boston, washington, washington dc, miami, atlanta, philadelphia, nyc, orlando, "
    "pittsburgh, cleveland, charlotte, baltimore, florida, east coast, eastern time, "
    "est, edt, usa, united states",
    "America/Santiago": "chile",
    "America/Sao_Paulo": "brazil, rio, rio de janeiro, brasilia",
    "America/Toronto": "ottawa, montreal, quebec, ontario, canada",
    "America/Edmonton": "calgary, alberta",
    "America/Vancouver": "victoria",
    "Asia/Bangkok": "thailand",
    "Asia/Dhaka": "bangladesh",
    "Asia/Dubai": "abu dhabi, uae, united arab emirates",
    "Asia/Ho_Chi_Minh": "vietnam, hanoi",
    "Asia/Jakarta": "indonesia",
    "Asia/Jerusalem": "israel",
    "Asia/Karachi": "pakistan, islamabad, lahore",
    "Asia/Kathmandu": "nepal",
    "Asia/Kolkata": "india, delhi, new delhi, mumbai, bangalore, bengaluru, chennai, hyderabad, pune, ist",
    "Asia/Kuala_Lumpur": "malaysia",
    "Asia/Manila": "philippines",
    "Asia/Qatar": "doha",
    "Asia/Riyadh": "saudi arabia, jeddah, mecca",
    "Asia/Seoul": "south korea, korea, busan",
    "Asia/Shanghai": "china, beijing, shenzhen, guangzhou",
    "Asia/Taipei": "taiwan",
    "Asia/Tehran": "iran",
    "Asia/Tokyo": "japan, osaka, kyoto, sapporo, jst",
    "Atlantic/Reykjavik": "iceland",
    "Australia/Sydney": "australia, canberra, new south wales",
    "Europe/Amsterdam": "netherlands, holland, rotterdam, the hague",
    "Europe/Athens": "greece",
    "Europe/Berlin": "germany, munich, hamburg, frankfurt, cologne, stuttgart, cet, cest",
    "Europe/Brussels": "belgium, antwerp",
    "Europe/Bucharest": "romania",
    "Europe/Budapest": "hungary",
    "Europe/Copenhagen": "denmark",
    "Europe/Dublin": "ireland",
    "Europe/Helsinki": "finland",
    "Europe/Istanbul": "turkey, ankara",
    "Europe/Kyiv": "ukraine, kiev",
    "Europe/Lisbon": "portugal, porto",
    "Europe/London": "uk, united kingdom, england, britain, scotland, wales, edinburgh, manchester, "
    "glasgow, birmingham, oxford, cambridge, bst",
    "Europe/Madrid": "spain, barcelona, valencia, seville",
    "Europe/Moscow": "russia, st petersburg",
    "Europe/Oslo": "norway, bergen",
    "Europe/Paris": "france, lyon, marseille, nice, bordeaux",
    "Europe/Prague": "czech republic, czechia",
    "Europe/Rome": "italy, milan, florence, venice, naples, turin",
    "Europe/Stockholm": "sweden, gothenburg",
    "Europe/Vienna": "austria, salzburg",
    "Europe/Warsaw": "poland, krakow",
    "Europe/Zurich": "switzerland, geneva, basel, bern",
    "Pacific/Auckland": "new zealand, wellington",
    "Pacific/Honolulu": "hawaii",
    "UTC": "gmt, greenwich, zulu",
}


@lru_cache(maxsize=1)
def _index() -> dict[str, str]:
    """Folded place -> zone. 600 names, 10 ms, once."""
    names: dict[str, str] = {}
    for zone in sorted(available_timezones()):
        if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/", "SystemV/")):
            names[fold(zone.rsplit("/", 1)[1].replace("_", " "))] = zone
        names[fold(zone)] = zone
    for zone, places in _PLACES.items():
        names.update(dict.fromkeys(places.split(", "), zone))
    return names


def zone_of(place: str) -> tuple[str, ZoneInfo]:
    """The place's name as shown, and its zone. Raises ToolError, with near names, for an unknown place."""
    from difflib import get_close_matches

    words = fold(place).strip(" ?.!,'\"")
    whole = words
    for ending in ("'s", " time", " zone", " right now", " now"):
        words = words.removesuffix(ending).strip()
    for start in ("in ", "the ", "city of "):
        words = words.removeprefix(start)
    names = _index()
    for candidate in (whole, words, words.removesuffix(" city"), words.split(",")[0]):
        if candidate in names:
            shown = candidate.upper() if len(candidate) < 4 else candidate.title()
            return shown, ZoneInfo(names[candidate])
    near = get_close_matches(words, names, 3, 0.8)
    hint = f"did you mean {' or '.join(each.title() for each in near)}?" if near else "name a larger city nearby"
    raise ToolError(f"I don't know which time zone {place!r} is in", hint=hint)
