/* seccomp_model.h: what a profile means, read as it stands: rule by rule, with no tree and no table of ranges. The second
 * oracle of the tests, and the one of the fuzzer. */
#pragma once

#include <linux/seccomp.h>

#include "sys/seccomp.h"
#include "sys/seccomp_arch.h"

enum { MODEL_X32_BIT = 0x40000000 };

/* model_ret: the filter's answer for an action. */
static inline uint32_t model_ret(int action, OptUint errno_ret)
{
	uint16_t data = (uint16_t)(errno_ret.set ? errno_ret.v : EPERM);
	switch ((SeccompAction)action) {
	case SECCOMP_KILL_PROCESS:
		return SECCOMP_RET_KILL_PROCESS;
	case SECCOMP_KILL_THREAD:
		return SECCOMP_RET_KILL_THREAD;
	case SECCOMP_TRAP:
		return SECCOMP_RET_TRAP;
	case SECCOMP_ERRNO:
		return SECCOMP_RET_ERRNO | data;
	case SECCOMP_NOTIFY:
		return SECCOMP_RET_USER_NOTIF;
	case SECCOMP_TRACE:
		return SECCOMP_RET_TRACE | data;
	case SECCOMP_LOG:
		return SECCOMP_RET_LOG;
	case SECCOMP_ALLOW:
		break;
	}
	return SECCOMP_RET_ALLOW;
}

/* model_split: does an index come twice? Then every comparison is a rule of its own. */
static inline bool model_split(const SeccompRule *r)
{
	for (size_t i = 0; i < r->args.n; i++)
		for (size_t k = 0; k < i; k++)
			if (r->args.items[i].index == r->args.items[k].index) return true;
	return false;
}

static inline bool model_has_arch(const SeccompProfile *p, int arch)
{
	if (arch == seccomp_native_arch()) return true;
	for (size_t i = 0; i < p->architectures.n; i++)
		if (p->architectures.items[i] == arch) return true;
	return false;
}

/* model_top: the highest number on the architecture that some rule names. */
static inline uint32_t model_top(const SeccompProfile *p, const SeccompArch *arch)
{
	uint32_t normal = model_ret(p->default_action, p->default_errno_ret), top = 0;
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *r = &p->syscalls.items[i];
		for (size_t k = 0; k < r->names.n; k++) {
			int row = seccomp_syscall_find(r->names.items[k]);
			if (row < 0) continue;
			SeccompMux mux = seccomp_syscall_mux(row);
			uint32_t nr = seccomp_syscall_nr(arch, row);
			if (nr != SECCOMP_NO_NR && nr > top) top = nr;
			if (!arch->muxed || !mux.call || model_ret(r->action, r->errno_ret) == normal) continue;
			nr = seccomp_mux_nr(arch, mux.ipc);
			if (nr > top) top = nr;
		}
	}
	return top;
}

/* model_enosys: is the number newer than the profile, and so said not to exist? */
static inline bool model_enosys(const SeccompProfile *p, const SeccompArch *arch, uint32_t top, uint32_t nr)
{
	if (p->default_action == SECCOMP_ALLOW || p->default_action == SECCOMP_LOG || p->default_action == SECCOMP_TRACE || top == 0)
		return false;
	return (arch->setup_mux && nr == 0) || nr > (top | arch->bit);
}

static inline bool model_test(const SeccompArg *arg, const SeccompArch *arch, const struct seccomp_data *d)
{
	uint64_t x = d->args[arg->index], v = arg->value, w = arg->value_two;
	if (arch->big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) x = x << 32 | x >> 32; /* words as that architecture has them */
	if (!arch->wide) {
		x = (uint32_t)x;
		v = (uint32_t)v;
		w = (uint32_t)w;
	}
	switch ((SeccompOp)arg->op) {
	case SECCOMP_NE:
		return x != v;
	case SECCOMP_LT:
		return x < v;
	case SECCOMP_LE:
		return x <= v;
	case SECCOMP_EQ:
		return x == v;
	case SECCOMP_GE:
		return x >= v;
	case SECCOMP_GT:
		return x > v;
	case SECCOMP_MASKED_EQ:
		return (x & v) == (w & v);
	}
	return false;
}

