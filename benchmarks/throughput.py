"""How fast an environment is, in sections that each measure something, for the experiment ``throughput``.

Every ratio compares two ways of doing the same work, measured in turn, a repeat of one after a repeat of the other, and
is the median over the repeats. A step's cost includes its share of the resets: a *cycle* is a reset and one horizon of
steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from tqdm import tqdm

from benchmarks import throughput_parts as parts
from benchmarks.results import circumstances
from benchmarks.serving import transformers_serve
from benchmarks.suite import Options
from benchmarks.throughput_parts import Asked, Clock, seconds
from benchmarks.throughput_report import ACTIONS, CATALOG, ENVS, MEMORY, POOL, Findings, Row
from eagle_gym import design
from eagle_gym.actions.effects import Effects, Rollout
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.world import State, World
from eagle_gym.errors import PreparationError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.sampling import row_uniforms
from eagle_gym.latent.nearest import Cells, Tree

Floats = NDArray[np.float64]
Generate = Callable[[Sequence[Prompt], Sequence[int]], object]

APART = 10**6  # between the first seeds of two sides: they meet other episodes, so that neither finds what one made
NEAREST = 10  # neighbours whose recall is stated
QUERIES = 1000  # points that they are sought for
GENERATION, UTILITY = "generation", "utility"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is done.

    Attributes:
        num_envs: environments of the batch.
        looped: environments of the loops.
        steps: of a cycle, after its reset.
        repeats: of the ratios.
        again: repeats of the rest.
        batches: of the table of engines.
        candidates: rolled out together for one state.
        pool: of the action sets.
        samples: rollouts a candidate, where effects are rollouts.
        rolling: environments whose effects are rollouts.
        states: for which C is measured.
        truth: rollouts a candidate that C is measured on.
        texts: steps that are taken again alone.
        others: the same for modes that are not the default.
        envs: the curve of environments.
        actions: the curve of K.
        pools: the curve of the pool.
        items: the curve of the catalog.
        catalog: items for the share of the utility.
        recall: items among which the nearest are sought.
        requests: to the server; 0 for no server.
        memory: whether it is measured, in a process for each point of the curves.
    """

    num_envs: int = 64
    looped: int = 16
    steps: int = 5
    repeats: int = 5
    again: int = 3
    batches: tuple[int, ...] = (1, 64, 256)
    candidates: int = 64
    pool: int = 64
    samples: int = 4
    rolling: int = 1
    states: int = 4
    truth: int = 16
    texts: int = 640
    others: int = 320
    envs: tuple[int, ...] = (1, 4, 16, 64, 256)
    actions: tuple[int, ...] = (4, 16, 64)
    pools: tuple[int, ...] = (16, 64, 256)
    items: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000)
    catalog: int = 62_000
    recall: int = 1_000_000
    requests: int = 64
    memory: bool = True


@dataclass(frozen=True)
class Setting:
    """What all sections share.

    Attributes:
        world: of EagleGym/Plots-v0.
        size: how much is done.
        device: where the models compute.
    """

    world: World
    size: Size
    device: str

    @property
    def steps(self) -> int:
        """Environment steps of a cycle of the batch."""
        return self.size.num_envs * self.size.steps


def measure(size: Size, options: Options) -> str:
    """Do every section, and write the page, the numbers and the picture; says how many targets were met."""
    world = make_world(catalog="plots", observation="latent", device=options.device)
    for user in world.users:  # once in the life of a process
        world.resources.profile(int(user))
    found = Findings()
    setting = Setting(parts.with_sets(world, world.settings.actions, size.pool), size, options.device)
    sections = (ratios, rollouts, action_sets, shares, engines, exactness, curves, catalogs, recall, server)
    for section in tqdm(sections, desc="throughput", unit="section"):
        section(setting, found)
        about = {
            "experiment": "throughput",
            "finished": section is sections[-1],
            "size": options.size,
            "device": device_name(options.device),
            "threads": torch.get_num_threads(),
            "usage": asdict(world.model.usage.snapshot()),
        }
        found.write(about | circumstances(), options.out)  # what there is, lest it be lost with a run that is ended
    met = sum(gate.met for gate in found.gates)
    return f"\n{met} of {len(found.gates)} targets met\nREPORT.md, run.json, throughput.png in {options.out}"


