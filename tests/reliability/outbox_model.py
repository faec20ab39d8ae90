"""A stateful model of the outbox: whatever is done to it, it holds what the model holds.

Steps: append, receipt, bury, expire, adopt, restart, a power cut at any operation, an I/O error, a
full disk. After each one the letters, their order, the numbers and the bytes must agree. The one
thing that may be either way is a letter whose append or removal did not return: it is then there or
not, but whole.
"""

import random
import sqlite3

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from device.alerts.outbox import Entry, Outbox, Sealed
from device.errors import StorageError
from device.protocol.envelope import digest_of
from tests.simulators.disk import Disk

LIMIT = 60_000
MODES = ("none", "some", "prefix", "all")
HOUR_MS = 3_600_000


class OutboxModel(RuleBasedStateMachine):
    """steps: counted over all runs of this class, for the figures."""

    steps = 0
    letters = Bundle("letters")

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed):
        self.rng = random.Random(seed)
        self.now_ms, self.made = 1_790_000_000_000, 0
        self.disk = Disk()
        self.model = {}  # letter → [dead, queued_ms], in order
        self.sequence, self.epoch = 0, None
        self.maybe = None  # a letter that may be there or not
        self.outbox = self._open()
        self.epoch = self.outbox.epoch

    def _open(self):
        def connect():
            return sqlite3.connect(self.disk.uri(), uri=True, check_same_thread=False)

        return Outbox(connect, LIMIT, lambda: self.now_ms)

    @rule(target=letters, size=st.sampled_from((16, 400, 4000, 9000)))
    def append(self, size):
        self.made += 1
        letter = self.made.to_bytes(8, "big") * (size // 8)
        numbers = []

        def seal(epoch, sequence):
            numbers.append((epoch, sequence))
            return Sealed("alert", self.now_ms, letter)

        self._step(lambda: self._append(letter, seal, numbers))
        return letter

    def _append(self, letter, seal, numbers):
        self.maybe = ("append", letter, self.sequence + 1)
        number = self.outbox.append(seal)
        self.maybe = None
        self.sequence += 1
        assert numbers == [(self.epoch, self.sequence)]
        if number is None:
            assert self._model_bytes() + len(letter) + 256 > LIMIT
        else:
            self.model[letter] = [False, self.now_ms]

    @rule(letter=letters)
    def receipt(self, letter):
        self._step(lambda: self._remove(letter))

    def _remove(self, letter):
        self.maybe = ("remove", letter, None)
        removed = self.outbox.remove(digest_of(letter))
        self.maybe = None
        assert (removed is not None) == (letter in self.model)
        self.model.pop(letter, None)

    @rule(letter=letters)
    def bury(self, letter):
        self._step(lambda: self._bury(letter))

    def _bury(self, letter):
        self.maybe = ("bury", letter, None)
        self.outbox.bury(digest_of(letter), "refused")
        self.maybe = None
        if letter in self.model:
            self.model[letter][0] = True

    @rule(hours=st.integers(0, 30))
    def expire(self, hours):
        self.now_ms += hours * HOUR_MS
        self._step(self._expire)

    def _expire(self):
        before_ms = self.now_ms - 24 * HOUR_MS
        old = [letter for letter, (_, queued) in self.model.items() if queued < before_ms]
        self.maybe = ("expire", old, None)
        assert self.outbox.expire(before_ms) == len(old)
        self.maybe = None
        for letter in old:
            del self.model[letter]

    @rule(target=letters)
    def adopt(self):
        self.made += 1
        letter = b"adopted" + self.made.to_bytes(8, "big")
        self._step(lambda: self._adopt(letter))
        return letter

    def _adopt(self, letter):
        self.maybe = ("append", letter, None)
        entry = Entry(1, "alert", 0, self.now_ms, digest_of(letter), letter)
        self.outbox.adopt([entry, entry])
        self.outbox.adopt([entry])
        self.maybe = None
        self.model[letter] = [False, self.now_ms]

    @rule()
    def restart(self):
        self._step(self._reopen)

    def _reopen(self):
        self.outbox.close()
        self.outbox = self._open()

    @rule(operations=st.integers(1, 30))
    def the_power_will_fail(self, operations):
        self.disk.cut_after(operations)

    @rule(kind=st.sampled_from(("write", "sync", "read")), after=st.integers(0, 10))
    def the_disk_will_fail(self, kind, after):
        self.disk.fail(kind, after=after, times=1)

    @rule()
    def the_disk_is_full(self):
        self.disk.capacity_bytes = self.disk.used_bytes + self.rng.randrange(20_000)

    @rule()
    def the_disk_is_well_again(self):
        if self.disk.powered:
            self.disk.heal()

    def _step(self, do):
        type(self).steps += 1
        try:
            do()
        except StorageError:
            self._recover()

    def _recover(self):
        """Do what the post does after a fault: close, and open again when the disk is well."""
        dead = self.outbox
        if not self.disk.powered:
            self.disk.power_cut(self.rng, self.rng.choice(MODES))
        self.disk.cut_after(None)
        self.disk.heal()
        dead.close()
        self.outbox = self._open()
        self._settle()

    def _settle(self):
        """Decide what the interrupted step did; anything else than all or nothing diverges."""
        maybe, self.maybe = self.maybe, None
        if maybe is None:
            return
        kind, letter, sequence = maybe
        if kind == "expire":
            there = {entry.letter for entry in self._entries()}
            living = [one for one in letter if not self.model[one][0]]
            gone = [one for one in living if one not in there]
            buried = [one for one in letter if self.model[one][0]]
            done = len(gone) == len(living) if living else self._dead() < self._model_dead()
            assert done or not gone
            for one in (living + buried) if done else ():
                del self.model[one]
            return
        there = self.outbox.find(digest_of(letter)) is not None
        if kind == "append" and there:
            self.model[letter] = [False, self.outbox.find(digest_of(letter)).queued_ms]
        elif kind == "remove" and letter in self.model and not self.model[letter][0] and not there:
            del self.model[letter]
        elif kind == "remove" and letter in self.model and self.model[letter][0]:
            if self._dead() < self._model_dead():
                del self.model[letter]
        elif kind == "bury" and letter in self.model and not there:
            self.model[letter][0] = True
        if sequence is not None:
            now = self.outbox._one("SELECT sequence FROM life")
            assert now in (sequence - 1, sequence)
            assert now == sequence or not there
            self.sequence = now

    def _entries(self):
        found, number = [], 0
        while (entry := self.outbox.after(number)) is not None:
            found.append(entry)
            number = entry.number
        return found

    def _dead(self):
        return self.outbox.dead()

    def _model_dead(self):
        return sum(dead for dead, _ in self.model.values())

    def _model_bytes(self):
        return sum(len(letter) + 256 for letter in self.model)

    @invariant()
    def agrees(self):
        if not hasattr(self, "outbox"):
            return
        try:
            entries, dead = self._entries(), self._dead()
        except StorageError:
            self._recover()
            entries, dead = self._entries(), self._dead()
        living = [letter for letter, (buried, _) in self.model.items() if not buried]
        assert [entry.letter for entry in entries] == living
        assert dead == self._model_dead()
        assert self.outbox.used_bytes == self._model_bytes()
        assert self.outbox.epoch == self.epoch

    def teardown(self):
        if hasattr(self, "outbox"):
            self.outbox.close()
            assert self.disk.surprises == []
            self.disk.close()
