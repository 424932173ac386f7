"""Case files: what is said to both sides. README.md tells how they are written."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = f"{HERE}/cases"


class Line:
    """One line of a case. Of a silent one nothing is compared: it only has to succeed."""

    def __init__(self, text, silent, masks):
        self.text, self.silent, self.masks = text, silent, list(masks)


class Case:
    """Lines for one shell. One that is alone sees all that the engine has, so nothing else runs beside it."""

    def __init__(self, group, name, alone):
        self.group, self.name, self.alone, self.lines = group, name, alone, []

    @property
    def id(self):
        return f"{self.group}/{self.name}"

    def compared(self):
        """[(id, line)]: numbered from 1 within the case."""
        return [(f"{self.id}:{n}", line) for n, line in enumerate((line for line in self.lines if not line.silent), 1)]

    def containers(self):
        """The names that the case gives: removed after it, whatever it did."""
        return sorted(set(re.findall(rf"(?<![\w-]){self.name}(?:-[0-9a-z]+)*(?!\w)", " ".join(line.text for line in self.lines))))


def logical(text):
    """Lines, with those that end in a backslash joined to what follows."""
    whole = ""
    for line in text.split("\n"):
        if line.endswith("\\"):
            whole += line[:-1]
            continue
        yield whole + line
        whole = ""


def parse(group, text):
    found, masks = [], []
    for line in logical(text):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            name, *rest = line[3:].split()
            assert set(rest) <= {"alone"}, f"{group}: {line}"
            found.append(Case(group, name, bool(rest)))
            masks = []
        elif line.startswith("~ "):
            pattern, _, replacement = line[2:].partition(" => ")
            masks.append((re.compile(pattern, re.M), replacement))
        else:
            silent = line.startswith("% ")
            found[-1].lines.append(Line(line[2:] if silent else line, silent, masks))
    names = [case.name for case in found]
    assert len(set(names)) == len(names), f"{group}: a name was given twice"
    return found


def read(only=()):
    """The cases of all groups, or those named: GROUP or GROUP/CASE."""
    found = []
    for file in sorted(os.listdir(FOLDER)):
        group, extension = os.path.splitext(file)
        if extension == ".case":
            with open(f"{FOLDER}/{file}", encoding="utf-8") as f:
                found += parse(group, f.read())
    names = [case.name for case in found]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"these cases have the name of another: {sorted(twice)}"
    for name in only:
        assert any(name in (case.group, case.id) for case in found), f"no group or case {name}"
    return [case for case in found if not only or case.group in only or case.id in only]
