"""What newer dockers only say in other words: an older answer that is the same apart from this is explained by it."""
import re

RULES = [
    # the hint below an error: See '…'. and the help, or the usage and Run '…' for more information
    (re.compile(r"\n(?:\n?see '\$d [^'\n]*'\.\n)(?:.*\Z)?", re.S), "\n"),
    (re.compile(r"\n(?:\nusage:  [^\n]*\n(?:\t[^\n]*\n)*)?\nrun '\$d [^'\n]*--help' for more information\n\Z"), "\n"),
    # who says it
    (re.compile(r'^(?:\$d: )?["\'](\$d [a-z ]+)["\'] (?=requires|accepts)'), r"\1 "),
    (re.compile(r"requires exactly "), "requires "),
    (re.compile(r"^(?:error: )?(?:get \S+: )?(?=no such )", re.M), ""),
    # what it names
    (re.compile(r"(?<=repository name )\([^)]*\) "), ""),
    (re.compile(r"^(no such image: \S+):latest$", re.M), r"\1"),
    # a sentence is no longer one
    (re.compile(r"\.$", re.M), ""),
]


def plain(text):
    text = text.lower()
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def same(older, newer):
    """Are two answers the same but for the wording?"""
    return (older.status, older.out) == (newer.status, newer.out) and plain(older.err) == plain(newer.err)
