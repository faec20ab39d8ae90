"""The Pi camera's source: its calls against picamera2's real signatures, its manners in simulation.

picamera2 itself cannot be imported without libcamera, so its source is read with `ast`.
"""

import ast
import inspect
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from device.capture import picamera
from device.capture.camera import Camera
from device.capture.frame import PixelFormat
from device.capture.picamera import PiCameraSource, controls_for
from device.errors import CameraError
from tests.conftest import absent
from tests.simulators import picamera2 as simulator
from tests.simulators.sources import PATIENCE_S

REFERENCE = Path(sys.prefix) / "reference/picamera2"
FILES = {
    "Picamera2": "picamera2.py",
    "CompletedRequest": "request.py",
    "MappedArray": "request.py",
    "Job": "job.py",
}
# What our code calls things, and what they are.
RECEIVERS = {
    "module.Picamera2": "Picamera2",
    "self._module.Picamera2": "Picamera2",
    "camera": "Picamera2",
    "self._camera": "Picamera2",
    "request": "CompletedRequest",
    "self._pending": "Job",
    "pending": "Job",
    "mapped": "MappedArray",
}
CONSTRUCTORS = {
    "module.Picamera2": "Picamera2",
    "self._module.MappedArray": "MappedArray",
}
OUR_SOURCE = ast.parse(Path(picamera.__file__).read_text())


# --- the real signatures -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    """The real classes, as `ast` sees them: name → ClassDef."""
    if not REFERENCE.is_dir():
        absent(f"picamera2's source is not at {REFERENCE} (`make venv` puts it there)")
    return {name: _class(REFERENCE / file, name) for name, file in FILES.items()}


def _class(path, name):
    tree = ast.parse(path.read_text())
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


def _function(real_class, name):
    """The definition that counts: the last one, after the overloads."""
    found = [n for n in real_class.body if isinstance(n, ast.FunctionDef) and n.name == name]
    assert found, f"picamera2's {real_class.name} has no {name}()"
    return found[-1]


