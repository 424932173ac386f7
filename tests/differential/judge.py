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
        self.name, self.reason = name, reason
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
        self.counts = {"equal": 0, "words": 0, "listed": 0}
        self.failures = []

    def passed(self):
        return sum(self.counts.values())

    def verdict(self, name, theirs, ours):
        row, newest = self.rows.get(name), self.newest.get(name)
        if row and not row.holds(self.version):
            row = None
        if theirs is None:
            return "not recorded: tests/differential/run --record"
        if theirs == ours:
            return "is equal now: take it off tests/e2e/differences.md" if row and row.must(self.version) else "equal"
        if row and ("all" in row.dockers or newest in (None, ours)): # listed for an older docker: then as the newest
            return "listed"
        if newest == ours and (self.unknown or wording.same(theirs, newest)):
            return "words"
        return "differs"

    def differs(self, case, theirs, ours):
        """The lines that are neither equal nor explained."""
        return [name for name, _ in case.compared() if self.verdict(name, theirs.get(name), ours[name]) == "differs"]

    def case(self, case, theirs, ours):
        for name, line in case.compared():
            verdict = self.verdict(name, theirs.get(name), ours[name])
            if verdict in self.counts:
                self.counts[verdict] += 1
            elif verdict == "differs":
                self.failures.append(f"{name}\n{difference(line, theirs[name], ours[name], self.names)}")
            else:
                self.failures.append(f"{name}: {verdict}\n  $ {line.text}")

    def finish(self, found):
        """When all cases were run: rows of lines that there are not."""
        names = {name for case in found for name, _ in case.compared()}
        self.failures += [f"{name}: stands in tests/e2e/differences.md, but there is no such line" for name in self.rows if name not in names]
