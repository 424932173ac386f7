/* seccomp_plan.h: what a filter has to answer, between the profile and the instructions. Private to src/sys/seccomp*.c.
 *
 * seccomp_compile() works in two steps: seccomp_plan() turns rules into ranges of system call numbers with one answer each,
 * seccomp_emit() turns ranges into a program. The rules of precedence live in the first, all of BPF in the second.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "sys/seccomp.h"
#include "sys/seccomp_arch.h"

/* One comparison. mask is all ones unless op is SECCOMP_MASKED_EQ; value has no bit outside of it. */
typedef struct SeccompTest {
	uint64_t value, mask;
	uint8_t index;
	uint8_t op; /* SeccompOp */
} SeccompTest;

/* All tests hold: the answer is ret. Tests are in the order of their indexes, each index once. */
typedef struct SeccompCond {
	uint32_t ret; /* SECCOMP_RET_* with its data */
	uint8_t n;
	bool muxed; /* made for socketcall or ipc: the first test stands for the name */
	SeccompTest tests[6];
} SeccompCond;

typedef struct SeccompConds {
	const SeccompCond **items; /* the first that holds answers */
	size_t n;
} SeccompConds;

/* Numbers from first up to the next range's. ret is the answer when no condition holds. */
typedef struct SeccompRange {
	const SeccompArch *arch;
	SeccompConds conds;
	uint32_t first;
	uint32_t ret;
	bool same; /* answers as the number without the section's bit does: nothing else is set */
} SeccompRange;

/* What one AUDIT_ARCH_* gets: ranges that together cover every number, neighbours differ. */
typedef struct SeccompSection {
	uint32_t audit;
	uint32_t bit; /* of the numbers from ranges[high] on, when high is not 0: x32's, after those of x86_64 */
	SeccompRange *ranges;
	size_t n, high;
} SeccompSection;

typedef struct SeccompPlan {
	SeccompSection sections[SECCOMP_ARCH_MAX]; /* the native one first */
	size_t n;
	uint32_t bad_arch; /* the answer for any other architecture */
} SeccompPlan;

/* seccomp_test_trivial: does it hold for every value on that architecture? */
bool seccomp_test_trivial(const SeccompTest *t, const SeccompArch *arch);

/* seccomp_conds_order: sorts conditions with different answers into the order in which libseccomp would ask them (see
 * seccomp_order.c); items are in the order of the profile before. -EINVAL when two conditions are equal and their answers are not. */
int seccomp_conds_order(SeccompConds *c, const SeccompArch *arch, Arena *scratch) MUST_USE;

/* seccomp_plan: everything allocated comes from scratch. Errors as for seccomp_compile. */
int seccomp_plan(const SeccompProfile *p, Arena *scratch, SeccompPlan *ret, Err *e) MUST_USE;

/* seccomp_emit: the program, in a. -E2BIG, -ENOMEM. */
int seccomp_emit(const SeccompPlan *plan, Arena *scratch, Arena *a, struct sock_fprog *ret) MUST_USE;