def device_name(device: str) -> str:
    """What the models compute on."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def ratio(rates: Mapping[str, Sequence[float]], first: str, other: str) -> list[float]:
    """One number over another, repeat by repeat."""
    return [one / two for one, two in zip(rates[first], rates[other], strict=True)]


# Sections


def ratios(setting: Setting, found: Findings) -> None:
    """The batch against ``model.generate``, against single environments that use it, and against single ones."""
    size, world = setting.size, setting.world
    plain = parts.PlainGenerate(parts.open_model(setting.device), setting.device)
    recorded, calls = parts.recording(world)
    batch = parts.vector_envs(recorded, size.num_envs)
    written = parts.single_envs(parts.variant(world, model=plain), size.looped)
    single = parts.single_envs(world, size.looped)
    rates: dict[str, list[float]] = {name: [] for name in RATES}
    parts.batched_cycle(batch, 9 * APART, 1)  # what is made at the first call is made
    for loop in (written, single):
        parts.looped_cycle(loop[:1], 9 * APART, 1)
    for repeat in range(size.repeats):
        seed = 1000 * repeat
        calls.clear()
        rates["batch"].append(setting.steps / parts.batched_cycle(batch, seed, size.steps))
        tokens = [plain.tokens(call.prompts) for call in calls]
        rates["generate"].append(sum(map(len, tokens)) / seconds(partial(generate_all, plain, tokens)))
        looped = size.looped * size.steps
        rates["single"].append(looped / parts.looped_cycle(single, seed + APART, size.steps))
        rates["written"].append(looped / parts.looped_cycle(written, seed + 2 * APART, size.steps))
    found.samples.update({f"{name}, a second": values for name, values in rates.items()})
    title = f"Environment steps and generations a second, {size.num_envs} environments"
    found.table(title, [{"what": what, "a second": median(rates[name])} for name, what in RATES.items()])
    found.gate("env-steps/s of the batch ÷ generations/s of model.generate", ratio(rates, "batch", "generate"), 1.2)
    found.gate("batch ÷ loop of single environments on model.generate", ratio(rates, "batch", "written"), 15.0)
    found.gate("batch ÷ loop of single environments", ratio(rates, "batch", "single"), 6.0)


RATES = {
    "batch": "environment steps, one batch",
    "generate": "generations, model.generate, the same prompts and batches",
    "single": "environment steps, single environments in a loop",
    "written": "environment steps, single environments in a loop, model.generate each",
}


def generate_all(plain: parts.PlainGenerate, batches: Sequence[Sequence[Sequence[int]]]) -> None:
    """One call of ``model.generate`` a batch."""
    for tokens in batches:
        plain.raw(tokens)


def rollouts(setting: Setting, found: Findings) -> None:
    """All candidates of one state: its text read once or not, with drafts or without, and by ``generate``."""
    count = setting.size.candidates
    model = parts.open_model(setting.device)
    generate = parts.PlainGenerate(model, setting.device)
    took: dict[str, list[float]] = {name: [] for name in ROLLOUTS}
    states = opened(setting.world, setting.size.repeats + 1, 3 * APART)
    for repeat, (state, pool) in enumerate(zip(states, pools(setting.world, states, count), strict=True)):
        prompts = [Prompt("rewrite", text=state.text, edit=prompt) for prompt in pool]
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
        for name in np.roll(list(ways), repeat).tolist():  # each is the first to meet some state
            took[name].append(seconds(ways[name]))
        if repeat == 0:  # it warmed up
            took = {name: [] for name in took}
    found.samples.update({f"rollouts of a state, {name}, s": values for name, values in took.items()})
    rows: list[Row] = [
        {"how": how, "s": median(took[name]), "÷ the first, state by state": median(ratio(took, name, "shared"))}
        for name, how in ROLLOUTS.items()
    ]
    found.table(f"{count} rollouts of a state", rows)
    found.gate(f"{count} rollouts of a state: plain ÷ shared beginning, s", ratio(took, "plain", "shared"), 1.5)


ROLLOUTS = {
    "shared": "this package, the shared beginning read once",
    "plain": "this package, plain batching",
    "shared, no drafts": "this package, the shared beginning read once, no drafts",
    "plain, no drafts": "this package, plain batching, no drafts",
    "generate": "model.generate, plain batching",
}


def opened(world: World, count: int, seed: int) -> list[State]:
    """States at which episodes start."""
    envs = parts.vector_envs(world, count)
    envs.reset(seed=seed)
    return envs.states


def pools(world: World, states: Sequence[State], count: int) -> list[list[str]]:
    """Candidates of each state."""
    texts, profiles = [state.text for state in states], [world.resources.profile(state.user) for state in states]
    return world.resources.action_sets.candidates.propose(texts, profiles, count, range(len(states)))


def action_sets(setting: Setting, found: Findings) -> None:
    """Surrogate action sets against rollouts: what a step costs, and how good the sets are on the truth."""
    world, samples = setting.world, setting.size.samples
    rollout = Rollout(world.model, world.space, samples=samples)
    effects = {"surrogate": world.resources.action_sets.effects, f"rollout, {samples} samples": rollout}
    took: dict[str, list[float]] = {name: [] for name in effects}
    for repeat in range(setting.size.repeats):
        for name, effect in effects.items():
            sets = parts.fresh_sets(world, effects=effect)  # that remember nothing
            envs = parts.vector_envs(parts.variant(world, action_sets=sets), setting.size.rolling)
            took[name].append(parts.batched_cycle(envs, 4 * APART + 100 * repeat, 1))
    found.samples.update({f"a reset and a step, {name}, s": values for name, values in took.items()})
    slow, fast = f"rollout, {samples} samples", "surrogate"
    found.gate("surrogate ÷ rollout action sets, env-steps/s", ratio(took, slow, fast), 20.0)
    states, truth = setting.size.states, setting.size.truth
    title = f"C of the chosen sets on the means of {truth} rollouts a candidate, median of {states} states"
    found.table(title, factors(setting, effects))


def factors(setting: Setting, effects: Mapping[str, Effects]) -> list[Row]:
    """C on the true displacements of the sets that each estimate of them chooses."""
    world, k = setting.world, setting.world.settings.actions
    states = opened(world, setting.size.states, 5 * APART)
    pool = pools(world, states, world.settings.pool)

    def displacements(effect: Effects, seed: int) -> list[Floats]:
        z = np.stack([state.z for state in states])
        ahead = effect.expected([state.text for state in states], pool, z, [seed + i for i in range(len(states))])
        return [rows - state.z for rows, state in zip(ahead, states, strict=True)]

    truth = displacements(Rollout(world.model, world.space, samples=setting.size.truth), APART)
    estimates = {name: displacements(effect, 0) for name, effect in effects.items()} | {"the truth": truth}
    chosen = {name: [offered_of(rows, k) for rows in found] for name, found in estimates.items()}
    rng = np.random.default_rng(0)
    chosen["chance"] = [(rng.permutation(len(rows))[:k], np.full(k, 1 / k)) for rows in truth]
    own = {name: [factor(rows, *sets[i]) for i, rows in enumerate(truth)] for name, sets in chosen.items()}
    best = {name: [factor(rows, sets[i][0]) for i, rows in enumerate(truth)] for name, sets in chosen.items()}
    return [
        {"chosen by": name, "C": median(own[name]), "C ÷ C of the truth's": median(ratio(own, name, "the truth")),
         "C, best weights on the set": median(best[name])}
        for name in chosen
    ]  # fmt: skip


def offered_of(features: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The set that some features choose, and its weights."""
    selection = design.select(features, k)
    return selection.indices, selection.weights


