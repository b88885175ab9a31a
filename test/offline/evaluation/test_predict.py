from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_student import LABELS, write_checkpoint, write_own

from caer_ros.offline import export
from caer_ros.offline.datasets import images, load
from caer_ros.offline.evaluation import predict
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.offline.predictions import ImagePrediction, PredictionHeader, Predictions, Tracked
from caer_ros.offline.sample import DatasetError
from caer_ros.perception import bundle as bundles
from caer_ros.perception import predictor
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.taxonomy import CAER_S, EMOTIC, HECO

CPU = EngineSettings("cpu", threads=1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return load("own", write_own(tmp_path_factory.mktemp("own")), "test")


@pytest.fixture(scope="session")
def predicted(student_bundle, dataset):
    return predict.predict_bundle(bundles.read(student_bundle), dataset.samples, CPU, "own test")


def test_a_checkpoint_and_its_bundle_give_the_same_table(student_checkpoint, dataset, predicted):
    other = predict.predict_checkpoint(student_checkpoint, dataset.samples, "cpu", max_persons=8)
    assert [image.image_id for image in other.images] == [sample.image_id for sample in dataset.samples]
    assert sum(len(image.boxes) for image in other.images) > 2 * len(dataset.samples)
    for ours, theirs in zip(predicted.images, other.images, strict=True):
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.5)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
        np.testing.assert_allclose(ours.emotions, theirs.emotions, atol=1e-3)
        np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=1e-3)
    assert other.header.model == "checkpoints/best.ckpt".replace(
        "checkpoints", f"{student_checkpoint.parts[-3]}/checkpoints"
    )
    assert replace(predicted.header, model="", model_version="", source="", thresholds={}) == replace(
        other.header, model="", model_version="", source="", thresholds={}
    )


def test_persons_are_those_that_the_node_gets(student_bundle, dataset, predicted):
    node = predictor.load(bundles.read(student_bundle), CPU)
    for sample, image in zip(dataset.samples, predicted.images, strict=True):
        (answer,) = node([images.read(sample.path)], predicted.header.thresholds["kept"])
        assert len(answer.persons) == len(image.boxes) > 0
        for person, box, score, emotions in zip(answer.persons, image.boxes, image.scores, image.emotions, strict=True):
            np.testing.assert_allclose(person.box, box, atol=0.5)
            assert person.confidence == pytest.approx(score, abs=1e-3)
            np.testing.assert_allclose(person.scores, emotions, atol=1e-3)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_annotated_boxes_are_read_where_found_ones_are(tmp_path, dataset, mode):
    """Boxes that the model found, given back as annotations, must read as they did: size, aspect and padding cancel."""
    path = write_checkpoint(tmp_path / "best.ckpt", mode=mode, multi_label=mode == "stretch")
    found = predict.predict_checkpoint(path, dataset.samples, "cpu")
    samples, expected = [], []
    for sample, image in zip(dataset.samples, found.images, strict=True):
        height, width = sample.size
        # Found boxes are clipped to the image, after they were read.
        inside = ((image.boxes > 0) & (image.boxes < [width, height, width, height])).all(axis=1)
        samples.append(replace(sample, boxes=image.boxes[inside]))
        expected.append(image.emotions[inside])
    assert sum(map(len, expected)) >= 10
    again = predict.predict_checkpoint(path, samples, "cpu")
    for image, emotions in zip(again.images, expected, strict=True):
        np.testing.assert_allclose(image.pooled, emotions, atol=1e-4)


def test_a_student_that_finds_nobody_still_reads_given_boxes(tmp_path, dataset):
    path = write_checkpoint(tmp_path / "er.ckpt", detection=False)
    result = predict.predict_checkpoint(path, dataset.samples, "cpu")
    assert result.header.max_persons == 0
    for sample, image in zip(dataset.samples, result.images, strict=True):
        assert image.boxes.shape == (0, 4)
        assert image.emotions.shape == (0, 3)
        assert image.pooled.shape == (len(sample), 3)
        assert np.isfinite(image.pooled).all()
        assert not image.saturated


@pytest.mark.parametrize("known", [("calm", "glad"), ("cross",), ()])
def test_labels_that_were_not_taught_are_nan_and_take_no_part(tmp_path, dataset, known):
    everything = write_checkpoint(tmp_path / "all.ckpt", multi_label=False)
    path = write_checkpoint(tmp_path / "best.ckpt", multi_label=False, known=known)
    taught = np.array([label in known for label in LABELS])
    results = [predict.predict_checkpoint(p, dataset.samples, "cpu", max_persons=8) for p in (everything, path)]
    persons = 0
    for whole, part in zip(*(result.images for result in results), strict=True):
        for before, scores in ((whole.emotions, part.emotions), (whole.pooled, part.pooled)):
            persons += len(scores)
            assert np.isnan(scores[:, ~taught]).all()
            expected = before[:, taught] / before[:, taught].sum(axis=1, keepdims=True)
            np.testing.assert_allclose(scores[:, taught], expected, atol=1e-5)
    assert persons > 2 * len(dataset.samples)


def test_a_composed_bundle_has_persons_and_no_pooled_scores(tmp_path):
    (photo,) = [picture for picture in export.demo_pictures() if picture.shape[0] == picture.shape[1]][:1]
    root = write_own(tmp_path / "own", images=2)
    cv2.imwrite(str(root / "test_1.png"), cv2.resize(photo, (120, 90))[..., ::-1])
    dataset = load("own", root, "test")
    result = predict.predict_bundle(bundles.read(bundles.find("bootstrap")), dataset.samples, CPU)
    assert all(image.pooled is None for image in result.images)
    assert all(image.emotions.shape == (len(image.boxes), 7) for image in result.images)


