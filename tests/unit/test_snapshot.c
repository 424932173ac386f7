/* test_snapshot.c: what stands below mounted images: chainIDs, trees of any depth removed, overlays by name, loop devices. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "image/snapshot_impl.h"
#include "sys/loop_device.h"
#include "sys/mount.h"
#include "sys/mount_part.h"
#include "sys/overlay.h"
#include "sys/tree_remove.h"

static char top[] = "/tmp/test-snapshot-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(AT_FDCWD, top);
}

/* OCI image-spec, config.md: ChainID(L0) = L0; ChainID(L0|…|Ln) = SHA256(ChainID(L0|…|Ln-1) + " " + Ln). The value is sha256sum(1)'s. */
static void chains(void **state)
{
	(void)state;
	char text[DIGEST_TEXT_MAX];
	Digest d[2], id;
	assert_int_equal(digest_parse(STR("sha256:0000000000000000000000000000000000000000000000000000000000000000"), &d[0]), 0);
	assert_int_equal(digest_parse(STR("sha256:1111111111111111111111111111111111111111111111111111111111111111"), &d[1]), 0);
	assert_int_equal(chain_id(d, 1, &id), 0);
	assert_true(digest_equal(&id, &d[0]));
	assert_int_equal(chain_id(d, 2, &id), 0);
	assert_string_equal(digest_format(&id, text), "sha256:f94b891e05f6e37c90d87edfd5bb98a02d618a437c35f3a94b3b00e48e894631");
}

