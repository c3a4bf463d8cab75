"""What is measured of codes, and of the texts that are written under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from baselines.cola import CoLAAgent
from baselines.cola.mcts import DoubleQ, Tree
from baselines.cola.pairs import Answers, Stream, draw_pairs
from baselines.cola.stages import Learning
from baselines.cola.turns import (
    ChooserMaker,
    Rewrite,
    by_codes,
    by_tokens,
    first_states,
    gains,
    is_followed,
    profile_of,
    rewrites,
)
from baselines.worlds import fresh_seeds
from benchmarks.judging.true_taste import TrueTaste
from eagle_gym import plot_english
from eagle_gym.envs.world import RawState, World

UNSEEN = 9_000  # seed of pairs that no training saw; trainings have small seeds
UNIFORM = 1e6  # a temperature at which the policy's codes are uniform
PERMUTED = 5  # permutations of the codes, whose information is the estimate's bias
Floats = NDArray[np.float64]


@torch.no_grad()
def information(learning: Learning, count: int) -> dict[str, Any]:
    """What codes say about the next token of unseen answers.

    Args:
        learning: The models.
        count: Number of answers.

    Returns:
        For each answer, its nats a token under the base model (`base`), with inferred codes (`inferred`) and with the
        policy's most probable codes (`policy`); under the first and the last of these the mean entropy of the next
        token in nats (`base_entropy`, `policy_entropy`) and the share of tokens that are the most probable ones
        (`base_right`, `policy_right`). Also `accuracy` of the policy, `perplexity` of the use of inferred codes, and
        bits: `information` between code and token less its mean under permuted codes, and `tokens`, the entropy of the
        tokens.
    """
    model = learning.model
    stream = Stream(model, draw_pairs(model.format, count, UNSEEN))
    answers = stream.batch(range(len(stream)))
    inside, spans = answers.inside, learning.config.every
    codes = learning.decided(answers)
    scores = model.policy(answers.hidden[:, :-1])
    chosen = held(scores.argmax(dim=-1), spans)
    starts = learning.starts(answers)
    said, used = answers.tokens[inside].numpy(), codes[inside].numpy()
    base, policy = model.output(answers.hidden[:, :-1]), under(learning, answers, chosen)
    return {
        "base": lost(base, answers),
        "inferred": lost(under(learning, answers, codes), answers),
        "policy": lost(policy, answers),
        "base_entropy": each(uncertainty(base), answers),
        "policy_entropy": each(uncertainty(policy), answers),
        "base_right": each(base.argmax(-1) == answers.tokens, answers),
        "policy_right": each(policy.argmax(-1) == answers.tokens, answers),
        "accuracy": float((scores.argmax(-1) == codes)[starts].float().mean()),
        "perplexity": float(np.exp(entropy(np.bincount(codes[starts].numpy(), minlength=learning.config.codes)))),
        "information": corrected_information(used, said),
        "tokens": entropy(np.bincount(said)) / np.log(2),
    }


def held(codes: Tensor, every: int) -> Tensor:
    """Codes `[B, T]` of which only those at the beginning of each span of `every` count."""
    places = torch.arange(codes.shape[1]) // every * every
    return codes[:, places]


def under(learning: Learning, answers: Answers, codes: Tensor) -> Tensor:
    """Logits `[B, T, V]` under codes `[B, T]`."""
    return learning.model.next_logits(answers.hidden[:, :-1], functional.one_hot(codes, learning.config.codes).float())


def lost(logits: Tensor, answers: Answers) -> list[float]:
    """Nats a token of each answer, `[B]`."""
    nats = functional.cross_entropy(logits.transpose(1, 2), answers.tokens, ignore_index=-100, reduction="none")
    return each(nats, answers)


def each(values: Tensor, answers: Answers) -> list[float]:
    """Mean of `values` `[B, T]` over the tokens of each answer, `[B]`."""
    return [float(value) for value in (values * answers.inside).sum(dim=1) / answers.inside.sum(dim=1)]


def uncertainty(logits: Tensor) -> Tensor:
    """Entropy of distributions `[..., V]` in nats, `[...]`."""
    logs = logits.log_softmax(dim=-1)
    return -(logs.exp() * logs).sum(dim=-1)


def entropy(counts: NDArray[Any]) -> float:
    """Entropy of a histogram, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def corrected_information(codes: NDArray[np.int64], tokens: NDArray[np.int64]) -> float:
    """Mutual information in bits, less its mean under permutations of the codes, since few samples inflate it."""
    rng = np.random.default_rng(0)
    chance = [plain_information(rng.permutation(codes), tokens) for _ in range(PERMUTED)]
    return plain_information(codes, tokens) - float(np.mean(chance))


def plain_information(codes: NDArray[np.int64], tokens: NDArray[np.int64]) -> float:
    """Mutual information of two columns, in bits."""
    pairs = codes.astype(np.int64) * (int(tokens.max()) + 1) + tokens
    parts = (np.unique(column, return_counts=True)[1] for column in (codes, tokens, pairs))
    own, said, both = (entropy(counts) for counts in parts)
    return (own + said - both) / float(np.log(2))


def written(agent: CoLAAgent, world: World, states: Sequence[RawState], make: ChooserMaker) -> list[Rewrite]:
    """Rewrites of the texts of some states."""
    model = agent.model
    texts, profiles = [state.text for state in states], [profile_of(world, state.user) for state in states]
    return rewrites(model.base, model.format, texts, profiles, make, agent.config.max_tokens)


