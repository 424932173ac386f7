/* options_resource.c: memory, processors, block devices, limits. */
#include "base/size.h"
#include "cli/skep/container/options_impl.h"

#define F(name, kind, field) \
	{ \
		(name), FIELD_##kind, offsetof(HostConfig, field) \
	}
/* Those that can be changed later. */
static const OptionField limit_fields[] = {
	F("blkio-weight", U32, blkio_weight),
	F("cpu-period", NUMBER, cpu_period),
	F("cpu-quota", NUMBER, cpu_quota),
	F("cpu-rt-period", NUMBER, cpu_realtime_period),
	F("cpu-rt-runtime", NUMBER, cpu_realtime_runtime),
	F("cpu-shares", NUMBER, cpu_shares),
	F("cpus", NUMBER, nano_cpus),
	F("cpuset-cpus", TEXT, cpuset_cpus),
	F("cpuset-mems", TEXT, cpuset_mems),
	F("memory", NUMBER, memory),
	F("memory-reservation", NUMBER, memory_reservation),
	F("memory-swap", NUMBER, memory_swap),
};
static const OptionField more_fields[] = {
	F("cgroup-parent", TEXT, cgroup_parent),
	F("oom-kill-disable", OPT_BOOL, oom_kill_disable),
	F("device-cgroup-rule", LIST, device_cgroup_rules),
	F("shm-size", NUMBER, shm_size),
};
#undef F

void options_limits(const Invocation *in, HostConfig *to)
{
	int64_t pids = option_number(in, "pids-limit");
	option_fields(in, limit_fields, ARRAY_LEN(limit_fields), to);
	if (pids) to->pids_limit = (OptInt){ true, pids };
}

/* ---- ulimit ---- */

static int parse_limit(Str s, int64_t *ret, Err *e)
{
	int r = number_parse(s, ret);
	if (r >= 0) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "strconv.ParseInt: parsing \"%.*s\": %s", (int)(s.n > SHOWN ? SHOWN : s.n), s.p,
		       number_error(r));
}

static const char *ulimit_name(Str name)
{
	static const char *const names[] = { "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
					     "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(name, names[i])) return names[i];
	return NULL;
}

int ulimit_parse(const char *text, Ulimit *ret, Err *e)
{
	Str name, limits, soft, hard, more;
	if (!str_cut(str_of(text), '=', &name, &limits)) return err_set(e, ERR_USAGE, EINVAL, "invalid ulimit argument: %.*s", SHOWN, text);
	ret->name = ulimit_name(name);
	if (!ret->name) return err_set(e, ERR_USAGE, EINVAL, "invalid ulimit type: %.*s", (int)(name.n > SHOWN ? SHOWN : name.n), name.p);
	bool two = str_cut(limits, ':', &soft, &hard);
	if (two && str_cut(hard, ':', &hard, &more))
		return err_set(e, ERR_USAGE, EINVAL, "too many limit value arguments - %.*s, can only have up to two, `soft[:hard]`", SHOWN,
			       limits.p);
	int r = two ? parse_limit(hard, &ret->hard, e) : 0;
	if (r >= 0) r = parse_limit(soft, &ret->soft, e);
	if (r < 0) return r;
	if (!two) ret->hard = ret->soft;
	if (ret->hard == -1 || (ret->soft != -1 && ret->soft <= ret->hard)) return 0;
	if (ret->soft == -1)
		return err_set(e, ERR_USAGE, EINVAL,
			       "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: %" PRId64,
			       ret->hard);
	return err_set(e, ERR_USAGE, EINVAL, "ulimit soft limit must be less than or equal to hard limit: %" PRId64 " > %" PRId64,
		       ret->soft, ret->hard);
}

int check_ulimit(const char *text, Err *e)
{
	Ulimit ignored;
	return ulimit_parse(text, &ignored, e);
}

static int ulimit_order(const void *a, const void *b)
{
	return strcmp(((const Ulimit *)a)->name, ((const Ulimit *)b)->name);
}

/* The last of a name counts. */
static int take_ulimits(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "ulimit");
	Ulimit *items = arena_array(p->arena, given->n + 1, sizeof *items), one;
	size_t n = 0, at;
	if (!items) return no_memory(p->e);
	for (size_t i = 0; i < given->n; i++) {
		int r = ulimit_parse(given->items[i], &one, p->e);
		if (r < 0) return r;
		for (at = 0; at < n; at++)
			if (streq(items[at].name, one.name)) break;
		items[at] = one;
		if (at == n) n++;
	}
	if (n) qsort(items, n, sizeof *items, ulimit_order);
	p->to->host.ulimits.items = items;
	p->to->host.ulimits.n = n;
	return 0;
}

/* ---- block devices: "/dev/…:value" ---- */

static int split_device(const char *text, Str *path, Str *value, Err *e)
{
	if (!str_cut(str_of(text), ':', path, value) || !path->n) return err_set(e, ERR_USAGE, EINVAL, "bad format: %.*s", SHOWN, text);
	if (str_starts(*path, "/dev/")) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "bad format for device path: %.*s", SHOWN, text);
}

