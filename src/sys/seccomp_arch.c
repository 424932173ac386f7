/* seccomp_arch.c: see seccomp_arch.h. All tables are constant data without pointers into themselves: a static PIE pays for
 * every such pointer with a relocation at start. */
#include "sys/seccomp_arch.h"

#include <linux/audit.h>

#include "sys/seccomp.h"

#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (258 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

enum { COLUMNS = 18, HASH_SLOTS = 1024, X32_BIT = 0x40000000 };

/* The columns, in the order of seccomp_syscalls.def. */
enum {
	COL_X86_64,
	COL_X86,
	COL_X32,
	COL_AARCH64,
	COL_ARM,
	COL_RISCV64,
	COL_LOONGARCH64,
	COL_PPC64,
	COL_PPC,
	COL_S390X,
	COL_S390,
	COL_MIPS64,
	COL_MIPS64N32,
	COL_MIPS,
	COL_PARISC64,
	COL_PARISC,
	COL_M68K,
	COL_SH,
};

enum {
	ARCH_X86_64 = 1,
	ARCH_X86,
	ARCH_X32,
	ARCH_AARCH64,
	ARCH_ARM,
	ARCH_RISCV64,
	ARCH_LOONGARCH64,
	ARCH_PPC64LE,
	ARCH_PPC64,
	ARCH_PPC,
	ARCH_S390X,
	ARCH_S390,
	ARCH_MIPS64,
	ARCH_MIPSEL64,
	ARCH_MIPS64N32,
	ARCH_MIPSEL64N32,
	ARCH_MIPS,
	ARCH_MIPSEL,
	ARCH_PARISC64,
	ARCH_PARISC,
	ARCH_M68K,
	ARCH_SH,
	ARCH_SHEB,
};

