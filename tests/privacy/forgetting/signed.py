"""Strangers pass a device as a pilot runs it: signed, sealed list, turned templates, TLS, a desk.

Everything is real: the bundle, the gateway that opens the list over the broker, locked memory,
cover traffic, receipts. Beside the strangers the list itself is looked for: while it is open,
the rotation that it is compared with, as a control, and nothing but that and the rows turned by
it; behind the program's last code neither they nor what they were made of, nor a key.
"""

import re
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from device.matching import Gallery
from device.matching.protection import Transformation
from device.protocol.envelope import Envelope
from device.protocol.keys import decode_private_keys, decode_public_keys
from device.protocol.topics import parse_topic
from tests.privacy.forgetting import disk
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.memory import Memory
from tests.privacy.forgetting.needles import Form, Needles
from tests.privacy.forgetting.outcome import Outcome
from tests.privacy.forgetting.passage import Passage
from tests.privacy.forgetting.shadow import Shadow
from tests.privacy.forgetting.wire import FROM_DEVICE, Told
from tests.simulators.estate import LISTED, SUITE, TOPICS, Estate
from tests.simulators.mosquitto import Listener
from tests.simulators.pictures import photograph
from tests.simulators.thief import opened_with

FAULTS = ("comparison", "embedding", "probe", "turning")
_FROM_A_DEVICE = ("alert", "status", "record", "request")
_COMPARED = frozenset({"opened row", "opened rotation"})
"""The kinds of the list's forms that an open list has in memory."""
_VERIFIES = ["-P", "-m", "device.bundles.verify"]
_LAST = "memory, behind the program's last code"
_TURNED = re.compile(r"turned|protection\.scores")
_CAMERA = """\
[camera]
kind = "picamera2"
width = 1280
height = 720
lores_width = 640
[vision]
oldest_frame_ms = 0
frame_budget_ms = 0
latency_ms = 10000
searches_per_s = 60
follows_per_s = 60
[alerts]
cover_period_s = 1.0
drain_s = 5.0
"""


@dataclass
class Signed(Outcome):
    """turned: forms of turned templates. open_list: finds of the list while it was open, by kind.

    messages: topics on which the device spoke; on "alert" most are cover. verified: how often a
    bundle was, by order to the interpreter that does it.
    """

    mode: str = ""
    turned: int = 0
    open_list: Counter = field(default_factory=Counter)
    messages: Counter = field(default_factory=Counter)
    verified: dict = field(default_factory=dict)

    def figures(self):
        """Return what the report says of it."""
        return {
            "faces": self.faces,
            "compared": self.compared,
            "templates": self.embedded,
            "not known to the last bit": self.unknown,
            "forms of turned templates": self.turned,
            "searches of memory": self.searches,
            "found": sum(self.finds.values()),
            "rules broken": len(self.rules),
            "faults": dict(sorted(self.fired.items())),
            "planted": self.planted,
            "planted and not found": self.unfound,
            "of the list, while it was open": dict(self.open_list),
            "messages": dict(self.messages),
            "verified in a program of its own": self.verified,
            "skipped": self.skipped,
        }


def strangers_pass(folder, seed, number, *, pool, mode="silent", **how):
    """Let strangers pass a device with a signed list; see `SignedPassage`. Returns a `Signed`."""
    return SignedPassage(folder, seed, number, pool=pool, mode=mode, **how).run()


