"""What plugins build their admin pages from."""

import csv
import inspect
import io

import gridfs
import pytest
from bson import ObjectId
from mongoengine.connection import get_db

from tests.factories import make_user
from vulyk.admin.models import AuthModelView

EVIL = (
    '<p>Help <b>bees</b> <a href="https://example.org">now</a><script>alert(1)</script><img src=x onerror=alert(2)></p>'
)


def test_constructor_takes_the_documented_parameters_in_order():
    assert list(inspect.signature(AuthModelView).parameters)[:9] == [
        'model',
        'name',
        'category',
        'endpoint',
        'url',
        'static_folder',
        'menu_class_name',
        'menu_icon_type',
        'menu_icon_value',
    ]


DOCUMENTED = [
    'action_view',
    'ajax_lookup',
    'ajax_update',
    'api_file_view',
    'create_view',
    'delete_view',
    'details_view',
]
DOCUMENTED += ['edit_view', 'export', 'index_view', 'is_accessible']


@pytest.mark.parametrize('method', DOCUMENTED)
def test_documented_methods_are_there(method):
    assert callable(getattr(AuthModelView, method))


def test_scripts_are_local_files(client):
    assert AuthModelView.extra_js
    for url in AuthModelView.extra_js:
        assert url.startswith('/static/')
        with client.get(url) as response:
            assert response.status_code == 200


def test_view_added_after_create_app_is_in_the_menu(admin_client):
    page = admin_client.get('/admin/').text
    assert '/admin/charity/' in page
    assert 'Game' in page


def test_rich_text_is_cleaned_on_save(admin_client, make_charity):
    charity = make_charity()
    assert 'class="form-control ckeditor"' in admin_client.get('/admin/charity/new/').text
    form = {'name': 'Bees', 'description': EVIL}
    assert admin_client.post('/admin/charity/edit/?id=c1', data=form).status_code == 302
    text = charity.reload().description
    assert '<b>bees</b>' in text
    assert 'href="https://example.org"' in text
    assert 'script' not in text
    assert 'onerror' not in text


def test_rich_text_stored_unclean_is_cleaned_before_it_is_edited(admin_client, make_charity):
    make_charity(description=EVIL)
    page = admin_client.get('/admin/charity/edit/?id=c1').text
    assert 'bees' in page
    assert 'onerror' not in page


def test_optional_address_may_be_left_empty(admin_client, make_charity):
    charity = make_charity(site='https://example.org')
    assert admin_client.post('/admin/charity/edit/?id=c1', data={'name': 'Bees', 'site': ''}).status_code == 302
    assert charity.reload().site is None


def test_new_document_does_not_replace_one_of_the_same_id(admin_client, make_charity):
    charity = make_charity()
    response = admin_client.post('/admin/charity/new/', data={'id': 'c1', 'name': 'Other'})
    assert 'There is one called “c1” already.' in response.text
    assert charity.reload().name == 'Bee rescue'


def test_id_is_not_edited(admin_client, make_charity):
    charity = make_charity()
    assert 'name="id"' not in admin_client.get('/admin/charity/edit/?id=c1').text
    admin_client.post('/admin/charity/edit/?id=c1', data={'id': 'c2', 'name': 'Hives'})
    assert charity.reload().name == 'Hives'
    assert type(charity).objects.count() == 1


def test_deleted_documents_referred_to_break_no_page(admin_client, make_charity):
    friend, keeper = make_user(), make_user()
    charity = make_charity(keeper=keeper, friends=[friend])
    type(friend)._get_collection().delete_many({'_id': {'$in': [friend.pk, keeper.pk]}})
    assert '(missing)' in admin_client.get('/admin/charity/').text
    assert admin_client.get('/admin/charity/details/?id=c1').status_code == 200
    assert admin_client.get('/admin/charity/edit/?id=c1').status_code == 200
    assert '(missing)' in admin_client.get('/admin/charity/export/csv/').text
    form = {'name': 'Hives', 'keeper': '__None'}
    assert admin_client.post('/admin/charity/edit/?id=c1', data=form).status_code == 302
    assert type(charity).objects.scalar('name').first() == 'Hives'


