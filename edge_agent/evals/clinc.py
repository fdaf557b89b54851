"""CLINC150: does the gate know when no tool fits?

Data: `gate/clinc.jsonl.gz`, `{id, text, intent, domain}`, of CLINC150 (Larson et al. 2019, CC BY 3.0), its test split:
sentences of 150 intents, and others of none of them (`oos`). Each intent is a tool without parameters, described by
its name and domain alone. A request shows a few: its own, unless there is none, and others drawn by its id, so that
the same request shows the same tools in every run. Exact: one call, of the intent; or none for `oos`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .maskbench import json_lines
from .statistics import auroc
from .suite import Case, Verdict

if TYPE_CHECKING:
    from ..predict import Prediction

FILE = "clinc.jsonl.gz"
OUT_OF_SCOPE = "oos"


class Clinc:
    """The suite, with the categories `in_scope` and `oos`. tools: so many intents are shown with each request.

    Runs that show different numbers are different suites. A case's gold is the intent; None for out of scope.
    """

    def __init__(self, tools: int = 10) -> None:
        self.name = f"clinc-{tools}"
        self.tools = tools

    def load(self, data: Path) -> list[Case]:
        """Raises InputError. data: the folder `gate`, or the one above."""
        path = (data / "gate" if (data / "gate").is_dir() else data) / FILE
        rows = list(json_lines(path, "row of CLINC150", _row))
        domains = {intent: domain for _, _, intent, domain in rows if intent != OUT_OF_SCOPE}
        if len(domains) < self.tools:
            raise InputError(f"{path}: has {len(domains)} intents; {self.tools} are to be shown")
        known = {intent: _tool(intent, domain) for intent, domain in sorted(domains.items())}
        return [self._case(id, text, intent, known) for id, text, intent, _ in rows]

    def _case(self, id: str, text: str, intent: str, known: Mapping[str, Any]) -> Case:
        right = [] if intent == OUT_OF_SCOPE else [intent]
        others = _shuffled((name for name in known if name != intent), f"drawn for {id}")
        shown = _shuffled(right + others[: self.tools - len(right)], f"shown to {id}")
        row = {
            "id": id,
            "messages": [{"role": "user", "content": text}],
            "tools": [known[name] for name in shown],
        }
        return Case(id, "in_scope" if right else OUT_OF_SCOPE, row, intent if right else None)

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        named = [call.name for call in prediction.calls]
        if case.gold is None:
            return Verdict(not named, f"{', '.join(named)} where nothing fits" if named else "")
        passed = named == [case.gold]
        return Verdict(passed, "" if passed else f"{', '.join(named) or 'no call'} instead of {case.gold}", passed)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        """Out of scope told from in scope by the probability of calling, and by confidence (1 is perfect,
        0.5 is chance); `aurc`: see there, of answers by their confidence; `aurc_best`: were wrong ones all last."""
        pairs = list(zip(cases, predictions, strict=True))
        inside = [prediction for case, prediction in pairs if case.gold is not None]
        outside = [prediction for case, prediction in pairs if case.gold is None]
        wrong = [not self.judge(case, prediction).passed for case, prediction in pairs]
        return {
            "tools": self.tools,
            "calling_auroc": auroc([each.calling for each in inside], [each.calling for each in outside]),
            "confidence_auroc": auroc([each.confidence for each in inside], [each.confidence for each in outside]),
            "aurc": aurc([prediction.confidence for prediction in predictions], wrong),
            "aurc_best": aurc([float(not each) for each in wrong], wrong),
        }


def aurc(scores: Sequence[float], wrong: Sequence[bool]) -> float | None:
    """Area under the risk-coverage curve: the mean, over every number of answers kept, of the share of wrong ones
    among these, where those that score highest are kept (Geifman et al. 2019). 0 is best; None for no answers.

    Answers that score the same are kept together, each counting as their mean."""
    kept = errors = area = 0.0
    groups: dict[float, list[bool]] = {}
    for score, each in zip(scores, wrong, strict=True):
        groups.setdefault(score, []).append(each)
    for score in sorted(groups, reverse=True):
        risk = sum(groups[score]) / len(groups[score])
        for _ in groups[score]:
            kept, errors = kept + 1, errors + risk
            area += errors / kept
    return area / kept if kept else None


def _shuffled(names: Iterable[str], seed: str) -> list[str]:
    """In an order that depends on the seed alone: `random` keeps its own only within a version of Python."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}: {name}".encode()).digest())


def _row(row: Any) -> tuple[str, str, str, str]:
    return str(row["id"]), str(row["text"]), str(row["intent"]), str(row["domain"])


def _tool(intent: str, domain: str) -> dict[str, Any]:
    about = f"{intent.replace('_', ' ')} ({domain.replace('_', ' ')})".capitalize()
    return {"name": intent, "description": f"{about}.", "parameters": {"type": "object", "properties": {}}}
