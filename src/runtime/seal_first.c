/* seal_first.c: seal.h's protection in place, before the C library starts.
 *
 * The program's file is looked at through a detached read-only mount: each part of the program is mapped again from there, over itself, and
 * the kernel is told that this is what is being executed (PR_SET_MM_MAP, since Linux 3.18). Nothing runs twice. The kernel takes
 * that only while no part of the program is mapped from the old place any more, so it has to happen before anything has been written to
 * the data: the ELF entry is here, with kernel calls alone. Nothing of the C library works yet, no variable with an address in it is
 * right, no function outside this file may be called. What cannot be done here is left to seal_self, which can also explain it.
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "runtime/seal.h"
#include "sys/kernel.h"

bool seal_done;

#if defined(__x86_64__) || defined(__aarch64__)

#define BEFORE_LIBC __attribute__((no_stack_protector))
#define ENTRY(text) \
	__asm__(".pushsection .text.skep_start,\"ax\",@progbits\n.globl skep_start\n.type skep_start,@function\nskep_start:\n" text \
		".popsection\n")

#ifdef __x86_64__
/* rdx: of the kernel's for the C library; kept */
ENTRY("endbr64\nxorl %ebp, %ebp\nmovq %rdx, %rbx\nmovq %rsp, %rdi\ncall seal_first\nmovq %rbx, %rdx\njmp _start\n");

static inline long kernel(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
}
#else
ENTRY("mov x29, #0\nmov x19, x0\nmov x0, sp\nbl seal_first\nmov x0, x19\nb _start\n");

static inline long kernel(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#endif

/* The program's own ELF header: the linker's symbol, at the address it was loaded to. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

enum { PAGE = 4096 }; /* a kernel with larger ones (aarch64 may have 64 KiB) is left to seal_self: see has_such_pages */

static BEFORE_LIBC bool is_word(const char *s, const char *word)
{
	while (*s && *s == *word)
		s++, word++;
	return *s == *word;
}

/* Any argument that reads like such a command will do: a program protected without need is slower, not wrong. */
static BEFORE_LIBC bool enters_container(char **argv)
{
	for (char **arg = argv; *arg; arg++)
		if (is_word(*arg, "run") || is_word(*arg, "create") || is_word(*arg, "exec") || is_word(*arg, "monitor")) return true;
	return false;
}

/* The end of a segment's last page is zeroed below: in a larger page it would be the file's next bytes. */
static BEFORE_LIBC bool has_such_pages(const long *stack)
{
	const long *word = stack + stack[0] + 2; /* argc, the arguments, NULL; then the environment, NULL; then pairs */
	while (*word)
		word++;
	for (word++; word[0] != AT_NULL; word += 2)
		if (word[0] == AT_PAGESZ) return word[1] == PAGE;
	return false;
}

static inline const ElfW(Phdr) * program_header(unsigned i)
{
	return (const ElfW(Phdr) *)((const char *)&__ehdr_start + __ehdr_start.e_phoff) + i;
}

/* Mapped again, a segment loses what was written to it, so none may have been; and none may share a page with another. */
static BEFORE_LIBC bool map_again(int fd)
{
	unsigned long base = (unsigned long)&__ehdr_start;
	for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
		const ElfW(Phdr) *p = program_header(i);
		if (p->p_type != PT_LOAD || !p->p_filesz) continue;
		unsigned long before = p->p_vaddr % PAGE, at = base + p->p_vaddr - before, n = p->p_filesz + before;
		int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) | (p->p_flags & PF_X ? PROT_EXEC : 0);
		if (kernel(SYS_mmap, (long)at, (long)n, prot, MAP_PRIVATE | MAP_FIXED, fd, (long)(p->p_offset - before)) != (long)at)
			return false;
		if (p->p_memsz == p->p_filesz) continue;
		/* the zeros between the end of the file's data and the end of its page were written by the kernel's loader */
		for (volatile char *z = (char *)(at + n); (unsigned long)z % PAGE; z++)
			*z = 0;
	}
	return true;
}

/* What the kernel knows of the program's place, as it already is: only the file changes. */
static BEFORE_LIBC long tell_kernel(int fd, long *stack)
{
	char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1, *last;
	unsigned long base = (unsigned long)&__ehdr_start, brk = (unsigned long)kernel(SYS_brk, 0, 0, 0, 0, 0, 0);
	struct prctl_mm_map m;
	m.start_stack = (unsigned long)stack;
	m.start_brk = m.brk = brk;
	m.start_code = m.end_code = m.start_data = m.end_data = base;
	for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
		const ElfW(Phdr) *p = program_header(i);
		if (p->p_type != PT_LOAD) continue;
		if (p->p_flags & PF_X) {
			m.start_code = base + p->p_vaddr;
			m.end_code = m.start_code + p->p_filesz;
		}
		m.start_data = base + p->p_vaddr;
		m.end_data = m.start_data + p->p_filesz;
	}
	last = argv[stack[0] - 1];
	while (*last)
		last++;
	m.arg_start = (unsigned long)argv[0];
	m.arg_end = m.env_start = m.env_end = (unsigned long)last + 1;
	for (; *env; env++) {
		last = *env;
		while (*last)
			last++;
		m.env_end = (unsigned long)last + 1;
	}
	m.auxv = NULL;
	m.auxv_size = 0; /* kept */
	m.exe_fd = (unsigned)fd;
	return kernel(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&m, sizeof m, 0, 0);
}

/* The file seen through the detached mount. Its name there is the descriptor's, in our own procfs. */
static BEFORE_LIBC long open_through(long mount)
{
	char name[] = "/proc/self/fd/0000000000";
	char *at = name + sizeof "/proc/self/fd/" - 1;
	unsigned digits = 1;
	for (long n = mount; n > 9; n /= 10)
		digits++;
	at[digits] = 0;
	for (long n = mount; digits; n /= 10)
		at[--digits] = (char)('0' + n % 10);
	return kernel(SYS_openat, AT_FDCWD, (long)name, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

void seal_first(long *stack) BEFORE_LIBC __attribute__((used, visibility("hidden")));
void seal_first(long *stack)
{
	static const char self[] = "/proc/self/exe", empty[] = "";
	struct statfs fs;
	struct mount_attr attr;
	if (stack[0] < 1 || !enters_container((char **)(stack + 2)) || !has_such_pages(stack)) return;
	if (kernel(SYS_statfs, (long)self, (long)&fs, 0, 0, 0, 0) < 0 || fs.f_flags & ST_RDONLY) return;
	long mount = kernel(SYS_open_tree, AT_FDCWD, (long)self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0, 0);
	if (mount < 0) return;
	attr.attr_set = MOUNT_ATTR_RDONLY;
	attr.attr_clr = attr.propagation = attr.userns_fd = 0;
	long fd = kernel(SYS_mount_setattr, mount, (long)empty, AT_EMPTY_PATH, (long)&attr, sizeof attr, 0);
	if (fd == 0) fd = open_through(mount);
	if (fd >= 0) {
		bool told = map_again((int)fd) && tell_kernel((int)fd, stack) == 0;
		/* Nobody else shall execute it from there: a container that could (by a script that starts with #!/proc/self/exe) would have the
		 * file in its hands. It could not write to it, but the mere try keeps others from executing it (ETXTBSY). */
		attr.attr_set = MOUNT_ATTR_NOEXEC;
		seal_done = told && kernel(SYS_mount_setattr, mount, (long)empty, AT_EMPTY_PATH, (long)&attr, sizeof attr, 0) == 0;
		kernel(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	kernel(SYS_close, mount, 0, 0, 0, 0, 0);
}

#endif
