/* spec_process.c: the process: program, environment, user, capabilities, limits. */
#include "engine/spec_impl.h"

#include <linux/capability.h>
#include <sys/resource.h>

#include "oci/passwd.h"
#include "sys/cap.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- program and environment ---- */

static bool wants_init(const SpecBuild *b)
{
	const char *pid = b->host->pid_mode;
	/* elsewhere there is one already */
	return b->host->init.set && b->host->init.v && !mode_is(pid, "host") && !mode_is_container(pid);
}

static int set_args(SpecBuild *b)
{
	StrBuild l;
	bool init = wants_init(b);
	if (init && !b->in->init_program) return err_set(b->e, ERR_CONFIG, EINVAL, "--init: the program for it was not found");
	if (str_build_init(&l, b->config->entrypoint.n + b->config->cmd.n + 2, b->a) < 0) return spec_no_memory(b);
	if (init) {
		str_build_add(&l, SPEC_INIT_PATH);
		str_build_add(&l, "--");
	}
	str_build_add_all(&l, &b->config->entrypoint);
	str_build_add_all(&l, &b->config->cmd);
	if (str_build_done(&l, &b->s->process->args) < 0) return spec_no_memory(b);
	if (b->s->process->args.n == (init ? 2U : 0U)) return err_set(b->e, ERR_CONFIG, EINVAL, "no command specified");
	return 0;
}

static bool same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

/* What the user set takes the place of the default of that name; a name alone takes it away. */
static void merge_variable(StrList *env, const char *variable)
{
	size_t i = 0;
	while (i < env->n && !same_variable(env->items[i], variable))
		i++;
	if (strchr(variable, '=')) {
		env->items[i] = variable;
		if (i == env->n) env->n++;
	} else if (i < env->n) {
		memmove(&env->items[i], &env->items[i + 1], (env->n - i) * sizeof *env->items); /* the NULL behind them, too */
		env->n--;
	}
}

static int set_env(SpecBuild *b)
{
	StrBuild l;
	const char *name = spec_hostname(b->in->id, b->config, b->host, b->a);
	if (!name || str_build_init(&l, b->config->env.n + 3, b->a) < 0) return spec_no_memory(b);
	str_build_add(&l, DEFAULT_PATH);
	str_build_add(&l, arena_printf(b->a, "HOSTNAME=%s", name));
	if (b->config->tty) str_build_add(&l, "TERM=xterm");
	if (l.failed) return spec_no_memory(b);
	for (size_t i = 0; i < b->config->env.n; i++) {
		const char *variable = b->config->env.items[i];
		if (!*variable || *variable == '=')
			return err_set(b->e, ERR_CONFIG, EINVAL, "invalid environment variable: %.200s", variable);
		merge_variable(&l.list, variable);
	}
	b->s->process->env = l.list;
	return 0;
}

/* ---- user ---- */

static int set_user(SpecBuild *b)
{
	PasswdUser u;
	int r = passwd_find_user(b->in->root, b->config->user, &b->host->group_add, b->a, &u, b->e);
	if (r < 0) return r;
	b->s->process->user = (OciUser){ .uid = u.uid, .gid = u.gid, .additional_gids = u.groups };
	return 0;
}

static int set_terminal(SpecBuild *b)
{
	OciProcess *p = b->s->process;
	const U32List *size = &b->host->console_size;
	p->terminal = b->config->tty;
	if (!p->terminal || size->n != 2 || (!size->items[0] && !size->items[1])) return 0;
	if (size->items[0] > UINT16_MAX || size->items[1] > UINT16_MAX)
		return err_set(b->e, ERR_CONFIG, EINVAL, "invalid console size %ux%u: at most %d rows and columns", size->items[0],
			       size->items[1], UINT16_MAX);
	p->console_size = arena_alloc(b->a, sizeof *p->console_size);
	if (!p->console_size) return spec_no_memory(b);
	*p->console_size = (OciConsoleSize){ .height = size->items[0], .width = size->items[1] };
	return 0;
}

/* ---- labels ---- */

static const char *label_part(const SpecBuild *b, const char *key, const char *otherwise)
{
	const char *v = NULL;
	for (size_t i = 0; i < b->security.labels.n; i++)
		if (streq(b->security.labels.items[i].key, key)) v = b->security.labels.items[i].value;
	return v ? v : otherwise;
}

