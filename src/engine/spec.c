/* spec.c: see spec.h: the whole, its namespaces and names. */
#include "engine/spec_impl.h"

#include <sched.h>
#include <sys/utsname.h>

int spec_no_memory(const SpecBuild *b)
{
	return err_sys(b->e, ENOMEM, "configure the container");
}

int str_build_init(StrBuild *l, size_t room, Arena *a)
{
	*l = (StrBuild){ .room = room };
	l->list.items = arena_array(a, room + 1, sizeof *l->list.items);
	return l->list.items ? 0 : -ENOMEM;
}

void str_build_add(StrBuild *l, const char *s)
{
	if (!s || l->list.n == l->room) {
		l->failed = true;
		return;
	}
	l->list.items[l->list.n++] = s;
}

void str_build_add_all(StrBuild *l, const StrList *from)
{
	for (size_t i = 0; i < from->n; i++)
		str_build_add(l, from->items[i]);
}

int str_build_done(StrBuild *l, StrList *ret)
{
	if (l->failed) return -ENOMEM;
	*ret = l->list;
	return 0;
}

/* ---- names ---- */

static const char *host_name(Arena *a)
{
	struct utsname u;
	return uname(&u) == 0 ? arena_strdup(a, u.nodename) : "localhost";
}

const char *spec_hostname(const char *id, const ContainerConfig *config, const HostConfig *host, Arena *a)
{
	if (mode_is(host->uts_mode, "host")) return host_name(a);
	if (config->hostname && *config->hostname) return config->hostname;
	if (mode_is(host->network_mode, "host")) return host_name(a);
	return arena_printf(a, "%.12s", id);
}

static int set_names(SpecBuild *b)
{
	if (mode_is(b->host->uts_mode, "host")) return 0;
	b->s->hostname = spec_hostname(b->in->id, b->config, b->host, b->a);
	if (b->config->domainname && *b->config->domainname) b->s->domainname = b->config->domainname;
	return b->s->hostname ? 0 : spec_no_memory(b);
}

/* ---- namespaces ---- */

typedef struct Namespaces {
	OciNamespace items[8];
	size_t n;
} Namespaces;

static void add(Namespaces *list, int type, const char *path)
{
	list->items[list->n++] = (OciNamespace){ .type = type, .path = path };
}

/* A namespace that is the host's (nothing is added), somebody else's or a new one. */
static int add_by_mode(SpecBuild *b, Namespaces *list, int type, const char *what, const char *mode, const char *path)
{
	bool other = mode_is_container(mode) || (mode && starts_with(mode, "ns:"));
	if (mode_is(mode, "host")) return 0;
	if (other && !path)
		return err_set(b->e, ERR_CONFIG, EINVAL, "cannot join the %s namespace of %s: it is not running", what,
			       strchr(mode, ':') + 1);
	add(list, type, other ? path : NULL);
	return 0;
}

static bool cgroup_is_private(SpecBuild *b)
{
	const char *mode = b->host->cgroupns_mode;
	if (mode && *mode) return streq(mode, "private") && machine_has(b->in->machine, MACHINE_CGROUP_NAMESPACES);
	return machine_has(b->in->machine, MACHINE_CGROUP2);
}

int spec_add_namespaces(SpecBuild *b)
{
	const SpecInput *in = b->in;
	Namespaces list = { .n = 0 };
	int r;
	add(&list, CLONE_NEWNS, NULL);
	if ((r = add_by_mode(b, &list, CLONE_NEWNET, "network", b->host->network_mode, in->network_ns)) < 0 ||
	    (r = add_by_mode(b, &list, CLONE_NEWIPC, "ipc", b->host->ipc_mode, in->ipc_ns)) < 0 ||
	    (r = add_by_mode(b, &list, CLONE_NEWPID, "pid", b->host->pid_mode, in->pid_ns)) < 0)
		return r;
	if (!mode_is(b->host->uts_mode, "host")) add(&list, CLONE_NEWUTS, NULL);
	if (cgroup_is_private(b)) add(&list, CLONE_NEWCGROUP, NULL);
	if (in->user_ns || b->new_userns) add(&list, CLONE_NEWUSER, in->user_ns);
	b->lnx->namespaces.items = arena_array(b->a, list.n, sizeof *list.items);
	if (!b->lnx->namespaces.items) return spec_no_memory(b);
	memcpy(b->lnx->namespaces.items, list.items, list.n * sizeof *list.items);
	b->lnx->namespaces.n = list.n;
	if (!b->new_userns) return 0;
	b->lnx->uid_mappings = in->maps.uids;
	b->lnx->gid_mappings = in->maps.gids;
	return 0;
}

