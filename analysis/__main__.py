"""Print the catalogue of analyses as JSON: `python -m analysis`."""

import contextlib
import json
import sys

from analysis.catalogue import describe

# What an analysis prints when it is imported must not get into the JSON.
with contextlib.redirect_stdout(sys.stderr):
    found = describe()
json.dump(found, sys.stdout)
