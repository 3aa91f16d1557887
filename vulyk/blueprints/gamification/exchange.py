"""Rules and funds as files: read with the line of everything that is wrong, and stored all together or not at all."""

import hashlib
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from flask import current_app
from flask_babel import gettext
from mongoengine import ValidationError

from vulyk.blueprints.gamification.core.parsing import JsonRuleParser, RuleParsingException
from vulyk.blueprints.gamification.core.rules import Rule, RuleValidationException
from vulyk.blueprints.gamification.models.foundations import FundModel, check_logo
from vulyk.blueprints.gamification.models.rules import RuleModel, forget_rules
from vulyk.models.transaction import in_transaction
from vulyk.texts import told

FUND_FIELDS = ('id', 'name', 'description', 'site', 'email', 'donatable', 'logo')


class ExchangeError(Exception):
    """The file cannot be used; the text tells file, line and reason. Nothing was changed."""


class Imported(NamedTuple):
    """What an import did."""

    new: int
    changed: int
    unchanged: int


class _Record(NamedTuple):
    """A JSON value of a file and the line it begins on."""

    line: int
    value: Any


# --- rules --------------------------------------------------------------------------------------------------------------


def import_rules(path: Path, *, skip_unknown_projects: bool = False) -> Imported:
    """Store the rules of a file; those that are there already, under the same name and task type, are changed.

    Badges that were given stay as they are.

    :param skip_unknown_projects: leave out rules of task types that are not enabled, instead of refusing the file.
    :raises ExchangeError: see there.
    """
    rules = list(_rules_in(path))
    unknown = [(line, rule) for line, rule in rules if rule.scope and rule.scope not in current_app.task_types]
    if skip_unknown_projects:
        rules = [item for item in rules if item not in unknown]
    elif unknown:
        line, rule = unknown[0]
        known = ', '.join(sorted(current_app.task_types)) or gettext('none')
        raise ExchangeError(
            gettext(
                '%(path)s, line %(line)s: task_type_name: there is no task type %(type)s. Enabled: %(known)s.',
                path=path,
                line=line,
                type=repr(rule.scope),
                known=known,
            )
        )
    try:
        done = in_transaction(lambda: _store_rules(path, rules))
    finally:
        forget_rules()
    return done


def _rules_in(path: Path) -> Iterator[tuple[int, Rule]]:
    names: dict[str, int] = {}
    for line, value in read_records(path):
        try:
            rule = JsonRuleParser.from_dict(value)
        except RuleParsingException as error:
            raise ExchangeError(
                gettext('%(path)s, line %(line)s: %(reason)s', path=path, line=line, reason=told(error))
            ) from error
        if rule.name in names:
            raise ExchangeError(
                gettext(
                    '%(path)s, line %(line)s: the name %(name)s is used on line %(other)s already.',
                    path=path,
                    line=line,
                    name=repr(rule.name),
                    other=names[rule.name],
                )
            )
        names[rule.name] = line
        yield line, rule


def _store_rules(path: Path, rules: list[tuple[int, Rule]]) -> Imported:
    new = changed = 0
    for line, rule in rules:
        other = RuleModel.objects(name=rule.name, id__ne=rule.id).first()
        if other is not None:
            owner = other.task_type_name or gettext('all task types')
            raise ExchangeError(
                gettext(
                    '%(path)s, line %(line)s: the name %(name)s belongs to a rule of %(owner)s already.',
                    path=path,
                    line=line,
                    name=repr(rule.name),
                    owner=owner,
                )
            )
        model = RuleModel.objects(pk=rule.id).first()
        if model is None:
            RuleModel.from_rule(rule).save(force_insert=True)
            new += 1
        elif model.to_rule() != rule:
            _change(model, RuleModel.from_rule(rule))
            changed += 1
    return Imported(new, changed, len(rules) - new - changed)


def _change(model: RuleModel, wanted: RuleModel) -> None:
    for name in RuleModel._fields_ordered:
        value = getattr(wanted, name)
        if name not in ('id', '_cls', 'version', 'enabled') and getattr(model, name) != value:
            setattr(model, name, value)
    model.save()


def export_rules() -> str:
    """All rules as JSON that :func:`import_rules` reads.

    :raises ExchangeError: one that an older version has stored is none.
    """
    rules = []
    for model in RuleModel.objects.order_by('task_type_name', 'name'):
        try:
            facts = model.to_rule().to_dict()
        except RuleValidationException as error:
            raise ExchangeError(
                gettext('rule %(rule)s (%(name)s): %(reason)s', rule=model.id, name=model.name, reason=told(error))
            ) from error
        del facts['id']  # it follows from name and task type
        rules.append(facts)
    return json.dumps(rules, ensure_ascii=False, indent=2) + '\n'


