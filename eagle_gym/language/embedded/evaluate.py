"""Measure the plot-English model: `python -m eagle_gym.language.embedded.evaluate --help`.

No case uses a description that training showed: the recipe's examples are drawn again, and a case whose attributes
occur in one of them is replaced. Precise edits use only clauses that training never showed (`held_out`). Vague
directions are known to the model, but their descriptions are new. The table goes into the README of the folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from eagle_gym.errors import PreparationError, TextError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.embedded.examples import Example, Manner, description, held_out, listing
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.plot_english import (
    Attributes,
    Change,
    Profile,
    fulfilled,
    inventions,
    is_noop,
    outcomes,
    parse_edit,
    parse_profile,
    parses,
    propose,
    read,
    render,
    render_profile,
    unasked,
)
from eagle_gym.plot_english.edits import directions

if TYPE_CHECKING:
    from eagle_gym.language.embedded.train import Recipe

Ask = Callable[[Sequence[Prompt], float], list[str]]
Draw = Callable[[np.random.Generator], Attributes]
Say = Callable[[Attributes, np.random.Generator], str]

SAMPLES = 8  # of each vague prompt, to measure variety


@dataclass(frozen=True, slots=True)
class Case:
    """A description, its attributes, and the edit that the model is asked to make."""

    attributes: Attributes
    text: str
    edit: str

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes that the edit asks for."""
        return parse_edit(self.edit)


