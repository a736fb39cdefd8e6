"""What a figure on a page can be taken away as."""

import io

import numpy as np
import pandas as pd
import pytest
from streamlit.runtime.media_file_manager import MediaFileManager

from app.views.parts import figure_menu
from tests.app import seen


@pytest.fixture
def downloads(monkeypatch):
    """Return what each download button of a page makes, by the id that the button carries."""
    made = {}
    offer = MediaFileManager.add_deferred

    def remember(self, data, mimetype, coordinates, file_name=None, *, element_id=""):
        found = offer(self, data, mimetype, coordinates, file_name, element_id=element_id)
        made[found] = (file_name, mimetype, data)
        return found

    monkeypatch.setattr(MediaFileManager, "add_deferred", remember)
    return made


def clicked(at, downloads, key):
    """Return name, kind and bytes of the file that the button with this key gives."""
    name, mime, make = downloads[at.download_button(key=key).proto.deferred_file_id]
    return name, mime, make()


def test_the_numbers_of_a_decay_are_those_that_are_drawn(planted, opened, downloads):
    at = opened(planted, "rank_profile?model=tiny")
    assert not at.exception
    name, mime, file = clicked(at, downloads, "decay-csv")
    assert name == "tiny-singular-value-decay-blocks.0.q.csv"
    assert mime == "text/csv"
    found = pd.read_csv(io.BytesIO(file))
    line = seen.figure(at, "decay").data[0]
    rows = found[(found["series"] == line.name) & (found["kind"] == "line")]
    assert rows["x"].tolist() == seen.numbers(line.x).tolist()
    assert rows["y"].tolist() == seen.numbers(line.y).tolist()


def test_pictures_are_of_the_kind_that_their_names_say(planted, opened, downloads):
    at = opened(planted, "rank_profile?model=tiny")
    name, mime, file = clicked(at, downloads, "decay-png")
    assert (name.rpartition(".")[2], mime, file[:4]) == ("png", "image/png", b"\x89PNG")
    name, mime, file = clicked(at, downloads, "decay-svg")
    assert (name.rpartition(".")[2], mime) == ("svg", "image/svg+xml")
    assert b"<svg" in file
    assert b"Singular-value decay" in file  # the drawing says what it is of


def test_a_map_gives_its_cells(planted, opened, downloads):
    at = opened(planted, "rank_profile?model=tiny&metric=k95&scale=absolute")
    _, _, file = clicked(at, downloads, "grid-0-csv")
    found = pd.read_csv(io.BytesIO(file))
    heat = seen.figure(at, "grid-0").data[1]
    drawn = seen.numbers(heat.z)
    assert sorted(found["value"].dropna()) == sorted(drawn[np.isfinite(drawn)])


@pytest.mark.parametrize(
    "address", ["rank_profile?model=tiny", "rank_tradeoffs?model=tiny", "compression?model=tiny"]
)
def test_every_figure_of_a_page_has_its_files(swept, opened, downloads, address):
    at = opened(swept, address)
    assert not at.exception
    figures = [chart.proto.id for chart in at.get("plotly_chart")]
    assert figures
    offered = {button.key for button in at.download_button if button.key}
    for figure in figures:
        endings = [key.rpartition("-")[2] for key in offered if _of(key, figure)]
        assert sorted(endings) == ["csv", "png", "svg"]


def _of(key, figure):
    return figure.endswith(f"-{key.rpartition('-')[0]}")


def test_nothing_is_made_before_it_is_asked_for(planted, opened, monkeypatch):
    def never(*_, **__):
        raise AssertionError("made while the page was drawn")

    monkeypatch.setattr(figure_menu, "_printed", never)
    monkeypatch.setattr("app.plots.data.as_csv", never)
    assert not opened(planted, "rank_profile?model=tiny").exception


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("all-MiniLM-L6-v2", "Effective rank (σ) by layer"),
         "all-minilm-l6-v2-effective-rank-by-layer"),
        (("../../etc/passwd", "a/b\\c:d"), "etc-passwd-a-b-c-d"),
        (("模型", "矩阵"), "figure"),
        (("..", ""), "figure"),
        (("x" * 300, "y"), "x" * 100),
    ],
)  # fmt: skip
def test_a_file_is_named_by_letters_that_every_system_takes(words, name):
    assert figure_menu.file_name(*words) == name
