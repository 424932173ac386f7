/* cgroup_v2.c: limits in the unified hierarchy, with the conversions from the v1 terms of the specification. */
#include "sys/cgroup_impl.h"

enum { CONTROLLERS_MAX = 1024 };

/* ---- conversions ---- */

/* log2 to about 2^-45, by squaring: the static program needs no libm for this one number. */
static double log2_of(uint64_t v)
{
	int whole = 63 - __builtin_clzll(v);
	double x = (double)v / (double)(UINT64_C(1) << whole), result = whole, bit = 1;
	for (int i = 0; i < 45; i++) {
		bit /= 2;
		x *= x;
		if (x >= 2) {
			x /= 2;
			result += bit;
		}
	}
	return result;
}

/* runc 1.3.2 and later, crun 1.23 and later: the weight is the least whole number that is not below
 *	10 ^ ((l * l + 125 * l) / 612 - 7 / 34),  l = log2(shares)
 * which takes 2 to 1, 1024 to 100 and 262144 to 10000. The old linear formula gave 1024 a weight of 39. The comparison is
 * made between logarithms; exact powers of ten are met within the rounding. */
uint64_t cgroup_weight_from_shares(uint64_t shares)
{
	enum { SHARES_LOW = 2, SHARES_HIGH = 1 << 18, WEIGHT_HIGH = 10000 };
	const double log2_10 = 3.321928094887362, rounding = 1e-9;
	if (shares == 0) return 0;
	if (shares <= SHARES_LOW) return 1;
	if (shares >= SHARES_HIGH) return WEIGHT_HIGH;
	double l = log2_of(shares), want = ((l * l + 125 * l) / 612 - 7.0 / 34.0) * log2_10;
	uint64_t low = 1, high = WEIGHT_HIGH;
	while (low < high) {
		uint64_t mid = (low + high) / 2;
		if (log2_of(mid) + rounding >= want)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* 10 to 1000 (CFQ, BFQ) onto 1 to 10000 (io.weight), linearly. */
uint64_t cgroup_io_weight(uint64_t blkio_weight)
{
	if (blkio_weight == 0) return 0;
	return blkio_weight < 10 ? 1 : 1 + (blkio_weight - 10) * 9999 / 990;
}

int cgroup_swap_from_total(const CgroupMemory *m, bool *ret_set, int64_t *ret, Err *e)
{
	int64_t memory = m->limit.set ? m->limit.v : 0, total = m->swap.set ? m->swap.v : 0;
	*ret_set = true;
	*ret = -1;
	if (total == -1 || (memory == -1 && total == 0)) return 0; /* unlimited memory takes swap along, as on v1 */
	if (total == 0) {
		*ret_set = false;
		return 0;
	}
	*ret = total;
	if (memory == -1) return 0;
	if (memory == 0) return err_set(e, ERR_CONFIG, EINVAL, "unable to set swap limit without memory limit");
	if (memory < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid memory value: %jd", (intmax_t)memory);
	if (total < memory) return err_set(e, ERR_CONFIG, EINVAL, "memory+swap limit should be >= memory limit");
	*ret = total - memory;
	return 0;
}

static const char *limit_text(char to[static CGROUP_NUMBER_MAX], int64_t v)
{
	return v == -1 ? "max" : cgroup_number(to, v);
}

/* ---- enabling controllers on the way down ---- */

static bool words_have(const char *list, Str word)
{
	Str rest = str_of(list), piece;
	while (str_next(&rest, ' ', &piece))
		if (piece.n == word.n && memcmp(piece.p, word.p, word.n) == 0) return true;
	return false;
}

/* "+a +b" for all; and each alone when that is refused: one that cannot be enabled must not keep the others away. What is
 * missing in the end shows when its limit is written. */
static void enable_in(const char *dir, const char *available)
{
	AUTO_BUF all = BUF_INIT(CONTROLLERS_MAX * 2);
	Str rest = str_of(available), word;
	while (str_next(&rest, ' ', &word))
		if (word.n) buf_printf(&all, "%s+%.*s", all.n ? " " : "", (int)word.n, word.p);
	if (!all.n || cgroup_put(dir, "cgroup.subtree_control", buf_str(&all)) >= 0) return;
	rest = str_of(buf_str(&all));
	while (str_next(&rest, ' ', &word)) {
		char one[CONTROLLERS_MAX];
		snprintf(one, sizeof one, "%.*s", (int)word.n, word.p);
		(void)!cgroup_put(dir, "cgroup.subtree_control", one);
	}
}

/* Controllers that cannot work in a threaded group. */
static bool wants_domain(const CgroupResources *r)
{
	const CgroupMemory *m = &r->memory;
	const CgroupCpu *c = &r->cpu;
	const CgroupBlockIo *b = &r->block_io;
	return m->limit.set || m->swap.set || m->reservation.set || c->shares.set || c->quota.set || c->period.set || c->idle.set ||
	       c->burst.set || b->weight.set || b->weight_device.n || b->read_bps.n || b->write_bps.n || b->read_iops.n ||
	       b->write_iops.n || r->hugepages.n;
}

static int check_type(const char *dir, const CgroupResources *r, Err *e)
{
	char type[64];
	if (cgroup_get(dir, "cgroup.type", type, sizeof type) < 0 || streq(type, "domain")) return 0;
	if (wants_domain(r)) {
		return err_set(e, ERR_STATE, EOPNOTSUPP, "cannot enter cgroupv2 \"%s\" with domain controllers -- it is in %s", dir,
			       streq(type, "domain invalid") ? "an invalid state" : "threaded mode");
	}
	/* the group above has processes of its own: only a threaded group can be entered there */
	if (streq(type, "domain invalid")) (void)!cgroup_put(dir, "cgroup.type", "threaded");
	return 0;
}

int cgroup_v2_enable(const CgroupHierarchy *h, const CgroupResources *r, Err *e)
{
	char available[CONTROLLERS_MAX], present[CONTROLLERS_MAX], dir[CGROUP_PATH_MAX];
	if (cgroup_get(h->mount, "cgroup.controllers", available, sizeof available) < 0) return 0;
	if (cgroup_get(h->path, "cgroup.controllers", present, sizeof present) >= 0 && streq(available, present)) return 0;
	size_t n = strlen(h->path), at = strlen(h->mount);
	if (n >= sizeof dir) return err_sys(e, ENAMETOOLONG, "%s", h->path);
	for (;;) {
		memcpy(dir, h->path, at);
		dir[at] = 0;
		if (at > strlen(h->mount)) {
			int k = check_type(dir, r, e);
			if (k < 0) return k;
		}
		if (at == n) return 0;
		enable_in(dir, available);
		at++;
		while (at < n && h->path[at] != '/')
			at++;
	}
}

/* ---- memory ---- */

static int check_usage(const char *dir, const CgroupMemory *m, Err *e)
{
	uint64_t usage;
	if (!m->check_before_update.set || !m->check_before_update.v || cgroup_get_u64(dir, "memory.current", &usage) < 0) return 0;
	if (m->swap.set && m->swap.v > 0 && (uint64_t)m->swap.v <= usage)
		return err_set(e, ERR_RESOURCE, EBUSY, "rejecting memory+swap limit %jd <= usage %ju", (intmax_t)m->swap.v,
			       (uintmax_t)usage);
	if (m->limit.set && m->limit.v > 0 && (uint64_t)m->limit.v <= usage)
		return err_set(e, ERR_RESOURCE, EBUSY, "rejecting memory limit %jd <= usage %ju", (intmax_t)m->limit.v, (uintmax_t)usage);
	return 0;
}

static int put_swap(const char *dir, const CgroupMemory *m, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	bool set = false;
	int64_t swap = 0;
	int r = cgroup_swap_from_total(m, &set, &swap, e);
	if (r < 0 || !set) return r;
	const char *text = limit_text(n, swap);
	r = cgroup_put(dir, "memory.swap.max", text);
	if (r == -ENOENT && (swap == -1 || swap == 0)) return 0; /* no swap accounting: nothing to limit */
	return r < 0 ? cgroup_write_error(dir, "memory.swap.max", text, r, e) : 0;
}

static int apply_memory(const char *dir, const CgroupMemory *m, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	bool limit = m->limit.set && m->limit.v, reservation = m->reservation.set && m->reservation.v;
	if (!limit && !reservation && !(m->swap.set && m->swap.v)) return 0;
	int r = check_usage(dir, m, e);
	if (r >= 0) r = put_swap(dir, m, e);
	if (r >= 0 && limit) r = cgroup_write(dir, "memory.max", limit_text(n, m->limit.v), e);
	if (r >= 0 && reservation) r = cgroup_write(dir, "memory.low", limit_text(n, m->reservation.v), e);
	return r;
}

/* ---- cpu ---- */

/* cpu.max holds both: what is not given keeps its present value on update. */
static void bandwidth_text(const char *dir, const CgroupCpu *c, bool update, char to[static 64])
{
	char now[64] = "", quota[CGROUP_NUMBER_MAX], period[CGROUP_NUMBER_MAX];
	bool has_quota = c->quota.set && c->quota.v, has_period = c->period.set && c->period.v;
	Str q = STR("max"), p = STR("100000");
	if (update && !(has_quota && has_period) && cgroup_get(dir, "cpu.max", now, sizeof now) > 0)
		(void)str_cut(str_of(now), ' ', &q, &p);
	if (has_quota) q = str_of(c->quota.v > 0 ? cgroup_number(quota, c->quota.v) : "max");
	if (has_period) p = str_of(cgroup_unsigned(period, c->period.v));
	snprintf(to, 64, "%.*s %.*s", (int)q.n, q.p, (int)p.n, p.p);
}

static int put_bandwidth(const char *dir, const CgroupCpu *c, bool update, Err *e)
{
	char burst[CGROUP_NUMBER_MAX], max[64];
	bool bandwidth = (c->quota.set && c->quota.v) || (c->period.set && c->period.v), again = false;
	int r = 0;
	if (c->burst.set) { /* checked against the quota in force: perhaps only possible after the new one */
		r = cgroup_put(dir, "cpu.max.burst", cgroup_unsigned(burst, c->burst.v));
		again = r == -EINVAL && bandwidth;
		if (r < 0 && !again) return cgroup_write_error(dir, "cpu.max.burst", burst, r, e);
	}
	if (!bandwidth) return 0;
	bandwidth_text(dir, c, update, max);
	r = cgroup_write(dir, "cpu.max", max, e);
	return r >= 0 && again ? cgroup_write(dir, "cpu.max.burst", burst, e) : r;
}

static int apply_cpu(const char *dir, const CgroupCpu *c, bool update, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	bool idle = c->idle.set && c->idle.v;
	int r = 0;
	if ((c->realtime_period.set && c->realtime_period.v) || (c->realtime_runtime.set && c->realtime_runtime.v))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "realtime CPU limits are not supported on cgroup v2");
	if (c->idle.set && !idle) r = cgroup_write(dir, "cpu.idle", "0", e);
	if (r >= 0 && c->shares.set && c->shares.v) {
		r = cgroup_put(dir, "cpu.weight", cgroup_unsigned(n, cgroup_weight_from_shares(c->shares.v)));
		if (r == -EINVAL && idle) r = 0; /* an idle group has no weight */
		if (r < 0) return cgroup_write_error(dir, "cpu.weight", n, r, e);
	}
	if (r >= 0) r = put_bandwidth(dir, c, update, e);
	if (r >= 0 && idle) r = cgroup_write(dir, "cpu.idle", cgroup_number(n, c->idle.v), e);
	if (r >= 0 && c->cpus && *c->cpus) r = cgroup_write(dir, "cpuset.cpus", c->cpus, e);
	if (r >= 0 && c->mems && *c->mems) r = cgroup_write(dir, "cpuset.mems", c->mems, e);
	return r;
}

/* ---- block I/O ---- */

static int put_device_weights(const char *dir, const CgroupBlockDevices *list, bool bfq, Err *e)
{
	char line[96];
	for (size_t i = 0; i < list->n; i++) {
		const CgroupBlockDevice *d = &list->items[i];
		if (!d->weight.set || !d->weight.v) continue;
		uint64_t weight = bfq ? d->weight.v : cgroup_io_weight(d->weight.v);
		snprintf(line, sizeof line, "%jd:%jd %ju", (intmax_t)d->major, (intmax_t)d->minor, (uintmax_t)weight);
		int r = cgroup_write(dir, bfq ? "io.bfq.weight" : "io.weight", line, e);
		if (r < 0) return r;
	}
	return 0;
}

static int put_weights(const char *dir, const CgroupBlockIo *b, Err *e)
{
	char n[CGROUP_NUMBER_MAX], text[64];
	bool weight = b->weight.set && b->weight.v;
	if (!weight && !b->weight_device.n) return 0;
	bool bfq = cgroup_get(dir, "io.bfq.weight", text, sizeof text) >= 0;
	if (weight) {
		uint64_t v = bfq ? b->weight.v : cgroup_io_weight(b->weight.v);
		int r = cgroup_write(dir, bfq ? "io.bfq.weight" : "io.weight", cgroup_unsigned(n, v), e);
		if (r < 0) return r;
	}
	return put_device_weights(dir, &b->weight_device, bfq, e);
}

static int put_throttle(const char *dir, const char *key, const CgroupBlockDevices *list, Err *e)
{
	char line[96], n[CGROUP_NUMBER_MAX];
	for (size_t i = 0; i < list->n; i++) {
		const CgroupBlockDevice *d = &list->items[i];
		bool limit = d->rate.set && d->rate.v; /* 0 lifts the limit, as on v1 */
		snprintf(line, sizeof line, "%jd:%jd %s=%s", (intmax_t)d->major, (intmax_t)d->minor, key,
			 limit ? cgroup_unsigned(n, d->rate.v) : "max");
		int r = cgroup_write(dir, "io.max", line, e);
		if (r < 0) return r;
	}
	return 0;
}

static int apply_io(const char *dir, const CgroupBlockIo *b, Err *e)
{
	int r = put_weights(dir, b, e);
	if (r >= 0) r = put_throttle(dir, "rbps", &b->read_bps, e);
	if (r >= 0) r = put_throttle(dir, "wbps", &b->write_bps, e);
	if (r >= 0) r = put_throttle(dir, "riops", &b->read_iops, e);
	if (r >= 0) r = put_throttle(dir, "wiops", &b->write_iops, e);
	return r;
}

/* ---- the small ones ---- */

int cgroup_hugepage_file(const CgroupHugepage *h, const char *suffix, char to[static 64], Err *e)
{
	/* the size becomes part of a file name */
	size_t digits = h->page_size ? strspn(h->page_size, "0123456789") : 0;
	const char *unit = h->page_size ? h->page_size + digits : "";
	bool good = digits && digits <= 10 && (streq(unit, "KB") || streq(unit, "MB") || streq(unit, "GB"));
	if (!good)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid huge page size \"%.32s\" (expected 64KB, 2MB, 1GB, …)",
			       h->page_size ? h->page_size : "");
	snprintf(to, 64, "hugetlb.%s%s", h->page_size, suffix);
	return 0;
}

static int apply_hugepages(const char *dir, const CgroupResources *r, Err *e)
{
	char name[64], n[CGROUP_NUMBER_MAX];
	for (size_t i = 0; i < r->hugepages.n; i++) {
		const CgroupHugepage *h = &r->hugepages.items[i];
		cgroup_unsigned(n, h->limit);
		int k = cgroup_hugepage_file(h, ".max", name, e);
		if (k >= 0) k = cgroup_write(dir, name, n, e);
		if (k >= 0) k = cgroup_hugepage_file(h, ".rsvd.max", name, e);
		if (k < 0) return k;
		k = cgroup_put(dir, name, n);
		if (k < 0 && k != -ENOENT) return cgroup_write_error(dir, name, n, k, e);
	}
	return 0;
}

int cgroup_rdma_apply(const char *dir, const CgroupResources *r, Err *e)
{
	for (size_t i = 0; i < r->rdma.n; i++) {
		const CgroupRdma *d = &r->rdma.items[i];
		AUTO_BUF line = BUF_INIT(512);
		buf_puts(&line, d->device);
		if (d->hca_handles.set) buf_printf(&line, " hca_handle=%ju", (uintmax_t)d->hca_handles.v);
		if (d->hca_objects.set) buf_printf(&line, " hca_object=%ju", (uintmax_t)d->hca_objects.v);
		int k = cgroup_write(dir, "rdma.max", buf_str(&line), e);
		if (k < 0) return k;
	}
	return 0;
}

/* ---- unified ---- */

int cgroup_unified_check(const char *key, Err *e)
{
	if (strchr(key, '/') || !*key)
		return err_set(e, ERR_CONFIG, EINVAL, "unified resource \"%s\" must be a file name (no slashes)", key);
	const char *dot = strchr(key, '.');
	if (!dot || dot == key || !dot[1])
		return err_set(e, ERR_CONFIG, EINVAL, "unified resource \"%s\" must be in the form CONTROLLER.PARAMETER", key);
	/* the group's own files move processes, kill or change the tree: the runtime's business */
	if (starts_with(key, "cgroup.") && !starts_with(key, "cgroup.max.") && !streq(key, "cgroup.pressure"))
		return err_set(e, ERR_SECURITY, EPERM, "unified resource \"%s\" can't be set: it is not a limit", key);
	return 0;
}

static int unified_error(const char *dir, const char *key, const char *value, int errnum, Err *e)
{
	char have[CONTROLLERS_MAX] = "";
	Str controller, rest;
	(void)str_cut(str_of(key), '.', &controller, &rest);
	(void)!cgroup_get(dir, "cgroup.controllers", have, sizeof have);
	if ((errnum == -ENOENT || errnum == -EPERM || errnum == -EACCES) && !str_eq(controller, "cgroup") && !words_have(have, controller))
		return err_set(e, ERR_UNSUPPORTED, -errnum, "unified resource \"%s\" can't be set: controller \"%.*s\" not available", key,
			       (int)controller.n, controller.p);
	(void)!cgroup_write_error(dir, key, value, errnum, e);
	return err_wrap(e, "unable to set unified resource \"%s\"", key);
}

/* Files such as io.max take one line a write. */
static int put_lines(const char *dir, const char *key, const char *value)
{
	Str rest = str_of(value), line;
	if (!*value) return cgroup_put(dir, key, "");
	while (str_next(&rest, '\n', &line)) {
		if (!line.n) continue;
		AUTO_FREE char *text = strndup(line.p, line.n);
		if (!text) return -ENOMEM;
		int r = cgroup_put(dir, key, text);
		if (r < 0) return r;
	}
	return 0;
}

static int apply_unified(const char *dir, const StrMap *m, Err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		int r = cgroup_unified_check(m->items[i].key, e);
		if (r < 0) return r;
		r = put_lines(dir, m->items[i].key, m->items[i].value);
		if (r < 0) return unified_error(dir, m->items[i].key, m->items[i].value, r, e);
	}
	return 0;
}

