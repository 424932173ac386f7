/* floor.c: the least that the start of a container costs on this machine. See README.md.
 *
 * floor [-n RUNS] [-w RUNS] ROOTFS: starts /true below ROOTFS, as `run` of the default configuration with docker's seccomp profile does, with
 * the same kernel objects and nothing else: a cgroup in each hierarchy below /sys/fs/cgroup, five namespaces by clone3, the seven default
 * mounts, device nodes, masked and read-only paths, pivot_root, a tree-shaped filter of the profile's size. There is no configuration, no
 * state, no check of any path, no error handling beyond giving up. Prints, tab separated: phase, name, median, minimum, maximum (us).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "quiet.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

enum {
	HIERARCHIES_MAX = 16,
	LEAVES = 143 /* 289 instructions with the head, as docker's profile compiles to */,
	CGROUP2_MAGIC = 0x63677270
};

typedef enum {
	AT_START,
	AT_CGROUPS, /* made */
	AT_CLONE,   /* the child runs */
	AT_JOINED,
	AT_MOUNTS,
	AT_MASKS,
	AT_PIVOT,
	AT_FILTER, /* in force; the program is executed now */
	AT_EXIT,   /* seen by the parent */
	AT_END,    /* cgroups removed */
	MARKS
} Mark;

static const char *const phases[MARKS] = {
	"whole start", "cgroups: mkdir", "clone3, five namespaces", "cgroups: join",  "mounts and devices", "masks, read-only paths",
	"pivot_root",  "seccomp filter", "execve, program, exit",   "cgroups: rmdir",
};

typedef struct Hierarchy {
	char base[64], dir[128];
	bool v2, cpuset;
	int join;
} Hierarchy;

