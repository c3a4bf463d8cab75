"""A small vector environment with the latent observation's spaces and a utility that is known exactly.

The state is a point, an action adds its displacement to it, utility is the dot product with the user's direction. So
the best policy is to take the action whose displacement points most along the user, and what it gains can be computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from baselines.agent import uniform_latent_space
from eagle_gym.envs.spaces import LatentLayout


@dataclass
class FakeUsage:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    def snapshot(self) -> FakeUsage:
        return FakeUsage(**vars(self))


@dataclass
class Row:
    rng: np.random.Generator
    user: int = 0
    item: int = 0
    step: int = 0
    z: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    displacements: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    text: str = ""


class KnownVectorEnv(gym.vector.VectorEnv):
    """`num_envs` copies; the last action is masked out of every set when `masked`.

    With `fixed` an action leads the same way in every state, and with one user action 0 is always best.
    """

    def __init__(
        self,
        num_envs: int = 4,
        *,
        dim: int = 2,
        actions: int = 3,
        horizon: int = 3,
        users: int = 5,
        masked: bool = False,
        fixed: bool = False,
    ) -> None:
        self.fixed = fixed
        self.num_envs, self.dim, self.actions, self.horizon, self.masked = num_envs, dim, actions, horizon, masked
        angles = np.linspace(0, 2 * np.pi, users, endpoint=False)
        self.tastes = np.zeros((users, dim))
        self.tastes[:, 0], self.tastes[:, 1] = np.cos(angles), np.sin(angles)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = uniform_latent_space(LatentLayout(n=dim, actions=actions, width=dim), bound=100)
        self.single_action_space = gym.spaces.Discrete(actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.usage = FakeUsage()
        self.rows: list[Row] = []
        self._over = np.zeros(num_envs, dtype=bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        seeds = [None if seed is None else seed + i for i in range(self.num_envs)]
        kept = [row.rng for row in self.rows] or [np.random.default_rng() for _ in seeds]
        self.rows = [
            self._start(np.random.default_rng(s) if s is not None else r) for s, r in zip(seeds, kept, strict=True)
        ]
        self._over[:] = False
        return self.observe(), self.infos()

    def _start(self, rng: np.random.Generator) -> Row:
        row = Row(rng, user=int(rng.integers(len(self.tastes))), item=int(rng.integers(10)))
        row.z = rng.normal(size=self.dim)
        row.text = f"item {row.item}"
        self._offer(row)
        return row

    def _offer(self, row: Row) -> None:
        turn = row.rng.uniform(0, 0 if self.fixed else 2 * np.pi)
        angles = turn + np.linspace(0, 2 * np.pi, self.actions, endpoint=False)
        row.displacements = np.zeros((self.actions, self.dim))
        row.displacements[:, 0], row.displacements[:, 1] = np.cos(angles), np.sin(angles)

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        rewards = np.zeros(self.num_envs)
        for i, row in enumerate(self.rows):
            if self._over[i]:
                self.rows[i] = self._start(row.rng)
            else:
                assert self.mask()[i, actions[i]], "a masked action was taken"
                displacement = row.displacements[actions[i]]
                rewards[i] = displacement @ self.tastes[row.user]
                row.z, row.step, row.text = row.z + displacement, row.step + 1, f"{row.text}, {actions[i]}"
                self.usage.calls += 1
                self._offer(row)
        self._over = np.array([row.step == self.horizon for row in self.rows])
        return self.observe(), rewards, self._over.copy(), np.zeros(self.num_envs, dtype=bool), self.infos()

    def mask(self) -> NDArray[np.int8]:
        mask = np.ones((self.num_envs, self.actions), dtype=np.int8)
        mask[:, -1] = not self.masked
        return mask

    def action_masks(self) -> NDArray[np.int8]:
        return self.mask()

    def utility(self) -> NDArray[np.float64]:
        return np.array([row.z @ self.tastes[row.user] for row in self.rows])

    def expected_utility(self) -> NDArray[np.float64]:
        gains = [row.displacements @ self.tastes[row.user] for row in self.rows]
        return self.utility()[:, None] + np.array(gains)

    @property
    def states(self) -> list[SimpleNamespace]:
        """What a policy may ask of the states of an environment of ours."""
        nothing = dict.fromkeys(("novelty", "drift", "cost"), 0.0) | {"percentile": 50.0}
        return [
            SimpleNamespace(
                text=row.text,
                user=row.user,
                item=row.item,
                z=row.z,
                valid=True,
                rewrite="",
                utility={"total": total, "affinity": total, **nothing},
                action_set=SimpleNamespace(
                    expected=row.z + row.displacements, edits=tuple(f"move {k}" for k in range(self.actions))
                ),
            )
            for row, total in zip(self.rows, self.utility().tolist(), strict=True)
        ]

    @property
    def world(self) -> SimpleNamespace:
        """The catalog, whose ids the rows of an evaluation hold."""
        users = [f"u{user}" for user in range(len(self.tastes))]
        items = [SimpleNamespace(id=f"e{item}") for item in range(10)]
        return SimpleNamespace(catalog=SimpleNamespace(users=users, items=items))

    def observe(self) -> dict[str, Any]:
        mask = self.mask().astype(np.float32)
        observation = {
            "state": np.array([row.z for row in self.rows]),
            "user": np.array([[*self.tastes[row.user], 1.0] for row in self.rows]),
            "effects": np.array([row.displacements.ravel() for row in self.rows]),
            "weights": mask / mask.sum(axis=1, keepdims=True),
            "mask": mask,
            "time": np.array([[row.step / self.horizon] for row in self.rows]),
        }
        return {key: value.astype(np.float32) for key, value in observation.items()}

    def infos(self) -> dict[str, Any]:
        def objects(values: list[Any]) -> NDArray[np.object_]:
            array = np.empty(len(values), dtype=object)
            array[:] = values
            return array

        total = self.utility()
        return {
            "text": objects([row.text for row in self.rows]),
            "user_id": objects([f"u{row.user}" for row in self.rows]),
            "item_id": objects([f"e{row.item}" for row in self.rows]),
            "edits": objects([tuple(f"move {k}" for k in range(self.actions)) for _ in self.rows]),
            "action_mask": self.mask(),
            "valid": np.ones(self.num_envs, dtype=bool),
            "utility": {
                "total": total,
                "affinity": total,
                "novelty": np.zeros_like(total),
                "drift": np.zeros_like(total),
                "cost": np.zeros_like(total),
                "percentile": np.full_like(total, 50.0),
            },
        }


class KnownVecEnv(VecEnv):
    """The same for Stable-Baselines3, which resets in the step that ends an episode."""

    def __init__(self, **kwargs: Any) -> None:
        self.envs = KnownVectorEnv(**kwargs)
        self.render_mode = None
        super().__init__(self.envs.num_envs, self.envs.single_observation_space, self.envs.single_action_space)

    def reset(self) -> Any:
        seed = self._seeds[0]
        self._reset_seeds()
        return self.envs.reset(seed=seed)[0]

    def step_async(self, actions: Any) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        observation, rewards, over, _, _ = self.envs.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in rewards]
        if over.any():
            for i in np.flatnonzero(over):
                infos[i]["terminal_observation"] = {key: value[i] for key, value in observation.items()}
                self.envs.rows[i] = self.envs._start(self.envs.rows[i].rng)
            self.envs._over[:] = False
            observation = self.envs.observe()
        return observation, rewards, over, infos

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name) for _ in range(self.num_envs)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return list(getattr(self.envs, method_name)(*args, **kwargs))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs
