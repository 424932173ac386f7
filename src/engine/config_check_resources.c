/* config_check_resources.c: limits: numbers that can be, on this machine. Texts and order are docker's. */
#include "engine/config_check_impl.h"

#include "sys/sched.h"

enum {
	MEMORY_MIN = 6 * 1024 * 1024, /* for a container to start at all */
	PIDS_MAX = 4 * 1024 * 1024
}; /* the kernel's PID_MAX_LIMIT */

#define OR_NO_CGROUP "or the cgroup is not mounted."

static bool lacks(Checker *c, MachineFeature f, const char *warning)
{
	if (machine_has(c->machine, f)) return false;
	if (warning) check_warn(c, warning);
	return true;
}

static int check_swap(Checker *c)
{
	HostConfig *h = c->host;
	if (h->memory > 0 && h->memory_swap != -1 &&
	    lacks(c, MACHINE_SWAP, "Your kernel does not support swap limit capabilities " OR_NO_CGROUP " Memory limited without swap."))
		h->memory_swap = -1;
	if (h->memory > 0 && h->memory_swap > 0 && h->memory_swap < h->memory)
		return check_fail(c, "Minimum memoryswap limit should be larger than memory limit, see usage");
	if (h->memory == 0 && h->memory_swap > 0 && c->config)
		return check_fail(c, "You should always set the Memory limit when using Memoryswap limit, see usage");
	if (h->memory_swap < -1) return check_fail(c, "invalid memory swap limit: %lld, only -1 means no limit", (long long)h->memory_swap);
	return 0;
}

static int check_swappiness(Checker *c)
{
	OptInt *v = &c->host->memory_swappiness;
	if (v->set && v->v == -1) v->set = false; /* the command line's way to say nothing */
	if (!v->set) return 0;
	if (lacks(c, MACHINE_SWAPPINESS,
		  "Your kernel does not support memory swappiness capabilities " OR_NO_CGROUP " Memory swappiness discarded."))
		v->set = false;
	if (v->set && (v->v < 0 || v->v > 100))
		return check_fail(c, "Invalid value: %lld, valid memory swappiness range is 0-100", (long long)v->v);
	return 0;
}

static void check_oom_kill(Checker *c)
{
	OptBool *v = &c->host->oom_kill_disable;
	if (!v->set) return;
	if (lacks(c, MACHINE_OOM_DISABLE, v->v ? "Your kernel does not support OomKillDisable. OomKillDisable discarded." : NULL))
		v->set = false;
	else if (v->v && c->host->memory == 0)
		check_warn(
			c,
			"OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of "
			"resources.");
}

static int check_memory(Checker *c)
{
	HostConfig *h = c->host;
	int r;
	if (h->memory && h->memory < MEMORY_MIN) return check_fail(c, "Minimum memory limit allowed is 6MB");
	if (h->memory > 0 &&
	    lacks(c, MACHINE_MEMORY, "Your kernel does not support memory limit capabilities " OR_NO_CGROUP " Limitation discarded.")) {
		h->memory = 0;
		h->memory_swap = -1;
	}
	if ((r = check_swap(c)) < 0 || (r = check_swappiness(c)) < 0) return r;
	if (h->memory_reservation < 0 || (h->memory_reservation > 0 && h->memory_reservation < MEMORY_MIN))
		return check_fail(c, "Minimum memory reservation allowed is 6MB");
	if (h->memory_reservation > 0 &&
	    lacks(c, MACHINE_MEMORY_RESERVATION,
		  "Your kernel does not support memory soft limit capabilities " OR_NO_CGROUP " Limitation discarded."))
		h->memory_reservation = 0;
	if (h->memory > 0 && h->memory < h->memory_reservation)
		return check_fail(c, "Minimum memory limit can not be less than memory reservation limit, see usage");
	check_oom_kill(c);
	return 0;
}

static int check_pids(Checker *c)
{
	OptInt *v = &c->host->pids_limit;
	if (!v->set || v->v <= 0) return 0;
	if (lacks(c, MACHINE_PIDS, "Your kernel does not support PIDs limit capabilities " OR_NO_CGROUP " PIDs limit discarded."))
		v->set = false;
	else if (v->v > PIDS_MAX)
		return check_fail(c, "invalid PIDs limit (%lld): no kernel counts more than %d; -1 is no limit", (long long)v->v, PIDS_MAX);
	return 0;
}

