/* test_seccomp_oracle.c: the same profile compiled here and, the way runc does it, by libseccomp: both filters have to
 * give the same answer for every architecture, system call and argument.
 *
 * Differences that are meant:
 *  - Numbers above the highest one that the profile knows get ENOSYS (runc puts that in front of libseccomp's filter).
 *    Where socket or ipc calls have numbers of their own beside socketcall and ipc, these count as known here, not there.
 *  - System calls that this libseccomp does not know, or knows under another name, are left out of the comparison.
 *  - Profiles that libseccomp refuses (a short condition after a longer one that it covers, with another action) compile here.
 *  - Where libseccomp's answer is none that the profile gives. It loses its way between several ordered comparisons of
 *    one argument: of "below 2^32" and "below 2^32 - 1", neither holds for 2^32 - 1. So the profile itself is the second oracle.
 *  - seccomp_order.c keeps libseccomp's order of conditions that contradict each other, but not in every tangle.
 */
#include <linux/seccomp.h>
#include <stdio.h>

#ifndef HAVE_LIBSECCOMP
int main(void)
{
	puts("SKIP: built without libseccomp, the oracle of this test");
	return 77; /* what meson takes for "skipped" */
}
#else

#include <ctype.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf.h"
#include "seccomp_model.h"
#include "seccomp_profiles.h"
#include "sys/fd.h"

enum { MAX_CODE = 8192, X32_BIT = 0x40000000, VALUES_MAX = 256, ROUNDS = 150 };

typedef struct Oracle {
	struct sock_filter code[MAX_CODE];
	size_t n;
} Oracle;

/* ---- libseccomp's filter ---- */

static struct scmp_arg_cmp oracle_arg(const SeccompArg *arg)
{
	static const enum scmp_compare ops[] = { [SECCOMP_NE] = SCMP_CMP_NE,
						 [SECCOMP_LT] = SCMP_CMP_LT,
						 [SECCOMP_LE] = SCMP_CMP_LE,
						 [SECCOMP_EQ] = SCMP_CMP_EQ,
						 [SECCOMP_GE] = SCMP_CMP_GE,
						 [SECCOMP_GT] = SCMP_CMP_GT,
						 [SECCOMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ };
	return (struct scmp_arg_cmp){ arg->index, ops[arg->op], arg->value, arg->value_two };
}

/* oracle_token: libseccomp's token of an architecture, 0 when it does not know it. */
static uint32_t oracle_token(int arch)
{
	char name[32];
	snprintf(name, sizeof name, "%s", bind_name(seccomp_arch_names, arch) + strlen("SCMP_ARCH_"));
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return seccomp_arch_resolve_name(name);
}

static int oracle_add(scmp_filter_ctx ctx, const SeccompRule *r, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR) return 0;
	struct scmp_arg_cmp args[6];
	if (!model_split(r)) {
		for (size_t i = 0; i < r->args.n; i++)
			args[i] = oracle_arg(&r->args.items[i]);
		return seccomp_rule_add_array(ctx, action, nr, (unsigned)r->args.n, args);
	}
	int x = 0;
	for (size_t i = 0; i < r->args.n && x == 0; i++) {
		args[0] = oracle_arg(&r->args.items[i]);
		x = seccomp_rule_add_array(ctx, action, nr, 1, args);
	}
	return x;
}

static int oracle_fill(scmp_filter_ctx ctx, const SeccompProfile *p)
{
	uint32_t normal = model_ret(p->default_action, p->default_errno_ret);
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *r = &p->syscalls.items[i];
		uint32_t action = model_ret(r->action, r->errno_ret);
		for (size_t k = 0; k < r->names.n && action != normal; k++) {
			int x = oracle_add(ctx, r, action, r->names.items[k]);
			if (x < 0) return x;
		}
	}
	return 0;
}

/* oracle_read: the program that libseccomp exported, its bytes in this machine's order (they are in the target's). */
static void oracle_read(int fd, Oracle *o, bool swap)
{
	ssize_t n = pread(fd, o->code, sizeof o->code, 0);
	assert_true(n > 0 && n < (ssize_t)sizeof o->code);
	o->n = (size_t)n / sizeof o->code[0];
	for (size_t i = 0; i < o->n && swap; i++) {
		o->code[i].code = __builtin_bswap16(o->code[i].code);
		o->code[i].k = __builtin_bswap32(o->code[i].k);
		if (o->code[i].code == (BPF_RET | BPF_K) && !(o->code[i].k & SECCOMP_RET_ACTION_FULL)) /* repeated ones it forgets */
			o->code[i].k = __builtin_bswap32(o->code[i].k);
	}
	assert_null(bpf_check(o->code, o->n));
}

