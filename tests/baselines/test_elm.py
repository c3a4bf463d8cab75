"""ELM: the ascent finds what is known, the decoder learns its texts, drafts are scored as they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines import registry
from baselines.elm import (
    ELMAgent,
    ELMConfig,
    EmbeddingDecoder,
    PointTextPairs,
    ascend,
    make_agent,
    quality,
    starts,
    train,
)
from baselines.evaluate import evaluate
from eagle_gym.envs import transition
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.model import Completion
from eagle_gym.language.rewriting import ATTEMPTS
from eagle_gym.latent.geometry import central_differences
from tests.fake_worlds import Parts, make_tiny_world
from tests.fakes import KnownVectorEnv
from tests.language.tiny import write_llama, write_tokenizer


def make_envs(num_envs: int = 2) -> EagleVectorEnv:
    return EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=num_envs)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(devices=[]):
        write_llama(folder, max_position_embeddings=512)
    write_tokenizer(folder)
    return f"transformers:{folder}"


@pytest.fixture
def config(model: str) -> ELMConfig:
    return ELMConfig(
        model=model, soft_tokens=4, hidden=32, adapter_steps=2, joint_steps=2, starts=4, ascent_steps=10, max_tokens=24
    )


@dataclass(frozen=True)
class Hill:
    """Utility with one summit, at (1, -1, 0, ...)."""

    def __call__(self, z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> Parts:
        summit = np.zeros(z.shape[1])
        summit[:2] = 1, -1
        total = -((z - summit) ** 2).sum(1)
        return Parts(total, total, np.zeros(len(z)), np.full(len(z), 50.0))


def with_utility(world: World, utility: object) -> World:
    return replace(world, resources=replace(world.resources, utility=utility))


def states_of(world: World, count: int = 3) -> list[State]:
    starts = [transition.sample_start(world, np.random.default_rng(seed)) for seed in range(count)]
    return transition.make_states(world, starts)


def test_gradient_is_the_slope() -> None:
    z = np.random.default_rng(0).standard_normal((5, 2))
    slope = np.stack([3 * z[:, 0] ** 2 + z[:, 1], 3 * z[:, 1] ** 2 + z[:, 0]], axis=1)
    np.testing.assert_allclose(central_differences(lambda x: (x**3).sum(1) + x[:, 0] * x[:, 1], z), slope, atol=1e-4)


def test_ascent_finds_a_summit_that_is_known() -> None:
    world = with_utility(make_tiny_world(observation="latent"), Hill())
    z, value = ascend(world, states_of(world), ELMConfig(ascent_steps=100), np.random.default_rng(0))
    summit = np.zeros((3, world.space.dim))
    summit[:, :2] = 1, -1
    np.testing.assert_allclose(z, summit, atol=0.02)
    np.testing.assert_allclose(value, 0, atol=1e-3)


def test_ascent_stays_where_the_episode_began_if_drift_costs_much() -> None:
    world = with_utility(make_tiny_world(observation="latent", drift_penalty=1e3, edit_cost=2.0), Hill())
    states = states_of(world)
    z, value = ascend(world, states, ELMConfig(), np.random.default_rng(0))
    np.testing.assert_array_equal(z, [state.start for state in states])
    np.testing.assert_allclose(value, [state.total - 2.0 for state in states])


def test_ascent_stays_in_the_ball_and_never_falls() -> None:
    world = make_tiny_world(observation="latent")
    states = states_of(world, 6)
    z, value = ascend(world, states, ELMConfig(), np.random.default_rng(0))
    assert np.all(np.linalg.norm(z, axis=1) <= world.space.radius * (1 + 1e-9))
    assert np.all(value >= [state.total for state in states])


def test_starts_are_the_text_the_best_items_and_random_points() -> None:
    world = make_tiny_world(observation="latent")
    (state,) = states_of(world, 1)
    found = starts(world, state, 6, np.random.default_rng(0))
    assert found.shape == (6, world.space.dim)
    np.testing.assert_array_equal(found[0], state.z)
    assert all(any(np.array_equal(row, item) for item in world.space.items) for row in found[1:3])
    assert np.all(np.linalg.norm(found[3:], axis=1) <= world.space.radius)
    assert starts(world, state, 1, np.random.default_rng(0)).shape == (1, world.space.dim)


def test_the_decoder_learns_to_write_the_text_of_a_point(config: ELMConfig) -> None:
    world = make_tiny_world(observation="latent")
    config = replace(
        config, adapter_steps=20, joint_steps=150, model_learning_rate=3e-3, temperature=0.0, max_tokens=160
    )
    agent = train(EagleVectorEnv.from_world(world), config, progress=False)
    losses = [row["loss"] for row in agent.curve]
    assert losses[19] < losses[0]
    assert losses[-1] < 0.1 * losses[0]
    pairs = PointTextPairs(world, config)
    points = torch.as_tensor(pairs.z, dtype=torch.float32)
    written = agent.decoder.write(points, 0, temperature=0.0, max_tokens=160)
    exact = np.mean([said.text == text for said, text in zip(written, pairs.texts, strict=True)])
    assert exact > 0.7
    assert {said.finish_reason for said in written} <= {"stop", "length"}


def test_the_first_stage_leaves_the_model_alone(config: ELMConfig) -> None:
    begun = make_agent(config, 4).decoder
    taught = train(make_envs(), replace(config, joint_steps=0), progress=False).decoder
    both = train(make_envs(), config, progress=False).decoder
    for name, weight in begun.trained().items():
        moved = not torch.equal(weight, taught.trained()[name])
        assert moved == name.startswith("adapter"), name
    assert any(
        not torch.equal(weight, both.trained()[name]) for name, weight in begun.trained().items() if "model" in name
    )


def test_loss_is_that_of_the_texts_alone(config: ELMConfig) -> None:
    """Padding does not count: a batch's loss is the mean over all tokens of its texts."""
    decoder = make_agent(config, 4).decoder
    texts, z = ["A dark comedy.", "A retired spy must save the world from a cruel banker."], torch.randn(2, 4)
    with torch.no_grad():
        together = decoder(z, decoder.targets(texts))
        alone = [decoder(z[i : i + 1], decoder.targets([text])) for i, text in enumerate(texts)]
    lengths = [decoder.targets([text]).shape[1] for text in texts]
    expected = sum(loss * length for loss, length in zip(alone, lengths, strict=True)) / sum(lengths)
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-4)


