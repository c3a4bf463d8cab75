"""The page on action sets: gains of the same policies with every set, on one scale, and the coverage of each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.standings import difference, keyed, score
from benchmarks.reporting.verdicts import verdict
from benchmarks.running import Cell, opened
from benchmarks.running.files import write_json
from benchmarks.running.runs import FinishedCell, Run, by_method, read_run
from benchmarks.stats import Interval, bootstrap
from eagle_gym.envs import transition
from eagle_gym.envs.world import RawState

NOTE = (
    "Gains are in catalog standard deviations of utility, over the same episodes of test users for every set. "
    "Normalised: 0 is the uniform policy with the designed set, 1 is beam search among all candidates of the default "
    "pool, over the episodes that all three played. *C* is the median over the episodes' first states: 1 is best; C is "
    "infinite where the set leaves a direction of the pool uncovered. *Finite* is the share of states with a finite C. "
    "*Length* is the mean length of the displacements of the set, in units of the latent space. Intervals are 95 %, "
    "over seeds and users. The judge is the true taste on Plots. That the designed set is better *holds* where the "
    "intervals by reward and by judge are above 0, and is *contradicted* where both are below."
)


def write_page(folder: Path, places: Mapping[str, Sequence[str]]) -> str:
    """Write `REPORT.md` and `coverage.json` of the cells that are done.

    Args:
        folder: Folder of the run.
        places: For each catalog and task the names of its action sets; the others are compared with the first.

    Returns:
        The page.
    """
    run = read_run(folder)
    covers = {f"{name}-{kind}": coverage(run, f"{name}-{kind}") for name, sets in places.items() for kind in sets}
    write_json({"covers": covers}, folder / "coverage.json")
    parts = [NOTE]
    for name, sets in places.items():
        parts.append(f"## {name}")
        parts += [table(run, name, sets, policy, covers) for policy in ("optimistic", "uniform")]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


def table(run: Run, name: str, sets: Sequence[str], policy: str, covers: dict[str, dict[str, float]]) -> str:
    """The table of one policy with every set."""
    rng = np.random.default_rng(0)
    top = by_method(run.of(f"{name}-every")).get("beam")
    usual = by_method(run.of(f"{name}-{sets[0]}"))
    body = []
    for kind in sets:
        cells = by_method(run.of(f"{name}-{kind}")).get(policy)
        less = difference(cells, usual.get(policy), rng) if cells and kind != sets[0] else None
        claim = verdict(run, kind, usual.get(policy), cells if kind != sets[0] else None)
        row = [kind, *(["not run", "", ""] if not cells else numbers(cells, top, usual.get("uniform"), less, rng))]
        found = covers[f"{name}-{kind}"]
        row += [str(claim.judge or ""), claim.words if claim.reward else ""]
        body.append([*row, *(f"{found[key]:{form}}" if found else "" for key, form in COVERS.items())])
    head = [f"set, {policy} policy", "gain", "normalised", f"less {sets[0]}", f"{sets[0]} less this, judge"]
    head += [f"{sets[0]} is better", "C", "finite", "length"]
    return aligned(head, body)


COVERS = {"C": ".2f", "finite": ".0%", "length": ".2f"}


def numbers(
    cells: Sequence[FinishedCell],
    top: Sequence[FinishedCell] | None,
    bottom: Sequence[FinishedCell] | None,
    less: Interval | None,
    rng: np.random.Generator,
) -> list[str]:
    """Gain, normalised score and difference of a set, as table entries."""
    gains = keyed(cells)
    gain = bootstrap([row[3] for row in gains], [row[0] for row in gains], [row[2] for row in gains], rng)
    return [str(gain), str(score(cells, top, bottom, rng) or "n/a"), "" if less is None else str(less)]


def coverage(run: Run, environment: str) -> dict[str, float]:
    """The coverage of the sets of an environment in the first states of its episodes; empty where no cell is done."""
    cells = run.of(environment)
    if not cells:
        return {}
    (env_id, kwargs), *_ = Cell(**cells[0].header["cell"]).environments()
    first = {(row.texts[0], row.user) for cell in cells for row in cell.rows}
    with opened(env_id, 1, split="test", **kwargs) as envs:
        world = envs.unwrapped.world
        starts = [RawState(text, world.catalog.user_index(user), -1) for text, user in sorted(first)]
        sets = [state.action_set for state in transition.make_states(world, starts)]
    factors = np.array([chosen.C for chosen in sets])
    lengths = [np.linalg.norm(chosen.features[chosen.mask > 0], axis=1).mean() for chosen in sets]
    return {
        "C": float(np.median(factors)),
        "finite": float(np.isfinite(factors).mean()),
        "length": float(np.mean(lengths)),
        "states": len(sets),
    }
