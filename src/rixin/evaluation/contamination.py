"""Has a Version seen the questions? Long word sequences that a suite shares with what a Version learned from."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from rixin.data import Datasets, Windows, texts
from rixin.errors import NotFound, Withdrawn
from rixin.models import Registry, Version, datasets_named


class Finding(Struct, frozen=True, kw_only=True):
    """An item of a suite that lies in a dataset: what of it, and where."""

    item: str
    dataset: str
    place: str
    text: str


def contamination(
    items: Mapping[str, Sequence[str]], version: Version, registry: Registry, datasets: Datasets
) -> tuple[list[Finding], list[str]]:
    """Each item (by name, with its texts) that the Version's lineage was trained on, and what could not be looked at.

    One finding an item and dataset. Weights that came from elsewhere bring no data to look at, which is said.
    """
    found: list[Finding] = []
    index = Windows(items)
    line = registry.lineage(version)
    notes = [
        f"Nothing is known of what {one.model_name} ({one.id}) was trained on."
        for one in line
        if not one.card.get("data")
    ]
    for name in dict.fromkeys(name for one in line for name in datasets_named(one.card)):
        try:
            known = datasets.replacement(datasets.get(name))
            if known.id != name:
                notes.append(f"Rows of the dataset {name} were withdrawn; what is left of it was looked at.")
        except Withdrawn:
            notes.append(f"The dataset {name} was withdrawn, so it could not be looked at.")
            continue
        except NotFound:
            notes.append(f"The dataset {name} is gone, so it could not be looked at.")
            continue
        seen: set[str] = set()
        for example in datasets.open(known):
            for text in texts(example):
                for item, shared in index.search(text):
                    if item not in seen:
                        seen.add(item)
                        found.append(
                            Finding(item=item, dataset=f"{known.name} ({known.id})", place=example.source, text=shared)
                        )
    return found, notes
