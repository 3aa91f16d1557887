"""Settings of the container; what differs from site to site, and every secret, comes from variables: see compose.yaml."""

import os

ENABLE_ADMIN = True
BACKGROUND_THREAD = False  # there is a container for the worker
TRUSTED_PROXIES = ['172.16.0.0/12', '10.0.0.0/8', '192.168.0.0/16']  # Caddy, in the network of the containers
SITE_NAME = os.environ.get('SITE_NAME', 'Vulyk')
ASSETS_FOLDER = '/srv/vulyk/instance/assets'
ENABLED_TASKS = {
    'vulyk_images': 'ImageChoiceTaskType',
    'vulyk_transcription': 'TranscriptionTaskType',
    'vulyk_tagging': 'TaggingTaskType',
    'vulyk_records': 'RecordsTaskType',
}
