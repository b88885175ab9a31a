"""Writes the demo bag and its ground truth: ``python -m caer_ros.cli.demo.demo_bag --seed N --out DIR``.

A bag holds a compressed camera (JPEG) with its camera_info, as a driver would record it. Seed 0 is the bag that is
committed in ``resource/demo``; every other seed tells another story with the same three people. The same seed gives
the same bytes, as long as numpy and OpenCV (its JPEG encoder above all) are of the same version; with others the
pictures differ by a grey level here and there, and the ground truth by a pixel.

``ground_truth.json`` is of the format "own" (``recordings.annotations.own``): boxes around what is visible, nearest
person first, with track ids ``<person>/<n>``, and without a single emotion. Beyond that format it has, of each
annotation, ``visible`` (which part of the person is seen, 0..1); a person of whom too little is seen to demand a
detection is a region to ignore (``iscrowd``) with a ``track_id``. Images have ``noise`` where they show nothing else.
``info`` has generator, seed, bag (folder, relative) and its bag_sha256 (of the .mcap file), rate (Hz), topics,
frame_id, track_buffer (s), and ``persons``: of each the status and emotion that perception is expected to report
("" = any).

An identity ends when nobody could have seen the person for longer than the track buffer; from the image on in which
the person is demanded again, they have the next one. Between "surely remembered" and "surely forgotten" is a grey
zone, where it depends on the detector: stories with such an absence are not told.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from caer_ros.cli.demo import scenes
from caer_ros.recordings.annotations.truth import FILE
from caer_ros.recordings.frames import frame_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rosbags.typesys.store import Typestore

GENERATOR = "caer_ros.cli.demo.demo_bag 2"
BAG, TRUTH = "demo_bag", FILE
IMAGE_TOPIC, CAMERA_INFO_TOPIC = "/camera/image_raw/compressed", "/camera/camera_info"
FRAME_ID = "camera_optical_frame"
TRACK_BUFFER = 2.0
"""Seconds after which a tracker may forget a person whom it does not see."""
EPOCH_NS = 1_577_836_800_000_000_000
"""Stamp of the first picture: 2020-01-01 00:00 UTC, when none of this happened."""
JPEG_QUALITY = 66
"""Keeps the committed bag below 4 MB."""
FOCAL_LENGTH = 554.0
"""Pixels at zoom 1: 60 degrees from left to right."""
_GLIMPSE = 0.1
"""Visible part of a person, 0..1, below which nobody sees them."""
_MARGIN = 0.2
"""An absence within this fraction of the track buffer is in the grey zone."""
_ATTEMPTS = 100


@dataclass(frozen=True)
class DemoBag:
    """A bag's folder and its ground truth."""

    bag: Path
    truth: Path


def committed() -> DemoBag:
    """The bag of seed 0 that comes with the package.

    Raises:
        scenes.SceneError: The package's resources are not installed.

    """
    folder = scenes.demo_folder()
    return DemoBag(folder / BAG, folder / TRUTH)


def write(seed: int, out: Path) -> DemoBag:
    """Render story ``seed`` and write ``demo_bag/`` and ``ground_truth.json`` into ``out``.

    Raises:
        FileExistsError: There is a bag already.
        scenes.SceneError: No story without an absence in the grey zone was found.

    """
    made = DemoBag(out / BAG, out / TRUTH)
    if made.bag.exists():
        raise FileExistsError(f"{made.bag} exists already: remove it, or choose another folder")
    scene, persons = tell(seed)
    write_scene(scene, persons, made)
    return made


def write_scene(scene: scenes.Scene, persons: Sequence[list[scenes.Placed]], made: DemoBag) -> None:
    """Write a scene's bag and its ground truth. ``persons`` are those of each picture, ``scene.persons(index)``."""
    stamps = stamps_ns(scene.story)
    made.truth.parent.mkdir(parents=True, exist_ok=True)
    _write_bag(scene, stamps, made.bag)
    digest = hashlib.sha256((made.bag / f"{BAG}.mcap").read_bytes()).hexdigest()
    made.truth.write_text(_truth(scene.story, stamps, identities(persons), digest), "utf8")


