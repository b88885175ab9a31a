from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from caer_ros import share
from caer_ros.cli.bag import bench_metrics, limits
from caer_ros.cli.bag.bench_metrics import METRICS
from caer_ros.offline.evaluation.bags.as_recorded import Account, Fates


def evaluation(**changed: Any) -> Any:
    """What can be read of an evaluation, each number another one."""
    oer = SimpleNamespace(mean_average_precision=0.5, chance=0.2, found=np.array([0.75, 0.25]), persons=4)
    times = [SimpleNamespace(median=median, p95=2 * median) for median in (0.1, 0.2, 0.3)]
    parts = {
        "evaluation": SimpleNamespace(oer=oer, pd=SimpleNamespace(ap=0.31, ap50=0.62)),
        "strict": SimpleNamespace(oer=oer, pd=SimpleNamespace(ap=0.3, ap50=0.6)),
        "false_persons": SimpleNamespace(per_minute=1.5, per_image=0.125),
        "tracking": SimpleNamespace(hota=0.7, association_accuracy=0.8, idf1=0.9, switches=3),
        "stability": SimpleNamespace(flicker_per_minute=4.0, right=0.6, delay_median=0.4, never=1),
        "timing": SimpleNamespace(latency=times[0], processing=times[1], inference=times[2], messages=12),
        "account": Account(0.2, (), (), Fates(0, 0, 0), Fates(6, 1, 3), 2, None, 1, 0, 0, 0, 0, ()),
    }
    return SimpleNamespace(**(parts | changed))


def test_each_name_reads_its_number() -> None:
    assert bench_metrics.values(evaluation()) == pytest.approx(
        {
            "oer": 0.5,
            "oer_above_chance": 0.3,
            "pd": 0.31,
            "pd_ap50": 0.62,
            "found_at_iou_50": 0.75,
            "strict_oer": 0.5,
            "strict_pd": 0.3,
            "strict_found_at_iou_50": 0.75,
            "false_persons_per_minute": 1.5,
            "false_detections_per_image": 0.125,
            "hota": 0.7,
            "association_accuracy": 0.8,
            "idf1": 0.9,
            "identity_switches": 3,
            "flicker_per_minute": 4.0,
            "right_part": 0.6,
            "delay_of_change_median": 0.4,
            "changes_never_seen": 1,
            "latency_p50": 0.1,
            "latency_p95": 0.2,
            "processing_p50": 0.2,
            "processing_p95": 0.4,
            "inference_p50": 0.3,
            "inference_p95": 0.6,
            "in_time_part": 0.6,
            "late_part": 0.1,
            "dropped_part": 0.2,
            "lost_part": 0.1,
            "messages": 12,
        }
    )


def test_what_an_evaluation_does_not_have_is_not_measured() -> None:
    nothing = evaluation(strict=None, false_persons=None, tracking=None, stability=None, timing=None, account=None)
    found = bench_metrics.values(nothing)
    known = {name for name, value in found.items() if not math.isnan(value)}
    assert known == {"oer", "oer_above_chance", "pd", "pd_ap50", "found_at_iou_50"}


def test_without_a_person_nobody_can_be_found() -> None:
    nobody = evaluation()
    nobody.evaluation.oer.persons = 0
    assert math.isnan(bench_metrics.values(nobody)["found_at_iou_50"])


def test_each_metric_says_what_it_is_and_what_it_needs() -> None:
    assert all(metric.what and metric.needs for metric in METRICS.values())
    assert bench_metrics.needs()["hota"] == "it needs persons annotated with track ids"


def test_the_limits_that_come_with_caer_know_every_metric() -> None:
    file = share.find("config/bag_bench.yaml")
    assert limits.read(file, METRICS)
    text = file.read_text("utf-8")
    offered = re.findall(r"^(?:# )?(\w+: \{.*?\})", text, re.MULTILINE)
    mappings = [yaml.safe_load(line) for line in offered]
    assert sorted(name for mapping in mappings for name in mapping) == sorted(METRICS)
    assert all(set(sides) <= {"min", "max"} for mapping in mappings for sides in mapping.values())
