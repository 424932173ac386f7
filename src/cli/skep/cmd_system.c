/* cmd_system.c: version, system info. Only what is true of this program and this machine. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/size.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "engine/machine.h"
#include "engine/view.h"
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

static void put_program(JsonWriter *w, const char *key, const struct utsname *u)
{
	json_key(w, key);
	json_begin_object(w);
	json_put_string(w, "Version", skep_version);
	json_put_string(w, "GitCommit", skep_commit);
	json_put_string(w, "Os", "linux");
	json_put_string(w, "Arch", go_arch(u->machine));
	json_put_string(w, "KernelVersion", u->release);
	json_end_object(w);
}

/* There is no server, but scripts ask for its version to know that containers can be run: what would answer is this program. */
int version_run(Invocation *in, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	struct utsname u;
	JsonValue v;
	if (uname(&u) < 0) return err_sys(e, errno, "uname");
	json_begin_object(&w);
	put_program(&w, "Client", &u);
	put_program(&w, "Server", &u);
	json_end_object(&w);
	int r = print_formatted(in, &b, &v, e);
	if (r <= 0) return r;
	const JsonValue *c = json_get(&v, "Client");
	buf_printf(&out,
		   "Client: Skep\n Version:           %s\n Git commit:        %s\n OS/Arch:           %s/%s\n Kernel version:    %s\n\n"
		   "Server: none, the engine is in this program\n",
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

/* ---- containers and images ---- */

typedef struct Counts {
	int64_t running, paused, stopped, images;
} Counts;

static int count_all(Engine *g, Arena *a, Counts *ret, Err *e)
{
	RecordList l;
	ImageList images;
	int r = record_list(g, a, &l, e);
	if (r < 0 || (r = image_list(g->store, a, &images, e)) < 0) return r;
	ret->images = (int64_t)images.n;
	for (size_t i = 0; i < l.n; i++) {
		ContainerView v;
		if ((r = container_view(g, &l.items[i], a, &v, e)) < 0) return r;
		bool runs = v.state.status == RUN_RUNNING || v.state.status == RUN_RESTARTING;
		*(v.paused ? &ret->paused : runs ? &ret->running : &ret->stopped) += 1;
	}
	return 0;
}

/* Looking makes no state directory. */
static int count(Invocation *in, Counts *ret, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	const char *db = arena_printf(in->arena, "%s/skep.db", skep_of(in)->root);
	*ret = (Counts){ 0 };
	if (!db) return err_sys(e, ENOMEM, "info");
	if (access(db, F_OK) < 0) return 0;
	int r = skep_engine(in, &g, e);
	return r < 0 ? r : count_all(&g, in->arena, ret, e);
}

static void put_counts(JsonWriter *w, const Counts *c)
{
	json_put_int(w, "Containers", c->running + c->paused + c->stopped);
	json_put_int(w, "ContainersRunning", c->running);
	json_put_int(w, "ContainersPaused", c->paused);
	json_put_int(w, "ContainersStopped", c->stopped);
	json_put_int(w, "Images", c->images);
}

/* ---- what is there ---- */

static void put_list(JsonWriter *w, const char *key, const char *const *items)
{
	json_key(w, key);
	json_begin_array(w);
	for (; *items; items++)
		json_string(w, *items);
	json_end_array(w);
}

static void put_plugins(JsonWriter *w)
{
	json_key(w, "Plugins");
	json_begin_object(w);
	put_list(w, "Volume", (const char *[]){ "local", NULL });
	put_list(w, "Network", (const char *[]){ "host", "null", NULL });
	put_list(w, "Log", (const char *[]){ "journald", "json-file", "local", "none", "syslog", NULL });
	json_end_object(w);
}

static void put_runtimes(JsonWriter *w)
{
	json_key(w, "Runtimes");
	json_begin_object(w);
	json_key(w, "skep-runtime");
	json_begin_object(w);
	json_put_string(w, "path", "skep-runtime");
	json_end_object(w);
	json_end_object(w);
	json_put_string(w, "DefaultRuntime", "skep-runtime");
}

/* Limits that this machine can set, by docker's names; warnings: what is said of those that it cannot. */
static void put_limits(JsonWriter *w, Machine *m, const Err *uncounted)
{
	static const struct {
		const char *key;
		MachineFeature feature;
		const char *what;
	} rows[] = {
		{ "MemoryLimit", MACHINE_MEMORY, "memory limit" }, { "SwapLimit", MACHINE_SWAP, "swap limit" },
		{ "CpuCfsPeriod", MACHINE_CPU_QUOTA, NULL },       { "CpuCfsQuota", MACHINE_CPU_QUOTA, "cpu cfs quota" },
		{ "CPUShares", MACHINE_CPU_SHARES, "cpu shares" }, { "CPUSet", MACHINE_CPUSET, "cpuset" },
		{ "PidsLimit", MACHINE_PIDS, "pids limit" },       { "OomKillDisable", MACHINE_OOM_DISABLE, NULL },
	};
	char text[ERR_MESSAGE_MAX + 64];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		json_put_bool(w, rows[i].key, machine_has(m, rows[i].feature));
	json_key(w, "Warnings");
	json_begin_array(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].what || machine_has(m, rows[i].feature)) continue;
		snprintf(text, sizeof text, "WARNING: No %s support", rows[i].what);
		json_string(w, text);
	}
	snprintf(text, sizeof text, "WARNING: containers and images are not counted: %s", uncounted->msg);
	if (uncounted->code) json_string(w, text);
	json_end_array(w);
}

