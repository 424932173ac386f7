/* spec_seccomp.c: the filter of system calls: the default one, and profiles of users in docker's format.
 *
 * docker's format is that of the specification with conditions: a rule can name capabilities, architectures and a kernel that it is
 * meant for ("includes", "excludes"), "archMap" lists architectures by the native one, "name" is an old way to say "names". podman
 * adds errors by name ("errno", "defaultErrno").
 */
#include "engine/spec_impl.h"

#include <linux/capability.h>
#include <sched.h>

#include "base/errno_name.h"
#include "sys/cap.h"

enum { PROFILE_MAX = 1 << 20 };

/* As docker calls them, which is as Go does. */
#if defined(__x86_64__)
#define NATIVE "amd64"
#elif defined(__aarch64__)
#define NATIVE "arm64"
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE "riscv64"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE "ppc64le"
#elif defined(__s390x__)
#define NATIVE "s390x"
#elif defined(__loongarch64)
#define NATIVE "loongarch64"
#else
#define NATIVE "unknown"
#endif

/* The flags of clone(2): on s390 the second argument. */
#ifdef __s390x__
enum { CLONE_FLAGS_ARG = 1 };
#else
enum { CLONE_FLAGS_ARG = 0 };
#endif
#define NAMESPACE_FLAGS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static bool kernel_is(const Machine *m, unsigned major, unsigned minor)
{
	return m->kernel_major > major || (m->kernel_major == major && m->kernel_minor >= minor);
}

/* ---- the default profile ---- */

typedef struct DefaultRule {
	struct {
		uint64_t with, without; /* capabilities */
		unsigned major, minor;  /* kernel */
		const char *const *archs;
	} when;
	struct {
		int action;
		unsigned errnum;
	} answer;
	struct {
		bool set;
		SeccompArg arg;
	} condition;
	const char *const *names;
	size_t n;
} DefaultRule;

#define ALWAYS \
	{ \
		0 \
	}
#define CAP(name) \
	{ \
		.with = CAP_BIT(CAP_##name) \
	}
#define NO_CAP(name) \
	{ \
		.without = CAP_BIT(CAP_##name) \
	}
#define KERNEL(a, b) \
	{ \
		.major = (a), .minor = (b) \
	}
#define ARCH(...) \
	{ \
		.archs = (const char *const[]) \
		{ \
			__VA_ARGS__, NULL \
		} \
	}
#define ALLOW \
	{ \
		SECCOMP_ALLOW, 0 \
	}
#define ERRNO(n) \
	{ \
		SECCOMP_ERRNO, (n) \
	}
#define ANY \
	{ \
		0 \
	}
#define ARG(i, how, v, v2) \
	{ \
		true, \
		{ \
			.index = (i), .op = (how), .value = (v), .value_two = (v2) \
		} \
	}
#define RULE(w, a, c, ...) \
	{ .when = w, \
	  .answer = a, \
	  .condition = c, \
	  .names = (const char *const[]){ __VA_ARGS__ }, \
	  .n = ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })) },

static const DefaultRule default_rules[] = {
#include "engine/seccomp_default.def"
};

static bool names_native(const char *const *archs)
{
	for (; *archs; archs++)
		if (streq(*archs, NATIVE)) return true;
	return false;
}

static bool holds(const DefaultRule *r, uint64_t caps, const Machine *m)
{
	if (r->when.archs && !names_native(r->when.archs)) return false;
	if ((caps & r->when.with) != r->when.with || caps & r->when.without) return false;
	return !r->when.major || kernel_is(m, r->when.major, r->when.minor);
}

static int add_architectures(SeccompProfile *p, const char *const *names, Arena *a)
{
	size_t n = 0;
	while (names[n])
		n++;
	p->architectures.items = arena_array(a, n, sizeof *p->architectures.items);
	if (!p->architectures.items) return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		p->architectures.items[i] = bind_value(seccomp_arch_names, names[i]);
	p->architectures.n = n;
	return 0;
}