/* ---- the whole ---- */

static int apply_devices(const Cgroup *cg, const char *dir, const CgroupResources *r, Err *e)
{
	Err why = ERR_INIT;
	int k = r->devices.n ? cgroup_device_v2(dir, r, &why) : 0;
	if (k >= 0 || cg->rootless) return 0; /* no unprivileged user can attach a program: nobody expects the rules to hold */
	*e = why;
	return k;
}

static bool wants_any(const CgroupResources *r)
{
	return wants_domain(r) || r->pids_limit.set || (r->cpu.cpus && *r->cpu.cpus) || (r->cpu.mems && *r->cpu.mems) || r->unified.n ||
	       r->rdma.n;
}

int cgroup_v2_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e)
{
	char n[CGROUP_NUMBER_MAX];
	const char *dir = cgroup_path_v2(cg);
	if (!dir) {
		if (!wants_any(r)) return 0;
		return err_set(e, ERR_PERMISSION, EPERM,
			       "rootless needs no limits + no cgrouppath when no permission is granted for cgroups");
	}
	if ((r->net_class_id.set && r->net_class_id.v) || r->net_priorities.n)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "network classID and priorities are not supported on cgroup v2");
	int k = r->pids_limit.set ? cgroup_write(dir, "pids.max", cgroup_pids_limit(n, r->pids_limit.v), e) : 0;
	if (k >= 0) k = apply_memory(dir, &r->memory, e);
	if (k >= 0) k = apply_io(dir, &r->block_io, e);
	if (k >= 0) k = apply_cpu(dir, &r->cpu, update, e);
	if (k >= 0) k = apply_devices(cg, dir, r, e);
	if (k >= 0) k = apply_hugepages(dir, r, e);
	if (k >= 0) k = cgroup_rdma_apply(dir, r, e);
	return k < 0 ? k : apply_unified(dir, &r->unified, e);
}

int cgroup_v2_apply_hybrid(const Cgroup *cg, const CgroupResources *r, Err *e)
{
	const char *dir = cgroup_path_v2(cg);
	bool hugepages = r->hugepages.n && !cgroup_path_v1(cg, "hugetlb"), rdma = r->rdma.n && !cgroup_path_v1(cg, "rdma");
	if (!hugepages && !rdma && !r->unified.n) return 0;
	if (!dir && r->unified.n) return err_set(e, ERR_CONFIG, EINVAL, "invalid configuration: cannot use unified on cgroup v1");
	if (!dir)
		return err_set(e, ERR_UNSUPPORTED, ENOENT, "cannot set %s limit: container could not join or create cgroup",
			       hugepages ? "hugetlb" : "rdma");
	int k = hugepages ? apply_hugepages(dir, r, e) : 0;
	if (k >= 0 && rdma) k = cgroup_rdma_apply(dir, r, e);
	if (k < 0) return k;
	k = apply_unified(dir, &r->unified, e);
	return k < 0 ? err_wrap(e, "invalid configuration") : 0;
}
