/* cgroup_v1.c: limits in the v1 hierarchies. Where the kernel wants an order between two files, the order is tried and, when
 * refused with EINVAL, the other one: that needs no reading of the present values. */
#include "sys/cgroup_impl.h"

/* ---- what must stand before a process enters ---- */

static int put_realtime(const char *dir, const CgroupCpu *c, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	bool period = c->realtime_period.set && c->realtime_period.v, runtime = c->realtime_runtime.set && c->realtime_runtime.v;
	bool again = false;
	if (period) {
		int r = cgroup_put(dir, "cpu.rt_period_us", cgroup_unsigned(n, c->realtime_period.v));
		again = r == -EINVAL && runtime;
		if (r < 0 && !again) return cgroup_write_error(dir, "cpu.rt_period_us", n, r, e);
	}
	if (runtime) {
		int r = cgroup_write(dir, "cpu.rt_runtime_us", cgroup_number(n, c->realtime_runtime.v), e);
		if (r == -EINVAL) return err_wrap(e, "real-time runtime: the group above has not as much of it to give");
		if (r < 0) return r;
	}
	return again ? cgroup_write(dir, "cpu.rt_period_us", cgroup_unsigned(n, c->realtime_period.v), e) : 0;
}

/* The first ancestor whose cpuset file is not empty: length of its path and the value. */
static int inherited(const CgroupHierarchy *h, const char *file, char *value, size_t size, size_t *ret_len)
{
	char dir[CGROUP_PATH_MAX];
	size_t n = strlen(h->path), root = strlen(h->mount);
	if (n >= sizeof dir) return -ENAMETOOLONG;
	memcpy(dir, h->path, n + 1);
	for (;;) {
		while (n > root && dir[n] != '/')
			n--;
		dir[n] = 0;
		ssize_t k = cgroup_get(dir, file, value, size);
		if (k < 0) return (int)k;
		*ret_len = n;
		if (k > 0 || n <= root) return 0;
		if (n > root) n--;
	}
}

/* Fills the empty cpuset file of every directory from below the ancestor down to the container's parent (or itself). */
static int fill_down(const CgroupHierarchy *h, const char *file, size_t from, const char *value, bool leaf, Err *e)
{
	char dir[CGROUP_PATH_MAX];
	size_t n = strlen(h->path), at = from;
	memcpy(dir, h->path, n + 1);
	while (at < n) {
		at++;
		while (at < n && h->path[at] != '/')
			at++;
		if (at == n && !leaf) return 0;
		memcpy(dir, h->path, at);
		dir[at] = 0;
		int r = cgroup_write(dir, file, value, e);
		if (r < 0) return r;
	}
	return 0;
}

static int fill_cpuset(const CgroupHierarchy *h, const char *file, const char *given, bool existed, Err *e)
{
	char value[4096];
	size_t from = 0;
	if (existed && !(given && *given) && cgroup_get(h->path, file, value, sizeof value) > 0) return 0;
	int r = inherited(h, file, value, sizeof value, &from);
	if (r < 0) return err_sys(e, r, "read %s above %s", file, h->path);
	bool own = given && *given;
	r = fill_down(h, file, from, value, !own, e);
	return r < 0 || !own ? r : cgroup_write(h->path, file, given, e);
}

static bool serves(const CgroupHierarchy *h, const Cgroup *cg, const char *controller)
{
	return cgroup_find(cg, controller) == h;
}

int cgroup_v1_create(const Cgroup *cg, const CgroupHierarchy *h, bool existed, const CgroupResources *r, Err *e)
{
	if (serves(h, cg, "cpuset")) {
		int k = fill_cpuset(h, "cpuset.cpus", r->cpu.cpus, existed, e);
		if (k >= 0) k = fill_cpuset(h, "cpuset.mems", r->cpu.mems, existed, e);
		if (k < 0) return k;
	}
	return serves(h, cg, "cpu") ? put_realtime(h->path, &r->cpu, e) : 0;
}

/* ---- memory ---- */

static int put_memory_limit(const char *dir, int64_t limit, bool *ret_again, Err *e)
{
	char n[CGROUP_NUMBER_MAX], usage[32] = "?", peak[32] = "?";
	int r = cgroup_put(dir, "memory.limit_in_bytes", cgroup_number(n, limit));
	*ret_again = r == -EINVAL;
	if (r >= 0) return 0;
	if (r != -EBUSY) return cgroup_write_error(dir, "memory.limit_in_bytes", n, r, e);
	(void)!cgroup_get(dir, "memory.usage_in_bytes", usage, sizeof usage);
	(void)!cgroup_get(dir, "memory.max_usage_in_bytes", peak, sizeof peak);
	return err_set(e, ERR_RESOURCE, EBUSY, "memory limit %s is too low: usage is %s, peak usage was %s (%s)", n, usage, peak, dir);
}

