"""The store as pages and commands see it: frames for tables, and its errors as JobError."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from jobs.errors import JobError
from store.errors import StoreError


class StoreProxy:
    """The store's methods with pandas frames for answers, and its errors as JobError."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with plain_errors():
                answer = method(*args, **kwargs)
            if isinstance(answer, pa.Table):
                return _frame(answer, whole=name == "results")
            return answer

        return call


def _frame(table: pa.Table, *, whole: bool) -> pd.DataFrame:
    """Return a frame; `whole` numbers stay integers in a column where some rows have none."""
    types = {pa.int64(): pd.Int64Dtype()} if whole else {}
    return table.to_pandas(types_mapper=types.get)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise the store's errors as JobError, which pages and commands show as a sentence."""
    try:
        yield
    except StoreError as error:
        raise JobError(str(error)) from error
