/* seccomp_plan.c: the rules of a profile as ranges of system call numbers.
 *
 * What a profile means is what runc makes of it through libseccomp:
 *  - A rule whose action equals the default one is left out. A name that an architecture lacks is skipped for it.
 *  - The first unconditional rule of a system call decides, wherever conditional ones stand. Between conditional ones see
 *    seccomp_order.c.
 *  - The native architecture is always part of the filter. Other architectures than the listed ones get KILL_THREAD; so do x32
 *    numbers when only x86_64 is listed, except -1, the number of a call that a tracer skips.
 *  - On architectures with socketcall and ipc, a rule for one of their functions also becomes a rule for that function's
 *    number in argument 0; a condition on argument 0 is lost there, the others stay.
 *  - When the default action denies, numbers above the highest one that the profile knows (on each architecture) get
 *    ENOSYS: the profile is older than they are, and programs fall back on ENOSYS, not on EPERM.
 */
#include "sys/seccomp_plan.h"

enum {
	SLOTS = 1024, /* numbers above an architecture's base; the last ones are ARM's private numbers */
	SLOT_PRIVATE = 1008,
	ARM_PRIVATE = 0xf0000,
	MAX_RANGES = 2 * SLOTS + 16, /* of one section: x86_64 and x32 */
	MAX_CONDS = 2048,            /* of one system call */
	MAX_ERRNO = 4095,
	MAX_TRACE = 0xffff,
};
static const uint32_t RET_ENOSYS = SECCOMP_RET_ERRNO | ENOSYS;

/* A rule made ready: what it answers and its conditions (none: always). */
typedef struct Rule {
	uint32_t ret;
	bool dropped; /* equals the default action; its names still count as known */
	SeccompCond *conds;
	size_t n;
} Rule;

/* A system call that a rule names. */
typedef struct Use {
	uint32_t rule;
	int row;
} Use;

typedef struct Node {
	struct Node *next;
	const SeccompCond *cond;
} Node;

typedef enum { SLOT_DEFAULT, SLOT_ALWAYS, SLOT_CONDS } SlotKind;

typedef struct Slot {
	Node *first, *last;
	uint32_t ret;
	uint16_t n;
	uint8_t kind; /* SlotKind */
	bool mixed;   /* conditions with different answers */
} Slot;

typedef struct Planner {
	const SeccompProfile *profile;
	Arena *arena;
	Err *err;
	Rule *rules;
	Use *uses;
	size_t n_uses;
	uint32_t default_ret;
	bool stub;            /* unknown numbers get ENOSYS */
	Slot slots[SLOTS];    /* of the architecture at work */
	uint32_t top;         /* the highest number known on it */
	SeccompRange *ranges; /* the section at work: room for MAX_RANGES */
	size_t n_ranges;
	size_t n_low, low; /* how many of them are x86_64's, below those of x32, and which one same_as_low() looked at last */
} Planner;

static int no_memory(Err *e)
{
	return err_set(e, ERR_RESOURCE, ENOMEM, "linux.seccomp: the profile is too large");
}

