/* bpf.h: what the kernel does with a seccomp filter: its checks, and an interpreter. For tests and fuzzers. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/defs.h"

/* bpf_check: would the kernel load the program? NULL, or what it objects to. The rules of seccomp_check_filter() and
 * bpf_check_classic() for the instructions that the compiler may write. */
static inline const char *bpf_check(const struct sock_filter *f, size_t n)
{
	if (n == 0 || n > BPF_MAXINSNS) return "length";
	for (size_t i = 0; i < n; i++) {
		size_t left = n - i - 1;
		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f[i].k % 4 || f[i].k >= sizeof(struct seccomp_data)) return "load outside of seccomp_data";
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_RET | BPF_K:
			break;
		case BPF_JMP | BPF_JA:
			if (f[i].k >= left) return "jump past the end";
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (f[i].jt >= left || f[i].jf >= left) return "conditional jump past the end";
			break;
		default:
			return "unknown instruction";
		}
	}
	return f[n - 1].code == (BPF_RET | BPF_K) ? NULL : "no return at the end";
}

/* bpf_run: the filter's answer for d. steps counts instructions when not NULL. The program has passed bpf_check. */
static inline uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d, size_t *steps)
{
	uint32_t a = 0;
	for (size_t pc = 0;; pc++) {
		const struct sock_filter *i = &f[pc];
		if (steps) ++*steps;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + i->k, sizeof a);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		default:
			return i->k;
		}
	}
}
