"""The admin pages of the game: rules and funds to edit, events and states to look at."""

from collections.abc import Sequence
from typing import Any

import mongoengine
from flask import current_app, flash
from flask_admin.actions import action
from flask_babel import gettext, lazy_gettext, lazy_pgettext
from flask_login import current_user
from wtforms import Form, SelectField
from wtforms.fields import Field
from wtforms.validators import InputRequired, NumberRange, Optional, Regexp, ValidationError

from vulyk.admin.models import AuthModelView
from vulyk.admin.pages import CoreView, EqualFilter, UserFilter, show_id
from vulyk.blueprints.gamification import audit
from vulyk.blueprints.gamification.core.amounts import plain
from vulyk.blueprints.gamification.core.rules import RuleValidationException, stable_id
from vulyk.blueprints.gamification.game import the_game
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.foundations import FundModel, check_logo
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.models.audit import record
from vulyk.models.user import User
from vulyk.texts import told

FUND_ID = r'[A-Za-z0-9][A-Za-z0-9_-]{0,49}$'


def views() -> list[AuthModelView]:
    """The pages of the game, in the order of the menu. Call it in an application context."""
    menu = {'category': lazy_gettext('Game')}
    return [
        RuleView(RuleModel, name=lazy_gettext('Rules'), **menu),
        FundView(FundModel, name=lazy_gettext('Funds'), **menu),
        EventView(EventModel, name=lazy_gettext('Events'), **menu),
        StateView(UserStateModel, name=lazy_gettext('States'), **menu),
    ]


def show_amount(view: Any, context: Any, model: Any, name: str) -> str:
    """A decimal number, without zeros at its end."""
    value = getattr(model, name)
    return '' if value is None else f'{plain(value):f}'


class ProjectField(SelectField):
    """One of the task types, or all of them; one whose plugin is not loaded now must not get lost."""

    def process_data(self, value: Any) -> None:
        """Take what is stored."""
        super().process_data(value or '')
        choices = [('', gettext('all projects'))]
        choices += [(name, kind.name or name) for name, kind in current_app.task_types.items()]
        if self.data and self.data not in current_app.task_types:
            choices.append((self.data, gettext('%(name)s (not enabled)', name=self.data)))
        self.choices = choices


class BadgeField(SelectField):
    """One of the pictures that the settings of the game name."""

    def process_data(self, value: Any) -> None:
        """Take what is stored."""
        super().process_data(value or '')
        names = list(dict.fromkeys([*the_game().badges, *([self.data] if self.data else [])]))
        self.choices = [(name, name) for name in names]


