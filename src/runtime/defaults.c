/* defaults.c: what a runtime is when nobody says otherwise. */
#include <fcntl.h>
#include <unistd.h>

#include "runtime/container.h"

/* In a user namespace of somebody else's making root is not the machine's: one mapping that covers all ids is the initial one. */
bool runtime_is_rootless(void)
{
	char map[128];
	if (geteuid() != 0) return true;
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/self/uid_map", map, sizeof map);
	return n >= 0 && !strstr(map, "4294967295");
}

const char *runtime_default_root(bool rootless, Arena *a)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	return rootless && dir && *dir ? arena_printf(a, "%s/skep-runtime", dir) : "/run/skep-runtime";
}
