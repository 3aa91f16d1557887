"""Scripts and styles: bundles, and the route that serves them."""

import gzip
import hashlib
import mimetypes
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import request, send_from_directory
from flask_assets import Bundle, Environment
from webassets.filter import Filter
from webassets.version import Version
from werkzeug.utils import safe_join

from vulyk.ext.storage import Collect, Storage
from vulyk.models.exc import InitializationError
from vulyk.texts import gettext
from vulyk.utils import A_YEAR

if TYPE_CHECKING:
    from flask import Flask, Response


PACKAGE = Path(__file__).parent.parent
_VENDOR = 'vendor'
LEGACY_JS = [
    'jquery/jquery.min.js',
    'jquery-migrate/jquery-migrate.min.js',
    'bootstrap3/js/bootstrap.min.js',
    'magnific-popup/jquery.magnific-popup.min.js',
    'jquery.hotkeys/jquery.hotkeys.js',
    'jquery.cookie/jquery.cookie.js',
]
LEGACY_CSS = ['bootstrap3/css/bootstrap.min.css', 'magnific-popup/magnific-popup.css']
BOOTSTRAP5_JS = ['bootstrap5/bootstrap.bundle.min.js']
BOOTSTRAP5_CSS = ['bootstrap5/bootstrap.min.css']
KIT_JS = 'scripts/kit.js'  # for the scripts and styles of plugins: see docs/plugins/frontend.rst
KIT_CSS = 'styles/kit.css'

PACKABLE = {'.css', '.html', '.js', '.json', '.svg', '.txt'}
PACKABLE_BYTES = 1024  # what is smaller fits into one packet anyway
GOOD_BROTLI = 9  # of 11, which takes five times as long for a tenth less

_URL = re.compile(r'url\(\s*([\'"]?)(?!data:|https?:|//|/|#)([^\'")]+)\1\s*\)')
_AT_CHARSET = re.compile(r'@charset\s+[^;]+;')


def init(app: 'Flask') -> None:
    """Make the bundles of the platform, of the two sets of libraries and of every plugin; serve them under ``/static``."""
    environment = Environment(app)
    environment.url = '/static'
    environment.auto_build = False
    environment.cache = False
    environment.manifest = None
    bundles = _bundles(app)
    for name, bundle in bundles.items():
        environment.register(name, bundle)
    app.extensions['vulyk_asset_bundles'] = frozenset(name for name, bundle in bundles.items() if bundle.contents)
    sources = [Path(path) for bundle in bundles.values() for path in bundle.contents]
    _check_sources(sources)
    packable = list(_packable(app)) if app.config['ASSETS_PRECOMPRESS'] else []
    fingerprint = _fingerprint(bundles, [*sources, *(path for _, path in packable)])
    environment.versions = _Fixed(fingerprint)
    built = _assets_folder(app) / fingerprint
    environment.directory = str(built)
    if app.config['COLLECT_STATIC_ROOT']:
        _build(environment, bundles, built, packable)
        roots = [_collect(app, built)]
    else:
        roots = [built, PACKAGE / app.config['STATIC_FOLDER']]
        # Only who serves pages needs bundles: a command of an operator leaves no folder behind.
        app.before_request(lambda: _build(environment, bundles, built, packable))
    app.add_url_rule('/static/<path:filename>', 'static', _static_view(app, roots))


def plugin_static(app: 'Flask') -> dict[str, Path]:
    """``{plugin_<package>: folder of the package}``: where ``/static/plugin_<package>/static/…`` is served from."""
    prefix = app.config['COLLECT_PLUGIN_DIR_PREFIX']
    return {f'{prefix}{task_type.package}': package_folder(task_type.package) for task_type in app.task_types.values()}


