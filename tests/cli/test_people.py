"""``init``, ``admin`` and ``group``."""

import pytest

from tests.factories import make_group, make_user
from vulyk.models.user import Group, User


def groups_of(user) -> list[str]:
    return [group.id for group in user.reload().groups]


def types_of(gid: str) -> list[str]:
    return Group.objects.get(pk=gid).allowed_types


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_makes_the_default_group_and_puts_everybody_into_it(runner):
    Group.objects.delete()
    user = make_user()
    result = runner('init', 'plain_task')
    assert (result.exit_code, result.stdout) == (0, '')
    assert (types_of('default'), groups_of(user)) == (['plain_task'], ['default'])


def test_init_again_sets_exactly_these_types_and_keeps_other_groups(runner, other):
    user = make_user(groups=[make_group('experts', ['x'])])
    assert runner('init', 'other_task').exit_code == 0
    assert (types_of('default'), types_of('experts')) == (['other_task'], ['x'])
    assert sorted(groups_of(user)) == ['default', 'experts']


def test_init_takes_several_types(runner, other):
    runner('init', 'plain_task', 'other_task')
    assert types_of('default') == ['plain_task', 'other_task']


def test_init_without_a_type_is_refused(runner):
    result = runner('init')
    assert (result.exit_code, 'Please specify at least one default task type' in result.output) == (2, True)
    assert types_of('default') == ['plain_task']


def test_init_with_an_unknown_type_changes_nothing(runner):
    result = runner('init', 'plain_task', 'no_such_type')
    assert (result.exit_code, "There is no task type 'no_such_type'" in result.output) == (2, True)
    assert types_of('default') == ['plain_task']


# --- admin ------------------------------------------------------------------------------------------------------------


def test_admins_and_others_are_listed(runner):
    make_user(email='b@example.org')
    assert runner('admin', 'list').stdout == 'No admins found\nRest of users are:\n- b@example.org\n'
    make_user(email='a@example.org', admin=True)
    assert runner('admin', 'list').stdout == (
        'Allowed admins are\n- a@example.org\nRest of users are:\n- b@example.org\n'
    )


def test_user_without_an_address_is_listed_by_name(runner):
    User(username='ada').save()
    assert '- ada\n' in runner('admin', 'list').stdout


@pytest.mark.parametrize('written', ['ada@example.org', 'ADA@example.org'])
def test_user_is_made_an_admin_and_no_admin_any_more(runner, written):
    user = make_user(email='Ada@example.org')
    for command, admin in (('add', True), ('remove', False)):
        result = runner('admin', command, written)
        assert (result.exit_code, 'Done' in result.output, user.reload().admin) == (0, True, admin)


def test_user_is_made_admin_of_a_project_and_no_more(runner, other):
    user = make_user(email='ada@example.org')
    runner('admin', 'add', 'ada@example.org', '--project', 'plain_task', '--project', 'other_task')
    assert (user.reload().manages, user.admin) == (['plain_task', 'other_task'], False)
    runner('admin', 'remove', 'ada@example.org', '--project', 'other_task')
    assert user.reload().manages == ['plain_task']
    assert '- ada@example.org (project admin of plain_task)\n' in runner('admin', 'list').stdout


def test_unknown_project_is_refused(runner):
    user = make_user(email='ada@example.org')
    result = runner('admin', 'add', 'ada@example.org', '--project', 'no_such_type')
    assert (result.exit_code, "There is no task type 'no_such_type'" in result.output) == (2, True)
    assert (user.reload().manages, user.admin) == ([], False)


@pytest.mark.parametrize('command', ['add', 'remove'])
def test_unknown_address_is_refused(runner, command):
    user = make_user(email='ada@example.org')
    result = runner('admin', command, '.*@example.org')
    assert (result.exit_code, 'User .*@example.org does not exist' in result.output) == (2, True)
    assert not user.reload().admin


def test_address_is_needed(runner):
    assert runner('admin', 'add').exit_code == 2


def test_first_admin_is_created_with_a_password(runner):
    result = runner('admin', 'create', text='ada@example.org\nada\ncorrect horse\ncorrect horse\n')
    assert result.exit_code == 0
    user = User.objects.get()
    assert (user.email, user.username, user.admin, user.check_password('correct horse')) == (
        'ada@example.org',
        'ada',
        True,
        True,
    )
    assert 'correct horse' not in result.output


GIVEN = {'email': 'ada@example.org', 'username': 'ada', 'password': 'correct horse'}


@pytest.mark.parametrize(
    ('wrong', 'reason'),
    [
        ({'email': 'ada'}, 'is not an e-mail address'),
        ({'email': ''}, 'is not an e-mail address'),
        ({'username': ' '}, '1 to 50 characters'),
        ({'username': 'ada@example.org'}, 'no addresses'),
        ({'password': 'short'}, 'too short'),
        ({'email': 'TAKEN@example.org'}, 'has an account already'),
        ({'username': 'Taken'}, 'is taken'),
        ({'username': 'x' * 51}, '1 to 50 characters'),
    ],
)
def test_admin_that_cannot_be_is_refused(runner, wrong, reason):
    make_user(username='taken', email='taken@example.org')
    options = [part for name, value in {**GIVEN, **wrong}.items() for part in (f'--{name}', value)]
    result = runner('admin', 'create', *options)
    assert (result.exit_code, reason in result.output, User.objects.count()) == (2, True, 1)
    assert 'Traceback' not in result.output


