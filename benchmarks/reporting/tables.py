"""Tables of a report, and the paragraphs that stand next to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from benchmarks.reporting import paper
from benchmarks.reporting.document import Block, Bullets, Table, Text
from benchmarks.reporting.names import REFERENCES, is_partial, title
from benchmarks.reporting.standings import UNIFORM, Cells, Methods, Standing, difference, mean_cost
from benchmarks.reporting.verdicts import HEAD, rows, verdict
from benchmarks.running.runs import Run, by_method, rows_of
from benchmarks.stats import Interval

NAMED = 5  # largest number of methods named among those that a method lost to
WELL_FORMED = 0.95  # share of well-formed episodes below which a method is never named without it

COLUMNS: Mapping[str, Callable[[Standing], str]] = {
    "environment": lambda item: item.environment,
    "method": lambda item: title(item.method),
    "reads": lambda item: item.reads,
    "gain": lambda item: number(item.gain),
    "IQM": lambda item: number(item.iqm),
    "affinity": lambda item: f"{item.affinity:+.2f}",
    "novelty": lambda item: f"{item.novelty:+.2f}",
    "drift": lambda item: f"{0 - item.drift:+.2f}",
    "cost": lambda item: f"{0 - item.cost:+.2f}",
    "U(z)": lambda item: number(item.utility),
    "normalised score": lambda item: number(item.normalised),
    "user utility": lambda item: number(item.user),
    "rater utility": lambda item: number(item.raters),
    "language model": lambda item: number(item.model),
    "distance": lambda item: number(item.distance),
    "beats uniform": lambda item: "" if item.method == UNIFORM else number(item.improvement),
    "percentile": lambda item: f"{item.percentile:.0f}",
    "well-formed": lambda item: f"{item.valid:.1%}",
    "steps to train": lambda item: f"{item.steps:,.0f}",
    "calls to train": lambda item: f"{item.training.calls:,.0f}",
    "calls of the surrogate": lambda item: f"{item.fit:,}" if item.fit else "",
    "calls per episode": lambda item: f"{item.evaluation.calls:,.1f}",
    "seeds": lambda item: f"{item.seeds}",
    "episodes": lambda item: f"{item.episodes:,}",
}
PAPER_COLUMNS = (
    *("method", "reads", "U(z)", "normalised score", "user utility", "rater utility", "language model", "distance"),
)
PRICES = ("drift", "cost")  # columns of the parts of a gain that are there only where they are charged
GAIN_COLUMNS = (
    *("method", "reads", "gain", "IQM", "affinity", "novelty", *PRICES, "normalised score", "beats uniform"),
    *("percentile", "well-formed", "steps to train", "calls to train", "calls of the surrogate", "calls per episode"),
    *("seeds", "episodes"),
)
SETTING_COLUMNS = (
    *("environment", "method", "reads", "gain", "U(z)", "normalised score", "user utility", "rater utility"),
    *("distance", "calls per episode"),
)
LEGEND = (
    "*U(z)* is the utility of the last text, in standard deviations of the catalog. *User utility*, *rater utility* "
    "and *language model* are gains of the last text over the first, by judges that took no part in training: for the "
    "user of the episode, for a panel of other users, and by a language model's rating from 1 to 10. The judges know "
    "the true tastes on Plots, and a second factorisation and encoder elsewhere. *Distance* is the distance in Z from "
    "the first text. The *normalised score* is 0 for the uniform policy and 1 for the beam oracle, over the episodes "
    "that all three share. Rows with a word under *reads*, except for `rewrites` only, are privileged (see the gains "
    "below). Intervals are 95 % bootstrap intervals over seeds and users."
)
GAIN_LEGEND = (
    "*Gain* is the gain in utility of the last text over the first, in standard deviations of the catalog (*IQM*: its "
    "interquartile mean; *affinity*, *novelty* and, where they are charged, *drift* and *cost*: its parts). The "
    "*normalised score* is 0 for the uniform policy and 1 for the beam oracle, over the episodes that all three share. "
    "*Beats uniform* is the probability of a gain above the uniform policy's. *Percentile* is that of the last text's "
    "predicted rating in the catalog. *Well-formed* is the share of episodes with only well-formed texts. Steps and "
    "calls include recorded episodes, warm starts and texts that were drawn again; of CoLA and GRPO (tokens), steps "
    "are the rewrites that training draws, each of them two calls. *Calls of the surrogate* are those "
    "of its fit, once for all methods, given to those that read what it predicts; the action sets that everyone is "
    "offered were designed with it too. *Reads* marks what is privileged: who was shown, in use or in "
    "training, what edits are expected to do (`effects`) or to be worth (`expected`), trial rewrites, or the utility "
    "of any point. Intervals are 95 % bootstrap intervals over seeds and users."
)


def number(found: Interval | None) -> str:
    """An estimate with its interval."""
    return "n/a" if found is None else str(found)


def spread(values: Sequence[float]) -> str:
    """Mean over seeds, and the smallest and the largest; whole numbers from a hundred on."""
    form = "{:,.0f}" if max(values) >= 100 else "{:.2f}"
    return f"{form.format(np.mean(values))} ({form.format(min(values))} to {form.format(max(values))})"


def percent(share: float) -> str:
    """A share as a percentage."""
    return "n/a" if np.isnan(share) else f"{100 * share:.0f} %"


def line(item: Standing, columns: Sequence[str]) -> list[str]:
    """A row of a table."""
    return [COLUMNS[name](item) for name in columns]


def gains_table(found: Sequence[Standing], columns: Sequence[str] = GAIN_COLUMNS, caption: str = GAIN_LEGEND) -> Table:
    """Gains and costs, the largest gain first; a price that nobody paid has no column."""
    unpaid = [name for name in PRICES if not any(getattr(item, name) for item in found)]
    columns = [name for name in columns if name not in unpaid]
    return Table(columns, [line(item, columns) for item in found], caption)


def paper_table(found: Sequence[Standing], holes: Mapping[str, str], expected: Sequence[str] = ()) -> Table:
    """The columns of the paper's table: the paper's rows first, then the others by gain."""
    known = {item.method: item for item in found}
    order = [*expected, *(name for name in known if name not in expected)]
    return Table(
        PAPER_COLUMNS,
        [
            line(known[name], PAPER_COLUMNS) if name in known else without_numbers(PAPER_COLUMNS, holes, name)
            for name in order
        ],
    )


def settings_table(run: Run, found: Mapping[str, Sequence[Standing]]) -> Table:
    """The columns of the paper's table for every environment of a run."""
    body = []
    for environment, some in found.items():
        holes = run.holes(environment)
        body += [line(item, SETTING_COLUMNS) for item in some]
        body += [[environment, *without_numbers(SETTING_COLUMNS[1:], holes, name)] for name in holes]
    return Table(SETTING_COLUMNS, body)


