/* seccomp_arch.h: architectures and system call numbers for the seccomp compiler. Private to src/sys/seccomp*.c and
 * its tests.
 *
 * The numbers come from seccomp_syscalls.def. A system call is a row of that table, an architecture a column; several
 * architectures share one (both byte orders of MIPS, POWER and SuperH).
 */
#pragma once

#include "base/defs.h"

typedef struct SeccompArch {
	uint32_t audit; /* AUDIT_ARCH_*, what seccomp_data.arch holds */
	uint32_t bit;   /* set in every number (x32: bit 30), else 0 */
	uint16_t base;  /* lowest number (MIPS: 4000, 5000, 6000), else 0 */
	uint8_t column; /* of the table of numbers */
	bool wide;      /* arguments have 64 bits; otherwise only their low word counts */
	bool big;       /* big endian: the low word of an argument is the second */
	bool muxed;     /* has socketcall and ipc */
	bool setup_mux; /* s390: a number the kernel does not know arrives as number 0 */
} SeccompArch;

/* Values of seccomp_arch_names: from 1. */
enum { SECCOMP_ARCH_MAX = 23 };
enum { SECCOMP_NO_NR = UINT32_MAX };

/* seccomp_arch: the architecture with that value of seccomp_arch_names, NULL when there is none. */
const SeccompArch *seccomp_arch(int value);
/* seccomp_native_arch: what this program was compiled for, as a value of seccomp_arch_names. */
int seccomp_native_arch(void);

/* seccomp_syscall_find: the row of a name, -1 when no architecture has it. */
int seccomp_syscall_find(const char *name);
/* seccomp_syscall_count, seccomp_syscall_name: all rows, sorted by name. */
int seccomp_syscall_count(void);
const char *seccomp_syscall_name(int row);
/* seccomp_syscall_nr: the number on an architecture, without its bit; SECCOMP_NO_NR when it has none. */
uint32_t seccomp_syscall_nr(const SeccompArch *arch, int row);

/* seccomp_syscall_mux: system calls that on muxed architectures are also a function of socketcall(2) or ipc(2), chosen by
 * its first argument (numbers of linux/net.h and linux/ipc.h). call 0: it is none. */
typedef struct SeccompMux {
	uint8_t call;
	bool ipc;
} SeccompMux;
SeccompMux seccomp_syscall_mux(int row);
/* seccomp_mux_nr: the number of socketcall or ipc. */
uint32_t seccomp_mux_nr(const SeccompArch *arch, bool ipc);
