/* machine.c: see machine.h. */
#include "engine/machine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/cap.h"
#include "sys/cgroup.h"
#include "sys/lsm.h"

enum { LIST_MAX = 4096, PATH_TEXT_MAX = 512 };

/* Where it shows that a limit can be had: a file of v1's controller, or the name of v2's controller. Without file: path. */
typedef struct FeatureRow {
	const char *controller, *file, *v2_controller, *path;
} FeatureRow;

static const FeatureRow rows[MACHINE_FEATURES] = {
	[MACHINE_MEMORY] = { "memory", "memory.limit_in_bytes", "memory" },
	[MACHINE_MEMORY_RESERVATION] = { "memory", "memory.soft_limit_in_bytes", "memory" },
	[MACHINE_SWAP] = { "memory", "memory.memsw.limit_in_bytes", NULL },
	[MACHINE_SWAPPINESS] = { "memory", "memory.swappiness", NULL },
	[MACHINE_OOM_DISABLE] = { "memory", "memory.oom_control", NULL },
	[MACHINE_PIDS] = { "pids", "tasks", "pids" },
	[MACHINE_CPU_SHARES] = { "cpu", "cpu.shares", "cpu" },
	[MACHINE_CPU_QUOTA] = { "cpu", "cpu.cfs_quota_us", "cpu" },
	[MACHINE_CPU_REALTIME] = { "cpu", "cpu.rt_runtime_us", NULL },
	[MACHINE_CPUSET] = { "cpuset", "cpuset.cpus", "cpuset" },
	[MACHINE_IO_WEIGHT] = { "blkio", "blkio.weight", "io" },
	[MACHINE_IO_WEIGHT_DEVICE] = { "blkio", "blkio.weight_device", "io" },
	[MACHINE_IO_READ_BPS] = { "blkio", "blkio.throttle.read_bps_device", "io" },
	[MACHINE_IO_WRITE_BPS] = { "blkio", "blkio.throttle.write_bps_device", "io" },
	[MACHINE_IO_READ_IOPS] = { "blkio", "blkio.throttle.read_iops_device", "io" },
	[MACHINE_IO_WRITE_IOPS] = { "blkio", "blkio.throttle.write_iops_device", "io" },
	[MACHINE_CGROUP_NAMESPACES] = { .path = "/proc/self/ns/cgroup" },
	[MACHINE_SYSCTL_PING] = { .path = "/proc/sys/net/ipv4/ping_group_range" },
	[MACHINE_SYSCTL_LOW_PORTS] = { .path = "/proc/sys/net/ipv4/ip_unprivileged_port_start" },
	[MACHINE_THROTTLE] = { .path = "/sys/devices/system/cpu/cpu0/thermal_throttle" },
	[MACHINE_MQUEUE] = { .path = "/dev/mqueue" },
	[MACHINE_IPV6] = { .path = "/proc/net/if_inet6" },
};

static bool list_has(const char *list, char separator, const char *name)
{
	Str rest = str_of(list), one;
	while (str_next(&rest, separator, &one))
		if (str_eq(one, name)) return true;
	return false;
}

