"""Fitting the surrogate on rollouts, and measuring it on states and edits unseen in the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy import sparse
from tqdm import tqdm

from eagle_gym import plot_english
from eagle_gym.actions.candidates import Candidates, LexiconCandidates
from eagle_gym.actions.effects import encode_distinct
from eagle_gym.actions.surrogate.model import (
    CLASSES,
    CompiledChanges,
    Correction,
    Effect,
    Floats,
    Ints,
    LinearMap,
    Symbolic,
    blocks,
    empty_slots,
    gather_changes,
    outcome_groups,
    segment_sums,
)
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import next_texts
from eagle_gym.plot_english import arrays
from eagle_gym.seeding import stable_seed

if TYPE_CHECKING:
    from eagle_gym.latent import LatentSpace

HELD_OUT: Final = 10  # one (operation, slot, value) out of this many is excluded from every fit
PENALTIES: Final = (30.0, 100.0, 300.0)
# Penalty on each block of the regression, relative to the penalty that cross-validation chooses.
RELATIVE_PENALTIES: Final = {
    "bias": 0.01, "effect": 1.0, "embedding": 1.0, "empty": 1.0, "held": 1.0, "kind": 1.0, "scale": 1.0,
    "mixup": 0.1, "direction": 1.0, "value": 3.0,
}  # fmt: skip
_FOLDS: Final = 3
_CHOICE_PRIORS: Final = (4.0, 16.0, 64.0, 256.0, 1e9)  # shrinkage of the rates, as a number of observations
_BATCH: Final = 128  # generations between two updates of the progress bar


@dataclass(frozen=True)
class Trials:
    """Edits tried on texts, R of them.

    Attributes:
        texts: [R] The texts.
        edits: [R] The edit tried on each text.
        results: [R] One or more rewritten texts each.
        roots: [R] Number of the start text from which each text descends.
    """

    texts: tuple[str, ...]
    edits: tuple[str, ...]
    results: tuple[tuple[str, ...], ...]
    roots: tuple[int, ...]

    def __add__(self, other: Trials) -> Trials:
        return Trials(
            self.texts + other.texts,
            self.edits + other.edits,
            self.results + other.results,
            self.roots + other.roots,
        )

    def only(self, kept: Sequence[bool]) -> Trials:
        """Some of the trials."""
        columns = (self.texts, self.edits, self.results, self.roots)
        return Trials(*(tuple(compress(column, kept)) for column in columns))  # type: ignore[arg-type]


def is_held_out(edit: str) -> bool:
    """Whether an edit has an (operation, slot, value) that no fit sees.

    Vague directions are never held out: without examples there is no way to learn what one means.
    """
    return any(
        stable_seed("held out", change.operation, change.slot, change.value) % HELD_OUT == 0
        for change in plot_english.parse_edit(edit)
        if change.value and change.operation != "vague"
    )


@dataclass(frozen=True)
class Plan:
    """Which edits are tried, and how often.

    Attributes:
        trials: (text, edit) pairs to try.
        samples: Generations for each pair.
        per_state: Edits tried on one text.
        rounds: Steps from the start texts; each round continues from results of the previous one.
        held_out: True tries only edits that `is_held_out`, False only others, None any.
        vague: Try only vague edits, whatever `held_out` says.
        seed: Seed of every draw.
    """

    trials: int
    samples: int = 1
    per_state: int = 4
    rounds: int = 5
    held_out: bool | None = False
    vague: bool = False
    seed: int = 0

    def suits(self, edit: str) -> bool:
        """Whether the plan tries an edit."""
        if self.vague:
            return all(change.operation == "vague" for change in plot_english.parse_edit(edit))
        return self.held_out is None or is_held_out(edit) == self.held_out


def collect(
    model: LanguageModel,
    texts: Sequence[str],
    plan: Plan,
    *,
    candidates: Candidates | None = None,
    profiles: Sequence[str] = (),
    temperature: float = 1.0,
    bar: tqdm[None] | None = None,
) -> Trials:
    """Try edits on texts, then on the results.

    Args:
        model: Language model that rewrites, by the same function as in environments.
        texts: Start texts; each is used once before any is used twice.
        plan: Which edits, and how many.
        candidates: Propose the edits; by default the lexicon, with some macro edits.
        profiles: Profiles of users to draw from; by default random ones.
        temperature: Sampling temperature of the rewriting.
        bar: Progress bar, advanced by one for each generation.
    """
    rng = np.random.default_rng(stable_seed("collect", plan.seed))
    count = -(-plan.trials // (plan.per_state * plan.rounds))
    roots = np.concatenate([rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))])[:count]
    states = [(int(root), texts[root]) for root in roots]
    proposer = candidates or LexiconCandidates(personalised=0.3, macro=0.05)
    tried = Trials((), (), (), ())
    for turn in range(plan.rounds):
        left = plan.trials - len(tried.texts)
        asked = _questions(states, plan, proposer, profiles, rng)[:left]
        if not asked:
            break
        results = _answers(model, asked, plan, temperature, stable_seed("collect", plan.seed, turn), bar)
        began, before, edits = zip(*asked, strict=True)
        tried += Trials(before, edits, tuple(results), began)
        go_on = rng.permutation(len(results))[:count]
        states = [(began[row], results[row][0]) for row in go_on]
    return tried


def _questions(
    states: Sequence[tuple[int, str]],
    plan: Plan,
    candidates: Candidates,
    profiles: Sequence[str],
    rng: np.random.Generator,
) -> list[tuple[int, str, str]]:
    """(root, text, edit) for up to `per_state` edits of each state, proposed for a random user."""
    users = [profiles[int(rng.integers(len(profiles)))] if profiles else _random_profile(rng) for _ in states]
    seeds = [int(seed) for seed in rng.integers(2**62, size=len(states))]
    # Held-out and vague edits are rare, so only a large pool holds enough of them.
    wanted = plan.per_state if plan.held_out is None and not plan.vague else 64
    asked = []
    pools = candidates.propose([text for _, text in states], users, wanted, seeds)
    for (root, text), pool in zip(states, pools, strict=True):
        asked += [(root, text, edit) for edit in pool if plan.suits(edit)][: plan.per_state]
    return asked


def _random_profile(rng: np.random.Generator) -> str:
    pairs = [plot_english.FEATURES[int(row)] for row in rng.integers(len(plot_english.FEATURES), size=6)]
    return plot_english.render_profile(plot_english.Profile(tuple(pairs[:3]), tuple(pairs[3:])))


def _answers(
    model: LanguageModel,
    asked: Sequence[tuple[int, str, str]],
    plan: Plan,
    temperature: float,
    seed: int,
    bar: tqdm[None] | None,
) -> list[tuple[str, ...]]:
    samples = plan.samples
    prompts = [Prompt("rewrite", text=text, edit=edit) for _, text, edit in asked for _ in range(samples)]
    results: list[str] = []
    for begin in range(0, len(prompts), _BATCH):
        part = prompts[begin : begin + _BATCH]
        seeds = [stable_seed(seed, begin + row) for row in range(len(part))]
        results += next_texts(model, part, seeds, temperature=temperature)
        if bar is not None:
            bar.update(len(part))
    return [tuple(results[row : row + samples]) for row in range(0, len(results), samples)]


def observed(space: LatentSpace, trials: Trials) -> tuple[Floats, Floats]:
    """Embeddings of the texts and mean displacements of their results, [R, n] each."""
    z = encode_distinct(space, trials.texts)
    counts = {len(results) for results in trials.results}
    samples = counts.pop() if counts else 1
    after = encode_distinct(space, [text for results in trials.results for text in results])
    return z, after.reshape(len(z), samples, -1).mean(axis=1) - z


@dataclass(frozen=True, eq=False)
class Choices:
    """Observed outcomes of vague edits: counts for each entry of `outcome_groups()`, in two halves.

    Attributes:
        possible: [2, G'] How often an outcome was possible.
        occurred: [2, G'] How often the outcome occurred.
    """

    possible: Floats
    occurred: Floats


def count_choices(trials: Trials) -> Choices:
    """Count the outcomes of vague edits, separately for even and odd trials, so that one half validates the other."""
    start, columns = outcome_groups()
    before = arrays.one_hot(trials.texts)
    after = arrays.one_hot(results[0] for results in trials.results)
    items = gather_changes([[edit] for edit in trials.edits])
    single = np.bincount(items.pair, minlength=len(trials.texts)) == 1
    possible, occurred = np.zeros((2, len(columns))), np.zeros((2, len(columns)))
    for direction in range(arrays.change_table().vague):
        pairs = items.pair[(items.direction == direction) & single[items.pair]]
        entries = slice(*start[len(plot_english.FEATURES) + direction :][:2])
        for half in range(2):
            rows = pairs[pairs % 2 == half]
            could = ~before[rows][:, columns[entries]]
            possible[half, entries] = could.sum(axis=0)
            occurred[half, entries] = (could & after[rows][:, columns[entries]]).sum(axis=0)
    return Choices(possible, occurred)


def fit_choice(choices: Choices) -> Floats:
    """[G'] Relative likelihood of each outcome of a vague edit; 1 for edits with one outcome.

    The rates are shrunk towards the average over all directions, which distinguishes only outcomes in the slot that a
    direction names first from the others. The shrinkage is chosen by two-fold validation.
    """
    guess = _guess(choices)

    def error(prior: float) -> float:
        total = 0.0
        for half in range(2):
            rate = _rates(choices.possible[half], choices.occurred[half], guess, prior)
            possible, occurred = choices.possible[1 - half], choices.occurred[1 - half]
            likely = np.clip(rate, 1e-6, 1 - 1e-6)
            total -= float((occurred * np.log(likely) + (possible - occurred) * np.log1p(-likely)).sum())
        return total

    best = min(_CHOICE_PRIORS, key=error)
    return _rates(choices.possible.sum(axis=0), choices.occurred.sum(axis=0), guess, best)


def _entries() -> slice:
    """The columns of `outcome_groups()` that are outcomes of vague edits."""
    start, _ = outcome_groups()
    features = len(plot_english.FEATURES)
    return slice(int(start[features]), int(start[features + arrays.change_table().vague]))


def _guess(choices: Choices) -> Floats:
    """[G'] Average rates, given whether an outcome is in the direction's first slot, and among how many outcomes."""
    table = arrays.change_table()
    row, column = np.nonzero(table.wanted)
    first = table.first[row, column]
    occurred = choices.occurred.sum(axis=0)[_entries()]
    share = (occurred[first].sum() + 1.0) / (occurred.sum() + 2.0)
    counts = np.array([table.first.sum(axis=1), (table.wanted & ~table.first).sum(axis=1)])  # [2, V]
    rate = np.ones(choices.occurred.shape[1])
    rate[_entries()] = np.where(first, share / counts[0, row], (1.0 - share) / np.maximum(counts[1, row], 1))
    return rate


def _rates(possible: Floats, occurred: Floats, guess: Floats, prior: float) -> Floats:
    rate = np.ones(len(possible))
    entries = _entries()
    rate[entries] = (occurred[entries] + prior * guess[entries]) / (possible[entries] + prior)
    return rate


@dataclass(frozen=True, eq=False)
class Regression:
    """A least-squares problem: the residual of the symbolic effect.

    Attributes:
        design: [R, X] Sparse columns, in the order of `blocks`.
        target: [R, n].
        groups: [R] Number of the text, so that no text is on both sides of a validation.
        penalty: [X] Relative penalty on each column.
    """

    design: sparse.csr_matrix
    target: Floats
    groups: Ints
    penalty: Floats


def regression(trials: Trials, space: LatentSpace, symbolic: Symbolic) -> Regression:
    """The least-squares problem of some trials."""
    z, displacement = observed(space, trials)
    held = arrays.one_hot(trials.texts)
    rows = np.arange(len(z))
    effect = symbolic.effect(held, rows, gather_changes([[edit] for edit in trials.edits]))
    base = symbolic.displacement(symbolic.linear.start(trials.texts), held, rows, effect)
    _, groups = np.unique(np.array(trials.texts), return_inverse=True)
    return Regression(design_matrix(base, z, held, effect), displacement - base, groups, penalties(z.shape[1]))


def design_matrix(base: Floats, z: Floats, held: NDArray[np.bool_], effect: Effect) -> sparse.csr_matrix:
    """[R, X] The columns that `Correction.displacement` multiplies by its coefficients."""
    items, n = effect.items, z.shape[1]
    own = np.repeat(items.pair, n), (items.kind[:, None] * n + np.arange(n)).reshape(-1)
    columns = {
        "bias": np.ones((len(z), 1)),
        "effect": base,
        "embedding": z,
        "empty": empty_slots(held),
        "held": held.astype(np.float64),
        "kind": _indicator(items, items.kind, CLASSES, len(z)),
        "scale": sparse.coo_matrix((effect.moved.reshape(-1), own), (len(z), CLASSES * n)),
        "mixup": segment_sums(effect.mixup, items.pair, len(z)),
        "direction": _indicator(items, items.direction, arrays.change_table().vague, len(z)),
        "value": _indicator(items, items.value, len(plot_english.FEATURES), len(z)),
    }
    return sparse.hstack([columns[name] for name in blocks(n)], format="csr")


def _indicator(items: CompiledChanges, index: Ints, size: int, pairs: int) -> sparse.coo_matrix:
    there = index >= 0
    return sparse.coo_matrix((np.ones(there.sum()), (items.pair[there], index[there])), (pairs, size))


def penalties(n: int) -> Floats:
    """[X] Relative penalty on each column."""
    return np.concatenate([np.full(int(np.prod(shape)), RELATIVE_PENALTIES[name]) for name, shape in blocks(n).items()])


def ridge(gram: Floats, moment: Floats, penalty: Floats) -> Floats:
    """[X, n] Ridge coefficients from the Gram matrix [X, X], moments [X, n] and a penalty on each coefficient, [X]."""
    system = gram.copy()
    system[np.diag_indices_from(system)] += penalty
    solution: Floats = scipy.linalg.solve(system, moment, assume_a="pos", overwrite_a=True)
    return solution


def cross_validate_penalty(problem: Regression) -> float:
    """The common factor of the penalties with the smallest squared error on held-out texts."""
    errors = dict.fromkeys(PENALTIES, 0.0)
    whole = _moments(problem.design, problem.target)
    for fold in range(_FOLDS):
        out = problem.groups % _FOLDS == fold
        x, y = problem.design[out], problem.target[out]
        gram, moment = (total - part for total, part in zip(whole, _moments(x, y), strict=True))
        for factor in PENALTIES:
            errors[factor] += float(np.square(y - x @ ridge(gram, moment, factor * problem.penalty)).sum())
    return min(PENALTIES, key=errors.__getitem__)


def _moments(x: sparse.csr_matrix, y: Floats) -> tuple[Floats, Floats]:
    return np.asarray((x.T @ x).todense()), np.asarray(x.T @ y)


def fit_correction(problem: Regression) -> Correction:
    """Ridge regression with a cross-validated penalty."""
    n = problem.target.shape[1]
    coefficients = np.zeros((problem.design.shape[1], n))
    # A third of the columns are zero throughout: leaving them out saves time and changes nothing.
    used = np.flatnonzero(problem.design.getnnz(axis=0))
    part = Regression(problem.design[:, used], problem.target, problem.groups, problem.penalty[used])
    factor = cross_validate_penalty(part)
    coefficients[used] = ridge(*_moments(part.design, part.target), factor * part.penalty)
    arrays, begin = [], 0
    for shape in blocks(n).values():
        size = int(np.prod(shape))
        arrays.append(coefficients[begin : begin + size].reshape(*shape, n))
        begin += size
    return Correction(*arrays)


def fit(trials: Trials, space: LatentSpace, linear: LinearMap) -> tuple[Floats, Correction]:
    """Fit the choice weights and the correction to trials."""
    choice = fit_choice(count_choices(trials))
    return choice, fit_correction(regression(trials, space, Symbolic(linear, choice)))


def r_squared(predicted: Floats, seen: Floats) -> float:
    """Share of the displacements' variance that is predicted, over all coordinates; 1 is perfect."""
    spread = np.square(seen - seen.mean(axis=0)).sum()
    return float(1.0 - np.square(seen - predicted).sum() / max(float(spread), 1e-300))


def noise_ceiling(space: LatentSpace, trials: Trials) -> float:
    """R² of perfect predictions on these trials, given the noise of their mean results; NaN where nothing moved."""
    z = encode_distinct(space, trials.texts)
    samples = len(trials.results[0])
    after = encode_distinct(space, [text for results in trials.results for text in results])
    moved = after.reshape(len(z), samples, -1) - z[:, None]
    noise = moved.var(axis=1, ddof=1).sum() / samples
    seen = moved.mean(axis=1)
    spread = np.square(seen - seen.mean(axis=0)).sum()
    return float(1.0 - noise / spread) if spread > 0 else float("nan")


def r_squared_interval(
    predicted: Floats, seen: Floats, roots: Sequence[int], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of `r_squared`, by a bootstrap over start texts: trials of one start text stay together."""
    _, group = np.unique(np.asarray(roots), return_inverse=True)
    member = np.zeros((group.max() + 1, len(group)))
    member[group, np.arange(len(group))] = 1.0
    count, total = member.sum(axis=1), member @ seen
    error, square = (member @ np.square(rows).sum(axis=1) for rows in (seen - predicted, seen))
    times = np.random.default_rng(seed).multinomial(len(count), np.full(len(count), 1 / len(count)), size=draws)
    spread = times @ square - np.square(times @ total).sum(axis=1) / (times @ count)
    low, high = np.quantile(1.0 - times @ error / np.maximum(spread, 1e-300), [0.025, 0.975])
    return float(low), float(high)
