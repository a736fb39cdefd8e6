"""What a comparison shows: which layers meet, what is subtracted, how sure a difference is."""

PLACES = r"""
Layers meet by **block and module** (query, key, down, ...) and view; names play no part while these
tell a model's layers apart. Blocks meet by their number, or by relative depth: block $i$ of $n$
meets block $\lfloor i\,(m-1)/(n-1) + 1/2 \rfloor$ of $m$, so first meets first and last meets last.
What only one model has keeps its place and says so.

A difference is $A - B$ of the shown numbers. A ratio $A / B$ is what a norm is compared by, for it
has the scale of the weights; its colours are even in $\log_2$.
"""
DIFFERS = r"""
A row differs if $\max - \min > \tau \max |x|$ over the compared numbers $x$, or if only some of the
compared have a number there.
"""
PAIRED = r"""
$\Delta = \sum_w (a_w - b_w) / \sum_w c_w$ in nats per token: $a_w$ and $b_w$ are the losses of two
trials on window $w$, $c_w$ its tokens. The windows are the same, so what the text itself makes hard
cancels. The 95 % interval is that of 4000 bootstrap samples of windows
([Efron & Tibshirani 1993](https://doi.org/10.1201/9780429246593), chapter 13). An interval that
holds 0 tells no trial from the other.
"""
TEXTS = (PLACES, DIFFERS, PAIRED)
