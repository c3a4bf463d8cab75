"""A run: a folder of JSON and safetensors that can be resumed, a learning curve, TensorBoard events, a progress bar.

``agent.json`` is written last, so that a folder that has one is whole. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT = 1
HEADER = "agent.json"
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
    """Write a run's folder; each file is replaced in one move.

    Args:
        folder: Where.
        algorithm: Name of the learner.
        config: Its hyperparameters.
        tensors: File name (without its ending) -> named tensors.
        curve: The learning curve so far.
        **facts: What else loading needs, JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, named in tensors.items():
        whole = {key: tensor.detach().cpu().contiguous() for key, tensor in named.items()}
        replace(folder / f"{name}.safetensors", partial(save_file, whole))
    replace(folder / "curve.json", lambda path: path.write_text(json.dumps(curve, indent=1)))
    header = {"format": FORMAT, "algorithm": algorithm, **facts, "config": asdict(config)}
    replace(folder / HEADER, lambda path: path.write_text(json.dumps(header, indent=1)))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path`` and move into place, so that a run that is killed leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    write(beside)
    beside.replace(path)


def read_header(folder: Path, **facts: type) -> dict[str, Any]:
    """``agent.json``, checked.

    Args:
        folder: Of the run.
        **facts: What else stands in it, and of which kind.

    Raises:
        PreparationError: It is absent, broken or of another format.
    """
    path = folder / HEADER
    try:
        header = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PreparationError(f"{folder} holds no agent (there is no {HEADER}); train one first") from error
    except ValueError as error:
        raise PreparationError(f"{path} is not valid JSON ({error}); train the agent again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PreparationError(f"{path} should be of format {FORMAT}; train the agent again")
    for name, kind in facts.items():
        if not isinstance(header.get(name), kind):
            raise PreparationError(
                f"{path}: {name} should be of kind {kind.__name__}; it is {header.get(name)!r}. Train the agent again."
            )
    return header


def read_config(kind: type[C], header: Mapping[str, Any], folder: Path) -> C:
    """The hyperparameters of a header.

    Raises:
        PreparationError: They are not those of ``kind``.
    """
    try:
        return kind(**header["config"])
    except (KeyError, TypeError, ConfigurationError) as error:
        raise PreparationError(f"{folder / HEADER}: not a {kind.__name__} ({error}); train the agent again") from error


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The named tensors of a file.

    Raises:
        PreparationError: It is absent or broken.
    """
    try:
        return load_file(folder / f"{name}.safetensors")
    except (OSError, SafetensorError) as error:
        raise unreadable(folder, error) from error


def load_weights(module: nn.Module, folder: Path, name: str) -> None:
    """Give a module the weights of a file.

    Raises:
        PreparationError: It is absent or broken, or holds the weights of another module.
    """
    try:
        module.load_state_dict(read_tensors(folder, name))
    except RuntimeError as error:
        raise unreadable(folder, error) from error


def read_curve(folder: Path) -> Curve:
    """The learning curve of a run.

    Raises:
        PreparationError: It is absent or broken.
    """
    try:
        curve: Curve = json.loads((folder / "curve.json").read_text())
    except (OSError, ValueError) as error:
        raise unreadable(folder, error) from error
    return curve


def unreadable(folder: Path, error: Exception) -> PreparationError:
    """The error of a folder whose tensors do not fit its header."""
    return PreparationError(f"{folder}: the saved agent cannot be read ({error}); train it again")


def check_same_run(folder: Path, there: Any, asked: Any, growing: Sequence[str] = ("steps",)) -> None:  # noqa: ANN401
    """Raise ConfigurationError unless both configurations are equal but for what may grow."""
    differ = [
        f"{item.name} ({getattr(there, item.name)!r} there, {getattr(asked, item.name)!r} asked for)"
        for item in fields(asked)
        if item.name not in growing and getattr(there, item.name) != getattr(asked, item.name)
    ]
    if differ:
        raise ConfigurationError(f"{folder} holds another run: {'; '.join(differ)}. Name another folder.")


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as named tensors, ``"{parameter}.{name}"``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, entry in state.items() for name, tensor in entry.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that :func:`optimizer_tensors` wrote."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


class Log:
    """Shows and writes how a training goes: a bar, the curve, and TensorBoard events below ``folder/tensorboard``.

    Args:
        total: Steps in all.
        done: Steps that were done before.
        label: Name of the bar.
        folder: Of the run; None writes no events.
        curve: The curve so far; it is added to.
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
        self._bar = tqdm(total=total, initial=done, desc=label, unit=unit, disable=not progress)
        # Events after the checkpoint that is resumed are of a run that was killed, and are hidden.
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=done or None) if folder else None

    def add(self, steps: int, values: Mapping[str, float], shown: Iterable[str] = ("return",)) -> None:
        """Note what holds after ``steps`` steps.

        Args:
            steps: Steps so far.
            values: What was measured.
            shown: Which of it stands behind the bar.
        """
        self.curve.append({"steps": steps, **values})
        self._bar.update(steps - self._bar.n)
        self._bar.set_postfix_str(", ".join(f"{name} {values[name]:.2f}" for name in shown if name in values))
        if self._events:
            for name, value in values.items():
                self._events.add_scalar(name, value, steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._events:
            self._events.close()
