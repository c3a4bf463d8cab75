"""The surrogate for free text: a ridge of displacements on what the space's encoder reads in the text and in the edit.

The regression sees the features of the text and those of the edit (words, labels, or the vector of a text encoder), and
the products of their images in Z, in which what an edit does depends on the text. Each of the three blocks has its own
weight, chosen with the penalty on texts that a fit did not see. There are more features than trials, so the ridge is
solved over trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product as combinations
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from eagle_gym.actions.surrogate.model import product
from eagle_gym.latent.encoder import weighted
from eagle_gym.latent.features import matrix

if TYPE_CHECKING:
    from eagle_gym.latent import LatentSpace

Floats = NDArray[np.float64]

VERSION: Final = 2  # of this regression
FOLDS: Final = 4
NOISE: Final = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # penalty, where each block's kernel has a mean diagonal of its weight
WEIGHTS: Final = (0.0, 0.1, 1.0)  # of a block
BLOCKS: Final = ("text", "edit", "images")
Design = dict[str, sp.csr_array]


@dataclass(frozen=True, eq=False)
class FreeSurrogate:
    """The fitted regression.

    Args:
        space: Its encoder reads texts and edits.
        bias: A constant, [n].
        text: What each feature of the text adds, [F, n].
        edit: What each feature of the edit adds, [F, n].
        images: What is added for the embedding of the text, that of the edit, and each product of the two, [3n, n].
    """

    space: LatentSpace
    bias: Floats
    text: Floats
    edit: Floats
    images: Floats

    def displacements(self, texts: Sequence[str], edits: Sequence[Sequence[str]], z: Floats) -> Floats:
        """[P, n] Expected displacements of all (state, edit) pairs, in the order of the states."""
        rows = np.repeat(np.arange(len(texts)), [len(pool) for pool in edits])
        if not len(rows):
            return np.zeros((0, z.shape[1]))
        pairs = [edit for pool in edits for edit in pool]
        distinct = {edit: place for place, edit in enumerate(dict.fromkeys(pairs))}
        asked = np.array([distinct[edit] for edit in pairs])
        encoder, zero = self.space.encoder, np.zeros_like(self.bias)
        drift = weighted(encoder.bags(texts), _padded(self.text), self.bias)
        wanted = weighted(encoder.bags(list(distinct)), _padded(self.edit), zero)
        images = images_of(z[rows], encoder.encode(list(distinct))[asked])
        moved: Floats = drift[rows] + wanted[asked] + product(images, self.images)
        return moved

    def arrays(self) -> dict[str, Floats]:
        """The fitted arrays by name."""
        return {"bias": self.bias, "text": self.text, "edit": self.edit, "images": self.images}

    @staticmethod
    def restore(arrays: Mapping[str, Floats], space: LatentSpace) -> FreeSurrogate:
        """The surrogate of some `arrays`."""
        return FreeSurrogate(space, *(arrays[name] for name in ("bias", "text", "edit", "images")))


def images_of(z: Floats, asked: Floats) -> Floats:
    """[P, 3n] Embeddings of texts and of edits, and their products."""
    return np.concatenate([z, asked, z * asked], axis=1)


def fit_free(
    texts: Sequence[str], edits: Sequence[str], z: Floats, displacement: Floats, space: LatentSpace
) -> FreeSurrogate:
    """Fit the regression to trials.

    Args:
        texts: The text of each trial, [R].
        edits: The edit tried on it, [R].
        z: Embeddings of the texts, [R, n].
        displacement: What the edit did, [R, n].
        space: Its encoder reads texts and edits.
    """
    encoder = space.encoder
    count = encoder.features.count
    design: Design = {
        "text": matrix(encoder.bags(texts), count),
        "edit": matrix(encoder.bags(edits), count),
        "images": sp.csr_array(images_of(z, encoder.encode(edits))),
    }
    centres = {name: np.asarray(block.mean(axis=0)).ravel() for name, block in design.items()}
    kernels = {name: _kernel(block, centres[name]) for name, block in design.items()}
    middle = displacement.mean(axis=0)
    _, groups = np.unique(np.array(texts), return_inverse=True)
    weights, noise = choose(kernels, displacement - middle, groups)
    gram = sum((weight * kernels[name].gram for name, weight in weights.items()), np.zeros((len(z), len(z))))
    dual = _solve(gram, displacement - middle, noise)
    found = {
        name: weights[name] / kernels[name].scale * (design[name].T @ dual - np.outer(centres[name], dual.sum(axis=0)))
        for name in BLOCKS
    }
    bias = middle - sum((centres[name] @ found[name] for name in BLOCKS), np.zeros(len(middle)))
    return FreeSurrogate(space, bias, found["text"], found["edit"], found["images"])


@dataclass(frozen=True, eq=False)
class Kernel:
    """Inner products of the centred rows of a block.

    Attributes:
        gram: [R, R], scaled to a mean diagonal of 1.
        scale: What they were divided by.
    """

    gram: Floats
    scale: float


def choose(kernels: Mapping[str, Kernel], target: Floats, groups: NDArray[np.intp]) -> tuple[dict[str, float], float]:
    """Weights of the blocks and penalty with the smallest squared error on texts that a fit did not see.

    Args:
        kernels: The blocks' kernels.
        target: Centred displacements, [R, n].
        groups: Number of each trial's text, [R].
    """
    best, least = (dict.fromkeys(kernels, 1.0), NOISE[-1]), np.inf
    for chosen in combinations(WEIGHTS, repeat=len(kernels)):
        if max(chosen) < 1.0:  # the same as a larger one with another penalty
            continue
        weights = dict(zip(kernels, chosen, strict=True))
        gram = sum((weight * kernels[name].gram for name, weight in weights.items()), np.zeros((len(target),) * 2))
        errors = _errors(gram, target, groups)
        place = int(np.argmin(errors))
        if errors[place] < least:
            best, least = (weights, NOISE[place]), float(errors[place])
    return best


def _errors(gram: Floats, target: Floats, groups: NDArray[np.intp]) -> list[float]:
    """Squared error on texts that a fit did not see, for each penalty."""
    errors = np.zeros(len(NOISE))
    for fold in range(FOLDS):
        out = groups % FOLDS == fold
        if not out.any() or out.all():
            continue
        values, basis = np.linalg.eigh(gram[np.ix_(~out, ~out)])
        seen, across = basis.T @ target[~out], gram[np.ix_(out, ~out)] @ basis
        for place, noise in enumerate(NOISE):
            errors[place] += np.square(target[out] - (across / (np.maximum(values, 0) + noise)) @ seen).sum()
    return list(errors)


def _solve(gram: Floats, target: Floats, noise: float) -> Floats:
    solved: Floats = scipy.linalg.solve(gram + noise * np.eye(len(gram)), target, assume_a="pos")
    return solved


def _kernel(block: sp.csr_array, centre: Floats) -> Kernel:
    raw = (block @ block.T).toarray()
    mean = block @ centre
    gram = raw - mean[:, None] - mean[None, :] + centre @ centre
    scale = max(float(np.trace(gram)) / len(gram), 1e-12)
    return Kernel(gram / scale, scale)


def _padded(rows: Floats) -> Floats:
    return np.vstack([rows, np.zeros((1, rows.shape[1]))])