def _signature(function):
    """An `inspect.Signature` of a definition, without `self`."""
    arguments = function.args
    positional = arguments.posonlyargs + arguments.args
    without = len(positional) - len(arguments.defaults)
    parameters = [
        _parameter(argument.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, index >= without)
        for index, argument in enumerate(positional)
    ]
    parameters += [
        _parameter(argument.arg, inspect.Parameter.KEYWORD_ONLY, default is not None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    assert arguments.vararg is None, "not needed so far"
    assert arguments.kwarg is None, "not needed so far"
    return inspect.Signature([p for p in parameters if p.name != "self"])


def _parameter(name, kind, optional):
    return inspect.Parameter(name, kind, default=... if optional else inspect.Parameter.empty)


def _attributes(real_class):
    """All methods, properties and `self.x` of a class."""
    names = {n.name for n in real_class.body if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(real_class):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            names.add(node.attr)
    return names


def _our_calls():
    """(the call's text, class, method, call) for each call to picamera2 in our source."""
    for node in ast.walk(OUR_SOURCE):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in CONSTRUCTORS:
            yield f"{called}, line {node.lineno}", CONSTRUCTORS[called], "__init__", node
        elif isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value)
            if receiver in RECEIVERS:
                name = f"{called}, line {node.lineno}"
                yield name, RECEIVERS[receiver], node.func.attr, node


OUR_CALLS = list(_our_calls())


def test_every_method_that_must_be_checked_is_among_the_calls_found():
    found = {(name, method) for _, name, method, _ in OUR_CALLS}
    assert found >= {
        ("Picamera2", "__init__"),
        ("Picamera2", "global_camera_info"),
        ("Picamera2", "create_video_configuration"),
        ("Picamera2", "configure"),
        ("Picamera2", "start"),
        ("Picamera2", "stop"),
        ("Picamera2", "close"),
        ("Picamera2", "capture_request"),
        ("Job", "get_result"),
        ("CompletedRequest", "get_metadata"),
        ("MappedArray", "__init__"),
    }


@pytest.mark.parametrize(
    ("class_name", "method", "call"),
    [call[1:] for call in OUR_CALLS],
    ids=[call[0] for call in OUR_CALLS],
)
def test_our_call_fits_the_real_signature(reference, class_name, method, call):
    keywords = {k.arg: k.value for k in call.keywords if k.arg is not None}
    _signature(_function(reference[class_name], method)).bind(*call.args, **keywords)


def test_everything_that_we_read_from_picamera2s_objects_exists(reference):
    for node in ast.walk(OUR_SOURCE):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in RECEIVERS:
            real_class = reference[RECEIVERS[ast.unparse(node.value)]]
            assert node.attr in _attributes(real_class), ast.unparse(node)


def test_a_request_is_released_without_arguments(reference):
    """`release` is handed on as a callback, so it is not among the calls."""
    assert "stack.callback(request.release)" in ast.unparse(OUR_SOURCE)
    _signature(_function(reference["CompletedRequest"], "release")).bind()


def test_the_turned_picture_is_asked_for_by_a_real_keyword(reference):
    """`transform` goes through a dictionary that the check of the calls cannot see into."""
    create = _function(reference["Picamera2"], "create_video_configuration")
    assert "transform" in _signature(create).parameters


SIMULATED = [
    (name, method)
    for name in FILES
    for method in vars(getattr(simulator, name))
    if method == "__init__" or not method.startswith("_")
]


@pytest.mark.parametrize(("class_name", "method"), SIMULATED)
def test_the_simulator_has_the_real_signature(reference, class_name, method):
    simulated = inspect.getattr_static(getattr(simulator, class_name), method)
    real = _function(reference[class_name], method)
    if isinstance(simulated, property):
        assert [ast.unparse(d) for d in real.decorator_list] == ["property"]
        return
    assert _shape(inspect.signature(simulated)) == _shape(_signature(real))


def _shape(signature):
    return [
        (p.name, p.kind, p.default is not inspect.Parameter.empty)
        for p in signature.parameters.values()
        if p.name != "self"
    ]


def test_the_simulator_lists_cameras_as_the_real_one(reference):
    real = _function(reference["Picamera2"], "global_camera_info")
    assert [ast.unparse(d) for d in real.decorator_list] == ["staticmethod"]
    simulated = simulator.SimulatedPicamera2().Picamera2.global_camera_info
    assert _shape(inspect.signature(simulated)) == _shape(_signature(real))


def test_the_simulator_accepts_the_real_keys_of_a_stream(reference):
    make = _function(reference["Picamera2"], "_make_initial_stream_config")
    assigned = {
        ast.unparse(node.targets[0]): node.value
        for node in ast.walk(make)
        if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(assigned["valid"]) == simulator.STREAM_KEYS


# --- behaviour, with the simulator ---------------------------------------------------------------


@pytest.fixture
def simulated():
    """Makes simulated picamera2 modules, and shuts them down at the end."""
    made = []

    def make(**hardware):
        made.append(simulator.SimulatedPicamera2(**hardware))
        return made[-1]

    yield make
    for module in made:
        module.shut_down()


def _source(module, **changes):
    settings = {"width": 128, "height": 96, "lores_width": 64, "frames_per_second": 15.0}
    return PiCameraSource(module=module, **settings | changes)


def _opened(module, **changes):
    source = _source(module, **changes)
    source.open()
    return source


def _finishes(action):
    """Whether `action` comes back at all; a hanging one is left behind in its thread."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(PATIENCE_S / 4)
    return not thread.is_alive()


def _eventually(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def test_a_frame_shows_the_same_moment_in_two_sizes(simulated):
    source = _opened(simulated())
    frame = source.read(PATIENCE_S)
    assert (frame.main.width, frame.main.height) == (128, 96)
    assert (frame.lores.width, frame.lores.height) == (64, 48)
    assert {frame.main.format, frame.lores.format} == {PixelFormat.I420}
    assert frame.main.pixels[0, 0] == frame.lores.pixels[0, 0] > 0
    frame.release()


def test_pixels_are_the_cameras_own_memory(simulated):
    module = simulated()
    frame = _opened(module).read(PATIENCE_S)
    for name, picture in (("main", frame.main), ("lores", frame.lores)):
        shared = [np.shares_memory(picture.pixels, b) for b in module.hardware.buffers(name)]
        assert shared.count(True) == 1
    frame.release()


def test_rows_padded_by_the_camera_are_cut_off(simulated):
    module = simulated(padding=32)
    module.hardware.paint = _paint_with_dirty_padding
    frame = _opened(module).read(PATIENCE_S)
    assert frame.main.pixels.shape == (144, 160)
    assert frame.main.luma().shape == (96, 128)
    assert (frame.main.luma() == 60).all()
    region = frame.main.region_bgr(0, 0, 128, 96)
    assert region.shape == (96, 128, 3)
    assert np.ptp(region.reshape(-1, 3).astype(int), axis=0).max() == 0
    frame.release()


def _paint_with_dirty_padding(buffers, number):
    for stream, width in (("main", 128), ("lores", 64)):
        buffer = buffers[stream]
        height, stride = buffer.shape[0] * 2 // 3, buffer.shape[1]
        buffer.fill(255)
        buffer[:height, :width] = 60
        chroma = buffer.reshape(-1)[height * stride :].reshape(height, stride // 2)
        chroma[:, : width // 2] = 128


def test_the_time_of_capture_is_the_sensors_not_that_of_arrival(simulated):
    latency_ns = 100 * 10**9
    source = _opened(simulated(latency_ns=latency_ns))
    before_ns = time.time_ns()
    frame = source.read(PATIENCE_S)
    after_ns = time.time_ns()
    slack_ns = 10**9
    assert before_ns - slack_ns <= frame.captured_at_ns + latency_ns <= after_ns + slack_ns
    frame.release()


def test_the_age_of_a_frame_counts_from_the_sensor(simulated):
    latency_ns = 100 * 10**9
    source = _opened(simulated(latency_ns=latency_ns))
    before_ns = time.monotonic_ns()
    frame = source.read(PATIENCE_S)
    after_ns = time.monotonic_ns()
    slack_ns = 10**9
    assert before_ns - slack_ns <= frame.taken_ns + latency_ns <= after_ns + slack_ns
    frame.release()


def test_seconds_are_the_sensors_clock(simulated):
    source = _opened(simulated())
    earliest = simulator.boottime_ns() / 1e9
    first = source.read(PATIENCE_S)
    second = source.read(PATIENCE_S)
    assert earliest <= first.seconds < second.seconds <= simulator.boottime_ns() / 1e9
    first.release()
    second.release()


def test_every_request_is_released_so_that_the_camera_never_starves(simulated):
    module = simulated()
    source = _opened(module)
    numbers = []
    for _ in range(30):  # five times the camera's buffers
        frame = source.read(PATIENCE_S)
        numbers.append(frame.number)
        assert len(module.hardware.held) == 1
        frame.release()
    assert numbers == list(range(30))
    assert not module.hardware.held


def test_frames_that_are_kept_starve_the_simulated_camera_as_the_real_one(simulated):
    source = _opened(simulated())
    kept = [source.read(PATIENCE_S) for _ in range(6)]
    with pytest.raises(CameraError):
        source.read(0.05)
    for frame in kept:
        frame.release()


def test_release_wipes_both_streams_before_the_camera_gets_them_back(simulated):
    module = simulated(padding=16)
    source = _opened(module)
    frame = source.read(PATIENCE_S)
    module.hardware.stalled = True
    main, lores = frame.main.pixels, frame.lores.pixels
    assert main.all()
    assert lores.all()
    frame.release()
    assert not main.any()
    assert not lores.any()
    frame.release()
    assert not module.hardware.held


def test_a_request_without_its_time_stamp_is_given_back_all_the_same(simulated):
    module = simulated()
    module.hardware.metadata_lacks = {"SensorTimestamp"}
    source = _opened(module)
    with pytest.raises(KeyError):
        source.read(PATIENCE_S)
    assert not module.hardware.held


def test_a_stall_is_an_error_that_says_what_to_check(simulated):
    module = simulated()
    source = _opened(module)
    module.hardware.stalled = True
    with pytest.raises(CameraError, match=r"Pi camera 0 gave no frame.*ribbon cable"):
        source.read(0.02)


def test_a_read_that_timed_out_loses_no_request_when_the_camera_comes_back(simulated):
    module = simulated()
    source = _opened(module)
    module.hardware.stalled = True
    for _ in range(10):
        with pytest.raises(CameraError):
            source.read(0.01)
    module.hardware.stalled = False
    for _ in range(12):
        source.read(PATIENCE_S).release()
    assert not module.hardware.held


def test_a_request_that_came_after_the_time_out_is_wiped_and_released_by_close(simulated):
    module = simulated()
    source = _opened(module)
    module.hardware.stalled = True
    with pytest.raises(CameraError):
        source.read(0.01)
    module.hardware.stalled = False
    _eventually(lambda: module.hardware.held)
    module.hardware.stalled = True
    (request,) = module.hardware.held
    buffers = request.request.buffers
    assert all(map(any, buffers.values()))
    assert _finishes(source.close)
    assert not module.hardware.held
    assert not any(map(any, buffers.values()))


def test_closing_a_stalled_camera_comes_back(simulated):
    """picamera2 runs jobs in order: `stop` waits for ever behind a request that never comes."""
    module = simulated()
    source = _opened(module)
    module.hardware.stalled = True
    with pytest.raises(CameraError):
        source.read(0.02)
    assert _finishes(source.close)


def test_a_stall_is_recovered_from_by_stop_and_start_of_one_instance(simulated):
    module = simulated()
    source = _opened(module)
    for _ in range(4):
        module.hardware.stalled = True
        with pytest.raises(CameraError):
            source.read(0.02)
        assert _finishes(source.close)
        module.hardware.stalled = False
        source.open()
        for _ in range(8):
            source.read(PATIENCE_S).release()
    assert module.hardware.instances == 1
    assert len(module.hardware.starts) == 5
    assert not module.hardware.held


def test_a_frame_that_outlives_its_stop_is_released_harmlessly(simulated):
    module = simulated()
    source = _opened(module)
    frame = source.read(PATIENCE_S)
    source.close()
    frame.release()
    assert not module.hardware.held
    source.open()
    for _ in range(8):
        source.read(PATIENCE_S).release()
    assert module.hardware.instances == 1


def test_the_cameras_thread_brings_a_stalled_camera_back(simulated):
    module = simulated()
    camera = Camera(_source(module), stall_s=0.1)
    camera.start()
    camera.next(PATIENCE_S).release()
    module.hardware.stalled = True
    _eventually(lambda: camera.fault is not None)
    module.hardware.stalled = False
    _eventually(lambda: camera.fault is None)
    camera.stop()
    assert module.hardware.instances == 1
    assert not module.hardware.held


def test_close_is_safe_twice_and_before_open(simulated):
    source = _source(simulated())
    source.close()
    source.open()
    source.close()
    source.close()
    with pytest.raises(CameraError, match="no frame"):
        source.read(0.02)
    assert _finishes(source.close)


def test_reading_before_opening_is_a_sentence(simulated):
    with pytest.raises(CameraError, match="Pi camera 0 is not open"):
        _source(simulated()).read(0.01)


def test_a_missing_camera_is_a_sentence_with_what_to_do(simulated):
    with pytest.raises(CameraError, match="No Pi camera 0 found: check the ribbon cable") as caught:
        _source(simulated(cameras=0)).open()
    assert "rpicam-hello --list-cameras" in str(caught.value)


def test_the_second_camera_is_the_one_that_the_index_names(simulated):
    module = simulated(cameras=2)
    source = _opened(module, index=1)
    assert set(module.hardware.opened) == {1}
    source.read(PATIENCE_S).release()
    with pytest.raises(CameraError, match="No Pi camera 2 found"):
        _source(module, index=2).open()


def test_a_camera_that_does_not_start_says_so_and_starts_later(simulated):
    module = simulated()
    module.hardware.start_error = RuntimeError("Failed to start camera: Device or resource busy")
    source = _source(module)
    with pytest.raises(CameraError, match=r"does not start.*busy.*no other program uses it"):
        source.open()
    module.hardware.start_error = None
    source.open()
    source.read(PATIENCE_S).release()
    assert len(module.hardware.opened) == 1


def test_a_camera_that_refuses_its_configuration_is_not_left_open(simulated):
    """Otherwise it would be busy for ever, and every attempt would leave an instance behind."""
    module = simulated()
    source = _source(module, lores_width=256)  # larger than main
    for _ in range(3):
        with pytest.raises(CameraError, match="lores stream dimensions"):
            source.open()
    assert not module.hardware.opened


def test_a_camera_without_autofocus_works(simulated):
    """Camera Module 2, HQ and Global Shutter: libcamera does not advertise AfMode there."""
    module = simulated(autofocus=False)
    source = _opened(module)
    source.read(PATIENCE_S).release()
    controls, _ = module.hardware.starts[0]
    asked = controls_for(15.0, "short", 0.0)
    assert controls == {name: value for name, value in asked.items() if name != "AfMode"}


def test_a_failed_job_is_an_error_and_the_next_read_asks_again(simulated):
    module = simulated()
    source = _opened(module)
    module.hardware.request_error = RuntimeError("the pipeline broke")
    with pytest.raises(CameraError, match=r"Pi camera 0 failed \(the pipeline broke\)"):
        source.read(PATIENCE_S)
    module.hardware.request_error = None
    source.read(PATIENCE_S).release()
    assert not module.hardware.held


def test_the_cameras_controls_are_sent_when_it_starts(simulated):
    module = simulated()
    _opened(module, exposure="normal", focus_m=4.0)
    controls, _ = module.hardware.starts[0]
    assert controls == {
        "FrameDurationLimits": (66667, 66667),
        "AeEnable": True,
        "AeExposureMode": 0,
        "AfMode": 0,
        "LensPosition": 0.25,
    }


def test_short_exposure_and_continuous_focus_are_asked_for_by_number():
    controls = controls_for(30.0, "short", 0.0)
    assert controls["AeExposureMode"] == 1
    assert controls["AfMode"] == 2
    assert "LensPosition" not in controls
    assert controls["FrameDurationLimits"] == (33333, 33333)


def test_an_upside_down_camera_is_turned_by_the_hardware(simulated, monkeypatch):
    libcamera = types.SimpleNamespace(Transform=simulator.Transform)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    module = simulated()
    _opened(module, upside_down=True)
    _, transform = module.hardware.starts[0]
    assert transform == simulator.Transform(hflip=1, vflip=1)


def test_picamera2_that_is_not_installed_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="apt install python3-picamera2"):
        _source(None).open()


def test_a_second_session_opens_the_camera_that_the_first_has_discarded(simulated):
    module = simulated()
    first, second = _source(module), _source(module)
    first.open()
    first.close()
    assert module.hardware.opened, "a stall is answered by stop and start of one instance"
    first.discard()
    assert not module.hardware.opened
    second.open()
    second.read(1).release()
    second.close()
    second.discard()
    second.discard()
