"""Tasks in, answers out, through the methods of a task type."""

from datetime import datetime

import orjson
import pytest
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk.cli.batches import add_batch
from vulyk.loading import make_id
from vulyk.models import media
from vulyk.models.exc import TaskImportError
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User

PNG = b'\x89PNG\r\n\x1a\n' + bytes(8)


# --- in ---------------------------------------------------------------------------------------------------------------


def test_id_of_a_task_is_the_sha_1_of_its_compact_json():
    assert make_id('plain_task', {'n': 2, 'text': 'task 2'}, None) == '7d75a0f5c168adb14660'


def test_imported_record_is_an_open_task_of_its_batch(plain):
    assert plain.import_tasks([{'n': 1}], 'b1') == (1, 0)
    task = PlainTask.objects.no_dereference().get()
    assert task.id == make_id('plain_task', {'n': 1}, None)
    assert (task.batch.id, task.task_type, task.closed) == ('b1', 'plain_task', False)


def test_record_that_is_a_task_already_is_left_out_and_counted(plain):
    plain.import_tasks([{'n': 1}], 'b1')
    assert plain.import_tasks([{'n': 1}, {'n': 2}, {'n': 2}], 'b2') == (1, 2)
    assert PlainTask.objects(batch='b1').count() == PlainTask.objects(batch='b2').count() == 1


def test_same_record_far_apart_in_a_large_import_is_one_task(plain):
    records = [{'n': number} for number in range(1500)]
    assert plain.import_tasks([*records, {'n': 0}], 'b1') == (1500, 1)


def test_record_that_another_type_holds_becomes_a_task_with_the_types_name_in_its_id(plain, variant):
    other = variant(type_name='other_task')
    plain.import_tasks([{'n': 1}], 'b1')
    assert other.import_tasks([{'n': 1}], 'b2') == (1, 0)
    assert other.import_tasks([{'n': 1}], 'b2') == (0, 1)
    assert {task.id: task.task_type for task in PlainTask.objects} == {
        make_id('plain_task', {'n': 1}, None): 'plain_task',
        make_id('plain_task', {'n': 1}, None) + '.other_task': 'other_task',
    }


def test_record_that_a_disabled_plugin_holds_is_not_a_crash(plain):
    plain.import_tasks([{'n': 1}], 'b1')
    AbstractTask._get_collection().update_one({}, {'$set': {'_cls': 'AbstractTask.Gone', 'taskType': 'gone'}})
    assert plain.import_tasks([{'n': 1}], 'b2') == (1, 0)
    assert PlainTask.objects.get().id == make_id('plain_task', {'n': 1}, None) + '.plain_task'


@pytest.mark.parametrize(
    ('record', 'reason'),
    [
        ([], 'a task must be a JSON object'),
        ('text', 'a task must be a JSON object'),
        (None, 'a task must be a JSON object'),
        ({}, 'a task must not be empty'),
        ({'a': 2**70}, r'task\.a: the number does not fit 64 bit'),
        ({'a\0': 1}, 'NUL'),
        ({'a': {1, 2}}, 'set is not a JSON value'),
    ],
)
def test_record_that_cannot_be_a_task_is_named_and_nothing_is_stored(plain, record, reason):
    with pytest.raises(TaskImportError, match=reason) as refusal:
        plain.import_tasks([{'n': 1}, {'n': 2}, record], 'b1')
    assert refusal.value.record == 3
    assert PlainTask.objects.count() == 0


def test_tasks_may_come_from_a_generator_and_have_no_batch(plain):
    plain.import_tasks(({'n': number} for number in range(3)), None)
    assert [task.batch for task in PlainTask.objects] == [None, None, None]


# --- files of tasks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(variant):
    """A task type whose field ``image`` names a file."""
    return variant(media_fields=('image',))


def test_file_of_a_task_is_stored_and_its_data_stay_as_they_are(pictures, tmp_path):
    (tmp_path / 'a.png').write_bytes(PNG)
    files = pictures.store_media([{'image': 'a.png'}], tmp_path, max_bytes=100)
    pictures.import_tasks([{'image': 'a.png'}], 'b1', media=files)
    task = PlainTask.objects.no_dereference().get()
    assert task.task_data == {'image': 'a.png'}
    assert media.find(pictures.media_of(task.id)['a.png'], pictures.type_name).read() == PNG


def test_task_without_files_has_none(plain, pictures):
    (task,) = make_tasks(pictures, 1)
    assert plain.media_of(task.id) == pictures.media_of(task.id) == pictures.media_of('no such task') == {}


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        ('missing.png', 'image: there is no file'),
        ('../a.png', 'image: .* lies outside'),
        ('/etc/hostname', 'image: .* lies outside'),
        ('', 'image: .* is not the path of a file'),
        (None, 'image: None is not the path of a file'),
        (7, 'image: 7 is not the path of a file'),
        (['a.png'], 'image: .* is not the path of a file'),
        ({'path': 'a.png'}, 'image: .* is not the path of a file'),
        ('a\0.png', 'image: .* is not the path of a file'),
        ('x' * 300 + '.png', 'image: there is no file'),
        ('big.png', r'image: .* has more than 100 bytes \(setting MEDIA_MAX_BYTES\)'),
        ('page.png', 'image: .* is no picture, sound, video or PDF'),
        ('folder', 'image: there is no file'),
    ],
    ids=str,
)
def test_file_that_cannot_be_taken_is_refused_with_its_record(pictures, tmp_path, value, reason):
    (tmp_path / 'a.png').write_bytes(PNG)
    (tmp_path / 'big.png').write_bytes(PNG + bytes(100))
    (tmp_path / 'page.png').write_text('<script>alert(1)</script>')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(TaskImportError, match=reason) as refusal:
        pictures.store_media([{'image': 'a.png'}, {'image': value}], tmp_path, max_bytes=100)
    assert refusal.value.record == 2