def factor(pool: Floats, chosen: NDArray[np.integer[Any]], weights: Floats | None = None) -> float:
    """C of a set on its pool, under its weights or the best it could have; infinite where it does not span the pool."""
    spread = np.zeros(len(pool))
    spread[chosen] = design.solve(pool[chosen]).weights if weights is None else weights
    return 1.0 + design.leverages(pool, spread)[1]


def shares(setting: Setting, found: Findings) -> None:
    """Where the time of a step goes, and the utility's share with a larger catalog."""
    rows, found_shares = dissect(setting, setting.world, 6 * APART, repeats=setting.size.repeats)
    found.table(f"Where a step of {setting.size.num_envs} environments spends its time", rows)
    found.gate("share of a step outside generation", outside(found_shares), 0.15, at_most=True)
    large, _ = parts.over_items(setting.world, setting.size.catalog, np.random.default_rng(0))
    _, of_large = dissect(setting, large, 7 * APART, repeats=setting.size.repeats)
    name = f"share of a step for the utility over {setting.size.catalog:,} items"
    found.gate(name, of_large[UTILITY], 0.05, at_most=True)


def outside(found: Mapping[str, Sequence[float]]) -> list[float]:
    """Shares of a step for everything but generation."""
    return [1.0 - share for share in found[GENERATION]]


