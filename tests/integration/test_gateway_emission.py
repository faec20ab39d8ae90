"""Where opened events go: standard output, a local topic, a webhook; two example consumers."""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from device.protocol.alert import decode_alert
from device.settings import BrokerSettings
from tests.conftest import ROOT
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import wait_until
from tools.desk.gateway import Gateway, patience
from tools.desk.gateway.settings import EmitSettings


class HookServer:
    """A real web server. plan: what it answers next: a status, or "hang"; then 204."""

    def __init__(self, plan=()):
        self.plan = list(plan)
        self.requests = []
        self.hang = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.plan.pop(0) if outer.plan else 204
                outer.requests.append((answer, self.path, dict(self.headers), body))
                if answer == "hang":
                    outer.hang.wait(30)
                    return
                if answer == "drip":
                    for _ in range(100):
                        self.wfile.write(b"H")
                        time.sleep(0.1)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/alerts?site=1"

    def taken(self):
        return [json.loads(body)["id"] for answer, _, _, body in self.requests if answer == 204]

    def close(self):
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


@pytest.fixture
def desk(scratch, broker):
    one = Desk(scratch, broker.port)
    yield one
    one.close()


@pytest.fixture
def hook():
    servers = []

    def start(*plan):
        servers.append(HookServer(plan))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _hooked(server, **options):
    return EmitSettings(to=("webhook",), webhook_url=server.url, **options)


def test_a_webhook_gets_every_event_in_order_although_it_fails_and_hangs(desk, hook):
    server = hook(500, "hang", 302, 503, "drip")
    gateway = desk.gateway(emit=_hooked(server, webhook_timeout_s=0.5))
    device = desk.device().connect(desk.port)
    alerts = [device.send_alert() for _ in range(5)]
    # A webhook that hangs delays no receipt.
    device.wait_for(5, timeout_s=10)
    wait_until(lambda: len(server.taken()) == 5)
    assert server.taken() == [alert.id for alert in alerts]
    assert not [path for _, path, _, _ in server.requests if "elsewhere" in path]
    _, path, headers, body = server.requests[-1]
    assert path == "/alerts?site=1"
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert decode_alert(body).id == alerts[-1].id
    wait_until(lambda: gateway.faults == [])


def test_a_webhook_that_is_down_is_said_in_a_sentence(desk, hook):
    server = hook(*[500] * 50)
    gateway = desk.gateway(emit=_hooked(server))
    desk.device().connect(desk.port).send_alert()
    wait_until(lambda: any("answers 500 instead of 2xx" in fault for fault in gateway.faults))


def test_an_event_that_is_not_taken_holds_up_its_own_device_only(desk, monkeypatch):
    monkeypatch.setattr(patience, "_FIRST_S", 1000.0)
    taken = []

    def take(event):
        if event.source.endswith("d1"):
            raise RuntimeError("no")
        taken.append(event.id)

    gateway = desk.gateway(take)
    first, second = (desk.device(name).connect(desk.port) for name in ("d1", "d2"))
    first.send_alert()
    wait_until(lambda: gateway.faults)
    alerts = []
    for _ in range(3):
        alerts.append(second.send_alert().id)
        wait_until(lambda: taken == alerts)
    assert gateway.faults


def test_requests_are_signed_as_standard_webhooks(desk, hook, scratch):
    secret = scratch / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"s" * 24).decode() + "\n")
    server = hook()
    desk.gateway(emit=_hooked(server, webhook_secret_file=str(secret)))
    alert = desk.device().connect(desk.port).send_alert()
    wait_until(server.taken)
    _, _, headers, body = server.requests[0]
    assert headers["webhook-id"] == alert.id
    signed = f"{alert.id}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(b"s" * 24, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


def test_a_bearer_secret_is_sent_along(desk, hook, scratch):
    secret = scratch / "secret"
    secret.write_text("open sesame\n")
    server = hook()
    options = {"webhook_secret_file": str(secret), "webhook_authentication": "bearer"}
    desk.gateway(emit=_hooked(server, **options))
    desk.device().connect(desk.port).send_alert()
    wait_until(server.taken)
    assert server.requests[0][2]["Authorization"] == "Bearer open sesame"


