"""How many numbers a layer holds at each rank, in the forms in which a low-rank layer is kept.

    dense               W (m x n)                                    mn
    two factors         A (m x k) and B (k x n), W' = A B            k(m + n)
    row-interpolative   k rows of W' and what makes the others of
                        them: R (k x n) and C ((m - k) x k)          k(m + n - k)

Two factors hold more than W above the break-even rank mn/(m + n), so a layer there stays dense. The
row-interpolative form, known as pivoting factorisation, never does: at full rank it holds mn. It
also keeps which k rows of W' those are, as int32; indices count in bytes, not in parameters.
"""

import numpy as np

FORMS = {"two_factor": "two factors", "row_interpolative": "row-interpolative"}
INDEX_BYTES = 4


def costs(rows: int, cols: int, form: str) -> np.ndarray:
    """Return the numbers held at rank 0, 1, ..., K and then by the dense layer, int64, increasing.

    K is the largest rank that holds fewer numbers than the dense layer. Raises ValueError for an
    unknown form.
    """
    dense = rows * cols
    if form == "two_factor":
        rank = np.arange((dense - 1) // (rows + cols) + 1, dtype=np.int64)
        held = rank * (rows + cols)
    elif form == "row_interpolative":
        rank = np.arange(min(rows, cols), dtype=np.int64)
        held = rank * (rows + cols - rank)
    else:
        raise ValueError(f"expected a form of {', '.join(FORMS)}, got {form!r}")
    return np.append(held, dense)


def index_bytes(rank: np.ndarray, dense: np.ndarray, form: str) -> np.ndarray:
    """Return the bytes of each layer's row indices: none in factors, nor of a dense layer."""
    indexed = (form == "row_interpolative") & ~dense
    return np.where(indexed, INDEX_BYTES * rank, 0)
