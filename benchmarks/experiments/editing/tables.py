"""The tables of the experiment on editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.editing.cases import KINDS, Case
from benchmarks.experiments.editing.check import Verdict
from benchmarks.experiments.editing.measure import Measured
from benchmarks.reporting.document import aligned
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances


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


def write_page(found: Sequence[Measured], out: Path) -> None:
    """Write the page, the answers and the numbers of what has been measured so far."""
    (out / "REPORT.md").write_text(page(found))
    rows = [
        {"model": one.model, "cases": one.name, "temperature": one.temperature, **case_row(case, answer, verdict)}
        for one in found
        for case, answer, verdict in zip(one.cases, one.answers, one.verdicts, strict=True)
        if one.name != "real"  # no overview, nor a text made from one, is written to a file
    ]
    write_json({"answers": rows}, out / "answers.json")
    numbers = [summary(one) for one in found]
    write_json({"experiment": "editing", "measured": numbers} | circumstances(), out / "run.json")


def case_row(case: Case, answer: str | None, verdict: Verdict) -> dict[str, Any]:
    """One answer and its verdict."""
    return {"kind": case.kind, "text": case.text, "edit": case.edit, "answer": answer, **asdict(verdict)}
