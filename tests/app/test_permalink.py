"""Choices in the address: kept from page to page, written once, and the back button undoes them."""

import pytest
from streamlit.runtime.state import query_params
from streamlit.testing.v1 import AppTest


@pytest.fixture
def writes(monkeypatch):
    """Return the addresses as they are sent: each is one step of the back button."""
    sent = []
    send = query_params.QueryParams._send_query_param_msg

    def noted(self):
        sent.append(dict(self._query_params))
        send(self)

    monkeypatch.setattr(query_params.QueryParams, "_send_query_param_msg", noted)
    return sent


def go(at, page, **address):
    """Open another page as the sidebar does, or with an address."""
    at.query_params.clear()
    at.query_params.update(address)
    return at.switch_page(f"views/{page}.py").run()


def back(at, **address):
    """Change the address of the page that is open, as the back button does."""
    at.query_params.clear()
    at.query_params.update(address)
    return at.run()


def address(at):
    return {
        key: value[0] if isinstance(value, list) else value
        for key, value in at.query_params.items()
    }


@pytest.mark.parametrize("page", ["rank_profile", "analyses"])
def test_the_chosen_model_goes_along_to_another_page(planted, opened, page):
    at = go(opened(planted, "models?model=other"), page)
    assert not at.exception
    assert at.selectbox(key="model").value == "other"
    assert address(at)["model"] == "other"


def test_a_model_chosen_by_hand_goes_along_and_comes_back(planted, opened):
    at = opened(planted, "models")
    at.selectbox(key="model").set_value("other").run()
    go(at, "analyses")
    at.selectbox(key="model").set_value("tiny").run()
    assert go(at, "models").selectbox(key="model").value == "tiny"


def test_an_address_wins_over_what_was_chosen_before(planted, opened):
    at = go(opened(planted, "models?model=other"), "rank_profile", model="tiny")
    assert at.selectbox(key="model").value == "tiny"


def test_a_page_writes_its_address_once(planted, opened, writes):
    at = opened(planted, "analyses?analysis=made_up&glob=blocks.*")
    assert not at.exception
    assert len(writes) == 1
    at.selectbox(key="model").set_value("other").run()
    assert len(writes) == 2
    at.run()
    assert len(writes) == 2


def test_back_undoes_a_choice(planted, opened, writes):
    at = opened(planted, "models?model=tiny")
    at.selectbox(key="model").set_value("other").run()
    back(at, model="tiny")
    assert at.selectbox(key="model").value == "tiny"
    assert writes == [{"model": ["other"]}]


def test_back_to_the_bare_address_shows_what_it_showed_and_does_not_write(planted, opened, writes):
    at = go(opened(planted, "models?model=other"), "rank_profile")
    assert address(at) == {"model": "other"}
    count = len(writes)
    back(at)
    assert at.selectbox(key="model").value == "other"
    assert len(writes) == count
    at.run()
    assert len(writes) == count
    at.selectbox(key="scale").set_value("absolute").run()
    assert address(at) == {"model": "other", "scale": "absolute"}


def test_an_unknown_model_is_said_and_leaves_the_address(planted, opened):
    at = opened(planted, "rank_profile?model=z*z&metric=gone&log_value=x&columns=gone&tau=nan")
    assert not at.exception
    said = [warning.value.replace("\\", "") for warning in at.warning]
    assert said == ["No model z*z here: showing tiny."]
    assert address(at) == {"model": "tiny"}
    assert at.toggle(key="log_value").value is True


def test_a_model_without_the_layers_of_another_is_no_warning(planted, opened):
    at = go(opened(planted, "rank_profile?model=other&layers=blocks.0.v"), "jobs")
    assert not at.warning


def test_a_default_that_grows_with_the_results_stays_out_of_the_address():
    def script():
        import streamlit as st

        from app.views.parts import permalink

        permalink.begin("page")
        permalink.choices("Columns", ["a", "b"], "columns", st.session_state.get("known", ["a"]))
        permalink.finish()

    at = AppTest.from_function(script).run()
    at.session_state["known"] = ["a", "b"]
    at.run()
    assert at.multiselect(key="columns").value == ["a", "b"]
    assert address(at) == {}
    at.multiselect(key="columns").set_value(["b"]).run()
    assert address(at) == {"columns": "b"}


def test_a_choice_that_follows_moves_with_its_default_until_one_is_made():
    def script():
        import streamlit as st

        from app.views.parts import permalink

        permalink.begin("page")
        options = st.session_state.get("known", ["plain"])
        permalink.choice("Method", options, "method", follows=True)
        permalink.finish()

    at = AppTest.from_function(script).run()
    at.session_state["known"] = ["whitened", "plain"]
    at.run()
    assert at.selectbox(key="method").value == "whitened"
    assert address(at) == {}
    at.selectbox(key="method").set_value("plain").run()
    at.session_state["known"] = ["both", "whitened", "plain"]
    at.run()
    assert at.selectbox(key="method").value == "plain"
    assert address(at) == {"method": "plain"}


def test_a_slider_whose_ends_move_stands_where_it_did_or_on_its_default():
    def script():
        import streamlit as st

        from app.views.parts import permalink

        permalink.begin("page")
        least = st.session_state.get("least", 5.0)
        permalink.level("Keep", "keep", (least, 100.0), max(60.0, least))
        permalink.finish()

    at = AppTest.from_function(script).run()
    for least, stands in ((92.0, 92.0), (4.0, 60.0), (5.0, 60.0)):
        at.session_state["least"] = least
        at.run()
        assert (at.slider(key="keep").value, address(at)) == (stands, {})
    at.slider(key="keep").set_value(30.0).run()
    at.session_state["least"] = 10.0
    at.run()
    assert (at.slider(key="keep").value, address(at)) == (30.0, {"keep": "30"})


@pytest.mark.parametrize(("page", "key"), [("models", "model"), ("jobs", "job")])
def test_what_is_not_here_is_called_what_it_is(planted, opened, page, key):
    [warning] = opened(planted, f"{page}?{key}=zz").warning
    assert warning.value.startswith(f"No {key} zz here")
