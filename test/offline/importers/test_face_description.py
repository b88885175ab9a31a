from __future__ import annotations

import numpy as np
import pytest
from face_networks import MOODS, network
from onnx import TensorProto

from caer_ros.offline.importers.face_description import BEHIND, Given, describe
from caer_ros.offline.importers.onnx_file import read
from caer_ros.offline.importers.published_faces import IMAGENET, PRESETS
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.perception.bundle.bundle import Column
from caer_ros.perception.person import ScoreType
from caer_ros.taxonomy import AFFECTNET, CAER_S, LABEL_SETS

PICTURES = {"noise": np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)}
SAID = {"labels": MOODS, "mean": IMAGENET[0], "std": IMAGENET[1]}


def described(tmp_path, preset=None, said=SAID, *, of_network=None, **given):
    file = read(network(tmp_path / "faces.onnx", **(of_network or {})))
    return describe(file, Given(**(said | given)), PRESETS[preset] if preset else None, PICTURES)


def test_what_the_graph_says_and_what_a_person_says(tmp_path):
    found = described(tmp_path)
    rule = found.rule
    assert (rule.size, rule.layout, rule.channels, rule.dtype) == (32, "nchw", "rgb", "float32")
    assert (rule.span, rule.mean, rule.std, rule.crop, rule.antialias) == (1.0, *IMAGENET, 1.2, True)
    assert (rule.output, rule.gives, rule.labels) == ("output", "logits", MOODS)
    assert (rule.valence, rule.arousal) == (None, None)
    assert (found.label_set, found.labels, found.predictable) == (None, MOODS, MOODS)
    assert found.score_type == ScoreType.SOFTMAX
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("of_network", "given", "expected"),
    [
        ({"shape": ("B", 64, 64, 3), "channels_last": True}, {}, ("nhwc", "rgb", 64)),
        ({"shape": ("B", 1, 48, 48)}, {}, ("nchw", "grey", 48)),
        ({"shape": (1, 3, "H", "W")}, {"size": 96}, ("nchw", "rgb", 96)),
        ({"shape": ("B", 3, 32, 32)}, {"channels": "bgr"}, ("nchw", "bgr", 32)),
        ({"shape": ("B", "C", "H", "W")}, {"layout": "nchw", "channels": "bgr", "size": 40}, ("nchw", "bgr", 40)),
        ({"shape": ("B", 3, 3, 3)}, {"layout": "nchw"}, None),
    ],
)
def test_inputs_of_many_kinds(tmp_path, of_network, given, expected):
    mean = {"mean": (0.5,), "std": (0.5,)}
    if expected is None:
        with pytest.raises(ImporterError, match="3 pixels are too few for a face"):
            described(tmp_path, of_network=of_network, **mean, **given)
        return
    rule = described(tmp_path, of_network=of_network, **mean, **given).rule
    assert (rule.layout, rule.channels, rule.size) == expected
    assert rule.mean == (0.5,) * (1 if rule.channels == "grey" else 3)


def test_bytes_are_not_normalised(tmp_path):
    bytes_ = {"dtype": TensorProto.UINT8, "scale": 0.01}
    rule = described(tmp_path, said={"labels": MOODS}, of_network=bytes_).rule
    assert (rule.dtype, rule.span, rule.mean, rule.std) == ("uint8", 255.0, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(ImporterError, match="takes bytes, which are not normalised; leave out --span, --mean and"):
        described(tmp_path, of_network=bytes_)


class TestLabels:
    def test_a_known_set_in_another_order(self, tmp_path):
        found = described(tmp_path, labels=CAER_S[::-1], of_network={"outputs": {"output": 7}})
        assert (found.label_set, found.labels, found.predictable) == ("caer_s", CAER_S, CAER_S)
        assert found.rule.labels == CAER_S[::-1]

    def test_fewer_than_the_named_set_has(self, tmp_path):
        found = described(tmp_path, labels=("Sad", "Happy", "Neutral"), label_set="affectnet")
        assert (found.label_set, found.labels) == ("affectnet", AFFECTNET)
        assert found.predictable == ("Neutral", "Happy", "Sad")

    def test_those_to_trust(self, tmp_path):
        assert described(tmp_path, predictable=("glad", "calm")).predictable == ("calm", "glad")

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"labels": None}, "which emotions its output means.*--labels A,B,C"),
            ({"labels": ("calm", "glad", "calm")}, "a name stands there twice"),
            (
                {"labels": ("Sad", "Happiness", "Neutral"), "label_set": "affectnet"},
                'Happiness: not in label set "affectnet", which has Neutral, Happy',
            ),
            ({"predictable": ("calm", "sad")}, "--predictable sad: not among the network's labels calm, cross, glad"),
            ({"labels": ("calm", "glad")}, 'no output of 2 columns for 2 labels.*"output" of 3: correct --labels'),
            ({"labels": ("calm",)}, "if the last two columns are valence and arousal, give --valence-arousal"),
        ],
    )
    def test_what_is_wrong(self, tmp_path, given, says):
        with pytest.raises(ImporterError, match=f"faces.onnx: .*{says}"):
            described(tmp_path, **given)


