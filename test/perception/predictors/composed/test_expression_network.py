from __future__ import annotations

import numpy as np
import pytest
from face_networks import MOODS, SECTION, composed, network, weights
from graphs import edit_card
from onnx import TensorProto
from variations import photo

from caer_ros.perception.bundle.bundle import BundleError, Column, Expression
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineError, EngineSettings
from caer_ros.perception.person import EmotionStatus
from caer_ros.perception.prediction import Stopwatch
from caer_ros.perception.predictors import predictor
from caer_ros.perception.predictors.composed.expression_network import ExpressionNetwork, encode, normalised

CPU = EngineSettings("cpu", threads=1)
MEAN, STD = np.array(SECTION["mean"]), np.array(SECTION["std"])
AFFECT = {"valence": {"output": "output", "column": 3}, "arousal": {"output": "output", "column": 4}}


def rule(**changes) -> Expression:
    fields = SECTION | {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7), "labels": MOODS} | changes
    return Expression(**fields)


def reader(tmp_path, section=None, changes=None, **of_network) -> ExpressionNetwork:
    """The network alone, without detector and face network."""
    file = network(tmp_path / "faces.onnx", **of_network)
    bundle = read_bundle(composed(tmp_path / "bundle", file, section, **(changes or {})))
    return ExpressionNetwork(bundle, bundle.expression, CPU)


def softmax(logits):
    weights_ = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights_ / weights_.sum(axis=-1, keepdims=True)


def colours(*rgb) -> tuple[np.ndarray, np.ndarray]:
    """An image with a field of 40 pixels for each colour, and a face in the middle of each."""
    image = np.concatenate([np.full((40, 40, 3), colour, np.uint8) for colour in rgb], axis=1)
    faces = [(40 * index + 12, 12, 40 * index + 28, 28) for index in range(len(rgb))]
    return image, np.array(faces, np.float32)


class TestInput:
    """Against plain numpy, on squares that need no resampling or are halved."""

    @pytest.fixture
    def image(self):
        return np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    @pytest.mark.parametrize("channels", ["rgb", "bgr"])
    @pytest.mark.parametrize("span", [1.0, 255.0])
    def test_pixels_channels_numbers_and_layout(self, image, layout, channels, span):
        face = np.array([[50, 40, 70, 60]], np.float32)  # a square of 1.6 * 20 = 32 pixels around (60, 50)
        found = encode(image, face, rule(layout=layout, channels=channels, span=span, crop=1.6))
        square = image[34:66, 44:76].astype(np.float64)
        square = square[..., ::-1] if channels == "bgr" else square
        expected = (square / 255 * span - (0.1, 0.2, 0.3)) / (0.5, 0.6, 0.7)
        expected = expected.transpose(2, 0, 1) if layout == "nchw" else expected
        assert found.dtype == np.float32
        assert found.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(found[0], expected, atol=1e-4 * span)

    def test_bytes_stay_bytes(self, image):
        found = encode(image, np.array([[50, 40, 70, 60]], np.float32), rule(dtype="uint8", layout="nhwc", crop=1.6))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found[0], image[34:66, 44:76])

    def test_grey_is_luma(self, image):
        one = rule(channels="grey", mean=(0.0,), std=(1.0,), crop=1.6)
        found = encode(image, np.array([[50, 40, 70, 60]], np.float32), one)
        luma = image[34:66, 44:76] @ np.array([0.299, 0.587, 0.114])
        assert found.shape == (1, 1, 32, 32)
        np.testing.assert_allclose(found[0, 0], luma / 255, atol=0.6 / 255)

    def test_the_longer_side_counts_and_beyond_the_image_is_black(self, image):
        face = np.array([[-10, 0, 0, 32]], np.float32)  # 32 pixels around (-5, 16)
        found = encode(image, face, rule(mean=(0,) * 3, std=(1,) * 3, crop=1.0))[0].transpose(1, 2, 0)
        assert not found[:, :21].any()
        np.testing.assert_allclose(found[:, 21:], image[:32, :11] / 255, atol=1e-6)

    @pytest.mark.parametrize("antialias", [True, False])
    def test_antialias(self, antialias):
        """Columns black and white in turn: a quarter of them is their mean, or whatever two of them are."""
        image = np.zeros((128, 128, 3), np.uint8)
        image[:, ::4] = 255
        square = np.array([[0, 0, 128, 128]], np.float32)
        found = encode(image, square, rule(mean=(0,) * 3, std=(1,) * 3, crop=1.0, antialias=antialias))
        assert np.allclose(found, 64 / 255, atol=1e-6) == antialias

    def test_many_faces_in_their_order(self, image):
        faces = np.array([[10, 10, 30, 30], [50, 40, 90, 60]], np.float32)
        together = encode(image, faces, rule())
        for index in range(2):
            np.testing.assert_array_equal(together[index], encode(image, faces[index : index + 1], rule())[0])

    def test_squares_of_one_colour(self):
        pixels = np.full((2, 32, 32, 3), (10, 20, 30), np.uint8)
        found = normalised(pixels, rule(channels="bgr"))
        np.testing.assert_allclose(found[1, 0], (30 / 255 - 0.1) / 0.5, atol=1e-6)


