"""The known optimum of KL-regularised control, on a tree that can be enumerated.

With deterministic transitions (temperature 0) an episode's states form a tree of at most 1 + K + ... + K^(H-1) inner
states. For the objective E[sum of gamma^t (r_t - alpha KL(pi(.|x_t) || pi_ref(.|x_t)))] the best policy and its value
are known there, by recursion from the leaves [1]:

    Q(x, a) = r(x, a) + gamma V*(x'),   pi*(a|x) ∝ pi_ref(a|x) exp(Q(x, a) / alpha),
    V*(x) = alpha log sum_a pi_ref(a|x) exp(Q(x, a) / alpha)

An agent can therefore be verified, not just compared. All functions are pure.

[1] Todorov, "Linearly-solvable Markov decision problems", NeurIPS 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from baselines.reference import divergence
from eagle_gym.envs import transition
from eagle_gym.envs.observation import observe_latent
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StateTree:
    """Every state that an episode can reach. Of these, S are inner states, where an action is taken; the root is first.

    Attributes:
        observation: Latent observations, each `[S, ...]`.
        expected_utility: `[S, K]`, as the environment returns it.
        mask: `[S, K]` True where an action is offered.
        rewards: `[S, K]`, 0 off the mask.
        children: `[S, K]` inner state that an action leads to; -1 where the episode ends, and off the mask.
    """

    observation: dict[str, NDArray[np.float32]]
    expected_utility: Floats
    mask: NDArray[np.bool_]
    rewards: Floats
    children: NDArray[np.int64]


def enumerate_tree(world: World, root: State) -> StateTree:
    """Enumerate all that can follow a state, with one batched call of the language model for each level.

    Args:
        world: A world with the latent observation and temperature 0.
        root: The state in which episodes start.

    Raises:
        ConfigurationError: The language model samples, so states form no tree.
    """
    if world.settings.temperature != 0:
        raise ConfigurationError(f"expected temperature=0 for a tree, got {world.settings.temperature}")
    inner: list[State] = []
    edges: list[tuple[int, int, float, int]] = []  # state, action, reward, child
    level = [root]
    while level and not transition.is_over(world, level[0]):
        first = len(inner)
        inner += level
        moves = [(i, int(a)) for i, state in enumerate(level) for a in np.flatnonzero(state.action_set.mask)]
        before = [level[i] for i, _ in moves]
        level, rewards = transition.step(world, before, [action for _, action in moves], [0] * len(moves))
        over = transition.is_over(world, level[0])
        edges += [
            (first + i, action, reward, -1 if over else len(inner) + child)
            for child, ((i, action), reward) in enumerate(zip(moves, rewards, strict=True))
        ]
    shape = (len(inner), world.settings.actions)
    paid, children = np.zeros(shape), np.full(shape, -1)
    for state, action, reward, child in edges:
        paid[state, action], children[state, action] = reward, child
    return StateTree(
        observation=observe_latent(world, inner),
        expected_utility=transition.expected_utility(world, inner),
        mask=np.stack([state.action_set.mask for state in inner]).astype(np.bool_),
        rewards=paid,
        children=children,
    )


def action_values(tree: StateTree, values: Floats, gamma: float, rows: int | slice = slice(None)) -> Floats:
    """`Q [S, K]` (or some of its rows) from the values `[S]` of the states; -inf off the mask."""
    after = np.where(tree.children[rows] >= 0, values[tree.children[rows]], 0.0)
    return np.where(tree.mask[rows], tree.rewards[rows] + gamma * after, -np.inf)


def optimum(tree: StateTree, reference: Floats, alpha: float, gamma: float = 1.0) -> tuple[Floats, Floats]:
    """The best policy and its value.

    Args:
        tree: The states.
        reference: pi_ref, `[S, K]`, above 0 wherever the mask is True.
        alpha: Weight of the KL, above 0.
        gamma: Discount.

    Returns:
        `pi* [S, K]` and `V* [S]`.
    """
    values = np.zeros(len(tree.mask))
    with np.errstate(divide="ignore"):
        prior = np.log(np.where(tree.mask, reference, 0.0))
    for state in reversed(range(len(values))):  # children come after their parents
        values[state] = alpha * logsumexp(prior[state] + action_values(tree, values, gamma, state) / alpha)
    scores = prior + action_values(tree, values, gamma) / alpha
    return np.exp(scores - values[:, None] / alpha), values


def value_of(tree: StateTree, policy: Floats, reference: Floats, alpha: float, gamma: float = 1.0) -> Floats:
    """Value `[S]` of any policy `[S, K]` in the regularised objective."""
    values = np.zeros(len(tree.mask))
    cost = alpha * divergence(policy, reference)
    for state in reversed(range(len(values))):
        worth = np.where(tree.mask[state], action_values(tree, values, gamma, state), 0.0)
        values[state] = policy[state] @ worth - cost[state]
    return values


def visits(tree: StateTree, policy: Floats) -> Floats:
    """How often an episode comes to each state, `[S]`; the root once."""
    counts = np.zeros(len(tree.mask))
    counts[0] = 1.0
    for state in range(len(counts)):
        for action in np.flatnonzero(tree.children[state] >= 0):
            counts[tree.children[state, action]] += counts[state] * policy[state, action]
    return counts
