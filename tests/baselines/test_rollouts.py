"""Rollouts as data: what is written, that runs are equal and resumed, and that broken files are refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines import rolling
from baselines import sb3 as sb3_agents
from baselines.__main__ import main
from baselines.agent import StochasticAgent
from baselines.evaluate import make_envs
from baselines.rollouts import Rollouts, RolloutWriter, read_rollouts, turn_rewards, write_rollouts
from baselines.text_dataset import write_text_dataset
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt

ROOT = Path(__file__).parents[2]
SMALL = {"actions": 4, "pool": 16, "horizon": 2, "prepare": "never"}


def record(path: Path, spec: str = "uniform", *, episodes: int = 4, num_envs: int = 2, **kwargs: Any) -> Rollouts:
    envs = make_envs("EagleGym/Plots-v0", num_envs, **({"language_model": "grammar"} | SMALL | kwargs))
    try:
        return rolling.roll(spec, envs, path, episodes=episodes, first_seed=7, progress=False)
    finally:
        envs.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rollouts") / "rollouts.jsonl"
    record(path)
    return path


def test_an_episode_says_all_that_happened(file: Path) -> None:
    done = read_rollouts(file)
    assert [episode["episode"] for episode in done.episodes] == [7, 8, 9, 10]
    envs = make_envs("EagleGym/Plots-v0", 2, **({"language_model": "grammar"} | SMALL))
    base = envs.unwrapped
    assert isinstance(base, EagleVectorEnv)
    envs.reset(seed=7)
    before = base.usage.snapshot()
    played = done.episodes[:2]
    for step in range(2):
        turns = [episode["turns"][step] for episode in played]
        for turn, state, episode in zip(turns, base.states, played, strict=True):
            assert turn["text"] == state.text
            assert turn["edits"] == list(state.action_set.edits)
            assert turn["edit"] == turn["edits"][turn["action"]]
            assert turn["log_probability"] == pytest.approx(np.log(1 / 4))
            user, assistant = episode["messages"][1 + 2 * step : 3 + 2 * step]
            assert user == {"role": "user", "content": base.envs[played.index(episode)].read()}
            assert assistant == {"role": "assistant", "content": str(turn["action"])}
        _, rewards, terminated, _, _ = envs.step(np.array([turn["action"] for turn in turns]))
        for turn, reward, over, state in zip(turns, rewards, terminated, base.states, strict=True):
            assert turn["rewards"]["reward"] == reward
            assert turn["terminated"] == over
            assert turn["next_text"] == state.text
            assert turn["rewards"]["valid"] == state.valid
            assert turn["utility"] == state.utility
    used = base.usage.snapshot() - before
    assert sum(episode["usage"]["calls"] for episode in played) == used.calls
    assert sum(episode["usage"]["completion_tokens"] for episode in played) == used.completion_tokens
    assert done.header["fingerprints"]["language_model"] == base.world.model.fingerprint
    envs.close()


def test_the_calls_of_a_turn_reproduce_its_text(file: Path) -> None:
    model = load_language_model("grammar")
    for episode in read_rollouts(file).episodes:
        for turn in episode["turns"]:
            (call,) = [call for call in episode["calls"] if call["step"] == turn["step"]]
            assert call["seed"] == turn["seed"]
            assert call["tokens"] is None  # the grammar has none
            (again,) = model.generate([Prompt("rewrite", text=call["text"], edit=call["edit"])], [call["seed"]])
            assert again.text == call["answer"] == turn["next_text"]


def test_two_runs_are_equal_and_another_seed_is_not(file: Path, tmp_path: Path) -> None:
    record(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()
    texts = [episode["start"]["text"] for episode in read_rollouts(file).episodes]
    assert len(set(texts)) > 1


@pytest.fixture(params=["ppo", "maskable_ppo", "recurrent_ppo", "dqn"])
def sb3(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of an agent of Stable-Baselines3 with weights as they are before training."""
    config = sb3_agents.ALGORITHMS[request.param].config(hidden=8)
    envs = make_envs("EagleGym/Plots-v0", 1, **({"language_model": "grammar"} | SMALL))
    layout = LatentLayout.of(envs.single_observation_space)
    envs.close()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sb3_agents.SB3Agent(sb3_agents.make_policy(config, layout), config, 0).save(tmp_path / "agent")
    return tmp_path / "agent"


