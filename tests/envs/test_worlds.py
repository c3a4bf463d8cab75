"""Real worlds: the embedded one, MovieLens, a table; nothing on the path is a fake."""

from __future__ import annotations

import ast
import csv
import gc
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import eagle_gym
from eagle_gym import plot_english
from eagle_gym.actions.surrogate import fit as fitting
from eagle_gym.actions.surrogate import store as store
from eagle_gym.actions.surrogate.make import split_texts
from eagle_gym.envs import checks
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError, TextError
from eagle_gym.language.transformers import TransformersModel
from tests.trajectories import digests

MOVIELENS = Path(__file__).parents[3] / "shared/data/ml-latest-small"
SMALL = {"actions": 6, "pool": 20, "horizon": 3}
SHIPPED = SMALL | {"prepare": "never"}  # all parts are in the package
PLOTS = "EagleGym/Plots-v0"


def test_the_five_lines_of_the_readme(plots: World) -> None:
    env = gym.make(PLOTS, prepare="never")
    observation, info = env.reset(seed=0)
    assert isinstance(observation, str)
    assert observation in env.observation_space
    following, reward, terminated, truncated, info = env.step(3)
    assert following != observation
    assert isinstance(reward, float)
    assert not terminated
    assert not truncated
    assert plot_english.read(info["text"]).pairs()


@pytest.mark.parametrize("observation", ["text", "latent"])
def test_gymnasiums_checker_warnings_as_errors(plots: World, observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(PLOTS, observation=observation, prepare="never").unwrapped)


def test_sb3s_checker_warnings_as_errors(plots: World) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.sb3_latent(PLOTS, {"prepare": "never"})


