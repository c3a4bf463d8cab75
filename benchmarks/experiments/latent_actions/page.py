"""The page on latent actions: a table for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.latent_actions.pieces import TRIALS
from benchmarks.experiments.latent_actions.tables import (
    QUALITY,
    Found,
    Section,
    body_of,
    by_codes,
    cell,
    compared,
    fine,
    joined,
    minus,
    over,
    rows_of,
)
from benchmarks.reporting.document import aligned
from benchmarks.reporting.tables import spread
from benchmarks.running.files import read_json, write_json
from eagle_gym.errors import PreparationError

NOTE = (
    "CoLA on Plots, {seeds} training seed{plural}. Intervals are 95 %, bootstrapped over seeds and users (or answers, "
    "or texts). Numbers in brackets behind a mean over seeds only are the smallest and the largest. "
    "*Gain* is what one rewrite adds to the utility, in standard deviations over the catalog. *Judge* is the gain by "
    "the users' true taste, in standard deviations of the user's ratings. *Parses* is the share of the texts that are "
    "finished and plot English, *edit followed* the share that also do what their edit asks and change nothing else. "
    "*Similarity* is the mean cosine between the embeddings of different rewrites of one text, *distinct* how many "
    "different sets of attributes they have, as a share of their number. Each seed has {tested} test states "
    "({searched} in the search), {texts} texts with {samples} rewrites each for diversity, and {held_out} unseen "
    "answers. "
    "Stage 1: {dynamics_steps} updates of {batch_size} answers; stage 2: {policy_steps}; {pairs} different answers. "
    "Stage 4: {rl_steps} updates of {prompts} states with {group_size} rewrites each; {long_steps} updates in the long "
    "runs. "
    "Seconds are those of one processor core. Step sizes of GRPO: {codes_rate} over codes, {tokens_rate} over tokens, "
    "chosen in trials on train users with as many updates as the short runs; codes are run with both."
)
TESTED = {
    "codes_before": "codes, before RL",
    "codes_after": "codes, after GRPO",
    "tokens_before": "tokens, before RL",
    "tokens_after": "tokens, after GRPO",
}
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


def information(pieces: Found, _: Mapping[str, Found]) -> Section:
    """What codes say, by N."""
    body, numbers = [], {}
    for codes, own in by_codes(pieces):
        nats = {name: over(own, itemgetter(name)) for name in ("base", "inferred", "policy")}
        single = {name: spread([p["found"][name] for p in own]) for name in SINGLE}
        body.append([str(codes), str(len(own)), *(fine(nats[name]) for name in nats), *single.values()])
        numbers[str(codes)] = {**{name: fine(value) for name, value in nats.items()}, **single}
    if not body:
        return "", {}
    head = ["N", "seeds", "nats a token, base", "inferred codes", "policy's codes", *SINGLE.values()]
    sharp, more = sharpness(pieces)
    return f"{aligned(head, body)}\n\n{sharp}", {codes: own | more[codes] for codes, own in numbers.items()}


def sharpness(pieces: Found) -> Section:
    """How sure the next token is under the policy's most probable codes, and how often that is right, by N."""
    body, numbers = [], {}
    for codes, own in by_codes(pieces):
        numbers[str(codes)] = {name: fine(over(own, itemgetter(name))) for name in SHARP}
        body.append([str(codes), *numbers[str(codes)].values()])
    return aligned(["N", *SHARP.values()], body), numbers


SHARP = {
    "base_entropy": "entropy of the next token in nats, base",
    "policy_entropy": "entropy, policy's codes",
    "base_right": "most probable token right, base",
    "policy_right": "most probable token right, policy's codes",
}
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
    table = aligned(["", "seeds", *names.values()], body) if body else ""
    for name, signs in {
        "codes of the policy minus tokens": minus("codes", "tokens"),
        "uniform codes minus codes of the policy": minus("uniform_codes", "codes"),
        "uniform codes minus tokens": minus("uniform_codes", "tokens"),
    }.items():
        line, less = compared(pieces, name, signs, names)
        table, numbers = table + line, numbers | less
    return table, numbers