static int parse_weight(const char *text, Str *path, uint32_t *ret, Err *e)
{
	Str value;
	int r = split_device(text, path, &value, e);
	if (r < 0) return r;
	if (str_to_u32(value, ret) < 0 || (*ret && (*ret < 10 || *ret > 1000)))
		return err_set(e, ERR_USAGE, EINVAL, "invalid weight for device: %.*s", SHOWN, text);
	return 0;
}

static int parse_bps(const char *text, Str *path, uint64_t *ret, Err *e)
{
	Str value;
	int64_t rate = 0;
	Err why = ERR_INIT;
	int r = split_device(text, path, &value, e);
	if (r < 0) return r;
	if (size_parse(value, SIZE_BINARY, &rate, &why) < 0)
		return err_set(
			e, ERR_USAGE, EINVAL,
			"invalid rate for device: %.*s. The correct format is <device-path>:<number>[<unit>]. Number must be a positive "
			"integer. Unit is optional and can be kb, mb, or gb",
			SHOWN, text);
	*ret = (uint64_t)rate;
	return 0;
}

static int parse_iops(const char *text, Str *path, uint64_t *ret, Err *e)
{
	Str value;
	int r = split_device(text, path, &value, e);
	if (r < 0) return r;
	if (str_to_u64(value, ret) < 0)
		return err_set(
			e, ERR_USAGE, EINVAL,
			"invalid rate for device: %.*s. The correct format is <device-path>:<number>. Number must be a positive integer",
			SHOWN, text);
	return 0;
}

int check_blkio_weight(const char *text, Err *e)
{
	Str path;
	uint32_t weight;
	return parse_weight(text, &path, &weight, e);
}

int check_rate_bps(const char *text, Err *e)
{
	Str path;
	uint64_t rate;
	return parse_bps(text, &path, &rate, e);
}

int check_rate_iops(const char *text, Err *e)
{
	Str path;
	uint64_t rate;
	return parse_iops(text, &path, &rate, e);
}

static int take_rates(const OptionParse *p, const char *option, int (*parse)(const char *text, Str *path, uint64_t *ret, Err *e),
		      ThrottleDeviceList *ret)
{
	const StrList *given = option_list(p->in, option);
	ret->items = arena_array(p->arena, given->n + 1, sizeof *ret->items);
	if (!ret->items) return no_memory(p->e);
	for (ret->n = 0; ret->n < given->n; ret->n++) {
		Str path;
		ThrottleDevice *d = &ret->items[ret->n];
		int r = parse(given->items[ret->n], &path, &d->rate, p->e);
		if (r < 0) return r;
		d->path = arena_str(p->arena, path);
		if (!d->path) return no_memory(p->e);
	}
	return 0;
}

static int take_weights(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "blkio-weight-device");
	WeightDevice *items = arena_array(p->arena, given->n + 1, sizeof *items);
	if (!items) return no_memory(p->e);
	for (size_t i = 0; i < given->n; i++) {
		Str path;
		int r = parse_weight(given->items[i], &path, &items[i].weight, p->e);
		if (r < 0) return r;
		items[i].path = arena_str(p->arena, path);
		if (!items[i].path) return no_memory(p->e);
	}
	p->to->host.blkio_weight_device.items = items;
	p->to->host.blkio_weight_device.n = given->n;
	return 0;
}

/* ---- all of it ---- */

int options_swappiness(const OptionParse *p)
{
	int64_t v = option_number(p->in, "memory-swappiness");
	if (v < -1 || v > 100)
		return err_set(p->e, ERR_USAGE, EINVAL, "invalid value: %" PRId64 ". Valid memory swappiness range is 0-100", v);
	if (v >= 0) p->to->host.memory_swappiness = (OptInt){ true, v };
	return 0;
}

static int warn_kernel_memory(const OptionParse *p)
{
	if (!option_number(p->in, "kernel-memory")) return 0;
	return str_list_add(&p->to->warnings, KERNEL_MEMORY_WARNING, p->arena) < 0 ? no_memory(p->e) : 0;
}

int options_resources(const OptionParse *p)
{
	HostConfig *h = &p->to->host;
	options_limits(p->in, h);
	option_fields(p->in, more_fields, ARRAY_LEN(more_fields), h);
	int r = warn_kernel_memory(p);
	if (r >= 0) r = take_ulimits(p);
	if (r >= 0) r = take_weights(p);
	if (r >= 0) r = take_rates(p, "device-read-bps", parse_bps, &h->blkio_device_read_bps);
	if (r >= 0) r = take_rates(p, "device-write-bps", parse_bps, &h->blkio_device_write_bps);
	if (r >= 0) r = take_rates(p, "device-read-iops", parse_iops, &h->blkio_device_read_iops);
	if (r >= 0) r = take_rates(p, "device-write-iops", parse_iops, &h->blkio_device_write_iops);
	return r;
}
