"""Watching the work on the admin pages."""

from playwright.sync_api import expect

from tests.factories import make_user
from vulyk.models.tasks import AbstractAnswer, AbstractTask


def test_charts_are_drawn_and_a_task_is_previewed_without_a_trace(page, site, signed_in, watch):
    site.load_samples('images', 1)
    task = AbstractTask.objects.get()
    signed_in(page, make_user(username='keeper', admin=True)).goto('/admin/')
    expect(page.locator('.va-chart canvas')).to_have_count(4)
    page.get_by_text('As a table').first.click()
    expect(page.get_by_role('columnheader', name='Time (UTC)').first).to_be_visible()

    page.goto(f'/admin/task/compare/?id={task.id}')
    with page.expect_popup() as opened:
        page.get_by_role('link', name='Show the task as volunteers see it').click()
    preview = opened.value
    expect(preview.get_by_text('This is a preview. Whatever you do here, nothing is stored.')).to_be_visible()
    preview.get_by_role('radio').last.check()
    preview.locator('#save-button').click()
    expect(preview.get_by_text('Nothing was stored, because this is a preview.').last).to_be_visible()
    assert (AbstractAnswer.objects.count(), AbstractTask.objects.get().leases) == (0, [])
    assert watch.posts('/type/') == 0
