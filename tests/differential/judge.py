"""Which answers are equal, which differ for a reason that is listed, and which are failures."""
import difflib
import os
import re

import recordings
import wording

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e", "differences.md")
ROW = re.compile(r"^\| `([\w/-]+:\d+)` \| ([\d., ?]+|all\??) \| (.+) \|$")


class Listed:
    """A row of differences.md: which line differs, from which dockers, and why. With a question mark it may also be equal."""

    def __init__(self, name, dockers, reason):
        self.name, self.reason, self.used = name, reason, False
        self.dockers = {word.rstrip("?"): word.endswith("?") for word in dockers.split(", ")}

    def holds(self, version):
        return version in self.dockers or "all" in self.dockers

    def must(self, version):
        return self.holds(version) and not self.dockers.get(version, self.dockers.get("all"))


def listed():
    """{id: Listed}"""
    found = {}
    with open(LIST, encoding="utf-8") as f:
        for line in f:
            row = ROW.match(line.rstrip())
            if row:
                assert row.group(1) not in found, f"differences.md: {row.group(1)} stands there twice"
                found[row.group(1)] = Listed(*row.groups())
    return found


def difference(line, theirs, ours, names):
    """The text that shows a difference, for people."""
    diff = difflib.unified_diff(recordings.shown(theirs), recordings.shown(ours), *names, lineterm="", n=100)
    return "\n".join([f"  $ {line.text}", *(f"    {text}" for text in list(diff)[3:])])


class Judgement:
    """Of one run: counts, and what is to be told. newest: {id: Answer} of the newest docker that is recorded; version: of the one beside Skep."""

    def __init__(self, version, newest, rows, names):
        self.version, self.newest, self.rows, self.names = version, newest, rows, names
        self.unknown = version not in recordings.versions() # then what it may answer otherwise has not been looked at
        self.equal = self.words = self.listed = 0
        self.failures = []

    def passed(self):
        return self.equal + self.words + self.listed

    def fail(self, name, what, line):
        self.failures.append(f"{name}{': ' if what else ''}{what}\n  $ {line.text}")

    def case(self, case, theirs, ours):
        for name, line in case.compared():
            row = self.rows.get(name)
            if row:
                row.used = True
            self.line(name, line, row if row and row.holds(self.version) else None, theirs.get(name), ours[name])

    def line(self, name, line, row, theirs, ours):
        newest = self.newest.get(name)
        if theirs is None:
            self.fail(name, "not recorded: tests/differential/run --record", line)
        elif theirs == ours and row and row.must(self.version):
            self.fail(name, "is equal now: take it off tests/e2e/differences.md", line)
        elif theirs == ours:
            self.equal += 1
        elif row:
            self.listed += 1
        elif newest == ours and (self.unknown or wording.same(theirs, newest)):
            self.words += 1
        else:
            self.failures.append(f"{name}\n{difference(line, theirs, ours, self.names)}")

    def finish(self):
        self.failures += [f"{row.name}: stands in tests/e2e/differences.md, but there is no such line" for row in self.rows.values() if not row.used]
