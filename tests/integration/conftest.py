import pytest

from tests.conftest import absent
from tests.simulators.mosquitto import PROGRAM, Listener, Mosquitto


@pytest.fixture
def mosquitto(scratch):
    """Start real brokers: `mosquitto()`, `mosquitto("max_packet_size 4000")`."""
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")
    running = []

    def start(*extra, **options):
        broker = Mosquitto(scratch / f"broker{len(running)}", extra, **options)
        running.append(broker)
        return broker.start()

    yield start
    for broker in running:
        broker.stop()


@pytest.fixture
def listen():
    """Subscribe to a broker: `listen(port)`."""
    listeners = []

    def start(port, **options):
        listeners.append(Listener(port, **options))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()
