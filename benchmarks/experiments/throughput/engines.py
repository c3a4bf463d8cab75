"""Generations per second of `model.generate`, of this package's loop and of a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from tqdm import tqdm

from benchmarks.experiments.throughput import parts, plain
from benchmarks.experiments.throughput.bench import APART, Bench, Size, TableRow
from benchmarks.experiments.throughput.page import Findings
from benchmarks.experiments.throughput.parts import seconds
from benchmarks.experiments.throughput.serving import transformers_serve
from eagle_gym.errors import PreparationError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt

Generate = Callable[[Sequence[Prompt], Sequence[int]], object]


def engines(bench: Bench, found: Findings) -> None:
    """Generations per second, by engine, number format and batch size."""
    size = bench.size
    prompts = recorded_prompts(bench, max(size.batches), 8 * APART)
    rows = []
    for dtype in ("float32", "bfloat16"):
        model = plain.open_model(bench.device, dtype)
        generate = plain.PlainGenerate(model, bench.device, dtype).generate
        rows.append({"engine": f"model.generate, {dtype}"} | speeds(generate, prompts, size))
        rows.append({"engine": f"this package, {dtype}"} | speeds(model.generate, prompts, size))
    fixed = plain.open_model(bench.device, batch_invariant=True)
    rows.append({"engine": "this package, float32, batch_invariant"} | speeds(fixed.generate, prompts, size))
    found.table("Generations per second by batch size", rows)


def speeds(generate: Generate, prompts: Sequence[Prompt], size: Size) -> TableRow:
    """Generations per second for each batch size; small batches are repeated up to 16 generations."""
    generate(prompts[:1], [0])
    row = {}
    for batch in size.batches:
        count = batch * max(1, 16 // batch)
        took = []
        for repeat in range(size.again):
            chosen = [prompts[(repeat * count + i) % len(prompts)] for i in range(count)]
            took.append(seconds(partial(in_batches, generate, chosen, batch)) / count)
        row[f"batch of {batch}"] = 1.0 / median(took)
    return row


def in_batches(generate: Generate, prompts: Sequence[Prompt], batch: int) -> None:
    """Generate for all prompts, `batch` at a time."""
    for at in range(0, len(prompts), batch):
        generate(prompts[at : at + batch], range(at, at + batch))


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
