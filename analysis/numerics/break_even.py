"""Whether factoring a layer is worth it: WeLore's cutoff, and the rank where factors hold as much.

Plain arithmetic without torch, so that a page can ask what another threshold would do.
"""


def break_even_rank(rows: int, cols: int) -> int:
    """Return the largest k at which factors of k(rows + cols) numbers hold no more than W."""
    return rows * cols // (rows + cols)


def dense_because(
    shape: tuple[int, int], pruned: int, *, cutoff: float, allow_above_break_even: bool = False
) -> str | None:
    """Return why a layer that loses `pruned` directions stays dense (N-LRC); None: factor it (LRC).

    `cutoff` is the share of its rank that a layer must lose.
    """
    full, break_even = min(shape), break_even_rank(*shape)
    if pruned == 0:
        return "nothing is below the threshold"
    if pruned / full < cutoff:
        return f"loses {pruned / full:.0%} of its rank, less than the cutoff {cutoff:.0%}"
    kept = full - pruned
    if kept > break_even and not allow_above_break_even:
        return (
            f"rank {kept} is above break-even {break_even}: factors would be larger than the layer"
        )
    return None
