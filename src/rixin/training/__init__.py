"""Training: recipes, and the runs that carry them out. What needs torch is imported where it runs, not here."""

from rixin.training.bar import RunBar
from rixin.training.ending import Failure
from rixin.training.events import Event, in_force
from rixin.training.files import Files, StoredFile, Upload
from rixin.training.plan import Plan
from rixin.training.recipe_file import read_recipe, recipe_of, recipe_values
from rixin.training.recipes import CHAINS, KINDS, Recipe, Rlhf, kind_of
from rixin.training.run import PRIORITIES, Run, Status
from rixin.training.service import Runs

__all__ = [
    "CHAINS",
    "KINDS",
    "PRIORITIES",
    "Event",
    "Failure",
    "Files",
    "Plan",
    "Recipe",
    "Rlhf",
    "Run",
    "RunBar",
    "Runs",
    "Status",
    "StoredFile",
    "Upload",
    "in_force",
    "kind_of",
    "read_recipe",
    "recipe_of",
    "recipe_values",
]
