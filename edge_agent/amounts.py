"""Numbers and lengths of time as people say them: "twenty", "3.5k", "50%", "an hour and a half". English.

Every parser takes a whole phrase and returns None unless *all* of it is understood. `time_phrase` is the
cheap first filter (about 3 µs) for what is about time: it refuses a word outside a closed vocabulary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TEENS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_SMALL = {word: number for number, word in enumerate(_TEENS)}
_TIES = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_TENS = {word: 10 * number for number, word in enumerate(_TIES, 2)}
_LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "bn": 10**9} | _LARGE
_NUMBER_WORDS = _SMALL.keys() | _TENS.keys() | _LARGE.keys()
_FIXED = {
    "half": 0.5,
    "a half": 0.5,
    "quarter": 0.25,
    "a quarter": 0.25,
    "three quarters": 0.75,
    "a third": 1 / 3,
    "two thirds": 2 / 3,
    "a couple": 2.0,
    "a dozen": 12.0,
    "dozen": 12.0,
    "half a dozen": 6.0,
}
_FIRSTS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
ORDINALS = {word: number for number, word in enumerate(_FIRSTS, 1)} | {"thirtieth": 30}
DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = _words("january february march april may june july august september october november december")

_VOCABULARY = frozenset(
    _words(
        "a an and the at on in of for by to from until till between before after around about past "
        "quarter half o clock oclock oh am pm noon midday midnight lunchtime now today tomorrow tmrw tmr "
        "yesterday tonight day days morning afternoon evening night weekend weekends weekday weekdays "
        "week weeks wk wks month months year years yr yrs next this last coming end start beginning ago "
        "later right eod ish couple few quarters fortnight fortnights second seconds sec secs s minute "
        "minutes min mins m hour hours hr hrs h d t z st nd rd th every each single other my work workday "
        "daily weekly biweekly monthly yearly annually hourly christmas eve new halloween valentine "
        "valentines easter thanksgiving starting tue tues wed weds thu thur thurs sept"
    )
).union(
    _NUMBER_WORDS,
    ORDINALS,
    DAYS,
    (day + "s" for day in DAYS),
    (day[:3] for day in DAYS),
    MONTHS,
    (month[:3] for month in MONTHS),
)


def parse_number(text: str) -> float | None:
    """The number a phrase is: digits, words, "3.5k", "1,200", "two and a half", "3/4", "a dozen", "half".

    A percentage is its count ("50%" and "fifty percent" are 50.0); a fraction is itself ("half" is 0.5).
    Currency signs are dropped. None when the phrase is anything more or other than one number.
    """
    s = re.sub(r"^[$€£] ?|(?: ?(?:%|percent|per cent)| ?[€£])$", "", plain(text))
    sign = -1.0 if re.match(r"(?:-|minus )\S", s) else 1.0
    s = re.sub(r"^(?:[-+]|minus )(?=\S)", "", s)
    if s in _FIXED:
        return sign * _FIXED[s]
    s = re.sub(r"(?<=\d),(?=\d{3}\b)", "", s)
    if found := re.fullmatch(rf"(\d+(?:\.\d+)?|\.\d+)(?:/([1-9]\d*))? ?({'|'.join(_SCALES)})", s):
        return sign * float(found[1]) / float(found[2] or 1) * _SCALES[found[3]]
    whole, half = re.subn(r" and a half$", "", s)
    if re.fullmatch(r"[a-z -]+", whole):
        digits = number_words(whole)
        if digits.isdecimal():
            return sign * (int(digits) + half / 2)
        if found := re.fullmatch(r"(\d+) point((?: \d)+)", digits):
            return sign * float(f"{found[1]}.{found[2].replace(' ', '')}")
    return float(whole) + 0.5 if half and whole.isdecimal() else None


@dataclass(slots=True)
class Length:
    """A length of time in parts that cannot be added: elapsed seconds, calendar days, calendar months."""

    seconds: float = 0.0
    days: float = 0.0
    months: float = 0.0


_TERM = re.compile(
    r"(?:(?P<part>(?:a )?half|(?:a )?quarter|3 quarters)(?: of)?(?: an?)? "
    r"|(?P<n>\d+(?:\.\d+)?|an?(?=[ -])|(?:a )?couple(?: of)?|(?:a )?few)(?P<half> and a half)?[ -]?)"
    r"(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|wks?|weeks?|fortnights?|months?|yrs?|years?)\b"
    r"(?P<tail> and a half)?(?P<joint>,? and |, ?| (?=\d))?"
)


def take_length(s: str) -> tuple[Length, str] | None:
    """The length of time at the start of a `time_phrase`, and what follows it."""
    length, pos, joint = Length(), 0, ""
    s = re.sub(r"(\d)h ?(\d\d)(?![\w:])", r"\1h \2m", s)
    while found := _TERM.match(s, pos):
        if part := found["part"]:
            count = 0.75 if "3" in part else 0.25 if "quarter" in part else 0.5
        else:
            word = found["n"]
            count = 2.0 if "couple" in word else 3.0 if "few" in word else float(word) if word[0].isdigit() else 1.0
            count += 0.5 if found["half"] or found["tail"] else 0.0
        unit = found["unit"]
        if unit.startswith("month"):
            length.months += count
        elif unit[0] == "y":
            length.months += 12 * count
        elif unit[0] in "dwf":
            length.days += count * {"d": 1, "w": 7, "f": 14}[unit[0]]
        else:
            length.seconds += count * {"s": 1, "m": 60, "h": 3600}[unit[0]]
        pos, joint = found.end(), (found["joint"] or "").strip()
    return (length, s[pos:].strip()) if pos and not joint else None


def parse_duration(text: str) -> timedelta | None:
    """A length of time: "20 minutes", "an hour and a half", "1h30", "a couple of days", "90s", "for 2 weeks".

    Months and years have no fixed length and give None, as do lengths of zero or beyond ten years.
    """
    s = time_phrase(text)
    taken = take_length(re.sub(r"^(?:for|about|around) ", "", s)) if s else None
    if not taken or taken[1] or taken[0].months:
        return None
    seconds = taken[0].seconds + taken[0].days * 86400
    return timedelta(seconds=seconds) if 0 < seconds <= 3650 * 86400 else None


def number_words(s: str) -> str:
    """Number words as digits: "twenty-five past seven" -> "25 past 7"; "seven thirty" stays two numbers."""
    words = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", s).split()
    words = ["one" if pair[0] == "a" and pair[1] in _LARGE else pair[0] for pair in zip_longest(words, words[1:])]
    if _NUMBER_WORDS.isdisjoint(words):
        return " ".join(words)
    out: list[str] = []
    i = 0
    while i < len(words):
        if words[i] not in _NUMBER_WORDS:
            out.append(words[i])
            i += 1
            continue
        total = current = 0
        last = 10**12  # the last word's value: the words of one number shrink, or multiply
        while i < len(words):
            word = words[i]
            value = _SMALL.get(word, _TENS.get(word))
            if value is not None:
                if last < 20 or (last < 100 and not 1 <= value < 10):
                    break
                current, last = current + value, value
            elif word in _LARGE:
                last = _LARGE[word]
                if last == 100:
                    current = (current or 1) * 100
                else:
                    total, current = total + (current or 1) * last, 0
            elif not (word == "and" and last in _LARGE.values() and {*words[i + 1 : i + 2]} & {*_SMALL, *_TENS}):
                break
            i += 1
        number = total + current
        if i < len(words) and 20 <= last < 100 and ORDINALS.get(words[i], 10) < 10:  # "twenty third"
            out.append(f"{number + ORDINALS[words[i]]}th")
            i += 1
        else:
            out.append(str(number))
    return " ".join(out)


def plain(text: str) -> str:
    """Lower case, single spaces, plain dashes, no apostrophes, no punctuation around it."""
    table = {0x2013: "-", 0x2014: "-", 0x2212: "-", 0x2019: None, 0x27: None, 0xA0: " "}
    return " ".join(text.lower().translate(table).split()).strip(' ,!?;:"').rstrip(" .,!?")


def time_phrase(text: str) -> str | None:
    """The phrase in plain form, number words as digits; None when a word of it cannot be about time."""
    if len(text) > 80:
        return None
    s = plain(text).replace("@", "at ")
    if not s or re.search(r"[^a-z0-9 :.,/-]", s):
        return None
    s = re.sub(r"\b([ap])\. ?m\b\.?", r"\1m", re.sub(r"(?<=\d)([ap])(?=\.? ?m\b)", r" \1", s))
    if not _VOCABULARY.issuperset(re.findall(r"[a-z]+", s)):
        return None
    return number_words(s)
