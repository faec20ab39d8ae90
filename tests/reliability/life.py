"""The whole life of a watchlist, typed as two officers, a custodian and a technician would.

    python -m tests.reliability.life --out docs/a-lists-life.md     (about five minutes)

Everything is real: the programs, the models, Mosquitto, the gateway, the device's process, its
camera on a clip of rendered people, and time: the window ends while it runs. Nobody in it exists.
"""

import argparse
import json
import re
import signal
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.pictures import passages, photograph
from tests.simulators.terminal import Terminal

PASSPHRASE = "seven herons cross a quiet river"
LISTED, MINOR = 600_028, 600_005
OFFICER, CUSTODIAN = "Inspector, badge 1042", "Records custodian, badge 2208"
MODELS = "--detector passerby-detector-640x480 --embedder passerby-embedder"
NAME = "Ottilie Fennimore-Quist"
_WIDE = 96
_INTRODUCTION = """\
# The life of a list

A recorded terminal session: two officers, a custodian, a technician, an auditor and a rights
officer make, sign, publish, use and end a watchlist, and answer a person who asks. It was made by
`python -m tests.reliability.life --out docs/a-lists-life.md` with the real programs, a real broker,
and time as it passes: the window is a minute long. Passphrases do not show when they are typed.
Everybody here is rendered or made up; the models are the built-in ones. What the steps are for:
[watchlist.md](watchlist.md).
"""


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
        self.chapters = []

    @contextmanager
    def chapter(self, title):
        """All that is typed meanwhile belongs to it."""
        first = len(self.terminal.record)
        try:
            yield
        finally:
            self.chapters.append((title, first, len(self.terminal.record)))

    def neutral(self, text):
        """A text without this machine's folder and the broker's port."""
        return text.replace(f"{self.folder}/", "").replace(str(self.broker.port), "8883")

    # --- what there is before anything begins ---

    def pictures(self):
        """Booking photographs and a clip of people who do not exist."""
        photograph(self.folder / "booking-1.png", LISTED)
        photograph(self.folder / "booking-2.png", MINOR)
        passages(self.folder / "entrance.mp4")

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
        self.terminal.type(OFFICER, "cat plan.toml")
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
        # By the technician's hand: what this device will believe.
        self.terminal.type("Technician", "cp root/root.json root.json")
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

    def wait_for_record(self):
        """Wait until the desk has the counts of the deployment."""
        wait_until(lambda: b"passerby.record.v1" in (self.folder / "gateway.log").read_bytes(), 60)

    def stop(self):
        """End the device and the gateway politely."""
        for process, log in ((self.device, "device.log"), (self.gateway, "gateway.log")):
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            assert code == 0, (code, (self.folder / log).read_text())

    def end(self):
        """The desk ends the deployment too: key first, then names, photographs' digests, bundle."""
        self.terminal.type(
            CUSTODIAN,
            f"passerby-desk watchlist end --deployment {self.deployment} --keeper custodian.age "
            '--reason "The last window has closed" --yes --config desk.toml',
            [("custodian.age: ", PASSPHRASE)],
        )

    def answer(self):
        """A person asks whether they were on a list; by now the list is gone."""
        office = "passerby-desk rights {} --workplace workplace --keeper custodian.age --by {}"
        rights = '"Rights officer, desk 3"'
        said = self.terminal.type(
            "Rights officer, desk 3",
            f'{office.format("search", rights)} --name "{NAME}" --born 1988-04-02 --received '
            f'{datetime.now(UTC).date()} --checked-by "Front desk, badge 311"',
            [("custodian.age: ", PASSPHRASE)],
        )
        request = re.search(r"q-[0-9a-f]{16}", said)[0]
        (self.folder / "workplace/office.toml").write_text(_OFFICE)
        self.terminal.type(
            "Rights officer, desk 3",
            f"{office.format('close', rights)} --request {request} --answer ended --letter "
            'letter.txt --reason "Nothing stands against telling it: the list has ended"',
            [("custodian.age: ", PASSPHRASE)],
        )
        self.terminal.type("Rights officer, desk 3", "cat letter.txt")
        assert self.reference in said

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
service_en = "The police service of a town that does not exist"
service_fr = "Le service de police d'une ville qui n'existe pas"
contact_en = "Rights officer, desk 3, 1 Example Street"
contact_fr = "Agent des droits, bureau 3, 1 rue Exemple"
complaints_en = "the Commissioner"
complaints_fr = "le Commissaire"
"""


class _running:  # noqa: N801 - a context manager by its use
    def __init__(self, broker):
        self._broker = broker

    def __enter__(self):
        self._broker.start()
        return self._broker

    def __exit__(self, *_):
        self._broker.stop()


def whole(life, *, begins_s=40):
    """The whole life, in the order in which it happens. begins_s: until the window opens."""
    with life.chapter("Keys, once for the agency"):
        life.pictures()
        life.keys()
    with life.chapter("Desk and device are introduced"):
        life.introduce()
    with life.chapter("The list: a minor and a missing basis are refused"):
        life.new()
        life.enter()
    with life.chapter("Authorised and sealed"):
        life.authorise(begins_s=begins_s)
    with life.chapter("One signature is not enough; two are"):
        life.sign()
    with life.chapter("The device arms in its window, and records in silence"):
        life.start()
        life.wait_for_event("armed")
        life.terminal.type("Technician", "passerby status --config device.toml")
        life.wait_for_event("alert")
    with life.chapter("The window ends; the list is erased"):
        life.wait_for_event("erased")
        life.terminal.type("Technician", "passerby status --config device.toml", code=1)
        life.wait_for_record()
        life.stop()
        life.terminal.type("Technician", "find state -not -name '*.db*' -type f")
        life.terminal.type("Auditor", "passerby audit verify --config device.toml")
        life.terminal.type("Auditor", "passerby audit show --config device.toml --last 30")
        life.end()
    with life.chapter("Somebody asks: was I on the list?"):
        life.answer()


def page(life):
    """The record as a page: what each person typed, and what came back."""
    parts = [_INTRODUCTION]
    for title, first, last in life.chapters:
        parts.append(f"\n## {title}\n")
        for typed in life.terminal.record[first:last]:
            output = life.neutral(typed.output).rstrip()
            parts.append(f"**{typed.who}**\n\n```\n$ {_folded(typed.line)}\n{output}\n```\n")
            if typed.code:
                parts.append(f"(exit code {typed.code})\n")
    return "\n".join(parts)


def _folded(line):
    """A long command over several lines, as a shell takes it."""
    if len(line) <= _WIDE:
        return line
    words = re.split(r" (?=--)", line)
    return " \\\n      ".join(words)


def main():
    """Live a life and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="life") as folder, ExitStack() as stack:
        life = Life(folder, stack)
        try:
            whole(life)
        except BaseException:
            print(page(life))
            raise
        if options.out is not None:
            options.out.write_text(page(life))
        else:
            print(page(life))


if __name__ == "__main__":
    main()
