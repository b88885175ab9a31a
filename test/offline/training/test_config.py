from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from caer_ros import share
from caer_ros.offline.systems.ka.config import KaConfig
from caer_ros.offline.training import configuration
from caer_ros.offline.training.config import ConfigError, DataConfig, TrainConfig

OURS = sorted(share.find("config/train").glob("*.yaml"))


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_file_says_only_what_differs_and_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    path = written(tmp_path / "c.yaml", "data: {name: heco, size: [256, 320]}\ntrainer: {epochs: 7}\n")
    config = configuration.read(path, ["--data.root", "d", "--output=o", "--trainer.epochs", "3", "--data.batch=4"])
    assert config == replace(
        KaConfig("o", DataConfig("heco", "d", size=(256, 320), batch=4)), trainer=replace(config.trainer, epochs=3)
    )


def test_defaults_are_the_papers() -> None:
    config = KaConfig("o", DataConfig("heco", "d"))
    assert (config.data.size, config.data.resize, config.data.batch) == ((512, 512), "stretch", 20)
    assert (config.trainer.epochs, config.optimiser.learning_rate, config.optimiser.schedule) == (150, 1e-3, "constant")
    assert (config.optimiser.weight_decay, config.optimiser.warmup_epochs, config.optimiser.clip) == (0, 0, 0)
    augmentation = config.data.augmentation
    assert (augmentation.perspective, augmentation.perspective_probability, augmentation.flip_probability) == (0.5,) * 3
    assert (augmentation.scale, augmentation.jitter) == ((1, 1), 0)
    assert (config.model.backbone, config.model.weights) == ("hrnet_w32", "imagenet")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_configurations_can_be_read_by_name(path: Path) -> None:
    config = configuration.read(path.stem)
    assert Path(config.output).name == path.stem


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    config = configuration.read("ka_heco", ["--trainer.devices", "2", "--trainer.precision", "bf16-mixed"])
    path = written(tmp_path / "config.yaml", configuration.dump(config))
    assert configuration.read(path) == config


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("data: {name: heco}", [], "FILE: the following arguments are required: data.root"),
        ("data: {name: heco, root: d, bacht: 3}", [], "FILE: Group 'data' does not accept option 'bacht'"),
        ("data: {name: heco, root: d, batch: three}", [], "FILE: data.batch: Expected a int. Got value: three"),
        ("data: {name: heco, root: d, batch: 0}", [], "FILE: data.batch: 0, expected 1 or more"),
        ("data: {name: heco, root: d}", ["--model.head_blocks=0"], "model.head_blocks: 0, expected 1 or more"),
        ("data: {name: heco, root: d}", ["--model.head_width=-8"], "model.head_width: -8, expected 1 or more"),
        ("data: {name: heco, root: d}", ["--recipe.channels=0"], "recipe.channels: 0, expected 1 or more"),
        ("data: {name: heco, root: d}", ["--recipe.decoder_width=0"], "recipe.decoder_width: 0, expected 1 or more"),
        ("data: {name: heco, root: d}", ["--optimiser.clip=.nan"], "optimiser.clip: nan, expected 0 or more"),
        ("data: {name: heco, root: d}", ["--optimiser.learning_rate=.nan"], "learning_rate: nan, expected more than 0"),
        ("data: {name: heco, root: d, size: [500, 512]}", [], "FILE: data.size: [500, 512], expected multiples of 32"),
        ("data: {name: heco, root: d}", ["--data.batch=x"], "command line: data.batch: Expected a int. Got value: x"),
        ("data: {name: heco, root: d}", ["--epochs", "3"], "command line: unrecognized arguments: --epochs 3"),
        (
            "data: {name: heco, root: d}",
            ["--task=teacher"],
            "command line: task: teacher, expected one of student, classifier, detector, benet, dsct",
        ),
        ("data: {name: heco, root: d}", ["--recipe.name=ka"], "recipe.teachers: none given, but ka needs at least one"),
        ("recipe: {teachers: [a]}\ndata: {name: heco, root: d}", [], "recipe.teachers: a baseline has none"),
        ("data: [", [], "FILE: no YAML: "),
        ("- 3", [], "FILE: no configuration: expected fields"),
    ],
)
def test_errors_are_one_line_with_file_and_field(tmp_path: Path, text: str, overrides: list[str], said: str) -> None:
    path = written(tmp_path / "c.yaml", f"{text}\n")
    with pytest.raises(ConfigError) as raised:
        configuration.read(path, ["--output=o", *overrides])
    assert said.replace("FILE", path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_configuration_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It had the sections of all systems: null where another's, or their defaults where nobody read them."""
    ours = {"model": {"backbone": "hrnet_w32", "weights": None}, "recipe": {"name": "baseline"}}
    nothing = {"benet": None, "benet_recipe": None, "dsct": None, "dsct_recipe": None}
    sections = {
        "student": ours,
        "benet": {**ours, "benet": {"width": 8}},
        "dsct": {**ours, "dsct": {"subjects": 9}},
    }
    for task, own in sections.items():
        plain = {"output": "o", "task": task, "data": {"name": "heco", "root": "d"}, **nothing, **own}
        read = configuration.read(written(tmp_path / f"{task}.yaml", yaml.safe_dump(plain)))
        assert read.task == task
        now = configuration.read(written(tmp_path / "now.yaml", configuration.dump(read)))
        assert configuration.differences(read, now) == []
        for name, value in own.items():
            kept = configuration.to_dict(read).get(name)
            assert kept is None or value.items() >= {key: kept[key] for key in kept.keys() & value.keys()}.items()


@pytest.mark.parametrize("option", ["--dsct.subjects=3", "--benet.width"])
def test_the_section_of_another_system_is_refused(tmp_path: Path, option: str) -> None:
    path = written(tmp_path / "c.yaml", "data: {name: heco, root: d}\n")
    name = option[2:].split(".")[0]
    with pytest.raises(ConfigError, match=f"{name}: given, but task is student; set task to {name}, or leave it out"):
        configuration.read(path, ["--output=o", option, *(["8"] if "=" not in option else [])])


def test_an_unknown_name_lists_ours() -> None:
    with pytest.raises(ConfigError, match=r"ka_hecco: no such file, nor .*: .*ka_heco"):
        configuration.read("ka_hecco")


def test_a_run_may_move_but_not_change(config: TrainConfig) -> None:
    def changed(**fields: object) -> list[str]:
        new = config
        for name, value in fields.items():
            group, field = name.split("__")
            new = replace(new, **{group: replace(getattr(new, group), **{field: value})})
        return configuration.differences(config, new)

    assert configuration.differences(config, replace(config, output="elsewhere")) == []
    assert changed(data__root="moved", data__workers=3, trainer__devices=2, trainer__epochs=9) == []
    assert changed(data__batch=5) == ["data.batch: 4 -> 5"]
    assert changed(trainer__epochs=9, optimiser__schedule="cosine") == [
        "optimiser.schedule: constant -> cosine",
        "trainer.epochs: 2 -> 9",
    ]
