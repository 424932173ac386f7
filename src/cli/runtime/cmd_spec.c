/* cmd_spec.c: spec, features. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/runtime/commands.h"

int spec_run(Invocation *in, Err *e)
{
	const char *bundle = option_value(in, "bundle");
	AUTO_FD int dir = openat(AT_FDCWD, bundle && *bundle ? bundle : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return err_sys(e, errno, "open bundle %s", bundle ? bundle : ".");
	AUTO_BUF out = BUF_INIT(65536);
	JsonWriter w = JSON_WRITER(&out);
	w.indent = -1;
	oci_spec_write_default(option_switch(in, "rootless"), geteuid(), getegid(), &w);
	buf_putc(&out, '\n');
	AUTO_FD int fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST) return err_set(e, ERR_EXISTS, EEXIST, "File config.json exists. Remove it first");
	if (fd < 0) return err_sys(e, errno, "create config.json");
	int r = fd_write_all(fd, buf_str(&out), out.n);
	return r < 0 ? err_sys(e, r, "write config.json") : 0;
}

int features_run(Invocation *in, Err *e)
{
	AUTO_BUF out = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&out);
	w.indent = 2;
	container_features_write(&w);
	buf_putc(&out, '\n');
	return print_buf(&out, e);
}