def stamps_ns(story: scenes.Story) -> list[int]:
    """Stamp of each picture in nanoseconds: regular but for the jitter of a real camera."""
    random = np.random.default_rng((story.seed, 3))
    jitter = random.integers(-1_500_000, 1_500_000, story.length)
    jitter[0] = 0
    period = round(1e9 / scenes.RATE)
    return [EPOCH_NS + index * period + int(jitter[index]) for index in range(story.length)]


def identities(persons: Sequence[list[scenes.Placed]]) -> list[list[tuple[scenes.Placed, str]]]:
    """Everybody in every picture with their identity, ``<actor>/<n>``.

    Raises:
        scenes.SceneError: Somebody is away for about as long as a tracker remembers.

    """
    returns = {actor: _returns(persons, actor) for actor in scenes.ACTORS}
    return [
        [(placed, f"{placed.actor}/{1 + sum(index >= start for start in returns[placed.actor])}") for placed in here]
        for index, here in enumerate(persons)
    ]


def _returns(persons: Sequence[list[scenes.Placed]], actor: str) -> list[int]:
    """The pictures in which an actor is demanded again after they must have been forgotten."""
    seen = [max((placed.visible for placed in here if placed.actor == actor), default=0.0) for here in persons]
    demanded = [index for index, here in enumerate(persons) if any(p.actor == actor and not p.ignore for p in here)]
    returns = []
    for last, first in itertools.pairwise(demanded):
        longest = (first - last) / scenes.RATE
        # What lies surely between two detections: the longest time in which there was not even a glimpse.
        runs = [list(run) for hidden, run in itertools.groupby(seen[last:first], lambda v: v < _GLIMPSE) if hidden]
        surely = (max(map(len, runs), default=0) + 1) / scenes.RATE
        if surely >= TRACK_BUFFER * (1.0 + _MARGIN):
            returns.append(first)
        elif longest > TRACK_BUFFER * (1.0 - _MARGIN):
            raise scenes.SceneError(f"{actor} is away from picture {last} to {first}: is that forgotten or not?")
    return returns


def tell(seed: int) -> tuple[scenes.Scene, list[list[scenes.Placed]]]:
    """The first of the seed's stories in which every absence is clearly short or long."""
    problem = ""
    for attempt in range(_ATTEMPTS):
        scene = scenes.Scene(scenes.story(seed, attempt))
        persons = [scene.persons(index) for index in range(scene.story.length)]
        try:
            identities(persons)
        except scenes.SceneError as error:
            problem = str(error)
        else:
            return scene, persons
    raise scenes.SceneError(f"seed {seed}: none of {_ATTEMPTS} stories will do; in the last, {problem}")


# --- The ground truth ----------------------------------------------------------------------------------------------


def _truth(
    story: scenes.Story, stamps: Sequence[int], named: Sequence[list[tuple[scenes.Placed, str]]], digest: str
) -> str:
    """The json: a line for ``info``, and one for each image and each annotation."""
    images = [
        {
            "id": number,
            "file_name": f"{frame_name(IMAGE_TOPIC, stamp)}.jpg",
            "width": scenes.WIDTH,
            "height": scenes.HEIGHT,
            **({"noise": True} if number in story.noise else {}),
        }
        for number, stamp in enumerate(stamps)
    ]
    shown = ((number, placed, identity) for number, here in enumerate(named) for placed, identity in here)
    annotations = [
        {
            "id": count,
            "image_id": number,
            "bbox": _xywh(placed.box),
            "track_id": identity,
            "visible": round(placed.visible, 3),
            **({"iscrowd": 1} if placed.ignore else {}),
        }
        for count, (number, placed, identity) in enumerate(shown, start=1)
    ]
    parts = (
        f'"info": {json.dumps(_info(story.seed, digest))}',
        *map(_lines, ("images", "annotations"), (images, annotations)),
    )
    return "{" + ",\n".join(parts) + "}\n"


def _lines(name: str, entries: Sequence[dict[str, Any]]) -> str:
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    return f'"{name}": [\n{lines}\n]'


