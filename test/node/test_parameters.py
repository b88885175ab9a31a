"""Parameters: one table, kept by code, YAML and README alike; bad values are refused with a reason."""

from pathlib import Path

import pytest
import yaml
from rclpy.parameter import Parameter as RosParameter

from caer_ros.node.parameters import BY_NAME, PARAMETERS, judge, markdown_table, pipeline_settings
from caer_ros.perception.pipeline import PipelineSettings

ROOT = Path(__file__).parents[2]


def test_defaults_are_allowed() -> None:
    assert [p.name for p in PARAMETERS if p.refusal(p.default)] == []


def test_numbers_have_ranges_and_everybody_a_description() -> None:
    for p in PARAMETERS:
        assert p.description.endswith(".")
        if isinstance(p.default, float) or (isinstance(p.default, int) and not isinstance(p.default, bool)):
            assert p.low is not None, p.name
            assert p.high is not None, p.name


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("smoothing_time", -1.0, "smoothing_time must be 0 to 60 s, not -1.0"),
        ("smoothing_time", float("nan"), "smoothing_time must be 0 to 60 s, not nan"),
        ("smoothing_time", 1, "smoothing_time must be a float, not 1"),
        ("threads", True, "threads must be a int, not True"),
        ("device", "gpu", "device must be one of auto, cpu, cuda:N, tensorrt:N, not 'gpu'"),
        ("image_transport", "theora", "image_transport must be one of raw, compressed, not 'theora'"),
    ],
)
def test_a_bad_value_is_refused_with_a_reason(name: str, value: object, reason: str) -> None:
    verdict = judge([RosParameter("person_threshold", value=0.5), RosParameter(name, value=value)], configured=False)
    assert not verdict.successful
    assert verdict.reason == reason


def test_good_values_and_other_nodes_parameters_pass() -> None:
    changes = [RosParameter("device", value="cuda:1"), RosParameter("use_sim_time", value=True)]
    assert judge(changes, configured=False).successful


def test_a_configured_node_changes_only_what_is_live() -> None:
    assert judge([RosParameter("smoothing_time", value=1.5)], configured=True).successful
    verdict = judge([RosParameter("model", value="other")], configured=True)
    assert not verdict.successful
    assert "call ~/load_model" in verdict.reason


def test_zero_thresholds_mean_the_bundles_own() -> None:
    defaults = {p.name: p.default for p in PARAMETERS}
    assert pipeline_settings(defaults) == PipelineSettings()
    assert pipeline_settings({**defaults, "person_threshold": 0.6}).person_threshold == 0.6


def test_the_yaml_holds_every_parameter_with_its_default() -> None:
    text = (ROOT / "config/emotion.yaml").read_text()
    assert yaml.safe_load(text)["/**"]["ros__parameters"] == {p.name: p.default for p in PARAMETERS}
    assert list(BY_NAME) == [p.name for p in PARAMETERS]


def test_the_readme_holds_the_table() -> None:
    assert markdown_table() in (ROOT / "README.md").read_text(), "run: python -m caer_ros.node.parameters"
