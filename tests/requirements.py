"""The platform's requirements, and docs/requirements.md: which tests prove which of them.

Tests name what they prove: `@pytest.mark.requirement("C3")`, or `pytestmark` for a whole module.
`python -m tests.requirements` writes the page.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "requirements.md"
HEAD = """\
# What is required, and what proves it

Written by `python -m tests.requirements` from the rows in that module and the tests that are marked
with `@pytest.mark.requirement`. A test fails while this page is out of date. Each line names a test
file and the rule that a test of it proves; "not built yet" says what is missing.
"""


class Requirement(NamedTuple):
    """A rule of the platform; `missing` says what of it is not built yet."""

    id: str
    rule: str
    missing: str = ""


class Proof(NamedTuple):
    """A test that is marked with a requirement; without a name it is a whole module."""

    requirement_id: str
    path: str
    name: str | None


# fmt: off
REQUIREMENTS = tuple(Requirement(*row) for row in (
    ("B1", "`profiles` is the only table of users; every other reference is a uuid key to it"),
    ("B2", "On Supabase its own auth schema and roles are used, elsewhere a shim like them"),
    ("B3", "All tables of the platform, and the fleet's own"),
    ("B4", "Every quantity of coins is a bigint"),
    ("B5", "Each viewer has a grid of their own, slots 1 to 12"),
    ("B6", "PostgreSQL 15 to 18"),
    ("C1", "The ledger is the truth and never changes; balances are caches of its sums"),
    ("C2", "One function moves a balance, together with its entry and under a row lock"),
    ("C3", "A purchase is credited once per event and once per payment"),
    ("C4", "A purchase is pending, then confirmed, then refunded or charged back"),
    ("C5", "A gift checks the balance, splits its coins and is written to the ledger once"),
    ("C6", "Refunds and disputes take coins back, partial ones in proportion"),
    ("C7", "A limit per purchase, five purchases per minute, a person's approval for large ones"),
    ("C8", "A purchase keeps address, country and user agent; velocity has an index"),
    ("C9", "Purchases of $25,000 and more are exact"),
    ("C10", "The ledger is indexed by profile and time; its sums are proved"),
    ("C11", "Webhooks of Stripe, Apple and Google, and their retries"),
    ("C12", "A gift records the slot of the sender's grid that it came from"),
    ("D1", "A viewer counts by four flags and a recent heartbeat, streamers included"),
    ("D2", "A heartbeat is an upsert of the signed-in viewer's own row"),
    ("D3", "A stream is published only while somebody counts, on at most four streams per viewer"),
    ("D4", "Viewers who are silent for 60 s are removed"),
    ("D5", "No stream stays published without viewers, and a short gap unpublishes none"),
    ("D6", "Leaderboards are refreshed on a schedule"),
    ("E", "The triggers that stay keep their names and move no balance; their counters are proved"),
    ("E followers", "The follower count follows `follows`"),
    ("E gifts", "The money function itself keeps the gift totals on profiles"),
    ("E live", "A stream that is switched off is unpublished at once"),
    ("E viewers", "The viewer count follows `active_viewers`"),
    ("E recent", "Recent gift coins follow `gifts`"),
    ("F", "Who may read and write what: per table, by privilege and by row"),
    ("G1", "The upgrade from the first generation"),
    ("G2", "The upgrade from the second generation"),
    ("H1", "A webhook is delivered twice"),
    ("H2", "Purchases and gifts at the same time"),
    ("H3", "Viewers join and leave"),
    ("H4", "A heartbeat times out after 60 s"),
    ("H5", "The ledger's sum is the cached balance"),
    ("H6", "A purchase of $25,000 and more"),
    ("H7", "Refund and chargeback"),
    ("H8", "Row level security for each role"),
    ("H9", "Five purchases per minute"),
    ("H10", "The approval workflow"),
    ("H11", "Each viewer's own grid"),
    ("H12", "A stream is published for active viewers only"),
    ("I1", "An operator adjusts a balance with a reason and a key"),
    ("I2", "The app learns what became of its event"),
    ("I3", "A person is erased, and the books stay whole"),
    ("I4", "Payloads are removed after 90 days, keys never"),
))
# fmt: on


@cache
def proofs() -> tuple[Proof, ...]:
    """Find the marked tests and modules, by path and then in the order of the file."""
    return tuple(proof for file in sorted(TESTS.rglob("test_*.py")) for proof in _proofs_in(file))


def _proofs_in(file: Path) -> Iterator[Proof]:
    path = file.relative_to(TESTS.parent).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marked = [(node.name, mark) for mark in node.decorator_list]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marked = [(None, node.value)]
        else:
            continue
        for name, mark in marked:
            yield from (Proof(id_, path, name) for id_ in _requirement_ids(mark))


def _requirement_ids(marks: ast.AST) -> Iterator[str]:
    for node in ast.walk(marks):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
            yield from (ast.literal_eval(each) for each in node.args)


def page() -> str:
    """Return the text of docs/requirements.md."""
    lines: dict[str, list[str]] = {row.id: [] for row in REQUIREMENTS}
    for proof in proofs():
        rule = proof.name and proof.name.removeprefix("test_").replace("_", " ")
        lines[proof.requirement_id].append(
            f"- `{proof.path}`" + (f" {rule}" if rule else ", all of it")
        )
    for row in REQUIREMENTS:
        lines[row.id] += [f"- **not built yet**: {row.missing}"] if row.missing else []
    parts = (f"\n## {row.id} · {row.rule}\n\n" + "\n".join(lines[row.id]) for row in REQUIREMENTS)
    return HEAD + "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
