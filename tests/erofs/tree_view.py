#!/usr/bin/python3
"""What stands below a directory, as JSON lines in the order of paths: all that stat, readlink, listxattr and reading a file show."""
import hashlib
import json
import os
import stat
import sys


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while piece := f.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest()


def xattrs(path):
    # what a host's policy adds to every file is not part of the tree
    return {name: os.getxattr(path, name, follow_symlinks=False).hex()
            for name in sorted(os.listxattr(path, follow_symlinks=False)) if name != "security.selinux"}


def entries(top):
    """All paths below top, top itself as b"" first; parents before children, sorted."""
    todo = [b""]
    while todo:
        path = todo.pop()
        yield path
        full = os.path.join(top, path) if path else top
        if stat.S_ISDIR(os.lstat(full).st_mode):
            todo += [os.path.join(path, name) for name in sorted(os.listdir(full), reverse=True)]


def view(top):
    links, digests = {}, {}
    for path in entries(top):
        full = os.path.join(top, path) if path else top
        st = os.lstat(full)
        kind = stat.S_IFMT(st.st_mode)
        line = {"path": path.hex(), "name": os.fsdecode(path), "mode": oct(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "mtime": st.st_mtime_ns,
                "xattrs": xattrs(full)}
        if kind != stat.S_IFDIR:
            line["nlink"] = st.st_nlink
            line["same_as"] = links.setdefault((st.st_dev, st.st_ino), path.hex())
        if kind == stat.S_IFREG:
            line["size"] = st.st_size
            if line["same_as"] not in digests: # an image of busybox has one file by 269 names
                digests[line["same_as"]] = digest(full)
            line["sha256"] = digests[line["same_as"]]
        elif kind == stat.S_IFLNK:
            line["target"] = os.readlink(full).hex()
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            line["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
        yield line


if __name__ == "__main__":
    for each in view(os.fsencode(sys.argv[1])):
        print(json.dumps(each))
