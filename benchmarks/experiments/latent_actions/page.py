"""The page on latent actions: a table for each question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.latent_actions.pieces import TRIALS
from benchmarks.reporting.document import aligned
from benchmarks.running.files import read_json, write_json
from benchmarks.stats import Interval, bootstrap
from eagle_gym.errors import PreparationError

NOTE = (
    "CoLA on Plots, {seeds} training seed{plural}. Intervals are 95 %, bootstrapped over seeds and users (or answers, "
    "or texts). Numbers in brackets behind a mean over seeds only are the smallest and the largest. "
    "Stage 1: {dynamics_steps} updates of {batch_size} answers; stage 2: {policy_steps}; {pairs} different answers. "
    "Stage 4: {rl_steps} updates of {prompts} states with {group_size} rewrites each; {long_steps} updates in the long "
    "runs. "
    "Seconds are those of one processor core. Step sizes of GRPO: {codes_rate} over codes, {tokens_rate} over tokens, "
    "chosen in trials on train users with as many updates as the short runs; codes are run with both."
)
Found = list[Mapping[str, Any]]
TESTED = {
    "codes_before": "codes, before RL",
    "codes_after": "codes, after GRPO",
    "tokens_before": "tokens, before RL",
    "tokens_after": "tokens, after GRPO",
}
QUALITY = {"gain": "gain", "judge": "judge", "parses": "parses", "followed": "edit followed"}
COMPARED = {name: QUALITY[name] for name in ("gain", "judge", "followed")}
AFTER = {
    "tested_slow": {"slow": "codes, after GRPO with the step size of tokens"},
    "tested_long": {
        "long_codes": "codes, after the long GRPO",
        "long_tokens": "tokens, after the long GRPO",
    },
}
RUNS = {
    "rl_codes": "codes",
    "rl_slow": "codes, step size of tokens",
    "rl_tokens": "tokens",
    "rl_long_codes": "codes, long",
    "rl_long_tokens": "tokens, long",
}
TRIED = (
    "Trials with one training seed that no other table has, and as many updates as the short runs; the long runs have "
    "no trials of their own. The rewrites are for train users, the same ones in all trials. The largest mean gain is "
    "chosen, however small its lead and large its KL. Four step sizes were tried first; the fifth, 0.01, was added for "
    "both because 0.003 won over codes."
)
DRAWN = {"codes": "codes of the policy", "uniform_codes": "uniform codes", "tokens": "tokens, temperature 1"}


def write_page(folder: Path, size: Mapping[str, Any]) -> str:
    """Write `REPORT.md`, `SUMMARY.md` and `latent_actions.json` of the pieces that are done.

    Raises:
        PreparationError: None is.
    """
    found: dict[str, Found] = {}
    for path in sorted((folder / "pieces").glob("*.json")):
        piece = read_json(path)
        found.setdefault(piece["kind"], []).append(piece)
    if not found:
        raise PreparationError(f"{folder} holds no finished pieces: run the experiment there first")
    seeds = len({piece["seed"] for pieces in found.values() for piece in pieces} - {size["trial_seed"]})
    facts = {"group_size": 16, **size["training"], **size, "seeds": seeds, "plural": "s" * (seeds != 1)}
    parts = [NOTE.format(**facts)]
    compact: dict[str, Any] = {}
    for title, kind, make in SECTIONS:
        table, numbers = make(found.get(kind, []), found)
        parts += [f"## {title}", table or "Not run."]
        compact[kind] = numbers
    write_json(compact, folder / "latent_actions.json", compact=True)
    (folder / "SUMMARY.md").write_text((parts[parts.index("## RL over codes and over tokens") + 1]) + "\n")
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


Section = tuple[str, dict[str, Any]]


def information(pieces: Found, _: Mapping[str, Found]) -> Section:
    """What codes say, by N."""
    body, numbers = [], {}
    for codes, own in by_codes(pieces):
        nats = {name: over(own, itemgetter(name)) for name in ("base", "inferred", "policy")}
        single = {name: spread([p["found"][name] for p in own]) for name in SINGLE}
        body.append([str(codes), str(len(own)), *(fine(nats[name]) for name in nats), *single.values()])
        numbers[str(codes)] = {**{name: fine(value) for name, value in nats.items()}, **single}
    head = ["N", "seeds", "nats a token, base", "inferred codes", "policy's codes", *SINGLE.values()]
    return (aligned(head, body) if body else ""), numbers


SINGLE = {
    "accuracy": "policy's accuracy",
    "perplexity": "perplexity of use",
    "information": "I(code; token), bits",
    "tokens": "H(token), bits",
}


def diversity(pieces: Found, found: Mapping[str, Found]) -> Section:
    """Diversity next to quality."""
    names = {"similarity": "similarity", "distinct": "distinct", "parses": "parses", "followed": "edit followed"}
    body, numbers = body_of(pieces, DRAWN, names)
    more, own = body_of(found.get("random", []), {"random_tokens": "random tokens"}, names)
    body, numbers = body + more, numbers | own
    return (aligned(["", "seeds", *names.values()], body) if body else ""), numbers


def guidance(pieces: Found, found: Mapping[str, Found]) -> Section:
    """Stage 3: with and without."""
    table, numbers = rows_of(pieces, {"unguided": "stages 1 and 2", "guided": "stages 1 to 3"}, QUALITY)
    if pieces:
        line, less = compared(pieces, "with stage 3 minus without", "guided", "unguided")
        steps = sum("guidance/nll" in row for row in found["guided"][0]["found"]["curve"]) if "guided" in found else 0
        table += f"\n\nStage 3 made {steps} updates of the base model, and as many of the policy."
        table, numbers = table + line, numbers | less
    return table, numbers


def reinforced(pieces: Found, found: Mapping[str, Found]) -> Section:
    """Gain, judge, KL and quality before and after RL."""
    body, numbers = body_of(pieces, TESTED, QUALITY)
    for kind, methods in AFTER.items():
        more, own = body_of(found.get(kind, []), methods, QUALITY)
        body, numbers = body + more, numbers | own
    table = aligned(["", "seeds", *QUALITY.values()], body) if body else ""
    pairs = [
        ("codes, after minus before", pieces, "codes_after", "codes_before"),
        ("tokens, after minus before", pieces, "tokens_after", "tokens_before"),
        ("codes minus tokens, after", pieces, "codes_after", "tokens_after"),
        ("codes minus tokens, after the long GRPO", found.get("tested_long", []), "long_codes", "long_tokens"),
    ]
    for name, own_pieces, one, other in pairs:
        line, less = compared(own_pieces, name, one, other)
        table, numbers = table + line, numbers | less
    after = []
    for kind, name in RUNS.items():
        curves = [piece["found"]["curve"] for piece in found.get(kind, [])]
        if curves:
            kl = spread([final_kl(curve) for curve in curves])
            seconds = spread([piece["cpu_seconds"] for piece in found[kind]])
            passes = spread([sum(row["rl/passes"] for row in curve) for curve in curves])
            after.append([name, str(len(curves)), kl, seconds, passes])
            numbers[f"training, {name}"] = {"kl": kl, "seconds": seconds, "tokens written": passes}
    head = ["GRPO over", "seeds", "KL at the end, nats a rewrite", "seconds", "tokens written"]
    return table + (f"\n\n{aligned(head, after)}" if after else ""), numbers


def tried(_: Found, found: Mapping[str, Found]) -> Section:
    """Trials of step sizes, on train users."""
    body, numbers = [], {}
    for kind, acts in TRIALS.items():
        for piece in found.get(kind, []):
            gains = {rate: over([piece], partial(cell, rate, "gain"), rate) for rate in piece["found"]}
            numbers[acts] = chosen = max(gains, key=lambda rate: gains[rate].estimate)
            for rate, gain in gains.items():
                followed = str(over([piece], partial(cell, rate, "followed"), rate))
                kl = f"{final_kl(piece['found'][rate]['curve']):.2f}"
                body.append([acts, rate, str(gain), followed, kl, "chosen" if rate == chosen else ""])
                numbers[f"{acts}, {rate}"] = {"gain": str(gain), "followed": followed, "kl": kl}
    if not body:
        return "", {}
    head = ["GRPO over", "step size", "gain, train users", "edit followed", "KL at the end, nats a rewrite", ""]
    return f"{aligned(head, body)}\n\n{TRIED}", numbers


def final_kl(curve: Sequence[Mapping[str, float]]) -> float:
    """Mean KL of the last three updates, in nats a rewrite."""
    return float(np.mean([row["rl/kl"] for row in curve[-3:]]))


def search(pieces: Found, _: Mapping[str, Found]) -> Section:
    """Tree search against as many samples."""
    methods = {"search": "tree search over codes", "samples": "best of as many samples"}
    table, numbers = rows_of(pieces, methods, QUALITY)
    line, less = compared(pieces, "search minus samples", "search", "samples")
    return table + line, numbers | less


def computing(_: Found, found: Mapping[str, Found]) -> Section:
    """What a gain took: the mean gain of the rewrites over the updates of stage 4."""
    body, numbers = [], {}
    for kind, name in RUNS.items():
        curves = [piece["found"]["curve"] for piece in found.get(kind, [])]
        if not curves:
            continue
        length = min(map(len, curves))
        edges = sorted({0, length // 4, length // 2, 3 * length // 4})
        ends = [*edges[1:], length]
        for begin, end in zip(edges, ends, strict=True):
            gain = spread([np.mean([row["rl/return"] for row in curve[begin:end]]) for curve in curves])
            passes = spread([sum(row["rl/passes"] for row in curve[:end]) for curve in curves])
            body.append([name, f"{begin + 1} to {end}", gain, passes])
            numbers[f"{name}, {begin + 1} to {end}"] = {"gain": gain, "tokens written": passes}
    head = ["GRPO over", "updates", "gain of a rewrite in training", "tokens written until then"]
    return (aligned(head, body) if body else ""), numbers


SECTIONS: Sequence[tuple[str, str, Callable[[Found, Mapping[str, Found]], Section]]] = (
    ("What codes say about the next token", "information", information),
    ("Diversity and quality", "diversity", diversity),
    ("Action guidance", "tested_guided", guidance),
    ("Step sizes of GRPO", "trials", tried),
    ("RL over codes and over tokens", "tested", reinforced),
    ("Search", "search", search),
    ("Computing", "computing", computing),
)


def rows_of(pieces: Found, methods: Mapping[str, str], names: Mapping[str, str]) -> Section:
    """A table with a row for each method and an interval for each column."""
    body, numbers = body_of(pieces, methods, names)
    return (aligned(["", "seeds", *names.values()], body) if body else ""), numbers


def body_of(
    pieces: Found, methods: Mapping[str, str], names: Mapping[str, str]
) -> tuple[list[list[str]], dict[str, Any]]:
    """The rows of such a table."""
    body, numbers = [], {}
    for method, title in methods.items() if pieces else ():
        own = {name: over(pieces, partial(cell, method, name), method) for name in names}
        body.append([title, str(len(pieces)), *map(str, own.values())])
        numbers[title] = {name: str(value) for name, value in own.items()}
    return body, numbers


def cell(method: str, name: str, found: Mapping[str, Any]) -> Sequence[float]:
    """One column of one method of a piece."""
    column: Sequence[float] = found[method][name]
    return column


def over(pieces: Found, column: Callable[[Any], Sequence[float]], method: str = "") -> Interval:
    """Mean of a column over seeds and users; texts and answers stand for users where there are none."""
    values, seeds, users = [], [], []
    for piece in pieces:
        own = column(piece["found"])
        known = piece["found"].get(method, {}).get("users") if method else None
        values += list(own)
        seeds += [piece["seed"]] * len(own)
        users += list(known or range(len(own)))
    return bootstrap(values, seeds, users, np.random.default_rng(0))


def compared(pieces: Found, name: str, one: str, other: str) -> Section:
    """Paired differences of two methods, as a paragraph and by name; nothing without pieces."""
    if not pieces:
        return "", {}
    less = {title: contrast(pieces, one, other, column) for column, title in COMPARED.items()}
    said = ", ".join(f"{title} {value}" for title, value in less.items())
    return f"\n\nOn the same states, {name}: {said}.", {f"{title}, {name}": value for title, value in less.items()}


def contrast(pieces: Found, one: str, other: str, name: str) -> str:
    """Paired difference of two methods in a column."""

    def less(found: Any) -> list[float]:  # noqa: ANN401 - a piece's content
        return [a - b for a, b in zip(found[one][name], found[other][name], strict=True)]

    return str(over(pieces, less, one))


def by_codes(pieces: Found) -> Iterable[tuple[int, Found]]:
    """Pieces by N, ascending."""
    for codes in sorted({piece["codes"] for piece in pieces}):
        yield codes, [piece for piece in pieces if piece["codes"] == codes]


def spread(values: Sequence[float]) -> str:
    """Mean over seeds, and the smallest and the largest."""
    if max(values) >= 100:
        return f"{np.mean(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def fine(value: Interval) -> str:
    """An interval of small numbers."""
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]"
