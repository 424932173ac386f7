"""CVE-2019-16884, -2019-19921, -2023-28642, -2025-31133, -2025-52881, -2022-0811: procfs, what is written through it, and masks."""
import os

import pytest


@pytest.fixture
def fake(world):
    """A directory that looks like a procfs to who does not look closely."""
    top = os.path.join(world.top, "fake")
    for name in ("self/attr", "thread-self/attr", "sys/net/ipv4", "sys/kernel", "1/attr"):
        os.makedirs(os.path.join(top, name))
    for name in ("self/attr/exec", "thread-self/attr/exec", "self/oom_score_adj", "sys/net/ipv4/ip_forward", "sys/kernel/msgmax", "sysrq-trigger"):
        with open(os.path.join(top, name), "w", encoding="ascii") as f:
            f.write("untouched\n")
    yield top
    for here, _, files in os.walk(top):
        for name in files:
            with open(os.path.join(here, name), encoding="ascii") as f:
                assert f.read() == "untouched\n", f"{here}/{name} was written to"


def replace_proc(box, source, kind="none", *options):
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/proc"]
    return box.mount("/proc", source, kind, *options)


def test_a_volume_instead_of_proc(box, fake):
    """Sysctls reach the kernel, not the volume that stands in the place of /proc."""
    replace_proc(box, fake, "none", "bind")
    box.mount("/real", "proc", "proc")
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4242"}
    box.process["oomScoreAdj"] = 500
    box.linux["maskedPaths"], box.linux["readonlyPaths"] = [], []
    assert box.output_of("cat /real/sys/net/ipv4/ip_forward /real/sys/kernel/msgmax /real/self/oom_score_adj").split() == ["1", "4242", "500"]


@pytest.mark.parametrize("at", ["/proc/self/attr", "/proc/sys", "/proc/sys/net/ipv4/ip_forward", "/proc/self", "/proc/1", "/way/sys", "/proc/../proc/sys",
                                "//proc//./sys", "/proc"])
def test_nothing_covers_what_the_kernel_shows(box, fake, at):
    os.symlink("/proc", os.path.join(box.rootfs, "way"))
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    source = os.path.join(fake, "sys/net/ipv4/ip_forward") if at.endswith("ip_forward") else fake
    box.mount(at, source, "none", "bind").args("true").run().fails("/proc")


@pytest.mark.parametrize("at", ["/proc/self/attr", "/proc/sys", "/way/sys", "/proc"])
def test_no_tmpfs_covers_it_either(box, at):
    os.symlink("/proc", os.path.join(box.rootfs, "way"))
    box.mount(at, "tmpfs", "tmpfs").args("true").run().fails("/proc")


@pytest.mark.parametrize("source", ["/proc/self/sched", "/proc/self/environ", "/proc/sysrq-trigger"])
@pytest.mark.parametrize("at", ["/proc/self/attr/exec", "/proc/self/oom_score_adj", "/proc/sys/kernel/hostname"])
def test_not_even_by_another_file_of_proc(box, source, at):
    """CVE-2019-19921: writes that are meant for one file go to another one, which takes them without complaint."""
    box.mount(at, source, "none", "bind").args("true").run().fails("/proc")


def test_what_callers_do_cover(box, world):
    path = os.path.join(world.top, "uptime")
    with open(path, "w", encoding="ascii") as f:
        f.write("1.00 2.00\n")
    assert box.mount("/proc/uptime", path, "none", "bind", "ro").output_of("cat /proc/uptime") == "1.00 2.00"


@pytest.mark.parametrize("at", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "tmp", "../../../../tmp", "/etc/../tmp", "/nowhere"])
def test_a_link_instead_of_a_directory(box, at, target):
    os.rmdir(os.path.join(box.rootfs, at))
    os.symlink(target, os.path.join(box.rootfs, at))
    box.args("true").run().fails(at)