/* With the 32-bit programs that the machine can run; not x32, which next to nobody uses and filters forget. */
static int add_default_architectures(SeccompProfile *p, Arena *a)
{
	if (streq(NATIVE, "amd64")) return add_architectures(p, (const char *[]){ "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", NULL }, a);
	if (streq(NATIVE, "arm64")) return add_architectures(p, (const char *[]){ "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL }, a);
	if (streq(NATIVE, "s390x")) return add_architectures(p, (const char *[]){ "SCMP_ARCH_S390X", "SCMP_ARCH_S390", NULL }, a);
	return 0; /* the native one alone */
}

int seccomp_default(uint64_t caps, const Machine *m, Arena *a, SeccompProfile *ret)
{
	SeccompProfile p = { .default_action = SECCOMP_ERRNO, .default_errno_ret = { true, EPERM } };
	p.syscalls.items = arena_array(a, ARRAY_LEN(default_rules), sizeof *p.syscalls.items);
	if (!p.syscalls.items || add_default_architectures(&p, a) < 0) return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(default_rules); i++) {
		const DefaultRule *r = &default_rules[i];
		if (!holds(r, caps, m)) continue;
		SeccompRule *to = &p.syscalls.items[p.syscalls.n++];
		to->names = (StrList){ (const char **)(uintptr_t)r->names, r->n };
		to->action = r->answer.action;
		if (r->answer.errnum) to->errno_ret = (OptUint){ true, r->answer.errnum };
		if (!r->condition.set) continue;
		to->args.items = arena_alloc(a, sizeof *to->args.items);
		if (!to->args.items) return -ENOMEM;
		to->args.items[0] = r->condition.arg;
		to->args.n = 1;
	}
	*ret = p;
	return 0;
}

/* ---- profiles of users ---- */

typedef struct RuleFilter {
	StrList caps, arches;
	const char *min_kernel;
} RuleFilter;

typedef struct UserRule {
	const char *name, *errno_name;
	SeccompRule rule;
	const RuleFilter *includes, *excludes;
} UserRule;

typedef struct ArchMap {
	int arch;
	IntList more;
} ArchMap;

typedef struct UserProfile {
	SeccompProfile profile; /* without its rules */
	const char *default_errno;
	LIST_OF(ArchMap) arch_map;
	LIST_OF(UserRule) rules;
} UserProfile;

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(seccomp_filter_table, "seccomp filter", RuleFilter, ROW(RuleFilter, "caps", BIND_STRINGS, caps),
	   ROW(RuleFilter, "arches", BIND_STRINGS, arches), ROW(RuleFilter, "minKernel", BIND_STRING, min_kernel));
BIND_TABLE(seccomp_user_rule_table, "seccomp rule", UserRule, ROW(UserRule, "name", BIND_STRING, name),
	   ROW(UserRule, "names", BIND_STRINGS, rule.names), ROW(UserRule, "errno", BIND_STRING, errno_name),
	   ROW(UserRule, "action", BIND_ENUM, rule.action, .sub = seccomp_action_names, .flags = BIND_REQUIRED),
	   ROW(UserRule, "errnoRet", BIND_OPT_UINT, rule.errno_ret, .max = UINT32_MAX),
	   ROW(UserRule, "args", BIND_LIST, rule.args, .sub = &seccomp_arg_table),
	   ROW(UserRule, "includes", BIND_POINTER, includes, .sub = &seccomp_filter_table),
	   ROW(UserRule, "excludes", BIND_POINTER, excludes, .sub = &seccomp_filter_table));
BIND_TABLE(seccomp_arch_map_table, "architecture", ArchMap,
	   ROW(ArchMap, "architecture", BIND_ENUM, arch, .sub = seccomp_arch_names, .flags = BIND_REQUIRED),
	   ROW(ArchMap, "subArchitectures", BIND_ENUMS, more, .sub = seccomp_arch_names));
BIND_TABLE(seccomp_user_profile_table, "seccomp profile", UserProfile,
	   ROW(UserProfile, "defaultAction", BIND_ENUM, profile.default_action, .sub = seccomp_action_names),
	   ROW(UserProfile, "defaultErrnoRet", BIND_OPT_UINT, profile.default_errno_ret, .max = UINT32_MAX),
	   ROW(UserProfile, "defaultErrno", BIND_STRING, default_errno),
	   ROW(UserProfile, "architectures", BIND_ENUMS, profile.architectures, .sub = seccomp_arch_names),
	   ROW(UserProfile, "archMap", BIND_LIST, arch_map, .sub = &seccomp_arch_map_table),
	   ROW(UserProfile, "flags", BIND_ENUMS, profile.flags, .sub = seccomp_flag_names),
	   ROW(UserProfile, "listenerPath", BIND_STRING, profile.listener_path),
	   ROW(UserProfile, "listenerMetadata", BIND_STRING, profile.listener_metadata),
	   ROW(UserProfile, "syscalls", BIND_LIST, rules, .sub = &seccomp_user_rule_table));

/* What a profile's conditions are judged by. */
typedef struct Judge {
	uint64_t caps;
	const Machine *machine;
	Arena *a;
	Err *e;
} Judge;

static bool contains(const StrList *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], name)) return true;
	return false;
}

