"""Many strangers pass the real appliance, and everything goes wrong; who stays where is counted.

One `Passage` is one seed: frame by frame is shown, and when its processing has ended all memory of
the process is searched for every form of that frame. Beside it faults fire in every stage, the
broker vanishes, the disk fills up, memory runs out. At its end everything that was shown is looked
for once more: in memory, in a core image made by force, behind the program's last code, on the
disk, in its log, and in all that went over the wire.
"""

import contextlib
import json
import random
import time
import zlib
from pathlib import Path

from tests.privacy.forgetting import disk, trace, wire
from tests.privacy.forgetting.agent.plants import PLACES
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.faults import OF_A_SIGNED_LIST, OUTSIDE, STAGES
from tests.privacy.forgetting.memory import Memory, core_image
from tests.privacy.forgetting.needles import Needles
from tests.privacy.forgetting.outcome import Outcome
from tests.privacy.forgetting.people import crowd, empty, frames, poor
from tests.privacy.forgetting.plan import Plan
from tests.privacy.forgetting.shadow import Shadow
from tests.privacy.forgetting.surroundings import (
    SmallDisk,
    broker_down,
    file_limit,
    no_memory,
    no_small_disk,
)
from tests.privacy.forgetting.tap import Tap
from tests.privacy.forgetting.texts import Numbers, text_forms
from tests.simulators.mosquitto import Mosquitto

FAULTS = tuple(stage for stage in STAGES if stage not in OUTSIDE | OF_A_SIGNED_LIST)
_FOUND_IN = sorted(set(PLACES) - {"freed and overwritten"})
_AS_TEXT = 0.05
"""Share of the frames whose templates are looked for as text, too; besides those in trouble."""
_PATIENCE_S = 30
_BUFFERS = 6
"""Of the camera: device/capture/picamera.py."""


