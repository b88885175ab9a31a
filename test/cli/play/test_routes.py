"""What is published for which recorded topic."""

import argparse

import pytest

from caer_ros.cli.play.routes import plan
from caer_ros.recordings.sources import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, Stream

RAW = Stream("/cam/image_raw", IMAGE, 10)
JPEG = Stream("/cam/image_raw/compressed", COMPRESSED_IMAGE, 10)
INFO = Stream("/cam/camera_info", CAMERA_INFO, 10)
OTHER = Stream("/other/image", IMAGE, 10)


def routed(streams, topic=None, transport=""):
    return {route.source_topic: (route.topic, route.msgtype) for route in plan(streams, topic, transport)}


def test_a_bag_is_played_as_recorded():
    streams = [RAW, JPEG, INFO, OTHER]
    assert routed(streams) == {stream.topic: (stream.topic, stream.msgtype) for stream in streams}


@pytest.mark.parametrize("image", [RAW, JPEG])
@pytest.mark.parametrize(
    ("transport", "topic", "msgtype"),
    [("raw", "/cam/image_raw", IMAGE), ("compressed", "/cam/image_raw/compressed", COMPRESSED_IMAGE)],
)
def test_images_are_converted_and_named_as_image_transport_does(image, transport, topic, msgtype):
    assert routed([image, INFO], transport=transport) == {
        image.topic: (topic, msgtype),
        INFO.topic: (INFO.topic, CAMERA_INFO),
    }


@pytest.mark.parametrize(("transport", "kept"), [("raw", RAW), ("compressed", JPEG)])
def test_a_camera_recorded_in_both_forms_is_not_converted(transport, kept):
    assert routed([RAW, JPEG], transport=transport) == {kept.topic: (kept.topic, kept.msgtype)}


def test_camera_info_follows_its_renamed_camera():
    assert routed([JPEG, INFO], topic="front/image") == {
        JPEG.topic: ("front/image/compressed", COMPRESSED_IMAGE),
        INFO.topic: ("front/camera_info", CAMERA_INFO),
    }
    assert routed([JPEG, INFO], topic="image")[INFO.topic] == ("camera_info", CAMERA_INFO)


def test_one_name_for_two_cameras_is_refused_with_a_remedy():
    with pytest.raises(argparse.ArgumentTypeError, match=r"2 cameras .*/cam/image_raw, /other/image.*--ros-args -r"):
        plan([RAW, JPEG, OTHER], "image", "")
