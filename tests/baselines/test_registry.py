"""The table of learners: everything in it is there, and is found, configured, trained and loaded by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from baselines import registry, run
from baselines.agent import Writer
from baselines.eagle import EagleAgent
from baselines.reference import Optimistic
from baselines.registry import LEARNERS, METHODS, Learner
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.loading import load_language_model
from tests.fake_worlds import make_tiny_world
from tests.fakes import KnownVectorEnv


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_is_whole(name: str) -> None:
    defaults = registry.hyperparameters(name)
    assert {"seed", "device"} <= set(defaults)
    learner = registry.find(name)
    assert callable(registry.attribute(learner, "train"))
    assert callable(registry.attribute(learner, learner.agent).load)
    for key, value in defaults.items():
        assert registry.read_setting(name, f"{key}={value}") == (key, value)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_whole(name: str) -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
    settings = ",".join(f"{key}={value}" for key, value in registry.hyperparameters(name).items())
    for spec in (name, f"{name}:{settings}"):
        made = registry.make(spec, envs, np.random.default_rng(0))
        assert hasattr(made, "predict") or isinstance(made, Writer)
    with pytest.raises(ConfigurationError, match="does not learn"):
        registry.train(name, envs, {})


def test_specs_name_policies_methods_and_folders(tmp_path: Path) -> None:
    envs = KnownVectorEnv(num_envs=4)
    registry.train("eagle", envs, {"total_timesteps": 12, "hidden": 8}, folder=tmp_path, progress=False)
    assert isinstance(registry.make("optimistic", envs, np.random.default_rng(0)), Optimistic)
    assert isinstance(registry.make(str(tmp_path), envs, np.random.default_rng(0)), EagleAgent)
    assert [registry.is_learnt(spec) for spec in ("no_op", "beam:width=2", str(tmp_path))] == [False, False, True]
    with pytest.raises(ConfigurationError, match="beam has no hyperparameter 'depth'"):
        registry.make("beam:depth=2", envs, np.random.default_rng(0))
    with pytest.raises(PreparationError, match="no agent"):
        registry.make("beem", envs, np.random.default_rng(0))


def test_settings_have_their_kinds() -> None:
    assert registry.read_setting("ppo", "total_timesteps=12") == ("total_timesteps", 12)
    assert registry.read_setting("ppo", "batch_size=40") == ("batch_size", 40)
    assert registry.read_setting("ppo", "gamma=0.5") == ("gamma", 0.5)
    assert registry.read_setting("ppo", "anneal=False") == ("anneal", False)
    assert registry.read_setting("ppo", "policy=stock") == ("policy", "stock")
    for text in ("total_timesteps=many", "anneal=perhaps"):
        with pytest.raises(ConfigurationError, match="expected a"):
            registry.read_setting("ppo", text)


def test_train_then_load(tmp_path: Path) -> None:
    settings = {"total_timesteps": 12, "hidden": 8, "n_epochs": 1}
    agent = registry.train("eagle", KnownVectorEnv(num_envs=4), settings, folder=tmp_path, progress=False)
    assert (agent.steps, registry.load(tmp_path).steps) == (12, 12)


@pytest.mark.parametrize("name", LEARNERS)
def test_headers_that_lack_something_are_named(name: str, tmp_path: Path) -> None:
    config = dataclasses.asdict(registry.make_config(name, {}))
    (tmp_path / "agent.json").write_text(
        json.dumps({"format": 2, "algorithm": name.partition("-")[0], "config": config})
    )
    with pytest.raises(PreparationError, match=r"of type (int|dict), got None"):
        registry.load(tmp_path)


@pytest.mark.parametrize("name", LEARNERS)
def test_weights_that_are_absent_or_broken_are_named(name: str, tmp_path: Path) -> None:
    config = dataclasses.asdict(registry.make_config(name, {}))
    layout = {"n": 2, "actions": 3, "width": 2}
    shapes = {"layout": layout, "actions": 3, "dim": 2, "steps": 4, "language": {}, "quality": {}}
    shapes["base"] = load_language_model("embedded").fingerprint
    sums = dict.fromkeys(("agent", "policy", "codes"), hashlib.sha256(b"not tensors").hexdigest())
    header = {"format": 2, "algorithm": name.partition("-")[0], **shapes, "config": config, "tensors": sums}
    (tmp_path / "agent.json").write_text(json.dumps(header))
    with pytest.raises(PreparationError, match="cannot be read"):
        registry.load(tmp_path)
    for file, checksum in sums.items():
        run.tensor_file(tmp_path, file, checksum).write_bytes(b"not tensors")
    with pytest.raises(PreparationError, match="cannot be read"):
        registry.load(tmp_path)


def test_unknown_names_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no learner or method 'eagel'; did you mean 'eagle'"):
        registry.find("eagel")
    with pytest.raises(ConfigurationError, match=r"ppo has no such hyperparameter .*'gama'"):
        registry.train("ppo", KnownVectorEnv(), {"gama": 1.0})
    (tmp_path / "agent.json").write_text(json.dumps({"format": 2, "algorithm": "sarsa"}))
    with pytest.raises(PreparationError, match="a run of 'sarsa'"):
        registry.load(tmp_path)
    monkeypatch.setattr(registry, "LEARNERS", {"absent": Learner("", "baselines.absent", "Config", "Agent")})
    with pytest.raises(ConfigurationError, match="needs a library that is not installed"):
        registry.hyperparameters("absent")
