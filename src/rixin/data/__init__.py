"""Data: what models learn from. Files are read and checked, examples kept by version, and turned into tokens."""

from importlib import import_module
from typing import TYPE_CHECKING

from rixin.data.catalogue import DatasetEntry, dataset_catalogue
from rixin.data.cleaning.report import Cleaned, CleaningReport, Dropped
from rixin.data.cleaning.rules import CleaningRules, read_rules
from rixin.data.datasets import Datasets
from rixin.data.difference import Difference
from rixin.data.examples import (
    KINDS,
    AnyExample,
    ChatExample,
    Example,
    Kind,
    LabelledExample,
    PreferenceExample,
    TaskExample,
    TextExample,
    Turn,
    texts,
)
from rixin.data.lineage import Origin, Place, Sourced, Trace
from rixin.data.problems import RowProblem
from rixin.data.pulling import pull_dataset
from rixin.data.reading import read_examples
from rixin.data.render import Rendered, render_answers, render_chat, render_prompt, render_text
from rixin.data.rows import Format as FileFormat
from rixin.data.shown import Piece, length_of, pieces_of, render_example
from rixin.data.versions import DatasetVersion
from rixin.data.windows import Windows
from rixin.data.withdrawal import Withdrawal

if TYPE_CHECKING:
    from rixin.data.checking import CheckReport, Lengths, check, language_of
    from rixin.data.cleaning.cleaning import clean
    from rixin.data.splitting import Split, split

# Imported when first asked for: they bring numpy, which the server's process does without.
_LATER = {
    "CheckReport": "checking",
    "Lengths": "checking",
    "Split": "splitting",
    "check": "checking",
    "clean": "cleaning.cleaning",
    "language_of": "checking",
    "split": "splitting",
}

__all__ = [
    "KINDS",
    "AnyExample",
    "ChatExample",
    "CheckReport",
    "Cleaned",
    "CleaningReport",
    "CleaningRules",
    "DatasetEntry",
    "DatasetVersion",
    "Datasets",
    "Difference",
    "Dropped",
    "Example",
    "FileFormat",
    "Kind",
    "LabelledExample",
    "Lengths",
    "Origin",
    "Piece",
    "Place",
    "PreferenceExample",
    "Rendered",
    "RowProblem",
    "Sourced",
    "Split",
    "TaskExample",
    "TextExample",
    "Trace",
    "Turn",
    "Windows",
    "Withdrawal",
    "check",
    "clean",
    "dataset_catalogue",
    "language_of",
    "length_of",
    "pieces_of",
    "pull_dataset",
    "read_examples",
    "read_rules",
    "render_answers",
    "render_chat",
    "render_example",
    "render_prompt",
    "render_text",
    "split",
    "texts",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
