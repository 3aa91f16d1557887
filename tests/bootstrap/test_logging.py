"""Where messages go."""

import logging

import pytest


@pytest.fixture
def written(make_app, app, _kept, tmp_path):
    """Builds a site that logs into a file, lets it say something, and returns the file's text."""

    def write(**settings) -> str:
        path = tmp_path / 'logs' / 'app.log'
        site = make_app(**{'LOG_TO_STDERR': False, 'LOGGING_LOCATION': str(path), **settings})
        site.logger.warning('a warning')
        site.logger.info('some information')
        site.logger.debug('a detail')
        return path.read_text() if path.exists() else ''

    yield write
    _kept.clear()
    make_app()


def test_messages_go_to_the_file_in_the_given_form(written):
    assert written(LOGGING_FORMAT='%(levelname)s: %(message)s') == 'WARNING: a warning\nINFO: some information\n'


@pytest.mark.parametrize(
    ('chosen', 'said'),
    [
        ({}, [True, True, False]),
        ({'DEBUG': True}, [True, True, True]),
        ({'LOGGING_LEVEL': 'WARNING'}, [True, False, False]),
        ({'LOGGING_LEVEL': logging.DEBUG}, [True, True, True]),
    ],
    ids=str,
)
def test_level_follows_the_settings(written, chosen, said):
    text = written(**chosen)
    assert [words in text for words in ('a warning', 'some information', 'a detail')] == said


def test_file_does_not_grow_for_ever(written, tmp_path):
    for _ in range(40):
        written(LOGGING_MAX_FILE_BYTES=200, PERSONAL_DATA_DAYS=5)
    files = list((tmp_path / 'logs').iterdir())
    assert 1 < len(files) < 10
    assert all(file.stat().st_size <= 200 for file in files)


def test_file_that_cannot_be_written_is_told_and_messages_go_to_stderr(written, caplog):
    assert written(LOGGING_LOCATION='/proc/nothing/app.log') == ''
    assert 'LOGGING_LOCATION /proc/nothing/app.log cannot be written' in caplog.text
    assert 'a warning' in caplog.text
