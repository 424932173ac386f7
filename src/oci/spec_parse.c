/* spec_parse.c: reading and checking configurations, see spec.h. */
#include <sched.h>

#include "oci/spec.h"

static int invalid(Err *e, const char *path, const char *why)
{
	return err_set(e, ERR_CONFIG, EINVAL, "config.json: %s: %s", path, why);
}

const OciNamespace *oci_namespace(const OciSpec *s, int type)
{
	for (size_t i = 0; i < s->lnx->namespaces.n; i++)
		if (s->lnx->namespaces.items[i].type == type) return &s->lnx->namespaces.items[i];
	return NULL;
}

bool oci_is_new(const OciSpec *s, int type)
{
	const OciNamespace *ns = oci_namespace(s, type);
	return ns && (!ns->path || !*ns->path);
}

static int check_version(const OciSpec *s, Err *e)
{
	Str rest = str_of(s->version), major, minor, patch = { 0 }, head;
	uint32_t v[3];
	bool dots = str_cut(rest, '.', &major, &rest) && str_cut(rest, '.', &minor, &patch);
	str_cut(patch, '-', &head, &patch);
	str_cut(head, '+', &head, &patch);
	if (!dots || str_to_u32(major, &v[0]) < 0 || str_to_u32(minor, &v[1]) < 0 || str_to_u32(head, &v[2]) < 0)
		return invalid(e, "ociVersion", "expected a version such as \"" OCI_VERSION "\"");
	if (v[0] != 1)
		return err_set(e, ERR_UNSUPPORTED, EINVAL, "config.json: ociVersion: %s is not supported, 1.0.0 to " OCI_VERSION " are",
			       s->version);
	return 0;
}

int oci_process_check(const OciProcess *p, Err *e)
{
	int r;
	if (p->command_line || p->user.username) return invalid(e, "process", "commandLine and user.username are for Windows");
	if (!p->cwd || p->cwd[0] != '/') return invalid(e, "process.cwd", "must be an absolute path");
	if (!p->args.n) return invalid(e, "process.args", "must not be empty");
	/* to the kernel it means "leave as it is": root */
	if (p->user.uid == UINT32_MAX) return invalid(e, "process.user.uid", "4294967295 is no id");
	if (p->user.gid == UINT32_MAX) return invalid(e, "process.user.gid", "4294967295 is no id");
	for (size_t i = 0; i < p->user.additional_gids.n; i++)
		if (p->user.additional_gids.items[i] == UINT32_MAX) return invalid(e, "process.user.additionalGids", "4294967295 is no id");
	for (size_t i = 0; i < p->env.n; i++)
		if (p->env.items[i][0] == '=' || !strchr(p->env.items[i], '='))
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: process.env[%zu]: expected NAME=value, got \"%.64s\"", i,
				       p->env.items[i]);
	if ((r = rlimit_check(&p->rlimits, e)) < 0) return err_wrap(e, "config.json");
	if (p->scheduler && (r = sched_check(p->scheduler, e)) < 0) return err_wrap(e, "config.json: process.scheduler");
	if (p->io_priority && (r = ioprio_check(p->io_priority, e)) < 0) return err_wrap(e, "config.json: process.ioPriority");
	if (p->exec_cpu_affinity && (r = cpu_affinity_check(p->exec_cpu_affinity, e)) < 0)
		return err_wrap(e, "config.json: process.execCPUAffinity");
	return 0;
}

static int check_clocks(const OciSpec *s, Err *e)
{
	for (size_t i = 0; i < s->lnx->time_offsets.n; i++) {
		const char *clock = s->lnx->time_offsets.items[i].clock;
		if (!streq(clock, "monotonic") && !streq(clock, "boottime"))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "config.json: linux.timeOffsets: unknown clock \"%.64s\"; allowed: \"monotonic\", \"boottime\"",
				       clock);
	}
	return 0;
}

/* The longest name that the kernel keeps: __NEW_UTS_LEN. */
enum { UTS_NAME_MAX = 64 };

static int check_names(const OciSpec *s, Err *e)
{
	if (s->hostname && strlen(s->hostname) > UTS_NAME_MAX) return invalid(e, "hostname", "at most 64 bytes are allowed");
	if (s->domainname && strlen(s->domainname) > UTS_NAME_MAX) return invalid(e, "domainname", "at most 64 bytes are allowed");
	return 0;
}

static int check_absolute(const StrList *l, const char *where, Err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i][0] != '/')
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: %s[%zu]: must be an absolute path, got \"%.128s\"", where, i,
				       l->items[i]);
	return 0;
}

