"""Making a surrogate: rollouts, the fit, its quality on unseen texts and edits, and the cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm import tqdm

from eagle_gym import cache
from eagle_gym.actions.candidates import Candidates
from eagle_gym.actions.pools import ItemPools
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.actions.surrogate import fit as fitting
from eagle_gym.actions.surrogate.free import FreeSurrogate, fit_free
from eagle_gym.actions.surrogate.model import Fitted, PlotSurrogate, Surrogate, linear_map
from eagle_gym.errors import PreparationError
from eagle_gym.language.model import Completion, LanguageModel, Usage, UsageSnapshot
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.replay import RecordedModel
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

if TYPE_CHECKING:
    from eagle_gym.latent import LatentSpace

ROUNDS: Final = 3  # steps from each start text in a measurement: few, for the sake of more start texts
LEAST_R2: Final = 0.3  # of a surrogate for free text, on unseen texts and edits; below, rollouts are advised
LEAST_PAIRS: Final = 2  # fewest pairs of a measurement
LEAST_KEPT: Final = 100  # fewest start texts excluded from the fit, where the catalog has three times as many

# Meanings of the numbers in `Surrogate.quality`. Names of those on unseen and on vague edits end in a suffix.
MEANINGS: Final = {
    "r2": "R² of displacements",
    "r2_low": "its 95 % interval over start texts: from",
    "r2_high": "to",
    "r2_ceiling": "R² of a perfect prediction: below 1, as each target is a mean of few generations",
    "pairs": "(text, edit) pairs measured",
    "start_texts": "start texts from which these descend; unseen in the fit",
}
UNSEEN: Final = "_unseen_edits"
SUFFIXES: Final = {
    "": "edits of all kinds",
    UNSEEN: "edits unseen in the fit; in plot English, those with an (operation, slot, value) unseen in it",
    "_vague": "vague edits only, such as 'Make it darker.'",
}


@dataclass(frozen=True)
class Budget:
    """Numbers of generations that a fit may use.

    Attributes:
        trials: (text, edit) pairs for the fit, one generation each.
        checks: Pairs for each measurement, on texts unseen in the fit.
        check_samples: Generations for each pair of a measurement.
    """

    trials: int = 4000
    checks: int = 240
    check_samples: int = 2

    @property
    def fit(self) -> fitting.Plan:
        """The plan of the fit."""
        return fitting.Plan(self.trials)

    def check(self, *, held_out: bool | None = None, vague: bool = False) -> fitting.Plan:
        """The plan of a measurement."""
        return fitting.Plan(
            self.checks,
            samples=self.check_samples,
            per_state=1,
            rounds=ROUNDS,
            held_out=held_out,
            vague=vague,
            seed=1,
        )


class CountedModel:
    """A language model that counts every answer, recorded ones included."""

    def __init__(self, inner: LanguageModel) -> None:
        self.inner, self.usage = inner, Usage()
        self.name, self.fingerprint, self.language = inner.name, inner.fingerprint, inner.language
        self.deterministic = inner.deterministic

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """See the inner model."""
        answers = self.inner.generate(prompts, seeds, temperature=temperature)
        self.usage.add(answers)
        return answers

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> Any:  # noqa: ANN401 - as the inner model's
        """See the inner model."""
        return self.inner.score(prompt, continuations)

    def close(self) -> None:
        """Leave the inner model open: its owner closes it."""


def make_surrogate(
    texts: Sequence[str],
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    *,
    language: str,
    budget: Budget,
    profiles: Sequence[str] = (),
    temperature: float = 1.0,
    record: Path | None = None,
    progress: bool = True,
) -> Surrogate:
    """Fit a surrogate on rollouts, and measure it on others whose start texts the fit has not seen.

    Args:
        texts: Start texts of the rollouts.
        space: The latent space.
        model: The language model.
        candidates: Propose the edits that are tried where `language` is "free".
        language: "plot_english" where edits can be parsed, otherwise "free".
        budget: Numbers of generations.
        profiles: Profiles of users, for the candidates where `language` is "free".
        temperature: Sampling temperature of the rewriting.
        record: File that keeps every answer: a killed fit resumes from it, and a fit in another latent space of the
            same texts asks nothing new. None keeps no answers.
        progress: Whether to show a progress bar.
    """
    cost = FitCost(model, record)
    if isinstance(candidates, ModelCandidates | ItemPools):
        candidates = candidates.asking(cost.model)
    fresh, seen = split_texts(texts)
    checks = budget.checks * budget.check_samples * (len(SUFFIXES) if language == "plot_english" else 1)
    fitted: Fitted
    with cost, progress_bar(
        total=budget.trials + checks, show=progress, desc="rollouts", unit="text"
    ) as bar:
        tools = _Tools(cost.model, space, temperature, bar)
        if language == "plot_english":
            fitted, quality = _make_plot(seen, fresh, budget, tools)
        else:
            fitted, quality = _make_free(seen, fresh, budget, tools, candidates, profiles)
    return Surrogate(fitted, space, quality, cost.total())


class FitCost:
    """Counts the cost of a fit over all its attempts. On exit, the total is written next to the record.

    Args:
        model: The language model.
        record: File that keeps the model's answers, or None.

    Attributes:
        model: The language model to use, which counts and records.
    """

    def __init__(self, model: LanguageModel, record: Path | None) -> None:
        self._model, self._before = model, model.usage.snapshot()
        self._file = None if record is None else record.with_suffix(".cost.json")
        self._earlier = {"calls": 0, "seconds": 0.0}
        if self._file is not None and self._file.exists():
            self._earlier |= _read_cost(self._file)
        self.model = CountedModel(model if record is None else RecordedModel(model, record))

    @property
    def _spent(self) -> UsageSnapshot:
        return self._model.usage.snapshot() - self._before

    def __enter__(self) -> FitCost:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._file.parent.exists():
            spent, earlier = self._spent, self._earlier
            total = {"calls": earlier["calls"] + spent.calls, "seconds": earlier["seconds"] + spent.seconds}
            cache.write_files(self._file.parent, {self._file.name: (json.dumps(total) + "\n").encode()})

    def total(self) -> dict[str, float]:
        """The cost so far; see `Surrogate.cost`."""
        used, spent = self.model.usage, self._spent
        recorded = max(0, used.calls - (spent.calls - spent.retries))
        each = self._earlier["seconds"] / max(self._earlier["calls"], 1)
        return {
            "calls": used.calls,
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "retries": used.retries + spent.retries,
            "recorded": recorded,
            "seconds": round(spent.seconds + recorded * each, 1),
        }


def _read_cost(path: Path) -> dict[str, float]:
    """Calls and seconds of the earlier attempts.

    Raises:
        PreparationError: The file is broken.
    """
    try:
        found = json.loads(path.read_bytes())
        return {"calls": int(found["calls"]), "seconds": float(found["seconds"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PreparationError(f"{path}: expected the cost of earlier attempts, got {error!r}: delete it") from error


def split_texts(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split start texts into those of the measurements and those of the fit; a single text serves both."""
    order = np.random.default_rng(stable_seed("surrogate", *texts)).permutation(len(texts))
    kept = max(1, len(texts) // 10, min(LEAST_KEPT, len(texts) // 3))
    fresh, seen = [texts[i] for i in order[:kept]], [texts[i] for i in order[kept:]]
    return fresh, seen or fresh


@dataclass(frozen=True)
class _Tools:
    model: LanguageModel
    space: LatentSpace
    temperature: float
    bar: tqdm[Any]

    def collect(self, texts: Sequence[str], plan: fitting.Plan, **options: Any) -> fitting.Trials:  # noqa: ANN401
        return fitting.collect(self.model, texts, plan, temperature=self.temperature, bar=self.bar, **options)


def _make_plot(
    seen: Sequence[str], fresh: Sequence[str], budget: Budget, tools: _Tools
) -> tuple[PlotSurrogate, dict[str, float]]:
    linear = linear_map(tools.space)
    trials = tools.collect(seen, budget.fit)
    surrogate = PlotSurrogate(linear, *fitting.fit(trials, tools.space, linear))
    plans = (budget.check(), budget.check(held_out=True), budget.check(vague=True))
    quality = _about(budget)
    for suffix, plan in zip(SUFFIXES, plans, strict=True):
        quality |= measure(surrogate, tools.space, tools.collect(fresh, plan), suffix)
    return surrogate, quality


def _make_free(
    seen: Sequence[str],
    fresh: Sequence[str],
    budget: Budget,
    tools: _Tools,
    candidates: Candidates,
    profiles: Sequence[str],
) -> tuple[FreeSurrogate, dict[str, float]]:
    options: Mapping[str, Any] = {"candidates": candidates, "profiles": profiles}
    trials = tools.collect(seen, fitting.Plan(budget.trials, held_out=None), **options)
    z, displacement = fitting.observed(tools.space, trials)
    surrogate = fit_free(trials.texts, trials.edits, z, displacement, tools.space)
    checks = tools.collect(fresh, budget.check(), **options)
    quality = _about(budget) | measure(surrogate, tools.space, checks)
    unseen = checks.only([edit not in set(trials.edits) for edit in checks.edits])
    return surrogate, quality | measure(surrogate, tools.space, unseen, UNSEEN)


def _about(budget: Budget) -> dict[str, float]:
    return {"trials": float(budget.trials), "samples": float(budget.check_samples)}


def measure(
    surrogate: Fitted, space: LatentSpace, trials: fitting.Trials, suffix: str = ""
) -> dict[str, float]:
    """R² of displacements on given rollouts, its interval, and the R² that a perfect prediction would have there."""
    if len(trials.texts) < LEAST_PAIRS:
        return {}
    z, displacement = fitting.observed(space, trials)
    predicted = surrogate.displacements(trials.texts, [[edit] for edit in trials.edits], z)
    low, high = fitting.r_squared_interval(predicted, displacement, trials.roots)
    numbers = {"r2": fitting.r_squared(predicted, displacement), "r2_low": low, "r2_high": high}
    if len(trials.results[0]) > 1 and np.isfinite(ceiling := fitting.noise_ceiling(space, trials)):
        numbers["r2_ceiling"] = ceiling
    numbers |= {"pairs": len(trials.texts), "start_texts": len(set(trials.roots))}
    return {f"{name}{suffix}": round(value, 4) for name, value in numbers.items()}


def advice(quality: Mapping[str, float]) -> str | None:
    """What to say of a surrogate for free text that predicts too little, or None.

    Args:
        quality: `Surrogate.quality`.
    """
    suffix = UNSEEN if f"r2{UNSEEN}" in quality else ""
    found = quality.get(f"r2{suffix}")
    if found is None or found >= LEAST_R2:
        return None
    best = quality.get(f"r2_ceiling{suffix}")
    ceiling = "" if best is None else f" (a perfect prediction would have {best:.2f})"
    return (
        f"expected a surrogate that predicts effects on unseen texts and edits with an R² of at least {LEAST_R2:g}, "
        f"got {found:.2f}{ceiling}: the design sees mostly noise; ask the language model itself with effects='rollout'"
    )


def describe(surrogate: Surrogate) -> str:
    """The quality and the cost of a surrogate as a table, each number with its meaning."""
    numbers = surrogate.quality
    lines = [f"fitted on {numbers['trials']:.0f} (text, edit) pairs, measured on means of "
             f"{numbers['samples']:.0f} generations:"]  # fmt: skip
    for suffix, edits in SUFFIXES.items():
        if f"r2{suffix}" in numbers:
            lines.append(f"\n  {edits}")
            lines += [
                f"    {name + suffix:<26}{numbers[name + suffix]:>9.4g}   {meaning}"
                for name, meaning in MEANINGS.items()
                if name + suffix in numbers
            ]
    cost = surrogate.cost
    lines.append(
        f"\n  cost: {cost['calls']:,.0f} generations ({cost['recorded']:,.0f} of them recorded before, "
        f"{cost['retries']:,.0f} drawn again), {cost['prompt_tokens']:,.0f} prompt and "
        f"{cost['completion_tokens']:,.0f} completion tokens, {cost['seconds']:,.0f} s in the language model"
    )
    return "\n".join(lines)