static int put_swap_limit(const char *dir, int64_t limit, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	int r = cgroup_put(dir, "memory.memsw.limit_in_bytes", cgroup_number(n, limit));
	if (r == -ENOENT && limit == -1) return 0; /* without swap accounting it is unlimited anyway */
	return r < 0 ? cgroup_write_error(dir, "memory.memsw.limit_in_bytes", n, r, e) : 0;
}

/* memory <= memory+swap must hold after each write: a raise starts with swap, a reduction with memory. */
static int put_memory_and_swap(const char *dir, const CgroupMemory *m, Err *e)
{
	int64_t limit = m->limit.set ? m->limit.v : 0, swap = m->swap.set ? m->swap.v : 0;
	bool again = false;
	if (limit == -1 && swap == 0) swap = -1; /* unlimited memory and nothing said of swap: both */
	if (swap == -1) {
		int r = put_swap_limit(dir, swap, e);
		if (r < 0) return r;
		swap = 0;
	}
	if (limit) {
		Err why = ERR_INIT;
		int r = put_memory_limit(dir, limit, &again, &why);
		if (r < 0 && !(again && swap)) {
			*e = why;
			return r;
		}
	}
	if (swap) {
		int r = put_swap_limit(dir, swap, e);
		if (r < 0) return r;
	}
	return limit && again ? put_memory_limit(dir, limit, &again, e) : 0;
}

static int apply_memory(const char *dir, const CgroupMemory *m, bool update, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	int r = put_memory_and_swap(dir, m, e);
	/* Kernel memory limits are accepted and ignored, as everybody does since Linux deprecated them. */
	if (r >= 0 && m->reservation.set && m->reservation.v)
		r = cgroup_write(dir, "memory.soft_limit_in_bytes", cgroup_number(n, m->reservation.v), e);
	if (r >= 0 && m->disable_oom_killer.set && (m->disable_oom_killer.v || update))
		r = cgroup_write(dir, "memory.oom_control", m->disable_oom_killer.v ? "1" : "0", e);
	if (r >= 0 && m->swappiness.set && m->swappiness.v != UINT64_MAX) {
		if (m->swappiness.v > 100)
			return err_set(e, ERR_CONFIG, EINVAL, "invalid memory swappiness value: %ju (valid range is 0-100)",
				       (uintmax_t)m->swappiness.v);
		r = cgroup_write(dir, "memory.swappiness", cgroup_unsigned(n, m->swappiness.v), e);
	}
	return r;
}

static bool memory_asked(const CgroupMemory *m)
{
	return (m->limit.set && m->limit.v) || (m->swap.set && m->swap.v) || (m->reservation.set && m->reservation.v) ||
	       m->swappiness.set || (m->disable_oom_killer.set && m->disable_oom_killer.v);
}

/* ---- cpu ---- */

static int put_shares(const char *dir, const CgroupCpu *c, Err *e)
{
	enum { LOWEST = 2, HIGHEST = 1 << 18 };
	char n[CGROUP_NUMBER_MAX];
	if (!c->shares.set || !c->shares.v) return 0;
	/* the kernel clamps silently; what was asked for must be what is in force */
	if (c->shares.v < LOWEST) return err_set(e, ERR_CONFIG, EINVAL, "the minimum allowed cpu-shares is %d", LOWEST);
	if (c->shares.v > HIGHEST) return err_set(e, ERR_CONFIG, EINVAL, "the maximum allowed cpu-shares is %d", HIGHEST);
	int r = cgroup_put(dir, "cpu.shares", cgroup_unsigned(n, c->shares.v));
	if (r == -EINVAL && c->idle.set && c->idle.v) return 0; /* an idle group has no shares */
	return r < 0 ? cgroup_write_error(dir, "cpu.shares", n, r, e) : 0;
}

/* Period and burst are checked against the quota in force: refused ones are tried again once the new quota stands. */
static int put_bandwidth(const char *dir, const CgroupCpu *c, Err *e)
{
	char period[CGROUP_NUMBER_MAX], burst[CGROUP_NUMBER_MAX], quota[CGROUP_NUMBER_MAX];
	bool period_again = false, burst_again = false, has_quota = c->quota.set && c->quota.v;
	int r = 0;
	if (c->period.set && c->period.v) {
		r = cgroup_put(dir, "cpu.cfs_period_us", cgroup_unsigned(period, c->period.v));
		period_again = r == -EINVAL && has_quota;
		if (r < 0 && !period_again) return cgroup_write_error(dir, "cpu.cfs_period_us", period, r, e);
	}
	if (c->burst.set) {
		r = cgroup_put(dir, "cpu.cfs_burst_us", cgroup_unsigned(burst, c->burst.v));
		burst_again = r == -EINVAL && has_quota;
		if (r < 0 && !burst_again && !(r == -ENOENT && !c->burst.v))
			return cgroup_write_error(dir, "cpu.cfs_burst_us", burst, r, e);
	}
	if (has_quota) {
		r = cgroup_write(dir, "cpu.cfs_quota_us", cgroup_number(quota, c->quota.v), e);
		if (r >= 0 && period_again) r = cgroup_write(dir, "cpu.cfs_period_us", period, e);
		if (r >= 0 && burst_again) r = cgroup_write(dir, "cpu.cfs_burst_us", burst, e);
		return r < 0 ? r : 0;
	}
	return 0;
}

