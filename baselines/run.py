"""A training run on disk: checkpoints that can be resumed, a learning curve, TensorBoard events, a progress bar.

A checkpoint is replaced as a whole. Each tensor file is named after its own content, so a new checkpoint never
overwrites a file of the last one. `agent.json` is written last, in one move, and lists the checksums of what belongs to
it; files of earlier checkpoints are deleted after that. A run that is killed, or whose disk is full, therefore keeps
its last whole checkpoint, and a file that was changed afterwards is an error. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT = 2
HEADER = "agent.json"
CURVE = "curve.json"
Curve = list[dict[str, float]]
C = TypeVar("C")


def save(
    folder: Path,
    algorithm: str,
    config: Any,  # noqa: ANN401 - a dataclass of hyperparameters
    tensors: Mapping[str, Mapping[str, Tensor]],
    curve: Curve,
    **facts: Any,  # noqa: ANN401 - JSON values
) -> None:
    """Replace the checkpoint in a run's folder.

    Args:
        folder: The run's folder.
        algorithm: Name of the learner.
        config: Its hyperparameters.
        tensors: Named tensors by the name of their file, without hash and ending.
        curve: The learning curve so far.
        **facts: Other JSON values that loading needs.

    Raises:
        PreparationError: It cannot be written, for example because the disk is full. The last checkpoint is kept.
    """
    files: dict[Path, bytes] = {}
    sums: dict[str, str] = {}
    for name, named in tensors.items():
        content = safetensors.torch.save({key: tensor.detach().cpu().contiguous() for key, tensor in named.items()})
        sums[name] = sha256(content).hexdigest()
        files[tensor_file(folder, name, sums[name])] = content
    header = {
        "format": FORMAT,
        "algorithm": algorithm,
        **facts,
        "tensors": sums,
        "curve": {"rows": len(curve), "sha256": curve_sum(curve)},
        "config": asdict(config),
    }
    fresh = [path for path in files if not path.exists()]
    try:
        for path, content in files.items():
            write_file(path, content)
        # The last checkpoint's curve is the beginning of this one, so it can still be read if this is as far as we get.
        write_file(folder / CURVE, json.dumps(curve, indent=1).encode())
        write_file(folder / HEADER, json.dumps(header, indent=1).encode())
    except PreparationError:
        for path in fresh:
            with suppress(OSError):
                path.unlink()
        raise
    for path in {*folder.glob("*.safetensors"), *folder.glob(".*.tmp")} - set(files):
        path.unlink(missing_ok=True)


def tensor_file(folder: Path, name: str, checksum: str) -> Path:
    """Where the tensors with this checksum are."""
    return folder / f"{name}-{checksum[:12]}.safetensors"


def curve_sum(curve: Curve) -> str:
    """Checksum of a learning curve."""
    return sha256(json.dumps(curve).encode()).hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a temporary file and move it into place, so that a kill leaves the old file or the new one.

    Raises:
        PreparationError: It cannot be written; the temporary file is gone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of writing into a `PreparationError` that names the path and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"{path} cannot be written ({reason}): free some space or choose another folder"
        raise PreparationError(message) from error


def read_header(folder: Path, **facts: type) -> dict[str, Any]:
    """Read and check `agent.json`.

    Args:
        folder: The run's folder.
        **facts: Names and types of the other values that it must hold.

    Raises:
        PreparationError: It is missing, broken or of another format.
    """
    path = folder / HEADER
    try:
        header = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PreparationError(f"{folder} holds no agent: expected a file {HEADER}; train an agent first") from error
    except (OSError, ValueError) as error:
        raise PreparationError(f"{path} cannot be read ({error}): train the agent again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else header
        raise PreparationError(f"{path}: expected format {FORMAT}, got {found!r}: train the agent again")
    for name, kind in facts.items():
        if not isinstance(header.get(name), kind):
            raise PreparationError(
                f"{path}: expected {name} of type {kind.__name__}, got {header.get(name)!r}: train the agent again"
            )
    return header


def read_config(kind: type[C], header: Mapping[str, Any], folder: Path) -> C:
    """The hyperparameters of a header.

    Raises:
        PreparationError: They are not those of `kind`.
    """
    try:
        return kind(**header["config"])
    except (KeyError, TypeError, ConfigurationError) as error:
        message = f"{folder / HEADER}: expected a {kind.__name__} ({error}): train the agent again"
        raise PreparationError(message) from error


def read_layout(header: Mapping[str, Any], folder: Path) -> LatentLayout:
    """The parts of the latent observation that an agent was trained with.

    Raises:
        PreparationError: The header does not say them.
    """
    try:
        layout = LatentLayout(**header["layout"])
        if 0 < layout.width < layout.n:
            raise ValueError(f"{layout.width} features of an action do not hold {layout.n} dimensions")
        return LatentLayout.of({key: np.zeros(shape) for key, shape in layout.shapes.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise PreparationError(f"{folder / HEADER}: expected a layout ({error}): train the agent again") from error


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Named tensors of the checkpoint in a folder.

    Raises:
        PreparationError: They are missing, or not those that `agent.json` lists.
    """
    try:
        expected = str(read_header(folder)["tensors"][name])
        content = tensor_file(folder, name, expected).read_bytes()
        if sha256(content).hexdigest() != expected:
            raise ValueError(f"the checksum of {name} does not match {HEADER}")
        return safetensors.torch.load(content)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise unreadable(folder, error) from error


