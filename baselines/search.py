"""Planning with the language model: greedy lookahead, beam search and MCTS, each with a budget of model calls.

These agents do not learn. At every decision they imagine rewrites: the environment's own language model makes some of
the offered edits, and the agent takes the first action of the plan with the best result. Every imagined branch has a
new seed from the agent's own generator, so no plan sees the noise of the episode itself. With a large budget, these
agents are the oracles that learnt agents are compared with.

A plan is worth the utility of its last text: rewards are differences of utility (or its last value), so nothing else
counts in the undiscounted return. Expected utilities, which cost no model call, decide which actions are tried first
if the budget does not suffice for all.

`budget` counts the imagined rewrites of an episode, which are divided equally among its decisions. Each step that is
taken adds one rewrite, and so does a rewrite that left plot English and is drawn again; the evaluation counts them all.
The environments of a batch plan together: a level of a beam, or a simulation of MCTS, is one batched call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.agent import AgentState, is_batched
from baselines.config import check_above, check_at_least
from baselines.worlds import fresh_seeds, utilities
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LookaheadConfig:
    """Greedy lookahead."""

    budget: int = 320
    """Imagined rewrites for an episode."""


@dataclass(frozen=True)
class BeamConfig:
    """Beam search."""

    budget: int = 320
    """Imagined rewrites for an episode."""
    width: int = 4
    """Texts kept at each level."""
    levels: int = 5
    """Steps to look ahead; fewer if the episode ends sooner."""

    def __post_init__(self) -> None:
        check_at_least(self, 1, "width", "levels")


@dataclass(frozen=True)
class MCTSConfig:
    """Monte-Carlo tree search."""

    budget: int = 320
    """Imagined rewrites for an episode."""
    exploration: float = 1.0
    """Weight of the bonus for rarely tried actions, in ranges of the values found so far."""
    prior_temperature: float = 0.5
    """Temperature of the prior, a softmax of the actions' expected utilities; in units of utility."""
    widening: float = 0.5
    """Progressive widening: an action that was tried n times has at most n to this power imagined outcomes."""

    def __post_init__(self) -> None:
        check_above(self, 0, "prior_temperature")
        check_at_least(self, 0, "exploration", "widening")
        if self.widening > 1:
            raise ConfigurationError(f"widening: expected at most 1, got {self.widening}")


