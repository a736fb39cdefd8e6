"""A list of layers is cut, and what is left out is counted."""

from analysis.compress.trials.names import FEW, few


def test_few_names_are_all_named_and_of_many_the_rest_is_counted():
    names = [f"w{i}" for i in range(42)]
    assert few([]) == ""
    assert few(names[:FEW]) == "w0, w1, w2, w3"
    assert few(names) == "w0, w1, w2, w3 and 38 more"
