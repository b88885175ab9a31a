"""What is refused of files that others published, by their first bytes; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ImporterError(Exception):
    """A file of others that cannot be imported; names the file, what is wrong and the remedy."""


def check_kind(path: Path, head: bytes, wanted: str) -> None:
    """Refuse, by its first 512 bytes, what users get instead of a ``wanted`` file. Raises ImporterError."""
    again = "download it again"
    if not head:
        raise ImporterError(f"{path} is empty; {again}")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ImporterError(
            f"{path} is a web page, not a {wanted}: Google Drive gives one where it cannot scan a large file; "
            'open the link in a browser and choose "Download anyway"'
        )
    if head.startswith(b"version https://git-lfs"):
        raise ImporterError(f"{path} is a pointer of Git LFS, not a {wanted}; run git lfs pull")
    if head.startswith((b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")) or head[257:262] == b"ustar":
        raise ImporterError(f"{path} is an archive; unpack it and name the {wanted} in it")
