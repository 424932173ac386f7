/* seccomp_emit.c: ranges of system call numbers as a program for the kernel's classic BPF.
 *
 * The program is written from its end to its beginning, so every jump's target already stands when the jump is written,
 * and a target more than 255 instructions away is known in time to put an unconditional jump between. A Label
 * is a place counted from the end: the number of instructions from it to the end.
 *
 *	load arch; a chain of JEQ, the native architecture first
 *	of each architecture: load nr; a tree over its ranges; the blocks of conditions
 *	RET instructions, repeated where the distance asks for it
 *
 * The kernel runs a new filter once per system call number with an emulator that knows loads of nr and arch, jumps with a
 * constant, AND and RET: numbers that come out as ALLOW are allowed from a bitmap ever after. The tree uses nothing else.
 */
#include "sys/seccomp_plan.h"

enum {
	MAX_INSTRUCTIONS = 4096, /* BPF_MAXINSNS */
	MAX_JUMP = 255,
	NEAR_RET = 240,    /* a RET farther away than that is repeated */
	MAX_CHAIN = 3,     /* single numbers told apart by JEQ one after another rather than by a tree */
	WEIGHTY = 512,     /* numbers below are asked by the kernel at installation and by programs */
	WEIGHT_OF_ONE = 8, /* of such a number, beside 1 for a range */
	OFFSET_NR = 0,
	OFFSET_ARCH = 4,
	OFFSET_ARGS = 16,
	MAX_RETS = 64,
};

typedef uint32_t Label;

typedef struct RetPlace {
	uint32_t ret;
	Label at;
} RetPlace;

/* A block of conditions already written. */
typedef struct CondsPlace {
	struct CondsPlace *next;
	const SeccompRange *range;
	Label at;
} CondsPlace;

typedef struct Emitter {
	struct sock_filter *end; /* one past the last instruction */
	Label n;
	bool full, no_memory;
	Arena *scratch;
	CondsPlace *conds;
	Label same; /* where ranges go that answer as the number without its bit */
	size_t n_rets;
	RetPlace rets[MAX_RETS];
} Emitter;

static Label emit(Emitter *m, int code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (m->n == MAX_INSTRUCTIONS) {
		m->full = true;
		return m->n;
	}
	m->n++;
	*(m->end - m->n) = (struct sock_filter){ .code = (uint16_t)code, .jt = jt, .jf = jf, .k = k };
	return m->n;
}

