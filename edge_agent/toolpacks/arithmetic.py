"""Sums as people say them: "15% of 240", "twelve times 7", "the square root of 2", "add 5 and 7".

Words become symbols by a table, symbols are parsed by a lark grammar, and the tree is evaluated in decimals
of 100 digits: nothing is executed. An expression has at most 200 characters and a result at most 100 digits.
"a + 10%" means a tenth of `a` more, as on a pocket calculator; elsewhere "10%" is 0.1.
"""

from __future__ import annotations

import re
from decimal import Context as Decimals
from decimal import Decimal, DecimalException, InvalidOperation, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import ToolError
from ..when import parse_number

if TYPE_CHECKING:
    from lark import Lark, Tree

MAX_CHARACTERS, MAX_DIGITS = 200, 100

GRAMMAR = r"""
?start: sum
?sum: product
    | sum "+" product -> add
    | sum "-" product -> subtract
?product: signed
    | product "*" signed -> multiply
    | product "/" signed -> divide
    | product MODULO signed -> modulo
?signed: power
    | "-" signed -> negate
    | "+" signed
?power: postfix
    | postfix "^" signed -> power
?postfix: atom
    | postfix PERCENT -> percent
    | postfix "!" -> factorial
?atom: NUMBER -> number
    | "(" sum ")"
    | FUNCTION postfix -> apply
FUNCTION: "sqrt" | "cbrt" | "abs"
MODULO: "mod" | /%(?=\s*[\d(.])/
PERCENT: /%(?!\s*[\d(.])/
NUMBER: /\d+(\.\d*)?|\.\d+/
%ignore /\s+/
"""

_QUESTION = (
    r"^(?:please )?"
    r"(?:(?:what|how much)(?:['’]s| is| are| does)?|calculate|compute|work out|evaluate|solve)\s+"
)

#: Whole sentences whose order is not that of the symbols.
_SHAPES = (
    (r"^(?:add|(?:the )?sum of|(?:the )?total of) (.+) (?:and|to|plus) (.+)$", r"(\1)+(\2)"),
    (r"^(?:subtract|take) (.+?) (?:from|away from) (.+)$", r"(\2)-(\1)"),
    (r"^(?:the )?difference (?:between|of) (.+) and (.+)$", r"(\1)-(\2)"),
    (r"^(?:multiply|(?:the )?product of) (.+) (?:and|by|with) (.+)$", r"(\1)*(\2)"),
    (r"^(?:divide|split) (.+) (?:by|into|between|among) (.+)$", r"(\1)/(\2)"),
    (r"^(.+?%) (?:off|discount on) (?:of )?(.+)$", r"(\2)-\1"),
)

#: Words and signs that stand for symbols, longest first where one begins another.
_WORDS = (
    (r"[×✕]|(?<=[\d)])\s*x\s*(?=[\d(.])", "*"),
    (r"\*\*", "^"),
    (r"÷", "/"),
    (r"[−–]", "-"),
    (r"½", ".5"),
    (r"²", "^2"),
    (r"³", "^3"),
    (r"\b(?:the )?cube root(?: of)?\b", " cbrt "),
    (r"√|\b(?:the )?(?:square )?root of\b|\bsquare root\b", " sqrt "),
    (r"\b(?:the )?absolute value of\b", " abs "),
    (r"\bpercent\b|\bper cent\b|\bpct\b", "%"),
    (r"\b(?:tip|tax|vat|interest) (?:on|of|for)\b", " of "),
    (r"\bhalf(?: of)?\b", " .5* "),
    (r"\b(?:a |one )?third of\b", " (1/3)* "),
    (r"\b(?:a |one )?quarter of\b", " .25* "),
    (r"\b(?:double|twice)\b", " 2* "),
    (r"\b(?:triple|thrice)\b", " 3* "),
    (r"\bmultiplied by\b|\btimes\b", "*"),
    (r"\bdivided by\b|\bover\b", "/"),
    (r"\b(?:raised )?to the power(?: of)?\b|\bto the\b", "^"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\bfactorial\b", "!"),
    (r"\bmodulo\b|\bmod\b", " mod "),
    (r"\bplus\b|\badded to\b", "+"),
    (r"\bminus\b|\bless\b|\btake away\b", "-"),
    (r"(?<![a-z])of(?![a-z])", "*"),
)

_SCALES = "hundred|thousand|million|billion"
_UNITS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    "|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
_SPELLED = re.compile(
    rf"\b(?:(?:a|\d[\d.]*)\s+(?={_SCALES})|(?={_UNITS}))(?:(?:{_UNITS}|{_SCALES}|and|point)\b[\s-]*)+"
)


def calculate(said: str) -> Decimal:
    """The value of a spoken or written sum. Raises ToolError saying what is not understood or too large."""
    from lark.exceptions import UnexpectedInput

    text = symbols(said)
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        at = getattr(error, "pos_in_stream", None)
        where = f" near {text[at : at + 12]!r}" if isinstance(at, int) and 0 <= at < len(text) else ""
        raise ToolError(f"{said!r} is not a sum that can be worked out{where}") from error
    with localcontext(Decimals(prec=MAX_DIGITS + 20, Emax=10_000, Emin=-10_000)):
        try:
            value = _plain(_evaluate(tree))
        except (DecimalException, ZeroDivisionError) as error:
            raise ToolError(f"{said!r} has no value that can be written down") from error
    if not value.is_finite():
        raise ToolError(f"{said!r} has no value that can be written down")
    if value and value.adjusted() >= MAX_DIGITS:
        raise ToolError(f"{said!r} has more than {MAX_DIGITS} digits")
    return value


def symbols(said: str) -> str:
    """A sum in words as one in symbols: "three plus 20%" -> "3 + 20%". Raises ToolError when too long."""
    if len(said) > MAX_CHARACTERS:
        raise ToolError(f"a sum may have {MAX_CHARACTERS} characters, not {len(said)}")
    text = re.sub(_QUESTION, "", said.strip().casefold().rstrip("?=.!, " if not said.rstrip().endswith("!") else "?="))
    text = re.sub(r"[$€£¥]|(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\b(?:dollars|euros|pounds|yen|bucks)\b", "", text)
    text = _SPELLED.sub(_digits, text)
    text = re.sub(rf"\b(\d[\d.]*)\s+({_SCALES})\b", _digits, text)
    text = re.sub(r"\s*\b(?:percent|per cent|pct)\b", "%", text)
    for pattern, replacement in _SHAPES:
        text = re.sub(pattern, replacement, text.strip())
    for pattern, replacement in _WORDS:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"(?<=\^)\s*(\d+)(?:st|nd|rd|th)\b(?:\s*power)?", r"\1", text).strip()


