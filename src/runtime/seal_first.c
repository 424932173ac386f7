/* seal_first.c: the protected copy of seal.h, taken before the C library starts.
 *
 * The second start of the program throws away all that the first one did: relocations, CPUID (each one a trap in a virtual machine),
 * thread-local storage, the parsed command line; about 0.2 ms of CPU. So the ELF entry is here, with kernel calls alone: nothing of the
 * C library works yet, no variable with an address in it is right, no function outside this file may be called. What goes wrong here is
 * left to seal_self, which can also explain it.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "runtime/seal.h"

bool seal_read_only;

#if defined(__x86_64__) || defined(__aarch64__)

#define BEFORE_LIBC __attribute__((no_stack_protector))
#define ENTRY(text) \
	__asm__(".pushsection .text.skep_start,\"ax\",@progbits\n.globl skep_start\n.type skep_start,@function\nskep_start:\n" text \
		".popsection\n")

#ifdef __x86_64__
/* rdx: of the kernel's for the C library; kept */
ENTRY("endbr64\nxorl %ebp, %ebp\nmovq %rdx, %rbx\nmovq %rsp, %rdi\ncall seal_first\nmovq %rbx, %rdx\njmp _start\n");

static inline long kernel(long nr, long a, long b, long c, long d, long e)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return ret;
}
#else
ENTRY("mov x29, #0\nmov x19, x0\nmov x0, sp\nbl seal_first\nmov x0, x19\nb _start\n");

static inline long kernel(long nr, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#endif

static BEFORE_LIBC bool is_word(const char *s, const char *word)
{
	while (*s && *s == *word)
		s++, word++;
	return *s == *word;
}

/* Any argument that reads like such a command will do: a program executed again without need is slower, not wrong. */
static BEFORE_LIBC bool enters_container(char **argv)
{
	for (char **arg = argv; *arg; arg++)
		if (is_word(*arg, "run") || is_word(*arg, "create") || is_word(*arg, "exec")) return true;
	return false;
}

void seal_first(long *stack) BEFORE_LIBC __attribute__((used, visibility("hidden")));
void seal_first(long *stack)
{
	static const char self[] = "/proc/self/exe";
	char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	struct statfs fs;
	if (stack[0] < 1 || !enters_container(argv + 1)) return;
	if (kernel(SYS_statfs, (long)self, (long)&fs, 0, 0, 0) < 0) return;
	seal_read_only = fs.f_flags & ST_RDONLY;
	if (seal_read_only) return;
	long fd = kernel(SYS_open_tree, AT_FDCWD, (long)self, OPEN_TREE_CLONE, 0, 0);
	if (fd < 0) return;
	if (fd < 3) { /* a standard stream that the caller closed: it must not become one */
		long low = fd;
		fd = kernel(SYS_fcntl, low, F_DUPFD, 3, 0, 0);
		kernel(SYS_close, low, 0, 0, 0, 0);
		if (fd < 0) return;
	}
	/* the descriptor stays open for seal_finish */
	if (kernel(SYS_mount_setattr, fd, (long)"", AT_EMPTY_PATH, (long)&attr, sizeof attr) == 0)
		kernel(SYS_execveat, fd, (long)"", (long)argv, (long)env, AT_EMPTY_PATH);
	kernel(SYS_close, fd, 0, 0, 0, 0);
}

#endif
