"""Times steps of vector environments that share one server."""

from __future__ import annotations

import csv
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from tqdm import tqdm

from benchmarks.experiments.serving.models import Served
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import LanguageModelError, PreparationError
from eagle_gym.language.editor.overviews import overview

SLOTS: Final = 8  # requests that the server answers at once; more of them wait
ITEMS: Final = 400  # overviews of the catalog, so that few episodes of a run start from the same one
USERS: Final = 30
MOST_FAILED: Final = 5  # attempts at a step: a small model's answer may be none, and then the step is taken again
SETTINGS: Final[dict[str, Any]] = {
    "catalog": "table", "candidates": "lexicon", "effects": "words", "dim": 4, "placebo": "allow",
    "max_new_tokens": 160, "horizon": 50,
}  # fmt: skip
CACHE: Final = {"on": {}, "off": {"extra_body": '{"cache_prompt": false}'}}


@dataclass(frozen=True)
class Size:
    """What is measured.

    Attributes:
        envs: Numbers of environments.
        repeats: Cells of each kind.
        steps: Steps of each environment in a cell; 0 takes 8 for one environment and fewer for more.
        least: The fewest of these.
    """

    envs: tuple[int, ...]
    repeats: int
    steps: int = 0
    least: int = 2

    def steps_of(self, envs: int) -> int:
        """Steps of each environment in a cell."""
        return self.steps or max(self.least, 8 // envs)


@dataclass(frozen=True)
class Row:
    """A number of environments with the cache on or off.

    Attributes:
        model: The model's name.
        envs: Environments.
        cache: `"on"` or `"off"`.
        rates: Steps of all environments per second, by repeat.
        read: Tokens of a prompt that the server computed, by repeat; others were in its cache.
        asked: Tokens of a prompt, by repeat.
        failed: Steps that were taken again, since an answer was none.
    """

    model: str
    envs: int
    cache: str
    rates: tuple[float, ...]
    read: tuple[float, ...]
    asked: tuple[float, ...]
    failed: int


@dataclass(frozen=True)
class Cell:
    """Steps per second, tokens of a prompt that were computed and that were sent, and steps that failed."""

    rate: float
    read: float
    asked: float
    failed: int


def time_model(
    model: Served, addresses: Mapping[str, str], size: Size, catalog: Mapping[str, str]
) -> Iterator[list[Row]]:
    """Time every number of environments with the cache on and off; yields all rows after each cell.

    Both are timed in equal episodes, each on a server of its own; which is first alternates.

    Args:
        model: What is served.
        addresses: Of a server for `"on"` and one for `"off"`.
        size: What is measured.
        catalog: The catalog's files, as `write_catalog` returns them.
    """
    worlds = {cache: open_world(model, addresses[cache], cache, catalog) for cache in CACHE}
    cells: dict[tuple[int, str], list[Cell]] = {(envs, cache): [] for envs in size.envs for cache in CACHE}
    seeds = iter(range(0, 10**9, max(size.envs)))
    for cache, world in worlds.items():
        timed(world, addresses[cache], 1, 1, 0)  # a server's first answer takes longer
    for repeat in range(size.repeats):
        seed = {envs: next(seeds) + 1 for envs in size.envs}
        turns = [(envs, cache) for envs in size.envs for cache in [*CACHE][:: (-1) ** repeat]]
        for envs, cache in tqdm(turns, desc=f"{model.name}, repeat {repeat + 1}", unit="cell", disable=None):
            cell = timed(worlds[cache], addresses[cache], envs, size.steps_of(envs), seed[envs])
            cells[envs, cache].append(cell)
            yield [row_of(model.name, *key, found) for key, found in cells.items() if found]


def row_of(model: str, envs: int, cache: str, cells: Sequence[Cell]) -> Row:
    """The repeats of one kind of cell."""
    rates, read, asked, failed = zip(*((cell.rate, cell.read, cell.asked, cell.failed) for cell in cells), strict=True)
    return Row(model, envs, cache, rates=rates, read=read, asked=asked, failed=sum(failed))


def open_world(model: Served, address: str, cache: str, catalog: Mapping[str, str]) -> World:
    """The world of the invented catalog, behind the server."""
    options = {"prompts": model.prompts, "timeout": "600", "concurrency": "64", **CACHE[cache]}
    query = "&".join(f"{name}={quote(value)}" for name, value in options.items())
    arguments = SETTINGS | dict(catalog)
    return make_world(**arguments, language_model=f"openai:smollm2@{address}/v1?{query}")


def write_catalog(folder: Path) -> dict[str, str]:
    """Invented overviews and ratings without meaning, as arguments of an environment."""
    rng = np.random.default_rng(0)
    items, ratings = folder / "items.csv", folder / "ratings.csv"
    with items.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("item", "text"), *((f"f{i}", overview(rng).text) for i in range(ITEMS))])
    rows = [(f"u{user}", f"f{item}") for user in range(USERS) for item in rng.choice(ITEMS, 30, replace=False)]
    with ratings.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("user", "item", "rating"), *((*row, int(rng.integers(1, 6))) for row in rows)])
    return {"texts": str(items), "ratings": str(ratings)}


def timed(world: World, address: str, count: int, steps: int, seed: int) -> Cell:
    """Time the steps of new environments. A step that fails is taken again, with other edits; its time counts.

    Raises:
        LanguageModelError: Too many steps failed.
    """
    envs = EagleVectorEnv.from_world(world, count)
    envs.reset(seed=seed)
    usage, read, before = world.model.usage, computed(address), world.model.usage.snapshot()
    failed, began = 0, time.perf_counter()
    for step in range(steps):
        failed += take(envs, seed, step)
    took, used = time.perf_counter() - began, usage.snapshot() - before
    return Cell(count * steps / took, (computed(address) - read) / used.calls, used.prompt_tokens / used.calls, failed)


def take(envs: EagleVectorEnv, seed: int, step: int) -> int:
    """Take a step with random edits, as often as it fails; returns how often it has failed."""
    for attempt in range(MOST_FAILED + 1):
        masks, rng = envs.action_masks(), np.random.default_rng([seed, step, attempt])
        try:
            envs.step(np.argmax(rng.random(masks.shape) * masks, axis=1))
            return attempt
        except LanguageModelError:
            if attempt == MOST_FAILED:
                raise
    raise AssertionError


def computed(address: str) -> int:
    """Tokens of prompts that the server has computed since its start.

    Raises:
        PreparationError: The server does not say.
    """
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as response:
        told = response.read().decode()
    found = re.search(r"^llamacpp:prompt_tokens_total (\S+)", told, re.MULTILINE)
    if found is None:
        raise PreparationError(
            f"expected llamacpp:prompt_tokens_total in {address}/metrics, got none: take the pinned xllamacpp"
        )
    return int(float(found[1]))
