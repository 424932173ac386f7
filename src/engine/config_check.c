/* config_check.c: see config_check.h. */
#include "engine/config_check_impl.h"

#include <stdarg.h>

#include "base/size.h"
#include "engine/etc_files.h"
#include "engine/spec_impl.h"
#include "sys/path.h"
#include "sys/proc.h"

void check_warn(Checker *c, const char *text)
{
	if (c->warnings.n < WARNINGS_MAX) c->warnings.items[c->warnings.n++] = text;
}

int check_fail(Checker *c, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(c->e, ERR_CONFIG, EINVAL, "%s", text);
}

/* ---- what runs ---- */

static int check_health(Checker *c)
{
	enum { SHORTEST = 1000000 }; /* ns */
	const Healthcheck *h = c->config->healthcheck;
	if (!h) return 0;
	const struct {
		const char *name;
		int64_t v;
	} times[] = { { "Interval", h->interval },
		      { "Timeout", h->timeout },
		      { "StartPeriod", h->start_period },
		      { "StartInterval", h->start_interval } };
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (times[i].v && times[i].v < SHORTEST) return check_fail(c, "%s in Healthcheck cannot be less than 1ms", times[i].name);
	return h->retries < 0 ? check_fail(c, "Retries in Healthcheck cannot be negative") : 0;
}

static int check_config(Checker *c)
{
	ContainerConfig *k = c->config;
	if (k->working_dir && *k->working_dir) {
		if (*k->working_dir != '/')
			return check_fail(c, "the working directory '%.200s' is invalid, it needs to be an absolute path", k->working_dir);
		if (!(k->working_dir = path_clean(c->a, k->working_dir))) return err_sys(c->e, ENOMEM, "working directory");
	}
	if (k->stop_signal && *k->stop_signal && signal_by_name(k->stop_signal) <= 0)
		return check_fail(c, "invalid signal: %.64s", k->stop_signal);
	for (size_t i = 0; i < k->env.n; i++)
		if (!*k->env.items[i] || *k->env.items[i] == '=')
			return check_fail(c, "invalid environment variable: %.200s", k->env.items[i]);
	return check_health(c);
}

/* ---- what it gets of the machine ---- */

static int check_restart(Checker *c)
{
	const RestartPolicy *p = &c->host->restart_policy;
	const char *name = p->name ? p->name : "";
	bool none = !*name || streq(name, "no");
	if (c->host->auto_remove && !none) return check_fail(c, "can't create 'AutoRemove' container with restart policy");
	if (streq(name, "on-failure"))
		return p->maximum_retry_count < 0 ? check_fail(c, "invalid restart policy: maximum retry count cannot be negative") : 0;
	if (*name && !none && !streq(name, "always") && !streq(name, "unless-stopped"))
		return check_fail(
			c, "invalid restart policy: unknown policy '%.64s'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
			name);
	if (!*name || !p->maximum_retry_count) return 0;
	return check_fail(c, "invalid restart policy: maximum retry count can only be used with 'on-failure'%s",
			  p->maximum_retry_count < 0 ? " and cannot be negative" : "");
}

static int check_security(Checker *c)
{
	Security s;
	SeccompProfile *p = NULL;
	uint64_t caps;
	int r;
	if ((r = capabilities_of(c->host, c->machine->capabilities, &caps, c->e)) < 0) return r;
	if ((r = security_parse(&c->host->security_opt, c->a, &s, c->e)) < 0) return r;
	if (s.apparmor && !streq(s.apparmor, "unconfined") && !machine_has(c->machine, MACHINE_APPARMOR))
		check_warn(c, "AppArmor is not enabled on this machine. AppArmor profile discarded.");
	if (!s.seccomp || streq(s.seccomp, "unconfined")) return 0;
	if ((r = seccomp_convert(s.seccomp, caps, c->machine, c->a, &p, c->e)) < 0 || !p) return r;
	SeccompFilter f;
	r = seccomp_compile(p, c->a, &f, c->e);
	return r < 0 ? err_wrap(c->e, "seccomp profile") : 0;
}

