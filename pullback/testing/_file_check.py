"""`FileCheck`: whether a text has some parts in some order, as tests of compilers ask."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["FileCheck"]


@dataclass
class _Check:
    """One thing to be found or not: its kind, as it is written in files, and the text."""

    kind: str
    text: str
    count: int = 1

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"{self.kind}-{self.count}" if self.kind == "CHECK-COUNT" else self.kind


class FileCheck:
    """Checks, made one after another, that `run` makes of a text. RuntimeError for the first that fails.

    >>> import pullback as torch
    >>> torch.testing.FileCheck().check("add").check_not("mul").check("sub").run("add x, sub y")
    """

    def __init__(self) -> None:
        self._checks: list[_Check] = []

    def _add(self, kind: str, text: str, count: int = 1) -> FileCheck:
        self._checks.append(_Check(kind, text, count))
        return self

    def check(self, text: str) -> FileCheck:
        """The text comes after what was found before."""
        return self._add("CHECK", text)

    def check_next(self, text: str) -> FileCheck:
        """The text comes on the next line."""
        return self._add("CHECK-NEXT", text)

    def check_same(self, text: str) -> FileCheck:
        """The text comes on the same line."""
        return self._add("CHECK-SAME", text)

    def check_not(self, text: str) -> FileCheck:
        """The text does not come between what is found before and after."""
        return self._add("CHECK-NOT", text)

    def check_dag(self, text: str) -> FileCheck:
        """The text comes before or after those of the checks of this kind beside it."""
        return self._add("CHECK-DAG", text)

    def check_regex(self, text: str) -> FileCheck:
        """Something that a regular expression matches comes next."""
        return self._add("CHECK-REGEX", text)

    def check_count(self, text: str, count: int, exactly: bool = False) -> FileCheck:
        """The text comes so many times, and with `exactly` not once more after."""
        self._add("CHECK-COUNT", text, count)
        return self.check_not(text) if exactly else self

    def run(self, text: str) -> None:
        """Makes the checks of a text."""
        if not self._checks:
            raise RuntimeError("No checks have been added to this instance ofFilecheck! Check for bad input.")
        end, at, refused = 0, 0, list[_Check]()
        while at < len(self._checks):
            check = self._checks[at]
            if check.kind == "CHECK-NOT":
                refused.append(check)
                at += 1
                continue
            group = [check]
            while check.kind == "CHECK-DAG" and at + len(group) < len(self._checks):
                following = self._checks[at + len(group)]
                if following.kind != "CHECK-DAG":
                    break
                group.append(following)
            found = [_found(one, text, end) for one in group]
            begin = min(first for first, _ in found)
            _none_between(refused, text, end, begin)
            end, at, refused = max(last for _, last in found), at + len(group), []
        _none_between(refused, text, end, len(text))


def _found(check: _Check, text: str, begin: int) -> tuple[int, int]:
    """Where what is to be found begins and ends."""
    pattern = check.text if check.kind == "CHECK-REGEX" else re.escape(check.text)
    first, end = -1, begin
    for _ in range(check.count):
        match = re.compile(pattern).search(text, end)
        if match is None:
            what = "regex " if check.kind == "CHECK-REGEX" else ""
            raise RuntimeError(
                f'Expected to find {what}"{check.text}" but did not find it\nSearched string:\n{text}'
                f"From {check.name}: {check.text}\n"
            )
        first, end = (match.start() if first < 0 else first), match.end()
    lines = text.count("\n", begin, first)
    wanted = {"CHECK-NEXT": 1, "CHECK-SAME": 0}.get(check.kind, lines)
    if lines > wanted:
        said = 'Expected to not find "\\n" but found it'
        raise RuntimeError(f"{said}\n{text}\nFrom {check.name}: {check.text}\n")
    if lines < wanted:
        said = 'Expected to find "\\n" but did not find it'
        raise RuntimeError(f"{said}\nSearched string:\n{text}\nFrom {check.name}: {check.text}\n")
    return first, end


def _none_between(checks: list[_Check], text: str, begin: int, end: int) -> None:
    for check in checks:
        place = text.find(check.text, begin, end)
        if place >= 0:
            _refuse(check, text, place)


def _refuse(check: _Check, text: str, place: int) -> None:
    start = text.rfind("\n", 0, place) + 1
    end = text.find("\n", place)
    line = text[start : end if end >= 0 else len(text)]
    mark = " " * (place - start) + "~" * len(check.text)
    raise RuntimeError(
        f'Expected to not find "{check.text}" but found it\n{line}\n{mark} <--- HERE\n'
        f"From {check.name}: {check.text}\n"
    )
