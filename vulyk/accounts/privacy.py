"""What the site has of people: shown, handed over, deleted, and forgotten after a while."""

import json
import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from bson import ObjectId
from flask import current_app

from vulyk import signals
from vulyk.accounts.models import Link
from vulyk.ext import leases
from vulyk.jobs import DEAD, Job
from vulyk.models import usernames
from vulyk.models.audit import AuditRecord
from vulyk.models.problems import Problem
from vulyk.models.progress import Progress
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, WithdrawnAnswer
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User

log = logging.getLogger(__name__)

_MAIL_JOBS = {'$regex': r'^vulyk\.accounts\.mails\.'}
_SECRET = ('password', 'usernameKey', 'emailKey', '_cls')


# --- shown ------------------------------------------------------------------------------------------------------------


def overview(user: User) -> dict[str, Any]:
    """Numbers for the profile: ``since``, ``answers``, ``seconds`` of work, ``groups`` by id."""
    return {
        'since': user.id.generation_time,
        'answers': AbstractAnswer._get_collection().count_documents({'createdBy': user.id}),
        'seconds': WorkSession.get_total_user_time_precise(user.id),
        'groups': sorted(getattr(group, 'id', group) for group in user._data['groups']),
    }


def export(user: User) -> Iterator[str]:
    """Everything stored of a user as the text of one JSON object, piece by piece, so that it may be long.

    ``account``, ``answers``, ``withdrawn_answers``, ``skipped_tasks`` (that still want answers), ``work_sessions``,
    ``problems`` (that were reported), ``sign_in_services``, ``progress``, ``records`` (of the audit log, by or about the
    user), ``links`` and ``mails`` (under way), and a part for each feature that has something (see
    ``on_personal_data_asked`` in :mod:`vulyk.signals`). Hashes and keys for signing in are left out.
    """
    account = User._get_collection().find_one({'_id': user.id}) or {}
    mine = {'createdBy': user.id}
    parts: dict[str, Any] = {
        'account': _without_secrets(account),
        'answers': map(_answer, AbstractAnswer._get_collection().find(mine).sort('_id')),
        'withdrawn_answers': (
            {**_answer(one['answer']), 'withdrawn_at': one['withdrawnAt'], 'reason': one.get('reason', '')}
            for one in WithdrawnAnswer._get_collection().find({'answer.createdBy': user.id})
        ),
        'skipped_tasks': (task['_id'] for task in _skipped_tasks(user.id)),
        'work_sessions': map(_plain, WorkSession._get_collection().find({'user': user.id})),
        'problems': map(_plain, Problem._get_collection().find({'user': user.id})),
        'sign_in_services': map(_plain, SocialAccount._get_collection().find({'user': user.id})),
        'progress': map(
            _plain, Progress._get_collection().find({'user': user.id}, {'taskType': 1, 'total': 1, 'at': 1})
        ),
        'records': _records(user),
        'links': map(_link, Link.objects(user=user.id)),
        'mails': _mails(user),
    }
    for receiver in signals.on_personal_data_asked.receivers_for(user):
        parts |= receiver(user) or {}
    yield '{\n'
    for number, (name, part) in enumerate(parts.items()):
        yield (',\n' if number else '') + f'{json.dumps(name)}: '
        if isinstance(part, dict):
            yield json.dumps(part, ensure_ascii=False, default=_text, indent=1)
        else:
            yield from _list(part)
    yield '\n}\n'


def _skipped_tasks(user_id: ObjectId) -> Iterable[dict[str, Any]]:
    # Only tasks that have a place: they are in an index, and the others matter to nobody.
    return AbstractTask._get_collection().find({'usersSkipped': user_id, 'lane': {'$gt': ''}}, {'_id': 1})


def _records(user: User) -> Iterator[dict[str, Any]]:
    """What the audit log has: of others, whom an admin has done something to, only that it was done."""
    about = f'user {user.id}'
    mine = AuditRecord.objects(actor_id=user.id).order_by('at')
    of_others = AuditRecord.objects(subject__startswith=about, actor_id__ne=user.id).order_by('subject', 'at')
    for record in chain(mine, of_others):
        by_me, shown = record.actor_id == user.id, {}
        if record.subject.startswith(about):
            shown = {'before': record.before, 'after': record.after}
        yield {'at': record.at, 'action': record.action, 'subject': record.subject, 'by_me': by_me, **shown}


def _link(link: Link) -> dict[str, Any]:
    return {'purpose': link.purpose, 'email': link.email, 'expires_at': link.expires_at}