class RuleView(CoreView):
    """Rules. A change takes nothing back from anybody; a rule that is not wanted any more can be switched off."""

    column_list = (
        'name',
        'task_type_name',
        'tasks_number',
        'days_number',
        'is_weekend',
        'is_adjacent',
        'bonus',
        'enabled',
    )
    column_details_list = ('id', *column_list, 'description', 'badge', 'semantics', 'version', 'owners')
    column_sortable_list = ('name', 'task_type_name', 'bonus')
    column_default_sort = 'name'
    column_searchable_list = ('name', 'description')
    column_labels = {
        'id': lazy_gettext('Id'),
        'name': lazy_pgettext('of a thing', 'Name'),
        'task_type_name': lazy_gettext('Project'),
        'description': lazy_gettext('Description'),
        'badge': lazy_gettext('Badge'),
        'bonus': lazy_gettext('Bonus'),
        'tasks_number': lazy_gettext('Tasks'),
        'days_number': lazy_gettext('Days or weekends'),
        'is_weekend': lazy_gettext('On weekends'),
        'is_adjacent': lazy_gettext('In a row'),
        'semantics': lazy_gettext('Days'),
        'enabled': lazy_gettext('In force'),
        'version': lazy_gettext('Version'),
        'owners': lazy_gettext('Users who have it'),
    }
    column_formatters = {
        'owners': lambda view, context, rule, name: audit.owners_of(rule.id),
        'task_type_name': lambda view, context, rule, name: rule.task_type_name or gettext('all projects'),
    }
    edit_facts = ('id', 'version', 'owners')
    form_columns = (
        'name',
        'task_type_name',
        'description',
        'badge',
        'bonus',
        'tasks_number',
        'days_number',
        'is_weekend',
        'is_adjacent',
        'semantics',
        'enabled',
    )
    form_overrides = {'task_type_name': ProjectField}
    form_args = {
        'name': {'label': lazy_pgettext('of a thing', 'Name'), 'validators': [InputRequired()]},
        'task_type_name': {
            'label': lazy_gettext('Project'),
            'description': lazy_gettext('Only answers of this project count.'),
        },
        'description': {'label': lazy_gettext('Description')},
        'badge': {'label': lazy_gettext('Badge'), 'description': lazy_gettext('File name or address of the picture.')},
        'bonus': {'label': lazy_gettext('Bonus'), 'validators': [NumberRange(0)]},
        'tasks_number': {'label': lazy_gettext('Tasks'), 'validators': [NumberRange(0)]},
        'days_number': {
            'label': lazy_gettext('Days or weekends'),
            'validators': [NumberRange(0)],
            'description': lazy_gettext(
                'With a number of tasks: the tasks must be done within so many days. Without: days, or weekends, with work.'
            ),
        },
        'is_weekend': {'label': lazy_gettext('On weekends')},
        'is_adjacent': {'label': lazy_gettext('In a row')},
        'semantics': {
            'label': lazy_gettext('Days'),
            'description': lazy_gettext(
                'vulyk: days of UTC, weeks from Sunday on, one hole in a row is tolerated. '
                'calendar: days of the volunteer, a weekend is a Saturday and its Sunday, a row has no hole.'
            ),
        },
        'enabled': {'label': lazy_gettext('In force')},
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if the_game().badges:
            self.form_overrides = {**self.form_overrides, 'badge': BadgeField}
        super().__init__(*args, **kwargs)

    def on_model_change(self, form: Any, model: RuleModel, is_created: bool) -> None:
        """Refuse what the parser would refuse too."""
        if not (model.name or '').strip():
            raise ValidationError(gettext('name: must not be empty.'))
        if is_created:
            model.id = stable_id(model.name, model.task_type_name or '')
            if RuleModel.objects(pk=model.id):
                raise ValidationError(gettext('There was a rule of this name before; choose another one.'))
        if RuleModel.objects(name=model.name, pk__ne=model.id):
            raise ValidationError(gettext('There is a rule called “%(name)s” already.', name=model.name))
        try:
            model.to_rule()
        except RuleValidationException as error:
            raise ValidationError(told(error)) from error

    @action(
        'backfill',
        lazy_gettext('Give badges for the past'),
        lazy_gettext('Everybody who has reached these rules in the past gets their badges and bonuses. Go on?'),
    )
    def action_backfill(self, ids: Sequence[str]) -> None:
        """Have the badges of these rules given to everybody who has reached them in the past."""
        for rule_id in ids:
            audit.enqueue_backfill(rule_id)
        record(current_user._get_current_object(), 'rules.backfill', 'everybody', after={'rules': list(ids)})
        flash(gettext('The badges are being given; that may take a while.'), 'success')


def _is_picture(form: Form, field: Field) -> None:
    """A validator: what was sent, if anything, is a picture; of which nothing else is kept."""
    stream = getattr(field.data, 'stream', None)
    if stream is None or not field.data.filename:
        return
    try:
        picture = check_logo(stream)
    except mongoengine.ValidationError as error:
        raise ValidationError(str(error.message)) from error
    stream.seek(0)
    stream.truncate()
    stream.write(picture.getvalue())
    stream.seek(0)


class FundView(CoreView):
    """Funds."""

    column_list = ('id', 'name', 'site', 'email', 'donatable', 'logo')
    column_details_list = (*column_list, 'description')
    column_sortable_list = ('id', 'name')
    column_default_sort = 'name'
    column_searchable_list = ('id', 'name')
    column_labels = {
        'id': lazy_gettext('Id'),
        'name': lazy_pgettext('of a thing', 'Name'),
        'description': lazy_gettext('Description'),
        'site': lazy_gettext('Site'),
        'email': lazy_gettext('E-mail'),
        'donatable': lazy_gettext('Takes donations'),
        'logo': lazy_gettext('Logo'),
    }
    action_disallowed_list = ('delete',)
    form_columns = ('id', 'name', 'description', 'site', 'email', 'donatable', 'logo')
    form_args = {
        'id': {
            'label': lazy_gettext('Id'),
            'description': lazy_gettext('A part of addresses: Latin letters, digits, hyphens and underscores.'),
            'validators': [Regexp(FUND_ID, message=lazy_gettext('Use up to 50 Latin letters, digits, - and _.'))],
        },
        'name': {'label': lazy_pgettext('of a thing', 'Name')},
        'description': {'label': lazy_gettext('Description')},
        'site': {
            'label': lazy_gettext('Site'),
            'validators': [
                Optional(),
                Regexp('https?://', message=lazy_gettext('Begin the address with https:// or http://.')),
            ],
        },
        'email': {'label': lazy_gettext('E-mail')},
        'donatable': {'label': lazy_gettext('Takes donations')},
        'logo': {'label': lazy_gettext('Logo'), 'validators': [_is_picture]},
    }

    def on_model_delete(self, model: FundModel) -> None:
        """Refuse to forget a fund that money has been promised to."""
        if EventModel._get_collection().find_one({'acceptorFund': model.id}, {'_id': 1}) is not None:
            raise ValidationError(gettext('There are donations to this fund; let it take none any more instead.'))
        model.logo.delete()


class LookView(CoreView):
    """Documents to look at: changed by hand they would no longer add up."""

    can_create = False
    can_edit = False
    can_delete = False


class EventView(LookView):
    """Facts: what happened to whom."""

    column_list = ('timestamp', 'user', 'kind', 'points_given', 'coins', 'achievements', 'level_given', 'acceptor_fund')
    column_details_list = (
        'id',
        *column_list,
        'actual',
        'bonus',
        'answer',
        'task',
        'task_type',
        'batch',
        'seconds',
        'zone',
        'local_date',
        'source',
        'reverses',
        'viewed',
        'booked_at',
    )
    column_sortable_list = ('timestamp',)
    column_default_sort = ('timestamp', True)
    column_filters = (
        UserFilter('user', lazy_gettext('User')),
        EqualFilter('kind', lazy_gettext('Kind')),
        EqualFilter('batch', lazy_gettext('Batch')),
        EqualFilter('acceptor_fund', lazy_gettext('Fund')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'timestamp': lazy_gettext('When'),
        'user': lazy_gettext('User'),
        'kind': lazy_gettext('Kind'),
        'points_given': lazy_gettext('Points'),
        'coins': lazy_gettext('Coins'),
        'achievements': lazy_gettext('Badges'),
        'level_given': lazy_gettext('New level'),
        'acceptor_fund': lazy_gettext('Fund'),
        'actual': lazy_gettext('Actual coins'),
        'bonus': lazy_gettext('Bonus'),
        'answer': lazy_gettext('Answer'),
        'task': lazy_gettext('Task'),
        'task_type': lazy_gettext('Project'),
        'batch': lazy_gettext('Batch'),
        'seconds': lazy_gettext('Seconds'),
        'zone': lazy_gettext('Time zone'),
        'local_date': lazy_gettext('Local day'),
        'source': lazy_gettext('Source'),
        'reverses': lazy_gettext('Undoes'),
        'viewed': lazy_gettext('Seen'),
        'booked_at': lazy_gettext('Booked'),
    }
    column_formatters = {
        'user': lambda view, context, event, name: str(event.user),
        'points_given': show_amount,
        'coins': show_amount,
        'actual': show_amount,
        'bonus': show_amount,
        'answer': show_id,
        'acceptor_fund': show_id,
        'achievements': lambda view, context, event, name: ', '.join(_badge_names(event)),
    }
    form_columns = ('viewed',)

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int | None, Any]:
        """One page of events, the users fetched together."""
        count, found = super().get_list(*args, **kwargs)
        return count, _with_users(found)

    def get_one(self, id: Any) -> EventModel | None:
        """The event with its user at hand."""
        event = super().get_one(id)
        return None if event is None else _with_users([event])[0]


class StateView(LookView):
    """States: what everybody has."""

    column_list = ('user', 'level', 'points', 'actual_coins', 'potential_coins', 'badges', 'last_changed')
    column_details_list = ('id', *column_list, 'zones')
    column_sortable_list = ('points', 'level', 'actual_coins', 'potential_coins', 'last_changed')
    column_default_sort = ('points', True)
    column_filters = (UserFilter('user', lazy_gettext('User')),)
    column_labels = {
        'id': lazy_gettext('Id'),
        'user': lazy_gettext('User'),
        'level': lazy_gettext('Level'),
        'points': lazy_gettext('Points'),
        'actual_coins': lazy_gettext('Actual coins'),
        'potential_coins': lazy_gettext('Potential coins'),
        'badges': lazy_gettext('Badges'),
        'last_changed': lazy_gettext('Changed'),
        'zones': lazy_gettext('Time zones'),
    }
    column_formatters = {
        'user': lambda view, context, state, name: str(state.user),
        'points': show_amount,
        'actual_coins': show_amount,
        'potential_coins': show_amount,
        'badges': lambda view, context, state, name: len(state._data['achievements']),
        'zones': lambda view, context, state, name: ', '.join(change['zone'] for change in state.zones),
    }
    form_columns = ('level',)

    def get_query(self) -> Any:
        """States without their counters."""
        return super().get_query().exclude('counters')

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int | None, Any]:
        """One page of states, the users fetched together."""
        count, found = super().get_list(*args, **kwargs)
        return count, _with_users(found)

    def get_one(self, id: Any) -> UserStateModel | None:
        """The state with its user at hand."""
        state = super().get_one(id)
        return None if state is None else _with_users([state])[0]


def _with_users(documents: Any) -> list[Any]:
    found = list(documents)
    ids = [_pk(document._data['user']) for document in found]
    users = User.objects.in_bulk(ids)
    for document, user_id in zip(found, ids, strict=True):
        document.user = users.get(user_id, document._data['user'])
    return found


def _badge_names(event: EventModel) -> list[str]:
    keys = [AwardModel.key(_pk(event._data['user']), _pk(rule)) for rule in event._data['achievements']]
    return [award.facts['name'] for award in AwardModel.objects(id__in=keys)] if keys else []


def _pk(reference: Any) -> Any:
    return getattr(reference, 'id', reference)