static int oracle_write(const SeccompProfile *p, int only, int fd)
{
	scmp_filter_ctx ctx = seccomp_init(model_ret(p->default_action, p->default_errno_ret));
	if (!ctx) return -ENOMEM;
	int r = 0;
	if (only) r = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	if (only && r == 0) r = seccomp_arch_add(ctx, oracle_token(only));
	for (size_t i = 0; i < p->architectures.n && !only && (r == 0 || r == -EEXIST); i++)
		r = seccomp_arch_add(ctx, oracle_token(p->architectures.items[i]));
	if (r == 0 || r == -EEXIST) r = oracle_fill(ctx, p);
	if (r == 0) r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	return r;
}

/* oracle_compile: 0, -EINVAL when libseccomp refuses, -ETIMEDOUT when it does not end: certain combinations of conditions
 * make a ring of its tree, so it works in a process that can be left. only: when not 0, the filter is for that
 * architecture alone (the only way to have one of another byte order). */
static int oracle_compile(const SeccompProfile *p, int only, Oracle *o)
{
	AUTO_FD int fd = memfd_create("bpf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(1);
		_exit(oracle_write(p, only, fd) < 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) return -ETIMEDOUT;
	if (status) return -EINVAL;
	oracle_read(fd, o, only && seccomp_arch(only)->big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__));
	return 0;
}

/* ---- what is expected ---- */

/* comparable: do both tables have the same name, or none, for the number? */
static bool comparable(int arch, uint32_t nr)
{
	static signed char known[SECCOMP_ARCH_MAX + 1][8192];
	if (nr >= 8192) return true;
	signed char *k = &known[arch][nr];
	if (*k) return *k > 0;
	const SeccompArch *info = seccomp_arch(arch);
	char *theirs = seccomp_syscall_resolve_num_arch(oracle_token(arch), (int)(nr | info->bit));
	bool same = !theirs;
	for (int row = 0; row < seccomp_syscall_count(); row++)
		if (seccomp_syscall_nr(info, row) == nr) same = theirs && streq(theirs, seccomp_syscall_name(row));
	free(theirs);
	*k = same ? 1 : -1;
	return same;
}

/* ---- the comparison ---- */

typedef struct Values {
	uint64_t v[VALUES_MAX];
	size_t n;
	uint64_t random; /* state of next_random */
} Values;

/* next_random: xorshift64, so that a failure comes again. */
static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	return *s ^= *s << 17;
}

static void value_add(Values *v, uint64_t x)
{
	uint64_t near[] = { x, x + 1, x - 1, x ^ 1ull << 32, x + (1ull << 32), (uint32_t)x, x | 0xffffffff00000000 };
	for (size_t i = 0; i < ARRAY_LEN(near) && v->n < VALUES_MAX; i++)
		v->v[v->n++] = near[i];
}

/* values_of: everything at, beside and a word away from what the profile compares with. */
static Values values_of(const SeccompProfile *p)
{
	Values v = { .random = 88172645463325252u };
	for (uint64_t i = 0; i < 3; i++)
		v.v[v.n++] = i;
	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t k = 0; k < p->syscalls.items[i].args.n; k++) {
			value_add(&v, p->syscalls.items[i].args.items[k].value);
			value_add(&v, p->syscalls.items[i].args.items[k].value_two);
		}
	for (uint64_t call = 1; call <= 24 && v.n < VALUES_MAX; call++) /* socketcall and ipc */
		v.v[v.n++] = call;
	return v;
}

typedef struct Case {
	const SeccompProfile *profile;
	const SeccompFilter *ours;
	const Oracle *theirs;
	int arch;
	uint32_t top;
	size_t compared;
	size_t libseccomp_wrong; /* answers that no rule gives, while the one here is as written */
	size_t other_order;      /* answers of different rules that both hold */
	bool any_order;          /* these are no failure */
} Case;

