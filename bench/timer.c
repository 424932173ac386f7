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
 *
 * "++" separates commands that one run executes one after the other. Runs of the named commands alternate (A B A B …), so that what else
 * the machine does hits all alike.
 *
 * Measured of each run: wall time from before the first clone to the end of the last process; CPU time, user and system, of these processes
 * and of the children they waited for; their peak resident set (at least this program's own). One line for each name, tab separated: title,
 * name, wall median, minimum and maximum (ms), CPU median, minimum and maximum (ms), peak resident set (KiB), ratios of the first name's
 * medians of wall and CPU to this one's, ratio asked for.
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
	double *wall, *cpu, *rss;
} Figures;

typedef struct Subject {
	const char *name;
	char **steps[STEPS_MAX];
	int n;
	Figures f;
} Subject;

typedef struct Options {
	const char *title, *before, *after, *asked;
	int runs, warmup, interval, times;
	bool at_once;
} Options;

typedef struct Usage {
	double cpu, rss;
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

static void run_step(const Options *o, char *const *argv, Usage *u)
{
	pid_t *pids = calloc((size_t)o->times, sizeof *pids);
	if (!pids) {
		u->status = -1;
		return;
	}
	for (int i = 0; i < o->times; i++) {
		char *numbered[ARGS_MAX], text[8192];
		number_args(argv, i, numbered, text, sizeof text);
		pids[i] = spawn(numbered);
		if (!o->at_once) reap(pids[i], u);
	}
	for (int i = 0; o->at_once && i < o->times; i++)
		reap(pids[i], u);
	free(pids);
}

/* One run; its figures go to position i, and nowhere in the warm-up (i < 0). */
static int run_once(const Options *o, Subject *s, int i)
{
	Usage u = { 0 };
	int status;
	if (ftruncate(errors, 0) < 0 || lseek(errors, 0, SEEK_SET) < 0) return failed(s, "preparing", errno);
	if ((status = shell(o->before, s))) return failed(s, "the command before", status);
	double start = now();
	for (int k = 0; k < s->n && !u.status; k++)
		run_step(o, s->steps[k], &u);
	double wall = now() - start;
	if (u.status) return failed(s, s->steps[0][0], u.status);
	if ((status = shell(o->after, s))) return failed(s, "the command after", status);
	if (i < 0) return 0;
	s->f.wall[i] = wall;
	s->f.cpu[i] = u.cpu;
	s->f.rss[i] = u.rss;
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

static void print(const Options *o, const Subject *s, double first_wall, double first_cpu)
{
	int n = o->runs;
	double wall = median(s->f.wall, n), cpu = median(s->f.cpu, n), rss = median(s->f.rss, n);
	printf("%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%s\n", o->title, s->name, wall, s->f.wall[0],
	       s->f.wall[n - 1], cpu, s->f.cpu[0], s->f.cpu[n - 1], rss, wall > 0 ? first_wall / wall : 0, cpu > 0 ? first_cpu / cpu : 0,
	       o->asked);
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
	double wall = median(subjects[0].f.wall, o->runs), cpu = median(subjects[0].f.cpu, o->runs);
	for (int k = 0; k < n; k++)
		print(o, &subjects[k], wall, cpu);
	return 0;
}

static bool figures_make(Figures *f, int runs)
{
	f->wall = calloc((size_t)runs, sizeof *f->wall);
	f->cpu = calloc((size_t)runs, sizeof *f->cpu);
	f->rss = calloc((size_t)runs, sizeof *f->rss);
	return f->wall && f->cpu && f->rss;
}

/* Splits the arguments at "--" and "++". Returns the number of subjects, or -1. */
static int split(char **args, const Options *o, Subject *subjects)
{
	int n = 0;
	while (*args) {
		if (n == NAMES_MAX) return -1;
		Subject *s = &subjects[n++];
		*s = (Subject){ .name = *args++ };
		if (!figures_make(&s->f, o->runs)) return -1;
		for (bool more = true; more;) {
			if (!*args || s->n == STEPS_MAX) return -1;
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
	fprintf(stderr, "usage: timer [-t TITLE] [-n RUNS] [-w RUNS] [-i MS] [-r TIMES] [-j] [-b SH] [-a SH] [-B RATIO] "
			"NAME COMMAND [ARG…] [++ COMMAND…] [-- NAME COMMAND…]\n");
	return 2;
}

static bool read_options(Options *o, int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "+t:n:w:i:r:jb:a:B:")) != -1;) {
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
