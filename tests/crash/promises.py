"""What was promised before the power went, told by the marks of a log."""
import itertools
import json
import threading

UNKNOWN = "?"  # one value or the other: nothing is promised


class Promises:
    """The load's side: each operation says what it is about to change, and that it was told of success."""

    def __init__(self, mark):
        self.mark, self.numbers, self.lock = mark, itertools.count(), threading.Lock()
        self.values = {}

    def operation(self, what, effects):
        return Operation(self, next(self.numbers), what, effects)

    def get(self, key):
        with self.lock:
            return self.values.get(key)

    def keys(self, wanted):
        """Keys with a value, of those for which wanted(key, value)."""
        with self.lock:
            return sorted(k for k, v in self.values.items() if v is not None and wanted(k, v))


class Operation:
    """with promises.operation("pull x", {key: value}): … A value of None: gone. What raises has promised nothing."""

    def __init__(self, promises, number, what, effects):
        self.promises, self.number, self.what, self.effects = promises, number, what, effects

    def __enter__(self):
        self.promises.mark(json.dumps({"begin": self.number, "what": self.what, "effects": self.effects}))
        return self

    def __exit__(self, kind, _value, _trace):
        if kind:
            return
        with self.promises.lock:
            self.promises.values.update(self.effects)
        self.promises.mark(json.dumps({"end": self.number, "effects": self.effects}))


class Expected:
    """The checker's side: for each key the values that may be there after a cut, and what was under way."""

    def __init__(self, marks):
        self.marks, self.values, open_now = marks, {}, {}
        for mark in map(json.loads, marks):
            if "begin" in mark:
                open_now[mark["begin"]] = mark
            else:
                del open_now[mark["end"]]
                self.values.update(mark["effects"])
        self.under_way = list(open_now.values())
        self.allowed = {key: {value} for key, value in self.values.items()}
        for mark in self.under_way:
            for key, value in mark["effects"].items():
                self.allowed.setdefault(key, {None}).add(value)

    def complaints(self, found):
        """found: {key: value}; what is missing from it is gone."""
        bad = []
        for key in sorted(set(self.allowed) | set(found)):
            allowed, value = self.allowed.get(key, {None}), found.get(key)
            if value not in allowed and UNKNOWN not in allowed:
                may = " or ".join(sorted(str(v or "gone")[:19] for v in allowed))
                bad.append(f"{key} is {str(value or 'gone')[:19]}, promised: {may}")
        return bad
