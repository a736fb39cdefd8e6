"""Each change of the schema runs once, and is recorded with what it did or not at all."""

import pytest

from store import Store, StoreError, arrow, migrations
from tests.store import examples

OWN = ["first_tables", "bases_and_live_units", "stages_of_jobs"]


@pytest.fixture
def enrolled(monkeypatch):
    """Let a test add changes of its own."""
    monkeypatch.setattr(migrations, "MIGRATIONS", list(migrations.MIGRATIONS))
    return migrations.migration


def recorded(home):
    with Store(home) as store:
        return store.table("migration").to_pylist()


def test_a_new_file_records_every_change(home):
    with Store(home, now=lambda: 12.5):
        pass
    assert recorded(home) == [
        {"number": number, "name": name, "at": 12.5} for number, name in enumerate(OWN, start=1)
    ]


def test_a_change_runs_once_on_a_file_with_data(home, enrolled):
    with Store(home) as store:
        store.create_job(examples.job("a"))

    @enrolled
    def rename_layers(cursor):
        cursor.execute("alter table job rename column layers to chosen")

    for _ in range(2):
        assert [row["name"] for row in recorded(home)] == [*OWN, "rename_layers"]
    with Store(home) as store:
        assert store.table("job")["chosen"].to_pylist() == ["*"]


def test_a_change_that_breaks_leaves_no_trace(home, enrolled):
    with Store(home):
        pass

    @enrolled
    def break_half_way(cursor):
        cursor.execute("drop table job")
        cursor.execute("drop table no_such_table")

    with pytest.raises(StoreError, match="no_such_table"):
        Store(home)
    migrations.MIGRATIONS.pop()
    with Store(home) as store:
        assert store.jobs().num_rows == 0
        assert store.table("migration").num_rows == len(OWN)


def test_a_file_of_a_newer_version_is_refused(home, enrolled):
    @enrolled
    def from_the_future(cursor):
        cursor.execute("create table future (x bigint)")

    with Store(home):
        pass
    migrations.MIGRATIONS.pop()
    with pytest.raises(StoreError, match=r"from_the_future.*install that version"):
        Store(home)
    with pytest.raises(StoreError, match="another version"):
        Store(home)


def test_a_file_from_before_live_units_keeps_its_models_and_files(home, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        old = examples.model()
        del old["base"]
        with Store(home) as store:
            store._connection.write(
                lambda cursor: [
                    arrow.append(cursor, "model", arrow.row({**old, "added": 1.0})),
                    cursor.execute("insert into artifact values ('f', 'artifacts/f', 3, 'u')"),
                ]
            )
    with Store(home) as store:
        assert store.artifacts(["u"]).to_pylist() == [
            {"unit": "u", "path": "artifacts/f", "sha256": "f", "bytes": 3}
        ]
        assert store.models()["base"].to_pylist() == [None]
        store.add_model(examples.model(), examples.tensors())
        assert store.models().num_rows == 1
