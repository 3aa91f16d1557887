"""Files that tasks show."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from mongoengine.connection import get_db

from vulyk.models import media

PNG = b'\x89PNG\r\n\x1a\n' + bytes(8)


@pytest.mark.parametrize(
    ('head', 'kind'),
    [
        (b'\xff\xd8\xff\xe0', 'image/jpeg'),
        (PNG, 'image/png'),
        (b'GIF89a', 'image/gif'),
        (b'RIFF\0\0\0\0WEBP', 'image/webp'),
        (b'RIFF\0\0\0\0WAVE', 'audio/wav'),
        (b'\0\0\0\x20ftypavif', 'image/avif'),
        (b'\0\0\0\x20ftypisom', 'video/mp4'),
        (b'ID3\x04', 'audio/mpeg'),
        (b'\xff\xfb\x90', 'audio/mpeg'),
        (b'OggS', 'audio/ogg'),
        (b'fLaC', 'audio/flac'),
        (b'\x1aE\xdf\xa3', 'video/webm'),
        (b'%PDF-1.7', 'application/pdf'),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', None),
        (b'<!DOCTYPE html>', None),
        (b'\x7fELF', None),
        (b'', None),
    ],
)
def test_type_of_a_file_is_what_it_is_not_what_it_is_called(head, kind):
    assert media.content_type(head) == kind


@pytest.fixture
def picture(app, tmp_path):
    """A picture of several chunks."""
    path = tmp_path / 'a.png'
    path.write_bytes(PNG + bytes(600_000))
    return path


def test_stored_file_is_named_by_its_content_and_comes_back(picture):
    digest = media.store(picture, 'plain_task')
    assert digest == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert media.load(digest, 'plain_task') == (picture.read_bytes(), 'image/png')


def test_same_content_is_stored_once(picture, tmp_path):
    (tmp_path / 'b.png').write_bytes(picture.read_bytes())
    assert media.store(picture, 'plain_task') == media.store(tmp_path / 'b.png', 'plain_task')
    assert get_db()['media.files'].count_documents({}) == 1


def test_same_content_stored_by_several_at_once_is_whole(picture):
    with ThreadPoolExecutor(4) as pool:
        (digest,) = set(pool.map(media.store, [picture] * 4, ['plain_task'] * 4))
    assert media.load(digest, 'plain_task') == (picture.read_bytes(), 'image/png')


@pytest.mark.parametrize('left', [0, 1, 2])
def test_file_whose_storing_was_cut_off_is_stored_by_the_next_attempt(picture, left):
    digest = media.store(picture, 'plain_task')
    get_db()['media.files'].delete_many({})
    get_db()['media.chunks'].delete_many({'n': {'$gt': left}})
    assert media.store(picture, 'plain_task') == digest
    assert media.load(digest, 'plain_task') == (picture.read_bytes(), 'image/png')


def test_unknown_file_is_none(app):
    assert media.load('0' * 64, 'plain_task') is None