class Search(ABC):
    """An agent that plans in the world of the environment it acts in.

    Args:
        env: A vector environment of eagle_gym, or a single one, in whose current state the agent acts.
        budget: Imagined rewrites for an episode.
        rng: Generator of the seeds of imagined rewrites.

    Raises:
        ConfigurationError: The environment is of another kind, or the budget is below one rewrite for each decision.
    """

    def __init__(self, env: Any, budget: int, rng: np.random.Generator) -> None:  # noqa: ANN401
        base = env.unwrapped
        if not isinstance(base, EagleVectorEnv | EagleEnv):
            raise ConfigurationError(f"expected an environment of eagle_gym, got {type(base).__name__}")
        horizon = base.settings.horizon
        if budget < horizon:
            raise ConfigurationError(f"budget: expected at least {horizon} rewrites, one for each step, got {budget}")
        self._env, self._rng = base, rng
        self.calls = budget // horizon

    @property
    def world(self) -> World:
        """The world of the environment and of the plans."""
        return self._env.world

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Plan from the environment's current state; the observation only says how many decisions there are.

        Raises:
            ConfigurationError: The observation is not one of the environment that it plans in.
        """
        if not self._env.observation_space.contains(observation):
            raise ConfigurationError(
                f"expected an observation of {self._env.observation_space}, the environment that this agent was made "
                "with: pass its observations unchanged"
            )
        states = [self._env.state] if isinstance(self._env, EagleEnv) else self._env.states
        actions = np.zeros(len(states), np.int64)
        unfinished = [i for i, some in enumerate(states) if not transition.is_over(self.world, some)]
        if unfinished:
            actions[unfinished] = self.plan([states[i] for i in unfinished])
        return actions if is_batched(observation) or len(states) > 1 else actions[0], state

    @abstractmethod
    def plan(self, states: Sequence[State]) -> list[int]:
        """Choose an action for each of these unfinished states, with at most `calls` rewrites each."""

    def ranked(self, states: Sequence[State]) -> list[NDArray[np.int64]]:
        """The offered actions of each state, by descending expected utility."""
        values = transition.expected_utility(self.world, states)
        return [np.argsort(-row, kind="stable")[: int(np.isfinite(row).sum())] for row in values]

    def imagine(self, moves: Sequence[tuple[State, int]]) -> list[State]:
        """The states that these actions lead to, each with a new seed; one batched call."""
        states, actions = [state for state, _ in moves], [action for _, action in moves]
        return transition.step(self.world, states, actions, fresh_seeds(self._rng, len(moves)))[0]

    def outcomes(self, moves: Sequence[tuple[State, int]]) -> list[tuple[RawState, float]]:
        """The texts that these actions lead to, each with a new seed, and their utilities; no action set is built."""
        states, actions = [state for state, _ in moves], [action for _, action in moves]
        texts = transition.rewrite(self.world, states, actions, fresh_seeds(self._rng, len(moves)))
        totals = utilities(self.world, texts).tolist()
        return [
            (text, transition.capped(self.world, state, total, text.valid))
            for state, text, total in zip(states, texts, totals, strict=True)
        ]


class Lookahead(Search):
    """Tries the actions equally often and takes the one whose next texts have the highest mean utility.

    Args:
        env: As for `Search`.
        config: Hyperparameters.
        rng: As for `Search`.
    """

    def __init__(self, env: Any, config: LookaheadConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)

    def plan(self, states: Sequence[State]) -> list[int]:
        """Choose actions with one batched call."""
        tries = [np.resize(order, max(self.calls, 1)) for order in self.ranked(states)]
        moves = [(state, int(action)) for state, row in zip(states, tries, strict=True) for action in row]
        found = np.array([value for _, value in self.outcomes(moves)]).reshape(len(states), -1)
        chosen = []
        for actions, values in zip(tries, found, strict=True):
            tried = np.unique(actions)
            chosen.append(int(tried[np.argmax([values[actions == action].mean() for action in tried])]))
        return chosen


@dataclass(frozen=True)
class Branch:
    """A partial plan: its first action, a text that it leads to, and the mean utility of such texts."""

    first: int
    text: RawState
    score: float


class Beam(Search):
    """Keeps the best texts of each level and takes the first action towards the best text of the last level.

    The calls of a decision are divided equally among the levels, and those of a level among its texts. If they suffice
    for all actions of all texts several times over, each action is imagined as often and its mean counts, because the
    best of many single tries would be the luckiest. The search continues from the first of the tries. Action sets are
    built for the texts that are kept only.

    Args:
        env: As for `Search`.
        config: Hyperparameters.
        rng: As for `Search`.
    """

    def __init__(self, env: Any, config: BeamConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)
        self._config = config

    def plan(self, states: Sequence[State]) -> list[int]:
        """Choose actions with one batched call for each level; each step of the episode is planned separately."""
        chosen = dict.fromkeys(range(len(states)), 0)
        for step in {state.step for state in states}:
            rows = [i for i, state in enumerate(states) if state.step == step]
            for i, action in zip(rows, self._plan([states[i] for i in rows]), strict=True):
                chosen[i] = action
        return list(chosen.values())

    def _plan(self, states: Sequence[State]) -> list[int]:
        left = self.world.settings.horizon - states[0].step
        levels = min(self._config.levels, left, self.calls)
        share = self.calls // levels
        width = min(self._config.width, share)
        firsts, kept = [[-1] for _ in states], [[state] for state in states]
        for level in range(levels):
            beams = self._grow(firsts, kept, share)
            firsts = [[branch.first for branch in beam[:width]] for beam in beams]
            if level < levels - 1:
                found = iter(transition.make_states(self.world, [b.text for beam in beams for b in beam[:width]]))
                kept = [[next(found) for _ in row] for row in firsts]
        return [row[0] for row in firsts]

    def _grow(self, firsts: list[list[int]], kept: list[list[State]], share: int) -> list[list[Branch]]:
        """Grow one level with at most `share` calls for each beam, divided equally among its texts; best first."""
        ranked = iter(self.ranked([state for row in kept for state in row]))
        pairs = [
            [
                (first, state, int(action))
                for first, state in zip(own, row, strict=True)
                for action in next(ranked)[: share // len(row)]
            ]
            for own, row in zip(firsts, kept, strict=True)
        ]
        tries = [share // len(row) for row in pairs]
        moves = [
            (state, action)
            for row, count in zip(pairs, tries, strict=True)
            for _, state, action in row
            for _ in range(count)
        ]
        found = iter(self.outcomes(moves))
        return [
            best_first([_branch(first, action, [next(found) for _ in range(count)]) for first, _, action in row])
            for row, count in zip(pairs, tries, strict=True)
        ]


def _branch(first: int, action: int, tries: Sequence[tuple[RawState, float]]) -> Branch:
    return Branch(first if first >= 0 else action, tries[0][0], float(np.mean([value for _, value in tries])))


def best_first(beam: Sequence[Branch]) -> list[Branch]:
    """The branches, by descending score."""
    return sorted(beam, key=lambda branch: -branch.score)


@dataclass(eq=False)
class Node:
    """A text in a search tree, with the statistics of its actions.

    Attributes:
        state: The text's state.
        actions: Offered actions; none if the episode is over.
        prior: Their prior probabilities.
        estimate: Value of the text before anything is tried from it.
        outcomes: The texts imagined so far, for each action.
        visits: How often each action was taken.
        sums: Sum of the values found, for each action.
        seen: How often a simulation visited the text.
    """

    state: State
    actions: NDArray[np.int64]
    prior: Floats
    estimate: float
    outcomes: list[list[Node]]
    visits: Floats
    sums: Floats
    seen: int = 0


@dataclass
class ValueRange:
    """Lowest and highest value found in a tree."""

    low: float = np.inf
    high: float = -np.inf

    def include(self, value: float) -> None:  # noqa: D102
        self.low, self.high = min(self.low, value), max(self.high, value)

    def scaled(self, values: Floats) -> Floats:
        """Values scaled to [0, 1] by the range; 0 if the range is empty."""
        width = self.high - self.low
        return (values - self.low) / width if width > 0 else np.zeros_like(values)


Path = list[tuple[Node, int]]  # texts, and the index of the action that was taken at each


class MCTS(Search):
    """Monte-Carlo tree search with a prior (PUCT) and several imagined outcomes for an action (progressive widening).

    The value of a new text is the highest expected utility of its actions, or its own utility if the episode ends with
    it. The action that was taken most often is chosen.

    Args:
        env: As for `Search`.
        config: Hyperparameters.
        rng: As for `Search`.
    """

    def __init__(self, env: Any, config: MCTSConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)
        self._config = config

    def plan(self, states: Sequence[State]) -> list[int]:
        """Choose actions with one batched call for each simulation of all environments."""
        roots, ranges = self._nodes(states), [ValueRange() for _ in states]
        for _ in range(self.calls):
            descents = [self._descend(root, limits) for root, limits in zip(roots, ranges, strict=True)]
            grows = [path for path, end in descents if end is None]
            moves = [(node.state, int(node.actions[place])) for node, place in (path[-1] for path in grows)]
            fresh = iter(self._nodes(self.imagine(moves)) if moves else [])
            for (path, end), limits in zip(descents, ranges, strict=True):
                if end is None:
                    end = next(fresh)
                    node, place = path[-1]
                    node.outcomes[place].append(end)
                backup(path, end, limits)
        return [int(root.actions[best_place(root)]) for root in roots]

    def _nodes(self, states: Sequence[State]) -> list[Node]:
        values = transition.expected_utility(self.world, states)
        return [self._node(state, row) for state, row in zip(states, values, strict=True)]

    def _node(self, state: State, values: Floats) -> Node:
        over = transition.is_over(self.world, state)
        actions = np.zeros(0, np.int64) if over else np.flatnonzero(np.isfinite(values))
        scores = values[actions] / self._config.prior_temperature
        prior = np.exp(scores - scores.max(initial=-np.inf))
        count = len(actions)
        return Node(
            state=state,
            actions=actions,
            prior=prior / prior.sum() if count else prior,
            estimate=state.total if over else float(values[actions].max()),
            outcomes=[[] for _ in actions],
            visits=np.zeros(count),
            sums=np.zeros(count),
        )

    def _descend(self, root: Node, limits: ValueRange) -> tuple[Path, Node | None]:
        """Descend from the root to an action to be imagined (None), or to a text that ends the episode."""
        path: Path = []
        node = root
        while len(node.actions):
            place = self._select(node, limits)
            path.append((node, place))
            outcomes = node.outcomes[place]
            if len(outcomes) < max(1.0, node.visits[place] ** self._config.widening):
                return path, None
            node = min(outcomes, key=lambda outcome: outcome.seen)  # samples are equally likely
        return path, node

    def _select(self, node: Node, limits: ValueRange) -> int:
        taken = node.visits.sum()
        untried = node.sums.sum() / taken if taken else node.estimate
        means = np.divide(node.sums, node.visits, out=np.full(len(node.sums), untried), where=node.visits > 0)
        bonus = self._config.exploration * node.prior * np.sqrt(taken + 1) / (1 + node.visits)
        return int(np.argmax(limits.scaled(means) + bonus))


def backup(path: Path, end: Node, limits: ValueRange) -> None:
    """Add the value of a path's end to the statistics of everything on the path."""
    limits.include(end.estimate)
    end.seen += 1
    for node, place in path:
        node.seen += 1
        node.visits[place] += 1
        node.sums[place] += end.estimate


def best_place(node: Node) -> int:
    """Index of the action that was taken most often; of equals, the one with the highest mean."""
    means = np.divide(node.sums, node.visits, out=np.full(len(node.sums), -np.inf), where=node.visits > 0)
    return int(np.lexsort((means, node.visits))[-1])
