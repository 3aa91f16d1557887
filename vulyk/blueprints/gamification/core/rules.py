"""Rules: what has to be done for a badge."""

import hashlib
from typing import Any

VULYK, CALENDAR = 'vulyk', 'calendar'
SEMANTICS = (VULYK, CALENDAR)
MAX_NUMBER = 2**31 - 1
MAX_DAYS = 3660  # what volunteers did on each of these days is kept beside their state


class RuleValidationException(Exception):
    """A rule that cannot mean anything; the text names the field.

    :param text: in English, with the names of ``facts`` as placeholders, for whoever shows it in another language.
    """

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text % facts if facts else text)
        self.text, self.facts = text, facts


class Rule:
    """A badge, the bonus that comes with it, and the condition. It may be read as one of

    * you closed n tasks
    * you closed n tasks in m days
    * you closed n tasks on weekends
    * you have been working on m weekends
    * you have been working for m days in a row
    * you have been working for m weekends in a row

    :param rule_id: see :func:`stable_id`.
    :param badge: the picture: a path or an address.
    :param bonus: points.
    :param tasks_number: n, or 0.
    :param days_number: m, or 0.
    :param semantics: ``vulyk``: days of UTC, as ever; ``calendar``: days of the volunteer, and "in a row" leaves no hole.
    :param version: grows with every edit; awards remember it.
    :raises RuleValidationException: the numbers are no condition.
    """

    def __init__(
        self,
        rule_id: str,
        badge: str,
        name: str,
        description: str,
        bonus: int,
        tasks_number: int,
        days_number: int,
        is_weekend: bool,
        is_adjacent: bool,
        semantics: str = VULYK,
        version: int = 1,
    ) -> None:
        self._id = rule_id
        self.badge = badge
        self.name = name
        self.description = description
        self.bonus = bonus
        self._tasks_number = tasks_number
        self._days_number = days_number
        self._is_weekend = is_weekend
        self._is_adjacent = is_adjacent
        self.semantics = semantics
        self.version = version
        self._validate_numbers()
        self._limit = tasks_number or days_number
        # Asked for at every answer of everybody.
        self._window = (
            (days_number * 7 if is_weekend else days_number) if is_adjacent else days_number * bool(tasks_number)
        )
        self._validate_condition()

    def _validate_numbers(self) -> None:
        numbers = {'bonus': self.bonus, 'tasks_number': self.tasks_number, 'days_number': self.days_number}
        for field, value in numbers.items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise RuleValidationException(
                    '%(field)s: must be a whole number, not %(value)s.', field=field, value=repr(value)
                )
            if not 0 <= value <= MAX_NUMBER:
                raise RuleValidationException(
                    '%(field)s: must be from 0 to %(limit)s, not %(value)s.',
                    field=field,
                    limit=MAX_NUMBER,
                    value=value,
                )
        for field, flag in {'is_weekend': self.is_weekend, 'is_adjacent': self.is_adjacent}.items():
            if not isinstance(flag, bool):
                raise RuleValidationException(
                    '%(field)s: must be true or false, not %(value)s.', field=field, value=repr(flag)
                )
        if self.semantics not in SEMANTICS:
            raise RuleValidationException(
                'semantics: must be one of %(names)s, not %(value)s.',
                names=', '.join(SEMANTICS),
                value=repr(self.semantics),
            )

    def _validate_condition(self) -> None:
        if self.tasks_number == 0 and self.days_number == 0:
            raise RuleValidationException('tasks_number, days_number: at least one of them must be more than 0.')
        if self.is_adjacent and self.days_number == 0:
            raise RuleValidationException('is_adjacent: needs days_number, the number of days in a row.')
        if self.is_adjacent and self.tasks_number > 0:
            raise RuleValidationException('is_adjacent: days in a row cannot be combined with tasks_number.')
        if self.window > MAX_DAYS:
            raise RuleValidationException(
                'days_number: reaches back %(window)s days, %(limit)s are possible.',
                window=self.window,
                limit=MAX_DAYS,
            )

    @property
    def id(self) -> str:
        return self._id

    @property
    def tasks_number(self) -> int:
        return self._tasks_number

    @property
    def days_number(self) -> int:
        return self._days_number

    @property
    def is_weekend(self) -> bool:
        return self._is_weekend

    @property
    def is_adjacent(self) -> bool:
        return self._is_adjacent

    @property
    def limit(self) -> int:
        """What the number that the query counts is compared with: tasks if there is a number of them, else days."""
        return self._limit

    @property
    def window(self) -> int:
        """How many days back the condition looks; 0: at everything there ever was."""
        return self._window

    @property
    def scope(self) -> str:
        """The task type whose answers count; empty: those of all types."""
        return ''

    def to_dict(self) -> dict[str, Any]:
        """What others see of a rule: a source for JSON. ``semantics`` is there only where it is not the usual one."""
        facts = {
            'id': self.id,
            'badge': self.badge,
            'name': self.name,
            'description': self.description,
            'bonus': self.bonus,
            'tasks_number': self.tasks_number,
            'days_number': self.days_number,
            'is_weekend': self.is_weekend,
            'is_adjacent': self.is_adjacent,
        }
        return facts if self.semantics == VULYK else {**facts, 'semantics': self.semantics}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r})'


