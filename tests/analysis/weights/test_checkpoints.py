import pytest
import torch
from safetensors.torch import save_file

from analysis.weights.checkpoints import Series
from analysis.weights.header import BadModel
from analysis.weights.opening import open_model


def save(folder, **tensors):
    folder.mkdir(parents=True)
    save_file({f"{name}.weight": value for name, value in tensors.items()},
              folder / "model.safetensors")  # fmt: skip
    return folder


@pytest.fixture
def run(tmp_path):
    for step in (0, 100, 20):
        save(tmp_path / f"step_{step}", fc1=torch.full((4, 3), 1.0 + step), fc2=torch.ones(2, 4))
    save(
        tmp_path / "step_300", fc1=torch.ones(4, 3) * 9, fc2=torch.ones(2, 4), fc3=torch.ones(3, 2)
    )
    return open_model(tmp_path)


def test_steps_come_in_order_with_the_matrices_of_each(run):
    series = Series(run)
    assert series.steps == (0, 20, 100, 300)
    assert [label.layer for label in series.labels] == ["fc1", "fc2", "fc3"]
    for step in (0, 20, 100):
        first, second = series.matrices(step)
        assert (first.label.layer, second.label.layer) == ("fc1", "fc2")
        assert torch.equal(first.dense(), torch.full((4, 3), 1.0 + step))


def test_a_layer_that_a_step_does_not_hold_is_named(run):
    series = Series(run, ["fc3", "fc1"])
    assert [label.layer for label in series.labels] == ["fc1", "fc3"]
    assert [series.missing(step) for step in series.steps] == [("fc3",)] * 3 + [()]
    assert [m.label.layer for m in series.matrices(0)] == ["fc1"]


def test_one_model_is_no_series(tmp_path):
    folder = save(tmp_path / "one", fc1=torch.ones(4, 3))
    with pytest.raises(BadModel, match="folder of checkpoints"):
        Series(open_model(folder))


def test_layers_that_nobody_knows_are_refused(run):
    with pytest.raises(BadModel, match="fc9"):
        Series(run, ["fc9"])
