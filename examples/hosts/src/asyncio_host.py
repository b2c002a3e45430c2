"""A loop of ours inside of asyncio's: asyncio watches the descriptor, and calls when the deadline is due. No thread.

    cd examples/hosts && cargo build --example guest
    python3 src/asyncio_host.py target/debug/examples/libguest.so
"""

import asyncio
import ctypes
import sys
import threading
import time

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int)


def load(path):
    guest = ctypes.CDLL(path)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in [
        ("guest_new", pointer, []),
        ("guest_fileno", number, [pointer]),
        ("guest_turn", number, [pointer]),
        ("guest_seconds_left", ctypes.c_double, [pointer]),
        ("guest_free", number, [pointer]),
        ("guest_tick", number, [pointer, number, ctypes.c_double, CALLBACK]),
        ("guest_turns", number, [pointer]),
        ("guest_handle", pointer, [pointer]),
        ("guest_post", number, [pointer, CALLBACK, number]),
        ("guest_handle_free", None, [pointer]),
    ]:
        function = getattr(guest, name)
        function.restype, function.argtypes = result, arguments
    return guest


# The recipe.
class Bridge:
    """A guest that the running asyncio loop turns, until it is closed."""

    def __init__(self, library):
        self.library, self.guest, self.timer = library, library.guest_new(), None
        if not self.guest:
            raise OSError("no loop: are there descriptors left?")
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(library.guest_fileno(self.guest), self.turn)
        self.turn()

    def turn(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        more = self.library.guest_turn(self.guest)
        if more < 0:
            raise RuntimeError("the loop is not turned: inside of its own turn?")
        left = 0 if more else self.library.guest_seconds_left(self.guest)
        if left >= 0:
            self.timer = self.loop.call_later(left, self.turn)

    def close(self):
        # The descriptor first: asyncio would go on watching its number, which may soon be another's.
        self.loop.remove_reader(self.library.guest_fileno(self.guest))
        if self.timer is not None:
            self.timer.cancel()
        if self.library.guest_free(self.guest) < 0:
            raise RuntimeError("the loop cannot be closed from inside of its turn")
        self.guest = None
# To here.


async def main(library):
    seen, refused = [], []
    bridge = Bridge(library)
    over = asyncio.Event()

    @CALLBACK
    def tick(number):
        seen.append(f"tick {number}")
        # Inside of a turn: another one is refused, and so is the end.
        refused.append(library.guest_turn(bridge.guest))
        refused.append(library.guest_free(bridge.guest))
        if number == 3:
            over.set()

    @CALLBACK
    def posted(number):
        seen.append(f"posted {number}")

    async def of_asyncio():
        for number in range(3):
            await asyncio.sleep(0.1)
            seen.append(f"asyncio {number}")

    def in_thread(handle):
        refused.append(library.guest_turn(bridge.guest))
        library.guest_post(handle, posted, 42)

    # Each beside the other: 0.1, 0.15, 0.2, 0.3, and so on.
    library.guest_tick(bridge.guest, 3, 0.15, tick)
    beside = asyncio.create_task(of_asyncio())
    handle = library.guest_handle(bridge.guest)
    thread = threading.Thread(target=in_thread, args=[handle])
    began, cpu = time.monotonic(), time.process_time()
    thread.start()
    await over.wait()
    await beside
    thread.join()
    took, cpu = time.monotonic() - began, time.process_time() - cpu

    turns = library.guest_turns(bridge.guest)
    bridge.close()
    assert library.guest_post(handle, posted, 43) == -1, "it is closed"
    library.guest_handle_free(handle)

    assert sorted(seen) == sorted(
        ["posted 42", "asyncio 0", "tick 1", "asyncio 1", "asyncio 2", "tick 2", "tick 3"]
    ), seen
    assert [it for it in seen if it.startswith("tick")] == ["tick 1", "tick 2", "tick 3"], seen
    assert refused == [-1] * 7, refused
    assert took >= 0.45 and turns <= 12, (took, turns)
    assert cpu < took / 5, (cpu, took)
    print(f"asyncio: {turns} turns, {cpu * 1000:.1f} ms of CPU in {took * 1000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(load(sys.argv[1])))
