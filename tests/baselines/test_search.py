"""Search: optimal where the answer is known, within its budget, on seeds of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from baselines.evaluate import evaluate
from baselines.reference import Uniform, uniform_probabilities
from baselines.search import MCTS, Beam, BeamConfig, Lookahead, LookaheadConfig, MCTSConfig, Search
from baselines.worlds import utilities
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import Prompt
from tests.baselines.closed_form import enumerate_tree, optimum
from tests.fake_worlds import ScriptedModel, make_tiny_world
from tests.fakes import KnownVectorEnv


def sure_world() -> World:
    return make_tiny_world(observation="latent", temperature=0.0, actions=4, horizon=3)


@pytest.mark.parametrize(
    ("make", "share"),
    [
        (lambda envs, rng: Beam(envs, BeamConfig(budget=3 * 3 * 64, width=64), rng), 1.0),
        (lambda envs, rng: MCTS(envs, MCTSConfig(budget=3 * 100, prior_temperature=10), rng), 0.95),
    ],
    ids=["beam", "mcts"],
)
def test_a_large_budget_finds_the_best_plan(make, share: float) -> None:
    """The best plan is known: it is the closed form's at a temperature near 0."""
    world = sure_world()
    envs = EagleVectorEnv.from_world(world, num_envs=6)
    rows = evaluate(make(envs, np.random.default_rng(0)), envs, method="x", episodes=6, first_seed=3).rows
    best = []
    for row in rows:
        start = [world.catalog.user_index(row.user), world.catalog.item_index(row.item)]
        tree = enumerate_tree(world, transition.make_states(world, [RawState(row.texts[0], *start)])[0])
        best.append(optimum(tree, uniform_probabilities(tree.mask), alpha=1e-4)[1][0])
    gains = np.array([row.gain for row in rows])
    assert np.all(gains <= np.array(best) + 0.01)
    assert gains.mean() >= share * np.mean(best) - 0.01


def test_lookahead_takes_the_best_next_text() -> None:
    world = sure_world()
    envs = EagleVectorEnv.from_world(world, num_envs=4)
    observation, _ = envs.reset(seed=0)
    agent = Lookahead(envs, LookaheadConfig(budget=12), np.random.default_rng(0))
    actions, _ = agent.predict(observation)
    for state, action in zip(envs.states, actions, strict=True):
        after, _ = transition.step(world, [state] * 4, list(range(4)), [0] * 4)
        assert after[action].total == max(there.total for there in after)


def test_lookahead_averages_over_its_tries() -> None:
    """An action that is best on average is taken, not one that was lucky once."""

    class Gamble(Lookahead):
        def ranked(self, states):
            return [np.array([0, 1]) for _ in states]

        def outcomes(self, moves):
            luck = iter([10.0, -10.0, -10.0, -10.0])
            texts = [RawState(state.text, state.user, state.item) for state, _ in moves]
            return [(text, next(luck) if action == 0 else 1.0) for text, (_, action) in zip(texts, moves, strict=True)]

    envs = EagleVectorEnv.from_world(sure_world(), num_envs=1)
    observation, _ = envs.reset(seed=0)
    actions, _ = Gamble(envs, LookaheadConfig(budget=3 * 8), np.random.default_rng(0)).predict(observation)
    assert actions.tolist() == [1]


AGENTS = [
    lambda envs, budget: Lookahead(envs, LookaheadConfig(budget), np.random.default_rng(0)),
    lambda envs, budget: Beam(envs, BeamConfig(budget, width=3), np.random.default_rng(0)),
    lambda envs, budget: MCTS(envs, MCTSConfig(budget), np.random.default_rng(0)),
]
NAMES = ["lookahead", "beam", "mcts"]


@pytest.mark.parametrize("budget", [3, 10, 60])
@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_budgets_are_kept(make, budget: int) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
    done = evaluate(make(envs, budget), envs, method="x", episodes=4)
    imagined = done.cost.calls / 4 - 3  # an episode's own steps are not imagined
    assert 3 <= imagined <= budget


@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_search_gains_more_than_chance_in_a_noisy_world(make) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=8)
    found = np.mean([row.gain for row in evaluate(make(envs, 60), envs, method="x", episodes=8).rows])
    chance = evaluate(Uniform(np.random.default_rng(0)), envs, method="uniform", episodes=8).rows
    assert found > np.mean([row.gain for row in chance]) + 0.5


class Watched(ScriptedModel):
    """Writes down every seed."""

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0):
        self.seen = [*getattr(self, "seen", []), *seeds]
        return super().generate(prompts, seeds, temperature=temperature)