class Passage:
    """folder: empty. number: of frames with strangers. leak: of `leaks.BUILDS`.

    verbose: log at every level. around: let the surroundings fail, too. traced: under strace.
    image: with a core image at the end. threads: of the networks. say: hears how far it is.
    """

    places = _FOUND_IN

    def __init__(  # noqa: PLR0913 - what may differ
        self,
        folder,
        seed,
        number,
        *,
        pool,
        models="built-in",
        leak=None,
        verbose=True,
        around=True,
        traced=True,
        image=True,
        threads=1,
        say=lambda _: None,
    ):
        self.folder = Path(folder)
        self.outcome = Outcome(seed, verbose=verbose)
        self._number = number
        self._pool = pool
        self._verbose, self._around, self._traces, self._image = verbose, around, traced, image
        self._models, self._leak, self._say = models, leak, say
        self._threads = threads
        self._few, self._templates, self._in_trouble = [], {}, False
        self._random = random.Random(seed)
        self._faults = self._random.sample(FAULTS, len(FAULTS))

    def run(self):
        """Let everybody pass; return the outcome."""
        began = time.monotonic()
        broker = Mosquitto(self.folder / "broker")
        broker.start()
        try:
            with Tap(broker.port) as tap, contextlib.ExitStack() as stack:
                self._tap = tap
                self._set_up(stack)
                self._pass_by()
                self._end()
        finally:
            broker.stop()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    # --- what happens ---

    def _set_up(self, stack):
        self.appliance = Appliance(
            self.folder / "device",
            models=self._models,
            leak=self._leak,
            verbose=self._verbose,
            port=self._tap.port,
            wrapper=self._wrapper(),
            settings={"models": {"threads": self._threads}},
        )
        self._disk = None
        if self._around and no_small_disk() is None:
            self._disk = stack.enter_context(SmallDisk(self.appliance.state))
        self._watch = stack.enter_context(contextlib.closing(disk.Watch(self.folder)))
        self.appliance.start()
        stack.callback(self.appliance.kill)
        self._shadow = Shadow(self._models, self.appliance.watchlist)
        self._memory = Memory(self.appliance.pid)

    def _wrapper(self):
        """Return what stands before the program's command line: the tracer, where there is one."""
        self._trace = None
        why = trace.why_not() if self._traces else "it was not asked for here."
        if why is not None:
            self.outcome.skipped.append(f"the list of all writes and peers: {why}")
            return ()
        self._trace = self.folder / "trace"
        self.outcome.traced = True
        return trace.prefix(self._trace, contents=True)

    def _pass_by(self):
        plan = Plan(self._number, around=self._around)
        with contextlib.ExitStack() as around:
            for place, frame in enumerate(frames(self.outcome.seed, self._number, pool=self._pool)):
                for name in plan.over(place):
                    around.close()
                    self._in_trouble = False
                    self._recovered(name)
                for name in plan.begins(place):
                    around.enter_context(self._trouble(name))
                    self.outcome.around[name] += 1
                    self._in_trouble = True
                self._show(frame, self._fault(plan, place))
                for kind in plan.extra(place):
                    self._show(self._extra(kind, place))
                if plan.plants(place):
                    self._plant()
                if place % 50 == 0:
                    self._say(f"seed {self.outcome.seed}: {place} of {self._number} frames")

    def _fault(self, plan, place):
        if not plan.faulty(place):
            return None
        self._faults.append(self._faults.pop(0))
        return self._faults[-1]

    def _trouble(self, name):
        if name == "broker refuses":
            return broker_down(self._tap, "refuse")
        if name == "broker hangs":
            return broker_down(self._tap, "hang")
        if name == "no memory left":
            return no_memory(self.appliance.pid)
        return self._disk.full() if self._disk else file_limit(self.appliance.pid)

    def _extra(self, kind, place):
        seed = self.outcome.seed
        if kind == "crowd":
            return crowd(seed, pool=self._pool)
        return (
            poor(seed, pool=self._pool) if kind == "poor" else empty(seed, place, pool=self._pool)
        )

    def _show(self, frame, fault=None):
        outcome = self.outcome
        forms = self._shadow.forms(frame)
        needles = Needles(forms)
        if fault or self._in_trouble or self._random.random() < _AS_TEXT:
            named = self._shadow.templates.items()
            self._templates |= {frame.name + face: template for face, template in named}
        self._few += self._shadow.few(frame)
        if fault is not None:
            self.appliance.fault(fault)
        shown = self.appliance.show(frame, timeout_s=_PATIENCE_S)
        if shown.dropped:
            # It is in the camera's own buffers, which the program was never given.
            self.outcome.lost += 1
            self._memory.search(needles, only_changed=True)
        else:
            self._search(needles, "memory, after the frame", only_changed=True)
        if shown.fault:
            outcome.fired[shown.fault] += 1
        elif fault is not None:
            self.appliance.fault(None)
        self._recognise(shown.embedded, forms)
        self._count(shown)

    def _count(self, shown):
        outcome = self.outcome
        outcome.frames += 1
        outcome.faces += shown.faces
        outcome.compared += shown.compared
        outcome.alerts += shown.alerts
        if not shown.wiped and not shown.dropped:
            outcome.rules.append(f"The camera got frame {shown.number} back as it was.")
        if shown.destroyed != shown.faces:
            outcome.rules.append(f"The ledger misses faces of frame {shown.number}.")
        if shown.alerts:
            outcome.rules.append(f"An alert was raised for a stranger in frame {shown.number}.")

    def _recognise(self, embedded, forms):
        """Count forms, and what the program has made of a face and the shadow not, to the last bit.

        Nobody would have looked for that.
        """
        known = {zlib.crc32(form.content) for form in forms}
        self.outcome.forms += len(forms)
        self.outcome.embedded += len(embedded)
        self.outcome.unknown += sum(not known.issuperset(pair) for pair in embedded)

    def _search(self, needles, place, *, only_changed=False):
        searched = self._memory.search(needles, only_changed=only_changed)
        self.outcome.searches += 1
        self.outcome.bytes_read += searched.bytes_read
        self.outcome.found(place, [(find, self._around_it(find)) for find in searched.finds])
        for name, size in searched.unreadable:
            rule = f"{size} bytes of {name} could not be read."
            if rule not in self.outcome.rules:
                self.outcome.rules.append(rule)
        return searched

    def _around_it(self, find):
        """Return what lies around a find, for whoever looks into it: they are drawn people."""
        with (
            contextlib.suppress(OSError),
            Path(f"/proc/{self.appliance.pid}/mem").open("rb") as memory,
        ):
            memory.seek(max(0, find.at - 32))
            return memory.read(96).hex(" ")
        return ""

    def _plant(self):
        """Lay a form of somebody who was never shown out in the process: it must be found."""
        form, needles = self._of_a_stranger()
        where = self._random.choice(self.places)
        self.appliance.plant(form.kind, form.content, where)
        found = self._memory.search(needles, only_changed=True).finds
        ((_, _, whole),) = self.appliance.planted()
        self.appliance.unplant()
        if where == "freed" and not found and not whole:
            return  # a block that the program has used again by now
        self.outcome.planted += 1
        if not found:
            self.outcome.unfound += 1
            self.outcome.told.append(f"not found: {form.kind}, planted in {where}")
        if left := self._memory.search(needles).finds:
            self.outcome.unwiped += 1
            self.outcome.told.append(
                f"still there after its wiping: {form.kind}, {where}: {left[0]}"
            )

    def _of_a_stranger(self):
        """Return a form of somebody whom nobody was shown, and what finds it."""
        stranger = next(frames(self.outcome.seed + 1000, 1, pool=self._pool))
        forms = [form for form in self._shadow.forms(stranger) if self._to_plant(form)]
        while True:
            form = self._random.choice(forms)
            needles = Needles([form])
            if needles.words:
                return form, needles

    @staticmethod
    def _to_plant(form):
        return max(200, form.least) < len(form.content) < 200_000

    def _recovered(self, name):
        """Wait until faces are compared again, so that trouble does not hide the next one."""
        deadline = time.monotonic() + _PATIENCE_S
        number = 5_000
        while time.monotonic() < deadline:
            number += 1
            shown = self.appliance.show(empty(self.outcome.seed, number, pool=self._pool))
            if shown.armed:
                return
            time.sleep(0.5)
        self.outcome.rules.append(f"Nothing was compared for {_PATIENCE_S} s after: {name}.")

    # --- what is left ---

    def _end(self):
        outcome, everybody = self.outcome, Needles(self._few)
        for number in range(_BUFFERS):
            # What the camera lost at last is overwritten by what it sees next.
            self.appliance.show(empty(outcome.seed, 6_000 + number, pool=self._pool))
        self._search(everybody, "memory, everybody at the end")
        if self._image:
            self._search_core_image(everybody)
        swap = disk.swap(self.appliance.pid)
        if swap.swapped_kb:
            outcome.rules.append(f"{swap.swapped_kb} kB of the process are swapped out.")
        outcome.found("open descriptors", disk.search_descriptors(self.appliance.pid, everybody))
        self.appliance.end()
        self._search(everybody, "memory, behind the program's last code")
        if code := self.appliance.release_end():
            outcome.rules.append(f"The program ended with exit code {code}.")
        self._outside(everybody)

    def _search_core_image(self, everybody):
        image = self.folder / "core"
        form, needles = self._of_a_stranger()
        self.appliance.plant(form.kind, form.content, "list")
        self.outcome.core = core_image(self.appliance.pid, image)
        self.appliance.unplant()
        self.outcome.planted += 1
        if not disk.search_file(image, needles):
            self.outcome.unfound += 1
            self.outcome.told.append(f"not found in the core image: {form.kind}")
        self.outcome.found("a core image made by force", disk.search_file(image, everybody))
        self.outcome.sizes["core image"] = image.stat().st_size
        image.unlink()

    def _outside(self, everybody):
        """Search what is not memory: disk, log, wire."""
        outcome, device = self.outcome, self.appliance.folder
        texts = Needles(
            form for name, one in self._templates.items() for form in text_forms(one, name)
        )
        numbers = Numbers(self._templates)
        for needles, what in ((everybody, "disk"), (texts, "disk, as text")):
            outcome.found(what, disk.search(device, needles))
        told, desk = self._tap.told(), self.appliance.between.desk
        read = json.dumps([one.event for one in wire.said(told, desk)])
        outcome.found("what the desk reads, as numbers", numbers.search(read))
        for needles, what in ((everybody, "wire"), (texts, "wire, as text")):
            outcome.found(what, self._tap.search(needles))
            outcome.found(f"what the desk reads, {what}", needles.search(read.encode()))
        for log in (self.appliance.stderr, self.appliance.stdout):
            outcome.found("log, as numbers", numbers.search_file(log))
        outcome.sizes |= {
            "disk": disk.total_bytes(device),
            "wire": sum(map(len, self._tap.streams().values())),
            "log": self.appliance.stderr.stat().st_size,
        }
        outcome.rules += wire.faults(told, desk)
        if self._trace is not None:
            self._traced(everybody, texts)

    def _traced(self, *all_needles):
        outcome, device = self.outcome, self.appliance
        traced = trace.Traced.read(self._trace, cwd=device.folder)
        allowed = [device.state, device.stderr, device.stdout, device.folder / "state"]
        for one in traced.writes_outside(allowed):
            outcome.rules.append(f"It wrote outside its state directory: {one.path} ({one.call}).")
        for peer in traced.peers:
            if not self._is_expected(peer):
                outcome.rules.append(f"It contacted {peer}.")
        outcome.rules += [f"It ran {' '.join(one)}." for one in self._odd_commands(traced)]
        for call in traced.copies():
            outcome.rules.append(f"It copied its memory into another process: {call.name}.")
        for needles in all_needles:
            outcome.found(
                "all that was written, also to files since deleted", traced.search(needles)
            )
        outcome.rules += [f"It may carry something out: {call.name}" for call in traced.odd()]
        ours, _ = disk.attributed(self._watch.changes(allowed), traced)
        outcome.found("files outside the state directory", [str(one) for one in ours])
        outcome.sizes["traced calls"] = len(traced.calls)

    def _odd_commands(self, traced):
        """Return what it ran beside itself; it starts itself once more, see `device.allocator`."""
        return traced.commands()[2:]

    def _is_expected(self, peer):
        """Tell whether a peer is the broker, the program itself, or the proof's own camera."""
        camera = peer.family == "AF_UNIX" and "passerby-proof" in peer.address
        return peer.itself or camera or (peer.address, peer.port) == ("127.0.0.1", self._tap.port)
