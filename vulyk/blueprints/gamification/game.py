"""What a site decides about its game."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask import current_app, has_app_context
from flask_babel import pgettext

from vulyk.blueprints.gamification.core.amounts import NumbersError, earned
from vulyk.blueprints.gamification.core.levels import DEFAULT_LEVELS, Levels
from vulyk.blueprints.gamification.models.task_types import DEFAULT_META, AbstractGamifiedTaskType
from vulyk.models.exc import InitializationError
from vulyk.texts import gettext, told
from vulyk.zones import is_zone

EXTENSION = 'vulyk_gamification'


@dataclass(frozen=True)
class Game:
    """The game of one application.

    :param levels: the table of levels.
    :param badges: pictures that the admin can choose from; empty: any can be typed in.
    :param currency: what a coin is worth, an ISO 4217 code.
    :param default_zone: the time zone of volunteers who have not told theirs.
    """

    levels: Levels = field(default_factory=Levels)
    badges: Sequence[str] = ()
    currency: str = 'UAH'
    default_zone: str = 'UTC'


_DEFAULT = Game()


def from_settings(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Game:
    """The game of an application.

    :param config: of the entry in ``ENABLED_BLUEPRINTS``: ``levels`` and ``badges``.
    :param settings: of the site: ``CURRENCY`` and ``DEFAULT_TIME_ZONE``.
    :raises InitializationError: they make no sense; the text says which.
    """
    try:
        levels = Levels(config.get('levels') or DEFAULT_LEVELS)
    except NumbersError as error:
        raise InitializationError(
            gettext('ENABLED_BLUEPRINTS, gamification: %(reason)s', reason=told(error))
        ) from error
    zone = settings.get('DEFAULT_TIME_ZONE', 'UTC')
    if not is_zone(zone):
        raise InitializationError(
            gettext('DEFAULT_TIME_ZONE: %(zone)s is not a time zone such as Europe/Kyiv.', zone=repr(zone))
        )
    return Game(
        levels=levels,
        badges=tuple(config.get('badges') or ()),
        currency=str(settings.get('CURRENCY', 'UAH')),
        default_zone=zone,
    )


def the_game() -> Game:
    """The game of the application at hand; the usual one where there is none."""
    found = current_app.extensions.get(EXTENSION) if has_app_context() else None
    return found if isinstance(found, Game) else _DEFAULT


def in_words(text: str) -> str:
    """A name or description of a badge or a fund in the language at hand, if the translations have it; else as it is.

    Those that come with the site, or with a plugin, are there with the context ``game``.
    """
    return str(pgettext('game', text)) if text else ''


def gamified_type(name: str) -> AbstractGamifiedTaskType | None:
    """The task type of that name if its answers are worth something; else None."""
    found = current_app.task_types.get(name) if has_app_context() else None
    return found if isinstance(found, AbstractGamifiedTaskType) else None


def gamified_types() -> set[str]:
    """The names of the task types whose answers are worth something."""
    kinds = current_app.task_types if has_app_context() else {}
    return {name for name, kind in kinds.items() if isinstance(kind, AbstractGamifiedTaskType)}


def worth(key: str, meta: Mapping[str, Any], kind: AbstractGamifiedTaskType) -> Decimal:
    """What an answer brings of points or coins.

    :param key: ``POINTS_PER_TASK_KEY`` or ``COINS_PER_TASK_KEY``.
    :param meta: the facts of its batch. What it does not say, or says in a way nobody understands, the task type does.
    """
    for source in (meta, kind.task_type_meta, DEFAULT_META):
        if key in source:
            try:
                return earned(source[key])
            except ValueError:
                continue
    return Decimal(1)