def evaluate(
    model: LanguageModel,
    *,
    manner: Manner | None = None,
    cases: int = 1000,
    seed: int = 0,
    batch: int = 128,
    seen: frozenset[int] = frozenset(),
) -> dict[str, float]:
    """Every measured share, in [0, 1], and how it was measured (`seed`, `cases`, ...), by name.

    The kinds of edits: *precise* and *macro* ones use words that training never showed; *vague* ones are arbitrary; a
    *held* one is a vague edit of which the text already has an outcome, so that another one is wanted.

    Args:
        model: The model under test.
        manner: How its descriptions are worded; by default as the default model's.
        cases: Rewrites per kind of prompt, and proposals per kind.
        seed: Of cases and generations.
        batch: Generations a call.
        seen: What `trained_on` found; no case has a description among them.
    """
    rng = np.random.default_rng([seed, 7])
    fresh = partial(unseen, seen=seen)
    say = partial(_say, manner or Manner())
    ask = _asker(model, rng, batch)
    result: dict[str, float] = {"seed": seed, "cases": cases, "trained_on": len(seen)}
    for kind, draw in KINDS.items():
        drawn = [draw(rng, fresh, say) for _ in range(cases)]
        for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
            texts = ask([Prompt("rewrite", text=c.text, edit=c.edit) for c in drawn], temperature)
            result.update({f"{kind}_{name}_{key}": value for key, value in _rewrites(drawn, texts).items()})
        if kind == "vague":
            result.update(_variety(drawn[: max(1, cases // 4)], ask))
    return result | _proposals(rng, ask, cases, fresh, say) | _writing(rng, ask, cases, fresh)


def unseen(rng: np.random.Generator, seen: frozenset[int]) -> Attributes:
    """A description that training did not show."""
    while checksum(attributes := description(rng)) in seen:
        pass
    return attributes


def checksum(attributes: Attributes) -> int:
    """A 64-bit checksum of a set of attributes."""
    return int.from_bytes(hashlib.blake2b(repr(attributes.pairs()).encode(), digest_size=8).digest(), "big")


def trained_on(recipe: Recipe, jobs: int | None = None) -> frozenset[int]:
    """Checksums of every description that training or the tokenizer saw, as an input or as an answer.

    The recipe's examples are drawn again, which takes minutes for a whole training and shows a progress bar.

    Args:
        recipe: What was trained.
        jobs: Processes that draw; by default one per processor.
    """
    from eagle_gym.language.embedded.train import GROUP

    blocks = [-1, *range(-(-recipe.all_steps // GROUP))]  # -1 stands for the tokenizer's examples
    found: set[int] = set()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs or os.cpu_count() or 1, mp_context=context) as pool:
        drawn = pool.map(partial(_block_trained_on, recipe), blocks, chunksize=4)
        for part in tqdm(drawn, total=len(blocks), desc="drawing what training showed", unit="block", disable=None):
            found |= part
    return frozenset(found)


def _block_trained_on(recipe: Recipe, block: int) -> set[int]:
    from eagle_gym.language.embedded.train import block_of_examples, tokenizer_examples

    drawn = tokenizer_examples(recipe) if block < 0 else block_of_examples(recipe, block)[0]
    return {checksum(read(text)) for one in drawn for text in descriptions_of(one)}


def descriptions_of(one: Example) -> list[str]:
    """The descriptions that an example shows; a listing of attributes says what its answer says."""
    texts = [one.prompt.text] if one.prompt.task != "write" else []
    return texts + ([one.answer] if one.prompt.task != "propose" else [])


def _say(manner: Manner, attributes: Attributes, rng: np.random.Generator) -> str:
    return render(attributes, layout=manner.read_layout(rng))


def _asker(model: LanguageModel, rng: np.random.Generator, batch: int) -> Ask:
    def ask(prompts: Sequence[Prompt], temperature: float) -> list[str]:
        texts: list[str] = []
        for start in tqdm(range(0, len(prompts), batch), desc="generating", unit="batch", leave=False, disable=None):
            part = prompts[start : start + batch]
            seeds = [int(number) for number in rng.integers(2**63, size=len(part))]
            texts += [completion.text for completion in model.generate(part, seeds, temperature=temperature)]
        return texts

    return ask


def _precise(rng: np.random.Generator, draw: Draw, say: Say) -> Case:
    """A precise edit whose clause training never showed."""
    while True:
        attributes = draw(rng)
        for prompt in propose(attributes, rng, 64):
            if held_out(prompt):
                return Case(attributes, say(attributes, rng), prompt)


def _vague(rng: np.random.Generator, draw: Draw, say: Say) -> Case:
    while True:
        attributes = draw(rng)
        for prompt in propose(attributes, rng, 8):
            change = parse_edit(prompt)[0]
            if change.operation == "vague" and len(outcomes(attributes, change)) > 1:
                return Case(attributes, say(attributes, rng), prompt)


def _held(rng: np.random.Generator, draw: Draw, say: Say) -> Case:
    """A vague edit of which the text already has an outcome."""
    while True:
        case = _vague(rng, draw, say)
        if set(directions()[case.changes[0].value].pairs) & set(case.attributes.pairs()):
            return case


def _macro(rng: np.random.Generator, draw: Draw, say: Say) -> Case:
    """An edit that asks for three changes, at least one of them in a clause that training never showed."""
    while True:
        attributes = draw(rng)
        for prompt in propose(attributes, rng, 16, changes=3):
            if held_out(prompt):
                return Case(attributes, say(attributes, rng), prompt)


KINDS: Mapping[str, Callable[[np.random.Generator, Draw, Say], Case]] = MappingProxyType(
    {"precise": _precise, "vague": _vague, "macro": _macro, "held": _held}
)


def _rewrites(cases: Sequence[Case], texts: Sequence[str]) -> dict[str, float]:
    found = [read(text) for text in texts]
    pairs = list(zip(cases, found, strict=True))
    return {
        "asked_edit_present": _share(fulfilled(case.attributes, case.changes, after) for case, after in pairs),
        "unasked_change": _share(bool(unasked(case.attributes, case.changes, after)) for case, after in pairs),
        "invention": _share(bool(inventions(case.attributes, case.changes, after)) for case, after in pairs),
        "parses": _share(parses(text) for text in texts),
    }


def _variety(cases: Sequence[Case], ask: Ask) -> dict[str, float]:
    """Count different attribute sets, without inventions, among eight samples of each vague edit.

    Only samples that parse, do what was asked and change nothing else count.
    """
    prompts = [Prompt("rewrite", text=case.text, edit=case.edit) for case in cases for _ in range(SAMPLES)]
    texts = ask(prompts, 1.0)
    distinct, good = [], 0
    for index, case in enumerate(cases):
        rows = [read(text) for text in texts[index * SAMPLES : (index + 1) * SAMPLES] if _as_asked(case, text)]
        good += len(rows)
        distinct.append(len({_without_inventions(case, row) for row in rows}))
    return {
        "varied_cases": len(cases),
        "vague_varied": _share(count >= 2 for count in distinct),
        "vague_distinct": float(np.mean(distinct)),
        "vague_as_asked": good / len(texts),
    }


def _as_asked(case: Case, text: str) -> bool:
    after = read(text)
    changed = unasked(case.attributes, case.changes, after)
    return parses(text) and not changed and fulfilled(case.attributes, case.changes, after)


def _without_inventions(case: Case, after: Attributes) -> frozenset[tuple[str, str]]:
    return frozenset(after.pairs()) - set(inventions(case.attributes, case.changes, after))


def _proposals(rng: np.random.Generator, ask: Ask, cases: int, draw: Draw, say: Say) -> dict[str, float]:
    drawn = [draw(rng) for _ in range(cases)]
    generic = ask([Prompt("propose", text=say(each, rng)) for each in drawn], 1.0)
    users = [_user(rng) for _ in drawn]
    asked = list(zip(drawn, users, strict=True))
    personal = ask([Prompt("propose", text=say(a, rng), profile=render_profile(user)) for a, user in asked], 1.0)
    return {
        "propose_usable": _share(_usable(each, prompt) for each, prompt in zip(drawn, generic, strict=True)),
        "propose_distinct": len(set(generic)) / len(generic),
        "personal_usable": _share(_usable(each, prompt) for each, prompt in zip(drawn, personal, strict=True)),
        "personal_fits": _share(_fits(user, prompt) for user, prompt in zip(users, personal, strict=True)),
    }


def _writing(rng: np.random.Generator, ask: Ask, cases: int, draw: Draw) -> dict[str, float]:
    drawn = [each for each in (draw(rng) for _ in range(cases)) if each.pairs()]
    texts = ask([Prompt("write", text=listing(each)) for each in drawn], 0.0)
    return {"write_exact": _share(read(text) == each for text, each in zip(texts, drawn, strict=True))}


def _user(rng: np.random.Generator) -> Profile:
    likes = _liked(rng, 4)
    return parse_profile(render_profile(Profile(likes=likes)))


def _liked(rng: np.random.Generator, count: int) -> tuple[tuple[str, str], ...]:
    """Some (slot, value) pairs of a random rich description: the likes of a made-up user."""
    pairs = [pair for pair in description(rng).pairs() if pair[0] not in ("genres", "decade")]
    while len(pairs) < count:
        pairs += [pair for pair in description(rng).pairs() if pair not in pairs]
    return tuple(pairs[int(index)] for index in rng.choice(len(pairs), size=count, replace=False))


def _usable(attributes: Attributes, prompt: str) -> bool:
    try:
        return not is_noop(attributes, parse_edit(prompt))
    except TextError:
        return False


def _fits(user: Profile, prompt: str) -> bool:
    try:
        return any((change.slot, change.value) in user.likes for change in parse_edit(prompt))
    except TextError:
        return False


def _share(flags: Iterable[bool]) -> float:
    return float(np.mean(list(flags)))


def table(measured: Mapping[str, float]) -> str:
    """The README's tables."""
    cases = int(measured["cases"])
    rows = [
        f"{cases:,} cases per kind of edit, `--seed {measured['seed']:.0f}`; in brackets 95 % (Wilson) intervals.",
        "",
        "| edit | temperature | requested edit present | unrelated attribute changed | invention | parses |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        for name, temperature in (("greedy", "0"), ("sampled", "1")):
            keys = ("asked_edit_present", "unasked_change", "invention", "parses")
            cells = " | ".join(_percent(measured[f"{kind}_{name}_{key}"], cases) for key in keys)
            rows.append(f"| {kind} | {temperature} | {cells} |")
    varied = int(measured["varied_cases"])
    shares = {
        f"vague edits with ≥ 2 different attribute sets among the good ones of {SAMPLES} samples": _percent(
            measured["vague_varied"], varied
        ),
        "good samples of a vague edit, which parse, do what was asked and change nothing else": _percent(
            measured["vague_as_asked"]
        ),
        "proposed edits that parse and can change the text": _percent(measured["propose_usable"], cases),
        "distinct edits among all proposed": _percent(measured["propose_distinct"]),
        "personalised edits that parse and can change the text": _percent(measured["personal_usable"], cases),
        "personalised edits that ask for something the user likes": _percent(measured["personal_fits"], cases),
        "texts written from attributes that state exactly these": _percent(measured["write_exact"]),
        f"different attribute sets among the good ones of {SAMPLES} samples of a vague edit, mean": (
            f"{measured['vague_distinct']:.1f}"
        ),
        "vague edits that were sampled": f"{varied:,}",
    }
    if measured["trained_on"]:
        shown = f"{measured['trained_on']:,.0f}"
        shares["distinct descriptions that training showed, none of them used here"] = shown
    rows += ["", "| measure | value |", "|---|---|", *(f"| {label} | {value} |" for label, value in shares.items())]
    return "\n".join(rows)


def _percent(share: float, cases: int = 0) -> str:
    """A share in per cent, with a confidence interval if it is a share of independent cases."""
    if not cases:
        return f"{100 * share:.1f} %"
    interval = binomtest(round(share * cases), cases).proportion_ci(method="wilson")
    return f"{100 * share:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def recipe_of(spec: str) -> Recipe:
    """The recipe in the folder of a model's weights.

    Raises:
        PreparationError: The recipe is missing or broken.
    """
    from eagle_gym.language.embedded.train import Recipe

    kind, _, target = spec.partition(":")
    folder = weights_path(target or "plain") if kind == "embedded" else Path(target)
    try:
        return Recipe.from_json(json.loads((folder / "recipe.json").read_text()))
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise PreparationError(
            f"{folder / 'recipe.json'}: expected the recipe that training writes with the weights; {error!r}"
        ) from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the plot-English model on unseen descriptions and prompts.")
    parser.add_argument(
        "--model", default="embedded", help="'embedded', 'embedded:pitch' or 'transformers:PATH' (%(default)s)"
    )
    parser.add_argument("--cases", type=int, default=1000, help="cases per kind of prompt (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of cases and generations (%(default)s)")
    parser.add_argument("--readme", type=Path, help="a README whose marked part is replaced by the table")
    parser.add_argument(
        "--quick", action="store_true", help="do not keep to descriptions that training never showed: saves minutes"
    )
    return parser


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    if arguments.readme and arguments.quick:
        parser().error("--readme says that training never showed a case: it goes without --quick")
    model = load_language_model(arguments.model)
    recipe = recipe_of(arguments.model)
    seen = frozenset() if arguments.quick else trained_on(recipe)
    measured = evaluate(model, manner=recipe.manner, cases=arguments.cases, seed=arguments.seed, seen=seen)
    print(table(measured))  # noqa: T201
    if arguments.readme:
        write(measured, recipe.manner.dialect, arguments.readme)


def write(measured: Mapping[str, float], dialect: str, readme: Path) -> None:
    """Replace the table between a README's marks for this dialect, and write the numbers to a file next to it."""
    start, stop = f"<!-- measured {dialect} -->", f"<!-- /measured {dialect} -->"
    before, _, rest = readme.read_text(encoding="utf-8").partition(start)
    after = rest.partition(stop)[2]
    readme.write_text(f"{before}{start}\n{table(measured)}\n{stop}{after}", encoding="utf-8")
    (readme.parent / f"evaluation-{dialect}.json").write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