static int check_cpu_time(Checker *c)
{
	HostConfig *h = c->host;
	if (h->nano_cpus > 0 && h->cpu_period > 0) return check_fail(c, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (h->nano_cpus > 0 && h->cpu_quota > 0) return check_fail(c, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (h->nano_cpus > 0 && lacks(c, MACHINE_CPU_QUOTA, NULL))
		return check_fail(
			c, "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted");
	if (h->nano_cpus < 0 || h->nano_cpus > (int64_t)c->machine->cpus * 1000000000)
		return check_fail(c, "range of CPUs is from 0.01 to %u.00, as there are only %u CPUs available", c->machine->cpus,
				  c->machine->cpus);
	if (h->nano_cpus > 0 && h->nano_cpus < 10000000)
		return check_fail(c, "range of CPUs is from 0.01 to %u.00, as there are only %u CPUs available", c->machine->cpus,
				  c->machine->cpus);
	if ((h->cpu_period || h->cpu_quota) &&
	    lacks(c, MACHINE_CPU_QUOTA, "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."))
		h->cpu_period = h->cpu_quota = 0;
	if (h->cpu_period && (h->cpu_period < 1000 || h->cpu_period > 1000000))
		return check_fail(c, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
	if (h->cpu_quota < -1 || (h->cpu_quota > 0 && h->cpu_quota < 1000))
		return check_fail(c, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	return 0;
}

static int check_cpu_share(Checker *c)
{
	HostConfig *h = c->host;
	if (h->cpu_shares < 0)
		return check_fail(c, "invalid CPU shares (%lld): value must be a positive integer", (long long)h->cpu_shares);
	if (h->cpu_shares > 0 && lacks(c, MACHINE_CPU_SHARES, "Your kernel does not support CPU shares " OR_NO_CGROUP " Shares discarded."))
		h->cpu_shares = 0;
	if ((h->cpu_realtime_period || h->cpu_realtime_runtime) && lacks(c, MACHINE_CPU_REALTIME, NULL))
		return check_fail(c, "kernel does not support CPU real-time scheduler");
	if (h->cpu_realtime_period < 0 || h->cpu_realtime_runtime < 0)
		return check_fail(c, "cpu real-time period and runtime cannot be negative");
	if (h->cpu_realtime_period && h->cpu_realtime_runtime > h->cpu_realtime_period)
		return check_fail(c, "cpu real-time runtime cannot be higher than cpu real-time period");
	return 0;
}

static bool is_within(const SchedBits *part, const SchedBits *whole)
{
	for (size_t i = 0; i < ARRAY_LEN(part->word); i++)
		if (part->word[i] & ~whole->word[i]) return false;
	return true;
}

/* what: "cpus", "mems"; name: "CPUs", "memory nodes". */
static int check_list(Checker *c, const char *list, const char *what, const char *name, const char *available)
{
	SchedBits asked, there;
	char prefix[256];
	if (!list || !*list) return 0;
	snprintf(prefix, sizeof prefix, "Invalid value %.128s for cpuset %s", list, what);
	int r = sched_list_parse(list, prefix, &asked, c->e);
	if (r < 0) return r;
	Err ignored = ERR_INIT;
	if (sched_list_parse(available, "available", &there, &ignored) < 0) return 0; /* the kernel will tell */
	if (is_within(&asked, &there)) return 0;
	return check_fail(c, "Requested %s are not available - requested %.128s, available: %.256s", name, list, available);
}

static int check_cpuset(Checker *c)
{
	HostConfig *h = c->host;
	bool asked = (h->cpuset_cpus && *h->cpuset_cpus) || (h->cpuset_mems && *h->cpuset_mems);
	if (!asked) return 0;
	if (lacks(c, MACHINE_CPUSET, "Your kernel does not support cpuset " OR_NO_CGROUP " Cpuset discarded.")) {
		h->cpuset_cpus = h->cpuset_mems = NULL;
		return 0;
	}
	int r = check_list(c, h->cpuset_cpus, "cpus", "CPUs", machine_cpu_list(c->machine));
	return r < 0 ? r : check_list(c, h->cpuset_mems, "mems", "memory nodes", machine_memory_list(c->machine));
}

static int check_weights(Checker *c)
{
	HostConfig *h = c->host;
	if (h->blkio_weight &&
	    lacks(c, MACHINE_IO_WEIGHT, "Your kernel does not support Block I/O weight " OR_NO_CGROUP " Weight discarded."))
		h->blkio_weight = 0;
	if (h->blkio_weight && (h->blkio_weight < 10 || h->blkio_weight > 1000))
		return check_fail(c, "Range of blkio weight is from 10 to 1000");
	if (h->blkio_weight_device.n &&
	    lacks(c, MACHINE_IO_WEIGHT_DEVICE,
		  "Your kernel does not support Block I/O weight_device " OR_NO_CGROUP " Weight-device discarded."))
		h->blkio_weight_device.n = 0;
	for (size_t i = 0; i < h->blkio_weight_device.n; i++) {
		const WeightDevice *d = &h->blkio_weight_device.items[i];
		if (d->weight < 10 || d->weight > 1000)
			return check_fail(c, "invalid weight %u for device %.128s: range is from 10 to 1000", d->weight,
					  d->path ? d->path : "");
	}
	return 0;
}

static void check_throttles(Checker *c)
{
	HostConfig *h = c->host;
	const struct {
		ThrottleDeviceList *list;
		MachineFeature feature;
		const char *warning;
	} rows[] = {
		{ &h->blkio_device_read_bps, MACHINE_IO_READ_BPS,
		  "Your kernel does not support BPS Block I/O read limit " OR_NO_CGROUP " Block I/O BPS read limit discarded." },
		{ &h->blkio_device_write_bps, MACHINE_IO_WRITE_BPS,
		  "Your kernel does not support BPS Block I/O write limit " OR_NO_CGROUP " Block I/O BPS write limit discarded." },
		{ &h->blkio_device_read_iops, MACHINE_IO_READ_IOPS,
		  "Your kernel does not support IOPS Block read limit " OR_NO_CGROUP " Block I/O IOPS read limit discarded." },
		{ &h->blkio_device_write_iops, MACHINE_IO_WRITE_IOPS,
		  "Your kernel does not support IOPS Block write limit " OR_NO_CGROUP " Block I/O IOPS write limit discarded." },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].list->n && lacks(c, rows[i].feature, rows[i].warning)) rows[i].list->n = 0;
}

int check_resources(Checker *c)
{
	int r;
	if ((r = check_memory(c)) < 0 || (r = check_pids(c)) < 0) return r;
	if ((r = check_cpu_time(c)) < 0 || (r = check_cpu_share(c)) < 0 || (r = check_cpuset(c)) < 0 || (r = check_weights(c)) < 0)
		return r;
	check_throttles(c);
	return 0;
}
