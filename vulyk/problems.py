"""Reports of problems with tasks: what volunteers send, and the page on which they read the answers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Response, abort, current_app, request
from flask_babel import gettext
from flask_login import current_user, login_required

from vulyk.models.exc import MalformedResultError
from vulyk.models.problems import MAX_TEXT, Problem
from vulyk.models.tasks import AbstractTask
from vulyk.pages import answers_json, me, my_task_type, page
from vulyk.utils import HTTPStatus, json_response

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Add the routes to an application."""
    app.add_url_rule('/type/<type_id>/problem/<task_id>', 'tell_problem', tell_problem, methods=['POST'])
    app.add_url_rule('/problems', 'my_problems', my_problems)
    app.add_url_rule('/problems/read', 'read_problems', read_problems, methods=['POST'])
    app.context_processor(lambda: {'unread_replies': _unread_replies})


@answers_json
def tell_problem(type_id: str, task_id: str) -> Response:
    """Store what I say is wrong with a task."""
    my_task_type(type_id)
    text = request.form.get('text', '').strip()
    if not text or len(text) > MAX_TEXT:
        raise MalformedResultError(
            gettext('text: say in 1 to %(limit)s characters what is wrong with the task.', limit=MAX_TEXT)
        )
    if not AbstractTask._get_collection().find_one({'_id': task_id, 'taskType': type_id}, {'_id': 1}):
        abort(HTTPStatus.NOT_FOUND, gettext('There is no such task.'))
    Problem.tell(me(), type_id, task_id, text, datetime.now(UTC))
    return json_response({'done': True})


@login_required
def my_problems() -> str:
    """What I have told, and what was answered."""
    return page('problems.html', problems=Problem.of(me()), kinds=current_app.task_types)


@answers_json
def read_problems() -> Response:
    """I have seen the answers."""
    if current_user.is_anonymous:
        abort(HTTPStatus.UNAUTHORIZED, gettext('You are not signed in (any more). Please sign in.'))
    Problem.mark_read(me())
    return json_response({'done': True})


def _unread_replies() -> int:
    """For the menu of every page."""
    return 0 if current_user.is_anonymous else Problem.unread_by(me())
