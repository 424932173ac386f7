/* timer.c: runs commands in turn and compares their time. See README.md.
 *
 * timer [OPTION…] NAME COMMAND [ARG…] [++ COMMAND…]… [-- NAME COMMAND…]…
 *   -t TITLE  what is measured; printed in each line
 *   -n RUNS   timed runs of each command (50)
 *   -w RUNS   untimed runs before (3)
 *   -i MS     one run every MS milliseconds, instead of one right after the other
 *   -r TIMES  a run is the command TIMES times in sequence; "{}" in an argument is the number, from 0
 *   -j        … all of them at once
 *   -b SH     shell text before each run, not timed; $NAME: the name of the command
 *   -a SH     shell text after each run, not timed
 *   -B RATIO  the ratio that is asked for; printed
 *   -D DIR    DIR/NAME, where there is one, has the PIDs of the daemons that work for NAME: their CPU time, too, and what they write
 *   -S        a line for each of the commands of a run as well, TITLE / 1, TITLE / 2, …
 *
 * "++" separates commands that one run executes one after the other. Runs of the named commands alternate (A B A B …), so that what else
 * the machine does hits all alike.
 *
 * Measured of each run: wall time from before the first clone to the end of the last process; CPU time, user and system, of these processes
 * and of the children they waited for; their peak resident set (at least this program's own). One line for each name, tab separated: title,
 * name, wall median, minimum and maximum (ms), CPU median, minimum and maximum (ms), peak resident set (KiB), ratios of the first name's
 * medians of wall and CPU to this one's, ratio asked for, KiB written (median; what was dirtied in files that are on a disk, less
 * what was removed before it was written).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "quiet.h"

enum { NAMES_MAX = 8, STEPS_MAX = 8, ARGS_MAX = 64, ERROR_MAX = 300 };

typedef struct Figures {
	double *wall, *cpu, *rss, *written;
} Figures;

typedef struct Subject {
	const char *name;
	char **steps[STEPS_MAX];
	int n;
	Figures all, each[STEPS_MAX];
} Subject;

typedef struct Options {
	const char *title, *before, *after, *asked, *daemons;
	int runs, warmup, interval, times;
	bool at_once, steps;
} Options;

typedef struct Usage {
	double wall, cpu, rss, written;
	int status;
} Usage;

extern char **environ;
static int errors, null; /* what commands say on standard error; shown when one fails */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double milliseconds(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static void sleep_until(double when)
{
	struct timespec t = { .tv_sec = (time_t)(when / 1e3) };
	t.tv_nsec = (long)((when - (double)t.tv_sec * 1e3) * 1e6);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* vfork: the cost of copying this program's page tables is no part of what is measured. */
static pid_t spawn(char *const *argv)
{
	pid_t pid = vfork();
	if (pid) return pid;
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0) _exit(126);
	execvpe(argv[0], argv, environ);
	_exit(127);
}

static void reap(pid_t pid, Usage *u)
{
	struct rusage used;
	int status;
	while (wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR) {
			u->status = -1;
			return;
		}
	if (status) u->status = status;
	u->cpu += milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
	if ((double)used.ru_maxrss > u->rss) u->rss = (double)used.ru_maxrss;
}

static int shell(const char *text, const Subject *s)
{
	char sh[] = "sh", c[] = "-c", *copy;
	Usage u = { 0 };
	if (!text) return 0;
	setenv("NAME", s->name, 1);
	copy = strdup(text);
	reap(spawn((char *[]){ sh, c, copy, NULL }), &u);
	free(copy);
	return u.status;
}

static int failed(const Subject *s, const char *what, int status)
{
	char text[ERROR_MAX];
	ssize_t n = pread(errors, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	fprintf(stderr, "timer: %s: %s failed, status %#x: %s\n", s->name, what, (unsigned)status, text);
	return -1;
}

/* argv with "{}" replaced; the strings are the caller's to free through buf. */
static void number_args(char *const *argv, int number, char **out, char *buf, size_t size)
{
	int i = 0;
	for (; argv[i] && i < ARGS_MAX - 1; i++) {
		const char *mark = strstr(argv[i], "{}");
		out[i] = argv[i];
		if (!mark) continue;
		int n = snprintf(buf, size, "%.*s%d%s", (int)(mark - argv[i]), argv[i], number, mark + 2);
		if (n < 0 || (size_t)n >= size) continue;
		out[i] = buf;
		buf += n + 1;
		size -= (size_t)n + 1;
	}
	out[i] = NULL;
}

/* ---- what is not told by wait ---- */

/* KiB written by a process and the children it has waited for; 0 where the kernel does not count. */
static double written_by(const char *pid)
{
	char path[64], line[128];
	double bytes = 0, n;
	snprintf(path, sizeof path, "/proc/%s/io", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "write_bytes: %lf", &n) == 1) bytes += n;
		if (sscanf(line, "cancelled_write_bytes: %lf", &n) == 1) bytes -= n;
	}
	if (f) fclose(f);
	return bytes / 1024;
}