@pytest.mark.parametrize("key, value", [
    ("kernel.core_pattern", "|/x"), ("kernel/core_pattern", "|/x"), ("net.ipv4.ip_forward+kernel.core_pattern", "|/x"), ("net.ipv4.ip_forward", "1\n2"),
    ("net.ipv4.ip_forward=1+kernel.core_pattern", "|/x"), ("net/../kernel/core_pattern", "|/x"), ("net...kernel.core_pattern", "|/x"),
    ("net/ipv4/../../kernel/core_pattern", "|/x"), ("net.ipv4.ip_forward ", "1"), ("", "1"), ("net.\u00e9", "1"), ("vm.overcommit_memory", "1"),
    ("kernel.shm_rmid_forced.x", "1"), ("kernel.msgmax/../core_pattern", "|/x"), ("fs.mqueue/../../kernel/core_pattern", "|/x"), ("fs.file-max", "7"),
    ("net", "1"), ("net.", "1"), ("/kernel/core_pattern", "|/x"), ("net./../../../../etc/passwd", "x"), ("n" * 5000, "1"), ("net." + "a." * 200, "1")])
def test_sysctls_that_are_not_the_containers(box, key, value):
    """CVE-2022-0811: the host's settings, in every disguise."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as f:
        before = f.read()
    box.linux["sysctl"] = {key: value}
    box.args("true").run().fails("sysctl")
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as f:
        assert f.read() == before


def test_sysctls_do_not_reach_the_host(box):
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        before = f.read().strip()
    other = "0" if before == "1" else "1"
    box.linux["sysctl"] = {"net.ipv4.ip_forward": other}
    assert box.output_of("cat /proc/sys/net/ipv4/ip_forward") == other
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        assert f.read().strip() == before


# -- masks --

@pytest.mark.parametrize("link", ["/proc/sys/kernel/core_pattern", "/plain", "/tmp", "/nowhere", "zero", "null"])
@pytest.mark.parametrize("mounted", [True, False], ids=["mounts", "plain"])
def test_masks_do_not_use_the_images_null(box, link, mounted):
    """CVE-2025-31133: /dev/null is a link, and the masked file becomes what the link says."""
    with open(os.path.join(box.rootfs, "plain"), "w", encoding="ascii") as f:
        f.write("secret\n")
    os.symlink(link, os.path.join(box.rootfs, "dev/null"))
    if not mounted:
        box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    box.linux["maskedPaths"] = ["/plain", "/proc/kallsyms", "/proc/keys"]
    result = box.sh("cat /plain; stat -c %t:%T /plain /proc/kallsyms /proc/keys; echo x 2>/dev/null > /plain; cat /plain").run()
    assert result.code != 0 or result.out == "1:3\n1:3\n1:3\n"


def test_masked_and_read_only_paths_hold(box):
    os.makedirs(os.path.join(box.rootfs, "fixed/below"))
    os.makedirs(os.path.join(box.rootfs, "hidden/below"))
    box.linux["readonlyPaths"] += ["/fixed"]
    box.linux["maskedPaths"] += ["/hidden", "/proc/timer_list", "/proc/scsi", "/proc/acpi", "/sys/firmware"]
    box.process["capabilities"] = {name: ["CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN"] for name in ("bounding", "effective", "permitted")}
    script = """
for f in /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/sys/vm/swappiness /proc/irq/default_smp_affinity /fixed/x /fixed/below/x /hidden/x /sys/x; do
    (echo 1 > $f) 2>/dev/null && echo written $f
done
for f in /hidden /sys/firmware /proc/scsi /proc/acpi; do ls $f 2>/dev/null; done
cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c
umount /hidden 2>/dev/null && echo unmounted
mount -o remount,rw,bind /proc/sys 2>/dev/null && echo remounted
true"""
    assert box.output_of(script) == "0"


def test_masks_hold_for_exec(running):
    script = "cat /proc/keys | wc -c; (echo 1 > /proc/sys/kernel/hostname) 2>/dev/null && echo written; true"
    assert running.exec("sh", "-c", script).ok().out == "0\n"


def test_masked_files_have_one_mount_each_and_are_still_there_after_a_kill(box):
    """A masked path given twice, or through another name, stays masked."""
    os.mkdir(os.path.join(box.rootfs, "hidden"))
    with open(os.path.join(box.rootfs, "hidden/key"), "w", encoding="ascii") as f:
        f.write("secret\n")
    os.symlink("hidden", os.path.join(box.rootfs, "alias"))
    box.linux["maskedPaths"] = ["/hidden", "/alias", "/hidden", "/alias/key", "/./hidden//"]
    assert box.output_of("ls -A /hidden /alias; cat /hidden/key 2>/dev/null; true").replace("/hidden:", "").replace("/alias:", "").strip() == ""


def test_a_missing_proc_is_no_excuse(box):
    """Without a procfs there is nothing to mask; the container has none either."""
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/proc"]
    assert box.output_of("ls /proc") == ""
