/* gen-syscalls.c: writes src/sys/seccomp_syscalls.def, the numbers of the system calls on every architecture.
 *
 * The numbers are asked of libseccomp's resolver, which knows them for all architectures on any machine. Take the newest
 * libseccomp there is (2.6.1 knows Linux 7.1); one before 2.6.0 does not know loongarch64, m68k and sh and is refused.
 *
 *	cc -o gen-syscalls scripts/gen-syscalls.c -lseccomp && ./gen-syscalls >src/sys/seccomp_syscalls.def
 */
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if SCMP_VER_MAJOR < 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR < 6)
#error "libseccomp 2.6.0 or newer is needed"
#endif

enum { MAX_NAMES = 1000, HASH_SLOTS = 1024, PER_LINE = 24 };

/* The columns. Byte orders of one architecture share their numbers. */
static const struct {
	const char *column;
	uint32_t token;
} arches[] = {
	{ "x86_64", SCMP_ARCH_X86_64 },
	{ "x86", SCMP_ARCH_X86 },
	{ "x32", SCMP_ARCH_X32 },
	{ "aarch64", SCMP_ARCH_AARCH64 },
	{ "arm", SCMP_ARCH_ARM },
	{ "riscv64", SCMP_ARCH_RISCV64 },
	{ "loongarch64", SCMP_ARCH_LOONGARCH64 },
	{ "ppc64", SCMP_ARCH_PPC64LE },
	{ "ppc", SCMP_ARCH_PPC },
	{ "s390x", SCMP_ARCH_S390X },
	{ "s390", SCMP_ARCH_S390 },
	{ "mips64", SCMP_ARCH_MIPS64 },
	{ "mips64n32", SCMP_ARCH_MIPS64N32 },
	{ "mips", SCMP_ARCH_MIPS },
	{ "parisc64", SCMP_ARCH_PARISC64 },
	{ "parisc", SCMP_ARCH_PARISC },
	{ "m68k", SCMP_ARCH_M68K },
	{ "sh", SCMP_ARCH_SH },
};
enum { ARCHES = sizeof arches / sizeof arches[0] };

/* Where numbers lie: all architectures from 0, the MIPS ABIs from 4000, 5000 and 6000, ARM's private ones. */
static const struct {
	int first, n;
} ranges[] = { { 0, 1000 }, { 4000, 1000 }, { 5000, 1000 }, { 6000, 1000 }, { 0xf0000, 16 } };
static const int x32_bit = 0x40000000;

typedef struct Row {
	char name[64];
	int nr[ARCHES];
} Row;
static Row rows[MAX_NAMES];
static size_t n_rows;

static Row *row_of(const char *name)
{
	for (size_t i = 0; i < n_rows; i++)
		if (strcmp(rows[i].name, name) == 0) return &rows[i];
	if (n_rows == MAX_NAMES) abort();
	Row *r = &rows[n_rows++];
	snprintf(r->name, sizeof r->name, "%s", name);
	for (size_t a = 0; a < ARCHES; a++)
		r->nr[a] = -1;
	return r;
}

/* By number: also finds the calls that libseccomp answers with a pseudo number when asked by name (socket on x86). */
static void collect(size_t a)
{
	int bit = arches[a].token == SCMP_ARCH_X32 ? x32_bit : 0;
	for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++)
		for (int nr = ranges[r].first; nr < ranges[r].first + ranges[r].n; nr++) {
			char *name = seccomp_syscall_resolve_num_arch(arches[a].token, nr | bit);
			if (!name) continue;
			row_of(name)->nr[a] = nr;
			free(name);
		}
}

/* By name: two names of one number (sync_file_range2 and arm_sync_file_range) both count. */
static void fill_aliases(void)
{
	for (size_t i = 0; i < n_rows; i++)
		for (size_t a = 0; a < ARCHES; a++) {
			int nr = seccomp_syscall_resolve_name_arch(arches[a].token, rows[i].name);
			if (nr >= 0 && rows[i].nr[a] < 0) rows[i].nr[a] = nr & ~x32_bit;
		}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const Row *)a)->name, ((const Row *)b)->name);
}

/* The same function stands in seccomp_arch.c. */
static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ h >> 15) % HASH_SLOTS;
}

static void print_hash(void)
{
	static int slots[HASH_SLOTS];
	for (size_t i = 0; i < n_rows; i++) {
		uint32_t h = name_hash(rows[i].name);
		while (slots[h])
			h = (h + 1) % HASH_SLOTS;
		slots[h] = (int)i + 1;
	}
	printf("#ifdef SYSCALL_HASH\n/* Open addressing, linear probing, FNV-1a of the name; the row's number from 1. */\n");
	for (int i = 0; i < HASH_SLOTS; i++)
		printf("%s%d,%s", i % PER_LINE ? " " : "", slots[i], i % PER_LINE == PER_LINE - 1 || i == HASH_SLOTS - 1 ? "\n" : "");
	printf("#endif\n");
}

int main(void)
{
	for (size_t a = 0; a < ARCHES; a++)
		collect(a);
	fill_aliases();
	qsort(rows, n_rows, sizeof rows[0], by_name);

	const struct scmp_version *v = seccomp_version();
	printf("/* seccomp_syscalls.def: the numbers of the system calls by architecture, -1 where there is none.\n"
	       " * Written by scripts/gen-syscalls.c from libseccomp %u.%u.%u; not for editing by hand.\n"
	       " * x32 is without its bit 30. Byte orders share a column. */\n#ifdef SYSCALL\n/* name",
	       v->major, v->minor, v->micro);
	for (size_t a = 0; a < ARCHES; a++)
		printf(", %s", arches[a].column);
	printf(" */\n");
	for (size_t i = 0; i < n_rows; i++) {
		printf("SYSCALL(%s", rows[i].name);
		for (size_t a = 0; a < ARCHES; a++)
			printf(", %d", rows[i].nr[a]);
		printf(")\n");
	}
	printf("#endif\n");
	print_hash();
	return 0;
}