static int make_dir(int at, const char *name)
{
	return mkdirat(at, name, 0700) < 0 ? -errno : openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_file(int at, const char *name)
{
	AUTO_FD int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

/* Deeper than a path can name, with more levels than descriptors; a name like those that removal gives; a link to what must stay. */
static void trees_of_any_depth(void **state)
{
	(void)state;
	enum { DEPTH = 3000 };
	AUTO_FD int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(make_file(dir, "stays"), 0);
	AUTO_FD int at = make_dir(dir, "tree");
	assert_true(at >= 0);
	assert_int_equal(make_file(at, ".moved-0"), 0);
	assert_int_equal(symlinkat("../stays", at, "link"), 0);
	for (int i = 0; i < DEPTH; i++) {
		int next = make_dir(at, "directory");
		assert_true(next >= 0);
		assert_int_equal(make_file(next, "file"), 0);
		assert_int_equal(mkdirat(next, ".moved-1", 0700), 0);
		close(at);
		at = next;
	}
	assert_int_equal(tree_remove(dir, "tree"), 0);
	assert_int_equal(tree_remove(dir, "tree"), -ENOENT);
	assert_int_equal(faccessat(dir, "stays", F_OK, 0), 0);
	assert_int_equal(tree_remove(dir, "stays"), -ENOTDIR);
}

/* What is mounted in the tree stays as it is, and so does the tree. */
static int mount_in_tree(void)
{
	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	AUTO_FD int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int precious = make_dir(dir, "precious"), tree = make_dir(dir, "mounted"), at = make_dir(tree, "at");
	NEED(precious >= 0 && tree >= 0 && at >= 0 && make_file(precious, "mine") == 0);
	AUTO_FD int clone = mount_clone(precious, "", false);
	NEED(clone >= 0 && mount_attach(clone, at) == 0);
	NEED(tree_remove(dir, "mounted") == -EXDEV && faccessat(precious, "mine", F_OK, 0) == 0);
	clone = fd_close(clone);
	AUTO_FD int covered = openat(tree, "at", O_PATH | O_CLOEXEC);
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", covered);
	NEED(umount2(path, MNT_DETACH) == 0 && tree_remove(dir, "mounted") == 0);
	return 0;
}

static void mounts_in_trees(void **state)
{
	(void)state;
	need_root();
	in_child(mount_in_tree);
}

/* The part that a link of the mount names is the mount's own, by either way. */
static int parts_both_ways(void)
{
	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	AUTO_FD int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int tree = make_dir(dir, "parts"), part = make_dir(tree, "part");
	NEED(part >= 0 && make_file(part, "file") == 0 && symlinkat("/part", tree, "link") == 0 && symlinkat("/etc", tree, "out") == 0);
	for (int i = 0; i < 2; i++) {
		int (*const part_of)(int, const char *) = i ? mount_part_apart : mount_part;
		AUTO_FD int whole = mount_clone(tree, "", false), other = mount_clone(tree, "", false), gone = mount_clone(tree, "", false);
		AUTO_FD int direct = part_of(whole, "part/file"), linked = part_of(other, "link");
		NEED(direct >= 0 && linked >= 0 && faccessat(linked, "file", F_OK, 0) == 0);
		NEED(part_of(gone, "out") == -ENOENT);
	}
	return 0;
}

static void parts(void **state)
{
	(void)state;
	need_root();
	in_child(parts_both_ways);
}

/* A directory with one file in it, as a detached mount. */
static int layer(const char *name, const char *file)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", top, name);
	if (mkdir(path, 0755) < 0) return -errno;
	AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : make_file(dir, file);
	return r < 0 ? r : mount_clone(dir, "", false);
}

static int mount_both_ways(void)
{
	Err e = ERR_INIT;
	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		char low[16], high[16], scratch[16], lowest[16];
		snprintf(low, sizeof low, "low%d", i);
		snprintf(high, sizeof high, "high%d", i);
		snprintf(scratch, sizeof scratch, "scratch%d", i);
		snprintf(lowest, sizeof lowest, "lowest%d", i);
		const int lower[] = { layer(low, "a"), layer(high, "b") };
		AUTO_FD int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		AUTO_FD int writable = make_dir(dir, scratch), below = make_dir(dir, lowest);
		NEED(lower[0] >= 0 && lower[1] >= 0 && writable >= 0 && below >= 0 && make_file(below, "d") == 0);
		NEED(mkdirat(writable, "upper", 0755) == 0 && mkdirat(writable, "work", 0755) == 0);
		OverlayOptions o = { .lower = lower, .n = 2, .below = &below, .writable = writable, .is_volatile = true };
		AUTO_FD int mount = i ? overlay_mount_by_name(&o, &e) : overlay_mount(&o, &e);
		NEED_OK(mount);
		NEED(faccessat(mount, "a", F_OK, 0) == 0 && faccessat(mount, "b", F_OK, 0) == 0 && faccessat(mount, "d", F_OK, 0) == 0);
		NEED(unlinkat(mount, "a", 0) == 0 && make_file(mount, "c") == 0);
		NEED(faccessat(writable, "upper/c", F_OK, 0) == 0 && faccessat(mount, "a", F_OK, 0) < 0);
		close(lower[0]);
		close(lower[1]);
	}
	return 0;
}

/* The same lower directory as often as it is wanted: a mount uses its descriptors up. */
static int mount_again(int dir, int writable, bool is_volatile, bool by_name, Err *e)
{
	AUTO_FD int one = mount_clone(dir, "low", false);
	const int lower[] = { one };
	OverlayOptions o = { .lower = lower, .n = 1, .writable = writable, .is_volatile = is_volatile };
	return by_name ? overlay_mount_by_name(&o, e) : overlay_mount(&o, e);
}