def test_each_target_has_its_own_marks_and_a_new_one_catches_up(desk, hook, listen):
    listener = listen(desk.port, topic="passerby-desk/#")
    desk.gateway(emit=EmitSettings(to=("mqtt",)))
    device = desk.device().connect(desk.port)
    alert = device.send_alert()
    wait_until(lambda: listener.of("alert"))
    desk.gateways[0].stop()
    server = hook()
    desk.gateway(emit=EmitSettings(to=("mqtt", "webhook"), webhook_url=server.url))
    wait_until(lambda: server.taken() == [alert.id])
    second = device.send_alert()
    wait_until(lambda: len(listener.of("alert")) == 2)
    wait_until(lambda: server.taken() == [alert.id, second.id])


def test_events_wait_until_somebody_subscribes_to_the_local_topic(desk, listen):
    gateway = desk.gateway(emit=EmitSettings(to=("mqtt",)))
    device = desk.device().connect(desk.port)
    device.say(device.status())
    alert = device.send_alert()
    wait_until(lambda: any("Nobody has subscribed" in fault for fault in gateway.faults))
    listener = listen(desk.port, topic="passerby-desk/#")
    wait_until(lambda: listener.of("alert"))
    (message,) = listener.of("alert")
    assert message.topic == "passerby-desk/v1/s1/d1/alert"
    assert (message.qos, message.retain) == (1, False)
    assert message.properties.ContentType == "application/cloudevents+json"
    assert decode_alert(bytes(message.payload)).id == alert.id
    wait_until(lambda: listener.of("status"))
    assert listener.of("status")[0].retain


def test_a_local_broker_that_goes_and_comes_back_gets_what_waits(desk, mosquitto, listen):
    local = mosquitto()
    settings = desk.settings(emit=EmitSettings(to=("mqtt",)))
    elsewhere = BrokerSettings("127.0.0.1", local.port, tls=False)
    gateway = Gateway(msgspec.structs.replace(settings, emit_mqtt=elsewhere))
    desk.gateways.append(gateway)
    gateway.start()
    device = desk.device().connect(desk.port)
    device.say(device.status())
    before = listen(local.port, topic="passerby-desk/#")
    wait_until(lambda: before.of("status"))
    local.kill()
    alert = device.send_alert()
    wait_until(lambda: gateway.faults)
    local.start()
    listener = listen(local.port, topic="passerby-desk/#")
    wait_until(lambda: listener.of("alert"), timeout_s=30)
    assert decode_alert(bytes(listener.of("alert")[0].payload)).id == alert.id


def test_standard_output_is_json_lines_and_the_end_is_clean(desk):
    process = desk.process("--to", "stdout")
    assert _await_line(process.stderr, "ready")
    device = desk.device().connect(desk.port)
    alert = device.send_alert()
    assert decode_alert(process.stdout.readline().encode()).id == alert.id
    process.terminate()
    assert process.wait(20) == 0


def test_a_pipe_that_nobody_reads_ends_the_gateway_with_a_sentence(desk):
    process = desk.process("--to", "stdout")
    assert _await_line(process.stderr, "ready")
    process.stdout.close()
    device = desk.device().connect(desk.port)
    device.send_alert()
    assert process.wait(30) == 9
    rest = process.stderr.read()
    assert "Nobody reads standard output any more" in rest
    assert "Traceback" not in rest
    process.stdout = None
    # It waits in the database for the next gateway.
    events = []
    desk.gateway(events.append)
    wait_until(lambda: events)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """The Node.js example with its one dependency."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("consumer.mjs", "package.json"):
        shutil.copy(ROOT / "examples" / name, folder)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"npm install does not work here: {done.stderr[-200:]}")
    return folder


@pytest.mark.parametrize("language", ["python", "node"])
def test_the_example_consumer_reads_alerts_once(desk, language, request):
    if language == "python":
        command = [sys.executable, str(ROOT / "examples/consumer.py")]
    else:
        command = ["node", str(request.getfixturevalue("node_folder") / "consumer.mjs")]
    process = subprocess.Popen(
        [*command, "127.0.0.1", str(desk.port)], stdout=subprocess.PIPE, text=True
    )
    desk.processes.append(process)
    assert _await_line(process.stdout, "listening")
    desk.gateway(emit=EmitSettings(to=("mqtt",)))
    device = desk.device().connect(desk.port)
    for _ in range(3):
        alert = device.send_alert()
        line = process.stdout.readline()
        assert line.startswith(f"{alert.id} possible match: ref-7 (")
        assert "not to be the sole ground of any decision" in line


def _await_line(stream, text):
    return any(text in line for line in iter(stream.readline, ""))
