"""Environments whose edits come from pools that are kept for items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import eagle_gym  # noqa: F401 - registers the ids
from eagle_gym.__main__ import main
from eagle_gym.envs.transition import movements
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.change import change
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt
from tests.actions.test_proposals import Lister


class Writer(Lister):
    """Proposes lists, and writes an edit after the text."""

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0):
        if prompts and prompts[0].task == "propose":
            return super().generate(prompts, seeds, temperature=temperature)
        self.usage.calls += len(prompts)
        return [Completion(f"{prompt.text} {prompt.edit}", 1, 1, "stop") for prompt in prompts]

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


WRITER = "python:tests.envs.test_pools:Writer"


@pytest.fixture
def arguments(amazon: Path, tmp_path: Path) -> dict[str, Any]:
    small = {"effects": "rollout", "rollout_samples": 1, "actions": 4, "pool": 12, "dim": 3, "horizon": 3}
    cache = str(tmp_path / "cache")
    own = {"root": str(amazon), "language_model": WRITER, "utility_kwargs": {"neighbours": 3}, "cache_dir": cache}
    return {**own, **small}


def test_an_episode_takes_its_edits_from_its_items_pool(arguments: dict[str, Any], tmp_path: Path) -> None:
    env = gym.make("EagleGym/Amazon-v0", pools=str(tmp_path / "pools.jsonl"), **arguments)
    assert env.unwrapped.settings.personalised == 0
    model = env.unwrapped.world.model
    _, info = env.reset(seed=0)
    start, asked = info["text"], len(model.asked)
    assert asked
    pool = env.unwrapped.world.resources.action_sets.candidates.propose([start], [""], 12, [0])[0]
    for _ in range(3):
        _, _, _, _, info = env.step(0)
        assert set(info["edits"]) <= set(pool)
    assert len(model.asked) == asked, "a step asks for rewrites only"
    env.reset(options={"text": "A text of my own."})
    assert len(model.asked) > asked
    env.close()


def test_pools_are_prepared_ahead_of_time(arguments: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture):
    given = ["prepare", "EagleGym/Amazon-v0", f"pools={tmp_path}/pools.jsonl"]
    values = {**arguments, "utility_kwargs": '{"neighbours": 3}'}
    given += [f"{name}={value}" for name, value in values.items()]
    assert main(given) == 0
    assert "holds the pools of 60 items; 60 of them are new" in capsys.readouterr().out
    assert main(given) == 0
    assert "0 of them are new" in capsys.readouterr().out
    arguments["prepare"] = "never"
    env = gym.make("EagleGym/Amazon-v0", pools=str(tmp_path / "pools.jsonl"), **arguments)
    env.reset(seed=0)
    assert not env.unwrapped.world.model.asked
    env.close()
    other = gym.make("EagleGym/Amazon-v0", pools=str(tmp_path / "others.jsonl"), **arguments)
    with pytest.raises(PreparationError, match="to hold the pools of all items"):
        other.reset(seed=0)
    other.close()


def test_pools_in_the_cache_are_found_again(arguments: dict[str, Any], tmp_path: Path) -> None:
    for asked in (True, False):
        env = gym.make("EagleGym/Amazon-v0", pools="cache", **arguments)
        env.reset(seed=0)
        assert bool(env.unwrapped.world.model.asked) == asked
        env.close()
        del env
    assert len(list((tmp_path / "cache" / "pools").glob("pools-*.jsonl"))) == 1


def test_pools_of_another_pool_size_are_refused(arguments: dict[str, Any], tmp_path: Path) -> None:
    path = str(tmp_path / "pools.jsonl")
    gym.make("EagleGym/Amazon-v0", pools=path, **arguments).reset(seed=0)
    with pytest.raises(PreparationError, match=r"expected 13, got 12: name another file"):
        gym.make("EagleGym/Amazon-v0", pools=path, **{**arguments, "pool": 13})


def test_the_lexicon_needs_no_pools(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="where the lexicon proposes the candidates, which costs nothing"):
        gym.make("EagleGym/Plots-v0", pools=str(tmp_path / "pools.jsonl"))


def test_a_step_costs_one_rewrite_where_effects_are_the_edits_own_words(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    own = {**arguments, "effects": "words", "pools": str(tmp_path / "pools.jsonl")}
    del own["rollout_samples"]
    env = gym.make("EagleGym/Amazon-v0", **own)
    _, info = env.reset(seed=0)
    assert info["rewrite"] == ""
    before, calls = info["text"], env.unwrapped.usage.calls
    _, _, _, _, info = env.step(0)
    assert env.unwrapped.usage.calls == calls + 1
    assert info["rewrite"] == change(before, info["text"]) == "edited"
    encoder = env.unwrapped.world.space.encoder
    assert info["movement"] == encoder.movement([before], [info["text"]])[0]
    state = env.unwrapped.state
    other = replace(state, text=next(i.text for i in env.unwrapped.world.catalog.items if i.text != before))
    moved = movements(env.unwrapped.world, [state] * 2, [other, replace(other, rewrite="")])
    assert moved == [encoder.movement([state.text], [other.text])[0], 0.0], "in plot English nothing is measured"
    assert moved[0] > 0.1
    here = env.unwrapped.get_state()
    env.unwrapped.set_state(here)
    assert env.unwrapped.state.rewrite == "edited"
    assert env.unwrapped.state.movement == info["movement"]
    env.close()
    env = gym.make("EagleGym/Amazon-v0", **own, infos="arrays")
    _, info = env.reset(seed=0)
    assert "rewrite" not in info
    assert info["movement"] == np.array(0.0)
    env.close()
