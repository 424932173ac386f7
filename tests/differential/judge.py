"""Which answers are equal, which differ for a reason that is listed, and which are failures."""
import difflib
import os
import re

import recordings

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e", "differences.md")
ROW = re.compile(r"^\| `([^`]+)` \|(?: ([\d., ]+|all) \|)? (.+) \|$")


class Listed:
    """A row of differences.md: which line differs, from which dockers, and why."""

    def __init__(self, name, dockers, reason):
        self.name, self.dockers, self.reason, self.used = name, dockers, reason, False

    def holds(self, version):
        return self.dockers == "all" or version in self.dockers.split(", ")


def listed():
    """{id: Listed}"""
    found = {}
    if os.path.exists(LIST):
        with open(LIST, encoding="utf-8") as f:
            for line in f:
                row = ROW.match(line.rstrip())
                if row:
                    name, dockers, reason = row.groups()
                    assert name not in found, f"differences.md: {name} stands there twice"
                    found[name] = Listed(name, dockers or "all", reason)
    return found


def difference(line, theirs, ours, names):
    """The text that shows a difference, for people."""
    diff = difflib.unified_diff(recordings.shown(theirs), recordings.shown(ours), *names, lineterm="", n=100)
    return "\n".join([f"  $ {line.text}", *(f"    {text}" for text in list(diff)[3:])])


class Judgement:
    """Of one run: counts, and what is to be told."""

    def __init__(self, version, only):
        self.version, self.partial = version, bool(only)
        self.equal = self.other = self.allowed = 0
        self.failures = []
        self.newer = [] # ids answered as the newest docker does, not as this one

    def passed(self):
        return self.equal + self.other + self.allowed

    def case(self, case, theirs, ours, newest, rows, names):
        for name, line in case.compared():
            row = rows.get(name)
            if row:
                row.used = True
            their, our = theirs.get(name), ours[name]
            if their is None:
                self.failures.append(f"{name}: not recorded: run tests/differential/run --record\n  $ {line.text}")
            elif their == our:
                if row and row.holds(self.version):
                    self.failures.append(f"{name}: is equal now: take it off tests/e2e/differences.md\n  $ {line.text}")
                else:
                    self.equal += 1
            elif newest.get(name) == our:
                self.other += 1
                self.newer.append(name)
            elif row and row.holds(self.version):
                self.allowed += 1
            else:
                self.failures.append(f"{name}\n{difference(line, their, our, names)}")

    def finish(self, rows):
        if not self.partial:
            self.failures += [f"{row.name}: stands in tests/e2e/differences.md, but there is no such line" for row in rows.values() if not row.used]
