"""What an expression network takes and gives: out of its graph, a preset, what a person says, and a trial.

Nothing that matters is guessed. What neither graph, preset nor person says is an error that names the option.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.offline.importers.onnx_file import ROBOT_IR, ROBOT_OPSET, answers
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.perception.bundle.bundle import Column, Expression
from caer_ros.perception.bundle.reading import CHANNELS
from caer_ros.perception.engine import written
from caer_ros.perception.person import ScoreType
from caer_ros.perception.predictors.composed.expression_network import TYPES, are_probabilities, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.importers.onnx_file import OnnxFile
    from caer_ros.offline.importers.published_faces import Preset

    Outputs = dict[str, NDArray[Any]]

CROP = 1.2
"""Side of the square, in longer sides of the face's box: forehead and chin, little else. Ours, not measured."""
BEHIND = "columns"
"""Valence and arousal in the two columns behind the labels'."""
_FAR = 2.0
"""Valence and arousal beyond it are on another scale than -1..1."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a person says of the file; None where they say nothing."""

    labels: tuple[str, ...] | None = None
    """In the order of the output's columns."""
    label_set: str | None = None
    predictable: tuple[str, ...] | None = None
    multi_label: bool = False
    size: int | None = None
    layout: str | None = None
    channels: str | None = None
    span: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    antialias: bool = True
    output: str | None = None
    gives: str | None = None
    valence_arousal: str | None = None
    """``BEHIND``, the name of an output, or two names with a comma between."""


@dataclass(frozen=True, slots=True)
class Described:
    """A network that can stand in a bundle."""

    rule: Expression
    label_set: str | None
    """None: the labels are of no known set."""
    labels: tuple[str, ...]
    """Of the bundle, in its order."""
    predictable: tuple[str, ...]
    score_type: ScoreType
    remarks: tuple[str, ...]
    """What a person should know."""


def describe(
    file: OnnxFile, given: Given, preset: Preset | None, pictures: Mapping[str, NDArray[np.uint8]]
) -> Described:
    """What ``model.yaml`` shall say of a network.

    Args:
        file: the network.
        given: goes before ``preset``; neither may contradict the graph.
        preset: what is published of a file of this name.
        pictures: RGB [H,W,3], on which the network is tried.

    Raises:
        ImporterError: something is not said, contradicts the graph, or is not what the network answers.
    """
    network_labels, label_set, labels, predictable = _labels(file, given, preset)
    layout, channels, size = _input(file, given, preset)
    dtype, span, mean, std = _numbers(file, given, preset, CHANNELS[channels])
    crop = CROP if given.crop is None else given.crop
    score_type = ScoreType.SIGMOID if given.multi_label else ScoreType.SOFTMAX
    # To be tried before outputs are known: by shape, for those that the graph leaves open.
    blank = Expression(
        size, layout, channels, dtype, span, mean, std, crop, given.antialias, "", "logits", network_labels
    )
    found = answers(file, _trial(blank, list(pictures.values())))
    wanted = given.valence_arousal or (BEHIND if preset is not None and preset.valence_arousal else None)
    output, valence, arousal = _outputs(file, found, network_labels, given.output, wanted)
    scores = found[output][:, : len(network_labels)]
    gives = _gives(file, output, scores, given.gives or (preset.gives if preset else None), score_type)
    _check_affect(file, found, (valence, arousal))
    rule = Expression(
        size, layout, channels, dtype, span, mean, std, crop, given.antialias, output, gives, network_labels, valence,
        arousal,
    )  # fmt: skip
    return Described(rule, label_set, labels, predictable, score_type, _remarks(file, scores))


def _labels(
    file: OnnxFile, given: Given, preset: Preset | None
) -> tuple[tuple[str, ...], str | None, tuple[str, ...], tuple[str, ...]]:
    """The network's labels; label set, labels and predictable labels of the bundle."""
    network = given.labels or (preset.labels if preset else None)
    if network is None:
        raise ImporterError(
            f"{file.path}: which emotions its output means does not stand in the file; say it: --labels A,B,C in the "
            "order of the output, or --labels affectnet for a set in its own order"
        )
    if len(set(network)) != len(network):
        raise ImporterError(f"{file.path}: --labels {','.join(network)}: a name stands there twice")
    sets = taxonomy.LABEL_SETS
    label_set = given.label_set or next((name for name, known in sets.items() if set(known) == set(network)), None)
    labels = sets.get(label_set or "", network)
    if strangers := [label for label in network if label not in labels]:
        raise ImporterError(
            f'{file.path}: {", ".join(strangers)}: not in label set "{label_set}", which has {", ".join(labels)}; give '
            "--labels by these names, or a --label-set of your own name"
        )
    chosen = network if given.predictable is None else given.predictable
    if strangers := [label for label in chosen if label not in network]:
        raise ImporterError(
            f"{file.path}: --predictable {', '.join(strangers)}: not among the network's labels {', '.join(network)}"
        )
    return network, label_set, labels, tuple(label for label in labels if label in chosen)