def test_sampled_actions_of_sb3_depend_on_the_seed_only(sb3: Path, tmp_path: Path) -> None:
    def sampled(name: str, seed: int) -> list[str]:
        kwargs = json.dumps({"language_model": "grammar"} | SMALL)
        out = tmp_path / f"{name}.jsonl"
        words = ["--sample", "--num-envs", "8", "--episodes", "16", "--seed", str(seed), "--out", str(out)]
        assert main(["rollouts", str(sb3), "--kwargs", kwargs, *words]) == 0
        return out.read_text().splitlines()

    before = torch.random.get_rng_state()
    first = sampled("first", 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert sampled("again", 7) == first
    name = json.loads((sb3 / "agent.json").read_text())["algorithm"]
    same = sampled("other", 8)[1:9] == first[2:10]  # the same episodes, 8 to 15
    assert same == (name == "dqn"), "DQN takes the best action even if it may sample"
    chances = [turn["log_probability"] for line in first[1:-1] for turn in json.loads(line)["turns"]]
    if name in ("ppo", "maskable_ppo"):
        assert chances == pytest.approx([np.log(1 / 4)] * 32, abs=0.1)
    else:
        assert set(chances) == {None}


def test_the_number_of_environments_changes_nothing_but_the_header(file: Path, tmp_path: Path) -> None:
    def played(done: Rollouts) -> list[tuple[str, str]]:
        return [(episode["user"], episode["start"]["text"]) for episode in done.episodes]

    assert played(record(tmp_path / "one.jsonl", num_envs=1)) == played(read_rollouts(file))


@pytest.mark.parametrize("lost", [0, 10])
def test_a_stopped_run_continues(lost: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rollouts.jsonl"
    add = RolloutWriter.add
    calls: list[int] = []

    def stopping(self: RolloutWriter, episodes: Any) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(len(episodes))
        add(self, episodes)

    monkeypatch.setattr(RolloutWriter, "add", stopping)
    with pytest.raises(KeyboardInterrupt):
        record(path)
    assert not path.exists()
    monkeypatch.undo()
    partial = path.with_name("rollouts.jsonl.partial")
    if lost:
        partial.write_bytes(partial.read_bytes()[:-lost])
    record(path)
    assert path.read_bytes() == file.read_bytes()
    assert not partial.exists()


def test_a_complete_file_is_kept_and_another_one_is_not_overwritten(file: Path) -> None:
    before = file.stat().st_mtime_ns
    record(file)
    assert file.stat().st_mtime_ns == before
    with pytest.raises(ConfigurationError, match="policy differ"):
        record(file, "g_optimal")


def sealed(content: bytes) -> bytes:
    """The lines with the checksum that belongs to them."""
    end = {"totals": {}, "sha256": hashlib.sha256(content).hexdigest()}
    return content + json.dumps(end).encode() + b"\n"


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_end(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:-1])


def changed(content: bytes) -> bytes:
    return content.replace(b'"reward":', b'"rewarb":', 1)


def of_another_version(content: bytes) -> bytes:
    return content.replace(b'"version":1', b'"version":99', 1)


def foreign(content: bytes) -> bytes:
    return b'{"prompt": "a", "completion": "b"}\n' * 3


def without_turns(content: bytes) -> bytes:
    return sealed(without_end(content).splitlines(keepends=True)[0] + b'{"episode": 1}\n')


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "cut"),
        (without_end, "cut"),
        (changed, "changed"),
        (of_another_version, "expected version 1, got 99"),
        (foreign, "expected a first line with the format"),
        (without_turns, "line 2: expected an episode"),
        (lambda content: b"", "JSON"),
        (lambda content: b"\xff\xfe\n\n\n", "JSON"),
    ],
)
def test_broken_files_are_typed_errors(
    spoil: Callable[[bytes], bytes], message: str, file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(PreparationError, match=message):
        read_rollouts(path)


def test_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="expected a file of rollouts"):
        read_rollouts(tmp_path / "none.jsonl")


amounts = st.floats(-5, 5)


@given(st.lists(amounts, min_size=9, max_size=9), st.booleans())
def test_named_rewards_add_up_to_the_gain(numbers: list[float], valid: bool) -> None:
    """With a weight of 1: gain = affinity + novelty - prices."""
    names = ("affinity", "novelty", "drift", "cost")
    before, after = dict(zip(names, numbers[:4], strict=True)), dict(zip(names, numbers[4:8], strict=True))
    for parts in (before, after):
        parts["total"] = parts["affinity"] + parts["novelty"] - parts["drift"] - parts["cost"]
    found = turn_rewards(before, after, numbers[8], valid)
    assert found["gain"] == pytest.approx(sum(found[name] for name in names))
    assert found["reward"] == numbers[8]
    assert found["valid"] == valid


def test_tokens_are_those_that_were_drawn(tmp_path: Path) -> None:
    done = record(tmp_path / "embedded.jsonl", episodes=2, language_model="embedded")
    model = load_language_model("embedded")
    for episode in done.episodes:
        assert episode["calls"]
        for call in episode["calls"]:
            tokens = call["tokens"]
            assert len(tokens["prompt"]) == call["prompt_tokens"]
            assert len(tokens["completion"]) == len(tokens["log_probabilities"]) == call["completion_tokens"]
            prompt = Prompt("rewrite", text=call["text"], edit=call["edit"])
            assert tokens["prompt"] == model.prompt_format.encode(prompt)[0]
            assert tokens["completion"] == model.prompt_format.encode_answer(call["answer"])
            (score,) = model.score(prompt, [call["answer"]])
            assert sum(tokens["log_probabilities"]) == pytest.approx(score, abs=1e-4)
    model.close()


