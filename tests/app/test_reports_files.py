"""The files of a report: self-contained, harmless, complete, and their numbers read back equal."""

import hashlib
import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pypdf
import pytest

from app.plots import data
from app.reports import build, bundle, formats, html, markdown, pdf, tables
from tests.app import fake_client, fake_trials
from tests.app.reports_said import Parsed

EVIL = "<script>alert(1)</script>"
CLIMBS = "../../x"
LIMIT = 6_000_000


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the report of a model with a sweep."""
    client = fake_client.with_models(tmp_path_factory.mktemp("home"), "tiny")
    fake_trials.with_trials(client)
    yield build.report(client, "tiny", now=1_800_000_000.0)
    client.own.close()


@pytest.fixture(scope="module", params=[EVIL, CLIMBS])
def evil(request, tmp_path_factory):
    """Return the report of a model with a name that would do harm where it is not text."""
    client = fake_client.with_models(tmp_path_factory.mktemp("evil"), request.param)
    yield build.report(client, request.param, now=1_800_000_000.0)
    client.own.close()


def test_the_page_has_every_title_caption_and_table_without_javascript(report):
    read = Parsed(html.render(report).decode())
    for section in report.sections:
        assert section.title in read.words
        for figure in section.figures:
            assert figure.title in read.words
            assert " ".join(figure.caption.split()) in read.words
        for table in section.tables:
            for row in tables.rows(table, 3):
                assert all(" ".join(cell.split()) in read.words for cell in row)
    for method in report.methods:
        assert method.title in read.words


def test_the_page_loads_nothing_and_its_policy_forbids_it(report):
    text = html.render(report).decode()
    read = Parsed(text)
    assert not [attrs for _, attrs in read.elements if "src" in attrs or "srcset" in attrs]
    assert not read.all("link")
    assert not read.all("iframe")
    for name, attrs in read.elements:
        if "href" in attrs:
            assert name == "a"
            assert attrs["href"].startswith(("#", "https://"))
    [policy] = [m["content"] for m in read.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy
    assert "connect" not in policy  # default-src forbids it
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        assert html._hash(script) in policy
    assert "url(" not in (html.ASSETS / "report.css").read_text()


def test_the_page_is_small_enough_to_send(report):
    assert len(list(report.figures())) >= 10
    assert len(html.render(report)) < LIMIT


def test_every_figure_has_its_place_and_its_numbers(report):
    read = Parsed(html.render(report).decode())
    places = {attrs["id"] for attrs in read.all("div") if attrs.get("class") == "drawing"}
    assert places == {name for name, _ in report.figures()}
    for name in places:
        drawing = json.loads(read.data[f"data-{name}"])
        assert drawing["data"]


def test_a_name_that_is_a_script_is_text_in_every_format(evil):
    name = evil.model
    text = html.render(evil).decode()
    read = Parsed(text)
    assert name in read.words
    assert len(read.all("script")) == 2 + len(list(evil.figures()))
    # plotly.js has none of these, so they could only come from the name.
    assert "<script>alert" not in text
    [title] = re.findall(r"^# .*$", markdown.render(evil).decode(), re.MULTILINE)
    assert "<" not in title.replace("\\<", "")
    said = " ".join(pypdf.PdfReader(io.BytesIO(pdf.render(evil))).pages[0].extract_text().split())
    assert name in said


def test_no_file_leaves_the_folder_of_the_zip(evil):
    with zipfile.ZipFile(io.BytesIO(bundle.render(evil))) as archive:
        for name in archive.namelist():
            assert re.fullmatch(r"rankscope-[a-z0-9-]+(/[a-z0-9-]+)*/[a-z0-9-]+\.[a-z]+", name)


def test_the_zip_s_hashes_are_those_of_its_files(report):
    with zipfile.ZipFile(io.BytesIO(bundle.render(report))) as archive:
        assert archive.testzip() is None
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop(bundle.MANIFEST))
    assert manifest["model"] == "tiny"
    assert set(manifest["files"]) == set(files)
    for name, content in files.items():
        told = manifest["files"][name]
        assert told == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    endings = {name.rpartition(".")[2] for name in files}
    assert endings == {"html", "pdf", "md", "png", "csv", "parquet"}
    for name in re.findall(r"\]\((figures/[^)]+)\)", files["report.md"].decode()):
        assert name in files


def test_tables_read_back_equal(report):
    for _, table in report.tables():
        frame = table.frame
        parquet = pq.read_table(io.BytesIO(tables.as_parquet(frame))).to_pandas()
        csv = pd.read_csv(io.BytesIO(tables.as_csv(frame)))
        assert list(csv.columns) == list(parquet.columns) == list(frame.columns)
        for name in frame.select_dtypes("number"):
            expected = frame[name].to_numpy(float, na_value=np.nan)
            np.testing.assert_array_equal(parquet[name].to_numpy(float, na_value=np.nan), expected)
            np.testing.assert_array_equal(csv[name].to_numpy(float), expected)


def test_lists_read_back_equal(report):
    [trials] = [table for _, table in report.tables() if table.title == "Trials, every column"]
    csv = pd.read_csv(io.BytesIO(tables.as_csv(trials.frame)))
    parquet = pq.read_table(io.BytesIO(tables.as_parquet(trials.frame))).to_pandas()
    for stored, read, kept in zip(trials.frame["nats"], csv["nats"], parquet["nats"], strict=True):
        assert json.loads(read) == list(stored) == list(kept)


def test_a_figure_s_numbers_are_in_the_zip(report):
    with zipfile.ZipFile(io.BytesIO(bundle.render(report))) as archive:
        for name, figure in report.figures():
            read = archive.read(f"rankscope-tiny/figures/{name}.csv")
            assert read == data.as_csv(figure)


def test_the_pdf_has_the_text_and_its_pages_are_numbered(report):
    read = pypdf.PdfReader(io.BytesIO(pdf.render(report)))
    pages = [" ".join(page.extract_text().split()) for page in read.pages]
    words = " ".join(pages)
    for section in report.sections:
        assert section.title in words
        for figure in section.figures:
            assert figure.title.split(" · ")[0] in words
    assert all(f"{number} of {len(pages)}" in page for number, page in enumerate(pages, start=1))
    assert "Marchenko-Pastur edge" in words  # of the methods
    assert read.metadata.title == report.title


def test_markdown_says_the_same_in_words(report):
    text = markdown.render(report).decode()
    assert "![" not in text  # alone it has no pictures
    assert "| Layer |" in text
    assert r"$\sigma_i$" in text  # as the texts have it: where Markdown is shown, formulas are
    for section in report.sections:
        assert f"## {section.title}" in text


def test_a_format_that_there_is_not_is_said(report):
    with pytest.raises(ValueError, match="docx"):
        formats.write(report, "docx")