def _xywh(box: Sequence[float]) -> list[float]:
    x_min, y_min, x_max, y_max = (round(value, 2) for value in box)
    return [x_min, y_min, round(x_max - x_min, 2), round(y_max - y_min, 2)]


def _info(seed: int, digest: str) -> dict[str, object]:
    return {
        "labels": [],
        "box_kind": "body",
        "exhaustive": True,
        "generator": GENERATOR,
        "seed": seed,
        "bag": BAG,
        "bag_sha256": digest,
        "rate": scenes.RATE,
        "topics": [IMAGE_TOPIC, CAMERA_INFO_TOPIC],
        "frame_id": FRAME_ID,
        "track_buffer": TRACK_BUFFER,
        "persons": {name: {"status": actor.status, "emotion": actor.emotion} for name, actor in scenes.ACTORS.items()},
    }


# --- The bag -------------------------------------------------------------------------------------------------------


def _write_bag(scene: scenes.Scene, stamps: Sequence[int], folder: Path) -> None:
    types = get_typestore(Stores.ROS2_JAZZY)
    random = np.random.default_rng((scene.story.seed, 4))
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image_kind, info_kind = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
        image_connection = writer.add_connection(IMAGE_TOPIC, image_kind, typestore=types, offered_qos_profiles=[_QOS])
        info_connection = writer.add_connection(
            CAMERA_INFO_TOPIC, info_kind, typestore=types, offered_qos_profiles=[_QOS]
        )
        for index, stamp in enumerate(stamps):
            # The recorder gets a picture some milliseconds after it was taken.
            recorded = stamp + int(random.integers(3_000_000, 8_000_000))
            info = _camera_info(types, stamp, scene.view(index).zoom)
            image = _compressed_image(types, stamp, scene.image(index))
            writer.write(info_connection, recorded, types.serialize_cdr(info, info_kind))
            writer.write(image_connection, recorded + 150_000, types.serialize_cdr(image, image_kind))


_QOS = Qos(
    history=QosHistory.KEEP_LAST,
    depth=10,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.VOLATILE,
    deadline=QosTime(0, 0),
    lifespan=QosTime(0, 0),
    liveliness=QosLiveliness.SYSTEM_DEFAULT,
    liveliness_lease_duration=QosTime(0, 0),
    avoid_ros_namespace_conventions=False,
)
"""What image_transport's publishers offer."""


def _header(types: Typestore, stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    time = types.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types.types["std_msgs/msg/Header"](stamp=time, frame_id=FRAME_ID)


def _compressed_image(types: Typestore, stamp_ns: int, image: scenes.Image) -> Any:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    kind = types.types["sensor_msgs/msg/CompressedImage"]
    return kind(header=_header(types, stamp_ns), format="rgb8; jpeg compressed bgr8", data=data.reshape(-1))


def _camera_info(types: Typestore, stamp_ns: int, zoom: float) -> Any:
    """A lens without distortion; zooming changes its focal length."""
    focal, x, y = FOCAL_LENGTH * zoom, scenes.WIDTH / 2, scenes.HEIGHT / 2
    region = types.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types.types["sensor_msgs/msg/CameraInfo"](
        header=_header(types, stamp_ns),
        height=scenes.HEIGHT,
        width=scenes.WIDTH,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([focal, 0, x, 0, focal, y, 0, 0, 1], np.float64),
        r=np.eye(3).reshape(-1),
        p=np.array([focal, 0, x, 0, 0, focal, y, 0, 0, 0, 1, 0], np.float64),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a bag; the exit code: 0, 1 for what went wrong, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m caer_ros.cli.demo.demo_bag", description="Make a demo bag.")
    parser.add_argument("--seed", type=int, default=0, help="story; 0 is the demo's (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {BAG}/ and {TRUTH}")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: must be 0 or more")
    try:
        made = write(options.seed, options.out)
    except (OSError, scenes.SceneError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in made.bag.iterdir())
    print(f"{made.bag}: {size / 1e6:.2f} MB\n{made.truth}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
