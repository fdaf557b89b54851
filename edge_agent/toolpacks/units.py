"""Converting amounts as people say them: "5 miles" to "kilometers", "98.6 F" to "celsius", "a cup" to "ml".

Units and their algebra are pint's; a table adds the words people use for them ("pounds", "C", "mph").
The first conversion costs about 0.8 s (pint's definitions), later ones under 1 ms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import ToolError
from ..when import parse_number

if TYPE_CHECKING:
    import pint

#: What people say -> pint's name, where pint has none or means something else (its C is the coulomb).
ALIASES: Mapping[str, str] = {
    alias: name
    for name, aliases in {
        "degF": "f,°f,fahrenheit,degrees fahrenheit,degree fahrenheit,degrees f,deg f,degrees in fahrenheit",
        "degC": "c,°c,celsius,centigrade,degrees celsius,degree celsius,degrees centigrade,degrees c,deg c,"
        "degrees in celsius",
        "kelvin": "k,kelvins,degrees kelvin",
        "pound": "lb,lbs,pounds,pound",
        "fluid_ounce": "fl oz,fl. oz.,fluid ounce,fluid ounces,floz",
        "imperial_pint": "uk pint,uk pints,imperial pint,imperial pints",
        "imperial_gallon": "uk gallon,uk gallons,imperial gallon,imperial gallons",
        "nautical_mile": "nautical mile,nautical miles,nmi",
        "mile / gallon": "mpg",
        "liter_per_100_km": "l/100km,l/100 km,liters per 100 km,litres per 100 km,liters per 100 kilometers",
        "kilometer / hour": "kph,kmh,km/h,kmph,kilometers an hour,kilometres an hour,kilometers per hour",
        "mile / hour": "mph,miles an hour,miles per hour",
        "meter / second": "mps,m/s,meters a second,meters per second",
        "light_year": "light year,light years,ly",
        "metric_ton": "tonne,tonnes,metric ton,metric tons",
        "meter ** 2": "sqm,sq m,m2,m²,square metres,square meters",
        "foot ** 2": "sqft,sq ft,ft2,ft²,square feet,square foot",
        "tablespoon": "tbsp,tbsps,tbs",
        "teaspoon": "tsp,tsps",
        "byte": "b",
        "kilobyte": "kb",
        "megabyte": "mb",
        "gigabyte": "gb",
        "terabyte": "tb",
        "kilocalorie": "kcal,kcals,food calories,dietary calories",
        "foot": "foot,feet,ft,'",
        "inch": 'inch,inches,in,"',
        "stone": "stone,stones,st",
        "kilojoule": "kj",
        "hertz": "hz",
        "kilohertz": "khz",
        "megahertz": "mhz",
        "gigahertz": "ghz",
        "watt": "w",
        "kilowatt": "kw",
        "volt": "v",
        "kilopascal": "kpa",
        "kilowatt_hour": "kwh,kilowatt hour,kilowatt hours",
        "milliliter": "ml,mls,cc",
        "liter": "l,litre,litres,liter,liters",
        "kilogram": "kilo,kilos,kg,kgs,kilogramme,kilogrammes",
    }.items()
    for alias in aliases.split(",")
}

CURRENCIES: Mapping[str, str] = {
    word: code
    for code, words in {
        "USD": "$,dollar,dollars,us dollar,us dollars,american dollars,bucks",
        "EUR": "€,euro,euros",
        "GBP": "£,quid,pound sterling,pounds sterling,british pound,british pounds",
        "JPY": "¥,yen,japanese yen",
        "CHF": "swiss franc,swiss francs",
        "INR": "₹,rupee,rupees,indian rupees",
        "CNY": "yuan,renminbi,rmb",
        "CAD": "canadian dollar,canadian dollars",
        "AUD": "australian dollar,australian dollars",
        "SEK": "swedish krona,swedish kronor",
        "NOK": "norwegian krone,norwegian kroner",
        "DKK": "danish krone,danish kroner",
        "PLN": "zloty,zlotys",
        "MXN": "mexican peso,mexican pesos",
        "BRL": "real,reais,brazilian real",
        "KRW": "korean won",
    }.items()
    for word in [code.casefold(), *words.split(",")]
}
_SAFE = re.compile(r"[a-z°µμ'\"²³ _./*^0-9-]{1,40}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Converted:
    """`amount` `unit` is `result` `target`; units are symbols ("mi", "°C", "EUR")."""

    amount: float
    unit: str
    result: float
    target: str


def convert(amount: str, to: str, rates: Mapping[str, float]) -> Converted:
    """An amount with its unit ("5 miles", "a pound", "$20") in the unit `to`.

    rates: what one unit of each currency costs in any one common currency; conversion needs both sides there.
    Raises ToolError naming the unit that is unknown, or both when they measure different things.
    """
    value, said = split(amount)
    wanted = re.sub(r"^(?:to|in|into|as)\s+", "", to.strip(), flags=re.IGNORECASE)
    source, target = _currency(said), _currency(wanted)
    if source is None and target is not None and said.casefold() in ("pound", "pounds"):
        source = "GBP"
    if target is None and source is not None and wanted.casefold() in ("pound", "pounds"):
        target = "GBP"
    if source is not None or target is not None:
        return _exchange(value, said, wanted, source, target, rates)
    return _measure(value, said, wanted)


def split(amount: str) -> tuple[float, str]:
    """Number and unit of "5 miles", "72°F", "two and a half cups", "a pound", "$20", "6 ft 2 in" (in inches).

    Without a number it is one. Raises ToolError when there is no unit."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", amount.strip())
    feet = re.fullmatch(
        r"(\d+)\s*(?:(?:ft|foot|feet)\s+|'\s*)(?:and\s+)?(\d+(?:\.\d+)?)\s*(?:in|inch|inches|\"|'')?", text
    )
    if feet:
        return 12 * float(feet[1]) + float(feet[2]), "inch"
    sign = re.match(r"([$€£¥₹])\s*(.+)", text)
    if sign:
        number, unit = split(f"{sign[2]} {sign[1]}")
        return number, unit
    attached = re.match(r"(-?(?:\d+(?:\.\d+)?|\.\d+))(?=[a-z°'\"²])(.+)", text, re.IGNORECASE)
    words = [attached[1], *attached[2].split()] if attached else text.split()
    for length in range(len(words) - 1, 0, -1):
        value = parse_number(" ".join(words[:length]))
        if value is not None:
            unit = " ".join(words[length:])
            return value, re.sub(r"^(?:of )?an? ", "", unit, flags=re.IGNORECASE)
    unit = re.sub(r"^(?:an?|one|the|how many) ", "", " ".join(words), flags=re.IGNORECASE)
    if not unit or parse_number(unit) is not None:
        raise ToolError(f"{amount!r} has no unit", hint='say it with one, as in "5 miles"')
    return 1.0, unit


