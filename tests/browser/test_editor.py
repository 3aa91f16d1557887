"""The rich-text editor of admin pages, under the content policy of the site."""

import pytest
from playwright.sync_api import expect

from tests.factories import make_group, make_user
from vulyk.admin.models import AuthModelView, CKTextAreaField
from vulyk.models.user import Group


@pytest.fixture
def site_settings() -> dict:
    """A site of its own, for it gets a page more."""
    return {'SITE_TITLE': 'Rich'}


class RichView(AuthModelView):
    """A view such as a plugin's, with rich text."""

    form_columns = ('id', 'description')
    form_overrides = {'description': CKTextAreaField}


def test_rich_text_is_shown_clean_changed_by_buttons_and_keys_and_stored(page, site, signed_in):
    site.app.admin.add_view(RichView(Group, name='Rich', endpoint='rich'))
    group = make_group('bees', [])
    group.update(set__description='<b onclick="pwned=1">old</b><script>pwned=1</script>')
    signed_in(page, make_user(username='keeper', admin=True)).goto('/admin/rich/edit/?id=bees')
    area = page.get_by_role('textbox', name='Description')
    expect(area).to_have_text('old')
    expect(area.locator('[onclick], script')).to_have_count(0)
    area.press('Control+a')
    page.keyboard.type('Queen bees')
    area.press('Control+a')
    bold = page.get_by_role('toolbar', name='Description').get_by_role('button', name='Bold')
    if bold.get_attribute('aria-pressed') == 'false':  # else the new text has taken over the weight of the old one
        bold.click()
    expect(bold).to_have_attribute('aria-pressed', 'true')
    page.get_by_role('toolbar', name='Description').get_by_role('button', name='• List').click()
    page.get_by_role('button', name='Save', exact=True).click()
    page.wait_for_url('**/admin/rich/')
    stored = group.reload().description
    assert '<li>' in stored
    assert '<b>Queen bees</b>' in stored
    assert 'onclick' not in stored
