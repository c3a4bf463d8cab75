"""Writers: what they hand in is scored as an agent's last text, and what they use is counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from baselines.evaluate import evaluate
from baselines.reference import Uniform
from baselines.writers import BestOfN, BestOfNConfig, ProfileConfig, ProfileRewrite, latent
from eagle_gym import plot_english
from eagle_gym.envs import transition
from eagle_gym.envs.spaces import REQUIRED_KEYS
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import ScriptedModel, make_tiny_world
from tests.fakes import KnownVectorEnv


def make_envs(model: ScriptedModel | None = None, num_envs: int = 2, **settings: object) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(model, observation="latent", **settings), num_envs=num_envs)


@pytest.mark.parametrize("reference", ["uniform", "optimistic", "g_optimal"])
def test_best_of_n_is_the_best_of_n_episodes(reference: str) -> None:
    envs = make_envs()
    config = BestOfNConfig(budget=20, reference=reference)
    done = evaluate(BestOfN(envs, config, np.random.default_rng(0)), envs, method="best", episodes=4, first_seed=9)
    assert done.cost.calls == 4 * 6 * 3  # six whole episodes of three steps fit into twenty rewrites
    for row in done.rows:
        assert (row.steps, len(row.texts), row.valid) == (3, 4, True)
        assert row.gain == pytest.approx(row.utilities[-1] - row.utilities[0])
        assert row.gain == pytest.approx(row.affinity_gain + row.novelty_gain)


def test_more_episodes_are_better() -> None:
    envs = make_envs(num_envs=8)
    gains = []
    for budget in (3, 60):
        writer = BestOfN(envs, BestOfNConfig(budget), np.random.default_rng(0))
        gains.append(np.mean([row.gain for row in evaluate(writer, envs, method="best", episodes=8).rows]))
    assert gains[1] > gains[0] + 1.0


def test_writers_meet_the_episodes_that_agents_meet() -> None:
    envs = make_envs()
    written = evaluate(ProfileRewrite(envs, ProfileConfig(), np.random.default_rng(0)), envs, method="p", episodes=4)
    acted = evaluate(Uniform(np.random.default_rng(0)), envs, method="u", episodes=4)
    for a, b in zip(written.rows, acted.rows, strict=True):
        assert (a.episode, a.user, a.item, a.texts[0]) == (b.episode, b.user, b.item, b.texts[0])
        assert a.start_percentile == b.start_percentile
        assert a.utilities[0] == pytest.approx(b.utilities[0])
        assert len(a.z) == 2
        np.testing.assert_allclose(a.z[0], b.z[0], rtol=1e-6)


class First:
    """Takes the first action, whatever it is shown."""

    def predict(self, observation: object, state: None = None, **_: object) -> tuple[np.ndarray, None]:
        return np.zeros(2, np.int64), state


def test_embeddings_are_the_same_whatever_is_observed() -> None:
    rows = []
    for observation in ("latent", "text"):
        envs = EagleVectorEnv.from_world(make_tiny_world(observation=observation), num_envs=2)
        rows.append(evaluate(First(), envs, method="first", episodes=2).rows)
    assert [row.texts for row in rows[0]] == [row.texts for row in rows[1]]
    np.testing.assert_allclose([row.z for row in rows[0]], [row.z for row in rows[1]], rtol=1e-6)


class Watched(ScriptedModel):
    """Keeps every prompt."""

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0):
        self.asked = [*getattr(self, "asked", []), *prompts]
        return super().generate(prompts, seeds, temperature=temperature)


def test_a_model_of_plot_english_proposes_for_the_profile_and_edits() -> None:
    model = Watched()
    envs = make_envs(model)
    done = evaluate(ProfileRewrite(envs, ProfileConfig(), np.random.default_rng(0)), envs, method="p", episodes=2)
    assert [prompt.task for prompt in model.asked] == ["propose", "propose", "rewrite", "rewrite"]
    assert done.cost.calls == 4
    for prompt, row in zip(model.asked, done.rows, strict=False):
        assert prompt.profile.startswith("This viewer") or plot_english.parse_profile(prompt.profile)
        assert (row.steps, len(row.texts)) == (1, 2)
        assert row.edits[0]


def test_a_model_of_plot_english_never_sees_tags_and_its_drafts_keep_them() -> None:
    model = Watched()
    envs = make_envs(model)
    writer = ProfileRewrite(envs, ProfileConfig(), np.random.default_rng(0))
    states = transition.make_states(envs.world, [RawState("A western film. Tags: odd, quirky.", 0, -1)])
    (draft,) = writer.write(states)
    assert [prompt.text for prompt in model.asked] == ["A western film."] * 2
    assert draft.states[-1].text.endswith(" Tags: odd, quirky.")


def test_a_general_model_is_told_the_profile() -> None:
    model = Watched()
    model.language = "free"
    envs = make_envs(model)
    observation_free = ProfileRewrite(envs, ProfileConfig(), np.random.default_rng(0))
    evaluate(observation_free, envs, method="p", episodes=2)
    assert [prompt.task for prompt in model.asked] == ["rewrite", "rewrite"]
    profiles = [envs.world.resources.profile(user) for user in range(6)]
    for prompt in model.asked:
        assert any(prompt.edit.endswith(profile) for profile in profiles)


def test_what_policies_read_is_what_the_environment_shows() -> None:
    envs = make_envs()
    observation, _ = envs.reset(seed=0)
    read = latent(envs.states)
    assert set(read) == set(REQUIRED_KEYS)
    for key in REQUIRED_KEYS:
        np.testing.assert_allclose(read[key], observation[key], rtol=1e-6)


def test_what_cannot_be_written_is_named() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigurationError, match="KnownVectorEnv"):
        BestOfN(KnownVectorEnv(), BestOfNConfig(), rng)
    with pytest.raises(ConfigurationError, match="expected at least 3 rewrites"):
        BestOfN(make_envs(), BestOfNConfig(budget=2), rng)
    with pytest.raises(ConfigurationError, match="reference: expected one of"):
        BestOfNConfig(reference="no_op")


def test_a_rewrite_from_the_profile_needs_to_be_shown_it() -> None:
    env = EagleVectorEnv.from_world(make_tiny_world(task="hidden"), num_envs=1)
    with pytest.raises(ConfigurationError, match="expected taste='shown', got 'hidden'"):
        ProfileRewrite(env, ProfileConfig(), np.random.default_rng(0))
