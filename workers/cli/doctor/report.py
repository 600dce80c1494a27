"""Shows an examination on a terminal: the verdict, what is wrong with its fix, then the rest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tasks.findings import Verdict
from workers.cli.doctor.examining import Examined
from workers.cli.terminal import print_lines, width_of, wrapped
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from tasks.findings import Finding

MARKS = {
    Verdict.BROKEN: "✗",
    Verdict.ATTENTION: "!",
    Verdict.NOT_CHECKED: "?",
    Verdict.OK: "✓",
}
_STYLES = {Verdict.BROKEN: "red", Verdict.ATTENTION: "yellow", Verdict.OK: "green"}
WRONG = (Verdict.BROKEN, Verdict.ATTENTION)


def is_asked(examined: Sequence[Examined]) -> bool:
    """Return whether the database, which is examined first, could be asked."""
    return examined[0].verdict is Verdict.OK


def is_healthy(examined: Sequence[Examined]) -> bool:
    """Return whether nothing needs a person; what else was not checked needs none."""
    return is_asked(examined) and all(each.verdict not in WRONG for each in examined)


def headline(examined: Sequence[Examined]) -> str:
    """Return the verdict in a line."""
    counts = Counter(finding.verdict for each in examined for finding in each.findings)
    wrong = sum(counts[each] for each in WRONG)
    left = counts[Verdict.NOT_CHECKED]
    rest = f"; {counted(left, 'thing')} not checked" if left else ""
    if not is_asked(examined):
        return f"the database was not asked{rest}"
    if not wrong:
        return f"nothing is wrong{rest}"
    needs = "needs" if wrong == 1 else "need"
    return f"{counted(wrong, 'finding')} {needs} a person, {counts[Verdict.BROKEN]} broken{rest}"


def show(console: Console, examined: Sequence[Examined], *, is_whole: bool) -> None:
    """Print it; unless `is_whole`, one line for each check that is well."""
    width = width_of(console)
    mark = "✓" if is_healthy(examined) else "✗"
    style = "green" if is_healthy(examined) else "bold red"
    print_lines(console, [f"{mark} {headline(examined)}"], style=style)
    for verdict in Verdict:
        chosen = [each for each in examined if each.verdict is verdict]
        if chosen:
            console.print()
        if verdict is Verdict.NOT_CHECKED:
            chosen = list(_joined(chosen))
        for each in chosen:
            if verdict is Verdict.OK and not is_whole:
                line = f"✓ {each.check}: {_in_short(each)}"
                print_lines(console, wrapped(line, width=width, indent="  "), style="green")
                continue
            line = f"{MARKS[verdict]} {each.check}: {each.looks_at}"
            print_lines(
                console, wrapped(line, width=width, indent="  "), style=_STYLES.get(verdict, "")
            )
            for finding in each.findings:
                is_quiet = finding.verdict is Verdict.OK and verdict is not Verdict.OK
                if is_quiet and not is_whole:
                    continue
                text = f"  {MARKS[finding.verdict]} {finding.what}"
                print_lines(console, wrapped(text, width=width, indent="    "))
                if finding.fix:
                    fix = f"    → {finding.fix}"
                    print_lines(console, wrapped(fix, width=width, indent="      "))


def _joined(examined: Sequence[Examined]) -> Iterator[Examined]:
    """Yield those that found the same as one, for it would be told many times."""
    by_findings: dict[tuple[Finding, ...], list[Examined]] = {}
    for each in examined:
        by_findings.setdefault(tuple(each.findings), []).append(each)
    for same in by_findings.values():
        first = same[0]
        if len(same) == 1:
            yield first
        else:
            names = ", ".join(each.check for each in same)
            yield Examined(check=names, looks_at="not looked at", findings=first.findings)


def _in_short(each: Examined) -> str:
    """Return what is well, in a line."""
    if len(each.findings) == 1:
        return each.findings[0].what
    return f"{len(each.findings)} things are as they should be"


def as_json(examined: Sequence[Examined]) -> dict[str, Any]:
    """Return the same for a program; `attention` has the same form as that of `status --json`."""
    return {
        "healthy": is_healthy(examined),
        "attention": [
            f"{each.check}: {finding.what}"
            for each in examined
            for finding in each.findings
            if finding.verdict in WRONG
        ],
        "checks": [
            {
                "check": each.check,
                "looks_at": each.looks_at,
                "verdict": each.verdict,
                "findings": each.findings,
            }
            for each in examined
        ],
    }