const BindName seccomp_arch_names[] = {
	{ "SCMP_ARCH_AARCH64", ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", ARCH_ARM },
	{ "SCMP_ARCH_LOONGARCH64", ARCH_LOONGARCH64 },
	{ "SCMP_ARCH_M68K", ARCH_M68K },
	{ "SCMP_ARCH_MIPS", ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PARISC", ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", ARCH_PARISC64 },
	{ "SCMP_ARCH_PPC", ARCH_PPC },
	{ "SCMP_ARCH_PPC64", ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", ARCH_PPC64LE },
	{ "SCMP_ARCH_RISCV64", ARCH_RISCV64 },
	{ "SCMP_ARCH_S390", ARCH_S390 },
	{ "SCMP_ARCH_S390X", ARCH_S390X },
	{ "SCMP_ARCH_SH", ARCH_SH },
	{ "SCMP_ARCH_SHEB", ARCH_SHEB },
	{ "SCMP_ARCH_X32", ARCH_X32 },
	{ "SCMP_ARCH_X86", ARCH_X86 },
	{ "SCMP_ARCH_X86_64", ARCH_X86_64 },
	{ 0 },
};

static const SeccompArch arches[SECCOMP_ARCH_MAX + 1] = {
	[ARCH_X86_64] = { .audit = AUDIT_ARCH_X86_64, .column = COL_X86_64, .wide = true },
	[ARCH_X86] = { .audit = AUDIT_ARCH_I386, .column = COL_X86, .muxed = true },
	[ARCH_X32] = { .audit = AUDIT_ARCH_X86_64, .column = COL_X32, .bit = X32_BIT },
	[ARCH_AARCH64] = { .audit = AUDIT_ARCH_AARCH64, .column = COL_AARCH64, .wide = true },
	[ARCH_ARM] = { .audit = AUDIT_ARCH_ARM, .column = COL_ARM },
	[ARCH_RISCV64] = { .audit = AUDIT_ARCH_RISCV64, .column = COL_RISCV64, .wide = true },
	[ARCH_LOONGARCH64] = { .audit = AUDIT_ARCH_LOONGARCH64, .column = COL_LOONGARCH64, .wide = true },
	[ARCH_PPC64LE] = { .audit = AUDIT_ARCH_PPC64LE, .column = COL_PPC64, .wide = true, .muxed = true },
	[ARCH_PPC64] = { .audit = AUDIT_ARCH_PPC64, .column = COL_PPC64, .wide = true, .big = true, .muxed = true },
	[ARCH_PPC] = { .audit = AUDIT_ARCH_PPC, .column = COL_PPC, .big = true, .muxed = true },
	[ARCH_S390X] = { .audit = AUDIT_ARCH_S390X, .column = COL_S390X, .wide = true, .big = true, .muxed = true, .setup_mux = true },
	[ARCH_S390] = { .audit = AUDIT_ARCH_S390, .column = COL_S390, .big = true, .muxed = true, .setup_mux = true },
	[ARCH_MIPS64] = { .audit = AUDIT_ARCH_MIPS64, .column = COL_MIPS64, .base = 5000, .wide = true, .big = true },
	[ARCH_MIPSEL64] = { .audit = AUDIT_ARCH_MIPSEL64, .column = COL_MIPS64, .base = 5000, .wide = true },
	[ARCH_MIPS64N32] = { .audit = AUDIT_ARCH_MIPS64N32, .column = COL_MIPS64N32, .base = 6000, .big = true },
	[ARCH_MIPSEL64N32] = { .audit = AUDIT_ARCH_MIPSEL64N32, .column = COL_MIPS64N32, .base = 6000 },
	[ARCH_MIPS] = { .audit = AUDIT_ARCH_MIPS, .column = COL_MIPS, .base = 4000, .big = true, .muxed = true },
	[ARCH_MIPSEL] = { .audit = AUDIT_ARCH_MIPSEL, .column = COL_MIPS, .base = 4000, .muxed = true },
	[ARCH_PARISC64] = { .audit = AUDIT_ARCH_PARISC64, .column = COL_PARISC64, .wide = true, .big = true },
	[ARCH_PARISC] = { .audit = AUDIT_ARCH_PARISC, .column = COL_PARISC, .big = true },
	[ARCH_M68K] = { .audit = AUDIT_ARCH_M68K, .column = COL_M68K, .big = true, .muxed = true },
	[ARCH_SH] = { .audit = AUDIT_ARCH_SHEL, .column = COL_SH, .muxed = true },
	[ARCH_SHEB] = { .audit = AUDIT_ARCH_SH, .column = COL_SH, .big = true, .muxed = true },
};

/* ARM's private numbers lie at 0xf0000; in 16 bits they are kept at 0xf000. */
enum { NO_NR16 = 0xffff, ARM_PRIVATE16 = 0xf000, ARM_PRIVATE = 0xf0000 };
#define NR16(nr) ((nr) < 0 ? NO_NR16 : (nr) >= ARM_PRIVATE ? ARM_PRIVATE16 | ((nr)&0xfff) : (uint16_t)(nr))

/* The names one after another, each with its NUL, as members of a struct: so their places are constants. */
typedef struct Names {
#define SYSCALL(name, ...) char n_##name[sizeof #name];
#include "sys/seccomp_syscalls.def"
#undef SYSCALL
} Names;

static const Names names = {
#define SYSCALL(name, ...) .n_##name = #name,
#include "sys/seccomp_syscalls.def"
#undef SYSCALL
};

enum {
#define SYSCALL(name, ...) ROW_##name,
#include "sys/seccomp_syscalls.def"
#undef SYSCALL
	ROWS
};

static const uint16_t name_place[ROWS] = {
#define SYSCALL(name, ...) offsetof(Names, n_##name),
#include "sys/seccomp_syscalls.def"
#undef SYSCALL
};

#define ROW16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r) \
	{ \
		NR16(a), NR16(b), NR16(c), NR16(d), NR16(e), NR16(f), NR16(g), NR16(h), NR16(i), NR16(j), NR16(k), NR16(l), NR16(m), \
			NR16(n), NR16(o), NR16(p), NR16(q), NR16(r) \
	}
static const uint16_t numbers[ROWS][COLUMNS] = {
#define SYSCALL(name, ...) ROW16(__VA_ARGS__),
#include "sys/seccomp_syscalls.def"
#undef SYSCALL
};

static const uint16_t hash_slots[HASH_SLOTS] = {
#define SYSCALL_HASH
#include "sys/seccomp_syscalls.def"
#undef SYSCALL_HASH
};

const SeccompArch *seccomp_arch(int value)
{
	return value >= 1 && value <= SECCOMP_ARCH_MAX ? &arches[value] : NULL;
}

int seccomp_native_arch(void)
{
#if defined(__x86_64__) && defined(__ILP32__)
	return ARCH_X32;
#elif defined(__x86_64__)
	return ARCH_X86_64;
#elif defined(__i386__)
	return ARCH_X86;
#elif defined(__aarch64__)
	return ARCH_AARCH64;
#elif defined(__arm__)
	return ARCH_ARM;
#elif defined(__riscv) && __riscv_xlen == 64
	return ARCH_RISCV64;
#elif defined(__loongarch_lp64)
	return ARCH_LOONGARCH64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return ARCH_PPC64LE;
#elif defined(__powerpc64__)
	return ARCH_PPC64;
#elif defined(__powerpc__)
	return ARCH_PPC;
#elif defined(__s390x__)
	return ARCH_S390X;
#elif defined(__s390__)
	return ARCH_S390;
#elif defined(__mips__) && _MIPS_SIM == _ABI64
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ARCH_MIPS64 : ARCH_MIPSEL64;
#elif defined(__mips__) && _MIPS_SIM == _ABIN32
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ARCH_MIPS64N32 : ARCH_MIPSEL64N32;
#elif defined(__mips__)
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ARCH_MIPS : ARCH_MIPSEL;
#elif defined(__hppa__)
	return ARCH_PARISC;
#elif defined(__m68k__)
	return ARCH_M68K;
#elif defined(__sh__)
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ARCH_SHEB : ARCH_SH;
#else
#error "an architecture that seccomp_arch.c does not know"
#endif
}

/* The same function stands in scripts/gen-syscalls.c, which writes the slots. */
static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ h >> 15) % HASH_SLOTS;
}

