/* cmd_system.c: version, system info. Only what is true of this program and this machine. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/size.h"
#include "cli/format.h"
#include "cli/skep/commands.h"
#include "sys/path.h"

enum { DOCUMENT_MAX = 1 << 20 };

/* Go's names of machines, which images use. */
static const char *go_arch(const char *machine)
{
	static const char *const names[][2] = { { "x86_64", "amd64" },   { "aarch64", "arm64" },   { "armv7l", "arm" },
						{ "i686", "386" },       { "ppc64le", "ppc64le" }, { "s390x", "s390x" },
						{ "riscv64", "riscv64" } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i][0], machine)) return names[i][1];
	return machine;
}

/* Prints the document in b by --format; 1 when none was given and the command shall print its own text. */
static int print_formatted(Invocation *in, Buf *b, JsonValue *ret, Err *e)
{
	const char *text = option_value(in, "format");
	const Buf *out;
	AUTO_FORMAT f = { 0 };
	char *copy = buf_failed(b) ? NULL : arena_str(in->arena, (Str){ buf_str(b), b->n });
	if (!copy) return err_sys(e, ENOMEM, "--format");
	int r = json_parse(copy, b->n, in->arena, ret, e);
	if (r < 0) return r;
	if (!text || !*text) return 1;
	r = format_init(&f, text, text, NULL, NULL, in->arena, e);
	if (r < 0 || (r = format_row(&f, ret, e)) < 0 || (r = format_finish(&f, &out, e)) < 0) return r;
	return print_buf(out, e);
}

static const char *member(const JsonValue *v, const char *name)
{
	const JsonValue *m = json_get(v, name);
	return m && m->type == JSON_STRING ? m->s : "";
}

int version_run(Invocation *in, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	struct utsname u;
	JsonValue v;
	if (uname(&u) < 0) return err_sys(e, errno, "uname");
	json_begin_object(&w);
	json_key(&w, "Client");
	json_begin_object(&w);
	json_put_string(&w, "Version", skep_version);
	json_put_string(&w, "GitCommit", skep_commit);
	json_put_string(&w, "Os", "linux");
	json_put_string(&w, "Arch", go_arch(u.machine));
	json_put_string(&w, "KernelVersion", u.release);
	json_end_object(&w);
	json_key(&w, "Server"); /* there is none to ask */
	json_null(&w);
	json_end_object(&w);
	int r = print_formatted(in, &b, &v, e);
	if (r <= 0) return r;
	const JsonValue *c = json_get(&v, "Client");
	buf_printf(&out,
		   "Client: Skep\n Version:           %s\n Git commit:        %s\n OS/Arch:           %s/%s\n Kernel version:    %s\n",
		   member(c, "Version"), member(c, "GitCommit"), member(c, "Os"), member(c, "Arch"), member(c, "KernelVersion"));
	return print_buf(&out, e);
}

/* ---- info ---- */

/* NAME=value of os-release, quotes taken off; "" when it is not there. */
static const char *os_name(Arena *a)
{
	char *text;
	size_t n;
	Err ignored = ERR_INIT;
	Str rest, line, name, value;
	if (fd_read_file(AT_FDCWD, "/etc/os-release", 65536, a, &text, &n, &ignored) < 0) return "";
	rest = (Str){ text, n };
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(line, '=', &name, &value) || !str_eq(name, "PRETTY_NAME")) continue;
		if (value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"') value = (Str){ value.p + 1, value.n - 2 };
		const char *s = arena_str(a, value);
		return s ? s : "";
	}
	return "";
}

/* Is one of the words the kernel lists in a file? */
static bool file_has_word(const char *path, const char *word)
{
	char text[4096];
	ssize_t n = fd_read_small(AT_FDCWD, path, text, sizeof text);
	Str rest = { text, n > 0 ? (size_t)n : 0 }, line, piece;
	while (str_next(&rest, '\n', &line))
		while (str_next(&line, '\t', &piece))
			if (str_eq(str_trim(piece), word)) return true;
	return false;
}

static bool kernel_at_least(const char *release, unsigned major, unsigned minor)
{
	unsigned long a, b = 0;
	char *end;
	a = strtoul(release, &end, 10);
	if (*end == '.') b = strtoul(end + 1, NULL, 10);
	return a > major || (a == major && b >= minor);
}

