from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from caer_ros import taxonomy
from caer_ros.offline import data
from caer_ros.offline.data.synthetic import cues, drawn_truth, folders, pictures, plans
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import image_files as images
from caer_ros.recordings.annotations.sample import DatasetError

SMALL = plans.Settings(width=96, height=72)
COUNTS = {"train": 9, "val": 4, "test": 5}


@pytest.fixture(scope="module", params=list(folders.FORMATS))
def written(request, tmp_path_factory):
    """Name of the format, and a folder of it."""
    name = request.param
    counts = {split: COUNTS[split] for split in folders.FORMATS[name].splits}
    return name, folders.write(name, tmp_path_factory.mktemp(name), counts, SMALL, seed=1)


def samples(written, split):
    """Each sample with what is true about it."""
    name, folder = written
    dataset = data.load(name.removesuffix("_npy"), folder, split)
    findings = dataset.findings
    assert not [*findings.unreadable, *findings.skipped, *findings.repaired, *findings.warnings]
    known = {image.image: image for image in drawn_truth.read(folder).images}
    return dataset, [(sample, known[sample.path.relative_to(folder).as_posix()]) for sample in dataset.samples]


def test_the_loader_reads_what_was_written(written):
    name, _ = written
    for split in folders.FORMATS[name].splits:
        dataset, pairs = samples(written, split)
        assert len(pairs) == COUNTS[split]
        for sample, true in pairs:
            assert true.split == split
            assert images.read(sample.path).shape == (*sample.size, 3)
            assert sample.size == ((128, 128) if name.startswith("affectnet") else (72, 96))
            if name in ("emotic", "heco", "own", "coco"):
                part = "visible_box" if name == "coco" else "box"
                boxes = np.reshape([details[part] for details in true.details], (-1, 4))
                np.testing.assert_allclose(sample.boxes, boxes, atol=0.02)
            if name in ("heco", "own"):
                assert sample.emotions.argmax(1).tolist() == [person.emotion for person in true.persons]
                vad = np.reshape([details["vad"] for details in true.details], (-1, 3))
                np.testing.assert_allclose(sample.vad, vad, atol=0.5 / 4.5 + 1e-3 if name == "heco" else 1e-3)
            if name in ("emotic", "own"):
                assert list(sample.gender) == [details["gender"] for details in true.details]
                assert list(sample.age) == [details["age"] for details in true.details]
        if name in ("heco", "emotic"):
            assert all(len(sample) for sample, _ in pairs), "these sets have no images without people"
        assert dataset.label_set == {"affectnet_npy": "affectnet", "own": "heco"}.get(name, dataset.label_set)


@pytest.mark.parametrize("written", ["emotic"], indirect=True)
def test_emotic(written):
    for split in COUNTS:
        for sample, true in samples(written, split)[1]:
            assert sample.image_id.split("/")[0] in ("mscoco", "framesdb", "emodb_small", "ade20k")
            for emotions, votes, person in zip(sample.emotions, sample.votes, true.persons, strict=True):
                counterpart = taxonomy.counterparts("heco", "emotic")[cues.EMOTIONS[person.emotion]]
                assert emotions[taxonomy.EMOTIC.index(counterpart)] == 1
                assert ((votes > 0) == (emotions == 1)).all(), "the union of the annotators"
                assert set(np.round(votes * (1 if split == "train" else 3), 3)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("written", ["affectnet", "affectnet_npy"], indirect=True)
def test_affectnet(written):
    dataset, pairs = samples(written, "train")
    labels = [dataset.labels[sample.emotions[0].argmax()] for sample, _ in pairs]
    assert set(labels) == set(taxonomy.AFFECTNET)
    for (sample, true), label in zip(pairs, labels, strict=True):
        assert true.details[0]["face"] in [face for face, meaning in cues.AFFECTNET_LABELS.items() if meaning == label]
        assert sample.box_kind is BoxKind.FACE
        assert sample.vad[0, :2] == pytest.approx(true.details[0]["vad"][:2], abs=1e-3)
        if written[0] == "affectnet":
            np.testing.assert_allclose(sample.boxes[0], true.details[0]["head_box"], atol=0.51)


@pytest.mark.parametrize("written", ["emoset"], indirect=True)
def test_emoset(written):
    dataset, pairs = samples(written, "train")
    for sample, true in pairs:
        label = dataset.labels[sample.emotions[0].argmax()]
        assert label == cues.EMOSET_LABELS[cues.EMOTIONS[true.scene]]
    assert len({true.scene for _, true in pairs}) == 8
    annotation = json.loads(next(written[1].glob("annotation/anger/*.json")).read_text())
    assert {"flames", "broken_window", "boxing_glove"} & set(annotation["object"])


@pytest.mark.parametrize("written", ["coco"], indirect=True)
def test_coco(written):
    content = json.loads((written[1] / "annotations" / "instances_train2017.json").read_text())
    annotations = content["annotations"]
    assert [annotation["id"] for annotation in annotations] == list(range(1, len(annotations) + 1))
    assert {annotation["category_id"] for annotation in annotations} > {1}, "not only people"


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path):
    few, many = (
        folders.write("heco", tmp_path / str(count), {"train": count, "test": 2}, SMALL, seed=5) for count in (1, 3)
    )
    for path in few.glob("Data/*.jpg"):
        assert path.read_bytes() == (many / "Data" / path.name).read_bytes()
    assert len(list(many.glob("Data/*.jpg"))) == 5


