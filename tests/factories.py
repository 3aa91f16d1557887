"""Short ways to make documents."""

import itertools
from typing import Any

import pytest
from flask import Flask
from mongoengine.connection import get_db

from vulyk import pages
from vulyk.ext import assignment, leaderboard
from vulyk.models import database, figures
from vulyk.models.progress import distinct_totals
from vulyk.models.tasks import AbstractTask, Batch, batch_facts, far_from_done, has_facts
from vulyk.models.transaction import AT_ONCE
from vulyk.models.user import Group, User

_numbers = itertools.count(1)


_prepared: set[tuple[str, tuple[type, ...]]] = set()  # databases that have the indexes of these models


def prepare(app: Flask) -> None:
    """Empty the database of an application, whatever an earlier test has left, and make its indexes if nobody has yet."""
    empty_database()
    state = get_db().name, tuple(database.MODELS)
    if state not in _prepared:
        database.prepare()  # whether or not this application has done so, which may have been before there were as many
        _prepared.add(state)
    app.extensions['vulyk_database']['prepared'] = True


def empty_database() -> None:
    """Delete all documents; collections and indexes stay, which is a hundred times faster than dropping them."""
    for name in _collections_in_use(get_db()):
        get_db()[name].with_options(write_concern=AT_ONCE).delete_many({})
    # Remembered for longer than a test takes.
    for table in (
        distinct_totals,
        batch_facts,
        has_facts,
        far_from_done,
        *figures.TABLES,
        pages._landing,
        leaderboard._everybody,
        assignment.has_plenty,
    ):
        table.forget()


def stored() -> dict[str, list[dict[str, Any]]]:
    """Everything in the database, ``{collection: documents}``, to compare: ``before = stored()``."""
    db = get_db()
    return {name: list(db[name].find(sort=[('_id', 1)])) for name in sorted(_collections_in_use(db))}


def _collections_in_use(db: Any) -> list[str]:
    """Those that hold documents: one question to the server instead of one for each of dozens."""
    names = [name for name in db.list_collection_names() if not name.startswith('system.')]
    if not names:
        return []
    used: list[dict[str, Any]] = [
        {'$collStats': {'count': {}}},
        {'$match': {'count': {'$gt': 0}}},
        {'$project': {'ns': 1}},
    ]
    others = [{'$unionWith': {'coll': name, 'pipeline': used}} for name in names[1:]]
    with db[names[0]].aggregate([*used, *others]) as found:
        return [row['ns'].partition('.')[2] for row in found]


def seeds(number: int) -> list[Any]:
    """Numbers for random tests: one for every run, the others for ``make soak``."""
    return [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, number))]


def make_group(gid: str, allowed_types: list[str]) -> Group:
    """A group."""
    return Group(id=gid, description=gid, allowed_types=allowed_types).save(force_insert=True)


def make_user(**fields: Any) -> User:
    """A user with a name and an address of his own; ``password`` is hashed."""
    number = next(_numbers)
    password = fields.pop('password', None)
    user = User(**{'username': f'bee{number}', 'email': f'bee{number}@example.org', **fields})
    if password:
        user.set_password(password)
    return user.save()


def signed_in(user: User) -> dict[str, Any]:
    """What the cookie of a browser holds that this user has just signed in with: ``session.update(signed_in(user))``."""
    user.start_session()
    return {'_user_id': user.get_id(), '_fresh': True}


def make_tasks(task_type: Any, count: int, batch: str | None = 'default') -> list[AbstractTask]:
    """``count`` new tasks of a type in a batch, in the order in which they are handed out."""
    from vulyk.cli.batches import add_batch

    records = [{'n': next(_numbers)} for _ in range(count)]
    task_type.import_tasks(records, batch)
    if batch is not None:
        add_batch(batch, count, task_type, 'default')
    made = task_type.task_model.objects(task_type=task_type.type_name, batch=Batch(id=batch) if batch else None)
    return [task for task in made.order_by('order', 'id') if task.task_data in records]


def answer(task_type: Any, task: AbstractTask, user: User, result: dict | None = None) -> AbstractTask:
    """Let a user answer a task; returns the task as it is then."""
    task_type.on_task_done(user, task.id, {'x': 1} if result is None else result)
    return task.reload()