static void print_profile(const SeccompProfile *p)
{
	AUTO_BUF text = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&text);
	bind_encode(&profile_table, p, &w);
	puts(buf_str(&text)); /* print_message would cut it */
}

static bool same_answer(Case *c, const struct seccomp_data *d)
{
	const SeccompArch *arch = seccomp_arch(c->arch);
	uint32_t want =
		model_enosys(c->profile, arch, c->top, (uint32_t)d->nr) ? SECCOMP_RET_ERRNO | ENOSYS : bpf_run(c->theirs->code, d, NULL);
	uint32_t got = bpf_run(c->ours->prog.filter, d, NULL);
	c->compared++;
	if (got == want) return true;
	if (model_allows(c->profile, arch, d, got)) {
		bool order = model_allows(c->profile, arch, d, want);
		*(order ? &c->other_order : &c->libseccomp_wrong) += 1;
		if (!order || c->any_order) return true;
	}
	print_message("%s, number %d (%#llx, %#llx, %#llx): %#x here, %#x there\n", bind_name(seccomp_arch_names, c->arch), d->nr,
		      (unsigned long long)d->args[0], (unsigned long long)d->args[1], (unsigned long long)d->args[2], got, want);
	print_profile(c->profile);
	return false;
}

/* conditional: does some rule for the number look at arguments? */
static bool conditional(const SeccompProfile *p, const SeccompArch *arch, uint32_t nr)
{
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *r = &p->syscalls.items[i];
		for (size_t k = 0; k < r->names.n; k++) {
			int row = seccomp_syscall_find(r->names.items[k]);
			if (row < 0) continue;
			SeccompMux mux = seccomp_syscall_mux(row);
			if (r->args.n && seccomp_syscall_nr(arch, row) == nr) return true;
			if (arch->muxed && mux.call && seccomp_mux_nr(arch, mux.ipc) == nr) return true;
		}
	}
	return false;
}

static bool same_answers_for_number(Case *c, uint32_t nr, Values *v)
{
	const SeccompArch *arch = seccomp_arch(c->arch);
	bool has_arch = (nr & X32_BIT) == arch->bit;
	if (has_arch && !comparable(c->arch, nr & ~arch->bit)) return true;
	size_t rounds = has_arch && conditional(c->profile, arch, nr & ~arch->bit) ? ROUNDS : 1;
	for (size_t i = 0; i < rounds; i++) {
		struct seccomp_data d = { .nr = (int)nr, .arch = arch->audit };
		for (size_t k = 0; k < 6; k++)
			d.args[k] = v->v[next_random(&v->random) % v->n];
		if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && arch->big) /* the words as that architecture has them in memory */
			for (size_t k = 0; k < 6; k++)
				d.args[k] = d.args[k] << 32 | d.args[k] >> 32;
		if (!same_answer(c, &d)) return false;
	}
	return true;
}

