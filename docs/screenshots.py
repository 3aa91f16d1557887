"""Takes the pictures in docs/images of the demo site, so that they never show what is no longer so: ``make screenshots``.

Needs Chromium, or the program named by the variable CHROMIUM.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = Path(__file__).parent / 'images'
SAMPLES = ROOT / 'plugins' / 'vulyk_transcription' / 'vulyk_transcription' / 'samples'
MAX_BYTES = 300_000
DESK = {'viewport': {'width': 1280, 'height': 800}}
PHONE = {'viewport': {'width': 390, 'height': 780}, 'is_mobile': True, 'has_touch': True, 'device_scale_factor': 2}


REMEMBER = """
    document.addEventListener('DOMContentLoaded', () => document.body.addEventListener('vulyk:next', event => {
        window.shownTask = event.detail.response.result.task;
    }));
"""


@contextmanager
def demo_site() -> Iterator[str]:
    """A fresh demo site; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-u', 'manage.py', 'demo', '--port', '0', '--instance', folder]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as site:
            assert site.stdout is not None
            addresses = (re.search(r'http://127\.0\.0\.1:\d+', line) for line in site.stdout)
            address = next((found[0] for found in addresses if found), None)
            if address is None:
                sys.exit('The demo site did not start; see above.')
            try:
                yield address
            finally:
                site.send_signal(signal.SIGINT)
                site.wait(30)


def ready(page: Page) -> None:
    page.wait_for_selector('#vk-task[data-state=ready]')
    page.wait_for_selector('#current_task > [data-state=ready]')


def enter(page: Page, role: str) -> None:
    page.goto('/')
    page.get_by_role('button', name=re.compile(f'as an? {role}')).click()
    page.wait_for_url('**/')


def pass_introduction(page: Page, name: str) -> None:
    """Somebody who has been here before is not shown around."""
    page.goto(f'/type/{name}/')
    page.wait_for_selector('#vk-task[data-state]')
    page.evaluate("""() => {
        const me = document.body.dataset.user;
        for (const type of ['images', 'transcription', 'tagging', 'records']) {
            localStorage.setItem(`vulyk:introduced:${me}:${type}`, '1');
        }
    }""")
    page.goto(f'/type/{name}/')
    ready(page)


def work(page: Page) -> None:
    """Sort some photos and type some lines, so that there is something to see."""
    pass_introduction(page, 'images')
    for _ in range(12):
        task = page.evaluate('Vulyk.State.task_id')
        page.keyboard.press('1')
        page.keyboard.press('Enter')
        page.wait_for_function('task => Vulyk.State.task_id !== task', arg=task)
        ready(page)
    pass_introduction(page, 'transcription')
    for _ in range(4):
        task = page.evaluate('shownTask')
        page.locator('#vt-text').fill(truth()[task['data']['key']])
        page.keyboard.press('Control+Enter')
        page.wait_for_function('task => Vulyk.State.task_id !== task', arg=task['id'])
        ready(page)
    page.wait_for_load_state('networkidle')


def truth() -> dict[str, str]:
    """What the lines of the demo say: ``{key: text}``."""
    lines = (SAMPLES / 'truth.jsonl').read_text(encoding='utf-8').splitlines()
    return {line['key']: line['text'] for line in map(json.loads, lines)}


def transcription(page: Page) -> None:
    """A line in the middle of being typed."""
    page.goto('/type/transcription/')
    ready(page)
    words = truth()[page.evaluate('shownTask')['data']['key']].split(' ')
    page.locator('#vt-text').fill(' '.join(words[: len(words) // 2]))


def tagging(page: Page) -> None:
    page.goto('/type/tagging/')
    ready(page)


def at(address: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(address)
        page.wait_for_load_state('networkidle')

    return go


# Name of the picture: who sees it, on what, light or dark, and how to come there.
SHOTS: dict[str, tuple[str, dict, str, Callable[[Page], None]]] = {
    'task': ('volunteer', DESK, 'light', transcription),
    'home': ('volunteer', DESK, 'light', at('/')),
    'tagging-dark': ('volunteer', DESK, 'dark', tagging),
    'leaderboard': ('volunteer', DESK, 'light', at('/type/images/leaders')),
    'badges': ('volunteer', DESK, 'light', at('/gamification/my/badges')),
    'phone': ('volunteer', PHONE, 'light', transcription),
    'admin': ('admin', DESK, 'light', at('/admin/')),
}


def keep(name: str, png: bytes) -> None:
    """Store a picture, with few enough colours to be small."""
    path = IMAGES / f'{name}.png'
    Image.open(io.BytesIO(png)).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        sys.exit(f'{path} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}.')
    print(f'{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes')


def main() -> None:
    """Take them all."""
    names = [os.environ.get('CHROMIUM', ''), 'chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        sys.exit(
            'There is no Chromium here: apt-get install chromium-headless-shell, or name it in the variable CHROMIUM.'
        )
    with demo_site() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        page = browser.new_page(base_url=address, **DESK)
        page.add_init_script(REMEMBER)
        enter(page, 'volunteer')
        work(page)
        for name, (role, screen, scheme, go) in SHOTS.items():
            page = browser.new_page(base_url=address, color_scheme=scheme, **screen)
            page.add_init_script(REMEMBER)
            enter(page, role)
            if role == 'volunteer':
                pass_introduction(page, 'images')
            go(page)
            keep(name, page.screenshot())
        browser.close()


if __name__ == '__main__':
    main()
