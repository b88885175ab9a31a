"""What runs while the node is active: camera in, worker in the middle, messages out, and what is counted on the way."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from std_msgs.msg import Header

from caer_ros.msg import PerceptionStatus, PersonEmotionArray
from caer_ros.node import messages
from caer_ros.node.camera import Arrival, CameraInput
from caer_ros.node.diagnostics import Level, Problems, Rate, Stages
from caer_ros.node.silence import Silence
from caer_ros.node.worker import Worker
from caer_ros.perception.engine import EngineError
from caer_ros.perception.imaging.decoding import ImageError
from caer_ros.perception.imaging.drawing import draw
from caer_ros.perception.tracking.timeline import Order
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rclpy.node import Node
    from rclpy.publisher import Publisher

    from caer_ros.node.events import Event, EventDetector
    from caer_ros.perception.pipeline import Frame, Pipeline

PLAUSIBLE_LATENCY = 60.0
"""Seconds; a longer latency, or a negative one, means that camera and node do not share a clock."""
CLOCK_STEP = 0.1
"""Seconds by which a /clock may lag behind the stamps that it is played with."""


@dataclass(frozen=True)
class Publishers:
    """Where a session's results go."""

    emotions: Publisher
    events: Publisher
    debug: Publisher


@dataclass
class Model:
    """The pipeline with its loaded model; ``labels_version`` is raised when another model is swapped in."""

    pipeline: Pipeline
    labels_version: int


