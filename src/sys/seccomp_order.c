/* seccomp_order.c: which of several conditions of one system call is asked first, when their answers differ.
 *
 * A profile can say "argument 0 equals 5: EPERM" and "argument 0 is above 3: ALLOW". Then the order decides for 5. It is
 * not the order of the profile: libseccomp keeps conditions in a tree of 32-bit comparisons and asks, on each level,
 *  - higher argument indexes first, of one argument the high word first;
 *  - EQ, NE and MASKED_EQ before LE and LT, those before GE and GT;
 *  - of two alike, the higher value first, for LE and LT the lower one;
 *  - and what is still a tie in the order of the profile.
 * Conditions with a common beginning are one branch of the tree, asked together. Profiles work because of that order,
 * so it is kept. A condition that continues an earlier, shorter one can never answer. Where libseccomp refuses
 * the profile (a shorter condition after the longer one it covers), the longer one is asked first here.
 */
#include "sys/seccomp_plan.h"

enum { MAX_STEPS = 18 };

/* One 32-bit comparison of the tree. */
typedef struct Step {
	uint64_t value, mask;
	uint8_t place; /* 2 * index, + 1 for the high word */
	uint8_t op;    /* EQ, MASKED_EQ, GE or GT */
	uint8_t rank;  /* of the comparison as the profile has it */
	bool negated;  /* NE, LT, LE: holds when op does not */
} Step;

typedef struct Path {
	const SeccompCond *cond;
	uint8_t n;
	Step steps[MAX_STEPS];
} Path;

static Step step_of(const SeccompTest *t)
{
	Step s = { .place = (uint8_t)(2 * t->index), .op = t->op, .value = t->value, .mask = t->mask };
	s.negated = t->op == SECCOMP_NE || t->op == SECCOMP_LT || t->op == SECCOMP_LE;
	s.rank = t->op == SECCOMP_LT || t->op == SECCOMP_LE ? 2 : t->op == SECCOMP_GT || t->op == SECCOMP_GE ? 1 : 3;
	if (t->op == SECCOMP_NE) s.op = SECCOMP_EQ;
	if (t->op == SECCOMP_LT) s.op = SECCOMP_GE;
	if (t->op == SECCOMP_LE) s.op = SECCOMP_GT;
	return s;
}

static Step step_word(Step s, bool high, int op)
{
	s.op = (uint8_t)op;
	s.place = (uint8_t)(s.place + high);
	s.value = high ? s.value >> 32 : (uint32_t)s.value;
	s.mask = high ? s.mask >> 32 : (uint32_t)s.mask;
	return s;
}

static void path_add(Path *p, const SeccompTest *t, const SeccompArch *arch)
{
	if (seccomp_test_trivial(t, arch)) return;
	Step s = step_of(t);
	if (!arch->wide) {
		p->steps[p->n++] = s;
		return;
	}
	bool ordered = s.op == SECCOMP_GT || s.op == SECCOMP_GE;
	p->steps[p->n++] = step_word(s, true, ordered ? SECCOMP_GT : s.op);
	if (ordered) p->steps[p->n++] = step_word(s, true, SECCOMP_EQ);
	p->steps[p->n++] = step_word(s, false, s.op);
}

static bool step_equal(const Step *a, const Step *b)
{
	return a->place == b->place && a->op == b->op && a->value == b->value && a->mask == b->mask && a->negated == b->negated;
}

/* step_later: is a, already in the tree, asked after b, which comes new? */
static bool step_later(const Step *a, const Step *b)
{
	if (a->place != b->place) return a->place < b->place;
	if (a->rank != b->rank) return a->rank < b->rank;
	return a->rank == 2 ? a->value > b->value : a->value < b->value;
}

static size_t path_common(const Path *a, const Path *b)
{
	size_t i = 0;
	while (i < a->n && i < b->n && step_equal(&a->steps[i], &b->steps[i]))
		i++;
	return i;
}

typedef enum { PLACE_FOUND, PLACE_COVERED, PLACE_CONFLICT } Place;

/* path_place: where the new path goes among the n old ones. */
static Place path_place(Path *const *old, size_t n, const Path *p, size_t *at)
{
	size_t depth = 0;
	for (*at = 0; *at < n; (*at)++) {
		const Path *x = old[*at];
		size_t common = path_common(x, p);
		if (common < depth) return PLACE_FOUND;
		depth = common;
		if (common == x->n) {
			bool conflict = common == p->n && x->cond->ret != p->cond->ret && !p->cond->muxed;
			return conflict ? PLACE_CONFLICT : PLACE_COVERED;
		}
		if (common == p->n) continue;
		if (step_later(&x->steps[common], &p->steps[common])) return PLACE_FOUND;
	}
	return PLACE_FOUND;
}

int seccomp_conds_order(SeccompConds *c, const SeccompArch *arch, Arena *scratch)
{
	Path **sorted = arena_array(scratch, c->n, sizeof *sorted);
	Path *paths = arena_array(scratch, c->n, sizeof *paths);
	if (!sorted || !paths) return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++) {
		Path *p = &paths[i];
		p->cond = c->items[i];
		for (size_t k = 0; k < p->cond->n; k++)
			path_add(p, &p->cond->tests[k], arch);
		size_t at;
		Place place = path_place(sorted, n, p, &at);
		if (place == PLACE_CONFLICT) return -EINVAL;
		if (place == PLACE_COVERED) continue;
		memmove(sorted + at + 1, sorted + at, (n - at) * sizeof *sorted);
		sorted[at] = p;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		c->items[i] = sorted[i]->cond;
	c->n = n;
	return 0;
}
