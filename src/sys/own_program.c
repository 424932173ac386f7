/* own_program.c: see own_program.h. */
#include "sys/own_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int own_path(char path[static OWN_PATH_MAX], Err *e)
{
	ssize_t n = readlink("/proc/self/exe", path, OWN_PATH_MAX - 1);
	if (n < 0) return err_sys(e, errno, "read /proc/self/exe");
	path[n] = 0;
	return 0;
}

static int open_program(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int own_program_open(const char *name, const char *installed, Err *e)
{
	char self[OWN_PATH_MAX], path[OWN_PATH_MAX + 64];
	int r = own_path(self, e);
	if (r < 0) return r;
	char *slash = strrchr(self, '/');
	if (slash) {
		slash[1] = 0;
		snprintf(path, sizeof path, "%s%s", self, name);
		if ((r = open_program(path)) >= 0) return r;
	}
	snprintf(path, sizeof path, "%s/%s", installed, name);
	r = open_program(path);
	return r < 0 ? err_sys(e, -r, "find %s beside this program or in %s", name, installed) : r;
}
