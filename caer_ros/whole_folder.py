"""A folder that is written whole or not at all; where it replaces another, one of both is there at every moment."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)


class FolderError(OSError):
    """A new folder that cannot take its place; says where the old one is."""


@contextmanager
def whole_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder beside its place, on the same file system, and put it there when the block ends.

    Files reach the disk before the folder reaches its place. A program that is killed while it puts the folder there
    leaves the old one in ``.NAME.swap`` beside, from where ``recover`` takes it.

    Args:
        target: the folder's place, or a link to it. One program at a time may write there.
        overwrite: replace what is there.

    Yields:
        Where the block is to make the folder; it is of the same name, and does not exist yet. When the block raises,
        what was made is removed.

    Raises:
        FileExistsError: there is something, and it is not to be replaced.
        FolderError: the folder cannot be put in its place.
    """
    recover(target)
    place = target.resolve()
    if place.exists() and not overwrite:
        raise FileExistsError(f"{target} exists already")
    beside, old = _beside(place)
    shutil.rmtree(beside, ignore_errors=True)
    made = beside / "new" / place.name
    made.parent.mkdir(parents=True)
    try:
        yield made
        _sync(made)
        _put(made, place, old)
        _sync_entry(place.parent)
    finally:
        if place.exists() or not old.exists():
            shutil.rmtree(beside, ignore_errors=True)


def recover(target: Path) -> None:
    """Put back the folder that was to be replaced when a program was killed, if one was; a warning says so."""
    place = target.resolve()
    _, old = _beside(place)
    if old.exists() and not place.exists():
        old.rename(place)
        _log.warning("%s: put back as it was before a program that was to replace it was killed", target)


def _beside(place: Path) -> tuple[Path, Path]:
    """The folder that holds what is not in its place, and where in it the old one is."""
    beside = place.with_name(f".{place.name}.swap")
    return beside, beside / "old"


def _put(made: Path, place: Path, old: Path) -> None:
    try:
        if place.exists():
            os.rename(place, old)
        os.rename(made, place)
    except BaseException as error:
        state = "as it was before" if place.exists() else "not there"
        if old.exists() and not place.exists():
            try:
                os.rename(old, place)
                state = "the old one again"
            except OSError as second:
                state = f"not there: the old one is {old}, as it could not be put back ({second.strerror})"
        if isinstance(error, OSError):
            raise FolderError(
                f"{place}: the new folder could not be put there ({error.strerror}); it is {state}"
            ) from error
        raise


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            _sync_entry(path)


def _sync_entry(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
