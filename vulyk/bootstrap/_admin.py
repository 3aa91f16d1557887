"""Puts the admin pages at ``/admin/``."""

from typing import TYPE_CHECKING, Any

import flask_admin
from flask import current_app, g, request
from flask_admin import Admin, babel
from flask_admin.theme import Bootstrap4Theme
from flask_babel import lazy_gettext

from vulyk import languages
from vulyk.admin import pages
from vulyk.admin.background import JobView
from vulyk.admin.dashboard import IndexView
from vulyk.admin.upload import UploadView
from vulyk.jobs import Job

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Nothing unless ``ENABLE_ADMIN``; else ``app.admin`` takes further views until the first request."""
    if not app.config['ENABLE_ADMIN']:
        return
    for library in (babel.domain, babel.wtforms_domain):
        languages.lend_to(library)
    app.admin = Admin(
        app,
        name=app.config['SITE_NAME'],
        url='/admin',
        index_view=IndexView(name=lazy_gettext('Overview'), template='admin/vulyk_index.html'),
        # Any other swatch loads its fonts from another host.
        theme=Bootstrap4Theme(base_template='admin/vulyk_base.html', swatch='default'),
        csp_nonce_generator=lambda: g.csp_nonce,
    )
    app.jinja_env.globals['admin_library_version'] = flask_admin.__version__
    app.url_value_preprocessor(_allow_large_uploads)
    with app.app_context():  # names of filters and task types are asked for while the views are built
        app.admin.add_views(
            *pages.views(),
            JobView(Job, name=lazy_gettext('Jobs'), endpoint='job', category=pages.MORE),
            UploadView(name=lazy_gettext('Load tasks'), endpoint='load'),
        )


def _allow_large_uploads(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Everything else is refused when it is larger than an answer may be. Before anything looks into the request."""
    if endpoint == 'load.receive':
        request.max_content_length = current_app.config['UPLOAD_MAX_BYTES']
