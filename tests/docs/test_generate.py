"""The generated pages of the site say what the code says."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import eagle_gym
from docs import generate
from eagle_gym import EagleEnv, Settings
from eagle_gym.registration import IDS


@pytest.fixture(scope="module")
def shown() -> generate.Shown:
    return generate.look()


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return generate.environment_pages()


def test_every_id_has_a_page_that_the_index_lists(pages: dict[str, str]) -> None:
    assert set(pages) == {"index.md", *(f"{generate.slug(env_id)}.md" for env_id in IDS)}
    for env_id in IDS:
        assert f"\n{generate.slug(env_id)}\n" in pages["index.md"]
        assert pages[f"{generate.slug(env_id)}.md"].startswith(f"# {env_id}\n")


@pytest.mark.parametrize("env_id", IDS)
def test_a_page_names_every_key_and_argument(env_id: str, pages: dict[str, str]) -> None:
    page = pages[f"{generate.slug(env_id)}.md"]
    env = gym.make("EagleGym/Plots-v0", observation="latent", task=IDS[env_id].get("task", "default"))
    _, info = env.reset(seed=1)
    keys = [*env.observation_space, *info, *(f"design.{key}" for key in info["design"])]
    keys += [f"utility.{key}" for key in info["utility"]]
    keys += [field.name for field in dataclasses.fields(Settings) if field.name not in IDS[env_id]]
    assert [key for key in keys if f"\n| `{key}` |" not in page] == []


@pytest.mark.parametrize("env_id", IDS)
def test_a_page_has_the_sections_that_people_look_for(env_id: str, pages: dict[str, str]) -> None:
    titles = [line[3:].lower() for line in pages[f"{generate.slug(env_id)}.md"].splitlines() if line.startswith("## ")]
    for word in ("data", "action", "observation", "reward", "episode end", "info", "argument", "version"):
        assert sum(title.startswith(word) for title in titles) == 1, f"{word} in {titles}"


def test_every_key_is_explained(shown: generate.Shown) -> None:
    assert set(shown.observation) <= set(generate.OBSERVATION_KEYS)
    assert {key for key, _ in generate.flattened(shown.info)} <= set(generate.INFO_KEYS)


def test_every_argument_is_explained() -> None:
    assert [name for name, _, text in generate.arguments() if not text] == []


def test_bounds_are_numbers_where_the_environment_is_real_and_symbols_elsewhere(shown: generate.Shown) -> None:
    n = shown.observation["state"].shape[0]
    box = gym.spaces.Box(np.append(-np.ones(n), 0.0), np.append(np.ones(n), 2.5), dtype=np.float64)
    assert generate.bounds(box, shown, real=True) == "[-1, 1], then [0, 2.5]"
    radius = shown.observation["state"].high[0]
    assert generate.bounds(shown.observation["state"], shown, real=True) == f"[-{radius:.4g}, {radius:.4g}]"
    assert generate.bounds(shown.observation["state"], shown, real=False) == "[-*r*, *r*]"
    assert generate.bounds(shown.observation["actions"], shown, real=False) == "[-*2r*, *2r*] or [0, 1]"
    assert generate.shape(shown.observation["actions"], shown, real=False) == "K · m"
    easy = generate.look("easy")
    assert generate.bounds(easy.observation["effects"], easy, real=False) == "[-*2r*, *2r*]"
    assert generate.shape(easy.observation["effects"], easy, real=False) == "K · n"


def test_types_of_an_info(shown: generate.Shown) -> None:
    k = int(shown.action_space.n)
    assert generate.kind(np.zeros(k, np.int8), shown) == "int8 [K]"
    assert generate.kind(("a",) * k, shown) == "tuple of K str"
    assert generate.kind({"gap": 0.0}, shown) == "dict"
    assert generate.kind(1.5, shown) == "float"


def test_docstring_prose_becomes_markdown() -> None:
    assert generate.markdown(":class:`~eagle_gym.Settings` and ``x``\nof a line.\n\nMore.") == (
        "`eagle_gym.Settings` and `x` of a line.\n\nMore."
    )
    assert generate.table(("a",), [("x | y",)]) == "| a |\n| --- |\n| x \\| y |"


def test_the_manual_is_the_docstring_of_the_environment() -> None:
    sections = generate.manual()
    assert sections[""].startswith((EagleEnv.__doc__ or "").split(":")[0].split("\n")[0][:20])
    assert "Raises" not in "".join(sections.values())


def test_the_reference_has_a_page_for_every_module() -> None:
    pages = generate.api_pages()
    for name in ("eagle_gym", "eagle_gym.envs.eagle", "eagle_gym.language.model", "baselines", "baselines.evaluate"):
        assert f".. automodule:: {name}\n" in pages[f"{name}.rst"]
    assert not [name for name in pages if "__main__" in name or "examples." in name.replace("embedded.examples", "")]
    listed = "\n".join(pages.values())
    assert [name for name in pages if name != "index.rst" and f" <{name.removesuffix('.rst')}>\n" not in listed] == []


def test_public_names_lead_to_where_they_are_defined() -> None:
    for label, target, _, text in generate.public_names("eagle_gym"):
        module, _, name = target.rpartition(".")
        assert getattr(importlib.import_module(module), name) is getattr(eagle_gym, label)
        assert text


def test_a_name_is_found_by_importing_it() -> None:
    assert generate.home_of("eagle_gym.EagleEnv") == "eagle_gym.envs.eagle.EagleEnv"
    assert generate.home_of("eagle_gym.EagleEnv.reset") == "eagle_gym.envs.eagle.EagleEnv.reset"
    assert generate.home_of("eagle_gym.envs.world.State.text") is not None
    assert generate.home_of("eagle_gym.Eagle") is None
    assert generate.home_of("numpy.ndarray") is None


def test_links_lead_where_they_led() -> None:
    page = generate.DOCS / "agents.md"
    text = "[a](../CHANGELOG.md#unreleased) [b](speed.md) [c](https://x.y) [d](nowhere.md)"
    assert generate.relinked(text, page, "agents") == (
        "[a](generated/pages/changelog.md#unreleased) [b](speed.md) [c](https://x.y) [d](nowhere.md)"
    )
    readme = generate.ROOT / "eagle_gym/latent/README.md"
    assert generate.relinked("[a](../../docs/speed.md)", readme, "generated/pages/latent") == "[a](../../speed.md)"


def test_writing_removes_pages_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "environment_pages", lambda: {"a.md": "# a\n"})
    monkeypatch.setattr(generate, "api_pages", lambda: {"index.rst": "API\n===\n"})
    monkeypatch.setattr(generate, "adopted_pages", lambda: {})
    (tmp_path / "old").mkdir()
    (tmp_path / "old/gone.md").write_text("# gone\n")
    generate.write_pages(tmp_path)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == ["api/index.rst", "environments/a.md"]
