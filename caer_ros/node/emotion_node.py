"""The lifecycle node: camera images in, ``PersonEmotionArray`` out.

configure loads and warms the model, activate subscribes, deactivate stops, cleanup frees the model.
The executor only takes messages; a worker thread decodes, infers and publishes, always the newest image.
"""

from __future__ import annotations

import secrets
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from math import nan
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from caer_ros.msg import EmotionLabels, PerceptionStatus, PersonEmotionArray, PersonEvent
from caer_ros.node import messages, parameters
from caer_ros.node.camera import Arrival, CameraInput
from caer_ros.node.diagnostics import Level, Problems, Rate, Stages, diagnostic_array
from caer_ros.node.events import Event, EventDetector
from caer_ros.node.worker import Worker
from caer_ros.perception import bundle as bundles
from caer_ros.perception import predictor as predictors
from caer_ros.perception.bundle import BundleError
from caer_ros.perception.drawing import draw
from caer_ros.perception.engine import EngineError, EngineSettings
from caer_ros.perception.images import ImageError
from caer_ros.perception.pipeline import Pipeline
from caer_ros.perception.timeline import Order
from caer_ros.srv import LoadModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rclpy.parameter import Parameter

    from caer_ros.perception.pipeline import Frame, PipelineSettings
    from caer_ros.perception.predictor import Predictor

EMOTIONS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
EVENTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEBUG = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

STATUS_PERIOD = 1.0
"""Seconds between two messages on ``~/status`` and ``/diagnostics``."""
PLAUSIBLE_LATENCY = 60.0
"""Seconds; a longer latency, or a negative one, means that camera and node do not share a clock."""


