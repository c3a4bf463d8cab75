"""Speed of the environment: compared with plain `model.generate` and single environments, and by size.

EagleGym/Plots-v0 with the embedded model, latent observations and surrogate action sets, unless a row says otherwise;
on the processor, or on `--device`. Every ratio compares two ways of doing the same work. Their repeats alternate, and
the ratio is the median over the repeats. The cost of a step includes its share of the reset: a *cycle* is one reset and
a few steps. `make profile` says where the time of a cycle goes.
"""

from __future__ import annotations

from benchmarks.experiments.throughput.bench import Size
from benchmarks.experiments.throughput.measure import run_sections
from benchmarks.running import Options

SIZES = {
    "smoke": Size(
        num_envs=4, looped=2, steps=1, repeats=1, again=1, batches=(1, 4), candidates=8, pool=16, samples=1,
        states=1, truth=1, texts=4, others=4, envs=(1, 2), actions=(4, 8), pools=(16, 24), items=(200, 1000),
        catalog=500, recall=2000, requests=0, memory=False,
    ),
    "small": Size(),
    "reference": Size(
        looped=64, again=5, rolling=4, states=12, truth=32, texts=40_960, others=640,
        envs=(1, 2, 4, 8, 16, 32, 64, 128, 256), actions=(4, 8, 16, 32, 64), pools=(16, 32, 64, 128, 256, 512),
        items=(1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000), requests=128,
    ),
}  # fmt: skip


def run(options: Options) -> None:
    """Run every section; print each result as it is found; write the page, the numbers and the plots."""
    print(run_sections(SIZES[options.size], options))
