"""What dockers have answered, masked: recorded/VERSION/GROUP.txt. The newest is complete; of the others there are only the answers that differ.

    == CASE
    $ LINE
    | a line of standard output
    ! a line of standard error
    ? the exit status, unless it is 0

A line without its end at the end of a text is followed by `\\`.
"""
import os

from sides import Answer

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")


def versions():
    """Newest first."""
    return sorted(os.listdir(FOLDER) if os.path.isdir(FOLDER) else [], key=lambda name: [int(word) for word in name.split(".")], reverse=True)


def marked(mark, text):
    if not text:
        return
    lines = text.split("\n")
    whole = not lines[-1]
    for line in lines[:-1] if whole else lines:
        yield f"{mark} {escape(line)}".rstrip(" ")
    if not whole:
        yield "\\"


def escape(text):
    """Control characters would not be seen; spaces at the end would be lost."""
    text = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\t", "\\t")
    text = "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in text)
    return text[:-1] + "\\s" if text.endswith(" ") else text


def unescape(text):
    out, rest = "", text
    while rest:
        head, slash, rest = rest.partition("\\")
        out += head
        if slash:
            kind = rest[:1]
            out += {"\\": "\\", "r": "\r", "t": "\t", "s": " "}[kind] if kind != "x" else chr(int(rest[1:3], 16))
            rest = rest[3:] if kind == "x" else rest[1:]
    return out


def shown(answer):
    """The lines of an answer, as they are recorded and as differences are shown."""
    lines = [*marked("|", answer.out), *marked("!", answer.err)]
    return lines if answer.status == 0 else lines + [f"? {'did not end' if answer.status is None else answer.status}"]


def write(version, cases, answers, known=None):
    """Records a group's answers; with known, only those that are not among them."""
    text = []
    for case in cases:
        lines = []
        for name, line in case.compared():
            if not (known and known.get(name) == answers[name]):
                lines += [f"$ {name.rpartition(':')[2]} {line.text}", *shown(answers[name])]
        if lines:
            text += [f"== {case.name}", *lines, ""]
    path = f"{FOLDER}/{version}/{cases[0].group}.txt"
    if text:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(text))
    elif os.path.exists(path):
        os.unlink(path)


def parse(group, text):
    """{id: (line, Answer)}"""
    found, case, now = {}, None, None
    for line in text.split("\n"):
        mark, rest = line[:1], unescape(line[2:]) if line[:1] in "|!" else line[2:]
        if line.startswith("== "):
            case = line[3:]
        elif mark == "$":
            number, _, said = rest.partition(" ")
            now = Answer(0, "", "")
            found[f"{group}/{case}:{number}"] = (said, now)
        elif mark == "|":
            now.out += rest + "\n"
            last = "out"
        elif mark == "!":
            now.err += rest + "\n"
            last = "err"
        elif mark == "\\":
            setattr(now, last, getattr(now, last)[:-1])
        elif mark == "?":
            now.status = None if rest == "did not end" else int(rest)
    return found


def read(version, cases):
    """{id: Answer} of what is recorded of a version. An answer to another line than the case has now is none."""
    found = {}
    texts = {line_id: line.text for case in cases for line_id, line in case.compared()}
    for group in sorted({case.group for case in cases}):
        path = f"{FOLDER}/{version}/{group}.txt"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                recorded = parse(group, f.read())
            found.update({name: answer for name, (said, answer) in recorded.items() if texts.get(name) == said})
    return found


def complete(version, cases):
    """What a version answers: what is recorded of it, and else what the newest one does."""
    newest = versions()[0]
    return {**read(newest, cases), **read(version, cases)}
