"""Make a model bundle of any network that reads expressions off faces and comes as an ONNX file.

Persons and faces are found by the networks of bootstrap, which comes with the package. The bundle runs on a robot, and
teaches: caer distill --teacher FOLDER. What the graph says itself is read from it (layout, size, type, outputs). Files
of EmotiEffLib (HSEmotion) are known by their names, such as enet_b0_8_best_vgaf.onnx and enet_b0_8_va_mtl.onnx. Of
other files say the labels and the normalisation. Before the folder appears, the bundle reads the demo's photographs;
what it says of them is printed.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import part, positive, whole

if TYPE_CHECKING:
    from caer_ros.offline.importers.face_bundle import FaceImport
    from caer_ros.offline.importers.face_description import Given
    from caer_ros.offline.importers.published_faces import Preset

NO_PRESET = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer import faces``."""
    parser.add_argument("file", type=Path, metavar="FILE.onnx", help="the network")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the bundle, such as models/faces")
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle if it exists")
    parser.add_argument("--name", default="", help="of the bundle (default: the folder's)")
    parser.add_argument("--model-version", default="1.0.0", metavar="VERSION", help="default: %(default)s")
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help=f"the published file that this is; {NO_PRESET}: of no known one (default: by the file's name)",
    )
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--labels", type=names, metavar="A,B,C", help="in the order of the output; or a label set's name: its order"
    )
    labels.add_argument(
        "--label-set", metavar="SET", help="of the bundle (default: the one that has these labels, else its own)"
    )
    labels.add_argument("--predictable", type=names, metavar="A,B", help="the labels to trust (default: all)")
    labels.add_argument("--multi-label", action="store_true", help="each score stands for itself (sigmoid)")
    input_ = parser.add_argument_group("input, where the graph leaves it open")
    input_.add_argument("--layout", choices=("nchw", "nhwc"), help="where the channels stand")
    input_.add_argument("--channels", choices=("rgb", "bgr", "grey"), help="default: rgb of three, grey of one")
    input_.add_argument("--size", type=whole, metavar="PIXELS", help="side of the square input")
    input_.add_argument("--mean", type=numbers, metavar="M[,M,M]", help="taken off pixels 0..1, in the channels' order")
    input_.add_argument("--std", type=numbers, metavar="S[,S,S]", help="divides what is left")
    input_.add_argument(
        "--span", type=positive, metavar="N", help="pixels are 0..N before --mean: 255 where it is of bytes (1)"
    )
    input_.add_argument(
        "--crop", type=crop, metavar="F", help="sides of the square cut out, in sides of the face's box (1.2)"
    )
    input_.add_argument("--no-antialias", action="store_true", help="shrink by two-by-two interpolation alone")
    output = parser.add_argument_group("outputs, where the graph leaves it open")
    output.add_argument("--scores", metavar="OUTPUT", help="name of the labels' output")
    gives = output.add_mutually_exclusive_group()
    gives.add_argument("--logits", dest="gives", action="store_const", const="logits", help="the softmax is not inside")
    gives.add_argument(
        "--probabilities", dest="gives", action="store_const", const="probabilities", help="the softmax is inside"
    )
    output.add_argument(
        "--valence-arousal",
        nargs="?",
        const="columns",
        metavar="OUTPUT[,OUTPUT]",
        help="an output of both, or one each (no name: the two columns behind the labels')",
    )
    terms = parser.add_argument_group("terms and threshold")
    terms.add_argument("--licence", metavar="SPDX", help="of the network (default: the preset's, LicenseRef-unknown)")
    terms.add_argument("--commercial-use", choices=("true", "false", "unknown"), default="unknown")
    terms.add_argument("--data", default="", metavar="TEXT", help="what it was trained on")
    terms.add_argument(
        "--uncertain-threshold", type=part, metavar="S", help="lowest certain top score (default: bootstrap's)"
    )


def names(text: str) -> tuple[str, ...]:
    """Names with commas between, none of them empty."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"must be names with commas between, not {text!r}")
    return found


def numbers(text: str) -> tuple[float, ...]:
    """Finite numbers with commas between."""
    try:
        found = tuple(float(number) for number in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"must be a number, or one a channel with commas between, not {text!r}")
    return found


def crop(text: str) -> float:
    """What ``model.yaml`` takes as expression.crop."""
    value = positive(text)
    if not 0.5 <= value <= 4:
        raise argparse.ArgumentTypeError(f"must be a number from 0.5 to 4, not {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    """Import, and print what was found. Raises ImporterError, BundleError or OSError."""
    from caer_ros.offline.importers.face_bundle import FaceSettings, write

    settings = FaceSettings(
        name=args.name,
        version=args.model_version,
        licence=args.licence,
        commercial_use={"true": True, "false": False, "unknown": None}[args.commercial_use],
        data=args.data,
        uncertain=args.uncertain_threshold,
    )
    name, preset = _preset(args)
    made = write(args.file, args.output, _given(args), preset, settings, overwrite=args.overwrite)
    show(args.file, made, name, preset)
    return 0


def _preset(args: argparse.Namespace) -> tuple[str, Preset | None]:
    """The named preset, or that of the file's name."""
    from caer_ros.offline.importers.published_faces import PRESETS

    name = args.preset or args.file.stem
    if args.preset and name not in (NO_PRESET, *PRESETS):
        raise argparse.ArgumentTypeError(f"--preset {name}: there are {', '.join(PRESETS)}, and {NO_PRESET}")
    return name, PRESETS.get(name)


def _given(args: argparse.Namespace) -> Given:
    from caer_ros.offline.importers.face_description import Given
    from caer_ros.taxonomy import LABEL_SETS

    labels = args.labels
    if labels is not None and len(labels) == 1 and labels[0] in LABEL_SETS:
        labels = LABEL_SETS[labels[0]]
    return Given(
        labels=labels,
        label_set=args.label_set,
        predictable=args.predictable,
        multi_label=args.multi_label,
        size=args.size,
        layout=args.layout,
        channels=args.channels,
        span=args.span,
        mean=args.mean,
        std=args.std,
        crop=args.crop,
        antialias=not args.no_antialias,
        output=args.scores,
        gives=args.gives,
        valence_arousal=args.valence_arousal,
    )


def show(file: Path, made: FaceImport, name: str, preset: Preset | None) -> None:
    """Print what was written, and what a person should know of it."""
    bundle, rule = made.bundle, made.described.rule
    if preset is not None:
        which = "the published file" if made.published else "a file of that name, not the published one of the preset"
        print(f"{file}: {which}, preset {name}")
    for remark in made.described.remarks:
        print(f"{file}: {remark}")
    size = sum(part_.size for part_ in bundle.files.values()) / 1e6
    print(f"{bundle.path}: {bundle.name} {bundle.version}, {bundle.model_version}, {size:.2f} MB")
    print(
        f"input: {rule.size} x {rule.size} {rule.channels}, {rule.layout}, {rule.dtype}; crop {rule.crop:g}; "
        f'output "{rule.output}": {rule.gives} of {", ".join(rule.labels)}'
    )
    print("on the demo's photographs, of which the astronaut smiles and the cameraman is in profile:")
    for picture, said in made.answers.items():
        print(f"  {picture:<18} {said}")
    terms = f" {preset.terms}." if preset else " Ask its authors."
    allowed = {True: "allowed", False: "not allowed", None: "unknown"}[bundle.commercial_use]
    print(f"Licence {bundle.licence}, commercial use {allowed}.{terms}")
