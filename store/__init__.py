"""Results of analyses in one DuckDB file: Arrow tables in, Arrow tables out.

The only package that knows SQL or duckdb. `Store` is opened by one process at a time, its owner;
everyone else asks the owner. Three lines read every table into pandas:

    from store import Store
    with Store("~/.rankscope") as store:
        tables = {name: store.table(name).to_pandas() for name in store.tables()}
"""

from store.errors import StoreError, StoreLocked, StoreUnwritable
from store.store import Store, read_table

__all__ = ["Store", "StoreError", "StoreLocked", "StoreUnwritable", "read_table"]
