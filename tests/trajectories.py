"""Digests of whole trajectories of the embedded world, for comparing batches and processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

import eagle_gym  # noqa: F401 - registers the ids


def digests(seeds: Sequence[int], steps: int = 2, **arguments: object) -> dict[int, str]:
    """What environments with these seeds, stepped together, show to the last bit: a digest for each seed."""
    settings = {"actions": 6, "pool": 20, "horizon": 3, "prepare": "never", "batch_invariant": True, **arguments}
    envs = gym.make_vec("EagleGym/Plots-v0", num_envs=len(seeds), observation="latent", **settings)
    sums = [hashlib.sha256() for _ in seeds]
    observation, infos = envs.reset(seed=list(seeds))
    rewards = np.zeros(len(seeds))
    for step in range(steps + 1):
        for i, digest in enumerate(sums):
            for part in (*observation.values(), rewards):
                digest.update(part[i].tobytes())
            digest.update(json.dumps([infos["text"][i], infos["edits"][i], infos["user_id"][i]]).encode())
        if step < steps:
            actions = np.array([(seed + step) % settings["actions"] for seed in seeds])
            observation, rewards, *_, infos = envs.step(actions)
    envs.close()
    return {seed: digest.hexdigest() for seed, digest in zip(seeds, sums, strict=True)}
