"""The report's sections, each a list of blocks made from runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from tqdm import tqdm

from baselines.evaluate import Cost, EpisodeRow
from benchmarks.judges import Judgement
from benchmarks.latent_map import chosen
from benchmarks.reporting import figures, paper
from benchmarks.reporting.document import Beside, Block, Episodes, Heading, Items, Picture, Table, Text, read_page
from benchmarks.reporting.names import PAPER, is_blind, is_oracle, is_partial, parts, title
from benchmarks.reporting.runs import Done, Run
from benchmarks.reporting.scores import (
    UNIFORM,
    Standing,
    apart,
    by_method,
    rows_of,
    serves,
    standings,
)
from benchmarks.results import shortened
from benchmarks.stats import Interval, bootstrap

PLOTS = "EagleGym/Plots-v0"  # only texts of this catalog are ours to show
SHOWN = 3  # episodes side by side
FEW = 8  # methods that one picture of profiles shows
NAMED = 5  # methods that a method lost to, the best first, which are named
WELL_FORMED = 0.95  # share of a method's episodes below which its name does not stand without it
Methods = Mapping[str, Sequence[Done]]
TABLES = {
    "t1_methods": ("T1: methods", paper.T1),
    "t2_transfer": ("T2: trained in one environment model, tested in another", paper.T2),
    "t3_action_sets": ("T3: action sets", paper.T3),
    "t4_products": ("T4: products", paper.T4),
}
COLUMNS = (
    "*U(z)* is the utility of the last text, in standard deviations of the catalog. *User utility*, *rater utility* "
    "and the *language model's* number are gains of the last text over the first, by judges who had no part in the "
    "training: true tastes on Plots, a second factorisation and encoder on real ratings, for the user whom the text "
    "was written for and for a panel of other users. *Distance* is from the first text, in Z. The *normalised score* "
    "is 0 for the uniform policy and 1 for the beam oracle, over the episodes that all three have met. Intervals are "
    "95 %, over seeds, then users."
)


def env_id(cells: Sequence[Done]) -> str:
    """Id of an environment."""
    return str(cells[0].header["cell"]["env_id"])


def number(found: Interval | None, form: str = ".2f") -> str:
    """An estimate with its interval."""
    return "n/a" if found is None else f"{found.estimate:{form}} [{found.low:{form}}, {found.high:{form}}]"


# Tables


def paper_table(found: Sequence[Standing], holes: Mapping[str, str], expected: Sequence[str] = ()) -> Table:
    """The paper's columns: its rows first, in its order, then the others, the best first."""
    known = {item.method: item for item in found}
    order = [*expected, *(item.method for item in found if item.method not in expected)]
    head = ["method", "U(z)", "normalised score", "user utility", "rater utility", "language model", "distance"]
    body = []
    for name in order:
        item = known.get(name)
        if item is None:
            body.append([title(name), "failed" if holes.get(name, "").startswith("failed") else "not run", *[""] * 5])
        else:
            estimates = (item.utility, item.normalised, item.user, item.raters, item.model, item.distance)
            body.append([title(name), *(number(value) for value in estimates)])
    return Table(head, body)


def gains_table(found: Sequence[Standing]) -> Table:
    """Gains and their cost, the best first."""
    head = ["method", "gain", "IQM", "beats uniform", "percentile", "valid", "calls to train", "calls an episode"]
    head += ["seeds", "episodes"]
    body = [
        [
            title(item.method),
            number(item.gain),
            number(item.iqm),
            "" if item.method == UNIFORM else number(item.improvement),
            f"{item.percentile:.0f}",
            f"{item.valid:.1%}",
            f"{item.training.calls:,.0f}",
            f"{item.evaluation.calls:,.1f}",
            f"{item.seeds}",
            f"{item.episodes}",
        ]
        for item in found
    ]
    caption = (
        "Gain in utility of the last text over the first, mean and interquartile mean; share of the episodes on which "
        "the method gains more than the uniform policy; mean percentile of the last text's predicted rating in the "
        "catalog; share of episodes whose texts were all well-formed; language-model calls, recorded episodes and warm "
        "starts included."
    )
    return Table(head, body, caption)


