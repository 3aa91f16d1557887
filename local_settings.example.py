"""Settings of your site: copy this file to ``local_settings.py`` beside ``manage.py`` and change what differs.

``docs/settings.rst`` lists every setting with its default.
"""

# Signs the sessions of everybody who is signed in. Make your own and keep it secret:
#   python -c "import secrets; print(secrets.token_hex(32))"
SECRET_KEY = ''

# A replica set; one node is enough. Or let Vulyk start a private server in a folder: EMBEDDED_MONGOD = 'instance'
MONGODB_SETTINGS = {
    'DB': 'vulyk',
    'HOST': 'localhost',
    'PORT': 27017,
}

# The projects: {package: class name}
ENABLED_TASKS = {
    'vulyk_images': 'ImageChoiceTaskType',
    'vulyk_transcription': 'TranscriptionTaskType',
    'vulyk_tagging': 'TaggingTaskType',
    'vulyk_records': 'RecordsTaskType',
}

SITE_NAME = 'Vulyk workspace'
SITE_MOTTO = 'Vulyk: crowdsourcing platform'

# Under which terms volunteers give their answers, such as 'CC0 1.0'. Tell it to them; the manifest of every export says so.
CONTRIBUTORS_TERMS = ''

# The admin pages at /admin/, for users made admins with: ./manage.py admin create
ENABLE_ADMIN = True

# Mails: to confirm addresses, and for forgotten passwords. See docs/operators/accounts.rst
# SITE_URL = 'https://vulyk.example.org'
# MAIL_SERVER = 'smtp.example.org'
# MAIL_PORT = 587
# MAIL_USE_TLS = True
# MAIL_USERNAME = 'vulyk'
# MAIL_PASSWORD = ''
# MAIL_DEFAULT_SENDER = 'no-reply@vulyk.example.org'

# Who may make an account: 'open', 'invitation' or 'closed'
REGISTRATION = 'open'

# /metrics, for Prometheus on another machine: what it sends as bearer token
# METRICS_TOKEN = ''

# The web server in front of the site, which says who asks and that it was by HTTPS: its address, or 'unix' for a socket.
TRUSTED_PROXIES = ['127.0.0.1']
