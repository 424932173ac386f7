"""What the gates share: the files of the project and the lists of exceptions, which may only shrink."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(TOP)


def files(*patterns):
    """Files git knows or would add, by pathspec."""
    out = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard", "--", *patterns], stdout=subprocess.PIPE, check=True)
    return sorted(name for name in set(out.stdout.decode().split("\0")) if name and os.path.exists(name))


def changed(*patterns):
    """The same, limited to what differs from the commit before the last one (or $LINT_SINCE); all with LINT_ALL."""
    every = files(*patterns)
    if os.environ.get("LINT_ALL"):
        return every
    since = os.environ.get("LINT_SINCE", "HEAD~1")
    diff = subprocess.run(["git", "diff", "--name-only", since], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if diff.returncode:
        return every  # a first commit or a shallow clone
    new = subprocess.run(["git", "ls-files", "-o", "--exclude-standard"], stdout=subprocess.PIPE, check=True)
    names = set((diff.stdout + new.stdout).decode().split("\n"))
    return [name for name in every if name in names]


def finish(gate, findings, what, looked_at=None):
    """Ends the program. findings: {key: message}, a key begins with the file's name. A key listed in exceptions/<gate>.txt is
    forgiven; a listed key that no longer occurs is a finding itself, so that the list shrinks (looked_at: the files judged)."""
    listed = set()
    path = f"scripts/exceptions/{gate}.txt"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            listed = {re.sub(r"\s*#.*", "", line).strip() for line in f} - {""}
    if looked_at is not None:
        listed = {key for key in listed if key.split()[0] in looked_at or not os.path.exists(key.split()[0])}
    bad = [message for key, message in sorted(findings.items()) if key not in listed]
    bad += [f"{path}: '{key}' is no longer needed: remove the line" for key in sorted(listed - set(findings))]
    for message in bad:
        print(message)
    print(f"{gate}: {what}: {len(bad)} to mend" if bad else f"{gate}: {what}: fine")
    sys.exit(1 if bad else 0)


def functions():
    """(file, line, name, complexity, lines) of every function, as pmccabe counts: a switch is one branch."""
    names = files("src/*.c", "tests/*.c", "bench/*.c")
    out = subprocess.run(["pmccabe", *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode() if names else ""
    for row in out.splitlines():
        complexity, _, _, line, lines, where = row.split("\t")[:6]
        match = re.match(r"(.*)\(\d+\): (.*)", where)
        if match:
            yield match.group(1), int(line), match.group(2), int(complexity), int(lines)