class Session:
    """From activation to deactivation.

    The public methods are for the executor's thread. What stands below "In the worker's thread" writes the results and
    the counters; the executor only reads those.

    Args:
        node: the node whose names, clock, logger and parameters apply.
        model: may be changed ``between_images``.
        publishers: where results go.
        problems: where anything unusual is reported.
        events: counts on over all sessions of the node.
        enabled: False starts paused.
    """

    def __init__(
        self,
        node: Node,
        model: Model,
        publishers: Publishers,
        problems: Problems,
        events: EventDetector,
        *,
        enabled: bool,
    ) -> None:
        self._node = node
        self._model = model
        self._publishers = publishers
        self._problems = problems
        self.stages = Stages()
        self.rejected = 0
        self._enabled = enabled
        self._output_rate = Rate()
        self._events = events
        self._size = (0, 0)
        self._last_header = Header()
        self._waiting_since: float | None = None
        self._silence = Silence(node)
        self._processing_time = 0.0
        self._next_debug = 0.0
        self._drops_told = 0
        self._worker: Worker[Arrival] = Worker(self._handle, self._idle)
        self.apply_parameters()
        self._camera = CameraInput(node, self._value("image_transport"), self._take, problems)
        self._worker.start()

    @property
    def topic(self) -> str:
        """The image topic, resolved."""
        return self._camera.topic

    def close(self) -> None:
        """Stop, after the image in work; everybody present has LEFT."""
        self._camera.close()
        self._worker.stop()
        self._forget_everybody()

    def between_images(self, job: Callable[[], None]) -> None:
        """Run ``job`` while no image is in work, and return when that is done."""
        self._worker.between_items(job)

    def enable(self, enabled: bool) -> None:
        """Pause or go on. Model and subscription stay; when this returns, everybody present has LEFT."""
        self._enabled = enabled
        self._waiting_since = None
        if not enabled:
            self.between_images(self._forget_everybody)

    def apply_parameters(self) -> None:
        """Take over the live parameters that are a session's."""
        self._events.hold_time = self._value("event_hold_time")
        self._worker.max_rate = self._value("max_rate")

    def fill_in(self, status: PerceptionStatus) -> None:
        """The session's part of ``~/status``. Looks at the camera, too, so that what is wrong there is reported."""
        camera = self._camera
        missing = camera.look(self._value("no_image_timeout"), self._value("expected_rate"))
        status.state, status.reason = self._state(missing)
        status.input_topic = camera.topic
        status.input_rate = camera.rate.hertz
        status.output_rate = self._output_rate.hertz
        status.input_age = camera.age if camera.ever else nan
        status.latency_p50, status.latency_p95 = self.stages.percentiles(50, 95).get("latency", (nan, nan))
        status.images_received = camera.received
        status.images_rejected = self.rejected
        status.mailbox_drops = self._worker.mailbox.drops

    def _state(self, missing: bool) -> tuple[int, str]:
        reasons = "; ".join(problem.message for problem in self._problems.active())
        if not self._enabled:
            return PerceptionStatus.PAUSED, "paused by ~/enable"
        if missing:
            return PerceptionStatus.NO_CAMERA, reasons
        if self._is_stuck():
            return PerceptionStatus.FAULT, reasons or "images arrive, but none has been processed"
        return PerceptionStatus.ACTIVE, reasons

    def _is_stuck(self) -> bool:
        """Has an image been waiting for its result for longer than the model's own pace explains?"""
        since, rate = self._waiting_since, self._worker.max_rate
        patience = self._value("no_image_timeout") + (1.0 / rate if rate else 0.0) + self._processing_time
        return since is not None and monotonic() - since > patience

    def _take(self, arrival: Arrival) -> None:
        if self._enabled:
            self._waiting_since = self._waiting_since or monotonic()
            self._worker.mailbox.put(arrival)

    # --- In the worker's thread ---

    def _handle(self, arrival: Arrival) -> None:
        try:
            self._process(arrival)
        except ImageError as error:
            self._reject(error.kind, Level.ERROR, f"image on {self.topic} rejected: {error}")
        except Exception as error:
            self._failed(error)
        self._idle()

    def _idle(self) -> None:
        """Who was seen last too long ago has left, be the camera gone or its images unusable."""
        limit = max(self._value("no_image_timeout"), self._value("track_buffer")) + self._processing_time
        if self._events.present and self._silence.longer_than(limit):
            try:
                self._forget_everybody()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Whatever goes wrong with one image, the next one is processed."""
        if not self._node.context.ok():
            return  # shutting down: there is nobody left to publish to
        if not isinstance(error, EngineError):  # those say all there is to say
            self._node.get_logger().error(traceback.format_exc(), throttle_duration_sec=10.0)
        self._problems.report("processing_failed", Level.ERROR, f"an image could not be processed: {error}")

    def _process(self, arrival: Arrival) -> None:
        if not self._enabled:
            return  # paused while this image was waiting
        seconds = {"wait": perf_counter() - arrival.steady}
        pipeline = self._model.pipeline
        header = arrival.message.header
        stamp_ns = nanoseconds(header.stamp)
        with _timed(seconds, "decode"):
            image = messages.decode(arrival.message)
        self._look_at_size(image)
        frame = pipeline(image, stamp_ns)
        seconds.update(frame.seconds)
        self._look_at_stamp(frame, pipeline)
        if frame.order is Order.LATE:
            return
        self._last_header = header

        with _timed(seconds, "message"):
            message = self._emotions(arrival, image, frame, seconds)
        with _timed(seconds, "publish"):
            self._publishers.emotions.publish(message)
        seconds["total"] = perf_counter() - arrival.steady
        seconds["overhead"] = seconds["total"] - seconds["inference"]
        self._waiting_since = None
        self._processing_time = seconds["total"]
        self._output_rate.tick()
        if frame.order is not Order.UNSTAMPED:
            seconds.update(self._latency(stamp_ns, seconds["total"]))
            labels = pipeline.predictor.bundle.labels
            self._silence.end()
            self._publish_events(self._events.update(frame.persons, labels, pipeline.alive, stamp_ns))
        if self._publishers.debug.get_subscription_count() and monotonic() >= self._next_debug:
            with _timed(seconds, "debug"):
                self._publish_debug(image, frame, header)
        self.stages.add(seconds)

    def _latency(self, stamp_ns: int, total: float) -> dict[str, float]:
        """Seconds from the image's stamp, where camera and node share a clock."""
        latency = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
        if 0 <= latency < PLAUSIBLE_LATENCY:
            return {"latency": latency, "transport": latency - total}
        if -CLOCK_STEP < latency < 0:
            return {}
        self._problems.report(
            "clock",
            Level.WARN,
            f"images on {self.topic} are stamped {abs(latency):.1f} s in the {'past' if latency > 0 else 'future'}: "
            "latencies are not known; synchronise the clocks (NTP, PTP), or play bags with a /clock and use_sim_time",
        )
        return {}

    def _emotions(
        self, arrival: Arrival, image: NDArray[np.uint8], frame: Frame, seconds: dict[str, float]
    ) -> PersonEmotionArray:
        bundle = self._model.pipeline.predictor.bundle
        told, self._drops_told = self._drops_told, self._worker.mailbox.drops
        height, width = image.shape[:2]
        return PersonEmotionArray(
            header=arrival.message.header,
            image_width=width,
            image_height=height,
            model_id=bundle.name,
            model_version=bundle.model_version,
            score_type=int(bundle.score_type),
            labels=list(bundle.labels),
            labels_version=self._model.labels_version,
            predictable=list(bundle.predictable),
            received=arrival.received.to_msg(),
            mailbox_drops=self._drops_told - told,
            saturated=frame.saturated,
            persons=[
                messages.person_message(person, bundle.labels, direction)
                for person, direction in zip(frame.persons, self._directions(frame, width, height), strict=True)
            ],
            inference_time=seconds["inference"],
            processing_time=perf_counter() - arrival.steady,
            published=self._node.get_clock().now().to_msg(),
        )

    def _directions(self, frame: Frame, width: int, height: int) -> Sequence[NDArray[np.float64] | None]:
        nowhere = [None] * len(frame.persons)
        calibration = self._camera.calibration
        if not calibration or not frame.persons:
            return nowhere
        centres = [(person.box[:2] + person.box[2:]) / 2 for person in frame.persons]
        try:
            return list(calibration.directions(centres, width, height))
        except ValueError as error:
            self._problems.report("camera_info", Level.WARN, str(error))
            return nowhere

    def _publish_debug(self, image: NDArray[np.uint8], frame: Frame, header: Header) -> None:
        self._next_debug = monotonic() + 1.0 / self._value("debug_rate")
        labels = self._model.pipeline.predictor.bundle.labels
        picture = draw(image, frame.persons, labels, top=self._value("debug_labels"))
        self._publishers.debug.publish(messages.image_message(picture, header))

    def _publish_events(self, events: Sequence[Event]) -> None:
        for event in events:
            self._publishers.events.publish(messages.event_message(event, self._last_header))

    def _forget_everybody(self) -> None:
        self._model.pipeline.reset()
        if self._node.context.ok():
            self._publish_events(self._events.everybody_left())

    def _look_at_size(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if self._size not in ((0, 0), (width, height)):
            self._problems.report(
                "resolution_changed",
                Level.WARN,
                f"images on {self.topic} changed from {self._size[0]}×{self._size[1]} to {width}×{height}: "
                "everybody gets a new track id",
            )
        self._size = (width, height)

    def _look_at_stamp(self, frame: Frame, pipeline: Pipeline) -> None:
        if frame.order is Order.LATE:
            behind = pipeline.behind(frame.stamp_ns)
            self._reject(
                "late_image",
                Level.WARN,
                f"image on {self.topic} rejected: its stamp is {behind:.3f} s older than the newest, or the same; "
                "is more than one camera publishing there?",
            )
        elif frame.order is Order.UNSTAMPED:
            self._problems.report(
                "unstamped",
                Level.WARN,
                f"images on {self.topic} carry no stamp: persons are published without track id, smoothing or "
                "events; let the camera's driver fill header.stamp",
            )
        elif frame.order is Order.JUMPED_BACK:
            self._problems.report(
                "time_jumped_back",
                Level.WARN,
                f"stamps on {self.topic} jumped back (a looping bag?): everybody gets a new track id",
            )

    def _reject(self, key: str, level: Level, message: str) -> None:
        self.rejected += 1
        self._problems.report(key, level, message)

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[stage] = perf_counter() - started
