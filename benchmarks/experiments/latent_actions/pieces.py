"""The pieces of the experiment: trainings, and measurements of what was trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from baselines.cola import CoLAAgent, CoLAConfig, train
from baselines.cola.mcts import fit_q
from baselines.evaluate import make_envs
from benchmarks.experiments.latent_actions import measures
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances

ENV_ID = "EagleGym/Plots-v0"
MAIN = 16  # codes of the agent that RL and search start from
Size = Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """One piece of work.

    Attributes:
        kind: One of `WORK`.
        out: Folder of the run.
        seed: Its seed.
        codes: N.
        needs: Names of the pieces to do first.
    """

    kind: str
    out: Path
    seed: int
    codes: int
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, and that of its file."""
        return f"{self.kind}-{self.codes}-{self.seed}"

    @property
    def file(self) -> Path:
        """What it writes."""
        return self.out / "pieces" / f"{self.name}.json"

    def agent(self, kind: str) -> Path:
        """The folder of an agent of its seed."""
        return self.out / "agents" / f"{kind}{self.codes}-{self.seed}"


def plan(out: Path, size: Size) -> list[Piece]:
    """All pieces in order: trials of step sizes, then those of a seed before those of the next, the main ones first."""
    main = MAIN if MAIN in size["codes"] else size["codes"][0]
    found = _trial_pieces(out, size["trial_seed"], main)
    for seed in range(size["seeds"]):
        for codes in size["codes"]:
            codes_piece = Piece("codes", out, seed, codes)
            found += [codes_piece, Piece("information", out, seed, codes, (codes_piece.name,))]
            if codes == main:
                found += _main_pieces(out, seed, codes, codes_piece.name)
    return found


def _trial_pieces(out: Path, seed: int, codes: int) -> list[Piece]:
    first = Piece("codes", out, seed, codes)
    return [first, Piece("trial_codes", out, seed, codes, (first.name,)), Piece("trial_tokens", out, seed, codes)]


def _main_pieces(out: Path, seed: int, codes: int, first: str) -> list[Piece]:
    trained = [Piece("rl_codes", out, seed, codes, (first,)), Piece("rl_tokens", out, seed, codes)]
    slow = Piece("rl_slow", out, seed, codes, (first,))
    guided = Piece("guided", out, seed, codes)
    long = [Piece("rl_long_codes", out, seed, codes, (first,)), Piece("rl_long_tokens", out, seed, codes)]
    return [
        Piece("diversity", out, seed, codes, (first,)),
        Piece("random", out, seed, codes, (first,)),
        *trained,
        Piece("tested", out, seed, codes, tuple(piece.name for piece in trained)),
        guided,
        Piece("tested_guided", out, seed, codes, (first, guided.name)),
        Piece("search", out, seed, codes, (first,)),
        slow,
        Piece("tested_slow", out, seed, codes, (slow.name,)),
        *long,
        Piece("tested_long", out, seed, codes, tuple(piece.name for piece in long)),
    ]


def do(size: Size, piece: Piece) -> None:
    """Do a piece and write its file."""
    torch.set_flush_denormal(True)  # sharp attention underflows to denormal numbers, which are slow
    began = time.process_time()
    with_env = make_envs(ENV_ID, 4, split="test", observation="text")
    try:
        found = WORK[piece.kind](size, piece, with_env.unwrapped.world)  # type: ignore[attr-defined]
    finally:
        with_env.close()
    spent = {"cpu_seconds": time.process_time() - began}
    content = {"kind": piece.kind, "seed": piece.seed, "codes": piece.codes, "found": found, **spent}
    piece.file.parent.mkdir(parents=True, exist_ok=True)
    write_json(content | circumstances(), piece.file)


def config_of(size: Size, piece: Piece, **own: Any) -> CoLAConfig:  # noqa: ANN401 - hyperparameters
    """Hyperparameters of a piece's agent."""
    return CoLAConfig(**{**size["training"], "codes": piece.codes, "seed": piece.seed, "rl_steps": 0, **own})


def trained(config: CoLAConfig, folder: Path) -> CoLAAgent:
    """An agent that is trained on the train users, further if its folder holds a part of it."""
    envs = make_envs(ENV_ID, 4, split="train", observation="text")
    try:
        return train(envs, config, folder=folder, resume=True, checkpoint_every=25, label=folder.name)
    finally:
        envs.close()


