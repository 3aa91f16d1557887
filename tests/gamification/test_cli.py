"""The commands of the game, and everything they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import make_user
from tests.gamification.play import amounts_of, make_rule, state_of
from tests.gamification.test_api import make_fund, picture, rich
from tests.gamification.test_core import RULE
from vulyk import control
from vulyk.blueprints.gamification.exchange import ExchangeError, import_funds
from vulyk.blueprints.gamification.game import from_settings
from vulyk.blueprints.gamification.models.foundations import FundModel, PayoutModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.blueprints.gamification.services import DonationsService
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import InitializationError
from vulyk.texts import PSEUDO


@pytest.fixture
def game(runner):
    """Runs a command of the game: ``game('rules', 'list')``."""
    return lambda *arguments: runner('gamification', *map(str, arguments))


def write(path: Path, *values: Any) -> Path:
    """A file of JSON lines."""
    path.write_text(''.join(json.dumps(value) + '\n' for value in values), encoding='utf-8')
    return path


def documents() -> list[dict]:
    return [*RuleModel._get_collection().find(sort=[('_id', 1)]), *FundModel._get_collection().find(sort=[('_id', 1)])]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_rules_are_imported_listed_and_exported(game, tmp_path):
    own = {**RULE, 'name': 'Own', 'task_type_name': 'game_task', 'days_number': 3}
    done = game('rules', 'import', write(tmp_path / 'rules.jsonl', RULE, own))
    assert (done.exit_code, done.stdout) == (0, 'rules: 2 new, 0 changed, 0 unchanged\n')
    listed = game('rules', 'list').stdout
    assert 'all projects  Ten: 10 tasks, bonus 5, 0 have it' in listed
    assert 'game_task  Own: 10 tasks in 3 days, bonus 5' in listed
    target = tmp_path / 'out.json'
    assert game('rules', 'export', target).exit_code == 0
    assert json.loads(target.read_text()) == [RULE, own]
    assert game('rules', 'import', target).stdout == 'rules: 0 new, 0 changed, 2 unchanged\n'
    assert json.loads(game('rules', 'export').stdout) == [RULE, own]


def test_what_operators_do_is_in_the_audit_log(game, play, tmp_path, logo, donated):
    month_now = month(game)
    game('rules', 'import', write(tmp_path / 'r', RULE))
    game('funds', 'import', write(tmp_path / 'f', {**FUND, 'id': 'two', 'name': 'Two', 'logo': logo.name}))
    game('funds', 'payouts', '--fund', 'lamp', '--period', month_now, '--mark-paid', '--reference', 'transfer 7')
    game('backfill')
    found = {record.action: record for record in AuditRecord.objects}
    assert set(found) == {'rules.import', 'funds.import', 'fund.payout', 'rules.backfill'}
    assert found['fund.payout'].after == {'amount': '2', 'period': month_now, 'reference': 'transfer 7'}
    assert found['rules.import'].after == {'new': 1, 'changed': 0, 'unchanged': 0}


def test_changed_rule_is_a_new_version(game, tmp_path):
    game('rules', 'import', write(tmp_path / 'a', RULE))
    done = game('rules', 'import', write(tmp_path / 'b', {**RULE, 'bonus': 9}))
    assert done.stdout == 'rules: 0 new, 1 changed, 0 unchanged\n'
    model = RuleModel.objects.get()
    assert (model.bonus, model.version) == (9, 2)


def test_stored_rule_that_is_none_is_listed_and_not_exported(game, tmp_path):
    RuleModel._get_collection().insert_one({'_id': 'x', '_cls': 'RuleModel', 'name': 'old'})
    assert 'x  old: no rule (tasks_number, days_number:' in game('rules', 'list').stdout
    done = game('rules', 'export', tmp_path / 'out.json')
    assert (done.exit_code, 'rule x (old)' in done.stderr, (tmp_path / 'out.json').exists()) == (1, True, False)


GOOD = json.dumps(RULE)


@pytest.mark.parametrize(
    ('text', 'line', 'reason'),
    [
        (f'{GOOD}\n{json.dumps({**RULE, "name": "B", "bonus": -1})}\n', 2, 'bonus'),
        (f'[\n{GOOD},\n\n{json.dumps({**RULE, "name": "B", "tasks_number": 0})}]', 4, 'tasks_number'),
        (f'{GOOD}\n{GOOD}\n', 2, 'used on line 1 already'),
        (f'{GOOD}\n{{"name": "B"}}', 2, 'missing'),
        (f'{GOOD}\n\n{{"name": }}', 3, 'not valid JSON'),
        (f'[{GOOD},\n]', 2, 'a value was expected'),
        (f'[{GOOD}\n{GOOD}]', 2, '“,” was expected'),
        (f'[{GOOD}]\nx', 2, 'after the end of the list'),
        (f'{GOOD}\n[1, 2', 2, 'not valid JSON'),
        (f'{GOOD}\n3', 2, 'must be a JSON object'),
        (f'{GOOD}\nNaN', 2, 'not valid JSON'),
        (f'{GOOD}\n{json.dumps({**RULE, "name": "B", "task_type_name": "gone"})}', 2, "no task type 'gone'"),
        (f'{GOOD}\n{json.dumps({**RULE, "name": "Taken", "task_type_name": "game_task"})}', 2, 'belongs to a rule'),
    ],
)
def test_bad_file_of_rules_is_refused_with_line_and_reason_and_nothing_changes(game, tmp_path, text, line, reason):
    make_rule('Taken', tasks_number=1)
    before, path = documents(), tmp_path / 'rules.json'
    path.write_text(text, encoding='utf-8')
    done = game('rules', 'import', path)
    assert done.exit_code == 2
    assert f'{path}, line {line}: ' in done.stderr
    assert reason in done.stderr
    assert documents() == before


@pytest.mark.parametrize(('content', 'reason'), [(b'\xff\xfe', 'UTF-8'), (b'', '')])
def test_file_that_is_no_text_is_refused_and_an_empty_one_is_fine(game, tmp_path, content, reason):
    path = tmp_path / 'rules.json'
    path.write_bytes(content)
    done = game('rules', 'import', path)
    assert (done.exit_code, reason in done.stderr) == (2 if reason else 0, True)
    assert documents() == []


@pytest.mark.parametrize('what', ['rules', 'funds'])
def test_missing_file_is_refused(game, tmp_path, what):
    assert game(what, 'import', tmp_path / 'nothing').exit_code == 2


# --- funds ------------------------------------------------------------------------------------------------------------

FUND = {'id': 'lamp', 'name': 'Lamp', 'description': 'd', 'site': 'https://lamp.example', 'email': 'a@lamp.example'}


@pytest.fixture
def logo(tmp_path):
    path = tmp_path / 'logo.png'
    path.write_bytes(picture().read())
    return path


def test_funds_are_imported_listed_and_exported(game, tmp_path, logo):
    path = write(tmp_path / 'funds.json', {**FUND, 'logo': logo.name}, {'id': 'b', 'name': 'B', 'donatable': False})
    assert game('funds', 'import', path).stdout == 'funds: 2 new, 0 changed, 0 unchanged\n'
    assert game('funds', 'import', path).stdout == 'funds: 0 new, 0 changed, 2 unchanged\n'
    listed = game('funds', 'list').stdout
    assert 'lamp  Lamp: takes donations, with logo' in listed
    assert 'b  B: takes no donations, without logo' in listed
    folder = tmp_path / 'out'
    folder.mkdir()
    assert game('funds', 'export', folder / 'funds.json').stdout == '2 funds\n'
    written = json.loads((folder / 'funds.json').read_text())
    assert written[1] == {**FUND, 'donatable': True, 'logo': 'lamp.png'}
    FundModel.objects.delete()
    assert game('funds', 'import', folder / 'funds.json').stdout == 'funds: 2 new, 0 changed, 0 unchanged\n'


def test_changed_fund_gets_its_new_picture(game, tmp_path, logo):
    path = write(tmp_path / 'funds.json', {**FUND, 'logo': logo.name})
    game('funds', 'import', path)
    logo.write_bytes(picture('GIF').read())
    assert game('funds', 'import', path).stdout == 'funds: 0 new, 1 changed, 0 unchanged\n'
    assert FundModel.objects.get().logo.format == 'GIF'
    assert FundModel._get_db()['images.files'].count_documents({}) == 2  # the picture and its thumbnail


BAD_FUNDS = [
    ({'name': 'x'}, 'id: missing'),
    ({'id': 'x'}, 'name: missing'),
    ({'id': 'x', 'name': 'X', 'colour': 'red'}, 'colour: no such field'),
    ({'id': 'x' * 51, 'name': 'X'}, 'id'),
    ({'id': 'a/b', 'name': 'X'}, 'slash'),
    ({'id': 7, 'name': 'X'}, 'must be a text'),
    ({'id': 'x', 'name': 'X', 'email': 'nobody'}, 'email'),
    ({'id': 'x', 'name': 'X', 'site': 'javascript:alert(1)'}, 'site'),
    ({'id': 'x', 'name': 'X', 'donatable': 'yes'}, 'donatable'),
    ({'id': 'x', 'name': 'X', 'logo': 'missing.png'}, 'cannot be read'),
    ({'id': 'x', 'name': 'X', 'logo': 'text.png'}, 'not a picture'),
    ({'id': 'x', 'name': 'X', 'logo': 5}, 'name of a picture'),
    ({'id': 'lamp', 'name': 'X'}, 'used on line 1 already'),
    ('x', 'must be a JSON object'),
]


@pytest.mark.parametrize(('fund', 'reason'), BAD_FUNDS)
def test_bad_file_of_funds_is_refused_with_line_and_reason_and_nothing_changes(game, tmp_path, fund, reason):
    make_fund('old')
    before = documents()
    (tmp_path / 'text.png').write_text('no picture')
    path = write(tmp_path / 'funds.json', FUND, fund)
    done = game('funds', 'import', path)
    assert done.exit_code == 2
    assert f'{path}, line 2: ' in done.stderr
    assert reason in done.stderr
    assert documents() == before
    assert FundModel._get_db()['images.files'].count_documents({}) == 0


def test_every_reason_can_be_translated(app, monkeypatch, tmp_path):
    monkeypatch.setitem(app.config, 'LANGUAGE', PSEUDO)
    (tmp_path / 'text.png').write_text('no picture')
    files = [json.dumps(fund) for fund, reason in BAD_FUNDS if 'line 1' not in reason and fund != 'x']
    files += [f'[{json.dumps(FUND)}{end}' for end in (',]', '] x', ' 1]')]
    for text in files:
        (tmp_path / 'funds.json').write_text(text)
        with pytest.raises(ExchangeError, match='⟦.*⟦.*⟧.*⟧'):  # the sentence, and the reason in it
            import_funds(tmp_path / 'funds.json')
    for levels in ([1], {0: 1}, {1: 'x'}, {1: 5, 2: 5}):
        with pytest.raises(InitializationError, match='⟦.*⟦.*⟧.*⟧'):
            from_settings({'levels': levels}, {})


# --- payouts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def donated(play, member):
    """A fund somebody has given 1.5 and 0.5 this month."""
    make_fund()
    rich(play, member)
    for amount in ('1.5', '0.5'):
        DonationsService(member, 'lamp', amount).donate()


def month(game) -> str:
    return game('funds', 'payouts').stdout.split()[0]


def test_payouts_tell_what_is_owed_and_what_was_paid(game, play, member, donated):
    now = month(game)
    assert game('funds', 'payouts').stdout == f'{now}  lamp: donated 2 EUR, paid 0 EUR, owed 2 EUR\n'
    paid = game('funds', 'payouts', '--fund', 'lamp', '--period', now, '--mark-paid', '--reference', 'transfer 7')
    assert paid.stdout.splitlines() == [
        f'Recorded: 2 EUR paid to lamp for {now}.',
        f'{now}  lamp: donated 2 EUR, paid 2 EUR, owed 0 EUR',
    ]
    assert PayoutModel.objects.get().reference == 'transfer 7'
    again = game('funds', 'payouts', '--fund', 'lamp', '--period', now, '--mark-paid')
    assert (again.exit_code, PayoutModel.objects.count()) == (1, 1)
    DonationsService(member, 'lamp', '0.25').donate()
    assert 'owed 0.25 EUR' in game('funds', 'payouts').stdout
    game('funds', 'payouts', '--fund', 'lamp', '--period', now, '--mark-paid')
    assert 'paid 2.25 EUR, owed 0 EUR' in game('funds', 'payouts').stdout


def test_payouts_of_another_month_or_nobody(game, donated):
    make_fund('other')
    assert game('funds', 'payouts', '--period', '2001-01').stdout == 'No donations.\n'
    assert game('funds', 'payouts', '--fund', 'other').stdout == 'No donations.\n'


@pytest.mark.parametrize(
    'arguments',
    [
        ['--mark-paid'],
        ['--mark-paid', '--fund', 'lamp'],
        ['--mark-paid', '--period', '2026-11'],
        ['--fund', 'nobody'],
        ['--period', '2026'],
        ['--period', '2026-13'],
        ['--period', '2026-1'],
        ['--period', 'may'],
        ['--reference', '4711'],
    ],
)
def test_unclear_payouts_are_refused(game, donated, arguments):
    done = game('funds', 'payouts', *arguments)
    assert done.exit_code == 2
    assert PayoutModel.objects.count() == 0


# --- backfill, audit --------------------------------------------------------------------------------------------------


def test_backfill_gives_badges_to_everybody_or_to_some(game, play):
    ada, bob = make_user(username='ada'), make_user(username='bob')
    for user in (ada, bob):
        play.answers(user, 2)
    one, two = make_rule('one', tasks_number=1), make_rule('two', tasks_number=2)
    assert game('backfill', '--rule', one.id, '--user', 'ada').stdout == '1 badges given\n'
    assert state_of(ada)['achievements'] == [one.id]
    assert game('backfill').stdout == '3 badges given\n'
    assert game('backfill').stdout == '0 badges given\n'
    assert sorted(state_of(bob)['achievements']) == sorted([one.id, two.id])


@pytest.mark.parametrize('arguments', [['--rule', 'nothing'], ['--user', 'nobody']])
def test_backfill_of_what_is_not_there_is_refused(game, play, member, arguments):
    play.answer(member)
    make_rule(tasks_number=1)
    assert game('backfill', *arguments).exit_code == 2
    assert state_of(member)['achievements'] == []


def test_audit_says_that_all_is_well_or_what_is_not(game, play, member):
    play.answers(member, 2)
    done = game('audit')
    assert (done.exit_code, done.stdout) == (0, 'Everything agrees (1 users).\n')
    UserStateModel.objects(user=member.id).update_one(set__level=9)
    for arguments in ([], ['--all'], ['--user', member.username], ['--sample', '5']):
        done = game('audit', *arguments)
        assert done.exit_code == 1
        assert f'user {member.id}: level is 9' in done.stdout
    assert game('audit', '--user', 'nobody').exit_code == 2
    assert amounts_of(member) == (2, 0, 2)


# --- the group --------------------------------------------------------------------------------------------------------


def test_help_needs_neither_application_nor_database(monkeypatch):
    from click.testing import CliRunner

    monkeypatch.setattr(control, 'build', lambda config=None: pytest.fail('help needs no application'))
    for command in ([], ['rules'], ['rules', 'import'], ['funds', 'payouts'], ['audit'], ['migrate']):
        done = CliRunner().invoke(control.cli, ['gamification', *command, '--help'])
        assert (done.exit_code, 'Usage: ' in done.output) == (0, True)
    assert 'gamification' in CliRunner().invoke(control.cli, ['--help']).output


def test_commands_of_a_feature_that_is_off_say_so(make_app, monkeypatch):
    from click.testing import CliRunner

    app = make_app(ENABLED_BLUEPRINTS=[])
    monkeypatch.setattr(control, 'build', lambda config=None: app)
    done = CliRunner().invoke(control.cli, ['gamification', 'rules', 'list'])
    assert (done.exit_code, 'ENABLED_BLUEPRINTS' in done.output) == (1, True)
    assert CliRunner().invoke(control.cli, ['nothing']).exit_code == 2


@pytest.mark.usefixtures('donated')
def test_funds_and_payouts_are_json_for_scripts(game):
    (fund,) = json.loads(game('funds', 'list', '--json').stdout)
    assert fund.items() >= {'id': 'lamp', 'donatable': True}.items()
    paid = game('funds', 'payouts', '--fund', 'lamp', '--period', month(game), '--mark-paid', '--json')
    assert json.loads(paid.stdout) == [
        {'period': month(game), 'fund': 'lamp', 'donated': 2, 'paid': 2, 'owed': 0, 'currency': 'EUR'}
    ]
    assert 'Recorded: 2 EUR' in paid.stderr
    assert json.loads(game('rules', 'list', '--json').stdout) == []
