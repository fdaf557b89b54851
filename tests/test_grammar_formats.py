"""Formats: what their grammars take and refuse, and what `check` refuses beyond that."""

from __future__ import annotations

import ipaddress
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent.grammar import Node, TextMatcher, grammar_file
from edge_agent.grammar.formats import BEYOND as HELD_BY_CODE
from edge_agent.grammar.formats import FORMATS, OWN, check, format_checker, unheld
from edge_agent.grammar.strings import DUMPED, SHORT, Spelling

FOLDER = Path(__file__).parents[1] / "grammars"
LONG = "a" * 63

#: For each format with a grammar: texts of it, and texts that the grammar refuses by itself.
TABLE: dict[str, tuple[list[str], list[str]]] = {
    "date": (
        ["2024-02-29", "2000-02-29", "2023-02-28", "0004-02-29", "0000-01-01", "1999-12-31", "2025-09-30"],
        ["2023-02-29", "1900-02-29", "2024-02-30", "2025-06-31", "2025-00-10", "2025-13-01", "25-01-01", "2025-1-1"],
    ),
    "time": (
        ["09:30:00Z", "09:30:00.250+02:00", "00:00:00.1234567890123z", "23:59:60Z", "05:29:60.5+05:30"],
        ["9:30:00Z", "09:30:00", "09:30Z", "24:00:00Z", "09:60:00Z", "09:30:61Z", "22:59:60Z", "09:30:00.Z"],
    ),
    "date-time": (
        ["2024-02-29T09:30:00Z", "2025-12-31t23:59:59.9-00:30", "2016-12-31T23:59:60Z", "2017-01-01T08:59:60+09:00"],
        ["2025-03-09", "2025-03-09T09:30Z", "2025-02-29T09:30:00Z", "2025-03-09 09:30:00Z", "2025-03-09T09:30:00"],
    ),
    "duration": (
        ["P1Y", "PT5M", "P1M", "P1Y2M3DT4H5M6S", "P10W", "P0D", "PT90000S"],
        ["", "P", "P1", "PT", "P1DT", "P1W2D", "P1Y3D", "PT1H5S", "PT1.5S", "p1d", "-P1D", "5M"],
    ),
    "ipv4": (
        ["0.0.0.0", "10.0.0.254", "255.249.199.99"],
        ["10.0.0", "10.0.0.0.0", "10.0.0.256", "10.0.0.01", "10.0.0.1/8", "a.b.c.d", "10..0.1"],
    ),
    "ipv6": (
        ["::", "::1", "fe80::", "2001:DB8:0:0:8:800:200c:417a", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "64::8.8.8.8"],
        ["", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::1%lo", "[::1]", "::8.8.8.08"],
    ),
    "hostname": (
        ["localhost", "www.example.org", "a-b--c.d", "3com.com", "192.0.2.1", LONG, "xn--bcher-kva.example"],
        ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", LONG + "a", "bücher.example", "a b"],
    ),
    "idn-hostname": (
        ["bücher.example", "例え。テスト", "straße", "יהושע", "a-b.c", "xn--bcher-kva.example"],
        ["", ".", "ü.", "-ü", "ü-", "ü_a", "ü a", "ü\u00a0a", "a。。b", "ü" * 64],
    ),
    "email": (
        ["ann@example.org", "a.b-c+d@e-f.gh", '"ann lee"@b', '"a\\"b"@c', '""@c', "a@[10.0.0.1]", "!#$%&'*/=?^`{|}~@b",
         "a@[IPv6:::1]"],
        ["a", "@b", "a@", ".a@b", "a.@b", "a..b@c", "a@-b", "a@b.", "a b@c", "a@b@c", '"a"b@c', '"a@b', "a@[::1]",
         "a@[10.0.0.256]", "ä@b", "Ann <a@b>"],
    ),
    "idn-email": (
        ["änn@bücher.example", "二@例.テスト", '"ä b"@c', "a@[10.0.0.1]"],
        ["ä", "ä@", "@ü", "ä..b@c", "ä b@c", "ä＠b"],
    ),
    "uri": (
        ["http://a", "http://u:p@a.b:80/c;d?e=f&g#h", "mailto:a@b.c", "file:///x", "urn:isbn:0451450523", "x:", "x:/",
         "http://[2001:db8::1]:8080/a%20b", "http://[v7.a:b]/", "http://a?", "tel:+1-23", "about:blank#?/"],
        ["", "/x", "a", "1a:b", "a b:c", "http://a b", "http://a/%2", "http://a/%gg", "http://[::1", "http://[1]/",
         "http://a:b/", "http://a/[]", "http://a#b#c", "http://é", "http://a/<b>", "x:/a\\b", "http://a/\n"],
    ),
    "uri-reference": (
        ["", "a", "/", "//a", "../b?c=d", "#top", "?q", "./a:b", "a/b:c", "a@b", "http://[::1]/"],
        ["1:b", "a b", "é", "/%2", "#a#b", "\\a", "//[::1", "{a}"],
    ),
    "iri": (
        ["http://exämple.org/rosé?q=été#ñ", "http://a/\U00010300", "http://a?\ue000", "urn:ä", "http://[::1]/ä"],
        ["", "/ä", "ä", "http://ä b", "http://a/\ue000", "http://a#\ue000", "http://a/\ufdd0", "http://a/\U0001ffff"],
    ),
    "iri-reference": (["", "ä", "/ä", "../rosé#été", "?\ue000", "//ä"], ["ä b", "\ue000", "#ä#", "\\ä", "ä|b"]),
    "uri-template": (
        ["", "/a/{b}", "{+a}{#b}{.c}{/d}{;e}{?f}{&g}", "{a,b.c,d_1}", "{a:30}", "{a*}", "{%41b}", "it's%20", "ä"],
        ["{", "}", "{}", "{a", "{a b}", "{a.}", "{.}", "{a:0}", "{a:10000}", "{a**}", "{a:3*}", "a b", "%4", "<a>"],
    ),
    "uuid": (
        ["123e4567-E89B-12d3-a456-426614174000", "00000000-0000-0000-0000-000000000000"],
        ["", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g", "urn:uuid:0"],
    ),
    "json-pointer": (["", "/", "/a/b/0", "//", "/~0~1", "/a b/é", '/"\\\n'], ["a", "a/b", "/~", "/~2", "/a~", "#/a"]),
    "relative-json-pointer": (
        ["0", "1/a/b", "0#", "12#", "2/~01", "0-1/a", "1+12#", "0/"],
        ["", "/a", "-1", "01", "0##", "0#/a", "1a", "0/~", "0+0", "0+"],
    ),
    "x-edge-identifier": (["a", "_x9", "userId"], ["", "9a", "a-b", "a" * 65]),
    "x-edge-path": (
        ["/", "~/a/b c.txt", "a", "../x/", "C:\\a\\b", "D:\\", "/é"],
        ["", "a//b", "/a\n", "C:\\a|b\\c/\\\\x//"],
    ),
    "x-edge-url": (["https://a.b/c?d=e#f", "http://a:8080", "https://a/%20"], ["ftp://a", "http://", "http:// a"]),
}  # fmt: skip

#: Texts that only `check` refuses, by format.
BEYOND: dict[str, list[str]] = {
    "time": ["23:59:60+01:00", "05:59:60+05:30", "22:59:60-00:00", "00:59:60+23:30"],
    "date-time": ["2016-12-31T23:59:60-05:00"],
    "hostname": [".".join([LONG] * 4), "xn--a", "xn--bcher-kv.example", "a.XN--X", "xn--l-fda"],
    "idn-hostname": ["\u0301a", "a\u0301", "Ü", "☃", "l·a", "aא", "0.א", "ab--cü", "ü" * 62, ".".join([LONG] * 4)],
    "email": ["a" * 65 + "@b", "a@" + ".".join([LONG] * 4) + ".b"],
    "idn-email": ["ä" * 33 + "@b"],
}

EXPRESSIONS: tuple[list[str], list[str]] = (
    [
        "", "a|b|", "^(?:a+|b*?)$", r"[\w\-.]+@\p{Lu}{2,}", r"(?<y>\d{4})-\k<y>", r"(a)\1", "(?=a)(?!b)(?<=c+)(?<!d)e",
        "[]", "[^]", "[a-z0-9_-]", r"\u{1F600}|\u00e9|\x41|\cJ", r"[\ud83d\ude00-\ud83d\ude4f]", "{a}]", r"\/\-\@",
        "(?i:a)b", "(?=a)*", r"[\t-\r]", r"[\b]", "a{3}b{4,}c{5,6}?", "é", r"\0",
    ],
    [
        "(", ")", "(a", "a)", "[a", "*a", "a**", "a{2}{3}", "a{3,2}", "|*", "^*", "(?<=a)*", r"\b+", "(?P<a>b)",
        "(?i)a", "(?#a)", "(?>a)", "[b-a]", r"[\x42-A]", r"\a", r"\A", r"\Z", r"\1", r"\k<a>", r"(?<a>b)\k<c>",
        r"\u12", r"\p", r"\01", "\\", "(?<1>a)", r"[\1]", r"\u{110000}",
    ],
)  # fmt: skip


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_table(kind: str) -> None:
    good, bad = TABLE[kind]
    matcher = TextMatcher(grammar_file(FORMATS[kind]))
    assert [text for text in good if not (matcher.accepts(text) and check(kind, text))] == []
    assert [text for text in bad if matcher.accepts(text) or check(kind, text)] == []


@pytest.mark.parametrize("kind", BEYOND)
def test_beyond_the_grammar(kind: str) -> None:
    matcher = TextMatcher(grammar_file(FORMATS[kind]))
    assert [text for text in BEYOND[kind] if not matcher.accepts(text)] == []
    assert [text for text in BEYOND[kind] if check(kind, text)] == []


def test_expressions() -> None:
    good, bad = EXPRESSIONS
    assert [text for text in good if not check("regex", text)] == []
    assert [text for text in bad if check("regex", text)] == []


def test_files() -> None:
    there = {path.stem for path in FOLDER.glob("*.gbnf")}
    assert there == {*FORMATS.values(), "json", "json-text"}
    assert {kind for kind, file in FORMATS.items() if kind != file} == {OWN + "identifier", OWN + "path", OWN + "url"}
    for file in FORMATS.values():
        assert len((FOLDER / f"{file}.gbnf").read_bytes()) < 1200, file


@pytest.mark.parametrize("spelling", [None, SHORT, DUMPED])
def test_a_name_is_the_same_rule_in_all_files(spelling: Spelling | None) -> None:
    known: dict[str, Node] = {}
    for file in [*FORMATS.values(), "json", "json-text"]:
        for name, node in grammar_file(file, escaped=spelling).rules.items():
            assert known.setdefault(name, node) == node
    assert {"Date-leap", "Ipv6-group", "Hostname-label", "Uri-plain"} < known.keys()


@pytest.mark.parametrize("text", ["09:30:00.{}Z", "2025-03-09T09:30:00.{}Z", "PT{}S"])
def test_a_model_writes_few_digits_and_programs_any_number(text: str) -> None:
    file = {"0": "time", "2": "date-time", "P": "duration"}[text[0]]
    model, program = (TextMatcher(grammar_file(file, escaped=spelling)) for spelling in (SHORT, DUMPED))
    assert [n for n in range(20) if model.accepts(text.format("1" * n))] == [*range(1, 10)]
    assert [n for n in range(20) if program.accepts(text.format("1" * n))] == [*range(1, 20)]


def test_what_grammars_leave_is_put_in_words() -> None:
    assert HELD_BY_CODE.keys() == BEYOND.keys() | {"regex"}
    assert {kind for kind in FORMATS if unheld(kind)} == BEYOND.keys()
    assert unheld("time") == "a leap second at an offset is checked after decoding"
    assert unheld("path") == "'path' is not known, and not checked"


def test_unknown_formats_and_other_types_assert_nothing() -> None:
    assert check("color", "no colour")
    assert check("path", "a//b")
    for schema, value in [({"format": "color"}, "?"), ({"format": "date"}, 5), ({"format": "regex"}, None)]:
        assert Draft202012Validator(schema, format_checker=format_checker()).is_valid(value)


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert not check("json-pointer", "/\ud800")
    assert not check("email", "a\ud800@b")


@pytest.mark.parametrize(
    ("kind", "good", "bad"), [("uri", "a:b", "b"), ("regex", "[a]", "[a"), ("x-edge-path", "/a", "")]
)
def test_format_checker(kind: str, good: str, bad: str) -> None:
    assert format_checker() is format_checker()
    validator = Draft202012Validator({"format": kind}, format_checker=format_checker())
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
    assert set(format_checker().checkers) == FORMATS.keys() | {"regex"}


@settings(deadline=None)  # the first text of a format waits for its grammar
@given(st.integers(1, 9999), st.integers(0, 13), st.integers(0, 32))
def test_dates_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    try:
        valid = bool(date(year, month, day))
    except ValueError:
        valid = False
    assert check("date", f"{year:04}-{month:02}-{day:02}") is valid


@settings(deadline=None)  # the first text of a format waits for its grammar
@given(st.integers(-1439, 1439), st.integers(0, 1439))
def test_leap_seconds_end_a_day_in_utc(offset: int, wrong: int) -> None:
    local = datetime(2016, 12, 31, 23, 59) + timedelta(minutes=offset)
    zone = "+-"[offset < 0] + "{:02}:{:02}".format(*divmod(abs(offset), 60))
    assert check("time", f"{local:%H:%M}:60{zone}")
    assert check("time", f"{wrong // 60:02}:{wrong % 60:02}:60{zone}") is (wrong == local.hour * 60 + local.minute)


@settings(deadline=None)  # the first text of a format waits for its grammar
@given(st.ip_addresses(v=6) | st.lists(st.sampled_from(["::", ":", "1", "ab", "ffff", "0", "1.2.3.4"]), max_size=17))
def test_ipv6_as_the_standard_library_has_it(address: ipaddress.IPv6Address | list[str]) -> None:
    text = "".join(address) if isinstance(address, list) else str(address)
    try:
        valid = bool(ipaddress.IPv6Address(text))
    except ValueError:
        valid = False
    assert check("ipv6", text) is valid
    assert check("uri", f"http://[{text}]/") is valid
    assert check("email", f"a@[IPv6:{text}]") is valid


@settings(deadline=None)  # the first text of a format waits for its grammar
@given(st.text(st.sampled_from("a1-.ü\\()[]{}*+?|^$<>=!:,ksxu\u0660")))
def test_no_text_breaks_a_check(text: str) -> None:
    for kind in ("regex", "hostname", "idn-hostname", "email"):
        assert check(kind, text) in (True, False)
