"""Only `store` knows SQL and duckdb. import-linter sees imports; strings it does not see."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTSIDE = ("analysis", "app", "jobs")
# In small or capital letters as one writes SQL; a sentence starts with one capital.
WORDS = (
    r"select\b.+\bfrom\b",
    r"insert\s+(or\s+\w+\s+)?into\b",
    r"delete\s+from\b",
    r"update\s+\S+\s+set\b",
    r"(create|drop|alter)\s+(table|view|index|sequence|schema)\b",
    r"attach\s+'",
    r"pragma\s+\w",
)
SQL = re.compile(rf"(^|[\s(;])({'|'.join(WORDS)})", re.DOTALL)
CALLS = {"execute", "executemany", "sql"}


def offences(source):
    """Return the lines of a Python source that hold SQL or reach for duckdb."""
    tree = ast.parse(source)
    told = {id(node) for node in docstrings(tree)}
    return sorted(
        node.lineno
        for node in ast.walk(tree)
        if id(node) not in told and (imports_duckdb(node) or holds_sql(node) or runs_sql(node))
    )


def docstrings(tree):
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]


def imports_duckdb(node):
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] == "duckdb" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] == "duckdb"
    return isinstance(node, ast.Constant) and node.value == "duckdb"


def holds_sql(node):
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
        text = "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    else:
        return False
    return any(SQL.search(form) for form in written_as_sql(text))


def written_as_sql(text):
    """Return the text as it is, and in small letters what is in capitals throughout."""
    capitals = re.sub(r"\b[A-Z]{2,}\b", lambda word: word[0].lower(), text)
    return {text, capitals}


def runs_sql(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CALLS
    )


def sources():
    for folder in OUTSIDE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_no_sql_and_no_duckdb_outside_the_store():
    found = {
        f"{path.relative_to(ROOT)}:{line}": path.read_text().splitlines()[line - 1].strip()
        for path in sources()
        for line in offences(path.read_text())
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "query = 'select * from unit'",
        "query = f'SELECT {name}\\nFROM {table}'",
        "query = '''with x as (\\n select a from b) ...'''",
        "query = 'INSERT OR IGNORE INTO unit values (1)'",
        "query = f'update {table} set x = 1'",
        "query = 'drop table unit'",
        "import duckdb",
        "from duckdb import connect",
        "__import__('duckdb')",
        "cursor.execute(text)",
    ],
)
def test_a_planted_violation_is_found(source):
    assert offences(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "help = 'Select a layer from the grid'",
        '"""Kept in DuckDB: select nothing from here."""',
        "text = 'Updates are set by hand'",
        "store.jobs(limit=3)",
    ],
)
def test_plain_words_are_not_sql(source):
    assert offences(source) == []


def test_the_store_knows_nothing_of_the_other_folders():
    foreign = re.compile(r"^\s*(?:from|import)\s+(?:app|jobs|analysis|torch|ray|streamlit)\b", re.M)
    found = [path for path in (ROOT / "store").rglob("*.py") if foreign.search(path.read_text())]
    assert found == []
