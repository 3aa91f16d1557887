"""Which language somebody reads."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from babel import Locale, UnknownLocaleError
from babel.support import NullTranslations, Translations
from flask import current_app, g, has_request_context, request
from flask_babel import Babel, Domain, get_domain, get_locale
from flask_babel.speaklater import LazyString
from flask_login import current_user
from pymongo.errors import ConnectionFailure

from vulyk.models.exc import InitializationError
from vulyk.models.facts import in_language
from vulyk.texts import (
    OWN,
    PSEUDO,
    SOURCE,
    gettext,
    has,
    is_command_line,
    is_for_scripts,
    merged,
    of_environment,
    pseudo,
    speak,
)

if TYPE_CHECKING:
    from flask import Flask

# Settings that may be {language: text}.
TEXT_SETTINGS = ('SITE_NAME', 'SITE_TITLE', 'SITE_MOTTO', 'WARM_WELCOME', 'THANKS_TASK_MESSAGE', 'TERMS_TEXT')
_FORMER_NAMES = {'ua': 'uk'}
TEXTS = 'vulyk_translations'
_lent: set[Domain] = set()  # domains of libraries, which are there once in a process


def init(app: 'Flask') -> None:
    """Set up translations.

    :raises InitializationError: ``LANGUAGES`` names none, or one that nobody knows.
    """
    if not app.config['LANGUAGES'] or isinstance(app.config['LANGUAGES'], str):
        raise InitializationError(
            gettext("LANGUAGES: must be a list with at least one language, such as ['en', 'uk'].")
        )
    for tag in app.config['LANGUAGES']:
        try:
            Locale.parse(tag)
        except (UnknownLocaleError, ValueError, TypeError) as error:
            raise InitializationError(
                gettext('LANGUAGES: %(tag)s is not the name of a language, such as uk.', tag=repr(tag))
            ) from error
    for name in TEXT_SETTINGS:
        if isinstance(app.config[name], Mapping):
            app.config[name] = LazyString(_in_language_at_hand, app.config[name])
    app.extensions[TEXTS] = [OWN]
    babel = Babel(app, locale_selector=lambda: selected(app))
    babel.domain_instance = Catalogues()


def _in_language_at_hand(texts: Mapping[str, str]) -> str:
    return in_language(texts, str(get_locale() or SOURCE))


def add_folder(app: 'Flask', package: Path) -> None:
    """Take the texts in ``translations/`` of a package too, if it has any."""
    folder = package / 'translations'
    if folder.is_dir() and folder not in app.extensions[TEXTS]:
        app.extensions[TEXTS].insert(0, folder)  # what comes later counts more, and the core counts most


def of_site(app: 'Flask') -> str:
    """The language that the setting ``LANGUAGE`` names: one there are texts in, else English."""
    name = str(app.config['LANGUAGE']).lower()
    name = _FORMER_NAMES.get(name, name)
    return name if has(name) else SOURCE


def offered(app: 'Flask') -> dict[str, str]:
    """The languages people may choose: tag → its name for itself."""
    return {tag: Locale.parse(tag).get_display_name(tag) or tag for tag in app.config['LANGUAGES']}


def selected(app: 'Flask') -> str:
    """The language of whoever asks: what he has chosen, else what the site has, else what his browser or terminal asks for."""
    languages = app.config['LANGUAGES']
    own = _chosen()
    if own in languages and app.config['LANGUAGE'] != PSEUDO:
        return own
    if app.config['LANGUAGE']:
        return of_site(app)
    if not has_request_context():
        return of_environment(languages) if is_command_line() else str(languages[0])
    return str(request.accept_languages.best_match(languages, languages[0]))


def speak_as(app: 'Flask') -> None:
    """From now on, let the command line say everything in the language of this site."""
    speak(PSEUDO if app.config['LANGUAGE'] == PSEUDO else selected(app))


def forget_user() -> None:
    """For error pages: from now on, do not ask the database who is here."""
    g.vulyk_language_without_user = True


class Catalogues(Domain):
    """The texts of the core and of whatever else brings some; of two translations of one text, the core's counts."""

    def get_translations(self) -> NullTranslations:
        """The texts in the language at hand."""
        locale = get_locale()
        if locale is None or is_for_scripts():
            return NullTranslations()
        if current_app.config['LANGUAGE'] == PSEUDO:
            return pseudo
        return merged(str(locale), tuple(current_app.extensions[TEXTS]))


def lend_to(library: Domain) -> None:
    """Have a library say what we say where we have the same text, and its own translations else."""
    if library in _lent:
        return
    _lent.add(library)
    theirs = library.get_translations

    def ours_or_theirs() -> NullTranslations:
        ours = get_domain().get_translations() if current_app else None
        return _both(ours, theirs()) if isinstance(ours, Translations) else ours or NullTranslations()

    library.get_translations = ours_or_theirs


@cache
def _both(ours: Translations, theirs: NullTranslations) -> Translations:
    texts = Translations()
    for catalogue in (theirs, ours):
        if isinstance(catalogue, Translations):
            texts.merge(catalogue)
            texts.plural = catalogue.plural  # type: ignore[attr-defined]
    return texts


def _chosen() -> str:
    if not has_request_context() or g.get('vulyk_language_without_user'):
        return ''
    try:
        return getattr(current_user, 'language', '') or ''
    except ConnectionFailure:
        return ''