/* Two categories that no other container is likely to have: from the id, which is random. */
static const char *own_level(const SpecBuild *b)
{
	uint64_t bits = 0;
	Str digits = { b->in->id, strnlen(b->in->id, 8) };
	if (str_to_u64_base(digits, 16, &bits) < 0) return "s0";
	unsigned first = (unsigned)(bits % 1024), second = (unsigned)(bits / 1024 % 1023);
	if (second >= first) second++;
	return arena_printf(b->a, "s0:c%u,c%u", first < second ? first : second, first < second ? second : first);
}

static int set_labels(SpecBuild *b)
{
	OciProcess *p = b->s->process;
	bool privileged = b->host->privileged;
	if (b->security.apparmor && machine_has(b->in->machine, MACHINE_APPARMOR)) p->apparmor_profile = b->security.apparmor;
	if (b->security.label_disable || privileged || !machine_has(b->in->machine, MACHINE_SELINUX)) return 0;
	const char *level = label_part(b, "level", NULL), *user = label_part(b, "user", "system_u");
	if (!level && !(level = own_level(b))) return spec_no_memory(b);
	p->selinux_label =
		arena_printf(b->a, "%s:%s:%s:%s", user, label_part(b, "role", "system_r"), label_part(b, "type", "container_t"), level);
	b->lnx->mount_label = arena_printf(b->a, "%s:object_r:%s:%s", user, label_part(b, "filetype", "container_file_t"), level);
	return p->selinux_label && b->lnx->mount_label ? 0 : spec_no_memory(b);
}

/* A default never asks for what is not granted: lowering one's score takes CAP_SYS_RESOURCE. */
static void set_oom_score(SpecBuild *b)
{
	const Machine *m = b->in->machine;
	int64_t score = b->host->oom_score_adj;
	if (!score && m->oom_score_adj > 0 && !(m->capabilities & CAP_BIT(CAP_SYS_RESOURCE))) return;
	b->s->process->oom_score_adj = (OptInt){ true, score };
}

int spec_add_process(SpecBuild *b)
{
	OciProcess *p = b->s->process;
	int r;
	if ((r = set_args(b)) < 0 || (r = set_env(b)) < 0 || (r = set_user(b)) < 0 || (r = set_terminal(b)) < 0) return r;
	p->cwd = b->config->working_dir && *b->config->working_dir ? b->config->working_dir : "/";
	if (p->cwd[0] != '/')
		return err_set(b->e, ERR_CONFIG, EINVAL, "the working directory '%.200s' is invalid, it needs to be an absolute path",
			       p->cwd);
	p->no_new_privileges = b->security.no_new_privileges;
	set_oom_score(b);
	return set_labels(b);
}

/* ---- capabilities ---- */

/* podman's: docker grants MKNOD, NET_RAW and AUDIT_WRITE as well. */
static const uint64_t default_caps = CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) |
				     CAP_BIT(CAP_KILL) | CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_SETFCAP) | CAP_BIT(CAP_SETGID) |
				     CAP_BIT(CAP_SETPCAP) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SYS_CHROOT);

static int unknown_cap(const char *name, Err *e)
{
	char upper[64];
	size_t n = 0;
	for (; name[n] && n + 1 < sizeof upper; n++)
		upper[n] = name[n] >= 'a' && name[n] <= 'z' ? (char)(name[n] - 'a' + 'A') : name[n];
	upper[n] = 0;
	return err_set(e, ERR_CONFIG, EINVAL, "unknown capability: \"%s%s\"", starts_with(upper, "CAP_") ? "" : "CAP_", upper);
}

static int parse_names(const StrList *names, uint64_t granted, bool *ret_all, uint64_t *ret, Err *e)
{
	*ret = 0;
	*ret_all = false;
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->items[i];
		if (strcasecmp(name, "all") == 0) {
			*ret_all = true;
			continue;
		}
		int cap = cap_by_name(name);
		if (cap < 0) return unknown_cap(name, e);
		if (!(granted & CAP_BIT(cap)))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "capability not supported by your kernel or not available in the current environment: \"%s\"",
				       cap_name(cap));
		*ret |= CAP_BIT(cap);
	}
	return 0;
}

static int parse_caps(const StrList *names, const char *field, uint64_t granted, bool *ret_all, uint64_t *ret, Err *e)
{
	int r = parse_names(names, granted, ret_all, ret, e);
	return r < 0 ? err_wrap(e, "invalid %s", field) : 0;
}

