"""Numbers as grammar: every range of integers or decimals, exactly, digit by digit.

A range is cut into blocks that share a prefix of digits ("from 137 to 2048" is `13[7-9] | 1[4-9][0-9] | ...`), as
in Moskal et al., llguidance (2025), and every regular expression generator since awk's. Sizes grow with the square of
the digits.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache

from .ir import EMPTY, NOTHING, Chars, Lit, Node, alt, optional, repeat, seq

#: Digits of a bound beyond which it is not written as grammar.
MAX_DIGITS = 40
#: Up to here a float holds whole numbers exactly.
MAX_EXACT = 2**53

_DIGIT = Chars(((0x30, 0x39),))


def is_whole(value: int | float) -> bool:
    """Whether a number has no fraction. An int may be larger than any float."""
    return isinstance(value, int) or value.is_integer()


class Numbers:
    """How numbers are spelled.

    most: Digits where no bound limits them, before the point and after it. 15 of them fit a double exactly, and a
        model cannot write digits for ever. None: as many as one likes, and every other way of writing the number
        that `json.dumps` has: `-0.0`, `1e-07`, `1e+16` and, with `whole_floats`, `5.0` for a whole number.
    """

    def __init__(self, most: int | None, *, whole_floats: bool = True) -> None:
        self.most, self.whole_floats = most, whole_floats and most is None
        self._any_fraction = optional(seq(Lit("."), repeat(_DIGIT, 1, most)))

    def integers(self, low: int | None, high: int | None) -> Node:
        """Integers from `low` to `high`, both included; None is no bound. NOTHING when the range is empty."""
        if low is not None and high is not None and low > high:
            return NOTHING
        if low == 0 and high is None and self.whole_floats:
            return seq(alt(Lit("-0"), _WHOLE), optional(seq(Lit("."), repeat(Lit("0"), 1))), optional(_POWER))
        options: list[Node] = []
        if low is None or low < 0:
            top = None if low is None else -low
            options.append(seq(Lit("-"), self._natural(max(1, -high) if high is not None else 1, top)))
        if high is None or high >= 0:
            options.append(self._natural(max(0, low or 0), high))
        if not self.whole_floats:
            return alt(*options)
        if (low is None or low <= 0) and (high is None or high >= 0):
            options.append(Lit("-0"))
        with_point = seq(alt(*options), optional(seq(Lit("."), repeat(Lit("0"), 1))))
        return alt(with_point, *_large(_decimal(low), _decimal(high), repeat(_DIGIT, 1, 16)))

    def decimals(
        self, low: Decimal | None, high: Decimal | None, *, open_low: bool = False, open_high: bool = False
    ) -> Node:
        """Decimals between `low` and `high` (left out themselves when open)."""
        if low == 0 and high is None and self.most is None and not open_low:
            zero = seq(Lit("-0"), optional(seq(Lit("."), repeat(Lit("0"), 1))))
            return alt(zero, seq(_WHOLE, self._any_fraction, optional(_ANY_POWER)))
        options: list[Node] = []
        if low is None or low < 0:
            options.append(seq(Lit("-"), self._positive(_negated(high), _negated(low), open_high, open_low)))
        if high is None or high >= 0:
            options.append(self._positive(low, high, open_low, open_high))
        if self.most is None:
            if low == 0 and not open_low and (high is None or high > 0 or not open_high):
                options.append(seq(Lit("-0"), optional(seq(Lit("."), repeat(Lit("0"), 1)))))
            options += _large(low, high, repeat(_DIGIT, 1))
            options += _small(low, high)
        return alt(*options)

    def exactly(self, *values: int | float) -> Node:
        """One of these numbers."""
        whole = [Lit(str(int(value))) for value in values if is_whole(value) and abs(value) <= MAX_EXACT]
        zeros = optional(seq(Lit("."), repeat(Lit("0"), 1))) if self.whole_floats else EMPTY
        return alt(seq(alt(*whole), zeros), *(Lit(json.dumps(value)) for value in values))

    @lru_cache(256)  # noqa: B019 - there are two of these, for ever
    def multiples(self, step: Decimal) -> Node | None:
        """Multiples of `step` if its digits divide a power of ten, as those of 0.01, 0.25 and 50 do: they are told by
        their last digits. None for other steps."""
        _, digits, exponent = step.normalize().as_tuple()
        size = int("".join(map(str, digits)))
        width = next((n for n in range(4) if 10**n % size == 0), None)
        if width is None or not isinstance(exponent, int) or abs(exponent) > 12:
            return None
        places = max(-exponent, 0)
        options = []
        for ending in range(0, 10**width, size):
            tail = (f"{ending:0{width}d}" if width else "") + "0" * max(exponent, 0)
            whole, fraction = tail[: max(len(tail) - places, 0)], tail[max(len(tail) - places, 0) :]
            options.append(seq(self._ending(whole), self._padded(fraction.rjust(places, "?"))))
        spare = 16 - max(exponent + width, 0)
        if self.most is None and spare >= 0:
            options += _large(None, None, repeat(_DIGIT, 1, spare) if spare else NOTHING)[:1]
        return seq(optional(Lit("-")), alt(*options))

    def _ending(self, tail: str) -> Node:
        """Naturals whose last digits are `tail`."""
        longer = seq(_between("1", "9"), repeat(_DIGIT, 0, self.most), Lit(tail))
        return alt(longer, Lit(tail.lstrip("0") or "0"))

    def _padded(self, fraction: str) -> Node:
        """A point and exactly these digits, `?` being any; zeros at the end may be left out or added."""
        zeros = repeat(Lit("0"), 0, self.most)
        digits = [_DIGIT if digit == "?" else Lit(digit) for digit in fraction]
        needed = len(fraction.rstrip("0?"))
        rest = zeros
        for digit in reversed(digits[max(needed, 1) :]):
            rest = optional(seq(digit, rest))
        written = seq(Lit("."), *(digits[: max(needed, 1)] or [Lit("0")]), rest)
        return written if needed else optional(written)

    def _natural(self, low: int, high: int | None) -> Node:
        """Naturals from `low` to `high` in decimal without leading zeros."""
        endless = high is None and self.most is None
        if high is None:
            high = 10 ** max(self.most or 0, len(str(low)) + 1) - 1
        if low > high:
            return NOTHING
        options: list[Node] = []
        if endless:
            options.append(seq(_between("1", "9"), repeat(_DIGIT, len(str(high)))))
        if low == 0:
            options.append(Lit("0"))
            low = 1
        while low <= high:
            width = len(str(low))
            last = min(high, 10**width - 1)
            if low == 10 ** (width - 1) and last == 10**width - 1:
                # whole decades in one piece: 1 to n digits
                decades = len(str(high)) - (high != 10 ** len(str(high)) - 1)
                options.append(seq(_between("1", "9"), repeat(_DIGIT, width - 1, decades - 1)))
                low = 10**decades
            else:
                options.append(_same_width(str(low), str(last)))
                low = last + 1
        return alt(*options)

    def _positive(self, low: Decimal | None, high: Decimal | None, open_low: bool, open_high: bool) -> Node:
        """Unsigned decimals between two bounds; a bound below zero is none."""
        if low is None or low < 0:
            low, open_low = Decimal(0), False
        if high is not None and (high < low or (high == low and (open_low or open_high))):
            return NOTHING
        floor, above = _split(low)
        ceiling, below = _split(high) if high is not None else (None, "")
        at_least = self._fraction_from(above, open_low)
        if ceiling is None:
            return alt(seq(Lit(str(floor)), at_least), seq(self._natural(floor + 1, None), self._any_fraction))
        if floor == ceiling:
            return seq(Lit(str(floor)), self._fraction_between(above, below, open_low, open_high))
        return alt(
            seq(Lit(str(floor)), at_least),
            seq(self._natural(floor + 1, ceiling - 1), self._any_fraction),
            seq(Lit(str(ceiling)), self._fraction_to(below, open_high)),
        )

    def _fraction_from(self, bound: str, strict: bool) -> Node:
        """The rest of a number, from `.` on, whose fraction is at least (when strict: more than) `bound`."""
        return (
            self._any_fraction if not bound and not strict else _dotted(False, _more(bound, strict, self._room(bound)))
        )

    def _fraction_to(self, bound: str, strict: bool) -> Node:
        """The same for at most (less than) `bound`."""
        return _dotted(bool(bound) or not strict, _less(bound, strict, self._room(bound), True))

    def _fraction_between(self, low: str, high: str, open_low: bool, open_high: bool) -> Node:
        room = max(self._room(low), self._room(high))
        return _dotted(not low and not open_low, _inside(low, high, open_low, open_high, room, True))

    def _room(self, bound: str) -> int:
        return _ENDLESS if self.most is None else max(self.most, len(bound) + 1)


def _negated(bound: Decimal | None) -> Decimal | None:
    return None if bound is None else -bound


def _between(low: str, high: str) -> Node:
    return Chars(((ord(low), ord(high)),)) if low != high else Lit(low)


def _same_width(low: str, high: str) -> Node:
    """Digit strings between two of the same length, in the order of their values."""
    if low == high:
        return Lit(low)
    if low[0] == high[0]:
        return seq(Lit(low[0]), _same_width(low[1:], high[1:]))
    width = len(low) - 1
    first, last = low[0], high[0]
    options: list[Node] = []
    if low[1:].strip("0"):
        options.append(seq(Lit(first), _same_width(low[1:], "9" * width)))
        first = chr(ord(first) + 1)
    if high[1:].strip("9"):
        options.append(seq(Lit(last), _same_width("0" * width, high[1:])))
        last = chr(ord(last) - 1)
    if first <= last:
        options.insert(1, seq(_between(first, last), repeat(_DIGIT, width, width)))
    return alt(*options)


def _split(value: Decimal) -> tuple[int, str]:
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _up_to(count: int) -> int | None:
    return None if count > _ENDLESS // 2 else max(count, 0)


def _digits(count: int) -> Node:
    """Up to `count` more digits."""
    return repeat(_DIGIT, 0, _up_to(count))


def _dotted(with_none: bool, digits: Node) -> Node:
    written = seq(Lit("."), digits) if digits != NOTHING else NOTHING
    return alt(EMPTY, written) if with_none else written


def _more(bound: str, strict: bool, room: int) -> Node:
    """Digits d with 0.d above 0.bound, or equal to it unless strict; never empty unless equal may be."""
    if room <= 0:
        return EMPTY if not bound and not strict else NOTHING
    if not bound:
        if not strict:
            return _digits(room)
        return seq(repeat(Lit("0"), 0, _up_to(room - 1)), _between("1", "9"), _digits(room - 1))
    bigger = seq(_between(chr(ord(bound[0]) + 1), "9"), _digits(room - 1)) if bound[0] < "9" else NOTHING
    return alt(bigger, seq(Lit(bound[0]), _more(bound[1:], strict, room - 1)))


def _less(bound: str, strict: bool, room: int, first: bool) -> Node:
    """Digits d with 0.d below 0.bound, or equal to it unless strict; not empty when they are the first."""
    if not bound:
        if strict:
            return NOTHING
        return repeat(Lit("0"), int(first), _up_to(room))
    smaller = seq(_between("0", chr(ord(bound[0]) - 1)), _digits(room - 1)) if bound[0] > "0" else NOTHING
    rest = _less(bound[1:], strict, room - 1, False)
    return alt(NOTHING if first else EMPTY, smaller, seq(Lit(bound[0]), rest))


def _inside(low: str, high: str, open_low: bool, open_high: bool, room: int, first: bool) -> Node:
    """Digits between two bounds of fractions, `low` being at most `high`; a number's end counts as zeros."""
    if not low and not open_low:
        return _less(high, open_high, room, first)
    if not high:
        return NOTHING
    a, b = low[:1] or "0", high[0]
    if a == b:
        return seq(Lit(a), _inside(low[1:], high[1:], open_low, open_high, room - 1, False))
    middle = seq(_between(chr(ord(a) + 1), chr(ord(b) - 1)), _digits(room - 1)) if ord(b) - ord(a) > 1 else NOTHING
    return alt(
        seq(Lit(a), _more(low[1:], open_low, room - 1)),
        middle,
        seq(Lit(b), _less(high[1:], open_high, room - 1, False)),
    )


