"""The tables of the experiment on editing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.editing.agreement import mean
from benchmarks.experiments.editing.cases import KINDS, Case
from benchmarks.experiments.editing.check import Verdict
from benchmarks.experiments.editing.judges import OVERLAP, Judged, Moved, by_model, by_overlap, movements
from benchmarks.experiments.editing.measure import Measured
from benchmarks.reporting.document import aligned
from benchmarks.reporting.tables import percent
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from benchmarks.stats import Interval
from eagle_gym.language import LanguageModel

FOLLOWED = (
    "Edits by rule. Followed: what was asked for is there, what it replaces is gone, and at least half of the other "
    "words are kept. Rest kept: words that the edit did not concern, over answers that are not copies. Moved: cosine "
    "distance between the words (tf-idf) of text and answer. Calls: generations for each edit. A judge's column is the "
    "share of answers of which it says that the edit is done. Intervals of 95 % draw texts."
)
DIFFERENCES = (
    "Edits followed, less those that the first model follows of the same edits, in points of 100; intervals of 95 % "
    "draw texts:"
)
JUDGES = (
    "Judges, compared with the rule. *Overlap* calls an edit done if the answer is the text, edited: other words, at "
    "least half of them kept, no rambling; it does not look at what was asked. Read: answers of which the judge said "
    "yes or no. Kappa is 0 for a judge who says yes as often, but at random. Intervals of 95 % draw texts."
)
MOVED = (
    "Movement, compared with the rule: cosine distance between text and answer where the edit was followed and where "
    "it was not, and the probability that a followed edit has moved less than another (0.5 is chance)."
)


def summary(one: Measured) -> dict[str, Any]:
    """The numbers of a row."""
    return {
        "model": one.model,
        "cases": one.name,
        "temperature": one.temperature,
        "edits": len(one.cases),
        "followed": one.share("followed"),
        "interval": [*asdict(followed(one)).values()][1:],
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


class Findings:
    """What has been found so far; it is written whenever there is more, so that a slow run can be read before its end.

    Args:
        out: Folder of the page, the answers and the numbers.
        sentences: Whether movement is also measured by MiniLM.
    """

    def __init__(self, out: Path, *, sentences: bool = True) -> None:
        self._out, self._sentences = out, sentences
        self._measured: list[Measured] = []
        self._judged: list[Judged] = []
        self._moved: list[Moved] = []
        out.mkdir(parents=True, exist_ok=True)

    def add(self, one: Measured) -> None:
        """Add what a model made of some edits, and what can be said of it without a model."""
        self._measured.append(one)
        self._judged.append(by_overlap(one))
        self._moved += movements(one, sentences=self._sentences)
        self._write()

    def judge(self, judge: LanguageModel, name: str) -> None:
        """Let a language model judge all answers."""
        for one in self._measured:
            self._judged.append(by_model(one, judge, name))
            self._write()

    def page(self) -> str:
        """All edits; edits followed by kind; and what judges and movements say, next to the rule."""
        measured = sorted(self._measured, key=self._place)
        judged = sorted(self._judged, key=lambda one: self._place(one.of))
        moved = sorted(self._moved, key=lambda one: self._place(one.of))
        parts = [
            "# Editing",
            FOLLOWED,
            _all_edits(measured, judged, moved),
            "Edits followed by kind, and by wording (as in an editor's training, or not; of open edits: whether the "
            "word that is asked for occurs there):",
            _by_kind(measured),
            *_differences(measured),
            JUDGES,
            _judges(judged),
            *[_unread(one) for one in judged if one.problem],
            MOVED,
            _movements(moved),
        ]
        return "\n\n".join([*parts, ""])

    def _place(self, one: Measured) -> tuple[int, int, float]:
        """Where a row stands: by model and texts, in the order in which they were measured first, and temperature."""
        models, names = ([*dict.fromkeys(getattr(each, what) for each in self._measured)] for what in ("model", "name"))
        return models.index(one.model), names.index(one.name), one.temperature

    def _write(self) -> None:
        (self._out / "REPORT.md").write_text(self.page(), encoding="utf-8")
        rows = [
            {"model": one.model, "cases": one.name, "temperature": one.temperature, **case_row(case, answer, verdict)}
            for one in self._measured
            for case, answer, verdict in zip(one.cases, one.answers, one.verdicts, strict=True)
            if one.name != "real"  # no overview, nor a text made from one, is written to a file
        ]
        write_json({"answers": rows}, self._out / "answers.json", compact=True)
        numbers = {
            "measured": [summary(one) for one in self._measured],
            "judged": [
                {**_of(one.of), "judge": one.judge, "said": [*one.said], "problem": one.problem}
                | _plain(one.compared())
                for one in self._judged
            ],
            "moved": [
                {**_of(one.of), "encoder": one.encoder} | _plain({"followed moved less": one.compared()})
                for one in self._moved
            ],
        }
        write_json({"experiment": "editing", **numbers} | circumstances(), self._out / "run.json", compact=True)


def _all_edits(found: Sequence[Measured], judged: Sequence[Judged], moved: Sequence[Moved]) -> str:
    judges = [judge for judge in dict.fromkeys(one.judge for one in judged) if judge != OVERLAP]
    head = [
        "model", "texts", "temperature", "edits", "followed", "copied", "rest kept", "rambled", "length", "calls",
        "moved", *(f"done, says {judge}" for judge in judges),
    ]  # fmt: skip
    body = []
    for one in found:
        distances = next(each.distances for each in moved if each.of is one)
        yes = {each.judge: each.yes for each in judged if each.of is one}
        body.append([
            one.model, one.name, f"{one.temperature:g}", str(len(one.cases)), in_percent(followed(one)),
            percent(one.share("copied")), percent(one.kept), percent(one.share("rambled")),
            f"{one.share('length'):.2f}", f"{one.calls / len(one.cases):.2f}",
            f"{np.mean(distances):.2f}" if distances else "n/a",
            *(percent(yes.get(judge, float("nan"))) for judge in judges),
        ])  # fmt: skip
    return aligned(head, body)


def _by_kind(found: Sequence[Measured]) -> str:
    body = [
        [
            one.model, one.name, f"{one.temperature:g}", *(percent(one.share("followed", kind)) for kind in KINDS),
            percent(one.share("followed", familiar=True)), percent(one.share("followed", familiar=False)),
        ]
        for one in found
    ]  # fmt: skip
    return aligned(["model", "texts", "temperature", *KINDS, "familiar", "other"], body)


def _differences(found: Sequence[Measured]) -> list[str]:
    """What each model follows less or more often than the first, of the same edits; nothing of a single model."""
    firsts = {(one.name, one.temperature): one for one in found if one.model == found[0].model}
    body = []
    for one in found:
        first = firsts.get((one.name, one.temperature))
        if first is not None and one.model != first.model and one.cases == first.cases:
            gap = in_percent(followed(one, first)).replace(" %", "")
            body.append([one.model, one.name, f"{one.temperature:g}", gap])
    head = ["model", "texts", "temperature", f"less {found[0].model}" if found else ""]
    return [DIFFERENCES, aligned(head, body)] if body else []


def followed(one: Measured, less: Measured | None = None) -> Interval:
    """Share of the edits that are followed, or its difference from another model's share of the same edits."""
    values = np.array([float(verdict.followed) for verdict in one.verdicts])
    if less is not None:
        values = values - np.array([float(verdict.followed) for verdict in less.verdicts])
    return mean(values.tolist(), [case.text for case in one.cases])


