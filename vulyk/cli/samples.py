"""Fills a new demo instance with the sample tasks of its plugins, and with real answers of other people."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import current_app

from vulyk import demo
from vulyk.cli import project_init
from vulyk.cli.batches import add_batch, read_facts
from vulyk.ext.counting import set_redundancy
from vulyk.loading import Record, read_records
from vulyk.models.tasks import Batch
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

FIRST_BATCH = 10  # small enough for one visitor to finish


class SampleAnswer(NamedTuple):
    """What one real person answered; ``key`` is the task's."""

    key: str
    worker: str
    answer: str


def seed() -> None:
    """Load samples and answers unless that is done; one that was cut off is completed."""
    demo.mark()
    if demo.InstanceMark.objects(pk='demo', seeded_at__ne=None):
        return
    types = current_app.task_types
    project_init(types)
    for module in current_app.blueprints.values():
        if hasattr(module, 'seed'):  # a feature that has something to show
            module.seed()
    for task_type in types.values():
        if task_type.samples:
            with as_file(files(task_type.package) / task_type.samples) as folder:
                _load(task_type, folder)
    demo.InstanceMark.objects(pk='demo').update_one(set__seeded_at=datetime.now(UTC))


def _load(task_type: 'AbstractTaskType', folder: Path) -> None:
    records = sample_records(folder)
    media = task_type.store_media(records, folder, max_bytes=current_app.config['MEDIA_MAX_BYTES'])
    facts_file = folder / 'facts.json'
    facts = read_facts(str(facts_file)) if facts_file.is_file() else {}
    parts = [records[:FIRST_BATCH], records[FIRST_BATCH:]]
    for number, part in enumerate(filter(None, parts), 1):
        batch_id = f'{task_type.type_name}_{number:02}'
        if not Batch.objects(pk=batch_id):
            in_transaction(lambda part=part, batch_id=batch_id: _load_batch(task_type, part, batch_id, media, facts))
    answers = folder / 'answers.csv'
    if answers.is_file():
        ids = {task.task_data['key']: task.id for task in task_type.task_model.objects(task_type=task_type.type_name)}
        for chosen in choose_answers(_read_answers(answers), per_task=task_type.redundancy - 1):
            task_type.on_task_done(_volunteer(chosen.worker), ids[chosen.key], task_type.sample_result(chosen.answer))
    else:  # nobody has answered anything: one visitor's answers have to do
        set_redundancy(f'{task_type.type_name}_01', 1, task_type.clock())


def sample_records(folder: Path) -> list[dict[str, Any]]:
    """The tasks in the folder of a plugin's samples."""
    return [item.data for item in read_records(str(folder / 'tasks.jsonl')) if isinstance(item, Record)]


def _load_batch(
    task_type: 'AbstractTaskType', records: list[dict], batch_id: str, media: dict[str, str], facts: dict[str, Any]
) -> None:
    count = task_type.import_tasks(records, batch_id, media=media).loaded
    add_batch(batch_id, count, task_type, current_app.config['DEFAULT_BATCH'], facts=facts)


def choose_answers(answers: list[SampleAnswer], *, per_task: int) -> Iterator[SampleAnswer]:
    """``per_task`` answers of each task, those of the busiest people, so that a few of them share a leaderboard."""
    busy = Counter(answer.worker for answer in answers)
    taken: Counter[str] = Counter()
    for answer in sorted(answers, key=lambda answer: (answer.key, -busy[answer.worker], answer.worker)):
        if taken[answer.key] < per_task:
            taken[answer.key] += 1
            yield answer


def _read_answers(path: Path) -> list[SampleAnswer]:
    with path.open(encoding='utf-8', newline='') as file:
        return [SampleAnswer(row['task'], row['worker'], row['answer']) for row in csv.DictReader(file)]


def _volunteer(name: str) -> User:
    return User.objects(username=name).first() or User(username=name).save()
