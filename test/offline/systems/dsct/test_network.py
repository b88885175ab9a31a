"""DSCT's network. Its golden values are those of the authors' network.

They were measured on the authors' public code (Sampson-Lee/DSCT) by building its network from ``CONFIG`` and five
labels behind a backbone that answers ``authors_dsct.features``, loading ``authors_dsct.made``, and running a batch of a
70x100 and a 50x82 picture, which pads the second; in float64, its float32 constants of position encodings, reference
points and valid ratios made float64 too. ``nearest`` and ``alike`` are the context queries that its last layer selects,
sorted.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import authors_dsct
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.systems.dsct import weights as importer
from caer_ros.offline.systems.dsct.config import DsctConfig
from caer_ros.offline.systems.dsct.network import Dsct, Fusion, inverse_sigmoid, position_encoding

GOLDEN = json.loads((Path(__file__).with_name("golden.json")).read_text())
CONFIG = DsctConfig(
    "resnet18", subjects=3, spatial=40, semantic=20, width=32, layers=2, heads=2, feedforward=48, dropout=0.1
)
NO_FUSION = dataclasses.replace(CONFIG, spatial=0, semantic=0)
LABELS = 5
SIZES = ((9, 13), (5, 7), (3, 4))
CHANNELS = (128, 256, 512)


def network_of(config, **changes):
    """With the made-up entries of the authors' names, in float64; the backbone is random."""
    torch.manual_seed(0)
    network = Dsct(dataclasses.replace(config, **changes), LABELS).double().eval()
    names = authors_dsct.shapes(config, LABELS)
    made = authors_dsct.made({name: shape for name, shape in names.items() if not name.startswith("backbone")})
    state, left_over = importer.renamed(made, Path("made-up"))
    assert not left_over
    missing = network.load_state_dict(state, strict=False).missing_keys
    assert all(name.startswith("backbone.") or "attentive" in name for name in missing)
    return network


@pytest.fixture(scope="module")
def network():
    return network_of(CONFIG)


@pytest.fixture(scope="module")
def valid():
    mask = torch.zeros(2, 70, 100, dtype=torch.bool)
    mask[0] = True
    mask[1, :50, :82] = True
    return mask


@torch.no_grad()
def answers(network, valid):
    levels = network.project(authors_dsct.features(SIZES, CHANNELS, 2))
    return network.decode(network.encode(levels, valid))


def difference(output, golden):
    """The largest, relative to each layer's largest value."""
    worst = 0.0
    for ours, theirs in ((output.logits, golden["logits"]), (output.boxes, golden["boxes"])):
        expected = torch.tensor(theirs, dtype=torch.float64).reshape(ours.shape)
        worst = max(worst, ((ours - expected).abs().amax((1, 2, 3)) / expected.abs().amax((1, 2, 3))).max().item())
    return worst


# --- As the authors' network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "dataset"), [(CONFIG, "emotic"), (NO_FUSION, "caers")])
def test_golden_answers_of_all_layers(config, dataset, valid):
    assert difference(answers(network_of(config), valid), GOLDEN[dataset]) < 1e-9


def test_golden_selections(network, valid, monkeypatch):
    chosen = []
    related = Fusion.related
    monkeypatch.setattr(Fusion, "related", lambda *given: chosen.append(related(*given)) or chosen[-1])
    answers(network, valid)
    nearest, alike = (indices.sort(-1).values.tolist() for indices in chosen[-1])
    assert nearest == GOLDEN["emotic"]["nearest"]
    assert alike == GOLDEN["emotic"]["alike"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject_relation": False},
        {"softmax": "joint"},
        {"semantic_choice": "smallest"},
        {"spatial": 39},
        {"semantic": 19},
        {"spatial": 0},
        {"semantic": 0},
        {"weighting": "equal"},
        {"weighting": "spatial"},
        {"first_fusion": 2},
    ],
    ids=str,
)
def test_every_setting_changes_the_answers(change, valid):
    assert difference(answers(network_of(CONFIG, **change), valid), GOLDEN["emotic"]) > 1e-5


@pytest.mark.parametrize(
    "name", ["level_embeddings", "encoder.0.self_attn_layer_norm.weight", "decoder.1.cross_norm.bias"]
)
def test_every_entry_has_its_place(name, valid):
    network = network_of(CONFIG)
    with torch.no_grad():
        network.get_parameter(name).add_(0.01)
    assert difference(answers(network, valid), GOLDEN["emotic"]) > 1e-5


