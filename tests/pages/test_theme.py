"""Light or dark, kept in the browser."""


def chosen(page: str) -> bool:
    return '<html class="vk-html" lang="en" data-theme="dark">' in page


def test_chosen_colours_are_in_the_first_byte_of_every_page(client):
    response = client.post('/theme', data={'theme': 'dark', 'next': '/terms'})
    assert (response.status_code, response.headers['Location']) == (302, '/terms')
    assert '; SameSite=Lax' in response.headers['Set-Cookie']
    assert chosen(client.get('/').text)
    assert chosen(client.get('/nowhere').text)
    client.post('/theme', data={'theme': ''})
    assert 'data-theme' not in client.get('/').text


def test_colours_that_do_not_exist_are_none(client):
    client.set_cookie('vulyk_theme', '"><script>')
    assert 'data-theme' not in client.get('/').text
    client.post('/theme', data={'theme': 'pink', 'next': 'https://evil.example/'})
    assert client.get_cookie('vulyk_theme') is None
