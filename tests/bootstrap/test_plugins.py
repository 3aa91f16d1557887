"""Loading plugins: what is wrong with one is told and does not hide the others."""

import pytest

from tests.factories import make_user, signed_in
from vulyk.models.exc import InitializationError


@pytest.fixture
def load(make_app):
    """Builds a site with these packages, each with the class ``MadeTaskType``, beside ``plain_task``."""

    def build(*packages: str, **classes: str):
        return make_app(
            ENABLED_TASKS={'vulyk_plain': 'PlainTaskType', **dict.fromkeys(packages, 'MadeTaskType'), **classes}
        )

    return build


def test_plugin_is_loaded_from_the_path_without_being_installed(load, plugin):
    name = plugin()
    site = load(name)
    assert (list(site.task_types), site.plugin_errors) == (['plain_task', name], {})
    assert site.task_types[name].package == name


def test_plugin_gets_what_its_configure_returns(load, plugin):
    name = plugin(
        {
            '__init__.py': 'def configure(settings):\n    return {"LIMIT": settings.LIMIT}\n',
            'settings.py': 'LIMIT = 7\n',
        }
    )
    assert load(name).task_types[name]._settings == {'LIMIT': 7}


BROKEN = {
    'import fails': (
        {'__init__.py': 'import no_such_module\n'},
        "ModuleNotFoundError: No module named 'no_such_module'",
    ),
    'crash at import': ({'models/task_types.py': '1 / 0\n'}, 'ZeroDivisionError: division by zero'),
    'syntax error': ({'models/task_types.py': 'def\n'}, 'SyntaxError: '),
    'no settings': ({'settings.py': None}, 'ModuleNotFoundError: '),
    'no configure': ({'__init__.py': ''}, 'AttributeError: '),
    'configure crashes': ({'__init__.py': 'def configure(s):\n    raise KeyError("x")\n'}, "KeyError: 'x'"),
    'no task types': ({'models/task_types.py': None}, 'ModuleNotFoundError: '),
    'class missing': ({'models/task_types.py': ''}, 'models.task_types has no task type class MadeTaskType'),
    'no task type': ({'models/task_types.py': 'MadeTaskType = dict\n'}, 'has no task type class MadeTaskType'),
    'template missing': ({'templates/index.html': None, 'templates/x.html': ''}, 'its template “index.html” is not in'),
    'no templates': ({'templates/index.html': None}, 'it has no folder templates/'),
}


@pytest.mark.parametrize(('files', 'reason'), BROKEN.values(), ids=BROKEN)
def test_broken_plugin_is_left_out_with_its_reason_and_the_others_work(load, plugin, app, caplog, files, reason):
    broken, fine = plugin(files), plugin()
    site = load(broken, fine)
    assert list(site.task_types) == ['plain_task', fine]
    assert reason in site.plugin_errors[broken]
    assert f'Plugin {broken} is left out: ' in caplog.text
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(make_user(admin=True)))
    assert browser.get(f'/type/{fine}/').status_code == 200


ATTRIBUTES = {
    'no models': ('task_model = None', 'You should define task_model property'),
    'no name': ('type_name = ""', 'You should define type_name (underscore)'),
    'slash in its name': ('type_name = "a/b"', 'its type name “a/b” must have 1 to 50 characters'),
    'long name': ('type_name = "x" * 51', 'must have 1 to 50 characters and no “/”'),
    'no answers needed': ('redundancy = 0', 'redundancy must be a whole number of at least 1'),
    'half an answer needed': ('redundancy = 0.5', 'redundancy must be a whole number of at least 1'),
    'wrong meta': ('_task_type_meta = []', 'Batch meta must of dict type'),
    'unknown strategy': ('assignment = "no_such"', 'assignment: there is no strategy'),
    'script missing': ('JS_ASSETS = ["static/scripts/no.js"]', 'static/scripts/no.js'),
    'style missing': ('CSS_ASSETS = ["static/no.css"]', 'static/no.css'),
}


@pytest.mark.parametrize(('attributes', 'reason'), ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_plugin_with_wrong_attributes_is_left_out_with_its_reason(load, plugin, app, attributes, reason):
    broken, fine = plugin(attributes=attributes), plugin()
    site = load(broken, fine)
    assert list(site.task_types) == ['plain_task', fine]
    assert reason in site.plugin_errors[broken]


def test_of_two_plugins_with_one_type_name_the_first_stays_and_the_other_is_told(load, plugin):
    one, other = plugin(type_name='same'), plugin(type_name='same')
    site = load(one, other)
    assert site.task_types['same'].package == one
    assert site.plugin_errors == {other: f'its type name “same” is taken by {one} already'}


def test_package_that_does_not_exist_is_told(load):
    site = load('vulyk_no_such_plugin')
    assert "No module named 'vulyk_no_such_plugin'" in site.plugin_errors['vulyk_no_such_plugin']


def test_wrong_class_name_is_told(load, plugin):
    name = plugin()
    assert 'NoSuchClass' in load(**{name: 'NoSuchClass'}).plugin_errors[name]


@pytest.mark.parametrize('value', ['vulyk_plain:PlainTaskType', ['vulyk_plain'], None])
def test_setting_that_is_no_mapping_is_refused(make_app, value):
    with pytest.raises(InitializationError, match='ENABLED_TASKS must be a dictionary'):
        make_app(ENABLED_TASKS=value)


def test_site_without_plugins_works(make_app, app):
    assert make_app(ENABLED_TASKS={}).test_client().get('/').status_code == 200


def test_old_setting_is_accepted_with_one_line_in_the_log(make_app, caplog):
    caplog.set_level('INFO', logger='vulyk')
    make_app(ENABLED_PLUGINS=['vulyk_plain'])
    assert caplog.text.count('ENABLED_PLUGINS has no effect') == 1
