"""The same model behind llama.cpp's server, and pools of edits for a server that rewrites but does not propose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.llama_cpp import editor_file, llama_cpp
from benchmarks.running import Options, opened

LLAMA_CPP: Final = "llama.cpp"  # value of --language-model
PORT: Final = 18_791  # always the same, because finished cells name the server


@contextmanager
def running(options: Options) -> Iterator[Options]:
    """The options with the spec of llama.cpp's server, which runs meanwhile, where they ask for it."""
    if options.language_model != LLAMA_CPP:
        yield options
    elif options.report_only:
        yield replace(options, language_model=spec_at(f"http://127.0.0.1:{PORT}"))
    else:
        with llama_cpp(editor_file(options.out), port=PORT) as address:
            yield replace(options, language_model=spec_at(address))


def spec_at(address: str) -> str:
    """The editor behind a server as a language model."""
    return f"openai:smollm2@{address}/v1?timeout=600&prompts=chat"


def adopt_pools(env_id: str, kwargs: Mapping[str, Any], language_model: str) -> None:
    """Write a second file of the pools of an environment, under the name of another language model.

    An editor behind a server is no use as a proposer, and both environments should offer the same edits.

    Args:
        env_id: Id of the environment.
        kwargs: Its arguments; `pools` is the first file, which is complete, and the second ends in `.served.jsonl`.
        language_model: Spec of the other language model.
    """
    own = Path(kwargs["pools"])
    other = own.with_suffix(".served.jsonl")
    if other.exists():
        return
    with opened(env_id, 1, **{**kwargs, "language_model": language_model, "pools": str(other)}) as envs:
        header = envs.unwrapped.world.resources.action_sets.candidates.identity.header
    _, *lines = own.read_text(encoding="utf-8").splitlines()
    other.write_text("".join(f"{line}\n" for line in (json.dumps(header, separators=(",", ":")), *lines)))
