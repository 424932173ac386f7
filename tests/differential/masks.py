"""What must differ between two runs is replaced by a word: ids, times, places. All else stays."""
import re

DURATION = r"(?:Less than a second|About a minute|About an hour|\d+ (?:second|minute|hour|day|week|month|year)s?)"
# What wraps the reason for which a container did not start: the names of programs between the client and the runtime.
CHAIN = r"(?:failed to create task for container: )?(?:failed to create shim task: )?(?:failed to create shim: )?OCI runtime \w+ failed: " \
    r"(?:runc \w+ failed: )?(?:container_linux\.go:\d+: )?(?:starting container process caused: )?(?:unable to start container process: )?" \
    r"(?:error during container init: )?"
ALWAYS = [
    (re.compile(r"(?<![0-9])(?!0001-01-01)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b(?!0001-01-01)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4} [A-Z]+)?"), "<date>"),
    (re.compile(r"^(?:docker|skep): ", re.M), "$D: "),
    (re.compile(r"(?<=['`\"])(?:docker|skep) (?=[a-z-])"), "$D "),
    (re.compile(r"(?<=unknown command: )(?:docker|skep) "), "$D "),
    (re.compile(r"^Usage:(\s+)(?:docker|skep) ", re.M), r"Usage:\1$D "),
    (re.compile(r"^(?:See|SRun) (?='\$D [^']* --help' for more information$)", re.M), "Run "), # docker 28 has all three
    (re.compile(r"Error response from daemon: "), ""), # there is none
    # now and then: older clients of run, newer ones of cp
    (re.compile(r"^\x1b\[31mERRO\x1b\[0m\[\d+\] error waiting for container: context canceled \r?\n", re.M), ""),
    (re.compile(r'^time="[^"]*" level=error msg="(?:error waiting for container: context canceled|Can\'t add file .*)"\n', re.M), ""),
    (re.compile(CHAIN), ""),
    (re.compile(r": unknown\.?(?=\r?$)", re.M), ""),
]
# These change how wide a column is: once one of them was used, spaces are not counted any more.
WIDE = [
    (re.compile(rf"\b{DURATION} ago\b"), "<ago>"),
    (re.compile(rf"\bUp {DURATION}"), "Up <time>"),
]
ID = re.compile(r"(?<![0-9a-zA-Z])([0-9a-f]{64}|[0-9a-f]{14}(?=…)|[0-9a-f]{12})(?![0-9a-zA-Z])")


class Masks:
    """For the answers of one case: the same id gets the same word in all of them."""

    def __init__(self, places):
        self.ids = {}
        self.places = sorted(places.items(), key=lambda item: -len(item[0])) # {path: word}

    def word(self, match):
        text = match.group(1)
        number = self.ids.setdefault(text[:12], len(self.ids) + 1)
        return f"<ID{number}>" if len(text) == 64 else f"<id{number}>"

    def __call__(self, text, own=()):
        for path, word in self.places:
            text = text.replace(path, word)
        for pattern, replacement in own:
            text = pattern.sub(replacement, text)
        for pattern, replacement in ALWAYS:
            text = pattern.sub(replacement, text)
        text = ID.sub(self.word, text)
        wide = False
        for pattern, replacement in WIDE:
            text, n = pattern.subn(replacement, text)
            wide = wide or n > 0
        if wide:
            text = re.sub(" {2,}", "  ", text)
        return text
