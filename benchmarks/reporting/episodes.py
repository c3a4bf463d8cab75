"""Single episodes: as text, as paths on the latent map, and side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from baselines.evaluate import EpisodeRow
from benchmarks.judging.latent_map import chosen
from benchmarks.reporting import plots
from benchmarks.reporting.document import Block, EpisodeColumns, Heading, Picture, Text
from benchmarks.reporting.names import PAPER, is_oracle, is_partial, parts, title
from benchmarks.reporting.standings import UNIFORM, Methods, Standing
from benchmarks.running.runs import Run, rows_of

PLOTS = "EagleGym/Plots-v0"  # only texts of this catalog may be shown
SHOWN = 3  # episodes side by side
FEW = 8  # largest number of methods in one plot


def typical(rows: Sequence[EpisodeRow]) -> EpisodeRow:
    """The episode of median gain among those with only well-formed texts (among all, if there are none)."""
    shown = [row for row in rows if row.valid] or list(rows)
    return sorted(shown, key=lambda row: (row.gain, row.episode))[len(shown) // 2]


def lines_of(row: EpisodeRow) -> Iterator[tuple[str, str]]:
    """Texts labelled by their utility, and the edits between them, which have no label."""
    for step, (text, utility) in enumerate(zip(row.texts, row.utilities, strict=True)):
        yield f"{utility:+.2f}", text
        yield from [("", row.edits[step])] if step < len(row.edits) else []


def transcript(row: EpisodeRow, width: int = 110) -> str:
    """An episode in plain text: utility and text of every step, the chosen edits between them."""
    lines: list[str] = []
    for label, text in lines_of(row):
        first = f"{label:>5}  " if label else " " * 7 + "> "
        lines += textwrap.wrap(text, width if label else 10**6, initial_indent=first, subsequent_indent=" " * 7)
    return "\n".join(lines)


def latent_map(run: Run, environment: str, methods: Methods) -> list[Block]:
    """The latent map with one path for each method."""
    drawn = run.latent_map(environment)
    heading = Heading("Latent map", 3)
    if drawn is None:
        return [heading, Text("No map: `judge` makes it.")]
    rows = {
        name: row
        for name in drawn_methods(list(methods))
        for row in rows_of(methods[name])
        if (row.seed, row.episode) == (drawn.seed, drawn.episode) and row.z
    }
    if not rows:
        return []
    caption = (
        "Paths of the methods for one user from one start, with a star at the end; catalog items as faint points. "
        f"With more than {FEW} methods, only the paper's methods, PPO, the oracle and the uniform policy are drawn. "
        "Horizontal axis: the user's taste; vertical axis: the orthogonal direction with the most movement. The plane "
        f"contains {drawn.share:.0%} of the squared movement. The shades are the utility on the plane through the "
        "start, which the paths leave."
    )
    return [heading, Picture(f"{run.folder.name}-{environment}-map", plots.latent(drawn, rows), caption)]


def drawn_methods(methods: Sequence[str]) -> list[str]:
    """Methods on a map: all, or of many the paper's methods, PPO, the oracle and the uniform policy."""
    if len(methods) <= FEW:
        return list(methods)
    return [name for name in methods if name in (*PAPER, "ppo", UNIFORM) or is_oracle(name)]


def side_by_side(run: Run, environment: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Episodes of a few methods for one user from one text; only of Plots."""
    rows = [row for cells in methods.values() for row in rows_of(cells) if row.texts]
    if not rows or any(cells[0].env_id != PLOTS for cells in methods.values()):
        return []
    drawn = run.latent_map(environment)
    key = (drawn.seed, drawn.episode) if drawn else chosen(rows)[0]
    met = {row.method: row for row in rows if (row.seed, row.episode) == key}
    names = to_show([item.method for item in found if item.method in met and not is_partial(item.method)])
    if not names:
        return []
    return [
        Heading("Episodes side by side", 3),
        Text(
            f"Episodes of one user ({met[names[0]].user}) from one start text. The numbers are utilities in standard "
            "deviations of the catalog; the chosen edits stand between the texts."
        ),
        EpisodeColumns([(f"{title(name)}, gain {met[name].gain:+.2f}", [*lines_of(met[name])]) for name in names]),
    ]


def to_show(order: Sequence[str]) -> list[str]:
    """Of methods ordered by gain: the first EAGLE agent, the first of the others, and the uniform policy."""
    ours = [name for name in order if parts(name)[0] == "eagle"][:1]
    others = [name for name in order if name not in (*ours, UNIFORM)][: SHOWN - 1 - len(ours)]
    return [*ours, *others, *(name for name in order if name == UNIFORM)][:SHOWN]