class TestAnswers:
    RGB = ((200, 30, 90), (0, 255, 128), (77, 77, 77))

    def expected(self, columns=3):
        """Logits of the three colours, by numpy."""
        return (np.array(self.RGB) / 255 - MEAN) / STD @ weights(columns)

    def read(self, loaded):
        return loaded(*colours(*self.RGB), Stopwatch())

    def test_logits_become_probabilities(self, tmp_path):
        reading = self.read(reader(tmp_path))
        np.testing.assert_allclose(reading.scores, softmax(self.expected()), atol=1e-5)
        assert reading.agree.all()
        assert reading.vad is None

    def test_in_the_order_of_the_bundle(self, tmp_path):
        reading = self.read(reader(tmp_path, {"labels": ["glad", "calm", "cross"]}))
        np.testing.assert_allclose(reading.scores, softmax(self.expected())[:, [1, 2, 0]], atol=1e-5)

    def test_probabilities_stay(self, tmp_path):
        reading = self.read(reader(tmp_path, {"gives": "probabilities"}, softmax=True))
        np.testing.assert_allclose(reading.scores, softmax(self.expected()), atol=1e-5)

    def test_each_for_itself(self, tmp_path):
        reading = self.read(reader(tmp_path, changes={"score_type": "sigmoid"}))
        np.testing.assert_allclose(reading.scores, 1 / (1 + np.exp(-self.expected())), atol=1e-5)

    @pytest.mark.parametrize("shape", [("B", 3, 32, 32), (1, 3, 32, 32)])
    def test_a_batch_and_one_by_one(self, tmp_path, shape):
        reading = self.read(reader(tmp_path, shape=shape))
        np.testing.assert_allclose(reading.scores, softmax(self.expected()), atol=1e-5)

    def test_channels_last_in_bytes(self, tmp_path):
        section = {"layout": "nhwc", "dtype": "uint8", "span": None, "mean": None, "std": None}
        loaded = reader(
            tmp_path, section, shape=("B", 32, 32, 3), channels_last=True, dtype=TensorProto.UINT8, scale=0.01
        )
        np.testing.assert_allclose(self.read(loaded).scores, softmax(0.01 * np.array(self.RGB) @ weights(3)), atol=1e-5)

    def test_only_what_is_predictable_and_it_adds_up_to_one(self, tmp_path):
        scores = self.read(reader(tmp_path, changes={"predictable": ["calm", "glad"]})).scores
        assert np.isnan(scores[:, 1]).all()
        np.testing.assert_allclose(scores[:, [0, 2]], softmax(self.expected()[:, [0, 2]]), atol=1e-5)

    def test_a_label_that_the_network_lacks(self, tmp_path):
        section = {"labels": ["glad", "cross"]}
        scores = self.read(reader(tmp_path, section, {"predictable": ["cross", "glad"]}, outputs={"output": 2})).scores
        assert np.isnan(scores[:, 0]).all()
        np.testing.assert_allclose(scores[:, [2, 1]], softmax(self.expected(2)), atol=1e-5)

    def test_valence_and_arousal_behind_the_labels(self, tmp_path):
        reading = self.read(reader(tmp_path, AFFECT, outputs={"output": 5}))
        raw = self.expected(5)
        assert np.abs(raw[:, 3:]).max() > 1  # something is cut off
        np.testing.assert_allclose(reading.scores, softmax(raw[:, :3]), atol=1e-5)
        np.testing.assert_allclose(reading.vad[:, :2], np.clip(raw[:, 3:], -1, 1), atol=1e-5)
        assert np.isnan(reading.vad[:, 2]).all()

    def test_valence_of_an_output_of_its_own(self, tmp_path):
        loaded = reader(tmp_path, {"valence": {"output": "v", "column": 1}}, outputs={"output": 3, "v": 2}, scale=0.2)
        vad = self.read(loaded).vad
        np.testing.assert_allclose(vad[:, 0], np.clip(0.2 * self.expected(2)[:, 1], -1, 1), atol=1e-5)
        assert np.isnan(vad[:, 1:]).all()


class TestPersons:
    """With detector and face network, on the demo's photographs."""

    def test_scores_status_and_affect(self, tmp_path):
        file = network(tmp_path / "faces.onnx", outputs={"output": 5})
        model = predictor.load(read_bundle(composed(tmp_path / "bundle", file, AFFECT)), CPU)
        assert list(model.engines) == ["detector", "face", "expression"]
        (person,) = model([photo("astronaut")])[0].persons
        assert person.status == EmotionStatus.OK
        assert person.scores.sum() == pytest.approx(1, abs=1e-5)
        assert np.isfinite(person.vad).tolist() == [True, True, False]
        (turned,) = model([photo("cameraman")])[0].persons
        assert turned.status == EmotionStatus.PROFILE_OR_OCCLUDED
        assert turned.vad is None

    def test_a_network_that_overflows_predicts_nothing(self, tmp_path):
        file = network(tmp_path / "faces.onnx", outputs={"output": 5}, bias=np.inf)
        model = predictor.load(read_bundle(composed(tmp_path / "bundle", file, AFFECT)), CPU)
        (person,) = model([photo("astronaut")])[0].persons
        assert person.status == EmotionStatus.NOT_PREDICTED
        assert np.isnan(person.scores).all()
        assert person.vad is None