static Hierarchy hierarchies[HIERARCHIES_MAX];
static size_t n_hierarchies;
static const char *rootfs;
static double *marks; /* shared with the child */
static struct sock_filter filter[2 * LEAVES + 8];
static unsigned short filter_n;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void mark(Mark m)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	marks[m] = (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(int r, const char *what)
{
	if (r < 0) die(what);
}

/* ---- cgroups ---- */

static void add_hierarchy(const char *base, const char *name)
{
	Hierarchy *h = &hierarchies[n_hierarchies];
	struct statfs fs;
	if (n_hierarchies == HIERARCHIES_MAX || statfs(base, &fs) < 0) return;
	*h = (Hierarchy){ .v2 = fs.f_type == CGROUP2_MAGIC, .cpuset = strstr(name, "cpuset") != NULL };
	snprintf(h->base, sizeof h->base, "%.63s", base);
	snprintf(h->dir, sizeof h->dir, "%.63s/skep-floor-%d", base, getpid());
	n_hierarchies++;
}

static void find_hierarchies(void)
{
	struct statfs fs;
	struct stat link;
	must(statfs("/sys/fs/cgroup", &fs), "/sys/fs/cgroup");
	if (fs.f_type == CGROUP2_MAGIC) {
		add_hierarchy("/sys/fs/cgroup", "");
		return;
	}
	DIR *d = opendir("/sys/fs/cgroup");
	if (!d) die("/sys/fs/cgroup");
	for (struct dirent *e; (e = readdir(d));) {
		char base[300], tasks[320];
		snprintf(base, sizeof base, "/sys/fs/cgroup/%s", e->d_name);
		snprintf(tasks, sizeof tasks, "%s/cgroup.procs", base);
		if (e->d_name[0] != '.' && lstat(base, &link) == 0 && S_ISDIR(link.st_mode) && access(tasks, W_OK) == 0)
			add_hierarchy(base, e->d_name);
	}
	closedir(d);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	char path[256], text[256];
	snprintf(path, sizeof path, "%s/%s", from_dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0) die(path);
	close(fd);
	snprintf(path, sizeof path, "%s/%s", to_dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n) die(path);
	close(fd);
}

static void make_cgroups(void)
{
	char path[256];
	for (size_t i = 0; i < n_hierarchies; i++) {
		Hierarchy *h = &hierarchies[i];
		must(mkdir(h->dir, 0755), h->dir);
		if (h->cpuset && !h->v2) {
			copy_file(h->base, h->dir, "cpuset.cpus");
			copy_file(h->base, h->dir, "cpuset.mems");
		}
		snprintf(path, sizeof path, "%s/tasks", h->dir);
		h->join = h->v2 ? open(h->dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : open(path, O_WRONLY | O_CLOEXEC);
		must(h->join, path);
	}
}

static void join_cgroups(void)
{
	for (size_t i = 0; i < n_hierarchies; i++)
		if (!hierarchies[i].v2 && write(hierarchies[i].join, "0", 1) != 1) die(hierarchies[i].dir);
}

static void remove_cgroups(void)
{
	for (size_t i = 0; i < n_hierarchies; i++) {
		close(hierarchies[i].join);
		while (rmdir(hierarchies[i].dir) < 0)
			if (errno != EBUSY) die(hierarchies[i].dir);
	}
}

/* ---- the root ---- */

static void make_mount(const char *type, const char *at, unsigned long flags, const char *data)
{
	must(mount(type, at, type, flags, data), at);
}

static void mount_cgroups(void)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	if (n_hierarchies == 1 && hierarchies[0].v2) {
		must(mount(hierarchies[0].dir, "sys/fs/cgroup", NULL, MS_BIND, NULL), "sys/fs/cgroup");
		must(mount(NULL, "sys/fs/cgroup", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL), "sys/fs/cgroup");
		return;
	}
	make_mount("tmpfs", "sys/fs/cgroup", flags, "mode=755");
	for (size_t i = 0; i < n_hierarchies; i++) {
		char at[128];
		snprintf(at, sizeof at, "sys/fs/cgroup/%.60s", strrchr(hierarchies[i].base, '/') + 1);
		must(mkdir(at, 0755), at);
		must(mount(hierarchies[i].dir, at, NULL, MS_BIND, NULL), at);
		must(mount(NULL, at, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL), at);
	}
	must(mount(NULL, "sys/fs/cgroup", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL), "sys/fs/cgroup");
}

static void make_devices(void)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = { { "dev/null", 1, 3 },   { "dev/zero", 1, 5 },    { "dev/full", 1, 7 },
		      { "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" },
						{ "/proc/self/fd/0", "dev/stdin" },
						{ "/proc/self/fd/1", "dev/stdout" },
						{ "/proc/self/fd/2", "dev/stderr" },
						{ "pts/ptmx", "dev/ptmx" } };
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		must(mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)), nodes[i].name);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		must(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void make_mounts(void)
{
	unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "/");
	must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), rootfs);
	must(chdir(rootfs), rootfs);
	make_mount("proc", "proc", 0, NULL);
	make_mount("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	must(mkdir("dev/pts", 0755) | mkdir("dev/shm", 0755) | mkdir("dev/mqueue", 0755), "dev");
	make_mount("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	make_mount("tmpfs", "dev/shm", safe, "mode=1777,size=65536k");
	make_mount("mqueue", "dev/mqueue", safe, NULL);
	make_mount("sysfs", "sys", safe | MS_RDONLY, NULL);
	mount_cgroups();
	make_devices();
}

static void make_masks(void)
{
	static const char *const masked[] = { "proc/acpi",          "proc/asound",     "proc/kcore",       "proc/keys",
					      "proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug",
					      "sys/firmware",       "proc/scsi" };
	static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) {
		if (mount("dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT) continue;
		must(errno == ENOTDIR ? mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "size=0k,nr_inodes=1") : -1, masked[i]);
	}
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0) continue;
		must(mount(NULL, read_only[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), read_only[i]);
	}
}

/* ---- the filter ---- */

static void emit(uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	filter[filter_n++] = (struct sock_filter){ code, yes, no, k };
}

