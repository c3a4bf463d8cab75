"""The catalogs that environments can be made from: one table, from which ids, checks and calls of loaders are derived.

The table holds strings only, so that `import eagle_gym` stays light; a loader is imported when an environment needs it.
To add a catalog, write its loader in `eagle_gym/catalog/` and add one entry to `CATALOGS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from eagle_gym.errors import ArgumentError, suggest


@dataclass(frozen=True)
class Parameter:
    """What one catalog expects of an argument.

    Attributes:
        kind: `"folder"` or `"file"` (a path that must exist), `"choice"`, or `"value"` (the loader checks it).
        what: What the folder or file holds, for people.
        choices: The values of a choice; the first is the loader's default.
        hint: For people who gave another value than the choices.
    """

    kind: Literal["folder", "file", "choice", "value"]
    what: str = ""
    choices: tuple[str, ...] = ()
    hint: str = ""

    @property
    def is_required(self) -> bool:
        """Whether the catalog cannot do without: folders and files."""
        return self.kind in ("folder", "file")


@dataclass(frozen=True)
class CatalogSpec:
    """One catalog: its id, its loader, and the arguments that the loader takes.

    Attributes:
        name: Value of the argument `catalog`.
        env_id: Id of its environment with the default task.
        loader: `"module:function"`.
        description: What the catalog holds, for people.
        needs: What a user must have, for people.
        takes: The loader's keywords, which are arguments of the environment.
        free_texts: The values of `texts` for which the catalog is free text and needs a general language model.
        is_cached: Whether the loader takes `cache_dir`.
        about: What its texts describe, `"film"` or `"product"`, for the language model's prompts; None where only the
            user knows.
        all_tasks: Whether every task has an id of its own; the argument `task` works with every catalog.
    """

    name: str
    env_id: str
    loader: str
    description: str
    needs: str
    takes: Mapping[str, Parameter]
    free_texts: tuple[str | None, ...] = ()
    is_cached: bool = False
    about: str | None = None
    all_tasks: bool = False

    def keywords(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn arguments of an environment into keywords of the loader, which keeps its defaults for all others.

        Args:
            values: Arguments by name; None for those that were not given.

        Raises:
            ArgumentError: An argument that the catalog does not take, one that it lacks, or one that does not fit.
        """
        for name, value in values.items():
            if value is not None and name not in self.takes:
                takers = [spec.name for spec in CATALOGS.values() if name in spec.takes]
                raise ArgumentError(
                    f"the catalog {self.name!r} takes no {name}, got {value!r}: leave it out, or choose a catalog that "
                    f"takes it ({', '.join(map(repr, takers))})"
                )
        found = {name: self._keyword(name, parameter, values.get(name)) for name, parameter in self.takes.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _keyword(self, name: str, parameter: Parameter, value: Any) -> Any:  # noqa: ANN401
        if value is None:
            if parameter.is_required:
                raise ArgumentError(f"the catalog {self.name!r} needs {name}=, {parameter.what}")
            return None
        if parameter.is_required:
            return self._path(name, parameter, value)
        if parameter.kind == "choice":
            return self._choice(name, parameter, value)
        return value

    def _path(self, name: str, parameter: Parameter, value: str) -> Path:
        # os.path, because the methods of Path raise on an unknown user and where a parent folder is locked.
        path = os.path.expanduser(value)
        exists = os.path.isdir if parameter.kind == "folder" else os.path.isfile
        if not exists(path):
            raise ArgumentError(
                f"the catalog {self.name!r} needs {name}=, {parameter.what}; got {value!r}: there is no such "
                f"{parameter.kind}"
            )
        return Path(path)

    def _choice(self, name: str, parameter: Parameter, value: str) -> str | None:
        choices = parameter.choices
        if value not in choices:
            hint = suggest(value, choices) or (parameter.hint and f": {parameter.hint}")
            raise ArgumentError(
                f"the catalog {self.name!r} takes {name}= {' or '.join(map(repr, choices))}, got {value!r}{hint}"
            )
        return None if value == choices[0] else value


_ANY = Parameter("value")

CATALOGS: Mapping[str, CatalogSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            CatalogSpec(
                "plots",
                "EagleGym/Plots-v0",
                "eagle_gym.catalog:load_plots",
                description="invented films and users, rewritten by the embedded model",
                needs="no download",
                takes={"texts": Parameter("choice", choices=("rendered",))},
                about="film",
                all_tasks=True,
            ),
            CatalogSpec(
                "movielens",
                "EagleGym/MovieLens-v0",
                "eagle_gym.catalog:load_movielens",
                description="real films and ratings, from a GroupLens data set",
                needs="root=, its folder",
                takes={
                    "root": Parameter(
                        "folder",
                        "the folder of a GroupLens data set such as ml-latest-small "
                        "(https://grouplens.org/datasets/movielens)",
                    ),
                    "texts": Parameter(
                        "choice",
                        choices=("rendered", "free"),
                        hint="fields= chooses what the texts say, such as texts='free', fields=['overview']",
                    ),
                    "fields": _ANY,
                    "min_ratings": _ANY,
                },
                free_texts=("free",),
                is_cached=True,
                about="film",
                all_tasks=True,
            ),
            CatalogSpec(
                "amazon",
                "EagleGym/Amazon-v0",
                "eagle_gym.catalog:load_amazon",
                description="products of one category, from Amazon reviews",
                needs="root=, a folder with reviews and metadata; a general language_model",
                takes={
                    "root": Parameter(
                        "folder",
                        "a folder with one file of reviews and one of metadata (https://amazon-reviews-2023.github.io/)",
                    ),
                    "min_ratings": _ANY,
                },
                free_texts=(None,),
                is_cached=True,
                about="product",
            ),
            CatalogSpec(
                "table",
                "EagleGym/Table-v0",
                "eagle_gym.catalog:load_table",
                description="your own catalog, from two tables",
                needs="texts= and ratings=, two files",
                takes={
                    "texts": Parameter("file", "the path of a file such as items.csv, with the items"),
                    "ratings": Parameter("file", "the path of a file such as ratings.csv, with their ratings"),
                    "columns": _ANY,
                    "scale": _ANY,
                    "min_ratings": _ANY,
                },
            ),
        )
    }
)
