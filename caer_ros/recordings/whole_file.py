"""Files written whole or not at all: whatever stops the program, a path holds its former content or all of the new."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends without an exception.

    The new file lies beside the old one as ``.NAME.RANDOM.part`` until it is on the disk. An exception removes it; only
    a killed process leaves it there. It gets the permissions that ``open(path, "wb")`` would leave. Where ``path`` is a
    link, the file that it points to is replaced.

    Args:
        path: of the file; its folders are made.

    Raises:
        OSError: the file cannot be written; the old one stays.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write all bytes of a file; see ``opened``."""
    with opened(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write all of a file as UTF-8, line ends as they are; see ``opened``."""
    write_bytes(path, text.encode())