/* A balanced tree over ranges of three numbers each: the left half follows at once, the right half after its 2 * n - 1 instructions. */
static void emit_tree(unsigned first, unsigned n)
{
	if (n == 1) {
		/* nothing that a static program needs is refused, yet neighbours differ as they do in a profile */
		emit(BPF_RET | BPF_K, first % 2 && first * 3 > 340 ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW, 0, 0);
		return;
	}
	unsigned left = n / 2;
	emit(BPF_JMP | BPF_JGE | BPF_K, (first + left) * 3, (uint8_t)(2 * left - 1), 0);
	emit_tree(first, left);
	emit_tree(first + left, n - left);
}

static void make_filter(void)
{
#ifdef __aarch64__
	const uint32_t arch = AUDIT_ARCH_AARCH64;
#else
	const uint32_t arch = AUDIT_ARCH_X86_64;
#endif
	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
	emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit_tree(0, LEAVES);
}

/* ---- a start ---- */

static void child(void) __attribute__((noreturn));
static void child(void)
{
	char *argv[] = { (char[]){ "true" }, NULL }, *env[] = { NULL };
	struct sock_fprog program = { filter_n, filter };
	mark(AT_CLONE);
	join_cgroups();
	mark(AT_JOINED);
	make_mounts();
	mark(AT_MOUNTS);
	make_masks();
	mark(AT_MASKS);
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	mark(AT_PIVOT);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program), "seccomp");
	mark(AT_FILTER);
	execve("/true", argv, env);
	die("/true");
	_exit(1);
}

static void start_once(void)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
				   .exit_signal = SIGCHLD };
	int status;
	mark(AT_START);
	make_cgroups();
	mark(AT_CGROUPS);
	for (size_t i = 0; i < n_hierarchies; i++) {
		if (!hierarchies[i].v2) continue;
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)hierarchies[i].join;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	must(pid, "clone3");
	if (pid == 0) child();
	must(waitpid(pid, &status, 0), "wait");
	mark(AT_EXIT);
	if (status) fprintf(stderr, "floor: the program ended with status %#x\n", (unsigned)status);
	remove_cgroups();
	mark(AT_END);
}

static double cpu_us(void)
{
	double sum = 0;
	struct rusage u;
	for (int who = RUSAGE_CHILDREN; who <= RUSAGE_SELF; who++) {
		getrusage(who, &u);
		sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
	}
	return sum;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *what, double *d, int n)
{
	qsort(d, (size_t)n, sizeof *d, compare);
	printf("%s\tfloor\t%.0f\t%.0f\t%.0f\n", what, d[n / 2], d[0], d[n - 1]);
}

int main(int argc, char **argv)
{
	int runs = 50, warmup = 3;
	for (int c; (c = getopt(argc, argv, "n:w:")) != -1;) {
		if (c == '?') return 2;
		*(c == 'n' ? &runs : &warmup) = (int)strtol(optarg, NULL, 10);
	}
	if (optind + 1 != argc || runs < 1) {
		fprintf(stderr, "usage: floor [-n RUNS] [-w RUNS] ROOTFS\n");
		return 2;
	}
	rootfs = realpath(argv[optind], NULL);
	if (!rootfs) die(argv[optind]);
	marks = mmap(NULL, MARKS * sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *all = calloc((size_t)runs * (MARKS + 1), sizeof *all), *cpu = all + (size_t)runs * MARKS;
	if (marks == MAP_FAILED || !all) die("memory");
	quiet_down();
	find_hierarchies();
	make_filter();
	for (int i = -warmup; i < runs; i++) {
		double before = cpu_us();
		start_once();
		if (i < 0) continue;
		cpu[i] = cpu_us() - before;
		all[i] = marks[AT_END] - marks[AT_START];
		for (int m = 1; m < MARKS; m++)
			all[(size_t)m * (size_t)runs + (size_t)i] = marks[m] - marks[m - 1];
	}
	for (int m = 0; m < MARKS; m++)
		print(phases[m], all + (size_t)m * (size_t)runs, runs);
	print("CPU time", cpu, runs);
	return 0;
}
