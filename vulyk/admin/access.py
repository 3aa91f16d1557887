"""Who may open admin pages, and what every one of them is given."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import abort, current_app, has_request_context, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from vulyk.utils import HTTPStatus, is_own_path

_STATIC = Path(__file__).parent.parent / 'static' / 'admin'


class AdminsOnly:
    """Put before a flask-admin view class: opens it to admins, sends visitors to sign in and refuses everybody else."""

    def is_accessible(self) -> bool:
        """Whether whoever asks is signed in and an admin."""
        return bool(current_user.is_authenticated and current_user.is_admin())

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Response:
        """A visitor signs in and comes back; a volunteer gets 403."""
        if current_user.is_authenticated:
            abort(HTTPStatus.FORBIDDEN)
        return redirect(url_for('sign_in', next=self._way_back()))

    def _handle_view(self, name: str, **kwargs: Any) -> Any:
        """Refuse an address to go back to that is none of this site; Flask-Admin takes ``https:evil.example`` for one."""
        refusal = super()._handle_view(name, **kwargs)
        if refusal is None and not all(map(is_own_path, request.args.getlist('url'))):
            abort(HTTPStatus.BAD_REQUEST)
        return refusal

    def _way_back(self) -> str:
        if request.method == 'GET':
            return request.script_root + request.full_path.rstrip('?')
        return self.get_url(f'{self.endpoint}.{self._default_view}')  # what was posted cannot be repeated by a link

    def render(self, template: str, **kwargs: Any) -> str:
        """Render a page; ``admin_version`` changes with the scripts and styles, so that browsers may keep them."""
        return super().render(template, admin_version=static_version(), **kwargs)


class StaffOnly(AdminsOnly):
    """The same, open to project admins too; the view has to show them what belongs to their projects, and no more."""

    def is_accessible(self) -> bool:
        """Whether whoever asks is signed in and looks after a project at least."""
        return bool(current_user.is_authenticated and current_user.is_staff())


def my_task_types() -> dict[str, Any]:
    """The enabled task types that whoever asks looks after; all while no request is handled."""
    everything = current_app.task_types
    if not has_request_context() or current_user.is_admin():
        return dict(everything)
    return {name: kind for name, kind in everything.items() if current_user.may_manage(name)}


@cache
def static_version() -> str:
    """Fingerprint of ``static/admin``."""
    digest = hashlib.sha256()
    for path in sorted(_STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
