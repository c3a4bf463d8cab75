# ruff: noqa: E501
"""Invented products, users and reviews, in the format of the Amazon reviews of 2023.

What a user thinks of a product depends on what the product is: its department, its material and its trait. So a latent
space that is fitted to the texts predicts ratings, and beats its placebo. No text, name or review is anybody else's.

    python -m benchmarks.products FOLDER        # writes Invented.jsonl.gz and meta_Invented.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

# Department -> kind of product, with what it does.
DEPARTMENTS = {
    "Kitchen": {
        "Espresso Machine": "It heats up in forty seconds and presses two cups at a time",
        "Bread Box": "It keeps a loaf fresh for most of a week",
        "Frying Pan": "Pancakes slide off it without oil",
        "Spice Rack": "Twenty jars stand in it, each with a label",
        "Kettle": "It boils a litre of water and then switches itself off",
        "Chopping Board": "A groove around the edge catches the juice of tomatoes",
    },
    "Garden": {
        "Watering Can": "Its long spout reaches the last row of pots",
        "Bird House": "Titmice and sparrows move in within a season",
        "Garden Bench": "Two grown-ups and a dog sit on it in comfort",
        "Compost Bin": "Peel and leaves turn into soil over one summer",
        "Lantern": "It hangs from a branch and lights a table of four",
        "Wheelbarrow": "It carries a hundred kilos over rough ground",
    },
    "Toys": {
        "Train Set": "The track makes a figure of eight with a bridge in the middle",
        "Puzzle": "Five hundred pieces show a harbour at night",
        "Puppet": "Its mouth and both of its hands can be moved",
        "Kite": "It rises in a light breeze and loops when you pull",
        "Chess Set": "The board folds and holds all the pieces",
        "Building Blocks": "They click together and hold a tower of a metre",
    },
    "Office": {
        "Desk Lamp": "The arm bends in three places and stays where it is put",
        "Notebook": "The pages lie flat and take ink without bleeding",
        "Office Chair": "The back follows the spine and reclines by a lever",
        "Letter Opener": "The blade slips under any flap",
        "Pencil Case": "Pens, ruler and a small calculator fit into it",
        "Wall Clock": "The numerals can be read from across a room",
    },
    "Outdoors": {
        "Tent": "Two people can pitch it in four minutes",
        "Sleeping Bag": "It keeps you warm at five degrees below zero",
        "Camping Stove": "A litre of soup is hot in six minutes",
        "Water Bottle": "It closes with half a turn and does not leak",
        "Hiking Backpack": "The straps are padded and the rain cover folds away",
        "Hammock": "It hangs between two trees or from the hooks that come with it",
    },
    "Clothing": {
        "Scarf": "It goes around the neck three times",
        "Rain Coat": "The seams are taped and the hood turns with the head",
        "Gloves": "The fingertips work on the screen of a phone",
        "Slippers": "The soles grip on stairs and make no sound",
        "Sun Hat": "The brim shades the face and the back of the neck",
        "Apron": "Two deep pockets hold tools or a recipe book",
    },
}  # fmt: skip
MATERIALS = {
    "steel": "brushed steel", "bamboo": "bamboo from managed forests", "wool": "thick sheep's wool", "glass": "clear, hardened glass",
    "leather": "soft leather that darkens with age", "plastic": "recycled plastic", "oak": "solid oak", "cotton": "organic cotton",
}  # fmt: skip
TRAITS = {
    "handmade": "Each piece is handmade in a small workshop, so no two are quite alike.",
    "solar": "A solar panel charges the built-in battery, which lasts for three nights.",
    "children": "It is made for children from the age of four, without small parts or sharp edges.",
    "luxury": "It comes in a velvet box with a certificate, a luxury gift for a demanding person.",
    "compact": "It folds to the size of a book, compact enough for any drawer or suitcase.",
    "vintage": "The vintage design is taken from a catalogue of the 1950s, down to the lettering.",
    "smart": "A smartphone app controls it, counts how often it is used and reminds you to clean it.",
    "rugged": "It is rugged: it survives a fall from two metres, frost and a night in the rain.",
}
COLOURS = ("red", "dark green", "navy blue", "yellow", "black", "white", "orange", "grey")
BRANDS = ("Larkholm", "Ottavia", "Brindle & Co", "Nordfell", "Quill House", "Mosspond")
REMARKS = {1: "Not for me at all.", 2: "I expected more.", 3: "It does what it should.", 4: "I like it.", 5: "I love it!"}


def write_products(folder: Path, products: int = 150, users: int = 80, seed: int = 0) -> Path:
    """Write the two files into a folder, and return the folder.

    Args:
        folder: Made where absent.
        products: How many products; each kind comes several times, with other materials and traits.
        users: How many users, each of whom rates 20 to 45 products.
        seed: Equal seeds write equal files.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    described = [_product(number, rng) for number in range(products)]
    features = np.array([[float(name in one["is"]) for name in _NAMES] for one in described])
    reviews = [review for user in range(users) for review in _reviews(user, described, features, rng)]
    for one in described:
        own = [review["rating"] for review in reviews if review["parent_asin"] == one["meta"]["parent_asin"]]
        one["meta"] |= {"average_rating": round(float(np.mean(own or [3.0])), 1), "rating_number": len(own)}
    _write(folder / "Invented.jsonl.gz", reviews)
    _write(folder / "meta_Invented.jsonl.gz", [one["meta"] for one in described])
    return folder


