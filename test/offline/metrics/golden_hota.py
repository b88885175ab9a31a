"""Makes golden_hota.json, the numbers of TrackEval for random sequences; run by hand where `trackeval` is installed.

    python -m venv /tmp/trackeval && /tmp/trackeval/bin/pip install trackeval==1.3.0
    /tmp/trackeval/bin/python test/offline/metrics/golden_hota.py

Not in our own environment: TrackEval requires opencv-python, which overwrites opencv-python-headless.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("golden_hota.json")
SEEDS = {"a": 1, "b": 2, "c": 3}


def sequence(seed, frames=40):
    """Of each frame: ids and boxes of persons, then of detections. Persons come and go, detections are shifted,
    missing, false and swapped, and ids change; the third sequence's tracker finds nothing. Boxes in whole pixels, so
    that they are exact in any type; by RandomState, whose numbers never change.
    """
    random = np.random.RandomState(seed)
    place, speed = random.randint(0, 400, (5, 2)), random.randint(-6, 7, (5, 2))
    names = np.arange(5)
    result = []
    for frame in range(frames):
        corner = place + frame * speed
        there = np.flatnonzero(random.rand(5) < 0.85)
        boxes = np.hstack([corner, corner + np.array([90, 150])])[there]
        if random.rand() < 0.15:
            names[random.randint(5)] += 10  # a new id
        if random.rand() < 0.1:
            names[:2] = names[1::-1]
        found = np.flatnonzero(random.rand(len(there)) < 0.85)
        detected = boxes[found] + random.randint(-12, 13, (len(found), 4))
        false = random.randint(0, 400, (random.randint(0, 2), 2))
        detected = np.vstack([detected, np.hstack([false, false + np.array([80, 140])])])
        ids = np.append(names[there[found]], 1000 + np.arange(len(false)))
        if seed == 3 or 17 <= frame < 20:
            ids, detected = ids[:0], detected[:0]
        if 10 <= frame < 13:
            there, boxes = there[:0], boxes[:0]
        result.append((there, boxes.astype(float), ids, detected.astype(float)))
    return result


def trackeval_input(frames, overlap):
    persons, found = ([number for frame in frames for number in frame[column]] for column in (0, 2))
    numbers = [{name: number for number, name in enumerate(sorted(set(names)))} for names in (persons, found)]
    return {
        "num_timesteps": len(frames),
        "num_gt_dets": len(persons),
        "num_tracker_dets": len(found),
        "num_gt_ids": len(numbers[0]),
        "num_tracker_ids": len(numbers[1]),
        "gt_ids": [np.array([numbers[0][name] for name in frame[0]], int) for frame in frames],
        "tracker_ids": [np.array([numbers[1][name] for name in frame[2]], int) for frame in frames],
        "similarity_scores": [overlap(frame[1], frame[3], box_format="x0y0x1y1") for frame in frames],
    }


def main():
    import trackeval

    overlap = trackeval.datasets._base_dataset._BaseDataset._calculate_box_ious
    inputs = {name: trackeval_input(sequence(seed), overlap) for name, seed in SEEDS.items()}
    golden = {}
    for metric in (trackeval.metrics.HOTA(), trackeval.metrics.Identity(), trackeval.metrics.CLEAR()):
        results = {name: metric.eval_sequence(values) for name, values in inputs.items()}
        for name, result in (*results.items(), ("all", metric.combine_sequences(results))):
            chosen = {key: result[key] for key in ("HOTA", "DetA", "AssA", "LocA", "IDF1", "IDSW") if key in result}
            golden.setdefault(name, {}).update({key: np.asarray(value).tolist() for key, value in chosen.items()})
    FILE.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
