"""What images show, through Skep and through its peers, file by file; and the table of what is known to differ."""
import fnmatch
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../erofs"))
from tree_view import view # pylint: disable=wrong-import-position

BEGAN = time.time_ns()


def look(top):
    """{path: what stands there}"""
    return {line.pop("name"): line for line in view(os.fsencode(top))}


# ---- the table ----

class Deviation:
    """Fields of tree_view, or "there", that a peer shows otherwise, in these images at these paths (shell patterns), for those of its versions
    that are not older than `since` and older than `before`; when: only where that holds of what we and they show."""

    def __init__(self, peers, images, paths, fields, why, when=lambda ours, theirs: True, since=(), before=()):
        self.peers, self.images, self.paths, self.fields = peers.split(), images.split(), paths.split() or [""], fields.split()
        self.why, self.when, self.since, self.before = why, when, since, before

    def applies(self, peer, version, image):
        return peer in self.peers and image in self.images and (not self.since or version >= self.since) and (not self.before or version < self.before)

    def explains(self, path, field, ours, theirs):
        return field in self.fields and any(fnmatch.fnmatchcase(path, pattern) for pattern in self.paths) and self.when(ours, theirs)


def is_new(_, theirs):
    return theirs["mtime"] > BEGAN


def is_directory(_, theirs):
    return theirs["mode"].startswith("0o4")


def is_more(ours, theirs):
    return theirs["nlink"] > ours["nlink"]


def was_before_1970(ours, theirs):
    return ours["mtime"] < 0 == theirs["mtime"]


def in_seconds(ours, theirs):
    return theirs["mtime"] == ours["mtime"] // 10**9 * 10**9


def of_capabilities(_, theirs):
    return set(theirs["xattrs"]) <= {"security.capability"}


def without_lists(ours, theirs):
    return {name: value for name, value in ours["xattrs"].items() if value and not name.startswith("system.posix_acl_")} == theirs["xattrs"]


def without_empty(ours, theirs):
    return {name: value for name, value in ours["xattrs"].items() if value} == theirs["xattrs"]


EVERYTHING = "busybox python node packages hardlinks xattrs whiteouts opaque odd ten"
ENGINES = "podman docker containerd" # they unpack each layer into a directory of its own, and overlayfs shows all of them
DEVIATIONS = [
    Deviation(ENGINES, EVERYTHING, "", "mtime", "the root is a directory of their own, from when they made it", is_new),
    Deviation("podman", EVERYTHING, "", "mode", "its root is 0555, whatever the layers say"),
    Deviation("docker containerd", "node whiteouts", "", "mode", "the last layer has no entry for the root: theirs is 0755"),
    Deviation(ENGINES, "node", "node_modules*", "mtime", "a directory without an entry in the highest layer that has something below it gets the time of unpacking", is_new),
    Deviation(ENGINES, "hardlinks", "a b", "mtime", "the same", is_new),
    Deviation(ENGINES, "whiteouts", "empty opaque", "mtime", "the same", is_new),
    Deviation("podman docker", "whiteouts", "opaque", "uid", "and root:root, 0755, without attributes; the specification, umoci and containerd let it be as it was"),
    Deviation("umoci", "node", "node_modules/express node_modules/express/*", "mtime", "directories made on the way to an entry get the time of unpacking, and so does the one above",
              is_new),
    Deviation("umoci", "whiteouts", "", "mtime", "a whiteout in the root changes its time", is_new),
    Deviation("umoci", "xattrs odd", "*", "xattrs", "attributes without a value are lost: Go's archive/tar takes them for ones to be left out", without_empty),
    Deviation("podman", "xattrs odd", "*", "xattrs", "the same; no longer with 5.8", without_empty, before=(5, 8)),
    Deviation("docker", "xattrs odd", "*", "xattrs", "the same; no longer with 28.5", without_empty, before=(28, 5)),
    Deviation("docker-export podman-export", "busybox xattrs", "", "mtime", "there is no entry for the root"),
    Deviation("docker-export podman-export", "xattrs", "*", "mtime", "times are in seconds", in_seconds),
    Deviation("docker-export", "xattrs", "*", "xattrs", "of attributes only capabilities are kept", of_capabilities),
    Deviation("podman-export", "xattrs", "*", "xattrs", "access control lists and attributes without a value are left out", without_lists),
    Deviation("containerd", "odd", "size-512", "xattrs", "trusted.* is left out"),
    Deviation(ENGINES, "odd", "*", "mtime", "what is older than 1970 becomes 1970", was_before_1970),
    Deviation(ENGINES, "hardlinks ten", "*", "nlink", "overlayfs counts names that a higher layer has hidden", is_more),
    Deviation(ENGINES, "opaque", "hidden", "there", "overlayfs does not look at the mark of an opaque root; the specification makes no exception of it"),
]


def differences(ours, theirs):
    """[(path, field, what we show, what they show)]"""
    found = []
    for path in sorted(set(ours) | set(theirs)):
        a, b = ours.get(path), theirs.get(path)
        if a is None or b is None:
            found.append((path, "there", a, b))
        else:
            found += [(path, field, a, b) for field in sorted(set(a) | set(b)) if a.get(field) != b.get(field)]
    return found


def tell(path, field, ours, theirs):
    values = [entry is not None if field == "there" else entry.get(field) for entry in (ours, theirs)]
    return f"{path!r}: {field}: {values[0]!r}, not {values[1]!r}"[:300]


def compare(image, ours, theirs, peer, version=()):
    """Fails for what no row of the table explains, and for rows that explain nothing any more."""
    rows = [row for row in DEVIATIONS if row.applies(peer, version, image)]
    seen, unexplained = set(), []
    for difference in differences(ours, theirs):
        row = next((row for row in rows if row.explains(*difference)), None)
        if row:
            seen.add(row)
        else:
            unexplained.append(tell(*difference))
    assert not unexplained, f"{image}: {len(unexplained)} things that {peer} {version} shows otherwise:\n" + "\n".join(unexplained[:20])
    idle = [row.why for row in rows if row not in seen]
    assert not idle, f"{image}: rows of the table that explain nothing that {peer} {version} shows: {idle}"
