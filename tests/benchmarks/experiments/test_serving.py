"""The experiment on serving: what is asked, what is counted, what the page says; and the real server."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.serving import SIZES, measure
from benchmarks.experiments.serving.measure import Row, computed, open_world, timed, write_catalog
from benchmarks.experiments.serving.models import Served, served
from benchmarks.experiments.serving.page import page
from benchmarks.running.files import read_json
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.installed import installed_file
from tests.language.servers import Server, answer, chat

MODEL = Served("m", Path("m.gguf"), "chat")
TEXT = "A locksmith in Prague opens one door that he should have left closed, and goes home."


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "computed", lambda address: len(found.requests) * 10)
    monkeypatch.setattr(measure, "ITEMS", 40)
    found = Server()
    found.plan += [answer(chat(TEXT))] * 40
    yield found
    found.close()


@pytest.mark.parametrize("cache", ["on", "off"])
def test_the_cache_is_refused_where_it_is_off(cache: str, server: Server, tmp_path: Path) -> None:
    world = open_world(MODEL, server.url.removesuffix("/v1"), cache, write_catalog(tmp_path))
    cell = timed(world, "", 3, 2, 0)
    assert len(server.requests) == 6, "a step is one request"
    assert [request.get("cache_prompt") for request in server.requests] == [None if cache == "on" else False] * 6
    assert (cell.read, cell.asked, cell.failed) == (10.0, 70.0, 0)
    assert cell.rate > 0


def test_failed_steps_are_counted_and_then_given_up(server: Server, tmp_path: Path) -> None:
    world = open_world(MODEL, server.url.removesuffix("/v1"), "on", write_catalog(tmp_path))
    none = answer(chat("I am sorry, but I cannot help with that."))
    server.plan[:] = [none] * 3 + [answer(chat(TEXT))] * 5
    assert timed(world, "", 1, 1, 0).failed == 1
    server.plan[:] = [none] * 3 * (measure.MOST_FAILED + 1)
    with pytest.raises(LanguageModelError):
        timed(world, "", 1, 1, 0)


def test_caches_take_turns_in_equal_episodes(server: Server, tmp_path: Path) -> None:
    address = server.url.removesuffix("/v1")
    size = measure.Size(envs=(2,), repeats=2, steps=1)
    *_, rows = measure.time_model(MODEL, {"on": address, "off": address}, size, write_catalog(tmp_path))
    assert [(row.envs, row.cache, len(row.rates)) for row in rows] == [(2, "on", 2), (2, "off", 2)]
    asked = [(r.get("cache_prompt", True), r["messages"][-1]["content"]) for r in server.requests[2:]]
    on, off = (
        [sorted(t for c, t in asked[i : i + 2]) for i in range(0, 8, 2) if asked[i][0] == k] for k in (True, False)
    )
    assert on == off
    assert [cache for cache, _ in asked] == [True, True, False, False, False, False, True, True]


def test_what_the_server_computed_is_read_from_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    told = b"# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 1234\nllamacpp:n_x 5\n"
    monkeypatch.setattr(measure.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(told))
    assert computed("http://127.0.0.1:1") == 1234
    monkeypatch.setattr(measure.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"# nothing\n"))
    with pytest.raises(
        PreparationError, match=r"expected llamacpp:prompt_tokens_total in http://127\.0\.0\.1:1/metrics"
    ):
        computed("http://127.0.0.1:1")


def test_fewer_steps_with_more_environments() -> None:
    assert [SIZES["small"].steps_of(envs) for envs in (1, 4, 16, 64)] == [8, 2, 2, 2]
    assert [SIZES["medium"].steps_of(envs) for envs in (1, 4, 16, 64)] == [8, 2, 1, 1]
    assert SIZES["smoke"].steps_of(64) == 1


def test_the_page_compares_repeat_by_repeat() -> None:
    on = Row("m", 4, "on", (4.0, 6.0, 9.0), (40.0, 41.0, 42.0), (110.0,) * 3, 1)
    off = Row("m", 4, "off", (2.0, 4.0, 3.0), (108.0,) * 3, (110.0,) * 3, 0)
    text = page([on, off], "Here.")
    cells = ["4", "6.00 (4.00 to 9.00)", "3.00 (2.00 to 4.00)", "2.00 (1.50 to 3.00)", "110", "41", "108"]
    assert [cell.strip() for cell in text.splitlines()[8].strip("|").split("|")] == cells
    assert "an answer was none: 1." in text


def test_a_model_that_is_not_served_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="plain, tuned"):
        list(served(tmp_path, "tune"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(installed_file("smollm2") is None or find_spec("xllamacpp") is None, reason="needs make models")
def test_environments_on_the_real_server(tmp_path: Path) -> None:
    """It is started, asked and stopped, and computes fewer tokens of prompts with its cache."""
    assert main(["run", "serving", "--size", "smoke", "--only", "plain", "--out", str(tmp_path)]) == 0
    rows = {(row["envs"], row["cache"]): row for row in read_json(tmp_path / "run.json")["rows"]}
    assert {*rows} == {(envs, cache) for envs in (1, 2) for cache in ("on", "off")}
    for row in rows.values():
        share = row["read"][0] / row["asked"][0]
        assert share < 0.9 if row["cache"] == "on" else share > 0.9, "examples are the same in every prompt"
