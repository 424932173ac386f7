"""Which answers are equal, which differ for a reason that is listed, and which are failures."""
import difflib
import os
import re

import recordings
import wording
from sides import Answer

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


class Ids:
    """Which id of the one side is which of the other. Each side numbers them as they come, so one answer that differs would shift all others."""
    WORD = re.compile(r"<(ID|id)(\d+)>")

    def __init__(self):
        self.theirs, self.ours = {}, {} # our number: theirs; their number: ours

    def align(self, theirs, ours):
        """Our answer with their numbers. Ids not seen before are those at the same places, when the answers are the same apart from ids."""
        if theirs and self.bare(theirs) == self.bare(ours):
            for their, our in zip(self.numbers(theirs), self.numbers(ours)):
                if their not in self.ours and our not in self.theirs:
                    self.theirs[our], self.ours[their] = their, our
        return Answer(ours.status, self.named(ours.out), self.named(ours.err))

    def named(self, text):
        return self.WORD.sub(lambda match: f"<{match[1]}{self.theirs.get(match[2], '+' + match[2])}>", text)

    def numbers(self, answer):
        return [match[2] for match in self.WORD.finditer(answer.out + answer.err)]

    @classmethod
    def bare(cls, answer):
        return Answer(answer.status, cls.WORD.sub(r"<\1>", answer.out), cls.WORD.sub(r"<\1>", answer.err))


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

    def verdict(self, name, theirs, ours, as_newest):
        """as_newest: is it the answer of the newest docker?"""
        row, newest = self.rows.get(name), self.newest.get(name)
        if row and not row.holds(self.version):
            row = None
        if theirs is None:
            return "not recorded: tests/differential/run --record"
        if theirs == ours:
            return "is equal now: take it off tests/e2e/differences.md" if row and row.must(self.version) else "equal"
        if row and ("all" in row.dockers or newest is None or as_newest): # listed for an older docker: then as the newest
            return "listed"
        if as_newest and (self.unknown or wording.same(Ids.bare(theirs), Ids.bare(newest))):
            return "words"
        return "differs"

    def judged(self, case, theirs, ours):
        """[(id, line, verdict, our answer)]"""
        beside, newer = Ids(), Ids()
        for name, line in case.compared():
            newest = self.newest.get(name)
            as_newest = newest is not None and newest == newer.align(newest, ours[name])
            our = beside.align(theirs.get(name), ours[name])
            yield name, line, self.verdict(name, theirs.get(name), our, as_newest), our

    def differs(self, case, theirs, ours):
        """The lines that are neither equal nor explained."""
        return [name for name, _, verdict, _ in self.judged(case, theirs, ours) if verdict == "differs"]

    def case(self, case, theirs, ours):
        for name, line, verdict, our in self.judged(case, theirs, ours):
            if verdict in self.counts:
                self.counts[verdict] += 1
            elif verdict == "differs":
                self.failures.append(f"{name}\n{difference(line, theirs[name], our, self.names)}")
            else:
                self.failures.append(f"{name}: {verdict}\n  $ {line.text}")

    def finish(self, found):
        """When all cases were run: rows of lines that there are not."""
        names = {name for case in found for name, _ in case.compared()}
        self.failures += [f"{name}: stands in tests/e2e/differences.md, but there is no such line" for name in self.rows if name not in names]
