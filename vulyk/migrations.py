"""From databases of older versions to this one: ``db migrate``.

What is stored is changed here and nowhere else, by steps that are done once and in order. To add one, give it the next number
of its owner, and a test that kills it half-way. Features add theirs when they are registered
(:func:`vulyk.models.schema.add_steps`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import current_app
from flask_babel import gettext, lazy_gettext
from pymongo.errors import DuplicateKeyError

from vulyk.accounts import migration as accounts
from vulyk.ext import consistency
from vulyk.models import database, schema
from vulyk.models.exc import DatabaseError
from vulyk.models.schema import Progress, Step
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Add the steps of the core."""
    schema.add_steps(
        Step('core', 1, lazy_gettext('one work session for each user and task'), merge_sessions),
        Step('core', 2, lazy_gettext('places of tasks in the order they are handed out; counters'), settle_counters),
        Step('core', 3, lazy_gettext('names and addresses of accounts'), migrate_accounts),
        Step('core', 4, lazy_gettext('links to sign-in services'), complete_links),
    )


def run(redundancies: dict[str, int], *, dry_run: bool, progress: Progress = lambda number: None) -> Iterator[str]:
    """Do the steps that are left, and tell each thing that is done.

    :param redundancies: answers that tasks of types need whose plugin is not enabled.
    :param dry_run: only tell.
    :param progress: called with the number of documents that have been looked at since.
    :raises DatabaseError: nobody knows how many answers the tasks of some types need. Nothing is done then.
    """
    left = schema.pending()
    if any(step.key == 'core 2' for step in left):
        _refuse_unknown_types(redundancies)
    current_app.extensions['vulyk_redundancies'] = redundancies
    for step in left:
        yield f'{step.key}: {step.title}'
        if not dry_run:
            schema.begin(step, datetime.now(UTC))
        yield from (f'  {text}' for text in step.run(dry_run, progress))
        if not dry_run and step is left[-1]:
            database.make_indexes()  # of what was in the way of a unique one nothing is left
        if not dry_run:
            schema.finish(step, datetime.now(UTC))


def _refuse_unknown_types(redundancies: dict[str, int]) -> None:
    """How many answers its tasks need, old tasks do not say: the plugin does."""
    known = {*current_app.task_types, *redundancies}
    unknown = sorted(set(AbstractTask._get_collection().distinct('taskType', {'need': None})) - known)
    if unknown:
        raise DatabaseError(
            gettext(
                'There are tasks of %(names)s, whose plugins are not enabled, so that nobody knows how '
                'many answers they need. Enable the plugins (setting ENABLED_TASKS), or say it: '
                '--redundancy %(first)s 2. Nothing was changed.',
                names=', '.join(unknown),
                first=unknown[0],
            )
        )


# --- steps ------------------------------------------------------------------------------------------------------------


def merge_sessions(dry_run: bool, progress: Progress) -> Iterator[str]:
    """Keep one work session of each user and task: the one that ended with the answer, else the latest."""
    sessions = WorkSession._get_collection()
    same: list[dict[str, Any]] = [
        {'$group': {'_id': {'user': '$user', 'task': '$task'}, 'number': {'$sum': 1}}},
        {'$match': {'number': {'$gt': 1}}},
    ]
    for row in list(sessions.aggregate(same, allowDiskUse=True)):
        where = {'user': row['_id'].get('user'), 'task': row['_id'].get('task')}
        found = list(sessions.find(where, sort=[('start_time', -1), ('_id', -1)]))
        answers = [one['answer'] for one in found if one.get('answer')]
        given = set(AbstractAnswer._get_collection().distinct('_id', {'_id': {'$in': answers}}))
        kept = next((one for one in found if one.get('answer') in given), found[0])
        yield gettext(
            'user %(user)s, task %(task)s: of %(number)s work sessions one is kept',
            user=where['user'],
            task=where['task'],
            number=len(found),
        )
        if not dry_run:
            sessions.delete_many({'_id': {'$in': [one['_id'] for one in found if one is not kept]}})
        progress(len(found))


def settle_counters(dry_run: bool, progress: Progress) -> Iterator[str]:
    """Give old tasks their place, and derive all counters from the documents."""
    redundancies = {name: task_type.redundancy for name, task_type in current_app.task_types.items()}
    redundancies |= current_app.extensions.get('vulyk_redundancies', {})
    if not dry_run:
        yield from consistency.repair(redundancies, datetime.now(UTC), progress=progress)
        return
    number = AbstractTask._get_collection().count_documents({'load': None})
    if number:
        yield gettext('%(number)s tasks get a place in the order of tasks', number=number)
    yield from (f'{problem.kind} {problem.id}: {problem.text}' for problem in consistency.check(progress=progress))


def migrate_accounts(dry_run: bool, progress: Progress) -> Iterator[str]:
    """Give every account a name of its own that is none of an address, and keys that can be unique."""
    return accounts.migrate(dry_run=dry_run, progress=progress)


def complete_links(dry_run: bool, progress: Progress) -> Iterator[str]:
    """Give links to sign-in services the part of their key that older versions did not have."""
    links = SocialAccount._get_collection()
    for link in list(links.find({'id_key': None}, {'provider': 1, 'uid': 1})):
        yield gettext(
            'link %(link)s (%(service)s): its key is completed', link=link['_id'], service=link.get('provider')
        )
        if not dry_run:
            try:
                links.update_one({'_id': link['_id']}, {'$set': {'id_key': ''}})
            except DuplicateKeyError:
                yield gettext(
                    'link %(link)s: left alone, because there is another one of the same account', link=link['_id']
                )
        progress(1)
