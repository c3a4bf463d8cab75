"""The tables of the experiment on editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.experiments.editing.cases import KINDS, Case
from benchmarks.experiments.editing.check import Verdict
from benchmarks.reporting.document import aligned


@dataclass(frozen=True)
class Measured:
    """What a model made of some cases at one temperature.

    Attributes:
        model: Its spec.
        name: Of the cases: `"invented"` or `"real"`.
        temperature: Sampling temperature.
        cases: What was asked.
        answers: What came back, None where nothing did.
        verdicts: What the rules say.
        calls: Generations, further attempts included.
        seconds: How long it took.
    """

    model: str
    name: str
    temperature: float
    cases: tuple[Case, ...]
    answers: tuple[str | None, ...]
    verdicts: tuple[Verdict, ...]
    calls: int
    seconds: float

    def share(self, which: str, kind: str | None = None, familiar: bool | None = None) -> float:
        """The mean of an attribute of the verdicts, over all cases or some."""
        values = [
            float(getattr(verdict, which))
            for case, verdict in zip(self.cases, self.verdicts, strict=True)
            if kind in (None, case.kind) and familiar in (None, case.familiar)
        ]
        return float(np.mean(values)) if values else float("nan")

    @property
    def kept(self) -> float:
        """Share of the other words that are kept, over answers that are not copies."""
        values = [verdict.kept for verdict in self.verdicts if not verdict.copied]
        return float(np.mean(values)) if values else float("nan")


def summary(one: Measured) -> dict[str, Any]:
    """The numbers of a row."""
    return {
        "model": one.model,
        "cases": one.name,
        "temperature": one.temperature,
        "edits": len(one.cases),
        "followed": one.share("followed"),
        "followed, familiar wording": one.share("followed", familiar=True),
        "followed, other wording": one.share("followed", familiar=False),
        "copied": one.share("copied"),
        "kept": one.kept,
        "rambled": one.share("rambled"),
        "length": one.share("length"),
        "calls": one.calls,
        "seconds": round(one.seconds, 1),
        **{f"followed, {kind}": one.share("followed", kind) for kind in KINDS},
    }


def page(found: Sequence[Measured]) -> str:
    """Two tables: all edits, and edits followed by kind."""
    head = ["model", "texts", "temperature", "edits", "followed", "copied", "rest kept", "rambled", "length", "calls"]
    body = [
        [
            one.model, one.name, f"{one.temperature:g}", str(len(one.cases)), percent(one.share("followed")),
            percent(one.share("copied")), percent(one.kept), percent(one.share("rambled")),
            f"{one.share('length'):.2f}", f"{one.calls / len(one.cases):.2f}",
        ]
        for one in found
    ]  # fmt: skip
    kinds = [
        [
            one.model, one.name, f"{one.temperature:g}", *(percent(one.share("followed", kind)) for kind in KINDS),
            percent(one.share("followed", familiar=True)), percent(one.share("followed", familiar=False)),
        ]
        for one in found
    ]  # fmt: skip
    return "\n\n".join(
        [
            "Edits by rule. Followed: what was asked for is there, what it replaces is gone, and at least half of the "
            "other words are kept. Rest kept: words that the edit did not concern, over answers that are not copies. "
            "Calls: generations for each edit.",
            aligned(head, body),
            "Edits followed by kind, and by wording (as in an editor's training, or not):",
            aligned(["model", "texts", "temperature", *KINDS, "familiar", "other"], kinds),
            "",
        ]
    )


def percent(share: float) -> str:
    """A share as a percentage."""
    return "n/a" if np.isnan(share) else f"{100 * share:.0f} %"
