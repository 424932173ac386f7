/* spec_resources.c: limits of the control group, its place, and sysctls. Numbers were checked by config_check(). */
#include "engine/spec_impl.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { CPU_PERIOD = 100000 }; /* us: what --cpus is counted in */

static void set_memory(CgroupMemory *m, const HostConfig *h)
{
	int64_t swap = h->memory_swap; /* -1: no limit, which is what there is without one */
	if (h->memory > 0 && swap == 0 && h->memory <= INT64_MAX / 2) swap = h->memory * 2;
	if (h->memory > 0) m->limit = (OptInt){ true, h->memory };
	if (h->memory_reservation > 0) m->reservation = (OptInt){ true, h->memory_reservation };
	if (h->memory > 0 && swap > 0) m->swap = (OptInt){ true, swap };
	/* the command line's way to say nothing is -1 */
	if (h->memory_swappiness.set && h->memory_swappiness.v >= 0) m->swappiness = (OptUint){ true, (uint64_t)h->memory_swappiness.v };
	if (h->oom_kill_disable.set && h->oom_kill_disable.v) m->disable_oom_killer = h->oom_kill_disable;
}

static void set_cpu(CgroupCpu *c, const HostConfig *h)
{
	if (h->cpu_shares > 0) c->shares = (OptUint){ true, (uint64_t)h->cpu_shares };
	if (h->nano_cpus > 0) {
		c->period = (OptUint){ true, CPU_PERIOD };
		c->quota = (OptInt){ true, h->nano_cpus / (1000000000 / CPU_PERIOD) };
	}
	if (h->cpu_period > 0) c->period = (OptUint){ true, (uint64_t)h->cpu_period };
	if (h->cpu_quota) c->quota = (OptInt){ true, h->cpu_quota };
	if (h->cpu_realtime_period > 0) c->realtime_period = (OptUint){ true, (uint64_t)h->cpu_realtime_period };
	if (h->cpu_realtime_runtime) c->realtime_runtime = (OptInt){ true, h->cpu_realtime_runtime };
	if (h->cpuset_cpus && *h->cpuset_cpus) c->cpus = h->cpuset_cpus;
	if (h->cpuset_mems && *h->cpuset_mems) c->mems = h->cpuset_mems;
}

static int block_device(const char *path, CgroupBlockDevice *ret, Err *e)
{
	struct stat st;
	if (stat(path, &st) < 0) return err_sys(e, errno, "stat %s", path);
	if (!S_ISBLK(st.st_mode)) return err_set(e, ERR_CONFIG, ENOTBLK, "%s: not a block device", path);
	*ret = (CgroupBlockDevice){ .major = major(st.st_rdev), .minor = minor(st.st_rdev) };
	return 0;
}

static int throttle(SpecBuild *b, const ThrottleDeviceList *from, CgroupBlockDevices *to)
{
	if (!from->n) return 0;
	to->items = arena_array(b->a, from->n, sizeof *to->items);
	if (!to->items) return spec_no_memory(b);
	for (size_t i = 0; i < from->n; i++) {
		int r = block_device(from->items[i].path, &to->items[i], b->e);
		if (r < 0) return r;
		to->items[i].rate = (OptUint){ true, from->items[i].rate };
	}
	to->n = from->n;
	return 0;
}

static int set_block_io(SpecBuild *b, CgroupBlockIo *io)
{
	const HostConfig *h = b->host;
	int r;
	if (h->blkio_weight) io->weight = (OptUint){ true, h->blkio_weight };
	io->weight_device.items = arena_array(b->a, h->blkio_weight_device.n + 1, sizeof *io->weight_device.items);
	if (!io->weight_device.items) return spec_no_memory(b);
	for (size_t i = 0; i < h->blkio_weight_device.n; i++) {
		CgroupBlockDevice *d = &io->weight_device.items[io->weight_device.n++];
		if ((r = block_device(h->blkio_weight_device.items[i].path, d, b->e)) < 0) return r;
		d->weight = (OptUint){ true, h->blkio_weight_device.items[i].weight };
	}
	if ((r = throttle(b, &h->blkio_device_read_bps, &io->read_bps)) < 0) return r;
	if ((r = throttle(b, &h->blkio_device_write_bps, &io->write_bps)) < 0) return r;
	if ((r = throttle(b, &h->blkio_device_read_iops, &io->read_iops)) < 0) return r;
	return throttle(b, &h->blkio_device_write_iops, &io->write_iops);
}

/* Below the parent; systemd wants "slice:prefix:name". */
static int set_cgroup_path(SpecBuild *b)
{
	const char *parent = b->host->cgroup_parent && *b->host->cgroup_parent ? b->host->cgroup_parent : b->in->cgroup_parent;
	if (b->in->machine->systemd)
		b->lnx->cgroups_path = arena_printf(b->a, "%s:skep:%s", parent ? parent : "system.slice", b->in->id);
	else
		b->lnx->cgroups_path = arena_printf(b->a, "%s/%s", parent ? parent : "/skep", b->in->id);
	return b->lnx->cgroups_path ? 0 : spec_no_memory(b);
}

int spec_add_resources(SpecBuild *b)
{
	CgroupResources *r = b->lnx->resources;
	set_memory(&r->memory, b->host);
	set_cpu(&r->cpu, b->host);
	/* 0 and less: no limit, which is what there is without one */
	if (b->host->pids_limit.set && b->host->pids_limit.v > 0) r->pids_limit = b->host->pids_limit;
	int x = set_block_io(b, &r->block_io);
	return x < 0 ? x : set_cgroup_path(b);
}

/* ---- sysctls ---- */

static bool is_new_network(const SpecBuild *b)
{
	const char *mode = b->host->network_mode;
	return !mode_is(mode, "host") && !mode_is_container(mode) && !(mode && starts_with(mode, "ns:"));
}

static void add_sysctl(StrMap *m, const StrMap *asked, const char *key, const char *value)
{
	if (!str_map_get(asked, key)) m->items[m->n++] = (StrPair){ key, value };
}

/* With a network of its own a container may do in it what takes no rights elsewhere: low ports, echo requests. */
int spec_add_sysctls(SpecBuild *b)
{
	const StrMap *asked = &b->host->sysctls;
	Machine *machine = b->in->machine;
	StrMap m = { .items = arena_array(b->a, asked->n + 2, sizeof *m.items) };
	if (!m.items) return spec_no_memory(b);
	if (is_new_network(b)) {
		/* group ids of the range must be mapped */
		bool user = b->new_userns || b->in->user_ns || machine_has(machine, MACHINE_USER_NAMESPACE);
		if (!user && machine_has(machine, MACHINE_SYSCTL_PING)) add_sysctl(&m, asked, "net.ipv4.ping_group_range", "0 2147483647");
		if (machine_has(machine, MACHINE_SYSCTL_LOW_PORTS)) add_sysctl(&m, asked, "net.ipv4.ip_unprivileged_port_start", "0");
	}
	for (size_t i = 0; i < asked->n; i++)
		m.items[m.n++] = asked->items[i];
	b->lnx->sysctl = m;
	return 0;
}
