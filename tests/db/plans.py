"""Query plans: the statements of our functions, and how PostgreSQL reads the tables for them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from db.release.schema import FOLDER

if TYPE_CHECKING:
    from db.connections.pool import Connection


class Node(NamedTuple):
    """A node of a plan that reads a table: how it reads, by which index, which table."""

    kind: str
    by: str | None
    table: str | None


def statement(function: str, start: str, **values: object) -> str:
    """Return a statement of a function's text, with values in place of its variables."""
    (file,) = (FOLDER / "functions").rglob(f"{function}.sql")
    # A comment may hold a semicolon.
    text = re.sub(r"--[^\n]*", "", file.read_text())
    # Lines may break anywhere between two words.
    words = r"\s+".join(re.escape(word) for word in start.split())
    found = re.search(rf"{words}.*?(?=;|\n\$\$)", text, re.DOTALL)
    assert found, f"{function} has no statement that begins with {start}"
    sql = re.sub(r"^(return query|perform)", "", found[0]).strip()
    sql = sql if re.match(r"select|with|insert|update|delete", sql) else f"select {sql}"
    for name, value in values.items():
        sql = re.sub(rf"\b{name}\b", str(value), sql)
    return sql


async def plan(connection: Connection, sql: str, *arguments: object) -> list[Node]:
    """Return the nodes of a statement's plan that read a table, from the top."""
    explained = await connection.fetchval(f"explain (format json) {sql}", *arguments)
    found: list[Node] = []

    def visit(node: dict[str, Any]) -> None:
        if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node):
            found.append(Node(node["Node Type"], node.get("Index Name"), node.get("Relation Name")))
        for child in node.get("Plans", ()):
            visit(child)

    visit(json.loads(explained)[0]["Plan"])
    return found


def indexes(nodes: list[Node]) -> set[str | None]:
    """Return the indexes that a plan uses; None stands for a table that is read whole."""
    return {node.by for node in nodes if node.kind != "Bitmap Heap Scan"}
