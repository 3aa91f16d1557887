"""Loading tasks on the admin pages."""

import pytest
from playwright.sync_api import expect

from tests.browser.work import intercept, stop
from tests.factories import make_user
from vulyk.models.tasks import AbstractTask, Batch


@pytest.fixture
def page_of_loads(page, site, signed_in):
    """The page, opened by an admin from the page of batches, with a file of two good tasks and a bad one chosen."""
    site.path('tasks.jsonl').write_text('{"n": 1}\n[2]\n{"n": 3}\n')
    signed_in(page, make_user(username='keeper', admin=True)).goto('/admin/batch/')
    page.get_by_role('link', name='Load tasks').click()
    page.get_by_label('Project').select_option('plain_task')
    page.get_by_label('File').set_input_files(site.path('tasks.jsonl'))
    page.get_by_label('Name of the new batch').fill('b1')
    return page


def test_file_is_checked_then_loaded(page_of_loads):
    page = page_of_loads
    page.get_by_role('button', name='Only check').click()
    expect(page.get_by_text('1 of 3 records are not valid. Nothing was loaded.')).to_be_visible()
    expect(page.get_by_text('tasks.jsonl, line 2: task: must be a JSON object, not a list.')).to_be_visible()
    assert AbstractTask.objects.count() == 0
    page.get_by_text('More', exact=True).click()
    page.get_by_label('Leave out records that are not valid').check()
    page.get_by_role('button', name='Load', exact=True).click()
    expect(page.get_by_text('2 tasks are loaded. 1 records are not valid and were left out.')).to_be_visible()
    assert Batch.objects.get().tasks_count == 2
    page.get_by_role('link', name='To the batches').click()
    expect(page.get_by_role('link', name='b1')).to_be_visible()


def test_lost_connection_is_told(page_of_loads, watch):
    watch.expect('ERR_FAILED')
    intercept(page_of_loads, '**/admin/load/receive*', stop)
    page_of_loads.get_by_role('button', name='Load', exact=True).click()
    expect(page_of_loads.get_by_text('The connection was lost.')).to_be_visible()
