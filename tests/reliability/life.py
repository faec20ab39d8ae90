"""The whole life of a watchlist, typed as two officers, a custodian and a technician would.

    python -m tests.reliability.life --out docs/a-lists-life.md     (about five minutes)

Everything is real: the programs, the models, Mosquitto, the gateway, the device's process, its
camera on a clip of rendered people, and time: the window ends while it runs. Nobody in it exists.
"""

import argparse
import json
import os
import re
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2

from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.terminal import Terminal, Typed
from tools.lab.people import Person, Street, View, render, walk_past

PASSPHRASE = "seven herons cross a quiet river"
SHORT_WALK = (600_012, 600_028, 600_020)
"""A stranger, the person on the list, another stranger: each some seconds."""
LISTED, MINOR = 600_028, 600_005
OFFICER, CUSTODIAN = "Inspector, badge 1042", "Records custodian, badge 2208"
MODELS = "--detector passerby-detector-640x480 --embedder passerby-embedder"
NAME = "Ottilie Fennimore-Quist"
_STREET = Street(size=(640, 480), rate=10, gap_s=2.2)
_FRAMES_PER_S = 10
_PHOTO_PX = 480


class Life:
    """folder: an empty one. window_s: how long comparing is allowed. unlock: remote or local."""

    def __init__(self, folder, stack, *, window_s=60, unlock="remote"):
        self.folder = Path(folder)
        self.terminal = Terminal(self.folder)
        self._stack = stack
        self._window_s = window_s
        self._unlock = unlock
        self.broker = stack.enter_context(_running(Mosquitto(self.folder / "broker")))
        self.deployment = ""
        self.reference = ""
        self.ends_at = None

    # --- what there is before anything begins ---

    def pictures(self):
        """Booking photographs and a clip of people who do not exist."""
        for name, seed in (("booking-1", LISTED), ("booking-2", MINOR)):
            image = render(Person.from_seed(seed), View.frontal(seed), _PHOTO_PX).image
            cv2.imwrite(str(self.folder / f"{name}.png"), image)
        scenes = walk_past([Person.from_seed(seed) for seed in SHORT_WALK], 5, _STREET)
        writer = cv2.VideoWriter(
            str(self.folder / "entrance.mp4"),
            cv2.VideoWriter_fourcc(*"mp4v"),
            _FRAMES_PER_S,
            _STREET.size,
        )
        for scene in scenes:
            writer.write(scene.image)
        writer.release()

    def keys(self):
        """Six keys, and the root that two of three sign."""
        holders = {
            "officer": (OFFICER, "officer"),
            "custodian": (CUSTODIAN, "custodian"),
            "publishing": ("Publishing desk, room 12", "publishing"),
            "root-1": ("Deputy chief, badge 7", "root"),
            "root-2": ("Oversight board, seat 2", "root"),
            "root-3": ("Court registry, desk 4", "root"),
        }
        for name, (holder, role) in holders.items():
            self.terminal.type(
                holder,
                f'passerby-desk signing-key create --role {role} --holder "{holder}" --out {name}',
                [("new ke", PASSPHRASE), ("once more", PASSPHRASE)],
            )
        publics = {name: self._public(name) for name in holders}
        roots = " ".join(publics[f"root-{n}"] for n in (1, 2, 3))
        self.terminal.type(
            OFFICER,
            f"passerby-desk root create --out root --root-key {roots} --officer "
            f"{publics['officer']} --custodian {publics['custodian']} --publishing "
            f"{publics['publishing']}",
        )
        for n in (1, 2):
            self.terminal.type(
                holders[f"root-{n}"][0],
                f"passerby-desk root sign --root root --key {self._private(f'root-{n}')}",
                [(".pem: ", PASSPHRASE), ("Type yes", "yes")],
            )

    def introduce(self):
        """Desk and device get to know each other; the broker is there."""
        self._write_configurations()
        self.terminal.type("Technician", "passerby-desk keys create --out .")
        self.terminal.type("Technician", "passerby identity --config device.toml --out device.pub")
        self.terminal.type(
            "Technician",
            "passerby-desk devices add device.pub --site s-7f3a --device d-01 --config desk.toml",
        )
        self.terminal.type(
            CUSTODIAN,
            f'passerby-desk watchlist keeper create --workplace workplace --name "{CUSTODIAN}" '
            "--out custodian.age",
            [("new ke", PASSPHRASE), ("once more", PASSPHRASE)],
        )

    # --- the list ---

    def new(self):
        """An empty list."""
        said = self.terminal.type(
            CUSTODIAN,
            "passerby-desk watchlist new --workplace workplace",
        )
        self.deployment = re.search(r"workplace/[0-9a-f-]{36}", said)[0]

    def add(self, name, born_on, photo, *, legal_basis="Arrest warrant 26-4471", code=0):
        """One person, or the refusal of one."""
        today = datetime.now(UTC).date()
        fields = {
            "name": name,
            "source": "booking photograph",
            "held-by": "Records section",
            "exhibit": "B-2025-0917",
            "legal-basis": legal_basis,
            "attested-by": CUSTODIAN,
            "category": "wanted on an arrest warrant",
            "necessity": "Every known address was visited since the warrant was issued in May; "
            "officers on foot have not found her.",
            "proportionality": "One entrance, one evening; bystanders are forgotten within a "
            "frame, and two officers judge every alert.",
            "offence-class": "robbery",
            "disposition": "none yet",
            "born-on": born_on,
            "captured-on": today - timedelta(days=120),
            "attested-on": today,
            "review-on": today + timedelta(days=20),
            "expires-on": today + timedelta(days=30),
        }
        options = " ".join(f'--{key} "{value}"' for key, value in fields.items() if value != "")
        return self.terminal.type(
            CUSTODIAN,
            f"passerby-desk watchlist add --deployment {self.deployment} --keeper custodian.age "
            f"{MODELS} {options} --photo {photo}",
            [("custodian.age: ", PASSPHRASE)],
            code=code,
        )

    def enter(self):
        """A minor and an entry without a basis are refused; one person is entered."""
        today = datetime.now(UTC).date()
        young = today.replace(year=today.year - 17)
        self.add("Tobias Lindqvist-Marr", young, "booking-2.png", code=None)
        self.add(NAME, "1988-04-02", "booking-1.png", legal_basis="none", code=None)
        said = self.add(NAME, "1988-04-02", "booking-1.png")
        self.reference = re.search(r"r-[0-9a-f]{12}", said)[0]

    def authorise(self, *, begins_s=0):
        """The plan, the draft, and the sealed bundle."""
        begins = datetime.now(UTC) + timedelta(seconds=begins_s)
        self.ends_at = begins + timedelta(seconds=self._window_s)
        (self.folder / "plan.toml").write_text(self._plan(begins, self.ends_at))
        keeper = f"--deployment {self.deployment} --keeper custodian.age"
        self.terminal.type(
            OFFICER,
            f"passerby-desk watchlist authorise {keeper} --file plan.toml --provisional",
            [("custodian.age: ", PASSPHRASE)],
        )
        local = " --local-device s-7f3a/d-01=device.pub" if self._unlock == "local" else ""
        self.terminal.type(
            CUSTODIAN,
            f"passerby-desk watchlist seal {keeper} --root root{local}",
            [("custodian.age: ", PASSPHRASE)],
        )

    def sign(self):
        """One signature is not enough; two are."""
        self._sign("officer", OFFICER)
        self.publish(code=None)
        self._sign("custodian", CUSTODIAN)
        self.publish()

    def publish(self, *, code=0):
        """Give out what was signed."""
        answers = [("publishing.pem: ", PASSPHRASE)]
        answers += [("custodian.age: ", PASSPHRASE)] if code == 0 else []
        self.terminal.type(
            CUSTODIAN,
            f"passerby-desk watchlist publish --deployment {self.deployment} --key "
            f"{self._private('publishing')} --keeper custodian.age --config desk.toml",
            answers,
            code=code,
        )

    # --- the device ---

    def start(self):
        """Gateway and device."""
        # Names of the two public files end up on the device by the technician's hand.
        (self.folder / "root.json").write_bytes(self._root_file().read_bytes())
        self.gateway = self._program("passerby-desk gateway --config desk.toml", "gateway.log")
        self.device = self._program("passerby run --config device.toml --ledger", "device.log")

    def wait_for(self, state):
        """Wait until the device's own status says so."""
        wait_until(lambda: self._status().get("state") == state, 120, f"the state {state}")

    def wait_for_event(self, event):
        """Wait until the audit log has such a line."""
        wait_until(lambda: event in self.events(), 180, f"the event {event}")

    def events(self):
        """The names of all lines of the audit log."""
        path = self.folder / "state/audit.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes().splitlines()
        return [json.loads(line)["event"] for line in lines if line.endswith(b"}")]

    def stop(self):
        """End the device and the gateway politely."""
        for process in (self.device, self.gateway):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in (self.device, self.gateway)]
        assert codes == [0, 0], (codes, (self.folder / "device.log").read_text())

    def answer(self):
        """A person asks whether they were on a list; afterwards the list is gone."""
        said = self.terminal.type(
            "Rights officer",
            "passerby-desk rights search --workplace workplace --keeper custodian.age --by "
            f'"Rights officer, desk 3" --name "{NAME}" --born 1988-04-02 --checked-by '
            '"Front desk, badge 311"',
            [("custodian.age: ", PASSPHRASE)],
        )
        request = re.search(r"q-[0-9a-z-]+|[0-9a-f]{8}-[0-9a-f-]{27}", said)[0]
        (self.folder / "workplace/office.toml").write_text(_OFFICE)
        self.terminal.type(
            "Rights officer",
            "passerby-desk rights close --workplace workplace --keeper custodian.age --by "
            f'"Rights officer, desk 3" --request {request} --reason "The deployment has ended." '
            "--answer ended --letter letter.txt",
            [("custodian.age: ", PASSPHRASE)],
        )

    # --- how ---

    def _sign(self, name, holder):
        self.terminal.type(
            holder,
            f"passerby-desk watchlist sign --deployment {self.deployment} "
            f"--key {self._private(name)}",
            [(".pem: ", PASSPHRASE), ("Type yes", "yes")],
        )

    def _program(self, line, log):
        process = self.terminal.start(line, log)

        def end():
            if process.poll() is None:
                process.kill()
                process.wait()

        self._stack.callback(end)
        return process

    def _status(self):
        try:
            return json.loads((self.folder / "state/status.json").read_text())["status"]
        except FileNotFoundError:
            return {}

    def _public(self, name):
        return str(next((self.folder / name).glob("*.pub")).relative_to(self.folder))

    def _private(self, name):
        return str(next((self.folder / name).glob("*.pem")).relative_to(self.folder))

    def _root_file(self):
        return next(iter(sorted((self.folder / "root").glob("**/root.json")))) if list(
            (self.folder / "root").glob("**/root.json")
        ) else next((self.folder / "root").glob("**/1.root.json"))

    def _plan(self, begins, ends):
        return f"""\
objective = "Find one person wanted on an arrest warrant at the arena's north entrance"
place = "North entrance of the arena"
devices = ["s-7f3a/d-01"]
legal_basis = "Operational order 2026-014, section 3"
impact_assessment = "PIA 2026-002, approved"
officer = "{OFFICER}"
custodian = "{CUSTODIAN}"
pilot_ends_at = {ends + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}
exit_evaluation = "Audit office reports to the board"
mode = "silent"
target_fpir = 0.003
detector = "passerby-detector-640x480"
embedder = "passerby-embedder"
[[windows]]
begins_at = {begins:%Y-%m-%dT%H:%M:%SZ}
ends_at = {ends:%Y-%m-%dT%H:%M:%SZ}
[signage]
attested_by = "Sergeant, badge 1177"
attested_at = {begins - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}
"""

    def _write_configurations(self):
        (self.folder / "device.toml").write_text(f"""\
[device]
site = "s-7f3a"
id = "d-01"
state_directory = "state"
[camera]
kind = "video"
path = "entrance.mp4"
loop = true
[watchlist]
root = "root.json"
unlock = "{self._unlock}"
[broker]
host = "127.0.0.1"
port = {self.broker.port}
tls = false
[desk]
public_keys = "desk.pub"
""")
        (self.folder / "desk.toml").write_text(f"""\
[desk]
keys = "desk.key"
database = "sqlite:///desk.db"
[broker]
host = "127.0.0.1"
port = {self.broker.port}
tls = false
[emit]
to = ["stdout"]
""")


_OFFICE = """\
name = "Police service of a town that does not exist"
"""


class _running:  # noqa: N801 - a context manager by its use
    def __init__(self, broker):
        self._broker = broker

    def __enter__(self):
        self._broker.start()
        return self._broker

    def __exit__(self, *_):
        self._broker.stop()


def whole(life):
    """The whole life, in the order in which it happens."""
    life.pictures()
    life.keys()
    life.introduce()
    life.new()
    life.enter()
    life.authorise(begins_s=40)
    life.sign()
    life.start()
    life.wait_for_event("armed")
    life.terminal.type("Technician", "passerby status --config device.toml", code=0)
    life.wait_for_event("alert")
    life.wait_for_event("erased")
    life.terminal.type("Technician", "passerby status --config device.toml", code=1)
    life.stop()
    life.terminal.type("Auditor", "passerby audit verify --config device.toml")
    life.terminal.type("Auditor", "passerby audit show --config device.toml --last 30")
    life.answer()


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory(prefix="life") as folder, ExitStack() as stack:
        life = Life(sys.argv[1] if len(sys.argv) > 1 else folder, stack)
        try:
            whole(life)
        finally:
            for typed in life.terminal.record:
                print(f"[{typed.who}] $ {typed.line}\n{typed.output}")