class TestInput:
    @pytest.mark.parametrize(
        ("of_network", "given", "says"),
        [
            ({"shape": ("B", 3, 32)}, {}, r"is tensor.float. \[any, 3, 32\]; four dimensions are expected"),
            ({"shape": ("B", 3, 32, 48)}, {}, "only square inputs are supported"),
            ({"shape": ("B", 5, 32, 32)}, {}, "no dimension of 1 or 3 channels"),
            ({"shape": (4, 3, 32, 32)}, {}, "with a fixed batch; export it with a batch of 1"),
            ({"shape": ("B", 3, "H", "W")}, {}, "of any size; say which it was trained with: --size N"),
            ({"shape": ("B", "C", "H", "W")}, {}, "which dimension is the channels' cannot be told.*--layout"),
            ({"shape": ("B", "C", 32, 32)}, {"layout": "nchw"}, "how many channels cannot be told.*--channels"),
            ({}, {"layout": "nhwc"}, "which is not nhwc with 1 or 3 channels; correct --layout"),
            ({}, {"channels": "grey"}, "with 3 channels, which is not grey; correct --channels"),
            ({}, {"size": 64}, "not of 64 pixels; correct --size"),
            ({"dtype": TensorProto.DOUBLE}, {}, "is tensor.double.; .*export it in float32"),
            ({}, {"mean": None}, "how pixels are normalised does not stand in the file; say --mean and --std"),
            ({}, {"mean": (0.5, 0.5)}, "--mean: 2 numbers for 3 channels; give 1 or 3"),
            ({}, {"std": (1.0, 0.0, 1.0)}, "--std: 0 is not above 0"),
        ],
    )
    def test_what_is_wrong(self, tmp_path, of_network, given, says):
        with pytest.raises(ImporterError, match=f"faces.onnx: .*{says}"):
            described(tmp_path, of_network=of_network, **given)


