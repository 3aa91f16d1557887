"""What the pages of accounts ask for, and what is said when it is wrong."""

from typing import Any

from flask import current_app
from flask_babel import gettext, lazy_gettext
from wtforms import BooleanField, EmailField, Field, Form, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, StopValidation

from vulyk import languages, zones
from vulyk.models import passwords, usernames
from vulyk.models.passwords import PasswordError
from vulyk.models.user import User
from vulyk.models.usernames import UsernameError

MAX_EMAIL_LENGTH = 200
REQUIRED = InputRequired(lazy_gettext('Please fill this in.'))


def _stripped(text: str | None) -> str:
    return (text or '').strip()


class UsernameField(StringField):
    """A public name that is free."""

    def __init__(self, label: Any = None, *, may_be_empty: bool = False, **kwargs: Any) -> None:
        super().__init__(label or lazy_gettext('Username'), filters=[_stripped], **kwargs)
        self.may_be_empty = may_be_empty

    def pre_validate(self, form: Form) -> None:
        """Refuse what is no username, and what is taken.

        :raises StopValidation: with the reason.
        """
        name = self.data or ''
        if not name and self.may_be_empty:
            return
        try:
            usernames.check(name)
        except UsernameError as error:
            raise StopValidation(str(error)) from error
        if User.is_username_taken(name, but=getattr(form, 'owner', None)):
            raise StopValidation(gettext('Somebody has this name already, or one that looks the same.'))


class NewPasswordField(PasswordField):
    """A password to be kept; common ones are refused."""

    def pre_validate(self, form: Form) -> None:
        """Refuse what is too short, too long or easily guessed.

        :raises StopValidation: with the reason.
        """
        try:
            passwords.check(self.data or '', getattr(form, 'known', list)())
        except PasswordError as error:
            raise StopValidation(str(error)) from error


def is_address(form: Form, field: Field) -> None:
    """A validator: something before and after one ``@``; what an address really is, only its mail server knows.

    :raises StopValidation: it is not of that form.
    """
    name, _, host = (field.data or '').rpartition('@')
    printable = (field.data or '').isprintable() and not any(map(str.isspace, field.data or ''))
    if not (name and '.' in host.strip('.') and printable and '@' not in name and len(field.data) <= MAX_EMAIL_LENGTH):
        raise StopValidation(gettext('This is not an e-mail address.'))
    if any(character in field.data for character in '<>,;:"()[]\\'):
        raise StopValidation(gettext('This is not an e-mail address.'))


class UsernameForm(Form):
    """Another public name."""

    username = UsernameField(lazy_gettext('New username'))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner.id


class RegisterForm(Form):
    """A new account."""

    username = UsernameField(may_be_empty=True)
    email = EmailField(lazy_gettext('E-mail address'), filters=[_stripped], validators=[is_address])
    password = NewPasswordField(lazy_gettext('Password'))
    terms = BooleanField(lazy_gettext('I have read the terms and the privacy notice, and I agree'))

    def __init__(self, *args: Any, asks_for_terms: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not asks_for_terms:
            del self.terms

    def known(self) -> list[str]:
        """What everybody may know, and a password must not be."""
        return [self.username.data or '', self.email.data or '']

    def validate_terms(self, field: Field) -> None:
        """Nobody is registered who does not agree.

        :raises StopValidation: the box is not ticked.
        """
        if not field.data:
            raise StopValidation(gettext('Without your agreement there can be no account.'))


class ForgottenForm(Form):
    """Whose password is forgotten."""

    email = EmailField(lazy_gettext('E-mail address'), filters=[_stripped], validators=[is_address])


class ResetForm(Form):
    """A new password for somebody who has come by a link."""

    new_password = NewPasswordField(lazy_gettext('New password'))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def known(self) -> list[str]:
        """What everybody may know, and a password must not be."""
        return [self.owner.username, self.owner.email or '']


class TimeZoneForm(Form):
    """Where I live; nothing chosen means what my browser says."""

    zone = SelectField(lazy_gettext('Time zone'), validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = [('', gettext('As my browser says')), *((name, name) for name in sorted(zones.names()))]

    def validate_zone(self, field: Field) -> None:
        """Refuse names of no zone.

        :raises StopValidation: it is one.
        """
        if field.data and not zones.is_zone(field.data):
            raise StopValidation(gettext('There is no such time zone.'))


class LanguageForm(Form):
    """Which language I read; nothing chosen means that of the site, or what my browser asks for."""

    language = SelectField(lazy_gettext('Language'), validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        nothing = gettext('As the site says') if current_app.config['LANGUAGE'] else gettext('As my browser says')
        self.language.choices = [('', nothing), *languages.offered(current_app).items()]

    def validate_language(self, field: Field) -> None:
        """Refuse what there are no texts in.

        :raises StopValidation: it is that.
        """
        if field.data and field.data not in current_app.config['LANGUAGES']:
            raise StopValidation(gettext('This site has no texts in that language.'))


class WithOwnPassword(Form):
    """For what only the owner may do: asks for the password again, unless the account has none."""

    password = PasswordField(lazy_gettext('Your password'))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = owner
        if not owner.password:
            del self.password

    def validate_password(self, field: Field) -> None:
        """Compare it.

        :raises StopValidation: it is another one.
        """
        if not self.user.check_password(field.data or ''):
            raise StopValidation(gettext('This is not your password.'))


class PasswordForm(WithOwnPassword):
    """Another password, or the first one."""

    new_password = NewPasswordField(lazy_gettext('New password'))

    def known(self) -> list[str]:
        """What everybody may know, and a password must not be."""
        return [self.user.username, self.user.email or '']


class EmailForm(WithOwnPassword):
    """Another address."""

    email = EmailField(lazy_gettext('New e-mail address'), filters=[_stripped], validators=[is_address])


class DeleteForm(WithOwnPassword):
    """The wish to leave. Who has no password types the username, so that nobody does it by accident."""

    username = StringField(lazy_gettext('Your username'), filters=[_stripped])

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, owner=owner, **kwargs)
        if owner.password:
            del self.username

    def validate_username(self, field: Field) -> None:
        """Compare it.

        :raises StopValidation: it is another one.
        """
        if field.data != self.user.username:
            raise StopValidation(gettext('This is not your username.'))
