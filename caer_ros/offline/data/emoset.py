"""EmoSet-118K (Yang et al. 2023): pictures, 8 labels, one a picture.

``{train,val,test}.json``, a list of [emotion, id, "image/…jpg", "annotation/…json"] (the id may be missing), and
``info.json``, flat or nested, whose emotions must be ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish, one_hot
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings
from caer_ros.taxonomy import EMOSET

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "val", "test")


def load(root: Path, split: str) -> Dataset:
    """One split of EmoSet; each picture is one "person" whose box is the whole of it.

    Raises:
        DatasetError: no list of the split, or one in another form or with a label that EmoSet has not.
    """
    findings = Findings()
    file = root / f"{split}.json"
    if (root / "info.json").is_file():
        _check_labels(root / "info.json")
    entries = files.read_json(file)
    if not isinstance(entries, list):
        raise DatasetError(f'{file}: a list of [emotion, id, "image/…", "annotation/…"] is expected')
    persons = {}
    for order, entry in enumerate(entries):
        where = f"{file}: entry {order}"
        if not isinstance(entry, list) or len(entry) not in (3, 4):
            raise DatasetError(f'{where}: [emotion, id, "image/…", "annotation/…"] is expected, not {entry!r}')
        label, image = str(entry[0]), str(entry[-2])
        if label not in EMOSET:
            raise DatasetError(f"{where}: {label!r} is no label of EmoSet; there are {', '.join(EMOSET)}")
        persons[image] = [Annotation(where, None, one_hot(label, EMOSET))]
    samples = (
        assemble(image, root / image, rows, len(EMOSET), BoxKind.UNKNOWN, findings) for image, rows in persons.items()
    )
    return finish("emoset", root, split, "emoset", EMOSET, False, samples, findings)


def _check_labels(file: Path) -> None:
    """Labels go by name, so the indices of info.json do not matter, but that there are no others does."""
    info: Any = files.read_json(file)
    for key in ("emotion", "label2idx"):
        info = info.get(key, info) if isinstance(info, dict) else info
    if isinstance(info, dict) and set(info) != set(EMOSET):
        raise DatasetError(f"{file}: emotions {', '.join(map(str, info))}; {', '.join(EMOSET)} are expected")
