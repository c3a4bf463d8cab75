"""How much a run measures, and what its sections share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eagle_gym.envs.world import State, World

TableRow = dict[str, Any]

APART = 10**6  # between the first seeds of two sides, so that neither side finds what the other has cached


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        num_envs: Environments of the batch.
        looped: Environments of the loops over single ones.
        steps: Steps of a cycle, after its reset.
        repeats: Repeats of the ratios.
        again: Repeats of everything else.
        batches: Batch sizes in the table of engines.
        candidates: Candidates of one state that are rolled out together.
        pool: Candidates from which an action set is chosen.
        samples: Rollouts per candidate, where effects are rollouts.
        rolling: Environments whose effects are rollouts.
        states: States over which C is measured.
        truth: Rollouts per candidate that give the true displacements for C.
        texts: Steps that a single environment repeats, in the default mode.
        others: The same in each other mode.
        envs: Numbers of environments of the curve.
        actions: Values of K of the curve.
        pools: Pool sizes of the curve.
        items: Catalog sizes of the curve.
        catalog: Items for the utility's share of a step.
        recall: Items among which the nearest are sought.
        requests: Requests to the server; 0 starts no server.
        memory: Whether memory is measured, which takes a process for each point of the curves.
    """

    num_envs: int = 64
    looped: int = 16
    steps: int = 5
    repeats: int = 5
    again: int = 3
    batches: tuple[int, ...] = (1, 64, 256)
    candidates: int = 64
    pool: int = 64
    samples: int = 4
    rolling: int = 1
    states: int = 4
    truth: int = 16
    texts: int = 640
    others: int = 320
    envs: tuple[int, ...] = (1, 4, 16, 64, 256)
    actions: tuple[int, ...] = (4, 16, 64)
    pools: tuple[int, ...] = (16, 64, 256)
    items: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000)
    catalog: int = 62_000
    recall: int = 1_000_000
    requests: int = 64
    memory: bool = True


@dataclass(frozen=True)
class Bench:
    """What all sections share.

    Attributes:
        world: World of EagleGym/Plots-v0.
        size: How much is measured.
        device: Where the models run.
    """

    world: World
    size: Size
    device: str

    @property
    def steps(self) -> int:
        """Environment steps of a cycle of the batch."""
        return self.size.num_envs * self.size.steps


def ratio(rates: Mapping[str, Sequence[float]], first: str, other: str) -> list[float]:
    """The ratio of two series, repeat by repeat."""
    return [one / two for one, two in zip(rates[first], rates[other], strict=True)]


def propose(world: World, states: Sequence[State], count: int) -> list[list[str]]:
    """Up to `count` candidate edits of each state."""
    texts, profiles = [state.text for state in states], [world.resources.profile(state.user) for state in states]
    return world.resources.action_sets.candidates.propose(texts, profiles, count, range(len(states)))
