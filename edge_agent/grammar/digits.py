"""Numbers as grammar: every range of integers or decimals, exactly, digit by digit.

A range is cut into blocks that share a prefix of digits ("from 137 to 2048" is `13[7-9] | 1[4-9][0-9] | ...`), as
in Moskal et al., llguidance (2025), and every regular expression generator since awk's. Counts of digits are
always bounded, so that a model cannot write digits for ever. Sizes grow with the square of the digits.
"""

from __future__ import annotations

from decimal import Decimal

from .ir import EMPTY, NOTHING, Chars, Lit, Node, alt, optional, repeat, seq

#: Digits of an integer without a bound on that side; all of them fit a double exactly.
FREE_DIGITS = 15
#: Digits after the point.
FRACTION_DIGITS = 15
#: Digits of a bound beyond which it is not written as grammar.
MAX_DIGITS = 40

_DIGIT = Chars(((0x30, 0x39),))


def integers(low: int | None, high: int | None) -> Node:
    """Integers from `low` to `high`, both included; None is no bound. NOTHING when the range is empty."""
    if low is not None and high is not None and low > high:
        return NOTHING
    options: list[Node] = []
    if low is None or low < 0:
        top = None if low is None else -low
        options.append(seq(Lit("-"), _natural(max(1, -high) if high is not None else 1, top)))
    if high is None or high >= 0:
        options.append(_natural(max(0, low or 0), high))
    return alt(*options)


def decimals(low: Decimal | None, high: Decimal | None, *, open_low: bool = False, open_high: bool = False) -> Node:
    """Decimals between `low` and `high` (left out themselves when open), without exponent."""
    options: list[Node] = []
    if low is None or low < 0:
        options.append(seq(Lit("-"), _positive(_negated(high), _negated(low), open_high, open_low)))
    if high is None or high >= 0:
        options.append(_positive(low, high, open_low, open_high))
    return alt(*options)


def _negated(bound: Decimal | None) -> Decimal | None:
    return None if bound is None else -bound


def _between(low: str, high: str) -> Node:
    return Chars(((ord(low), ord(high)),)) if low != high else Lit(low)


def _natural(low: int, high: int | None) -> Node:
    """Naturals from `low` to `high` in decimal without leading zeros."""
    if high is None:
        high = 10 ** max(FREE_DIGITS, len(str(low)) + 1) - 1
    if low > high:
        return NOTHING
    options: list[Node] = []
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


def _positive(low: Decimal | None, high: Decimal | None, open_low: bool, open_high: bool) -> Node:
    """Unsigned decimals between two bounds; a bound below zero is none."""
    if low is None or low < 0:
        low, open_low = Decimal(0), False
    if high is not None and (high < low or (high == low and (open_low or open_high))):
        return NOTHING
    floor, above = _split(low)
    ceiling, below = _split(high) if high is not None else (None, "")
    at_least = _fraction_from(above, open_low)
    if ceiling is None:
        return alt(seq(Lit(str(floor)), at_least), seq(_natural(floor + 1, None), _ANY_FRACTION))
    if floor == ceiling:
        return seq(Lit(str(floor)), _fraction_between(above, below, open_low, open_high))
    return alt(
        seq(Lit(str(floor)), at_least),
        seq(_natural(floor + 1, ceiling - 1), _ANY_FRACTION),
        seq(Lit(str(ceiling)), _fraction_to(below, open_high)),
    )


def _split(value: Decimal) -> tuple[int, str]:
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _digits(count: int) -> Node:
    """Up to `count` more digits."""
    return repeat(_DIGIT, 0, max(count, 0))


def _dotted(with_none: bool, digits: Node) -> Node:
    written = seq(Lit("."), digits) if digits != NOTHING else NOTHING
    return alt(EMPTY, written) if with_none else written


_ANY_FRACTION = optional(seq(Lit("."), repeat(_DIGIT, 1, FRACTION_DIGITS)))


def _fraction_from(bound: str, strict: bool) -> Node:
    """The rest of a number, from `.` on, whose fraction is at least (when strict: more than) `bound`."""
    return _ANY_FRACTION if not bound and not strict else _dotted(False, _more(bound, strict, _room(bound)))


def _fraction_to(bound: str, strict: bool) -> Node:
    """The same for at most (less than) `bound`."""
    return _dotted(bool(bound) or not strict, _less(bound, strict, _room(bound), True))


def _fraction_between(low: str, high: str, open_low: bool, open_high: bool) -> Node:
    room = max(_room(low), _room(high))
    return _dotted(not low and not open_low, _inside(low, high, open_low, open_high, room, True))


def _room(bound: str) -> int:
    return max(FRACTION_DIGITS, len(bound) + 1)


def _more(bound: str, strict: bool, room: int) -> Node:
    """Digits d with 0.d above 0.bound, or equal to it unless strict; never empty unless equal may be."""
    if room <= 0:
        return EMPTY if not bound and not strict else NOTHING
    if not bound:
        if not strict:
            return _digits(room)
        return seq(repeat(Lit("0"), 0, room - 1), _between("1", "9"), _digits(room - 1))
    bigger = seq(_between(chr(ord(bound[0]) + 1), "9"), _digits(room - 1)) if bound[0] < "9" else NOTHING
    return alt(bigger, seq(Lit(bound[0]), _more(bound[1:], strict, room - 1)))


def _less(bound: str, strict: bool, room: int, first: bool) -> Node:
    """Digits d with 0.d below 0.bound, or equal to it unless strict; not empty when they are the first."""
    if not bound:
        if strict:
            return NOTHING
        return repeat(Lit("0"), int(first), room)
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
