"""The batch against `model.generate` and single environments, and rollouts of one state in several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np

from benchmarks.experiments.throughput import parts, plain
from benchmarks.experiments.throughput.bench import APART, Bench, TableRow, propose, ratio
from benchmarks.experiments.throughput.page import Findings
from benchmarks.experiments.throughput.parts import seconds
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.sampling import row_uniforms

RATES = {
    "batch": "environment steps, one batch",
    "generate": "generations, model.generate, same prompts and batches",
    "single": "environment steps, single environments",
    "written": "environment steps, single environments on model.generate",
}


def throughputs(bench: Bench, found: Findings) -> None:
    """The batch against `model.generate`, single environments on it, and single environments."""
    size, world = bench.size, bench.world
    generate = plain.PlainGenerate(plain.open_model(bench.device), bench.device)
    recorded, calls = parts.recording(world)
    batch = parts.vector_envs(recorded, size.num_envs)
    written = parts.single_envs(parts.variant(world, model=generate), size.looped)
    single = parts.single_envs(world, size.looped)
    rates: dict[str, list[float]] = {name: [] for name in RATES}
    parts.batched_cycle(batch, 9 * APART, 1)  # warms up
    for loop in (written, single):
        parts.looped_cycle(loop[:1], 9 * APART, 1)
    for repeat in range(size.repeats):
        seed = 1000 * repeat
        calls.clear()
        rates["batch"].append(bench.steps / parts.batched_cycle(batch, seed, size.steps))
        tokens = [generate.tokens(call.prompts) for call in calls]
        rates["generate"].append(sum(map(len, tokens)) / seconds(partial(generate_all, generate, tokens)))
        looped = size.looped * size.steps
        rates["single"].append(looped / parts.looped_cycle(single, seed + APART, size.steps))
        rates["written"].append(looped / parts.looped_cycle(written, seed + 2 * APART, size.steps))
    found.samples.update({f"{name}, per second": values for name, values in rates.items()})
    title = f"Environment steps and generations, {size.num_envs} environments"
    found.table(title, [{"quantity": what, "per second": median(rates[name])} for name, what in RATES.items()])
    found.check("steps/s of the batch ÷ generations/s of model.generate", ratio(rates, "batch", "generate"), 1.2)
    found.check("steps/s, batch ÷ single environments on model.generate", ratio(rates, "batch", "written"), 15.0)
    found.check("steps/s, batch ÷ single environments", ratio(rates, "batch", "single"), 6.0)


def generate_all(generate: plain.PlainGenerate, batches: Sequence[Sequence[Sequence[int]]]) -> None:
    """One call of `model.generate` for each batch."""
    for tokens in batches:
        generate.raw(tokens)


ROLLOUTS = {
    "shared": "this package, shared prefix read once",
    "plain": "this package, plain batching",
    "shared, no drafts": "this package, shared prefix read once, no drafts",
    "plain, no drafts": "this package, plain batching, no drafts",
    "generate": "model.generate, plain batching",
}


def rollouts(bench: Bench, found: Findings) -> None:
    """All candidates of one state: shared prefix read once or not, with drafts or without, and by `model.generate`."""
    count = bench.size.candidates
    model = plain.open_model(bench.device)
    generate = plain.PlainGenerate(model, bench.device)
    took: dict[str, list[float]] = {name: [] for name in ROLLOUTS}
    states = parts.start_states(bench.world, bench.size.repeats + 1, 3 * APART)
    for repeat, (state, pool) in enumerate(zip(states, propose(bench.world, states, count), strict=True)):
        prompts = [Prompt("rewrite", text=state.text, edit=edit) for edit in pool]
        ids, shareable = zip(*map(model.prompt_format.encode, prompts), strict=True)
        sources = [*map(model.prompt_format.source, prompts)]
        draws = row_uniforms(range(len(ids)), model.prompt_format.default_max_tokens)
        ours = partial(model.decoder.generate, ids, draws, temperature=1.0)
        ways: dict[str, Callable[[], object]] = {
            "shared": partial(ours, shareable=shareable, sources=sources),
            "plain": partial(ours, sources=sources),
            "shared, no drafts": partial(ours, shareable=shareable),
            "plain, no drafts": ours,
            "generate": partial(generate.raw, generate.tokens(prompts)),
        }
        for name in np.roll(list(ways), repeat).tolist():  # each way goes first for some state
            took[name].append(seconds(ways[name]))
        if repeat == 0:  # the first state warms up
            took = {name: [] for name in took}
    found.samples.update({f"rollouts of a state, {name}, s": values for name, values in took.items()})
    rows: list[TableRow] = [
        {"method": how, "s": median(took[name]), "÷ first row, per state": median(ratio(took, name, "shared"))}
        for name, how in ROLLOUTS.items()
    ]
    found.table(f"{count} rollouts of a state", rows)
    found.check(f"time of {count} rollouts of a state, plain ÷ shared prefix", ratio(took, "plain", "shared"), 1.5)
