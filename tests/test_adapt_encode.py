from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from edge_agent.adapt.compose import Branch, Composer, Pack, Recipe
from edge_agent.adapt.encode import batch, batches, encode, layout
from edge_agent.adapt.rows import Row
from edge_agent.dialects import get
from edge_agent.dialects.base import Call, Message, Reply, ToolSpec
from edge_agent.engine.base import Engine

DIALECT = get("smollm2")


def tool(name: str, about: str, *parameters: str) -> ToolSpec:
    properties = {each: {"type": "string"} for each in parameters}
    return ToolSpec(name, about, {"type": "object", "properties": properties, "required": list(parameters)})


TOOLS = {
    each.name: each
    for each in (
        tool("brew_tea", "Brews a pot.", "leaf"),
        tool("walk_dog", "Goes round the block.", "dog"),
        tool("mend_bike", "Repairs wheels.", "part"),
    )
}


def row(text: str, *calls: tuple[str, str, str], near: Sequence[str] = (), asks: Sequence[str] = ()) -> Row:
    made = tuple(Call(name, {key: value}) for name, key, value in calls)
    return Row("mine", (Message("user", text),), made, tuple(near), tuple(asks), TOOLS)


ROWS = [
    row("oolong please", ("brew_tea", "leaf", "oolong"), near=["walk_dog"]),
    row("some sencha", ("brew_tea", "leaf", "sencha"), near=["mend_bike"]),
    row("out with Rex", ("walk_dog", "dog", "Rex"), near=["mend_bike", "brew_tea"]),
    row("a cup of something", near=["brew_tea"], asks=["leaf"]),
    row("sing to me", near=["walk_dog", "brew_tea"]),
]
PLAIN = Recipe(without_tool=0, joined=0, restyled=0, opaque=0, undocumented=0, padded=0)


def characters(text: str) -> list[int]:
    return [ord(each) % 1000 for each in text]


def answers(packs: Sequence[Pack]) -> list[tuple[str, str]]:
    return sorted((b.messages[-1].content, DIALECT.answer(b.reply)) for pack in packs for b in pack.branches)


@pytest.mark.parametrize("seed", range(5))
def test_every_row_is_a_branch_once_with_its_right_answer(seed: int) -> None:
    assert answers(Composer(ROWS, PLAIN).packs(seed)) == sorted(
        (each.text, DIALECT.answer(Reply(each.calls, each.asks))) for each in ROWS
    )


@pytest.mark.parametrize("seed", range(20))
def test_what_is_shown_holds_the_right_tools_and_no_tool_that_may_be_right_too(seed: int) -> None:
    for pack in Composer(ROWS, Recipe(restyled=0, opaque=0)).packs(seed):
        shown = {each.name for each in pack.tools}
        assert len(shown) == len(pack.tools) > 0
        for branch in pack.branches:
            assert {call.name for call in branch.reply.calls} <= shown
            if not branch.reply.calls and not branch.reply.asks:
                right = {call.name for each in ROWS if each.text == branch.messages[-1].content for call in each.calls}
                assert not right & shown


def test_a_pass_is_the_same_for_the_same_seed() -> None:
    assert Composer(ROWS).packs(3) == Composer(ROWS).packs(3)


def test_renamed_tools_are_renamed_everywhere() -> None:
    recipe = Recipe(without_tool=0, joined=0, restyled=0, opaque=1, undocumented=0, padded=0)
    for pack in Composer(ROWS, recipe).packs(1):
        shown = {each.name for each in pack.tools}
        assert not shown & TOOLS.keys()
        assert {call.name for branch in pack.branches for call in branch.reply.calls} <= shown


def test_a_branch_is_the_prompt_and_answer_of_the_runtime() -> None:
    pack = Pack(
        tuple(TOOLS.values()),
        (
            Branch((Message("user", "oolong"),), Reply((Call("brew_tea", {"leaf": "oolong"}),))),
            Branch((Message("user", "sing"),), Reply()),
        ),
    )
    made = encode(pack, DIALECT, characters)
    assert made
    shared = made.head + sum(made.blocks)
    at = shared
    for (asked, said), branch in zip(made.branches, pack.branches, strict=True):
        alone = [*made.tokens[:shared], *made.tokens[at : at + asked + said]]
        text = DIALECT.render(branch.messages, pack.tools).text + DIALECT.answer(branch.reply) + "<|im_end|>"
        assert alone == characters(text)
        at += asked + said


@pytest.mark.parametrize("blocks", [False, True])
def test_who_sees_whom(blocks: bool) -> None:
    pack = Pack(
        tuple(TOOLS.values()),
        tuple(Branch((Message("user", text),), Reply()) for text in ("one", "another")),
    )
    made = encode(pack, DIALECT, characters)
    assert made
    positions, segments = layout(made, blocks=blocks)
    (visible,) = batch([made], blocks=blocks).visible
    longest = max(made.blocks) if blocks else sum(made.blocks)
    for number, (asked, _) in enumerate(made.branches, 1):
        mine = np.flatnonzero(segments == number)
        assert positions[mine[0]] == made.head + longest
        first = mine[asked]
        assert visible[first].tolist() == [s <= 0 or (s == number and i <= first) for i, s in enumerate(segments)]
    second = made.head + made.blocks[0]
    assert visible[second, second - 1] != blocks
    assert positions[second] == (made.head if blocks else second)
    assert visible[second, : made.head].all()
    assert not np.triu(visible, 1).any()


def test_targets_are_the_answers() -> None:
    pack = Pack((TOOLS["walk_dog"],), (Branch((Message("user", "sing"),), Reply()),))
    made = encode(pack, DIALECT, characters)
    assert made
    found = batch([made, made], blocks=False, shape=(3, 1024))
    assert found.target.tolist() == characters("none<|im_end|>") * 2
    assert found.tokens.flatten()[found.source + 1].tolist() == found.target.tolist()
    assert found.weight[0] > found.weight[1]


def test_batches_hold_every_pack_once_in_few_shapes() -> None:
    rng = random.Random(4)
    made = []
    for _ in range(200):
        branch = Branch((Message("user", "x" * rng.randint(1, 500)),), Reply())
        made.append(encode(Pack((TOOLS["walk_dog"],), (branch,)), DIALECT, characters))
    groups = list(batches([each for each in made if each], 2048))
    assert sorted(len(pack) for group, _ in groups for pack in group) == sorted(len(pack) for pack in made if pack)
    for group, (count, longest) in groups:
        assert len(group) <= count
        assert max(map(len, group)) <= longest
        assert longest % 128 == 0


def test_what_does_not_fit_is_left_out() -> None:
    long, short = (Branch((Message("user", "x" * size),), Reply()) for size in (5000, 5))
    assert encode(Pack((TOOLS["walk_dog"],), (long,)), DIALECT, characters) is None
    made = encode(Pack((TOOLS["walk_dog"],), (long, short)), DIALECT, characters)
    assert made
    assert len(made.branches) == 1


@pytest.mark.model
def test_pieces_are_tokenised_as_the_whole_prompt_is(engine: Engine) -> None:
    for pack in Composer(ROWS).packs(2):
        made = encode(pack, DIALECT, engine.tokenize)
        assert made
        asked, said = made.branches[0]
        alone = made.tokens[: made.head + sum(made.blocks) + asked + said].tolist()
        branch = pack.branches[0]
        answer = DIALECT.answer(branch.reply) + "<|im_end|>"
        assert alone == engine.tokenize(DIALECT.render(branch.messages, pack.tools).text + answer)