static bool is_ipc_sysctl(const char *key)
{
	static const char *const names[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
					     "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(key, names[i])) return true;
	return starts_with(key, "fs.mqueue.");
}

static int check_sysctls(Checker *c)
{
	const HostConfig *h = c->host;
	for (size_t i = 0; i < h->sysctls.n; i++) {
		const char *key = h->sysctls.items[i].key;
		bool net = starts_with(key, "net."), ipc = is_ipc_sysctl(key), uts = streq(key, "kernel.domainname");
		if (!net && !ipc && (!uts || mode_is(h->uts_mode, "host")))
			return check_fail(c, "sysctl '%.128s=%.128s' is not allowed", key, h->sysctls.items[i].value);
		if (net && mode_is(h->network_mode, "host"))
			return check_fail(c, "sysctl \"%.128s\" not allowed in host network namespace", key);
		if (ipc && mode_is(h->ipc_mode, "host"))
			return check_fail(c, "sysctl \"%.128s\" is not allowed in the hosts ipc namespace", key);
	}
	return 0;
}

static int check_devices(Checker *c)
{
	const HostConfig *h = c->host;
	CgroupDeviceRule rule;
	int r;
	for (size_t i = 0; i < h->devices.n; i++) {
		const char *access = h->devices.items[i].cgroup_permissions;
		if (access && *access && (strlen(access) > 3 || access[strspn(access, "rwm")]))
			return check_fail(c, "invalid device mode: %.64s", access);
	}
	for (size_t i = 0; i < h->device_cgroup_rules.n; i++)
		if ((r = device_rule_parse(h->device_cgroup_rules.items[i], c->a, &rule, c->e)) < 0) return r;
	return 0;
}

static int check_tmpfs(Checker *c)
{
	const StrMap *all = &c->host->tmpfs;
	for (size_t i = 0; i < all->n; i++) {
		StrList options;
		const char *path = all->items[i].key, *clean = *path == '/' ? path_clean(c->a, path) : NULL;
		if (!clean) return check_fail(c, "invalid mount path: '%.200s' mount path must be absolute", path);
		if (streq(clean, "/")) return check_fail(c, "invalid specification: destination can't be '/'");
		int r = tmpfs_options(all->items[i].value, NULL, c->a, &options, c->e);
		if (r < 0) return r;
	}
	return 0;
}

static int check_storage(Checker *c)
{
	const StrMap *all = &c->host->storage_opt;
	for (size_t i = 0; i < all->n; i++) {
		int64_t size;
		if (strcasecmp(all->items[i].key, "size") != 0) return check_fail(c, "Unknown option %.64s", all->items[i].key);
		int r = size_parse(str_of(all->items[i].value), SIZE_BINARY, &size, c->e);
		if (r < 0) return err_wrap(c->e, "storage option size");
		if (size <= 0) return check_fail(c, "storage option size: more than 0 is needed, got %.64s", all->items[i].value);
	}
	return 0;
}

static int check_rest(Checker *c)
{
	const HostConfig *h = c->host;
	const char *parent = h->cgroup_parent ? h->cgroup_parent : "";
	if (h->oom_score_adj < -1000 || h->oom_score_adj > 1000)
		return check_fail(c, "Invalid value %d, range for oom score adj is [-1000, 1000]", h->oom_score_adj);
	if (*parent && c->machine->systemd && (strlen(parent) <= 6 || !ends_with(parent, ".slice")))
		return check_fail(c, "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"");
	if (h->isolation && *h->isolation && strcasecmp(h->isolation, "default") != 0)
		return check_fail(c, "invalid isolation (%.64s): linux only supports 'default'", h->isolation);
	for (size_t i = 0; i < h->annotations.n; i++)
		if (!*h->annotations.items[i].key)
			return check_fail(c, "invalid Annotations: the empty string is not permitted as an annotation key");
	for (size_t i = 0; i < h->extra_hosts.n; i++) {
		int r = extra_host_check(h->extra_hosts.items[i], c->e);
		if (r < 0) return r;
	}
	Rlimits limits;
	int r = dns_check(h, c->e);
	return r < 0 ? r : rlimits_of(h, c->machine, c->a, &limits, c->e);
}

static int begin(Checker *c)
{
	c->warnings.items = arena_array(c->a, WARNINGS_MAX + 1, sizeof *c->warnings.items);
	return c->warnings.items ? 0 : err_sys(c->e, ENOMEM, "check the configuration");
}

int config_check(ContainerConfig *config, HostConfig *h, Machine *m, Arena *a, StrList *ret_warnings, Err *e)
{
	static int (*const steps[])(Checker * c) = { begin,       check_config,    check_restart, check_security,
						     check_modes, check_resources, check_sysctls, check_devices,
						     check_tmpfs, check_storage,   check_rest };
	Checker c = { .config = config, .host = h, .machine = m, .a = a, .e = e };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r = steps[i](&c);
		if (r < 0) return r;
	}
	if (!h->oom_kill_disable.set && machine_has(m, MACHINE_OOM_DISABLE)) h->oom_kill_disable = (OptBool){ true, false };
	if (h->memory > 0 && !h->memory_swap) h->memory_swap = h->memory <= INT64_MAX / 2 ? h->memory * 2 : -1;
	*ret_warnings = c.warnings;
	return 0;
}

int config_check_update(HostConfig *h, Machine *m, Arena *a, StrList *ret_warnings, Err *e)
{
	Checker c = { .host = h, .machine = m, .a = a, .e = e };
	int r;
	if ((r = begin(&c)) < 0 || (r = check_resources(&c)) < 0 || (r = check_restart(&c)) < 0) return r;
	*ret_warnings = c.warnings;
	return 0;
}
