"""Processes that use a site and may be killed: forked from one that has everything imported, so that a start is quick.

Run as a program it reads one JSON object per line from its standard input and answers each with one on its standard output:
``{"run": name, "args": {…}}`` forks a process that calls the function of that name in :data:`JOBS` and answers with its
``pid``; ``{"wait": pid}`` answers with its ``code`` (negative: killed by that signal) and what it returned, as ``result``.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bson import Binary, ObjectId
from flask import Flask
from flask.testing import FlaskClient
from mongoengine.connection import get_db
from pymongo.monitoring import CommandListener

ROOT = Path(__file__).parents[2]
WRITES = {'insert', 'update', 'delete', 'findAndModify', 'commitTransaction', 'abortTransaction'}


class Nursery:
    """The process that forks others, as its parent sees it.

    :param settings: of the site that all of them use.
    :param tidy: abort the transactions of killed processes at once; else the server does it in its own time.
    """

    def __init__(self, settings: dict[str, Any], *, tidy: bool = True) -> None:
        self.settings, self.tidy = settings, tidy
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'tests/fixtures')])}
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.faults.engine'],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, job: str, **arguments: Any) -> int:
        """Fork a process that does a job; returns its id."""
        return self._ask({'run': job, 'args': {'settings': self.settings, **arguments}})['pid']

    def wait(self, pid: int) -> tuple[int, Any]:
        """Exit code of a process, negative if a signal has killed it, and what its job returned."""
        answer = self._ask({'wait': pid})
        if answer['code'] == -signal.SIGKILL and self.tidy:
            end_transactions_of(pid)
        return answer['code'], answer['result']

    def run(self, job: str, **arguments: Any) -> tuple[int, Any]:
        """Start and wait."""
        return self.wait(self.start(job, **arguments))

    def together(self, job: str, each: list[dict[str, Any]], **common: Any) -> list[Any]:
        """Do a job in several processes at once; what each returned. All must end well."""
        ends = [self.wait(pid) for pid in [self.start(job, **common, **own) for own in each]]
        assert [code for code, _ in ends] == [0] * len(ends), ends
        return [result for _, result in ends]

    def close(self) -> None:
        """End it; processes that still run are killed."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(question) + '\n')
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def end_transactions_of(pid: int) -> None:
    """Abort what a killed process had begun, as the server does after ``transactionLifetimeLimitSeconds`` (a minute)."""
    admin = get_db().client.admin
    idle = [{'$currentOp': {'allUsers': True, 'idleSessions': True}}, {'$match': {'appName': f'engine-{pid}'}}]
    for operation in admin.aggregate(idle):
        if 'lsid' in operation:
            admin.command('killSessions', [{'id': Binary.from_uuid(operation['lsid']['id'])}])


