"""Where surrogates are kept: in the package for Plots, in a cache folder for every other catalog; made when absent."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from tqdm import tqdm

from eagle_gym.actions import surrogate_fit as fitting
from eagle_gym.actions.candidates import Candidates
from eagle_gym.actions.seeding import stable_seed
from eagle_gym.actions.surrogate import FreeSurrogate, PlotSurrogate, Surrogate, free_features, linear_map
from eagle_gym.errors import PreparationError
from eagle_gym.language.model import LanguageModel

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog
    from eagle_gym.latent import LatentSpace

Kind = Literal["plot_english", "free"]

FORMAT: Final = 2  # of the files and of the fit: raise it whenever either changes
SHIPPED: Final = Path(__file__).parent / "data" / "plots"
MENDING: Final = "python -m eagle_gym prepare ID makes it, and so does prepare='auto'"


@dataclass(frozen=True)
class Identity:
    """What a surrogate was fitted for; another space, model or temperature needs another surrogate.

    Attributes:
        kind: ``"plot_english"`` where prompts can be parsed, else ``"free"``.
        space: fingerprint of the latent space.
        model: fingerprint of the language model.
        temperature: of the rewriting.
    """

    kind: Kind
    space: str
    model: str
    temperature: float

    @property
    def key(self) -> str:
        """Name of the folder in the cache."""
        seed = stable_seed(FORMAT, self.kind, self.space, self.model, float(self.temperature))
        return f"{self.kind}-{seed:016x}"


@dataclass(frozen=True)
class Budget:
    """Generations that a fit may use.

    Attributes:
        trials: (text, prompt) pairs fitted on, one generation each.
        checks: pairs that it is measured on, from texts never fitted on; half of them have prompts of an (operation,
            slot, value) never fitted on.
        check_samples: generations for each of those.
    """

    trials: int = 4000
    checks: int = 300
    check_samples: int = 4


EMBEDDED_BUDGET: Final = Budget()
SHIPPED_BUDGET: Final = Budget(trials=6000, checks=400, check_samples=6)
GENERAL_BUDGET: Final = Budget(trials=1200, checks=100, check_samples=2)  # a general model is slow


def save_surrogate(surrogate: Surrogate, identity: Identity, folder: Path) -> None:
    """Write ``surrogate.json`` and ``surrogate.npz``; either both new files appear, or none."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "format": FORMAT,
        "kind": identity.kind,
        "space": identity.space,
        "model": identity.model,
        "temperature": float(identity.temperature),
        "quality": surrogate.quality,
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        arrays = {name: array.astype(np.float32) for name, array in surrogate.model.arrays().items()}
        np.savez_compressed(Path(scratch) / "surrogate.npz", allow_pickle=False, **arrays)
        (Path(scratch) / "surrogate.json").write_text(json.dumps(header, indent=1, sort_keys=True) + "\n")
        for name in ("surrogate.npz", "surrogate.json"):
            os.replace(Path(scratch) / name, folder / name)