def load_weights(restore: Callable[[dict[str, Tensor]], object], folder: Path, name: str) -> None:
    """Read named tensors and pass them to `restore`, which raises RuntimeError if they do not fit.

    Raises:
        PreparationError: They are missing or broken, or do not fit.
    """
    try:
        restore(read_tensors(folder, name))
    except RuntimeError as error:
        raise error if isinstance(error, PreparationError) else unreadable(folder, error) from error


def read_curve(folder: Path) -> Curve:
    """The learning curve in a folder.

    Raises:
        PreparationError: It is missing or broken.
    """
    try:
        curve: Curve = json.loads((folder / CURVE).read_text())
    except (OSError, ValueError) as error:
        raise unreadable(folder, error) from error
    return curve


def read_checkpoint_curve(folder: Path) -> Curve:
    """The learning curve up to the checkpoint: rows that a killed save wrote after it are left out.

    Raises:
        PreparationError: It is missing, or not the one that `agent.json` lists.
    """
    expected, curve = read_header(folder).get("curve"), read_curve(folder)
    if isinstance(expected, dict) and isinstance(curve, list):
        curve = curve[: expected.get("rows")]
        if curve_sum(curve) == expected.get("sha256"):
            return curve
    raise unreadable(folder, ValueError(f"{CURVE} does not match {HEADER}"))


def unreadable(folder: Path, error: Exception) -> PreparationError:
    """The error of a checkpoint whose files are missing or do not belong together."""
    return PreparationError(f"{folder}: the saved agent cannot be read ({error}): train it again")


def resumable(folder: Path | None, resume: bool) -> Path | None:
    """The folder, if its checkpoint is to be resumed and there is one."""
    return folder if resume and folder and (folder / HEADER).exists() else None


def check_same_run(folder: Path, found: Any, asked: Any, growing: Sequence[str]) -> None:  # noqa: ANN401
    """Raise `ConfigurationError` unless both configurations agree, except in what may grow."""
    differ = [
        f"{item.name} ({getattr(found, item.name)!r} there, {getattr(asked, item.name)!r} requested)"
        for item in fields(asked)
        if item.name not in growing and getattr(found, item.name) != getattr(asked, item.name)
    ]
    if differ:
        raise ConfigurationError(f"{folder} holds another run: {'; '.join(differ)}. Name another folder.")


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as named tensors, `"{parameter}.{name}"`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, entry in state.items() for name, tensor in entry.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def restore_weights(module: nn.Module, weights: Mapping[str, Tensor], expected: Iterable[str]) -> None:
    """Load weights into a module.

    Raises:
        RuntimeError: Their names are not the `expected` ones, or their shapes differ.
    """
    if different := sorted(set(weights) ^ set(expected)):
        raise RuntimeError(f"missing or unknown weights: {', '.join(different[:4])}")
    module.load_state_dict(dict(weights), strict=False)


class TrainingLog:
    """Shows and records the progress of a training: a bar, the curve, TensorBoard events in `folder/tensorboard`.

    Args:
        total: Steps in all.
        done: Steps that were done before.
        label: Name of the bar.
        folder: The run's folder; no events are written if None.
        curve: The curve so far; rows are appended to it.
        progress: Show the bar.
        unit: What a step is.
    """

    def __init__(
        self,
        total: int,
        done: int,
        label: str,
        folder: Path | None,
        curve: Curve,
        *,
        progress: bool = True,
        unit: str = "step",
    ) -> None:
        self.curve = curve
        self._bar = tqdm(total=total, initial=done, desc=label, unit=unit, disable=None if progress else True)
        # Events after the resumed checkpoint belong to a run that was killed, and are hidden.
        self._folder, self._events = folder or Path(), None
        if folder:
            with writing(folder):
                self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=done or None)

    def add(self, steps: int, values: Mapping[str, float], shown: Iterable[str] = ("return",)) -> None:
        """Record values measured after `steps` steps.

        Args:
            steps: Steps so far.
            values: What was measured.
            shown: Names of the values shown next to the bar.
        """
        self.curve.append({"steps": steps, **values})
        self._bar.update(steps - self._bar.n)
        self._bar.set_postfix_str(", ".join(f"{name} {values[name]:.2f}" for name in shown if name in values))
        if self._events:
            with writing(self._folder):
                for name, value in values.items():
                    self._events.add_scalar(name, value, steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._events:
            with writing(self._folder):
                self._events.close()
