"""The page on action sets: gains of the same policies with every set, on one scale, verdicts, coverage of each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.experiments.t3_action_sets.sizes import COMPARED, DESIGNED, FURTHER, REDUNDANT
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, average, given, judged_mean, score
from benchmarks.reporting.verdicts import HEAD, Verdict, rows, verdict, write_verdicts
from benchmarks.running import Cell, opened
from benchmarks.running.files import write_json
from benchmarks.running.runs import Run, by_method, read_run, rows_of
from eagle_gym.envs import transition
from eagle_gym.envs.world import RawState

NOTE = (
    "Gains are in catalog standard deviations of utility, over the same episodes of test users for every set. "
    "Normalised: 0 is the uniform policy with the designed set, 1 is beam search among all candidates of the default "
    "pool, over the episodes that all three played. The judge is the true taste on Plots, and a second factorisation, "
    "of ratings that no reward has seen, elsewhere; it knows nothing of novelty and of interests. Policies with a word "
    "under *reads* are privileged: they are given what edits are expected to do (`effects`), what they are expected to "
    "be worth (`expected`), or trial rewrites. *C* is the median over the episodes' first states: 1 is best; C is "
    "infinite where the set leaves a direction of the pool uncovered. *Finite* is the share of states with a finite C. "
    "*Length* is the mean length of the displacements of the set, in units of the latent space. Intervals are 95 %, "
    "over seeds and users. A claim *holds* where the intervals by reward and by judge are above 0, and is "
    "*contradicted* where both are below."
)
SCORES = ("gain by reward", "gain by judge", "normalised")
COVERS = {"C": ".2f", "finite": ".0%", "length": ".2f"}


def write_page(folder: Path, places: Mapping[str, Sequence[str]]) -> str:
    """Write `REPORT.md`, `coverage.json` and `verdicts.json` of the cells that are done.

    Args:
        folder: Folder of the run.
        places: For each catalog and task the names of its action sets.

    Returns:
        The page.
    """
    run = read_run(folder)
    covers = {f"{name}-{kind}": coverage(run, f"{name}-{kind}") for name, sets in places.items() for kind in sets}
    write_json({"covers": covers}, folder / "coverage.json")
    claims = {name: comparisons(run, name, sets) for name, sets in places.items()}
    write_verdicts(claims, folder)
    parts = [NOTE]
    for name, sets in places.items():
        parts += [f"## {name}", *left_out(name), policies(run, name)]
        parts += [table(run, name, sets, policy, covers) for policy in COMPARED]
        parts.append(aligned(HEAD, rows(claims[name])))
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


def left_out(name: str) -> list[str]:
    """A sentence on the sets that a task does not have."""
    sets = REDUNDANT.get(name.rpartition("-")[2], ())
    return [f"The set *{kind}* has no row here: it is the designed set of this task." for kind in sets]


def policies(run: Run, name: str) -> str:
    """The table of every policy with the designed set, and of beam search among all candidates."""
    known, every = by_method(run.of(f"{name}-{DESIGNED}")), by_method(run.of(f"{name}-every"))
    methods = {method: known[method] for method in (*FURTHER, *reversed(COMPARED)) if method in known} | every
    body = [
        [title(method) + (", all candidates" if method in every else ""), given(cells[0]), *scores(run, name, cells)]
        for method, cells in methods.items()
    ]
    return aligned([f"policy, {DESIGNED} set", "reads", *SCORES], body)


def table(run: Run, name: str, sets: Sequence[str], policy: str, covers: Mapping[str, Mapping[str, float]]) -> str:
    """The table of one policy with every set."""
    body = []
    for kind in sets:
        cells, found = by_method(run.of(f"{name}-{kind}")).get(policy), covers[f"{name}-{kind}"]
        shown = scores(run, name, cells) if cells else ["not run", "", ""]
        body.append([kind, *shown, *(f"{found[key]:{form}}" if found else "" for key, form in COVERS.items())])
    return aligned([f"set, {policy} policy", *SCORES, *COVERS], body)


def scores(run: Run, name: str, cells: Cells) -> list[str]:
    """Gain by reward and by judge, and the normalised score of a policy with a set, as table entries."""
    top = by_method(run.of(f"{name}-every")).get("beam")
    bottom = by_method(run.of(f"{name}-{DESIGNED}")).get("uniform")
    gain = average(rows_of(cells), lambda row: row.gain, np.random.default_rng(0))
    opinion = judged_mean(run.judged(cells), lambda item: item.confirmed, np.random.default_rng(0))
    place = score(cells, top, bottom, np.random.default_rng(0))
    return [str(gain), str(opinion or "not judged"), str(place or "n/a")]


def comparisons(run: Run, name: str, sets: Sequence[str]) -> list[Verdict]:
    """Whether the policies gain more with the designed set than with each of the others."""

    def cells(policy: str, kind: str) -> Cells | None:
        return by_method(run.of(f"{name}-{kind}")).get(policy)

    return [
        verdict(run, f"{title(policy)}: {DESIGNED} minus {kind}", cells(policy, DESIGNED), cells(policy, kind))
        for policy in COMPARED
        for kind in sets
        if kind != DESIGNED
    ]


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