def test_the_seed_counts(tmp_path):
    first, second = (folders.write("own", tmp_path / str(seed), {"train": 1}, SMALL, seed=seed) for seed in (1, 2))
    name = "images/train_000000.jpg"
    assert (first / name).read_bytes() != (second / name).read_bytes()


def test_several_processes_draw_the_same(tmp_path):
    jobs = [pictures.Job(SMALL, 0, "train", index, tmp_path / f"{index}.png") for index in range(20)]
    again = [replace(job, path=tmp_path / "again" / job.path.name) for job in jobs]
    one, two = list(pictures.draw(jobs)), list(pictures.draw(again, processes=2))
    assert [picture.persons for picture in one] == [picture.persons for picture in two]
    for a, b in zip(jobs, again, strict=True):
        assert a.path.read_bytes() == b.path.read_bytes()


def test_the_dials_are_in_the_data(tmp_path):
    """With all dials at 1 face, posture and scene are the emotion; with 0 they are whatever."""
    for value in (0.0, 1.0):
        settings = replace(SMALL, dials=cues.Dials(value, value, value, 0.0), people=(0, 0, 0, 1))
        true = drawn_truth.read(folders.write("own", tmp_path / str(value), {"train": 12}, settings))
        assert true.dials == settings.dials
        persons = [person for image in true.images for person in image.persons]
        agree = np.mean([(p.face == p.emotion) + (p.posture == p.emotion) + (p.scene == p.emotion) for p in persons])
        assert agree == 3 if value else agree < 1


def test_the_bound_of_a_set_of_images(tmp_path):
    folder = folders.write("own", tmp_path / "set", {"train": 3}, SMALL)
    true = drawn_truth.read(folder)
    wanted = [image.image for image in reversed(true.images)]
    scores = drawn_truth.best_scores(true, wanted)
    for image, rows in zip(wanted, scores, strict=True):
        persons = next(entry.persons for entry in true.images if entry.image == image)
        np.testing.assert_allclose(rows, cues.best_scores(true.dials, persons), atol=1e-8)


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(DatasetError, match="not empty"):
        folders.write("heco", tmp_path / "full", {"train": 1})
    with pytest.raises(DatasetError, match="no format is called 'imagenet'"):
        folders.write("imagenet", tmp_path / "new", {"train": 1})
    with pytest.raises(DatasetError, match="affectnet has no split 'test'"):
        folders.write("affectnet", tmp_path / "new", {"test": 1})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"format": 99}', "nothing"])
def test_what_is_no_truth(tmp_path, content):
    (tmp_path / drawn_truth.FILE).write_text(content)
    with pytest.raises(DatasetError, match="not a truth file"):
        drawn_truth.read(tmp_path)


def test_truth_is_whole_or_not_there(tmp_path):
    def broken_off():
        yield from ()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawn_truth.write(tmp_path, broken_off(), plans.Settings(), 0)
    assert not (tmp_path / drawn_truth.FILE).exists()


def test_equal_persons_of_two_images_are_told_apart():
    """Else those with equal cues would be tied over the whole set, and average precision is higher with ties."""
    same = cues.Cues(4, 4, 4, 4)
    images = tuple(drawn_truth.TrueImage(name, "test", 4, (same,), ({},)) for name in ("a.jpg", "b.jpg"))
    first, second = drawn_truth.best_scores(drawn_truth.TrueSet(cues.Dials(), 0, images), ["a.jpg", "b.jpg"])
    assert first.shape == second.shape == (1, 8)
    assert (first != second).any()
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_no_truth(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        drawn_truth.read(tmp_path)
