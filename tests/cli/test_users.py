"""``user``: finding people, looking at an account, letting somebody in or not."""

import json

import pytest

from tests.factories import answer, make_group, make_tasks, make_user
from vulyk.models.audit import AuditRecord
from vulyk.models.user import User


@pytest.fixture
def ada(app) -> User:
    """A volunteer."""
    return make_user(username='ada', email='Ada@example.org', password='correct horse')


def names(result) -> list[str]:
    return [row['username'] for row in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ('options', 'found'),
    [
        ((), ['eve', 'ben', 'ada']),
        (('--limit', '1'), ['eve']),
        (('--search', 'EXAMPLE.org'), ['ada']),
        (('--search', 'b'), ['ben']),
        (('--search', '.'), ['eve', 'ben', 'ada']),
        (('--group', 'experts'), ['ben']),
        (('--admins',), ['eve', 'ben']),
        (('--inactive',), ['eve']),
        (('--inactive', '--search', 'ada'), []),
    ],
)
def test_people_are_found(runner, ada, options, found):
    make_user(username='ben', email='x@y.org', manages=['plain_task'], groups=[make_group('experts', [])])
    make_user(username='eve', email='e@y.org', admin=True, active=False)
    assert names(runner('user', 'list', '--json', *options)) == found


def test_people_are_listed_in_a_table(runner, ada):
    head, row = runner('user', 'list').stdout.splitlines()
    assert head.split()[:3] == ['Username', 'Email', 'Active']
    assert row.split()[:6] == ['ada', 'Ada@example.org', 'yes', 'no', 'default', '0']


@pytest.mark.parametrize('name', ['ada', 'ada@EXAMPLE.org', 'id'])
def test_user_is_shown_by_name_address_or_id(runner, plain, ada, name):
    answer(plain, make_tasks(plain, 1)[0], ada)
    facts = json.loads(runner('user', 'show', str(ada.id) if name == 'id' else name, '--json').stdout)
    assert (
        facts.items()
        >= {
            'username': 'ada',
            'answers_by_type': {'plain_task': 1},
            'sign_in_methods': ['password'],
            'may_work_on': ['plain_task'],
            'groups': ['default'],
        }.items()
    )
    assert 'argon2' not in str(facts)


def test_what_is_shown_can_be_read_by_people(runner, ada):
    shown = runner('user', 'show', 'ada').stdout
    assert 'Sign in methods  password\n' in shown
    assert 'Active           yes\n' in shown


def test_user_who_is_switched_off_is_out_until_switched_on(runner, login, ada):
    browser = login(ada)
    assert runner('user', 'deactivate', 'ada').exit_code == 0
    assert browser.get('/session').json['result']['user'] is None
    assert runner('user', 'activate', 'ada').exit_code == 0
    assert browser.get('/session').json['result']['user'] is None, 'the old session stays over'
    assert login(ada).get('/session').json['result']['user'] == str(ada.id)
    assert [record.after.get('active') for record in AuditRecord.objects.order_by('id')] == [False, True]
    assert 'on the command line' in AuditRecord.objects.first().actor


def test_last_admin_is_not_switched_off(runner, ada):
    ada.update(set__admin=True)
    result = runner('user', 'deactivate', 'ada')
    assert (result.exit_code, 'is the last active admin' in result.output) == (1, True)
    assert (ada.reload().active, AuditRecord.objects.count()) == (True, 0)
    make_user(admin=True)
    assert runner('user', 'deactivate', 'ada').exit_code == 0


def test_deleted_account_is_not_switched_on(runner, ada):
    ada.update(set__active=False, set__deleted_at=ada.last_login)
    result = runner('user', 'activate', 'ada')
    assert (result.exit_code, 'has been deleted' in result.output, ada.reload().active) == (1, True, False)


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (('show', 'nobody'), "There is nobody called 'nobody'"),
        (('deactivate', ''), "There is nobody called ''"),
        (('activate', 'a\0'), 'There is nobody called'),
        (('show', 'x' * 300), 'There is nobody called'),
        (('show',), 'Missing argument'),
        (('list', '--group', 'nothing'), "There is no group 'nothing'. There are: default"),
        (('list', '--search', '\0'), 'is looked for'),
        (('list', '--limit', '0'), 'is not in the range'),
    ],
)
def test_wrong_use_is_refused(runner, ada, command, reason):
    result = runner('user', *command)
    assert (result.exit_code, reason in result.output) == (2, True), result.output


def test_of_several_users_of_one_name_the_ids_are_named(runner, ada):
    other = make_user()
    User.objects(pk=other.id).update_one(set__username='ada')
    result = runner('user', 'deactivate', 'ada')
    assert (result.exit_code, f'{ada.id}, {other.id}' in result.output) == (2, True)
    assert runner('user', 'deactivate', str(other.id)).exit_code == 0


@pytest.mark.parametrize(
    ('command', 'record'),
    [
        (('admin', 'add', 'ada@example.org'), ('user.update', {'admin': True})),
        (('admin', 'add', 'ada@example.org', '--project', 'plain_task'), ('user.update', {'manages': ['plain_task']})),
        (('group', 'resign', '--username', 'ada', '--gid', 'default'), ('user.update', {'groups': []})),
        (
            ('group', 'deltype', '--gid', 'default', '--task_type', 'plain_task'),
            ('group.update', {'allowed_types': []}),
        ),
        (('group', 'del', '--gid', 'default', '--yes'), ('group.delete', None)),
    ],
)
def test_what_commands_change_is_in_the_audit_log(runner, ada, command, record):
    assert runner(*command).exit_code == 0
    found = AuditRecord.objects.get()
    assert (found.action, found.after) == record


def test_admin_made_by_a_command_is_in_the_audit_log_without_the_password(runner, app):
    runner('admin', 'create', '--email', 'eve@example.org', '--username', 'eve', '--password', 'correct horse')
    found = AuditRecord.objects.get()
    assert (found.action, found.after['admin'], found.after['password']) == ('user.create', True, '(not shown)')


def test_groups_and_admins_are_json_for_scripts(runner, ada):
    assert json.loads(runner('group', 'list', '--json').stdout) == [
        {'id': 'default', 'description': 'default', 'allowed_types': ['plain_task']}
    ]
    assert json.loads(runner('admin', 'list', '--json').stdout) == [
        {'username': 'ada', 'email': 'Ada@example.org', 'active': True, 'admin': False, 'manages': []}
    ]
