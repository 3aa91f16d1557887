"""The admin pages of the game."""

import io

import pytest
from PIL import Image

from tests.factories import make_user
from tests.gamification.play import amounts_of, facts_of, make_rule, state_of, work_all
from tests.gamification.test_api import make_fund, picture, rich
from vulyk.blueprints.gamification.core.rules import stable_id
from vulyk.blueprints.gamification.game import EXTENSION, Game
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.blueprints.gamification.services import DonationsService
from vulyk.models.audit import AuditRecord

VIEWS = ['rulemodel', 'fundmodel', 'eventmodel', 'userstatemodel']


@pytest.fixture
def admin(login):
    """The browser of an admin."""
    return login(make_user(username='keeper', admin=True))


RULE = {
    'name': 'Ten',
    'task_type_name': '',
    'description': 'd',
    'badge': 'ten.svg',
    'bonus': '5',
    'tasks_number': '10',
    'days_number': '0',
    'semantics': 'vulyk',
    'enabled': 'y',
}
FUND = {'id': 'lamp', 'name': 'Lamp', 'description': 'd', 'site': '', 'email': '', 'donatable': 'y'}


@pytest.mark.parametrize('view', VIEWS)
def test_pages_are_for_admins(client, mine, admin, view):
    assert client.get(f'/admin/{view}/').status_code == 302
    assert mine.get(f'/admin/{view}/').status_code == 403
    assert admin.get(f'/admin/{view}/').status_code == 200


def test_rule_is_created_with_its_lasting_id(admin):
    answer = admin.post('/admin/rulemodel/new/', data={**RULE, 'task_type_name': 'game_task', 'is_weekend': 'y'})
    assert answer.status_code == 302
    rule = RuleModel.objects.get()
    assert (rule.id, rule.version, rule.is_weekend, rule.is_adjacent) == (stable_id('Ten', 'game_task'), 1, True, False)
    assert 'Ten' in admin.get('/admin/rulemodel/').text


def test_edited_rule_keeps_its_id_and_counts_its_version(admin):
    rule = make_rule('Ten', tasks_number=3)
    page = admin.get(f'/admin/rulemodel/edit/?id={rule.id}').text
    assert rule.id in page
    answer = admin.post(f'/admin/rulemodel/edit/?id={rule.id}', data={**RULE, 'name': 'Twelve', 'tasks_number': '12'})
    assert answer.status_code == 302
    model = RuleModel.objects.get()
    assert (model.id, model.name, model.tasks_number, model.version) == (rule.id, 'Twelve', 12, 2)


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'tasks_number': '0'}, 'tasks_number'),
        ({'tasks_number': '-1'}, 'at least 0'),
        ({'bonus': '-1'}, 'at least 0'),
        ({'bonus': 'x'}, 'Not a valid integer'),
        ({'is_adjacent': 'y'}, 'is_adjacent'),
        ({'tasks_number': '0', 'days_number': '5000', 'is_adjacent': 'y'}, 'days_number'),
        ({'name': '  '}, 'name'),
        ({'name': 'Taken'}, 'Taken'),
        ({'name': 'Taken', 'task_type_name': 'game_task'}, 'Taken'),
        ({'semantics': 'moon'}, 'Not a valid choice'),
        ({'task_type_name': 'nothing'}, 'Not a valid choice'),
    ],
)
def test_what_the_parser_would_refuse_cannot_be_saved(admin, change, text):
    make_rule('Taken', tasks_number=1)
    answer = admin.post('/admin/rulemodel/new/', data={**RULE, **change})
    assert answer.status_code == 200
    assert text in answer.text
    assert RuleModel.objects.count() == 1


def test_edit_that_makes_no_rule_is_refused(admin):
    rule = make_rule('Ten', tasks_number=3)
    answer = admin.post(f'/admin/rulemodel/edit/?id={rule.id}', data={**RULE, 'tasks_number': '0'})
    assert (answer.status_code, 'tasks_number' in answer.text) == (200, True)
    assert RuleModel.objects.get().tasks_number == 3


def test_old_name_of_a_renamed_rule_does_not_replace_it(admin):
    rule = make_rule('Ten', tasks_number=3)
    RuleModel.objects(pk=rule.id).update_one(set__name='Other')
    answer = admin.post('/admin/rulemodel/new/', data=RULE)
    assert (answer.status_code, 'choose another' in answer.text) == (200, True)
    assert RuleModel.objects.get().name == 'Other'


def test_button_gives_badges_for_the_past(admin, play, member):
    play.answers(member, 2)
    rule = make_rule(tasks_number=2, bonus=3)
    answer = admin.post('/admin/rulemodel/action/', data={'action': 'backfill', 'rowid': [rule.id]})
    assert answer.status_code == 302
    assert AuditRecord.objects.get(action='rules.backfill').after == {'rules': [rule.id]}
    work_all()
    assert state_of(member)['achievements'] == [rule.id]
    assert amounts_of(member)[0] == 5


