"""The pages of accounts. Like those of the site they have bare endpoint names, and themes may bring their own templates."""

from typing import TYPE_CHECKING, Any

from flask import Response, abort, flash, make_response, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user, login_required
from wtforms import Form

from vulyk import social
from vulyk.accounts import services
from vulyk.accounts.forms import PasswordForm, TimeZoneForm, UsernameForm
from vulyk.pages import answers_json, me, page
from vulyk.utils import HTTPStatus, json_response

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue


def init(app: 'Flask') -> None:
    """Add the routes to an application."""
    app.add_url_rule('/account', 'profile', profile)
    app.add_url_rule('/account/username', 'change_username', change_username, methods=['POST'])
    app.add_url_rule('/account/time-zone', 'choose_time_zone', choose_time_zone, methods=['POST'])
    app.add_url_rule('/account/time-zone/browser', 'tell_time_zone', tell_time_zone, methods=['POST'])
    app.add_url_rule('/account/password', 'change_password', change_password, methods=['POST'])
    app.add_url_rule('/account/sessions/end', 'end_other_sessions', end_other_sessions, methods=['POST'])
    app.add_url_rule('/account/sessions/<session_id>/end', 'end_session', end_session, methods=['POST'])


# --- the profile ------------------------------------------------------------------------------------------------------


@login_required
def profile() -> str:
    """What the site knows of me, and everything I can change about it."""
    return profile_page()


def profile_page(**forms: Form) -> str:
    """The page, with the forms that were just filled in wrongly."""
    user = me()
    forms.setdefault('username_form', UsernameForm(owner=user, prefix='name-'))
    zone = user.time_zone if user.chose_time_zone else ''
    forms.setdefault('zone_form', TimeZoneForm(data={'zone': zone}, prefix='zone-'))
    forms.setdefault('password_form', PasswordForm(owner=user, prefix='password-'))
    return page('profile.html', sessions=services.sessions_of(user), sign_in_accounts=social.accounts_of(user), **forms)


def not_valid(**forms: Form) -> 'ResponseReturnValue':
    """The profile again, saying what is wrong."""
    return make_response(profile_page(**forms), HTTPStatus.UNPROCESSABLE)


def back_to_profile(message: str) -> Any:
    """Say what was done, where the profile is shown."""
    flash(message)
    return redirect(url_for('profile'))


@login_required
def change_username() -> 'ResponseReturnValue':
    """Be called something else."""
    form = UsernameForm(request.form, owner=me(), prefix='name-')
    if not form.validate():
        return not_valid(username_form=form)
    if not services.rename(me(), form.username.data):
        form.username.errors = [gettext('Somebody has this name already, or one that looks the same.')]
        return not_valid(username_form=form)
    return back_to_profile(gettext('From now on you are %(name)s.', name=form.username.data))


@login_required
def choose_time_zone() -> 'ResponseReturnValue':
    """Say where I live, or let my browser say it."""
    form = TimeZoneForm(request.form, prefix='zone-')
    if not form.validate():
        return not_valid(zone_form=form)
    services.set_time_zone(me(), form.zone.data or '', chosen=True)
    return back_to_profile(gettext('Your time zone is noted.'))


@answers_json
def tell_time_zone() -> Response:
    """What the clock of my browser is set to; the page tells it when it differs from what is known."""
    if current_user.is_anonymous:
        abort(HTTPStatus.UNAUTHORIZED, gettext('You are not signed in (any more). Please sign in.'))
    try:
        is_noted = services.set_time_zone(me(), request.form.get('zone', ''), chosen=False)
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST, gettext('zone: must be the name of a time zone such as Europe/Kyiv.'))
    return json_response({'done': is_noted})


@login_required
def change_password() -> 'ResponseReturnValue':
    """Sign in with another password from now on; every other browser is signed out."""
    form = PasswordForm(request.form, owner=me(), prefix='password-')
    if not form.validate():
        return not_valid(password_form=form)
    services.change_password(me(), form.new_password.data)
    return back_to_profile(gettext('Your password is changed. Wherever else you were signed in you are signed out.'))


@login_required
def end_session(session_id: str) -> Any:
    """Sign out one of my browsers."""
    me().end_session(session_id)
    if session_id == me().session_id:
        return redirect(url_for('sign_in'))
    return back_to_profile(gettext('That browser is signed out.'))


@login_required
def end_other_sessions() -> Any:
    """Sign out all my browsers but this one."""
    me().end_sessions(but=me().session_id)
    return back_to_profile(gettext('You are signed out everywhere but here.'))
