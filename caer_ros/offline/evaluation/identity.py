"""What a result was made from: the inputs by their content, the software and the machine; equal inputs, equal hash."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import caer_ros
from caer_ros import processor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_CHUNK = 1 << 20
_PACKAGES = ("onnxruntime", "numpy")
"""Besides Python and this package: what computes the scores."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The origin of one result. Of a recorded answer, ``bundle_sha256`` and what runs it are not known: ""."""

    command: str
    """Command as typed, quoted for a shell."""
    bags: dict[str, str]
    """sha256 of the content of each bag's files, by the bag's name."""
    truth: str
    """sha256 of the annotations: of the json file, or of the dataset that the topic gave."""
    bundle: str
    """Name of the model."""
    bundle_sha256: str
    """Hash of the bundle; as recorded only its first 16 digits, from the messages."""
    provider: str
    """What ran the model, such as "CPUExecutionProvider"; "" as recorded."""
    device: str
    """Device as asked for."""
    threads: int
    settings: dict[str, Any]
    """What else determines the result, such as topics, manner and deadline."""
    versions: dict[str, str]
    """caer_ros, onnxruntime, numpy, python."""
    cpu: str
    """Processor of the machine that ran this command."""
    run_hash: str
    """sha256 over all that determines the result, the software too: not over paths, date, command, machine."""


def identify(
    command: Sequence[str],
    bags: Mapping[str, str],
    truth: str,
    bundle: str,
    bundle_sha256: str,
    provider: str,
    device: str,
    threads: int,
    settings: Mapping[str, Any],
) -> Identity:
    """The identity of a run on this machine; arguments as the fields of ``Identity``, ``settings`` ready for json."""
    software = versions()
    hashed = {
        "versions": software,
        "bags": sorted(bags.values()),
        "truth": truth,
        "bundle": bundle_sha256,
        "provider": provider,
        "threads": threads,
        "settings": dict(settings),
    }
    return Identity(
        command=shlex.join(command),
        bags=dict(bags),
        truth=truth,
        bundle=bundle,
        bundle_sha256=bundle_sha256,
        provider=provider,
        device=device,
        threads=threads,
        settings=dict(settings),
        versions=software,
        cpu=processor.name(),
        run_hash=json_sha256(hashed),
    )


def bag_sha256(bag: Path) -> str:
    """Hash of the bag's recordings (.mcap, .db3, compressed or not): of the files' content in the order of their names.

    ``bag`` is a folder or one such file. metadata.yaml is left out: reindexing rewrites it, and the messages stay.
    """
    return files_sha256(recordings(bag))


def recordings(bag: Path) -> list[Path]:
    """The files of a bag that ``bag_sha256`` is over."""
    from caer_ros.recordings.sources import BAG_FILES

    if bag.is_file():
        return [bag]
    return sorted(file for file in bag.iterdir() if {*file.suffixes[-2:]} & {*BAG_FILES})


def files_sha256(files: Iterable[Path]) -> str:
    """Hash of the lengths and the contents of files, in their order; no file is ever held whole."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def json_sha256(content: Any) -> str:
    """Hash of content that is ready for json, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """What software computes the scores."""
    found = {"caer_ros": caer_ros.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # such as onnxruntime, whose GPU build has another name
            found[package] = str(getattr(__import__(package), "__version__", ""))
    return found