class Killer(CommandListener):
    """Counts the writes of a process, and kills it just before one of them is sent."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.armed = False
        self.writes: list[str] = []

    def started(self, event: Any) -> None:
        if self.armed and event.command_name in WRITES:
            self.writes.append(f'{event.command_name} {event.command.get(event.command_name)}')
            if len(self.writes) == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: Any) -> None:
        """Not needed."""

    def failed(self, event: Any) -> None:
        """Not needed."""


class Site:
    """An application of this process."""

    def __init__(self, settings: dict[str, Any], listener: CommandListener | None = None) -> None:
        from vulyk.bootstrap import create_app

        connection = {**settings['MONGODB_SETTINGS'], 'appname': f'engine-{os.getpid()}'}
        if listener is not None:
            connection['event_listeners'] = [listener]
        self.app: Flask = create_app({**settings, 'MONGODB_SETTINGS': connection})
        listen()

    def browser(self, user: str) -> FlaskClient:
        """A browser in which somebody is signed in, with its token."""
        from tests.factories import signed_in
        from vulyk.models.user import User

        browser = self.app.test_client()
        with browser.session_transaction() as session:
            session.update(signed_in(User.objects.get(pk=user)))
        browser.environ_base['HTTP_X_CSRFTOKEN'] = browser.get('/session').json['result']['csrf']
        return browser


def listen() -> None:
    """Have the signals of this process noted in the database."""
    from vulyk import signals

    signals.on_task_done.connect(hear_task)
    signals.on_batch_done.connect(hear_batch)
    signals.on_answer_withdrawn.connect(hear_withdrawn)


def hear_task(sender: Any, answer: Any) -> None:
    """Note in the database that ``on_task_done`` was sent."""
    get_db().heard.insert_one({'signal': 'task', 'of': answer.id})


def hear_batch(sender: Any) -> None:
    """Note in the database that ``on_batch_done`` was sent, and what the batch was like."""
    get_db().heard.insert_one({'signal': 'batch', 'of': sender.id, 'closed': sender.closed})


def hear_withdrawn(sender: Any) -> None:
    """Note in the database that ``on_answer_withdrawn`` was sent."""
    get_db().heard.insert_one({'signal': 'withdrawn', 'of': sender.id})


# --- what processes do ------------------------------------------------------------------------------------------------


def request(settings: dict[str, Any], user: str, method: str, path: str, kill_at: int = 0, **body: Any) -> Any:
    """Send one request; at its write number ``kill_at`` the process is killed.

    :returns: status, and the writes there were.
    """
    from vulyk.ext import assignment

    assignment.FEW_PLACES = 3
    killer = Killer(kill_at)
    browser = Site(settings, killer).browser(user)
    killer.armed = True
    response = browser.open(path, method=method, **({'json': body} if body else {}))
    return {'status': response.status_code, 'writes': killer.writes}


def answer_on_the_dot(
    settings: dict[str, Any], user: str, tasks: list[str], result: Any, start: float, gap: float
) -> Any:
    """Answer tasks one after the other, each at its appointed time; the statuses."""
    browser = Site(settings).browser(user)
    statuses = []
    for number, task in enumerate(tasks):
        time.sleep(max(0.0, start + number * gap - time.time()))
        response = browser.post(f'/type/plain_task/done/{task}', json={'result': result})
        statuses.append(response.status_code)
    return statuses


def drain(
    settings: dict[str, Any], user: str, ahead: int, log: str, seed: int, pause: float, seconds: float = 60
) -> dict[str, Any]:
    """Ask and answer until nothing is left, with skips, and people who walk away or come back too late.

    :param log: a file that gets the id of each task whose answer was acknowledged.
    :param pause: seconds somebody is away: longer than a lease.
    :param seconds: give up then.
    :returns: ``wrong``: what must not happen; ``asked``: the number of tasks got; ``end``: how it ended.
    """
    choose, site = random.Random(seed), Site(settings)
    browser, wrong, asked, stop = site.browser(user), [], 0, time.monotonic() + seconds
    with Path(log).open('a', buffering=1) as acknowledged:
        while time.monotonic() < stop:
            response = browser.get(f'/type/plain_task/next?ahead={ahead}')
            if response.status_code == 503:
                continue
            if response.status_code == 404:
                if response.json['result'].get('waiting'):
                    time.sleep(0.25)  # asking all the time would take the processor from whoever is waited for
                    continue
                open_for_me = {'closed': {'$ne': True}, 'usersProcessed': {'$ne': ObjectId(user)}}
                left = get_db().tasks.find_one(open_for_me)
                return {
                    'wrong': wrong + ([f'nothing, but {left}'] if left else []),
                    'asked': asked,
                    'end': 'nothing left',
                }
            if response.status_code != 200:
                wrong.append(f'next: {response.status_code} {response.text}')
                continue
            asked += 1
            task, chance = response.json['result']['task']['id'], choose.random()
            if chance < 0.08:
                answered = browser.post(f'/type/plain_task/skip/{task}')
            elif chance < 0.10:
                time.sleep(pause)  # and is offered it again, or another
                continue
            else:
                if chance < 0.12:
                    time.sleep(pause)  # and answers although the place is gone
                answered = browser.post(f'/type/plain_task/done/{task}', json={'result': {'by': user}})
                if answered.status_code == 200:
                    acknowledged.write(f'{task}\n')
            if answered.status_code not in (200, 503):
                wrong.append(f'{answered.request.path}: {answered.status_code} {answered.text}')
    return {'wrong': wrong, 'asked': asked, 'end': 'out of time'}


def load(settings: dict[str, Any], number: int, size: int) -> int:
    """Load tasks into the default batch again and again; every third load fails at its end."""
    from vulyk.models.transaction import in_transaction

    kind = Site(settings).app.task_types['plain_task']
    loaded = 0
    for turn in range(number):

        def one(turn: int = turn) -> None:
            kind.import_tasks([{'n': turn, 'of': index} for index in range(size)], 'default')
            get_db().batches.update_one({'_id': 'default'}, {'$inc': {'tasksCount': size}, '$set': {'closed': False}})
            if turn % 3 == 2:
                raise FileNotFoundError('the second file is missing')

        try:
            in_transaction(one)
            loaded += size
        except FileNotFoundError:
            time.sleep(0.02)
    return loaded


def work(settings: dict[str, Any], user: str, seconds: float) -> dict[str, int]:
    """Answer whatever there is for some seconds; how often each status was seen."""
    browser, statuses, stop = Site(settings).browser(user), {}, time.monotonic() + seconds
    while time.monotonic() < stop:
        response = browser.get('/type/plain_task/next')
        if response.status_code == 200:
            task = response.json['result']['task']['id']
            response = browser.post(f'/type/plain_task/done/{task}', json={'result': {'by': user}})
        statuses[str(response.status_code)] = statuses.get(str(response.status_code), 0) + 1
    return statuses


JOBS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (request, answer_on_the_dot, drain, load, work)
}


# --- the nursery itself -----------------------------------------------------------------------------------------------


def main() -> None:
    """Fork on demand until standard input ends."""
    # Everything is imported once, here.
    import vulyk_plain.models.task_types  # noqa: F401

    import tests.factories  # noqa: F401
    import vulyk.bootstrap  # noqa: F401

    results = Path(tempfile.mkdtemp(prefix='vulyk-engine-'))
    running: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        if 'run' in question:
            pid = os.fork()
            if pid == 0:
                _child(question, results)
            running.add(pid)
            answer = {'pid': pid}
        else:
            pid = question['wait']
            _, status = os.waitpid(pid, 0)
            running.discard(pid)
            file = results / str(pid)
            result = json.loads(file.read_text()) if file.exists() else None
            file.unlink(missing_ok=True)
            answer = {'code': os.waitstatus_to_exitcode(status), 'result': result}
        print(json.dumps(answer), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for file in results.iterdir():
        file.unlink()
    results.rmdir()


def _child(question: dict[str, Any], results: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        result = JOBS[question['run']](**question['args'])
        (results / str(os.getpid())).write_text(json.dumps(result))
        code = 0
    except Exception:
        traceback.print_exc()
        code = 1
    os._exit(code)


if __name__ == '__main__':
    main()
