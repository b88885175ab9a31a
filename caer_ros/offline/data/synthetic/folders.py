"""Writes synthetic data sets as folders of the real sets' formats, for the loaders that read the real ones.

Beside each lies ``truth.jsonl`` (see `drawn_truth`), which no loader reads. Images are named by split and number, and a
picture depends on seed, split and number alone: more training images leave the test images as they were.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.offline.data import affectnet, heco, splits
from caer_ros.offline.data.synthetic import cues, drawn_truth, objects, pictures, plans
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from caer_ros.offline.data.synthetic.pictures import Job, Picture
    from caer_ros.offline.data.synthetic.render import Truth

PORTRAIT = 128
"""Side in pixels of AffectNet's pictures."""
ANNOTATORS = 3
"""Annotators of each person of EMOTIC's val and test; train has one."""


def write(
    name: str,
    folder: Path,
    images: Mapping[str, int],
    settings: plans.Settings | None = None,
    seed: int = 0,
    processes: int = 1,
) -> Path:
    """Write a data set.

    Args:
        name: of the format, a key of ``FORMATS``.
        folder: becomes the data set's root; must be empty or not exist.
        images: how many for each of the splits; see ``Format.splits``.
        settings: what pictures are like; AffectNet's are portraits, for which they do not count.
        seed: the same seed gives the same pictures.
        processes: how many draw.

    Returns:
        ``folder``, ready for ``caer_ros.offline.data.load``.

    Raises:
        DatasetError: there is no such format or split, or the folder is not empty.
    """
    if name not in FORMATS:
        raise DatasetError(f"no format is called {name!r}; there are {', '.join(FORMATS)}")
    form, settings = FORMATS[name], settings or plans.Settings()
    if unknown := [split for split in images if split not in form.splits]:
        raise DatasetError(f"{name} has no split {unknown[0]!r}; it has {', '.join(form.splits)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} exists already and is not empty: remove it, or choose another folder")
    bare = (pictures.Job(settings, seed, split, n, folder) for split, count in images.items() for n in range(count))
    drawn = list(pictures.draw([form.job(job) for job in bare], processes))
    form.save(folder, drawn)
    drawn_truth.write(folder, drawn, settings, seed)
    return folder


def _stem(job: Job | Picture) -> str:
    return f"{job.split}_{job.index:06}"


# --- EMOTIC --------------------------------------------------------------------------------------------------------

_DATABASES = ("mscoco", "framesdb", "emodb_small", "ade20k")


def _emotic_job(job: Job) -> Job:
    database = _DATABASES[job.index % len(_DATABASES)]
    return replace(job, path=job.path / "emotic" / database / "images" / f"{_stem(job)}.jpg", somebody=True)


def _save_emotic(folder: Path, drawn: Sequence[Picture]) -> None:
    """Annotations.mat: labels are drawn by ``cues.EMOTIC_TABLE``, and each annotator of several sees some of them."""
    from scipy.io import savemat

    arrays = {
        split: _objects([_emotic_entry(picture) for picture in drawn if picture.split == split])
        for split in pictures.SPLITS
    }
    (folder / "Annotations").mkdir(parents=True)
    savemat(folder / "Annotations" / "Annotations.mat", arrays, do_compression=True)


def _emotic_entry(picture: Picture) -> dict[str, Any]:
    random = np.random.default_rng([picture.seed, pictures.SPLITS.index(picture.split), picture.index, 26])
    database = picture.path.parts[-3]
    original = {"name": database, "info": {"image_id": picture.index + 1, "annotations_id": picture.index + 1}}
    return {
        "filename": picture.path.name,
        "folder": f"{database}/images",
        "image_size": {"n_col": picture.width, "n_row": picture.height},
        "original_database": original,
        "person": _objects([_emotic_person(person, picture.split == "train", random) for person in picture.persons]),
    }