def without_numbers(columns: Sequence[str], holes: Mapping[str, str], name: str) -> list[str]:
    """A row of a method that has no numbers."""
    word = "failed" if holes.get(name, "").startswith("failed") else "not run"
    return [title(name), word, *[""] * (len(columns) - 2)]


def left_out(run: Run, environments: Sequence[str]) -> list[Block]:
    """Methods and seeds without numbers, and why."""
    items = [
        f"{title(name)} in {environment}: {why}"
        for environment in environments
        for name, why in run.holes(environment).items()
    ]
    for environment in environments:
        if seeds := run.left_out.get(environment):
            words = f"not finished ({len(run.missing)} cells of the run are missing), left out for every method"
            items.append(f"seed {', '.join(map(str, seeds))} in {environment}: {words}")
    return [Text("Not in the numbers:"), Bullets(items)] if items else []


def ill_formed(cells: Cells) -> str:
    """A remark on a method with badly formed texts, "" for others."""
    share = float(np.mean([row.valid for row in rows_of(cells)]))
    return f"only {share:.1%} of its episodes are well-formed" if share < WELL_FORMED else ""


def named(name: str, methods: Methods) -> str:
    """A method's name, with the share of its well-formed episodes if that is low."""
    remark = ill_formed(methods[name])
    return f"**{title(name)}**{f' ({remark})' if remark else ''}"


def warnings(methods: Methods) -> list[Block]:
    """The methods whose texts are often badly formed."""
    remarks = [f"{title(name)}: {words}" for name, cells in methods.items() if (words := ill_formed(cells))]
    words = "Badly formed texts (in plot English: texts that do not parse) are rated like others in these tables:"
    return [Text(words), Bullets(remarks)] if remarks else []


def contests(methods: Methods, found: Sequence[Standing], seed: int = 0) -> list[Block]:
    """The method with the largest gain, and wins and losses of every method that learns, by paired differences."""
    rng = np.random.default_rng(seed)
    order = [item.method for item in found if not is_partial(item.method)]
    pairs = {pair: difference(methods[pair[0]], methods[pair[1]], rng) for pair in combinations(order, 2)}
    body = [
        [title(item.method), f"{item.valid:.1%}", *contest(item.method, order, pairs)]
        for item in found
        if item.training.calls and item.method in order
    ]
    caption = (
        "Wins and losses of every method that learns, by paired differences of gains on shared episodes: number of "
        "methods that it is above, level with (the interval contains 0) and below, and the names of the last. Gains "
        "do not depend on whether texts are well-formed."
    )
    return [
        Text(f"Best: {named(found[0].method, methods)}, gain {number(found[0].gain)}."),
        *([Table(["method", "well-formed", "above", "level", "below", "lost to"], body, caption)] if body else []),
    ]


def contest(method: str, order: Sequence[str], pairs: Mapping[tuple[str, str], Interval | None]) -> list[str]:
    """Numbers of methods above, level and below, and the names of those that win."""
    found: dict[str, Interval] = {}
    for (one, other), interval in pairs.items():
        if interval is not None and method in (one, other):
            found[other if method == one else one] = interval if method == one else -interval
    above = sum(interval.low > 0 for interval in found.values())
    lost = [f"{title(name)} {found[name].estimate:+.2f}" for name in order if name in found and found[name].high < 0]
    names = "; ".join(lost[:NAMED]) + (f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else "")
    return [str(above), str(len(found) - above - len(lost)), str(len(lost)), names or "none"]