def in_percent(found: Interval) -> str:
    """A share with its interval, such as `90 % [85, 94]`."""
    return f"{100 * found.estimate:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _judges(judged: Sequence[Judged]) -> str:
    head = ["model", "texts", "temperature", "judge", "read", "says done", "agreement", "kappa"]
    body = []
    for one in judged:
        compared = one.compared()
        read = len(one.said) - one.said.count(None)
        body.append([
            one.of.model, one.of.name, f"{one.of.temperature:g}", one.judge,
            f"{read} of {len(one.said)}" if read else "n/a", percent(one.yes), spanned(compared["agreement"]),
            spanned(compared["kappa"]),
        ])  # fmt: skip
    return aligned(head, body)


def _unread(one: Judged) -> str:
    return f"Not read by {one.judge} ({one.of.model}, {one.of.name}), the first: {one.problem}"


def _movements(moved: Sequence[Moved]) -> str:
    head = ["model", "texts", "temperature", "encoder", "followed", "not followed", "followed moved less"]
    body = [
        [
            one.of.model, one.of.name, f"{one.of.temperature:g}", one.encoder,
            *(f"{one.mean(followed=followed):.3f}".replace("nan", "n/a") for followed in (True, False)),
            spanned(one.compared()),
        ]
        for one in moved
    ]  # fmt: skip
    return aligned(head, body)


def spanned(found: Interval | None) -> str:
    """An estimate with its interval."""
    return "n/a" if found is None or np.isnan(found.estimate) else str(found)


def _of(one: Measured) -> dict[str, Any]:
    return {"model": one.model, "cases": one.name, "temperature": one.temperature}


def _plain(compared: Mapping[str, Interval | None]) -> dict[str, Any]:
    return {name: None if found is None else asdict(found) for name, found in compared.items()}


def case_row(case: Case, answer: str | None, verdict: Verdict) -> dict[str, Any]:
    """One answer and its verdict."""
    return {"kind": case.kind, "text": case.text, "edit": case.edit, "answer": answer, **asdict(verdict)}