static bool same_answers_for_arch(Case *c)
{
	const SeccompArch *arch = seccomp_arch(c->arch);
	Values v = values_of(c->profile);
	c->top = model_top(c->profile, arch);
	static const uint32_t edges[] = { 0x3ffff,    0xeffff,    0xf0000,    0xf0005,    0xf0010,
					  0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	bool same = true;
	for (uint32_t nr = 0; nr < 600 && same; nr++)
		same = same_answers_for_number(c, (nr + arch->base) | arch->bit, &v);
	for (uint32_t nr = 0; nr < 10 && same && arch->base; nr++)
		same = same_answers_for_number(c, nr, &v);
	for (size_t i = 0; i < ARRAY_LEN(edges) && same; i++)
		if (!arch->bit || edges[i] & X32_BIT) same = same_answers_for_number(c, edges[i], &v);
	return same;
}

typedef struct Tally {
	size_t profiles, refused, endless, answers, libseccomp_wrong, other_order;
} Tally;

/* same_unlisted: what an architecture gets that is not in the filter. */
static void same_unmodel_has_arch(const Case *c)
{
	struct seccomp_data d = { .nr = seccomp_arch(c->arch)->bit ? X32_BIT + 1 : 4001, .arch = seccomp_arch(c->arch)->audit };
	for (int v = 1; v <= SECCOMP_ARCH_MAX && !seccomp_arch(c->arch)->bit; v++)
		if (model_has_arch(c->profile, v) && seccomp_arch(v)->audit == d.arch) return;
	assert_int_equal(bpf_run(c->ours->prog.filter, &d, NULL), bpf_run(c->theirs->code, &d, NULL));
}

/* same_filter: the whole comparison of one profile, on all its architectures; false after a difference. */
static bool same_filter(const SeccompProfile *p, bool any_order, Tally *t)
{
	static Oracle o;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	Err e = ERR_INIT;
	SeccompFilter f;
	t->profiles++;
	int r = oracle_compile(p, 0, &o);
	t->refused += r == -EINVAL;
	t->endless += r == -ETIMEDOUT;
	if (r < 0) return true;
	if (seccomp_compile(p, &a, &f, &e) < 0) fail_msg("%s", e.msg);
	Case c = { .profile = p, .ours = &f, .theirs = &o, .any_order = any_order };
	bool same = true;
	for (c.arch = 1; c.arch <= SECCOMP_ARCH_MAX && same; c.arch++) {
		if (model_has_arch(p, c.arch))
			same = same_answers_for_arch(&c);
		else
			same_unmodel_has_arch(&c);
	}
	t->answers += c.compared;
	t->libseccomp_wrong += c.libseccomp_wrong;
	t->other_order += c.other_order;
	return same;
}

static void must_be_same(const char *json)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	SeccompProfile p = profile_of(&a, json);
	Tally t = { 0 };
	if (!same_filter(&p, false, &t) || t.answers == 0 || t.libseccomp_wrong) fail_msg("%s", json);
}

/* ---- tests ---- */

static void default_profile_answers_alike(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	SeccompProfile p = profile_like_default(&a);
	Tally t = { 0 };
	assert_true(same_filter(&p, false, &t));
	print_message("%zu answers compared\n", t.answers);
	assert_true(t.answers > 1800 && t.libseccomp_wrong == 0);
	static const int actions[] = { SECCOMP_KILL_PROCESS, SECCOMP_KILL_THREAD, SECCOMP_TRAP, SECCOMP_LOG, SECCOMP_TRACE };
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		p.default_action = actions[i];
		assert_true(same_filter(&p, false, &t));
	}
}

/* An engine's profile file: rules with the conditions of the engine, which here are those of a container with the usual
 * capabilities on amd64. */
typedef struct EngineCondition {
	StrList arches, caps;
} EngineCondition;
typedef struct EngineRule {
	SeccompRule rule;
	EngineCondition includes, excludes;
} EngineRule;
typedef struct EngineProfile {
	int default_action;
	OptUint default_errno_ret;
	LIST_OF(EngineRule) syscalls;
} EngineProfile;

BIND_TABLE(condition_table, "condition", EngineCondition, FIELD(EngineCondition, "arches", BIND_STRINGS, arches),
	   FIELD(EngineCondition, "caps", BIND_STRINGS, caps));
BIND_TABLE(engine_rule_table, "rule", EngineRule, FIELD(EngineRule, "names", BIND_STRINGS, rule.names),
	   FIELD(EngineRule, "action", BIND_ENUM, rule.action, .sub = seccomp_action_names),
	   FIELD(EngineRule, "errnoRet", BIND_OPT_UINT, rule.errno_ret, .max = UINT32_MAX),
	   FIELD(EngineRule, "args", BIND_LIST, rule.args, .sub = &arg_table),
	   FIELD(EngineRule, "includes", BIND_OBJECT, includes, .sub = &condition_table),
	   FIELD(EngineRule, "excludes", BIND_OBJECT, excludes, .sub = &condition_table));
BIND_TABLE(engine_table, "profile", EngineProfile,
	   FIELD(EngineProfile, "defaultAction", BIND_ENUM, default_action, .sub = seccomp_action_names),
	   FIELD(EngineProfile, "defaultErrnoRet", BIND_OPT_UINT, default_errno_ret, .max = UINT32_MAX),
	   FIELD(EngineProfile, "syscalls", BIND_LIST, syscalls, .sub = &engine_rule_table));

static bool lists(const StrList *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], s)) return true;
	return false;
}

