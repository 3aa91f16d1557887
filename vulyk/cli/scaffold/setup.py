"""Packaging of the task type; templates, scripts and samples travel inside the wheel."""

from setuptools import find_packages, setup

setup(
    name='vulyk-example',
    version='0.1.0',
    description='A task type for Vulyk',
    packages=find_packages(include=['vulyk_example', 'vulyk_example.*']),
    package_data={'vulyk_example': ['templates/*.html', 'static/*/*', 'samples/*']},
    python_requires='>=3.11',
    install_requires=['vulyk'],
    extras_require={'test': ['pytest', 'vulyk[mongod]']},
)