def claims(methods: Methods, run: Run) -> list[Block]:
    """The paper's claims next to our numbers."""
    caption = (
        "The paper's claims and the mean paired difference of our gains, by reward and by judge. *Agrees*: the "
        "interval is above 0; *contradicts*: below 0; *undecided*: it contains 0; *divided*: reward and judge do not "
        "say the same. *Not counted*: an imitator of the uniform policy cannot move, so nothing follows from it."
    )
    body = [paper.cells(finding) for finding in paper.findings(methods, run)]
    return [Table(["claim of the paper", "by reward", "by judge", "verdict"], body, caption)]


EAGLES = tuple(f"eagle-{name}" for name in REFERENCES)
RIVALS = (
    *((f"eagle-{name}", "ppo") for name in REFERENCES),
    *((f"eagle-{name}-half", "ppo-half") for name in REFERENCES),
    *((f"eagle-{name}", f"ppo-bc-{name}") for name in REFERENCES),
    *((f"eagle-{name}", name) for name in REFERENCES),
    *((name, below) for below in ("user_blind", "first") for name in ("ppo", "optimistic", *EAGLES)),
    *(("cola", "grpo_tokens"), ("cola", "ppo"), ("grpo_tokens", "ppo")),
    *((name, "uniform") for name in ("g_optimal", "user_blind", "first", "no_op")),
)
"""Pairs of methods that the paper does not compare, or that say what a task asks for."""


def rivals(methods: Methods, run: Run) -> list[Block]:
    """Verdicts by reward and by judge on pairs of methods that were both run."""
    pairs = [(one, other) for one, other in RIVALS if one in methods and other in methods]
    found = [verdict(run, f"{title(a)} minus {title(b)}", methods[a], methods[b]) for a, b in pairs]
    caption = "Mean paired differences of gains; a claim that the first gains more holds where reward and judge say so."
    return [Table(HEAD, rows(found), caption)] if found else []


def decoder(methods: Methods) -> list[Block]:
    """How well decoders write the text of a point, from what their agents measured after training."""
    body = []
    for name, cells in methods.items():
        found = [cell.header["quality"] for cell in cells if cell.header.get("quality")]
        if found:
            parts = ([quality[key] for quality in found] for key in DECODER)
            numbers = (f"{np.mean(part):.2f} ({min(part):.2f} to {max(part):.2f})" for part in parts)
            body.append([title(name), str(len(found)), *numbers])
    caption = (
        "What the decoder can write, on test items and test users: mean and range over seeds. *Reconstruction* is the "
        "distance from an item's point to the re-encoded text that is written for it; *nearest item* and *random item* "
        "are the distances to other items. *Best point* is the utility of the point that is decoded, *its text* that "
        "of the text returned for it, and *lost* the difference."
    )
    return [Table(["method", "seeds", *DECODER.values()], body, caption)] if body else []


DECODER: Mapping[str, str] = {
    **{"reconstruction": "reconstruction", "nearest": "nearest item", "random": "random item"},
    **{"optimum": "best point", "achieved": "its text", "gap": "lost"},
}


def cost_table(runs: Sequence[Run]) -> Table:
    """Calls, tokens, seconds and dollars of every method."""
    head = ["run", "environment", "method", "steps", "calls", "tokens read", "tokens written", "seconds", "$"]
    head += ["calls per episode", "tokens per episode", "seconds per episode"]
    caption = (
        "Mean over seeds of the training (recorded episodes and earlier agents included), and of a test episode. "
        "Tokens are those of the language model that writes: of ELM, CoLA and GRPO (tokens), their own. "
        "Dollars are 0 for a model that runs on this machine or has no known price."
    )
    return Table(head, [
        [run.experiment, environment, title(name), *costs(cells)]
        for run in runs
        for environment in run.environments
        for name, cells in by_method(run.of(environment)).items()
    ], caption)  # fmt: skip


def costs(cells: Cells) -> list[str]:
    """Costs of one method."""
    trained, tested = [cell.training for cell in cells if cell.training], [cell.evaluation for cell in cells]
    training, episode = mean_cost(trained, len(trained)), mean_cost(tested, len(rows_of(cells)))
    return [
        f"{cells[0].steps:,.0f}" if cells[0].steps else "",
        f"{training.calls:,.0f}",
        f"{training.prompt_tokens:,.0f}",
        f"{training.completion_tokens:,.0f}",
        f"{training.seconds:,.0f}",
        f"{sum(cost.dollars for cost in (*trained, *tested)):.2f}",
        f"{episode.calls:,.1f}",
        f"{episode.prompt_tokens + episode.completion_tokens:,.0f}",
        f"{episode.seconds:,.2f}",
    ]
