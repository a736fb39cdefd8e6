"""What each layer gets, from curves and from sizes of a method's own."""

from itertools import product

import numpy as np
import pytest

from analysis.compress.registry import Option
from analysis.compress.trials.choosing import (
    Budget,
    Choice,
    choose_options,
    choose_ranks,
    numbers_of,
)
from analysis.compress.trials.compensating import numbers_by_layer, with_room
from analysis.compress.trials.specs import Spec
from analysis.networks.errors import BadInput


def rows(seed=0, count=4, **more):
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        m, n = (int(side) for side in random.integers(4, 14, 2))
        lost = np.append(np.sort(random.gamma(0.3, size=min(m, n)))[::-1], 0.0)
        curves = {"plain": lost, "whitened": 2 * lost, "heldout": (), "expected": 3 * lost}
        found.append({"layer": f"w{i}", "rows": m, "cols": n, **curves, **more})
    return found


def dense(found):
    return sum(row["rows"] * row["cols"] for row in found)


def spec(rule="greedy", kept=0.6, **more):
    return Spec("svd", kept=kept, allocation=rule, form="two_factor", **more)


@pytest.mark.parametrize("rule", ["greedy", "uniform", "energy", "welore"])
@pytest.mark.parametrize("form", ["two_factor", "row_interpolative"])
def test_ranks_are_never_above_the_budget_with_layers_that_stay_dense(rule, form):
    for seed in range(10):
        found = rows(seed)
        fixed = 50
        budget = Budget(0.6, dense(found) + fixed, fixed)
        choice = choose_ranks(
            Spec("svd", kept=0.6, allocation=rule, form=form), None, found, budget
        )
        held = sum(numbers_of(r["rows"], r["cols"], choice.ranks[r["layer"]], form) for r in found)
        assert held + fixed <= 0.6 * (dense(found) + fixed)
        assert choice.objective == "expected"


def test_numbers_of_a_rank_also_above_the_break_even():
    assert [numbers_of(6, 4, k, "two_factor") for k in (None, 0, 2, 4)] == [24, 0, 20, 40]
    assert [numbers_of(6, 4, k, "row_interpolative") for k in (None, 1, 4)] == [24, 9, 24]


def test_an_objective_that_is_not_known_is_refused():
    found = rows(expected=())
    with pytest.raises(BadInput, match=r"svd: expected an objective of whitened.*gradients"):
        choose_ranks(spec(objective="expected"), None, found, Budget(0.6, dense(found), 0))


def test_uniform_near_full_size_warns_of_the_rank_that_is_left():
    found = rows()
    said = choose_ranks(spec("uniform", 0.95), None, found, Budget(0.95, dense(found), 0)).warnings
    assert any("Keeping 95%" in one and "of its rank" in one for one in said)
    assert not choose_ranks(
        spec("uniform", 0.6), None, found, Budget(0.6, dense(found), 0)
    ).warnings


def test_what_cannot_be_replaced_may_be_more_than_is_kept():
    with pytest.raises(BadInput, match=r"20 % .* leaves at least 50\.\d+ % of them"):
        choose_ranks(spec(kept=0.2), None, rows(), Budget(0.2, 2 * dense(rows()), dense(rows())))


def test_ranks_by_hand_leave_the_others_dense_and_are_checked():
    by_hand = {"allocation": "by_hand", "form": "two_factor"}
    choice = choose_ranks(Spec("svd", ranks={"w1": 2}, **by_hand), None, rows(), None)
    assert choice.ranks == {"w0": None, "w1": 2, "w2": None, "w3": None}
    with pytest.raises(BadInput, match=r"ranks by hand: expected layers such as w.*got 'w9'"):
        choose_ranks(Spec("svd", ranks={"w9": 2}, **by_hand), None, rows(), None)
    with pytest.raises(BadInput, match="expected a rank of w1 from 0"):
        choose_ranks(Spec("svd", ranks={"w1": 99}, **by_hand), None, rows(), None)
    full = {row["layer"]: min(row["rows"], row["cols"]) for row in rows()}
    # That they are larger than dense then is said once, of the layers that are made.
    assert choose_ranks(Spec("svd", ranks=full, **by_hand), None, rows(), None).warnings == ()