static int check_namespaces(const OciSpec *s, Err *e)
{
	int seen = 0;
	for (size_t i = 0; i < s->lnx->namespaces.n; i++) {
		const OciNamespace *ns = &s->lnx->namespaces.items[i];
		if (ns->path && *ns->path && *ns->path != '/')
			return err_set(e, ERR_CONFIG, EINVAL,
				       "config.json: linux.namespaces[%zu].path: must be an absolute path, got \"%.128s\"", i, ns->path);
		if (seen & ns->type)
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.namespaces[%zu]: a second namespace of type %s", i,
				       bind_name(oci_namespace_names, ns->type));
		seen |= ns->type;
	}
	if (s->hostname && *s->hostname && !(seen & CLONE_NEWUTS))
		return invalid(e, "hostname", "unable to set hostname without a private UTS namespace");
	if (s->domainname && *s->domainname && !(seen & CLONE_NEWUTS))
		return invalid(e, "domainname", "unable to set domainname without a private UTS namespace");
	if ((s->lnx->uid_mappings.n || s->lnx->gid_mappings.n) && !(seen & CLONE_NEWUSER))
		return invalid(e, "linux.uidMappings", "needs a namespace of type user");
	if (oci_is_new(s, CLONE_NEWUSER) && (!s->lnx->uid_mappings.n || !s->lnx->gid_mappings.n))
		return invalid(e, "linux.uidMappings", "a new user namespace needs uidMappings and gidMappings");
	if (s->lnx->time_offsets.n && !oci_is_new(s, CLONE_NEWTIME))
		return invalid(e, "linux.timeOffsets", "needs a new namespace of type time");
	if (s->lnx->net_devices.n && !(seen & CLONE_NEWNET)) return invalid(e, "linux.netDevices", "needs a namespace of type network");
	if (!(seen & CLONE_NEWNS) && (s->lnx->masked_paths.n || s->lnx->readonly_paths.n))
		return invalid(e, "linux.maskedPaths", "unable to restrict sys entries without a private MNT namespace");
	return 0;
}

/* The dotted form of a sysctl's name. Either separator may be the path's; the first one seen decides
 * (net/ipv4/conf/eno2.100/x against net.ipv4.ip_forward). */
static int sysctl_name(const char *key, char name[static 256], Err *e)
{
	size_t n = strlen(key);
	if (!n || n >= 256) return invalid(e, "linux.sysctl", "empty or too long a name");
	bool slashes = strcspn(key, "/") < strcspn(key, ".");
	bool ok = true;
	for (size_t i = 0; i < n; i++) {
		char c = key[i];
		ok = ok && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-./:", c));
		name[i] = slashes && c == '/' ? '.' : slashes && c == '.' ? '/' : c;
	}
	name[n] = 0;
	/* an empty part; and "//", which is ".." once the separators are those of a path ("net/../kernel/x") */
	if (!ok || strstr(name, "..") || strstr(name, "//"))
		return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.sysctl: \"%.64s\" is not a sysctl's name", key);
	return 0;
}

/* Sysctls are namespaced or they are the host's: the namespace (CLONE_NEW*) of the kernel's namespaced ones, else 0. */
static int sysctl_namespace(const char *name)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
					   "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced" };
	for (size_t i = 0; i < ARRAY_LEN(ipc); i++)
		if (streq(name, ipc[i])) return CLONE_NEWIPC;
	if (starts_with(name, "fs.mqueue.")) return CLONE_NEWIPC;
	if (starts_with(name, "net.")) return CLONE_NEWNET;
	if (starts_with(name, "user.")) return CLONE_NEWUSER;
	return streq(name, "kernel.domainname") ? CLONE_NEWUTS : 0;
}

static int check_sysctl(const OciSpec *s, const StrPair *p, Err *e)
{
	char name[256];
	int r = sysctl_name(p->key, name, e);
	if (r < 0) return r;
	if (strchr(p->value, '\n'))
		return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.sysctl: the value of %s has a line break", name);
	if (streq(name, "kernel.hostname"))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "config.json: linux.sysctl: sysctl \"%s\" conflicts with the field hostname: set that", name);
	int need = sysctl_namespace(name);
	if (!need)
		return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.sysctl: sysctl \"%s\" is not in a separate kernel namespace",
			       name);
	if (!oci_namespace(s, need))
		return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.sysctl: sysctl \"%s\" is not allowed in the host's %s namespace",
			       name, bind_name(oci_namespace_names, need));
	return 0;
}

static int check_mounts(const OciSpec *s, Err *e)
{
	int r;
	for (size_t i = 0; i < s->mounts.n; i++) {
		const OciMount *m = &s->mounts.items[i];
		char path[64];
		snprintf(path, sizeof path, "mounts[%zu].uidMappings", i);
		if ((r = idmap_check(&m->uid_mappings, path, e)) < 0 || (r = idmap_check(&m->gid_mappings, path, e)) < 0)
			return err_wrap(e, "config.json");
		if (!m->uid_mappings.n != !m->gid_mappings.n) return invalid(e, path, "uidMappings and gidMappings must be given together");
	}
	return 0;
}

static int check_hooks(const OciSpec *s, Err *e)
{
	static const char *const names[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };
	const OciHookList *lists = &s->hooks.prestart;
	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		for (size_t i = 0; i < lists[k].n; i++)
			if (lists[k].items[i].path[0] != '/')
				return err_set(e, ERR_CONFIG, EINVAL,
					       "config.json: hooks.%s[%zu].path: must be an absolute path, got \"%.128s\"", names[k], i,
					       lists[k].items[i].path);
	return 0;
}

