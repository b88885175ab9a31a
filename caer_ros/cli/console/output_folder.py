"""The output folder of a command: it is emptied when the command is called again, and never when it holds more."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class OutputError(Exception):
    """A folder is no output folder of this command; names the folder and the remedy."""


@dataclass(frozen=True)
class Output:
    """What a command puts into its output folder."""

    command: str
    """Such as "demo"."""
    option: str
    """Option that names the folder, such as "--out"."""
    marker: str
    """Name of a file that says whose folder it is."""
    names: frozenset[str]
    """Names of everything else that the command puts there."""
    logs: bool = True
    """Does it start processes, whose output goes to ``logs/``?"""

    def prepare(self, folder: Path) -> Path:
        """An empty folder with the marker, and with ``logs/`` if there are any: a new one, or one that a run filled.

        Raises:
            OutputError: it is a file, or holds something that is not this command's.
        """
        folder = folder.resolve()
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{self.option} {folder}: is a file")
        names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
        ours = self.names | {self.marker, "logs"}
        strange = sorted(names - ours) or sorted(names if self.marker not in names else ())
        if strange:
            raise OutputError(
                f"{self.option} {folder}: holds {strange[0]}, which no {self.command} wrote; "
                "name an empty or a new folder"
            )
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (folder / "logs" if self.logs else folder).mkdir(parents=True, exist_ok=True)
        (folder / self.marker).write_text(
            f"Made by `caer {self.command}`, which empties this folder when it is called again.\n", "utf8"
        )
        return folder