# --- funds --------------------------------------------------------------------------------------------------------------


class _FundFile(NamedTuple):
    facts: dict[str, Any]
    logo: BytesIO | None


def import_funds(path: Path) -> Imported:
    """Store the funds of a file; those of a known id are changed. ``logo`` names a picture, relative to the file.

    :raises ExchangeError: see there.
    """
    found = list(_funds_in(path))
    new = changed = 0
    for fund in found:
        model = FundModel.objects(pk=fund.facts['id']).first()
        if model is None:
            model = FundModel(id=fund.facts['id'])
            new += 1
        elif _facts_of(model) != fund.facts or not _same_logo(model, fund.logo):
            changed += 1
        else:
            continue
        for name, value in fund.facts.items():
            if name != 'id':
                setattr(model, name, value)
        if fund.logo is not None and not _same_logo(model, fund.logo):
            _put_logo(model, fund.logo)
        model.save()
    return Imported(new, changed, len(found) - new - changed)


def _funds_in(path: Path) -> Iterator[_FundFile]:
    lines: dict[str, int] = {}
    for line, value in read_records(path):
        try:
            fund = _fund_of(value, path.parent)
        except (ValueError, ValidationError) as error:
            raise ExchangeError(
                gettext('%(path)s, line %(line)s: %(reason)s', path=path, line=line, reason=_sentence(error))
            ) from error
        fund_id = fund.facts['id']
        if fund_id in lines:
            raise ExchangeError(
                gettext(
                    '%(path)s, line %(line)s: the id %(id)s is used on line %(other)s already.',
                    path=path,
                    line=line,
                    id=repr(fund_id),
                    other=lines[fund_id],
                )
            )
        lines[fund_id] = line
        yield fund


def _fund_of(value: Any, folder: Path) -> _FundFile:
    """The fund a JSON object describes.

    :raises ValueError: it describes none.
    :raises ValidationError: a field, or the picture, is not what it should be.
    """
    if not isinstance(value, dict):
        raise ValueError(gettext('A fund must be a JSON object.'))
    unknown = [key for key in value if key not in FUND_FIELDS]
    missing = [key for key in ('id', 'name') if not value.get(key)]
    if unknown or missing:
        problems = [gettext('%(names)s: missing.', names=', '.join(missing))] if missing else []
        problems += [gettext('%(names)s: no such field.', names=', '.join(unknown))] if unknown else []
        raise ValueError(' '.join(problems))
    facts = {
        'id': value['id'],
        'name': value['name'],
        'description': value.get('description', ''),
        'site': value.get('site') or None,
        'email': value.get('email') or None,
        'donatable': value.get('donatable', True),
    }
    for name in ('id', 'name', 'description', 'site', 'email'):
        if not isinstance(facts[name], str | None):
            raise ValueError(gettext('%(name)s: must be a text, not %(value)s.', name=name, value=repr(facts[name])))
    if not isinstance(facts['donatable'], bool):
        raise ValueError(gettext('donatable: must be true or false, not %(value)s.', value=repr(facts['donatable'])))
    if '/' in facts['id']:
        raise ValueError(gettext('id: must not contain a slash, because it is a part of addresses.'))
    for name in ('id', 'name', 'description', 'site'):
        limit = getattr(FundModel, name).max_length
        if len(facts[name] or '') > limit:
            raise ValueError(
                gettext('%(name)s: must have at most %(limit)s ordinary characters.', name=name, limit=limit)
            )
    try:
        FundModel(**facts).validate()
    except ValidationError as error:
        if 'email' in error.errors:
            raise ValueError(
                gettext('email: %(email)s is not an e-mail address.', email=repr(facts['email']))
            ) from error
        raise
    return _FundFile(facts, _logo_of(value.get('logo'), folder))


def _logo_of(name: Any, folder: Path) -> BytesIO | None:
    if not name:
        return None
    if not isinstance(name, str):
        raise ValueError(gettext('logo: must be the name of a picture, not %(name)s.', name=repr(name)))
    try:
        with (folder / name).open('rb') as file:
            return check_logo(file)
    except OSError as error:
        raise ValueError(
            gettext('logo: %(file)s cannot be read (%(reason)s).', file=folder / name, reason=error.strerror)
        ) from error


