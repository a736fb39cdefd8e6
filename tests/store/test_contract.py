"""The contract, with the store opened in this process."""

from tests.store.contract import StoreContract


class TestInProcess(StoreContract):
    """`fresh_store` is the folder's own."""