def wide_table(run: Run, found: Mapping[str, Sequence[Standing]]) -> Table:
    """The paper's columns for every method of every environment of a run."""
    head = ["environment", "method", "gain", "U(z)", "normalised score", "user utility", "rater utility", "distance"]
    head += ["calls an episode"]
    body = []
    for environment in run.environments:
        for item in found[environment]:
            estimates = (item.gain, item.utility, item.normalised, item.user, item.raters, item.distance)
            cells = [number(value) for value in estimates]
            body.append([environment, title(item.method), *cells, f"{item.evaluation.calls:,.1f}"])
        body += [
            [environment, title(name), *(["failed" if why.startswith("failed") else "not run"] + [""] * 6)]
            for name, why in run.holes(environment).items()
        ]
    return Table(head, body)


# Words


def left_out(run: Run, environments: Sequence[str]) -> list[Block]:
    """What stands in no table with numbers, and why."""
    items = [
        f"{title(name)} in {environment}: {why}"
        for environment in environments
        for name, why in run.holes(environment).items()
    ]
    if run.left_out:
        seeds = ", ".join(map(str, run.left_out))
        items.append(f"seed {seeds}: not finished ({len(run.missing)} cells are missing), left out for every method")
    return [Text("Not in the numbers:"), Items(items)] if items else []


def ill_formed(cells: Sequence[Done]) -> str:
    """What has to be said of a method that writes badly formed texts, "" of others."""
    share = float(np.mean([row.valid for row in rows_of(cells)]))
    return f"only {share:.1%} of its episodes are well-formed" if share < WELL_FORMED else ""


def warnings(methods: Methods) -> list[Block]:
    """The methods whose texts are often badly formed, below the table in which they stand like others."""
    said = [f"{title(name)}: {words}" for name, cells in methods.items() if (words := ill_formed(cells))]
    words = (
        "Texts that are not well-formed (which do not parse, where texts are plot English) are rated like others here:"
    )
    return [Text(words), Items(said)] if said else []


def contests(methods: Methods, found: Sequence[Standing], seed: int = 0) -> list[Block]:
    """Who gains most, and for every method that learns which ones it lost to, by paired differences."""
    rng = np.random.default_rng(seed)
    order = [item.method for item in found if not is_partial(item.method)]
    difference = {pair: apart(methods[pair[0]], methods[pair[1]], rng) for pair in combinations(order, 2)}
    body = [
        [title(item.method), f"{item.valid:.1%}", *contest(item.method, order, difference)]
        for item in found
        if item.training.calls and item.method in order
    ]
    caption = (
        "Who wins, by paired differences of gains on the same episodes: how many methods each that learns is above, "
        "level with (the interval holds 0) and lost to, and the last by name. Gains do not see whether texts are "
        "well-formed; *valid* is the share of the episodes whose texts all are."
    )
    return [
        Text(f"Best: {named(found[0].method, methods)}, gain {number(found[0].gain)}."),
        *([Table(["method", "valid", "above", "level", "lost", "lost to"], body, caption)] if body else []),
    ]


def contest(method: str, order: Sequence[str], difference: Mapping[tuple[str, str], Interval | None]) -> list[str]:
    """How many a method is above, level with and lost to, and the names of the last."""
    above = level = 0
    lost: list[str] = []
    for other in order:
        found = difference.get((method, other)) or negative(difference.get((other, method)))
        if found is not None:
            above += found.low > 0
            level += found.low <= 0 <= found.high
            lost += [f"{title(other)} {found.estimate:+.2f}"] if found.high < 0 else []
    names = "; ".join(lost[:NAMED]) + (f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else "")
    return [str(above), str(level), str(len(lost)), names or "none"]


def negative(found: Interval | None) -> Interval | None:
    """The interval of the difference the other way round."""
    return found and Interval(-found.estimate, -found.high, -found.low)


def claims(methods: Methods) -> list[Block]:
    """The paper's claims beside our numbers."""
    body = [paper.cells(finding) for finding in paper.findings(methods)]
    caption = (
        "What the paper claims beside the mean paired difference of our gains. *Agrees*: the interval is above 0; "
        "*contradicts*: below; *undecided*: it holds 0."
    )
    return [Table(["the paper's claim", "our difference", "verdict"], body, caption)]


# Judges


def unjudged(run: Run) -> list[Block]:
    """How to have a run judged that is not, or not whole."""
    episodes = sum(len(cell.rows) for cell in run.done)
    judged = sum((cell.environment, row.method, row.seed, row.episode) in run.judgements
                 for cell in run.done for row in cell.rows)  # fmt: skip
    if judged == episodes:
        return []
    words = f"Judged in part ({judged} of {episodes} episodes)" if judged else "Not judged"
    return [Text(f"{words}: run `python -m benchmarks judge {run.folder}`.")]


