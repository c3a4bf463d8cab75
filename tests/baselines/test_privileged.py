"""Whoever was told what edits are expected to do or to be worth is marked, whatever told it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import registry
from baselines.dataset import RecordConfig, record
from baselines.evaluate import evaluate
from baselines.reference import FIXED, REFERENCES, ExpectedUtilities
from baselines.registry import LEARNERS, METHODS
from eagle_gym.actions.action_set import ActionSet
from eagle_gym.envs import transition
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import PreparationError
from tests.baselines.test_tasks import QUICK
from tests.fake_worlds import make_tiny_world

WANTED = {
    "no_op": "effects",
    "user_blind": "expected",
    "optimistic": "expected",
    "uniform": "",
    "g_optimal": "",
    "lookahead": "expected, rewrites",
    "beam": "expected, rewrites",
    "mcts": "expected, rewrites",
    "best_of_n": "rewrites",
    "profile": "",
    "elm": "utility",
    "cola": "rewrites",
    "grpo_tokens": "rewrites",
}
IMITATES = [name for name in (*LEARNERS, *METHODS) if "reference" in registry.hyperparameters(name)]


@pytest.mark.parametrize("name", [*FIXED, *METHODS, *LEARNERS])
def test_every_method_says_what_it_reads(name: str) -> None:
    assert registry.reads(name) == WANTED.get(name, "")
    assert registry.is_privileged(name) == (WANTED.get(name, "") not in ("", "rewrites"))


def test_these_methods_follow_a_reference_policy() -> None:
    assert set(IMITATES) == {"supervised", "eagle", "vas", "best_of_n", "ppo", "ppo-stock"}


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("name", IMITATES)
def test_what_a_reference_policy_reads_counts(name: str, reference: str) -> None:
    assert registry.is_privileged(name, {"reference": reference}) == (reference == "optimistic")
    if name in METHODS:
        assert registry.is_privileged(f"{name}:reference={reference}") == (reference == "optimistic")


def trained(folder: Path, name: str, **settings: Any) -> str:
    """The folder of a trained agent, as far as its header says what it was trained with."""
    folder.mkdir()
    config = dataclasses.asdict(registry.make_config(name, settings))
    (folder / "agent.json").write_text(json.dumps({"format": 2, "algorithm": name, "config": config}))
    return str(folder)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_warm_start_counts(reference: str, tmp_path: Path) -> None:
    earlier = trained(tmp_path / "earlier", "supervised", reference=reference)
    settings = {"policy": "language", "supervised": earlier, "reference": "uniform"}
    assert registry.reads("eagle", settings) == ("expected" if reference == "optimistic" else "")
    later = trained(tmp_path / "later", "eagle", **settings)
    for folder in (earlier, later):
        assert registry.is_privileged(folder) == (reference == "optimistic")


def test_a_folder_without_an_agent_is_named(tmp_path: Path) -> None:
    for spec, settings in ((str(tmp_path), {}), ("eagle", {"policy": "language", "supervised": str(tmp_path)})):
        with pytest.raises(PreparationError, match="holds no agent"):
            registry.reads(spec, settings)
    (tmp_path / "agent.json").write_text(json.dumps({"format": 2, "algorithm": "sarsa", "config": {}}))
    with pytest.raises(PreparationError, match="got 'sarsa'"):
        registry.is_privileged(str(tmp_path))


class Watch:
    """Notes who asks for what edits are expected to do or to be worth."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = False

        def watched(function: Any) -> Any:
            def call(*args: Any) -> Any:
                self.asked = True
                return function(*args)

            return call

        monkeypatch.setattr(transition, "expected_utility", watched(transition.expected_utility))
        monkeypatch.setattr(ExpectedUtilities, "expected_utility", watched(ExpectedUtilities.expected_utility))
        plain = ActionSet.__getattribute__

        def attribute(chosen: ActionSet, name: str) -> Any:
            self.asked |= name == "expected"
            return plain(chosen, name)

        monkeypatch.setattr(ActionSet, "__getattribute__", attribute)


def envs_of(task: str) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(observation="latent", task=task, actions=4), num_envs=2)


@pytest.mark.parametrize(
    "spec",
    [*FIXED, "lookahead:budget=12", "beam:budget=12", "mcts:budget=12"]
    + [f"best_of_n:budget=6,reference={name}" for name in REFERENCES],
)
def test_methods_that_are_not_marked_ask_for_nothing(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = envs_of("hidden")
    agent = registry.make(spec, envs, np.random.default_rng(0))
    watch = Watch(monkeypatch)
    evaluate(agent, envs, method=spec, episodes=2)
    assert watch.asked == registry.is_privileged(spec)


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("name", QUICK)
def test_learners_that_are_not_marked_ask_for_nothing(
    name: str, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    envs, settings = envs_of("hidden"), dict(QUICK[name])
    if name in IMITATES:
        settings["reference"] = reference
    elif reference != "uniform":
        pytest.skip("it follows no reference policy")
    if name == "vas" or name.startswith("ppo"):  # PPO clones what is recorded
        record(envs, tmp_path, RecordConfig((reference,), episodes=4), progress=False)
        settings["dataset"] = str(tmp_path)
    if name.startswith("ppo"):
        settings["total_timesteps"] += 100  # the recorded steps are among them
    watch = Watch(monkeypatch)
    agent = registry.train(name, envs, settings, progress=False)
    if hasattr(agent, "bind"):
        agent.bind(envs)
    evaluate(agent, envs, method=name, episodes=2)
    assert watch.asked == registry.is_privileged(name, settings)
