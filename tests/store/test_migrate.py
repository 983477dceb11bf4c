from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import IntegrityError

import gatepost.store
from gatepost.store import feed, migrate
from gatepost.store.connections import WRITE, connect, parse_url
from gatepost.store.database import Store
from gatepost.store.errors import StoreError, StoreNotReady
from gatepost.store.schema import metadata

MIGRATIONS = Path(gatepost.store.__file__).parent / "migrations"
REVISIONS = tuple(sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("*.py")))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A database without tables."""
    if request.param == "postgresql":
        with request.getfixturevalue("postgresql_cluster").database() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path}/empty.db"


def version(url, number):
    engine = connect(parse_url(url))
    with engine.connect() as plain, plain.execution_options(**{WRITE: True}) as connection, connection.begin():
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{number}'"))
    engine.dispose()


def test_the_migrations_make_the_schema(empty_url):
    migrate.upgrade(empty_url)
    engine = connect(parse_url(empty_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.sorted_tables:  # what compare_metadata does not look at
            checks = {constraint.name for constraint in table.constraints if isinstance(constraint, CheckConstraint)}
            assert {check["name"] for check in found.get_check_constraints(table.name)} == checks
            collations = {
                column["name"]: getattr(column["type"], "collation", None) for column in found.get_columns(table.name)
            }
            if connection.dialect.name == "postgresql":
                dialect = connection.dialect
                assert collations == {
                    c.name: getattr(c.type.dialect_impl(dialect), "collation", None) for c in table.columns
                }
    engine.dispose()


def test_upgrade_creates_and_a_second_time_changes_nothing(empty_url):
    assert migrate.status(empty_url) == migrate.Status(None, migrate.HEAD, REVISIONS)
    assert migrate.upgrade(empty_url) == migrate.Status(migrate.HEAD, migrate.HEAD, ())
    store = Store.open(empty_url)
    epoch = store.epoch
    store.close()
    assert migrate.upgrade(empty_url) == migrate.Status(migrate.HEAD, migrate.HEAD, ())
    assert migrate.status(empty_url) == migrate.Status(migrate.HEAD, migrate.HEAD, ())
    store = Store.open(empty_url)
    assert (store.epoch, feed.load(store).revision) == (epoch, 0)
    store.close()


def test_several_programs_may_upgrade_at_once(empty_url):
    errors = []

    def upgrade():
        try:
            migrate.upgrade(empty_url)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.status(empty_url).pending == ()


def test_a_version_that_is_not_known_is_left_alone(empty_url):
    migrate.upgrade(empty_url)
    version(empty_url, "9999")
    for function in (migrate.upgrade, migrate.status):
        with pytest.raises(StoreNotReady, match="version `9999`, which this program does not know"):
            function(empty_url)


def test_a_migration_that_fails_leaves_nothing(empty_url, monkeypatch, tmp_path):
    """All or nothing: a copy of the migrations with one more that fails half-way."""
    shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    head = migrate.HEAD
    (tmp_path / "migrations/versions/9000_broken.py").write_text(
        f'from alembic import op\nrevision = "9000"\ndown_revision = "{head}"\n\n\ndef upgrade():\n'
        '    op.execute("CREATE TABLE half (id INTEGER)")\n    op.execute("not SQL")\n'
    )
    migrate.upgrade(empty_url)
    monkeypatch.setattr(migrate, "_MIGRATIONS", tmp_path / "migrations")
    monkeypatch.setattr(migrate, "HEAD", "9000")
    assert migrate.status(empty_url) == migrate.Status(head, "9000", ("9000",))
    with pytest.raises(StoreError):
        migrate.upgrade(empty_url)
    assert migrate.status(empty_url).current == head
    engine = connect(parse_url(empty_url))
    assert not inspect(engine).has_table("half")
    engine.dispose()


@pytest.fixture
def up_to(empty_url, monkeypatch, tmp_path):
    """Call it with a revision: the empty database is brought to it, as a program of its time would have done."""

    def upgrade(revision):
        folder = tmp_path / f"up_to_{revision}"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (folder / "versions").glob("*.py"):
            if file.name[:4] > revision:
                file.unlink()
        with monkeypatch.context() as patch:
            patch.setattr(migrate, "_MIGRATIONS", folder)
            patch.setattr(migrate, "HEAD", revision)
            assert migrate.upgrade(empty_url).current == revision

    return upgrade


def execute(url, *statements):
    """What the last statement answers."""
    engine = connect(parse_url(url))
    try:
        with engine.connect() as plain, plain.execution_options(**{WRITE: True}) as connection, connection.begin():
            for statement in statements:
                answer = connection.execute(text(statement))
            return answer.all() if answer.returns_rows else None
    finally:
        engine.dispose()


def test_0002_access_keys_that_were_there_may_do_everything(empty_url, up_to):
    up_to("0001")
    insert = "INSERT INTO access_keys (access_key_id, description, date_created, sealed_secret) VALUES"
    execute(empty_url, f"{insert} ('AKIAOLD', 'laptop', '2026-01-01 00:00:00', 'sealed')")
    migrate.upgrade(empty_url)
    assert execute(empty_url, "SELECT access_key_id, description, role FROM access_keys") == [
        ("AKIAOLD", "laptop", "admin")
    ]
    with pytest.raises(IntegrityError):  # nothing gets the role by saying nothing
        execute(empty_url, f"{insert} ('AKIANEW', '', '2026-01-01 00:00:00', 'sealed')")


def test_0003_finds_the_logins_of_those_who_were_deleted(empty_url, up_to):
    up_to("0002")
    organization = "m-0123456789abcdef0123456789abcdef"
    moment = "'2026-01-01 00:00:00'"
    users = (
        ("gone", "Alice", "'Alice@example.com'", '["alice@example.com", "Al@example.com"]', "DELETED"),
        ("again", "alice", "NULL", "[]", "DELETED"),
        ("here", "bob", "'bob@example.com'", "[]", "ENABLED"),
    )
    execute(
        empty_url,
        "INSERT INTO organizations (organization_id, alias, directory, domains, default_domain, state, date_created) "
        f"VALUES ('{organization}', 'example', 'open', '[]', 'example.com', 'Active', {moment})",
        *[
            "INSERT INTO users (organization_id, user_id, name, email, aliases, state, attributes, date_created, name_key)"
            f" VALUES ('{organization}', '{user_id}', '{name}', {email}, '{aliases}', '{state}', '[]', {moment}, 'x')"
            for user_id, name, email, aliases, state in users
        ],
    )
    migrate.upgrade(empty_url)
    found = execute(empty_url, "SELECT organization_id, login, user_id FROM deleted_logins ORDER BY user_id, login")
    assert found == [
        (organization, "alice", "again"),
        (organization, "al@example.com", "gone"),
        (organization, "alice", "gone"),
        (organization, "alice@example.com", "gone"),
    ]


def test_0005_leaves_the_overrides_to_people_and_has_gateways_load_again(empty_url, up_to):
    up_to("0004")
    organization, moment = "m-0123456789abcdef0123456789abcdef", "'2026-01-01 00:00:00'"
    execute(
        empty_url,
        "INSERT INTO organizations (organization_id, alias, directory, domains, default_domain, state, date_created) "
        f"VALUES ('{organization}', 'example', 'open', '[]', 'example.com', 'Active', {moment})",
        "INSERT INTO users (organization_id, user_id, name, aliases, state, attributes, date_created, name_key)"
        f" VALUES ('{organization}', 'alice', 'alice', '[]', 'ENABLED', '[]', {moment}, 'alice')",
        "INSERT INTO mobile_device_access_overrides "
        "(organization_id, user_id, device_id, effect, description, date_created, date_modified) "
        f"VALUES ('{organization}', 'alice', 'ABC', 'DENY', 'lost', {moment}, {moment})",
        "INSERT INTO changes (revision, organization_id, kind, key, noun, at) "
        f"VALUES (1, '{organization}', 'mobile_device_access_override', '[\"alice\", \"ABC\"]', NULL, {moment})",
        "UPDATE revision_counter SET value = 1",
    )
    migrate.upgrade(empty_url)
    columns = "user_id, device_id, owner, effect, description, expires"
    assert execute(empty_url, f"SELECT {columns} FROM mobile_device_access_overrides") == [
        ("alice", "ABC", "person", "DENY", "lost", None)
    ]
    assert execute(empty_url, "SELECT value, compacted FROM revision_counter") == [(1, 1)]
    assert execute(empty_url, "SELECT count(*) FROM changes") == [(0,)]


def test_status_creates_no_file(tmp_path):
    assert migrate.status(f"sqlite:///{tmp_path}/none.db").current is None
    assert list(tmp_path.iterdir()) == []


def test_the_head_is_the_newest_migration_and_there_is_one_line_of_them():
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [migrate.HEAD]
    assert len(list(scripts.walk_revisions())) == len(list((MIGRATIONS / "versions").glob("*.py")))


def test_an_up_to_date_database_is_opened_without_alembic(store_url):
    program = (
        "import sys; from gatepost.store.database import Store; "
        f"Store.open({store_url!r}).close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