def _put_logo(model: FundModel, logo: BytesIO) -> None:
    if model.logo.grid_id:
        model.logo.delete()
    model.logo.put(logo, filename=f'{model.id}-logo', source=_digest(logo))


def _same_logo(model: FundModel, logo: BytesIO | None) -> bool:
    """Whether the stored picture has been made of this one, or there is none to store."""
    file = model.logo.get() if model.logo else None
    return logo is None or getattr(file, 'source', None) == _digest(logo)


def _digest(logo: BytesIO) -> str:
    return hashlib.sha256(logo.getvalue()).hexdigest()


def _facts_of(model: FundModel) -> dict[str, Any]:
    return {
        'id': model.id,
        'name': model.name,
        'description': model.description or '',
        'site': model.site,
        'email': model.email,
        'donatable': bool(model.donatable),
    }


def export_funds(path: Path) -> int:
    """Write all funds as JSON that :func:`import_funds` reads, and their pictures beside it; returns their number."""
    funds = []
    for model in FundModel.objects.order_by('id'):
        facts = _facts_of(model)
        file = model.logo.get() if model.logo else None
        if file is not None:
            facts['logo'] = f'{model.id}.{str(file.format).lower()}'
            (path.parent / facts['logo']).write_bytes(file.read())
        funds.append({name: value for name, value in facts.items() if value is not None})
    path.write_text(json.dumps(funds, ensure_ascii=False, indent=2) + '\n', encoding='utf-8')
    return len(funds)


# --- files --------------------------------------------------------------------------------------------------------------


def read_records(path: Path) -> Iterator[_Record]:
    """The JSON values of a file: the items of a list, or one value after another, as in JSON lines.

    :raises ExchangeError: the file cannot be read, or is not JSON from some line on.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise ExchangeError(
            gettext('%(path)s: cannot be read (%(reason)s).', path=path, reason=error.strerror)
        ) from error
    except UnicodeDecodeError as error:
        raise ExchangeError(
            gettext('%(path)s: byte %(start)s is not valid UTF-8.', path=path, start=error.start)
        ) from error
    reader = _Reader(path, text)
    yield from reader.items() if reader.peek() == '[' else reader.values()


class _Reader:
    """Reads JSON values one by one and knows the line it is on."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text, self._place = path, text, 0
        self._decoder = json.JSONDecoder(parse_constant=self._refuse)

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while self._place < len(self._text) and self._text[self._place].isspace():
            self._place += 1
        return self._text[self._place : self._place + 1]

    def values(self) -> Iterator[_Record]:
        while self.peek():
            yield self._value()

    def items(self) -> Iterator[_Record]:
        self._skip('[')
        while self.peek() != ']':
            yield self._value()
            if self.peek() != ']':
                self._skip(',')
                if self.peek() == ']':
                    raise self._error(gettext('a value was expected after the comma'))
        self._skip(']')
        if self.peek():
            raise self._error(gettext('there is something after the end of the list'))

    def _value(self) -> _Record:
        self.peek()
        line = self._line(self._place)
        try:
            value, self._place = self._decoder.raw_decode(self._text, self._place)
        except json.JSONDecodeError as error:
            raise ExchangeError(
                gettext(
                    '%(path)s, line %(line)s: not valid JSON (%(reason)s).',
                    path=self._path,
                    line=error.lineno,
                    reason=error.msg,
                )
            ) from error
        except (ValueError, RecursionError) as error:
            raise ExchangeError(
                gettext(
                    '%(path)s, line %(line)s: not valid JSON (%(reason)s).', path=self._path, line=line, reason=error
                )
            ) from error
        return _Record(line, value)

    def _skip(self, character: str) -> None:
        if self.peek() != character:
            raise self._error(gettext('“%(character)s” was expected', character=character))
        self._place += 1

    def _error(self, what: str) -> ExchangeError:
        return ExchangeError(
            gettext(
                '%(path)s, line %(line)s: not valid JSON (%(reason)s).',
                path=self._path,
                line=self._line(self._place),
                reason=what,
            )
        )

    def _line(self, place: int) -> int:
        return self._text.count('\n', 0, place) + 1

    @staticmethod
    def _refuse(name: str) -> None:
        raise ValueError(gettext('%(name)s is not a JSON number', name=name))


def _sentence(error: Exception) -> str:
    """What is wrong, in words: mongoengine puts them into a dictionary."""
    errors = getattr(error, 'errors', None) or {'': error}
    return ' '.join(str(getattr(what, 'message', what)) for what in errors.values())