def load_surrogate(folder: Path, identity: Identity, space: LatentSpace) -> Surrogate:
    """Read what ``save_surrogate`` wrote.

    Raises:
        PreparationError: it is absent or broken, or was fitted for another space, model or temperature.
    """
    header = read_header(folder)
    for name, wanted in (("kind", identity.kind), ("space", identity.space), ("model", identity.model)):
        if header.get(name) != wanted:
            raise PreparationError(
                f"the surrogate in {folder} was fitted for another {name}: expected {wanted!r}, "
                f"got {header.get(name)!r}; {MENDING}"
            )
    if header.get("temperature") != float(identity.temperature):
        raise PreparationError(
            f"the surrogate in {folder} was fitted at temperature {header.get('temperature')}, "
            f"not {identity.temperature}; {MENDING}"
        )
    try:
        # Opened here, for NumPy leaves a file open that turns out to be broken.
        with (folder / "surrogate.npz").open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float64) for name in file.files}
        restore = PlotSurrogate.restore if identity.kind == "plot_english" else FreeSurrogate.restore
        return Surrogate(restore(arrays, space), space, header["quality"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PreparationError(f"the surrogate in {folder} is broken ({error!r}): delete it; {MENDING}") from error


def read_header(folder: Path) -> dict[str, Any]:
    """The json beside the arrays.

    Raises:
        PreparationError: absent, broken, or of another format.
    """
    try:
        header = json.loads((folder / "surrogate.json").read_text())
    except (OSError, ValueError) as error:
        raise PreparationError(f"there is no surrogate in {folder} ({error}); {MENDING}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PreparationError(f"the surrogate in {folder} has another format than {FORMAT}; {MENDING}")
    return header


def prepare_surrogate(
    catalog: Catalog,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    *,
    kind: Kind,
    profiles: Sequence[str] = (),
    temperature: float = 1.0,
    prepare: str = "auto",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Surrogate:
    """The surrogate for a space and a model: shipped, cached, or fitted now and cached.

    Args:
        catalog: texts to start the rollouts from.
        space: the latent space.
        model: the language model.
        candidates: proposes the prompts that are tried where the kind is ``"free"``.
        kind: ``"plot_english"`` where prompts can be parsed, else ``"free"``.
        profiles: readers to propose for.
        temperature: of the rewriting.
        prepare: ``"auto"`` or ``"never"``.
        cache_dir: where surrogates are kept; None for the platform's cache folder.
        progress: whether to show a bar.

    Raises:
        PreparationError: it is absent and ``prepare="never"``, or broken.
    """
    identity = Identity(kind, space.fingerprint, model.fingerprint, temperature)
    if _is_shipped(identity):
        return load_surrogate(SHIPPED, identity, space)
    folder = cache_folder(cache_dir) / identity.key
    if (folder / "surrogate.json").exists():
        return load_surrogate(folder, identity, space)
    if prepare == "never":
        raise PreparationError(
            f"the surrogate of the catalog {catalog.name!r} and the model {model.name!r} is not prepared; {MENDING}"
        )
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "surrogate.json").exists():  # another process may have made it meanwhile
            made = make_surrogate(
                catalog.texts, space, model, candidates, identity, profiles=profiles, progress=progress
            )
            save_surrogate(made, identity, folder)
        return load_surrogate(folder, identity, space)


def _is_shipped(identity: Identity) -> bool:
    """Whether the package's own surrogate is the one; of another space, model, temperature or format it is not."""
    if not (SHIPPED / "surrogate.json").exists():
        return False
    try:
        header = read_header(SHIPPED)
    except PreparationError:
        return False
    return identity == Identity(header["kind"], header["space"], header["model"], header["temperature"])


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Where fitted surrogates are kept."""
    import platformdirs

    root = Path(cache_dir).expanduser() if cache_dir is not None else Path(platformdirs.user_cache_dir("eagle_gym"))
    return root / "effects"


def make_surrogate(
    texts: Sequence[str],
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    identity: Identity,
    *,
    profiles: Sequence[str] = (),
    budget: Budget | None = None,
    progress: bool = True,
) -> Surrogate:
    """Fit a surrogate on fresh rollouts and measure it on others.

    Start texts of the measurement are kept from the fit.
    """
    budget = budget or (EMBEDDED_BUDGET if model.name == "embedded" else GENERAL_BUDGET)
    order = np.random.default_rng(stable_seed("surrogate", identity.space)).permutation(len(texts))
    kept = max(1, len(texts) // 10)
    fresh, seen = [texts[i] for i in order[:kept]], [texts[i] for i in order[kept:] if len(texts) > 1] or list(texts)
    total = budget.trials + budget.checks * budget.check_samples
    with tqdm(total=total, desc="rollouts for the surrogate", unit="text", disable=not progress) as bar:
        if identity.kind == "plot_english":
            return _make_plot(seen, fresh, space, model, identity, budget, bar)
        return _make_free(seen, fresh, space, model, candidates, profiles, identity, budget, bar)


def _make_plot(
    seen: Sequence[str],
    fresh: Sequence[str],
    space: LatentSpace,
    model: LanguageModel,
    identity: Identity,
    budget: Budget,
    bar: tqdm[Any],
) -> Surrogate:
    linear = linear_map(space)
    temperature = identity.temperature
    trials = fitting.collect(model, seen, fitting.Plan(budget.trials), temperature=temperature, bar=bar)
    surrogate = PlotSurrogate(linear, *fitting.fit(trials, space, linear))
    quality: dict[str, float] = {"trials": float(budget.trials), "samples": float(budget.check_samples)}
    for name, held_out in (("", None), ("_unseen_edits", True)):
        plan = _check_plan(budget, held_out)
        checks = fitting.collect(model, fresh, plan, temperature=temperature, bar=bar)
        quality |= measure(surrogate, space, checks, name)
    return Surrogate(surrogate, space, quality)


def _check_plan(budget: Budget, held_out: bool | None) -> fitting.Plan:
    # Few prompts for each text, so that the check sees many texts.
    return fitting.Plan(budget.checks // 2, samples=budget.check_samples, per_state=2, held_out=held_out, seed=1)


def measure(
    surrogate: PlotSurrogate | FreeSurrogate, space: LatentSpace, trials: fitting.Trials, name: str = ""
) -> dict[str, float]:
    """R² of displacements on fresh rollouts, and what a perfect prediction would get there."""
    if not trials.texts:
        return {}
    z, displacement = fitting.observed(space, trials)
    predicted = surrogate.displacements(trials.texts, [[prompt] for prompt in trials.prompts], z)
    numbers = {f"r2{name}": fitting.r_squared(predicted, displacement)}
    if len(trials.results[0]) > 1:
        numbers[f"r2_ceiling{name}"] = fitting.noise_ceiling(space, trials)
    return {key: round(value, 4) for key, value in numbers.items()}


def _make_free(
    seen: Sequence[str],
    fresh: Sequence[str],
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    profiles: Sequence[str],
    identity: Identity,
    budget: Budget,
    bar: tqdm[Any],
) -> Surrogate:
    def trials_of(texts: Sequence[str], plan: fitting.Plan) -> fitting.Trials:
        return fitting.collect(
            model, texts, plan, candidates=candidates, profiles=profiles, temperature=identity.temperature, bar=bar
        )

    trials = trials_of(seen, fitting.Plan(budget.trials, held_out=None))
    z, displacement = fitting.observed(space, trials)
    coefficients = fitting.plain_ridge(free_features(space, trials.prompts, z), displacement)
    surrogate = FreeSurrogate(space, coefficients)
    quality = {"trials": float(budget.trials), "samples": float(budget.check_samples)}
    quality |= measure(surrogate, space, trials_of(fresh, _check_plan(budget, None)))
    return Surrogate(surrogate, space, quality)
