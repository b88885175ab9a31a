"""The systems: a folder for each, and a plain table of what they train.

To add one: a folder here whose ``system.py`` is a ``system.System``, its tasks in ``TASKS``, a configuration in
``config/train``, a page of docs, and a folder of tests. Nothing else names it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from caer_ros.offline.systems.system import System

TASKS = {
    "student": "ka",
    "classifier": "ka",
    "detector": "ka",
    "benet": "benet",
    "dsct": "dsct",
    "people": "people",
}
"""What can be trained, and the folder of the system that it belongs to."""


def of(task: str) -> System:
    """The system of a task. Only its folder is imported, because some take seconds. Raises KeyError for no task."""
    return cast("System", importlib.import_module(f"{__name__}.{TASKS[task]}.system"))