def _emotic_person(person: Truth, one_annotator: bool, random: np.random.Generator) -> dict[str, Any]:
    holds = random.random(len(taxonomy.EMOTIC)) < cues.EMOTIC_TABLE[person.cues.emotion]
    count = 1 if one_annotator else ANNOTATORS
    # Whatever holds is seen by one annotator, and by each of the others as often as not: the union is what holds.
    votes = holds & (random.random((count, len(holds))) < 0.5)
    votes[random.integers(count, size=len(holds)), np.arange(len(holds))] = holds
    affect = [np.clip(_ten(person.vad) + (random.integers(-1, 2, 3) if count > 1 else 0), 1, 10) for _ in range(count)]
    entry: dict[str, Any] = {
        "body_bbox": np.array(person.box),
        "annotations_categories": _structs([{"categories": _labels(vote)} for vote in votes]),
        "annotations_continuous": _structs([_continuous(values) for values in affect]),
        "gender": person.gender.capitalize(),
        "age": person.age.capitalize(),
    }
    if not one_annotator:
        entry["combined_categories"] = _labels(holds)
        entry["combined_continuous"] = _continuous(np.mean(affect, 0))
    return entry


def _labels(chosen: Any) -> Any:
    return _objects([label for label, is_so in zip(taxonomy.EMOTIC, chosen, strict=True) if is_so])


def _continuous(values: Any) -> dict[str, float]:
    return dict(zip(("valence", "arousal", "dominance"), map(float, values), strict=True))


def _structs(entries: list[dict[str, Any]]) -> Any:
    return entries[0] if len(entries) == 1 else _objects(entries)


def _objects(entries: Sequence[Any]) -> Any:
    """A Matlab cell: savemat would make an array of characters of strings."""
    cell = np.empty(len(entries), object)
    cell[:] = entries
    return cell


# --- HECO ----------------------------------------------------------------------------------------------------------


def _heco_job(job: Job) -> Job:
    return replace(job, path=job.path / "Data" / f"{_stem(job)}.jpg", somebody=True)