def train_codes(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401 - a World
    """Stages 1 and 2."""
    agent = trained(config_of(size, piece), piece.agent("codes"))
    return {"curve": agent.curve, "config": asdict(agent.config)}


def measure_information(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the codes say about the next token."""
    return measures.information(CoLAAgent.load(piece.agent("codes")).learning, size["held_out"])


def measure_diversity(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Diversity and quality of texts under codes and of sampled texts."""
    agent = CoLAAgent.load(piece.agent("codes"))
    return measures.diversity(agent, world, size["texts"], size["samples"], piece.seed)


def measure_random(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Diversity and quality of random tokens."""
    agent = CoLAAgent.load(piece.agent("codes"))
    return measures.random_tokens(agent, world, size["texts"], size["samples"], piece.seed)


def train_guided(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Stages 1 to 3."""
    agent = trained(config_of(size, piece, guidance_steps=size["guidance_steps"]), piece.agent("guided"))
    return {"curve": agent.curve, "config": asdict(agent.config)}


def measure_guided(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Rewrites for test users without and with stage 3, which tunes the base model; neither has seen RL."""
    agents = {"unguided": CoLAAgent.load(piece.agent("codes")), "guided": CoLAAgent.load(piece.agent("guided"))}
    return {name: measures.tested(agent, world, size["tested"], piece.seed) for name, agent in agents.items()}


@dataclass(frozen=True)
class Reinforced:
    """A run of GRPO: over what, and the names of its step size and of its number of updates in the size."""

    acts: str
    rate: str
    steps: str = "rl_steps"


STAGE_4: Mapping[str, Reinforced] = MappingProxyType(
    {
        "rl_codes": Reinforced("codes", "codes_rate"),
        "rl_tokens": Reinforced("tokens", "tokens_rate"),
        "rl_slow": Reinforced("codes", "tokens_rate"),
        "rl_long_codes": Reinforced("codes", "codes_rate", "long_steps"),
        "rl_long_tokens": Reinforced("tokens", "tokens_rate", "long_steps"),
    }
)


def reinforce(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Stage 4."""
    kind = STAGE_4[piece.kind]
    agent = reinforced(size, piece, piece.agent(piece.kind), kind.acts, size[kind.steps], size[kind.rate])
    return {"curve": rl_curve(agent), "config": asdict(agent.config)}


def reinforced(size: Size, piece: Piece, folder: Path, acts: str, steps: int, rate: float) -> CoLAAgent:
    """An agent of stage 4: over codes from the agent of stage 2, or over tokens from the base model."""
    if acts == "codes" and not folder.exists():
        shutil.copytree(piece.agent("codes"), folder)
    return trained(config_of(size, piece, acts=acts, rl_steps=steps, rl_learning_rate=rate), folder)


def rl_curve(agent: CoLAAgent) -> list[dict[str, Any]]:
    """The updates of stage 4."""
    return [row for row in agent.curve if "rl/return" in row]


TRIALS: Mapping[str, str] = MappingProxyType({"trial_codes": "codes", "trial_tokens": "tokens"})


def try_rates(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Stage 4 with each step size, and rewrites for train users, who are the same for all of them.

    Returns:
        By step size, the curve and what `measures.tested` returns.
    """
    envs = make_envs(ENV_ID, 4, split="train", observation="text")
    acts, found = TRIALS[piece.kind], {}
    try:
        for rate in size["trial_rates"]:
            folder = piece.agent(f"{piece.kind}_{rate:g}_")
            agent = reinforced(size, piece, folder, acts, size["rl_steps"], rate)
            rows = measures.tested(agent, envs.unwrapped.world, size["trial_tested"], piece.seed)  # type: ignore[attr-defined]
            found[f"{rate:g}"] = {"curve": rl_curve(agent), **rows}
    finally:
        envs.close()
    return found


def measure_tested(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Rewrites for test users before and after RL, over codes and over tokens."""
    before, after = CoLAAgent.load(piece.agent("codes")), CoLAAgent.load(piece.agent("rl_codes"))
    tokens = CoLAAgent.load(piece.agent("rl_tokens"))
    untrained = CoLAAgent(before.learning, replace(before.config, acts="tokens"))
    agents = {"codes_before": before, "codes_after": after, "tokens_before": untrained, "tokens_after": tokens}
    return {name: measures.tested(agent, world, size["tested"], piece.seed) for name, agent in agents.items()}


def measure_after(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """The same rewrites after other runs of GRPO."""
    agents = {name.partition("-")[0].removeprefix("rl_"): piece.agent(name.partition("-")[0]) for name in piece.needs}
    return {
        name: measures.tested(CoLAAgent.load(folder), world, size["tested"], piece.seed)
        for name, folder in agents.items()
    }


def measure_search(size: Size, piece: Piece, world: Any) -> dict[str, Any]:  # noqa: ANN401
    """Tree search over codes against as many samples."""
    agent = CoLAAgent.load(piece.agent("codes"))
    agent.config = replace(agent.config, search=size["simulations"], q_steps=size["q_steps"])
    envs = make_envs(ENV_ID, 1, split="train", observation="text")
    try:
        q = fit_q(agent.model, agent.config, envs.unwrapped.world)  # type: ignore[attr-defined]
    finally:
        envs.close()
    return measures.searched(agent, world, q, size["searched"], piece.seed)


WORK: Mapping[str, Callable[[Size, Piece, Any], dict[str, Any]]] = MappingProxyType(
    {
        "codes": train_codes,
        "information": measure_information,
        "diversity": measure_diversity,
        "random": measure_random,
        "guided": train_guided,
        "tested_guided": measure_guided,
        **dict.fromkeys(TRIALS, try_rates),
        **dict.fromkeys(STAGE_4, reinforce),
        "tested": measure_tested,
        "tested_slow": measure_after,
        "tested_long": measure_after,
        "search": measure_search,
    }
)