# --- Masks and position encodings ----------------------------------------------------------------------------------


def test_without_padding_a_mask_says_nothing(network):
    masked, plain = answers(network, torch.ones(2, 70, 100, dtype=torch.bool)), answers(network, None)
    torch.testing.assert_close(masked.logits, plain.logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(masked.boxes, plain.boxes, rtol=0, atol=1e-12)


@torch.no_grad()
def test_what_stands_in_the_padding_changes_nothing(network, valid):
    levels = [torch.randn(2, 32, *size, dtype=torch.float64) for size in (*SIZES, (2, 2))]
    filled = [level.clone() for level in levels]
    for level in filled:
        rows, columns = math.ceil(50 / 70 * level.shape[2]), math.ceil(82 / 100 * level.shape[3])
        level[1, :, rows:] = 7
        level[1, :, :, columns:] = -9
    plain, other = (network.decode(network.encode(given, valid)) for given in (levels, filled))
    assert torch.equal(plain.logits, other.logits)
    assert torch.equal(plain.boxes, other.boxes)


def test_position_encoding_by_the_formula():
    height, width, channels = 3, 5, 8
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[:, :2, :4] = True
    encoding = position_encoding(mask, torch.zeros(1, channels, height, width, dtype=torch.float64))[0]
    for row in range(2):
        for column in range(4):
            y, x = 2 * math.pi * (row + 0.5) / (2 + 1e-6), 2 * math.pi * (column + 0.5) / (4 + 1e-6)
            waves = [
                f(place / 10000 ** (2 * i / 4)) for place in (y, x) for i in range(2) for f in (math.sin, math.cos)
            ]
            np.testing.assert_allclose(encoding[row * width + column], waves, atol=1e-12)


@given(st.floats(-11, 11))
def test_inverse_sigmoid(logit):
    value = torch.tensor(logit, dtype=torch.float64).sigmoid()
    assert inverse_sigmoid(value).item() == pytest.approx(logit, abs=1e-6)


def test_inverse_sigmoid_is_finite():
    ends = inverse_sigmoid(torch.tensor([0.0, 1.0]))
    assert ends.tolist() == pytest.approx([-math.log(1e5), math.log(1e5)])


# --- Fusion --------------------------------------------------------------------------------------------------------


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def fused(config, subjects, contexts, places, context_places):
    """Section 3.2 for one image, in loops."""
    result = []
    for subject, place in zip(subjects, places, strict=True):
        distances = np.linalg.norm(context_places - place, axis=1)
        products = contexts @ subject
        sign = -1 if config.semantic_choice == "largest" else 1
        groups = [np.argsort(distances)[: config.spatial], np.argsort(sign * products)[: config.semantic]]
        if config.softmax == "joint":
            groups = [np.concatenate(groups)]
        value = subject.copy()
        for group in (group for group in groups if len(group)):
            scores = {"semantic": products, "equal": 0 * products, "spatial": -distances}[config.weighting][group]
            value += softmax(scores) @ contexts[group]
        if config.subject_relation:
            value += softmax(subjects @ subject) @ subjects
        result.append(value)
    return np.array(result)


@settings(max_examples=60, deadline=None)
@given(
    spatial=st.integers(0, 6),
    semantic=st.integers(0, 6),
    choice=st.sampled_from(["largest", "smallest"]),
    relation=st.booleans(),
    together=st.sampled_from(["each", "joint"]),
    weighting=st.sampled_from(["semantic", "equal", "spatial"]),
    subjects=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_fusion_is_the_papers(spatial, semantic, choice, relation, together, weighting, subjects, seed):
    if not spatial and not semantic:
        spatial = 1
    config = DsctConfig(
        subjects=subjects,
        contexts=6,
        spatial=spatial,
        semantic=semantic,
        semantic_choice=choice,
        subject_relation=relation,
        softmax=together,
        weighting=weighting,
    )
    random = np.random.default_rng(seed)
    given = [random.standard_normal((2, number, 4)) for number in (subjects, 6)]
    given += [random.random((2, number, 2)) for number in (subjects, 6)]
    result = Fusion(config)(*map(torch.from_numpy, given)).numpy()
    for image, answer in enumerate(result):
        np.testing.assert_allclose(answer, fused(config, *(value[image] for value in given)), atol=1e-10)


def test_attentive_weights_are_of_the_subject_alone():
    fusion = Fusion(
        DsctConfig(contexts=4, spatial=2, semantic=0, subject_relation=False, weighting="attentive", width=3)
    )
    with torch.no_grad():
        fusion.attentive.weight.zero_()
        fusion.attentive.bias.copy_(torch.log(torch.tensor([3.0, 1.0])))  # three quarters to the nearest
        contexts = torch.eye(4)[None, :, :3]
        places = torch.tensor([[[0.0, 0], [0.3, 0], [0.1, 0], [0.2, 0]]])
        answer = fusion(torch.zeros(1, 1, 3), contexts, torch.tensor([[[0.09, 0.0]]]), places)
    torch.testing.assert_close(answer, 0.75 * contexts[:, 2:3] + 0.25 * contexts[:, 0:1])  # nearest is the third


def test_the_order_of_context_queries_says_nothing(network, valid):
    before = answers(network, valid)
    shuffled = network_of(CONFIG)
    with torch.no_grad():
        shuffled.contexts.copy_(shuffled.contexts[torch.randperm(300)])
    torch.testing.assert_close(answers(shuffled, valid).logits, before.logits, rtol=0, atol=1e-10)


def test_fusion_from_a_layer_on():
    network = Dsct(dataclasses.replace(CONFIG, first_fusion=2), LABELS)
    assert [layer.fusion is None for layer in network.decoder] == [True, False]


def test_the_papers_baseline_has_subjects_only():
    network = Dsct(dataclasses.replace(NO_FUSION, contexts=0), LABELS).eval()
    with torch.no_grad():
        output = network(torch.randn(1, 3, 96, 128))
    assert output.logits.shape == (2, 1, 3, 6)
    assert output.logits.isfinite().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spatial": 301}, "spatial 301: expected 0 to 300"),
        ({"contexts": 10}, "the number of context queries"),
        ({"semantic": -1}, "semantic -1"),
        ({"width": 48}, "width 48"),
        ({"first_fusion": 3}, "first_fusion 3: expected 1 to 2"),
        ({"heads": 0}, "heads 0: expected 1 or more"),
        ({"subjects": 0}, "subjects 0: expected 1 or more"),
    ],
)
def test_impossible_configurations(change, says):
    with pytest.raises(ValueError, match=says):
        Dsct(dataclasses.replace(CONFIG, **change), LABELS)