/* Asked of the kernel itself where asking changes nothing. */
static bool has_openat2(void)
{
	AUTO_FD int root = open("/", O_PATH | O_CLOEXEC);
	AUTO_FD int again = root < 0 ? -1 : path_open(root, "/", O_PATH, 0);
	return again >= 0;
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1U /* LANDLOCK_CREATE_RULESET_VERSION */) > 0;
}

/* What images and containers are built on, as the kernel has it. */
static void put_features(JsonWriter *w, const struct utsname *u)
{
	bool erofs = file_has_word("/proc/filesystems", "erofs");
	json_key(w, "KernelFeatures");
	json_begin_object(w);
	json_put_bool(w, "Openat2", has_openat2());
	json_put_bool(w, "MountAPI", kernel_at_least(u->release, 5, 2));
	json_put_bool(w, "IDMappedMounts", kernel_at_least(u->release, 5, 12));
	json_put_bool(w, "Overlay", file_has_word("/proc/filesystems", "overlay"));
	json_put_bool(w, "Erofs", erofs);
	json_put_bool(w, "ErofsFileBacked", erofs && kernel_at_least(u->release, 6, 12));
	json_put_bool(w, "Landlock", has_landlock());
	json_end_object(w);
}

static void put_security(JsonWriter *w)
{
	json_key(w, "SecurityOptions");
	json_begin_array(w);
	if (access("/sys/kernel/security/apparmor", F_OK) == 0) json_string(w, "name=apparmor");
	if (access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0) json_string(w, "name=seccomp,profile=builtin");
	if (access("/sys/fs/selinux/enforce", F_OK) == 0) json_string(w, "name=selinux");
	if (geteuid() != 0) json_string(w, "name=rootless");
	if (access("/proc/self/ns/cgroup", F_OK) == 0) json_string(w, "name=cgroupns");
	json_end_array(w);
}

static void put_info(Invocation *in, const struct utsname *u, JsonWriter *w)
{
	struct sysinfo s = { 0 };
	(void)!sysinfo(&s);
	json_begin_object(w);
	json_put_string(w, "ServerVersion", skep_version);
	json_put_string(w, "Name", u->nodename);
	json_put_string(w, "OperatingSystem", os_name(in->arena));
	json_put_string(w, "OSType", "linux");
	json_put_string(w, "Architecture", u->machine);
	json_put_string(w, "KernelVersion", u->release);
	json_put_int(w, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	json_put_int(w, "MemTotal", (int64_t)s.totalram * s.mem_unit);
	json_put_string(w, "CgroupVersion", access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "2" : "1");
	json_put_string(w, "DockerRootDir", skep_of(in)->root);
	json_put_string(w, "RunRoot", skep_of(in)->run_root);
	put_security(w);
	put_features(w, u);
	json_end_object(w);
}

static void print_info(const JsonValue *v, Buf *b)
{
	static const char *const rows[][2] = {
		{ "Server Version", "ServerVersion" },
		{ "Cgroup Version", "CgroupVersion" },
		{ "Kernel Version", "KernelVersion" },
		{ "Operating System", "OperatingSystem" },
		{ "OSType", "OSType" },
		{ "Architecture", "Architecture" },
		{ "Name", "Name" },
		{ "Root Dir", "DockerRootDir" },
		{ "Run Root", "RunRoot" },
	};
	char memory[SIZE_TEXT_MAX];
	const JsonValue *list = json_get(v, "SecurityOptions"), *features = json_get(v, "KernelFeatures");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(b, "%s: %s\n", rows[i][0], member(v, rows[i][1]));
	size_format((double)json_get(v, "MemTotal")->i, SIZE_BINARY, memory);
	buf_printf(b, "CPUs: %lld\nTotal Memory: %s\nSecurity Options:\n", (long long)json_get(v, "NCPU")->i, memory);
	for (uint32_t i = 0; i < list->n; i++)
		buf_printf(b, " %s\n", list->items[i].s + strlen("name="));
	buf_puts(b, "Kernel Features:\n");
	for (uint32_t i = 0; i < features->n; i++)
		buf_printf(b, " %s: %s\n", features->members[i].key, features->members[i].value.boolean ? "yes" : "no");
}

int info_run(Invocation *in, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	struct utsname u;
	JsonValue v;
	if (uname(&u) < 0) return err_sys(e, errno, "uname");
	put_info(in, &u, &w);
	int r = print_formatted(in, &b, &v, e);
	if (r <= 0) return r;
	print_info(&v, &out);
	return print_buf(&out, e);
}
