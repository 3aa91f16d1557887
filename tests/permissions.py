"""Who may use which route: one line for each address and method of the site, one column for each role.

``in``: let in, whatever the answer is then. ``form``: sent to the sign-in page. A number: refused with that status.

A new route needs a line here. The columns: a visitor; somebody who is signed in, but in no group; a volunteer whose group
allows ``plain_task``; the project admin of ``plain_task``, in no group; an admin.
"""

from collections.abc import Iterator

from flask import Flask

ROLES = ('visitor', 'stranger', 'volunteer', 'project admin', 'admin')
BLUEPRINTS = [{'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}]
SERVICES = {'SOCIAL_AUTH_GITHUB_KEY': 'x', 'SOCIAL_AUTH_GITHUB_SECRET': 'x'}
SETTINGS = {'ENABLE_ADMIN': True, 'ENABLED_BLUEPRINTS': BLUEPRINTS, **SERVICES}

PAGES = """
GET  /                                        in    in   in   in   in
GET  /static/<path:filename>                  in    in   in   in   in
GET  /healthz                                 in    in   in   in   in
GET  /readyz                                  in    in   in   in   in
GET  /metrics                                 in    in   in   in   in
GET  /sign-in                                 in    in   in   in   in
POST /sign-in                                 401   in   in   in   in
POST /logout                                  in    in   in   in   in
POST /demo/<role>                             in    in   in   in   in
GET  /account                                 form  in   in   in   in
POST /account/username                        form  in   in   in   in
POST /account/language                        form  in   in   in   in
POST /account/time-zone                       form  in   in   in   in
POST /account/time-zone/browser               401   in   in   in   in
POST /account/email                           form  in   in   in   in
GET  /account/email/confirm/<token>           in    in   in   in   in
POST /account/email/confirm/<token>           in    in   in   in   in
GET  /account/confirm/<token>                 in    in   in   in   in
POST /account/confirm/<token>                 in    in   in   in   in
GET  /account/data                            form  in   in   in   in
GET  /account/delete                          form  in   in   in   in
POST /account/delete                          form  in   in   in   in
GET  /register                                in    in   in   in   in
POST /register                                in    in   in   in   in
GET  /register/<invitation>                   in    in   in   in   in
POST /register/<invitation>                   in    in   in   in   in
GET  /register/finish                         in    in   in   in   in
POST /register/finish                         in    in   in   in   in
GET  /password                                in    in   in   in   in
POST /password                                in    in   in   in   in
GET  /password/<token>                        in    in   in   in   in
POST /password/<token>                        in    in   in   in   in
GET  /terms                                   in    in   in   in   in
GET  /terms/agree                             form  in   in   in   in
POST /terms/agree                             form  in   in   in   in
POST /users/<user_id>/reset-link              form  403  403  403  in
POST /account/password                        form  in   in   in   in
POST /account/sessions/end                    form  in   in   in   in
POST /account/sessions/<session_id>/end       form  in   in   in   in
GET  /login/<string:backend>/                 in    in   in   in   in
POST /login/<string:backend>/                 in    in   in   in   in
GET  /complete/<string:backend>/              in    in   in   in   in
POST /complete/<string:backend>/              in    in   in   in   in
POST /disconnect/<string:backend>/            form  in   in   in   in
POST /disconnect/<string:backend>/<int:association_id>/     form  in  in  in  in
POST /disconnect/<string:backend>/<string:association_id>/  form  in  in  in  in
GET  /session                                 in    in   in   in   in
POST /theme                                   in    in   in   in   in
GET  /me                                      form  in   in   in   in
GET  /leaders                                 form  in   in   in   in
POST /account/visibility                      form  in   in   in   in
GET  /type/<type_id>/                         form  403  in   in   in
GET  /type/<type_id>/preview/<task_id>        form  403  403  in   in
GET  /type/<type_id>/leaders                  form  403  in   in   in
GET  /type/<type_id>/next                     401   403  in   in   in
POST /type/<type_id>/skip/<task_id>           401   403  in   in   in
POST /type/<type_id>/done/<task_id>           401   403  in   in   in
POST /type/<type_id>/activity/<task_id>       401   403  in   in   in
POST /type/<type_id>/withdraw/<task_id>       401   403  in   in   in
POST /type/<type_id>/return                   401   403  in   in   in
POST /type/<type_id>/problem/<task_id>        401   403  in   in   in
GET  /problems                                form  in   in   in   in
POST /problems/read                           401   in   in   in   in
GET  /type/<type_id>/progress/<task_id>       401   403  in   in   in
GET  /media/<type_id>/<digest>                401   403  in   in   in
GET  /gamification/static/<path:filename>     in    in   in   in   in
GET  /gamification/badges                     in    in   in   in   in
GET  /gamification/badges/<project>/<strictness>  in  in  in  in   in
GET  /gamification/funds                      in    in   in   in   in
GET  /gamification/funds/<category>           in    in   in   in   in
GET  /gamification/funds/<fund_id>/logo       in    in   in   in   in
GET  /gamification/events/unseen              403   in   in   in   in
GET  /gamification/events/all                 403   in   in   in   in
GET  /gamification/events/mark_viewed         403   in   in   in   in
POST /gamification/events/mark_viewed         403   in   in   in   in
GET  /gamification/news                       403   in   in   in   in
GET  /gamification/users/me/state             403   in   in   in   in
GET  /gamification/users/<user_id>/state      403   in   in   in   in
GET  /gamification/my/badges                  form  in   in   in   in
GET  /gamification/my/events                  form  in   in   in   in
GET  /gamification/my/wallet                  form  in   in   in   in
POST /gamification/my/wallet                  form  in   in   in   in
GET  /gamification/totals                     form  in   in   in   in
POST /gamification/donations                  403   in   in   in   in
GET  /admin/static/<path:filename>            in    in   in   in   in
GET  /admin/                                  form  403  403  in   in
"""

# Every address below /admin/<view>/, whatever the method, is for these.
ADMINS = 'form  403  403  403  in'
STAFF = 'form  403  403  in  in'
ADMIN_VIEWS = {
    'user': ADMINS,
    'group': ADMINS,
    'batch': STAFF,
    'task': STAFF,
    'answer': STAFF,
    'audit': ADMINS,
    'problem': STAFF,
    'load': STAFF,
    'job': ADMINS,
    'session': STAFF,
    'rulemodel': ADMINS,
    'fundmodel': ADMINS,
    'eventmodel': ADMINS,
    'userstatemodel': ADMINS,
}

_LINES = [line.split() for line in PAGES.strip().splitlines()]
TABLE: dict[tuple[str, str], list[str]] = {(method, rule): roles for method, rule, *roles in _LINES}


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every ``(method, address)`` of a site."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {'HEAD', 'OPTIONS'}):
            yield method, rule.rule


def expected(method: str, rule: str) -> list[str] | None:
    """The line for a route, one word for each of ``ROLES``; None if there is none."""
    line = TABLE.get((method, rule))
    if line is None and rule.startswith('/admin/'):
        line = ADMIN_VIEWS.get(rule.split('/')[2], '').split() or None
    return line