def diversity(agent: CoLAAgent, world: World, texts: int, samples: int, seed: int) -> dict[str, Any]:
    """Diversity and quality of several rewrites of each text, by who draws.

    Returns:
        For `codes` (the policy draws), `uniform_codes` and `tokens` (the base model samples, without codes), one value
        for each text: `similarity`, the mean cosine between the embeddings of its rewrites; `distinct`, the share of
        them with different attributes; and their shares `parses` and `followed`.
    """
    states, seeds = drawn(world, texts, samples, seed)
    longest = agent.config.max_tokens
    makers = {
        "codes": by_codes(agent.model, seeds, longest, 1.0),
        "uniform_codes": by_codes(agent.model, seeds, longest, UNIFORM),
        "tokens": by_tokens(agent.model.base, seeds, longest, 1.0),
    }
    return diverse(agent, world, states, samples, makers)


def random_tokens(agent: CoLAAgent, world: World, texts: int, samples: int, seed: int) -> dict[str, Any]:
    """The same of the same texts where every token is uniform over the vocabulary: `random_tokens`."""
    states, seeds = drawn(world, texts, samples, seed)
    makers = {"random_tokens": by_tokens(agent.model.base, seeds, agent.config.max_tokens, UNIFORM)}
    return diverse(agent, world, states, samples, makers)


def drawn(world: World, texts: int, samples: int, seed: int) -> tuple[list[RawState], list[int]]:
    """States whose texts are rewritten, and a seed for each of their rewrites."""
    rng = np.random.default_rng([seed, 21])
    states = first_states(world, texts, rng)
    return states, fresh_seeds(rng, texts * samples)


def diverse(
    agent: CoLAAgent, world: World, states: Sequence[RawState], samples: int, makers: Mapping[str, ChooserMaker]
) -> dict[str, Any]:
    """Diversity and quality of what each chooser writes."""
    rows = [state for state in states for _ in range(samples)]
    found = {}
    for name, make in makers.items():
        said = written(agent, world, rows, make)
        groups = [said[start : start + samples] for start in range(0, len(said), samples)]
        pairs = list(zip(states, groups, strict=True))
        found[name] = {
            "similarity": [similarity(world, [one.text for one in group]) for group in groups],
            "distinct": [len({attributes(one) for one in group}) / samples for group in groups],
            "parses": [float(np.mean([one.parses for one in group])) for group in groups],
            "followed": [float(np.mean([is_followed(state.text, one) for one in group])) for state, group in pairs],
        }
    return found


def similarity(world: World, texts: Sequence[str]) -> float:
    """Mean cosine between the embeddings of different texts."""
    z = np.asarray(world.space.encoder.encode(texts), np.float64)
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    count = len(texts)
    return float((np.sum(unit @ unit.T) - count) / (count * (count - 1)))


def attributes(one: Rewrite) -> frozenset[tuple[str, str]]:
    """What a text says."""
    return frozenset(plot_english.read(one.text).pairs())


def tested(agent: CoLAAgent, world: World, count: int, seed: int) -> dict[str, Any]:
    """Rewrites for test users: the same states for every agent of a seed.

    Returns:
        One value for each state: `users`, `gain`, `judge` (the gain by the true taste), `parses`, `followed`, and
        `passes`, the tokens that it took.
    """
    rng = np.random.default_rng([seed, 22])
    states = first_states(world, count, rng)
    seeds, longest = fresh_seeds(rng, count), agent.config.max_tokens
    if agent.config.acts == "codes":
        make = by_codes(agent.model, seeds, longest, 1.0)
    else:
        make = by_tokens(agent.model.base, seeds, longest, 1.0)
    return facts(world, states, written(agent, world, states, make))


def facts(world: World, states: Sequence[RawState], said: Sequence[Rewrite]) -> dict[str, Any]:
    """Gain, judgement and quality of rewrites."""
    users = [str(world.catalog.users[state.user]) for state in states]
    judge = TrueTaste(world.catalog)
    judged = judge.standard(users, [one.text for one in said]) - judge.standard(users, [s.text for s in states])
    return {
        "users": users,
        "gain": gains(world, states, said).tolist(),
        "judge": judged.tolist(),
        "parses": [float(one.parses) for one in said],
        "followed": [float(is_followed(state.text, one)) for state, one in zip(states, said, strict=True)],
        "passes": [float(one.passes) for one in said],
    }


def searched(agent: CoLAAgent, world: World, q: DoubleQ, count: int, seed: int) -> dict[str, Any]:
    """The tree search against the best of as many samples, by gain, for the same states."""
    rng = np.random.default_rng([seed, 23])
    states, tries = first_states(world, count, rng), agent.config.search
    found = Tree(agent.model, q, agent.config, world).search(states, np.random.default_rng([seed, 24]))
    rows = [state for state in states for _ in range(tries)]
    said = written(agent, world, rows, by_codes(agent.model, fresh_seeds(rng, len(rows)), agent.config.max_tokens, 1.0))
    gained = gains(world, rows, said).reshape(count, tries)
    best = [said[row * tries + int(place)] for row, place in enumerate(gained.argmax(axis=1))]
    return {"search": facts(world, states, found), "samples": facts(world, states, best)}
