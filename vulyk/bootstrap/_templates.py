"""Templates: where they come from and what they are given."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jinja2
import nh3
from babel import dates
from flask import g
from flask_babel import get_locale
from flask_login import current_user
from markupsafe import Markup
from werkzeug.local import LocalProxy

from vulyk import demo, languages, social, zones
from vulyk.models.social import SocialAccount
from vulyk.models.user import DEFAULT_GROUP, Group
from vulyk.pages import chosen_theme
from vulyk.utils import aware, get_template_path

if TYPE_CHECKING:
    from flask import Flask

_PREFIXES = 'vulyk_template_prefixes'
_SCRIPT_WITHOUT_NONCE = re.compile(r'<script\b(?![^>]*\bnonce=)', re.IGNORECASE)


def init(app: 'Flask') -> None:
    """Set up loaders, filters, translations and the context every template has."""
    mapping: dict[str, jinja2.BaseLoader] = {}
    app.extensions[_PREFIXES] = mapping
    own = jinja2.PackageLoader('vulyk', app.config['TEMPLATES_FOLDER'])
    app.jinja_loader = jinja2.ChoiceLoader([own, jinja2.PrefixLoader(mapping)])
    languages.init(app)
    app.template_filter('strip_email')(strip_email)
    # With the context, or the answer would become part of the compiled template, which other sites may share.
    app.template_filter('app_template')(jinja2.pass_context(lambda _, name: get_template_path(app, name)))
    app.template_filter('nonced')(nonced)
    app.template_filter('localtime')(lambda moment: local_time(app, moment))
    app.context_processor(lambda: _context(app))


def add_prefix(app: 'Flask', prefix: str, loader: jinja2.BaseLoader) -> None:
    """Make the templates of a plugin known under ``<prefix>/``."""
    app.extensions[_PREFIXES][prefix] = loader


def strip_email(name: str | None) -> str:
    """The part of a name before the first ``@``; old accounts have their address as name."""
    return (name or '').partition('@')[0]


def nonced(html: str) -> Markup:
    """The HTML of a plugin with the page's nonce on its ``<script>`` tags, without which they would not run."""
    return Markup(_SCRIPT_WITHOUT_NONCE.sub(f'<script nonce="{g.csp_nonce}"', str(html)))


def local_time(app: 'Flask', moment: datetime) -> str:
    """``Nov 21, 2026, 2:05 PM`` or ``21 лист. 2026 р., 14:05``: as whoever looks writes it, and on his clock."""
    name = getattr(current_user, 'time_zone', '') or app.config['DEFAULT_TIME_ZONE']
    there, locale = aware(moment).astimezone(zones.load(name)), get_locale()
    day, time = (
        dates.format_date(there, locale=locale),
        dates.format_time(there, 'short', tzinfo=there.tzinfo, locale=locale),
    )
    return str(dates.get_datetime_format('medium', locale)).format(time, day)


def _context(app: 'Flask') -> dict[str, Any]:
    return {
        'user': current_user,
        'init': Group.objects(pk=DEFAULT_GROUP).first() is not None,
        'csp_nonce': g.get('csp_nonce', ''),
        'demo': demo.is_demo(app),
        'frontend': g.get('frontend', 'site'),
        'site_closed': g.get('site_closed', False),
        'html_lang': str(get_locale()).replace('_', '-'),
        'text_direction': get_locale().text_direction,
        'theme': chosen_theme(),
        'backends': LocalProxy(lambda: _backends()),
        'sign_in_services': list(app.extensions[social.EXTENSION].values()),
        'warm_welcome': Markup(nh3.clean(str(app.config['WARM_WELCOME'] or ''))),
        'thanks_message': Markup(nh3.clean(str(app.config['THANKS_TASK_MESSAGE'] or ''))),
        'asset_bundles': app.extensions['vulyk_asset_bundles'],
    }


def _backends() -> dict[str, list[Any]]:
    """Sign-in services as themes know them: names, and the links of whoever is signed in. Asked for only where it is used."""
    names = list(social.services())
    linked = SocialAccount.of(current_user) if current_user.is_authenticated else []
    taken = {social.FORMER.get(link.provider, link.provider) for link in linked}
    return {'associated': linked, 'not_associated': [name for name in names if name not in taken], 'backends': names}
