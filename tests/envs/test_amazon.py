"""``EagleGym/Amazon-v0`` end to end: generated files in Amazon's format, a random general model, a real step."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import eagle_gym  # noqa: F401 - registers the ids
from eagle_gym.catalog import plots_world
from eagle_gym.errors import ConfigurationError
from tests.language.tiny import CHAT_TEMPLATE, write_llama, write_tokenizer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The films of a small world, sold as products."""
    folder = tmp_path / "data"
    folder.mkdir()
    catalog = plots_world.make_world(seed=3, films=60, users=40).catalog
    ratings = zip(catalog.ratings.user, catalog.ratings.item, catalog.ratings.value, strict=True)
    reviews = [
        {"user_id": f"A{user}", "parent_asin": f"B{item}", "rating": float(np.ceil(value)), "timestamp": row}
        for row, (user, item, value) in enumerate(ratings)
    ]
    products = [
        {"parent_asin": f"B{row}", "title": entity.title, "description": [entity.text], "features": []}
        for row, entity in enumerate(catalog.entities)
    ]
    for name, records in (("Films.jsonl", reviews), ("meta_Films.jsonl", products)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_a_step_on_products(root: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_tokenizer(model, control=False, chat_template=CHAT_TEMPLATE)
    write_llama(model, ends=True, max_position_embeddings=4096)
    env = gym.make(
        "EagleGym/Amazon-v0",
        root=str(root),
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
    assert info["entity"].startswith("B")
    assert len(info["actions"]) == 3
    _, reward, terminated, _, after = env.step(0)
    assert np.isfinite(reward)
    assert terminated
    assert after["text"] != info["text"]
    env.close()


def test_the_embedded_model_cannot_write_products(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="free text, which the embedded model does not speak"):
        gym.make("EagleGym/Amazon-v0", root=str(root))