def written(value: Decimal) -> str:
    """A number for people: thousands separated, rounded to 12 significant digits, no tail of zeros.

    Whole numbers are exact up to 30 digits; what is larger or smaller than that is in scientific notation."""
    whole = value == value.to_integral_value()
    if whole and value.adjusted() < 30:
        return f"{value.to_integral_value():,f}"
    rounded = Decimals(prec=12).create_decimal(value).normalize()
    if -7 <= rounded.adjusted() < 15:
        return f"{rounded:,f}"
    mantissa, _, exponent = f"{rounded:e}".partition("e")
    return f"{mantissa} × 10^{int(exponent)}"


class _Percent(Decimal):
    """A number said as a percentage, kept apart until it is known what it is a part of."""


def _evaluate(tree: Tree[Any]) -> Decimal:
    if tree.data == "number":
        return Decimal(str(tree.children[0]))
    if tree.data == "apply":
        return _apply(str(tree.children[0]), _plain(_evaluate(_child(tree, 1))))
    first = _evaluate(_child(tree, 0))
    if tree.data == "percent":
        return _Percent(first)
    if tree.data == "factorial":
        return _factorial(_plain(first))
    if tree.data == "negate":
        return _Percent(-first) if isinstance(first, _Percent) else -first
    second = _evaluate(_child(tree, -1))
    if tree.data in ("add", "subtract"):
        part = _part(first, second)
        return _plain(first) + part if tree.data == "add" else _plain(first) - part
    left, right = _plain(first), _plain(second)
    if tree.data == "multiply":
        return left * right
    if tree.data in ("divide", "modulo") and not right:
        raise ToolError("nothing can be divided by zero")
    if tree.data == "divide":
        return left / right
    if tree.data == "modulo":
        return left - right * (left / right).to_integral_value("ROUND_FLOOR")
    return _power(left, right)


def _part(of: Decimal, value: Decimal) -> Decimal:
    if isinstance(value, _Percent) and not isinstance(of, _Percent):
        return of * value / 100
    return _plain(value)


def _plain(value: Decimal) -> Decimal:
    return value / 100 if isinstance(value, _Percent) else value


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if abs(exponent) > 10_000 or (base and abs(exponent * (base.adjusted() + 1)) > 20 * MAX_DIGITS):
        raise ToolError(f"{written(base)} to the power of {written(exponent)} is too large to work out")
    if base < 0 and exponent != exponent.to_integral_value():
        raise ToolError("a negative number has no real fractional power")
    try:
        return base**exponent
    except InvalidOperation as error:
        raise ToolError("zero has no such power") from error


def _apply(name: str, value: Decimal) -> Decimal:
    if name == "abs":
        return abs(value)
    if name == "cbrt":
        size = abs(value) ** (Decimal(1) / 3)
        near = size.to_integral_value()
        return (near if near**3 == abs(value) else size).copy_sign(value)
    if value < 0:
        raise ToolError("a negative number has no real square root")
    return value.sqrt()


def _factorial(value: Decimal) -> Decimal:
    import math

    if value != value.to_integral_value() or not 0 <= value <= 69:
        raise ToolError("a factorial is worked out for whole numbers from 0 to 69")
    return Decimal(math.factorial(int(value)))


def _child(tree: Tree[Any], index: int) -> Tree[Any]:
    child = tree.children[index]
    assert not isinstance(child, str)
    return child


def _digits(match: re.Match[str]) -> str:
    words = match[0].strip()
    tail = match[0][len(match[0].rstrip()) :]
    joined = re.search(r"(?:\s+and)+$", words)
    if joined:  # "five and seven": the "and" belongs to the sentence
        words, tail = words[: joined.start()], joined[0] + tail
    value = parse_number(words)
    return match[0] if value is None else f"{Decimal(repr(value)).normalize():f}{tail}"


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr")