def _mails(user: User) -> Iterator[dict[str, Any]]:
    if user.email:
        for job in Job.objects(__raw__={'kind': _MAIL_JOBS, 'args.email': user.email}):
            yield {'mail': job.args.get('name') or job.kind.rpartition('_')[2], 'due': job.run_at}


def _list(items: Iterable[Any]) -> Iterator[str]:
    yield '['
    for number, item in enumerate(items):
        yield (',\n ' if number else '\n ') + json.dumps(item, ensure_ascii=False, default=_text)
    yield ']'


def _without_secrets(account: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in account.items() if name not in _SECRET}
    sessions = [{name: value for name, value in one.items() if name != 'id'} for one in account.get('sessions') or []]
    return {**shown, 'sessions': sessions, 'has_password': bool(account.get('password'))}


def _answer(stored: dict[str, Any]) -> dict[str, Any]:
    """An answer without what plugins and the engine keep in it for themselves."""
    return {
        **{name: True for stored_as, name in (('extra', 'extra'), ('tooFast', 'too_fast')) if stored.get(stored_as)},
        'task': stored['task'],
        'task_type': stored['taskType'],
        'created_at': stored.get('createdAt'),
        'result': AbstractAnswer.result.to_python(stored.get('result')),
    }


def _plain(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in ('_id', '_cls', 'user')}


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# --- deleted ----------------------------------------------------------------------------------------------------------


def is_last_admin(user: User) -> bool:
    """Whether nobody could look after the site without this user."""
    return user.is_admin() and User.objects(admin=True, active=True, pk__ne=user.id).first() is None


def delete(user: User) -> str:
    """Make an account nobody's, for good. Returns the name that stands for it from now on.

    What stays is a number and that name: answers, times and totals refer to it, and would be wrong without. Everything else
    of the account goes, whatever a feature may have put there, and with it sessions, links and mails.
    """
    name = f'deleted_{secrets.token_hex(5)}'
    now = datetime.now(UTC)

    def forget() -> None:
        users = User._get_collection()
        stored = users.find_one({'_id': user.id}) or {}
        nobody = {
            'username': name,
            'usernameKey': usernames.likeness(name),
            'password': '',
            'active': False,
            'admin': False,
            'groups': [],
            'last_login': now,
            'deletedAt': now,
            'processed': stored.get('processed', 0),
        }
        users.replace_one({'_id': user.id}, nobody)
        addresses = [address for address in (stored.get('email'),) if address]
        SocialAccount.objects(user=user.id).delete()
        Link.objects(user=user.id).delete()
        Link.objects(email__in=addresses).delete()
        Job._get_collection().delete_many({'kind': _MAIL_JOBS, 'args.email': {'$in': addresses}})
        WorkSession._get_collection().update_many({'user': user.id}, {'$unset': {'zone': '', 'localDate': ''}})
        for receiver in signals.on_account_deleted.receivers_for(user):
            receiver(user)

    in_transaction(forget)
    _give_back_tasks(user.id, now)
    return name


def _give_back_tasks(user_id: ObjectId, now: datetime) -> None:
    """What he had in hand others may have at once."""
    AbstractTask._get_collection().update_many({'leases.user': user_id}, leases.leave(user_id, now))


# --- forgotten --------------------------------------------------------------------------------------------------------


def expire(now: datetime) -> None:
    """Forget what is older than ``PERSONAL_DATA_DAYS``: addresses of computers, mails that were given up, files of the log.

    Done once a day, see :func:`vulyk.jobs.daily`.
    """
    limit = now - timedelta(days=current_app.config['PERSONAL_DATA_DAYS'])
    users = User._get_collection()
    users.update_many({'sessions.until': {'$lt': now}}, {'$pull': {'sessions': {'until': {'$lt': now}}}})
    users.update_many(
        {'sessions': {'$elemMatch': {'startedAt': {'$lt': limit}, 'address': {'$exists': True}}}},
        {'$unset': {'sessions.$[old].address': ''}},
        array_filters=[{'old.startedAt': {'$lt': limit}}],
    )
    Job._get_collection().delete_many({'kind': _MAIL_JOBS, 'state': DEAD, 'runAt': {'$lt': limit}})
    if not current_app.config['LOG_TO_STDERR']:
        expire_log(Path(current_app.config['LOGGING_LOCATION']), limit)


def expire_log(path: Path, limit: datetime) -> None:
    """Delete files of the log that were last written to before ``limit``; the one in use is emptied."""
    for file in path.parent.glob(f'{path.name}*'):
        try:
            if file.stat().st_mtime < limit.timestamp():
                file.write_bytes(b'') if file == path else file.unlink()
        except OSError as error:
            log.warning('The log %s is older than PERSONAL_DATA_DAYS and cannot be deleted: %s', file, error.strerror)
