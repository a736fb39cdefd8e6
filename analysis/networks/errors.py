"""What keeps an analysis from running a model, each as a sentence with its cure."""

from analysis.registry import AnalysisError


class NotRunnable(AnalysisError):  # noqa: N818  what was found, not a fault of the program
    """A model has no forward pass, head or tokenizer of the kind that is needed."""


def gives_nan(name: str) -> NotRunnable:
    """Return what to say of a model whose own output is not finite."""
    return NotRunnable(
        f"{name} gives NaN or infinity on this text: its checkpoint is damaged or its training "
        "diverged (the spectra name the layer)"
    )


class BadInput(AnalysisError):  # noqa: N818  as above
    """The text, token ids, labels or arrays that were given do not do."""
