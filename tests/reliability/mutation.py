"""Ways to damage a message: its bytes, its JSON, its CBOR."""

import json
import random

NUMBERS = (
    0, -1, 1, 2, 23, 24, 255, 256, 2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64 - 1, 2**64,
    -(2**64), 10**400, 0.0, -0.0, 0.5, 1.0, 1e308, 5e-324, 253_402_300_799_999, 253_402_300_800_000,
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\n", "é", "😀", "\u2028", "x" * 33, "x" * 300, "1.0", "true", "unknown",
    "urn:passerby:s:d", "urn:passerby:site-1:camera-2", "urn:passerby:desk:" + "0" * 32,
    "passerby.alert.v1", "passerby.command.v1", "passerby.cover.v1", "passerby.status.v2",
    "2026-02-30T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z",
    "2026-09-21T24:00:00.000Z", "2026-09-21T13:33:60.000Z", "2026-09-21T13:33:20.000Z\n",
    "٢٠٢٦-09-21T13:33:20.000Z", "2026-09-21T13:33:20.000+00:00", "a" * 64, "AAAA", "AAA=", "AAB=",
    "019966b0-e080-7000-8000-00000000000a", "019966b0-e080-7000-8000-000000000001\n", "!!!!",
    "confirmed",
)  # fmt: skip
RAW = (
    b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\\ud800",
    b"\\udc00\\ud800", b"\\u0000", b"1e999", b"-0", b"1" * 5000, b"0." + b"1" * 900, b"[" * 40,
    b"{" * 40, b'{"a":' * 300, b"[" * 3000, b"NaN", b"Infinity", b"null", b'"', b"\\", b",", b":",
    b"}", b"\xef\xbb\xbf", b"\x9f", b"\xbf", b"\x5f", b"\x7f", b"\x1b" + b"\xff" * 8,
    b"\x5b" + b"\xff" * 8, b"\xd8\x23\x62a+", b"\xc2\x58\x20" + b"\xff" * 32, b"\xd2", b"\x84",
    b"\xc5\x82\x1b" + b"\x7f" * 8 + b"\x01", b"\xd8\x1c\x81\xd8\x1d\x00", b"\xa0", b"\xf5",
    b"\xa1\xf9\x7e\x00\x01", b"\xf6", b"\xf8\x18", b"\xd9\xd9\xf7",
)  # fmt: skip