/* ms of CPU time of a process and the children it has waited for. */
static double cpu_of(const char *pid)
{
	char path[64], text[1024];
	unsigned long ticks[4] = { 0 };
	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0) close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *rest = strrchr(text, ')'); /* the name may hold anything */
	if (!rest ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", ticks, ticks + 1, ticks + 2, ticks + 3) != 4)
		return 0;
	return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

/* Adds what the daemons of a subject, and this process' children, have used so far. sign: -1 before, 1 after. */
static void count_others(const Options *o, const Subject *s, double sign, Usage *u)
{
	char path[4096], pid[32];
	u->written += sign * written_by("self");
	if (!o->daemons) return;
	snprintf(path, sizeof path, "%s/%s", o->daemons, s->name);
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%31s", pid) == 1) {
		u->written += sign * written_by(pid);
		u->cpu += sign * cpu_of(pid);
	}
	if (f) fclose(f);
}

static void run_step(const Options *o, const Subject *s, char *const *argv, Usage *u)
{
	pid_t *pids = calloc((size_t)o->times, sizeof *pids);
	if (!pids) {
		u->status = -1;
		return;
	}
	count_others(o, s, -1, u);
	double start = now();
	for (int i = 0; i < o->times; i++) {
		char *numbered[ARGS_MAX], text[8192];
		number_args(argv, i, numbered, text, sizeof text);
		pids[i] = spawn(numbered);
		if (!o->at_once) reap(pids[i], u);
	}
	for (int i = 0; o->at_once && i < o->times; i++)
		reap(pids[i], u);
	u->wall += now() - start;
	count_others(o, s, 1, u);
	free(pids);
}

static void keep(Figures *f, int i, const Usage *u)
{
	f->wall[i] = u->wall;
	f->cpu[i] = u->cpu;
	f->rss[i] = u->rss;
	f->written[i] = u->written;
}