# --- group ------------------------------------------------------------------------------------------------------------


def test_groups_are_listed(runner):
    make_group('experts', [])
    assert runner('group', 'list').stdout == (
        "Group ID: default. Allowed types: ['plain_task']\nGroup ID: experts. Allowed types: []\n"
    )


def test_group_is_added_by_options_or_by_questions(runner):
    assert runner('group', 'add', '--gid', 'g1', '--description', 'first').exit_code == 0
    assert runner('group', 'add', text='g2\nsecond\n').exit_code == 0
    assert {group.id: group.description for group in Group.objects(pk__ne='default')} == {'g1': 'first', 'g2': 'second'}


@pytest.mark.parametrize('gid', ['', 'g', '_a', 'a^b', 'a b', 'ä1', 'a-b', 'x' * 101, 'ab\n'])
def test_impossible_group_id_is_refused(runner, gid):
    result = runner('group', 'add', '--gid', gid, '--description', '')
    assert (result.exit_code, 'is not a group id' in result.output, Group.objects.count()) == (2, True, 1)


@pytest.mark.parametrize('gid', ['ab', 'A1', '1_', 'x' * 100])
def test_possible_group_id_is_taken(runner, gid):
    assert runner('group', 'add', '--gid', gid, '--description', '').exit_code == 0
    assert Group.objects.get(pk=gid)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (('--gid', 'default', '--description', 'x'), 'Group default exists already'),
        (('--gid', 'g1', '--description', 'x' * 201), 'more than 200 characters'),
    ],
)
def test_group_that_cannot_be_added_is_refused(runner, options, reason):
    result = runner('group', 'add', *options)
    assert (result.exit_code, reason in result.output, Group.objects.count()) == (2, True, 1)
    assert types_of('default') == ['plain_task']


def test_group_is_deleted_and_its_members_stay(runner):
    user = make_user(groups=[make_group('experts', [])])
    assert runner('group', 'del', '--gid', 'experts', '--yes').exit_code == 0
    assert (groups_of(user), Group.objects(pk='experts').count()) == (['default'], 0)


def test_group_is_not_deleted_without_a_yes(runner):
    make_group('experts', [])
    assert runner('group', 'del', '--gid', 'experts', text='n\n').exit_code == 1
    assert Group.objects(pk='experts').count() == 1


def test_user_is_assigned_once_and_resigned(runner):
    user = make_user(username='ada')
    make_group('experts', [])
    for _ in range(2):
        assert runner('group', 'assign', '--username', 'ada', '--gid', 'experts').exit_code == 0
    assert groups_of(user) == ['default', 'experts']
    assert runner('group', 'resign', text='ada\nexperts\n').exit_code == 0
    assert groups_of(user) == ['default']


def test_type_is_allowed_once_and_no_longer(runner, other):
    for _ in range(2):
        assert runner('group', 'addtype', '--gid', 'default', '--task_type', 'other_task').exit_code == 0
    assert types_of('default') == ['plain_task', 'other_task']
    assert runner('group', 'deltype', '--gid', 'default', '--task_type', 'plain_task').exit_code == 0
    assert types_of('default') == ['other_task']


def test_type_of_a_plugin_that_is_gone_can_be_taken_away(runner):
    make_group('old', ['gone_task'])
    assert runner('group', 'deltype', '--gid', 'old', '--task_type', 'gone_task').exit_code == 0
    assert types_of('old') == []


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (('del', '--gid', 'nothing', '--yes'), "There is no group 'nothing'. There are: default"),
        (('assign', '--username', 'nobody', '--gid', 'default'), "There is no user 'nobody'"),
        (('assign', '--username', 'ada', '--gid', 'nothing'), "There is no group 'nothing'"),
        (('resign', '--username', 'nobody', '--gid', 'default'), "There is no user 'nobody'"),
        (('resign', '--username', 'ada', '--gid', 'nothing'), "There is no group 'nothing'"),
        (('addtype', '--gid', 'nothing', '--task_type', 'plain_task'), "There is no group 'nothing'"),
        (('addtype', '--gid', 'default', '--task_type', 'nothing'), "There is no task type 'nothing'"),
        (('deltype', '--gid', 'nothing', '--task_type', 'plain_task'), "There is no group 'nothing'"),
        (('nothing',), 'No such command'),
    ],
)
def test_wrong_use_of_group_is_refused_and_changes_nothing(runner, command, reason):
    user = make_user(username='ada')
    result = runner('group', *command)
    assert (result.exit_code, reason in result.output) == (2, True)
    assert (groups_of(user), types_of('default'), Group.objects.count()) == (['default'], ['plain_task'], 1)
