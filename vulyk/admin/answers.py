"""What the pages of answers and tasks can do besides showing them: take an answer back, put answers side by side."""

import json
from datetime import UTC, datetime
from typing import Any

from flask import abort, current_app, flash, make_response, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext
from flask_login import current_user

from vulyk.ext import counting
from vulyk.models import audit
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import User
from vulyk.utils import HTTPStatus

MAX_COMPARED = 50
MAX_REASON = 200


class WithdrawMixin:
    """Gives the page of answers a question before an answer is taken back: by the engine, so that every counter follows."""

    @expose('/withdraw/', methods=('GET', 'POST'))
    def withdraw_view(self) -> Any:
        """Ask for the reason; take the answer back."""
        answer = self.get_one(request.args.get('id', ''))
        if answer is None:
            flash(gettext('There is no such answer (any more).'), 'error')
            return redirect(self.get_url('.index_view'))
        reason, refusal = request.form.get('reason', '').strip()[:MAX_REASON], ''
        if request.method == 'POST' and reason:
            withdraw(answer, reason)
            flash(gettext('The answer is taken back.'), 'success')
            return redirect(url_for('task.compare_view', id=_pk(answer.task)))
        if request.method == 'POST':
            refusal = gettext('Say why.')
        page = self.render('admin/vulyk_withdraw.html', model=answer, refusal=refusal)
        return make_response(page, HTTPStatus.UNPROCESSABLE if refusal else HTTPStatus.OK)


def withdraw(answer: AbstractAnswer, reason: str) -> None:
    """Take an answer back in the name of whoever is signed in."""
    kind, by = current_app.task_types.get(answer.task_type), current_user._get_current_object()
    need = kind.redundancy if kind else 1
    if counting.withdraw(answer.pk, need, by=by, reason=reason, now=datetime.now(UTC)):
        facts = {'task': _pk(answer.task), 'user': str(_pk(answer.created_by)), 'reason': reason}
        audit.record(by, 'answer.withdraw', f'answer {answer.pk}', facts)


class CompareMixin:
    """Gives the page of tasks a page with all answers to a task, beside each other."""

    @expose('/compare/')
    def compare_view(self) -> str:
        """The answers to a task: who, when, in what time, and what."""
        task = self.get_one(request.args.get('id', ''))
        if task is None:
            abort(HTTPStatus.NOT_FOUND)
        columns = answers_of(task)
        return self.render('admin/vulyk_compare.html', model=task, columns=columns, rows=rows_of(columns))


def answers_of(task: AbstractTask) -> list[dict[str, Any]]:
    """``{'id', 'user', 'at', 'active', 'elapsed', 'extra', 'too_fast', 'result'}`` of the answers to a task, oldest first.

    ``active`` and ``elapsed`` are seconds, None if they are not known.
    """
    answers = list(AbstractAnswer.objects(task=task.pk).no_dereference().order_by('created_at')[:MAX_COMPARED])
    users = User.objects.in_bulk([_pk(answer.created_by) for answer in answers])
    where = {'task': task.pk, 'answer': {'$in': [answer.pk for answer in answers]}}
    sessions = {session['answer']: session for session in WorkSession._get_collection().find(where)}
    found = []
    for answer in answers:
        user, session = users.get(_pk(answer.created_by)), sessions.get(answer.pk, {})
        begin, end = session.get('start_time'), session.get('end_time')
        found.append(
            {
                'id': answer.pk,
                'user': user.username if user else str(_pk(answer.created_by)),
                'at': answer.created_at,
                'active': session.get('activity'),
                'elapsed': round((end - begin).total_seconds()) if begin and end else None,
                'extra': bool(answer.extra),
                'too_fast': bool(answer.too_fast),
                'result': answer.result,
            }
        )
    return found


def rows_of(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each field of the results: ``{'name', 'values', 'differs'}``, values as text, None where it is missing."""
    results = [column['result'] if isinstance(column['result'], dict) else {'': column['result']} for column in columns]
    rows = []
    for name in dict.fromkeys(name for result in results for name in result):
        values = [_text(result[name]) if name in result else None for result in results]
        rows.append({'name': name, 'values': values, 'differs': len(set(values)) > 1})
    return rows


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _pk(reference: Any) -> Any:
    return getattr(reference, 'id', reference)
