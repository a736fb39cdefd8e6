"""The store as pages and commands see it: frames for tables, and its errors as JobError."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

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
            return answer.to_pandas() if isinstance(answer, pa.Table) else answer

        return call


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise the store's errors as JobError, which pages and commands show as a sentence."""
    try:
        yield
    except StoreError as error:
        raise JobError(str(error)) from error
