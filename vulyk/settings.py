"""Default settings; ``docs/settings.rst`` explains each.

These defaults, over them environment variables of the same name (see :func:`from_environment`), over them what the caller
gives to ``create_app``; if that is nothing, ``local_settings`` of the current folder.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vulyk.texts import gettext

# --- secrets and sessions ---------------------------------------------------------------------------------------------
SECRET_KEY: str | None = None  # no default: a public default would let anybody sign sessions
SESSION_COOKIE_NAME = 'vulyk_session'
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = 'Lax'
SESSION_PROTECTION = 'basic'
REMEMBER_COOKIE_DURATION = 90 * 24 * 3600  # seconds, of "stay signed in"
REMEMBER_COOKIE_HTTPONLY = True
REMEMBER_COOKIE_SAMESITE = 'Lax'
WTF_CSRF_TIME_LIMIT = None  # a task page may stay open for hours
DEBUG = False
SESSION_COOKIE_SECURE: bool | None = None  # None: yes, except at localhost
TRUSTED_PROXIES: list[str] = []  # addresses and networks whose X-Forwarded-… headers are believed
HSTS_SECONDS = 365 * 24 * 3600
PERMISSIONS_POLICY = 'camera=(), geolocation=(), microphone=(), payment=(), usb=()'
# How many attempts in how many seconds, from one network, and from there for one account; None: any number.
RATE_LIMITS: dict[str, tuple[int, int] | None] = {
    'sign-in': (200, 300),
    'sign-in:account': (10, 300),
    'register': (30, 3600),
    'reset': (30, 3600),
    'reset:account': (3, 3600),
    'service': (100, 300),
}

# --- database ---------------------------------------------------------------------------------------------------------
MONGODB_SETTINGS: dict[str, Any] = {
    'DB': 'vulyk',
    'HOST': 'localhost',
    'USERNAME': None,
    'PASSWORD': None,
    'PORT': None,
}
EMBEDDED_MONGOD: str | None = None  # a folder: a private mongod is started there and shared by all processes using it
MONGODB_TIMEOUT_SECONDS = 3

# --- logging ----------------------------------------------------------------------------------------------------------
LOG_TO_STDERR = True
LOG_FORMAT = 'text'  # 'json': one JSON object a line, and a line for each request
LOGGING_LOCATION = '/var/log/vulyk/app.log'
LOGGING_FORMAT = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'
LOGGING_LEVEL: int | str | None = None  # DEBUG if DEBUG else INFO
LOGGING_MAX_FILE_BYTES = 10 * 1024 * 1024
METRICS_TOKEN: str | None = None
METRICS_NETWORKS: list[str] = ['127.0.0.0/8', '::1']  # whence /metrics may be read without the token

# --- tasks ------------------------------------------------------------------------------------------------------------
ENABLED_TASKS: dict[str, str] = {}  # {package: class name}
ENABLED_PLUGINS: Any = None  # named by old documentation, without effect
ENABLED_BLUEPRINTS: list[dict[str, Any]] = [
    {'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}
]
CURRENCY = 'UAH'  # what the coins of the game are worth, an ISO 4217 code
DEFAULT_TIME_ZONE = 'UTC'  # of volunteers whose browser has not told theirs
DEFAULT_BATCH = 'default'
ASSIGNMENT: str | dict[str, str] | None = None  # a strategy for all task types, or {type: strategy}
LEASE_SECONDS = 30 * 60  # how long a task somebody has in hand is kept for him
WITHDRAW_SECONDS = 10 * 60  # how long volunteers may take an answer back
ANSWERS_PER_MINUTE = 120  # of one user; 0: any number
MIN_TASK_SECONDS: float | dict[str, float] = 0  # quicker answers are marked; for all task types or {type: seconds}
NEW_ACCOUNT_ANSWERS = 0  # how many a new account may give; 0: any number
NEW_ACCOUNT_HOURS = 24  # how long an account is new
MAX_TASKS_AHEAD = 3  # how many tasks a page fetches in advance
BACKGROUND_THREAD = True  # jobs and sweeping inside a web process; switch it off where a worker runs
USERS_PER_TASK = 2  # without effect, as ever: redundancy is an attribute of the task type
MAX_RESULT_BYTES = 8 * 1024 * 1024

# --- pages ------------------------------------------------------------------------------------------------------------
# SITE_NAME, SITE_TITLE, SITE_MOTTO, WARM_WELCOME, THANKS_TASK_MESSAGE and TERMS_TEXT may be {language: text}.
SITE_NAME = 'Vulyk workspace'
SITE_MOTTO = 'Vulyk: crowdsourcing platform'
SITE_TITLE = 'Vulyk'
SITE_LOGO = '/static/images/logo.png'
WARM_WELCOME: str | dict[str, str] = {
    'en': '<p>Old prints, index cards, photographs: much of what matters can only be read by people. '
    'Pick a project, solve a small task, and it becomes data that everybody can use.</p>',
    'uk': '<p>Давні друки, каталожні картки, світлини: багато важливого можуть прочитати лише люди. '
    'Виберіть проєкт, виконайте маленьке завдання — і воно стане даними, якими зможуть користуватися всі.</p>',
}
THANKS_TASK_MESSAGE: str | dict[str, str] = {
    'en': 'You have done every task we have for you here. The project is closer to its goal because of you.',
    'uk': 'Ви виконали всі завдання, які ми тут для вас мали. Завдяки вам проєкт став ближчим до мети.',
}
CONTRIBUTORS_TERMS = ''  # under which terms volunteers give their answers; manifests of exports say so
SITE_IS_CLOSED = False
REDIRECT_USER_AFTER_LOGIN = True
LANGUAGE: str | None = (
    None  # of everybody who has not chosen one: 'uk' (or 'ua'), 'ru', else English; None: the browser's
)
LANGUAGES: list[str] = ['en', 'uk']  # people may choose from
GA: str | None = None
TEMPLATE_BASE_FOLDERS: list[str] = []
THEME_FRONTEND = 'legacy'  # or 'bootstrap5': what pages taken from TEMPLATE_BASE_FOLDERS load
ENABLE_ADMIN = False

# --- scripts, styles, files -------------------------------------------------------------------------------------------
STATIC_FOLDER = 'static'
TEMPLATES_FOLDER = 'templates'
JS_ASSETS: list[str] = ['scripts/activity.js', 'scripts/base.js', 'scripts/problem.js', 'scripts/guide.js']
CSS_ASSETS: list[str] = ['styles/base.css']
JS_ASSETS_OUTPUT = 'scripts/packed.js'
CSS_ASSETS_OUTPUT = 'styles/packed.css'
JS_ASSETS_FILTERS = 'rjsmin'
CSS_ASSETS_FILTERS = 'rcssmin'
ASSETS_FOLDER: str | None = None  # where bundles are written; default: assets/ in the instance folder
ASSETS_AUTO_BUILD = True
ASSETS_PRECOMPRESS = True  # packed copies of scripts and styles beside the bundles
PACK_PAGES = True  # pages and JSON travel packed
COLLECT_STATIC_ROOT: str | None = None
COLLECT_STORAGE: str | None = None
COLLECT_PLUGIN_DIR_PREFIX = 'plugin_'
MEDIA_ORIGINS: list[str] = []  # hosts that tasks may show images, sound and frames from
MEDIA_MAX_BYTES = 32 * 1024 * 1024
UPLOAD_MAX_BYTES = 1024 * 1024 * 1024  # of a file with tasks that is loaded on the admin pages, and unpacked
CSP_EXTRA: dict[str, list[str]] = {}

# --- accounts, mail ---------------------------------------------------------------------------------------------------
REGISTRATION = 'open'  # 'invitation', 'closed'
TERMS_VERSION: str | None = '1'  # another text: who has not agreed to it is asked; None: nobody is asked
TERMS_TEXT: str | None = None  # HTML; None: the platform's own
PERSONAL_DATA_DAYS = 30
SITE_URL: str | None = None
MAIL_BACKEND: str | None = None  # 'smtp' with a MAIL_SERVER, 'console' in development, else none
MAIL_SERVER: str | None = None
MAIL_PORT = 25
MAIL_USE_TLS = False
MAIL_USE_SSL = False
MAIL_USERNAME: str | None = None
MAIL_PASSWORD: str | None = None
MAIL_DEFAULT_SENDER: str | None = None
MAIL_TIMEOUT = 20

# --- sign-in ----------------------------------------------------------------------------------------------------------
SOCIAL_AUTH_LOGIN_URL = '/'
SOCIAL_AUTH_LOGIN_REDIRECT_URL = '/'
SOCIAL_AUTH_USERNAME_IS_FULL_EMAIL = False
SOCIAL_AUTH_AUTHENTICATION_BACKENDS: list[str] = []  # further services, by the dotted names of their classes
SOCIAL_AUTH_GOOGLE_OAUTH2_KEY = ''
SOCIAL_AUTH_GOOGLE_OAUTH2_SECRET = ''
SOCIAL_AUTH_GITHUB_KEY = ''
SOCIAL_AUTH_GITHUB_SECRET = ''
SOCIAL_AUTH_FACEBOOK_KEY = ''
SOCIAL_AUTH_FACEBOOK_SECRET = ''
SOCIAL_AUTH_TWITTER_OAUTH2_KEY = ''  # X
SOCIAL_AUTH_TWITTER_OAUTH2_SECRET = ''
SOCIAL_AUTH_TWITTER_KEY = ''  # deprecated: the two above
SOCIAL_AUTH_TWITTER_SECRET = ''
SOCIAL_AUTH_VK_OAUTH2_KEY = ''
SOCIAL_AUTH_VK_OAUTH2_SECRET = ''
SOCIAL_AUTH_OIDC_OIDC_ENDPOINT = ''  # any OpenID provider: the address before /.well-known/openid-configuration
SOCIAL_AUTH_OIDC_KEY = ''
SOCIAL_AUTH_OIDC_SECRET = ''
SOCIAL_AUTH_OIDC_TITLE = 'OpenID Connect'  # on its button


def _boolean(text: str) -> bool:
    words = {'1': True, 'true': True, 't': True, 'yes': True, 'on': True}
    words |= {'0': False, 'false': False, 'f': False, 'no': False, 'off': False, '': False}
    if text.strip().lower() not in words:
        raise ValueError(gettext('%(text)s is not a truth value; write true or false', text=repr(text)))
    return words[text.strip().lower()]


def _mapping(text: str) -> dict[str, str]:
    pairs = [item.partition(':') for item in text.split(',') if item.strip()]
    if any(not value.strip() for _, _, value in pairs):
        raise ValueError(gettext('%(text)s is not of the form package:ClassName,package:ClassName', text=repr(text)))
    return {key.strip(): value.strip() for key, _, value in pairs}


_SERVICES = ('GOOGLE_OAUTH2', 'GITHUB', 'FACEBOOK', 'TWITTER_OAUTH2', 'TWITTER', 'VK_OAUTH2', 'OIDC')
_FROM_ENVIRONMENT: dict[str, Callable[[str], Any]] = {
    'SECRET_KEY': str,
    'SESSION_COOKIE_NAME': str,
    'SESSION_PROTECTION': str,
    'DEBUG': _boolean,
    'EMBEDDED_MONGOD': str,
    'LOG_TO_STDERR': _boolean,
    'LOG_FORMAT': str,
    'LOGGING_LOCATION': str,
    'LOGGING_FORMAT': str,
    'LOGGING_MAX_FILE_BYTES': int,
    'METRICS_TOKEN': str,
    'JS_ASSETS_OUTPUT': str,
    'CSS_ASSETS_OUTPUT': str,
    'JS_ASSETS_FILTERS': str,
    'CSS_ASSETS_FILTERS': str,
    'ASSETS_FOLDER': str,
    'BACKGROUND_THREAD': _boolean,
    'USERS_PER_TASK': int,
    'SITE_IS_CLOSED': _boolean,
    'SITE_LOGO': str,
    'SITE_TITLE': str,
    'ENABLED_TASKS': _mapping,
    'REGISTRATION': str,
    'SITE_URL': str,
    'MAIL_SERVER': str,
    'MAIL_PORT': int,
    'MAIL_USE_TLS': _boolean,
    'MAIL_USE_SSL': _boolean,
    'MAIL_USERNAME': str,
    'MAIL_PASSWORD': str,
    'MAIL_DEFAULT_SENDER': str,
    'ENABLE_ADMIN': _boolean,
    **{f'SOCIAL_AUTH_{name}_{part}': str for name in _SERVICES for part in ('KEY', 'SECRET')},
}
_MONGODB_VARIABLES = {
    'mongodb_db': 'DB',
    'mongodb_host': 'HOST',
    'mongodb_username': 'USERNAME',
    'mongodb_password': 'PASSWORD',
    'mongodb_port': 'PORT',
}


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Settings given as environment variables.

    :param environ: usually ``os.environ``; only names listed in ``docs/settings.rst`` count.
    :returns: a part of the settings, converted to their types; ``ENABLED_TASKS`` reads ``package:Class,package:Class``.
    :raises ValueError: a value that cannot be converted; the text names the variable.
    """
    found: dict[str, Any] = {}
    for name, convert in _FROM_ENVIRONMENT.items():
        if name in environ:
            try:
                found[name] = convert(environ[name])
            except ValueError as error:
                raise ValueError(
                    gettext('Environment variable %(name)s: %(reason)s', name=name, reason=error)
                ) from error
    mongodb = {key: environ[name] for name, key in _MONGODB_VARIABLES.items() if environ.get(name)}
    if mongodb:
        found['MONGODB_SETTINGS'] = {**MONGODB_SETTINGS, **mongodb}
    return found