class EmotionNode(LifecycleNode):
    """Topics, services and parameters: see README.md and :mod:`caer_ros.node.parameters`."""

    def __init__(self, name: str = "emotion", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.problems = Problems(self._log, lambda: self.get_clock().now().to_msg())
        self._pipeline: Pipeline | None = None
        self._worker: Worker[Arrival] | None = None
        self._camera: CameraInput | None = None
        self._enabled = True
        self._fault = ""
        self._labels_version = 0
        self._loading = threading.Lock()
        self._stages = Stages()
        self._output_rate = Rate()
        self._size = (0, 0)
        self._last_header = Header()
        self._last_result = monotonic()
        self._next_debug = 0.0
        self._drops_unsaid = 0
        self._drops = 0
        self._rejected = 0

        self.add_on_set_parameters_callback(parameters.judge)
        parameters.declare(self)
        self._events = EventDetector(self._value("event_hold_time"))
        self.add_post_set_parameters_callback(self._apply_parameters)

        self._status_publisher = self.create_publisher(PerceptionStatus, "~/status", LATCHED)
        self._label_publisher = self.create_publisher(EmotionLabels, "~/label_info", LATCHED)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._emotion_publisher = self.create_lifecycle_publisher(PersonEmotionArray, "~/emotions", EMOTIONS)
        self._event_publisher = self.create_lifecycle_publisher(PersonEvent, "~/events", EVENTS)
        self._debug_publisher = self.create_lifecycle_publisher(Image, "~/debug_image", DEBUG)
        self.create_service(SetBool, "~/enable", self._on_enable)
        # Loading takes seconds: in a group of its own, it holds up nothing else.
        self.create_service(LoadModel, "~/load_model", self._on_load_model, callback_group=ReentrantCallbackGroup())
        # The status says that the process is alive, so it keeps its pace in simulated time too.
        self.create_timer(STATUS_PERIOD, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._tick()

    # --- Lifecycle. rclpy swallows what a transition raises, so each one says it itself. ---

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        def activate() -> None:
            super(EmotionNode, self).on_activate(state)
            try:
                self._start()
            except BaseException:
                super(EmotionNode, self).on_deactivate(state)
                raise

        return self._attempt("activate", activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        def deactivate() -> None:
            self._stop()
            super(EmotionNode, self).on_deactivate(state)

        return self._attempt("deactivate", deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("cleanup", self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("shutdown", self._cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("recover from an error", self._cleanup)

    def _attempt(self, what: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:
            if not isinstance(error, (BundleError, EngineError)):
                self.get_logger().error(traceback.format_exc())
            self._fault = f"cannot {what}: {error}"
            self.problems.report(f"{what}_failed", Level.ERROR, self._fault)
            return TransitionCallbackReturn.FAILURE
        self._fault = ""
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        predictor = self._loaded(self._value("model"))
        self._pipeline = Pipeline(predictor, self._pipeline_settings(), run=secrets.token_hex(3))
        self._announce_labels()

    def _start(self) -> None:
        self._stages.clear()
        self._output_rate = Rate()
        self._rejected = self._drops = self._drops_unsaid = 0
        self._last_result = monotonic()
        worker: Worker[Arrival] = Worker(self._handle, self._idle)
        worker.max_rate = self._value("max_rate")
        self._camera = CameraInput(self, self._value("image_transport"), self._take, self.problems)
        self._worker = worker
        worker.start()
        self.get_logger().info(f"waiting for images on {self._camera.topic}")

    def _stop(self) -> None:
        if self._camera:
            self._camera.close()
        if self._worker:
            self._worker.stop()
        self._forget_everybody()
        self._camera = self._worker = None

    def _cleanup(self) -> None:
        self._stop()
        self._pipeline = None

    # --- The model ---

    def _loaded(self, model: str) -> Predictor:
        """A warm predictor. Raises BundleError or EngineError."""
        bundle = bundles.read(bundles.find(model))
        settings = EngineSettings(
            device=self._value("device"), threads=self._value("threads"), spin=self._value("spin")
        )
        predictor = predictors.load(bundle, settings)
        self.get_logger().info(f"model {bundle.name} ({bundle.model_version}) runs on {predictor.provider}")
        if bundle.commercial_use is not True:
            allowed = "is not allowed" if bundle.commercial_use is False else "is not known to be allowed"
            self.get_logger().warning(f"model {bundle.name}: commercial use {allowed} (licence: {bundle.licence})")
        return predictor

    async def _on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        executor = self.executor
        outcome: Future = Future(executor=executor)
        outcome.add_done_callback(lambda _: executor.wake())
        threading.Thread(
            target=lambda: outcome.set_result(self._swap_model(request.model)), name="load_model", daemon=True
        ).start()
        response.success, response.message = await outcome
        if self._pipeline:
            bundle = self._pipeline.predictor.bundle
            response.model_id, response.model_version = bundle.name, bundle.model_version
        response.labels_version = self._labels_version
        return response

    def _swap_model(self, model: str) -> tuple[bool, str]:
        """Load a model beside the one that runs, then change over between two images. In a thread of its own."""
        with self._loading:
            if not self._pipeline:
                return False, "the node is not configured: set the parameter `model` and configure it"
            running = self._pipeline.predictor.bundle
            try:
                predictor = self._loaded(model)
            except Exception as error:
                message = f"cannot load model {model!r}: {error}; {running.name} goes on"
                self.problems.report("load_model_failed", Level.ERROR, message)
                return False, message
            self._between_images(lambda: self._change_over(predictor))
            self.problems.solved("load_model_failed")
            return True, f"{predictor.bundle.name} ({predictor.bundle.model_version}) on {predictor.provider}"

    def _change_over(self, predictor: Predictor) -> None:
        if self._pipeline:
            self._pipeline.predictor = predictor
            self._announce_labels()

    def _between_images(self, job: Callable[[], None]) -> None:
        worker = self._worker
        if worker:
            worker.between_items(job)
        else:
            job()

    def _announce_labels(self) -> None:
        if self._pipeline:
            self._labels_version += 1
            self._publish_labels(self._pipeline)

    def _publish_labels(self, pipeline: Pipeline) -> None:
        bundle = pipeline.predictor.bundle
        header = Header(stamp=self.get_clock().now().to_msg())
        self._label_publisher.publish(
            messages.labels_message(bundle, self._labels_version, pipeline.uncertain_below, header)
        )

    # --- Images. _take runs in the executor, everything else here in the worker. ---

    def _take(self, arrival: Arrival) -> None:
        if self._worker and self._enabled:
            self._worker.mailbox.put(arrival)

    def _handle(self, arrival: Arrival) -> None:
        try:
            self._process(arrival)
        except ImageError as error:
            self._reject("bad_image", Level.ERROR, f"image on {self._topic} rejected: {error}")
        except Exception as error:
            if not self.context.ok():
                return  # shutting down: there is nobody left to publish to
            self.get_logger().error(traceback.format_exc(), throttle_duration_sec=10.0)
            self.problems.report("processing_failed", Level.ERROR, f"an image could not be processed: {error}")

    def _process(self, arrival: Arrival) -> None:
        pipeline = self._pipeline
        if not pipeline or not self._worker:
            return
        seconds = {"wait": perf_counter() - arrival.steady}
        header = arrival.message.header
        stamp_ns = messages.nanoseconds(header.stamp)
        with _timed(seconds, "decode"):
            image = messages.decode(arrival.message)
        self._look_at_size(image)
        frame = pipeline(image, stamp_ns)
        seconds.update(frame.seconds)
        self._look_at_stamp(frame, pipeline)
        if frame.order is Order.LATE:
            return
        if frame.order is Order.JUMPED_BACK:
            self._publish_events(self._events.everybody_left())
        self._last_header = header

        with _timed(seconds, "message"):
            message = self._emotions(arrival, image, frame, seconds)
        with _timed(seconds, "publish"):
            self._emotion_publisher.publish(message)
        seconds["total"] = perf_counter() - arrival.steady
        seconds["overhead"] = seconds["total"] - seconds["inference"]
        latency = (self.get_clock().now().nanoseconds - stamp_ns) * 1e-9
        if 0 <= latency < PLAUSIBLE_LATENCY:
            seconds["latency"] = latency
            seconds["transport"] = latency - seconds["total"]
        self._last_result = monotonic()
        self._output_rate.tick()
        if frame.order is not Order.UNSTAMPED:
            labels = pipeline.predictor.bundle.labels
            self._publish_events(self._events.update(frame.persons, labels, pipeline.alive, stamp_ns))
        if self._debug_publisher.get_subscription_count() and monotonic() >= self._next_debug:
            with _timed(seconds, "debug"):
                self._publish_debug(image, frame, header)
        self._stages.add(seconds)

    def _emotions(
        self, arrival: Arrival, image: NDArray[np.uint8], frame: Frame, seconds: dict[str, float]
    ) -> PersonEmotionArray:
        assert self._pipeline
        bundle = self._pipeline.predictor.bundle
        self._collect_drops()
        drops, self._drops_unsaid = self._drops_unsaid, 0
        height, width = image.shape[:2]
        directions = self._directions(frame, width, height)
        return PersonEmotionArray(
            header=arrival.message.header,
            image_width=width,
            image_height=height,
            model_id=bundle.name,
            model_version=bundle.model_version,
            score_type=int(bundle.score_type),
            labels=list(bundle.labels),
            labels_version=self._labels_version,
            predictable=list(bundle.predictable),
            received=arrival.received.to_msg(),
            mailbox_drops=drops,
            saturated=frame.saturated,
            persons=[
                messages.person_message(person, bundle.labels, direction)
                for person, direction in zip(frame.persons, directions, strict=True)
            ],
            inference_time=seconds["inference"],
            processing_time=perf_counter() - arrival.steady,
            published=self.get_clock().now().to_msg(),
        )

    def _directions(self, frame: Frame, width: int, height: int) -> Sequence[NDArray[np.float64] | None]:
        nowhere = [None] * len(frame.persons)
        calibration = self._camera.calibration if self._camera else None
        if not calibration or not frame.persons:
            return nowhere
        centres = [(person.box[:2] + person.box[2:]) / 2 for person in frame.persons]
        try:
            return list(calibration.directions(centres, width, height))
        except ValueError as error:
            self.problems.report("camera_info", Level.WARN, str(error))
            return nowhere

    def _publish_debug(self, image: NDArray[np.uint8], frame: Frame, header: Header) -> None:
        assert self._pipeline
        self._next_debug = monotonic() + 1.0 / self._value("debug_rate")
        labels = self._pipeline.predictor.bundle.labels
        picture = draw(image, frame.persons, labels, top=self._value("debug_labels"))
        self._debug_publisher.publish(messages.image_message(picture, header))

    def _publish_events(self, events: Sequence[Event]) -> None:
        for event in events:
            self._event_publisher.publish(messages.event_message(event, self._last_header))

    def _look_at_size(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if self._size not in ((0, 0), (width, height)):
            self.problems.report(
                "resolution_changed",
                Level.WARN,
                f"images on {self._topic} changed from {self._size[0]}×{self._size[1]} to {width}×{height}: "
                "everybody gets a new track id",
            )
        self._size = (width, height)

    def _look_at_stamp(self, frame: Frame, pipeline: Pipeline) -> None:
        if frame.order is Order.LATE:
            behind = pipeline.behind(frame.stamp_ns)
            self._reject(
                "late_image",
                Level.WARN,
                f"image on {self._topic} rejected: its stamp is {behind:.3f} s older than the newest, or the same; "
                "is more than one camera publishing there?",
            )
        elif frame.order is Order.UNSTAMPED:
            self.problems.report(
                "unstamped",
                Level.WARN,
                f"images on {self._topic} carry no stamp: persons are published without track id, smoothing or "
                "events; let the camera's driver fill header.stamp",
            )
        elif frame.order is Order.JUMPED_BACK:
            self.problems.report(
                "time_jumped_back",
                Level.WARN,
                f"stamps on {self._topic} jumped back (a looping bag?): everybody gets a new track id",
            )

    def _reject(self, key: str, level: Level, message: str) -> None:
        self._rejected += 1
        self.problems.report(key, level, message)

    def _collect_drops(self) -> None:
        if self._worker:
            drops = self._worker.mailbox.collect_drops()
            self._drops += drops
            self._drops_unsaid += drops

    def _idle(self) -> None:
        """No image for a moment. When the camera is gone, so is everybody it saw."""
        camera = self._camera
        if camera and self._events.present and camera.age > self._longest_silence:
            self._forget_everybody()

    @property
    def _longest_silence(self) -> float:
        return max(self._value("no_image_timeout"), self._value("track_buffer"))

    def _forget_everybody(self) -> None:
        if self._pipeline:
            self._pipeline.reset()
        if self.context.ok():
            self._publish_events(self._events.everybody_left())

    # --- Services, parameters, status: in the executor ---

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._enabled and not request.data:
            self._between_images(self._forget_everybody)
        self._enabled = request.data
        self._last_result = monotonic()
        response.success, response.message = True, "enabled" if request.data else "paused"
        self._tick()
        return response

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        self._events.hold_time = self._value("event_hold_time")
        if self._worker:
            self._worker.max_rate = self._value("max_rate")
        if self._pipeline:
            self._pipeline.settings = self._pipeline_settings()
            if any(parameter.name == "uncertain_below" for parameter in changed):
                self._publish_labels(self._pipeline)

    def _pipeline_settings(self) -> PipelineSettings:
        return parameters.pipeline_settings({name: self._value(name) for name in parameters.BY_NAME})

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    @property
    def _topic(self) -> str:
        return self._camera.topic if self._camera else ""

    def _tick(self) -> None:
        self._collect_drops()
        status = self._status()
        self._status_publisher.publish(status)
        self._diagnostics_publisher.publish(
            diagnostic_array(self.get_fully_qualified_name(), status, self.problems, self._stages)
        )

    def _status(self) -> PerceptionStatus:
        state, reason = self._state()
        newest = self.problems.newest
        camera = self._camera
        predictor = self._pipeline.predictor if self._pipeline else None
        p50, p95 = self._stages.percentiles(50, 95).get("latency", (nan, nan))
        return PerceptionStatus(
            header=Header(stamp=self.get_clock().now().to_msg()),
            state=state,
            reason=reason,
            last_error=newest.message if newest else "",
            last_error_stamp=newest.stamp if newest else Time(),
            input_topic=self._topic,
            input_rate=camera.rate.hertz if camera else 0.0,
            output_rate=self._output_rate.hertz if camera else 0.0,
            input_age=camera.age if camera and camera.ever else nan,
            latency_p50=p50,
            latency_p95=p95,
            images_received=camera.received if camera else 0,
            images_rejected=self._rejected,
            mailbox_drops=self._drops,
            provider=predictor.provider if predictor else "",
            model_id=predictor.bundle.name if predictor else "",
            model_version=predictor.bundle.model_version if predictor else "",
        )

    def _state(self) -> tuple[int, str]:
        """The state and its reason. Looks at the camera, too, so that what is wrong there is reported."""
        camera = self._camera
        timeout = self._value("no_image_timeout")
        missing = camera is not None and camera.look(timeout, self._value("expected_rate"))
        reasons = "; ".join(problem.message for problem in self.problems.active())
        if camera is None:
            return (PerceptionStatus.FAULT, self._fault) if self._fault else (PerceptionStatus.INACTIVE, reasons)
        if not self._enabled:
            return PerceptionStatus.PAUSED, "paused by ~/enable"
        if missing:
            return PerceptionStatus.NO_CAMERA, reasons
        if camera.ever and monotonic() - self._last_result > timeout:
            return PerceptionStatus.FAULT, reasons or "images arrive, but none has been processed"
        return PerceptionStatus.ACTIVE, reasons

    def close(self) -> None:
        """Stop the worker and free everything."""
        self._cleanup()
        self.destroy_node()

    def _log(self, level: Level, message: str) -> None:
        # One call site for each severity: rclpy refuses to change it.
        if level is Level.ERROR:
            self.get_logger().error(message)
        else:
            self.get_logger().warning(message)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[stage] = perf_counter() - started


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop (``ros2 run caer_ros emotion_node``); 2 when a parameter is wrong."""
    rclpy.init(args=args)
    try:
        node = EmotionNode()
    except ParameterException as error:
        print(f"emotion_node: {error}", file=sys.stderr)
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        while rclpy.ok():
            _spin(executor, node.problems)
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        # `ros2 launch` and a terminal both send Ctrl-C: the second must not break off the first one's work.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node.close()
        rclpy.try_shutdown()
    return 0


def _spin(executor: SingleThreadedExecutor, problems: Problems) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        raise
    except Exception:
        # A callback failed in a way that nobody foresaw. Say so and go on: a robot relies on this process.
        problems.report("callback_failed", Level.ERROR, traceback.format_exc())


if __name__ == "__main__":
    sys.exit(main())
