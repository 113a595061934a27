"""What a database itself says about its tables: more than Alembic compares (keys, collations, partial indexes, WITHOUT ROWID)."""

from __future__ import annotations

from typing import Any

from services.shared.db import Database

_SQLITE_COLUMNS = """
SELECT t.name, t.wr, c.name, upper(c.type), c."notnull", c.dflt_value, c.pk FROM pragma_table_list t, pragma_table_xinfo(t.name) c
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'alembic_version'
"""
_SQLITE_INDEXES = """
SELECT m.tbl_name, CASE WHEN m.sql IS NULL THEN '' ELSE m.name END, l."unique", l.partial,
       (SELECT group_concat(x.name || ' ' || x.coll || ' ' || x.desc) FROM pragma_index_xinfo(m.name) x WHERE x.key),
       substr(m.sql, instr(upper(m.sql), ' WHERE '))
FROM sqlite_master m JOIN pragma_index_list(m.tbl_name) l ON l.name = m.name
WHERE m.type = 'index' AND m.tbl_name <> 'alembic_version'
"""
_POSTGRES_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity, identity_generation
FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'alembic_version'
"""
_POSTGRES_INDEXES = (
    "SELECT tablename, indexdef, '' FROM pg_indexes WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
)
_POSTGRES_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text <> 'alembic_version'
"""


def described(database: Database) -> list[list[Any]]:
    """Columns, indexes and constraints, in an order of their own: the order of columns does not count."""
    queries = (
        (_POSTGRES_COLUMNS, _POSTGRES_INDEXES, _POSTGRES_CONSTRAINTS)
        if database.is_postgres
        else (_SQLITE_COLUMNS, _SQLITE_INDEXES)
    )
    with database.snapshot() as tx:
        return [sorted((tuple(row) for row in database.execute(tx, query)), key=repr) for query in queries]
