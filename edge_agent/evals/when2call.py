"""When2Call: should this request be answered with a call, with a question, or not at all?

Data: `gate/when2call.jsonl.gz`, the test split of NVIDIA's When2Call (arXiv 2504.18851, Apache-2.0, derived from BFCL
live): `{uuid, question, correct_answer, answers, target_tool, tools}`. The benchmark lets a model choose among four
texts; here the decision is judged: act is `tool_call`, ask is `request_for_info`, decline is `cannot_answer`, and
escalating, which passes the request on, is none of these. Exact: the class alone. `name` and `arguments` of the
summary say, for requests that need a call, whether it was the tool and whether the arguments equal the one call that
the data has as an example, which is only one of those that would be right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bfcl import json_schema
from .maskbench import json_lines
from .suite import Case, Verdict

if TYPE_CHECKING:
    from ..predict import Prediction

FILE = "when2call.jsonl.gz"
#: class of the data -> the decision that it means
DECISIONS = {"tool_call": "act", "request_for_info": "ask", "cannot_answer": "decline"}


class When2Call:
    """The suite; a category per class. A case's gold is the call that the data gives, where it needs one."""

    name = "when2call"

    def load(self, data: Path) -> list[Case]:
        """Raises InputError. data: the folder `gate`, or the one above."""
        folder = data / "gate" if (data / "gate").is_dir() else data
        return list(json_lines(folder / FILE, "row of When2Call", _case))

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        meant = DECISIONS[case.category]
        passed = prediction.decision == meant
        reason = "" if passed else f"{prediction.decision} instead of {meant}"
        if case.category != "tool_call":
            return Verdict(passed, reason)
        named = [call.name for call in prediction.calls] == [case.gold["name"]]
        same = named and dict(prediction.calls[0].arguments) == case.gold["arguments"]
        return Verdict(passed, reason, named, same if named else None)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        """confusion: class -> decision -> cases. macro_f1: mean F1 of the three classes. called_without_tool: share
        of requests that no tool fits which were answered with a call; the benchmark's hallucination rate counts those
        among them that show no tools at all."""
        confusion = {name: Counter(dict.fromkeys((*DECISIONS.values(), "escalate"), 0)) for name in DECISIONS}
        for case, prediction in zip(cases, predictions, strict=True):
            confusion[case.category][prediction.decision] += 1
        idle = confusion["cannot_answer"]
        scores = [f1 for name in DECISIONS if (f1 := _f1(confusion, name)) is not None]
        return {
            "confusion": {name: dict(counts) for name, counts in confusion.items()},
            "macro_f1": sum(scores) / len(scores) if scores else None,
            "called_without_tool": idle["act"] / idle.total() if idle.total() else None,
        }


def _case(row: Any) -> Case:
    category, id = row["correct_answer"], str(row["uuid"])
    if category not in DECISIONS:
        raise ValueError(f"correct_answer {category!r} is none of {', '.join(DECISIONS)}")
    tools = [json.loads(tool) for tool in row["tools"]]
    shown = [{**tool, "parameters": json_schema(tool["parameters"])} for tool in tools]
    gold = json.loads(row["answers"]["tool_call"]) if category == "tool_call" else None
    if gold is not None and not {"name", "arguments"} <= {*gold}:
        raise ValueError("answers.tool_call is no call")
    request = {"id": id, "messages": [{"role": "user", "content": str(row["question"])}], "tools": shown}
    return Case(id, category, request, gold)


def _f1(confusion: Mapping[str, Mapping[str, int]], name: str) -> float | None:
    """F1 of a class; None where it neither occurs nor was answered."""
    right = confusion[name][DECISIONS[name]]
    meant = sum(confusion[name].values())
    answered = sum(counts[DECISIONS[name]] for counts in confusion.values())
    return 2 * right / (meant + answered) if meant + answered else None
