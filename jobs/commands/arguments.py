"""The arguments of the commands that compress a model."""

from typing import Any

from jobs.commands import compression

FORMS = ("factored", "merged", "adapter")  # in which a model is written


def add(commands: Any) -> None:
    """Add `trial`, `sweep`, `methods` and `disk` to the commands."""
    one = commands.add_parser("trial", help="compress a model, and measure what that costs")
    one.add_argument("model", metavar="MODEL", help="a registered name, `sample`, a path or id")
    one.add_argument("--method", dest="methods", metavar="M", help="such as svd; see `methods`")
    one.add_argument("--keep", metavar="SHARE", help="of the chosen layers' parameters: 0.6")
    one.add_argument("--allocation", dest="allocations", metavar="RULE", help="such as greedy")
    one.add_argument("--form", dest="forms", metavar="FORM", help="two_factor, row_interpolative")
    one.add_argument("--ranks", metavar="FILE", help="ranks by hand: JSON of layers and ranks")
    one.add_argument("--out", metavar="DIR", help="write the compressed model there")
    one.add_argument("--export", choices=FORMS, default=FORMS[0], help="how it is written")
    _shared(one)
    one.set_defaults(run=compression.trial)
    many = commands.add_parser("sweep", help="trials by several methods, at several sizes")
    many.add_argument("model", metavar="MODEL", help="a registered name, `sample`, a path or id")
    many.add_argument("--methods", metavar="A,B", help="such as svd,whitened_svd")
    many.add_argument("--keep", metavar="SHARES", help="such as 0.9,0.8,0.6")
    many.add_argument("--allocations", metavar="A,B", help="such as greedy,uniform")
    many.add_argument("--forms", metavar="A,B", help="two_factor, row_interpolative")
    _shared(many)
    many.set_defaults(run=compression.sweep)
    listing = commands.add_parser("methods", help="the compression methods and their settings")
    listing.add_argument("--format", choices=["table", "json"], default="table")
    listing.set_defaults(run=compression.methods)
    kept = commands.add_parser("disk", help="the files that compression keeps")
    which = kept.add_mutually_exclusive_group()
    which.add_argument(
        "--free", nargs="+", metavar="KEY", help="delete what is under keys, and exports of it"
    )
    which.add_argument("--free-all-working", action="store_true", help="delete working files")
    kept.set_defaults(run=compression.disk)


def _shared(command: Any) -> None:
    command.add_argument("--compensate", metavar="BY", help="correct what is left: eora or svd")
    command.add_argument("--compensation-rank", metavar="RANK", help="the rank of that")
    command.add_argument("--calibrate", metavar="FILE", help="text to calibrate on, or hf:NAME")
    command.add_argument("--evaluate", metavar="FILE", help="text to measure the loss on")
    command.add_argument("--pairs", metavar="FILE", help="sentence pairs, for embedding models")
    command.add_argument("--layers", default="*", metavar="GLOB", help="such as 'blocks.*.v'")
    command.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="a further setting"
    )
    command.add_argument("--local", action="store_true", help="in this process, without Ray")
    command.add_argument("--predict", action="store_true", help="say what it takes; run nothing")
    command.add_argument(
        "--allow-pickle", action="store_true", help="open .pt, .pth and .bin (weights_only)"
    )
