"""The audit log: what is in it stays as it is."""

from datetime import UTC, datetime

import pytest
from mongoengine.errors import NotUniqueError

from tests.factories import make_user
from vulyk.models import audit
from vulyk.models.audit import AuditRecord
from vulyk.models.transaction import in_transaction


@pytest.fixture
def entry(app) -> AuditRecord:
    """One record: somebody has made a user an admin."""
    audit.record(make_user(username='ann'), 'user.change', 'user ben', {'admin': False}, {'admin': True})
    return AuditRecord.objects.get()


def test_record_says_who_did_what_and_when(entry):
    assert (entry.actor, entry.action, entry.subject) == ('ann', 'user.change', 'user ben')
    assert (entry.before, entry.after) == ({'admin': False}, {'admin': True})
    assert abs((datetime.now(UTC) - entry.at).total_seconds()) < 60
    assert entry.actor_id


def test_what_was_done_on_the_command_line_has_no_user(app):
    audit.record('root on the command line', 'answers.export_with_emails', 'batch zoo')
    entry = AuditRecord.objects.get()
    assert (entry.actor, entry.actor_id, entry.before, entry.after) == ('root on the command line', None, None, None)


@pytest.mark.parametrize(
    'change',
    [
        lambda entry: entry.delete(),
        lambda entry: entry.update(set__actor='ben'),
        lambda entry: entry.modify(set__actor='ben'),
        lambda entry: entry.save(),
        lambda entry: AuditRecord.objects.delete(),
        lambda entry: AuditRecord.objects.update(set__actor='ben'),
        lambda entry: AuditRecord.objects(pk=entry.pk).modify(set__actor='ben'),
    ],
)
def test_record_can_be_neither_changed_nor_deleted(entry, change):
    entry.actor = 'ben'
    with pytest.raises((TypeError, NotUniqueError)):
        change(entry)
    assert AuditRecord.objects.get().actor == 'ann'


def test_times_ids_and_odd_keys_are_kept_as_json(app):
    user = make_user()
    audit.record(user, 'user.change', 'x', {'$ref': user.id, '_cls': 1}, {'at': datetime(2026, 1, 2, tzinfo=UTC)})
    entry = AuditRecord.objects.get()
    assert (entry.before, entry.after) == ({'$ref': str(user.id), '_cls': 1}, {'at': '2026-01-02 00:00:00+00:00'})


def test_act_that_fails_leaves_no_record(app):
    def act() -> None:
        audit.record('somebody', 'batch.delete', 'batch zoo')
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        in_transaction(act)
    assert AuditRecord.objects.count() == 0
