"""The pages of accounts. Like those of the site they have bare endpoint names, and themes may bring their own templates."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import nh3
from flask import (
    Response,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    request,
    session,
    stream_with_context,
    url_for,
)
from flask_babel import refresh
from flask_login import current_user, login_required, logout_user
from markupsafe import Markup

from vulyk import social
from vulyk.accounts import mails, newcomers, privacy, services
from vulyk.accounts.forms import (
    DeleteForm,
    EmailForm,
    ForgottenForm,
    LanguageForm,
    PasswordForm,
    RegisterForm,
    ResetForm,
    TimeZoneForm,
    UsernameForm,
)
from vulyk.accounts.models import EMAIL, INVITE, REGISTER, RESET, Link
from vulyk.accounts.services import AccountExistsError, LinkUsedError
from vulyk.jobs import daily
from vulyk.models import audit
from vulyk.models.database import add_models
from vulyk.models.exc import InitializationError
from vulyk.models.user import User
from vulyk.pages import answers_json, enter, limit_attempts, me, page, safe_path
from vulyk.texts import gettext
from vulyk.utils import HTTPStatus, json_response

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue
    from wtforms import Form

OPEN, INVITATION, CLOSED = 'open', 'invitation', 'closed'
BOTH = ('GET', 'POST')
# What somebody may open before he has agreed to new terms.
WITHOUT_AGREEMENT = (
    'static',
    'sign_in',
    'logout',
    'terms',
    'agree',
    'download_data',
    'delete_account',
    'confirm_email',
)


def init(app: 'Flask') -> None:
    """Add the routes to an application, and the way it sends mails.

    :raises InitializationError: the settings of mails or of registration are no use.
    """
    if app.config['REGISTRATION'] not in (OPEN, INVITATION, CLOSED):
        raise InitializationError(
            gettext(
                "REGISTRATION: %(value)s is none of 'open', 'invitation', 'closed'.",
                value=repr(app.config['REGISTRATION']),
            )
        )
    mails.init(app)
    add_models(Link)
    daily(privacy.expire)
    app.add_url_rule('/register', 'register', register, methods=BOTH, defaults={'invitation': ''})
    app.add_url_rule('/register/<invitation>', 'register', register, methods=BOTH)
    app.add_url_rule('/register/finish', 'finish_joining', finish_joining, methods=BOTH)
    app.add_url_rule('/password', 'forgot_password', forgot_password, methods=BOTH)
    app.add_url_rule('/password/<token>', 'reset_password', reset_password, methods=BOTH)
    app.add_url_rule('/users/<user_id>/reset-link', 'make_reset_link', make_reset_link, methods=['POST'])
    app.add_url_rule('/terms', 'terms', terms)
    app.add_url_rule('/terms/agree', 'agree', agree, methods=BOTH)
    app.add_url_rule('/account', 'profile', profile)
    app.add_url_rule('/account/confirm/<token>', 'confirm_registration', confirm_registration, methods=BOTH)
    app.add_url_rule('/account/username', 'change_username', change_username, methods=['POST'])
    app.add_url_rule('/account/visibility', 'choose_visibility', choose_visibility, methods=['POST'])
    app.add_url_rule('/account/language', 'choose_language', choose_language, methods=['POST'])
    app.add_url_rule('/account/time-zone', 'choose_time_zone', choose_time_zone, methods=['POST'])
    app.add_url_rule('/account/time-zone/browser', 'tell_time_zone', tell_time_zone, methods=['POST'])
    app.add_url_rule('/account/email', 'change_email', change_email, methods=['POST'])
    app.add_url_rule('/account/email/confirm/<token>', 'confirm_email', confirm_email, methods=BOTH)
    app.add_url_rule('/account/password', 'change_password', change_password, methods=['POST'])
    app.add_url_rule('/account/sessions/end', 'end_other_sessions', end_other_sessions, methods=['POST'])
    app.add_url_rule('/account/sessions/<session_id>/end', 'end_session', end_session, methods=['POST'])
    app.add_url_rule('/account/data', 'download_data', download_data)
    app.add_url_rule('/account/delete', 'delete_account', delete_account, methods=BOTH)
    app.before_request(ask_to_agree)
    app.context_processor(lambda: {'may_register': app.config['REGISTRATION'] == OPEN})


def now() -> datetime:
    """The time it is."""
    return datetime.now(UTC)


def refused(template: str, **context: Any) -> 'ResponseReturnValue':
    """A page with a form that was filled in wrongly."""
    return make_response(page(template, **context), HTTPStatus.UNPROCESSABLE)


def message_page(title: str, text: str, *, status: int = HTTPStatus.OK) -> 'ResponseReturnValue':
    """A page that says how it goes on."""
    return make_response(page('account_message.html', title=title, text=text), int(status))


def dead_link() -> 'ResponseReturnValue':
    """The page behind a link that is forged, over or used."""
    return message_page(
        gettext('This link does not work any more'),
        gettext('It has been used, or its time is over. Ask for a new one.'),
        status=HTTPStatus.NOT_FOUND,
    )


# --- registration -----------------------------------------------------------------------------------------------------


def register(invitation: str) -> 'ResponseReturnValue':
    """The form for newcomers, and what becomes of it."""
    if current_user.is_authenticated:
        return redirect(url_for('index'))
    invited = Link.read(invitation, INVITE, now()) if invitation else None
    way_in = current_app.config['REGISTRATION']
    if invitation and invited is None:
        return dead_link()
    if way_in == CLOSED:
        return closed_door()
    if way_in == INVITATION and invited is None:
        return closed_door(gettext('New accounts are by invitation. Ask those who run the site for one.'))
    if request.method == 'POST':
        limit_attempts('register')
        if request.form.get('website'):  # people do not see this field; programs fill in whatever there is
            current_app.logger.info('A registration was refused: its form was filled in by a program.')
            return look_into_your_mail(request.form.get('email', ''))
    version = current_app.config['TERMS_VERSION']
    data = {'email': invited.email or '' if invited else '', 'username': User.free_username()}
    form = RegisterForm(request.form, data=data, asks_for_terms=bool(version))
    if request.method == 'GET' or not form.validate():
        response = make_response(page('register.html', form=form, invitation=invitation))
        response.status_code = HTTPStatus.UNPROCESSABLE if request.method == 'POST' else HTTPStatus.OK
        return response
    name, email, password = form.username.data or '', form.email.data or '', form.password.data or ''
    try:
        user = services.register(name, email, password, now(), terms=version, invitation=invited)
    except AccountExistsError:
        form.email.errors = [gettext('There is an account with this address already: sign in with it.')]
        return refused('register.html', form=form, invitation=invitation)
    except LinkUsedError:
        return dead_link()
    if user is None:
        return look_into_your_mail(email)
    return welcome(user)


def closed_door(why: str = '') -> 'ResponseReturnValue':
    """The page for whoever may not make an account."""
    text = why or gettext('There are no new accounts at the moment.')
    return message_page(gettext('You cannot register here'), text, status=HTTPStatus.FORBIDDEN)


def look_into_your_mail(email: str) -> 'ResponseReturnValue':
    """The same for everybody, whether or not there is an account of that address."""
    text = gettext(
        'We have sent a mail to %(email)s. It says how to go on; look for it among unwanted mail, too.', email=email
    )
    if current_app.config['MAIL_BACKEND'] == 'console':
        text += ' ' + gettext(
            '(This is a site for trying things out: its mails appear in the window it was started in.)'
        )
    return message_page(gettext('Look into your mail'), text)


def welcome(user: User, next_url: str | None = None) -> 'ResponseReturnValue':
    """The first page of a newcomer."""
    enter(user)
    flash(gettext('Welcome! You are %(name)s here; you can change that in your account.', name=user.username))
    return redirect(safe_path(next_url))


def confirm_registration(token: str) -> 'ResponseReturnValue':
    """Where the mail leads to. The account is made by a button, because some mail programs open links by themselves."""
    link = Link.read(token, REGISTER, now())
    if link is None:
        return dead_link()
    if current_app.config['REGISTRATION'] == CLOSED:
        return closed_door()
    if request.method == 'GET':
        return page('account_confirm.html', title=gettext('Finish your registration'), email=link.email)
    try:
        user = services.finish_registration(link, now())
    except AccountExistsError:
        flash(gettext('There is an account with this address already: sign in with it.'))
        return redirect(url_for('sign_in'))
    except LinkUsedError:
        return dead_link()
    return welcome(user)


def finish_joining() -> 'ResponseReturnValue':
    """Agree to the terms, having come through a service for the first time. Before that there is no account."""
    link, version = newcomers.pending(now()), current_app.config['TERMS_VERSION']
    if current_user.is_authenticated:
        return redirect(url_for('index'))
    if link is None:
        return dead_link()
    if current_app.config['REGISTRATION'] == CLOSED:
        return closed_door()
    if request.method == 'GET' or (version and not request.form.get('terms')):
        response = make_response(page('agree.html', text=terms_text(), is_first=True, joins=True))
        response.status_code = HTTPStatus.UNPROCESSABLE if request.method == 'POST' else HTTPStatus.OK
        return response
    limit_attempts('register')
    try:
        user = services.finish_joining(link, version, now())
    except AccountExistsError:
        flash(gettext('There is an account with this address already: sign in with it.'))
        return redirect(url_for('sign_in'))
    except LinkUsedError:
        return dead_link()
    return welcome(user, session.get('next'))


# --- forgotten passwords ----------------------------------------------------------------------------------------------


def forgot_password() -> 'ResponseReturnValue':
    """Ask for a link by mail. The answer is the same whether or not there is such an account."""
    if not mails.can_be_sent():
        return message_page(
            gettext('Have you forgotten your password?'),
            gettext('This site sends no mails. Ask those who run it: they can give you a link for a new password.'),
        )
    form = ForgottenForm(request.form)
    if request.method == 'GET':
        return page('forgot_password.html', form=form)
    if not form.validate():
        return refused('forgot_password.html', form=form)
    email = form.email.data or ''
    limit_attempts('reset', email)
    mails.send_reset(email)
    return look_into_your_mail(email)


def reset_password(token: str) -> 'ResponseReturnValue':
    """Choose a new password, having come by a link."""
    link = Link.read(token, RESET, now())
    user = User.objects(pk=link.user, active=True).first() if link else None
    if link is None or user is None:
        return dead_link()
    form = ResetForm(request.form, owner=user)
    if request.method == 'GET':
        return page('reset_password.html', form=form, username=user.username)
    if not form.validate():
        return refused('reset_password.html', form=form, username=user.username)
    try:
        services.reset_password(link, user, form.new_password.data or '')
    except LinkUsedError:
        return dead_link()
    enter(user)
    flash(gettext('Your password is changed. Wherever else you were signed in you are signed out.'))
    return redirect(url_for('index'))


@login_required
def make_reset_link(user_id: str) -> 'ResponseReturnValue':
    """For admins: a link for somebody who has forgotten his password, shown once."""
    if not current_user.is_admin():
        abort(HTTPStatus.FORBIDDEN)
    user = User.get_by_id(user_id)
    if user is None:
        abort(HTTPStatus.NOT_FOUND)
    link = services.make_reset_link(user, now())
    audit.record(me(), 'user.reset_link', f'user {user.id} {user.username}')
    return page('reset_link.html', address=mails.address_of(link), username=user.username, until=link.expires_at)


# --- terms ------------------------------------------------------------------------------------------------------------


def terms() -> 'ResponseReturnValue':
    """The terms and the privacy notice."""
    return page('terms.html', text=terms_text())


def terms_text() -> Markup | None:
    """The operator's own text; None: the platform's."""
    text = current_app.config['TERMS_TEXT']
    return Markup(nh3.clean(str(text))) if text else None


def has_agreed() -> bool:
    """Whether whoever is signed in has agreed to the version in force."""
    version = current_app.config['TERMS_VERSION']
    return not version or current_user.agrees_to(version)


def ask_to_agree() -> 'ResponseReturnValue | None':
    """Before the next page, once the terms have changed; work in hand goes on until then."""
    view = current_app.view_functions.get(request.endpoint or '')
    is_page = request.method == 'GET' and view is not None and not getattr(view, 'answers_json', False)
    if (
        not is_page
        or request.blueprint == 'social'
        or request.endpoint in WITHOUT_AGREEMENT
        or request.endpoint.endswith(('.static', 'media'))
    ):
        return None
    if current_user.is_anonymous or has_agreed():
        return None
    return redirect(url_for('agree', next=request.script_root + request.full_path.rstrip('?')))


@login_required
def agree() -> 'ResponseReturnValue':
    """Agree to changed terms, or leave."""
    next_url = safe_path(request.values.get('next'))
    if has_agreed():
        return redirect(next_url)
    if request.method == 'POST' and request.form.get('terms'):
        me().agree_to(current_app.config['TERMS_VERSION'])
        return redirect(next_url)
    response = make_response(page('agree.html', text=terms_text(), next_url=next_url, is_first=not me().consents))
    response.status_code = HTTPStatus.UNPROCESSABLE if request.method == 'POST' else HTTPStatus.OK
    return response


# --- the profile ------------------------------------------------------------------------------------------------------


@login_required
def profile() -> str:
    """What the site knows of me, and everything I can change about it."""
    return profile_page()


def profile_page(**forms: 'Form') -> str:
    """The page, with the forms that were just filled in wrongly."""
    user = me()
    forms.setdefault('username_form', UsernameForm(owner=user, prefix='name-'))
    to_confirm = user.email if mails.can_be_sent() and not user.email_confirmed else None
    forms.setdefault('email_form', EmailForm(owner=user, data={'email': to_confirm}, prefix='email-'))
    forms.setdefault('language_form', LanguageForm(data={'language': user.language}, prefix='language-'))
    zone = user.time_zone if user.chose_time_zone else ''
    forms.setdefault('zone_form', TimeZoneForm(data={'zone': zone}, prefix='zone-'))
    forms.setdefault('password_form', PasswordForm(owner=user, prefix='password-'))
    return page(
        'profile.html',
        sessions=services.sessions_of(user, now()),
        sign_in_accounts=social.accounts_of(user),
        stored=privacy.overview(user),
        sends_mails=mails.can_be_sent(),
        **forms,
    )


def back_to_profile(message: str) -> Any:
    """Say what was done, where the profile is shown."""
    flash(message)
    return redirect(url_for('profile'))


def not_valid(**forms: 'Form') -> 'ResponseReturnValue':
    """The profile again, saying what is wrong."""
    return make_response(profile_page(**forms), HTTPStatus.UNPROCESSABLE)


@login_required
def change_username() -> 'ResponseReturnValue':
    """Be called something else."""
    form = UsernameForm(request.form, owner=me(), prefix='name-')
    if not form.validate():
        return not_valid(username_form=form)
    if not services.rename(me(), form.username.data or ''):
        form.username.errors = [gettext('Somebody has this name already, or one that looks the same.')]
        return not_valid(username_form=form)
    return back_to_profile(gettext('From now on you are %(name)s.', name=form.username.data))


@login_required
def choose_visibility() -> 'ResponseReturnValue':
    """Be named on leaderboards, or not."""
    hidden = 'hidden' in request.form
    services.set_hidden(me(), hidden)
    said = gettext('You are not named on leaderboards any more.') if hidden else gettext('Leaderboards name you.')
    return back_to_profile(said)


@login_required
def choose_language() -> 'ResponseReturnValue':
    """Say which language I want to read."""
    form = LanguageForm(request.form, prefix='language-')
    if not form.validate():
        return not_valid(language_form=form)
    services.set_language(me(), form.language.data or '')
    refresh()  # what is said now is said in it already
    return back_to_profile(gettext('Your language is noted.'))


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
def change_email() -> 'ResponseReturnValue':
    """Use another address, or confirm the one there is."""
    limit_attempts('sign-in', me().email or '')
    form = EmailForm(request.form, owner=me(), prefix='email-')
    if not form.validate():
        return not_valid(email_form=form)
    email = form.email.data or ''
    limit_attempts('reset', str(me().id))  # it sends a mail to whatever address is given
    try:
        is_changed = services.change_email(me(), email, now())
    except AccountExistsError:
        form.email.errors = [gettext('Somebody has an account with this address.')]
        return not_valid(email_form=form)
    return back_to_profile(gettext('Your address is changed.')) if is_changed else look_into_your_mail(email)


def confirm_email(token: str) -> 'ResponseReturnValue':
    """Where the mail to a new address leads to."""
    link = Link.read(token, EMAIL, now())
    if link is None:
        return dead_link()
    if request.method == 'GET':
        return page('account_confirm.html', title=gettext('Confirm your address'), email=link.email)
    try:
        services.confirm_email(link)
    except (AccountExistsError, LinkUsedError):
        return dead_link()
    return back_to_profile(gettext('Your address is confirmed.'))


@login_required
def change_password() -> 'ResponseReturnValue':
    """Sign in with another password from now on; every other browser is signed out."""
    limit_attempts('sign-in', me().email or '')
    form = PasswordForm(request.form, owner=me(), prefix='password-')
    if not form.validate():
        return not_valid(password_form=form)
    services.change_password(me(), form.new_password.data or '')
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


# --- my data ----------------------------------------------------------------------------------------------------------


@login_required
def download_data() -> Response:
    """Everything the site has of me, as JSON."""
    response = Response(stream_with_context(privacy.export(me())), content_type='application/json')
    response.headers['Content-Disposition'] = 'attachment; filename="my-data.json"'
    response.headers['Cache-Control'] = 'no-store'
    return response


@login_required
def delete_account() -> 'ResponseReturnValue':
    """Leave for good: says what goes and what stays, asks once more, and does it."""
    user = me()
    form = DeleteForm(request.form, owner=user)
    if privacy.is_last_admin(user):
        text = gettext('You are the last admin of this site. Make somebody else an admin first.')
        return message_page(gettext('Your account cannot be deleted'), text, status=HTTPStatus.CONFLICT)
    if request.method == 'GET':
        return page('delete_account.html', form=form, stored=privacy.overview(user))
    limit_attempts('sign-in', user.email or '')
    if not form.validate():
        return refused('delete_account.html', form=form, stored=privacy.overview(user))
    email = user.email
    privacy.delete(user)
    if email and mails.can_be_sent():
        mails.send_notice('account_deleted', email)
    logout_user()
    flash(gettext('Your account is deleted. Thank you for all you have done.'))
    return redirect(url_for('index'))
