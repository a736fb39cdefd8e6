"""What training gave back: the loss of the factors by step, beside the dense model's."""

import numpy as np

from app.plots.figure import Axis, Figure, Role, Series, thin


def draw(losses: np.ndarray, control: np.ndarray) -> Figure | None:
    """Return the curves of the loss on the batches trained on, None where nothing was trained."""
    if not len(losses):
        return None
    drawn: list[tuple[str, np.ndarray, Role]] = [("factors", losses, "layer")]
    if len(control):
        drawn.append(("dense control", control, "control"))
    return Figure(
        title="Recovery",
        caption=f"Loss on each of {len(losses)} training batches"
        + (
            "; the dense model was trained on the same ones, so only the gap between the curves "
            "is due to the compression."
            if len(control)
            else "; no dense control was trained."
        ),
        x=Axis("step", low=0.0, high=float(max(len(losses), len(control))), whole=True),
        y=Axis("loss (nats per token)"),
        series=tuple(_curve(name, found, role) for name, found, role in drawn),
    )


def _curve(name: str, found: np.ndarray, role: Role) -> Series:
    at = thin(len(found))
    return Series(name, at + 1.0, found[at], role)
