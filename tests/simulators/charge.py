"""A device with a signed list of coloured squares, without camera, models, broker or waiting.

    one = World(folder, monkeypatch)     # a desk's repository and a state directory
    device = one.boot()                  # as a process starts: nothing but the disk is left
    device.live()                        # one look of the waiting room
    device.serve(Street())               # the whole service, over a street of some frames

The rooms are the real ones. Stand-ins are the eye (`street`), the clocks (`clocks`), the broker
(`Wire`) and the process in which TUF verifies: it is called here, so that a test takes no second.
"""

import tempfile
from pathlib import Path

import msgspec

from device import charge as charge_module
from device import custody as custody_module
from device import service as service_module
from device import session as session_module
from device.bundles import client, install, pack, verify
from device.bundles.findings import decode_answer, encode_answer
from device.charge import Charge
from device.identity import own_keys
from device.inbox import Inbox
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.alert import ModelHash
from device.protocol.authorisation import Signage, Threshold, Window
from device.protocol.bundle import LocalKeys, encode_part
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.part import cut, digest_of_bundle, parts_of
from device.protocol.topics import Topics
from device.protocol.unlocking import Unlock, UnlockData, wrap_key
from device.protocol.watchlist import Reference
from device.service import Service
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.trusted_time import TrustedTime
from device.vision import Eye
from tests.simulators import street
from tests.simulators.clocks import Clocks
from tests.simulators.correspondents import Correspondents
from tests.simulators.repository import (
    DAY_NS,
    DEPLOYMENT,
    NOW_NS,
    Repository,
    an_authorisation,
    contents,
)
from tests.simulators.sink import RecordingSink
from tests.simulators.street import Person, StreetSource
from tools.desk.sealing import Validity, seal_watchlist

S = 10**9
HOUR = 3600 * S
TOPICS = Topics("site-1", "device-1")
DEVICE = TOPICS.source
KEY = bytes(range(7, 39))
HUE = 30
REFERENCE = "r-00000000001e"
OTHER = "r-00000000005a"
HUES = {REFERENCE: HUE, OTHER: 90}
PASSER_BY = [Person(HUE, x=100, speed=20)]
MODELS = [
    ModelHash("detector", "stand-in-detector", street.SHA),
    ModelHash("embedder", "stand-in-embedder", street.SHA),
]
PROVISIONAL = Threshold("provisional", "t-1", 0.8, 0.7, 0.001, 2000, None, "No evaluation yet.")
EVALUATED = Threshold("evaluated", "t-2", 0.8, 0.7, 0.001, 2000, "e" * 64, "Shown with 95 %.")
CONFIGURATION = b"[vision]\nmotion_gate = false\n[matching]\nthreshold = 0.8\n"
BEGINS_NS = NOW_NS - HOUR
ENDS_NS = NOW_NS + 8 * HOUR


def authorised(**changes):
    """An authorisation under which the stand-ins are armed at NOW, in silent mode."""
    plain = {
        "windows": [Window(utc_text(BEGINS_NS), utc_text(ENDS_NS))],
        "signage": Signage("Technician 4", utc_text(NOW_NS - 30 * DAY_NS)),
        "threshold": PROVISIONAL,
        "models": MODELS,
    }
    return an_authorisation(**(plain | changes))


def alerting(**changes):
    """An authorisation that lets alerts leave."""
    return authorised(**({"threshold": EVALUATED, "mode": "alerting"} | changes))


def sealed(authorisation, hues=None, *, key=KEY, expires_ns=NOW_NS + 20 * DAY_NS, named=None):
    """The sealed list of an authorisation. hues: by reference id. named: another list's name."""
    hues = HUES if hues is None else hues
    dates = Validity(utc_text(expires_ns), utc_text(expires_ns))
    return seal_watchlist(
        [
            Reference(name, [(street.LENGTH * street.template(hue)).tobytes()])
            for name, hue in hues.items()
        ],
        dict.fromkeys(hues, dates),
        watchlist=named or authorisation.watchlist,
        deployment=authorisation.deployment,
        created_at=utc_text(NOW_NS - DAY_NS),
        embedder=MODELS[1],
        deployment_key=key,
    ).content


def files(authorisation=None, *, local=None, content=None, configuration=CONFIGURATION, **sealing):
    """The targets of a bundle. local: public keys of a device that may open it by itself."""
    signed = authorisation or authorised()
    wrapped = {} if local is None else {DEVICE: wrap_key(KEY, local, DEVICE, signed.deployment)}
    return contents(
        signed,
        watchlist=sealed(signed, **sealing) if content is None else content,
        configuration=configuration,
        local_keys=encode_part(LocalKeys(wrapped=wrapped)),
    )