def damaged(rng: random.Random, data: bytes, others: tuple[bytes, ...] = RAW) -> bytes:
    """Change the bytes in one to three places. others: what may be spliced in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = _once(rng, data, others)
    return data


def _once(rng, data, others):  # noqa: PLR0911 - one line for each way
    length = len(data)
    way = rng.randrange(11)
    at = rng.randrange(length + 1)
    end = min(length, at + rng.choice((1, 1, 2, 4, 16, 64, 1000)))
    if way <= 1 and at < length:
        return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
    if way == 2 and at < length:
        return data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :]
    if way == 3:
        return data[:at]
    if way == 4:
        return data[at:]
    if way == 5:
        return data[:at] + data[end:]
    if way == 6:
        return data[:at] + rng.randbytes(rng.choice((1, 1, 2, 8, 40))) + data[at:]
    if way == 7:
        return data[:at] + data[at:end] * rng.choice((2, 2, 3, 20)) + data[end:]
    if way == 8:
        other = rng.choice(others)
        return data[:at] + other[rng.randrange(len(other) + 1) :]
    if way == 9:
        return data[:at] + rng.choice(RAW) + data[end:]
    return data[:at] + rng.choice(RAW) + data[at:]


def noise(rng: random.Random) -> bytes:
    """Return bytes that have nothing to do with anything."""
    way = rng.randrange(6)
    if way == 0:
        return rng.choice(RAW) * rng.choice((1, 2, 100))
    if way == 1:
        return rng.choice((b"[", b'{"type":', b"\x81", b"\xc6", b"\xa1\x01")) * rng.choice(
            (10, 20_000)
        )
    if way == 2:
        return b"".join(rng.choice(RAW) for _ in range(rng.randrange(8)))
    return rng.randbytes(rng.choice((0, 1, 2, 10, 18, 66, 100, 1000)))


def value(rng: random.Random, depth: int = 0) -> object:
    """Return any value that JSON can hold."""
    way = rng.randrange(8 if depth < 3 else 6)
    if way < 2:
        return rng.choice(NUMBERS)
    if way < 4:
        return rng.choice(TEXTS)
    if way == 4:
        return rng.choice((None, True, False))
    if way == 5:
        return rng.getrandbits(rng.choice((4, 16, 53, 70)))
    if way == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def event(rng: random.Random, payload: bytes, others: tuple[bytes, ...]) -> bytes:
    """Change an event as JSON, or its bytes; often canonical again, so that all rules are asked."""
    way = rng.randrange(10)
    if way == 0:
        return noise(rng)
    if way <= 2:
        return damaged(rng, payload, others)
    tree = json.loads(payload)
    for _ in range(rng.choice((1, 1, 2))):
        _graft(rng, tree, json.loads(rng.choice(others)))
    if way == 3:
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
    else:
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _graft(rng, tree, other):
    """Change one node of a tree in place."""
    places = [(node, key) for node in _nodes(tree) for key in node]
    if not places:
        return
    node, key = rng.choice(places)
    way = rng.randrange(7)
    if way <= 1:
        node[key] = value(rng)
    elif way == 2:
        del node[key]
    elif way == 3:
        node[rng.choice(TEXTS)] = value(rng)
    elif way == 4:
        node[key] = other.get(key, other)
    elif way == 5:
        node[key] = _varied(rng, node[key])
    else:
        node[key] = node[rng.choice(list(node))]


def _nodes(tree):
    """Return the objects in an event or a key file; its data counts twice."""
    data = tree.get("data")
    inner = [data, data, *data.values()] if isinstance(data, dict) else []
    return [tree, *(node for node in inner if isinstance(node, dict))]


def _varied(rng, found):
    if isinstance(found, str):
        return damaged(rng, found.encode()).decode("utf-8", "replace")
    if isinstance(found, int):
        return found + rng.choice((1, -1, 2**53))
    if isinstance(found, float):
        return found + rng.choice((1.0, -1.0, 1e-9))
    return [found]


def cbor(rng: random.Random, depth: int = 0) -> bytes:  # noqa: PLR0911 - one line for each way
    """Return an item of CBOR, often an odd one."""
    way = rng.randrange(12 if depth < 5 else 7)
    if way == 0:
        return rng.choice(RAW)
    if way <= 2:
        return _head(rng, rng.choice((0, 1)), rng.choice((0, 1, 23, 24, 255, 2**16, 2**32, 2**63)))
    if way <= 4:
        content = rng.randbytes(rng.choice((0, 1, 16, 64)))
        return _head(rng, rng.choice((2, 3)), len(content)) + content
    if way <= 6:
        return bytes((0xE0 | rng.randrange(32),)) + rng.randbytes(rng.choice((0, 1, 2, 4, 8)))
    if way == 7:
        tag = rng.choice(
            (0, 1, 2, 3, 4, 5, 18, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 55799)
        )
        return _head(rng, 6, tag) + cbor(rng, depth + 1)
    count = rng.randrange(5)
    if way <= 9:
        return _head(rng, 4, count) + b"".join(cbor(rng, depth + 1) for _ in range(count))
    return _head(rng, 5, count) + b"".join(cbor(rng, depth + 1) for _ in range(2 * count))


def _head(rng, major, number):
    """Write the head of an item, sometimes longer than needed, sometimes a lie."""
    if rng.random() < 0.05:
        number = rng.choice((2**31, 2**63, number + 1))
    widths = [width for width in (0, 1, 2, 4, 8) if number < (24 if width == 0 else 1 << 8 * width)]
    width = widths[0] if rng.random() < 0.9 else rng.choice(widths)
    if width == 0:
        return bytes((major << 5 | number,))
    return bytes((major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width],)) + number.to_bytes(
        width, "big"
    )
