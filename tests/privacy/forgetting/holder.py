"""A process that holds given bytes where it is told, and nowhere else: `python holder.py FOLDER`.

Order by order on standard input, `PLACE OFFSET LENGTH`; the bytes themselves come through
descriptor CONTENT straight into that place. It says when it is ready, and answers each order
with the address.
"""

import ctypes
import mmap
import os
import sys
import threading

PAGE = 4096
SIZE = 4 * PAGE
DUMPABLE = 4
libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = ctypes.c_void_p
libc.free.restype = None
libc.pthread_self.restype = ctypes.c_void_p
kept = []


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def address_of(area):
    kept.append(area)
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def call(function, address, *more):
    checked(function(ctypes.c_void_p(address), ctypes.c_size_t(SIZE), *more))
    return address


def anonymous():
    return address_of(mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def mapped(descriptor, kind=mmap.MAP_SHARED):
    os.ftruncate(descriptor, SIZE)
    area = address_of(mmap.mmap(descriptor, SIZE, kind))
    os.close(descriptor)
    return area


def file(name):
    return os.open(f"{sys.argv[1]}/{name}", os.O_RDWR | os.O_CREAT, 0o600)


def deleted_file():
    descriptor = file("deleted")
    os.unlink(f"{sys.argv[1]}/deleted")  # noqa: PTH108 - likewise
    return mapped(descriptor)


def locked():
    address = call(libc.mlock, anonymous())
    return call(libc.madvise, address, mmap.MADV_DONTDUMP)


def beyond_the_end():
    """Mapped four pages long, of which only the first exists."""
    descriptor = os.memfd_create("short")
    os.ftruncate(descriptor, SIZE)
    address = address_of(mmap.mmap(descriptor, SIZE))
    os.ftruncate(descriptor, PAGE)
    return address


def seen_privately():
    """A memfd with a private mapping, which nobody writes, and a shared one, which is written."""
    descriptor = os.memfd_create("seen")
    os.ftruncate(descriptor, SIZE)
    views.append(address_of(mmap.mmap(descriptor, SIZE, mmap.MAP_PRIVATE)))
    return mapped(descriptor)


def only_private_view(written):
    call(libc.munmap, written)
    return views[-1]


def main_stack():
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - pathlib takes long to load
        line = next(line for line in maps if "[stack]" in line)
    return int(line.split("-")[0], 16)


def thread_stack():
    """The middle of the stack of a thread that lives on."""
    found = []
    threading.Thread(target=lambda: (found.append(own_stack()), pause.wait()), daemon=True).start()
    while not found:
        pass
    return found[0]


def own_stack():
    attributes = (ctypes.c_char * 256)()
    start, size = ctypes.c_void_p(), ctypes.c_size_t()
    checked(libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes))
    checked(libc.pthread_attr_getstack(attributes, ctypes.byref(start), ctypes.byref(size)))
    return start.value + size.value // 2


def undumpable():
    checked(libc.prctl(DUMPABLE, 0, 0, 0, 0))
    return anonymous()


pause = threading.Event()
starts, views = [], []
PLACES = {
    "heap": lambda: libc.malloc(SIZE),
    "freed block": lambda: libc.malloc(SIZE),
    "small freed block": lambda: libc.malloc(200),
    "Python object": lambda: address_of(bytearray(SIZE)),
    "anonymous mapping": anonymous,
    "closed mapping": anonymous,
    "shared memory": lambda: address_of(mmap.mmap(-1, SIZE)),
    "memfd": lambda: mapped(os.memfd_create("frames")),
    "deleted file": deleted_file,
    "private view of a memfd": seen_privately,
    "mapped file": lambda: mapped(file("mapped")),
    "own copy of a file's page": lambda: mapped(file("copied"), mmap.MAP_PRIVATE),
    "locked memory": locked,
    "main stack": main_stack,
    "thread's stack": thread_stack,
    "undumpable process": undumpable,
    "beyond the end": beyond_the_end,
    "the same place": lambda: starts[-1],
}
AFTERWARDS = {
    "freed block": lambda start: libc.free(ctypes.c_void_p(start)),
    "small freed block": lambda start: libc.free(ctypes.c_void_p(start)),
    "closed mapping": lambda start: call(libc.mprotect, start, 0),
    "private view of a memfd": only_private_view,
}


def main():
    content = int(sys.argv[2])
    print("ready", flush=True)
    for order in sys.stdin:
        place, offset, length = order.rstrip("\n").rsplit(" ", 2)
        start = PLACES[place]()
        starts.append(start)
        target = (ctypes.c_char * int(length)).from_address(start + int(offset))
        got = os.readv(content, [target])
        if got != int(length):
            raise OSError("the content came in pieces")
        start = AFTERWARDS.get(place, int)(start) or start
        print(start + int(offset), flush=True)


if __name__ == "__main__":
    main()
