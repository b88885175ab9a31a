"""The lifecycle node: camera images in, ``PersonEmotionArray`` out.

configure loads and warms the model, activate subscribes, deactivate stops, cleanup frees the model. The executor only
takes messages and answers services; a thread of its own loads a model, and a :class:`Session`'s worker decodes, infers
and publishes.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from math import nan
from typing import TYPE_CHECKING, Any, TypeVar

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
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
from caer_ros.node.diagnostics import Level, Problems, Stages, diagnostic_array
from caer_ros.node.events import EventDetector
from caer_ros.node.session import Model, Publishers, Session
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineError, EngineSettings
from caer_ros.perception.pipeline import Pipeline
from caer_ros.perception.predictors import predictor as predictors
from caer_ros.srv import LoadModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle_msgs.srv import ChangeState
    from rclpy.parameter import Parameter

    from caer_ros.perception.pipeline import PipelineSettings
    from caer_ros.perception.predictors.predictor import Predictor

EMOTIONS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
EVENTS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEBUG = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

STATUS_PERIOD = 1.0
"""Seconds between two messages on ``~/status`` and ``/diagnostics``."""
LOADER = "load_model"
"""Name of the threads that load models."""

T = TypeVar("T")


class EmotionNode(LifecycleNode):
    """Topics, services and parameters: see README.md and :mod:`caer_ros.node.parameters`."""

    def __init__(self, name: str = "emotion", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.problems = Problems(self._log, lambda: self.get_clock().now().to_msg())
        self._model: Model | None = None
        self._session: Session | None = None
        self._fault = ""
        self._enabled = True
        self._labels_versions = itertools.count(1)
        self._configuring = ""
        """What configure is doing, in words; "" when it is not running."""
        self._loading = threading.Lock()

        self.add_on_set_parameters_callback(
            lambda changes: parameters.judge(changes, configured=bool(self._model or self._configuring))
        )
        parameters.declare(self)
        self._events = EventDetector(self._value("event_hold_time"))
        self.add_post_set_parameters_callback(self._apply_parameters)

        self._status_publisher = self.create_publisher(PerceptionStatus, "~/status", LATCHED)
        self._label_publisher = self.create_publisher(EmotionLabels, "~/label_info", LATCHED)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._outputs = Publishers(
            emotions=self.create_lifecycle_publisher(PersonEmotionArray, "~/emotions", EMOTIONS),
            events=self.create_lifecycle_publisher(PersonEvent, "~/events", EVENTS),
            debug=self.create_lifecycle_publisher(Image, "~/debug_image", DEBUG),
        )
        self.create_service(SetBool, "~/enable", self._on_enable)
        # Loading takes seconds: in a group of its own, it holds up nothing else.
        self.create_service(LoadModel, "~/load_model", self._on_load_model, callback_group=ReentrantCallbackGroup())
        # So does configuring, and rclpy's own callback for transitions cannot await.
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self._service_change_state.callback_group = ReentrantCallbackGroup()
        # The status says that the process is alive, so it keeps its pace in simulated time too.
        self.create_timer(STATUS_PERIOD, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._tick()

    def close(self) -> None:
        """Stop everything and free it, also while a model is being loaded."""
        self._cleanup()
        self._state_machine.destroy_when_not_in_use()  # it holds the node, and rclpy leaves it to the garbage collector
        self.destroy_node()

    # --- Lifecycle. rclpy swallows what a transition raises, so each one says it itself. ---

    async def start(self) -> None:
        """Configure and activate, as ``autostart`` says. For the executor: the node must be added to it."""
        if await self._configured(self.trigger_configure) == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    async def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        wanted = request.transition
        try:
            if self._configuring:
                raise RuntimeError(f"the node is {self._configuring}")
            if wanted.label == "configure" or (not wanted.label and wanted.id == Transition.TRANSITION_CONFIGURE):
                return await self._configured(lambda: self._change_state(request, response))
            return self._change_state(request, response)
        except Exception as error:
            asked = wanted.label or f"number {wanted.id}"
            self.problems.report("transition_refused", Level.WARN, f"transition {asked} refused: {error}", always=True)
            response.success = False
            return response

    async def _configured(self, transition: Callable[[], T]) -> T:
        """What the configure transition returns; the executor goes on meanwhile, and takes no other transition."""
        self._configuring = f"loading model {self._value('model')}"
        self._fault = ""
        try:
            return await self._in_thread(transition)
        finally:
            self._configuring = ""

    async def _in_thread(self, job: Callable[[], T]) -> T:
        """What ``job`` returns or raises; it runs in a thread of its own while the executor goes on."""
        executor = self.executor
        outcome: Future = Future(executor=executor)
        outcome.add_done_callback(lambda _: executor.wake())

        def run() -> None:
            try:
                result = job()
            except Exception as error:
                if self.context.ok():
                    outcome.set_exception(error)
            else:
                if self.context.ok():
                    outcome.set_result(result)

        threading.Thread(target=run, name=LOADER, daemon=True).start()
        result: T = await outcome
        return result

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
            if not self.context.ok():
                return TransitionCallbackReturn.FAILURE  # told to stop meanwhile
            if not isinstance(error, (BundleError, EngineError)):  # those say all there is to say
                self.get_logger().error(traceback.format_exc())
            self._fault = " ".join(f"cannot {what}: {error}".split())
            self.problems.report(f"{what}_failed", Level.ERROR, self._fault, always=True)
            return TransitionCallbackReturn.FAILURE
        self._fault = ""
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        """Load the model. In a thread of its own."""
        with self._loading:
            predictor = self._loaded(self._value("model"))
        pipeline = Pipeline(predictor, self._pipeline_settings(), run=secrets.token_hex(4))
        self._model = Model(pipeline, next(self._labels_versions))
        pipeline.settings = self._pipeline_settings()  # with what was set until there was a model to set it for
        self._announce_labels(self._model)

    def _start(self) -> None:
        assert self._model, "activated without being configured"
        self._session = Session(self, self._model, self._outputs, self.problems, self._events, enabled=self._enabled)
        self.get_logger().info(f"waiting for images on {self._session.topic}")

    def _stop(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()

    def _cleanup(self) -> None:
        self._stop()
        self._model = None

    # --- The model ---

    def _loaded(self, model: str) -> Predictor:
        """A warm predictor. Raises BundleError or EngineError."""
        settings = EngineSettings(
            device=self._value("device"), threads=self._value("threads"), spin=self._value("spin")
        )
        with _warnings_as(self.problems):
            bundle = read_bundle(find_bundle(model))
            predictor = predictors.load(bundle, settings)
        self.get_logger().info(f"model {bundle.name} ({bundle.model_version}) runs on {predictor.provider}")
        if bundle.commercial_use is not True:
            allowed = "is not allowed" if bundle.commercial_use is False else "is not known to be allowed"
            self.get_logger().warning(f"model {bundle.name}: commercial use {allowed} (licence: {bundle.licence})")
        return predictor

    async def _on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        if self._configuring:
            response.message = f"the node is {self._configuring}: call again when that is done"
            return response
        response.success, response.message = await self._in_thread(lambda: self._swap_model(request.model))
        model = self._model
        if model:
            bundle = model.pipeline.predictor.bundle
            response.model_id, response.model_version = bundle.name, bundle.model_version
            response.labels_version = model.labels_version
        return response

    def _swap_model(self, name: str) -> tuple[bool, str]:
        """Load a model beside the one that runs, then change over between two images. In a thread of its own."""
        with self._loading:
            model = self._model
            if not model:
                return False, "the node is not configured: set the parameter `model` and configure it"
            running = model.pipeline.predictor.bundle
            try:
                predictor = self._loaded(name)
                self._between_images(lambda: self._change_over(model, predictor))
            except Exception as error:
                message = f"cannot load model {name!r}: {error}; {running.name} goes on"
                self.problems.report("load_model_failed", Level.ERROR, message, always=True)
                return False, " ".join(message.split())
            self.problems.solved("load_model_failed")
            return True, f"{predictor.bundle.name} ({predictor.bundle.model_version}) on {predictor.provider}"

    def _change_over(self, model: Model, predictor: Predictor) -> None:
        if self._model is not model:
            raise EngineError("the node was cleaned up meanwhile")
        model.pipeline.predictor = predictor
        model.labels_version = next(self._labels_versions)
        self._announce_labels(model)

    def _between_images(self, job: Callable[[], None]) -> None:
        session = self._session
        if session:
            session.between_images(job)
        else:
            job()

    def _announce_labels(self, model: Model) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        pipeline = model.pipeline
        self._label_publisher.publish(
            messages.labels_message(pipeline.predictor.bundle, model.labels_version, pipeline.uncertain_below, header)
        )

    # --- Services, parameters, status ---

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if self._session:
            self._session.enable(request.data)
        response.success, response.message = True, "enabled" if request.data else "paused"
        self._tick()
        return response

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        if self._session:
            self._session.apply_parameters()
        if self._model:
            self._model.pipeline.settings = self._pipeline_settings()
            if any(parameter.name == "uncertain_below" for parameter in changed):
                self._announce_labels(self._model)

    def _pipeline_settings(self) -> PipelineSettings:
        return parameters.pipeline_settings({name: self._value(name) for name in parameters.BY_NAME})

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _tick(self) -> None:
        status = self._status()
        self._status_publisher.publish(status)
        stages = self._session.stages if self._session else Stages()
        self._diagnostics_publisher.publish(
            diagnostic_array(self.get_fully_qualified_name(), status, self.problems, stages)
        )

    def _status(self) -> PerceptionStatus:
        status = PerceptionStatus(
            header=Header(stamp=self.get_clock().now().to_msg()),
            state=PerceptionStatus.FAULT if self._fault else PerceptionStatus.INACTIVE,
            reason=self._fault or self._configuring,
            input_age=nan,
            latency_p50=nan,
            latency_p95=nan,
        )
        if self._session:
            self._session.fill_in(status)
        if self._model:
            predictor = self._model.pipeline.predictor
            status.provider = predictor.provider
            status.model_id, status.model_version = predictor.bundle.name, predictor.bundle.model_version
        newest = self.problems.newest
        status.last_error, status.last_error_stamp = (newest.message, newest.stamp) if newest else ("", Time())
        return status

    def _log(self, level: Level, message: str) -> None:
        # One call site for each severity: rclpy refuses to change it.
        if level is Level.ERROR:
            self.get_logger().error(message)
        else:
            self.get_logger().warning(message)


class _ToProblems(logging.Handler):
    """Reports what is logged in the thread that made it."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._problems.report("perception", Level.WARN, record.getMessage())