def dissect(
    setting: Setting, world: World, seed: int, *, num_envs: int = 0, repeats: int = 0
) -> tuple[list[Row], dict[str, list[float]]]:
    """Milliseconds and share of a step by part, medians over the repeats; and the shares of each repeat.

    Each repeat begins with action sets that remember nothing.
    """
    count, steps = num_envs or setting.size.num_envs, setting.size.steps
    found: dict[str, list[float]] = {}
    totals = []
    for repeat in range(repeats or setting.size.again):
        clock = Clock()
        envs = parts.vector_envs(parts.watched(world, clock), count)
        total = parts.batched_cycle(envs, seed + 1000 * repeat, steps)
        totals.append(1000 * total / steps)
        for name, value in by_part(clock, total).items():
            found.setdefault(name, []).append(value / total)
    share = {name: median(values) for name, values in found.items()}
    rows = [{"part": name, "ms a step": share[name] * median(totals), "share": share[name]} for name in share]
    rows.append({"part": "all", "ms a step": median(totals), "share": 1.0})
    return rows, found


def by_part(clock: Clock, total: float) -> dict[str, float]:
    """Seconds by part; what the action sets do beside candidates and effects is the design."""
    took = dict(clock.seconds)
    took["design"] = took.pop("action sets") - took["candidates"] - took["effects"]
    order = (GENERATION, "encoder", UTILITY, "candidates", "effects", "design")
    return {name: took[name] for name in order} | {"the rest": total - sum(took[name] for name in order)}


def engines(setting: Setting, found: Findings) -> None:
    """Generations a second of ``model.generate`` and of this package's loop, by number format and batch."""
    size = setting.size
    prompts = [prompt for call in recorded(setting, max(size.batches), 8 * APART) for prompt in call.prompts]
    rows = []
    for dtype in ("float32", "bfloat16"):
        model = parts.open_model(setting.device, dtype)
        plain = parts.PlainGenerate(model, setting.device, dtype)
        rows.append({"engine": f"model.generate, {dtype}"} | speeds(plain.generate, prompts, size))
        rows.append({"engine": f"this package, {dtype}"} | speeds(model.generate, prompts, size))
    fixed = parts.open_model(setting.device, batch_invariant=True)
    rows.append({"engine": "this package, float32, batch_invariant"} | speeds(fixed.generate, prompts, size))
    found.table("Generations a second by batch", rows)