def package_folder(package: str) -> Path:
    """The folder an importable package lies in."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0])


class InLayer(Filter):
    """Wraps styles in ``@layer plugin``, so that a plugin's ``a {…}`` cannot reach the site's own, unlayered styles."""

    name = 'in_layer'

    def output(self, _in: Any, out: Any, **kwargs: Any) -> None:
        out.write('@layer plugin {\n')
        out.write(_AT_CHARSET.sub('', _in.read()))
        out.write('\n}\n')


class AbsoluteUrls(Filter):
    """Makes relative ``url(…)`` absolute, because the bundle lies elsewhere than its sources."""

    name = 'absolute_urls'

    def __init__(self, mounts: dict[Path, str]) -> None:
        super().__init__()
        self.mounts = mounts

    def unique(self) -> Any:
        return tuple(sorted(str(path) for path in self.mounts))

    def input(self, _in: Any, out: Any, **kwargs: Any) -> None:
        source = Path(kwargs['source_path'])
        root, url = next((root, url) for root, url in self.mounts.items() if source.is_relative_to(root))

        def absolute(match: re.Match[str]) -> str:
            relative = os.path.normpath(source.relative_to(root).parent / match[2].strip())
            return f'url("{url}/{relative}")'

        out.write(_URL.sub(absolute, _in.read()))


class _Fixed(Version):
    """The version in a bundle's URL: the fingerprint of all sources, known when the application is built."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def determine_version(self, bundle: Any, ctx: Any, hunk: Any = None) -> str:
        return self.fingerprint


def _bundles(app: 'Flask') -> dict[str, Bundle]:
    config = app.config
    static = PACKAGE / config['STATIC_FOLDER']
    vendor = static / _VENDOR
    mounts = {static: '/static'} | {folder: f'/static/{name}' for name, folder in plugin_static(app).items()}
    css_filters = [AbsoluteUrls(mounts), *_filters(config['CSS_ASSETS_FILTERS'])]

    def js(output: str, *paths: Path) -> Bundle:
        return Bundle(*map(str, paths), filters=_filters(config['JS_ASSETS_FILTERS']), output=output)

    def css(output: str, *paths: Path, layered: bool = True) -> Bundle:
        return Bundle(*map(str, paths), filters=[*css_filters, *([InLayer()] if layered else [])], output=output)

    bundles = {
        'js_all': js(config['JS_ASSETS_OUTPUT'], *(static / path for path in config['JS_ASSETS'])),
        'css_all': css(config['CSS_ASSETS_OUTPUT'], *(static / path for path in config['CSS_ASSETS']), layered=False),
        'js_legacy': js('scripts/legacy.js', *(vendor / path for path in LEGACY_JS)),
        'css_legacy': css('styles/legacy.css', *(vendor / path for path in LEGACY_CSS)),
        'js_bootstrap5': js('scripts/bootstrap5.js', *(vendor / path for path in BOOTSTRAP5_JS), static / KIT_JS),
        'css_bootstrap5': css('styles/bootstrap5.css', *(vendor / path for path in BOOTSTRAP5_CSS), static / KIT_CSS),
    }
    app._base_files_to_watch = [path for bundle in bundles.values() for path in bundle.contents]
    for task_type in app.task_types.values():
        name, folder = task_type.type_name, package_folder(task_type.package)
        scripts = [folder / path for path in task_type.JS_ASSETS]
        styles = [folder / path for path in task_type.CSS_ASSETS]
        bundles[f'plugin_js_{name}'] = js(f'scripts/plugin_js_{name}.js', *scripts)
        bundles[f'plugin_css_{name}'] = css(f'styles/plugin_css_{name}.css', *styles)
        app._plugin_files_to_watch += [str(path) for path in (*scripts, *styles)]
    return bundles


def _filters(names: str | list[str] | None) -> list[str]:
    return [name for name in (names.split(',') if isinstance(names, str) else names or []) if name]


def _check_sources(sources: list[Path]) -> None:
    missing = [str(path) for path in sources if not path.is_file()]
    if missing:
        raise InitializationError(
            gettext(
                'Scripts or styles named in JS_ASSETS or CSS_ASSETS are missing: %(names)s', names=', '.join(missing)
            )
        )


def _fingerprint(bundles: dict[str, Bundle], sources: list[Path]) -> str:
    digest = hashlib.sha256()
    for name, bundle in sorted(bundles.items()):
        filters = [item.name for item in bundle.filters]
        digest.update(f'{name} {bundle.output} {filters} {bundle.contents}'.encode())
    for path in sources:
        status = path.stat()
        digest.update(f'{path} {status.st_size} {status.st_mtime_ns}'.encode())
    digest.update(Path(__file__).read_bytes())  # the filters above change the output too
    return digest.hexdigest()[:12]


def _assets_folder(app: 'Flask') -> Path:
    """Where bundles are written: never into the installed package."""
    return Path(app.config['ASSETS_FOLDER'] or Path.cwd() / 'instance' / 'assets').absolute()


