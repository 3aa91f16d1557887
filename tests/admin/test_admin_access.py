"""Who may open admin pages, and that no form works without its token."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.factories import answer, make_tasks, make_user
from vulyk.models.tasks import AbstractAnswer, Batch
from vulyk.models.user import Group, User

LISTS = ['/admin/user/', '/admin/group/', '/admin/batch/', '/admin/task/', '/admin/answer/', '/admin/charity/']
PAGES = [
    '/admin/',
    *LISTS,
    '/admin/group/new/',
    '/admin/user/edit/?id=0',
    '/admin/task/details/?id=0',
    '/admin/user/ajax/lookup/?name=groups&query=',
    '/admin/charity/export/csv/',
    '/admin/charity/api/file/?id=0&coll=logos',
]
POSTS = ['/admin/user/edit/?id=0', '/admin/group/delete/', '/admin/charity/action/', '/admin/charity/ajax/update/']


def test_volunteer_is_refused(app, login):
    volunteer = login(make_user())
    for path in PAGES:
        assert volunteer.get(path).status_code == 403, path
    for path in POSTS:
        assert volunteer.post(path).status_code == 403, path


@pytest.mark.parametrize(
    'url', ['https:evil.example', 'http:evil.example', '//evil.example', '/\\evil.example', '.evil']
)
def test_form_leads_back_to_nowhere_but_this_site(admin_client, url):
    for path in ('/admin/group/edit/', '/admin/user/'):
        assert admin_client.get(path, query_string={'id': 'default', 'url': url}).status_code == 400


def test_visitor_signs_in_and_comes_back(client):
    for path in PAGES:
        response = client.get(path)
        assert response.status_code == 302
        target = urlsplit(response.location)
        assert target.path == '/sign-in'
        assert parse_qs(target.query)['next'] == [path]


def test_visitor_who_posts_comes_back_to_the_list(client):
    response = client.post('/admin/group/delete/', data={'id': 'default'})
    assert response.status_code == 302
    assert response.location.endswith('next=/admin/group/')
    assert Group.objects(pk='default')


def test_inactive_admin_is_a_visitor(admin, admin_client):
    User.objects(pk=admin.pk).update_one(set__active=False)
    assert admin_client.get('/admin/').status_code == 302


@pytest.mark.parametrize('path', POSTS)
def test_post_without_token_is_refused(admin_client, path):
    assert admin_client.post(path, headers={'X-CSRFToken': ''}, data={'id': 'default'}).status_code == 400
    assert Group.objects(pk='default')


@pytest.mark.parametrize('path', ['/admin/', *LISTS])
def test_admin_sees_the_page(admin_client, path):
    page = admin_client.get(path).text
    assert '<html lang="en">' in page
    assert 'href="/"' in page  # the way back to the site
    assert 'keeper' in page
    assert "'unsafe-inline'" in admin_client.get(path).headers['Content-Security-Policy'].split('script-src-attr')[1]


def test_there_are_no_admin_pages_unless_enabled(make_app):
    app = make_app()
    assert app.admin is None
    assert app.test_client().get('/admin/').status_code == 404


def test_pages_name_no_foreign_origin(admin_client, plain, make_charity):
    answer(plain, make_tasks(plain, 1)[0], make_user())
    make_charity()
    for path in ('/admin/', '/admin/charity/new/', '/admin/charity/edit/?id=c1', *LISTS):
        page = admin_client.get(path).text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page), path


# --- the token is in the forms themselves --------------------------------------------------------------------------------


def tokens(page: str) -> list[str]:
    return re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page)


def submit(admin_client, path: str, **fields):
    """Post as a page without scripts of ours does: the token comes from the form."""
    return admin_client.post(path, data=fields, headers={'X-CSRFToken': ''})


def test_create_form_carries_the_token(admin_client):
    token = tokens(admin_client.get('/admin/group/new/').text)[-1]
    assert submit(admin_client, '/admin/group/new/', csrf_token=token, id='readers').status_code == 302
    assert Group.objects(pk='readers')


def test_edit_form_carries_the_token(admin_client):
    token = tokens(admin_client.get('/admin/group/edit/?id=default').text)[-1]
    assert submit(admin_client, '/admin/group/edit/?id=default', csrf_token=token, description='All').status_code == 302
    assert Group.objects.get(pk='default').description == 'All'


def test_delete_form_carries_the_token(admin_client):
    Group(id='readers').save()
    page = admin_client.get('/admin/group/').text
    form = re.search(r'<form class="icon" method="POST" action="/admin/group/delete/">.*?</form>', page, re.DOTALL)[0]
    assert submit(admin_client, '/admin/group/delete/', csrf_token=tokens(form)[0], id='readers').status_code == 302
    assert not Group.objects(pk='readers')


def test_bulk_action_carries_the_token(admin_client, make_charity):
    make_charity()
    form = re.search(r'<form id="action_form".*?</form>', admin_client.get('/admin/charity/').text, re.DOTALL)[0]
    posted = submit(admin_client, '/admin/charity/action/', csrf_token=tokens(form)[0], action='delete', rowid='c1')
    assert posted.status_code == 302
    assert 'Bee rescue' not in admin_client.get('/admin/charity/').text


def test_inline_edit_carries_the_token(admin_client, make_charity):
    charity = make_charity()
    token = re.search(r'data-csrf="([^"]+)"', admin_client.get('/admin/charity/').text)[1]
    response = submit(admin_client, '/admin/charity/ajax/update/', csrf_token=token, list_form_pk='c1', name='Hives')
    assert response.status_code == 200
    assert charity.reload().name == 'Hives'


def test_nothing_is_changed_by_get(admin_client, plain):
    task = make_tasks(plain, 1)[0]
    answer(plain, task, make_user())
    for path in (
        '/admin/group/delete/?id=default',
        '/admin/charity/action/?action=delete',
        '/admin/charity/ajax/update/',
    ):
        assert admin_client.get(path).status_code == 405
    assert AbstractAnswer.objects.count() == 1
    assert Batch.objects.count() == 1
