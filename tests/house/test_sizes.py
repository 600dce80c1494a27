"""The house stays readable: sizes of modules, functions, folders and lines, of product and tests.

Only what no tool measures is counted here: the length of a Python line is ruff's.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
PRODUCT = ("workers", "schedules", "tasks", "db")
EVERYTHING = (*PRODUCT, "tests", "docs")

MODULE_LINES_MAX = 400
MEDIAN_LINES_MAX = 120
FUNCTION_LINES_MAX = 70
FOLDER_MODULES_MAX = 15
SHARED_WORD_MAX = 2
SQL_FUNCTION_LINES_MAX = 100
SQL_LINE_MAX = 120
# A nested query up to here needs no comment; in a long function the second needs one, too.
UNNAMED_LEVELS_MAX = 2
# Databases hold the checksums of these migrations, so their text stays as it is.
LAST_MIGRATION_WITH_LONG_LINES = "20261128440100"
# The schema reader takes a grant from policies as one line, to repeat it with its function.
GRANT_OF_POLICIES = "grant execute on function "

# A nested query after from or join, another parenthesis, or a closing one.
PARENTHESIS = re.compile(
    r"\b(?:from|join|lateral)\s*(?P<level>\()\s*(?:select|with|values)\b"
    r"|(?P<query>\()\s*(?:select|with)\b|\(|\)"
)


def texts(*folders: str, suffix: str) -> dict[str, str]:
    """Return the text of each file below these folders that is not empty, by path."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob(f"*{suffix}"))]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return {path: text for path, text in found.items() if text}


def over(bound: int, sizes: dict[str, int]) -> dict[str, int]:
    """Return the sizes that are over their bound."""
    return {name: size for name, size in sizes.items() if size > bound}


def modules_by_folder(*folders: str) -> list[tuple[str, str]]:
    """Return folder and name of each module; a package's own __init__ is not one of them."""
    paths = [Path(path) for folder in folders for path in texts(folder, suffix=".py")]
    return [(str(path.parent), path.stem) for path in paths if path.stem != "__init__"]


def sql_functions() -> dict[str, str]:
    """Return the text of each SQL function, without its rights and comment, by path."""
    definition = re.compile(r"^create or replace function.*?^\$\$;", re.DOTALL | re.MULTILINE)
    return {
        f"{path} {no}" if no else path: found[0]
        for path, text in texts("db", suffix=".sql").items()
        for no, found in enumerate(definition.finditer(text))
    }


def unnamed_levels(sql: str) -> list[str]:
    """Return the first lines of nested queries that lack a comment that names them.

    A level is a query of several lines after `from` or `join`. Its comment stands above it or
    below its opening parenthesis.
    """
    lines = sql.splitlines()
    # Strings and comments may hold parentheses of their own; their lines stay, so that each
    # parenthesis keeps its place.
    code = re.sub(r"'[^']*'|--[^\n]*", lambda found: "\n" * found[0].count("\n"), sql)
    levels_max = 1 if len(lines) > SQL_FUNCTION_LINES_MAX else UNNAMED_LEVELS_MAX
    unnamed: list[str] = []
    opened: list[tuple[str | None, int]] = []
    for found in PARENTHESIS.finditer(code):
        if found[0] != ")":
            no = code.count("\n", 0, found.start(found.lastgroup) if found.lastgroup else 0)
            opened.append((found.lastgroup, no))
            continue
        depth = sum(kind is not None for kind, _ in opened)
        kind, no = opened.pop()
        is_short = code.count("\n", 0, found.start()) <= no + 2
        if kind != "level" or is_short or depth <= levels_max:
            continue
        if not any(line.lstrip().startswith("--") for line in (lines[no - 1], lines[no + 1])):
            unnamed.append(lines[no + 1].strip())
    return unnamed


def test_no_module_is_longer_than_its_bound() -> None:
    modules = texts(*EVERYTHING, suffix=".py")
    sizes = {path: len(text.splitlines()) for path, text in modules.items()}
    assert over(MODULE_LINES_MAX, sizes) == {}


def test_half_of_the_products_modules_are_short() -> None:
    modules = texts(*PRODUCT, suffix=".py")
    assert median(len(text.splitlines()) for text in modules.values()) <= MEDIAN_LINES_MAX


def test_no_function_is_longer_than_its_bound() -> None:
    sizes = {
        f"{path} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, text in texts(*EVERYTHING, suffix=".py").items()
        # A short module has no long function, and to parse it takes a while.
        if len(text.splitlines()) > FUNCTION_LINES_MAX
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert over(FUNCTION_LINES_MAX, sizes) == {}


def test_no_folder_has_more_modules_than_its_bound() -> None:
    sizes = Counter(folder for folder, _ in modules_by_folder(*EVERYTHING))
    assert over(FOLDER_MODULES_MAX, sizes) == {}


def test_no_three_modules_of_a_folder_share_their_first_word() -> None:
    words = [f"{folder}/{name.split('_')[0]}_" for folder, name in modules_by_folder(*PRODUCT)]
    assert over(SHARED_WORD_MAX, Counter(words)) == {}


def test_each_level_of_a_deeply_nested_query_has_its_comment() -> None:
    unnamed = {path: unnamed_levels(sql) for path, sql in sql_functions().items()}
    assert {path: levels for path, levels in unnamed.items() if levels} == {}


def test_a_level_without_a_comment_is_found() -> None:
    second = "select a from (\nselect b\nfrom (\nselect c\nfrom d\nwhere e\n) as f\n) as g"
    third = f"select h\nfrom (\n{second}\n) as i"
    assert unnamed_levels(second) == []
    assert unnamed_levels(third) == ["select c"]
    assert unnamed_levels(third.replace("select c", "-- What d holds.\nselect c")) == []
    long = "\n" * SQL_FUNCTION_LINES_MAX
    assert unnamed_levels(second + long) == ["select c"]


def test_no_line_of_sql_is_longer_than_its_bound() -> None:
    sizes = {
        f"{path}:{no}": len(line)
        for path, text in texts(*EVERYTHING, suffix=".sql").items()
        for no, line in enumerate(text.splitlines(), start=1)
        if not keeps_its_lines(Path(path), line)
    }
    assert over(SQL_LINE_MAX, sizes) == {}


def keeps_its_lines(path: Path, line: str) -> bool:
    """Tell whether this line may be long: see the constants above."""
    match path.parent.name:
        case "migrations":
            return path.stem.split("_")[0] <= LAST_MIGRATION_WITH_LONG_LINES
        case "policies":
            return line.startswith(GRANT_OF_POLICIES)
        case _:
            return False
