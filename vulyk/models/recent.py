"""Small tables that are read at every request, remembered for a moment by each process."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mongoengine.connection import get_db

T = TypeVar('T')


class Recent(Generic[T]):
    """Remembers what ``read`` returned for a key, for some seconds and per database.

    Whoever finds nothing in an old value asks again with ``fresh=True`` before he says so.
    """

    def __init__(self, read: Callable[[str], T], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._values: dict[Any, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, *, fresh: bool = False) -> T:
        """The value for ``key``; read anew if it is too old, or if it must be ``fresh``."""
        database = get_db()
        place = (id(database.client), database.name, key)
        with self._lock:
            expires, value = self._values.get(place, (0.0, None))
        if not fresh and expires > time.monotonic():
            return value  # type: ignore[return-value]
        value = self._read(key)
        with self._lock:
            self._values[place] = (time.monotonic() + self._seconds, value)
        return value

    def forget(self) -> None:
        """Read everything anew at its next use."""
        with self._lock:
            self._values.clear()