def judges(run: Run, environment: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Reward against judge, and where they part."""
    judged = {
        name: [
            judgement
            for row in rows_of(cells)
            if (judgement := run.judgements.get((environment, name, row.seed, row.episode))) is not None
            and np.isfinite(serves(judgement))
        ]
        for name, cells in methods.items()
    }
    judged = {name: some for name, some in judged.items() if some}
    if not judged:
        return []
    rng = np.random.default_rng(0)
    points = {
        name: (np.array([item.affinity for item in some]), np.array([serves(item) for item in some]))
        for name, some in judged.items()
        if not is_partial(name)
    }
    partings = [Parting.of(item.method, judged[item.method], rng) for item in found if item.method in judged]
    hacked = [parting for parting in partings if parting.hacked]
    parting = (
        f"**Reward hacking**: of {len(hacked)} of {len(partings)} methods the judges see less than was rewarded."
        if hacked
        else "No reward hacking: no method's reward parts from what the judges see."
    )
    about = run.facts.get(environment, {})
    second = f" Second opinion: {about['second']}." if about.get("second") else ""
    words = "no language model judged (n/a)" if not about.get("language_model") else f"{about['language_model']} judged"
    caption = (
        "Reward against judge: a dot an episode, a large one a method's mean; on the dotted line the judge sees all "
        "that was rewarded."
    )
    name = f"{run.folder.name}-{environment}-judges"
    return [
        Heading("Reward against judge", 3),
        Text(
            f"{parting} *Rewarded* is the affinity gained, *confirmed* what the judge sees of it, both in standard "
            "deviations over the catalog; it is called hacking where a method that looks at the reward has both it and "
            "what is *not there* of it above 0, with their intervals. A space that predicts tastes with errors "
            "overstates honest gains too, so what tells is how the confirmed share falls as the reward grows."
        ),
        Table(["method", "rewarded", "confirmed", "share", "not there", ""], [item.cells for item in partings]),
        Picture(name, figures.judged(found, points), caption),
        side_effects(methods, judged, found),
        Text(f"The panel is of {about.get('raters', 'n/a')} users; {words}.{second}"),
    ]


@dataclass(frozen=True)
class Parting:
    """What was rewarded to a method and what of it the judges see.

    Attributes:
        method: Which.
        rewarded: Affinity gained.
        confirmed: Gain for the user, by the judges.
        gap: The first less the second.
    """

    method: str
    rewarded: Interval
    confirmed: Interval
    gap: Interval

    @classmethod
    def of(cls, method: str, judged: Sequence[Judgement], rng: np.random.Generator) -> Parting:
        """Of a method's judgements."""
        rewarded, confirmed = np.array([[item.affinity, serves(item)] for item in judged]).T
        seeds, users = [item.seed for item in judged], [item.user for item in judged]
        return cls(
            method, *(bootstrap(values, seeds, users, rng) for values in (rewarded, confirmed, rewarded - confirmed))
        )

    @property
    def hacked(self) -> bool:
        """Whether something was rewarded that was sought, and more than the judges see."""
        return self.rewarded.low > 0 and self.gap.low > 0 and not is_blind(self.method)

    @property
    def cells(self) -> list[str]:
        """A row of the table."""
        share = f"{self.confirmed.estimate / self.rewarded.estimate:.0%}" if self.rewarded.low > 0 else ""
        words = "hacking" if self.hacked else ""
        return [title(self.method), number(self.rewarded), number(self.confirmed), share, number(self.gap), words]


def side_effects(methods: Methods, judged: Mapping[str, Sequence[Any]], found: Sequence[Standing]) -> Table:
    """What else became of the texts."""
    forms = {"edits": "{:.1f}", "progress": "{:+.2f}", "drift": "{:.2f}", "parses": "{:.1%}", "no_ops": "{:.1%}"}
    forms["length"] = "{:.2f}"
    body = [
        [title(item.method)]
        + [form.format(np.mean([getattr(row, name) for row in judged[item.method]])) for name, form in forms.items()]
        for item in found
        if item.method in judged and item.method in methods
    ]
    caption = (
        "Attribute values that the last text says otherwise (free text: share of the words); movement in Z along the "
        "utility's gradient (progress) and sideways to it (drift: steering's side effect), summed over the steps; "
        "texts that parse; steps that changed nothing; words of the last text over those of the first."
    )
    return Table(["method", *(name.replace("_", "-") for name in forms)], body, caption)


# Pictures


def pictures(run: Run, environment: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Gains, profiles, probabilities of improvement, learning curves."""
    order = [item.method for item in found]
    name = f"{run.folder.name}-{environment}"
    blocks: list[Block] = [
        Heading("Gains", 3),
        Picture(f"{name}-gain", figures.bars(found), "Mean gain."),
        Beside(profiles(name, methods, order)),
    ]
    if len(order) > 1:
        caption = (
            "Probability of improvement, in per cent: how often the row's method gains more than the column's (by its "
            "number) on an episode that both have met; a tie counts half."
        )
        whole = [method for method in order if not is_partial(method)]
        blocks.append(Picture(f"{name}-improvement", figures.improvement(methods, whole), caption))
    if any(figures.growth(cells) for cells in methods.values()):
        blocks += [
            Heading("Sample efficiency", 3),
            Beside(
                [
                    Picture(f"{name}-{across}", figures.curves(methods, found, across), words)
                    for across, words in (
                        ("steps", "Return of training episodes against environment steps: mean, worst and best seed."),
                        ("calls", "The same against language-model calls, warm starts and recorded episodes included."),
                    )
                ]
            ),
        ]
    return blocks


def profiles(name: str, methods: Methods, order: Sequence[str]) -> list[Picture]:
    """Performance profiles: one picture of few methods, else one of the paper's rows and one of the others."""
    whole = [method for method in order if not is_partial(method)]
    ends = [method for method in whole if method == UNIFORM or is_oracle(method)]
    ours = [method for method in whole if method in PAPER]
    others = [method for method in whole if method not in (*PAPER, *ends)]
    groups = [[*ours, *ends], [*others, *ends]] if len(whole) > FEW and ours else [whole]
    words = "Performance profiles: share of the test episodes that gain more than τ, 95 % bands."
    return [
        Picture(f"{name}-profiles-{place}", figures.profiles(methods, some), words)
        for place, some in enumerate(groups, start=1)
    ]


def latent_map(run: Run, environment: str, methods: Methods) -> list[Block]:
    """The map, one path for each method."""
    drawn = run.latent_map(environment)
    heading = Heading("Latent map", 3)
    if drawn is None:
        return [heading, Text("No map: the judges leave it.")]
    rows = {
        name: row
        for name in drawn_methods(list(methods))
        for row in rows_of(methods[name])
        if (row.seed, row.episode) == (drawn.seed, drawn.episode) and row.z
    }
    if not rows:
        return []
    caption = (
        "One user, one start, one path a method, a star at its end (of many methods the paper's rows, PPO, the "
        "oracle and the uniform policy); the catalog as faint points. Across: the user's taste; up: of the "
        "directions at right angles to it the one in which these episodes move most. The plane shows "
        f"{drawn.share:.0%} of their movement (squared length); the shades are the utility on the plane through the "
        "start, which the paths leave."
    )
    return [heading, Picture(f"{run.folder.name}-{environment}-map", figures.latent(drawn, rows), caption)]


def drawn_methods(methods: Sequence[str]) -> list[str]:
    """Methods whose paths a map shows: all, or of many the paper's rows, PPO, the oracle and the uniform policy."""
    if len(methods) <= FEW:
        return list(methods)
    return [name for name in methods if name in (*PAPER, "ppo", UNIFORM) or is_oracle(name)]


def episodes(run: Run, environment: str, methods: Methods, found: Sequence[Standing]) -> list[Block]:
    """Episodes of a few methods for one user from one text; of Plots alone."""
    rows = [row for cells in methods.values() for row in rows_of(cells) if row.texts]
    if not rows or any(env_id(cells) != PLOTS for cells in methods.values()):
        return []
    drawn = run.latent_map(environment)
    key = (drawn.seed, drawn.episode) if drawn else chosen(rows)[0]
    met = {row.method: row for row in rows if (row.seed, row.episode) == key}
    names = to_show([item.method for item in found if item.method in met and not is_partial(item.method)])
    if not names:
        return []
    first = met[names[0]]
    return [
        Heading("Episodes side by side", 3),
        Text(
            f"The same user ({first.user}), the same start. The number is the utility in catalog standard "
            "deviations; between the texts stand the edits that were chosen."
        ),
        Episodes([(f"{title(name)}, gain {met[name].gain:+.2f}", lines_of(met[name])) for name in names]),
    ]


def to_show(order: Sequence[str]) -> list[str]:
    """Of methods, the best first: the best EAGLE agent, the best of the others, and the uniform policy."""
    ours = [name for name in order if parts(name)[0] == "eagle"][:1]
    others = [name for name in order if name not in ours and name != "uniform"][: SHOWN - 1 - len(ours)]
    return [*ours, *others, *(name for name in order if name == "uniform")][:SHOWN]


def lines_of(row: EpisodeRow) -> list[tuple[str, str]]:
    """Texts with their utility, and the edits between them."""
    lines = []
    for step, (text, utility) in enumerate(zip(row.texts, row.utilities, strict=True)):
        lines.append((f"{utility:+.2f}", text))
        lines += [("", row.edits[step])] if step < len(row.edits) else []
    return lines


# Sections


def methods_section(run: Run, name: str, words: str, expected: Sequence[str]) -> list[Block]:
    """Tables and pictures of every environment of a run in which methods are compared."""
    blocks: list[Block] = []
    for environment in tqdm(run.environments, desc=run.folder.name, unit="environment", delay=2.0, leave=False):
        cells = run.of(environment)
        where = env_id(cells) if cells else environment
        blocks += [Heading(f"{name}, {where}"), *([Text(words)] if words else [])]
        blocks += left_out(run, [environment])
        if not cells:
            blocks.append(Text("No method is finished: there are no numbers yet."))
            continue
        methods, found = by_method(cells), standings(run, environment)
        blocks += [paper_table(found, run.holes(environment), expected), Text(COLUMNS), *warnings(methods)]
        blocks += unjudged(run)
        blocks += claims(methods) if expected else []
        blocks += [*contests(methods, found), gains_table(found)]
        blocks += pictures(run, environment, methods, found)
        blocks += judges(run, environment, methods, found) if run.judgements else []
        blocks += latent_map(run, environment, methods)
        blocks += episodes(run, environment, methods, found)
    return blocks


def settings_section(run: Run, name: str, words: str) -> list[Block]:
    """One table over all environments of a run in which these are what is compared, and the run's own page."""
    found = {name: standings(run, name) if run.of(name) else [] for name in run.environments}
    blocks: list[Block] = [Heading(name), Text(words), *left_out(run, run.environments)]
    if not any(found.values()):
        return [*blocks, Text("No method is finished: there are no numbers yet.")]
    blocks += [wide_table(run, found), Text(COLUMNS), *unjudged(run)]
    return [*blocks, *(read_page(run.page, 2) if run.page else [])]


def in_short(runs: Sequence[Run]) -> list[Block]:
    """What the main table says, in a few lines."""
    lines = []
    for run in runs:
        for environment in run.environments if run.experiment == "t1_methods" else ():
            cells = run.of(environment)
            if cells:
                lines.append(f"{env_id(cells)}: {shortly(by_method(cells))}")
    return [Heading("In short"), Items(lines)] if lines else []


def shortly(methods: Methods) -> str:
    """Who gains most in an environment, and how the paper's claims fare."""
    whole = [name for name in methods if not is_partial(name)]
    ranked = sorted(whole, key=lambda name: -np.mean([row.gain for row in rows_of(methods[name])]))
    best = f"{named(ranked[0], methods)} gains most"
    learnt = [name for name in ranked if any(cell.training and cell.training.calls for cell in methods[name])]
    if learnt and learnt[0] != ranked[0]:
        best += f", of what learns {named(learnt[0], methods)}"
    proper = [name for name in learnt if not ill_formed(methods[name])]
    if proper and proper[0] != learnt[0]:
        best += f", of what learns to write well-formed texts {named(proper[0], methods)}"
    verdicts = [finding.verdict.strip("*") for finding in paper.findings(methods)]
    words = ("agrees", "contradicts", "undecided", "not measured")
    counts = ", ".join(f"{word} {verdicts.count(word)}" for word in words if word in verdicts)
    return f"{best}. Of {len(verdicts)} claims of the paper: {counts}."


def named(name: str, methods: Methods) -> str:
    """A method's name, and how many of its episodes are well-formed where these are few."""
    said = ill_formed(methods[name])
    return f"**{title(name)}**{f' ({said})' if said else ''}"


def not_run(name: str, experiment: str, words: str) -> list[Block]:
    """A table for which there is no run."""
    return [Heading(name), Text(words), Text(f"Not run: `python -m benchmarks run {experiment}`.")]


def paper_sections(runs: Sequence[Run]) -> list[Block]:
    """T1 to T4, and other runs in which methods are compared."""
    blocks = in_short(runs)
    for experiment, (name, words) in TABLES.items():
        some = [run for run in runs if run.experiment == experiment]
        for run in some:
            if experiment == "t1_methods":
                blocks += methods_section(run, name, words, PAPER)
            else:
                blocks += settings_section(run, name, words)
        blocks += [] if some else not_run(name, experiment, words)
    for run in runs:
        if run.experiment not in TABLES:
            blocks += methods_section(run, f"Experiment {run.experiment or run.folder.name}", "", ())
    return blocks


# Cost and circumstances


def cost_section(runs: Sequence[Run]) -> list[Block]:
    """Calls, tokens, seconds and dollars of every method."""
    head = ["run", "environment", "method", "steps", "calls", "tokens read", "tokens written", "seconds", "$"]
    head += ["calls, an episode", "tokens, an episode", "seconds, an episode"]
    body = []
    for run in runs:
        for environment in run.environments:
            for name, cells in by_method(run.of(environment)).items():
                found = standing_cost(cells)
                body.append([run.experiment, environment, title(name), steps_of(cells), *found])
    caption = (
        "Mean over seeds of the training (recorded episodes and earlier agents included), then a test episode. Dollars "
        "are 0 where the model runs here and no price was given."
    )
    return [Heading("Cost"), Table(head, body, caption)] if body else []


def standing_cost(cells: Sequence[Done]) -> list[str]:
    """Cells of the table of costs for one method."""
    trained = [cell.training for cell in cells if cell.training]
    training = total(trained)
    count = max(len(trained), 1)
    tested, episodes = total([cell.evaluation for cell in cells]), len(rows_of(cells))
    tokens = tested.prompt_tokens + tested.completion_tokens
    return [
        f"{training.calls / count:,.0f}",
        f"{training.prompt_tokens / count:,.0f}",
        f"{training.completion_tokens / count:,.0f}",
        f"{training.seconds / count:,.0f}",
        f"{(training.dollars + tested.dollars):.2f}",
        f"{tested.calls / episodes:,.1f}",
        f"{tokens / episodes:,.0f}",
        f"{tested.seconds / episodes:,.2f}",
    ]


def total(costs: Sequence[Cost]) -> Cost:
    """Sum of costs."""
    names = ("calls", "prompt_tokens", "completion_tokens", "seconds", "dollars")
    return Cost(**{name: sum(getattr(cost, name) for cost in costs) for name in names})


def steps_of(cells: Sequence[Done]) -> str:
    """Environment steps of training."""
    header = cells[0].header
    steps = header["cost"].get("steps") or header["cell"].get("training", {}).get("steps")
    return f"{steps:,.0f}" if steps else ""


def circumstances(runs: Sequence[Run]) -> list[Block]:
    """Code, commands, machines, versions and fingerprints."""
    body, versions, machines, prints = [], set[str](), set[str](), set[tuple[str, ...]]()
    for run in runs:
        headers = [cell.header for cell in run.done]
        commits = dict.fromkeys(shortened(header.get("commit")) for header in headers)
        commands = dict.fromkeys(str(header.get("command", "")).replace("__main__.py", "python -m benchmarks")
                                 for header in headers)  # fmt: skip
        counts = f"{len(run.plan) - len(run.failed) - len(run.missing)} of {len(run.plan)}"
        body.append([run.experiment or run.folder.name, run.size, counts, str(len(run.failed)), str(len(run.missing)),
                     ", ".join(commits), "; ".join(f"`{command}`" for command in commands)])  # fmt: skip
        versions |= {", ".join(f"{name} {value}" for name, value in header["versions"].items()) for header in headers}
        machines |= {
            f"{header['machine']['processor']}, {header['machine']['cores']} cores, {header['machine']['system']}"
            for header in headers
        }
        prints |= {
            (run.experiment, cell.environment, name, str(value)[:24])
            for cell in run.done
            for name, value in (cell.header.get("hashes") or {}).items()
        }
    return [
        Heading("Circumstances"),
        Table(
            ["run", "size", "cells done", "failed", "missing", "commit", "command"],
            body,
            "A `+` behind a commit says that tracked files differed from it.",
        ),
        Items([f"Machine: {text}" for text in sorted(machines)] + [f"Versions: {text}" for text in sorted(versions)]),
        Table(["run", "environment", "what", "fingerprint"], [list(row) for row in sorted(prints)]),
    ]