@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_plans_do_not_see_the_noise_of_the_episode(make) -> None:
    model = Watched()
    envs = EagleVectorEnv.from_world(make_tiny_world(model, observation="latent"), num_envs=2)
    rows = evaluate(make(envs, 30), envs, method="x", episodes=2, first_seed=5).rows
    assert len(set(model.seen)) == len(model.seen), "a seed was used twice"
    # The episode is the one that its actions make without any search.
    plain = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
    _, infos = plain.reset(seed=5)
    for step in range(3):
        actions = [infos["edits"][i].index(row.edits[step]) for i, row in enumerate(rows)]
        _, _, _, _, infos = plain.step(np.array(actions))
    assert [row.texts[-1] for row in rows] == infos["text"].tolist()


@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_plans_depend_on_their_generator_alone(make) -> None:
    runs = []
    for _ in range(2):
        envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
        runs.append([row.edits for row in evaluate(make(envs, 40), envs, method="x", episodes=2).rows])
    assert runs[0] == runs[1]


def test_beam_with_a_small_budget_keeps_to_it_and_sees_less_far() -> None:
    envs = EagleVectorEnv.from_world(sure_world(), num_envs=1)
    observation, _ = envs.reset(seed=0)
    before = envs.usage.calls
    Beam(envs, BeamConfig(budget=6, width=4), np.random.default_rng(0)).predict(observation)
    assert envs.usage.calls - before == 2


def test_the_luckiest_plan_is_not_the_best_one() -> None:
    """A beam imagines a plan several times where its budget allows, and goes by the mean."""
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=1)
    envs.reset(seed=0)

    class Gamble(Beam):
        def ranked(self, states):
            return [np.array([0, 1]) for _ in states]

        def outcomes(self, moves):
            luck = iter([10.0, -10.0, -10.0])
            return [
                (RawState(state.text, state.user, state.item), next(luck) if action == 0 else 1.0)
                for state, action in moves
            ]

    agent = Gamble(envs, BeamConfig(budget=3 * 6, levels=1), np.random.default_rng(0))
    assert agent.plan(envs.states) == [1]


def test_only_offered_actions_are_planned() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent", task="easy"), num_envs=1)
    envs.reset(seed=0)
    agent = Lookahead(envs, LookaheadConfig(budget=60), np.random.default_rng(0))
    ranks = agent.ranked(envs.states)[0]
    values = envs.expected_utility()[0]
    assert sorted(ranks) == np.flatnonzero(np.isfinite(values)).tolist()
    assert values[ranks[0]] == values[np.isfinite(values)].max()


@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_a_single_environment(make) -> None:
    env = EagleEnv.from_world(make_tiny_world(observation="latent"))
    observation, _ = env.reset(seed=0)
    agent: Search = make(env, 12)
    action, _ = agent.predict(observation)
    assert np.ndim(action) == 0
    assert env.action_masks()[action]


@pytest.mark.parametrize("make", AGENTS, ids=NAMES)
def test_observations_of_another_environment_are_refused(make) -> None:
    for observation, other in (("latent", "text"), ("text", "latent")):
        envs = EagleVectorEnv.from_world(make_tiny_world(observation=observation), num_envs=2)
        here, _ = envs.reset(seed=0)
        agent: Search = make(envs, 12)
        assert agent.predict(here)[0].shape == (2,)
        for settings, rows in (({"observation": other}, 2), ({"observation": observation}, 3)):
            there = EagleVectorEnv.from_world(make_tiny_world(**settings), num_envs=rows).reset(seed=0)[0]
            with pytest.raises(ConfigurationError, match="expected an observation of"):
                agent.predict(there)
        with pytest.raises(ConfigurationError, match="expected an observation of"):
            agent.predict(KnownVectorEnv(num_envs=2).reset(seed=0)[0])


def test_utilities_are_those_of_the_states() -> None:
    world = make_tiny_world(observation="latent")
    starts = [transition.sample_start(world, np.random.default_rng(seed)) for seed in range(3)]
    totals = [state.total for state in transition.make_states(world, starts)]
    np.testing.assert_allclose(utilities(world, starts), totals)


def test_what_cannot_be_searched_is_named() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigurationError, match="KnownVectorEnv"):
        Lookahead(KnownVectorEnv(), LookaheadConfig(), rng)
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=1)
    with pytest.raises(ConfigurationError, match="budget: expected at least 3 rewrites, one for each step, got 2"):
        MCTS(envs, MCTSConfig(budget=2), rng)
    for wrong in (lambda: BeamConfig(width=0), lambda: MCTSConfig(prior_temperature=0.0)):
        with pytest.raises(ConfigurationError):
            wrong()
