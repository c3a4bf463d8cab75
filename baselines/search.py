"""Planning with the language model itself: greedy lookahead, beam search and MCTS, each with a budget of its calls.

These agents do not learn. At every decision they imagine: they let the environment's own language model rewrite the
text as some of the offered prompts ask, and take the first action of what came out best. Every imagined branch has a
fresh seed from the agent's own generator, so that no plan sees the noise that the episode will meet. With a large
budget they are the oracles that learnt agents are measured by.

A plan is worth the utility of the text it ends with: rewards are differences of utility (or its last value), so nothing
else counts in the undiscounted return. Expected utilities, which the environment gives for nothing, say which actions
are tried first where the budget does not reach for all.

``budget`` counts imagined rewrites of an episode, shared equally among its decisions. Carrying the actions out adds one
for each step, and so does a rewrite that left plot English and is drawn again; the evaluation counts them all. The
environments of a batch plan together: a level of a beam, or a simulation of MCTS, is one batched call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.agent import AgentState, is_batched
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LookaheadConfig:
    """Greedy lookahead."""

    budget: int = 320
    """Imagined rewrites of an episode."""


@dataclass(frozen=True)
class BeamConfig:
    """Beam search."""

    budget: int = 320
    """Imagined rewrites of an episode."""
    width: int = 4
    """Texts that are kept at each level."""
    levels: int = 5
    """How many steps are looked ahead; fewer where the episode ends sooner."""

    def __post_init__(self) -> None:
        for name in ("width", "levels"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")


@dataclass(frozen=True)
class MCTSConfig:
    """Monte-Carlo tree search."""

    budget: int = 320
    """Imagined rewrites of an episode."""
    exploration: float = 1.0
    """Weight of the bonus of what was tried little, in ranges of the values found so far."""
    prior_temperature: float = 0.5
    """Of the prior over actions, the softmax of their expected utilities; in units of utility."""
    widening: float = 0.5
    """An action that was tried n times is imagined afresh until it has n to this power outcomes."""

    def __post_init__(self) -> None:
        if not (self.prior_temperature > 0 and self.exploration >= 0 and 0 <= self.widening <= 1):
            raise ConfigurationError(f"prior_temperature > 0, exploration >= 0 and 0 <= widening <= 1; {self} came")


class Search(ABC):
    """An agent that plans in the world of the environment that it acts in.

    Args:
        env: A vector environment of eagle_gym, or a single one; the observations come from it, in its present state.
        budget: Imagined rewrites of an episode.
        rng: For the seeds of what is imagined.

    Raises:
        ConfigurationError: The environment is of another kind, or the budget has no call for every decision.
    """

    def __init__(self, env: Any, budget: int, rng: np.random.Generator) -> None:  # noqa: ANN401
        base = env.unwrapped
        if not isinstance(base, EagleVectorEnv | EagleEnv):
            raise ConfigurationError(f"search plans in environments of eagle_gym; {type(base).__name__} came")
        horizon = base.settings.horizon
        if budget < horizon:
            raise ConfigurationError(
                f"a budget of {budget} rewrites has none for each of the {horizon} decisions of an episode"
            )
        self._env, self._rng = base, rng
        self.calls = budget // horizon

    @property
    def world(self) -> World:
        """Where the environment is, and its plans are."""
        return self._env.world

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Plan from where the environment stands; the observation only says how many decisions there are.

        Raises:
            ConfigurationError: The observation is not one of the environment that it plans in.
        """
        if not self._env.observation_space.contains(observation):
            raise ConfigurationError(
                f"this agent plans in the environment it was made with, whose observations are "
                f"{self._env.observation_space}; give it those, unchanged"
            )
        states = [self._env.state] if isinstance(self._env, EagleEnv) else self._env.states
        actions = np.zeros(len(states), np.int64)
        going = [i for i, there in enumerate(states) if not transition.is_over(self.world, there)]
        if going:
            actions[going] = self.plan([states[i] for i in going])
        return actions if is_batched(observation) or len(states) > 1 else actions[0], state

    @abstractmethod
    def plan(self, states: Sequence[State]) -> list[int]:
        """An action for each of these states, none of which is over, with at most ``calls`` rewrites each."""

    def seeds(self, count: int) -> list[int]:
        """Fresh seeds."""
        seeds: list[int] = self._rng.integers(SEEDS, size=count).tolist()
        return seeds

    def ranked(self, states: Sequence[State]) -> list[NDArray[np.int64]]:
        """The offered actions of each state, the highest expected utility first."""
        values = transition.expected_utility(self.world, states)
        return [np.argsort(-row, kind="stable")[: int(np.isfinite(row).sum())] for row in values]

    def imagine(self, moves: Sequence[tuple[State, int]]) -> list[State]:
        """Where these actions lead, each with a fresh seed; one batched call."""
        states, actions = [state for state, _ in moves], [action for _, action in moves]
        return transition.step(self.world, states, actions, self.seeds(len(moves)))[0]

    def outcomes(self, moves: Sequence[tuple[State, int]]) -> Floats:
        """Utility of the texts that these actions lead to; no action sets are built for them."""
        states, actions = [state for state, _ in moves], [action for _, action in moves]
        return utilities(self.world, transition.rewrite(self.world, states, actions, self.seeds(len(moves))))


