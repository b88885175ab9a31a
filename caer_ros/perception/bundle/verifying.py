"""Compare the files of a model bundle with the sizes and hashes that ``model.yaml`` gives."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from caer_ros.perception.bundle.bundle import MANIFEST, BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.perception.bundle.bundle import BundleFile


def bundle_hash(text: bytes, files: dict[str, BundleFile]) -> str:
    """Hash ``model.yaml`` (its text) and the hashes that it gives of the files: 64 hex digits."""
    digest = hashlib.sha256(text)
    for name in sorted(files):
        digest.update(f"{name}:{files[name].sha256}\n".encode())
    return digest.hexdigest()


def verify_file(manifest: Path, name: str, file: BundleFile) -> None:
    """Compare a file with the size and hash that ``model.yaml`` gives.

    Args:
        manifest: path of ``model.yaml``.
        name: the file's name in ``files``.
        file: what ``model.yaml`` says about the file.

    Raises:
        BundleError: the file is missing, truncated or altered.
    """
    where = f"{manifest}: files.{name}: {file.path.name}"
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{where} is missing or cannot be read ({error.strerror}); copy the whole folder again"
        ) from error
    if len(content) < file.size:
        raise BundleError(f"{where} is truncated: {len(content)} of {file.size} bytes; copy it again")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise BundleError(
            f"{where} is not the file that {MANIFEST} describes: sha256 {digest[:16]}... instead of "
            f"{file.sha256[:16]}...; copy it again, or correct sha256 and size if you changed it on purpose"
        )
