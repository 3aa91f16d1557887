"""What becomes of people's data: handed over, deleted, forgotten."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from flask import current_app

from tests.accounts.conftest import PASSWORD
from tests.factories import answer, make_group, make_tasks, make_user, signed_in
from vulyk import jobs, signals
from vulyk.accounts import mails, privacy
from vulyk.accounts.models import RESET, Link
from vulyk.ext import consistency, counting
from vulyk.jobs import Job
from vulyk.models import audit
from vulyk.models.problems import Problem
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User

SECRETS = ('password', 'usernameKey')


@pytest.fixture
def kind(site):
    """The task type of the site."""
    return site.task_types['plain_task']


@pytest.fixture
def worked(ada, kind):
    """Ada has answered two tasks and has a third in hand, and others work too."""
    first, second, _ = make_tasks(kind, 3)
    ada.update(set__time_zone='Europe/Kyiv')
    ada.reload()
    answer(kind, first, ada, {'text': 'Ґ "quoted"'})
    answer(kind, second, ada)
    answer(kind, second, make_user())
    kind.get_next(ada)
    return ada


# --- handed over ------------------------------------------------------------------------------------------------------


def test_download_has_everything_and_no_secrets(hers, worked):
    SocialAccount(user=worked, provider='github', uid='77').save()
    Problem.tell(worked, 'plain_task', 'some task', 'It is upside down.', datetime.now(UTC))
    response = hers.get('/account/data')
    assert 'attachment' in response.headers['Content-Disposition']
    data = json.loads(response.text)
    assert (data['account']['username'], data['account']['email']) == ('ada', 'ada@example.org')
    assert (data['account']['has_password'], len(data['account']['sessions'])) == (True, 1)
    assert [one['result'] for one in data['answers']] == [{'text': 'Ґ "quoted"'}, {'x': 1}]
    assert [one['zone'] for one in data['work_sessions'] if 'end_time' in one] == ['Europe/Kyiv'] * 2
    assert (data['sign_in_services'][0]['uid'], data['progress'][0]['total']) == ('77', 2)
    assert data['problems'][0]['text'] == 'It is upside down.'
    assert not set(SECRETS) & set(data['account'])
    assert worked.reload().password not in response.text


# Every collection that names her, and the part of the download that tells of it.
PARTS = {
    'user': 'account',
    'reports': 'answers',
    'withdrawn_reports': 'withdrawn_answers',
    'work_sessions': 'work_sessions',
    'problems': 'problems',
    'user_social_auth': 'sign_in_services',
    'progress': 'progress',
    'tasks': 'skipped_tasks',
    'audit': 'records',
    'account_links': 'links',
    'jobs': 'mails',
}


def test_no_collection_that_names_somebody_is_left_out(hers, worked, kind):
    now, (skipped, gone) = datetime.now(UTC), make_tasks(kind, 2)
    SocialAccount(user=worked, provider='github', uid='77').save()
    Problem.tell(worked, 'plain_task', skipped.id, 'It is upside down.', now)
    kind.skip_task(task_id=skipped.id, user=worked)
    answer(kind, gone, worked)
    counting.withdraw(AbstractAnswer.objects.get(task=gone.id).pk, 2, by=None, reason='Too quick', now=now)
    audit.record('the keeper', 'user.reset_link', f'user {worked.id} ada', {'note': 'hers'})
    audit.record(worked, 'batch.update', 'batch b1', {'title': 'of somebody else'})
    Link.make(RESET, now, user=worked.id, email=worked.email)
    mails.send_reset(worked.email)
    data = json.loads(hers.get('/account/data').text)
    database, hints = User._get_db(), (str(worked.id), "'ada'", worked.email)
    everything = {name: str(list(database[name].find())) for name in database.list_collection_names()}
    assert {name for name, text in everything.items() if any(hint in text for hint in hints)} == set(PARTS)
    assert [part for part in PARTS.values() if not data[part]] == []
    assert data['withdrawn_answers'][0]['reason'] == 'Too quick'
    assert 'of somebody else' not in str(data['records'])
    assert Link.objects.get().id not in str(data)


def test_download_is_of_oneself_only(site, worked):
    other = make_user(consents=[{'version': '2', 'at': datetime.now(UTC)}])
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(other))
    data = json.loads(browser.get('/account/data').text)
    assert (data['answers'], data['account']['username']) == ([], other.username)


def test_who_has_no_address_gets_nothing_of_others_who_have_none(site, ada):
    user = make_user(username='bob', email=None, consents=[{'version': '2', 'at': datetime.now(UTC)}])
    Link.make(RESET, datetime.now(UTC), user=ada.id)
    mails.send_link(Link.make(RESET, datetime.now(UTC), user=ada.id))
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(user))
    data = json.loads(browser.get('/account/data').text)
    assert (data['links'], data['mails'], data['records']) == ([], [], [])


def test_features_add_their_part(hers, ada):
    def receiver(user):
        return {'birds': [{'seen_by': user.username}]}

    with signals.on_personal_data_asked.connected_to(receiver):
        assert json.loads(hers.get('/account/data').text)['birds'] == [{'seen_by': 'ada'}]


def test_features_are_asked_in_the_context_of_the_site(site, hers):
    def receiver(user):
        return {'birds': {'site': current_app.config['SITE_NAME']}}

    with signals.on_personal_data_asked.connected_to(receiver):
        assert json.loads(hers.get('/account/data').text)['birds'] == {'site': site.config['SITE_NAME']}


def test_profile_shows_what_is_stored(hers, worked):
    text = hers.get('/account').text
    assert '<dt>Answers</dt><dd>2</dd>' in text
    assert 'version 2' in text


# --- deleted ----------------------------------------------------------------------------------------------------------


def leave(browser, password=PASSWORD):
    return browser.post('/account/delete', data={'password': password})


def test_deleted_account_is_nobodys_and_its_answers_stay(hers, worked, kind, mailbox):
    assert leave(hers).location == '/'
    stored = User._get_collection().find_one({'_id': worked.id})
    name = stored.pop('username')
    assert name.startswith('deleted_')
    assert set(stored) == {
        '_id',
        'usernameKey',
        'password',
        'active',
        'admin',
        'groups',
        'last_login',
        'deletedAt',
        'processed',
    }
    assert (stored['password'], stored['active'], stored['groups'], stored['processed']) == ('', False, [], 2)
    assert AbstractAnswer.objects(created_by=worked.id).count() == 2
    assert {line['user']['username'] for lines in kind.export_reports('default', closed=False) for line in lines} >= {
        name
    }
    assert list(consistency.check()) == []


def test_nothing_in_the_database_tells_who_it_was(hers, worked, mailbox):
    Link.make(RESET, datetime.now(UTC), user=worked.id, email=worked.email)
    hers.post('/account/email', data={'email-email': 'ada.next@example.org', 'email-password': PASSWORD})
    SocialAccount(user=worked, provider='github', uid='7777777').save()
    leave(hers)
    assert mailbox.read()[0]['To'] == 'ada@example.org'
    database = User._get_db()
    everything = str([list(database[name].find()) for name in database.list_collection_names()])
    for word in ('ada@example.org', "'ada'", 'ada.next', '7777777', 'Kyiv', '127.0.0.1'):
        assert word not in everything, word


def test_deleted_account_is_signed_out_and_its_password_worth_nothing(hers, ada, site, mailbox):
    leave(hers)
    assert hers.get('/session').json['result']['user'] is None
    data = {'email': 'ada@example.org', 'password': PASSWORD}
    assert site.test_client().post('/sign-in', data=data).status_code == 401


def test_tasks_in_hand_are_free_at_once(hers, worked, kind):
    leave(hers)
    task = kind.task_model.objects(leases__user=worked.id).first()
    assert task is None


@pytest.mark.parametrize('password', ['', 'wrong'])
def test_nobody_is_deleted_without_his_password(hers, ada, password):
    assert leave(hers, password).status_code == 422
    assert ada.reload().active


def test_who_has_no_password_types_the_name(site):
    user = make_user(username='bob', consents=[{'version': '2', 'at': datetime.now(UTC)}])
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(user))
    assert browser.post('/account/delete', data={'username': 'bo'}).status_code == 422
    assert browser.post('/account/delete', data={'username': 'bob'}).status_code == 302


def test_page_says_what_goes_and_what_stays(hers, ada):
    text = hers.get('/account/delete').text
    assert 'What goes' in text
    assert 'What stays, and why' in text


def test_last_admin_stays(hers, ada):
    ada.update(set__admin=True)
    assert leave(hers).status_code == 409
    make_user(admin=True)
    assert leave(hers).status_code == 302


def test_feature_that_fails_keeps_everything(ada):
    def receiver(user):
        raise RuntimeError('not now')

    with signals.on_account_deleted.connected_to(receiver), pytest.raises(RuntimeError):
        privacy.delete(ada)
    assert ada.reload().username == 'ada'


# --- forgotten --------------------------------------------------------------------------------------------------------


def test_addresses_of_computers_are_forgotten_after_a_while(ada):
    ada.start_session(timedelta(days=90), address='192.0.2.1', agent='Firefox')
    now = datetime.now(UTC)
    privacy.expire(now + timedelta(days=29))
    assert ada.reload().sessions[-1].address == '192.0.2.1'
    privacy.expire(now + timedelta(days=31))
    assert (ada.reload().sessions[-1].address, ada.sessions[-1].agent) == (None, 'Firefox')


def test_sessions_that_are_over_are_forgotten(ada):
    ada.start_session(timedelta(hours=1))
    privacy.expire(datetime.now(UTC) + timedelta(hours=2))
    assert ada.reload().sessions == []


def test_sweeping_forgets_once_a_day(ada):
    ada.start_session(timedelta(hours=1), address='192.0.2.1')
    now = datetime.now(UTC)
    for hours, left in ((0, 1), (23, 1), (25, 0)):
        jobs.sweep(now + timedelta(hours=hours))
        assert len(ada.reload().sessions) == left


def test_mails_that_were_given_up_are_forgotten(site):
    old = datetime.now(UTC) - timedelta(days=31)
    Job(kind='vulyk.accounts.mails.mail_reset', args={'email': 'a@b.c'}, state='dead', run_at=old).save()
    Job(kind='somebody.else', state='dead', run_at=old).save()
    privacy.expire(datetime.now(UTC))
    assert Job.objects.get().kind == 'somebody.else'


def test_old_files_of_the_log_are_deleted_and_the_one_in_use_is_emptied(tmp_path):
    limit = datetime.now(UTC) - timedelta(days=30)
    for name, days in (('app.log', 31), ('app.log.2026-01-01', 31), ('app.log.2026-01-02', 29), ('other.log', 31)):
        file = tmp_path / name
        file.write_text('192.0.2.1')
        moment = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(file, (moment, moment))
    privacy.expire_log(tmp_path / 'app.log', limit)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        'app.log': '',
        'app.log.2026-01-02': '192.0.2.1',
        'other.log': '192.0.2.1',
    }


def test_deleted_account_frees_its_name_and_address(hers, ada, mailbox):
    leave(hers)
    assert not User.is_username_taken('ada')
    assert make_user(username='ada', email='ada@example.org').id != ada.id
    assert make_group('other', []).id == 'other'
    assert WorkSession.objects.count() == 0
