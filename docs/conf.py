"""Settings of Sphinx; ``make docs`` builds the pages into ``docs/_build/html``."""

from importlib import metadata

project = 'Vulyk'
author = 'the authors of Vulyk'
copyright = 'the authors of Vulyk'  # the name is Sphinx's
release = metadata.version('vulyk')

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.doctest']
exclude_patterns = ['_build']

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'

doctest_global_setup = 'from vulyk.utils import chunked'  # for the example in its docstring

html_theme = 'furo'
html_title = f'Vulyk {release}'
html_copy_source = False
html_show_sourcelink = False
