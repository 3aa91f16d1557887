"""People, groups and passwords."""

from datetime import UTC, datetime

import pytest
from bson import DBRef
from mongoengine.errors import ValidationError

from tests.factories import answer, make_group, make_tasks, make_user
from vulyk.models import schema
from vulyk.models.progress import distinct_totals
from vulyk.models.user import MIN_PASSWORD_LENGTH, Anonymous, Group, User


def group_ids(user: User) -> list[str]:
    return [group.id for group in user.reload().groups]


# --- the default group ------------------------------------------------------------------------------------------------


def test_new_member_is_put_into_the_default_group(app):
    assert group_ids(make_user()) == ['default']


def test_new_member_keeps_the_groups_he_comes_with(app):
    experts = make_group('experts', [])
    assert group_ids(make_user(groups=[experts])) == ['experts', 'default']


def test_saving_again_never_takes_a_group_away_and_never_adds_one(app):
    user = make_user()
    user.update(set__groups=[make_group('experts', [])])
    user.reload().save()
    assert group_ids(user) == ['experts']


def test_member_of_the_default_group_is_not_put_in_twice(app):
    assert group_ids(make_user(groups=[Group.objects.get(pk='default')])) == ['default']


def test_member_can_be_saved_before_there_is_a_default_group(app):
    Group.objects.delete()
    assert group_ids(make_user()) == []


def test_deleted_group_is_taken_out_of_its_members(app):
    experts = make_group('experts', ['plain_task'])
    user = make_user(groups=[experts])
    experts.delete()
    assert group_ids(user) == ['default']


# --- who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('groups', 'admin', 'eligible'),
    [
        ({}, False, False),
        ({'experts': ['other_task']}, False, False),
        ({'experts': ['plain_task']}, False, True),
        ({'a': ['other_task'], 'b': ['x', 'plain_task']}, False, True),
        ({}, True, True),
    ],
)
def test_user_may_do_what_one_of_his_groups_allows_and_an_admin_everything(app, groups, admin, eligible):
    Group.objects.delete()
    user = make_user(groups=[make_group(*group) for group in groups.items()], admin=admin)
    assert user.is_eligible_for('plain_task') is eligible


def test_group_that_no_longer_exists_allows_nothing_and_breaks_nothing(app):
    user = make_user()
    Group._get_collection().delete_many({})
    assert not user.reload().is_eligible_for('no_such_task')
    assert user.groups == [DBRef('groups', 'default')]


@pytest.mark.parametrize('nothing', ['', None])
def test_question_about_no_type_is_an_error(app, nothing):
    with pytest.raises(ValueError, match='Task type should be specified'):
        make_user().is_eligible_for(nothing)


def test_anonymous_visitor_may_do_nothing():
    visitor = Anonymous()
    assert (visitor.name, visitor.is_admin(), visitor.is_eligible_for('plain_task')) == ('Anonymous', False, False)
    assert (visitor.is_authenticated, visitor.is_anonymous) == (False, True)


@pytest.mark.parametrize('value', [True, False])
def test_states_are_documented_as_methods(value):
    assert User(active=value).is_active() is User(admin=value).is_admin() is value


# --- finding ----------------------------------------------------------------------------------------------------------


def test_user_is_found_by_his_id(app):
    user = make_user()
    assert User.get_by_id(str(user.id)) == User.get_by_id(user.id) == user


@pytest.mark.parametrize('user_id', ['', 'no id', '5f43a1b2c3d4e5f6a7b8c9d0', None, 7])
def test_nobody_is_found_by_an_id_that_does_not_exist(app, user_id):
    assert User.get_by_id(user_id) is None


def test_inactive_user_is_found_neither_by_id_nor_by_address(app):
    user = make_user(active=False)
    assert User.get_by_id(str(user.id)) is User.get_by_email(user.email) is None


@pytest.mark.parametrize('written', ['Ada@Example.org', 'ada@example.org', ' ADA@EXAMPLE.ORG\n'])
def test_address_is_found_whatever_its_case(app, written):
    user = make_user(email='Ada@example.org')
    assert User.get_by_email(written) == user


