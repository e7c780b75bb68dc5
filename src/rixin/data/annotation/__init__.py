"""Annotation: models first, people where those are not sure, until the result is as right as it was asked to be."""

from rixin.data.annotation.definition import Definition, read_definition
from rixin.data.annotation.queue import Queue, Worker, WorkItem
from rixin.data.annotation.tasks import Annotations, Task
from rixin.data.annotation.values import Value

__all__ = ["Annotations", "Definition", "Queue", "Task", "Value", "WorkItem", "Worker", "read_definition"]
