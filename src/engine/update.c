/* update.c: see update.h. */
#include "engine/update.h"

#include "engine/config_check.h"
#include "engine/spec_impl.h"
#include "engine/start.h"
#include "runtime/container.h"

#define TAKE(field) \
	do { \
		if (from->field) to->field = from->field; \
	} while (0)
#define TAKE_TEXT(field) \
	do { \
		if (from->field && *from->field) to->field = from->field; \
	} while (0)

static void take_cpu(HostConfig *to, const HostConfig *from)
{
	TAKE(cpu_shares);
	TAKE(nano_cpus);
	TAKE(cpu_period);
	TAKE(cpu_quota);
	TAKE(cpu_realtime_period);
	TAKE(cpu_realtime_runtime);
	TAKE_TEXT(cpuset_cpus);
	TAKE_TEXT(cpuset_mems);
}

static int take_memory(HostConfig *to, const HostConfig *from, Err *e)
{
	if (from->memory && to->memory_swap > 0 && from->memory > to->memory_swap && !from->memory_swap)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time");
	TAKE(memory);
	TAKE(memory_swap);
	TAKE(memory_reservation);
	if (to->memory_swap > 0 && to->memory_swap < to->memory)
		return err_set(e, ERR_CONFIG, EINVAL, "Minimum memoryswap limit should be larger than memory limit, see usage");
	return 0;
}

static int merge(HostConfig *to, const HostConfig *from, Err *e)
{
	if (from->nano_cpus && (to->cpu_quota || to->cpu_period))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "Conflicting options: Nano CPUs cannot be updated as CPU Quota/Period has already been set");
	if ((from->cpu_quota || from->cpu_period) && to->nano_cpus)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "Conflicting options: CPU Quota/Period cannot be updated as NanoCPUs has already been set");
	take_cpu(to, from);
	TAKE(blkio_weight);
	if (from->pids_limit.set) to->pids_limit = from->pids_limit;
	if (from->restart_policy.name && *from->restart_policy.name) to->restart_policy = from->restart_policy;
	return take_memory(to, from, e);
}

static int resources_of(const Record *c, Machine *machine, Arena *a, OciSpec *spec, Err *e)
{
	const SpecInput in = { .id = c->id, .config = &c->config, .host = &c->host, .machine = machine, .root = -1 };
	OciLinux *lnx = arena_alloc(a, sizeof *lnx);
	if (!lnx || !(lnx->resources = arena_alloc(a, sizeof *lnx->resources))) return err_sys(e, ENOMEM, "update");
	*spec = (OciSpec){ .lnx = lnx };
	SpecBuild b = { .in = &in, .config = &c->config, .host = &c->host, .a = a, .s = spec, .lnx = lnx, .e = e };
	return spec_add_resources(&b);
}

static int apply(const Engine *g, const Record *c, const CgroupResources *r, Arena *a, Err *e)
{
	const Log none = { .fd = -1, .level = LOG_ERROR };
	const char *root = arena_printf(a, "%s/runtime", g->run_root);
	if (!root) return err_sys(e, ENOMEM, "update");
	const Runtime rt = { .root = root, .name = "skep", .cgroup_driver = CGROUP_FS, .rootless = runtime_is_rootless(), .log = &none };
	AUTO_CONTAINER box = { .dir = -1 };
	int x = container_load(&rt, c->id, a, &box, e);
	return x < 0 ? x : container_update(&box, r, NULL, e);
}

static int tell_policy(const Engine *g, const Record *c, Err *e)
{
	AUTO_FD int sock = monitor_connect(g, c->id);
	if (sock < 0) return sock == -ENOENT || sock == -ECONNREFUSED ? 0 : err_sys(e, -sock, "reach the monitor of container %s", c->name);
	return monitor_ask(sock, WIRE_RESTART, c->host.restart_policy.maximum_retry_count, 0, c->host.restart_policy.name, e);
}

/* One that ends meanwhile is no failure: the next start has what is asked for. */
static int update_running(Engine *g, const Record *next, Machine *machine, Arena *a, Err *e)
{
	OciSpec spec;
	RunState now;
	Err ignored = ERR_INIT;
	int r = resources_of(next, machine, a, &spec, e);
	if (r < 0) return r;
	r = apply(g, next, spec.lnx->resources, a, e);
	if (r >= 0) return tell_policy(g, next, e);
	return engine_state(g, next, a, &now, &ignored) >= 0 && now.status != RUN_RUNNING ? 0 : r;
}

int engine_update(Engine *g, const Record *c, const HostConfig *change, Arena *a, StrList *ret_warnings, Err *e)
{
	Record next = *c;
	HostConfig checked = *change;
	Machine machine;
	RunState s;
	machine_init(&machine, a);
	int r = config_check_update(&checked, &machine, a, ret_warnings, e);
	if (r < 0) return r;
	if ((r = merge(&next.host, &checked, e)) < 0) return err_wrap(e, "Cannot update container %s", c->id);
	if (next.host.auto_remove && !streq(next.host.restart_policy.name, "no"))
		return err_set(e, ERR_CONFIG, EINVAL, "Restart policy cannot be updated because AutoRemove is enabled for the container");
	if ((r = engine_state(g, c, a, &s, e)) < 0) return r;
	if (s.status == RUN_RUNNING && (r = update_running(g, &next, &machine, a, e)) < 0) return r;
	if ((r = record_set_host(g, c->id, &next.host, e)) < 0) return r;
	record_event(g, c, "update", NULL, NULL);
	return 0;
}
