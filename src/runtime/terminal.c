/* terminal.c: the container's terminal: a pty of its own devpts, handed out through the console socket. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"
#include "sys/pty.h"

/* No CR before each LF: our own terminal, to which we copy, has its own idea of that. Who takes the master by the console socket, or as the
 * caller of container_spawn, copies to one in raw mode, and expects a terminal as the kernel makes it. */
static void clear_onlcr(int slave)
{
	struct termios t;
	if (tcgetattr(slave, &t) < 0) return;
	t.c_oflag &= ~(tcflag_t)ONLCR;
	tcsetattr(slave, TCSANOW, &t);
}

static int bind_console(int root, const Pty *pty, Err *e)
{
	AUTO_FD int target = path_make_file(root, "/dev/console", 0666);
	if (target < 0) return err_sys(e, target, "create /dev/console");
	AUTO_FD int tree = mount_clone(pty->slave, "", false);
	if (tree < 0) return err_sys(e, tree, "bind /dev/console");
	int r = mount_attach(tree, target);
	return r < 0 ? err_sys(e, r, "bind /dev/console") : 0;
}

static int hand_out(Launch *l, const Pty *pty, Err *e)
{
	char name[32];
	int r, n = snprintf(name, sizeof name, "/dev/pts/%u", pty->number);
	if (l->console >= 0) {
		r = fd_send(l->console, name, (size_t)n, &pty->master, 1);
		l->console = fd_close(l->console);
		return r < 0 ? err_sys(e, r, "send the terminal to the console socket") : 0;
	}
	r = sync_send(l->sync[1], SYNC_PTY, 0, name, pty->master);
	return r < 0 ? err_sys(e, r, "hand over the terminal") : 0;
}

int terminal_make(Launch *l, int root, Err *e)
{
	AUTO_PTY pty = PTY_INIT;
	AUTO_FD int devpts = path_open(root, "/dev/pts", O_RDONLY | O_DIRECTORY, 0);
	if (devpts < 0) return err_sys(e, devpts, "allocate a terminal: /dev/pts of the container");
	int r = path_is_fs(devpts, DEVPTS_SUPER_MAGIC);
	if (r < 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "allocate a terminal: /dev/pts of the container is no devpts: mount one, or set process.terminal to false");
	if ((r = pty_open(devpts, &pty, e)) < 0) return r;
	if (l->console < 0 && !l->spawned) clear_onlcr(pty.slave);
	const OciConsoleSize *size = l->process->console_size;
	if (!size && l->tty_size.width) size = &l->tty_size;
	if (size && (r = pty_set_size(pty.slave, size->height, size->width)) < 0) return err_sys(e, r, "set process.consoleSize");
	if (fchown(pty.slave, l->process->user.uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM)
		return err_sys(e, errno, "chown the terminal");
	if (!l->exec && (r = bind_console(root, &pty, e)) < 0) return r;
	if ((r = hand_out(l, &pty, e)) < 0) return r;
	if ((r = pty_make_controlling(pty.slave)) < 0) return err_sys(e, r, "make the terminal the controlling one");
	if (pty.slave <= 2) pty.slave = -1;
	return 0;
}