static int action_ret(int action, OptUint errno_ret, const char *where, uint32_t *ret, Err *e)
{
	static const uint32_t rets[] = {
		[SECCOMP_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
		[SECCOMP_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
		[SECCOMP_TRAP] = SECCOMP_RET_TRAP,
		[SECCOMP_ERRNO] = SECCOMP_RET_ERRNO,
		[SECCOMP_NOTIFY] = SECCOMP_RET_USER_NOTIF,
		[SECCOMP_TRACE] = SECCOMP_RET_TRACE,
		[SECCOMP_LOG] = SECCOMP_RET_LOG,
		[SECCOMP_ALLOW] = SECCOMP_RET_ALLOW,
	};
	if (action < SECCOMP_KILL_PROCESS || action > SECCOMP_ALLOW)
		return err_set(e, ERR_CONFIG, EINVAL, "linux.seccomp.%s: an action is required", where);
	*ret = rets[action];
	if (action != SECCOMP_ERRNO && action != SECCOMP_TRACE) {
		if (!errno_ret.set) return 0;
		return err_set(e, ERR_CONFIG, EINVAL, "linux.seccomp.%s: %s takes no errnoRet (only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do)",
			       where, bind_name(seccomp_action_names, action));
	}
	uint64_t max = action == SECCOMP_ERRNO ? MAX_ERRNO : MAX_TRACE, v = errno_ret.set ? errno_ret.v : EPERM;
	if (v > max)
		return err_set(e, ERR_CONFIG, EINVAL, "linux.seccomp.%s: errnoRet %llu is not in 0 to %llu", where, (unsigned long long)v,
			       (unsigned long long)max);
	*ret |= (uint32_t)v;
	return 0;
}

static int test_of(const SeccompArg *arg, SeccompTest *t)
{
	if (arg->index > 5 || arg->op < SECCOMP_NE || arg->op > SECCOMP_MASKED_EQ) return -EINVAL;
	*t = (SeccompTest){ .index = (uint8_t)arg->index, .op = (uint8_t)arg->op, .mask = UINT64_MAX, .value = arg->value };
	if (arg->op == SECCOMP_MASKED_EQ) {
		t->mask = arg->value;
		t->value = arg->value_two & arg->value;
	}
	return 0;
}

/* cond_add: puts the test in the order of the indexes. */
static void cond_add(SeccompCond *c, SeccompTest t)
{
	size_t at = c->n++;
	for (; at && c->tests[at - 1].index > t.index; at--)
		c->tests[at] = c->tests[at - 1];
	c->tests[at] = t;
}

/* rule_conds: the conditions of a rule: one, or one per comparison when an index comes twice. */
static int rule_conds(Planner *pl, const SeccompRule *from, size_t i, Rule *to)
{
	unsigned seen = 0, twice = 0;
	for (size_t k = 0; k < from->args.n; k++) {
		SeccompTest t;
		if (test_of(&from->args.items[k], &t) < 0)
			return err_set(pl->err, ERR_CONFIG, EINVAL, "linux.seccomp.syscalls[%zu].args[%zu]: %s", i, k,
				       from->args.items[k].index > 5 ? "index is not in 0 to 5" : "an operator is required");
		twice |= seen & 1u << t.index;
		seen |= 1u << t.index;
	}
	if (from->args.n == 0) return 0;
	to->n = twice ? from->args.n : 1;
	to->conds = arena_array(pl->arena, to->n, sizeof *to->conds);
	if (!to->conds) return no_memory(pl->err);
	for (size_t k = 0; k < from->args.n; k++) {
		SeccompTest t;
		SeccompCond *c = &to->conds[twice ? k : 0];
		c->ret = to->ret;
		if (test_of(&from->args.items[k], &t) == 0) cond_add(c, t);
	}
	return 0;
}

static int read_rules(Planner *pl)
{
	const SeccompProfile *p = pl->profile;
	size_t names = 0;
	for (size_t i = 0; i < p->syscalls.n; i++)
		names += p->syscalls.items[i].names.n;
	pl->rules = arena_array(pl->arena, p->syscalls.n, sizeof *pl->rules);
	pl->uses = arena_array(pl->arena, names, sizeof *pl->uses);
	if (!pl->rules || !pl->uses || p->syscalls.n > UINT32_MAX) return no_memory(pl->err);
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *from = &p->syscalls.items[i];
		Rule *to = &pl->rules[i];
		char where[48];
		snprintf(where, sizeof where, "syscalls[%zu]", i);
		int r = action_ret(from->action, from->errno_ret, where, &to->ret, pl->err);
		if (r < 0) return r;
		to->dropped = to->ret == pl->default_ret;
		r = rule_conds(pl, from, i, to);
		if (r < 0) return r;
		for (size_t k = 0; k < from->names.n; k++) {
			int row = seccomp_syscall_find(from->names.items[k]);
			if (row >= 0) pl->uses[pl->n_uses++] = (Use){ .rule = (uint32_t)i, .row = row };
		}
	}
	return 0;
}

bool seccomp_test_trivial(const SeccompTest *t, const SeccompArch *arch)
{
	return t->op == SECCOMP_MASKED_EQ && (arch->wide ? t->mask : (uint32_t)t->mask) == 0;
}

static bool cond_trivial(const SeccompCond *c, const SeccompArch *arch)
{
	for (size_t i = 0; i < c->n; i++)
		if (!seccomp_test_trivial(&c->tests[i], arch)) return false;
	return true;
}

/* slot_always, slot_cond: one more rule for the number nr. */
static void slot_always(Slot *s, uint32_t ret)
{
	if (s->kind == SLOT_ALWAYS) return;
	*s = (Slot){ .kind = SLOT_ALWAYS, .ret = ret };
}

static int slot_cond(Planner *pl, Slot *s, const SeccompArch *arch, const SeccompCond *c)
{
	if (s->kind == SLOT_ALWAYS) return 0;
	if (cond_trivial(c, arch)) {
		slot_always(s, c->ret);
		return 0;
	}
	if (s->n == MAX_CONDS)
		return err_set(pl->err, ERR_CONFIG, E2BIG, "linux.seccomp: more than %d conditions for one system call", MAX_CONDS);
	Node *node = arena_alloc(pl->arena, sizeof *node);
	if (!node) return no_memory(pl->err);
	node->cond = c;
	if (s->last) {
		s->mixed |= s->last->cond->ret != c->ret;
		s->last->next = node;
	} else {
		s->first = node;
	}
	s->last = node;
	s->n++;
	s->kind = SLOT_CONDS;
	return 0;
}

static Slot *slot_of(Planner *pl, const SeccompArch *arch, uint32_t nr)
{
	if (nr > pl->top) pl->top = nr;
	if (nr >= ARM_PRIVATE) return &pl->slots[SLOT_PRIVATE + (nr & 15)];
	size_t at = nr - arch->base;
	return nr >= arch->base && at < SLOT_PRIVATE ? &pl->slots[at] : NULL; /* NULL: a table that does not fit; tested */
}

/* mux_cond: c with its test of argument 0 replaced by "is the function call". */
static const SeccompCond *mux_cond(Planner *pl, const SeccompCond *c, uint32_t ret, uint8_t call)
{
	SeccompCond *m = arena_alloc(pl->arena, sizeof *m);
	if (!m) return NULL;
	m->ret = ret;
	m->muxed = true;
	m->tests[m->n++] = (SeccompTest){ .op = SECCOMP_EQ, .mask = UINT64_MAX, .value = call };
	for (size_t i = 0; c && i < c->n; i++)
		if (c->tests[i].index > 0) m->tests[m->n++] = c->tests[i];
	return m;
}

static int use_muxed(Planner *pl, const SeccompArch *arch, const Rule *rule, SeccompMux mux)
{
	Slot *s = slot_of(pl, arch, seccomp_mux_nr(arch, mux.ipc));
	if (!s || s->kind == SLOT_ALWAYS) return 0;
	size_t i = 0;
	do {
		const SeccompCond *m = mux_cond(pl, rule->n ? &rule->conds[i] : NULL, rule->ret, mux.call);
		if (!m) return no_memory(pl->err);
		int r = slot_cond(pl, s, arch, m);
		if (r < 0) return r;
	} while (++i < rule->n);
	return 0;
}

/* use_apply: one system call of one rule on one architecture. */
static int use_apply(Planner *pl, const SeccompArch *arch, const Use *use)
{
	const Rule *rule = &pl->rules[use->rule];
	if (arch->muxed) {
		SeccompMux mux = seccomp_syscall_mux(use->row);
		int r = mux.call && !rule->dropped ? use_muxed(pl, arch, rule, mux) : 0;
		if (r < 0) return r;
	}
	uint32_t nr = seccomp_syscall_nr(arch, use->row);
	if (nr == SECCOMP_NO_NR) return 0;
	Slot *s = slot_of(pl, arch, nr);
	if (!s || rule->dropped) return 0;
	if (rule->n == 0) slot_always(s, rule->ret);
	for (size_t i = 0; i < rule->n; i++) {
		int r = slot_cond(pl, s, arch, &rule->conds[i]);
		if (r < 0) return r;
	}
	return 0;
}

static bool conds_equal(const SeccompConds *a, const SeccompConds *b)
{
	if (a->n != b->n) return false;
	return !a->items || !b->items || memcmp(a->items, b->items, a->n * sizeof a->items[0]) == 0;
}

/* range_add: numbers from r.first on answer as r says, whatever was said of them; merges equal neighbours. */
static void range_add(Planner *pl, SeccompRange r)
{
	if (pl->n_ranges && pl->ranges[pl->n_ranges - 1].first == r.first) pl->n_ranges--;
	if (pl->n_ranges > pl->n_low) {
		const SeccompRange *prev = &pl->ranges[pl->n_ranges - 1];
		bool alike = prev->ret == r.ret && prev->same == r.same && conds_equal(&prev->conds, &r.conds);
		if (alike && (prev->arch == r.arch || !r.conds.n)) return;
	}
	if (pl->n_ranges < MAX_RANGES) pl->ranges[pl->n_ranges++] = r;
}

/* ranges_cut: forgets what was said about numbers from first on. */
static void ranges_cut(Planner *pl, uint32_t first)
{
	while (pl->n_ranges && pl->ranges[pl->n_ranges - 1].first >= first)
		pl->n_ranges--;
}

static void range_plain(Planner *pl, uint32_t first, uint32_t ret)
{
	range_add(pl, (SeccompRange){ .first = first, .ret = ret });
}

/* same_as_low: does the number without its bit get that answer on x86_64, too? Asked for ascending numbers. */
static bool same_as_low(Planner *pl, uint32_t nr, uint32_t ret)
{
	while (pl->low + 1 < pl->n_low && pl->ranges[pl->low + 1].first <= nr)
		pl->low++;
	return pl->n_low && pl->ranges[pl->low].conds.n == 0 && pl->ranges[pl->low].ret == ret;
}

static int range_conds(Planner *pl, const SeccompArch *arch, uint32_t first, const Slot *s)
{
	SeccompConds c = { .items = arena_array(pl->arena, s->n, sizeof *c.items) };
	if (!c.items) return no_memory(pl->err);
	for (const Node *n = s->first; n; n = n->next)
		c.items[c.n++] = n->cond;
	if (s->mixed) {
		int r = seccomp_conds_order(&c, arch, pl->arena);
		if (r == -ENOMEM) return no_memory(pl->err);
		if (r < 0)
			return err_set(pl->err, ERR_CONFIG, EINVAL,
				       "linux.seccomp.syscalls: system call %u has two actions for the same condition", first - arch->bit);
	}
	range_add(pl, (SeccompRange){ .first = first, .arch = arch, .conds = c, .ret = pl->default_ret });
	return 0;
}

/* slots_to_ranges: the filled slots as ranges that cover all numbers from the architecture's bit on. */
static int slots_to_ranges(Planner *pl, const SeccompArch *arch)
{
	bool private = pl->top >= ARM_PRIVATE;
	uint32_t end = private ? SLOTS : pl->top >= arch->base ? pl->top - arch->base + 1 : 0;
	range_plain(pl, arch->bit, pl->default_ret);
	for (uint32_t i = 0; i < end; i++) {
		const Slot *s = &pl->slots[i];
		uint32_t nr = i < SLOT_PRIVATE ? i + arch->base : ARM_PRIVATE + i - SLOT_PRIVATE;
		uint32_t ret = s->kind == SLOT_ALWAYS ? s->ret : pl->default_ret;
		int r = 0;
		if (s->kind == SLOT_CONDS)
			r = range_conds(pl, arch, nr | arch->bit, s);
		else if (same_as_low(pl, nr, ret))
			range_add(pl, (SeccompRange){ .first = nr | arch->bit, .same = true });
		else
			range_plain(pl, nr | arch->bit, ret);
		if (r < 0) return r;
	}
	range_plain(pl, (private ? ARM_PRIVATE + 16 : pl->top + 1) | arch->bit, pl->default_ret);
	return 0;
}

static int plan_arch(Planner *pl, const SeccompArch *arch)
{
	memset(pl->slots, 0, sizeof pl->slots);
	pl->top = 0;
	for (size_t i = 0; i < pl->n_uses; i++) {
		int r = use_apply(pl, arch, &pl->uses[i]);
		if (r < 0) return r;
	}
	bool stub = pl->stub && pl->top;
	if (stub && arch->setup_mux) pl->slots[0] = (Slot){ .kind = SLOT_ALWAYS, .ret = RET_ENOSYS };
	int r = slots_to_ranges(pl, arch);
	if (r < 0) return r;
	if (stub) { /* nothing above the highest known number has a rule */
		uint32_t unknown = (pl->top | arch->bit) + 1;
		ranges_cut(pl, unknown);
		range_plain(pl, unknown, RET_ENOSYS);
	}
	return 0;
}

/* plan_ranges: fills pl->ranges for all architectures of the set that share an AUDIT_ARCH value: one, or x86_64 and x32. */
static int plan_ranges(Planner *pl, uint64_t set, const SeccompArch *arch, uint32_t bad_arch)
{
	const SeccompArch *low = arch->bit ? NULL : arch, *high = arch->bit ? arch : NULL;
	uint32_t bit = arch->bit; /* of the other architecture with this value, when there is one */
	for (int v = 1; v <= SECCOMP_ARCH_MAX; v++) {
		const SeccompArch *other = seccomp_arch(v);
		if (other->audit != arch->audit) continue;
		bit |= other->bit;
		if (set >> v & 1) *(other->bit ? &high : &low) = other;
	}
	pl->n_ranges = pl->n_low = pl->low = 0;
	if (!low) range_plain(pl, 0, bad_arch);
	int r = low ? plan_arch(pl, low) : 0;
	if (low && high) pl->n_low = pl->n_ranges;
	if (r == 0 && high) r = plan_arch(pl, high);
	if (r < 0 || high || !bit) return r;
	ranges_cut(pl, bit);
	range_plain(pl, bit, bad_arch);
	range_plain(pl, UINT32_MAX, pl->default_ret);
	return 0;
}

static int plan_section(Planner *pl, uint64_t set, const SeccompArch *arch, SeccompPlan *plan)
{
	int r = plan_ranges(pl, set, arch, plan->bad_arch);
	if (r < 0) return r;
	SeccompSection *s = &plan->sections[plan->n++];
	*s = (SeccompSection){ .audit = arch->audit, .n = pl->n_ranges, .high = pl->n_low };
	if (s->high) s->bit = pl->ranges[s->high].first;
	s->ranges = arena_array(pl->arena, s->n, sizeof *s->ranges);
	if (!s->ranges) return no_memory(pl->err);
	memcpy(s->ranges, pl->ranges, s->n * sizeof *s->ranges);
	return 0;
}

static int plan_sections(Planner *pl, SeccompPlan *plan)
{
	const IntList *listed = &pl->profile->architectures;
	int native = seccomp_native_arch();
	uint64_t set = 1ull << native;
	for (size_t i = 0; i < listed->n; i++) {
		if (!seccomp_arch(listed->items[i]))
			return err_set(pl->err, ERR_CONFIG, EINVAL, "linux.seccomp.architectures[%zu]: unknown architecture", i);
		set |= 1ull << listed->items[i];
	}
	int r = plan_section(pl, set, seccomp_arch(native), plan);
	for (int v = 1; v <= SECCOMP_ARCH_MAX && r == 0; v++) {
		const SeccompArch *arch = seccomp_arch(v);
		bool done = !(set >> v & 1);
		for (size_t k = 0; k < plan->n; k++)
			done |= plan->sections[k].audit == arch->audit;
		if (!done) r = plan_section(pl, set, arch, plan);
	}
	return r;
}

int seccomp_plan(const SeccompProfile *p, Arena *scratch, SeccompPlan *ret, Err *e)
{
	Planner *pl = arena_alloc(scratch, sizeof *pl);
	AUTO_FREE SeccompRange *ranges = malloc(MAX_RANGES * sizeof *ranges); /* not the arena: mostly untouched */
	if (!pl || !ranges) return no_memory(e);
	*pl = (Planner){ .profile = p, .arena = scratch, .err = e, .ranges = ranges };
	*ret = (SeccompPlan){ .bad_arch = SECCOMP_RET_KILL_THREAD };
	int r = action_ret(p->default_action, p->default_errno_ret, "defaultAction", &pl->default_ret, e);
	if (r < 0) return r;
	uint32_t kind = pl->default_ret & SECCOMP_RET_ACTION_FULL;
	pl->stub = kind != SECCOMP_RET_ALLOW && kind != SECCOMP_RET_LOG && kind != SECCOMP_RET_TRACE;
	r = read_rules(pl);
	return r < 0 ? r : plan_sections(pl, ret);
}