def test_deleted_rule_leaves_the_badges(admin, play, member):
    rule = make_rule('Gone', tasks_number=1)
    play.answer(member)
    admin.post('/admin/rulemodel/delete/', data={'id': rule.id})
    assert RuleModel.objects.count() == 0
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]


def test_pictures_to_choose_from_come_from_the_settings(app, admin, make_app):
    app.extensions[EXTENSION] = Game(badges=('a.svg', 'b.svg'))
    from vulyk.blueprints.gamification.admin import RuleView

    with app.app_context():
        view = RuleView(RuleModel, name='Again', endpoint='again')
        form = view.create_form()
        assert form.badge.choices == [('a.svg', 'a.svg'), ('b.svg', 'b.svg')]
    app.extensions[EXTENSION] = Game(currency='EUR')


def test_fund_is_created_with_its_logo(admin, client):
    answer = admin.post(
        '/admin/fundmodel/new/',
        data={**FUND, 'logo': (picture(), 'logo.png')},
        content_type='multipart/form-data',
    )
    assert answer.status_code == 302
    assert client.get('/gamification/funds/lamp/logo').content_type == 'image/png'


def test_of_a_logo_the_picture_only_is_kept(admin, client):
    smuggled, content = b'<script>alert(1)</script>', io.BytesIO()
    facts = Image.Exif()
    facts[0x010E] = smuggled.decode()  # its description
    Image.new('RGB', (30, 20), 'white').save(content, 'JPEG', exif=facts, comment=smuggled)
    logo = io.BytesIO(content.getvalue() + smuggled)
    admin.post('/admin/fundmodel/new/', data={**FUND, 'logo': (logo, 'a.html')}, content_type='multipart/form-data')
    shown = client.get('/gamification/funds/lamp/logo')
    assert (shown.content_type, smuggled in shown.data) == ('image/jpeg', False)
    assert Image.open(io.BytesIO(shown.data)).size == (30, 20)
    assert shown.headers['X-Content-Type-Options'] == 'nosniff'
    assert shown.headers['Content-Security-Policy'].endswith('sandbox')


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'logo': (io.BytesIO(b'<svg/>'), 'logo.svg')}, 'not a picture'),
        ({'site': 'javascript:alert(1)'}, 'https://'),
        ({'id': 'a/b'}, 'Use up to 50'),
        ({'email': 'nobody'}, 'not a valid address'),
    ],
)
def test_fund_that_cannot_be_is_refused(admin, change, text):
    answer = admin.post('/admin/fundmodel/new/', data={**FUND, **change}, content_type='multipart/form-data')
    assert (answer.status_code, text in answer.text) == (200, True)
    assert FundModel.objects.count() == 0


def test_logo_is_shown_in_the_form_and_can_be_deleted_there(admin):
    make_fund(logo=picture())
    form = admin.get('/admin/fundmodel/edit/?id=lamp').text
    assert 'alt="Open the picture"' in form
    assert '<label><input type="checkbox" name="_logo-delete"> Delete</label>' in form
    admin.post(
        '/admin/fundmodel/edit/?id=lamp', data={**FUND, '_logo-delete': 'on'}, content_type='multipart/form-data'
    )
    assert not FundModel.objects.get().logo
    assert '_logo-delete' not in admin.get('/admin/fundmodel/edit/?id=lamp').text


def test_fund_with_donations_cannot_be_deleted(admin, play, member):
    make_fund(logo=picture())
    make_fund('empty', logo=picture())
    rich(play, member)
    DonationsService(member, 'lamp', 1).donate()
    for fund in ('lamp', 'empty'):
        admin.post('/admin/fundmodel/delete/', data={'id': fund})
    assert [fund.id for fund in FundModel.objects] == ['lamp']
    assert FundModel._get_db()['images.files'].count_documents({}) == 2


def test_events_and_states_can_be_looked_at_but_not_changed(admin, play, member):
    make_rule('Beginner', tasks_number=1)
    play.answers(member, 2, points_per_task='0.5')
    events, states = admin.get('/admin/eventmodel/').text, admin.get('/admin/userstatemodel/').text
    assert 'Beginner' in events
    assert member.username in events
    assert '0.5' in events
    assert member.username in states
    fact = facts_of(member)[0]
    assert fact['source'] in admin.get(f'/admin/eventmodel/details/?id={fact["_id"]}').text
    assert member.username in admin.get(f'/admin/userstatemodel/details/?id={state_of(member)["_id"]}').text
    for view in ('eventmodel', 'userstatemodel'):
        assert admin.post(f'/admin/{view}/new/', data={}).status_code in (302, 403, 404)
        admin.post(f'/admin/{view}/delete/', data={'id': str(fact['_id'])})
    assert len(facts_of(member)) == 2


def test_filters_find_events(admin, play, member):
    other = make_user()
    play.answer(member)
    play.answer(other)
    page = admin.get('/admin/eventmodel/?flt0_0=ada').text
    assert 'ada' in page
    assert other.username not in page
