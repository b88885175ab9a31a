import io
import json

import pytest
import yaml
from rich.console import Console

from caer_ros import share
from caer_ros.offline.reproduction.ka import TABLES, Training, as_data, lay_out, published


def shown(table, data, runs, synthetic):
    console = Console(file=io.StringIO(), width=200)
    console.print(lay_out(table, data, runs, synthetic))
    return console.file.getvalue()


def runs_of(table, effect):
    """Two seeds: the baseline has 20 and 21, everything else ``effect`` more."""
    return {
        training: [dict.fromkeys(table.measures, base + (effect if training.teachers else 0)) for base in (20, 21)]
        for training in table.trainings
    }


@pytest.mark.parametrize(("number", "trainings"), [(3, 7), (4, 7), (5, 7), (6, 8)])
def test_a_table_needs_these_trainings(number, trainings):
    table = TABLES[number]
    assert len(set(table.trainings)) == trainings
    assert table.trainings[0] == Training("baseline", (), table.multi_task)
    assert len({training.name for training in table.trainings}) == trainings


def test_the_published_numbers_are_the_papers():
    # Read off the paper's Tables 3 to 6 by hand.
    assert published(TABLES[3], "heco")[Training("ka", ("fer",))] == {"er": 27.94}
    assert published(TABLES[3], "emotic")[Training("ft", ("od",))] == {"er": 24.86}
    assert published(TABLES[4], "heco")[Training("ka", ("fer",), True)] == {"er": 26.75, "pd": 35.75, "oer": 20.36}
    assert published(TABLES[5], "emotic")[Training("baseline", (), True)] == {"er": 22.33, "pd": 52.12, "oer": 20.68}
    assert published(TABLES[6], "heco")[Training("ka", ("fer", "od"))] == {"er": 28.53}
    assert published(TABLES[6], "emotic")[Training("ka", ("fer", "vea", "od"))] == {"er": 26.68}


def test_single_teachers_of_table_6_are_those_of_table_3():
    for data in ("heco", "emotic"):
        for teacher in ("fer", "vea", "od"):
            training = Training("ka", (teacher,))
            assert published(TABLES[6], data)[training] == published(TABLES[3], data)[training]


def test_beside_real_data_stand_the_published_numbers():
    text = shown(TABLES[3], "heco", runs_of(TABLES[3], 1.5), synthetic=False)
    assert "HECO; percent" in text
    assert "paper: 27.94 (+1.32)" in text
    assert "22.00 ± 0.71" in text
    assert "+1.50 [+1.50, +1.50]" in text


def test_beside_synthetic_data_stands_only_the_sign():
    text = shown(TABLES[3], "heco", runs_of(TABLES[3], -1), synthetic=True)
    numbers = yaml.safe_load(share.find("resource/published_numbers.yaml").read_text())["ka"]["single_task_er"]["heco"]
    assert str(numbers["baseline"]) not in text
    assert "27.94" not in text
    assert "paper: +" in text
    assert "paper: -" in text  # fine-tuning the OD teacher
    assert "synthetic, in the format of HECO" in text


def test_images_that_the_od_teacher_has_seen_are_said_beside_real_emotic_data():
    for number in (3, 5, 6):
        assert "OD: trained on COCO" in shown(TABLES[number], "emotic", runs_of(TABLES[number], 1), synthetic=False)
    assert "COCO" not in shown(TABLES[3], "emotic", runs_of(TABLES[3], 1), synthetic=True)
    assert "COCO" not in shown(TABLES[3], "heco", runs_of(TABLES[3], 1), synthetic=False)


def test_both_tasks_are_shown_measure_by_measure():
    text = shown(TABLES[4], "heco", runs_of(TABLES[4], 0), synthetic=False)
    assert [line.split()[0] for line in text.splitlines() if line.strip().startswith(("ER", "PD", "OER"))] == [
        "ER",
        "PD",
        "OER",
    ]


def test_one_seed_is_no_conclusion():
    runs = {training: scores[:1] for training, scores in runs_of(TABLES[6], 3).items()}
    text = shown(TABLES[6], "emotic", runs, synthetic=True)
    assert "one seed: no conclusion" in text
    assert "FER + VEA + OD" in text


def test_as_data_is_json_with_every_seed():
    content = json.loads(json.dumps(as_data(TABLES[3], "heco", runs_of(TABLES[3], 2), range(2))))
    assert content["seeds"] == [0, 1]
    assert len(content["rows"]) == 7
    row = next(row for row in content["rows"] if row["recipe"] == "ka" and row["teachers"] == ["vea"])
    assert row["scores"] == {"er": [22, 23]}
    assert row["published"] == {"er": 27.26}