static Label emit_load(Emitter *m, uint32_t offset)
{
	return emit(m, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* near: target, or when a conditional jump written next would not reach it, a jump to it. */
static Label near(Emitter *m, Label target)
{
	return m->n - target > MAX_JUMP ? emit(m, BPF_JMP | BPF_JA, m->n - target, 0, 0) : target;
}

/* emit_jump: on to yes when "A op k" holds, else to no. */
static Label emit_jump(Emitter *m, int op, uint32_t k, Label yes, Label no)
{
	no = near(m, no);
	yes = near(m, yes);
	no = near(m, no); /* the other one may just have pushed it out of reach */
	return emit(m, BPF_JMP | op | BPF_K, k, (uint8_t)(m->n - yes), (uint8_t)(m->n - no));
}

static Label emit_ret(Emitter *m, uint32_t ret)
{
	RetPlace *p = NULL;
	for (size_t i = 0; i < m->n_rets && !p; i++)
		if (m->rets[i].ret == ret) p = &m->rets[i];
	if (p && m->n - p->at <= NEAR_RET) return p->at;
	Label at = emit(m, BPF_RET | BPF_K, ret, 0, 0);
	if (!p && m->n_rets < MAX_RETS) p = &m->rets[m->n_rets++];
	if (p) *p = (RetPlace){ ret, at };
	return at;
}

static uint32_t arg_offset(const SeccompArch *arch, uint8_t index, bool high)
{
	return (uint32_t)(OFFSET_ARGS + 8 * index + (high != arch->big ? 4 : 0));
}

/* emit_masked: "word & mask == value" of the word at offset. */
static Label emit_masked(Emitter *m, uint32_t offset, uint32_t value, uint32_t mask, Label yes, Label no)
{
	if (mask == 0) return yes;
	if (value == 0 && mask != UINT32_MAX) {
		emit_jump(m, BPF_JSET, mask, no, yes);
	} else {
		emit_jump(m, BPF_JEQ, value, yes, no);
		if (mask != UINT32_MAX) emit(m, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	}
	return emit_load(m, offset);
}

/* emit_above: "argument > value", or ">=" with or_equal. */
static Label emit_above(Emitter *m, const SeccompArch *arch, const SeccompTest *t, bool or_equal, Label yes, Label no)
{
	emit_jump(m, or_equal ? BPF_JGE : BPF_JGT, (uint32_t)t->value, yes, no);
	Label low = emit_load(m, arg_offset(arch, t->index, false));
	if (!arch->wide) return low;
	uint32_t high = (uint32_t)(t->value >> 32);
	if (high == 0) {
		emit_jump(m, BPF_JEQ, 0, low, yes);
	} else {
		Label equal = emit_jump(m, BPF_JEQ, high, low, no);
		emit_jump(m, BPF_JGT, high, yes, equal);
	}
	return emit_load(m, arg_offset(arch, t->index, true));
}

static Label emit_equal(Emitter *m, const SeccompArch *arch, const SeccompTest *t, Label yes, Label no)
{
	yes = emit_masked(m, arg_offset(arch, t->index, false), (uint32_t)t->value, (uint32_t)t->mask, yes, no);
	if (!arch->wide) return yes;
	return emit_masked(m, arg_offset(arch, t->index, true), (uint32_t)(t->value >> 32), (uint32_t)(t->mask >> 32), yes, no);
}

static Label emit_test(Emitter *m, const SeccompArch *arch, const SeccompTest *t, Label yes, Label no)
{
	switch (t->op) {
	case SECCOMP_EQ:
	case SECCOMP_MASKED_EQ:
		return emit_equal(m, arch, t, yes, no);
	case SECCOMP_NE:
		return emit_equal(m, arch, t, no, yes);
	case SECCOMP_GT:
		return emit_above(m, arch, t, false, yes, no);
	case SECCOMP_GE:
		return emit_above(m, arch, t, true, yes, no);
	case SECCOMP_LE:
		return emit_above(m, arch, t, false, no, yes);
	default: /* SECCOMP_LT */
		return emit_above(m, arch, t, true, no, yes);
	}
}

/* same_word: do both ask for one value of the same argument, with equal high words and answers? */
static bool same_word(const SeccompCond *a, const SeccompCond *b)
{
	const SeccompTest *s = &a->tests[0], *t = &b->tests[0];
	return a->n == 1 && b->n == 1 && s->op == SECCOMP_EQ && t->op == SECCOMP_EQ && s->index == t->index && a->ret == b->ret &&
	       s->value >> 32 == t->value >> 32;
}

/* emit_values: the conditions from i to end, all of one argument (same_word), with one load. */
static Label emit_values(Emitter *m, const SeccompRange *r, size_t i, size_t end, Label next)
{
	const SeccompTest *t = &r->conds.items[i]->tests[0];
	Label yes = emit_ret(m, r->conds.items[i]->ret), no = next;
	for (size_t k = end; k > i; k--)
		no = emit_jump(m, BPF_JEQ, (uint32_t)r->conds.items[k - 1]->tests[0].value, yes, no);
	Label low = emit_load(m, arg_offset(r->arch, t->index, false));
	if (!r->arch->wide) return low;
	return emit_masked(m, arg_offset(r->arch, t->index, true), (uint32_t)(t->value >> 32), UINT32_MAX, low, next);
}

static Label emit_conds(Emitter *m, const SeccompRange *r)
{
	Label next = emit_ret(m, r->ret);
	for (size_t end = r->conds.n, i; end && !m->full; end = i) {
		const SeccompCond *c = r->conds.items[end - 1];
		for (i = end - 1; i && same_word(r->conds.items[i - 1], c);)
			i--;
		if (end - i > 1) {
			next = emit_values(m, r, i, end, next);
			continue;
		}
		Label yes = emit_ret(m, c->ret);
		for (size_t k = c->n; k; k--)
			yes = emit_test(m, r->arch, &c->tests[k - 1], yes, next);
		next = yes;
	}
	return next;
}

/* blocks_write: the blocks of conditions of a section, before (in the program: after) its tree. */
static void blocks_write(Emitter *m, const SeccompSection *s)
{
	for (size_t i = s->n; i && !m->full; i--) {
		const SeccompRange *r = &s->ranges[i - 1];
		if (r->conds.n == 0) continue;
		CondsPlace *p = arena_alloc(m->scratch, sizeof *p);
		if (!p) {
			m->no_memory = true;
			return;
		}
		*p = (CondsPlace){ .next = m->conds, .range = r, .at = emit_conds(m, r) };
		m->conds = p;
	}
}

static Label emit_leaf(Emitter *m, const SeccompRange *r)
{
	if (r->same) return m->same;
	if (r->conds.n == 0) return emit_ret(m, r->ret);
	for (const CondsPlace *p = m->conds; p; p = p->next)
		if (p->range == r) return p->at;
	return m->n; /* only after an error */
}

static bool leaf_equal(const SeccompRange *a, const SeccompRange *b)
{
	return a->conds.n == 0 && b->conds.n == 0 && a->ret == b->ret && a->same == b->same;
}

static uint64_t range_weight(const SeccompSection *s, size_t i)
{
	uint64_t from = s->ranges[i].first, to = i + 1 < s->n ? s->ranges[i + 1].first : 1ull << 32;
	if (from >= WEIGHTY) return 1;
	if (to > WEIGHTY) to = WEIGHTY;
	return 1 + (to - from) * WEIGHT_OF_ONE;
}

static bool range_single(const SeccompSection *s, size_t i)
{
	return (i + 1 < s->n ? s->ranges[i + 1].first : 1ull << 32) - s->ranges[i].first == 1;
}

/* chain_of: are the ranges from lo to hi one answer with at most MAX_CHAIN single numbers that differ? If so, the first
 * of the ranges with the common answer. Otherwise hi. */
static size_t chain_of(const SeccompSection *s, size_t lo, size_t hi)
{
	if (hi - lo < 2 || hi - lo > 2 * MAX_CHAIN + 1) return hi;
	for (size_t common = lo; common < lo + 2; common++) {
		size_t singles = 0, i = lo;
		for (; i < hi; i++) {
			bool is_common = (i - common) % 2 == 0;
			if (is_common ? !leaf_equal(&s->ranges[i], &s->ranges[common]) : !range_single(s, i)) break;
			singles += !is_common;
		}
		if (i == hi && singles <= MAX_CHAIN) return common;
	}
	return hi;
}

/* emit_tree: the ranges from lo to hi (hi excluded), halved by weight. */
static Label emit_tree(Emitter *m, const SeccompSection *s, size_t lo, size_t hi)
{
	if (m->full) return m->n;
	if (hi - lo == 1) return emit_leaf(m, &s->ranges[lo]);
	size_t common = chain_of(s, lo, hi);
	if (common != hi) {
		Label no = emit_leaf(m, &s->ranges[common]);
		for (size_t i = hi; i > lo; i--)
			if ((i - 1 - common) % 2) no = emit_jump(m, BPF_JEQ, s->ranges[i - 1].first, emit_leaf(m, &s->ranges[i - 1]), no);
		return no;
	}
	uint64_t all = 0, left = 0;
	for (size_t i = lo; i < hi; i++)
		all += range_weight(s, i);
	size_t cut = lo;
	do {
		left += range_weight(s, cut++);
	} while (cut + 1 < hi && 2 * left + range_weight(s, cut) <= all);
	Label high = emit_tree(m, s, cut, hi);
	Label low = emit_tree(m, s, lo, cut);
	return emit_jump(m, BPF_JGE, s->ranges[cut].first, high, low);
}

/* emit_section: the tree of x32 goes on in that of x86_64 where both answer alike, and both do so for most numbers. */
static Label emit_section(Emitter *m, const SeccompSection *s)
{
	blocks_write(m, s);
	if (s->n == 1) return emit_leaf(m, &s->ranges[0]); /* asks for no number */
	if (s->high) {
		Label low = emit_tree(m, s, 0, s->high);
		if (low != m->n) low = emit(m, BPF_JMP | BPF_JA, m->n - low, 0, 0);
		m->same = emit(m, BPF_ALU | BPF_AND | BPF_K, ~s->bit, 0, 0);
		Label high = emit_tree(m, s, s->high, s->n);
		emit_jump(m, BPF_JGE, s->bit, high, low);
	} else {
		emit_tree(m, s, 0, s->n);
	}
	return emit_load(m, OFFSET_NR);
}

int seccomp_emit(const SeccompPlan *plan, Arena *scratch, Arena *a, struct sock_fprog *ret)
{
	AUTO_FREE struct sock_filter *room = malloc(MAX_INSTRUCTIONS * sizeof *room);
	Emitter *m = arena_alloc(scratch, sizeof *m);
	if (!room || !m) return -ENOMEM;
	*m = (Emitter){ .end = room + MAX_INSTRUCTIONS, .scratch = scratch };
	Label trees[SECCOMP_ARCH_MAX];
	for (size_t i = plan->n; i; i--)
		trees[i - 1] = emit_section(m, &plan->sections[i - 1]);
	Label next = emit_ret(m, plan->bad_arch);
	for (size_t i = plan->n; i; i--)
		next = emit_jump(m, BPF_JEQ, plan->sections[i - 1].audit, trees[i - 1], next);
	emit_load(m, OFFSET_ARCH);
	if (m->full) return -E2BIG;
	struct sock_filter *code = m->no_memory ? NULL : arena_array(a, m->n, sizeof *code);
	if (!code) return -ENOMEM;
	memcpy(code, m->end - m->n, m->n * sizeof *code);
	*ret = (struct sock_fprog){ .len = (unsigned short)m->n, .filter = code };
	return 0;
}
