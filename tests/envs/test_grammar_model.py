"""Environments whose language model is the grammar."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from baselines.elm import ELMConfig, EmbeddingDecoder
from baselines.language import LanguagePolicy
from eagle_gym import plot_english
from eagle_gym.envs import checks
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ArgumentError, ConfigurationError

PLOTS = "EagleGym/Plots-v0"
GRAMMAR = {"language_model": "grammar", "prepare": "never"}  # all parts are in the package


@pytest.mark.parametrize("observation", ["text", "latent"])
def test_gymnasiums_checker_warnings_as_errors(observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(PLOTS, observation=observation, **GRAMMAR).unwrapped)


def test_the_batch_equals_single_environments_to_the_last_bit() -> None:
    checks.vector_equals_single(PLOTS, GRAMMAR | {"horizon": 3}, num_envs=3, steps=5)


def test_an_episode_stays_in_plot_english_and_counts_its_calls() -> None:
    env = gym.make(PLOTS, **GRAMMAR)
    _, info = env.reset(seed=0)
    assert env.unwrapped.deterministic
    for action in range(5):
        before = env.unwrapped.usage.calls
        _, _, _, _, info = env.step(action)
        plot_english.parse(info["text"])
        assert env.unwrapped.usage.calls == before + 1


def test_the_surrogate_in_the_package_predicts_the_grammar() -> None:
    env = gym.make(PLOTS, **GRAMMAR).unwrapped
    quality = env.world.resources.surrogate_quality
    assert quality["r2"] > 0.9
    assert quality["r2_vague"] > 0.7


def test_a_thousand_steps_take_seconds() -> None:
    envs = gym.make_vec(PLOTS, num_envs=64, observation="latent", infos="arrays", **GRAMMAR)
    envs.reset(seed=0)
    began = time.thread_time()
    for _ in range(16):
        envs.step(np.zeros(64, int))
    assert time.thread_time() - began < 8.0
    envs.close()


def test_a_catalog_of_free_text_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="free text, which the grammar does not speak: choose a general language"):
        Settings(catalog="movielens", root=str(tmp_path), texts="free", language_model="grammar")


def test_agents_that_train_a_language_model_name_the_cure() -> None:
    with pytest.raises(ConfigurationError, match=r"weights of its own, got 'grammar': choose 'embedded'"):
        LanguagePolicy("grammar")
    with pytest.raises(ConfigurationError, match=r"weights ELM can train, got 'grammar': choose 'embedded'"):
        EmbeddingDecoder(ELMConfig(model="grammar"), 4)