def _save_heco(folder: Path, drawn: Sequence[Picture]) -> None:
    """The labels, and the lists of the split where the loader looks for those that it made itself."""
    (folder / "Labels").mkdir(parents=True)
    with (folder / "Labels" / "HECO_Labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(heco.COLUMNS)
        for picture in drawn:
            for person in picture.persons:
                valence, arousal, dominance = _ten(person.vad)
                assurance = heco.SELF_ASSURANCE[min(int((dominance - 1) / 9 * 5), 4)]
                catharsis = heco.CATHARSIS[min(int((arousal - 1) / 9 * 4), 3)]
                label = cues.EMOTIONS[person.cues.emotion]
                table.writerow(
                    [picture.path.name, *person.box, label, assurance, catharsis, valence, arousal, dominance]
                )
    split = {name: [p.path.name for p in drawn if p.split == name] for name in splits.SPLITS}
    splits.write(split, folder / "splits", heco.PREFIX)


def _ten(vad: Iterable[float]) -> Any:
    """-1..1 to 1..10, whole numbers as annotators give them."""
    return np.round(np.asarray(tuple(vad)) * 4.5 + 5.5)


# --- AffectNet -----------------------------------------------------------------------------------------------------


def _affectnet_job(job: Job) -> Job:
    return _portrait(job, job.path / str(job.index % 10) / f"{_stem(job)}.jpg")


def _affectnet_npy_job(job: Job) -> Job:
    return _portrait(job, job.path / f"{job.split}_set" / "images" / f"{job.index}.jpg")


def _portrait(job: Job, path: Path) -> Job:
    label = taxonomy.AFFECTNET[job.index % len(taxonomy.AFFECTNET)]
    (expression,) = (face for face, meaning in cues.AFFECTNET_LABELS.items() if meaning == label)
    settings = replace(job.settings, width=PORTRAIT, height=PORTRAIT)
    return replace(job, path=path, settings=settings, expression=expression, somebody=True)


def _save_affectnet(folder: Path, drawn: Sequence[Picture]) -> None:
    for split, name in (("train", "training.csv"), ("val", "validation.csv")):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(affectnet.COLUMNS)
            for picture in (picture for picture in drawn if picture.split == split):
                (person,) = picture.persons
                left, top, right, bottom = map(round, _face(person))
                landmarks = ";".join(f"{value:.1f}" for value in _landmarks(person).reshape(-1))
                path = picture.path.relative_to(folder).as_posix()
                values = (_affectnet_label(person), *(f"{value:.4f}" for value in person.vad[:2]))
                table.writerow([path, left, top, right - left, bottom - top, landmarks, *values])


def _save_affectnet_npy(folder: Path, drawn: Sequence[Picture]) -> None:
    """Single values as texts without dimensions, as in the release."""
    for picture in drawn:
        annotations = picture.path.parent.parent / "annotations"
        annotations.mkdir(exist_ok=True)
        (person,) = picture.persons
        for key, value in (
            ("exp", str(_affectnet_label(person))),
            ("val", f"{person.vad[0]:.4f}"),
            ("aro", f"{person.vad[1]:.4f}"),
            ("lnd", _landmarks(person)),
        ):
            np.save(annotations / f"{picture.path.stem}_{key}.npy", np.asarray(value))


def _affectnet_label(person: Truth) -> int:
    return taxonomy.AFFECTNET.index(cues.AFFECTNET_LABELS[cues.EXPRESSIONS[person.cues.face]])


def _face(person: Truth) -> plans.Box:
    return person.head_box or person.box


def _landmarks(person: Truth) -> Any:
    """[68,2] points of a stencil laid on the head: about right, and there because the format has them."""
    left, top, right, bottom = _face(person)
    jaw = [(0.5 - 0.45 * np.cos(a), 0.45 + 0.5 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    brows = [(x, 0.33) for x in (*np.linspace(0.18, 0.42, 5), *np.linspace(0.58, 0.82, 5))]
    nose = [*((0.5, y) for y in np.linspace(0.42, 0.62, 4)), *((x, 0.66) for x in np.linspace(0.4, 0.6, 5))]
    turn = np.linspace(-np.pi, np.pi, 7)[:-1]
    eyes = [(x + 0.07 * np.cos(a), 0.43 + 0.03 * np.sin(a)) for x in (0.32, 0.68) for a in turn]
    lips = [
        (0.5 + w * np.cos(a), 0.8 + w / 2 * np.sin(a))
        for w, n in ((0.18, 12), (0.12, 8))
        for a in np.linspace(-np.pi, np.pi, n + 1)[:-1]
    ]
    return np.array([*jaw, *brows, *nose, *eyes, *lips]) * (right - left, bottom - top) + (left, top)


# --- EmoSet --------------------------------------------------------------------------------------------------------


def _emoset_job(job: Job) -> Job:
    scene = job.index % len(cues.EMOTIONS)
    label = cues.EMOSET_LABELS[cues.EMOTIONS[scene]]
    return replace(job, path=job.path / "image" / label / f"{_emoset_id(job, label)}.jpg", scene=scene)


def _emoset_id(job: Job, label: str) -> str:
    return f"{label}_{pictures.SPLITS.index(job.split)}{job.index:06}"


def _save_emoset(folder: Path, drawn: Sequence[Picture]) -> None:
    lists: dict[str, list[list[str]]] = {split: [] for split in pictures.SPLITS}
    for picture in drawn:
        label, stem = picture.path.parent.name, picture.path.stem
        names = [_drawing(thing).__name__.strip("_") for thing in picture.things]
        annotation = folder / "annotation" / label / f"{stem}.json"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        annotation.write_text(json.dumps({"image_id": stem, "emotion": label, "object": sorted(set(names))}), "utf-8")
        image = picture.path.relative_to(folder).as_posix()
        lists[picture.split].append([label, stem, image, annotation.relative_to(folder).as_posix()])
    for split, entries in lists.items():
        (folder / f"{split}.json").write_text(json.dumps(entries), "utf-8")
    indices = {label: index for index, label in enumerate(taxonomy.EMOSET)}
    info = {"emotion": {"label2idx": indices, "idx2label": {str(i): label for label, i in indices.items()}}}
    (folder / "info.json").write_text(json.dumps(info), "utf-8")


def _drawing(thing: plans.Thing) -> Any:
    return (objects.FURNITURE if thing.kind is None else objects.SCENE_OBJECTS[thing.kind])[thing.drawing]


# --- COCO, and a robot's own data in its form ------------------------------------------------------------------------

_COCO_FURNITURE = {"chair": 62, "plant": 64, "table": 67}
_COCO_NAMES = {1: "person", 62: "chair", 64: "potted plant", 67: "dining table"}


def _coco_job(job: Job) -> Job:
    number = pictures.SPLITS.index(job.split) * 10_000_000 + job.index + 1
    return replace(job, path=job.path / f"{job.split}2017" / f"{number:012}.jpg")


def _save_coco(folder: Path, drawn: Sequence[Picture]) -> None:
    """Boxes of what is to be seen, as COCO draws them, of people and of such furniture as COCO knows."""
    (folder / "annotations").mkdir()
    for split in ("train", "val"):
        images, annotations = [], []
        for picture in (picture for picture in drawn if picture.split == split):
            image_id = int(picture.path.stem)
            images.append(_coco_image(image_id, picture.path.name, picture))
            boxes = [(1, person.visible_box) for person in picture.persons]
            for thing in picture.things:
                if category := _COCO_FURNITURE.get(_drawing(thing).__name__.strip("_")):
                    boxes.append((category, thing.box))
            annotations += [
                {"image_id": image_id, "category_id": category, "iscrowd": 0, **_coco_box(box)}
                for category, box in boxes
            ]
        categories = [{"id": number, "name": name} for number, name in _COCO_NAMES.items()]
        content = {"images": images, "annotations": _numbered(annotations), "categories": categories}
        (folder / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content), "utf-8")


def _own_job(job: Job) -> Job:
    return replace(job, path=job.path / "images" / f"{_stem(job)}.jpg")


def _save_own(folder: Path, drawn: Sequence[Picture]) -> None:
    for split in sorted(Counter(picture.split for picture in drawn)):
        chosen = [picture for picture in drawn if picture.split == split]
        named = [(picture.path.relative_to(folder / "images").as_posix(), picture, "") for picture in chosen]
        (folder / f"{split}.json").write_text(json.dumps(own_content(named)), "utf-8")


def own_content(named: Iterable[tuple[str, Any, str]]) -> dict[str, Any]:
    """A json of the format "own": everybody, with their emotion, VAD and track.

    Args:
        named: for each image its file name, something with ``width``, ``height`` and ``persons``, and what to put
            before the persons' track ids, which are unique within one scene; without it they are left out.
    """
    images, annotations = [], []
    for image_id, (name, picture, tracks) in enumerate(named, 1):
        images.append(_coco_image(image_id, name, picture))
        for person in picture.persons:
            entry = {
                "image_id": image_id,
                "category_id": 1,
                **_coco_box(person.box),
                "emotions": [cues.EMOTIONS[person.cues.emotion]],
                "vad": [round(value, 4) for value in person.vad],
                "gender": person.gender,
                "age": person.age,
            }
            annotations.append(entry | ({"track_id": tracks + person.track_id} if tracks else {}))
    return {
        "info": {"label_set": "heco", "box_kind": "body", "exhaustive": True},
        "images": images,
        "annotations": _numbered(annotations),
        "categories": [{"id": 1, "name": "person"}],
    }


def _coco_image(image_id: int, name: str, picture: Any) -> dict[str, Any]:
    return {"id": image_id, "file_name": name, "width": picture.width, "height": picture.height}


def _coco_box(box: plans.Box) -> dict[str, Any]:
    left, top, right, bottom = (round(edge, 2) for edge in box)
    return {"bbox": [left, top, right - left, bottom - top], "area": plans.area(box)}


def _numbered(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Annotations with ids from 1 on: 0 means "none" to COCO's evaluator."""
    return [{"id": number, **annotation} for number, annotation in enumerate(annotations, 1)]


@dataclass(frozen=True, slots=True)
class Format:
    """How a data set lies on disk."""

    job: Callable[[Job], Job]
    """Completes the job of one picture, whose path is the data set's folder."""
    save: Callable[[Path, Sequence[Picture]], None]
    """Writes the annotations."""
    splits: tuple[str, ...] = pictures.SPLITS


FORMATS = {
    "emotic": Format(_emotic_job, _save_emotic),
    "heco": Format(_heco_job, _save_heco),
    "affectnet": Format(_affectnet_job, _save_affectnet, ("train", "val")),
    "affectnet_npy": Format(_affectnet_npy_job, _save_affectnet_npy, ("train", "val")),
    "emoset": Format(_emoset_job, _save_emoset),
    "coco": Format(_coco_job, _save_coco, ("train", "val")),
    "own": Format(_own_job, _save_own),
}
"""affectnet_npy is AffectNet's other form, faces alone."""
