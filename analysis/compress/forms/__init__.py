"""How a compressed linear layer is kept and computed: one module a form."""

from analysis.compress.forms.base import KINDS, Form, build, describe
from analysis.compress.forms.compensated import Compensated
from analysis.compress.forms.head_tucker import HeadTucker
from analysis.compress.forms.merged import Merged
from analysis.compress.forms.parts import Parts
from analysis.compress.forms.quantised import Quantised
from analysis.compress.forms.row_interpolative import RowInterpolative
from analysis.compress.forms.tensor_train import TensorTrain
from analysis.compress.forms.two_factor import TwoFactor

# The modules in the order in which their source can stand in one file.
SOURCES = (
    "base",
    "two_factor",
    "row_interpolative",
    "merged",
    "quantised",
    "tensor_train",
    "head_tucker",
    "compensated",
    "parts",
)

__all__ = [
    "KINDS",
    "SOURCES",
    "Compensated",
    "Form",
    "HeadTucker",
    "Merged",
    "Parts",
    "Quantised",
    "RowInterpolative",
    "TensorTrain",
    "TwoFactor",
    "build",
    "describe",
]
