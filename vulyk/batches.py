"""Loading files as a batch of tasks, and changing batches: what commands and admin pages have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson import Decimal128
from flask_babel import gettext

from vulyk import loading
from vulyk.ext import counting
from vulyk.models import audit
from vulyk.models.exc import TaskImportError
from vulyk.models.task_types import ALL_BATCHES, AbstractTaskType
from vulyk.models.tasks import Batch, Load
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User

MAX_ID_LENGTH = 50
MAX_PRIORITY = 1_000_000
MAX_REDUNDANCY = 1000


def add_batch(
    batch_id: str,
    count: int,
    task_type: AbstractTaskType,
    default_batch: str,
    batch_meta: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the batch of tasks that were just loaded. Only the default batch may be extended.

    :param count: number of tasks loaded.
    :param default_batch: name of the default batch.
    :param batch_meta: facts that differ from the defaults of the task type.
    :param facts: what people are told about it, checked by :func:`vulyk.models.facts.check_facts`.
    :raises TaskImportError: the batch exists and is not the default one of this type.
    """
    existing = Batch.objects(pk=batch_id).first()
    if existing is None:
        meta = {**task_type.task_type_meta, **(batch_meta or {})}
        Batch(
            id=batch_id,
            task_type=task_type.type_name,
            tasks_count=count,
            batch_meta=meta,
            redundancy=task_type.redundancy,
            **(facts or {}),
        ).save(force_insert=True)
        return
    if existing.task_type != task_type.type_name:
        raise TaskImportError(
            gettext('Batch %(batch)s belongs to the task type %(type)s.', batch=batch_id, type=existing.task_type)
        )
    if batch_id != default_batch_id(task_type, default_batch):
        raise TaskImportError(gettext('Batch with id %(batch)s already exists', batch=batch_id))
    if count:
        Batch.objects(pk=batch_id).update_one(inc__tasks_count=count, set__closed=False)
        Load.open_again(batch_id)


def default_batch_id(task_type: AbstractTaskType, default_batch: str) -> str:
    """The default batch of a type: the one called so if it is this type's or nobody's, else ``<default>_<type>``."""
    owner = Batch.objects(pk=default_batch).scalar('task_type').first()
    return default_batch if owner in (None, task_type.type_name) else f'{default_batch}_{task_type.type_name}'


def check_batch_id(value: str, default_batch: str) -> str:
    """The value, if tasks may be loaded into a batch of that name: a new one, or the default one.

    :raises TaskImportError: the batch exists already, or the name is empty or too long.
    """
    if not value.strip() or len(value) > MAX_ID_LENGTH:
        raise TaskImportError(gettext('A batch id has 1 to %(limit)s characters.', limit=MAX_ID_LENGTH))
    if value == ALL_BATCHES:
        raise TaskImportError(gettext('%(value)s means all batches; choose another id.', value=value))
    existing = Batch.objects(pk=value).first() if value != default_batch else None
    if existing is not None:
        raise TaskImportError(
            gettext(
                'Batch with id %(batch)s already exists (it belongs to %(type)s)',
                batch=value,
                type=existing.task_type,
            )
        )
    return value