_NAMES = (*DEPARTMENTS, *MATERIALS, *TRAITS)


def _product(number: int, rng: np.random.Generator) -> dict[str, Any]:
    kinds = [(department, kind) for department, found in DEPARTMENTS.items() for kind in found]
    department, kind = kinds[number % len(kinds)]
    material, trait = rng.choice([*MATERIALS]), rng.choice([*TRAITS])
    colour, brand = rng.choice(COLOURS), rng.choice(BRANDS)
    title = f"{brand} {kind} in {str(colour).title()}"
    text = [
        f"A {colour} {kind.lower()} made of {MATERIALS[material]}.",
        f"{DEPARTMENTS[department][kind]}.",
        TRAITS[trait],
    ]
    meta = {
        "main_category": department,
        "title": title,
        "features": [f"Material: {material}", f"Colour: {colour}"],
        "description": [" ".join(text)],
        "price": float(np.round(rng.uniform(8, 120), 2)),
        "images": [],
        "videos": [],
        "store": brand,
        "categories": [department, f"{kind}s"],
        "details": {"Material": material, "Colour": colour},
        "parent_asin": f"B0INV{number:05d}",
        "bought_together": None,
    }
    return {"is": {department, material, trait}, "meta": json.loads(json.dumps(meta, default=str))}


def _reviews(
    user: int, described: list[dict[str, Any]], features: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """What a user says of some products: the better, the more the product is what the user likes."""
    taste = rng.normal(size=len(_NAMES)) * 0.8
    liking = 3.2 + 0.4 * rng.normal() + features @ (taste - taste.mean()) + 0.4 * rng.normal(size=len(described))
    chosen = rng.choice(len(described), min(len(described), int(rng.integers(20, 46))), replace=False)
    rows = []
    for turn, product in enumerate(chosen.tolist()):
        rating = int(np.clip(np.round(liking[product]), 1, 5))
        asin = described[product]["meta"]["parent_asin"]
        rows.append(
            {
                "rating": float(rating),
                "title": "A review",
                "text": REMARKS[rating],
                "images": [],
                "asin": asin,
                "parent_asin": asin,
                "user_id": f"U{user:04d}",
                "timestamp": 1_600_000_000_000 + 1000 * (100 * user + turn),
                "helpful_vote": 0,
                "verified_purchase": True,
            }
        )
    return rows


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description="Write an invented category of products.")
    parser.add_argument("folder", type=Path, help="where to write the two files")
    parser.add_argument("--products", type=int, default=150)
    parser.add_argument("--users", type=int, default=80)
    arguments = parser.parse_args()
    print(write_products(arguments.folder, arguments.products, arguments.users))  # noqa: T201
