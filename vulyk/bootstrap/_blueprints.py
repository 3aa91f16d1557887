"""Registers the optional features named in ``ENABLED_BLUEPRINTS``."""

from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.utils import import_string

from vulyk import languages
from vulyk.blueprints import VulykModule

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Register each ``{'path', 'config', 'url_prefix'}``; one that cannot be used is left out with a warning."""
    for entry in app.config['ENABLED_BLUEPRINTS']:
        try:
            module = import_string(entry['path'])
        except (ImportError, KeyError) as error:
            app.logger.warning('ENABLED_BLUEPRINTS: %r is left out: %s', entry, error)
            continue
        if not isinstance(module, VulykModule):
            app.logger.warning('ENABLED_BLUEPRINTS: %s is left out: it is not a VulykModule', entry['path'])
            continue
        languages.add_folder(app, Path(module.root_path))
        module.configure(entry.get('config') or {})
        app.register_blueprint(module, url_prefix='/' + (entry.get('url_prefix') or module.name).strip('/'))
