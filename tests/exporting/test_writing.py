"""Files of answers: complete or not there, gone on with after a crash, with a manifest; streams; downloads."""

import hashlib
import io
import json
import zipfile

import pytest
from vulyk_plain.models.task_types import PlainTaskType

from tests.factories import answer, make_tasks, make_user
from vulyk.exporting import writing
from vulyk.exporting.formats import COMPRESSORS, Shaper
from vulyk.exporting.writing import Export, left_behind, write_file, write_stream, zip_pieces
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import TaskExportError
from vulyk.models.tasks import Batch

FACTS = {'site': 'Test hive', 'contributors_terms': 'CC0-1.0'}


@pytest.fixture
def out(tmp_path):
    """The file answers are exported to."""
    return tmp_path / 'out.jsonl'


@pytest.fixture
def interrupted(monkeypatch):
    """Begins to write a file and fails at the fourth task; a checkpoint lies behind every task."""
    monkeypatch.setattr(writing, 'CHECKPOINT_BYTES', 1)

    def write(export: Export, path) -> None:
        count = 0

        def fail(answers: int) -> None:
            nonlocal count
            count += answers
            if count == 4:
                raise OSError(28, 'No space left on device')

        export.progress = fail
        with pytest.raises(OSError, match='No space left'):
            write_file(export, path, resume=False, facts=FACTS)

    return write


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- going on -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('form', ['tasks', 'jsonl', 'csv'])
@pytest.mark.parametrize('suffix', ['', *COMPRESSORS])
def test_interrupted_export_that_is_gone_on_with_equals_one_in_one_go(
    work, export, interrupted, content, tmp_path, form, suffix
):
    path, whole = tmp_path / f'out{suffix}', tmp_path / f'whole{suffix}'
    interrupted(export(form), path)
    assert (left_behind(path), path.exists()) == (True, False)
    second = export(form)
    write_file(second, path, resume=True, facts=FACTS)
    write_file(export(form), whole, resume=False, facts=FACTS)
    assert content(path) == content(whole)
    assert (second.tasks, second.answers, left_behind(path)) == (5, 5, False)


def test_tasks_that_were_written_are_not_read_again(work, export, interrupted, out):
    interrupted(export(), out)
    second, seen = export(), []
    second.progress = seen.append
    write_file(second, out, resume=True, facts=FACTS)
    assert seen == [3, 1, 1]


def test_without_resume_everything_is_written_anew(work, export, interrupted, content, out):
    interrupted(export(), out)
    write_file(export(), out, resume=False, facts=FACTS)
    assert len(content(out).splitlines()) == 5
    assert names(out.parent) == ['out.jsonl', 'out.jsonl.manifest.json']


def test_with_nothing_to_go_on_with_it_begins(work, export, content, out):
    write_file(export(), out, resume=True, facts=FACTS)
    assert len(content(out).splitlines()) == 5


def test_part_that_was_tampered_with_is_not_gone_on_with(work, export, interrupted, content, out):
    interrupted(export(), out)
    out.with_name('.out.jsonl.part').unlink()
    write_file(export(), out, resume=True, facts=FACTS)
    assert len(content(out).splitlines()) == 5


def test_export_of_something_else_is_not_gone_on_with(work, export, interrupted, out):
    interrupted(export(), out)
    with pytest.raises(TaskExportError, match='with_emails was False and is True.*without --resume'):
        write_file(export(with_emails=True), out, resume=True, facts=FACTS)
    assert left_behind(out)


def test_export_that_fails_before_a_checkpoint_leaves_nothing(work, export, out, monkeypatch):
    monkeypatch.setattr(Shaper, 'shape', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_file(export(), out, resume=False, facts=FACTS)
    assert names(out.parent) == []


def test_two_exports_do_not_write_one_file(work, export, out):
    first, second = export(), export()

    def and_another(count: int) -> None:
        with pytest.raises(TaskExportError, match='Another export is writing this file'):
            write_file(second, out, resume=False, facts=FACTS)

    first.progress = and_another
    write_file(first, out, resume=False, facts=FACTS)
    assert (first.tasks, second.tasks) == (5, 0)


# --- manifest -----------------------------------------------------------------------------------------------------------


def manifest_of(path) -> dict:
    return json.loads(path.with_name(f'{path.name}.manifest.json').read_text(encoding='utf-8'))


def test_manifest_tells_what_the_file_is(work, export, out):
    Batch.objects(pk='b1').update_one(set__batch_meta={'weight': 2}, set__licence='CC BY 4.0', set__title={'de': 'Zoo'})
    write_file(export(counted_only=True), out, resume=False, facts=FACTS)
    told = manifest_of(out)
    assert told['file'] == {
        'name': 'out.jsonl',
        'bytes': out.stat().st_size,
        'sha256': hashlib.sha256(out.read_bytes()).hexdigest(),
    }
    assert told['counts'] == {'tasks': 5, 'answers': 5}
    assert (told['site'], told['contributors_terms'], told['task_type']['type']) == (
        'Test hive',
        'CC0-1.0',
        'plain_task',
    )
    assert told['options'] == {
        'format': 'tasks',
        'batch': 'b1',
        'closed': True,
        'with_sessions': False,
        'with_emails': False,
        'counted_only': True,
        'since': None,
    }
    (batch,) = told['batches']
    assert (batch['id'], batch['tasks'], batch['closed_tasks'], batch['facts']) == ('b1', 5, 5, {'weight': 2})
    assert (batch['licence'], batch['title'], batch['source'], batch['lang']) == (
        'CC BY 4.0',
        {'de': 'Zoo'},
        None,
        None,
    )
    assert told['started_at'] <= told['finished_at']


def test_manifest_of_all_batches_names_each(single, work, out):
    make_tasks(single, 1, batch='b2')
    write_file(Export(single, writing.Wanted('__all__')), out, resume=False, facts=FACTS)
    assert [batch['id'] for batch in manifest_of(out)['batches']] == ['b1', 'b2']


def fits(value, schema: dict) -> bool:
    """Whether a value is what a schema of the few words that manifests use says."""
    kinds = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'integer': int}
    if not isinstance(value, kinds[schema['type']]):
        return False
    if isinstance(value, list):
        return all(fits(item, schema['items']) for item in value)
    if not isinstance(value, dict) or 'properties' not in schema:
        return True
    inner = schema['properties']
    return set(schema['required']) <= set(value) <= set(inner) and all(fits(value[key], inner[key]) for key in value)


