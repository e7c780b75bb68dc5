"""Data: what models learn from. Files are read and checked, examples kept by version, and turned into tokens."""

from rixin.data.datasets import Datasets, DatasetVersion
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
)
from rixin.data.problems import RowProblem
from rixin.data.reading import read_examples
from rixin.data.render import Rendered, render_answers, render_chat, render_prompt, render_text

__all__ = [
    "KINDS",
    "AnyExample",
    "ChatExample",
    "DatasetVersion",
    "Datasets",
    "Example",
    "Kind",
    "LabelledExample",
    "PreferenceExample",
    "Rendered",
    "RowProblem",
    "TaskExample",
    "TextExample",
    "Turn",
    "read_examples",
    "render_answers",
    "render_chat",
    "render_prompt",
    "render_text",
]
