"""The server and the client of OpenEnv, where it is installed: `make integrations` installs it by itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("openenv", reason="openenv is not installed, which needs older pillow and tomlkit")

from eagle_gym.errors import LanguageModelError
from eagle_gym.integrations import chat as chats
from eagle_gym.integrations.openenv.client import EagleClient
from eagle_gym.integrations.openenv.models import EagleAction
from eagle_gym.integrations.openenv.server import EagleEnvironment, main, make_app
from tests.integrations.conftest import shown_code

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"language_model": "grammar", "horizon": 3, "actions": 4, "pool": 32}

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server that the command line started, for four sessions."""
    command = [sys.executable, "-m", "eagle_gym.integrations.openenv.server", "--port", "0", "--sessions", "4"]
    command += ["--split", "test", "--free-edits", "--arguments", json.dumps(SMALL)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            heard = []
            for line in process.stderr:
                heard.append(line)
                if found := re.search(r"running on (http://[\d.:]+)", line):
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(heard))
            yield found[1]
        finally:
            process.terminate()


def client(url: str) -> Any:
    return EagleClient(base_url=url)


def test_a_session_is_an_episode(url: str) -> None:
    env = gym.make("EagleGym/Plots-v0", split="test", **SMALL)
    seen, info = env.reset(seed=5)
    with client(url).sync() as session:
        result = session.reset(seed=5, episode_id="mine")
        assert result.observation.text == seen
        assert list(result.observation.edits.values()) == list(info["edits"])
        assert not result.done
        for number, action in enumerate((1, "2", "Edit 0."), start=1):
            result = session.step(EagleAction(answer=action))
            seen, reward, over, _, info = env.step((1, 2, 0)[number - 1])
            assert (result.observation.text, result.reward, result.done) == (seen, reward, over)
            assert result.observation.valid == info["valid"]
        state = session.state()
        assert (state.seed, state.episode_id, state.step_count) == (5, "mine", 3)
        assert state.current == info["text"]
        assert state.utility == pytest.approx(info["utility"])
        assert state.user_id == info["user_id"]


def test_sessions_at_once_do_not_mix(url: str) -> None:
    async def play(seed: int, answer: int) -> list[tuple[str, float | None]]:
        async with client(url) as session:
            results = [await session.reset(seed=seed)]
            for _ in range(3):
                results.append(await session.step(EagleAction(answer=answer)))
                await asyncio.sleep(0)  # let the others in between
            return [(result.observation.text, result.reward) for result in results]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(play(seed, answer) for seed, answer in [(1, 0), (1, 0), (1, 1), (2, 0)]))

    one, twin, branch, other = asyncio.run(all_at_once())
    assert one == twin == asyncio.run(play(1, 0)), "equal seeds and answers, equal episodes, whoever else plays"
    assert branch[0] == one[0], "a group shares its start"
    assert branch[1] != one[1]
    assert other[0] != one[0]


def test_a_session_too_many_is_refused(url: str) -> None:
    async def five() -> list[Any]:
        sessions = [client(url) for _ in range(5)]
        try:
            return await asyncio.gather(*(session.reset(seed=0) for session in sessions), return_exceptions=True)
        finally:
            for session in sessions:
                await session.close()

    results = asyncio.run(five())
    assert sum(isinstance(result, Exception) for result in results) == 1


def test_an_unreadable_answer_is_a_turn_without_effect(url: str) -> None:
    with client(url).sync() as session:
        before = session.reset(seed=0).observation
        result = session.step(EagleAction(answer="Make the moon sing."))
        assert (result.reward, result.done) == (0.0, False)
        assert (result.observation.edit, result.observation.valid) == ("", False)
        assert result.observation.edits == before.edits
        own = session.step(EagleAction(answer="Set it on a submarine."))
        assert own.observation.edit == "Set it on a submarine."


def test_errors_are_errors(url: str) -> None:
    with client(url).sync() as session:
        with pytest.raises(Exception, match="no episode yet"):
            session.step(EagleAction(answer=0))
        with pytest.raises(Exception, match="'usr'"):
            session.reset(seed=0, usr="u1")
        session.reset(seed=0)
        for _ in range(3):
            result = session.step(EagleAction(answer=0))
        assert result.done
        with pytest.raises(Exception, match="over after 3 turns"):
            session.step(EagleAction(answer=0))
        assert session.reset(seed=0).observation.text, "the session goes on"


def test_the_page_shows_code_that_runs(url: str) -> None:
    shown: dict[str, Any] = {}
    exec(shown_code("OpenEnv", url), shown)
    assert shown["result"].done


def test_a_failed_rewrite_is_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LanguageModelError("no answer")

    session = EagleEnvironment(arguments=SMALL)
    session.reset(seed=0)
    monkeypatch.setattr(chats.Chat, "answer", fail)
    with pytest.raises(LanguageModelError):
        session.step(EagleAction(answer=0))


def test_a_hidden_taste_is_hidden_in_the_state_too() -> None:
    session = EagleEnvironment(task="hidden", arguments={"language_model": "grammar"})
    session.reset(seed=0)
    assert session.state.user_id == ""
    assert "total" in session.state.utility
    assert "percentile" not in session.state.utility


def test_arguments_are_checked_before_it_serves() -> None:
    with pytest.raises(ValueError, match="did you mean 'plots'"):
        make_app(catalog="plot")


def test_the_command_explains_its_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--arguments", '{"horizn": 3}']) == 1
    assert "did you mean 'horizon'" in capsys.readouterr().err


def test_the_container_runs_what_the_package_has() -> None:
    """No container is built here; its file names paths, an extra and a module, which must exist."""
    text = (ROOT / "eagle_gym" / "integrations" / "openenv" / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    (command,) = re.findall(r"^ENTRYPOINT (.+)$", text, re.M)
    words = json.loads(command)
    assert words[:2] == ["python", "-m"]
    options = [word for word in words[3:] if word.startswith("--")]
    shown = subprocess.run(
        [sys.executable, *words[1:3], "--help"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    ).stdout
    assert all(option in shown for option in options)
    assert re.findall(r"'\.\[(\w+)\]'", text) == ["openenv"]
    assert "\nopenenv = [" in (ROOT / "pyproject.toml").read_text()