static bool exists(const char *dir, const char *name)
{
	char path[PATH_TEXT_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);
	return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* The mount point of a v1 controller. */
static const char *find_controller(const Cgroup *cg, const char *name)
{
	for (size_t i = 0; i < cg->hierarchies.n; i++)
		if (list_has(cg->hierarchies.items[i].name, ',', name)) return cg->hierarchies.items[i].mount;
	return NULL;
}

static const CgroupHierarchy *find_v2(const Cgroup *cg)
{
	for (size_t i = 0; i < cg->hierarchies.n; i++)
		if (!*cg->hierarchies.items[i].name) return &cg->hierarchies.items[i];
	return NULL;
}

static int plan(Machine *m, Cgroup *ret)
{
	Err e = ERR_INIT;
	return cgroup_plan(&(CgroupRequest){ .path = "/skep", .id = "skep", .driver = CGROUP_FS }, m->arena, ret, &e);
}

static bool v2_has(const CgroupHierarchy *h, const char *controller)
{
	char path[PATH_TEXT_MAX], list[LIST_MAX];
	int n = snprintf(path, sizeof path, "%s/cgroup.controllers", h->mount);
	if (n < 0 || (size_t)n >= sizeof path || fd_read_small(AT_FDCWD, path, list, sizeof list) < 0) return false;
	return list_has(list, ' ', controller);
}

/* The root has no limits to look at; this process's own group has, unless that is the root. */
static bool v2_has_swap(const CgroupHierarchy *h)
{
	char own[PATH_TEXT_MAX], path[PATH_TEXT_MAX * 2];
	if (!v2_has(h, "memory")) return false;
	if (fd_read_small(AT_FDCWD, "/proc/self/cgroup", own, sizeof own) < 0) return false;
	const char *at = strstr(own, "0::");
	if (!at || !at[3] || !at[4]) return true;
	int n = snprintf(path, sizeof path, "%s%.*s/memory.swap.max", h->mount, (int)strcspn(at + 3, "\n"), at + 3);
	return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

static bool look_up_limit(Machine *m, MachineFeature f)
{
	Cgroup cg = { 0 };
	const FeatureRow *row = &rows[f];
	if (plan(m, &cg) < 0) return false;
	const CgroupHierarchy *v2 = cg.layout == CGROUP_V2 ? find_v2(&cg) : NULL;
	if (v2 && f == MACHINE_SWAP) return v2_has_swap(v2);
	if (v2) return row->v2_controller && v2_has(v2, row->v2_controller);
	const char *mount = find_controller(&cg, row->controller);
	return mount && exists(mount, row->file);
}

static bool in_user_namespace(void)
{
	char map[128];
	if (geteuid() != 0) return true;
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/self/uid_map", map, sizeof map);
	return n >= 0 && !strstr(map, "4294967295");
}

static bool is_cgroup2(void)
{
	struct statfs fs;
	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool look_up(Machine *m, MachineFeature f)
{
	if (rows[f].controller) return look_up_limit(m, f);
	if (rows[f].path) return access(rows[f].path, F_OK) == 0;
	switch (f) {
	case MACHINE_CGROUP2:
		return is_cgroup2();
	case MACHINE_APPARMOR:
		return apparmor_enabled();
	case MACHINE_SELINUX:
		return selinux_enabled();
	case MACHINE_USER_NAMESPACE:
		return in_user_namespace();
	default:
		return false;
	}
}

bool machine_has(Machine *m, MachineFeature f)
{
	uint64_t bit = UINT64_C(1) << f;
	if (!(m->known & bit)) {
		m->known |= bit;
		if (look_up(m, f)) m->has |= bit;
	}
	return m->has & bit;
}

static const char *cpuset_file(Machine *m, const char *v1, const char *v2)
{
	Cgroup cg = { 0 };
	char path[PATH_TEXT_MAX], list[LIST_MAX];
	if (plan(m, &cg) < 0) return "";
	const CgroupHierarchy *h = cg.layout == CGROUP_V2 ? find_v2(&cg) : NULL;
	const char *mount = h ? h->mount : find_controller(&cg, "cpuset");
	int n = mount ? snprintf(path, sizeof path, "%s/%s", mount, h ? v2 : v1) : -1;
	if (n < 0 || (size_t)n >= sizeof path || fd_read_small(AT_FDCWD, path, list, sizeof list) < 0) return "";
	const char *copy = arena_strdup(m->arena, list);
	return copy ? copy : "";
}

const char *machine_cpu_list(Machine *m)
{
	if (!m->cpu_list) m->cpu_list = cpuset_file(m, "cpuset.cpus", "cpuset.cpus.effective");
	return m->cpu_list;
}

const char *machine_memory_list(Machine *m)
{
	if (!m->memory_list) m->memory_list = cpuset_file(m, "cpuset.mems", "cpuset.mems.effective");
	return m->memory_list;
}

uint64_t machine_rlimit(const Machine *m, int resource)
{
	struct rlimit l;
	char text[32];
	uint64_t most = UINT64_MAX;
	if (resource == RLIMIT_NOFILE && fd_read_small(AT_FDCWD, "/proc/sys/fs/nr_open", text, sizeof text) > 0 &&
	    str_to_u64(str_of(text), &most) < 0)
		most = UINT64_MAX;
	if (m->capabilities & CAP_BIT(CAP_SYS_RESOURCE)) return most;
	return getrlimit(resource, &l) == 0 ? l.rlim_max : UINT64_MAX;
}

unsigned machine_possible_cpus(void)
{
	char text[256];
	uint32_t last = 0;
	if (fd_read_small(AT_FDCWD, "/sys/devices/system/cpu/possible", text, sizeof text) <= 0) return 1;
	const char *at = strrchr(text, '-');
	return str_to_u32(str_of(at ? at + 1 : text), &last) == 0 && last < 8192 ? last + 1 : 1;
}

static unsigned usable_cpus(void)
{
	cpu_set_t *set = CPU_ALLOC(CPU_SETSIZE * 8);
	size_t size = CPU_ALLOC_SIZE(CPU_SETSIZE * 8);
	int n = 1;
	if (set && sched_getaffinity(0, size, set) == 0) n = CPU_COUNT_S(size, set);
	CPU_FREE(set);
	return (unsigned)n;
}

static void read_kernel(Machine *m)
{
	struct utsname u;
	Str major, minor, rest;
	uint32_t a = 0, b = 0;
	if (uname(&u) < 0) return;
	str_cut(str_of(u.release), '.', &major, &rest);
	minor = (Str){ rest.p, strspn(rest.p, "0123456789") };
	if (str_to_u32(major, &a) < 0 || str_to_u32(minor, &b) < 0) return;
	m->kernel_major = a;
	m->kernel_minor = b;
}

void machine_init(Machine *m, Arena *a)
{
	char text[16];
	*m = (Machine){ .arena = a, .cpus = usable_cpus(), .capabilities = cap_get_permitted() };
	read_kernel(m);
	if (fd_read_small(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof text) > 0 && str_to_int(str_of(text), &m->oom_score_adj) < 0)
		m->oom_score_adj = 0;
}
