"""`EagleGym/Amazon-v0` end to end: generated files in Amazon's format, a random general model, a real step."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import eagle_gym  # noqa: F401 - registers the ids
from eagle_gym.errors import ConfigurationError
from tests.language.tiny import CHAT_TEMPLATE, write_llama, write_tokenizer


def test_a_step_on_products(amazon: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_tokenizer(model, control=False, chat_template=CHAT_TEMPLATE)
    write_llama(model, ends=True, max_position_embeddings=4096)
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
