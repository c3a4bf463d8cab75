"""Measure the plot-English model: ``python -m eagle_gym.language.embedded.evaluate --help``.

Descriptions are drawn anew, and every precise clause asked for is one that training never showed (``held_out``);
vague directions are known to the model, their descriptions are not. The table goes into the README of the folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from eagle_gym.errors import TextError
from eagle_gym.language.embedded.examples import description, held_out, listing
from eagle_gym.language.model import LanguageModel, load_language_model
from eagle_gym.language.prompts import Prompt
from eagle_gym.plot_english import (
    Attributes,
    Edit,
    Profile,
    fulfilled,
    inventions,
    is_noop,
    outcomes,
    parse,
    parse_edit,
    parse_profile,
    propose,
    read,
    render,
    render_profile,
    unasked,
)

Ask = Callable[[Sequence[Prompt], float], list[str]]

SAMPLES = 8  # of each vague prompt, to measure variety
START, STOP = "<!-- measured -->", "<!-- /measured -->"


@dataclass(frozen=True, slots=True)
class Case:
    """A description, what it says, and the prompt put to the model."""

    attributes: Attributes
    text: str
    instruction: str

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What the prompt asks for."""
        return parse_edit(self.instruction)


def evaluate(model: LanguageModel, *, cases: int = 1000, seed: int = 0, batch: int = 128) -> dict[str, float]:
    """Every measured share, in [0, 1] (``*_distinct`` counts attribute sets), by name.

    Args:
        model: the model under test.
        cases: rewrites per kind of prompt (precise, vague, macro) and proposals per kind.
        seed: of cases and generations.
        batch: generations a call.
    """
    rng = np.random.default_rng([seed, 7])
    ask = _asker(model, rng, batch)
    result: dict[str, float] = {}
    for kind, draw in (("precise", _precise), ("vague", _vague), ("macro", _macro)):
        drawn = [draw(rng) for _ in range(cases)]
        for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
            texts = ask([Prompt("rewrite", text=c.text, instruction=c.instruction) for c in drawn], temperature)
            result.update({f"{kind}_{name}_{key}": value for key, value in _rewrites(drawn, texts).items()})
        if kind == "vague":
            result.update(_variety(drawn[: max(1, cases // 4)], ask))
    return result | _proposals(rng, ask, cases) | _writing(rng, ask, cases)


def _asker(model: LanguageModel, rng: np.random.Generator, batch: int) -> Ask:
    def ask(prompts: Sequence[Prompt], temperature: float) -> list[str]:
        texts: list[str] = []
        for start in tqdm(range(0, len(prompts), batch), desc="generating", unit="batch", leave=False):
            part = prompts[start : start + batch]
            seeds = [int(number) for number in rng.integers(2**63, size=len(part))]
            texts += [completion.text for completion in model.generate(part, seeds, temperature=temperature)]
        return texts

    return ask


def _precise(rng: np.random.Generator) -> Case:
    """A single precise edit whose clause training never showed."""
    while True:
        attributes = description(rng)
        for prompt in propose(attributes, rng, 64):
            if held_out(prompt):
                return Case(attributes, render(attributes, rng), prompt)


def _vague(rng: np.random.Generator) -> Case:
    while True:
        attributes = description(rng)
        for prompt in propose(attributes, rng, 8):
            edit = parse_edit(prompt)[0]
            if edit.operation == "vague" and len(outcomes(attributes, edit)) > 1:
                return Case(attributes, render(attributes, rng), prompt)


def _macro(rng: np.random.Generator) -> Case:
    """Three edits in one prompt, at least one of them in a clause that training never showed."""
    while True:
        attributes = description(rng)
        for prompt in propose(attributes, rng, 16, edits=3):
            if held_out(prompt):
                return Case(attributes, render(attributes, rng), prompt)


def _rewrites(cases: Sequence[Case], texts: Sequence[str]) -> dict[str, float]:
    found = [read(text) for text in texts]
    pairs = list(zip(cases, found, strict=True))
    return {
        "asked_edit_present": _share(fulfilled(case.attributes, case.edits, after) for case, after in pairs),
        "unasked_change": _share(bool(unasked(case.attributes, case.edits, after)) for case, after in pairs),
        "invention": _share(bool(inventions(case.attributes, case.edits, after)) for case, after in pairs),
        "parses": _share(_parses(text) for text in texts),
    }


def _variety(cases: Sequence[Case], ask: Ask) -> dict[str, float]:
    """Different attribute sets among eight samples of a vague prompt; inventions taken out before comparing."""
    prompts = [
        Prompt("rewrite", text=case.text, instruction=case.instruction) for case in cases for _ in range(SAMPLES)
    ]
    texts = ask(prompts, 1.0)
    distinct = []
    for index, case in enumerate(cases):
        rows = [read(text) for text in texts[index * SAMPLES : (index + 1) * SAMPLES]]
        distinct.append(len({_without_inventions(case, row) for row in rows}))
    return {"vague_varied": _share(count >= 2 for count in distinct), "vague_distinct": float(np.mean(distinct))}


def _without_inventions(case: Case, after: Attributes) -> frozenset[tuple[str, str]]:
    return frozenset(after.pairs()) - set(inventions(case.attributes, case.edits, after))


def _proposals(rng: np.random.Generator, ask: Ask, cases: int) -> dict[str, float]:
    drawn = [description(rng) for _ in range(cases)]
    generic = ask([Prompt("propose", text=render(each, rng)) for each in drawn], 1.0)
    users = [_user(rng) for _ in drawn]
    asked = list(zip(drawn, users, strict=True))
    personal = ask([Prompt("propose", text=render(a, rng), profile=render_profile(user)) for a, user in asked], 1.0)
    return {
        "propose_usable": _share(_usable(each, prompt) for each, prompt in zip(drawn, generic, strict=True)),
        "propose_distinct": len(set(generic)) / len(generic),
        "personal_usable": _share(_usable(each, prompt) for each, prompt in zip(drawn, personal, strict=True)),
        "personal_fits": _share(_fits(user, prompt) for user, prompt in zip(users, personal, strict=True)),
    }


def _writing(rng: np.random.Generator, ask: Ask, cases: int) -> dict[str, float]:
    drawn = [each for each in (description(rng) for _ in range(cases)) if each.pairs()]
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
        return any((edit.slot, edit.value) in user.likes for edit in parse_edit(prompt))
    except TextError:
        return False


def _parses(text: str) -> bool:
    try:
        parse(text)
    except TextError:
        return False
    return True


def _share(flags: Iterable[bool]) -> float:
    return float(np.mean(list(flags)))


def table(measured: dict[str, float]) -> str:
    """The README's table."""
    rows = ["| prompt | temperature | asked edit present | given and not asked, changed | invention | parses |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    for kind in ("precise", "vague", "macro"):
        for name, temperature in (("greedy", "0"), ("sampled", "1")):
            keys = ("asked_edit_present", "unasked_change", "invention", "parses")
            cells = " | ".join(f"{100 * measured[f'{kind}_{name}_{key}']:.1f} %" for key in keys)
            rows.append(f"| {kind} | {temperature} | {cells} |")
    rows += ["", "| measure | value |", "|---|---|"]
    labels = {
        "vague_varied": f"vague prompts with ≥ 2 different attribute sets in {SAMPLES} samples",
        "propose_usable": "proposed prompts that parse and can change the text",
        "propose_distinct": "distinct prompts among all proposed",
        "personal_usable": "personalised prompts that parse and can change the text",
        "personal_fits": "personalised prompts that ask for something the user likes",
        "write_exact": "texts written from attributes that say just these",
    }
    rows += [f"| {label} | {100 * measured[key]:.1f} % |" for key, label in labels.items()]
    rows.append(
        f"| different attribute sets in {SAMPLES} samples of a vague prompt, mean | {measured['vague_distinct']:.1f} |"
    )
    return "\n".join(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the plot-English model on unseen descriptions and prompts.")
    parser.add_argument("--model", default="embedded", help="'embedded' or 'transformers:PATH' (%(default)s)")
    parser.add_argument("--cases", type=int, default=1000, help="cases per kind of prompt (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of cases and generations (%(default)s)")
    parser.add_argument("--readme", type=Path, help="a README whose marked part is replaced by the table")
    arguments = parser.parse_args()
    measured = evaluate(load_language_model(arguments.model), cases=arguments.cases, seed=arguments.seed)
    print(table(measured))  # noqa: T201
    if arguments.readme:
        before, _, rest = arguments.readme.read_text(encoding="utf-8").partition(START)
        after = rest.partition(STOP)[2]
        arguments.readme.write_text(f"{before}{START}\n{table(measured)}\n{STOP}{after}", encoding="utf-8")
        (arguments.readme.parent / "evaluation.json").write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