@pytest.mark.parametrize('written', ['', ' ', '.*', 'ada@example.or', 'ada', '^', 'ada@example.org\0', '('])
def test_address_is_never_a_pattern(app, written):
    make_user(email='ada@example.org')
    assert User.get_by_email(written) is None


def test_of_equal_addresses_the_oldest_account_is_found(app):
    oldest, _ = make_user(email='ada@example.org'), make_user(email='ben@example.org')
    User.objects.update(set__email='ADA@example.org', unset__email_key=1)  # as older versions stored it
    assert User.get_by_email('ada@example.org') == oldest


def test_migrated_accounts_are_not_all_looked_through_for_an_unknown_address(app):
    make_user(email='ada@example.org').update(unset__email_key=1)
    step = next(step for step in schema.STEPS if step.key == schema.ACCOUNTS)
    schema.begin(step, datetime.now(UTC))
    assert User.is_email_taken('ada@example.org')
    schema.finish(step, datetime.now(UTC))
    assert not User.is_email_taken('ada@example.org')


# --- what others see --------------------------------------------------------------------------------------------------


def test_public_view_of_a_member_has_no_address():
    assert User(username='ada', email='ada@example.org').as_dict() == {'username': 'ada', 'email': ''}


def test_member_without_an_address_can_be_saved(app):
    assert User(username='ada').save().reload().email is None


def test_member_without_a_name_cannot_be_saved(app):
    with pytest.raises(ValidationError, match='username'):
        User(email='ada@example.org').save()


# --- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('mine', 'others', 'stats'),
    [
        (0, [], {'total': 0, 'position': 0}),
        (0, [2], {'total': 0, 'position': 1}),
        (0, [5, 3, 3], {'total': 0, 'position': 2}),
        (1, [], {'total': 1, 'position': 1}),
        (3, [5, 4, 4], {'total': 3, 'position': 3}),
        (4, [5, 4, 4, 3], {'total': 4, 'position': 2}),
        (5, [5, 1], {'total': 5, 'position': 1}),
    ],
)
def test_position_is_the_dense_rank(plain, mine, others, stats):
    me, tasks = make_user(), make_tasks(plain, 5, batch=None)
    for number, user in [(mine, me), *((number, make_user()) for number in others)]:
        for task in tasks[:number]:
            answer(plain, task, user)
    assert me.get_stats(plain) == stats


def test_position_includes_my_last_answer_at_once_and_those_of_others_later(plain):
    me, other, tasks = make_user(), make_user(), make_tasks(plain, 3, batch=None)
    answer(plain, tasks[0], other)
    assert me.get_stats(plain) == {'total': 0, 'position': 1}
    answer(plain, tasks[1], other)
    for task in tasks:
        answer(plain, task, me)
    assert me.get_stats(plain) == {'total': 3, 'position': 1}
    assert other.get_stats(plain) == {'total': 2, 'position': 1}
    distinct_totals.forget()
    assert other.get_stats(plain) == {'total': 2, 'position': 2}


# --- passwords --------------------------------------------------------------------------------------------------------


def test_password_is_checked_and_never_stored():
    user = User(username='ada')
    user.set_password('correct horse')
    assert user.check_password('correct horse')
    assert not user.check_password('Correct horse')
    assert 'correct horse' not in user.password


@pytest.mark.parametrize('password', ['ſ🐝äöüß' * 20, 'a\0b and more', ' one  two three '])
def test_password_may_be_any_text(password):
    user = User(username='ada')
    user.set_password(password)
    assert user.check_password(password)
    assert not user.check_password(password + '\0')


def test_short_password_is_refused():
    with pytest.raises(ValueError, match=f'at least {MIN_PASSWORD_LENGTH}'):
        User(username='ada').set_password('x' * (MIN_PASSWORD_LENGTH - 1))


@pytest.mark.parametrize('stored', ['', 'plain text', '$argon2id$broken', None])
def test_account_without_a_usable_password_lets_nobody_in(stored):
    assert not User(username='ada', password=stored).check_password('')
    assert not User(username='ada', password=stored).check_password('plain text')