static size_t count_granted(const Judge *j, const StrList *caps)
{
	size_t n = 0;
	for (size_t i = 0; i < caps->n; i++) {
		int cap = cap_by_name(caps->items[i]);
		n += cap >= 0 && j->caps & CAP_BIT(cap);
	}
	return n;
}

static int kernel_reaches(const Judge *j, const char *version)
{
	Str major_text, minor_text;
	uint32_t major, minor;
	if (!str_cut(str_of(version), '.', &major_text, &minor_text) || str_to_u32(major_text, &major) < 0 ||
	    str_to_u32(minor_text, &minor) < 0)
		return err_set(j->e, ERR_CONFIG, EINVAL, "invalid kernel version: %.64s, expected \"<kernel>.<major>\"", version);
	return kernel_is(j->machine, major, minor);
}

/* 1: the rule is for this container, 0: not, or an error. */
static int applies(const Judge *j, const UserRule *r)
{
	const RuleFilter *in = r->includes, *out = r->excludes;
	int x;
	if (out && (contains(&out->arches, NATIVE) || count_granted(j, &out->caps))) return 0;
	if (out && out->min_kernel && (x = kernel_reaches(j, out->min_kernel))) return x < 0 ? x : 0;
	if (in && in->arches.n && !contains(&in->arches, NATIVE)) return 0;
	if (in && count_granted(j, &in->caps) < in->caps.n) return 0;
	return in && in->min_kernel ? kernel_reaches(j, in->min_kernel) : 1;
}

static int take_errno(const char *name, OptUint *ret, Err *e)
{
	int number = errno_by_name(name);
	if (!number) return err_set(e, ERR_CONFIG, EINVAL, "unknown error \"%.64s\"", name);
	*ret = (OptUint){ true, (uint64_t)number };
	return 0;
}

