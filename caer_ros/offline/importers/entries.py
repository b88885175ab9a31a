"""What stands in a file of weights that others published, read without running any code of the file's."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from caer_ros.offline.importers.refused import ImporterError, check_kind

if TYPE_CHECKING:
    from pathlib import Path

WRAPPERS = ("state_dict", "model", "best_state_dict")
"""Where a training dictionary keeps its network."""
_WRAPPED = "module."
"""What torch's (Distributed)DataParallel puts before each name."""
_WEIGHTS = (".pth", ".pt", ".tar", ".safetensors")


@dataclass(frozen=True, slots=True)
class Entries:
    """The content of a file of weights."""

    path: Path
    tensors: dict[str, Tensor]
    """Tensors by name, on the CPU: dense, and finite as float32."""
    sha256: str
    """Hash of the file."""
    remarks: tuple[str, ...] = ()
    """What was taken off on the way, for a person to read."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Command line that a training dictionary keeps beside its network ("args"): text, numbers, None."""
    epoch: int | None = None
    """The number that a training dictionary gives its last epoch, where it does; the first epoch is 0."""


class _Inert:
    """Stands where a file names one of ``_HARMLESS``: takes what the file says of it, and does nothing.

    So a training dictionary can be read whose settings are of a foreign class, and not even that class runs.
    """

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


_HARMLESS = (
    "argparse.Namespace",  # the command line
    "numpy.core.multiarray.scalar",  # losses and scores; the name until NumPy 2
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)


def read(path: Path) -> Entries:
    """The tensors of a file by name.

    Takes ``torch.save``'s files of any age, with and without zip, whatever the suffix, and ``.safetensors``; a training
    dictionary around the network, and "module." before each name, are taken off.

    Raises:
        ImporterError: the file is missing, truncated, a web page, an archive, holds code or a checkpoint of our own,
            or its tensors are not finite numbers.
    """
    try:
        with path.open("rb") as file:
            digest = _sha256(file)
            file.seek(0)
            check_kind(path, file.read(512), "file of weights")
    except FileNotFoundError:
        raise ImporterError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ImporterError(f"{path} is a folder; name the file of weights in it{_inside(path)}") from None
    except OSError as error:
        raise ImporterError(f"{path}: {error.strerror or error}") from error
    content = _load(path)
    tensors, remarks = _unwrapped(content, path)
    _check_tensors(tensors, path)
    settings, epoch = content.get("args"), content.get("epoch")
    state = settings.state if isinstance(settings, _Inert) else settings
    return Entries(
        path,
        tensors,
        digest,
        remarks,
        {name: value for name, value in state.items() if _is_plain(value)} if isinstance(state, dict) else {},
        epoch if isinstance(epoch, int) else None,
    )


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _load(path: Path) -> dict[Any, Any]:
    """The file's content: plain data, tensors and ``_Inert``."""
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ImporterError(f"{path}: truncated, or no .safetensors file ({error}); download it again") from error
    _check_zip(path)
    try:
        with torch.serialization.safe_globals([(_Inert, name) for name in _HARMLESS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's and zip's many kinds
        _raise_unread(path, error)
    if not isinstance(content, dict):
        raise ImporterError(
            f"{path} holds a {type(content).__name__}, not tensors by name; name a file of a network's weights"
        )
    return content


def _raise_unread(path: Path, error: Exception) -> NoReturn:
    said = str(error)
    if found := re.search(r"GLOBAL (\S+)", said):
        raise ImporterError(
            f"{path} holds code ({found[1]}), not tensors alone; it was not run: load it nowhere else unless you trust "
            "its maker, and ask for the weights alone (a state_dict)"
        ) from error
    if any(sign in said for sign in ("reduce for unrecognized", "Can only build", "Can only create", "REDUCE")):
        raise ImporterError(
            f"{path} holds code, not tensors alone; it was not run: ask for the weights alone (a state_dict)"
        ) from error
    raise ImporterError(f"{path}: truncated, or no file of weights; download it again") from error


def _check_zip(path: Path) -> None:
    """Refuse a zip file that torch.save did not write."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ImporterError(f"{path}: truncated, or no file of weights; download it again") from error
    stems = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in stems:
        raise ImporterError(f"{path} is a TorchScript archive, which is code; ask for the weights alone (a state_dict)")
    if "data.pkl" not in stems:
        raise ImporterError(
            f"{path} is an archive; unpack it and name the file of weights in it{_such_as(sorted(names))}"
        )


def _inside(folder: Path) -> str:
    return _such_as(sorted(path.name for path in folder.iterdir() if path.is_file()))


def _such_as(names: list[str]) -> str:
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    return f", such as {', '.join(weights[:3])}" if weights else ""


def _unwrapped(content: dict[Any, Any], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The network's tensors, and what was taken off."""
    if "caer" in content:
        raise ImporterError(f"{path} is a checkpoint of caer_ros already; make a bundle of it with `caer export`")
    remarks = []
    for key in WRAPPERS:
        if _has_tensors(content.get(key)):
            epoch = f" after epoch {content['epoch']} (the first is 0)" if isinstance(content.get("epoch"), int) else ""
            remarks.append(f'a training dictionary{epoch}: took "{key}"')
            content = content[key]
            break
    if not _has_tensors(content):
        keys = ", ".join(str(key) for key in list(content)[:5])
        raise ImporterError(
            f"{path} holds no tensors by name ({keys or 'nothing'}); name a file of a network's weights"
        )
    if wrong := next((name for name, value in content.items() if not isinstance(value, Tensor)), None):
        raise ImporterError(
            f"{path}: {wrong} is of type {type(content[wrong]).__name__}, no tensor; name a file of a network's weights"
        )
    if all(str(name).startswith(_WRAPPED) for name in content):
        remarks.append(f'took "{_WRAPPED}" off each name')
        content = {str(name).removeprefix(_WRAPPED): value for name, value in content.items()}
    return {str(name): value for name, value in content.items()}, tuple(remarks)


def _has_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(item, Tensor) for item in value.values())


def _check_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    for name, value in tensors.items():
        if value.layout != torch.strided or value.is_quantized:
            raise ImporterError(f"{path}: {name} is sparse or quantised; dense float weights are expected")
        if value.is_floating_point() and not bool(value.float().isfinite().all()):
            raise ImporterError(
                f"{path}: {name} holds NaN or infinity, so its network cannot work; take another file or epoch"
            )
