"""The networks of `caer bench scaling`, small, in the benchmark itself."""

from caer_ros.cli.bench import scaling
from caer_ros.cli.bench.crowd import crowd
from caer_ros.offline.reproduction import benchmark_networks
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.taxonomy import EMOTIC


def test_any_number_of_persons_goes_through_them(tmp_path):
    small = ["--size", "64", "--backbone", "mobilenetv4_conv_small_050", "--max-persons", "9"]
    assert benchmark_networks.main([str(tmp_path), *small]) == 0
    student = read_bundle(tmp_path / "student")
    assert (student.labels, student.max_persons) == (EMOTIC, 9)
    pictures = {number: crowd(number, 4) for number in (0, 1, 4)}
    subjects = scaling.prepare(student, tmp_path, EngineSettings("cpu", threads=1), pictures)
    for subject in subjects:
        subject.step()
    found = {(s.model, s.persons): (*s.found, *s.read) for s in subjects}
    for number in pictures:
        assert found["student", number] == found["two_stage", number] == (number, number)
