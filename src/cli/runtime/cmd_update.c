/* cmd_update.c: update. */
#include <fcntl.h>

#include "cli/runtime/commands.h"

enum { RESOURCES_MAX = 4 * 1024 * 1024 };

/* "64m", "1.5g" is not one: integers with a binary suffix, and -1. */
static int parse_size(const char *name, const char *text, OptInt *ret, Err *e)
{
	static const char suffixes[] = "kmgtp";
	Str s = str_of(text);
	int shift = 0;
	if (s.n > 1 && (s.p[s.n - 1] == 'b' || s.p[s.n - 1] == 'B')) s.n--;
	if (s.n > 1 && (s.p[s.n - 1] == 'i')) s.n--;
	char last = s.n ? (char)(s.p[s.n - 1] | 0x20) : 0;
	const char *at = last ? strchr(suffixes, last) : NULL;
	if (at) {
		shift = 10 * ((int)(at - suffixes) + 1);
		s.n--;
	}
	int64_t v;
	if (str_to_i64(s, &v) < 0 || v < -1 || (v > 0 && v > INT64_MAX >> shift))
		return err_set(e, ERR_USAGE, EINVAL, "invalid value \"%.32s\" for %s: a size such as 64m, or -1", text, name);
	*ret = (OptInt){ true, v < 0 ? -1 : v << shift };
	return 0;
}

static int size_option(const Invocation *in, const char *name, OptInt *ret, Err *e)
{
	const char *text = option_value(in, name);
	return text ? parse_size(name, text, ret, e) : 0;
}

static int signed_option(const Invocation *in, const char *name, OptInt *ret, Err *e)
{
	const char *text = option_value(in, name);
	int64_t v;
	if (!text) return 0;
	if (str_to_i64(str_of(text), &v) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "invalid value \"%.32s\" for %s: an integer", text, name);
	*ret = (OptInt){ true, v };
	return 0;
}

static int unsigned_option(const Invocation *in, const char *name, OptUint *ret, Err *e)
{
	const char *text = option_value(in, name);
	uint64_t v;
	if (!text) return 0;
	if (str_to_u64(str_of(text), &v) < 0) return err_set(e, ERR_USAGE, EINVAL, "invalid value \"%.32s\" for %s: a number", text, name);
	*ret = (OptUint){ true, v };
	return 0;
}

static int from_options(const Invocation *in, CgroupResources *r, Err *e)
{
	int x;
	if ((x = unsigned_option(in, "blkio-weight", &r->block_io.weight, e)) < 0) return x;
	if ((x = unsigned_option(in, "cpu-period", &r->cpu.period, e)) < 0) return x;
	if ((x = signed_option(in, "cpu-quota", &r->cpu.quota, e)) < 0) return x;
	if ((x = unsigned_option(in, "cpu-burst", &r->cpu.burst, e)) < 0) return x;
	if ((x = unsigned_option(in, "cpu-share", &r->cpu.shares, e)) < 0) return x;
	if ((x = unsigned_option(in, "cpu-rt-period", &r->cpu.realtime_period, e)) < 0) return x;
	if ((x = signed_option(in, "cpu-rt-runtime", &r->cpu.realtime_runtime, e)) < 0) return x;
	if ((x = signed_option(in, "cpu-idle", &r->cpu.idle, e)) < 0) return x;
	if ((x = size_option(in, "memory", &r->memory.limit, e)) < 0) return x;
	if ((x = size_option(in, "memory-reservation", &r->memory.reservation, e)) < 0) return x;
	if ((x = size_option(in, "memory-swap", &r->memory.swap, e)) < 0) return x;
	if ((x = signed_option(in, "pids-limit", &r->pids_limit, e)) < 0) return x;
	r->cpu.cpus = option_value(in, "cpuset-cpus");
	r->cpu.mems = option_value(in, "cpuset-mems");
	if (r->memory.limit.set && r->memory.limit.v == -1 && !r->memory.swap.set) r->memory.swap = (OptInt){ true, -1 };
	if (option_value(in, "kernel-memory") || option_value(in, "kernel-memory-tcp"))
		log_write(&in->log, LOG_WARN, "kernel memory settings are ignored: current kernels have none");
	return 0;
}

static int from_file(Invocation *in, const char *path, CgroupResources *r, Err *e)
{
	AUTO_FD int opened = streq(path, "-") ? -1 : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (opened < 0 && !streq(path, "-")) return err_sys(e, errno, "open %s", path);
	AUTO_BUF text = BUF_INIT(RESOURCES_MAX);
	int x = fd_read_all(opened < 0 ? 0 : opened, &text);
	if (x < 0) return err_sys(e, x, "read %s", path);
	char *copy = arena_str(in->arena, (Str){ buf_str(&text), text.n });
	return copy ? oci_resources_parse(copy, text.n, in->arena, r, e) : err_sys(e, ENOMEM, "read %s", path);
}

int update_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	CgroupResources r = { 0 };
	const char *file = option_value(in, "resources");
	IntelRdt rdt = { .l3_cache_schema = option_value(in, "l3-cache-schema"), .mem_bw_schema = option_value(in, "mem-bw-schema") };
	int x = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	if (x < 0) return x;
	if ((x = file ? from_file(in, file, &r, e) : from_options(in, &r, e)) < 0) return x;
	return container_update(&c, &r, rdt.l3_cache_schema || rdt.mem_bw_schema ? &rdt : NULL, e);
}
