"""Plots of an environment, with captions."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reporting import plots
from benchmarks.reporting.document import Block, Heading, Picture, PictureRow
from benchmarks.reporting.episodes import FEW
from benchmarks.reporting.names import PAPER, is_oracle, is_partial
from benchmarks.reporting.standings import UNIFORM, Methods, Standing
from benchmarks.running.runs import Run

IMPROVEMENT = (
    "Probability of improvement in percent: how often the method of the row gains more than that of the column (by its "
    "number) on a shared episode; a tie counts half."
)
CURVES = {
    "steps": "Return of training episodes against environment steps: mean, worst and best seed.",
    "calls": "The same against language-model calls, warm starts and recorded episodes included.",
}


def pictures(run: Run, environment: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Gains, performance profiles, probabilities of improvement, and learning curves."""
    order = [item.method for item in found]
    whole = [method for method in order if not is_partial(method)]
    name = f"{run.folder.name}-{environment}"
    blocks: list[Block] = [
        Heading("Gains", 3),
        Picture(f"{name}-gain", plots.bars(found), "Mean gain in utility."),
        PictureRow(profiles(name, methods, whole)),
    ]
    if len(order) > 1:
        blocks.append(Picture(f"{name}-improvement", plots.improvement(methods, whole), IMPROVEMENT))
    return [*blocks, *curves(name, methods, found)]


def curves(name: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Learning curves, if there are any."""
    if not any(plots.growth(cells) for cells in methods.values()):
        return []
    drawn = [Picture(f"{name}-{x}", plots.curves(methods, found, x), caption) for x, caption in CURVES.items()]
    return [Heading("Sample efficiency", 3), PictureRow(drawn)]


def profiles(name: str, methods: Methods, whole: Sequence[str]) -> list[Picture]:
    """Performance profiles: one plot of few methods, otherwise one of the paper's methods and one of the others."""
    ends = [method for method in whole if method == UNIFORM or is_oracle(method)]
    ours = [method for method in whole if method in PAPER]
    others = [method for method in whole if method not in (*PAPER, *ends)]
    groups = [[*ours, *ends], [*others, *ends]] if len(whole) > FEW and ours else [whole]
    caption = "Performance profiles: share of the test episodes with a gain above τ, with 95 % bands."
    return [
        Picture(f"{name}-profiles-{place}", plots.profiles(methods, some), caption)
        for place, some in enumerate(groups, start=1)
    ]