int seccomp_syscall_count(void)
{
	return ROWS;
}

const char *seccomp_syscall_name(int row)
{
	return (const char *)&names + name_place[row];
}

int seccomp_syscall_find(const char *name)
{
	for (uint32_t h = name_hash(name); hash_slots[h]; h = (h + 1) % HASH_SLOTS)
		if (streq(seccomp_syscall_name(hash_slots[h] - 1), name)) return hash_slots[h] - 1;
	return -1;
}

uint32_t seccomp_syscall_nr(const SeccompArch *arch, int row)
{
	uint16_t nr = numbers[row][arch->column];
	if (nr == NO_NR16) return SECCOMP_NO_NR;
	return nr >= ARM_PRIVATE16 ? (uint32_t)(ARM_PRIVATE | (nr & 0xfff)) : nr;
}

SeccompMux seccomp_syscall_mux(int row)
{
	static const SeccompMux muxes[ROWS] = {
		[ROW_socket] = { 1 },        [ROW_bind] = { 2 },          [ROW_connect] = { 3 },       [ROW_listen] = { 4 },
		[ROW_accept] = { 5 },        [ROW_getsockname] = { 6 },   [ROW_getpeername] = { 7 },   [ROW_socketpair] = { 8 },
		[ROW_send] = { 9 },          [ROW_recv] = { 10 },         [ROW_sendto] = { 11 },       [ROW_recvfrom] = { 12 },
		[ROW_shutdown] = { 13 },     [ROW_setsockopt] = { 14 },   [ROW_getsockopt] = { 15 },   [ROW_sendmsg] = { 16 },
		[ROW_recvmsg] = { 17 },      [ROW_accept4] = { 18 },      [ROW_recvmmsg] = { 19 },     [ROW_sendmmsg] = { 20 },
		[ROW_semop] = { 1, true },   [ROW_semget] = { 2, true },  [ROW_semctl] = { 3, true },  [ROW_semtimedop] = { 4, true },
		[ROW_msgsnd] = { 11, true }, [ROW_msgrcv] = { 12, true }, [ROW_msgget] = { 13, true }, [ROW_msgctl] = { 14, true },
		[ROW_shmat] = { 21, true },  [ROW_shmdt] = { 22, true },  [ROW_shmget] = { 23, true }, [ROW_shmctl] = { 24, true },
	};
	return muxes[row];
}

uint32_t seccomp_mux_nr(const SeccompArch *arch, bool ipc)
{
	return seccomp_syscall_nr(arch, ipc ? ROW_ipc : ROW_socketcall);
}
