"""A form follows its declaration, and nothing else has to be written for it."""

from streamlit.testing.v1 import AppTest

DECLARED = [
    {"name": "share", "type": "float", "default": 0.5, "min": 0.0, "max": 1.0, "help": "how much"},
    {"name": "repeats", "type": "int", "default": 3, "min": 1, "help": "how often"},
    {"name": "keep", "type": "bool", "default": True, "help": "keep them"},
    {"name": "word", "type": "str", "default": None, "help": "any word"},
    {"name": "levels", "type": "floats", "default": (0.5, 0.9), "help": "levels"},
    {"name": "norm", "type": "str", "default": "l2", "choices": ["l1", "l2"], "help": "which"},
    {"name": "noise", "type": "float", "default": None, "optional": True, "help": "if known"},
]


def script(declared):
    import streamlit as st

    from app import forms

    st.session_state["chosen"] = forms.parameters(declared, "made_up")


def form(declared=DECLARED):
    return AppTest.from_function(script, args=(declared,)).run()


def test_each_type_has_its_widget_with_bounds_default_and_help():
    at = form()
    share, repeats, noise = (
        at.number_input(key=f"made_up.{name}") for name in ("share", "repeats", "noise")
    )
    assert (share.value, share.min, share.max) == (0.5, 0.0, 1.0)
    assert share.help == "How much. Between 0 and 1."
    assert (repeats.value, repeats.min, repeats.help) == (3, 1, "How often. At least 1.")
    assert noise.value is None
    assert at.checkbox[0].value is True
    assert at.selectbox[0].options == ["l1", "l2"]
    assert at.text_input(key="made_up.word").value == ""
    assert at.text_input(key="made_up.levels").value == "0.5, 0.9"


def test_what_is_not_set_is_not_handed_over():
    assert form().session_state["chosen"] == {
        "share": 0.5, "repeats": 3, "keep": True, "levels": "0.5, 0.9", "norm": "l2",
    }  # fmt: skip


def test_a_change_is_handed_over():
    at = form()
    at.number_input(key="made_up.share").set_value(0.25)
    at.text_input(key="made_up.word").set_value("anything")
    chosen = at.run().session_state["chosen"]
    assert (chosen["share"], chosen["word"]) == (0.25, "anything")


def test_an_analysis_without_parameters_says_so():
    assert "no parameters" in form([]).caption[0].value


def test_of_many_parameters_the_first_are_seen_and_all_are_handed_over():
    many = [{"name": f"p{i}", "type": "int", "default": i} for i in range(16)]
    at = form(many)
    assert at.expander[0].label == "10 more settings"
    assert {field.label for field in at.expander[0].number_input} == {f"P{i}" for i in range(6, 16)}
    assert at.session_state["chosen"] == {f"p{i}": i for i in range(16)}
