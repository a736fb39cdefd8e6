"""A report with everything in it as one zip, and a manifest of what each file's bytes are."""

import datetime
import hashlib
import json
import zipfile
from collections.abc import Iterator
from io import BytesIO

from app.plots import data
from app.plots.printed import as_file
from app.reports import html, markdown, pdf, tables, versions
from app.reports.model import Report
from app.reports.names import slug
from app.reports.reduced import reduced

MANIFEST = "manifest.json"
PICTURES, TABLES = "figures", "tables"
STORED = 0o644 << 16


def render(report: Report) -> bytes:
    """Return the zip: HTML, PDF, Markdown with its pictures, all numbers as CSV and Parquet."""
    folder = f"rankscope-{slug(report.model)}"
    files = dict(_files(report))
    files[MANIFEST] = _manifest(report, files)
    held = BytesIO()
    at = datetime.datetime.fromtimestamp(report.created).timetuple()[:6]
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", date_time=max(at, (1980, 1, 1, 0, 0, 0)))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, STORED
            archive.writestr(entry, content)
    return held.getvalue()


def _files(report: Report) -> Iterator[tuple[str, bytes]]:
    yield "report.html", html.render(report)
    yield "report.pdf", pdf.render(report)
    yield "report.md", markdown.render(report, PICTURES)
    for name, figure in report.figures():
        yield f"{PICTURES}/{name}.png", as_file(reduced(figure), "png")
        yield f"{PICTURES}/{name}.csv", data.as_csv(figure)
    for name, table in report.tables():
        yield f"{TABLES}/{name}.csv", tables.as_csv(table.frame)
        yield f"{TABLES}/{name}.parquet", tables.as_parquet(table.frame)


def _manifest(report: Report, files: dict[str, bytes]) -> bytes:
    """Return what `sha256sum` would say of every other file, as JSON."""
    made = datetime.datetime.fromtimestamp(report.created, datetime.UTC).isoformat()
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }
    said = {"model": report.model, "made": made, "rankscope": versions.own(), "files": listed}
    return json.dumps(said, indent=1, ensure_ascii=False).encode()