int capabilities_of(const HostConfig *h, uint64_t granted, uint64_t *ret, Err *e)
{
	uint64_t add, drop;
	bool add_all, drop_all;
	int r;
	if ((r = parse_caps(&h->cap_drop, "CapDrop", granted, &drop_all, &drop, e)) < 0 ||
	    (r = parse_caps(&h->cap_add, "CapAdd", granted, &add_all, &add, e)) < 0)
		return r;
	if (h->privileged || add_all)
		*ret = h->privileged ? granted : granted & ~drop;
	else
		*ret = drop_all ? add : (default_caps & ~drop) | add;
	return 0;
}

static int cap_list(SpecBuild *b, uint64_t set, StrList *ret)
{
	StrBuild l;
	if (str_build_init(&l, 64, b->a) < 0) return -ENOMEM;
	for (int i = 0; i < 64; i++)
		if (set & CAP_BIT(i) && cap_name(i)) str_build_add(&l, cap_name(i));
	return str_build_done(&l, ret);
}

int spec_add_capabilities(SpecBuild *b)
{
	uint64_t set;
	Capabilities *c = arena_alloc(b->a, sizeof *c);
	int r = capabilities_of(b->host, b->in->machine->capabilities, &set, b->e);
	if (r < 0) return r;
	if (!c || cap_list(b, set, &c->bounding) < 0) return spec_no_memory(b);
	/* others get none by execve, either */
	if (b->s->process->user.uid == 0) c->effective = c->permitted = c->bounding;
	b->s->process->capabilities = c;
	b->capabilities = set;
	return 0;
}

/* ---- limits ---- */

enum { DEFAULT_FILES = 1048576, DEFAULT_PROCESSES = 4194304 };

/* The names of --ulimit, in the order of rlimit_names' values. */
static int rlimit_by_name(const char *name)
{
	char text[64];
	int n = snprintf(text, sizeof text, "RLIMIT_%s", name);
	if (n < 0 || (size_t)n >= sizeof text) return -1;
	for (char *p = text; *p; p++)
		if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
	return bind_value(rlimit_names, text);
}

static void add_default(Rlimits *l, const Machine *m, int type, uint64_t value)
{
	uint64_t most = machine_rlimit(m, type), v = value < most ? value : most;
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].type == type) return;
	l->items[l->n++] = (Rlimit){ .type = type, .soft = v, .hard = v };
}

static int add_ulimit(Rlimits *l, const Ulimit *u, const Machine *m, Err *e)
{
	int type = rlimit_by_name(u->name ? u->name : "");
	if (type < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid ulimit type: %.64s", u->name ? u->name : "");
	Rlimit *r = NULL;
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].type == type) r = &l->items[i];
	if (!r) r = &l->items[l->n++];
	*r = (Rlimit){ .type = type, .soft = (uint64_t)u->soft, .hard = (uint64_t)u->hard };
	if (r->soft > r->hard)
		return err_set(e, ERR_CONFIG, EINVAL, "ulimit soft limit must be less than or equal to hard limit: %lld > %lld",
			       (long long)u->soft, (long long)u->hard);
	uint64_t most = machine_rlimit(m, type);
	if (r->hard <= most) return 0;
	return err_set(e, ERR_PERMISSION, EPERM,
		       "ulimit %s: a hard limit of %lld was asked for, but this machine grants no more than %llu (%s)", u->name,
		       (long long)u->hard, (unsigned long long)most,
		       m->capabilities & CAP_BIT(CAP_SYS_RESOURCE) ? "fs.nr_open" : "more needs CAP_SYS_RESOURCE");
}

int rlimits_of(const HostConfig *h, const Machine *m, Arena *a, Rlimits *ret, Err *e)
{
	Rlimits l = { .items = arena_array(a, h->ulimits.n + 2, sizeof *l.items) };
	if (!l.items) return err_sys(e, ENOMEM, "ulimits");
	for (size_t i = 0; i < h->ulimits.n; i++) {
		int r = add_ulimit(&l, &h->ulimits.items[i], m, e);
		if (r < 0) return r;
	}
	/* the same wherever it is started from */
	add_default(&l, m, RLIMIT_NOFILE, DEFAULT_FILES);
	add_default(&l, m, RLIMIT_NPROC, DEFAULT_PROCESSES);
	*ret = l;
	return 0;
}

int spec_add_rlimits(SpecBuild *b)
{
	return rlimits_of(b->host, b->in->machine, b->a, &b->s->process->rlimits, b->e);
}
