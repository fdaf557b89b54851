"""Values copied from the person's words: a grammar of every run of whole words in a text.

A value that the person has said need not be invented: the model only chooses where it starts and ends. A run keeps
the exact characters in between; at its edges quotes, brackets and sentence punctuation are left off, so `plants.`
at the end of a sentence gives `plants`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .ir import EMPTY, NOTHING, Grammar, Lit, Node, Ref, alt, optional, seq
from .strings import escape_text

#: Scripts written without blanks: each character may be an edge (Han, kana, full-width forms left aside).
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_BEFORE = "\"'`([{<«»‹›“”„‘’‚¿¡*_"
_AFTER = "\"'`)]}>«»‹›“”‘’.,;:!?…*_。、，！？；：）」』"
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<"}
_POSSESSIVE = re.compile(r"(?<=\w)['’]s$")


class _Word(NamedTuple):
    """Punctuation before, the word itself, punctuation after; what lies between it and the next word."""

    before: str
    core: str
    after: str
    gap: str


def word_spans(text: str, *, max_words: int, name: str = "Words") -> Grammar:
    """A fragment whose rule `name` is any run of up to `max_words` whole words of `text`, JSON-escaped.

    Two more edges are allowed because people mean them: before a possessive `'s` (`Bob's` gives `Bob`), and after
    the last point of an abbreviation (`a.m.`). Runs of punctuation alone are no words. A text without words gives
    a rule that nothing matches: ask `has_words` first.

    The size is at most words times `max_words`, and linear in the words where `max_words` covers them all.
    """
    words = _words(text)
    rules: dict[str, Node] = {name: NOTHING}

    def onward(i: int, left: int) -> Node:
        """What may follow the core of word `i` when `left` more words are allowed."""
        if i + 1 >= len(words) or not left:
            return EMPTY
        rule = f"{name}-{i + 1}" if max_words >= len(words) else f"{name}-{i + 1}-{left}"
        if rule not in rules:
            rules[rule] = EMPTY
            word, following = words[i], words[i + 1]
            step = word.after + word.gap + following.before
            rules[rule] = optional(seq(Lit(escape_text(step)), ended(i + 1, left - 1)))
        return Ref(rule)

    def ended(i: int, left: int) -> Node:
        """Word `i` and what may follow it."""
        word = words[i]
        whole = seq(Lit(escape_text(word.core)), onward(i, left))
        short = _POSSESSIVE.sub("", word.core)
        long = word.core + "." if "." in word.core and word.after.startswith(".") else word.core
        return alt(whole, *(Lit(escape_text(other)) for other in (short, long) if other != word.core))

    rules[name] = alt(*(ended(i, max_words - 1) for i in range(len(words))))
    return Grammar(rules, name)


def has_words(text: str) -> bool:
    """Whether there is anything in `text` to copy."""
    return bool(_words(text))


def choices(values: Iterable[str]) -> Node:
    """Any of `values`, JSON-escaped."""
    return alt(*(Lit(escape_text(value)) for value in values))


def _words(text: str) -> list[_Word]:
    found: list[_Word] = []
    end = 0
    lead = ""
    for match in _WORD.finditer(text):
        before, core, after = _trimmed(match[0])
        between = text[end : match.start()]
        end = match.end()
        if not core:  # punctuation by itself belongs to the gap
            lead += between + match[0]
            continue
        if found:
            found[-1] = found[-1]._replace(gap=lead + between)
        found.append(_Word(before, core, after, ""))
        lead = ""
    return found


def _trimmed(word: str) -> tuple[str, str, str]:
    core = word.lstrip(_BEFORE)
    before = word[: len(word) - len(core)]
    kept = len(core)
    while kept and core[kept - 1] in _AFTER:
        opener = _PAIRS.get(core[kept - 1])
        if opener and core[:kept].count(opener) >= core[:kept].count(core[kept - 1]):
            break  # the bracket closes one inside the word, as in f(x)
        kept -= 1
    return before, core[:kept], core[kept:]
