"""System calls as strace prints them, one object each, and the names that stand in them.

Lines of several threads are interleaved: a call that was interrupted by another's line is put
together again, and one that never came back, because the process was killed in it, is kept.
"""

import codecs
import os
import re
from dataclasses import dataclass

SPEAKING = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg")
"""Calls that carry content out, to a file or a socket."""
_HEARING = ("recvfrom", "recvmsg")

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (.+)", re.DOTALL)
_BEGUN = re.compile(r"(\w+)\((.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)", re.DOTALL)
_INSIDE = r"(?:[^\\{0}]|\\.)*"
_STRING = re.compile(rf'"({_INSIDE.format(chr(34))})"(?:\.\.\.)?')
# What stands before a string that is an address; all other strings of a sending call are content.
_ADDRESSED = ("sun_path=", "sun_path=@", "inet_addr(", "AF_INET6, ")
_DESCRIPTOR = re.compile(rf"(?:AT_FDCWD|\d+)<({_INSIDE.format('<>')}(?:->[^>]*)?)(?:<[^>]*>)?>")
_TOKEN = re.compile(f"{_STRING.pattern}|{_DESCRIPTOR.pattern}")
_NAME = re.compile(
    rf"(?:(?:AT_FDCWD|\d+)<({_INSIDE.format('<>')})>(?:\(deleted\))?, )?"
    rf'"({_INSIDE.format(chr(34))})"(\.\.\.)?'
)
_ADDRESS = re.compile(
    r"sa_family=(\w+)(?:.*?sin6?_port=htons\((\d+)\))?"
    r'(?:.*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)")?(?:.*?sun_path=(@?"[^"]*"))?',
    re.DOTALL,
)
_LINKED = re.compile(r"(TCP|TCPv6|UDP|UDPv6):\[(.*?)\]>")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. result: as strace prints it; "?" where it never came back."""

    process: int
    name: str
    arguments: str
    result: str

    @property
    def failed(self):
        return self.result.startswith("-1 ")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who was contacted. itself: the program's own socket, as paho's wake-up pair."""

    family: str
    address: str
    port: int
    itself: bool = False

    def __str__(self):
        where = f"{self.address}:{self.port}" if self.port else self.address
        return f"{self.family} {where}{' (itself)' if self.itself else ''}"


def calls_in(text):
    """Yield all calls, in the order in which they returned."""
    begun = {}
    for line in text.split("\n"):
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        process, rest = int(parts[1]), parts[2]
        resumed = _RESUMED.match(rest)
        if resumed:
            rest = begun.pop(process, "") + resumed[1]
        elif rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>")
            continue
        whole = _CALL.fullmatch(rest)
        if whole:
            yield Call(process, whole[1], whole[2], whole[3])
    # A process that was killed in the middle of a call: it may have done its work.
    for process, rest in begun.items():
        part = _BEGUN.fullmatch(rest)
        if part:
            yield Call(process, part[1], part[2], "?")


def path_of(described):
    """Return the path behind a descriptor; "" for pipes, sockets and the kernel's own objects."""
    text = _raw(described).decode("utf-8", "surrogateescape")
    if text.startswith("/memfd:"):
        return "memfd:" + text.removeprefix("/memfd:")
    # A character device is shown as /dev/null<char 1:3>.
    return text if text.startswith("/") else ""


def names_in(call, cwd):
    for folder, name, content in _NAME.findall(call.arguments):
        if content:
            continue  # a name is always printed whole
        base = _raw(folder).decode("utf-8", "surrogateescape") if folder else cwd
        # normpath, not resolve: what was named may be gone, and links are names too.
        yield os.path.normpath(
            os.path.join(base, _raw(name).decode("utf-8", "surrogateescape"))  # noqa: PTH118
        )
    if call.name == "fchdir":
        yield from (path_of(one) for one in _DESCRIPTOR.findall(call.arguments))


def peers_in(call):
    if call.name in ("connect", *SPEAKING, *_HEARING):
        for family, port, address, name in _ADDRESS.findall(without_content(call)):
            if family not in {"AF_NETLINK", "AF_UNSPEC"}:
                yield Peer(family, address or name.replace('"', ""), int(port or 0))
    if call.name in (*SPEAKING, *_HEARING):
        for kind, ends in _LINKED.findall(without_content(call)):
            if "->" in ends:
                address, port = _endpoint(ends.partition("->")[2])
                family = "AF_INET6" if kind.endswith("v6") else "AF_INET"
                yield Peer(family, address, port)


def ends_in(call):
    """Return the process's own ends of its sockets: where it listens, or from where it speaks."""
    if call.name in ("connect", "listen", *SPEAKING, *_HEARING):
        for _, ends in _LINKED.findall(without_content(call)):
            if ":" in ends:
                yield _endpoint(ends.partition("->")[0])


def without_content(call):
    """Return a call's arguments without what is sent: it may look like an address."""

    def kept(token):
        address = call.arguments[: token.start()].endswith(_ADDRESSED)
        return token[0] if token[0][0] != '"' or address else '""'

    return _TOKEN.sub(kept, call.arguments)


def _endpoint(text):
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def descriptors_in(text):
    """Return the paths behind all descriptors in a text; "" for what is no file."""
    return [path_of(one) for one in _DESCRIPTOR.findall(text)]


def flags_in(call):
    """Return a call's arguments without names and content."""
    return _TOKEN.sub("", call.arguments)


def content_of(call):
    """Return the stretches of bytes that a call carries out, and to where."""
    if call.name not in SPEAKING:
        return "", []
    place = _DESCRIPTOR.match(call.arguments)
    parts = [_raw(text) for text in _STRING.findall(call.arguments)]
    return f"{call.name} to {place[1] if place else '?'}", parts


def words_in(call):
    """Return the command line of an executed program, its path first; words whole with contents."""
    path, *words = [
        _raw(text).decode("utf-8", "surrogateescape") for text in _STRING.findall(call.arguments)
    ]
    return [path, *words[1:]]


def _raw(escaped):
    """Return the bytes of a string as strace prints it."""
    return codecs.escape_decode(escaped.encode("utf-8", "surrogateescape"))[0]
