"""The only file with threads: an event, two ways to hand something over, and a crew that ends together."""

import faulthandler
import logging
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from realtime.errors import StuckThread

log = logging.getLogger(__name__)

T = TypeVar("T")


class Closed(Exception):
    """The slot was closed and is empty: nothing will come any more."""


# A timed wait on Windows wakes on the 15.6 ms tick; `time.sleep` does not (high-resolution timer since Python 3.11). So
# there the last stretch of a wait is slept.
_COARSE_S = 0.02 if sys.platform == "win32" else 0.0


class Event:
    """An interruptible wait: once set, it ends every wait, now and later. From any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """End all waits. May be called twice."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long; True at once when set."""
        if seconds <= 0:
            return self._event.is_set()
        until = time.monotonic() + seconds
        if self._event.wait(max(seconds - _COARSE_S, 0.0)):
            return True
        if _COARSE_S and (rest := until - time.monotonic()) > 0:
            time.sleep(rest)
        return self._event.is_set()


class Slot(Generic[T]):
    """One place between two threads: a newer item replaces an unread one, and is counted.

    Nothing queues, so nothing ages. After `close` the item still waiting can be taken; then `get`
    raises Closed. An explicit close, not a sentinel, so that a consumer cannot miss the end.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._replaced = 0

    def put(self, item: T) -> T | None:
        """Leave an item; never blocks. Gives what nobody will read: the item replaced, or this one once closed."""
        with self._ready:
            if self._closed:
                return item
            unread, self._item = self._item, item
            self._replaced += unread is not None
            self._ready.notify()
            return unread

    def get(self, timeout_s: float | None = None) -> T | None:
        """The newest item, waiting for one; None when `timeout_s` passed. Raises Closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            if item is None and self._closed:
                raise Closed
            return item

    def close(self) -> None:
        """No more items; wakes whoever waits. May be called twice."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    @property
    def replaced(self) -> int:
        """How many items were overwritten before anybody read them."""
        return self._replaced


class Latest(Generic[T]):
    """A snapshot anybody may read or replace whole."""

    def __init__(self, value: T) -> None:
        self._lock = threading.Lock()
        self._value = value

    def get(self) -> T:
        return self._value

    def set(self, value: T) -> None:
        with self._lock:
            self._value = value

    def update(self, change: Callable[[T], T]) -> T:
        """Replace the value by `change(value)`, with nobody in between; returns the new one."""
        with self._lock:
            self._value = change(self._value)
            return self._value


class Crew:
    """Named threads that end together.

    The first error stops all. Leaving the `with` block stops and joins everybody; whoever does not
    end within `patience_s` is named in a StuckThread after all stacks were dumped to stderr. The
    first error of a thread is raised again there.
    """

    def __init__(self, patience_s: float = 5.0) -> None:
        self._patience_s = patience_s
        self._stop = threading.Event()
        self._ended = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._unblockers: list[Callable[[], None]] = []
        self._error: BaseException | None = None

    @property
    def stopping(self) -> bool:
        """True once somebody asked everybody to end: loops check it."""
        return self._stop.is_set()

    def start(self, name: str, work: Callable[[], None], unblock: Callable[[], None] | None = None) -> None:
        """Run `work` in a thread; `unblock` wakes it from whatever it may be waiting for."""
        if unblock is not None:
            self._unblockers.append(unblock)
        # Daemon, so that a thread stuck in a driver cannot keep the process alive after StuckThread.
        thread = threading.Thread(target=self._work, args=(work,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # re-raised by the owner, in its own thread
            with self._ended:
                self._error = self._error or error
            self.stop()
        finally:
            with self._ended:
                self._ended.notify_all()

    def stop(self) -> None:
        """Ask everybody to end, and wake them. May be called from any thread, and twice."""
        self._stop.set()
        for unblock in self._unblockers:
            unblock()
        with self._ended:
            self._ended.notify_all()

    def alive(self, name: str) -> bool:
        return any(t.name == name and t.is_alive() for t in self._threads)

    def wait(self, name: str, timeout_s: float | None = None) -> bool:
        """Wait until the named thread ended or all were stopped; True if so, False after `timeout_s`."""
        with self._ended:
            # A thread notifies just before it dies, so look again every 50 ms.
            waited = 0.0
            while not self._stop.is_set() and self.alive(name):
                step = 0.05 if timeout_s is None else min(0.05, timeout_s - waited)
                if step <= 0:
                    return False
                self._ended.wait(step)
                waited += step
        return True

    def close(self) -> None:
        """Stop and join everybody. Raises StuckThread, or the first error of a thread."""
        self.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self._patience_s)
        stuck = [t.name for t in self._threads if t.is_alive() and t is not threading.current_thread()]
        self._threads = [t for t in self._threads if t.is_alive()]
        if stuck:
            if sys.stderr is not None and hasattr(sys.stderr, "fileno"):
                try:
                    faulthandler.dump_traceback(all_threads=True)
                except (OSError, ValueError, RuntimeError):
                    log.warning("the stacks could not be written")
            raise StuckThread(
                f"thread {', '.join(stuck)} did not end within {self._patience_s:g} s: "
                "the stacks above say where it waits; please report them"
            ) from self._error
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BaseException:
            if error is not None and not isinstance(error, Exception):
                return  # a Ctrl-C in the owner outranks what it caused in the threads
            raise