static bool engine_rule_counts(const EngineRule *r)
{
	bool usual = lists(&r->includes.caps, "CAP_SYS_CHROOT") || lists(&r->includes.caps, "CAP_AUDIT_WRITE");
	bool unusual = lists(&r->excludes.caps, "CAP_SYS_CHROOT") || lists(&r->excludes.caps, "CAP_AUDIT_WRITE");
	if ((r->includes.caps.n && !usual) || unusual) return false;
	return (!r->includes.arches.n || lists(&r->includes.arches, "amd64")) && !lists(&r->excludes.arches, "amd64");
}

static void engines_own_profile_answers_alike(void **state)
{
	(void)state;
	const char *path = getenv("TEST_SECCOMP_PROFILE");
	if (!path) path = "/usr/share/containers/seccomp.json";
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	if (fd_read_file(AT_FDCWD, path, 1 << 20, &a, &text, &n, &e) < 0) {
		print_message("no %s: install golang-github-containers-common, or name one in TEST_SECCOMP_PROFILE\n", path);
		skip();
	}
	EngineProfile engine;
	if (bind_parse(&engine_table, text, n, &engine, path, &a, &e) < 0) fail_msg("%s", e.msg);
	SeccompProfile p = profile_of(&a, "{'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86','SCMP_ARCH_X32']}");
	p.default_action = engine.default_action;
	p.default_errno_ret = engine.default_errno_ret;
	p.syscalls.items = arena_array(&a, engine.syscalls.n, sizeof *p.syscalls.items);
	assert_non_null(p.syscalls.items);
	for (size_t i = 0; i < engine.syscalls.n; i++)
		if (engine_rule_counts(&engine.syscalls.items[i])) p.syscalls.items[p.syscalls.n++] = engine.syscalls.items[i].rule;
	Tally t = { 0 };
	assert_true(same_filter(&p, false, &t));
	SeccompFilter f;
	assert_int_equal(seccomp_compile(&p, &a, &f, &e), 0);
	print_message("%zu rules: %u instructions, %zu answers compared\n", p.syscalls.n, (unsigned)f.prog.len, t.answers);
	assert_true(t.answers > 1800 && t.libseccomp_wrong == 0 && f.prog.len < 400);
}

/* Every architecture, also those of another byte order: each alone, since libseccomp does not mix byte orders. */
static void every_architecture_answers_alike(void **state)
{
	(void)state;
	static Oracle o;
	size_t skipped = 0;
	for (int arch = 1; arch <= SECCOMP_ARCH_MAX; arch++) {
		if (arch == seccomp_native_arch()) continue;
		if (oracle_token(arch) == 0) {
			skipped++;
			continue;
		}
		AUTO_ARENA a = ARENA_INIT(4 << 20);
		Err e = ERR_INIT;
		SeccompFilter f;
		SeccompProfile p = profile_like_default(&a);
		p.architectures = (IntList){ &arch, 1 };
		assert_int_equal(oracle_compile(&p, arch, &o), 0);
		if (seccomp_compile(&p, &a, &f, &e) < 0) fail_msg("%s", e.msg);
		Case c = { .profile = &p, .ours = &f, .theirs = &o, .arch = arch };
		assert_true(same_answers_for_arch(&c));
	}
	if (skipped) print_message("%zu architectures are unknown to this libseccomp\n", skipped);
}

#define ARCHES "'architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_X86','SCMP_ARCH_X32','SCMP_ARCH_AARCH64','SCMP_ARCH_ARM']"

static void every_operator_answers_alike(void **state)
{
	(void)state;
	static const char *values[] = { "0",          "1",           "7",           "4294967295",          "4294967296",
					"4294967303", "30064771072", "30064771079", "9223372036854775808", "18446744073709551615" };
	for (const BindName *op = seccomp_op_names; op->name; op++)
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			char json[1024];
			snprintf(
				json, sizeof json,
				"{'defaultAction':'SCMP_ACT_ALLOW'," ARCHES
				",'syscalls':[{'names':['mkdirat','socket','semget'],'action':'SCMP_ACT_ERRNO',"
				"'args':[{'index':1,'value':%s,'valueTwo':%s,'op':'%s'}]},{'names':['fchmod'],'action':'SCMP_ACT_KILL','args':["
				"{'index':0,'value':%s,'valueTwo':5,'op':'%s'},{'index':1,'value':3,'op':'SCMP_CMP_NE'}]}]}",
				values[i], values[(i + 3) % ARRAY_LEN(values)], op->name, values[i], op->name);
			must_be_same(json);
		}
}