/* ---- paths that are hidden or cannot be written ---- */

static const char *masked_paths[] = {
	"/proc/asound",     "/proc/acpi",        "/proc/interrupts",  "/proc/kcore", "/proc/keys",    "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",  "/sys/firmware", "/sys/devices/virtual/powercap",
};
static const char *readonly_paths[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
const StrList spec_masked_paths = { masked_paths, ARRAY_LEN(masked_paths) };
const StrList spec_readonly_paths = { readonly_paths, ARRAY_LEN(readonly_paths) };

/* The counts of throttling tell what other processes compute. */
static void mask_throttling(SpecBuild *b, StrBuild *l)
{
	for (unsigned i = 0; i + ARRAY_LEN(masked_paths) < l->room; i++)
		str_build_add(l, arena_printf(b->a, "/sys/devices/system/cpu/cpu%u/thermal_throttle", i));
}

static int default_masks(SpecBuild *b)
{
	StrBuild l;
	unsigned cpus = machine_has(b->in->machine, MACHINE_THROTTLE) ? machine_possible_cpus() : 0;
	if (str_build_init(&l, ARRAY_LEN(masked_paths) + cpus, b->a) < 0) return spec_no_memory(b);
	for (size_t i = 0; i < ARRAY_LEN(masked_paths); i++)
		str_build_add(&l, masked_paths[i]);
	mask_throttling(b, &l);
	return str_build_done(&l, &b->lnx->masked_paths) < 0 ? spec_no_memory(b) : 0;
}

int spec_add_paths(SpecBuild *b)
{
	if (b->security.open_paths || b->host->privileged) return 0;
	b->lnx->masked_paths = b->host->masked_paths;
	b->lnx->readonly_paths = b->host->readonly_paths;
	if (!b->host->masked_paths_set && default_masks(b) < 0) return -ENOMEM;
	if (b->host->readonly_paths_set) return 0;
	b->lnx->readonly_paths = spec_readonly_paths;
	return 0;
}

/* ---- the whole ---- */

static int begin(SpecBuild *b)
{
	OciSpec *s = b->s;
	s->version = OCI_VERSION;
	s->process = arena_alloc(b->a, sizeof *s->process);
	s->root = arena_alloc(b->a, sizeof *s->root);
	b->lnx = s->lnx = arena_alloc(b->a, sizeof *s->lnx);
	if (!s->process || !s->root || !s->lnx) return spec_no_memory(b);
	s->lnx->resources = arena_alloc(b->a, sizeof *s->lnx->resources);
	if (!s->lnx->resources) return spec_no_memory(b);
	s->root->path = b->in->rootfs ? b->in->rootfs : "rootfs";
	s->root->readonly = b->host->readonly_rootfs;
	s->annotations = b->host->annotations;
	return security_parse(&b->host->security_opt, b->a, &b->security, b->e);
}

int spec_make(const SpecInput *in, Arena *a, OciSpec *ret, Err *e)
{
	static int (*const steps[])(SpecBuild * b) = {
		begin,           set_names,          spec_add_namespaces, spec_add_process, spec_add_capabilities, spec_add_rlimits,
		spec_add_mounts, spec_add_resources, spec_add_devices,    spec_add_sysctls, spec_add_seccomp,      spec_add_paths,
	};
	OciSpec s = { 0 };
	SpecBuild b = { .in = in, .config = in->config, .host = in->host, .a = a, .s = &s, .e = e };
	b.new_userns = in->maps.uids.n && !in->user_ns;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r = steps[i](&b);
		if (r < 0) return r;
	}
	int r = oci_spec_check(&s, e);
	if (r < 0) return r;
	*ret = s;
	return 0;
}