def test_searches_and_writers_are_recorded_episode_by_episode(tmp_path: Path) -> None:
    assert rolling.plays_alone("lookahead")
    assert rolling.plays_alone("best_of_n:budget=4")
    assert not rolling.plays_alone("uniform")
    search = record(tmp_path / "search.jsonl", "lookahead", episodes=1, num_envs=1)
    (episode,) = search.episodes
    own = [call for call in episode["calls"] if call["step"] is None]
    assert own
    assert len(own) + len(episode["turns"]) == len(episode["calls"])
    written = record(tmp_path / "written.jsonl", "best_of_n:budget=4", episodes=1, num_envs=1)
    (episode,) = written.episodes
    assert [turn["action"] for turn in episode["turns"]] == [None, None]
    assert episode["return"] == pytest.approx(sum(turn["rewards"]["gain"] for turn in episode["turns"]))
    with pytest.raises(ConfigurationError, match="expected turns that choose an offered edit"):
        write_text_dataset(written, tmp_path / "data")


class Asking(StochasticAgent):
    """Asks the environment's model about a text of its own."""

    def __init__(self, envs: Any) -> None:
        super().__init__(np.random.default_rng(0))
        self.model = envs.unwrapped.world.model

    def probabilities(self, observation: Any) -> Any:
        self.model.generate([Prompt("write", text="genres: Drama")], [1])
        return np.full(observation["mask"].shape, 0.25)


def test_a_call_that_belongs_to_no_episode_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.registry.make", lambda spec, envs, rng: Asking(envs))
    with pytest.raises(ConfigurationError, match="num_envs=1"):
        record(tmp_path / "asking.jsonl")


def test_minari_datasets_are_written_and_read(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert main(["minari", str(file), "--out", str(tmp_path)]) == 0
    done = read_rollouts(file)
    data = minari.load_dataset("EagleGym/Plots/uniform-text-v0")
    assert len(data) == len(done.episodes)
    for episode, read in zip(done.episodes, data.iterate_episodes(), strict=True):
        asked = [message["content"] for message in episode["messages"] if message["role"] == "user"]
        assert list(read.observations) == [*asked, episode["last_observation"]]
        assert all(text in data.observation_space for text in read.observations)
        assert read.actions.tolist() == [turn["action"] for turn in episode["turns"]]
        assert read.rewards.tolist() == [turn["rewards"]["reward"] for turn in episode["turns"]]
        assert read.terminations.tolist() == [False, True]
        assert read.infos["reward_affinity"].tolist()[1:] == [t["rewards"]["affinity"] for t in episode["turns"]]
    env = data.recover_environment()
    observation, _ = env.reset(seed=7)
    assert observation == next(data.iterate_episodes()).observations[0]
    env.close()
    assert main(["minari", str(file), "--out", str(tmp_path)]) == 1  # it exists


def test_another_process_reads_a_minari_dataset(file: Path, tmp_path: Path) -> None:
    write_text_dataset(read_rollouts(file), tmp_path, "eagle/read-v0")
    code = """
import minari
from eagle_gym.envs.spaces import FreeText
data = minari.load_dataset("eagle/read-v0")
assert isinstance(data.observation_space, FreeText)
assert len(data) == 4
"""
    environment = {**os.environ, "MINARI_DATASETS_PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=ROOT)


def test_other_scripts_survive_minari(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    done = read_rollouts(file)
    text = "映画 \U0001f3ac — naïve “Ärger”"
    episode = json.loads(json.dumps(done.episodes[0]))
    episode["last_observation"] = text
    name = write_text_dataset(Rollouts(done.header, (episode,), done.totals), tmp_path, "eagle/scripts-v0")
    assert next(minari.load_dataset(name).iterate_episodes()).observations[-1] == text


def test_rollouts_can_be_written_again(file: Path, tmp_path: Path) -> None:
    done = read_rollouts(file)
    write_rollouts(tmp_path / "copy.jsonl", done.header, done.episodes)
    assert (tmp_path / "copy.jsonl").read_bytes() == file.read_bytes()


def test_the_command_line_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    kwargs = json.dumps({"language_model": "grammar"} | SMALL)
    assert main(["rollouts", "uniform", "--kwargs", kwargs, "--episodes", "2", "--out", str(out)]) == 0
    assert "2 episodes of uniform" in capsys.readouterr().out
    assert read_rollouts(out).totals["episodes"] == 2
