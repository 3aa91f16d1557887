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

    :param read: what :meth:`get` does; None if there is only what was :meth:`put`.
    """

    def __init__(self, read: Callable[[str], T] | None, seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._values: dict[Any, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, *, fresh: bool = False) -> T:
        """The value for ``key``; read anew if it is too old, or if it must be ``fresh``."""
        if not fresh and (value := self.known(key)) is not None:
            return value
        assert self._read is not None
        value = self._read(key)
        self.put(key, value)
        return value

    def put(self, key: str, value: T) -> None:
        """Remember what somebody has learnt anyway."""
        with self._lock:
            self._values[self._place(key)] = (time.monotonic() + self._seconds, value)

    def known(self, key: str) -> T | None:
        """The value for ``key`` as it is remembered, without reading it; None if it is not."""
        with self._lock:
            expires, value = self._values.get(self._place(key), (0.0, None))
        return value if expires > time.monotonic() else None

    @staticmethod
    def _place(key: str) -> tuple[Any, ...]:
        database = get_db()
        return id(database.client), database.name, key

    def forget(self) -> None:
        """Read everything anew at its next use."""
        with self._lock:
            self._values.clear()
