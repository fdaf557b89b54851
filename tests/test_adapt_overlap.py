from __future__ import annotations

import pytest

from edge_agent.adapt.overlap import copies

TRAINED = [
    ("a", "Please put the blue kettle on the stove for Martha"),
    ("b", "one two three four five six seven eight nine ten eleven, and then much else of no interest to anybody here"),
    ("c", "turn it off"),
]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("please put the BLUE kettle on the stove, for Martha!", "the same words"),
        ("so: two three four five six seven eight nine ten eleven", "ten words in a row"),
        ("put the blue kettle on the stove for Martha", "nearly the same words"),
        ("please put the red kettle on the hob for Anna", None),
        ("two three four five six seven eight nine ten twelve thirteen", None),
        ("turn it off", None),
        ("", None),
    ],
)
def test_near_copies_are_found(text: str, why: str | None) -> None:
    assert [copy.why for copy in copies(TRAINED, [("suite", "case", text)])] == ([why] if why else [])
