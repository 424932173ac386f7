/* spec_default.c: the configuration that `spec` writes. The defaults are those that runc's users start from. */
#include "oci/spec.h"

#include <sys/vfs.h>

static void put_strings(JsonWriter *w, const char *key, const char *const *items, size_t n)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		json_string(w, items[i]);
	json_end_array(w);
}
#define PUT_STRINGS(w, key, ...) \
	put_strings(w, key, (const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

static void put_process(JsonWriter *w)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	json_key(w, "process");
	json_begin_object(w);
	json_put_bool(w, "terminal", true);
	json_key(w, "user");
	json_begin_object(w);
	json_put_int(w, "uid", 0);
	json_put_int(w, "gid", 0);
	json_end_object(w);
	PUT_STRINGS(w, "args", "sh");
	PUT_STRINGS(w, "env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm");
	json_put_string(w, "cwd", "/");
	json_key(w, "capabilities");
	json_begin_object(w);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		PUT_STRINGS(w, sets[i], "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE");
	json_end_object(w);
	json_key(w, "rlimits");
	json_begin_array(w);
	json_begin_object(w);
	json_put_string(w, "type", "RLIMIT_NOFILE");
	json_put_int(w, "hard", 1024);
	json_put_int(w, "soft", 1024);
	json_end_object(w);
	json_end_array(w);
	json_put_bool(w, "noNewPrivileges", true);
	json_end_object(w);
}

typedef struct DefaultMount {
	const char *destination, *type, *source, *options; /* options: comma separated */
} DefaultMount;

static void put_mount(JsonWriter *w, const DefaultMount *m)
{
	json_begin_object(w);
	json_put_string(w, "destination", m->destination);
	if (m->type) json_put_string(w, "type", m->type);
	json_put_string(w, "source", m->source);
	if (m->options) {
		Str rest = str_of(m->options), option;
		json_key(w, "options");
		json_begin_array(w);
		while (str_next(&rest, ',', &option))
			json_str(w, option);
		json_end_array(w);
	}
	json_end_object(w);
}

static void put_mounts(JsonWriter *w, bool rootless)
{
	static const DefaultMount mounts[] = {
		{ "/proc", "proc", "proc", NULL },
		{ "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k" },
		{ "/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5" },
		{ "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k" },
		{ "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev" },
		{ "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro" },
		{ "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro" },
	};
	/* without privileges: gid 5 is not mapped, and sysfs needs an own network namespace */
	static const DefaultMount pts = { "/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620" };
	static const DefaultMount sys = { "/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,ro" };
	json_key(w, "mounts");
	json_begin_array(w);
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		const DefaultMount *m = &mounts[i];
		if (rootless && streq(m->destination, "/dev/pts")) m = &pts;
		if (rootless && streq(m->destination, "/sys")) m = &sys;
		if (rootless && streq(m->type, "cgroup")) continue;
		put_mount(w, m);
	}
	json_end_array(w);
}

static void put_id_mapping(JsonWriter *w, const char *key, uint32_t host)
{
	json_key(w, key);
	json_begin_array(w);
	json_begin_object(w);
	json_put_int(w, "containerID", 0);
	json_put_int(w, "hostID", host);
	json_put_int(w, "size", 1);
	json_end_object(w);
	json_end_array(w);
}

static bool is_cgroup2(void)
{
	struct statfs fs;
	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == 0x63677270;
}

static void put_namespaces(JsonWriter *w, bool rootless)
{
	const char *types[8] = { "pid" };
	size_t n = 1;
	if (!rootless) types[n++] = "network";
	types[n++] = "ipc";
	types[n++] = "uts";
	types[n++] = "mount";
	if (rootless) types[n++] = "user";
	if (is_cgroup2()) types[n++] = "cgroup";
	json_key(w, "namespaces");
	json_begin_array(w);
	for (size_t i = 0; i < n; i++) {
		json_begin_object(w);
		json_put_string(w, "type", types[i]);
		json_end_object(w);
	}
	json_end_array(w);
}

static void put_linux(JsonWriter *w, bool rootless, uid_t uid, gid_t gid)
{
	json_key(w, "linux");
	json_begin_object(w);
	if (rootless) {
		put_id_mapping(w, "uidMappings", uid);
		put_id_mapping(w, "gidMappings", gid);
	} else {
		json_key(w, "resources");
		json_begin_object(w);
		json_key(w, "devices");
		json_begin_array(w);
		json_begin_object(w);
		json_put_bool(w, "allow", false);
		json_put_string(w, "access", "rwm");
		json_end_object(w);
		json_end_array(w);
		json_end_object(w);
	}
	put_namespaces(w, rootless);
	PUT_STRINGS(w, "maskedPaths", "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi");
	PUT_STRINGS(w, "readonlyPaths", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
	json_end_object(w);
}

void oci_spec_write_default(bool rootless, uid_t uid, gid_t gid, JsonWriter *w)
{
	json_begin_object(w);
	json_put_string(w, "ociVersion", OCI_VERSION);
	put_process(w);
	json_key(w, "root");
	json_begin_object(w);
	json_put_string(w, "path", "rootfs");
	json_put_bool(w, "readonly", true);
	json_end_object(w);
	json_put_string(w, "hostname", "skep");
	put_mounts(w, rootless);
	put_linux(w, rootless, uid, gid);
	json_end_object(w);
}
