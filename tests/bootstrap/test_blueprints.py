"""Optional features: ``ENABLED_BLUEPRINTS`` and ``VulykModule``."""

import sys
import types
import warnings

import pytest
from flask import Blueprint

from vulyk.blueprints import VulykModule


@pytest.fixture
def module(monkeypatch):
    """Puts a blueprint where settings can name it: ``module(blueprint)`` returns its dotted name."""

    def put(blueprint) -> str:
        monkeypatch.setitem(sys.modules, 'made_feature', types.ModuleType('made_feature'))
        sys.modules['made_feature'].feature = blueprint
        return 'made_feature.feature'

    return put


def make_module(**kwargs) -> VulykModule:
    feature = VulykModule('feature', __name__, **kwargs)
    feature.add_url_rule('/x', 'x', lambda: feature.config.get('word', 'none'))
    return feature


@pytest.mark.parametrize(
    ('more', 'path'),
    [({'url_prefix': 'game'}, '/game/x'), ({'url_prefix': '/game/'}, '/game/x'), ({}, '/feature/x')],
)
def test_module_is_registered_under_its_prefix_with_its_settings(make_app, module, app, more, path):
    site = make_app(ENABLED_BLUEPRINTS=[{'path': module(make_module()), 'config': {'word': 'hello'}, **more}])
    assert site.test_client().get(path).text == 'hello'


def test_settings_of_one_module_do_not_reach_another():
    one, other = make_module(), make_module()
    one.configure({'word': 'one'})
    assert (one.config, other.config) == ({'word': 'one'}, {})


def test_module_gives_every_template_its_variables(make_app, module, app):
    feature = make_module()
    feature.add_context_filler(lambda: {'stats': 7})
    site = make_app(ENABLED_BLUEPRINTS=[{'path': module(feature)}])
    with site.test_request_context():
        context = {}
        site.update_template_context(context)
    assert context['feature_stats'] == 7


def test_module_can_be_registered_by_several_applications(make_app, module, app):
    entry = {'path': module(make_module()), 'config': {'word': 'hello'}}
    for _ in range(2):
        assert make_app(ENABLED_BLUEPRINTS=[entry]).test_client().get('/feature/x').text == 'hello'


@pytest.mark.parametrize(
    ('entry', 'reason'),
    [
        ({'path': 'no_such_package.feature'}, 'no_such_package'),
        ({'path': 'vulyk.no_such_name'}, 'no_such_name'),
        ({'config': {}}, 'path'),
        ({'path': 'vulyk.settings.SITE_NAME'}, 'it is not a VulykModule'),
    ],
)
def test_module_that_cannot_be_used_is_left_out_with_a_warning(make_app, app, caplog, entry, reason):
    site = make_app(ENABLED_BLUEPRINTS=[entry])
    assert site.test_client().get('/').status_code == 200
    assert 'is left out' in caplog.text
    assert reason in caplog.text


def test_plain_blueprint_is_left_out_with_a_warning(make_app, module, app, caplog):
    make_app(ENABLED_BLUEPRINTS=[{'path': module(Blueprint('plain', __name__))}])
    assert 'it is not a VulykModule' in caplog.text


def test_gamification_is_enabled_unless_settings_say_otherwise():
    from vulyk import settings

    (entry,) = settings.ENABLED_BLUEPRINTS
    assert (entry['path'], entry['url_prefix']) == ('vulyk.blueprints.gamification.gamification', 'gamification')


def test_module_written_for_flask_1_works_and_is_told_at_its_own_line(make_app, module, app):
    registered = []
    with pytest.warns(DeprecationWarning, match='first_registration') as told:

        class Old(VulykModule):
            def register(self, app, options, first_registration):
                registered.append(first_registration)
                super().register(app, options, first_registration)

    assert told[0].filename == __file__
    old = Old('old', __name__)
    old.add_url_rule('/x', 'x', lambda: 'old')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        site = make_app(ENABLED_BLUEPRINTS=[{'path': module(old)}])
    assert (site.test_client().get('/old/x').text, registered) == ('old', [True])
