"""The pages' texts in other formats: every formula becomes signs, and nothing stays LaTeX."""

import pkgutil
import re

import pytest

from app import about
from app.about import formula, markup
from app.about.spectrum import FORMULAS

VIEWS = [module.name for module in pkgutil.iter_modules(about.__path__)]
TEXTS = [text for view in VIEWS for text in about.texts(view)] + list(FORMULAS.values())


def test_every_view_with_words_of_its_own_is_found_and_no_other():
    assert len(about.texts("welore")) == 1
    assert len(about.texts("activations")) == 3
    assert about.texts("nothing") == about.texts("../x") == about.texts("") == ()


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_keeps_a_sign_of_latex_or_markdown(text):
    said = markup.as_text(text)
    assert not re.search(r"\\|\$|\{\\|\*\*|\]\(", said)
    marked = markup.as_html(text)
    assert not re.search(r"\\|\$|\*\*|\]\(", marked)
    assert marked.count("<p>") == marked.count("</p>")
    assert marked.count("<ul>") == marked.count("</ul>")


@pytest.mark.parametrize(
    ("latex", "text", "html"),
    [
        (r"\sum_i \sigma_i^2", "Σᵢ σᵢ²", "Σ<sub>i</sub> σ<sub>i</sub><sup>2</sup>"),
        (r"W^\top W", "Wᵀ W", "Wᵀ W"),
        (r"e^{-\sigma^2}", "e^(−σ²)", "e<sup>−σ<sup>2</sup></sup>"),  # noqa: RUF001
        (r"\lVert W - W'\rVert_F", "‖W − W′‖_F", "‖W − W′‖<sub>F</sub>"),  # noqa: RUF001
        (r"\tfrac12 \sqrt{1 - E}", "½ √(1 − E)", "½ √(1 − E)"),  # noqa: RUF001
        (r"\frac{a}{b}", "(a)/(b)", "(a)/(b)"),
        (r"\tilde\sigma < \tau", "σ̃ < τ", "σ̃ &lt; τ"),
        (r"\ln\min(D_L, D_R)", "ln min(D_L, D_R)", "ln min(D<sub>L</sub>, D<sub>R</sub>)"),
    ],
)
def test_a_formula_in_signs_and_in_html(latex, text, html):
    assert formula.as_text(latex) == text
    assert formula.as_html(latex) == html


def test_an_unknown_command_is_said_and_not_left_out():
    with pytest.raises(ValueError, match="oint"):
        formula.as_text(r"\oint x")


def test_addresses_in_plain_text_become_links_and_all_else_is_escaped():
    said = markup.linked("Chen (2026), https://arxiv.org/abs/2601.06788. <b> & co")
    assert '<a href="https://arxiv.org/abs/2601.06788"' in said
    assert said.endswith("</a>. &lt;b&gt; &amp; co")