class ProjectRule(Rule):
    """A rule for which only answers of one task type count.

    :param task_type_name: that type.
    """

    def __init__(
        self,
        rule_id: str,
        task_type_name: str,
        badge: str,
        name: str,
        description: str,
        bonus: int,
        tasks_number: int,
        days_number: int,
        is_weekend: bool,
        is_adjacent: bool,
        semantics: str = VULYK,
        version: int = 1,
    ) -> None:
        self._task_type_name = task_type_name
        super().__init__(
            rule_id,
            badge,
            name,
            description,
            bonus,
            tasks_number,
            days_number,
            is_weekend,
            is_adjacent,
            semantics,
            version,
        )

    @classmethod
    def from_rule(cls, rule: Rule, task_type_name: str) -> 'ProjectRule':
        """The same rule, for one task type."""
        return cls(
            rule_id=rule.id,
            task_type_name=task_type_name,
            badge=rule.badge,
            name=rule.name,
            description=rule.description,
            bonus=rule.bonus,
            tasks_number=rule.tasks_number,
            days_number=rule.days_number,
            is_weekend=rule.is_weekend,
            is_adjacent=rule.is_adjacent,
            semantics=rule.semantics,
            version=rule.version,
        )

    @property
    def task_type_name(self) -> str:
        return self._task_type_name

    @property
    def scope(self) -> str:
        return self._task_type_name

    def to_dict(self) -> dict[str, Any]:
        """As for every rule, with ``task_type_name``."""
        return {**super().to_dict(), 'task_type_name': self.task_type_name}


def stable_id(name: str, task_type_name: str = '') -> str:
    """The id of a rule: the same in every process, on every machine, for ever."""
    return hashlib.sha256(f'{task_type_name}\n{name}'.encode()).hexdigest()[:32]


def rule_from_dict(facts: dict[str, Any], *, version: int = 1) -> Rule:
    """The inverse of ``to_dict``.

    :raises KeyError: a field is missing.
    :raises RuleValidationException: the numbers are no condition.
    """
    rule = Rule(
        rule_id=facts['id'],
        badge=facts['badge'],
        name=facts['name'],
        description=facts['description'],
        bonus=facts['bonus'],
        tasks_number=facts['tasks_number'],
        days_number=facts['days_number'],
        is_weekend=facts['is_weekend'],
        is_adjacent=facts['is_adjacent'],
        semantics=facts.get('semantics') or VULYK,
        version=version,
    )
    task_type_name = facts.get('task_type_name')
    return ProjectRule.from_rule(rule, task_type_name) if task_type_name else rule