static int apply_cpu(const char *dir, const CgroupCpu *c, bool update, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	bool idle = c->idle.set && c->idle.v;
	int r = 0;
	if (c->idle.set && !idle && update) r = cgroup_write(dir, "cpu.idle", "0", e);
	if (r >= 0) r = put_shares(dir, c, e);
	if (r >= 0) r = put_bandwidth(dir, c, e);
	if (r >= 0 && idle) r = cgroup_write(dir, "cpu.idle", cgroup_number(n, c->idle.v), e);
	if (r >= 0 && update) r = put_realtime(dir, c, e);
	return r;
}

static bool cpu_asked(const CgroupCpu *c)
{
	return (c->shares.set && c->shares.v) || (c->quota.set && c->quota.v) || (c->period.set && c->period.v) || c->burst.set ||
	       c->idle.set || (c->realtime_period.set && c->realtime_period.v) || (c->realtime_runtime.set && c->realtime_runtime.v);
}

static bool cpuset_asked(const CgroupCpu *c)
{
	return (c->cpus && *c->cpus) || (c->mems && *c->mems);
}

static int apply_cpuset(const char *dir, const CgroupCpu *c, Err *e)
{
	int r = c->cpus && *c->cpus ? cgroup_write(dir, "cpuset.cpus", c->cpus, e) : 0;
	if (r >= 0 && c->mems && *c->mems) r = cgroup_write(dir, "cpuset.mems", c->mems, e);
	return r;
}

/* ---- block I/O ---- */

/* The CFQ name, or BFQ's on kernels that have only that. */
static int put_blkio(const char *dir, const char *cfq, const char *bfq, const char *value, Err *e)
{
	int r = cgroup_put(dir, cfq, value);
	if (r == -ENOENT) return cgroup_write(dir, bfq, value, e);
	return r < 0 ? cgroup_write_error(dir, cfq, value, r, e) : 0;
}

static int put_weights(const char *dir, const CgroupBlockIo *b, Err *e)
{
	char n[96];
	int r = 0;
	if (b->weight.set && b->weight.v) r = put_blkio(dir, "blkio.weight", "blkio.bfq.weight", cgroup_unsigned(n, b->weight.v), e);
	if (r >= 0 && b->leaf_weight.set && b->leaf_weight.v)
		r = cgroup_write(dir, "blkio.leaf_weight", cgroup_unsigned(n, b->leaf_weight.v), e);
	for (size_t i = 0; i < b->weight_device.n && r >= 0; i++) {
		const CgroupBlockDevice *d = &b->weight_device.items[i];
		if (d->weight.set && d->weight.v) {
			snprintf(n, sizeof n, "%jd:%jd %ju", (intmax_t)d->major, (intmax_t)d->minor, (uintmax_t)d->weight.v);
			r = put_blkio(dir, "blkio.weight_device", "blkio.bfq.weight_device", n, e);
		}
		if (r >= 0 && d->leaf_weight.set && d->leaf_weight.v) {
			snprintf(n, sizeof n, "%jd:%jd %ju", (intmax_t)d->major, (intmax_t)d->minor, (uintmax_t)d->leaf_weight.v);
			r = cgroup_write(dir, "blkio.leaf_weight_device", n, e);
		}
	}
	return r;
}

static int put_throttle(const char *dir, const char *file, const CgroupBlockDevices *list, Err *e)
{
	char n[96];
	for (size_t i = 0; i < list->n; i++) {
		const CgroupBlockDevice *d = &list->items[i];
		snprintf(n, sizeof n, "%jd:%jd %ju", (intmax_t)d->major, (intmax_t)d->minor, (uintmax_t)(d->rate.set ? d->rate.v : 0));
		int r = cgroup_write(dir, file, n, e);
		if (r < 0) return r;
	}
	return 0;
}

