from __future__ import annotations

import numpy as np
import onnx
import pytest
from graphs import LABELS, single_shot, write_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineError, EngineSettings
from caer_ros.perception.imaging.resizing import plan
from caer_ros.perception.person import BoxKind, EmotionStatus
from caer_ros.perception.predictors import predictor as predictors

CPU = EngineSettings("cpu", threads=1)
STRETCH = {"mode": "stretch", "size": [96, 128], "interpolation": "nearest"}
LETTERBOX = {"mode": "letterbox", "size": [96, 128], "interpolation": "nearest"}
SHORT_SIDE = {"mode": "short_side", "short": 64, "max": 200, "multiple": 8, "interpolation": "nearest"}
NAN = np.nan


def load(folder, graph=None, engine=CPU, **changes):
    return predictors.load(read_bundle(write_bundle(folder, graph, **changes)), engine)


def picture(height, width, box, brightness=255):
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = brightness
    return image


@pytest.fixture(scope="module", params=[STRETCH, LETTERBOX, SHORT_SIDE], ids=lambda rule: rule["mode"])
def finder(request, tmp_path_factory):
    return load(tmp_path_factory.mktemp(request.param["mode"]), resize=request.param)


@given(st.data(), st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_come_back_to_the_source(finder, data, height, width):
    """The graph boxes bright pixels, so its boxes have been through resizing, padding, the network and back."""
    fit = plan(finder.bundle.resize, height, width)
    x, y = width / fit.resized[1], height / fit.resized[0]  # source pixels to a pixel of the input
    # At least two pixels of the input, so that nearest-neighbour resizing cannot lose it.
    box_width = data.draw(st.integers(min(width, int(2 * x) + 1), width))
    box_height = data.draw(st.integers(min(height, int(2 * y) + 1), height))
    left = data.draw(st.integers(0, width - box_width))
    top = data.draw(st.integers(0, height - box_height))
    box = (left, top, left + box_width, top + box_height)
    (person,) = finder([picture(height, width, box)])[0].persons
    assert person.box.dtype == np.float32
    assert np.all(np.abs(person.box - box) <= np.array([x, y, x, y]) + 1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 7), (7, 1), (333, 1000), (1000, 333), (1, 1)])
def test_the_whole_image_is_exactly_the_whole_image(finder, height, width):
    (person,) = finder([picture(height, width, (0, 0, width, height))])[0].persons
    np.testing.assert_allclose(person.box, [0, 0, width, height], rtol=1e-6)


@pytest.mark.parametrize("rule", [STRETCH, LETTERBOX])
def test_pixels_map_exactly_where_the_scale_is_whole(rule, tmp_path):
    """Four times smaller or larger, with a letterbox's bar to the right: no pixel is lost, so no error is allowed."""
    model = load(tmp_path, resize=rule | {"size": [96, 128]})
    small = picture(24, 32 if rule is STRETCH else 20, (3, 5, 17, 22))
    large = picture(384, 512 if rule is STRETCH else 300, (40, 80, 280, 360))
    np.testing.assert_array_equal(model([small])[0].persons[0].box, [3, 5, 17, 22])
    np.testing.assert_array_equal(model([large])[0].persons[0].box, [40, 80, 280, 360])


def test_a_person(tmp_path):
    emotions = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.3, 0.3, 0.4]])
    model = load(
        tmp_path,
        {
            "scores": (0.6, 0.9, 0.4),
            "emotions": emotions,
            "vad": np.array([[0, 0, 0], [0.5, -0.5, NAN], [0, 0, 0]]),
            "embeddings": np.eye(3, 4),
            "emotion_maps": np.full((3, 8, 8), NAN),
        },
        max_persons=3,
        box_kind="head",
    )
    (prediction,) = model([picture(50, 50, (10, 10, 20, 30))])
    assert [person.confidence for person in prediction.persons] == pytest.approx([0.9, 0.6])  # best first
    person = prediction.persons[0]
    assert person.box_kind == BoxKind.HEAD
    assert person.status == EmotionStatus.OK
    assert person.face_box is None
    np.testing.assert_allclose(person.scores, emotions[1], rtol=1e-6)
    np.testing.assert_array_equal(person.vad, np.array([0.5, -0.5, NAN], np.float32))
    np.testing.assert_array_equal(person.embedding, [0, 1, 0, 0])
    assert not prediction.saturated
    assert set(prediction.seconds) == {"resize", "inference", "post"}
    assert all(seconds > 0 for seconds in prediction.seconds.values())


READABILITY = {"readable": 0.6, "face": 0.5, "small": 60}


