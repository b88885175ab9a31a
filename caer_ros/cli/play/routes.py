"""Which topics a source is published on, and in which form."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caer_ros.recordings.sources import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.recordings.sources import Stream


@dataclass(frozen=True)
class Route:
    """A recorded topic and what is published for it."""

    source_topic: str
    source_type: str
    topic: str
    msgtype: str


def plan(streams: Sequence[Stream], topic: str | None, transport: str) -> list[Route]:
    """Decide what is published for each stream.

    Args:
        streams: What the source has.
        topic: Name of the image topic without ``/compressed``; None leaves the names.
        transport: "raw" or "compressed" converts every image to it, "" converts none.

    Raises:
        argparse.ArgumentTypeError: ``topic`` names one topic and there are several cameras.
    """
    cameras = sorted({base_topic(stream.topic, stream.msgtype) for stream in streams if stream.msgtype != CAMERA_INFO})
    if topic is not None and len(cameras) > 1:
        raise argparse.ArgumentTypeError(
            f"--topic: there are {len(cameras)} cameras ({', '.join(cameras)}); rename them one by one with "
            f"--ros-args -r {cameras[0]}:={topic}"
        )
    renamed = {cameras[0]: topic, info_topic(cameras[0]): info_topic(topic)} if topic is not None else {}
    wanted = {"raw": IMAGE, "compressed": COMPRESSED_IMAGE}.get(transport)
    routes: dict[str, Route] = {}
    # What needs no conversion comes first and keeps its name where a camera was recorded in both forms.
    for stream in sorted(streams, key=lambda stream: stream.msgtype != wanted):
        msgtype = stream.msgtype if stream.msgtype == CAMERA_INFO or wanted is None else wanted
        base = base_topic(stream.topic, stream.msgtype)
        name = renamed.get(base, base) + ("/compressed" if msgtype == COMPRESSED_IMAGE else "")
        routes.setdefault(name, Route(stream.topic, stream.msgtype, name, msgtype))
    return sorted(routes.values(), key=lambda route: route.source_topic)


def base_topic(topic: str, msgtype: str) -> str:
    """The name that image_transport would be given: without ``/compressed`` where that is the type."""
    return topic.removesuffix("/compressed") if msgtype == COMPRESSED_IMAGE else topic


def info_topic(topic: str) -> str:
    """The CameraInfo topic beside an image topic."""
    return "/".join((*topic.split("/")[:-1], "camera_info"))
