"""The environment package for verifiers, where verifiers is installed: `make integrations` installs it by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from eagle_gym.errors import LanguageModelError
from eagle_gym.integrations import chat as chats
from tests.integrations.conftest import serve, shown_code

vf = pytest.importorskip("verifiers.v1", reason="verifiers is not installed, which needs an older openai")

from eagle_gym.integrations import verifiers as ours  # noqa: E402 - it needs the library

PLUGINS = Path(ours.__file__).parent / "plugins"
SMALL = {"language_model": "grammar", "horizon": 3, "actions": 4, "pool": 32}

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installed wheel has at its top."""
    monkeypatch.syspath_prepend(str(PLUGINS))


def play(env: Any, url: str, tasks: int = 1, rollouts: int = 1) -> list[Any]:
    """Episodes of the first tasks, all at once, as verifiers' evaluation plays them."""
    client = vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY_IS_NEEDED")

    async def run() -> list[Any]:
        context = vf.ModelContext(model="scripted", client=client)
        async with env.serving():
            slots = [slot for task in env.taskset.take(tasks) for slot in env.slots(task, rollouts)]
            return list(await asyncio.gather(*(env.run_slot(slot, context) for slot in slots)))

    return asyncio.run(run())


def loaded(**given: Any) -> Any:
    return ours.load_environment(**{**SMALL, **given})


def assert_no_reward(episode: Any) -> None:
    (trace,) = episode.traces
    assert not trace.ok
    assert trace.errors
    assert trace.rewards.get("gain") is None


def test_the_reward_is_the_gain_and_its_parts_are_metrics(url: str, said: dict[int, str]) -> None:
    said.update({0: "2", 1: "Edit 1: because.", 2: "3"})
    (episode,) = play(loaded(split="test", edit_cost=0.25), url)
    env = gym.make("EagleGym/Plots-v0", split="test", edit_cost=0.25, **SMALL)
    _, first = env.reset(seed=0)
    rewards = []
    for action in (2, 1, 3):
        _, reward, *_, last = env.step(action)
        rewards.append(reward)
    (trace,) = episode.traces
    assert episode.ok
    assert trace.reward == pytest.approx(sum(rewards))
    assert {name: reward.weight for name, reward in trace.rewards.items()} == {"gain": 1.0}
    assert [turn["reward"] for turn in trace.info["turns"]] == rewards
    assert [turn["cost"] for turn in trace.info["turns"]] == pytest.approx([0.25] * 3)
    for part in ("affinity", "novelty"):
        assert trace.metrics[part] == pytest.approx(last["utility"][part] - first["utility"][part])
    assert trace.metrics["validity"] == trace.metrics["understood"] == 1.0
    assert set(trace.metrics) == {"affinity", "novelty", "validity", "understood"}
    assert trace.info["text"] == last["text"]


def test_a_group_shares_start_and_seeds(url: str) -> None:
    episodes = play(loaded(), url, tasks=2, rollouts=3)
    groups = [[json.dumps(e.traces[0].info) for e in episodes[first : first + 3]] for first in (0, 3)]
    assert [len(set(group)) for group in groups] == [1, 1]
    assert groups[0][0] != groups[1][0]
    shown = {e.traces[0].messages[1].content for e in episodes}
    assert len(shown) == 2, "one first observation for each task"
    assert len({episode.task.key for episode in episodes}) == 2


def test_what_the_model_reads_and_says_is_the_conversation(url: str, said: dict[int, str]) -> None:
    said.update({0: "1", 1: "hm", 2: "0"})
    ((trace,),) = [episode.traces for episode in play(loaded(), url)]
    talk = chats.Chat(arguments=SMALL)
    shown = [talk.reset(seed=0), *(talk.answer(answer).observation for answer in ("1", "hm"))]
    answers = ["1", "hm", "0"]
    expected = [chats.CHOOSE, *(text for pair in zip(shown, answers, strict=True) for text in pair)]
    assert [message.content for message in trace.messages] == expected


