"""Keeps text from outside (messages, tool descriptions, tool results) from spelling control tokens.

The runtime tokenises a whole `Prompt` with special tokens on, so `<|im_end|>` inside an e-mail would end the
turn. Plain text gets a zero-width space after the first character of every such spelling: it looks the same
and says the same to the model. JSON text gets the JSON escape of that character instead, which changes
nothing in the parsed value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

ZERO_WIDTH = "\u200b"


@lru_cache(maxsize=64)
def _first_character(specials: tuple[str, ...]) -> re.Pattern[str]:
    # Look-ahead, so that overlapping spellings are all found. `<|` opens the control tokens of most
    # vocabularies, listed here or not, so it is broken up everywhere.
    spellings = "|".join(re.escape(special) for special in sorted({"<|", *specials}))
    return re.compile(f"(?={spellings})(.)", re.DOTALL)


def escape(text: str, specials: Iterable[str]) -> str:
    """`text` in which no member of `specials`, nor anything that starts with `<|`, is spelled any more.

    Specials of one character cannot be broken up and are not allowed. Cost: one pass of a compiled pattern.
    """
    return _first_character(tuple(specials)).sub(rf"\1{ZERO_WIDTH}", text)


def escape_json(text: str, specials: Iterable[str]) -> str:
    """The same for JSON text, without changing the value it stands for.

    Correct because JSON allows the spellings of control tokens inside strings only.
    """
    return _first_character(tuple(specials)).sub(lambda match: f"\\u{ord(match[1]):04x}", text)