@pytest.mark.parametrize(
    ("readable", "face", "side", "status"),
    [
        (0.6, 0.1, 90, EmotionStatus.OK),
        (0.59, 0.9, 90, EmotionStatus.PROFILE_OR_OCCLUDED),
        (0.2, 0.4, 90, EmotionStatus.NO_FACE),
        (0.2, 0.9, 50, EmotionStatus.TOO_SMALL),
        (0.9, 0.9, 50, EmotionStatus.OK),  # small, and read all the same
        (NAN, 0.9, 90, EmotionStatus.PROFILE_OR_OCCLUDED),
        (NAN, NAN, 90, EmotionStatus.NO_FACE),
    ],
)
def test_whoever_cannot_be_read_has_a_reason_and_no_scores(tmp_path, readable, face, side, status):
    graph = {"readable": np.array([readable, 0.9]), "face": np.array([face, 0.9])}
    model = load(tmp_path, graph, resize=LETTERBOX, readability=READABILITY)
    (person,) = model([picture(96, 128, (5, 3, 5 + side // 2, 3 + side))])[0].persons
    assert person.status == status
    assert np.isfinite(person.scores).all() == (status == EmotionStatus.OK)
    assert person.confidence == pytest.approx(0.9)  # somebody is there


def test_a_bundle_that_judges_readability_needs_a_graph_that_does(tmp_path):
    with pytest.raises(EngineError, match='no output named "readable"'):
        load(tmp_path, readability=READABILITY)


def test_what_the_graph_does_not_give_is_absent(tmp_path):
    (person,) = load(tmp_path)([picture(50, 50, (10, 10, 20, 30))])[0].persons
    assert person.vad is None
    assert person.embedding is None


def test_nobody(finder):
    assert finder([np.zeros((480, 640, 3), np.uint8)])[0].persons == []
    assert finder([]) == []


def test_threshold_of_bundle_and_of_call(tmp_path):
    model = load(tmp_path, {"scores": (0.9, 0.2)}, thresholds={"person": 0.5, "uncertain": 0.4})
    image = picture(50, 50, (10, 10, 20, 30))
    assert len(model([image])[0].persons) == 1
    assert len(model([image], min_confidence=0.1)[0].persons) == 2
    assert len(model([image], min_confidence=0.95)[0].persons) == 0
    assert len(model([image], min_confidence=float(np.float32(0.9)))[0].persons) == 1  # the threshold itself passes


def test_saturated_when_every_slot_is_taken(tmp_path):
    model = load(tmp_path, {"scores": (0.9, 0.2)})
    image = picture(50, 50, (10, 10, 20, 30))
    assert not model([image])[0].saturated
    assert model([image], min_confidence=0.2)[0].saturated


def test_logits_are_squashed(tmp_path):
    model = load(tmp_path, {"scores": (2.0, -200.0)}, person_score="logit")
    persons = model([picture(50, 50, (10, 10, 20, 30))], min_confidence=0.0)[0].persons
    assert [person.confidence for person in persons] == pytest.approx([1 / (1 + np.exp(-2)), 0])


def test_labels_that_cannot_be_predicted_are_nan(tmp_path):
    model = load(tmp_path, {"emotions": np.array([[0.5, 0.2, 0.3]] * 2)}, predictable=["glad", "calm"])
    (person,) = model([picture(50, 50, (10, 10, 20, 30))])[0].persons
    np.testing.assert_array_equal(person.scores, np.array([0.5, NAN, 0.3], np.float32))
    assert person.status == EmotionStatus.OK


@pytest.mark.parametrize(
    ("predictable", "emotions"),
    [([], [0.5, 0.2, 0.3]), (LABELS, [0.5, NAN, 0.3]), (["glad"], [0.5, 0.2, NAN])],
)
def test_nothing_predicted(tmp_path, predictable, emotions):
    model = load(tmp_path, {"emotions": np.array([emotions] * 2)}, predictable=list(predictable))
    (person,) = model([picture(50, 50, (10, 10, 20, 30))])[0].persons
    assert person.status == EmotionStatus.NOT_PREDICTED
    assert np.isnan(person.scores).all()


def test_a_slot_without_a_number_is_dropped(tmp_path):
    model = load(tmp_path, {"scores": (NAN, 0.9)})
    assert [p.confidence for p in model([picture(50, 50, (10, 10, 20, 30))])[0].persons] == pytest.approx([0.9])


@pytest.mark.parametrize("value", [NAN, np.inf])
def test_a_slot_without_a_box_is_dropped(tmp_path, value):
    model = load(tmp_path, {"scores": (0.9, 0.8), "shift": np.array([[0, 0, 0, value], [0, 0, 0, 0]])})
    (prediction,) = model([picture(50, 50, (10, 10, 20, 30))])
    assert [person.confidence for person in prediction.persons] == pytest.approx([0.8])
    assert not prediction.saturated


@pytest.mark.parametrize("graph", [{"scores": (NAN, NAN)}, {"shift": NAN}, {"shift": np.inf}])
def test_a_network_that_overflows_is_an_error_and_not_an_empty_room(tmp_path, graph):
    with pytest.raises(EngineError, match="no finite box or score"):
        load(tmp_path, graph)([picture(50, 50, (10, 10, 20, 30))])


def test_boxes_are_clipped_and_empty_ones_dropped(tmp_path):
    image = picture(64, 64, (32, 32, 64, 64))
    np.testing.assert_allclose(load(tmp_path / "a", {"shift": 0.25})([image])[0].persons[0].box, [48, 48, 64, 64])
    assert load(tmp_path / "b", {"shift": 0.5})([image])[0].persons == []


@pytest.mark.parametrize("batch", ["B", 1])
@pytest.mark.parametrize("rule", [STRETCH, SHORT_SIDE], ids=["stretch", "short_side"])
def test_a_batch_gives_what_single_images_give_in_their_order(tmp_path, batch, rule):
    model = load(tmp_path, {"batch": batch}, resize=rule)
    images = [picture(60, 80, (20, 10, 50, 50)), picture(80, 60, (0, 0, 9, 9)), picture(60, 80, (8, 8, 70, 20))]
    images.append(np.zeros((60, 80, 3), np.uint8))
    for together, image in zip(model(images), images, strict=True):
        (alone,) = model([image])
        assert len(together.persons) == len(alone.persons)
        for a, b in zip(together.persons, alone.persons, strict=True):
            np.testing.assert_array_equal(a.box, b.box)


def test_images_of_equal_size_run_as_one(tmp_path, monkeypatch):
    model = load(tmp_path, resize=SHORT_SIDE)
    batches = []
    run = model._engine.run

    def counted(feeds, outputs):
        batches.append(len(feeds["images"]))
        return run(feeds, outputs)

    monkeypatch.setattr(model._engine, "run", counted)
    model([np.zeros(shape, np.uint8) for shape in ((60, 80, 3), (80, 60, 3), (60, 80, 3))])
    assert batches == [2, 1]


def test_a_strange_graph_is_refused_while_loading(tmp_path):
    emotions = np.full((2, 5), 0.2)
    cases = [
        ({"names": {"boxes": "rectangles"}}, {}, 'no output named "boxes"; there are rectangles'),
        ({"scores": (0.9,)}, {}, r'output "boxes" should be .*\[any, 2, 4\]'),
        ({"emotions": emotions}, {}, r'output "emotion_scores" should be .*\[any, 2, 3\]'),
        ({"vad": np.zeros((2, 2))}, {}, r'output "vad" should be .*\[any, 2, 3\]'),
        ({"dtype": "float"}, {}, r'input "images" should be tensor\(uint8\)'),
        ({"size": (64, 32)}, {}, r'input "images" should be .*\[any, 64, 64, 3\].*\[any, 64, 32, 3\]'),
        ({"size": (64, 64)}, {"resize": SHORT_SIDE}, r"fixed size \[64, 64\], but resize mode short_side"),
        ({"batch": 4}, {}, "fixed batch of 4"),
        ({"emotions": np.array([[-4.0, 1.0, 7.0]] * 2)}, {}, "values from -4 to 7; probabilities 0..1 are expected"),
    ]
    for number, (graph, changes, says) in enumerate(cases):
        with pytest.raises(EngineError, match=says):
            load(tmp_path / str(number), graph, **changes)


def test_the_first_run_finds_what_the_graph_does_not_declare(tmp_path):
    """How many boxes Compress leaves is known only once it has run."""
    folder = write_bundle(tmp_path)
    model = onnx.load(str(folder / "model.onnx"))
    nodes = model.graph.node
    next(node for node in nodes if node.output[0] == "boxes").output[0] = "all_boxes"
    nodes.append(onnx.helper.make_node("Compress", ["all_boxes", "first"], ["boxes"], axis=1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([True, False]), "first"))
    next(output for output in model.graph.output if output.name == "boxes").type.tensor_type.shape.dim[
        1
    ].dim_param = "K"
    onnx.save(model, str(folder / "model.onnx"))
    bundle = read_bundle(folder, verify=False)
    with pytest.raises(EngineError, match=r'output "boxes" came as \[1, 1, 4\] where the bundle says \[1, 2, 4\]'):
        predictors.load(bundle, CPU)
    cold = predictors.load(bundle, EngineSettings("cpu", warm_up=False))
    with pytest.raises(EngineError, match="came as"):
        cold([np.zeros((5, 5, 3), np.uint8)])


def test_a_damaged_file_is_an_engine_error(tmp_path):
    folder = write_bundle(tmp_path)
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"model\.onnx cannot be loaded"):
        predictors.load(read_bundle(folder, verify=False), CPU)


def test_graphs_are_deterministic(tmp_path):
    """Otherwise the hashes of bundles made here would change from run to run."""
    assert single_shot(tmp_path / "a").read_bytes() == single_shot(tmp_path / "b").read_bytes()
