"""What operators do about accounts."""

import re

import pytest
from click.testing import CliRunner

from tests.accounts.conftest import PASSWORD, SITE
from tests.factories import make_user
from vulyk import control
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import InitializationError
from vulyk.models.user import User


@pytest.fixture
def command(site, monkeypatch):
    """Runs commands on the site that sends mails."""
    monkeypatch.setattr(control, 'build', lambda config=None: site)
    return lambda *arguments: CliRunner().invoke(control.cli, arguments)


def old_account(**fields) -> User:
    """An account as older versions stored it."""
    user = make_user()
    User.objects(pk=user.id).update_one(unset__username_key=1, unset__email_key=1, **fields)
    return user.reload()


@pytest.mark.parametrize('name', ['ada', 'ADA@example.org'])
def test_reset_link_can_be_printed_for_a_name_or_an_address(command, ada, visitor, name):
    done = command('accounts', 'reset-link', name)
    assert done.exit_code == 0, done.output
    path = re.search(rf'{SITE}(\S+)', done.output)[1]
    assert visitor.post(path, data={'new_password': 'another fine horse'}).status_code == 302
    assert ada.reload().check_password('another fine horse')
    assert not ada.email_confirmed
    assert AuditRecord.objects.get().subject == f'user {ada.id} ada'


@pytest.mark.parametrize('name', ['nobody', 'nobody@example.org', '', 'a\0'])
def test_reset_link_for_nobody_is_refused(command, name):
    done = command('accounts', 'reset-link', name)
    assert (done.exit_code, 'There is no active user' in done.output) == (2, True)


def test_admin_has_a_button_for_it(hers, ada, site, visitor):
    other = make_user(username='bob')
    assert hers.post(f'/users/{other.id}/reset-link').status_code == 403
    ada.update(set__admin=True)
    text = hers.post(f'/users/{other.id}/reset-link').text
    path = re.search(rf'{SITE}(/password/[\w.-]+)', text)[1]
    assert visitor.get(path).status_code == 200
    assert hers.post('/users/nobody/reset-link').status_code == 404
    assert AuditRecord.objects.get().actor == 'ada'


def test_invitation_is_mailed_or_printed(command, mailbox, visitor):
    assert command('accounts', 'invite', 'bee@example.org').exit_code == 0
    assert visitor.get(mailbox.link()).status_code == 200
    assert f'{SITE}/register/' in command('accounts', 'invite').output
    assert command('accounts', 'invite', 'nothing').exit_code == 2


def test_nobody_is_invited_to_a_site_that_makes_no_accounts(command, site, monkeypatch):
    monkeypatch.setitem(site.config, 'REGISTRATION', 'closed')
    refused = command('accounts', 'invite')
    assert (refused.exit_code, "REGISTRATION = 'invitation'" in refused.output) == (1, True)


# --- accounts of older versions ---------------------------------------------------------------------------------------


def test_name_that_is_an_address_is_replaced_and_others_stay(command, site):
    addressed = old_account(set__username='ada@example.org', set__email='ada@example.org')
    named = old_account(set__username='Bob_7')
    told = command('accounts', 'migrate', '--dry-run').output
    assert "'ada@example.org' gets a generated name, because an address is no name" in told
    assert (addressed.reload().username, named.reload().username_key) == ('ada@example.org', None)
    assert command('accounts', 'migrate').exit_code == 0
    assert re.fullmatch(r'[a-z]+_[a-z]+\d{4}', addressed.reload().username)
    assert (named.reload().username, named.username_key) == ('Bob_7', 'bob7')
    assert User.get_by_email('ADA@example.org') == addressed
    assert command('accounts', 'migrate').stdout == 'Nothing to do.\n'


def test_of_names_that_look_the_same_the_oldest_stays(command, site):
    oldest, younger = old_account(set__username='Bob'), old_account(set__username='bob')
    for arguments in (['--dry-run'], []):
        assert f'user {oldest.id} has one that looks the same' in command('accounts', 'migrate', *arguments).output
    assert (oldest.reload().username, younger.reload().username != 'bob') == ('Bob', True)


@pytest.mark.parametrize('name', ['Ann Lee', 'x' * 51, 'аnn', '_'])
def test_name_that_is_none_is_replaced(command, site, name):
    user = old_account(set__username=name)
    command('accounts', 'migrate')
    assert re.fullmatch(r'[a-z]+_[a-z]+\d{4}', user.reload().username)


def test_shared_address_is_told_and_belongs_to_the_oldest(command, site):
    oldest = old_account(set__email='ada@example.org', set__password=make_user(password=PASSWORD).password)
    younger = old_account(set__email='ADA@example.org')
    assert f'belongs to user {oldest.id} too' in command('accounts', 'migrate').output
    assert User.get_by_email('ada@example.org') == oldest
    assert younger.reload().email == 'ADA@example.org'


# --- settings ---------------------------------------------------------------------------------------------------------

SERVER = {'MAIL_SERVER': 'mail.example.org', 'SITE_URL': SITE, 'MAIL_DEFAULT_SENDER': 'no-reply@example.org'}


@pytest.mark.parametrize(
    ('given', 'reason'),
    [
        ({**SERVER, 'SITE_URL': None}, '^SITE_URL: mails need'),
        ({'MAIL_BACKEND': 'my.backend'}, '^SITE_URL: mails need'),
        ({**SERVER, 'SITE_URL': 'vulyk.example.org'}, '^SITE_URL: must begin with https://'),
        ({**SERVER, 'MAIL_DEFAULT_SENDER': None}, '^MAIL_DEFAULT_SENDER: '),
        ({'MAIL_BACKEND': 'smtp'}, '^MAIL_SERVER: '),
        ({'REGISTRATION': 'maybe'}, "^REGISTRATION: 'maybe' is none of"),
    ],
)
def test_settings_that_cannot_work_stop_the_site_with_the_reason(make_app, given, reason):
    with pytest.raises(InitializationError, match=reason):
        make_app(**given)


@pytest.mark.parametrize(('given', 'backend'), [({}, 'dummy'), ({'DEBUG': True}, 'console'), (SERVER, 'smtp')])
def test_way_of_mails_follows_from_the_settings(make_app, given, backend):
    assert make_app(**given).config['MAIL_BACKEND'] == backend


def test_doctor_sends_a_mail_at_once(command, mailbox):
    result = command('doctor', '--mail', 'ada@example.org')
    (mail,) = mailbox.mails
    assert (mail['To'], 'A mail to ada@example.org has left' in result.output) == ('ada@example.org', True)


@pytest.mark.parametrize(
    ('refusal', 'said'), [('550 no such user', '550 no such user'), ('451 later', '451 later'), ('', "'ada' is no")]
)
def test_doctor_tells_what_the_mail_server_said(command, mailbox, refusal, said):
    mailbox.refuses = refusal
    result = command('doctor', '--mail', 'ada@example.org' if refusal else 'ada')
    assert (result.exit_code, said in result.output) == (1, True), result.output