def utilities(world: World, arrivals: Sequence[RawState]) -> Floats:
    """Utility of texts for their users, ``[B]``."""
    if not arrivals:
        return np.zeros(0)
    z = np.asarray(world.space.encoder.encode([arrival.text for arrival in arrivals]), np.float64)
    users = world.space.users[[arrival.user for arrival in arrivals]]
    return world.resources.utility(z, users, np.array([arrival.item for arrival in arrivals])).total


class Lookahead(Search):
    """Takes the action whose next text is best, each tried equally often; the mean of its tries counts.

    Args:
        env: As of :class:`Search`.
        config: Hyperparameters.
        rng: As of :class:`Search`.
    """

    def __init__(self, env: Any, config: LookaheadConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)

    def plan(self, states: Sequence[State]) -> list[int]:
        """One batched call."""
        tries = [np.resize(order, max(self.calls, 1)) for order in self.ranked(states)]
        moves = [(state, int(action)) for state, row in zip(states, tries, strict=True) for action in row]
        found = self.outcomes(moves).reshape(len(states), -1)
        chosen = []
        for actions, values in zip(tries, found, strict=True):
            tried = np.unique(actions)
            chosen.append(int(tried[np.argmax([values[actions == action].mean() for action in tried])]))
        return chosen


@dataclass(frozen=True)
class Branch:
    """A plan so far: its first action, a text it has come to, and the mean utility of such texts."""

    first: int
    state: State
    score: float


