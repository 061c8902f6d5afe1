"""`python -m mizumashi`."""

import sys

from mizumashi.cli import main

sys.exit(main())
