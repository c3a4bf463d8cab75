"""Cells, the pieces that experiments are made of, and the recorded episodes that some cells need.

A cell trains its agent if there is something to train, evaluates it on test episodes, and writes a folder. Its cost
includes what it builds on: recorded episodes of a reference policy, and the agent of another cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.registry import LEARNERS


@dataclass(frozen=True)
class Cell:
    """One method with one seed in one environment.

    Attributes:
        environment: Short name of the environment, for tables and folders.
        env_id: Id of the environment.
        agent: A policy without training, a learner, or a method without training and its settings
            (`"beam:budget=640"`); see `baselines.registry.make`.
        seed: Seed of the training and of the choice of test episodes.
        episodes: Number of test episodes. All cells of a seed share their first episodes.
        num_envs: Copies of the environment in a batch; `episodes` is a multiple of it.
        env_kwargs: Further arguments of the environment, JSON values.
        training: Hyperparameters of a learner.
        label: Name of the method in tables and folders; "" for that of the agent.
        test_env_kwargs: Arguments that differ in the environment of the test episodes.
        recorded: Number of episodes of the reference policy to record for the learner's argument `dataset`.
        begins_as: Name of the cell whose agent the learner starts from (its argument `supervised`).
        agent_of: Name of the cell whose agent is tested here without further training.
        sample: Whether a trained agent samples its actions; otherwise it takes the most probable one.
    """

    environment: str
    env_id: str
    agent: str
    seed: int
    episodes: int
    num_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    test_env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    recorded: int = 0
    begins_as: str = ""
    agent_of: str = ""
    sample: bool = False

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.label or self.agent

    @property
    def name(self) -> str:
        """Name of the cell, and of its folder in `cells/`."""
        return f"{self.environment}-{self.method}-{self.seed}"

    @property
    def place(self) -> Path:
        """Folder of the cell, relative to that of the run."""
        return Path("cells", self.name)

    @property
    def learns(self) -> bool:
        """Whether the agent is trained."""
        return self.agent in LEARNERS

    @property
    def recording(self) -> RecordedEpisodes | None:
        """The recorded episodes that the cell needs."""
        if not self.recorded:
            return None
        policy = registry.make_config(self.agent, self.training).reference
        batch = min(self.num_envs, self.recorded)
        return RecordedEpisodes(self.environment, self.env_id, policy, self.seed, self.recorded, batch, self.env_kwargs)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the jobs to finish first."""
        recording = self.recording
        found = (recording.name if recording else "", self.begins_as, self.agent_of)
        return tuple(name for name in found if name)

    def environments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and arguments of the environment of the test episodes, then those of the training environment."""
        yield self.env_id, {**self.env_kwargs, **self.test_env_kwargs}
        if self.learns:
            yield self.env_id, dict(self.env_kwargs)


@dataclass(frozen=True)
class RecordedEpisodes:
    """Episodes of a reference policy with train users, recorded once for all cells that learn from them.

    Attributes:
        environment: As in `Cell`.
        env_id: As in `Cell`.
        policy: The reference policy.
        seed: Seed of the episodes, that of the cells which use them.
        episodes: Number of episodes.
        num_envs: Copies of the environment in a batch; `episodes` is a multiple of it.
        env_kwargs: As in `Cell`.
    """

    environment: str
    env_id: str
    policy: str
    seed: int
    episodes: int
    num_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = field(default=(), init=False)

    @property
    def name(self) -> str:
        """Name of the recording, and of its folder in `recorded/`."""
        return f"{self.environment}-{self.episodes}-{self.policy}-episodes-{self.seed}"

    @property
    def place(self) -> Path:
        """Folder of the recording, relative to that of the run."""
        return Path("recorded", self.name)

    def environments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and arguments of the environment."""
        yield self.env_id, dict(self.env_kwargs)


Job = Cell | RecordedEpisodes


def as_header(job: Job) -> dict[str, Any]:
    """A job as it stands in a `run.json`."""
    return {"cell" if isinstance(job, Cell) else "recording": asdict(job)}