def _input(file: OnnxFile, given: Given, preset: Preset | None) -> tuple[str, str, int]:
    """Layout, channels and size."""
    tensor, path = file.input, file.path
    said = f'{path}: input "{tensor.name}" is {tensor.type} {written(tensor.shape)}'
    if len(tensor.shape) != 4:
        raise ImporterError(
            f"{said}; four dimensions are expected, [batch, channels, size, size] or [batch, size, size, channels]"
        )
    if tensor.shape[0] not in (None, 1):
        raise ImporterError(f"{said}, with a fixed batch; export it with a batch of 1, or better a dynamic one")
    counts = set(CHANNELS.values())
    places = {"nchw": 1, "nhwc": 3}
    fitting = [layout for layout, place in places.items() if tensor.shape[place] in counts]
    open_ = [layout for layout, place in places.items() if tensor.shape[place] is None]
    layout = given.layout or (fitting[0] if len(fitting) == 1 else None) or (preset.layout if preset else None)
    if layout is None:
        raise ImporterError(
            f"{said}: which dimension is the channels' cannot be told; say it: --layout nchw or nhwc"
            if fitting or open_
            else f"{said}: no dimension of 1 or 3 channels; a network of pictures is expected"
        )
    if layout not in fitting + open_:
        raise ImporterError(f"{said}, which is not {layout} with 1 or 3 channels; correct --layout")
    count = tensor.shape[places[layout]]
    channels = given.channels or (preset.channels if preset else "grey" if count == 1 else "rgb" if count else None)
    if channels is None:
        raise ImporterError(f"{said}: how many channels cannot be told; say it: --channels rgb, bgr or grey")
    if count not in (None, CHANNELS[channels]):
        raise ImporterError(f"{said}, with {count} channels, which is not {channels}; correct --channels")
    return layout, channels, _size(said, tensor.shape[2:] if layout == "nchw" else tensor.shape[1:3], given, preset)


def _size(said: str, sides: Sequence[int | None], given: Given, preset: Preset | None) -> int:
    known = {side for side in sides if side is not None}
    if len(known) > 1:
        raise ImporterError(f"{said}: only square inputs are supported, as faces are cut out as squares")
    size = given.size or (preset.size if preset else None) or next(iter(known), None)
    if size is None:
        raise ImporterError(f"{said}: of any size; say which it was trained with: --size N")
    if known - {size}:
        where = "--size" if given.size else "the preset; give --preset none where it is another network"
        raise ImporterError(f"{said}, not of {size} pixels; correct {where}")
    if size < 8:
        raise ImporterError(f"{said}: {size} pixels are too few for a face; 8 or more are expected")
    return size


