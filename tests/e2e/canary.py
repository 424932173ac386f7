"""Things on the host that no attack may change."""
import hashlib
import os


def picture(path):
    """All that an attack might change below a path: names, kinds, owners, modes, times and contents."""
    seen = {}
    for here, folders, files in os.walk(path):
        for name in [".", *folders, *files]:
            at = os.path.join(here, name)
            st = os.lstat(at)
            content = ""
            if os.path.islink(at):
                content = os.readlink(at)
            elif os.path.isfile(at):
                with open(at, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            seen[os.path.normpath(at)] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_mtime_ns, st.st_ctime_ns, st.st_rdev, content)
    return seen


class Canary:
    """A tree on the host, outside every container."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "dir", "deep"))
        for name in ("file", "null", "console", "ptmx", "dir/file", "dir/deep/file", "kmsg"):
            with open(os.path.join(path, name), "w", encoding="ascii") as f:
                f.write(f"canary {name}\n")
        os.symlink("file", os.path.join(path, "link"))
        os.symlink("nowhere", os.path.join(path, "dangling"))
        self.before = picture(path)

    def link(self, name=""):
        """A target for a link in an image: absolute, and with more dots than any bundle is deep."""
        return "/../../../../../../../../../.." + os.path.join(self.path, name)

    def intact(self):
        now = picture(self.path)
        assert now == self.before, {k: (self.before.get(k), now.get(k)) for k in self.before.keys() | now.keys() if self.before.get(k) != now.get(k)}
