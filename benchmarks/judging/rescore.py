"""Rewards of recorded rollouts, computed again from their texts: another utility, other prices or another latent space.

No language model is opened and no text is written. With the recorded settings, the recorded rewards come out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.rollouts import Episode, Rollouts, read_rollouts, turn_rewards, write_rollouts
from benchmarks.stats import bootstrap
from eagle_gym.actions.action_set import ActionSet
from eagle_gym.envs import transition
from eagle_gym.envs.opening import make_scorer
from eagle_gym.envs.settings import OF_CONTENT_GAP, Settings
from eagle_gym.envs.world import RawState, Scorer, State
from eagle_gym.errors import ConfigurationError, PreparationError


def rescore(path: Path, changes: Mapping[str, Any], out: Path | None = None) -> tuple[Rollouts, Rollouts]:
    """Compute the rewards of a file of rollouts again.

    Args:
        path: The file.
        changes: Arguments of the environment that replace the recorded ones, such as `utility`, `utility_kwargs`,
            `affinity`, `interests`, `drift_penalty`, `edit_cost`, `reward`, `dim`, `placebo` or `root`.
        out: File to write; None for none.

    Returns:
        The recorded rollouts and the rescored ones. The latter keep messages, calls and all else as they were.

    Raises:
        ConfigurationError: An invalid argument, or a user or item that the catalog does not hold.
        PreparationError: The file is broken, its rollouts are of another catalog, or `out` cannot be written.
    """
    recorded = read_rollouts(path)
    settings = changed_settings(recorded.header["settings"], changes)
    scorer = make_scorer(settings)
    _check_catalog(path, recorded, scorer)
    episodes = [rescored_episode(scorer, episode) for episode in recorded.episodes]
    header = {
        **recorded.header,
        "settings": {name: settings.as_kwargs()[name] for name in recorded.header["settings"]},
        "fingerprints": {**recorded.header["fingerprints"], "space": scorer.space.fingerprint},
        "rescored_with": dict(changes),
    }
    if out is not None:
        return recorded, write_rollouts(out, header, episodes)
    return recorded, Rollouts(header, tuple(episodes), recorded.totals)


def changed_settings(recorded: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """The recorded settings with changes. Recorded arguments of the utility give way to those that are given.

    Raises:
        ArgumentError: An invalid argument or combination.
    """
    given = dict(recorded)
    if "utility" in changes:  # `affinity` and `interests` belong to the package's own utility
        given |= dict.fromkeys(("utility_kwargs", *OF_CONTENT_GAP))
    given |= {name: None for name in OF_CONTENT_GAP if name in (changes.get("utility_kwargs") or {})}
    return Settings.of({**given, **changes})


def _check_catalog(path: Path, recorded: Rollouts, scorer: Scorer) -> None:
    said = recorded.header["fingerprints"]["catalog"]
    if said != scorer.catalog.hash:
        raise PreparationError(
            f"{path} holds rollouts of another catalog than {scorer.catalog.name!r} (expected {said}, got "
            f"{scorer.catalog.hash}): name its data with --kwargs"
        )


def rescored_episode(scorer: Scorer, episode: Episode) -> Episode:
    """An episode with the utilities and rewards that a scorer gives its texts."""
    user = scorer.catalog.user_index(episode["user"])
    item = -1 if episode["item"] is None else scorer.catalog.item_index(episode["item"])
    texts = [episode["start"]["text"], *(turn["next_text"] for turn in episode["turns"])]
    valid = [True, *(bool(turn["rewards"]["valid"]) for turn in episode["turns"])]
    states = pay(scorer, user, item, texts, valid)
    turns = [
        {
            **turn,
            "rewards": turn_rewards(before.utility, after.utility, after.reward, after.valid),
            "utility": dict(after.utility),
        }
        for turn, before, after in zip(episode["turns"], states[:-1], states[1:], strict=True)
    ]
    return {
        **episode,
        "start": {**episode["start"], "utility": dict(states[0].utility)},
        "turns": turns,
        "return": sum(turn["rewards"]["reward"] for turn in turns),
    }


def pay(scorer: Scorer, user: int, item: int, texts: Sequence[str], valid: Sequence[bool]) -> list[State]:
    """The states of an episode's `T + 1` texts, with their utilities and rewards and without action sets."""
    z = np.asarray(scorer.space.encoder.encode(list(texts)), np.float64)
    raw = [RawState(text, user, item, step, ok, z[0]) for step, (text, ok) in enumerate(zip(texts, valid, strict=True))]
    scores = transition.score(scorer, z, raw, [z[0]] * len(raw)).rows()
    nothing = _no_actions(z.shape[1])
    found = [
        State(each.text, user, item, each.step, row, parts, nothing, each.valid, z[0], np.zeros_like(row))
        for each, row, parts in zip(raw, z, scores, strict=True)
    ]
    states = found[:1]
    for after in found[1:]:
        states += transition.with_rewards(scorer, states[-1:], [after])
    return states


def _no_actions(n: int) -> ActionSet:
    return ActionSet((), np.zeros((0, n)), np.zeros((0, n)), np.zeros(0), np.zeros(0, np.int8), 0.0, 1.0)


def summary(recorded: Rollouts, rescored: Rollouts) -> str:
    """A table for the terminal: mean returns with intervals, and how the two agree."""
    if not recorded.episodes:
        raise ConfigurationError("expected rollouts with episodes, got none: record some")
    before, after = (np.array([episode["return"] for episode in each.episodes]) for each in (recorded, rescored))
    users = [episode["user"] for episode in recorded.episodes]
    lines = [f"{'returns':<10}{'episodes':>9}   mean [95 % interval]"]
    for name, values in (("recorded", before), ("rescored", after)):
        found = bootstrap(values, np.zeros(len(values)), users, np.random.default_rng(0))
        lines.append(f"{name:<10}{len(values):>9}   {found}")
    lines.append(f"largest difference of a turn's reward: {largest_difference(recorded, rescored):.2g}")
    if len(before) > 2 and before.std() > 0 and after.std() > 0:
        lines.append(f"correlation of returns: {np.corrcoef(before, after)[0, 1]:.3f}")
    return "\n".join(lines)


def largest_difference(recorded: Rollouts, rescored: Rollouts) -> float:
    """The largest difference between the rewards of a turn, whichever their name."""
    pairs = (
        (old["rewards"], new["rewards"])
        for one, other in zip(recorded.episodes, rescored.episodes, strict=True)
        for old, new in zip(one["turns"], other["turns"], strict=True)
    )
    return max((abs(old[name] - new[name]) for old, new in pairs for name in old), default=0.0)