class Beam(Search):
    """Keeps the best texts of each level and starts towards the best of the last.

    The calls of a decision are shared equally among the levels, and those of a level among its texts. Where they reach
    for all actions of all texts several times over, each is imagined as often, and the mean counts: the best of many
    single tries would be the luckiest. The first of the tries is the text that is gone on with.

    Args:
        env: As of :class:`Search`.
        config: Hyperparameters.
        rng: As of :class:`Search`.
    """

    def __init__(self, env: Any, config: BeamConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)
        self._config = config

    def plan(self, states: Sequence[State]) -> list[int]:
        """One batched call a level; environments that stand at different steps are planned for apart."""
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
        beams = [[Branch(-1, state, state.total)] for state in states]
        for _ in range(levels):
            beams = self._grow([best_first(beam)[: min(self._config.width, share)] for beam in beams], share)
        return [best_first(beam)[0].first for beam in beams]

    def _grow(self, beams: list[list[Branch]], share: int) -> list[list[Branch]]:
        """One level: at most ``share`` calls for each beam, as many for each of its texts."""
        ranked = iter(self.ranked([branch.state for beam in beams for branch in beam]))
        pairs = [
            [(branch, int(action)) for branch in beam for action in next(ranked)[: share // len(beam)]]
            for beam in beams
        ]
        tries = [share // len(row) for row in pairs]
        moves = [
            (branch.state, action)
            for row, count in zip(pairs, tries, strict=True)
            for branch, action in row
            for _ in range(count)
        ]
        found = iter(self.imagine(moves))
        grown: list[list[Branch]] = [[] for _ in beams]
        for beam, row, count in zip(grown, pairs, tries, strict=True):
            for branch, action in row:
                states = [next(found) for _ in range(count)]
                score = float(np.mean([state.total for state in states]))
                beam.append(Branch(branch.first if branch.first >= 0 else action, states[0], score))
        return grown


def best_first(beam: Sequence[Branch]) -> list[Branch]:
    """The branches, the highest score first."""
    return sorted(beam, key=lambda branch: -branch.score)


@dataclass(eq=False)
class Node:
    """A text in a search tree, and what is known of its actions.

    Attributes:
        state: The text's state.
        actions: Offered actions; none where the episode ends.
        prior: Their prior probabilities.
        estimate: What the text is worth before anything is tried from it.
        outcomes: For each action the texts imagined so far.
        visits: For each action how often it was taken.
        sums: For each action the sum of the values that were found.
        seen: How often the text was passed.
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
class Range:
    """Lowest and highest value found in a tree."""

    low: float = np.inf
    high: float = -np.inf

    def include(self, value: float) -> None:
        """Widen it."""
        self.low, self.high = min(self.low, value), max(self.high, value)

    def scaled(self, values: Floats) -> Floats:
        """Values as shares of the range, 0 where it has no width."""
        width = self.high - self.low
        return (values - self.low) / width if width > 0 else np.zeros_like(values)


Path = list[tuple[Node, int]]  # texts, and the place of the action that was taken there


class MCTS(Search):
    """Monte-Carlo tree search with a prior (PUCT) and several imagined outcomes for an action (widening).

    A text that was just imagined is worth the highest expected utility of its actions, or its own utility where the
    episode ends with it. The action that was taken most is the plan.

    Args:
        env: As of :class:`Search`.
        config: Hyperparameters.
        rng: As of :class:`Search`.
    """

    def __init__(self, env: Any, config: MCTSConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        super().__init__(env, config.budget, rng)
        self._config = config

    def plan(self, states: Sequence[State]) -> list[int]:
        """One batched call a simulation, all environments together."""
        roots, ranges = self._nodes(states), [Range() for _ in states]
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
                settle(path, end, limits)
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

    def _descend(self, root: Node, limits: Range) -> tuple[Path, Node | None]:
        """From the root to an action that is to be imagined (None), or to a text with which the episode ends."""
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

    def _select(self, node: Node, limits: Range) -> int:
        taken = node.visits.sum()
        untried = node.sums.sum() / taken if taken else node.estimate
        means = np.divide(node.sums, node.visits, out=np.full(len(node.sums), untried), where=node.visits > 0)
        bonus = self._config.exploration * node.prior * np.sqrt(taken + 1) / (1 + node.visits)
        return int(np.argmax(limits.scaled(means) + bonus))


def settle(path: Path, end: Node, limits: Range) -> None:
    """Let the value of where a path has ended count for everything on it."""
    limits.include(end.estimate)
    end.seen += 1
    for node, place in path:
        node.seen += 1
        node.visits[place] += 1
        node.sums[place] += end.estimate


def best_place(node: Node) -> int:
    """The action taken most; of equals the one with the highest mean."""
    means = np.divide(node.sums, node.visits, out=np.full(len(node.sums), -np.inf), where=node.visits > 0)
    return int(np.lexsort((means, node.visits))[-1])