def guidance(pieces: Found, found: Mapping[str, Found]) -> Section:
    """Stage 3: with and without."""
    table, numbers = rows_of(pieces, {"unguided": "stages 1 and 2", "guided": "stages 1 to 3"}, QUALITY)
    if pieces:
        line, less = compared(pieces, "with stage 3 minus without", minus("guided", "unguided"))
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
    everything = joined(pieces, *(found.get(kind, []) for kind in AFTER))
    start = minus("tokens_before", "codes_before")
    for name, signs in {
        "codes, after minus before": minus("codes_after", "codes_before"),
        "tokens, after minus before": minus("tokens_after", "tokens_before"),
        "codes minus tokens, before": minus("codes_before", "tokens_before"),
        "codes minus tokens, after": (after := minus("codes_after", "tokens_after")),
        "change of codes minus change of tokens": after | start,
        "codes minus tokens, after the long GRPO": (long := minus("long_codes", "long_tokens")),
        "change of codes minus change of tokens, in the long GRPO": long | start,
    }.items():
        line, less = compared(everything, name, signs)
        table, numbers = table + line, numbers | less
    trainings, own = trained(found)
    return table + trainings, numbers | own


def trained(found: Mapping[str, Found]) -> Section:
    """What the runs of GRPO ended with, and what they took."""
    body, numbers = [], {}
    for kind, name in RUNS.items():
        curves = [piece["found"]["curve"] for piece in found.get(kind, [])]
        if curves:
            kl = spread([final_kl(curve) for curve in curves])
            seconds = spread([piece["cpu_seconds"] for piece in found[kind]])
            passes = spread([sum(row["rl/passes"] for row in curve) for curve in curves])
            body.append([name, str(len(curves)), kl, seconds, passes])
            numbers[f"training, {name}"] = {"kl": kl, "seconds": seconds, "tokens written": passes}
    head = ["GRPO over", "seeds", "KL at the end, nats a rewrite", "seconds of GRPO", "tokens written"]
    return (f"\n\n{aligned(head, body)}" if body else ""), numbers


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
    line, less = compared(pieces, "search minus samples", minus("search", "samples"))
    return table + line, numbers | less


def computing(_: Found, found: Mapping[str, Found]) -> Section:
    """What a gain took: the mean gain of the rewrites over the updates of stage 4."""
    body, numbers = [], {}
    for kind, name in RUNS.items():
        pieces = found.get(kind, [])
        curves = [piece["found"]["curve"] for piece in pieces]
        length = min(map(len, curves), default=0)
        edges = sorted({0, length // 4, length // 2, 3 * length // 4})
        for begin, end in zip(edges, [*edges[1:], length], strict=True) if length else ():
            gain = spread([np.mean([row["rl/return"] for row in curve[begin:end]]) for curve in curves])
            passes = spread([sum(row["rl/passes"] for row in curve[:end]) for curve in curves])
            seconds = spread([piece["cpu_seconds"] * end / length + spent_before(found, piece) for piece in pieces])
            body.append([name, f"{begin + 1} to {end}", gain, passes, seconds])
            numbers[f"{name}, {begin + 1} to {end}"] = {"gain": gain, "tokens written": passes, "seconds": seconds}
    if not body:
        return "", {}
    earlier = [spent_before(found, piece) for piece in found.get("rl_codes", [])]
    if any(earlier):
        numbers["codes, stages 1 and 2"] = {"seconds": spread(earlier)}
        body.insert(0, ["codes, stages 1 and 2", "n/a", "n/a", "0", spread(earlier)])
    head = ["GRPO over", "updates", "gain of a rewrite in training", "tokens written until then", "seconds until then"]
    return f"{aligned(head, body)}\n\n{SECONDS}", numbers


def spent_before(found: Mapping[str, Found], piece: Mapping[str, Any]) -> float:
    """Seconds of stages 1 and 2 from which a run of GRPO over codes started; 0 for one over tokens."""
    if RUNS[piece["kind"]].startswith("tokens"):
        return 0.0
    same = (piece["seed"], piece["codes"])
    return sum(float(own["cpu_seconds"]) for own in found.get("codes", []) if (own["seed"], own["codes"]) == same)


SECONDS = (
    "Seconds of codes include stages 1 and 2, which write no text. The seconds of a run of GRPO were measured as a "
    "whole and are divided equally among its updates."
)
SECTIONS: Sequence[tuple[str, str, Callable[[Found, Mapping[str, Found]], Section]]] = (
    ("What codes say about the next token", "information", information),
    ("Diversity and quality", "diversity", diversity),
    ("Action guidance", "tested_guided", guidance),
    ("Step sizes of GRPO", "trials", tried),
    ("RL over codes and over tokens", "tested", reinforced),
    ("Search", "search", search),
    ("Computing", "computing", computing),
)