def _large(low: Decimal | None, high: Decimal | None, fraction: Node) -> list[Node]:
    """Numbers of 10^16 and more, and of -10^16 and less, with an exponent; where the bounds are out of their way."""
    sizes = (
        seq(Lit("1"), _between("6", "9")),
        seq(_between("2", "9"), _DIGIT),
        seq(_between("1", "9"), repeat(_DIGIT, 2, 3)),
    )
    number = seq(_between("1", "9"), optional(seq(Lit("."), fraction)), _E, optional(Lit("+")), alt(*sizes))
    positive = number if high is None and (low is None or low <= _LARGE) else NOTHING
    negative = seq(Lit("-"), number) if low is None and (high is None or high >= -_LARGE) else NOTHING
    return [positive, negative]


def _small(low: Decimal | None, high: Decimal | None) -> list[Node]:
    """Numbers between 0 and 10^-4, and between -10^-4 and 0, likewise."""
    size = seq(repeat(Lit("0")), alt(_between("5", "9"), seq(_between("1", "9"), repeat(_DIGIT, 1, 3))))
    number = seq(_between("1", "9"), optional(seq(Lit("."), repeat(_DIGIT, 1))), _E, Lit("-"), size)
    positive = number if (low is None or low <= 0) and (high is None or high >= _SMALL) else NOTHING
    negative = seq(Lit("-"), number) if (low is None or low <= -_SMALL) and (high is None or high >= 0) else NOTHING
    return [positive, negative]


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


_E = Chars(((0x45, 0x45), (0x65, 0x65)))
_WHOLE = alt(Lit("0"), seq(_between("1", "9"), repeat(_DIGIT)))
_POWER = seq(_E, optional(Lit("+")), repeat(_DIGIT, 1))
_ANY_POWER = seq(_E, optional(Chars(((0x2B, 0x2B), (0x2D, 0x2D)))), repeat(_DIGIT, 1))
_LARGE, _SMALL = Decimal(10) ** 16, Decimal(10) ** -4
_ENDLESS = 1_000_000

#: What a model is to write.
SHORT = Numbers(15)
#: What programs write.
DUMPED = Numbers(None)
#: The same up to draft-04, in which 5.0 is no integer.
OLD = Numbers(None, whole_floats=False)
