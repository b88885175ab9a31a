from __future__ import annotations

from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from graphs import write_bundle
from tiny_student import LABELS, write_checkpoint, write_own

from caer_ros.offline.data import load
from caer_ros.offline.data import predictions as tables
from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions, Tracked
from caer_ros.offline.evaluation import predict
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.offline.export.demo_photos import demo_pictures
from caer_ros.offline.systems.benet import person_centric
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.training.checkpoint import PREFIX, save
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.perception.bundle.bundle import Thresholds
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.perception.predictors import predictor
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S, EMOTIC, HECO

CPU = EngineSettings("cpu", threads=1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return load("own", write_own(tmp_path_factory.mktemp("own")), "test")


@pytest.fixture(scope="session")
def predicted(student_bundle, dataset):
    return predict.predict_bundle(read_bundle(student_bundle), dataset.samples, CPU, "own test")


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
    node = predictor.load(read_bundle(student_bundle), CPU)
    for sample, image in zip(dataset.samples, predicted.images, strict=True):
        (answer,) = node([image_files.read(sample.path)], predicted.header.thresholds["kept"])
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
    (photo,) = [picture for picture in demo_pictures() if picture.shape[0] == picture.shape[1]][:1]
    root = write_own(tmp_path / "own", images=2)
    cv2.imwrite(str(root / "test_1.png"), cv2.resize(photo, (120, 90))[..., ::-1])
    dataset = load("own", root, "test")
    result = predict.predict_bundle(read_bundle(find_bundle("bootstrap")), dataset.samples, CPU)
    assert all(image.pooled is None for image in result.images)
    assert all(image.emotions.shape == (len(image.boxes), 7) for image in result.images)


def test_a_person_below_the_threshold_does_not_fill_the_list(student_bundle, dataset):
    bundle = read_bundle(student_bundle)
    strict = replace(bundle, thresholds=Thresholds(0.99, 0.4))
    loose = replace(bundle, thresholds=Thresholds(0.01, 0.4))
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


# --- How emotions are read -----------------------------------------------------------------------------------------

SHORT_SIDE = {"mode": "short_side", "short": 64, "max": 640, "multiple": 32, "interpolation": "linear"}


def hand_made(folder, emotions, **changes):
    """A bundle of two slots that box the whole image and its left half, and say ``emotions`` [2,3] of them."""
    graph = {
        "scores": (0.002, 0.001),  # far below what a table keeps
        "emotions": np.asarray(emotions, np.float32),
        "shift": np.array([[0, 0, 0, 0], [0, 0, -0.5, 0]]),
        **changes.pop("graph", {}),
    }
    return read_bundle(write_bundle(folder, graph, resize=SHORT_SIDE, **changes))


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """One white image of 90×120, which the rule brings to 64×96, and three persons."""
    path = tmp_path_factory.mktemp("bright") / "white.png"
    assert cv2.imwrite(str(path), np.full((90, 120, 3), 255, np.uint8))
    boxes = np.array([[1, 1, 118, 88], [3, 3, 50, 80], [13, 31, 22, 40]], np.float32)
    root = write_own(tmp_path_factory.mktemp("own"))
    sample = next(sample for sample in load("own", root, "test").samples if len(sample) == 1)
    arrays = ("emotions", "vad", "votes", "weights", "face_boxes")
    many = {name: np.repeat(getattr(sample, name), 3, axis=0) for name in arrays}
    return replace(sample, path=path, boxes=boxes, gender=("",) * 3, age=("",) * 3, faces=("",) * 3, **many)


def test_a_bundle_of_queries_is_read_in_the_slot_that_overlaps_most(tmp_path, bright):
    emotions = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    bundle = hand_made(tmp_path / "queries", emotions, pooling="query", predictable=list(LABELS[:2]))
    result = predict.predict_bundle(bundle, [bright], CPU)
    (image,) = result.images
    assert len(image.boxes) == 0  # no score suffices for a person, and yet
    np.testing.assert_allclose(image.pooled[:, :2], emotions[[0, 1, 1], :2], rtol=1e-6)
    assert np.isnan(image.pooled[:, 2]).all()
    assert result.header.pooling == ("query",)


@pytest.mark.parametrize("score_type", ["sigmoid", "softmax"])
def test_a_bundle_of_centres_is_read_off_the_enlarged_probabilities(tmp_path, bright, score_type):
    import torch

    maps = np.random.default_rng(0).normal(0, 2, (3, 32, 48)).astype(np.float32)  # stride 2
    bundle = hand_made(
        tmp_path / score_type,
        np.full((2, 3), 0.5),
        graph={"emotion_maps": maps},
        pooling="centre",
        score_type=score_type,
    )
    (image,) = predict.predict_bundle(bundle, [bright], CPU).images
    probabilities = torch.sigmoid(torch.from_numpy(maps))[None]
    enlarged = torch.nn.functional.interpolate(probabilities, (64, 96), mode="bilinear", align_corners=False)[0]
    # Centres 59, 44 and 26, 41 and 17, 35 of 120×90 are at 47, 31 and 20, 29 and 13, 24 of 96×64.
    expected = enlarged[:, [31, 29, 24], [47, 20, 13]].T
    if score_type == "softmax":
        expected = expected.logit().softmax(1)
    np.testing.assert_allclose(image.pooled, expected, atol=1e-5)


def test_a_bundle_of_attention_is_read_where_a_face_may_be(tmp_path, bright):
    import torch

    from caer_ros.offline.systems.people import attention

    random = np.random.default_rng(1)
    maps, face = (random.normal(0, 3, (channels, 8, 12)).astype(np.float32) for channels in (3, 1))
    graph = {"emotion_maps": maps, "attention": face}
    bundle = hand_made(
        tmp_path / "attention",
        [[0.2, 0.3, 0.5]] * 2,
        graph=graph,
        pooling="box_attention",
        predictable=list(LABELS[:2]),
    )
    (image,) = predict.predict_bundle(bundle, [bright], CPU).images
    boxes = torch.from_numpy(bright.boxes)[None] * torch.tensor([96 / 120, 64 / 90] * 2) / 8
    expected = attention.pool(torch.from_numpy(maps)[None], boxes, torch.from_numpy(face)[None])[0].softmax(1)
    np.testing.assert_allclose(image.pooled[:, :2], expected[:, :2], atol=1e-4)  # the third competes, and is not said
    assert np.isnan(image.pooled[:, 2]).all()


def test_without_maps_only_queries_can_be_read(tmp_path, bright):
    bundle = hand_made(tmp_path / "bare", np.full((2, 3), 0.5), pooling="box_mean")
    (image,) = predict.predict_bundle(bundle, [bright], CPU).images
    assert image.pooled is None


def test_the_table_says_how_it_was_read(student_bundle, dataset, predicted, tmp_path):
    assert predicted.header.pooling == ("box_mean",)
    path = tmp_path / "predictions.jsonl"
    tables.write(path, predicted)
    assert tables.read_header(path) == predicted.header


@pytest.mark.parametrize("option", ["flip", "person_centric"])
def test_what_belongs_to_benet_is_refused_of_others(student_checkpoint, dataset, option):
    with pytest.raises(
        EvaluationError,
        match=r"best\.ckpt: holds a student, which is not evaluated with --.*: give the checkpoint of a \"benet\"",
    ):
        predict.predict_checkpoint(student_checkpoint, dataset.samples, "cpu", manners=(option,))


@pytest.fixture(scope="module")
def benet_checkpoint(tmp_path_factory):
    return write_benet(tmp_path_factory.mktemp("benet") / "best.ckpt")


def write_benet(path, **config):
    """A tiny BENet with weights that are large enough for scores to differ, short side 64."""
    import torch

    from caer_ros.offline.systems.benet.network import Benet

    config = BenetConfig(width=8, modules=1, blocks=1, **config)
    torch.manual_seed(0)
    network = Benet(config, len(LABELS))
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    card = CheckpointCard(
        task="benet",
        config={"benet": asdict(config)},
        labels=LABELS,
        known=LABELS,
        label_set="moods",
        multi_label=True,
        box_kind=BoxKind.BODY,
        resize=Resize("short_side", short=64, longest=640, multiple=64),
        version="0.1.0",
        commit="",
        data="nothing: random weights",
        recipe="none",
        epoch=0,
        metrics={},
    )
    entries = {PREFIX + name: value for name, value in network.state_dict().items()}
    save({"caer": plain_card(card), "state_dict": entries}, path)
    return path


def test_a_benet_is_read_at_centres_as_its_own_codec_reads(benet_checkpoint, dataset):
    """At the input's size, so that nothing lies between the two."""
    import torch

    from caer_ros.offline.export import loading
    from caer_ros.offline.systems.benet import codec as codec

    picture = image_files.read(dataset.samples[0].path)[:64, :64]
    sample = next(sample for sample in dataset.samples if len(sample) == 2)
    boxes = np.array([[3, 5, 21, 40], [30, 2, 63, 60]], np.float32)
    graph, card = loading.load_graph(benet_checkpoint)
    bundle = predict._as_bundle(benet_checkpoint, card, graph)
    ask = predict._single_shot(bundle, predict._network(graph))
    _, pooled = ask(replace(sample, boxes=boxes, size=(64, 64)), picture, 0.01, None)
    with torch.inference_mode():
        maps = codec.merge(graph.network(graph.normalised(torch.from_numpy(picture.copy())[None])))
    expected = codec.read_at_boxes(maps.emotion_maps, torch.from_numpy(boxes)[None])[0]
    assert np.ptp(pooled) > 0.01
    np.testing.assert_allclose(pooled, expected, atol=1e-4)


def test_a_benet_can_be_read_as_its_published_scores_are(benet_checkpoint, dataset, monkeypatch):
    asked, samples = [], dataset.samples[1:3]

    def refined(network, found, samples, watch, flip, short):
        asked.append((network.config.width, len(samples), flip, watch, short))
        return replace(found, images=[replace(image, pooled=image.pooled * 0) for image in found.images])

    monkeypatch.setattr(person_centric, "refined", refined)

    def ask(**options):
        return predict.predict_checkpoint(benet_checkpoint, samples, "cpu", **options)

    def read(table):
        return np.concatenate([image.pooled for image in table.images])

    plain, flipped = ask(), ask(manners=("flip",))
    assert asked == []
    assert (plain.header.pooling, flipped.header.pooling) == (("centre",), ("centre", "flip"))
    assert plain.header.max_persons == 15
    assert np.abs(read(plain) - read(flipped)).max() > 1e-3
    both = ask(manners=("flip", "person_centric"))
    assert asked == [(8, len(samples), True, iter, 64)]  # the checkpoint's own size
    assert both.header.pooling == ("centre", "flip", "person_centric")
    assert not read(both).any()
    for ours, theirs in zip(flipped.images, both.images, strict=True):
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)  # those who are found stay


def test_a_benet_without_the_head_cannot_take_part_by_it(tmp_path, dataset):
    path = write_benet(tmp_path / "best.ckpt", person_centric=False)
    with pytest.raises(EvaluationError, match=r"best\.ckpt: this BENet has no person-centric head"):
        predict.predict_checkpoint(path, dataset.samples, "cpu", manners=("person_centric",))


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