static int apply_blkio(const char *dir, const CgroupBlockIo *b, Err *e)
{
	int r = put_weights(dir, b, e);
	if (r >= 0) r = put_throttle(dir, "blkio.throttle.read_bps_device", &b->read_bps, e);
	if (r >= 0) r = put_throttle(dir, "blkio.throttle.write_bps_device", &b->write_bps, e);
	if (r >= 0) r = put_throttle(dir, "blkio.throttle.read_iops_device", &b->read_iops, e);
	if (r >= 0) r = put_throttle(dir, "blkio.throttle.write_iops_device", &b->write_iops, e);
	return r;
}

static bool blkio_asked(const CgroupBlockIo *b)
{
	return (b->weight.set && b->weight.v) || (b->leaf_weight.set && b->leaf_weight.v) || b->weight_device.n || b->read_bps.n ||
	       b->write_bps.n || b->read_iops.n || b->write_iops.n;
}

/* ---- the small ones ---- */

static int apply_hugepages(const char *dir, const CgroupResources *r, Err *e)
{
	char name[64], n[CGROUP_NUMBER_MAX];
	for (size_t i = 0; i < r->hugepages.n; i++) {
		const CgroupHugepage *h = &r->hugepages.items[i];
		cgroup_unsigned(n, h->limit);
		int k = cgroup_hugepage_file(h, ".limit_in_bytes", name, e);
		if (k >= 0) k = cgroup_write(dir, name, n, e);
		if (k >= 0) k = cgroup_hugepage_file(h, ".rsvd.limit_in_bytes", name, e);
		if (k < 0) return k;
		k = cgroup_put(dir, name, n);
		if (k < 0 && k != -ENOENT) return cgroup_write_error(dir, name, n, k, e);
	}
	return 0;
}

static int apply_priorities(const char *dir, const CgroupResources *r, Err *e)
{
	char line[128];
	for (size_t i = 0; i < r->net_priorities.n; i++) {
		snprintf(line, sizeof line, "%s %u", r->net_priorities.items[i].name, r->net_priorities.items[i].priority);
		int k = cgroup_write(dir, "net_prio.ifpriomap", line, e);
		if (k < 0) return k;
	}
	return 0;
}

static int missing(const char *controller, Err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOENT, "cannot set %s limit: container could not join or create cgroup", controller);
}

static int apply_small(const Cgroup *cg, const CgroupResources *r, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	int k = 0;
	const char *dir = cgroup_path_v1(cg, "pids");
	if (r->pids_limit.set) k = dir ? cgroup_write(dir, "pids.max", cgroup_pids_limit(n, r->pids_limit.v), e) : missing("pids", e);
	dir = cgroup_path_v1(cg, "hugetlb");
	if (k >= 0 && r->hugepages.n && dir) k = apply_hugepages(dir, r, e);
	dir = cgroup_path_v1(cg, "net_cls");
	if (k >= 0 && r->net_class_id.set && r->net_class_id.v)
		k = dir ? cgroup_write(dir, "net_cls.classid", cgroup_unsigned(n, r->net_class_id.v), e) : missing("net_cls", e);
	dir = cgroup_path_v1(cg, "net_prio");
	if (k >= 0 && r->net_priorities.n) k = dir ? apply_priorities(dir, r, e) : missing("net_prio", e);
	dir = cgroup_path_v1(cg, "rdma");
	if (k >= 0 && r->rdma.n && dir) k = cgroup_rdma_apply(dir, r, e);
	return k;
}

static int apply_devices(const Cgroup *cg, const CgroupResources *r, bool update, Err *e)
{
	Err why = ERR_INIT;
	if (!r->devices.n) return 0;
	const char *dir = cgroup_path_v1(cg, "devices");
	int k = dir ? cgroup_device_v1(dir, r, update, &why) : missing("devices", &why);
	if (k >= 0 || cg->rootless) return 0; /* no unprivileged user can change device rules: nobody expects them to hold */
	*e = why;
	return k;
}

int cgroup_v1_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e)
{
	int k = 0;
	const char *dir = cgroup_path_v1(cg, "cpuset");
	if (cpuset_asked(&r->cpu) && (update || !dir)) k = dir ? apply_cpuset(dir, &r->cpu, e) : missing("cpuset", e);
	if (k >= 0) k = apply_devices(cg, r, update, e);
	dir = cgroup_path_v1(cg, "memory");
	if (k >= 0 && (dir || memory_asked(&r->memory))) k = dir ? apply_memory(dir, &r->memory, update, e) : missing("memory", e);
	dir = cgroup_path_v1(cg, "cpu");
	if (k >= 0 && cpu_asked(&r->cpu)) k = dir ? apply_cpu(dir, &r->cpu, update, e) : missing("cpu", e);
	dir = cgroup_path_v1(cg, "blkio");
	if (k >= 0 && blkio_asked(&r->block_io)) k = dir ? apply_blkio(dir, &r->block_io, e) : missing("blkio", e);
	return k < 0 ? k : apply_small(cg, r, e);
}
