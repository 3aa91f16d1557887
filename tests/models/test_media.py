"""Files that tasks show."""

import hashlib
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from mongoengine.connection import get_db
from PIL import Image

from vulyk.models import media
from vulyk.models.exc import TaskImportError

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
        (b'\0\0\0\x20ftypheic', None),
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


def read(digest: str) -> tuple[bytes, str]:
    file = media.find(digest, 'plain_task')
    return file.read(), file.metadata['type']


def test_stored_file_is_named_by_its_content_and_comes_back(picture):
    digest = media.store(picture, 'plain_task')
    assert digest == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert read(digest) == (picture.read_bytes(), 'image/png')


def test_same_content_is_stored_once(picture, tmp_path):
    (tmp_path / 'b.png').write_bytes(picture.read_bytes())
    assert media.store(picture, 'plain_task') == media.store(tmp_path / 'b.png', 'plain_task')
    assert get_db()['media.files'].count_documents({}) == 1


def test_same_content_stored_by_several_at_once_is_whole(picture):
    with ThreadPoolExecutor(4) as pool:
        (digest,) = set(pool.map(media.store, [picture] * 4, ['plain_task'] * 4))
    assert read(digest) == (picture.read_bytes(), 'image/png')


@pytest.mark.parametrize('left', [0, 1, 2])
def test_file_whose_storing_was_cut_off_is_stored_by_the_next_attempt(picture, left):
    digest = media.store(picture, 'plain_task')
    get_db()['media.files'].delete_many({})
    get_db()['media.chunks'].delete_many({'n': {'$gt': left}})
    assert media.store(picture, 'plain_task') == digest
    assert read(digest) == (picture.read_bytes(), 'image/png')


def test_unknown_file_is_none(app):
    assert media.find('0' * 64, 'plain_task') is None


# --- pictures ---------------------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + part(b'IHDR', head) + part(b'IDAT', zlib.compress(bytes(9))) + part(b'IEND', b'')


@pytest.mark.parametrize('size', [(10_000, 9_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)], ids=str)
def test_picture_of_too_many_pixels_is_refused(app, tmp_path, size):
    (tmp_path / 'a.png').write_bytes(bomb(*size))
    with pytest.raises(TaskImportError, match='has more than 89,478,485 pixels'):
        media.check(tmp_path, 'a.png', max_bytes=1000)


def smaller(path) -> Image.Image | None:
    made = media.smaller(media.find(media.store(path, 'plain_task'), 'plain_task'), 480)
    return Image.open(io.BytesIO(made[0])) if made else None


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width // 10, height // 10), 90).resize((width, height)).convert('RGB')


def test_picture_taken_upright_is_made_smaller_upright(app, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(1000, 600).save(tmp_path / 'a.jpg', exif=exif)
    assert smaller(tmp_path / 'a.jpg').size == (480, 800)


def test_transparent_picture_stays_transparent(app, tmp_path):
    picture = noise(1000, 600)
    picture.putalpha(Image.effect_noise((1000, 600), 90))
    picture.save(tmp_path / 'a.png')
    assert smaller(tmp_path / 'a.png').mode == 'RGBA'


@pytest.mark.parametrize('kind', ['narrow', 'broken', 'moving', 'too high', 'line art'])
def test_picture_that_cannot_be_made_smaller_is_left_as_it_is(app, tmp_path, kind):
    path, picture = tmp_path / 'a.gif', noise(1000, 600)
    if kind == 'narrow':
        noise(480, 600).save(path)
    elif kind == 'moving':
        picture.save(path, save_all=True, append_images=[noise(1000, 600)])
    elif kind == 'too high':
        Image.new('L', (500, 18_000)).save(path, 'PNG')
    elif kind == 'line art':
        Image.new('1', (1000, 600)).save(path, 'PNG')
    else:
        picture.save(path, 'PNG')
        path.write_bytes(path.read_bytes()[:2000])
    assert smaller(path) is None
    assert smaller(path) is None  # and is not tried again


@pytest.mark.parametrize(
    ('host', 'origins', 'allowed'),
    [
        ('https://a.example', ['https://a.example'], True),
        ('https://a.example', ['https://a.example/'], True),
        ('http://a.example', ['https://a.example'], False),
        ('https://a.example', ['a.example'], True),
        ('https://x.a.example', ['*.a.example'], True),
        ('https://a.example', ['https://b.example'], False),
        ('https://a.example.evil', ['https://a.example'], False),
        ('https://a.example', [], False),
    ],
)
def test_host_is_allowed_by_the_setting(host, origins, allowed):
    assert media.is_allowed(host, origins) is allowed