@pytest.mark.parametrize('form', ['tasks', 'jsonl'])
@pytest.mark.parametrize('with_sessions', [False, True])
def test_every_line_is_what_the_schema_says(work, export, out, form, with_sessions):
    write_file(export(form, with_sessions=with_sessions), out, resume=False, facts=FACTS)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 5
    assert all(fits(line, manifest_of(out)['schema']) for line in lines)


def test_schema_of_a_table_is_its_columns(work, export, out):
    write_file(export('csv'), out, resume=False, facts=FACTS)
    assert ','.join(manifest_of(out)['schema']['columns']) == out.read_text().splitlines()[0]


# --- plugins --------------------------------------------------------------------------------------------------------------


class OldTaskType(PlainTaskType):
    """A plugin written before there were most of the options."""

    redundancy = 1

    def export_reports(self, batch, closed=True, with_sessions=False, qs=None):
        for answers in super().export_reports(batch, closed=closed, with_sessions=with_sessions, qs=qs):
            yield [{**entry, 'project': 'old'} for entry in answers]


@pytest.fixture
def old(app) -> OldTaskType:
    """Such a plugin, with one answer in batch ``b1``."""
    kind = OldTaskType(settings={})
    answer(kind, make_tasks(kind, 1, batch='b1')[0], make_user(), {'n': 7})
    return kind


@pytest.mark.parametrize(
    ('form', 'text'), [('tasks', '"project":"old"}]\n'), ('jsonl', '"project":"old"}\n'), ('csv', 'old\r\n')]
)
def test_export_hook_of_an_old_plugin_shapes_every_format(old, out, form, text):
    write_file(Export(old, writing.Wanted('b1', with_sessions=True), form), out, resume=False, facts=FACTS)
    assert out.read_bytes().decode().endswith(text)
    assert manifest_of(out)['counts'] == {'tasks': 1, 'answers': 1}


@pytest.mark.parametrize('option', [{'with_emails': True}, {'counted_only': True}])
def test_option_that_an_old_plugin_does_not_know_is_refused(old, out, option):
    with pytest.raises(TaskExportError, match=f'knows no --{next(iter(option)).replace("_", "-")}'):
        write_file(Export(old, writing.Wanted('b1', **option)), out, resume=False, facts=FACTS)
    assert names(out.parent) == []


# --- streams and downloads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('form', ['tasks', 'jsonl', 'csv'])
def test_stream_holds_what_the_file_holds(work, export, out, form):
    write_file(export(form), out, resume=False, facts=FACTS)
    stream = io.BytesIO()
    write_stream(export(form), stream)
    assert stream.getvalue() == out.read_bytes()


@pytest.mark.parametrize('form', ['tasks', 'jsonl', 'csv'])
def test_download_holds_the_file_and_its_manifest(work, export, out, form):
    write_file(export(form), out, resume=False, facts=FACTS)
    archive = zipfile.ZipFile(io.BytesIO(b''.join(zip_pieces(export(form), 'b1', FACTS))))
    (name, beside) = archive.namelist()
    assert archive.testzip() is None
    assert (archive.read(name), beside) == (out.read_bytes(), f'{name}.manifest.json')
    told = json.loads(archive.read(beside))
    assert told['file']['sha256'] == hashlib.sha256(archive.read(name)).hexdigest()
    assert told['schema'] == manifest_of(out)['schema']


def test_download_begins_before_the_answers_are_read(work, export):
    told = export()
    pieces = zip_pieces(told, 'b1', FACTS)
    assert next(pieces)
    assert told.tasks == 0


def test_whoever_exports_addresses_is_recorded(work, export):
    user = make_user(username='boss')
    writing.audit_emails(export('csv', with_emails=True), user, 'a download')
    entry = AuditRecord.objects.get()
    assert (entry.actor_id, entry.action, entry.subject) == (
        user.id,
        'answers.export_with_emails',
        'batch b1 of plain_task',
    )
    assert (entry.after['format'], entry.after['to']) == ('csv', 'a download')