def _measure(value: float, said: str, wanted: str) -> Converted:
    source, target = _unit(said), _unit(wanted)
    registry, inverse = _registry(), False
    if not source.is_compatible_with(target):
        # a recipe's ounces are fluid when the other side is a volume
        if source == registry.ounce and target.dimensionality == registry.liter.dimensionality:
            source = registry.fluid_ounce
        elif target == registry.ounce and source.dimensionality == registry.liter.dimensionality:
            target = registry.fluid_ounce
        elif source.is_compatible_with(1 / target):
            inverse = True  # miles per gallon and litres per 100 kilometres
        else:
            raise ToolError(f"{said} cannot be converted to {wanted}: they measure different things")
    quantity = registry.Quantity(value, source)
    if inverse and not value:
        raise ToolError(f"0 {said} has no counterpart in {wanted}")
    result = (1 / quantity if inverse else quantity).to(target).magnitude
    return Converted(value, _name(source), float(result), _name(target))


def _unit(said: str) -> pint.Unit:
    from pint.errors import PintError

    text = said.strip().rstrip(".,?!")
    lower = " ".join(text.casefold().split())
    if lower in ALIASES:
        return _registry().Unit(ALIASES[lower])
    plain = _SAFE.fullmatch(text) and not re.search(r"\d\d", text)
    # first as written: case matters in symbols (mW, MW)
    for name in (text, lower, lower.replace(" ", "_")) if plain else ():
        try:
            return _registry().Unit(name)
        except (PintError, ValueError, TypeError, AssertionError, AttributeError, SyntaxError, KeyError):
            continue  # what pint raises for text that is no unit varies
    raise ToolError(f"{said!r} is not a unit that is known")


def _exchange(
    value: float, said: str, wanted: str, source: str | None, target: str | None, rates: Mapping[str, float]
) -> Converted:
    if source is None or target is None:
        raise ToolError(f"{said} cannot be converted to {wanted}: one is money, the other is not")
    for code in (source, target):
        if not rates.get(code, 0) > 0:
            raise ToolError(
                f"the exchange rate of {code} is not set, and none is looked up",
                hint="edge-agent config set currency_rates USD=1,EUR=1.08 (one euro costs 1.08 dollars)",
            )
    return Converted(value, source, value * rates[source] / rates[target], target)


def parse_rates(setting: Any) -> dict[str, float]:
    """`USD=1`, `EUR=1.08` ... as a mapping. Raises ToolError naming the entry that is none."""
    rates = {}
    for entry in setting or ():
        code, _, price = str(entry).partition("=")
        try:
            rates[code.strip().upper()] = float(price)
        except ValueError as error:
            raise ToolError(f"currency_rates: {entry!r} is not like EUR=1.08") from error
    return rates


def _currency(said: str) -> str | None:
    return CURRENCIES.get(said.strip().casefold())


def _name(unit: pint.Unit) -> str:
    return f"{unit:~P}".replace("floz", "fl oz").replace("_", " ")


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("liter_per_100_km = liter / (100 * kilometer) = l/100km")
    return registry