def offers(seed):
    """Three groups of ascending sizes; the largest hold more than dense."""
    random = np.random.default_rng(seed)
    found, held = {}, {}
    for i in range(3):
        numbers = np.unique(random.integers(10, 160, random.integers(1, 6))).tolist()
        errors = np.sort(random.gamma(1.0, size=len(numbers)))[::-1]
        found[f"w{i}"] = [
            Option(count, 0, float(error), (count,), f"{count}")
            for count, error in zip(numbers, errors, strict=True)
        ]
        held[f"w{i}"] = 120
    return found, held


def naive(found, held, budget):
    """All that three groups can hold together within a budget."""
    sizes = [
        [held[g], *(o.numbers for o in options if o.numbers < held[g])]
        for g, options in found.items()
    ]
    return {sum(chosen) for chosen in product(*sizes) if sum(chosen) <= budget}


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("fixed", [0, 40])
def test_sizes_of_their_own_are_never_above_the_budget(kept, fixed):
    reached = 0
    for seed in range(120):
        found, held = offers(seed)
        budget = Budget(kept, 360 + fixed, fixed)
        possible = naive(found, held, budget.left)
        if not possible:
            with pytest.raises(BadInput, match="the smallest size of the method"):
                choose_options(found, held, budget)
            continue
        chosen = choose_options(found, held, budget).options
        numbers = {g: o.numbers if o else held[g] for g, o in chosen.items()}
        total = sum(numbers.values())
        assert total in possible
        for group, option in chosen.items():
            assert option is None or option.numbers < held[group]
            # No group alone can use what is left.
            lost = option.error if option else 0.0
            for other in found[group]:
                better = numbers[group] < other.numbers < held[group] and other.error < lost
                assert not better or other.numbers - numbers[group] > budget.left - total
        reached += 1
    assert reached > 10


def test_one_group_gets_its_nearest_size_below():
    found, held = offers(1)
    group = {"w0": found["w0"]}
    sizes = [120, *(o.numbers for o in found["w0"] if o.numbers < 120)]
    for kept in np.arange(0.2, 1.0, 0.05).round(2):
        fitting = [size for size in sizes if size <= kept * 120]
        if fitting:
            option = choose_options(group, held, Budget(float(kept), 120, 0)).options["w0"]
            assert (option.numbers if option else 120) == max(fitting)


def test_a_size_that_is_refused_names_one_that_is_not():
    found, held = offers(5)
    with pytest.raises(BadInput, match="at least") as said:
        choose_options(found, held, Budget(0.01, 360, 0))
    shown = float(str(said.value).split("at least ")[1].split(" %")[0]) / 100
    least = min(naive(found, held, 360))
    chosen = choose_options(found, held, Budget(shown, 360, 0)).options
    assert sum(o.numbers if o else held[g] for g, o in chosen.items()) == least


def test_a_compensation_counts_in_the_size():
    asked = spec(kept=0.7, compensation="eora", compensation_rank=1)
    for seed in range(20):
        found = rows(seed)
        shapes = {row["layer"]: (row["rows"], row["cols"]) for row in found}
        more = numbers_by_layer(asked, shapes)
        assert more == {layer: sum(shape) for layer, shape in shapes.items()}
        budget = Budget(0.7, dense(found), 0)
        choice = with_room(lambda b, r=found: choose_ranks(asked, None, r, b), budget, more)
        replaced = {layer: rank for layer, rank in choice.ranks.items() if rank is not None}
        held = sum(numbers_of(*shapes[x], choice.ranks[x], "two_factor") for x in shapes)
        held += sum(more[layer] for layer in replaced)
        assert held <= budget.left
    assert numbers_by_layer(spec(), shapes) == {}


def test_room_that_was_kept_for_dense_layers_is_given_back():
    """The first of two layers is replaced for certain, the second never."""
    asked = []

    def choose(budget):
        asked.append(budget.reserved)
        return Choice({"a": 3, "b": None})

    with_room(choose, Budget(0.8, 100, 0), {"a": 5, "b": 7})
    assert asked == [12, 5]
