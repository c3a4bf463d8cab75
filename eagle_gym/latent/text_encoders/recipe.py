"""How a sentence encoder's own files say that texts become vectors: prompt, length, pooling, further layers, norm.

The files are those that the library `sentence-transformers` writes. A folder without them holds a plain model: its
vectors are means over tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eagle_gym.errors import PreparationError

# Key of a pooling's config -> our name.
_MODES: Final[Mapping[str, str]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_DOCUMENTS: Final = ("document", "passage", "corpus")  # prompts for texts that are stored, not for queries
_UNLIMITED: Final = 10**6  # tokenizers without a limit state an absurd one


@dataclass(frozen=True, slots=True)
class Layer:
    """A dense layer behind the pooling.

    Attributes:
        folder: Where its weights are.
        activation: Name of a class in `torch.nn`.
    """

    folder: Path
    activation: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How texts become vectors.

    Attributes:
        model: Folder of the transformer.
        poolings: How tokens become one vector; several are concatenated.
        layers: Dense layers behind the pooling.
        normalised: Whether vectors have length 1.
        most_tokens: Longest text; the rest is cut off. None if nothing says so.
        prompt: Stands before each text.
        pools_prompt: Whether the tokens of the prompt are pooled too.
        lower: Whether texts are set in lower case first.
    """

    model: Path
    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[Layer, ...] = ()
    normalised: bool = False
    most_tokens: int | None = None
    prompt: str = ""
    pools_prompt: bool = True
    lower: bool = False


def read_recipe(folder: Path) -> Recipe:
    """The recipe in a folder.

    Raises:
        PreparationError: The folder holds no text encoder, or one of a kind that is not known.
    """
    if not folder.is_dir():
        raise PreparationError(
            f"expected a folder with a text encoder, got {str(folder)!r}: download one, for instance with "
            "hf download sentence-transformers/all-MiniLM-L6-v2 --local-dir FOLDER, or name encoder='minilm'"
        )
    modules = _read(folder / "modules.json", list) if (folder / "modules.json").is_file() else []
    steps = [(str(step.get("type", "")).rpartition(".")[2], folder / str(step.get("path", ""))) for step in modules]
    model = next((path for kind, path in steps if kind == "Transformer"), folder)
    if not (model / "config.json").is_file():
        raise PreparationError(
            f"expected a text encoder in {str(folder)!r}, got a folder without config.json: name the folder that holds "
            "config.json, tokenizer.json and model.safetensors"
        )
    said = _object(model / "sentence_bert_config.json")
    poolings: tuple[str, ...] = ("mean",)
    pools_prompt = True
    layers: list[Layer] = []
    for kind, path in steps:
        if kind == "Pooling":
            poolings, pools_prompt = _poolings(path)
        elif kind == "Dense":
            layers.append(_layer(path))
        elif kind not in ("Transformer", "Normalize"):
            raise PreparationError(
                f"expected modules Transformer, Pooling, Dense and Normalize in {folder / 'modules.json'}, got "
                f"{kind!r}: choose another encoder, or serve this one and name encoder='openai:MODEL@URL'"
            )
    return Recipe(
        model=model,
        poolings=poolings,
        layers=tuple(layers),
        normalised=any(kind == "Normalize" for kind, _ in steps),
        most_tokens=_most_tokens(model, said),
        prompt=_prompt(_object(folder / "config_sentence_transformers.json")),
        pools_prompt=pools_prompt,
        lower=bool(said.get("do_lower_case", False)),
    )


def _poolings(folder: Path) -> tuple[tuple[str, ...], bool]:
    """How tokens are pooled, and whether those of the prompt are."""
    config = _object(folder / "config.json")
    named = config.get("pooling_mode")
    modes = (named,) if isinstance(named, str) else tuple(named or ())
    modes = modes or tuple(mode for key, mode in _MODES.items() if config.get(key))
    if not modes or not set(modes) <= set(_MODES.values()):
        raise PreparationError(
            f"{folder / 'config.json'}: expected one or more of the poolings {', '.join(_MODES.values())}, got "
            f"{', '.join(map(str, modes)) or 'none'}: choose another encoder"
        )
    return modes, bool(config.get("include_prompt", True))


def _layer(folder: Path) -> Layer:
    activation = str(_object(folder / "config.json").get("activation_function", "Identity")).rpartition(".")[2]
    return Layer(folder, activation)


def _most_tokens(model: Path, said: Mapping[str, Any]) -> int | None:
    """The stated limit of tokens, else the smaller of the tokenizer's and the model's."""
    if isinstance(said.get("max_seq_length"), int):
        return int(said["max_seq_length"])
    limits = (
        _object(model / "tokenizer_config.json").get("model_max_length"),
        _object(model / "config.json").get("max_position_embeddings"),
    )
    found = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _UNLIMITED]
    return min(found, default=None)


def _prompt(config: Mapping[str, Any]) -> str:
    """The prompt by default, else the one for documents."""
    prompts = config.get("prompts")
    prompts = prompts if isinstance(prompts, dict) else {}
    names = (config.get("default_prompt_name"), *_DOCUMENTS)
    return next((str(prompts[name]) for name in names if isinstance(name, str) and name in prompts), "")


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no file."""
    found: dict[str, Any] = _read(path, dict) if path.is_file() else {}
    return found


def _read(path: Path, kind: type) -> Any:  # noqa: ANN401
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PreparationError(f"{path}: expected readable JSON, got {error!r}: download the encoder again") from error
    of_objects = not isinstance(found, list) or all(isinstance(entry, dict) for entry in found)
    if not isinstance(found, kind) or not of_objects:
        raise PreparationError(f"{path}: expected a JSON {kind.__name__}, got another value: download it again")
    return found