/* One run; its figures go to position i, and nowhere in the warm-up (i < 0). */
static int run_once(const Options *o, Subject *s, int i)
{
	Usage all = { 0 };
	int status;
	if (ftruncate(errors, 0) < 0 || lseek(errors, 0, SEEK_SET) < 0) return failed(s, "preparing", errno);
	if ((status = shell(o->before, s))) return failed(s, "the command before", status);
	for (int k = 0; k < s->n; k++) {
		Usage u = { 0 };
		run_step(o, s, s->steps[k], &u);
		if (u.status) return failed(s, s->steps[k][0], u.status);
		if (i >= 0) keep(&s->each[k], i, &u);
		all.wall += u.wall;
		all.cpu += u.cpu;
		all.written += u.written;
		if (u.rss > all.rss) all.rss = u.rss;
	}
	if ((status = shell(o->after, s))) return failed(s, "the command after", status);
	if (i >= 0) keep(&s->all, i, &all);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Sorts, too. */
static double median(double *d, int n)
{
	qsort(d, (size_t)n, sizeof *d, compare);
	return n % 2 ? d[n / 2] : (d[n / 2 - 1] + d[n / 2]) / 2;
}

/* step: its number, or 0 for all of them. */
static void print(const Options *o, const Subject *s, const Figures *f, const Figures *first, int step)
{
	int n = o->runs;
	char title[256];
	double wall = median(f->wall, n), cpu = median(f->cpu, n), rss = median(f->rss, n), written = median(f->written, n);
	double first_wall = median(first->wall, n), first_cpu = median(first->cpu, n);
	if (step)
		snprintf(title, sizeof title, "%s / %d", o->title, step);
	else
		snprintf(title, sizeof title, "%s", o->title);
	printf("%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%s\t%.0f\n", title, s->name, wall, f->wall[0], f->wall[n - 1],
	       cpu, f->cpu[0], f->cpu[n - 1], rss, wall > 0 ? first_wall / wall : 0, cpu > 0 ? first_cpu / cpu : 0, o->asked, written);
}

static int measure(const Options *o, Subject *subjects, int n)
{
	double next = now();
	for (int i = -o->warmup; i < o->runs; i++) {
		for (int k = 0; k < n; k++) {
			if (o->interval) sleep_until(next += o->interval);
			if (run_once(o, &subjects[k], i) < 0) return 1;
		}
	}
	for (int k = 0; k < n; k++)
		print(o, &subjects[k], &subjects[k].all, &subjects[0].all, 0);
	for (int step = 0; o->steps && step < STEPS_MAX; step++)
		for (int k = 0; k < n && step < subjects[0].n; k++)
			if (step < subjects[k].n) print(o, &subjects[k], &subjects[k].each[step], &subjects[0].each[step], step + 1);
	return 0;
}

static bool figures_make(Figures *f, int runs)
{
	f->wall = calloc((size_t)runs, sizeof *f->wall);
	f->cpu = calloc((size_t)runs, sizeof *f->cpu);
	f->rss = calloc((size_t)runs, sizeof *f->rss);
	f->written = calloc((size_t)runs, sizeof *f->written);
	return f->wall && f->cpu && f->rss && f->written;
}

/* Splits the arguments at "--" and "++". Returns the number of subjects, or -1. */
static int split(char **args, const Options *o, Subject *subjects)
{
	int n = 0;
	while (*args) {
		if (n == NAMES_MAX) return -1;
		Subject *s = &subjects[n++];
		*s = (Subject){ .name = *args++ };
		if (!figures_make(&s->all, o->runs)) return -1;
		for (bool more = true; more;) {
			if (!*args || s->n == STEPS_MAX || !figures_make(&s->each[s->n], o->runs)) return -1;
			s->steps[s->n++] = args;
			while (*args && strcmp(*args, "--") != 0 && strcmp(*args, "++") != 0)
				args++;
			more = *args && strcmp(*args, "++") == 0;
			if (*args) *args++ = NULL;
		}
	}
	return n;
}

static int number(const char *text)
{
	char *end;
	long v = strtol(text, &end, 10);
	return *end || end == text || v < 0 || v > 1000000 ? -1 : (int)v;
}

static int usage(void)
{
	fprintf(stderr, "usage: timer [-t TITLE] [-n RUNS] [-w RUNS] [-i MS] [-r TIMES] [-j] [-b SH] [-a SH] [-B RATIO] [-D DIR] [-S] "
			"NAME COMMAND [ARG…] [++ COMMAND…] [-- NAME COMMAND…]\n");
	return 2;
}

static bool read_options(Options *o, int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "+t:n:w:i:r:jb:a:B:D:S")) != -1;) {
		switch (c) {
		case 't':
			o->title = optarg;
			break;
		case 'n':
			o->runs = number(optarg);
			break;
		case 'w':
			o->warmup = number(optarg);
			break;
		case 'i':
			o->interval = number(optarg);
			break;
		case 'r':
			o->times = number(optarg);
			break;
		case 'j':
			o->at_once = true;
			break;
		case 'b':
			o->before = optarg;
			break;
		case 'a':
			o->after = optarg;
			break;
		case 'B':
			o->asked = optarg;
			break;
		case 'D':
			o->daemons = optarg;
			break;
		case 'S':
			o->steps = true;
			break;
		default:
			return false;
		}
	}
	return o->runs > 0 && o->warmup >= 0 && o->interval >= 0 && o->times > 0;
}

int main(int argc, char **argv)
{
	Options o = { .title = "", .runs = 50, .warmup = 3, .times = 1, .asked = "" };
	Subject subjects[NAMES_MAX];
	char name[] = "/tmp/timer.XXXXXX";
	int n = read_options(&o, argc, argv) ? split(argv + optind, &o, subjects) : -1;
	if (n < 1) return usage();
	quiet_down();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	errors = mkostemp(name, O_CLOEXEC);
	if (errors < 0 || null < 0) return 1;
	unlink(name);
	return measure(&o, subjects, n);
}