class TestLoading:
    @pytest.mark.parametrize(
        ("of_network", "section", "says"),
        [
            ({"shape": ("B", 3, 48, 48)}, {}, r"input .input. should be tensor.float. \[any, 3, 32, 32\]"),
            ({}, {"layout": "nhwc"}, r"should be tensor.float. \[any, 32, 32, 3\]"),
            ({"dtype": TensorProto.UINT8}, {}, "should be tensor.float.*declares tensor.uint8"),
            ({"shape": (4, 3, 32, 32)}, {}, "fixed batch of 4; it must be 1 or dynamic"),
            ({"second_input": True}, {}, "expected one input"),
            ({}, {"output": "scores"}, 'no output named "scores"; there are output'),
            ({"outputs": {"output": 4}}, {}, 'output "output" has 4 columns where model.yaml describes 3'),
            ({}, AFFECT, 'output "output" has 3 columns where model.yaml describes 5'),
        ],
    )
    def test_what_the_graph_is_not(self, tmp_path, of_network, section, says):
        with pytest.raises(EngineError, match=says):
            reader(tmp_path, section, **of_network)

    def test_width_that_shows_only_when_it_runs(self, tmp_path):
        loaded = reader(tmp_path)
        loaded._rule = rule(labels=("calm", "glad"), mean=(0,) * 3, std=(1,) * 3)
        with pytest.raises(EngineError, match=r"has 3 columns where model\.yaml describes 2"):
            loaded(*colours((1, 2, 3)), Stopwatch())

    def test_logits_called_probabilities(self, tmp_path):
        with pytest.raises(EngineError, match=r"no probabilities: write logits under expression\.gives"):
            reader(tmp_path, {"gives": "probabilities"}, bias=3).warm_up()
        reader(tmp_path / "right", {"gives": "probabilities"}, softmax=True).warm_up()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("size", ..., "size is missing"),
        ("size", 7, "size: expected a whole number, at least 8"),
        ("layout", "chw", "layout: expected one of nchw, nhwc"),
        ("channels", "gray", "channels: expected one of rgb, bgr, grey"),
        ("channels", "grey", "mean: expected a list of 1 number, one for each channel"),
        ("dtype", "float16", "dtype: expected one of float32, uint8"),
        ("dtype", "uint8", "span is not a field"),
        ("span", 0, "span: expected a number from"),
        ("mean", [0.5], "mean: expected a list of 3 numbers, one for each channel"),
        ("std", [1, 1, 0], "std: expected numbers above 0"),
        ("crop", 9, "crop: expected a number from 0.5 to 4"),
        ("antialias", "yes", "antialias: expected one of true, false"),
        ("output", "", "output: expected text"),
        ("gives", "scores", "gives: expected one of logits, probabilities"),
        ("labels", ["calm", "calm", "glad"], "labels: expected a list of different names"),
        ("labels", ["calm", "cross", "sad"], "labels: expected names out of the bundle's labels, found 'sad'"),
        ("labels", ["calm", "cross"], 'labels: expected all that is predictable, so "glad" too'),
        ("valence", {"output": "output"}, "valence.column is missing"),
        ("valence", {"output": "output", "column": 2}, "valence: expected a column that is no label's"),
        ("colour", "red", "colour is not a field"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, field, value, says):
    folder = composed(tmp_path / "bundle", network(tmp_path / "faces.onnx"))
    edit_card(folder, f"expression.{field}", value)
    with pytest.raises(BundleError, match=rf"model.yaml: expression\.{says}"):
        read_bundle(folder, verify=False)


def test_every_field_is_read(tmp_path):
    folder = composed(tmp_path / "bundle", network(tmp_path / "faces.onnx"), AFFECT)
    found = read_bundle(folder).expression
    assert found == Expression(
        **(SECTION | {"mean": tuple(MEAN), "std": tuple(STD), "labels": MOODS, "span": 1.0}),
        valence=Column("output", 3),
        arousal=Column("output", 4),
    )
    assert (found.outputs, found.columns("output")) == (["output"], 5)


def test_without_the_section_the_pair_is_asked_for(tmp_path):
    folder = composed(tmp_path / "bundle", network(tmp_path / "faces.onnx"))
    edit_card(folder, "expression", ...)
    with pytest.raises(BundleError, match=r"files\.expression_grey is missing"):
        read_bundle(folder)