# --- The whole network ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return Dsct(CONFIG, LABELS)


def test_at_the_start_a_subject_sits_at_its_reference_point(untrained):
    with torch.no_grad():
        output = untrained.eval()(torch.randn(2, 3, 96, 128))
        points = untrained.reference_points(untrained.subjects[:, : CONFIG.width]).sigmoid()
    size = 1 / (1 + math.exp(2))
    assert output.logits.shape == (2, 2, 3, LABELS + 1)
    torch.testing.assert_close(output.boxes[..., :2], points.expand(2, 2, -1, -1))
    torch.testing.assert_close(output.boxes[..., 2:], torch.full((2, 2, 3, 2), size))
    torch.testing.assert_close(untrained.class_head.bias.sigmoid(), torch.full((LABELS + 1,), 0.01))


def test_training_reaches_all_but_the_stem_and_the_normalisation(untrained):
    untrained.train()
    statistics = untrained.backbone.body.bn1.running_mean.clone()
    valid = torch.ones(2, 96, 128, dtype=torch.bool)
    valid[1, 64:] = False
    output = untrained(torch.randn(2, 3, 96, 128), valid)
    (output.logits.square().mean() + output.boxes.square().mean()).backward()
    trained = {name for name, parameter in untrained.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in untrained.named_parameters() if parameter.grad is not None} == trained
    fixed = {name.split(".")[2] for name, _ in untrained.named_parameters() if name not in trained}
    assert fixed == {"conv1", "layer1"}
    assert torch.equal(untrained.backbone.body.bn1.running_mean, statistics)
    assert untrained.backbone.body.layer4[0].bn2.weight.eq(1).all()  # else the block would stay an identity
    untrained.eval()


def test_sampled_points_start_in_a_direction_of_each_head(untrained):
    bias = untrained.encoder[0].self_attn.sampling_offsets.bias.reshape(2, 4, 4, 2)
    for point in range(4):
        torch.testing.assert_close(bias[0, :, point], torch.tensor([point + 1.0, 0]).expand(4, 2))
        torch.testing.assert_close(bias[1, :, point], torch.tensor([-point - 1.0, 0]).expand(4, 2))