class TestOutputs:
    TWO = {"outputs": {"a": 3, "b": 3}}  # noqa: RUF012
    HEADS = {"outputs": {"emotion": 3, "valence": 1, "arousal": 1, "both": 2}, "scale": 0.1}  # noqa: RUF012

    def test_the_one_that_fits(self, tmp_path):
        assert described(tmp_path, of_network=self.HEADS).rule.output == "emotion"

    def test_two_that_fit(self, tmp_path):
        with pytest.raises(ImporterError, match="2 outputs of 3 columns; say which is the labels': --scores a"):
            described(tmp_path, of_network=self.TWO)
        assert described(tmp_path, of_network=self.TWO, output="b").rule.output == "b"

    def test_probabilities_are_found_out(self, tmp_path):
        assert described(tmp_path, of_network={"softmax": True}).rule.gives == "probabilities"

    def test_valence_and_arousal(self, tmp_path):
        behind = described(tmp_path, of_network={"outputs": {"output": 5}, "scale": 0.2}, valence_arousal=BEHIND).rule
        assert (behind.valence, behind.arousal) == (Column("output", 3), Column("output", 4))
        both = described(tmp_path, of_network=self.HEADS, valence_arousal="both").rule
        assert (both.valence, both.arousal) == (Column("both", 0), Column("both", 1))
        each = described(tmp_path, of_network=self.HEADS, valence_arousal="valence,arousal").rule
        assert (each.valence, each.arousal) == (Column("valence", 0), Column("arousal", 0))

    @pytest.mark.parametrize(
        ("of_network", "given", "says"),
        [
            ({}, {"output": "emotions"}, '--scores: no output named "emotions"; there are output'),
            ({}, {"valence_arousal": BEHIND}, "no output of 5 columns for 3 labels .* and valence and arousal"),
            (HEADS, {"valence_arousal": "v,a"}, '--valence-arousal: no output named "v"; there are emotion'),
            (HEADS, {"valence_arousal": "valence"}, "expected an output of two columns, or two outputs"),
            (HEADS, {"valence_arousal": "emotion"}, 'none of which is the labels\' "emotion"'),
            ({"outputs": {"output": 5}, "bias": 5}, {"valence_arousal": BEHIND}, "column 3 .* expected within -1..1"),
            ({"softmax": True}, {"gives": "logits"}, "the softmax is inside; give --probabilities"),
            ({}, {"gives": "probabilities"}, "no probabilities that add up to 1: give --logits"),
            ({"bias": np.nan}, {}, "is not finite on trial pictures"),
        ],
    )
    def test_what_is_wrong(self, tmp_path, of_network, given, says):
        with pytest.raises(ImporterError, match=f"faces.onnx: .*{says}"):
            described(tmp_path, of_network=of_network, **given)

    def test_each_label_for_itself(self, tmp_path):
        found = described(tmp_path, multi_label=True)
        assert (found.score_type, found.rule.gives) == (ScoreType.SIGMOID, "logits")

    def test_remarks(self, tmp_path):
        odd = {"shape": (1, 3, 32, 32), "opset": 21, "scale": 0}
        batch, opset, same = "takes one face at a time", "of opset 21", "answers the same to every trial picture"
        remarks = described(tmp_path, of_network=odd).remarks
        assert all(any(said in remark for remark in remarks) for said in (batch, opset, same))


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_a_file_of_that_shape_needs_nothing_said(self, tmp_path, name):
        preset = PRESETS[name]
        columns = len(preset.labels) + 2 * preset.valence_arousal
        file = {
            "outputs": {"output": columns},
            "shape": ("batch_size", 3, preset.size, preset.size),
            "scale": 0.1,
        }
        found = described(tmp_path, name, said={}, of_network=file)
        assert found.label_set == ("caer_s" if name == "enet_b2_7" else "affectnet")
        assert found.predictable == LABEL_SETS[found.label_set]
        assert found.rule.labels == tuple(sorted(found.labels))  # theirs are in alphabetical order
        assert (found.rule.size, found.rule.mean, found.rule.gives) == (preset.size, preset.mean, "logits")
        assert (found.rule.valence is not None) == name.endswith("va_mtl")

    def test_a_person_goes_before_it(self, tmp_path):
        file = {"outputs": {"output": 8}, "shape": ("B", 3, 224, 224)}
        rule = described(tmp_path, "enet_b0_8_best_vgaf", said={"std": (1.0,), "crop": 1.0}, of_network=file).rule
        assert (rule.mean, rule.std, rule.crop) == (IMAGENET[0], (1.0,) * 3, 1.0)

    @pytest.mark.parametrize(
        ("of_network", "says"),
        [
            ({"outputs": {"output": 8}}, "not of 224 pixels; correct the preset; give --preset none"),
            ({"outputs": {"output": 7}, "shape": ("B", 3, 224, 224)}, "no output of 8 columns for 8 labels"),
            (
                {"outputs": {"output": 8}, "shape": ("B", 3, 224, 224), "softmax": True},
                "the softmax is inside; give --probabilities",
            ),
        ],
    )
    def test_another_network_of_that_name(self, tmp_path, of_network, says):
        with pytest.raises(ImporterError, match=says):
            described(tmp_path, "enet_b0_8_best_vgaf", said={}, of_network=of_network)