class SignedPassage(Passage):
    """mode: of the authorisation, "silent" or "alerting". The rest: see `Passage`."""

    places = ("list", "locked", "numpy")

    def __init__(self, folder, seed, number, *, pool, mode="silent", **how):
        super().__init__(folder, seed, number, pool=pool, around=False, **how)
        self.outcome = Signed(seed, mode=mode, verbose=self._verbose)
        self._mode = mode
        self._faults = list(FAULTS)

    def run(self):
        began = time.monotonic()
        with ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            site = _Site(self.folder, stack, self._mode)
            site.prepare()
            site.broker.start()
            stack.callback(site.broker.stop)
            self._tap = stack.enter_context(closing(_Overheard(site)))
            site.listen()
            self._install(site, stack)
            self._pass_by()
            self._end()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _install(self, site, stack):
        """Start the device, which comes back once the desk has opened its list, and its shadow."""
        self._watch = stack.enter_context(closing(disk.Watch(self.folder)))
        self.appliance = Appliance(
            site.card,
            config=site.card / "device.toml",
            verbose=self._verbose,
            leak=self._leak,
            wrapper=self._wrapper(),
        )
        stack.callback(self.appliance.kill)
        self.appliance.start(120)
        self.appliance.between = SimpleNamespace(desk=site.envelope())
        gallery, self._list = _opened(site)
        self._shadow = Shadow(self._models, gallery)
        self._memory = Memory(self.appliance.pid)

    def _recognise(self, embedded, forms):
        super()._recognise(embedded, forms)
        self.outcome.turned += sum(self._to_plant(form) for form in forms)

    @staticmethod
    def _to_plant(form):
        """Tell whether it is a turned template: only a signed list has them."""
        return _TURNED.search(form.kind) is not None

    # --- what is left of the list ---

    def _end(self):
        self._look_at_the_open_list()
        super()._end()

    def _look_at_the_open_list(self):
        """What is compared is in memory now; what it was made of is not, templates never were."""
        kinds = Counter(find.kind for find in self._memory.search(self._list).finds)
        self.outcome.open_list = kinds
        self.outcome.searches += 1
        # All of it: what the proof makes otherwise it would not find behind the last code either.
        missed = Counter(form.kind for form in self._list.forms if form.kind in _COMPARED) - kinds
        if missed:
            self.outcome.rules.append(f"Of the open list, memory does not hold {dict(missed)}.")
        for kind in set(kinds) - _COMPARED:
            self.outcome.rules.append(f"While the list is open, memory holds its {kind}.")

    def _search(self, needles, place, *, only_changed=False):
        if place == _LAST:
            super()._search(self._list, f"{place}: the list")
        return super()._search(needles, place, only_changed=only_changed)

    def _outside(self, everybody):
        super()._outside(everybody)
        for what, found in (
            ("disk: the list", disk.search(self.appliance.folder, self._list)),
            ("wire: the list", self._tap.search(self._list)),
        ):
            self.outcome.found(what, found)
        for one in self._tap.told():
            kind = parse_topic(one.topic)[1]
            self.outcome.messages[kind] += 1

    def _odd_commands(self, traced):
        """Return what it ran beside itself, and beside the interpreter that verifies bundles.

        At its start the bundle that is installed, and the same once more when it has come over the
        wire: that may be while strangers pass.
        """
        orders, odd = Counter(), []
        for command in super()._odd_commands(traced):
            if command[1:4] == _VERIFIES:
                orders[command[4]] += 1
            else:
                odd.append(command)
        self.outcome.verified = dict(orders)
        if orders["check"] < 1:
            self.outcome.rules.append("The bundle was verified by no program of its own.")
        return odd


def _opened(site):
    """Return the gallery that the device has, and needles of all that must not outlive it."""
    _, references, key = site.truth()
    opened, keys = opened_with(site.card / "state", key)
    forms = [
        Form("the list", kind, bytes(one))
        for kind, one in zip(
            ("deployment's key", "content's key", "seed"), (key, *keys), strict=True
        )
    ]
    forms += [Form("the list", "stored row", row.tobytes(), 32) for row in opened.rows]
    forms += [
        Form(reference.reference_id, "enrolled template", template, 32)
        for reference in references
        for template in reference.templates
    ]
    dimension = opened.header.dimension
    blocks = Transformation(opened.seed.array.data, dimension, len(opened.rows))
    forms += [
        Form("the list", "rotation", row.tobytes(), 32)
        for rotation in blocks.rotations
        for row in (*rotation, *_columns(rotation))
    ]
    gallery = Gallery.opened(opened, opened.header.embedder_sha256, dimension)
    session = gallery._transformation
    forms += [Form("the list", "opened row", row.tobytes(), 32) for row in session.rows]
    forms += [
        Form("the list", "opened rotation", row.tobytes(), 32) for row in session.rotations[0].T
    ]
    return gallery, Needles(forms)


def _columns(rotation):
    """Return the columns of a rotation: linear algebra copies pieces of them."""
    return np.ascontiguousarray(rotation.T)


class _Site(Estate):
    """An estate whose device has a camera of the proof's, and whose list is of one mode."""

    def __init__(self, folder, stack, mode):
        super().__init__(folder, stack)
        self._mode = mode

    def envelope(self):
        """Return what the desk opens the device's cells with."""
        desk = decode_private_keys((self.folder / "desk.key").read_bytes())
        device = decode_public_keys((self.card / "device.pub").read_bytes())
        return Envelope(desk, device, TOPICS, SUITE)

    def _pictures(self):
        for name, (_, seed, _) in LISTED.items():
            photograph(self.folder / f"{name.split()[0]}.png", seed)

    def _plan(self):
        return super()._plan().replace('mode = "alerting"', f'mode = "{self._mode}"')

    def _configure(self):
        super()._configure()
        config = self.card / "device.toml"
        config.write_text(re.sub(r"\[camera\]\n[^\[]*", _CAMERA, config.read_text()))


class _Overheard:
    """What the broker hears of the device, behind TLS, in the place of a `Tap`. port: its own."""

    def __init__(self, site):
        self.port = site.tls_port
        self._listener = Listener(site.broker.port, "overhearing", "#")

    def told(self):
        """Return what the device told."""
        return [
            Told(0, FROM_DEVICE, one.topic, bytes(one.payload))
            for one in list(self._listener.messages)
            if parse_topic(one.topic)[1] in _FROM_A_DEVICE
        ]

    def streams(self):
        return {0: b"".join(one.topic.encode() + one.payload for one in self.told())}

    def search(self, needles):
        return [find for one in self.streams().values() for find in needles.search(one)]

    def close(self):
        self._listener.close()