static int check_devices(const OciSpec *s, Err *e)
{
	for (size_t i = 0; i < s->lnx->devices.n; i++) {
		const OciDevice *d = &s->lnx->devices.items[i];
		if (strlen(d->type) != 1 || !strchr("bcup", d->type[0]))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "config.json: linux.devices[%zu].type: unknown value \"%.16s\"; allowed: \"b\", \"c\", \"u\", \"p\"",
				       i, d->type);
		if (d->path[0] != '/')
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.devices[%zu].path: must be an absolute path", i);
		if (d->type[0] != 'p' && (!d->major.set || !d->minor.set))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "config.json: linux.devices[%zu]: major and minor are required for type \"%s\"", i, d->type);
	}
	return 0;
}

static int check_seccomp(const SeccompProfile *p, Err *e)
{
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *r = &p->syscalls.items[i];
		if (r->action != SECCOMP_NOTIFY) continue;
		for (size_t k = 0; k < r->names.n; k++)
			if (streq(r->names.items[k], "write"))
				return invalid(e, "linux.seccomp", "SCMP_ACT_NOTIFY cannot be used for the write syscall");
	}
	if (p->default_action == SECCOMP_NOTIFY)
		return invalid(e, "linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY cannot be the default action");
	return 0;
}

static int check_linux(const OciSpec *s, Err *e)
{
	int r;
	if ((r = idmap_check(&s->lnx->uid_mappings, "linux.uidMappings", e)) < 0 ||
	    (r = idmap_check(&s->lnx->gid_mappings, "linux.gidMappings", e)) < 0)
		return err_wrap(e, "config.json");
	if ((r = check_namespaces(s, e)) < 0) return r;
	if ((r = check_names(s, e)) < 0 || (r = check_clocks(s, e)) < 0) return r;
	if ((r = check_absolute(&s->lnx->masked_paths, "linux.maskedPaths", e)) < 0) return r;
	if ((r = check_absolute(&s->lnx->readonly_paths, "linux.readonlyPaths", e)) < 0) return r;
	if ((r = oci_resources_check(s->lnx->resources, "config.json: linux.resources.", e)) < 0) return r;
	for (size_t i = 0; i < s->lnx->sysctl.n; i++)
		if ((r = check_sysctl(s, &s->lnx->sysctl.items[i], e)) < 0) return r;
	if ((r = check_devices(s, e)) < 0) return r;
	if ((r = netdev_check(&s->lnx->net_devices, e)) < 0) return err_wrap(e, "config.json: linux.netDevices");
	/* that the container's id can name a group is for rdt_check to say again, when there is one */
	if (s->lnx->intel_rdt && (r = rdt_check(s->lnx->intel_rdt, "id", e)) < 0) return err_wrap(e, "config.json: linux.intelRdt");
	if (s->lnx->memory_policy && (r = memory_policy_check(s->lnx->memory_policy, e)) < 0)
		return err_wrap(e, "config.json: linux.memoryPolicy");
	if (s->lnx->seccomp && (r = check_seccomp(s->lnx->seccomp, e)) < 0) return r;
	return 0;
}

int oci_spec_check(const OciSpec *s, Err *e)
{
	int r;
	if ((r = check_version(s, e)) < 0) return r;
	if (!s->root) return invalid(e, "root", "required, but missing");
	if (s->process && (r = oci_process_check(s->process, e)) < 0) return r;
	if ((r = check_mounts(s, e)) < 0) return r;
	if ((r = check_hooks(s, e)) < 0) return r;
	return check_linux(s, e);
}

int oci_spec_parse(char *text, size_t n, Arena *a, OciSpec *ret, Err *e)
{
	int r = bind_parse(&oci_spec_table, text, n, ret, "config.json", a, e);
	if (r < 0) return r;
	if (!ret->lnx) {
		ret->lnx = arena_alloc(a, sizeof *ret->lnx);
		if (!ret->lnx) return err_sys(e, ENOMEM, "config.json");
	}
	if (!ret->lnx->resources) {
		ret->lnx->resources = arena_alloc(a, sizeof *ret->lnx->resources);
		if (!ret->lnx->resources) return err_sys(e, ENOMEM, "config.json");
	}
	return oci_spec_check(ret, e);
}

int oci_process_parse(char *text, size_t n, Arena *a, OciProcess *ret, Err *e)
{
	int r = bind_parse(&oci_process_table, text, n, ret, "process.json", a, e);
	return r < 0 ? r : oci_process_check(ret, e);
}

int oci_resources_parse(char *text, size_t n, Arena *a, CgroupResources *ret, Err *e)
{
	int r = bind_parse(&oci_resources_table, text, n, ret, "resources", a, e);
	return r < 0 ? r : oci_resources_check(ret, "resources: ", e);
}