def test_a_person_below_the_threshold_does_not_fill_the_list(student_bundle, dataset):
    bundle = bundles.read(student_bundle)
    strict = replace(bundle, thresholds=bundles.Thresholds(0.99, 0.4))
    loose = replace(bundle, thresholds=bundles.Thresholds(0.01, 0.4))
    filled = [
        [image.saturated for image in predict.predict_bundle(b, dataset.samples[:2], CPU).images]
        for b in (strict, loose)
    ]
    assert filled == [[False, False], [True, True]]


def test_images_come_in_order_and_are_checked(dataset, tmp_path):
    many = [replace(sample, image_id=str(n)) for n, sample in enumerate(dataset.samples * 5)]
    assert [sample.image_id for sample, _ in predict.read_ahead(many)] == [str(n) for n in range(len(many))]
    assert list(predict.read_ahead([])) == []
    wrong = replace(dataset.samples[1], size=(91, 120))
    with pytest.raises(DatasetError, match=r"90×120 pixels .*annotated as 91×120"):
        list(predict.read_ahead([dataset.samples[0], wrong]))
    gone = replace(dataset.samples[0], path=tmp_path / "gone.png")
    with pytest.raises(DatasetError, match=r"gone\.png"):
        list(predict.read_ahead([gone]))


# --- Other labels --------------------------------------------------------------------------------------------------


def predictions(label_set, labels):
    """One image with one person, whose scores count up from 0."""
    header = PredictionHeader(
        "m", "0", label_set, labels, ScoreType.SOFTMAX, BoxKind.BODY, "", 1, {"person": 0.5, "kept": 0.0}
    )
    scores = np.arange(len(labels), dtype=np.float32)[None] / 100
    image = ImagePrediction("a", (9, 9), np.zeros((1, 4), np.float32), np.ones(1, np.float32), scores, scores + 0.5)
    return Predictions(header, (image,))


def annotated(dataset, label_set, labels):
    return replace(dataset, label_set=label_set, labels=labels)


def test_the_same_labels_are_left_alone(dataset):
    given = predictions("moods", LABELS)
    assert predict.relabel(given, dataset) == (given, "")


def test_other_labels_are_mapped_by_their_meaning(dataset):
    mapped, said = predict.relabel(predictions("caer_s", CAER_S), annotated(dataset, "emotic", EMOTIC))
    assert mapped.header.labels == EMOTIC
    assert mapped.header.label_set == "emotic"
    image = mapped.images[0]
    expected = {"Anger": 0.0, "Aversion": 0.01, "Fear": 0.02, "Happiness": 0.03, "Sadness": 0.05, "Surprise": 0.06}
    for label, score in zip(EMOTIC, image.emotions[0], strict=True):
        assert score == pytest.approx(expected.get(label, np.nan), nan_ok=True), label
    np.testing.assert_allclose(image.pooled, image.emotions + 0.5, rtol=1e-6)
    assert "Happy as Happiness" in said
    assert "Never predicted, so at chance: Affection, " in said


def test_one_label_can_stand_for_the_other_set_s_only_where_it_means_it(dataset):
    mapped, _ = predict.relabel(predictions("caer_s", CAER_S), annotated(dataset, "heco", HECO))
    assert mapped.images[0].emotions[0, HECO.index("Peace")] == pytest.approx(0.04)  # Neutral
    assert np.isnan(mapped.images[0].emotions[0, HECO.index("Excitement")])


def test_sets_of_ones_own_are_mapped_by_name(dataset):
    mapped, said = predict.relabel(predictions("mine", ("Glad", "sad")), dataset)
    np.testing.assert_allclose(mapped.images[0].emotions, [[np.nan, np.nan, 0.0]])
    assert "calm, cross" in said


def test_a_set_without_labels_keeps_the_persons(dataset):
    given = predictions("mine", ("Glad", "sad"))
    bare, said = predict.relabel(given, annotated(dataset, "coco", ()))
    assert said == "The set has no emotions: PD only."
    assert bare.header.labels == ()
    (image,) = bare.images
    assert image.emotions.shape == (1, 0)
    assert image.pooled is None
    assert image.boxes is given.images[0].boxes


@pytest.mark.parametrize(("top", "expected"), [(1, 2), (0, -1), (-1, -1)])
def test_what_is_known_of_tracks_is_mapped_too(dataset, top, expected):
    """The model's labels are sad, which the set has not, and Glad, which is the set's third."""
    smoothed = np.array([[0.7, 0.3]], np.float32)
    tracked = Tracked(("1-1",), np.array([False]), smoothed, np.array([top]))
    given = predictions("mine", ("sad", "Glad"))
    given = replace(given, images=[replace(given.images[0], tracked=tracked)])
    changed = predict.relabel(given, dataset)[0].images[0].tracked
    np.testing.assert_array_equal(changed.smoothed, np.array([[np.nan, np.nan, 0.3]], np.float32))
    assert (changed.ids, changed.top.tolist()) == (("1-1",), [expected])
    bare = predict.relabel(given, annotated(dataset, "coco", ()))[0].images[0].tracked
    assert bare.smoothed.shape == (1, 0)
    assert bare.top.tolist() == [-1]


def test_nothing_in_common_is_an_error(dataset):
    with pytest.raises(EvaluationError, match=r'm predicts "mine" \(x, y\), and none of these means a label of own'):
        predict.relabel(predictions("mine", ("x", "y")), dataset)
