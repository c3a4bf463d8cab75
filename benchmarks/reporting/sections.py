"""Sections of the report, made of the blocks of other modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqdm import tqdm

from benchmarks.reporting import paper
from benchmarks.reporting.document import Block, Bullets, Heading, Table, Text, read_page
from benchmarks.reporting.episodes import latent_map, side_by_side
from benchmarks.reporting.judged import judges, unjudged
from benchmarks.reporting.names import PAPER
from benchmarks.reporting.people import people
from benchmarks.reporting.pictures import pictures
from benchmarks.reporting.standings import Methods, standings
from benchmarks.reporting.tables import (
    LEGEND,
    claims,
    contests,
    cost_table,
    decoder,
    gains_table,
    left_out,
    paper_table,
    rivals,
    settings_table,
    warnings,
)
from benchmarks.reporting.targets import Target, checks, eagle_targets
from benchmarks.running.runs import Run, by_method

TABLES = {
    "t1_methods": ("T1: methods", paper.T1),
    "t2_transfer": ("T2: training with one language model, test with another", paper.T2),
    "t3_action_sets": ("T3: action sets", paper.T3),
    "t4_products": ("T4: products", paper.T4),
}
NO_NUMBERS = "No method is finished: there are no numbers yet."


def methods_section(run: Run, name: str, words: str, expected: Sequence[str]) -> list[Block]:
    """Tables and plots of every environment of a run that compares methods."""
    blocks: list[Block] = []
    label = run.folder.name
    for environment in tqdm(run.environments, desc=label, unit="environment", delay=2.0, leave=False, disable=None):
        cells = run.of(environment)
        where = cells[0].where if cells else environment
        blocks += [Heading(f"{name}, {where}"), *([Text(words)] if words else []), *left_out(run, [environment])]
        if not cells:
            blocks.append(Text(NO_NUMBERS))
            continue
        methods, found = by_method(cells), standings(run, environment)
        blocks += [paper_table(found, run.holes(environment), expected), Text(LEGEND), *warnings(methods)]
        blocks += unjudged(run)
        blocks += claims(methods, run) if expected else []
        blocks += [*rivals(methods, run), *targets_of(methods, run)] if expected else []
        blocks += [*contests(methods, found), gains_table(found), *decoder(methods)]
        blocks += pictures(run, environment, methods, found)
        blocks += judges(run, environment, methods, found, each=False) if run.judgements else []
        blocks += people(run, environment)
        blocks += latent_map(run, environment, methods)
        blocks += side_by_side(run, environment, methods, found)
    return blocks


def targets_of(methods: Methods, run: Run) -> list[Block]:
    """Targets of EAGLE, met or missed, by reward and by judge."""
    found = checks(methods, [*eagle_targets(), *eagle_targets("reads-")], run)
    return [Text("Targets of EAGLE:"), Bullets([str(check) for check in found])] if found else []


def settings_section(run: Run, name: str, words: str) -> list[Block]:
    """One table over all environments of a run that compares these, and the run's own page."""
    found = {name: standings(run, name) if run.of(name) else [] for name in run.environments}
    blocks: list[Block] = [Heading(name), Text(words), *left_out(run, run.environments)]
    if not any(found.values()):
        return [*blocks, Text(NO_NUMBERS)]
    blocks += [settings_table(run, found), Text(LEGEND), *unjudged(run)]
    for environment in run.environments:
        blocks += people(run, environment)
    return [*blocks, *(read_page(run.page, 2) if run.page else [])]


def shows_page(run: Run) -> bool:
    """Whether a report ends the section of a run with the experiment's own page."""
    return run.experiment in TABLES and run.experiment != "t1_methods"


def paper_sections(runs: Sequence[Run], *, absent: bool = True) -> list[Block]:
    """T1 to T4, and other runs that compare methods; `absent`: say which of the four were not run."""
    blocks: list[Block] = []
    for experiment, (name, words) in TABLES.items():
        some = [run for run in runs if run.experiment == experiment]
        for run in some:
            if shows_page(run):
                blocks += settings_section(run, name, words)
            else:
                blocks += methods_section(run, name, words, PAPER)
        if not some and absent:
            blocks += [Heading(name), Text(words), Text(f"Not run: `python -m benchmarks run {experiment}`.")]
    for run in runs:
        if run.experiment not in TABLES:
            blocks += methods_section(run, f"Experiment {run.name}", "", ())
    return blocks


def own_section(
    run: Run, environment: str, targets: Sequence[Target], more: Callable[[Run, str], str] | None, *, draw: bool
) -> list[Block]:
    """One environment on the page that an experiment writes: gains, and targets met or missed.

    Args:
        run: The run.
        environment: One of its environments.
        targets: Targets of its methods.
        more: Further Markdown on an environment.
        draw: Whether to draw gains and learning curves.
    """
    blocks: list[Block] = [Heading(environment), *left_out(run, [environment])]
    cells = run.of(environment)
    if not cells:
        return [*blocks, Text(NO_NUMBERS)]
    methods, found = by_method(cells), standings(run, environment)
    blocks += [Text(f"{found[0].seeds} seeds. Code: {', '.join(run.commits)}."), gains_table(found, caption="")]
    lines = [str(check) for check in checks(methods, targets, run)]
    blocks += [Bullets(lines)] if lines else []
    if draw:
        blocks += pictures(run, environment, methods, found)
    return [*blocks, *([Text(more(run, environment))] if more else [])]


def cost_section(runs: Sequence[Run]) -> list[Block]:
    """Costs of every method."""
    table = cost_table(runs)
    return [Heading("Cost"), table] if table.body else []


def circumstances(runs: Sequence[Run]) -> list[Block]:
    """Code, commands, machines, versions and fingerprints."""
    body, versions, machines, prints = [], set[str](), set[str](), set[tuple[str, ...]]()
    for run in runs:
        headers = [cell.header for cell in run.done]
        used = (str(header.get("command", "")).replace("__main__.py", "python -m benchmarks") for header in headers)
        counts = f"{len(run.plan) - len(run.failed) - len(run.missing)} of {len(run.plan)}"
        body.append([run.name, run.size, counts, str(len(run.failed)), str(len(run.missing)), ", ".join(run.commits),
                     "; ".join(f"`{command}`" for command in dict.fromkeys(used))])  # fmt: skip
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
    caption = "A `+` after a commit marks a checkout with uncommitted changes."
    return [
        Heading("Circumstances"),
        Table(["run", "size", "finished cells", "failed", "missing", "commit", "command"], body, caption),
        Bullets([f"Machine: {text}" for text in sorted(machines)] + [f"Versions: {text}" for text in sorted(versions)]),
        Table(["run", "environment", "part", "fingerprint"], [list(row) for row in sorted(prints)]),
    ]
