"""The tuning of every agent of T1 in one table: how many trials, on which seeds, and where they are committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.experiments.latent_actions.sizes import SMALL
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.running.files import REFERENCE, read_json

HEAD: Final = ("agents of T1", "trials", "seeds", "what the trials change", "committed in")
HALF: Final = "half the budget"
USERS: Final[Mapping[str, str]] = {
    "ppo": f"PPO (SB3), {HALF}, cloned first; MaskablePPO, RecurrentPPO",
    "eagle": f"EAGLE (latent), three references, {HALF}; not its imitation",
    "supervised": "supervised (latent), three references",
}
"""Agents that share the trials of a learner, where there are any besides it."""
CODES: Final = {"codes": "CoLA", "tokens": "GRPO over tokens"}
SEED_OF_READERS: Final = 1_000  # `benchmarks/experiments/reads_text/README.md`
READERS: Final = {"supervised": "supervised (reads text)", "eagle": "EAGLE (reads text)"}
UNTUNED: Final = (
    ("ELM, DQN, value-augmented sampling", "defaults"),
    ("beam search, lookahead, MCTS, best of N", "budget and width are given"),
    ("one rewrite with the profile", "temperature 0"),
    ("reference policies, first offered edit, no-op", "nothing to tune"),
)


def table(trials: Sequence[Mapping[str, Any]]) -> str:
    """The table, with the trials of this experiment as they are given, and those of two others as committed."""
    return aligned(
        HEAD, [*tuned(trials), *writers(), *readers(), *([who, "none", "", why, ""] for who, why in UNTUNED)]
    )


def tuned(trials: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The agents that have their trials here."""
    for name in dict.fromkeys(trial["learner"] for trial in trials):
        own = [trial for trial in trials if trial["learner"] == name]
        changed = ", ".join(dict.fromkeys(f"`{key}`" for trial in own for key in trial["changes"]))
        yield [USERS.get(name, title(name)), str(len(own)), listed(own[0]["seeds"]), changed, "`tuning`"]


def writers() -> Iterator[list[str]]:
    """CoLA and GRPO over tokens."""
    found = read_json(REFERENCE / "latent_actions" / "latent_actions.json")["trials"]
    for kind, name in CODES.items():
        count = sum(key.startswith(f"{kind}, ") for key in found)
        yield [name, str(count), listed([SMALL["trial_seed"]]), "`rl_learning_rate`", "`latent_actions`"]


def readers() -> Iterator[list[str]]:
    """Language models that read text."""
    trials = read_json(REFERENCE / "reads_text" / "trials.json")["trials"]
    for agent, name in READERS.items():
        own = [trial["settings"] for trial in trials if trial["agent"] == agent]
        keys = dict.fromkeys(key for one in own for key in one)
        changed = [f"`{key}`" for key in keys if len({str(one.get(key)) for one in own}) > 1]
        yield [name, str(len(own)), listed([SEED_OF_READERS]), ", ".join(changed), "`reads_text`"]


def listed(seeds: Iterable[Any]) -> str:
    """Seeds, one after the other."""
    return ", ".join(f"{int(seed):,}" for seed in seeds)