class Wire(RecordingSink):
    """The courier: keeps what is sent. asked: requests for the key. fetched: for all parts."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.fetched = 0
        self.full = False

    def stop(self):
        self.started = False
        return super().stop()

    def ask(self, request):
        self.asked.append(request)

    def keep_for(self, keep_s):
        self.kept_for_s = keep_s

    def fetch_bundle(self):
        self.fetched += 1

    def submit_record(self, record):
        return not self.full and super().submit_record(record)


class Killed(BaseException):
    """The power went."""


class World:
    """A desk and the disk of one device. unlock: "remote" or "local". clocks: the device's."""

    def __init__(self, folder, monkeypatch, *, authorisation=None, unlock="local", **bundle):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.patch = monkeypatch
        self.clocks = Clocks(NOW_NS)
        self.desk = Correspondents(TOPICS)
        self.sequence = 0
        self.streets = []
        self.devices = []
        self.records = []
        self.own = own_keys(self.state)
        self.unlock = unlock
        if unlock == "local":
            bundle = {"local": self.own.public} | bundle
        self.bundle = bundle
        self.repository = Repository(self.folder / "desk", files(authorisation, **bundle))
        self.pinned = self.folder / "root.json"
        self.pinned.write_bytes(self.repository.pinned)
        self.settings = Settings(
            device=DeviceSettings("site-1", "device-1", str(self.state)),
            camera=CameraSettings("stills"),
            watchlist=WatchlistSettings(root=str(self.pinned), unlock=unlock),
        )
        self._stand_in()

    def _stand_in(self):
        self.patch.setattr(client, "_ask", verified_here)
        self.patch.setattr(
            charge_module, "TrustedTime", lambda state: TrustedTime(state, self.clocks)
        )
        self.patch.setattr(charge_module, "swap_is_on", lambda: False)
        self.patch.setattr(custody_module.Catalogue, "configured", lambda _directory: None)
        self.eyes = []
        self.patch.setattr(Eye, "open", self._open_eye)
        self.patch.setattr(service_module, "source_for", self._open_source)
        self.patch.setattr(service_module, "_LOOK_S", 0.0)
        # Twice a second outside of tests; here, before every frame.
        self.patch.setattr(session_module, "_JUDGE_EVERY_S", 0.0)

    def _open_eye(self, _catalogue, _models, vision, around):
        self.allowed = around.authorised
        eye = street.eye(street.settings(self.state, vision=vision))
        self.eyes.append(eye)
        return eye

    def _open_source(self, _camera):
        return self.streets.pop(0)

    def install(self, now_ns=None):
        """As `passerby update` does it, in another process."""
        now_ns = self.clocks.wall_ns if now_ns is None else now_ns
        return install(self.repository.folder, self.state, self.pinned, now_ns, device=DEVICE)

    def publish(self, authorisation=None, **bundle):
        """The desk's next bundle; it is not on the device yet."""
        self.repository.publish(files(authorisation, **(self.bundle | bundle)))

    def parts(self, *, spoilt=False, offered_s=0):
        """What the gateway sends of the desk's newest bundle. spoilt: no bundle at all."""
        archive = b"no archive" * 900 if spoilt else pack(self.repository.folder)
        digest, offered_at = digest_of_bundle(archive), utc_text(NOW_NS + offered_s * S)
        count = parts_of(len(archive))
        return [cut(archive, digest, DEVICE, offered_at, n) for n in range(1, count + 1)]

    def boot(self, *, kill_after=None):
        """A process starts on what the disk holds. kill_after: it dies with its n-th line."""
        self.devices.append(Device(self, kill_after))
        return self.devices[-1]

    def armed(self, **options):
        """Install, start, and wait until armed."""
        self.install()
        device = self.boot(**options)
        verdict = device.until_settled()
        assert verdict.state == "armed", verdict
        return device

    def lines(self):
        """The audit log, [(event, details)]."""
        path = self.state / "audit.jsonl"
        found = path.read_bytes().splitlines() if path.exists() else []
        decoded = [msgspec.json.decode(line) for line in found]
        return [(line["event"], line.get("details", {})) for line in decoded]

    def events(self):
        return [event for event, _ in self.lines()]

    def manifest(self, version=1):
        return msgspec.json.decode(
            (self.state / f"manifests/{DEPLOYMENT}-{version}.json").read_bytes()
        )

    def holds_a_list(self):
        """Whether a sealed list or a wrapped key lies anywhere on the disk."""
        names = ("watchlist.sealed", "local-keys.json", "bundle.tar")
        return any(path.name.endswith(names) for path in self.state.rglob("*"))

    def order(self, action, reference_id=None):
        self.sequence += 1
        return self.desk.command(action, self.sequence, reference_id, now_ns=self.clocks.wall_ns)

    def found(self, alert, outcome="false alert"):
        self.sequence += 1
        return self.desk.adjudication(alert, outcome, self.sequence, now_ns=self.clocks.wall_ns)


