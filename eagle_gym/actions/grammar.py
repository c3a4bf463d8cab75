"""Measure how the embedded model rewrites, and write the shares with which the grammar does the same.

The embedded model rewrites the texts of Plots and random descriptions, from sparse to rich, and then its own results.
The edits are those of the lexicon. The surrogate of the grammar has to be fitted again afterwards:
`python -m eagle_gym.actions --model grammar`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Final

import numpy as np

from eagle_gym import plot_english
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.surrogate.fit import Plan, Trials, collect
from eagle_gym.catalog import load_plots
from eagle_gym.language.embedded.examples import description
from eagle_gym.language.grammar.shares import CHANGES, FAILURES, PATH, Shares, save_shares
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import LanguageModel
from eagle_gym.plot_english import Attributes, Change, parse_edit, read
from eagle_gym.plot_english.edits import directions, fulfilled, inventions, outcomes, slots_of, unasked
from eagle_gym.plot_english.grammar import ORDERS
from eagle_gym.plot_english.worded import Wording, wording_of
from eagle_gym.progress import progress_bar

PRIOR: Final = 20  # observations by which a direction's share is shrunk towards the mean of all
DIGITS: Final = 5


@dataclass(frozen=True)
class Rewrite:
    """One rewrite, read.

    Attributes:
        before: What the text said.
        changes: What the edit asked for.
        after: What the answer says.
        source: How the text was worded.
        result: How the answer is worded.
    """

    before: Attributes
    changes: tuple[Change, ...]
    after: Attributes
    source: Wording
    result: Wording


def measure(model: LanguageModel, *, cases: int, seed: int) -> Shares:
    """The shares of a model.

    Args:
        model: A model of plot English.
        cases: Rewrites; half are by edits of any kind, three eighths by vague ones, an eighth by macro edits.
        seed: Of texts, edits and answers.
    """
    texts = start_texts(cases // 16, seed)
    macro = LexiconCandidates(personalised=0.3, macro=1.0)
    plans = (
        Plan(cases // 2, held_out=None, seed=seed),
        Plan(cases * 3 // 8, rounds=3, vague=True, seed=seed + 1),
        Plan(cases // 8, held_out=None, seed=seed + 2),
    )
    with progress_bar(total=sum(plan.trials for plan in plans), show=True, desc="rewrites", unit="text") as bar:
        trials = [
            collect(model, texts, plan, bar=bar, candidates=macro if plan is plans[2] else None) for plan in plans
        ]
    source = {"model": model.name, "fingerprint": model.fingerprint, "temperature": 1.0, "seed": seed}
    return shares_of(*(list(rewrites(each)) for each in trials), source=source | {"rewrites": cases})


def start_texts(count: int, seed: int) -> list[str]:
    """So many texts of Plots, and as many random descriptions."""
    rng = np.random.default_rng([seed, 19])
    catalog = load_plots().texts
    own = [catalog[int(row)] for row in rng.integers(len(catalog), size=count)]
    return [*own, *(plot_english.render(description(rng), rng) for _ in own)]


def rewrites(trials: Trials) -> Iterator[Rewrite]:
    """The trials whose answers are plot English, as those of an environment are."""
    for text, edit, (answer, *_) in zip(trials.texts, trials.edits, trials.results, strict=True):
        if plot_english.parses(answer):
            yield Rewrite(read(text), parse_edit(edit), read(answer), wording_of(text), wording_of(answer))


def shares_of(
    general: Sequence[Rewrite], vague: Sequence[Rewrite], macro: Sequence[Rewrite], *, source: dict[str, object]
) -> Shares:
    """The shares in some rewrites: by edits of any kind, by vague ones, and by those that ask for several changes."""
    everything = [*general, *vague, *macro]
    made = [item for rewrite in everything for item in _changes(rewrite)]
    kinds = Counter(kind for kind, _ in made)
    failed = Counter(made)
    failures = {
        kind: {how: _share(failed[kind, how], kinds[kind]) for how in FAILURES if failed[kind, how]}
        for kind in CHANGES
    }
    found: Counter[str] = reduce(add, map(_side_effects, general), Counter())
    return Shares(
        failures=failures,
        **_choices([*general, *vague]),
        lost=_share(found["lost"], found["any"]),
        swapped=_share(found["swapped"], found["any"]),
        invented=_share(found["invented"], found["any"]),
        reworded=_reworded(general),
        source=source,
    )


def _share(count: float, total: float) -> float:
    return round(count / max(total, 1), DIGITS)


def _changes(rewrite: Rewrite) -> Iterator[tuple[str, str]]:
    """The kind of each change that was possible, and how it failed; "" if it did not."""
    for change in rewrite.changes:
        others = [slots_of(other) for other in rewrite.changes if other is not change]
        possible = outcomes(rewrite.before, change)
        if not possible or any(slots_of(change) & slots for slots in others):
            continue
        kind: str = "macro" if others else change.operation
        if kind == "vague" and len(possible) < len(directions()[change.value].pairs):
            kind = "held"
        yield kind, failure(rewrite.before, change, rewrite.after)


def failure(before: Attributes, change: Change, after: Attributes) -> str:
    """How a possible change failed, one of `FAILURES`; "" if it did not."""
    if fulfilled(before, [change], after):
        return ""
    if change.operation in ("remove", "replace"):
        there, now = set(before.values(change.slot)), set(after.values(change.slot))
        other_gone = bool(there - now - {change.old or change.value})
        if change.operation == "remove" or change.value in now:
            return "mixed" if other_gone else "missed" if change.operation == "remove" else "kept"
    gained = {slot for slot, _ in set(after.pairs()) - set(before.pairs())}
    return "other" if gained & slots_of(change) else "missed"


def _choices(rewrites: Sequence[Rewrite]) -> dict[str, Any]:
    """How vague changes choose among the possible outcomes."""
    seen: Counter[object] = Counter()
    for rewrite in rewrites:
        if len(rewrite.changes) > 1 or rewrite.changes[0].operation != "vague":
            continue
        name = rewrite.changes[0].value
        possible = [pair for (pair,) in outcomes(rewrite.before, rewrite.changes[0])]
        chosen = [rank for rank, pair in enumerate(possible) if pair in set(rewrite.after.pairs())]
        if not chosen or len(possible) == 1:
            continue
        seen.update([(name, "any"), "any"] + ["twice"] * (len(chosen) > 1))
        if chosen[0] == 0:
            seen.update([(name, "first"), "first"])
        elif {pair[0] == possible[0][0] for pair in possible[1:]} == {True, False}:
            seen.update(["open"] + ["same slot"] * (possible[chosen[0]][0] == possible[0][0]))
    mean = seen["first"] / max(seen["any"], 1)
    return {
        "first": {
            name: _share(seen[name, "first"] + PRIOR * mean, seen[name, "any"] + PRIOR) for name in directions()
        },
        "same_slot": _share(seen["same slot"], seen["open"]),
        "twice": _share(seen["twice"], seen["any"]),
    }


def _side_effects(rewrite: Rewrite) -> Counter[str]:
    """What nobody asked for, in a rewrite that did what was asked; nothing in any other."""
    if any(how for _, how in _changes(rewrite)):
        return Counter()
    lost = unasked(rewrite.before, rewrite.changes, rewrite.after)
    new = inventions(rewrite.before, rewrite.changes, rewrite.after)
    swapped = {slot for slot, _ in lost} & {slot for slot, _ in new}
    invented = any(not rewrite.before.values(slot) for slot, _ in new)
    return Counter({"any": 1, "lost": bool(lost) and not swapped, "swapped": bool(swapped), "invented": invented})


def _reworded(rewrites: Sequence[Rewrite]) -> float:
    """The share of rewrites that draw a new wording, a few of which draw the old one again."""
    changed = expected = 0.0
    for rewrite in rewrites:
        kinds = {form.kind: form for form in rewrite.result.forms}
        kept = [form for form in rewrite.source.forms if form.kind in kinds and kinds[form.kind].size == form.size]
        order = [form.kind for form in rewrite.source.forms if form.kind in kinds]
        now = [form.kind for form in rewrite.result.forms if form.kind in set(order)]
        same = float(np.prod([1.0 / form.size for form in kept])) * _chance(tuple(order))
        changed += order != now or any(kinds[form.kind] != form for form in kept)
        expected += 1.0 - same
    return _share(changed, expected)


def _chance(order: tuple[int, ...]) -> float:
    """The probability with which `Layout.random` puts sentences of some kinds in this order."""
    chances = np.full(len(ORDERS), 0.5 / len(ORDERS)) + 0.5 * (np.arange(len(ORDERS)) == 0)
    fits = [tuple(kind for kind in places if kind in order) == order for places in ORDERS]
    return float(chances[fits].sum())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m eagle_gym.actions.grammar", description=__doc__)
    parser.add_argument("--model", default="embedded", help="the model that is measured (%(default)s)")
    parser.add_argument("--cases", type=int, default=16000, help="rewrites (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of texts, edits and answers (%(default)s)")
    parser.add_argument("--out", type=Path, default=PATH, help="file to write (default: the package's own)")
    options = parser.parse_args(arguments)
    measured = measure(load_language_model(options.model), cases=options.cases, seed=options.seed)
    save_shares(measured, options.out)
    print(options.out.read_text())  # noqa: T201


if __name__ == "__main__":
    main()
