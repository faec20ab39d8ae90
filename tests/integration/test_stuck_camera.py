"""A camera whose driver hangs cannot be turned off: nothing says "off", and the process ends."""

import threading

import pytest

from device.capture import camera as camera_module
from device.errors import CameraError
from device.statusfile import read_status
from tests.simulators.charge import Street, World
from tests.simulators.sources import PATIENCE_S


class Stuck(Street):
    """Hangs in its driver from frame 20 on, until `resume`; then it ends."""

    def __init__(self, happens):
        super().__init__(frames=400, at={20: self._hang})
        self.endless = self.live = True
        self._happens = happens
        self._resumed = threading.Event()

    def resume(self):
        self._resumed.set()

    def _hang(self):
        self._happens()
        self._resumed.wait(PATIENCE_S)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(camera_module, "_GIVE_UP_S", 0.01)
    one = World(tmp_path, monkeypatch)
    one.install()
    return one


def shown_cameras(device):
    """What the local status says of the camera, one entry per change."""
    said = []
    show = device.notebook.show

    def showing(status, camera, broker):
        if not said or said[-1] != camera:
            said.append(camera)
        show(status, camera, broker)

    device.notebook.show = showing
    return said


def test_a_session_that_ends_while_the_driver_hangs_ends_the_process_and_never_says_off(world):
    device = world.boot()
    street = Stuck(lambda: device.obey(world.order("suspend")))
    said = shown_cameras(device)
    with pytest.raises(CameraError, match="street does not answer and could not be turned off"):
        device.serve(street)
    assert (street.opened, street.closed) == (1, 0)
    after_frames = said[said.index("frames arrive") :]
    assert "off" not in after_frames
    local = read_status(world.state)
    assert "does not answer" in local.camera
    assert local.status.state == "stopped"
    assert "could not be turned off" in local.status.reasons[0]
    assert device.custody.gallery is None
    assert world.events()[-3:] == ["list wiped", "disarmed", "stop"]
    street.resume()


def test_a_stop_on_request_while_the_driver_hangs_says_so_too(world):
    device = world.boot()
    street = Stuck(lambda: None)
    street.at = {20: lambda: (street.service.stop(), street._hang())}
    with pytest.raises(CameraError, match="could not be turned off"):
        device.serve(street)
    street.resume()


def test_a_driver_that_comes_back_while_it_is_stopped_is_waited_for(world, monkeypatch):
    monkeypatch.setattr(camera_module, "_GIVE_UP_S", PATIENCE_S)
    device = world.boot()
    street = Stuck(lambda: device.obey(world.order("suspend")))
    join = threading.Thread.join

    def joining(thread, timeout=None):
        street.resume()
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", joining)
    device.serve(street)
    assert (street.opened, street.closed) == (1, 1)
    assert read_status(world.state).camera == "off"