class Device:
    """One run of the process. charge, wire, inbox, obedience, notebook: its parts."""

    def __init__(self, world, kill_after=None):
        self.world = world
        self.wire = Wire()
        self.wire.records = world.records
        self.inbox = Inbox()
        self.notebook = Notebook(world.state)
        if kill_after is not None:
            self._die_after(kill_after)
        self.obedience = Obedience(
            world.state, DEVICE, self.notebook, now_ns=lambda: world.clocks.wall_ns
        )
        self.charge = Charge(world.settings, self.inbox, self.wire, self.notebook, self.obedience)
        self.custody = self.charge.custody
        self.galleries = []
        self.clock_s = 0.0

    def _die_after(self, count):
        note, left = self.notebook.note, [count]

        def dying(event, **details):
            note(event, **details)
            left[0] -= 1
            if left[0] <= 0:
                raise Killed(event)

        self.notebook.note = dying

    def live(self, times=1):
        """One look of the waiting room. Returns policy's verdict."""
        for _ in range(times):
            self.charge.obey()
            self.charge.tend()
            verdict = self.charge.decide()
            gallery = self.custody.gallery
            if gallery is not None and gallery not in self.galleries:
                self.galleries.append(gallery)
        return verdict

    def until_settled(self, most=6):
        """Look until the list is open, answering for the desk where it is asked."""
        for _ in range(most):
            verdict = self.live()
            if verdict.state == "armed":
                break
            if self.wire.asked and self.world.unlock == "remote":
                self.inbox.unlocks.put(self.answer())
        return verdict

    def answer(self, *, refusal=None, key=KEY, request=None, at_ns=None):
        """What the desk says to the newest request."""
        request = request or self.wire.asked[-1]
        asked = request.data
        wrapped = None
        if refusal is None:
            wrapped = wrap_key(key, asked.keys, DEVICE, asked.deployment)
        at_ns = self.world.clocks.wall_ns if at_ns is None else at_ns
        return Unlock(
            uuid7(at_ns),
            "urn:passerby:desk:" + "0" * 16,
            utc_text(at_ns),
            UnlockData(DEVICE, request.id, asked.nonce, asked.deployment, wrapped, refusal),
        )

    def obey(self, *orders):
        for order in orders:
            self.obedience.take(order)

    def serve(self, *streets, looks=3, on_look=lambda number, verdict: None):
        """Run the service. streets: of each session: `Street`s. Returns the service.

        looks: it stops after so many looks in a row that found it not armed. on_look: called after
        each, with its number in this row and the verdict.
        """
        self.world.streets = list(streets) or [Street()]
        service = Watched(self.charge, self.wire, looks, on_look)
        for street_ in self.world.streets:
            street_.service = service
        service.run(lambda *_: None)
        return service


class Street(StreetSource):
    """What a session sees. at: what happens when a frame is read, {number: function}."""

    def __init__(self, people=PASSER_BY, frames=30, at=None):
        super().__init__(people, frames, self._happen)
        self.at = at or {}
        self.service = None
        self.opened = self.closed = 0

    def _happen(self, number):
        if number in self.at:
            self.at[number]()

    def open(self):
        self.opened += 1

    def close(self):
        self.closed += 1


class Watched(Service):
    """The service, looked at. verdicts: of all looks."""

    def __init__(self, charge, wire, looks, on_look):
        super().__init__(charge, wire)
        self.verdicts = []
        self._looks, self._on_look, self._row = looks, on_look, 0

    def _wait_step(self):
        verdict = super()._wait_step()
        self.verdicts.append(verdict)
        self._row = 0 if verdict.state == "armed" else self._row + 1
        self._on_look(self._row, verdict)
        if self._row >= self._looks:
            self.stop()
        return verdict


def verified_here(order, arguments, state, root, now_ns):
    """`device.bundles.client._ask`, without a process of its own."""
    before = tempfile.tempdir
    options = verify._parser().parse_args(
        [order, f"--state={state}", f"--root={root}", f"--now-ns={now_ns}", *arguments]
    )
    try:
        answer = decode_answer(encode_answer(verify.answer(options)))
    finally:
        tempfile.tempdir = before
    return client._read(encode_answer(answer), 0)
