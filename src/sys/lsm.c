/* lsm.c: see lsm.h. */
#include "sys/lsm.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/path.h"

bool apparmor_enabled(void)
{
	char text[8];
	if (access("/sys/kernel/security/apparmor", F_OK) < 0) return false;
	return fd_read_small(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof text) > 0 && text[0] == 'Y';
}

bool selinux_enabled(void)
{
	static const char *const places[] = { "/sys/fs/selinux", "/selinux" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct statfs fs;
		if (statfs(places[i], &fs) == 0 && (unsigned long)fs.f_type == SELINUX_MAGIC) return true;
	}
	return false;
}

static bool is_blank(const char *s)
{
	return !s || !*s;
}

static bool is_label(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '"' || *s == '\'' || *s == '\\') return false;
	return true;
}

int lsm_check(const char *apparmor, const char *selinux, Err *e)
{
	if (!is_blank(apparmor) && !streq(apparmor, "unconfined") && !apparmor_enabled())
		return err_set(
			e, ERR_UNSUPPORTED, EOPNOTSUPP,
			"apparmor: config provided but apparmor not supported: profile \"%.128s\", but AppArmor is not enabled in this kernel",
			apparmor);
	if (!is_blank(selinux) && !selinux_enabled())
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "selinux label is specified in config, but selinux is disabled or not supported: \"%.128s\"", selinux);
	return 0;
}

/* "PID/task/TID" of this thread as that procfs counts: it may belong to another pid namespace, so getpid() will not do. The
 * link is only read; what it says is then opened without following anything. */
static int thread_dir(int proc, char *to, size_t size)
{
	ssize_t n = readlinkat(proc, "thread-self", to, size - 1);
	if (n < 0) return -errno;
	to[n] = 0;
	Str pid, task, tid, rest = { to, (size_t)n };
	uint32_t number;
	if (!str_cut(rest, '/', &pid, &rest) || !str_cut(rest, '/', &task, &tid)) return -EXDEV;
	return str_eq(task, "task") && str_to_u32(pid, &number) == 0 && str_to_u32(tid, &number) == 0 ? 0 : -EXDEV;
}

/* -ENOENT: the kernel has no such attribute. */
static int attr_write(int proc, const char *attr, const char *text)
{
	char path[96], thread[48];
	int r = path_is_fs(proc, PROC_SUPER_MAGIC);
	if (r >= 0) r = thread_dir(proc, thread, sizeof thread);
	if (r < 0) return r;
	if (snprintf(path, sizeof path, "%s/attr/%s", thread, attr) >= (int)sizeof path) return -ENAMETOOLONG;
	AUTO_FD int fd = path_open_beneath(proc, path, O_WRONLY);
	if (fd < 0) return fd;
	r = path_is_fs(fd, PROC_SUPER_MAGIC);
	if (r < 0) return r;
	size_t n = strlen(text);
	ssize_t k = retry_eintr(write(fd, text, n));
	return k < 0 ? -errno : (size_t)k == n ? 0 : -EIO;
}

static int apparmor_set_exec(int proc, const char *profile, Err *e)
{
	AUTO_BUF text = BUF_INIT(4096);
	buf_printf(&text, "exec %s", profile);
	if (buf_failed(&text)) return err_sys(e, ENAMETOOLONG, "apparmor profile");
	int r = attr_write(proc, "apparmor/exec", text.p);
	if (r == -ENOENT && streq(profile, "unconfined")) return 0;
	if (r == -ENOENT) r = attr_write(proc, "exec", text.p); /* before Linux 5.8, or a kernel without the directory */
	return r < 0 ? err_sys(e, r, "unable to apply apparmor profile \"%.128s\"", profile) : 0;
}

int lsm_set_exec_label(int proc, const char *apparmor, const char *selinux, Err *e)
{
	int r = is_blank(apparmor) ? 0 : apparmor_set_exec(proc, apparmor, e);
	if (r < 0 || is_blank(selinux)) return r;
	r = attr_write(proc, "exec", selinux);
	return r < 0 ? err_sys(e, r, "can't set process label \"%.128s\"", selinux) : 0;
}

int lsm_set_keycreate_label(int proc, const char *selinux, Err *e)
{
	/* an empty write changes nothing: a lone newline is how the kernel is told to reset */
	int r = attr_write(proc, "keycreate", is_blank(selinux) ? "\n" : selinux);
	return r < 0 ? err_sys(e, r, "can't set label of new keyrings \"%.128s\"", selinux ? selinux : "") : 0;
}

int lsm_mount_option(const char *label, Buf *out, Err *e)
{
	if (is_blank(label)) return 0;
	if (!is_label(label))
		return err_set(e, ERR_CONFIG, EINVAL, "mount label \"%.128s\": blanks, quotes and control characters are not allowed",
			       label);
	buf_printf(out, "%scontext=\"%s\"", out->n ? "," : "", label);
	return buf_failed(out) ? err_sys(e, ENOMEM, "mount label") : 0;
}