def _packable(app: 'Flask') -> Iterator[tuple[Path, Path]]:
    """``(place below /static, file)`` of every static file that is worth packing."""
    folders = [(Path(), PACKAGE / app.config['STATIC_FOLDER'])]
    folders += [(Path(name, 'static'), folder / 'static') for name, folder in plugin_static(app).items()]
    for place, folder in folders:
        for path in sorted(folder.rglob('*')):
            if path.suffix in PACKABLE and path.is_file() and path.stat().st_size >= PACKABLE_BYTES:
                yield place / path.relative_to(folder), path


def _packers() -> dict[str, tuple[str, Callable[[bytes], bytes]]]:
    """``{content coding: (suffix of the file, function)}``, the best first."""
    packers = {'gzip': ('.gz', lambda data: gzip.compress(data, 9, mtime=0))}
    if find_spec('brotli'):
        import brotli  # of the extra “server”

        packers = {'br': ('.br', lambda data: brotli.compress(data, quality=GOOD_BROTLI)), **packers}
    return packers


_PACKERS = _packers()


def _pack(folder: Path, packable: list[tuple[Path, Path]]) -> None:
    """Write packed copies of the bundles in a folder, and of the other files, to their places in it."""
    bundles = [(path.relative_to(folder), path) for path in folder.rglob('*') if path.is_file()]
    for place, path in (*packable, *bundles):  # a bundle wins over a file of its name, as it does when served
        data = path.read_bytes()
        for suffix, pack in _PACKERS.values():
            target = folder / f'{place}{suffix}'
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(pack(data))


def _build(
    environment: Environment, bundles: dict[str, Bundle], built: Path, packable: list[tuple[Path, Path]]
) -> None:
    """Build everything beside its place and rename it: processes that start together never see half a bundle."""
    if built.is_dir():
        return
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix='.building-', dir=built.parent))
    except OSError as error:
        raise InitializationError(
            gettext(
                'Scripts and styles cannot be written to %(folder)s (%(reason)s): set ASSETS_FOLDER.',
                folder=built.parent,
                reason=error.strerror,
            )
        ) from error
    for bundle in bundles.values():
        if bundle.contents:
            target = scratch / bundle.output
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open('w', encoding='utf-8') as output:
                bundle.build(force=True, output=output)
    if packable:
        _pack(scratch, packable)
    scratch.chmod(0o755)
    try:
        scratch.rename(built)
    except OSError:  # another process was faster
        shutil.rmtree(scratch)


def _collect(app: 'Flask', built: Path) -> Path:
    """Copy everything to ``COLLECT_STATIC_ROOT``, for a web server to serve; we serve from there too."""
    root = Path(app.config['COLLECT_STATIC_ROOT'])
    folders = [(Path(), PACKAGE / app.config['STATIC_FOLDER']), (Path(), built)]
    folders += [(Path(name, 'static'), folder / 'static') for name, folder in plugin_static(app).items()]
    Storage(Collect(folders=folders, static_root=root)).run()
    return root


def _static_view(app: 'Flask', roots: list[Path]) -> Any:
    plugins = plugin_static(app)

    def plain(filename: str, first: str, rest: str, max_age: int) -> 'Response':
        if first in plugins and rest.startswith('static/'):
            # Out of the folder itself: "static/../settings.py" would still be inside of the package.
            return send_from_directory(plugins[first] / 'static', rest.removeprefix('static/'), max_age=max_age)
        root = next((root for root in roots if os.path.isfile(root / filename)), roots[0])
        return send_from_directory(root, filename, max_age=max_age)

    def static(filename: str) -> 'Response':
        max_age = A_YEAR if request.args else 3600  # bundles carry their version in the query
        first, _, rest = filename.partition('/')
        if Path(filename).suffix in PACKABLE and app.config['ASSETS_PRECOMPRESS']:
            response = _packed(roots[0], filename, max_age)
            if response is None:
                response = plain(filename, first, rest, max_age)
            response.vary.add('Accept-Encoding')
            return response
        return plain(filename, first, rest, max_age)

    return static


def _packed(folder: Path, filename: str, max_age: int) -> 'Response | None':
    """The packed copy of a file that this browser takes; None if there is none."""
    for coding, (suffix, _) in _PACKERS.items():
        path = safe_join(str(folder), f'{filename}{suffix}')
        if path is not None and request.accept_encodings.quality(coding) and os.path.isfile(path):
            kind = mimetypes.guess_type(filename)[0]
            response = send_from_directory(folder, f'{filename}{suffix}', mimetype=kind, max_age=max_age)
            response.headers['Content-Encoding'] = coding
            return response
    return None
