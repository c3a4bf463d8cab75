"""The trials of the learners, the ablation of EAGLE, and the settings that were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from baselines import registry
from benchmarks.running.files import REFERENCE, read_json
from benchmarks.running.grid import Chosen

COMMITTED: Final = REFERENCE / "tuning" / "tuning.json"
HALF = "plots-half"  # short name of the environment of the ablation
TRAIN: Mapping[str, Any] = MappingProxyType({"split": "train"})  # of the test episodes
FACTORS: Mapping[str, float] = MappingProxyType({"larger": 3.0, "smaller": 1 / 3})  # of the step sizes


class Tuned:
    """A learner that is tuned.

    Args:
        agent: Name of the learner.
        rates: Names of its step sizes.
        other: The change of the fourth trial.
        training: Hyperparameters of all trials.
        **fields: Further fields of its cells.
    """

    def __init__(
        self,
        agent: str,
        rates: tuple[str, ...],
        other: Mapping[str, Any],
        training: Mapping[str, Any] = MappingProxyType({}),
        **fields: Any,  # noqa: ANN401 - fields of `Cell`
    ) -> None:
        self.agent, self.rates, self.other, self.training, self.fields = agent, rates, other, training, fields

    def changes(self) -> dict[str, dict[str, Any]]:
        """What each trial changes of the defaults, by the trial's name."""
        usual = registry.hyperparameters(self.agent)
        steps = {
            name: {rate: float(f"{usual[rate] * factor:.3g}") for rate in self.rates}
            for name, factor in FACTORS.items()
        }
        return {"default": {}, **steps, "other": dict(self.other)}


def learners(steps: int, recorded: int) -> dict[str, Tuned]:
    """The learners by the names under which their settings are chosen.

    Args:
        steps: Environment steps of a trial, recorded ones included.
        recorded: Recorded episodes of those that imitate.
    """
    budget = {"total_timesteps": steps}
    rate = ("learning_rate",)
    more: dict[str, Any] = {"ent_coef": 0.02}  # exploration
    imitation = {"reference": "optimistic", "total_timesteps": 1}
    return {
        "ppo": Tuned("ppo", rate, more, budget),
        "ppo-stock": Tuned("ppo-stock", rate, more, budget),
        "a2c": Tuned("a2c", rate, more, budget),
        "eagle": Tuned(
            "eagle",
            ("policy_learning_rate", "value_learning_rate"),
            {"kl_weight": 0.15},
            {"reference": "uniform", **budget},
            recorded=recorded,
        ),
        "supervised": Tuned(
            "eagle", ("policy_learning_rate",), {"imitation_epochs": 90}, imitation, recorded=recorded, sample=True
        ),
    }


def trials(steps: int, recorded: int) -> Iterator[dict[str, Any]]:
    """The cells of a seed: fields that differ from the defaults; arguments as for `learners`."""
    for name, tuned in learners(steps, recorded).items():
        for trial, changed in tuned.changes().items():
            yield {
                **{"agent": tuned.agent, "label": f"{name}-{trial}", "test_env_kwargs": dict(TRAIN)},
                **{"training": {**tuned.training, **changed}, **tuned.fields},
            }


ABLATED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "ablated-whole": {},
        "ablated-no_imitation": {"imitates": False},
        "ablated-shorter": {"trust_weight": 3.0},
        "ablated-g_optimal": {"reference": "g_optimal"},
        "ablated-g_optimal-shorter": {"reference": "g_optimal", "trust_weight": 3.0},
    }
)
"""Changes of EAGLE with the uniform policy as its reference.

With three times the default trust weight, an update moves the policy about as far as one of PPO does.
"""


def ablations(steps: int, recorded: int, settings: Chosen) -> Iterator[dict[str, Any]]:
    """EAGLE with half of T1's budget and with one part less, and PPO with the same budget.

    Args:
        steps: Environment steps, recorded ones included.
        recorded: Recorded episodes of those that imitate.
        settings: The settings that were chosen.
    """
    usual = {"test_env_kwargs": dict(TRAIN)}
    yield {"agent": "ppo", "label": "ablated-ppo", "training": {**settings["ppo"], "total_timesteps": steps}, **usual}
    for label, changes in ABLATED.items():
        own = {"reference": "uniform", **settings["eagle"], "total_timesteps": steps, **changes}
        imitates = own.pop("imitates", True)
        yield {"agent": "eagle", "label": label, "training": own, "recorded": recorded if imitates else 0, **usual}


def chosen(path: Path = COMMITTED) -> dict[str, dict[str, Any]]:
    """The settings that were chosen for each learner in a run of the trials, by default the committed one.

    Raises:
        PreparationError: There is no such file.
    """
    found: dict[str, dict[str, Any]] = read_json(path)["chosen"]
    return found