static void chosen_profiles_answer_alike(void **state)
{
	(void)state;
	must_be_same("{'defaultAction':'SCMP_ACT_ALLOW'}");
	must_be_same("{'defaultAction':'SCMP_ACT_KILL'," ARCHES "}");
	must_be_same(
		"{'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86'],'syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW'}]}");
	/* one architecture alone has something to ask */
	must_be_same("{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['socketcall'],'action':'SCMP_ACT_TRAP','args':["
		     "{'index':1,'value':0,'op':'SCMP_CMP_NE'}]}]}");
	/* one index twice: each comparison is a rule */
	must_be_same(
		"{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['mkdirat'],'action':'SCMP_ACT_ALLOW','args':["
		"{'index':1,'value':4,'op':'SCMP_CMP_EQ'},{'index':1,'value':5,'op':'SCMP_CMP_EQ'},{'index':0,'value':6,'op':'SCMP_CMP_EQ'}]}]}");
	/* a condition, then the same call without: no condition counts; and the other way round */
	must_be_same("{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['mkdirat'],'action':'SCMP_ACT_KILL','args':["
		     "{'index':1,'value':4,'op':'SCMP_CMP_EQ'}]},{'names':['mkdirat'],'action':'SCMP_ACT_ALLOW'},"
		     "{'names':['mkdirat'],'action':'SCMP_ACT_LOG'}]}");
	must_be_same("{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['mkdirat'],'action':'SCMP_ACT_ALLOW'},"
		     "{'names':['mkdirat'],'action':'SCMP_ACT_KILL','args':[{'index':1,'value':4,'op':'SCMP_CMP_EQ'}]}]}");
	/* a rule with the default action is as if it were not there */
	must_be_same("{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['mkdirat'],'action':'SCMP_ACT_ERRNO'},"
		     "{'names':['mkdirat'],'action':'SCMP_ACT_ALLOW'},{'names':['chdir'],'action':'SCMP_ACT_ERRNO','errnoRet':2}]}");
	/* masks of nothing, of one word, of the other */
	must_be_same(
		"{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES ",'syscalls':[{'names':['mkdirat'],'action':'SCMP_ACT_ALLOW','args':["
		"{'index':1,'value':0,'valueTwo':7,'op':'SCMP_CMP_MASKED_EQ'}]},{'names':['chdir'],'action':'SCMP_ACT_ALLOW','args':["
		"{'index':0,'value':1095216660480,'valueTwo':4294967296,'op':'SCMP_CMP_MASKED_EQ'}]},"
		"{'names':['fchmod'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':255,'valueTwo':511,'op':'SCMP_CMP_MASKED_EQ'}]}]}");
	/* rules of an engine about sockets: conditions of several lengths and answers */
	must_be_same("{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':38,'architectures':['SCMP_ARCH_X32'],'syscalls':["
		     "{'names':['socket'],'action':'SCMP_ACT_ERRNO','errnoRet':1,'args':[{'index':0,'value':40,'op':'SCMP_CMP_EQ'}]},"
		     "{'names':['socket'],'action':'SCMP_ACT_ERRNO','errnoRet':22,'args':[{'index':0,'value':16,'op':'SCMP_CMP_EQ'},"
		     "{'index':2,'value':9,'op':'SCMP_CMP_EQ'}]},{'names':['socket'],'action':'SCMP_ACT_ALLOW','args':["
		     "{'index':0,'value':16,'op':'SCMP_CMP_EQ'},{'index':2,'value':9,'op':'SCMP_CMP_NE'}]},"
		     "{'names':['socket'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':16,'op':'SCMP_CMP_NE'}]}]}");
}

typedef enum {
	ONE_ACTION,   /* rules that allow: their order does not matter */
	ONE_ARGUMENT, /* rules with several actions and one comparison (not NE) below 2^32 each: libseccomp's order is kept exactly */
	ANYTHING,
} Style;

static void random_rule(SeccompRule *r, Arena *a, uint64_t *s, Style style)
{
	static const char *pool[] = {
		"mkdirat", "fchmod", "openat", "socket", "sendmsg", "semget", "shmat", "ioctl", "socketcall", "clone3"
	};
	static const uint64_t values[] = { 0, 1, 5, 6, UINT32_MAX, 1ull << 32, (1ull << 32) + 5, (6ull << 32) + 1, UINT64_MAX };
	static const int actions[] = { SECCOMP_ALLOW, SECCOMP_KILL_PROCESS, SECCOMP_LOG, SECCOMP_TRAP };
	r->names.items = arena_array(a, 3, sizeof *r->names.items);
	r->args.items = arena_array(a, 3, sizeof *r->args.items);
	assert_true(r->names.items && r->args.items);
	r->names.n = 1 + next_random(s) % 2;
	r->args.n = next_random(s) % 10 == 0 ? 0 : style == ONE_ARGUMENT ? 1 : 1 + next_random(s) % 3;
	for (size_t k = 0; k < r->names.n; k++)
		r->names.items[k] = pool[next_random(s) % ARRAY_LEN(pool)];
	size_t n_values = style == ONE_ARGUMENT ? 5 : ARRAY_LEN(values);
	for (size_t k = 0; k < r->args.n; k++)
		r->args.items[k] = (SeccompArg){ .index = (uint32_t)(next_random(s) % 3),
						 .op = (int)(style == ONE_ARGUMENT ? SECCOMP_LT + next_random(s) % 6
										   : SECCOMP_NE + next_random(s) % 7),
						 .value = values[next_random(s) % n_values],
						 .value_two = values[next_random(s) % n_values] };
	r->action = style == ONE_ACTION ? SECCOMP_ALLOW : actions[next_random(s) % ARRAY_LEN(actions)];
}

/* random_profile: few names and values, so that rules meet. */
static SeccompProfile random_profile(Arena *a, uint64_t *s, Style style)
{
	SeccompProfile p = profile_of(a, "{'defaultAction':'SCMP_ACT_ERRNO'," ARCHES "}");
	if (next_random(s) % 4 == 0) p.default_action = SECCOMP_LOG;
	p.syscalls.items = arena_array(a, 12, sizeof *p.syscalls.items);
	assert_non_null(p.syscalls.items);
	p.syscalls.n = 1 + next_random(s) % 12;
	for (size_t i = 0; i < p.syscalls.n; i++)
		random_rule(&p.syscalls.items[i], a, s, style);
	return p;
}

static Tally random_profiles(size_t n, Style style)
{
	uint64_t s = 42;
	Tally t = { 0 };
	for (size_t i = 0; i < n; i++) {
		AUTO_ARENA a = ARENA_INIT(4 << 20);
		SeccompProfile p = random_profile(&a, &s, style);
		if (!same_filter(&p, style == ANYTHING, &t)) fail_msg("profile %zu", i);
	}
	print_message("%zu profiles, %zu answers; libseccomp: %zu profiles refused, %zu without end, %zu answers against the profile, "
		      "%zu in another order\n",
		      t.profiles, t.answers, t.refused, t.endless, t.libseccomp_wrong, t.other_order);
	assert_true(t.answers > 2000 * n);
	assert_true(t.endless < n / 20);
	assert_true(t.libseccomp_wrong < t.answers / 20);
	return t;
}

static void random_profiles_answer_alike(void **state)
{
	(void)state;
	assert_int_equal(random_profiles(150, ONE_ACTION).refused, 0);
}

static void rules_that_contradict_keep_libseccomps_order(void **state)
{
	(void)state;
	random_profiles(150, ONE_ARGUMENT);
}

/* With several arguments and 64-bit values the order is libseccomp's in most cases; what is answered is always some rule's. */
static void every_answer_is_as_written(void **state)
{
	(void)state;
	Tally t = random_profiles(150, ANYTHING);
	assert_true(t.other_order < t.answers / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_profile_answers_alike),
		cmocka_unit_test(engines_own_profile_answers_alike),
		cmocka_unit_test(every_architecture_answers_alike),
		cmocka_unit_test(every_operator_answers_alike),
		cmocka_unit_test(chosen_profiles_answer_alike),
		cmocka_unit_test(random_profiles_answer_alike),
		cmocka_unit_test(rules_that_contradict_keep_libseccomps_order),
		cmocka_unit_test(every_answer_is_as_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