def parse_meta(task_type: AbstractTaskType, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Facts of a batch that were typed, converted to the types the task type declares.

    :param pairs: ``(key, text)``; numbers are kept as exact decimals, truth values are true, false, 1 or 0.
    :raises TaskImportError: a key the type does not know, or a value of the wrong kind.
    """
    known = task_type.task_type_meta
    meta: dict[str, Any] = {}
    for key, text in pairs:
        if key not in known:
            names = ', '.join(known) or gettext('none')
            raise TaskImportError(
                gettext(
                    '%(key)s: %(type)s has no such fact. It knows: %(names)s.',
                    key=key,
                    type=task_type.type_name,
                    names=names,
                )
            )
        try:
            meta[key] = _convert(text, known[key])
        except (KeyError, ValueError, ArithmeticError) as error:
            kinds = {bool: gettext('true or false'), str: gettext('a text')}
            kind = kinds.get(type(known[key]), gettext('a number'))
            raise TaskImportError(
                gettext('%(key)s: %(text)s is not %(kind)s.', key=key, text=repr(text), kind=kind)
            ) from error
    return meta


def _convert(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return {'true': True, '1': True, 'false': False, '0': False}[text.strip().lower()]
    if isinstance(default, (int, float, Decimal)):
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError(text)
        return Decimal128(number)
    return text


def load_files(
    task_type: AbstractTaskType,
    paths: Sequence[str],
    batch_id: str,
    meta: Mapping[str, Any],
    *,
    default_batch: str,
    max_media_bytes: int,
    facts: Mapping[str, Any] | None = None,
    key: str | None = None,
    skip_invalid: bool = False,
    progress: Callable[[], None] = lambda: None,
    published: Callable[[int], None] = lambda count: None,
) -> loading.Loaded:
    """Load several files as one batch, everything or nothing; they should have been checked with ``loading.check``.

    :param meta: facts of the batch that differ from the defaults of the task type.
    :param facts: what people are told about a new batch, checked by :func:`vulyk.models.facts.check_facts`.
    :param published: called with the number of tasks, in the transaction that makes them visible.
    :raises TaskImportError: naming file, line and reason; or why the batch cannot take tasks.
    """

    def publish(count: int) -> None:
        add_batch(batch_id, count, task_type, default_batch, meta, facts)
        published(count)

    if task_type.imports_itself():
        if key or skip_invalid:
            raise TaskImportError(
                gettext(
                    '%(type)s imports tasks its own way, without --key and --skip-invalid.',
                    type=task_type.type_name,
                )
            )
        return _load_as_the_plugin_wants(task_type, paths, batch_id, publish)
    return loading.load(
        task_type,
        paths,
        batch_id,
        publish=publish,
        max_media_bytes=max_media_bytes,
        key=key,
        skip_invalid=skip_invalid,
        progress=progress,
    )


def _load_as_the_plugin_wants(
    task_type: AbstractTaskType, paths: Sequence[str], batch_id: str, publish: Callable[[int], None]
) -> loading.Loaded:
    """For plugins that override ``import_tasks``: it gets all records at once, in one transaction."""
    records = []
    for path in paths:
        for item in loading.read_records(path):
            if isinstance(item, TaskImportError):
                raise item
            records.append(item.data)

    def load() -> loading.Loaded:
        result = task_type.import_tasks(records, batch_id)  # plugins may return nothing
        loaded, duplicates = (result.loaded, result.duplicates) if result else (len(records), 0)
        publish(loaded)
        return loading.Loaded(loaded, duplicates, 0)

    return in_transaction(load)


def set_paused(batch_id: str, paused: bool, *, by: User | str) -> bool:
    """Hand out no tasks of a batch any more, or hand them out again. Who has one in hand may finish it.

    :param by: the admin; for commands a text that says who it was.
    :returns: False if there is no such batch.
    """
    batch = Batch.objects(pk=batch_id)
    return bool(audit.change(by, Batch, batch_id, 'update', lambda: batch.update_one(set__paused=paused)))


def set_priority(batch_id: str, priority: int, *, by: User | str) -> bool:
    """Have the tasks of a batch handed out before those of batches with a lower number.

    :param priority: at most ``MAX_PRIORITY`` below or above 0.
    :returns: False if there is no such batch.
    """
    batch = Batch.objects(pk=batch_id)
    return bool(audit.change(by, Batch, batch_id, 'update', lambda: batch.update_one(set__priority=priority)))


def set_redundancy(
    batch_id: str,
    redundancy: int,
    now: datetime,
    *,
    by: User | str,
    progress: Callable[[], None] = lambda: None,
) -> int:
    """Change how many answers the tasks of a batch need; tasks close, or open again, accordingly.

    Can be repeated after a crash, and does the rest then. Tasks that were closed early stay closed.

    :param redundancy: 1 to ``MAX_REDUNDANCY``.
    :param progress: called for each task that was changed.
    :returns: the number of tasks that were changed.
    """
    batch = Batch.objects(pk=batch_id)
    audit.change(by, Batch, batch_id, 'update', lambda: batch.update_one(set__redundancy=redundancy))
    return counting.set_redundancy(batch_id, redundancy, now, progress=progress)