def test_references_are_looked_up_not_listed(admin_client, make_charity):
    friends = [make_user(username=f'friend{number}') for number in range(60)]
    charity = make_charity()
    assert 'friend1' not in admin_client.get('/admin/charity/edit/?id=c1').text
    found = admin_client.get('/admin/charity/ajax/lookup/?name=friends&query=friend&limit=1000').json
    assert len(found) == 50
    form = {'name': 'Hives', 'friends': f'{friends[0].pk},{friends[1].pk}', 'keeper': str(friends[2].pk)}
    assert admin_client.post('/admin/charity/edit/?id=c1', data=form).status_code == 302
    charity.reload()
    assert set(charity.friends) == set(friends[:2])
    assert charity.keeper == friends[2]
    response = admin_client.post('/admin/charity/edit/?id=c1', data={'name': 'Hives', 'friends': 'nonsense'})
    assert 'Not a valid choice' in response.text


def test_exported_cells_start_no_formula(admin_client, make_charity):
    make_charity(name='=1+1', description='+cmd|x', site='https://example.org')
    (row,) = csv.DictReader(io.StringIO(admin_client.get('/admin/charity/export/csv/').text))
    assert row['Name'] == "'=1+1"
    assert row['Description'] == "'+cmd|x"
    assert row['Site'] == 'https://example.org'


@pytest.mark.parametrize(
    'form', [{}, {'name': 'x'}, {'list_form_pk': 'nothing', 'name': 'x'}, {'list_form_pk': 'c1', 'name': ''}]
)
def test_inline_edit_of_nothing_is_a_bad_request(admin_client, make_charity, form):
    charity = make_charity()
    assert admin_client.post('/admin/charity/ajax/update/', data=form).status_code == 400
    assert charity.reload().name == 'Bee rescue'


def test_bulk_delete_knows_keys_that_are_texts(admin_client, make_charity):
    charity = make_charity()
    admin_client.post('/admin/charity/action/', data={'action': 'delete', 'rowid': ['c1', 'nothing']})
    assert not type(charity).objects


# --- files ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def logo(make_charity) -> ObjectId:
    """An uploaded page with a script."""
    charity = make_charity()
    charity.logo.put(io.BytesIO(b'<script>alert(1)</script>'), filename='evil.html', content_type='text/html')
    charity.save()
    return charity.logo.grid_id


def test_file_is_saved_not_shown(admin_client, logo):
    response = admin_client.get(f'/admin/charity/api/file/?id={logo}&coll=logos')
    assert response.data == b'<script>alert(1)</script>'
    assert response.headers['Content-Disposition'].startswith('attachment')
    assert response.headers['X-Content-Type-Options'] == 'nosniff'
    assert response.headers['Content-Security-Policy'] == "default-src 'none'; sandbox"
    assert 'evil.html' in admin_client.get('/admin/charity/').text


def test_file_is_uploaded_in_the_form(admin_client, make_charity):
    charity = make_charity()
    form = {'name': 'Bees', 'logo': (io.BytesIO(b'picture'), 'logo.png')}
    assert admin_client.post('/admin/charity/edit/?id=c1', data=form).status_code == 302
    assert charity.reload().logo.read() == b'picture'


@pytest.mark.parametrize(
    'query', ['', 'id={id}', 'id={id}&coll=media', 'id=nonsense&coll=logos', 'id={other}&coll=logos']
)
def test_files_of_others_and_unknown_files_are_not_found(admin_client, logo, query):
    text = query.format(id=logo, other=ObjectId())
    assert admin_client.get(f'/admin/charity/api/file/?{text}').status_code == 404


def test_view_without_files_has_none(admin_client, logo):
    stored = gridfs.GridFS(get_db(), 'logos').exists(logo)
    assert stored
    assert admin_client.get(f'/admin/user/api/file/?id={logo}&coll=logos').status_code == 404


def test_lost_file_breaks_no_page(admin_client, logo):
    gridfs.GridFS(get_db(), 'logos').delete(logo)
    assert admin_client.get('/admin/charity/').status_code == 200
    assert admin_client.get('/admin/charity/details/?id=c1').status_code == 200
