"""Rules from outside."""

import json
from typing import Any

from vulyk.blueprints.gamification.core.rules import Rule, RuleValidationException, rule_from_dict, stable_id

REQUIRED = (
    'name',
    'badge',
    'description',
    'bonus',
    'tasks_number',
    'days_number',
    'is_weekend',
    'is_adjacent',
)
OPTIONAL = ('task_type_name', 'semantics', 'id')
MAX_LENGTHS = {'name': 200, 'badge': 500, 'description': 2000, 'task_type_name': 50}


class RuleParsingException(Exception):
    """What was given is no rule; the text says why. ``text`` and ``facts`` are those of ``RuleValidationException``."""

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text % facts if facts else text)
        self.text, self.facts = text, facts


class RuleParser:
    """Makes rules of some outer representation."""


class JsonRuleParser(RuleParser):
    """Makes rules of JSON."""

    @staticmethod
    def parse(json_string: str) -> Rule:
        """The rule that a JSON object describes.

        Keys are those of ``Rule.to_dict``; ``task_type_name`` and ``semantics`` may be missing. Its id follows from name and
        task type, so that an ``id`` in the object only has to fit.

        :raises RuleParsingException: not JSON, a missing or unknown key, a value of a wrong kind, no possible condition.
        """
        try:
            facts = json.loads(json_string)
        except (TypeError, ValueError, RecursionError) as error:
            raise RuleParsingException('Not valid JSON: %(reason)s.', reason=error) from error
        return JsonRuleParser.from_dict(facts)

    @staticmethod
    def from_dict(facts: Any) -> Rule:
        """The same, of JSON that has been read already.

        :raises RuleParsingException: see :meth:`parse`.
        """
        if not isinstance(facts, dict):
            raise RuleParsingException('A rule must be a JSON object.')
        missing = [key for key in REQUIRED if key not in facts]
        if missing:
            raise RuleParsingException('%(names)s: missing.', names=', '.join(missing))
        unknown = [key for key in facts if key not in REQUIRED + OPTIONAL]
        if unknown:
            raise RuleParsingException('%(names)s: no such field.', names=', '.join(unknown))
        for key, limit in MAX_LENGTHS.items():
            value = facts.get(key, '')
            if not isinstance(value, str) and not (key == 'task_type_name' and value is None):
                raise RuleParsingException('%(name)s: must be a text, not %(value)s.', name=key, value=repr(value))
            if len(value or '') > limit or '\0' in (value or ''):
                raise RuleParsingException(
                    '%(name)s: must have at most %(limit)s ordinary characters.', name=key, limit=limit
                )
        if not facts['name'].strip():
            raise RuleParsingException('name: must not be empty.')
        rule_id = stable_id(facts['name'], facts.get('task_type_name') or '')
        if facts.get('id') not in (None, rule_id):
            raise RuleParsingException('id: must be %(id)s for this name and task type; leave it out.', id=rule_id)
        try:
            return rule_from_dict({**facts, 'id': rule_id})
        except RuleValidationException as error:
            raise RuleParsingException(error.text, **error.facts) from error