/* model_args: muxed: argument 0 stands for the name, conditions on it do not count. */
static inline bool model_args(const SeccompRule *r, const SeccompArch *arch, const struct seccomp_data *d, bool muxed)
{
	bool any = model_split(r), hold = !any;
	for (size_t i = 0; i < r->args.n; i++) {
		bool holds = (muxed && r->args.items[i].index == 0) || model_test(&r->args.items[i], arch, d);
		hold = any ? hold || holds : hold && holds;
	}
	return hold;
}

static inline bool model_mux(const SeccompArch *arch, int row, uint32_t number, const struct seccomp_data *d)
{
	SeccompMux mux = seccomp_syscall_mux(row);
	if (!arch->muxed || !mux.call || seccomp_mux_nr(arch, mux.ipc) != number) return false;
	SeccompArg is_call = { .op = SECCOMP_EQ, .value = mux.call };
	return model_test(&is_call, arch, d);
}

static inline bool model_rule(const SeccompRule *r, const SeccompArch *arch, const struct seccomp_data *d)
{
	uint32_t number = (uint32_t)d->nr & ~arch->bit;
	for (size_t k = 0; k < r->names.n; k++) {
		int row = seccomp_syscall_find(r->names.items[k]);
		if (row < 0 || number == SECCOMP_NO_NR) continue;
		if (seccomp_syscall_nr(arch, row) == number && model_args(r, arch, d, false)) return true;
		if (model_mux(arch, row, number, d) && model_args(r, arch, d, true)) return true;
	}
	return false;
}

/* model_always: has the rule nothing to ask, for this number? */
static inline bool model_always(const SeccompRule *r, const SeccompArch *arch, uint32_t number)
{
	bool split = model_split(r), always = !split;
	for (size_t i = 0; i < r->args.n; i++) {
		const SeccompArg *arg = &r->args.items[i];
		bool trivial = arg->op == SECCOMP_MASKED_EQ && (arch->wide ? arg->value : (uint32_t)arg->value) == 0;
		always = split ? always || trivial : always && trivial;
	}
	for (size_t k = 0; k < r->names.n && always; k++) {
		int row = seccomp_syscall_find(r->names.items[k]);
		if (row >= 0 && number != SECCOMP_NO_NR && seccomp_syscall_nr(arch, row) == number) return true;
	}
	return false;
}

/* model_allows: may the filter answer so? It does what the first rule says that has no condition; else what one of those
 * says that hold; else the default. */
static inline bool model_allows(const SeccompProfile *p, const SeccompArch *arch, const struct seccomp_data *d, uint32_t answer)
{
	uint32_t normal = model_ret(p->default_action, p->default_errno_ret);
	bool none = true, one = false;
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const SeccompRule *r = &p->syscalls.items[i];
		uint32_t action = model_ret(r->action, r->errno_ret);
		if (action == normal) continue;
		if (model_always(r, arch, (uint32_t)d->nr & ~arch->bit)) return action == answer;
		if (!model_rule(r, arch, d)) continue;
		none = false;
		one |= action == answer;
	}
	return none ? answer == normal : one;
}

/* model_answer: the same for any architecture and number, also those that the filter kills. */
static inline bool model_answer(const SeccompProfile *p, const struct seccomp_data *d, uint32_t answer)
{
	bool known = false;
	for (int v = 1; v <= SECCOMP_ARCH_MAX; v++) {
		const SeccompArch *arch = seccomp_arch(v);
		if (arch->audit != d->arch || !model_has_arch(p, v)) continue;
		known = true;
		bool x86_64 = streq(bind_name(seccomp_arch_names, v), "SCMP_ARCH_X86_64");
		if ((x86_64 || arch->bit) && ((uint32_t)d->nr & MODEL_X32_BIT) != arch->bit) continue; /* the other one's */
		if (model_enosys(p, arch, model_top(p, arch), (uint32_t)d->nr)) return answer == (SECCOMP_RET_ERRNO | ENOSYS);
		return model_allows(p, arch, d, answer);
	}
	if (known && d->nr == -1) return answer == model_ret(p->default_action, p->default_errno_ret);
	return answer == SECCOMP_RET_KILL_THREAD;
}
