"""How long and how large a report of ten figures is, in each format.

    python -m tests.bench.reports

Of a planted model with a sweep of trials: no network, no Ray, nothing computed.
"""

import argparse
import tempfile
import time
from dataclasses import replace

from app.reports import build, formats
from tests.app import fake_client, fake_trials

MOST = {"pdf": 10.0}  # seconds
LARGEST = {"html": 6_000_000}  # bytes
FIGURES = 10


def main():
    """Print a line for each format; say where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = of_ten(folder)
        for form in formats.FORMATS:
            start = time.perf_counter()
            size = len(formats.write(report, form))
            took = time.perf_counter() - start
            over = took > MOST.get(form, took) or size > LARGEST.get(form, size)
            said = "  over the limit" if over else ""
            print(f"{form:<5} {FIGURES} figures {took:6.2f} s {size / 1e6:7.3f} MB{said}")


def of_ten(folder):
    """Return a report with ten figures."""
    client = fake_client.with_models(folder, "tiny", blocks=12)
    fake_trials.with_trials(client)
    report = build.report(client, "tiny")
    client.own.close()
    left, sections = FIGURES, []
    for section in report.sections:
        sections.append(replace(section, figures=section.figures[:left]))
        left -= len(sections[-1].figures)
    assert left == 0
    return replace(report, sections=tuple(sections))


if __name__ == "__main__":
    main()
