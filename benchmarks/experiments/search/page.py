"""The page on search: gain against calls, by reward and by judge, and the strongest method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting import plots
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import colour, title
from benchmarks.reporting.standings import Cells, Methods, average, difference, given, judged_mean
from benchmarks.running.runs import Run, by_method, read_run, rows_of
from benchmarks.stats import Interval

NOTE = (
    "Gains are in standard deviations of utility over the catalog, on test users. *Calls* are the generations of an "
    "episode: imagined rewrites, redrawn ones, and the steps themselves. Intervals are 95 %, over users and "
    "two sets of episodes. The judge is the true taste, which knows nothing of novelty. *Reads* marks what is "
    "privileged: what edits are expected to do (`effects`) or to be worth (`expected`), and trial rewrites."
)
DRAWN = ("uniform", "optimistic")  # as lines
STILL = ("no_op", "uniform", "first", "user_blind", "optimistic")  # policies that imagine nothing, in the table
PANELS = {"reward": "gain by reward", "judge": "gain by judge"}


def write_page(folder: Path, places: Sequence[str], searches: Sequence[str], calls: Sequence[int]) -> str:
    """Write `REPORT.md` and its pictures of the cells that are done.

    Args:
        folder: Folder of the run.
        places: Names of the environments.
        searches: Names of the methods that search.
        calls: Their budgets, ascending.

    Returns:
        The page.
    """
    run = read_run(folder)
    parts = [NOTE]
    for place in places:
        methods = by_method(run.of(place))
        if methods:
            plots.write(figure(run, methods, searches, calls), folder / f"{place}.png")
            parts += [f"## {place}", strongest(methods, searches, max(calls))]
            parts += [f"![Gain by calls, {place}]({place}.png)", table(run, methods, searches, calls)]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


def strongest(methods: Methods, searches: Sequence[str], calls: int) -> str:
    """The method with the largest mean gain at a budget, and its differences from the others."""
    rivals = {name: cells for name in searches if (cells := methods.get(f"{name}-{calls}"))}
    if not rivals:
        return f"No search with {calls:,} calls is finished."
    best = max(rivals, key=lambda name: np.mean([row.gain for row in rows_of(rivals[name])]))
    gaps = [
        f"{title(name)} {difference(rivals[best], cells, np.random.default_rng(0))}"
        for name, cells in rivals.items()
        if name != best
    ]
    gap = f" It gains more than the others by: {'; '.join(gaps)}." if gaps else ""
    return f"The strongest search with {calls:,} calls is **{title(best)}**.{gap}"


def gains(run: Run, cells: Cells) -> Mapping[str, Interval | None]:
    """Mean gain of a method by reward and by judge."""
    rng = np.random.default_rng(0)
    return {
        "reward": average(rows_of(cells), lambda row: row.gain, rng),
        "judge": judged_mean(run.judged(cells), lambda item: item.confirmed, rng),
    }


def spent(cells: Cells) -> float:
    """Generations of an episode, mean."""
    return sum(cell.evaluation.calls for cell in cells) / len(rows_of(cells))


def table(run: Run, methods: Methods, searches: Sequence[str], calls: Sequence[int]) -> str:
    """Every method with every budget."""
    named = {name: title(name) for name in STILL}
    named |= {f"{name}-{count}": f"{title(name)}, {count:,}" for name in searches for count in calls}
    body = []
    for name, words in named.items():
        if cells := methods.get(name):
            found = gains(run, cells)
            valid = np.mean([row.valid for row in rows_of(cells)])
            body.append(
                [words, given(cells[0]), f"{len(rows_of(cells))}", f"{spent(cells):,.0f}"]
                + [str(found[key] or "not judged") for key in PANELS]
                + [f"{valid:.0%}"]
            )
    return aligned(["method, budget", "reads", "episodes", "calls", *PANELS.values(), "well-formed"], body)


def figure(run: Run, methods: Methods, searches: Sequence[str], calls: Sequence[int]) -> Any:  # noqa: ANN401 - matplotlib has no types
    """Gain against calls, one curve for each method; by reward, and by judge if the run is judged."""
    from matplotlib.figure import Figure

    wanted = [key for key in PANELS if key == "reward" or run.judgements]
    drawn = Figure(figsize=(4.2 * len(wanted), 4.2), layout="constrained")
    panels = drawn.subplots(1, len(wanted), squeeze=False)[0]
    for key, axes in zip(wanted, panels, strict=True):
        for name in searches:
            curve(axes, [(spent(cells), gains(run, cells)[key]) for cells in found(methods, name, calls)], name)
        for name in DRAWN:
            level = gains(run, methods[name])[key] if name in methods else None
            if level:
                axes.axhline(level.estimate, color=colour(name), linestyle=":", label=title(name))
        axes.set_xscale("log", base=2)
        axes.set_xlabel("language-model calls of an episode")
        axes.set_ylabel(PANELS[key])
        axes.spines[["top", "right"]].set_visible(False)
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return drawn


def found(methods: Methods, name: str, calls: Sequence[int]) -> list[Cells]:
    """The cells of a search, for each budget that is done."""
    return [methods[key] for count in calls if (key := f"{name}-{count}") in methods]


def curve(axes: Any, points: Sequence[tuple[float, Interval | None]], name: str) -> None:  # noqa: ANN401
    """One method: estimates as a line, intervals as a band."""
    some = [(x, gain) for x, gain in points if gain]
    x = [place for place, _ in some]
    axes.plot(x, [gain.estimate for _, gain in some], "o-", color=colour(name), label=title(name), markersize=4)
    low, high = ([getattr(gain, end) for _, gain in some] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=colour(name), alpha=0.15, linewidth=0)
