"""Print the catalogue of analyses as JSON: `python -m analysis`."""

import json
import sys

from analysis.registry import describe

json.dump(describe(), sys.stdout)
