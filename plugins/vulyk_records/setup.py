"""Packaging of the task type; pictures, templates and scripts travel inside the wheel."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name='vulyk-records',
    version='1.0.0',
    description='Task type for Vulyk: copy an index card into the fields of a form',
    long_description=(Path(__file__).parent / 'README.rst').read_text(encoding='utf-8'),
    long_description_content_type='text/x-rst',
    license='BSD-3-Clause',
    license_files=['LICENSE', 'vulyk_records/samples/LICENSE.txt'],
    packages=find_packages(include=['vulyk_records', 'vulyk_records.*']),
    package_data={
        'vulyk_records': ['templates/*.html', 'translations/*/*/*.po', 'static/*/*', 'samples/*', 'samples/images/*']
    },
    python_requires='>=3.11',
    install_requires=['vulyk'],
    zip_safe=False,
)
