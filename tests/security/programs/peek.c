/* peek: looks for the host through every other process it can see: descriptors, working directory, root and program.
 *
 * Says "ready"; prints what it could look at, one line each. With an argument that many rounds and "done"; without, until SIGTERM:
 * "met N", the processes that came by, and "done". New processes are looked at first, by guessing their number. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 40 }; /* while we look at one, others come and go */

static volatile sig_atomic_t over;

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

static void show(const char *path)
{
	char target[300];
	ssize_t n = readlink(path, target, sizeof target - 1);
	if (n <= 0) return;
	target[n] = 0;
	if (strncmp(target, "/bin/", 5) && strcmp(target, "/") && strncmp(target, "/dev/null", 9)) printf("%s %s\n", path, target);
}

static void look(int pid)
{
	static const char *const links[] = { "exe", "cwd", "root" };
	char path[300], at[600];
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, links[i]);
		show(path);
	}
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		if (atoi(de->d_name) < 3) continue; /* what it was given on purpose */
		snprintf(at, sizeof at, "%s/%s", path, de->d_name);
		show(at);
	}
	if (d) closedir(d);
}

static void look_at_all(void)
{
	DIR *d = opendir("/proc");
	for (struct dirent *de; d && (de = readdir(d));)
		if (atoi(de->d_name) > 0 && atoi(de->d_name) != getpid()) look(atoi(de->d_name));
	if (d) closedir(d);
}

/* kill() knows of a process before /proc does. */
static int follow(void)
{
	int next = getpid() + 1, met = 0;
	while (!over) {
		for (int pid = next; pid < next + AHEAD; pid++) {
			if (kill(pid, 0) < 0 && errno == ESRCH) continue;
			met++;
			while (!over && (kill(pid, 0) == 0 || errno != ESRCH))
				look(pid);
			next = pid + 1;
		}
	}
	return met;
}

int main(int argc, char **argv)
{
	signal(SIGTERM, stop);
	puts("ready");
	fflush(stdout);
	if (argc > 1) {
		for (int i = 0; i < atoi(argv[1]); i++)
			look_at_all();
	} else {
		printf("met %d\n", follow());
	}
	puts("done");
	return 0;
}