def test_drafts_are_counted_and_scored(config: ELMConfig) -> None:
    envs = make_envs()
    agent = train(envs, config, progress=False)
    done = evaluate(agent, envs, method="elm", episodes=4)
    assert done.cost.calls == 4 * 3 * ATTEMPTS  # as many decodes as an episode has steps; none of them parses
    for row in done.rows:
        assert (row.steps, row.edits) == (1, ("decode z*",))
        assert row.gain == pytest.approx(row.utilities[1] - row.utilities[0])
        assert row.texts[1]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_does_not_parse_is_drawn_again_as_rewrites_are(
    config: ELMConfig, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(replace(config, temperature=temperature), 4)
    agent.bind(make_envs())
    proper, drawn = agent.world.catalog.items[0].text, []

    def write(self: EmbeddingDecoder, z: torch.Tensor, seed: int, **_: object) -> list[Completion]:
        drawn.append(z[:, 0].tolist())
        texts = {0.0: proper, 1.0: proper if len(drawn) == 3 else "no plot", 2.0: "never", 3.0: ""}
        return [Completion(texts[row], 1, 1, "stop") for row in drawn[-1]]

    monkeypatch.setattr(EmbeddingDecoder, "write", write)
    usage = agent.world.model.usage
    calls, retries = usage.calls, usage.retries
    written = agent.decode(np.arange(4.0)[:, None] * np.eye(4)[0], states_of(agent.world, 4))
    if temperature == 0:
        assert drawn == [[0, 1, 2, 3]], "another draw cannot differ"
        return
    assert drawn == [[0, 1, 2, 3], *[[1, 2, 3]] * 2, *[[2, 3]] * (ATTEMPTS - 3)]
    assert {i: raw.valid for i, raw in written.items()} == {0: True, 1: True, 2: False}
    again = sum(map(len, drawn[1:]))
    assert (usage.calls, usage.retries) == (calls + 4 + again, retries + again)


def test_the_best_decode_is_handed_in(config: ELMConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make_envs()
    agent = make_agent(replace(config, decodes=2), envs.world.space.dim)
    agent.bind(envs)
    envs.reset(seed=0)
    texts = iter([["", envs.world.catalog.items[0].text], [envs.world.catalog.items[k].text for k in (1, 2)]])

    def decode(self: ELMAgent, z: np.ndarray, states: list[State]) -> dict[int, RawState]:
        row = next(texts)
        return {i: RawState(row[i], s.user, s.item, 1) for i, s in enumerate(states) if row[i]}

    monkeypatch.setattr(ELMAgent, "decode", decode)
    first, second = agent.write(envs.states)
    assert first.states[-1].text == envs.world.catalog.items[1].text
    user, item = envs.states[1].user, envs.states[1].item
    both = transition.make_states(envs.world, [RawState(envs.world.catalog.items[k].text, user, item) for k in (0, 2)])
    assert second.states[-1].total == pytest.approx(max(state.total for state in both))


def test_a_decoder_of_plot_english_keeps_the_tags_of_the_start() -> None:
    agent = make_agent(ELMConfig(soft_tokens=2, hidden=8, adapter_steps=0, joint_steps=0, max_tokens=8), 4)
    plain, tagged = "A western film.", "A western film. Tags: odd, quirky."
    assert agent.decoder.language == "plot_english"
    assert torch.equal(agent.decoder.targets([tagged]), agent.decoder.targets([plain]))
    agent.bind(make_envs())
    states = transition.make_states(agent.world, [RawState(text, 0, -1) for text in (tagged, plain)])
    written = agent.decode(np.zeros((2, 4)), states)
    assert written[0].text.endswith(" Tags: odd, quirky.")
    assert "Tags:" not in written[1].text


def test_nothing_written_is_an_error(config: ELMConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make_envs()
    agent = make_agent(config, envs.world.space.dim)
    with pytest.raises(ConfigurationError, match=r"call bind\(env\) first"):
        agent.write([])
    agent.bind(envs)
    envs.reset(seed=0)
    monkeypatch.setattr(ELMAgent, "decode", lambda self, z, states: {})
    with pytest.raises(LanguageModelError, match="wrote nothing"):
        agent.write(envs.states)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_text_ends_before_it_began(config: ELMConfig, temperature: float) -> None:
    decoder = make_agent(config, 4).decoder
    stop = sorted(decoder._format.ending.stop)

    def would_end(_: object, __: object, output: Any) -> None:
        output.logits[..., stop] += 1e4

    decoder.model.register_forward_hook(would_end)
    written = decoder.write(torch.randn(5, 4), 0, temperature=temperature, max_tokens=8)
    assert [(said.completion_tokens, said.finish_reason) for said in written] == [(2, "stop")] * 5


def test_a_decoder_whose_quality_cannot_be_measured_is_kept(
    config: ELMConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ELMAgent, "decode", lambda self, z, states: {})
        with pytest.raises(LanguageModelError, match="wrote nothing"):
            train(make_envs(), config, folder=tmp_path, progress=False)
    assert len(ELMAgent.load(tmp_path).curve) == 4
    assert train(make_envs(), config, folder=tmp_path, resume=True, progress=False).quality["achieved"]


def test_quality_is_what_it_says(config: ELMConfig) -> None:
    world = make_tiny_world(observation="latent")
    agent = train(EagleVectorEnv.from_world(world), config, progress=False)
    found = quality(agent, world)
    assert set(found) == {"reconstruction", "nearest", "random", "optimum", "achieved", "gap"} == set(agent.quality)
    assert found["gap"] == pytest.approx(found["optimum"] - found["achieved"], abs=0.2)  # other starts
    assert 0 < found["nearest"] < found["random"]


def test_saved_agents_write_alike_and_runs_are_resumed(config: ELMConfig, tmp_path: Path) -> None:
    whole = train(make_envs(), config, folder=tmp_path / "whole", progress=False)
    again = registry.load(tmp_path / "whole")
    assert isinstance(again, ELMAgent)
    assert (again.config, again.curve, again.quality) == (config, whole.curve, whole.quality)
    assert EventAccumulator(str(tmp_path / "whole" / "tensorboard")).Reload().Tags()["scalars"] == ["loss"]
    z = torch.randn(3, 4)
    texts = [agent.decoder.write(z, 5, temperature=1.0, max_tokens=8) for agent in (whole, again)]
    assert texts[0] == texts[1]

    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        saved = ELMAgent.save
        patch.setattr(ELMAgent, "save", lambda *given: (saved(*given), stop()))
        with pytest.raises(Stopped):
            train(make_envs(), config, folder=tmp_path / "part", checkpoint_every=3, progress=False)
    ended = train(make_envs(), config, folder=tmp_path / "part", resume=True, progress=False)
    assert ended.curve == whole.curve
    for name, weight in ended.decoder.trained().items():
        assert torch.equal(weight, whole.decoder.trained()[name]), name


def test_errors_are_named(config: ELMConfig, tmp_path: Path) -> None:
    train(make_envs(), replace(config, adapter_steps=1, joint_steps=0), folder=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match="starts"):
        train(make_envs(), replace(config, adapter_steps=1, starts=2), folder=tmp_path, resume=True, progress=False)
    header = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(header | {"dim": 9}))
    with pytest.raises(PreparationError, match="cannot be read"):
        ELMAgent.load(tmp_path)
    with pytest.raises(ConfigurationError, match="KnownVectorEnv"):
        train(KnownVectorEnv(), config, progress=False)
    with pytest.raises(ConfigurationError, match="expected points of 9 dimensions, as in training, got 4"):
        make_agent(config, 9).bind(make_envs())
    with pytest.raises(ConfigurationError, match="whose weights ELM can train"):
        EmbeddingDecoder(replace(config, model="openai:m@http://localhost:1/v1"), 4)
    for wrong in ({"starts": 0}, {"joint_steps": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            ELMConfig(**wrong)  # type: ignore[arg-type]
