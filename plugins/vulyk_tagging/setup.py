"""Packaging of the task type; samples, templates and scripts travel inside the wheel."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name='vulyk-tagging',
    version='1.0.0',
    description='Task type for Vulyk: mark words in a text, say what they are',
    long_description=(Path(__file__).parent / 'README.rst').read_text(encoding='utf-8'),
    long_description_content_type='text/x-rst',
    license='BSD-3-Clause',
    license_files=['LICENSE', 'vulyk_tagging/samples/LICENSE.txt'],
    packages=find_packages(include=['vulyk_tagging', 'vulyk_tagging.*']),
    package_data={'vulyk_tagging': ['templates/*.html', 'translations/*/*/*.po', 'static/*/*', 'samples/*']},
    python_requires='>=3.11',
    install_requires=['vulyk'],
    zip_safe=False,
)
