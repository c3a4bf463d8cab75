"""A run of the experiment on speed: one section after another."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase

import torch
from tqdm import tqdm

from benchmarks.experiments.throughput import parts
from benchmarks.experiments.throughput.action_sets import surrogate_and_rollouts
from benchmarks.experiments.throughput.bench import Bench, Size
from benchmarks.experiments.throughput.engines import engines, server
from benchmarks.experiments.throughput.exactness import exactness
from benchmarks.experiments.throughput.page import Findings
from benchmarks.experiments.throughput.ratios import rollouts, throughputs
from benchmarks.experiments.throughput.steps import catalog_sizes, curves, recall, shares
from benchmarks.running import Options
from benchmarks.running.provenance import circumstances
from eagle_gym.envs.opening import make_world
from eagle_gym.errors import ConfigurationError

SECTIONS = (
    throughputs, rollouts, surrogate_and_rollouts, shares, engines, exactness, curves, catalog_sizes, recall, server,
)  # fmt: skip


def run_sections(size: Size, options: Options) -> str:
    """Run the sections that `--only` names; write the page, the numbers and the plots.

    The files are written after each section, so that a run that is stopped keeps what it has measured.

    Returns:
        How many targets were met, and where the files are.

    Raises:
        ConfigurationError: No section has such a name.
    """
    world = make_world(catalog="plots", observation="latent", device=options.device)
    for user in world.users:  # a profile is written once per process
        world.resources.profile(int(user))
    found = Findings()
    bench = Bench(parts.with_sets(world, world.settings.actions, size.pool), size, options.device)
    sections = [section for section in SECTIONS if fnmatchcase(section.__name__, options.only)]
    if not sections:
        known = ", ".join(section.__name__ for section in SECTIONS)
        raise ConfigurationError(f"expected --only to match one of {known}, got {options.only!r}")
    for section in tqdm(sections, desc="throughput", unit="section", disable=None):
        section(bench, found)
        about = {
            "experiment": "throughput",
            "finished": section is SECTIONS[-1] and len(sections) == len(SECTIONS),
            "size": options.size,
            "device": device_name(options.device),
            "threads": torch.get_num_threads(),
            "usage": asdict(world.model.usage.snapshot()),
        }
        found.write(about | circumstances(), options.out)
    met = sum(check.met for check in found.checks)
    return f"\n{met} of {len(found.checks)} targets met\nREPORT.md, run.json, throughput.png in {options.out}"


def device_name(device: str) -> str:
    """The name of the device that models run on."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