def _numbers(
    file: OnnxFile, given: Given, preset: Preset | None, count: int
) -> tuple[str, float, tuple[float, ...], tuple[float, ...]]:
    """Type of the input, and how pixels become its numbers: span, mean, std."""
    tensor = file.input
    dtype = next((name for name, type_ in TYPES.items() if type_ == tensor.type), None)
    if dtype is None:
        raise ImporterError(
            f'{file.path}: input "{tensor.name}" is {tensor.type}; {" or ".join(TYPES.values())} is expected: export '
            "it in float32"
        )
    told = given.span, given.mean, given.std
    if dtype == "uint8":
        if told != (None, None, None):
            raise ImporterError(
                f"{file.path}: takes bytes, which are not normalised; leave out --span, --mean and --std"
            )
        return dtype, 255.0, (0.0,) * count, (1.0,) * count
    mean, std = given.mean or (preset.mean if preset else None), given.std or (preset.std if preset else None)
    if mean is None or std is None:
        raise ImporterError(
            f"{file.path}: how pixels are normalised does not stand in the file; say --mean and --std, of pixels 0..1: "
            "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 for ImageNet's, --mean 0 --std 1 for none; with "
            "--span 255 of pixels 0..255"
        )
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, count):
            raise ImporterError(f"{file.path}: --{name}: {len(values)} numbers for {count} channels; give 1 or {count}")
    if min(std) <= 0:
        raise ImporterError(f"{file.path}: --std: {min(std):g} is not above 0")
    return dtype, given.span or 1.0, mean * (count // len(mean)), std * (count // len(std))


def _trial(rule: Expression, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
    """Inputs to try the network on: the upper middle of each picture, black, white and noise."""
    random = np.random.default_rng(0)
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (0, 255)]
    noise = random.integers(0, 256, (64, 64, 3), np.uint8)
    inputs = []
    for image in (*pictures, *flat, noise):
        height, width = image.shape[:2]
        side = min(height, width) / 3
        box = np.array([[(width - side) / 2, height / 6, (width + side) / 2, height / 6 + side]], np.float32)
        inputs.append(encode(image, box, rule))
    return np.concatenate(inputs)


def _outputs(
    file: OnnxFile, found: Outputs, labels: tuple[str, ...], named: str | None, affect: str | None
) -> tuple[str, Column | None, Column | None]:
    """The labels' output, and the columns of valence and arousal."""
    for name in [named] if named else []:
        _require_table(file, found, name, "--scores")
    count = len(labels)
    width = count + 2 if affect == BEHIND else count
    tables = {
        name: values.shape[1] for name, values in found.items() if values.ndim == 2 and values.dtype == np.float32
    }
    names = [named] if named else [name for name, columns in tables.items() if columns == width]
    if len(names) > 1:
        raise ImporterError(
            f"{file.path}: {len(names)} outputs of {width} columns; say which is the labels': --scores {names[0]}"
        )
    if not names or tables[names[0]] != width:
        listed = ", ".join(f'"{name}" of {columns}' for name, columns in tables.items()) or "none"
        wanted = f"{count} labels ({', '.join(labels)})" + (" and valence and arousal" if affect == BEHIND else "")
        behind = affect is None and count + 2 in ([tables[named]] if named else tables.values())
        remedy = (
            "if the last two columns are valence and arousal, give --valence-arousal; else correct --labels"
            if behind
            else "correct --labels, or say what else there is: --valence-arousal"
        )
        raise ImporterError(f"{file.path}: no output of {width} columns for {wanted}; there are {listed}: {remedy}")
    if affect is None:
        return names[0], None, None
    if affect == BEHIND:
        return names[0], Column(names[0], count), Column(names[0], count + 1)
    return names[0], *_affect_outputs(file, found, names[0], affect)


def _affect_outputs(file: OnnxFile, found: Outputs, scores: str, affect: str) -> tuple[Column, Column]:
    """Valence and arousal of an output of their own, or of one each."""
    outputs = affect.split(",")
    for name in outputs:
        _require_table(file, found, name, "--valence-arousal")
    if len(outputs) > 2 or scores in outputs or (len(outputs) == 1 and found[outputs[0]].shape[1] < 2):
        raise ImporterError(
            f"{file.path}: --valence-arousal {affect}: expected an output of two columns, or two outputs with a comma "
            f'between, none of which is the labels\' "{scores}"'
        )
    if len(outputs) == 2:
        return Column(outputs[0], 0), Column(outputs[1], 0)
    return Column(affect, 0), Column(affect, 1)


def _require_table(file: OnnxFile, found: Outputs, name: str, option: str) -> None:
    listed = ", ".join(found) or "none"
    if name not in found:
        raise ImporterError(f'{file.path}: {option}: no output named "{name}"; there are {listed}')
    if found[name].ndim != 2 or found[name].dtype != np.float32:
        raise ImporterError(
            f'{file.path}: {option}: output "{name}" is {found[name].dtype} {written(found[name].shape[1:])} for a '
            "face; a row of float32 is expected"
        )


def _gives(file: OnnxFile, output: str, scores: NDArray[Any], said: str | None, score_type: ScoreType) -> str:
    """Logits or probabilities, as the trial shows it. Raises ImporterError where somebody said otherwise."""
    if not np.isfinite(scores).all():
        raise ImporterError(
            f'{file.path}: output "{output}" is not finite on trial pictures; is the normalisation right? --mean, --std'
        )
    shown = "probabilities" if are_probabilities(scores, score_type) else "logits"
    span = f"{scores.min():.3g} to {scores.max():.3g}"
    if said == "probabilities" and shown == "logits":
        raise ImporterError(
            f'{file.path}: output "{output}" has values from {span} on trial pictures, which are no probabilities that '
            "add up to 1: give --logits, or --multi-label where each stands for itself"
        )
    if said == "logits" and shown == "probabilities" and score_type == ScoreType.SOFTMAX:
        raise ImporterError(
            f'{file.path}: output "{output}" has values from {span} that add up to 1 on every trial picture: the '
            "softmax is inside; give --probabilities"
        )
    return said or shown


def _check_affect(file: OnnxFile, found: Outputs, columns: tuple[Column | None, ...]) -> None:
    for column in filter(None, columns):
        values = found[column.output][:, column.index]
        if not np.isfinite(values).all() or np.abs(values).max() > _FAR:
            raise ImporterError(
                f'{file.path}: column {column.index} of output "{column.output}" has values from {values.min():.3g} to '
                f"{values.max():.3g} on trial pictures; valence and arousal are expected within -1..1: correct "
                "--valence-arousal, or leave it out"
            )


def _remarks(file: OnnxFile, scores: NDArray[Any]) -> tuple[str, ...]:
    remarks = []
    if file.opset > ROBOT_OPSET or file.ir_version > ROBOT_IR:
        remarks.append(
            f"of opset {file.opset} and IR version {file.ir_version}: ONNX Runtime 1.17, the oldest that a robot may "
            f"have, reads {ROBOT_OPSET} and {ROBOT_IR} at most"
        )
    if (file.input.shape or (None,))[0] == 1:
        remarks.append("takes one face at a time, so its cost grows with each; a dynamic batch would be faster")
    if np.ptp(scores, axis=0).max() < 1e-3:
        remarks.append("answers the same to every trial picture: check --mean, --std and --span")
    return tuple(remarks)
