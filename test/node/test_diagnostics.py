"""Problems are said once, counted always, and over after a while; rates and percentiles are right."""

import pytest
from builtin_interfaces.msg import Time

from caer_ros.msg import PerceptionStatus
from caer_ros.node.diagnostics import ACTIVE_TIME, LOG_PERIOD, Level, Problems, Rate, Stages, diagnostic_array


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def problems(clock: Clock, lines: list[str]) -> Problems:
    return Problems(lambda level, line: lines.append(f"{level.name} {line}"), lambda: Time(sec=7), clock)


def test_a_problem_is_logged_at_once_and_then_seldom(problems: Problems, clock: Clock, lines: list[str]) -> None:
    for _ in range(100):
        problems.report("bad_image", Level.ERROR, "no data")
        clock.now += LOG_PERIOD / 50
    assert lines[0] == "ERROR no data"
    assert len(lines) == 2
    assert lines[1] == "ERROR no data (51 times since start)"
    assert problems.newest is not None
    assert (problems.newest.count, problems.newest.stamp.sec) == (100, 7)


def test_an_answer_that_somebody_waits_for_is_always_logged(problems: Problems, lines: list[str]) -> None:
    problems.report("load_model_failed", Level.ERROR, "first", always=True)
    problems.report("load_model_failed", Level.ERROR, "second\nline", always=True)
    assert lines == ["ERROR first", "ERROR second line (2 times since start)"]


def test_kinds_of_problems_do_not_silence_each_other(problems: Problems, lines: list[str]) -> None:
    problems.report("a", Level.WARN, "one")
    problems.report("b", Level.ERROR, "two")
    assert lines == ["WARN one", "ERROR two"]
    assert [problem.key for problem in problems.active()] == ["b", "a"], "the worst first"


def test_a_problem_is_over_when_it_stays_away_or_is_solved(problems: Problems, clock: Clock) -> None:
    problems.report("a", Level.WARN, "one")
    problems.report("b", Level.WARN, "two")
    problems.solved("b")
    assert [problem.key for problem in problems.active()] == ["a"]
    clock.now += ACTIVE_TIME + 0.1
    assert problems.active() == []
    assert [problem.key for problem in problems.all()] == ["a", "b"]


def test_rates_count_a_window(clock: Clock) -> None:
    rate = Rate(5.0, clock)
    assert rate.hertz == 0
    for _ in range(100):
        clock.now += 0.1
        rate.tick()
    assert rate.full
    assert rate.hertz == pytest.approx(10, abs=0.3)
    clock.now += 6
    assert rate.hertz == 0


def test_a_young_rate_is_not_too_low(clock: Clock) -> None:
    rate = Rate(5.0, clock)
    for _ in range(10):
        clock.now += 0.1
        rate.tick()
    assert not rate.full
    assert rate.hertz == pytest.approx(10)


def test_percentiles_are_of_the_last_images() -> None:
    stages = Stages(size=100)
    for i in range(1000):
        stages.add({"decode": float(i)})
    ((p50, p95),) = stages.percentiles(50, 95).values()
    assert (p50, p95) == pytest.approx((949.5, 994.05))


def test_diagnostics_tell_everything(problems: Problems) -> None:
    stages = Stages()
    stages.add({"inference": 0.1})
    problems.report("late_image", Level.WARN, "too late")
    status = PerceptionStatus(state=PerceptionStatus.ACTIVE, reason="too late", provider="CPUExecutionProvider")
    (said,) = diagnostic_array("/emotion", status, problems, stages).status
    values = {pair.key: pair.value for pair in said.values}
    assert said.level == bytes([Level.WARN])
    assert said.message == "too late"
    assert values["problem late_image"] == "1 × too late"
    assert values["inference p50 (ms)"] == "100.000"
    assert values["provider"] == "CPUExecutionProvider"


def test_a_node_that_does_not_run_does_not_say_ok(problems: Problems) -> None:
    (said,) = diagnostic_array("/emotion", PerceptionStatus(), problems, Stages()).status
    assert said.message == "inactive"


@pytest.mark.parametrize("state", [PerceptionStatus.FAULT, PerceptionStatus.NO_CAMERA])
def test_no_camera_and_faults_are_errors(problems: Problems, state: int) -> None:
    (said,) = diagnostic_array("/emotion", PerceptionStatus(state=state), problems, Stages()).status
    assert said.level == bytes([Level.ERROR])