static int take_rule(const Judge *j, UserRule *r, SeccompProfile *to)
{
	int x = applies(j, r);
	if (x <= 0) return x;
	if (r->name && *r->name) {
		if (r->rule.names.n)
			return err_set(j->e, ERR_CONFIG, EINVAL,
				       "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
		r->rule.names.items = arena_array(j->a, 2, sizeof *r->rule.names.items);
		if (!r->rule.names.items) return err_sys(j->e, ENOMEM, "seccomp profile");
		r->rule.names.items[0] = r->name;
		r->rule.names.n = 1;
	}
	bool has_errno = r->rule.action == SECCOMP_ERRNO || r->rule.action == SECCOMP_TRACE;
	if (has_errno && !r->rule.errno_ret.set && r->errno_name && *r->errno_name &&
	    (x = take_errno(r->errno_name, &r->rule.errno_ret, j->e)) < 0)
		return x;
	if (r->rule.names.n) to->syscalls.items[to->syscalls.n++] = r->rule;
	return 0;
}

static int map_architectures(const Judge *j, const UserProfile *u, SeccompProfile *to)
{
	if (!u->arch_map.n) return 0;
	if (to->architectures.n)
		return err_set(
			j->e, ERR_CONFIG, EINVAL,
			"both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'");
	SeccompProfile native = { 0 };
	if (add_default_architectures(&native, j->a) < 0) return err_sys(j->e, ENOMEM, "seccomp profile");
	for (size_t i = 0; native.architectures.n && i < u->arch_map.n; i++) {
		const ArchMap *m = &u->arch_map.items[i];
		if (m->arch != native.architectures.items[0]) continue;
		to->architectures.items = arena_array(j->a, m->more.n + 1, sizeof *to->architectures.items);
		if (!to->architectures.items) return err_sys(j->e, ENOMEM, "seccomp profile");
		to->architectures.items[0] = m->arch;
		if (m->more.n) memcpy(&to->architectures.items[1], m->more.items, m->more.n * sizeof *m->more.items);
		to->architectures.n = m->more.n + 1;
	}
	return 0;
}

static int convert(const Judge *j, const char *text, SeccompProfile **ret)
{
	UserProfile u;
	size_t n = strlen(text);
	if (n > PROFILE_MAX) return err_set(j->e, ERR_CONFIG, E2BIG, "more than %d bytes", PROFILE_MAX);
	char *copy = arena_strdup(j->a, text);
	if (!copy) return err_sys(j->e, ENOMEM, "seccomp profile");
	int r = bind_parse(&seccomp_user_profile_table, copy, n, &u, "profile", j->a, j->e);
	if (r < 0) return r;
	*ret = NULL;
	if (!u.profile.default_action && !u.rules.n) return 0;
	if (!u.profile.default_action) return err_set(j->e, ERR_CONFIG, EINVAL, "profile: defaultAction: required, but missing");
	SeccompProfile *p = arena_alloc(j->a, sizeof *p);
	if (!p) return err_sys(j->e, ENOMEM, "seccomp profile");
	*p = u.profile;
	p->syscalls.items = arena_array(j->a, u.rules.n + 1, sizeof *p->syscalls.items);
	if (!p->syscalls.items) return err_sys(j->e, ENOMEM, "seccomp profile");
	bool has_errno = p->default_action == SECCOMP_ERRNO || p->default_action == SECCOMP_TRACE;
	if (has_errno && !p->default_errno_ret.set && u.default_errno && (r = take_errno(u.default_errno, &p->default_errno_ret, j->e)) < 0)
		return r;
	if ((r = map_architectures(j, &u, p)) < 0) return r;
	for (size_t i = 0; i < u.rules.n; i++)
		if ((r = take_rule(j, &u.rules.items[i], p)) < 0) return err_wrap(j->e, "profile: syscalls[%zu]", i);
	*ret = p;
	return 0;
}

int seccomp_convert(const char *text, uint64_t caps, const Machine *m, Arena *a, SeccompProfile **ret, Err *e)
{
	Judge j = { .caps = caps, .machine = m, .a = a, .e = e };
	int r = convert(&j, text, ret);
	return r < 0 ? err_wrap(e, "decoding seccomp profile failed") : 0;
}

int spec_add_seccomp(SpecBuild *b)
{
	const char *asked = b->security.seccomp;
	if (asked && streq(asked, "unconfined")) return 0;
	if (asked) return seccomp_convert(asked, b->capabilities, b->in->machine, b->a, &b->lnx->seccomp, b->e);
	if (b->host->privileged) return 0;
	b->lnx->seccomp = arena_alloc(b->a, sizeof *b->lnx->seccomp);
	if (!b->lnx->seccomp) return spec_no_memory(b);
	return seccomp_default(b->capabilities, b->in->machine, b->a, b->lnx->seccomp) < 0 ? spec_no_memory(b) : 0;
}
