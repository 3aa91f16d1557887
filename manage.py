#!/usr/bin/env python3
"""The commands of this checkout, run by its own ``.venv``: ``./manage.py --help``."""

import os
import sys
from pathlib import Path

VENV = Path(__file__).resolve().parent / '.venv'
PYTHON = VENV / 'bin' / 'python'

if __name__ == '__main__':
    if PYTHON.exists() and Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), __file__, *sys.argv[1:]])
    try:
        from vulyk.control import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith('vulyk'):
            raise
        sys.exit(
            f'The package {error.name} is not installed for {sys.executable}: "make run" sets up .venv with all of it.'
        )
    main()