static void put_client(JsonWriter *w)
{
	json_key(w, "ClientInfo");
	json_begin_object(w);
	json_put_string(w, "Version", skep_version);
	json_put_string(w, "GitCommit", skep_commit);
	json_put_bool(w, "Debug", false);
	json_put_string(w, "Context", "default");
	json_end_object(w);
}

static void put_machine(const struct utsname *u, Arena *a, JsonWriter *w)
{
	struct sysinfo s = { 0 };
	char now[TIME_TEXT_MAX];
	(void)!sysinfo(&s);
	time_format(time_now(), TIME_NANOSECONDS, now);
	json_put_string(w, "SystemTime", now);
	json_put_string(w, "Name", u->nodename);
	json_put_string(w, "OperatingSystem", os_name(a));
	json_put_string(w, "OSType", "linux");
	json_put_string(w, "Architecture", u->machine);
	json_put_string(w, "KernelVersion", u->release);
	json_put_int(w, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	json_put_int(w, "MemTotal", (int64_t)s.totalram * s.mem_unit);
}

static void put_info(Invocation *in, const struct utsname *u, JsonWriter *w)
{
	Machine m;
	Counts counts;
	Err uncounted = ERR_INIT;
	machine_init(&m, in->arena);
	(void)!count(in, &counts, &uncounted);
	json_begin_object(w);
	put_counts(w, &counts);
	json_put_string(w, "ServerVersion", skep_version);
	json_put_string(w, "Driver", "erofs");
	json_put_string(w, "LoggingDriver", "json-file");
	json_put_string(w, "CgroupDriver", m.systemd ? "systemd" : "cgroupfs");
	json_put_string(w, "CgroupVersion", access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "2" : "1");
	put_plugins(w);
	put_runtimes(w);
	put_machine(u, in->arena, w);
	json_put_string(w, "DockerRootDir", skep_of(in)->root);
	json_put_string(w, "RunRoot", skep_of(in)->run_root);
	json_put_bool(w, "LiveRestoreEnabled", true); /* nothing is running that containers could outlive */
	put_security(w);
	put_features(w, u);
	put_limits(w, &m, &uncounted);
	put_client(w);
	json_end_object(w);
}

/* ---- as text ---- */

static int64_t number(const JsonValue *v, const char *name)
{
	const JsonValue *n = json_get(v, name);
	return n && n->type == JSON_INT ? n->i : 0;
}

static void print_list(const JsonValue *list, const char *title, Buf *b)
{
	buf_printf(b, "%s:", title);
	for (uint32_t i = 0; list && i < list->n; i++)
		buf_printf(b, " %s", list->type == JSON_OBJECT ? list->members[i].key : list->items[i].s);
	buf_putc(b, '\n');
}

static void print_machine(const JsonValue *v, Buf *b)
{
	static const char *const rows[][2] = {
		{ "Kernel Version", "KernelVersion" },
		{ "Operating System", "OperatingSystem" },
		{ "OSType", "OSType" },
		{ "Architecture", "Architecture" },
	};
	char memory[SIZE_TEXT_MAX];
	const JsonValue *features = json_get(v, "KernelFeatures");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(b, " %s: %s\n", rows[i][0], member(v, rows[i][1]));
	size_format((double)number(v, "MemTotal"), SIZE_BINARY, memory);
	buf_printf(b, " CPUs: %lld\n Total Memory: %s\n Name: %s\n Root Dir: %s\n Run Root: %s\n Kernel Features:\n",
		   (long long)number(v, "NCPU"), memory, member(v, "Name"), member(v, "DockerRootDir"), member(v, "RunRoot"));
	for (uint32_t i = 0; i < features->n; i++)
		buf_printf(b, "  %s: %s\n", features->members[i].key, features->members[i].value.boolean ? "yes" : "no");
}

static void print_info(const JsonValue *v, Buf *b)
{
	static const char *const rows[][2] = {
		{ "Server Version", "ServerVersion" }, { "Storage Driver", "Driver" },        { "Logging Driver", "LoggingDriver" },
		{ "Cgroup Driver", "CgroupDriver" },   { "Cgroup Version", "CgroupVersion" },
	};
	const JsonValue *security = json_get(v, "SecurityOptions"), *plugins = json_get(v, "Plugins");
	buf_printf(b, "Client: Skep\n Version:    %s\n Debug Mode: false\n\nServer:\n", member(v, "ServerVersion"));
	buf_printf(b, " Containers: %lld\n  Running: %lld\n  Paused: %lld\n  Stopped: %lld\n Images: %lld\n",
		   (long long)number(v, "Containers"), (long long)number(v, "ContainersRunning"), (long long)number(v, "ContainersPaused"),
		   (long long)number(v, "ContainersStopped"), (long long)number(v, "Images"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(b, " %s: %s\n", rows[i][0], member(v, rows[i][1]));
	buf_puts(b, " Plugins:\n");
	for (uint32_t i = 0; i < plugins->n; i++) {
		buf_puts(b, "  ");
		print_list(&plugins->members[i].value, plugins->members[i].key, b);
	}
	print_list(json_get(v, "Runtimes"), " Runtimes", b);
	buf_printf(b, " Default Runtime: %s\n Security Options:\n", member(v, "DefaultRuntime"));
	for (uint32_t i = 0; i < security->n; i++)
		buf_printf(b, "  %s\n", security->items[i].s + strlen("name="));
	print_machine(v, b);
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
	if ((r = print_buf(&out, e)) < 0) return r;
	const JsonValue *warnings = json_get(&v, "Warnings");
	for (uint32_t i = 0; i < warnings->n; i++)
		dprintf(2, "%s\n", warnings->items[i].s);
	return 0;
}
