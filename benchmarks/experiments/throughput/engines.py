"""Generations per second of `model.generate`, of this package's loop, of CTranslate2 and of a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from statistics import fmean, median

import numpy as np
from tqdm import tqdm

from benchmarks.experiments.throughput import parts, plain
from benchmarks.experiments.throughput.bench import APART, Bench, TableRow, ratio
from benchmarks.experiments.throughput.ctranslate import INSTALL, CTranslate2Generate
from benchmarks.experiments.throughput.page import Findings
from benchmarks.experiments.throughput.parts import seconds
from benchmarks.experiments.throughput.serving import transformers_serve
from eagle_gym.errors import PreparationError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt

Generate = Callable[[Sequence[Prompt], Sequence[int]], Sequence[Completion]]
OURS, ANCHOR = "this package, float32", "CTranslate2, float32"


def engines(bench: Bench, found: Findings) -> None:
    """Generations per second, by engine, number format and batch size; engines take turns."""
    size = bench.size
    prompts = recorded_prompts(bench, 2 * max(size.batches), 8 * APART)
    ways = open_engines(bench.device)
    rates: dict[str, dict[int, list[float]]] = {name: {batch: [] for batch in size.batches} for name in ways}
    lengths: dict[str, list[float]] = {name: [] for name in ways}
    turns = [(batch, repeat) for batch in size.batches for repeat in range(-1, size.again)]
    for batch, repeat in tqdm(turns, desc="engines", unit="turn", leave=False, disable=None):
        for name in np.roll(list(ways), repeat).tolist():
            rate, length = speed(ways[name], chosen(prompts, batch, repeat), batch)
            if repeat >= 0:  # the turn before the first warms up
                rates[name][batch].append(rate)
                lengths[name].append(length)
    rows: list[TableRow] = [
        {"engine": name} | {f"batch of {batch}": median(rates[name][batch]) for batch in size.batches}
        | {"tokens an answer": fmean(lengths[name])}
        for name in ways
    ]  # fmt: skip
    if ANCHOR not in ways:
        rows.append(dict.fromkeys(rows[0]) | {"engine": f"CTranslate2: not installed ({INSTALL})"})
    found.table("Generations per second by batch size", rows)
    if ANCHOR in ways:
        found.table("Generations per second, this package ÷ CTranslate2, both in float32", anchored(rates))


def open_engines(device: str) -> dict[str, Generate]:
    """The engines by name; those of CTranslate2 where it is installed, on the processor."""
    ways: dict[str, Generate] = {}
    for dtype in ("float32", "bfloat16"):
        model = plain.open_model(device, dtype)
        ways[f"model.generate, {dtype}"] = plain.PlainGenerate(model, device, dtype).generate
        ways[f"this package, {dtype}"] = model.generate
    fixed = plain.open_model(device, batch_invariant=True)
    ways["this package, float32, batch_invariant"] = fixed.generate
    if device == "cpu":
        with suppress(PreparationError):
            for name, compute in ((ANCHOR, "float32"), ("CTranslate2, weights of eight bits", "int8")):
                ways[name] = CTranslate2Generate(fixed, weights_path(), compute).generate
    return ways


def chosen(prompts: Sequence[Prompt], batch: int, repeat: int) -> list[Prompt]:
    """The prompts of a turn; small batches are repeated up to 16 generations."""
    count = batch * max(1, 16 // batch)
    return [prompts[(repeat * count + i) % len(prompts)] for i in range(count)]


def speed(generate: Generate, prompts: Sequence[Prompt], batch: int) -> tuple[float, float]:
    """Generations per second, `batch` at a time, and tokens of an answer."""
    answers: list[Completion] = []
    took = seconds(lambda: answers.extend(in_batches(generate, prompts, batch)))
    return len(prompts) / took, fmean(answer.completion_tokens for answer in answers)


def in_batches(generate: Generate, prompts: Sequence[Prompt], batch: int) -> list[Completion]:
    """Generate for all prompts, `batch` at a time."""
    return [
        answer
        for at in range(0, len(prompts), batch)
        for answer in generate(prompts[at : at + batch], range(at, at + batch))
    ]


def anchored(rates: Mapping[str, Mapping[int, Sequence[float]]]) -> list[TableRow]:
    """This package's rate as a multiple of CTranslate2's, turn by turn."""
    rows: list[TableRow] = []
    for batch in rates[OURS]:
        ratios = ratio({name: rates[name][batch] for name in (OURS, ANCHOR)}, OURS, ANCHOR)
        rows.append({"batch": batch, "median": median(ratios), "least": min(ratios), "most": max(ratios)})
    return rows


def recorded_prompts(bench: Bench, count: int, seed: int) -> list[Prompt]:
    """At least `count` prompts of episodes with random actions."""
    world, calls = parts.recording(bench.world)
    envs = parts.vector_envs(world, bench.size.num_envs)
    while sum(len(call.prompts) for call in calls) < count:
        parts.batched_cycle(envs, seed, bench.size.steps)
        seed += 1000
    return [prompt for call in calls for prompt in call.prompts]


def server(bench: Bench, found: Findings) -> None:
    """Generations per second of a server on loopback, by the number of requests at a time."""
    count = bench.size.requests
    if not count:
        return
    prompts = recorded_prompts(bench, count, 13 * APART)[:count]
    rows = []
    try:
        with transformers_serve(weights_path()) as url:
            for at_once in (1, 4, 16, 64):
                spec = f"openai:{weights_path()}@{url}?prompts=control&timeout=300&concurrency={at_once}"
                model = load_language_model(spec, max_new_tokens=160)
                model.generate(prompts[:1], [0])
                took = seconds(partial(model.generate, prompts, range(count)))
                rows.append({"requests at a time": at_once, "generations per second": count / took,
                             "s per answer": at_once * took / count})  # fmt: skip
                model.close()
    except PreparationError as error:
        tqdm.write(f"server: not measured: {error}")
        return
    found.table("transformers serve with the embedded model, client on the same cores", rows)
