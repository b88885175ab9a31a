"""A domain of one's own: free, on this machine alone, and passed on to children."""

import os
import socket

import pytest

from caer_ros.cli.console import domain


def test_a_domain_in_use_is_not_taken(monkeypatch):
    monkeypatch.setattr(domain, "DOMAINS", range(2, 4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * 2 + 10))
        assert {domain.free() for _ in range(20)} == {3}


@pytest.mark.parametrize("wanted", [None, 7])
def test_children_are_in_it_too(monkeypatch, tmp_path, wanted):
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOG_DIR", "PYTHONUNBUFFERED"):
        monkeypatch.setenv(name, "before")  # put back when the test ends
    monkeypatch.setenv("ROS_STATIC_PEERS", "192.0.2.1")
    chosen = domain.enter(wanted, tmp_path)
    assert chosen == wanted or (wanted is None and chosen in domain.DOMAINS)
    assert os.environ["ROS_DOMAIN_ID"] == str(chosen)
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert os.environ["ROS_LOG_DIR"] == str(tmp_path)
    assert "ROS_STATIC_PEERS" not in os.environ
