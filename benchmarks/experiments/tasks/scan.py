"""Knobs of a task, tried on train users: `python -m benchmarks.experiments.tasks.scan FILE`.

Each line of the file is a JSON object of arguments, such as `{"task": "plan", "actions": 6}`. For each, the program
prints mean gains of policies that need no training: uniform, greedy on expected utilities and beam search, with
designed, random and longest action sets. A preset needs planning if greedy gains little of what beam search gains
*with the same action sets*, and it needs the design if both gain more with designed sets.

Beam search also knows which edits the next texts will offer, which no agent can. `--foresight` says what that is worth:
it adds a beam search that plans with other action sets than come, and the walk to the nearest interest.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from baselines import registry
from baselines.agent import AgentState
from baselines.evaluate import evaluate, make_envs
from baselines.search import Beam, BeamConfig
from baselines.worlds import states_of, world_of
from eagle_gym.actions.action_set import ActionSets
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import World
from eagle_gym.errors import EagleError

Gains = NDArray[np.float64]  # [episodes]

DESIGNED: Final = "designed"
OTHERS: Final = ("uniform", "longest")  # selections of action sets
FEW: Final = ("uniform", "optimistic")
FIRST: Final = 3_000_000  # seeds of train episodes that no other measurement uses
CATALOG: Final = "EagleGym/Plots-v0"


class BlindBeam(Beam):
    """Beam search that plans with other action sets than the environment will offer, except for the present one."""

    @cached_property
    def world(self) -> World:
        """The environment's world with action sets of another seed."""
        real = self._env.world
        sets = real.resources.action_sets
        other = ActionSets(
            sets.candidates,
            sets.effects,
            pool=sets.pool,
            k=sets.k,
            features=sets.features,
            selection=sets.selection,
            seed=sets.seed + 1,
        )
        return dataclasses.replace(real, resources=dataclasses.replace(real.resources, action_sets=other))


@dataclasses.dataclass
class Walk:
    """Takes the action whose expected next text is nearest to any of the user's interests."""

    envs: Any

    def predict(
        self,
        observation: Any,  # noqa: ANN401
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """See `baselines.agent.Agent`."""
        interests = world_of(self.envs).resources.interests
        assert interests is not None
        chosen = []
        for each in states_of(self.envs):
            towards = each.action_set.expected[:, None] - interests.centres[each.user]
            far = np.linalg.norm(towards, axis=2).min(axis=1)
            chosen.append(int(np.argmin(np.where(each.action_set.mask > 0, far, np.inf))))
        return np.array(chosen), state


Maker = Callable[[Any], Any]  # makes an agent for environments


def gains(env_id: str, make: Maker, episodes: int, **kwargs: Any) -> Gains:  # noqa: ANN401
    """Gains of a policy, [episodes]."""
    envs = make_envs(env_id, episodes, split="train", language_model="grammar", **kwargs)
    found = evaluate(make(envs), envs, method="", episodes=episodes, first_seed=FIRST)
    return np.array([row.gain for row in found.rows])


def named(spec: str) -> Maker:
    """Makes a policy by name."""
    return lambda envs: registry.make(spec, envs, np.random.default_rng(0))


def line(env_id: str, arguments: Mapping[str, Any], episodes: int, budget: int) -> str:
    """One row of the table: means by selection and policy, and greedy's share of its own beam."""
    specs = [*FEW, f"beam:budget={budget},width=8,levels=10"]
    sets = {DESIGNED: {}, **{name: {"selection": name} for name in OTHERS}}
    found = {
        name: [gains(env_id, named(spec), episodes, **{**arguments, **own}) for spec in specs]
        for name, own in sets.items()
    }
    cells = [share(*columns) for columns in found.values()]
    cells += [difference(found[DESIGNED][row], found["uniform"][row]) for row in (1, 2)]
    return " | ".join([*cells, json.dumps(arguments)])


def share(low: Gains, greedy: Gains, beam: Gains) -> str:
    """Mean gains of uniform, greedy and beam search, and how much of the beam's gain greedy has."""
    means = [float(gains.mean()) for gains in (low, greedy, beam)]
    part = (means[1] - means[0]) / (means[2] - means[0])
    return " ".join(f"{mean:6.2f}" for mean in (*means, part))


def difference(one: Gains, other: Gains) -> str:
    """Mean difference of paired gains, with half of its 95 % interval."""
    less = one - other
    return f"{less.mean():5.2f} ± {1.96 * less.std() / np.sqrt(len(less)):.2f}"


def foresight(env_id: str, arguments: Mapping[str, Any], episodes: int, budget: int) -> str:
    """Greedy, the blind beam search and the walk to the nearest interest, the last two also minus greedy."""
    config = BeamConfig(budget=budget, width=8, levels=10)
    makers: list[Maker] = [named("optimistic"), lambda envs: BlindBeam(envs, config, np.random.default_rng(0))]
    if Settings.of(arguments).interests > 1:
        makers.append(Walk)
    greedy, *others = (gains(env_id, make, episodes, **arguments) for make in makers)
    parts = [f"{found.mean():6.2f} ({difference(found, greedy)})" for found in others]
    return " | ".join([f"{greedy.mean():6.2f}", *parts, json.dumps(arguments)])


def main(argv: list[str] | None = None) -> int:
    """Print a row for each line of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments.tasks.scan", description=__doc__)
    parser.add_argument("file", type=Path, help="a JSON object of arguments on each line")
    parser.add_argument("--env", default=CATALOG, help="id of the environment")
    parser.add_argument("--episodes", type=int, default=64, help="train episodes of each policy")
    parser.add_argument("--budget", type=int, default=640, help="imagined rewrites of beam search in an episode")
    parser.add_argument("--foresight", action="store_true", help="what it is worth to know the next action sets")
    options = parser.parse_args(argv)
    measure = foresight if options.foresight else line
    groups = " | ".join(f"{name}: uniform, greedy, beam, share" for name in (DESIGNED, "random", "longest"))
    head = f"{groups} | designed minus random: greedy | beam | arguments"
    print("greedy | blind beam search | walk | arguments" if options.foresight else head, flush=True)
    for text in options.file.read_text().splitlines():
        if text.strip():
            try:
                print(measure(options.env, json.loads(text), options.episodes, options.budget), flush=True)
            except EagleError as error:
                print(f"{error} | {text}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
