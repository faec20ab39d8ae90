"""Files as the program sees them, as they are durable, and what a power cut makes of the two."""

SECTOR = 512
MODES = ("none", "some", "prefix", "all")
SURVIVAL = (0.05, 0.5, 0.95, 1.0)
"""Shares of sectors that are up to date after a cut: just begun, halfway, nearly done, done."""


class File:
    """One file, whatever its name.

    content: as the program sees it. durable: as of the last sync. pending: the changes since, as
    (number, offset, data) for a write and (number, size, None) for a truncation. handles: who has
    it open.
    """

    __slots__ = ("content", "durable", "handles", "pending")

    def __init__(self, data=b""):
        self.content = bytearray(data)
        self.durable = bytearray(data)
        self.pending = []
        self.handles = []

    def change(self, number, offset, data):
        apply(self.content, offset, data)
        self.pending.append((number, offset, data))

    def make_durable(self):
        for _, offset, data in self.pending:
            apply(self.durable, offset, data)
        self.pending.clear()


class Names:
    """The directory: names to files, likewise seen, durable and pending (number, name, file)."""

    def __init__(self, files):
        self.seen = dict(files)
        self.durable = dict(files)
        self.pending = []

    def change(self, number, name, file):
        """file: None deletes the name."""
        put(self.seen, name, file)
        self.pending.append((number, name, file))

    def make_durable(self):
        self.durable = dict(self.seen)
        self.pending.clear()

    def make_durable_one(self, name, file):
        if name is None or self.durable.get(name) is file or self.seen.get(name) is not file:
            return
        self.durable[name] = file
        self.pending = [change for change in self.pending if change[1] != name]


def apply(buffer, offset, data):
    """Change a bytearray: write data, or with None cut it (or fill it with zeros) to `offset`."""
    if len(buffer) < offset:
        buffer.extend(bytes(offset - len(buffer)))
    if data is None:
        del buffer[offset:]
    else:
        buffer[offset : offset + len(data)] = data


def put(names, name, file):
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def image_after_cut(names, rng, mode):
    """Return what is on the disk after a power cut, name to bytes. Changes nothing."""
    if mode == "all":
        return {name: bytes(file.content) for name, file in names.seen.items()}
    if mode == "none":
        return {name: bytes(file.durable) for name, file in names.durable.items()}
    if mode == "prefix":
        return _prefix(names, rng)
    if mode == "some":
        return _some(names, rng)
    raise ValueError(f"{mode!r} is none of the modes {MODES}")


def _prefix(names, rng):
    changes = [(number, None, name, file) for number, name, file in names.pending]
    for file in _known_files(names):
        changes += [(number, file, offset, data) for number, offset, data in file.pending]
    changes.sort(key=lambda change: change[0])
    count = rng.randint(0, len(changes))
    found = dict(names.durable)
    contents = {id(file): bytearray(file.durable) for file in _known_files(names)}
    for place, (_, file, where, what) in enumerate(changes[:count], 1):
        if file is None:
            put(found, where, what)
        else:
            data = _torn(where, what, rng) if place == count else what
            apply(contents[id(file)], where, data)
    return {name: bytes(contents[id(file)]) for name, file in found.items()}


def _torn(offset, data, rng):
    """Cut a write short at a sector's border, or not at all. A truncation is never half done."""
    if data is None:
        return None
    borders = range(SECTOR - offset % SECTOR, len(data), SECTOR)
    return data[: rng.choice([*borders, len(data)])]


def _some(names, rng):
    survival = rng.choice(SURVIVAL)
    found = dict(names.durable)
    for name in dict.fromkeys(name for _, name, _ in names.pending):
        versions = [file for _, changed, file in names.pending if changed == name]
        count = _count_kept(len(versions), rng, survival)
        if count:
            put(found, name, versions[count - 1])
    return {name: bytes(_mixed(file, rng, survival)) for name, file in found.items()}


def _count_kept(count, rng, survival):
    """How many of some changes to one thing were done: all of them, or any number below."""
    return count if not count or rng.random() < survival else rng.randrange(count)


def _mixed(file, rng, survival):
    """Give every sector, and the size, the state after some of the changes that touch it."""
    changes, done = _truncated(file.pending, rng, survival)
    sizes = [len(file.durable)]
    touched = {}
    for offset, data in changes:
        end = max(sizes) if data is None else offset + len(data)
        sizes.append(offset if data is None else max(sizes[-1], end))
        for sector in range(offset // SECTOR, (end - 1) // SECTOR + 1):
            touched.setdefault(sector, []).append((offset, data))
    result = bytearray(file.durable)
    result.extend(bytes(-(-max(sizes) // SECTOR) * SECTOR - len(result)))
    for sector, on_it in touched.items():
        start = sector * SECTOR
        piece = memoryview(result)[start : start + SECTOR]
        certain = _last_truncation(on_it)
        count = certain + _count_kept(len(on_it) - certain, rng, survival)
        for offset, data in on_it[:count]:
            _apply_to_sector(piece, start, offset, data)
    return result[: sizes[done + _count_kept(len(changes) - done, rng, survival)]]


def _truncated(pending, rng, survival):
    """Choose how many truncations were done; returns the changes that then can have been, too.

    A journalling file system truncates wholly or not at all, and in order: where a truncation was
    not done, nothing behind its border was written afterwards. Also returns how many of the
    changes belong to what is certain, up to the last truncation.
    """
    count = _count_kept(sum(data is None for _, _, data in pending), rng, survival)
    changes = []
    border = None
    for _, offset, data in pending:
        if data is not None:
            part = data if border is None else data[: max(0, border - offset)]
            changes += [(offset, part)] if part else []
        elif count:
            count -= 1
            changes.append((offset, None))
        else:
            border = offset if border is None else min(border, offset)
    return changes, _last_truncation(changes)


def _last_truncation(changes):
    """Return how many changes there are up to and with the last truncation."""
    return max((place for place, (_, data) in enumerate(changes, 1) if data is None), default=0)


def _apply_to_sector(piece, start, offset, data):
    first = max(offset - start, 0)
    if data is None:
        piece[first:] = bytes(SECTOR - first)
        return
    skipped = start + first - offset
    part = data[skipped : skipped + SECTOR - first]
    piece[first : first + len(part)] = part


def _known_files(names):
    """Every file that may have a name after a cut, each once."""
    files = [*names.seen.values(), *names.durable.values()]
    files += [file for _, _, file in names.pending if file is not None]
    return list({id(file): file for file in files}.values())