def test_nothing_is_stored_when_one_file_is_missing(pictures, tmp_path):
    (tmp_path / 'a.png').write_bytes(PNG)
    with pytest.raises(TaskImportError):
        pictures.store_media([{'image': 'a.png'}, {'image': 'b.png'}], tmp_path, max_bytes=100)
    assert AbstractTask._get_db()['media.files'].count_documents({}) == 0


# --- out --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(plain):
    """A closed task of batch ``b1`` with the answers 1 and 2, beside an open one with the answer 3."""
    task, other = make_tasks(plain, 2, batch='b1')
    for number in (1, 2):
        answer(plain, task, make_user(), {'n': number})
    answer(plain, other, make_user(), {'n': 3})
    return task


def numbers(lines) -> list[list[int]]:
    return sorted([entry['answer']['n'] for entry in line] for line in lines)


def test_line_of_an_export_has_the_documented_shape(plain, closed):
    (line,) = plain.export_reports('b1')
    assert line == [
        {
            'task': {'id': closed.id, 'closed': True, 'data': closed.task_data},
            'answer': {'n': number},
            'user': {'username': PlainAnswer.objects.get(result__n=number).created_by.username, 'email': ''},
        }
        for number in (1, 2)
    ]


def test_only_closed_tasks_are_exported_unless_all_are_asked_for(plain, closed):
    assert numbers(plain.export_reports('b1')) == [[1, 2]]
    assert numbers(plain.export_reports('b1', closed=False)) == [[1, 2], [3]]


def test_open_task_without_answers_is_an_empty_list(plain):
    make_tasks(plain, 1, batch='b1')
    assert list(plain.export_reports('b1', closed=False)) == [[]]


def test_all_batches_can_be_exported_at_once_or_one_alone(plain, closed):
    (task,) = make_tasks(plain, 1, batch='b2')
    for _ in range(2):
        answer(plain, task, make_user(), {'n': 4})
    assert numbers(plain.export_reports('__all__')) == [[1, 2], [4, 4]]
    assert numbers(plain.export_reports('b2')) == [[4, 4]]


def test_export_may_be_limited_to_a_queryset(plain, closed):
    assert numbers(plain.export_reports('b1', qs=PlainTask.objects(closed=False))) == [[3]]


def test_export_of_more_tasks_than_one_chunk_holds_each_once(variant):
    kind = variant(redundancy=1)
    kind.import_tasks([{'n': number} for number in range(405)], 'b1')
    assert len(list(kind.export_reports('b1', closed=False))) == 405


def test_extra_answers_are_exported_too(plain, closed):
    answer(plain, closed, make_user(), {'n': 9})
    assert numbers(plain.export_reports('b1')) == [[1, 2, 9]]


def test_sessions_are_exported_on_demand_with_times_without_zone(plain, closed):
    (line,) = plain.export_reports('b1', with_sessions=True)
    session = line[0]['session']
    assert list(session) == ['start_time', 'end_time', 'duration', 'activity']
    start, end = (datetime.fromisoformat(session[key]) for key in ('start_time', 'end_time'))
    assert start.tzinfo is end.tzinfo is None
    assert (session['duration'], session['activity']) == (int((end - start).total_seconds()), 0)


def test_lines_can_be_written_as_json(plain, closed):
    assert orjson.loads(orjson.dumps(list(plain.export_reports('b1', with_sessions=True))))


def test_answer_of_a_user_who_is_gone_stays_in_the_export(plain, closed):
    User._get_collection().delete_many({})
    assert numbers(plain.export_reports('b1')) == [[1, 2]]


def test_address_of_nobody_is_exported(plain, closed):
    assert b'@' not in orjson.dumps(list(plain.export_reports('b1', with_sessions=True)))


def test_plugin_may_shape_its_export_lines(variant):
    class Numbered(PlainAnswer):
        def as_dict(self):
            return {'n': self.result['n'], 'data': self.task.task_data, 'by': self.created_by.username}

    kind, user = variant(answer_model=Numbered, redundancy=1), make_user()
    (task,) = make_tasks(kind, 1)
    answer(kind, task, user, {'n': 5})
    assert list(kind.export_reports('default')) == [[{'n': 5, 'data': task.task_data, 'by': user.username}]]


def test_batch_written_after_import_counts_what_was_loaded(plain):
    result = plain.import_tasks([{'n': 1}, {'n': 2}, {'n': 2}], 'b1')
    add_batch('b1', result.loaded, plain, 'default')
    assert PlainTask.objects.first().batch.tasks_count == 2
