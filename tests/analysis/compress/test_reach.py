"""What is refused by shapes alone is what the trial itself refuses, in the same sentence."""

from dataclasses import replace

import pytest

from analysis.compress.trials import reach
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.targets import heads_of
from analysis.networks.errors import BadInput
from tests.analysis.compress.staged import Staged, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
SPECS = {
    "mpo": Spec("mpo"),
    "three sites": Spec("mpo", {"sites": "3"}),
    "tucker": Spec("tucker"),
    "mpo with svd": Spec("mpo", compensation="svd", compensation_rank=1),
    "eora": ranked("svd", 0.5, compensation="eora", compensation_rank=2),
}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def stages(request, tmp_path_factory):
    return staged(tmp_path_factory.mktemp(request.param), request.param)


def groups(stages):
    by_block = {}
    for ref in stages.opened.source.matrices():
        if ref.label.layer in stages.opened.layers:
            by_block.setdefault(ref.label.block, []).append(ref)
    return list(by_block.values())


def said(call):
    try:
        call()
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", SPECS)
def test_a_size_is_refused_beforehand_where_the_trial_refuses_it(stages, name):
    def both(kept):
        spec = replace(SPECS[name], kept=kept)
        before = said(lambda: reach.check(spec, groups(stages), heads_of(stages.opened)))
        assert before == said(lambda: stages.made(spec))
        return before

    refused = both(0.01)
    assert "1 % of the linear layers' parameters is not reached" in refused
    least = float(refused.split("at least ")[1].split(" %")[0]) / 100
    # The sentence names, to a thousandth, the least share that is reached.
    assert both(round(least, 3)) == ""
    assert "is not reached" in both(round(least - 0.002, 3))


def test_a_method_that_fits_no_layer_says_what_it_needs(tmp_path):
    layers = ["blocks.0.up", "blocks.1.q"]
    whole = staged(tmp_path, "llama")
    stages = Staged(tmp_path / "model", whole.params, tmp_path / "stages", layers)
    spec = Spec("tucker", kept=0.9)
    before = said(lambda: reach.check(spec, groups(stages), heads_of(stages.opened)))
    assert before.startswith("TensorLLM, needs healing fits none of the chosen layers: it needs")
    assert before == said(lambda: stages.made(spec))


@pytest.mark.parametrize(
    "spec",
    [
        ranked("svd", 0.01), ranked("welore", 0.01, "welore"), Spec("rtn"), Spec("laser"),
        Spec("mpo", kept=1.0), Spec("lora_shrink", kept=0.01),
        Spec("svd", allocation="by_hand", form="two_factor", ranks={"blocks.0.q": 1}),
    ],
)  # fmt: skip
def test_what_shapes_do_not_tell_is_left_to_the_trial(stages, spec):
    reach.check(spec, groups(stages), heads_of(stages.opened))