def speeds(generate: Generate, prompts: Sequence[Prompt], size: Size) -> Row:
    """Generations a second for each batch; of small batches several are asked."""
    generate(prompts[:1], [0])
    row = {}
    for batch in size.batches:
        count = batch * max(1, 16 // batch)
        took = []
        for repeat in range(size.again):
            chosen = [prompts[(repeat * count + i) % len(prompts)] for i in range(count)]
            took.append(seconds(partial(ask, generate, chosen, batch)) / count)
        row[f"{batch} rows"] = 1.0 / median(took)
    return row


def ask(generate: Generate, prompts: Sequence[Prompt], batch: int) -> None:
    """Ask in batches of one size."""
    for at in range(0, len(prompts), batch):
        generate(prompts[at : at + batch], range(at, at + batch))


def recorded(setting: Setting, count: int, seed: int) -> list[Asked]:
    """Batched calls of episodes with random actions, ``count`` generations or a few more."""
    world, calls = parts.recording(setting.world)
    envs = parts.vector_envs(world, setting.size.num_envs)
    while sum(len(call.prompts) for call in calls) < count:
        parts.batched_cycle(envs, seed, setting.size.steps)
        seed += 1000
    return calls


def exactness(setting: Setting, found: Findings) -> None:
    """How often a step of the batch ends in another text than the same step of its environment alone."""
    modes: dict[str, dict[str, Any]] = {
        "float32": {}, "float32, batch_invariant": {"batch_invariant": True}, "bfloat16": {"dtype": "bfloat16"}
    }  # fmt: skip
    rows: list[Row] = []
    for name, kwargs in modes.items():
        count = setting.size.others if kwargs else setting.size.texts
        model = parts.open_model(setting.device, **kwargs)
        world = parts.variant(setting.world, model=model, action_sets=parts.fresh_sets(setting.world))
        steps, differ, apart = stepped_alone(setting, world, count)
        span = proportion(differ, steps)
        rows.append({"mode": name, "steps": steps, "differ": differ, "share": differ / steps, "at most": span[1],
                     "rewards apart": apart})  # fmt: skip
    default = rows[0]
    found.table("Steps of the batch taken again by single environments", rows)
    name = "share of steps whose text differs from the single run"
    found.gate(name, [default["share"]], 1e-4, at_most=True, span=proportion(default["differ"], default["steps"]))
    found.gate("largest reward difference of equal texts", [default["rewards apart"]], 1e-5, at_most=True)


def proportion(count: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson)."""
    interval = binomtest(count, trials).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)


def stepped_alone(setting: Setting, world: World, count: int) -> tuple[int, int, float]:
    """Steps, how many end in another text alone, and the largest difference of the rewards of the others."""
    batch = parts.vector_envs(world, setting.size.num_envs)
    (single,) = parts.single_envs(parts.variant(world, action_sets=parts.fresh_sets(world)), 1)
    steps = differ = 0
    apart = 0.0
    with tqdm(total=count, desc="steps alone", unit="step", leave=False) as bar:
        while steps < count:
            rng = np.random.default_rng(steps)
            batch.reset(seed=9 * APART + steps)
            for _ in range(setting.size.steps):
                before, actions = batch.get_state(), parts.offered(batch.action_masks(), rng)
                result = batch.transition(actions)
                for snapshot, action, after, reward in zip(before, actions, result.states, result.rewards, strict=True):
                    single.set_state(snapshot)
                    alone = float(single.step(int(action))[1])
                    same = single.state.text == after.text
                    differ += not same
                    apart = max(apart, abs(alone - float(reward))) if same else apart
                steps += len(before)
                bar.update(len(before))
    return steps, differ, apart


def curves(setting: Setting, found: Findings) -> None:
    """Cost against the number of environments, the actions offered and the pool."""
    world, size = setting.world, setting.size
    rows = []
    for count in size.envs:
        table, found_shares = dissect(setting, world, 10 * APART, num_envs=count)
        step = table[-1]["ms a step"]
        rest = median(outside(found_shares))
        rows.append({ENVS: count, "env-steps a second": 1000 * count / step, "ms a step": step,
                     "share outside generation": rest, MEMORY: memory(setting, num_envs=count)})  # fmt: skip
    found.table("Number of environments", rows)
    pool = world.settings.pool
    found.table(
        f"Actions offered, out of a pool of {pool}",
        [{ACTIONS: k} | outside_of(setting, k, pool) for k in size.actions],
    )
    k = world.settings.actions
    found.table(
        f"Candidates, {k} actions offered", [{POOL: count} | outside_of(setting, k, count) for count in size.pools]
    )


def outside_of(setting: Setting, k: int, pool: int) -> Row:
    """What a step of the batch costs with other action sets."""
    rows, found_shares = dissect(setting, parts.with_sets(setting.world, k, pool), 11 * APART)
    step = rows[-1]["ms a step"]
    return {
        "ms a step outside generation": median(outside(found_shares)) * step,
        "ms a step": step,
        MEMORY: memory(setting, actions=k, pool=pool),
    }


def memory(setting: Setting, **changed: int) -> float | None:
    """Peak memory, MiB, of a process that does nothing else than open the batch and step it; None where not asked."""
    settings, size = setting.world.settings, setting.size
    usual = {"num_envs": size.num_envs, "actions": settings.actions, "pool": settings.pool}
    return parts.peak_alone(setting.device, **(usual | changed)) if size.memory else None


def catalogs(setting: Setting, found: Findings) -> None:
    """Cost against the size of the catalog: Gaussian items in place of the catalog's own."""
    rows = []
    for count in setting.size.items:
        world, took = parts.over_items(setting.world, count, np.random.default_rng(1))
        table, found_shares = dissect(setting, world, 12 * APART)
        share = median(found_shares[UTILITY])
        rows.append({CATALOG: count, "ms a step for utility": share * table[-1]["ms a step"], "share": share,
                     "s to make": took, MEMORY: memory(setting, items=count)})  # fmt: skip
    found.table("Items of the catalog (the utility alone sees them)", rows)


def recall(setting: Setting, found: Findings) -> None:
    """What FAISS finds of the nearest items, and how long it takes, against exact search."""
    rng = np.random.default_rng(2)
    items, z = rng.normal(size=(setting.size.recall, 8)), rng.normal(size=(QUERIES, 8))
    rows: list[Row] = []
    exact: NDArray[np.int64] | None = None
    for name, make in (("exact, k-d tree", Tree), ("FAISS, cells", Cells)):
        begin = time.perf_counter()
        index = make(items)
        made = time.perf_counter()
        nearest = index.query(z, NEAREST)[1]
        end = time.perf_counter()
        exact = nearest if exact is None else exact
        share = np.mean([len({*one} & {*other}) for one, other in zip(exact, nearest, strict=True)]) / NEAREST
        rows.append({"index": name, f"recall of {NEAREST}": float(share), "ms a point": 1000 * (end - made) / QUERIES,
                     "s to make": made - begin})  # fmt: skip
    found.table(f"Nearest among {len(items):,} Gaussian items in 8 dimensions", rows)


def server(setting: Setting, found: Findings) -> None:
    """Requests a second of a server on loopback, by requests under way: how many environments keep it busy."""
    count = setting.size.requests
    if not count:
        return
    prompts = [prompt for call in recorded(setting, count, 13 * APART) for prompt in call.prompts][:count]
    rows = []
    try:
        with transformers_serve(weights_path()) as url:
            for at_once in (1, 4, 16, 64):
                spec = f"openai:{weights_path()}@{url}?prompt_format=control&timeout=300&concurrency={at_once}"
                model = load_language_model(spec, max_new_tokens=160)
                model.generate(prompts[:1], [0])
                took = seconds(partial(model.generate, prompts, range(count)))
                rows.append({"requests under way": at_once, "generations a second": count / took,
                             "s an answer": at_once * took / count})  # fmt: skip
                model.close()
    except PreparationError as error:
        tqdm.write(f"server: not measured: {error}")
        return
    found.table("transformers serve with the embedded model on loopback, beside the client on the same cores", rows)
