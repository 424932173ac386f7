/* program.c: finding and becoming the container's program. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

enum { SHOWN = 1024 };

/* Is there a file to execute at path? The kernel's own answer, with the final rights, comes with execve. */
static int probe(int root, const char *path)
{
	struct stat st;
	AUTO_FD int fd = path_open(root, path, O_PATH, 0);
	if (fd < 0) return fd;
	if (fstat(fd, &st) < 0) return -errno;
	if (S_ISDIR(st.st_mode)) return -EISDIR;
	if (!(st.st_mode & 0111)) return -EACCES;
	return 0;
}

static int refuse(Err *e, const char *name, int r)
{
	AUTO_BUF b = BUF_INIT(4 * SHOWN);
	buf_quote(&b, (Str){ name, strnlen(name, SHOWN) });
	const char *quoted = buf_str(&b);
	if (r == -EACCES) return err_set(e, ERR_NOT_EXECUTABLE, EACCES, "exec: %s: permission denied", quoted);
	if (r == -EISDIR) return err_set(e, ERR_NOT_EXECUTABLE, EACCES, "exec: %s: is a directory: permission denied", quoted);
	if (r == -ENOENT && !strchr(name, '/'))
		return err_set(e, ERR_NO_COMMAND, ENOENT, "exec: %s: executable file not found in $PATH", quoted);
	return err_set(e, ERR_NO_COMMAND, -r, "exec: %s: stat %s: %s", quoted, name, err_text(-r));
}

static const char *search_path(char *const *env)
{
	for (; *env; env++)
		if (starts_with(*env, "PATH=")) return *env + strlen("PATH=");
	return "/bin:/usr/bin";
}

int program_find(Launch *l, int root, char *const *env, const char **ret, Err *e)
{
	const char *name = l->process->args.items[0];
	if (!*name) return refuse(e, name, -ENOENT);
	if (strchr(name, '/')) {
		const char *at = name[0] == '/' ? name : arena_printf(l->arena, "%s/%s", l->process->cwd, name);
		int r = at ? probe(root, at) : -ENOMEM;
		if (r < 0) return refuse(e, name, r);
		*ret = name;
		return 0;
	}
	Str rest = str_of(search_path(env)), dir;
	bool denied = false;
	while (str_next(&rest, ':', &dir)) {
		if (!dir.n || dir.p[0] != '/') continue;
		char *at = arena_printf(l->arena, "%.*s/%s", (int)dir.n, dir.p, name);
		int r = at ? probe(root, at) : -ENOMEM;
		if (r == 0) {
			*ret = at;
			return 0;
		}
		denied |= r == -EACCES;
	}
	return refuse(e, name, denied ? -EACCES : -ENOENT);
}

void program_exec(Launch *l, const char *path, char *const *env, Err *e)
{
	execve(path, (char *const *)(uintptr_t)l->process->args.items, env);
	err_sys(e, errno, "exec %s", path);
	e->code = e->errnum == ENOENT ? ERR_NO_COMMAND : ERR_NOT_EXECUTABLE;
}