def test_spec_round_trip(plots: World) -> None:
    checks.spec_round_trip(PLOTS, SHIPPED | {"utility_kwargs": {"weight": 0.5}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = gym.make_vec(PLOTS, num_envs=2, autoreset_mode="SameStep", **SHIPPED)
    spec = gym.envs.registration.EnvSpec.from_json(envs.spec.to_json())
    twin = gym.make_vec(spec)
    assert data_equivalence(envs.reset(seed=0), twin.reset(seed=0), exact=True)


@pytest.mark.slow
def test_vector_equals_single_environments(plots: World) -> None:
    checks.vector_equals_single(PLOTS, SHIPPED | {"horizon": 1}, num_envs=2, steps=2)


def test_copies_share_what_is_heavy_and_close_what_they_opened(plots: World) -> None:
    one, other = gym.make(PLOTS).unwrapped, gym.make(PLOTS, observation="latent", split="test").unwrapped
    assert one.world.resources is other.world.resources is plots.resources
    assert set(one.world.users).isdisjoint(other.world.users)
    assert set(one.world.items).isdisjoint(other.world.items)
    one.close()
    other.reset(seed=0)


def test_worlds_with_other_action_sets_share_catalog_and_space(plots: World) -> None:
    env = gym.make(PLOTS, **SHIPPED, effects="rollout").unwrapped
    assert env.world.resources is not plots.resources
    assert env.world.catalog is plots.catalog
    assert env.world.space is plots.space
    assert env.world.model is not plots.model, "each counts its own calls"


def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransformersModel, "__init__", lambda *a, **k: pytest.fail("a language model was loaded"))


def test_a_recorded_episode_is_replayed_without_the_model(
    plots: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "calls.jsonl")
    env = gym.make(PLOTS, **SHIPPED, record=path, max_calls=50)
    episode = [env.reset(seed=3), *(env.step(action) for action in (4, 0, 2))]
    assert env.unwrapped.deterministic
    no_model(monkeypatch)
    replayed = gym.make(PLOTS, **SHIPPED, language_model=f"replay:{path}")
    again = [replayed.reset(seed=3), *(replayed.step(action) for action in (4, 0, 2))]
    assert data_equivalence(episode, again, exact=True)
    assert replayed.unwrapped.deterministic
    assert replayed.unwrapped.world.resources.speaks_plot_english
    assert replayed.unwrapped.world.resources.surrogate_quality == plots.resources.surrogate_quality
    with pytest.raises(TextError):
        replayed.reset(options={"text": "Ein Film."})
    envs = gym.make_vec(PLOTS, num_envs=2, **SHIPPED, language_model=f"replay:{path}")
    envs.reset(seed=[3, 3])
    assert set(envs.step(np.array([4, 4]))[4]["text"]) == {episode[1][4]["text"]}
    replayed.reset(seed=3)
    with pytest.raises(LanguageModelError, match="nearest"):
        replayed.step(1)


def test_budgets_stop_with_an_error_and_prices_make_costs(plots: World) -> None:
    env = gym.make(PLOTS, **SHIPPED, max_tokens=1, prompt_price=1.0, completion_price=2.0).unwrapped
    env.reset(seed=0)
    env.step(0)
    usage = env.usage
    assert usage.cost == pytest.approx((usage.prompt_tokens + 2 * usage.completion_tokens) / 1e6)
    before = env.get_state()
    with pytest.raises(LanguageModelError, match="max_tokens=1 is used up"):
        env.step(0)
    assert env.get_state() == before
    env = gym.make(PLOTS, **SHIPPED, max_calls=0).unwrapped
    env.reset(seed=0)
    with pytest.raises(LanguageModelError, match="max_calls=0"):
        env.step(0)


def test_the_model_is_closed_with_the_last_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(TransformersModel, "close", lambda self: closed.append(self))
    # Settings that nobody else holds open.
    env = eagle_gym.EagleEnv(**SHIPPED, temperature=0.5, effects="rollout")
    twin = pickle.loads(pickle.dumps(env))
    model = env.world.model
    env.close()
    assert not closed
    twin.close()
    gc.collect()
    assert closed == [model]


def test_pickling_reopens_the_world_and_goes_on(plots: World) -> None:
    env = gym.make(PLOTS, **SHIPPED)
    env.reset(seed=0)
    env.step(1)
    again = pickle.loads(pickle.dumps(env))
    assert again.unwrapped.world.resources is env.unwrapped.world.resources
    assert data_equivalence(env.step(2), again.step(2), exact=True)
    envs = gym.make_vec(PLOTS, num_envs=2, **SHIPPED)
    envs.reset(seed=0)
    twins = pickle.loads(pickle.dumps(envs))
    assert data_equivalence(envs.step(np.array([1, 2])), twins.step(np.array([1, 2])), exact=True)


@pytest.mark.parametrize(
    "text", ["", "  ", "Ein Film über Züge 🚂.", "A film. " * 3, "x" * 5000, "\u202e\x00", "\ud800"]
)
def test_text_outside_the_language_is_a_typed_error(plots: World, text: str) -> None:
    env = gym.make(PLOTS)
    env.reset(seed=0)
    with pytest.raises(TextError):
        env.reset(options={"text": text})


def test_unknown_users_and_items_are_typed_errors(plots: World) -> None:
    env = gym.make(PLOTS)
    for options in ({"user": "nobody"}, {"item": "nothing"}):
        with pytest.raises(ConfigurationError, match="has no"):
            env.reset(options=options)


@pytest.mark.slow
def test_fixed_tiles_give_one_trajectory_in_every_batch(plots: World) -> None:
    seeds = list(range(24))
    together = digests(seeds)
    shuffled = np.random.default_rng(0).permutation(seeds).tolist()
    assert digests(shuffled) == together
    assert digests(seeds[3:8]) == {seed: together[seed] for seed in seeds[3:8]}
    assert digests([23]) == {23: together[23]}
    assert len(set(together.values())) == 24


@pytest.mark.slow
def test_so_do_worlds_whose_action_sets_ask_the_model(plots: World) -> None:
    asking = {"candidates": "model", "effects": "rollout", "rollout_samples": 1, "actions": 3, "pool": 9}
    together = digests([5, 7], steps=1, **asking)
    assert digests([7], steps=1, **asking) == {7: together[7]}


PATIENCE = 900  # seconds that a process may take: it loads torch, and the machine may be busy


def run(program: str, environment: dict[str, str]) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={**environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = "from tests.trajectories import digests; print(digests([12, 11]))"


@pytest.mark.timeout(2 * PATIENCE + 60)
def test_trajectories_are_the_same_in_every_process_and_under_every_hash_seed(plots: World) -> None:
    here = digests([11, 12, 13])
    for hash_seed in ("0", "1"):
        shown = run(PROGRAM, {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1", "PATH": ""})
        assert ast.literal_eval(shown) == {12: here[12], 11: here[11]}


FORKED = """
import gymnasium as gym, numpy as np, eagle_gym
from gymnasium.utils.env_checker import data_equivalence
settings = dict(actions=6, pool=20, horizon=1, prepare="never", batch_invariant=True)
for observation, shared in (("text", False), ("latent", True)):
    make = lambda: gym.make("EagleGym/Plots-v0", observation=observation, **settings)
    here = gym.make_vec("EagleGym/Plots-v0", num_envs=2, observation=observation, **settings)
    first = [here.reset(seed=0), *(here.step(np.arange(2)) for _ in range(2))]
    forked = gym.vector.AsyncVectorEnv([make] * 2, shared_memory=shared, context="fork")
    assert data_equivalence(first, [forked.reset(seed=0), *(forked.step(np.arange(2)) for _ in range(2))], exact=True)
    forked.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE + 60)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_processes_forked_from_one_that_used_the_model_neither_hang_nor_differ(plots: World) -> None:
    run(FORKED, {**os.environ, "OMP_NUM_THREADS": "2"})


def test_the_shipped_surrogate_holds_on_fresh_rollouts(plots: World) -> None:
    """R² of displacements on states and edits that no fit saw, against fresh means of eight generations."""
    quality = plots.resources.surrogate_quality
    assert quality["r2"] >= 0.8
    assert quality["r2_unseen_edits"] >= 0.8
    effects = plots.resources.action_sets.effects
    plan = fitting.Plan(40, samples=8, held_out=True, seed=1234, rounds=2)
    fresh, _ = split_texts(plots.catalog.texts)
    trials = fitting.collect(plots.model, fresh, plan)
    assert store.measure(effects.model, plots.space, trials)["r2"] >= 0.8


def test_never_raises_where_nothing_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="prepare"):
        make_world(dim=5, prepare="never", cache_dir=str(tmp_path))


def test_a_world_that_asks_the_model_for_everything_is_recorded_and_replayed(
    plots: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = {"candidates": "model", "effects": "rollout", "rollout_samples": 1, "pool": 12, "actions": 4, "horizon": 1}
    path = str(tmp_path / "calls.jsonl")
    env = gym.make(PLOTS, **asking, record=path)
    episode = [env.reset(seed=0), env.step(0)]
    assert len(set(episode[0][1]["edits"])) == 4
    assert episode[1][-1]["step"] == 1
    no_model(monkeypatch)
    replayed = gym.make(PLOTS, **asking, language_model=f"replay:{path}")
    assert data_equivalence(episode, [replayed.reset(seed=0), replayed.step(0)], exact=True)


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", store.Budget(trials=160, checks=20, check_samples=1))


@pytest.mark.slow
@pytest.mark.skipif(not MOVIELENS.is_dir(), reason="the MovieLens ratings are not next to this checkout")
def test_real_movielens_ratings(tmp_path: Path, quick_fit: None) -> None:
    arguments = SMALL | {"root": str(MOVIELENS), "cache_dir": str(tmp_path)}
    env = gym.make("EagleGym/MovieLensEasy-v0", **arguments)
    observation, info = env.reset(seed=0)
    assert plot_english.parse(info["text"])
    total = 0.0
    start = info["utility"]["total"]
    for _ in range(3):
        action = int(np.argmax(env.unwrapped.expected_utility()))
        observation, reward, terminated, _, info = env.step(action)
        total += reward
    assert terminated
    assert total == pytest.approx(info["utility"]["total"] - start)
    assert observation in env.observation_space
    again = gym.make("EagleGym/MovieLens-v0", **arguments, prepare="never", observation="latent")
    assert again.reset(seed=0)[0] in again.observation_space


@pytest.mark.slow
def test_a_table_of_ones_own(plots: World, tmp_path: Path, quick_fit: None) -> None:
    catalog = plots.catalog
    items, users = 160, 400
    with (tmp_path / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item", "plot"])
        rows.writerows([item.id, item.text] for item in catalog.items[:items])
    ratings = catalog.ratings
    kept = [row for row in range(len(ratings)) if ratings.item[row] < items and ratings.user[row] < users]
    with (tmp_path / "ratings.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user", "item", "rating"])
        rows.writerows(
            [f"u{ratings.user[row]}", catalog.items[ratings.item[row]].id, ratings.value[row]] for row in kept
        )
    env = gym.make(
        "EagleGym/Table-v0",
        texts=str(tmp_path / "items.csv"),
        ratings=str(tmp_path / "ratings.csv"),
        columns={"text": "plot"},
        scale=[0, 6],
        min_ratings=1,
        cache_dir=str(tmp_path / "cache"),
        utility_kwargs={"neighbours": 3},
        language_model="grammar",
        **SMALL,
    )
    assert env.unwrapped.world.catalog.scale == (0, 6)
    _, info = env.reset(seed=0)
    assert info["item_id"] in {item.id for item in catalog.items[:items]}
    assert np.isfinite(env.step(0)[1])
    spec = json.loads(env.spec.to_json())
    assert spec["kwargs"]["utility_kwargs"] == {"neighbours": 3}


def test_a_utility_of_ones_own(plots: World) -> None:
    env = gym.make(PLOTS, utility="tests.fake_worlds:make_plain_utility", **SHIPPED)
    _, info = env.reset(seed=0)
    assert info["utility"]["total"] == info["utility"]["affinity"]
    with pytest.raises(ConfigurationError, match="cannot be found"):
        gym.make(PLOTS, utility="no.such.module:factory")