def test_an_unreadable_answer_is_a_turn_without_effect(url: str, said: dict[int, str]) -> None:
    said.update({0: "", 1: "all of them", 2: "99"})
    (episode,) = play(loaded(), url)
    (trace,) = episode.traces
    assert episode.ok
    assert trace.reward == 0.0
    assert trace.num_turns == 3
    assert trace.metrics["validity"] == trace.metrics["understood"] == 0.0


def test_edits_of_its_own(url: str, said: dict[int, str]) -> None:
    said.update({0: "Set it on a submarine.", 1: "Make the moon sing."})
    (episode,) = play(loaded(free_edits=True), url)
    (trace,) = episode.traces
    assert [turn["edit"] for turn in trace.info["turns"]][:2] == ["Set it on a submarine.", ""]
    assert trace.metrics["understood"] == pytest.approx(2 / 3)
    assert trace.messages[0].content == chats.CHOOSE_OR_WRITE


def test_a_failed_rewrite_is_an_error_without_reward(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LanguageModelError("no answer")

    monkeypatch.setattr(chats.Chat, "answer", fail)
    (episode,) = play(loaded(), url)
    assert not episode.ok
    assert "no answer" in episode.errors[0].message
    assert_no_reward(episode)


def test_a_failing_policy_is_an_error_without_reward() -> None:
    (episode,) = play(loaded(), "http://127.0.0.1:9/v1")
    assert not episode.ok
    assert_no_reward(episode)


def test_the_page_shows_code_that_runs(url: str) -> None:
    shown: dict[str, Any] = {}
    exec(shown_code("verifiers", url), shown)
    episodes = shown["episodes"]
    assert len(episodes) == 8
    assert all(episode.ok for episode in episodes)


@pytest.mark.parametrize(("answer", "rating"), [("8 of 10", 8.0), ("I cannot say", None)])
def test_a_judge_is_a_metric(url: str, answer: str, rating: float | None) -> None:
    asked: list[str] = []

    def judge(messages: list[dict[str, str]]) -> str:
        asked.append(messages[-1]["content"])
        return answer

    with serve(judge) as address:
        (episode,) = play(loaded(judge=f"openai:judge@{address}"), url)
    (trace,) = episode.traces
    assert trace.metrics.get("judge") == rating
    assert "judge" not in trace.rewards
    assert len(asked) == 1
    assert trace.info["text"] in asked[0]


def test_traces_are_scored_again_without_playing(url: str) -> None:
    (episode,) = play(loaded(), url)
    record = json.loads(json.dumps(episode.traces[0].to_record()))
    again = vf.WireTrace.model_validate(record)
    gain = again.rewards["gain"].score
    again.rewards.clear()
    asyncio.run(ours.EagleTask(ours.EagleData(seed=0)).score(again))
    assert again.rewards["gain"].score == pytest.approx(gain)


@pytest.mark.slow
def test_the_command_line_evaluates(url: str, tmp_path: Path) -> None:
    program = "import sys; from verifiers.v1.cli.eval.main import main; main(sys.argv[1:])"
    flags = {
        **{"--env.taskset.preset": "plan", "--env.taskset.split": "test", "--env.taskset.arguments": json.dumps(SMALL)},
        **{"--client.base-url": url, "--client.api-key-var": "NO_KEY_IS_NEEDED", "--model": "scripted"},
        **{"-n": "2", "-r": "2", "--output-dir": str(tmp_path), "--run.name": "run"},
    }
    words = [word for pair in flags.items() for word in pair]
    command = [sys.executable, "-c", program, ours.ID, *words, "--no-push", "--no-rich"]
    paths = os.pathsep.join([str(PLUGINS), str(PLUGINS.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (tmp_path / "run" / "traces.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    assert all(row["ok"] for row in rows)
