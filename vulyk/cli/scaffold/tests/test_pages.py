"""A walk through the pages."""


def post(browser, address: str, result: dict):
    """Send an answer with the token of the session, as the page does."""
    token = browser.get('/session').json['result']['csrf']
    return browser.post(address, headers={'X-CSRFToken': token}, json={'result': result})


def test_page_shows_the_task_and_the_help(kind, login):
    page = login('ada').get('/type/example/').text
    assert 'class="kit example"' in page
    assert 'What to do' in page


def test_answers_close_the_task(kind, login):
    for number in range(kind.redundancy):
        browser = login(f'volunteer{number}')
        task = browser.get('/type/example/next').json['result']['task']
        answer = post(browser, f'/type/example/done/{task["id"]}', {'choice': 'a place'})
        assert answer.json == {'result': {'done': True}, 'errors': []}
    assert login('ada').get('/type/example/next').status_code == 404


def test_wrong_answer_is_refused_in_words(kind, login):
    browser = login('ada')
    task = browser.get('/type/example/next').json['result']['task']
    answer = post(browser, f'/type/example/done/{task["id"]}', {'choice': 'a ship'})
    assert answer.status_code == 422
    assert answer.json['errors'] == ['choice: it is not one of the answers this task offers.']
