"""A tiny world for contract tests: eight films, a few users, a linear encoder and a scripted language model.

The scripted model does what edits ask through the grammar, with the faults a real one has, seeded row by row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eagle_gym import plot_english
from eagle_gym.actions.action_set import ActionSets
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.effects import Rollout
from eagle_gym.catalog import Catalog, Item, Ratings, split_catalog
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import Resources, World
from eagle_gym.errors import CutOffError, LanguageModelError, TextError
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt
from eagle_gym.latent.features import AttributeFeatures, Bag
from eagle_gym.plot_english import arrays

N = 4


@dataclass
class ScriptedModel:
    """Applies edits through the grammar; counts its batched calls.

    Args:
        fidelity: chance that an edit is made.
        invent: chance that something is added that nobody asked for.
        fail_on: number of the batched call that raises, -1 for none.
        garble: chance that the answer is not plot English.
        lazy: whether texts come back as they are.
        garble_greedy: whether answers at temperature 0 are not.
        language: what it says that it writes.
        cut: edits that it never finishes.
    """

    fidelity: float = 0.95
    invent: float = 0.1
    fail_on: int = -1
    garble: float = 0.0
    lazy: bool = False
    garble_greedy: bool = False
    name: str = "embedded"
    fingerprint: str = "scripted"
    language: str = "plot_english"
    deterministic: bool = True
    usage: Usage = field(default_factory=Usage)
    batches: list[int] = field(default_factory=list)
    closed: bool = False
    cut: Collection[str] = ()

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0):
        self.batches.append(len(prompts))
        if len(self.batches) == self.fail_on + 1:
            raise LanguageModelError("the scripted failure")
        answers = [self._answer(p, np.random.default_rng(s), temperature) for p, s in zip(prompts, seeds, strict=True)]
        completions = [Completion(answer, 10, len(answer.split()), "stop") for answer in answers]
        self.usage.add(completions)
        cut = {row: replace(completions[row], finish_reason="length") for row in self._cut(prompts)}
        if cut:
            error = CutOffError("the scripted answers were cut off")
            error.cut = cut
            error.answered = {row: said for row, said in enumerate(completions) if row not in cut}
            raise error
        return completions

    def _cut(self, prompts: Sequence[Prompt]) -> list[int]:
        return [row for row, prompt in enumerate(prompts) if prompt.edit in self.cut]

    def _answer(self, prompt: Prompt, rng: np.random.Generator, temperature: float) -> str:
        attributes = plot_english.read(prompt.text)
        if prompt.task == "propose":
            likes = plot_english.parse_profile(prompt.profile).likes if prompt.profile else ()
            return plot_english.propose(attributes, rng, 1, likes=likes)[0]
        if self.lazy:
            return prompt.text
        if rng.random() < self.garble or (self.garble_greedy and temperature == 0):
            return "Once upon a time, qwerty! " + prompt.text
        try:
            changes = plot_english.parse_edit(prompt.edit)
        except TextError:
            return prompt.text
        for change in changes:
            if temperature == 0.0 or rng.random() < self.fidelity:
                attributes = plot_english.apply(attributes, change, rng if temperature else np.random.default_rng(0))
        if temperature and rng.random() < self.invent and attributes.tone is None:
            attributes = attributes.with_values("tone", ["dark"])
        return plot_english.render(attributes, rng if temperature else None)

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class LinearEncoder:
    weights: np.ndarray
    intercept: np.ndarray
    radius: float
    features: AttributeFeatures = field(default_factory=AttributeFeatures)
    deterministic = True

    def bags(self, texts: Sequence[str]) -> list[Bag]:
        return self.features.bags(texts)

    def words(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([arrays.one_hot([text])[0] @ self.weights for text in texts]).reshape(len(texts), -1)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [arrays.one_hot([text])[0] @ self.weights + self.intercept for text in texts]
        z = np.array(rows).reshape(len(texts), -1)
        return z * np.minimum(1.0, self.radius / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9))

    def movement(self, before: Sequence[str], after: Sequence[str]) -> np.ndarray:
        return np.minimum(2.0, np.linalg.norm(self.encode(after) - self.encode(before), axis=1))


@dataclass(frozen=True, eq=False)
class Space:
    encoder: LinearEncoder
    items: np.ndarray
    users: np.ndarray
    radius: float
    dim: int
    quality: dict[str, float]
    fingerprint: str


@dataclass(frozen=True)
class Parts:
    total: np.ndarray
    affinity: np.ndarray
    novelty: np.ndarray
    percentile: np.ndarray


@dataclass(frozen=True)
class Score:
    """Affinity and the distance to the nearest catalog item, row by row."""

    space: Space

    def __call__(self, z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> Parts:
        tastes = self.space.users[users, :-1]
        affinity = (z * tastes).sum(1) / np.linalg.norm(tastes, axis=1)
        gaps = np.linalg.norm(z[:, None] - self.space.items[None], axis=2)
        gaps[np.arange(len(z)), exclude] = np.where(exclude >= 0, np.inf, gaps[np.arange(len(z)), exclude])
        novelty = gaps.min(1)
        return Parts(affinity + novelty, affinity, novelty, np.full(len(z), 50.0))


def make_plain_utility(space: Space, catalog: Catalog):
    """A utility of one's own: the predicted taste, nothing else."""

    def score(z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> Parts:
        affinity = (z * space.users[users, :-1]).sum(1)
        return Parts(affinity, affinity, np.zeros(len(z)), np.full(len(z), 50.0))

    return score


def make_catalog(films: int = 12, users: int = 6) -> Catalog:
    rng = np.random.default_rng(7)
    items = tuple(
        Item(f"m{i}", f"Film {i}", plot_english.render(plot_english.random_attributes(rng, 0.4), rng))
        for i in range(films)
    )
    rows = [(u, i, float(rng.integers(1, 11)) / 2) for u in range(users) for i in range(films)]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Catalog(
        "tiny", items, tuple(f"u{u}" for u in range(users)), Ratings(*columns).sorted(), (0.5, 5.0), "plot_english"
    )


def make_space(catalog: Catalog, n: int = N, scale: float = 0.5, radius: float = 3.0) -> Space:
    rng = np.random.default_rng(11)
    weights = scale * rng.standard_normal((len(plot_english.FEATURES), n))
    raw = arrays.one_hot(catalog.texts) @ weights
    encoder = LinearEncoder(weights, -raw.mean(0), radius)
    users = rng.standard_normal((len(catalog.users), n + 1))
    return Space(encoder, encoder.encode(catalog.texts), users, radius, n, {"gain": 0.1}, "fake-space")


def make_tiny_world(model: ScriptedModel | None = None, **settings: object) -> World:
    """A world of fakes; everything but catalog, space, model and utility is the real thing."""
    chosen = Settings(**{"actions": 6, "pool": 16, "dim": N, "horizon": 3, "effects": "rollout", **settings})
    catalog = make_catalog()
    space = make_space(catalog)
    scripted = model or ScriptedModel()
    # A second model, so that rollouts are not counted among the environment's own calls.
    effects = Rollout(ScriptedModel(), space, samples=1, temperature=chosen.temperature)
    action_sets = ActionSets(
        LexiconCandidates(chosen.personalised), effects, pool=chosen.pool, k=chosen.actions, features=chosen.features
    )
    parts = Resources(catalog, split_catalog(catalog), space, scripted, action_sets, Score(space))
    return World(chosen, parts)