@contextmanager
def _warnings_as(problems: Problems) -> Iterator[None]:
    """Report what perception, which knows no ROS, warns of while it loads (such as a fall-back to the CPU)."""
    handler, logger = _ToProblems(problems), logging.getLogger("caer_ros")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop (``ros2 run caer_ros emotion_node``); 2 when a parameter is wrong."""
    rclpy.init(args=args)
    node: EmotionNode | None = None
    try:
        executor = SingleThreadedExecutor()  # before anybody hears of the node: rclpy cannot make it when told to stop
        node = EmotionNode()
        executor.add_node(node)
        _run(node, executor)
    except ParameterException as error:
        print(f"emotion_node: {error}", file=sys.stderr)
        return 2
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except Exception:
        if rclpy.ok():
            raise
        # Told to stop while it was starting: whatever was being made is not valid any more.
    finally:
        # `ros2 launch` and a terminal both send Ctrl-C: the second must not break off the first one's work.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node:
            node.close()
        rclpy.try_shutdown()
    if any(thread.name == LOADER for thread in threading.enumerate()):
        # A model that is being loaded cannot be told to stop, and must not outlive the interpreter that it runs in.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _run(node: EmotionNode, executor: SingleThreadedExecutor) -> None:
    if node.get_parameter("autostart").value:
        executor.create_task(node.start)
    while rclpy.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            raise
        except Exception as error:
            # A callback failed in a way that nobody foresaw. Say so and go on: a robot relies on this process.
            node.get_logger().error(traceback.format_exc())
            node.problems.report("callback_failed", Level.ERROR, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
