"""One transaction over everything that must be stored together, through mongoengine's own connection."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import pymongo
from mongoengine.connection import get_connection
from mongoengine.errors import OperationError
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

T = TypeVar('T')

_pending: ContextVar[list[Callable[[], Any]] | None] = ContextVar('vulyk_after_commit', default=None)


# For what may be forgotten when the primary server is lost, such as who has which task in hand: nobody waits for the
# others of the replica set to confirm it.
AT_ONCE = WriteConcern(w=1)
# For what does no harm if it is lost: the server does not even answer.
UNCONFIRMED = WriteConcern(w=0)

_turns: 'WeakValueDictionary[str, threading.Lock]' = WeakValueDictionary()


def in_transaction(work: Callable[[], T], *, turn: str = '', at_once: bool = False) -> T:
    """Run ``work`` so that all its database writes happen or none does, and return what it returns.

    ``work`` may run several times, because the driver repeats it after a write conflict: it must read what it decides on
    itself and change nothing outside the database. Inside another transaction it simply joins in. On a connection that
    has no transactions (mongomock in unit tests) it just runs.

    :param turn: what the work is about, if all of it changes the same document. Threads of this process then take turns,
        which is cheaper than having the database refuse all but one of them, again and again.
    :param at_once: do not wait until the only server has it safe: a crash that loses it loses all that was written later
        too, such as the note that it was done. With more servers it is waited for, since another one would go on.
    """
    if _pending.get() is not None:
        return work()
    client = get_connection()
    if not isinstance(client, pymongo.MongoClient):
        return _collect(work)()
    # Binding makes mongoengine's writes join the session; without it they would silently escape the transaction.
    with _turn(turn), client.start_session() as session, session.bind(end_session=False):
        write_concern = AT_ONCE if at_once and is_alone(client) else None
        finish = session.with_transaction(lambda _session: _collect(work), write_concern=write_concern)
    return finish()


def is_alone(client: 'pymongo.MongoClient[Any]') -> bool:
    """Whether no other server can take over from the one this client writes to."""
    return len(client.topology_description.server_descriptions()) == 1


def _turn(name: str) -> AbstractContextManager[Any]:
    return _turns.setdefault(name, threading.Lock()) if name else nullcontext()


def is_in_transaction() -> bool:
    """Whether what is written now is stored, or not, together with other writes."""
    return _pending.get() is not None


def after_commit(action: Callable[[], Any]) -> None:
    """Run ``action`` once the surrounding transaction is stored; at once if there is none. Order is kept."""
    pending = _pending.get()
    if pending is None:
        action()
    else:
        pending.append(action)


def _collect(work: Callable[[], T]) -> Callable[[], T]:
    """Run ``work``; what it returns is delivered, after its actions, by the function returned."""
    actions: list[Callable[[], Any]] = []
    token = _pending.set(actions)
    try:
        result = work()
    except OperationError as error:
        # mongoengine hides the driver's error and with it the label that says "try again".
        if isinstance(error.__context__, PyMongoError) and error.__context__.has_error_label(
            'TransientTransactionError'
        ):
            raise error.__context__ from error
        raise
    finally:
        _pending.reset(token)

    def finish() -> T:
        for action in actions:
            action()
        return result

    return finish
