"""`EagleGym/Amazon-v0` end to end, on files in Amazon's format and a model that says one of three sentences."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import eagle_gym  # noqa: F401 - registers the ids
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import load_prompts
from tests.language.tiny import write_parrot, write_sayings

PRODUCTS = (
    "A soft cotton shirt with long sleeves and a collar that keeps its shape after many washes.",
    "A pair of leather boots for wet days, lined with wool and sewn to last for many winters.",
    "A light summer dress with deep pockets, made of linen that dries within an hour.",
)


def test_a_step_on_products(amazon: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    size = write_sayings(model, PRODUCTS)
    write_parrot(model, size, sayings=len(PRODUCTS))
    env = gym.make(
        "EagleGym/Amazon-v0",
        root=str(amazon),
        language_model=f"transformers:{model}",
        effects="rollout",
        rollout_samples=1,
        actions=3,
        pool=6,
        dim=3,
        horizon=1,
        utility_kwargs={"neighbours": 3},
        cache_dir=str(tmp_path / "cache"),
    )
    asked = env.unwrapped.world.model.prompt_format.prompts
    assert asked.fingerprint == load_prompts(asked.name, "product").fingerprint
    observation, info = env.reset(seed=0)
    assert info["text"] in observation
    assert info["item_id"].startswith("B")
    assert len(info["edits"]) == 3
    _, reward, terminated, _, after = env.step(0)
    assert np.isfinite(reward)
    assert terminated
    assert after["text"] != info["text"]
    env.close()


def test_the_embedded_model_cannot_write_products(amazon: Path) -> None:
    with pytest.raises(ConfigurationError, match="free text, which the embedded model does not speak"):
        gym.make("EagleGym/Amazon-v0", root=str(amazon))
