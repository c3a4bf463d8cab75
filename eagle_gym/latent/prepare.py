"""A latent space ready for use: shipped with the package, read from the cache, or fitted now and cached.

The key of a space is a hash of everything that determines the fit: the catalog, the split, the parameters, the lexicon
that the encoder reads, and the version of the fit. A space of another key is never used.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from platformdirs import user_cache_path

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Split
from eagle_gym.errors import ConfigurationError, PreparationError, PreparationWarning
from eagle_gym.latent.features import READING, Reading, lexicon_hash
from eagle_gym.latent.space import (
    FORMAT,
    NAME,
    VERSION,
    LatentSpace,
    SpaceParameters,
    fit_space,
    parameters_from,
    with_key,
)
from eagle_gym.latent.text_encoders import open_text_encoder, split_spec

Prepare = Literal["auto", "never"]
Placebo = Literal["refuse", "allow"]

SHIPPED = Path(str(files("eagle_gym.latent"))) / "data"  # one folder per shipped space


def prepare_space(
    catalog: Catalog,
    split: Split,
    *,
    parameters: SpaceParameters | Mapping[str, Any] | None = None,
    encoder: str = "words",
    device: str = "cpu",
    prepare: Prepare = "auto",
    placebo: Placebo = "refuse",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> LatentSpace:
    """The latent space of a catalog: shipped with the package, read from the cache, or fitted now and cached.

    If several processes ask together, one fits and the others wait.

    Args:
        catalog: Items, users and ratings.
        split: Says which users are for training, and which ratings are support.
        parameters: Parameters of the fit; those not given have their defaults.
        encoder: What reads free text: `"words"`, a text encoder (see `open_text_encoder`), or both, joined by `+`.
        device: Where a text encoder in this process computes.
        prepare: "auto", or "never": raise rather than fit.
        placebo: What to do with a space that predicts ratings no better than a placebo, texts permuted among items:
            "refuse" or "allow" it. A space of too few ratings to tell is always allowed.
        cache_dir: Folder of the cache; None for the user's cache folder on this system.
        progress: Show a progress bar after two seconds, where standard error is a terminal.

    Raises:
        ConfigurationError: A parameter is unknown, or another argument is none of its values, or a text encoder is to
            read plot English.
        PreparationError: The space is absent and `prepare` is "never", or it is damaged, or it cannot be fitted or
            kept, or it is refused because it is no better than its placebo.

    Warns:
        PreparationWarning: The texts differ in fewer directions than `dim`, so the space has a smaller dimension.
    """
    for name, value, known in (("prepare", prepare, get_args(Prepare)), ("placebo", placebo, get_args(Placebo))):
        if value not in known:
            raise ConfigurationError(f"{name} must be one of {known}, got {value!r}")
    chosen = parameters_from(parameters if isinstance(parameters, SpaceParameters) else dict(parameters or {}))
    reading = open_reading(encoder, cache_dir=cache_dir, device=device)
    key = space_key(catalog, split, chosen, reading)
    space = _shipped(key) or _cached(catalog, split, chosen, reading, key, prepare, cache_dir, progress)
    if placebo == "refuse":
        space.quality.check(catalog.name)
    if space.dim < chosen.dim:
        warnings.warn(
            f"the latent space of the catalog {catalog.name!r} has dimension {space.dim}, not {chosen.dim}: its texts "
            "differ in no more directions that explain ratings",
            PreparationWarning,
            stacklevel=2,
        )
    return space


def open_reading(encoder: str, *, cache_dir: str | Path | None = None, device: str = "cpu") -> Reading:
    """What a spec such as `"words"` or `"words+minilm"` says of the features of free text.

    Args:
        encoder: The spec.
        cache_dir: Folder of the cache; None for the user's.
        device: Where a text encoder in this process computes.

    Raises:
        ConfigurationError: The spec or the device is invalid.
        PreparationError: The text encoder is absent or broken.
    """
    words, spec = split_spec(encoder)
    if spec is None:
        return READING
    return Reading(words, open_text_encoder(spec, cache_dir=cache_dir, device=device))


def _cached(
    catalog: Catalog,
    split: Split,
    chosen: SpaceParameters,
    reading: Reading,
    key: str,
    prepare: Prepare,
    cache_dir: str | Path | None,
    progress: bool,
) -> LatentSpace:
    """The space of a key from the cache, fitted if it is absent there."""
    folder = (Path(cache_dir).expanduser() if cache_dir else user_cache_path("eagle_gym")) / "spaces" / key[:32]
    return cache.prepared(
        folder,
        f"{NAME}.json",
        lambda found: _checked(found, key, reading),
        lambda: with_key(fit_space(catalog, split, chosen, reading=reading, progress=progress), key).save,
        prepare=prepare,
        absent=f"no latent space of the catalog {catalog.name!r} with these parameters is prepared ({folder}): prepare "
        "it with prepare='auto' or python -m eagle_gym prepare",
    )


def space_key(catalog: Catalog, split: Split, parameters: SpaceParameters, reading: Reading = READING) -> str:
    """Hash of everything that determines a space, 64 hexadecimal digits."""
    parts = {
        "format": FORMAT,
        "version": VERSION,
        "catalog": catalog.hash,
        "split": split.hash,
        "parameters": {name: value for name, value in asdict(parameters).items() if value is not None},
        "reads": lexicon_hash() if catalog.language == "plot_english" else reading.to_json(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def ship_plots(folder: Path = SHIPPED / "plots") -> LatentSpace:
    """Fit the space of the embedded catalog and write it into the package."""
    from eagle_gym.catalog import load_plots, split_catalog

    catalog = load_plots()
    split = split_catalog(catalog)
    space = with_key(fit_space(catalog, split), space_key(catalog, split, SpaceParameters()))
    space.save(folder)
    return space


def fit_films(data: Path, encoder: str = "words", dim: int = 8) -> LatentSpace:
    """Fit a space of the free texts of films.

    Args:
        data: Folder of a MovieLens data set.
        encoder: What reads the texts; see `prepare_space`.
        dim: Dimension of the space.

    Raises:
        CatalogError: The data set is absent or broken.
        ConfigurationError: `encoder` or `dim` is invalid.
        PreparationError: The text encoder is absent or broken, or the space cannot be fitted.
    """
    from eagle_gym.catalog import load_movielens, split_catalog

    parameters, reading = SpaceParameters(dim=dim), open_reading(encoder)
    catalog = load_movielens(data, "free")
    split = split_catalog(catalog)
    space = fit_space(catalog, split, parameters, reading=reading, progress=True)
    return with_key(space, space_key(catalog, split, parameters, reading))


def _shipped(key: str) -> LatentSpace | None:
    """The shipped space of a key, or None."""
    for path in sorted(SHIPPED.glob(f"*/{NAME}.json")):
        if cache.load_header(path.parent, NAME).get("key") == key:
            return LatentSpace.load(path.parent)
    return None


def _checked(folder: Path, key: str, reading: Reading) -> LatentSpace:
    space = LatentSpace.load(folder, reading.encoder)
    if space.key != key:
        raise PreparationError(
            f"{folder}: expected a space of key {key[:12]}…, got {space.key[:12]}…: delete the folder"
        )
    return space
