"""The formats a report is written in, by the ending of their file."""

from collections.abc import Callable

from app.reports.model import Report

FORMATS = {
    "html": "HTML, interactive, opens with no network",
    "pdf": "PDF, to print or to attach",
    "md": "Markdown, text and tables",
    "zip": "everything: HTML, PDF, Markdown, pictures, tables, hashes",
}
MIME = {
    "html": "text/html",
    "pdf": "application/pdf",
    "md": "text/markdown",
    "zip": "application/zip",
}


def write(report: Report, form: str) -> bytes:
    """Return a report's file. Raises ValueError for a format that there is not."""
    # Each is read when it is first asked for: a page that only lists reports draws none.
    from app.reports import bundle, html, markdown, pdf

    writers: dict[str, Callable[[Report], bytes]] = {
        "html": html.render,
        "pdf": pdf.render,
        "md": markdown.render,
        "zip": bundle.render,
    }
    if form not in writers:
        raise ValueError(f"expected a format of {', '.join(writers)}, got {form!r}")
    return writers[form](report)