static int volatile_changes(int dir, int writable, bool by_name)
{
	Err e = ERR_INIT, why = ERR_INIT;
	NEED_OK(overlay_settle(writable, &e)); /* nothing to settle */
	for (int i = 0; i < 3; i++) {          /* as often as one likes, the last time to keep it */
		char name[2] = { (char)('0' + i), 0 };
		AUTO_FD int mount = mount_again(dir, writable, i < 2, by_name, &e);
		NEED_OK(mount);
		NEED(i == 0 || faccessat(mount, "0", F_OK, 0) == 0);
		NEED(make_file(mount, name) == 0);
		mount = fd_close(mount);
		NEED(i == 2 || mount_again(dir, writable, true, by_name, &why) == -EBUSY);
		NEED(i == 2 || mount_again(dir, writable, false, by_name, &why) == -EBUSY);
		NEED(i == 2 || strstr(why.msg, "was not settled since"));
		NEED_OK(overlay_settle(writable, &e));
	}
	NEED(faccessat(writable, "work/work/incompat", F_OK, 0) < 0 && faccessat(writable, "upper/2", F_OK, 0) == 0);
	/* another boot, or nobody knows which */
	for (int i = 0; i < 2; i++) {
		AUTO_FD int mount = mount_again(dir, writable, true, by_name, &e);
		NEED_OK(mount);
		mount = fd_close(mount);
		AUTO_FD int note = openat(writable, "volatile", O_WRONLY | O_TRUNC | O_CLOEXEC);
		NEED(note >= 0 && write(note, "0000", 4) == 4);
		NEED(i == 0 || unlinkat(writable, "volatile", 0) == 0);
		NEED(overlay_settle(writable, &why) == -ESTALE && strstr(why.msg, "started anew"));
		NEED(mount_again(dir, writable, true, by_name, &why) == -EBUSY);
		NEED(unlinkat(writable, "work/work/incompat/volatile/dirty", 0) == 0 || errno == ENOENT);
		NEED(unlinkat(writable, "work/work/incompat/volatile", AT_REMOVEDIR) == 0);
	}
	return 0;
}

static int settle_both_ways(void)
{
	NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	AUTO_FD int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int mine = make_dir(dir, "volatiles");
	NEED(mine >= 0 && mkdirat(mine, "low", 0755) == 0);
	for (int i = 0; i < 2; i++) {
		char scratch[16];
		snprintf(scratch, sizeof scratch, "scratch%d", i);
		AUTO_FD int writable = make_dir(mine, scratch);
		NEED(writable >= 0 && mkdirat(writable, "upper", 0755) == 0 && mkdirat(writable, "work", 0755) == 0);
		int r = volatile_changes(mine, writable, i);
		if (r) return r;
	}
	return 0;
}

static void overlays(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	need_root();
	in_child(mount_both_ways);
	in_child(settle_both_ways);
	const int lower[] = { 0 };
	assert_int_equal(overlay_mount(&(OverlayOptions){ .lower = lower, .n = 1, .writable = -1 }, &e), -EINVAL);
	assert_string_equal(e.msg, "mount overlay: 1 layers: overlayfs takes 2 to 500");
}

static void loop_devices(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	need_root();
	if (access("/dev/loop-control", F_OK) < 0) skip();
	AUTO_FD int file = open(top, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char block[512], back[512];
	memset(block, 'x', sizeof block);
	assert_true(file >= 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fd_write_all(file, block, sizeof block), 0);
	AUTO_FD int loop = loop_device_attach(file, &e);
	assert_true(loop >= 0);
	assert_int_equal(pread(loop, back, sizeof back, 2 * sizeof block), sizeof back);
	assert_memory_equal(back, block, sizeof back);
	assert_int_equal(lseek(loop, 0, SEEK_END), 3 * sizeof block);
	assert_true(write(loop, block, sizeof block) < 0);
	assert_int_equal(loop_device_find(file, &e), -ENOENT); /* a read-only one is not what is looked for */
	AUTO_FD int writable = loop_device_attach_writable(file, &e), found = loop_device_find(file, &e);
	assert_true(writable >= 0 && found >= 0);
	memset(block, 'y', sizeof block);
	assert_int_equal(pwrite(found, block, sizeof block, 0), sizeof block);
	assert_int_equal(pread(writable, back, sizeof back, 0), sizeof back);
	assert_memory_equal(back, block, sizeof back);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(chains),          cmocka_unit_test(trees_of_any_depth),
					    cmocka_unit_test(mounts_in_trees), cmocka_unit_test(parts),
					    cmocka_unit_test(overlays),        cmocka_unit_test(loop_devices) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
