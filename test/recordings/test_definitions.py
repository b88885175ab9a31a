"""Our messages are known without ROS."""

from caer_ros.recordings.definitions import PERSONS, typestore


def test_every_message_of_the_package_is_defined():
    names = ("PersonEmotionArray", "PersonEmotion", "PersonEvent", "EmotionLabels", "PerceptionStatus")
    assert PERSONS in typestore().fielddefs
    assert {f"caer_ros/msg/{name}" for name in names} <= typestore().fielddefs.keys()
