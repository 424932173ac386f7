/* pty.h: pseudo terminals and the terminal that a command runs on. */
#pragma once

#include <sys/ioctl.h>
#include <termios.h>

#include "base/err.h"

typedef struct Pty {
	int master, slave; /* owned; slave is O_RDWR | O_NOCTTY */
	unsigned number;   /* N of /dev/pts/N in its devpts instance */
} Pty;
#define PTY_INIT ((Pty){ .master = -1, .slave = -1 })

/* pty_done: closes both. */
void pty_done(Pty *p);
#define AUTO_PTY AUTO(pty_done) Pty

/* pty_open: a new pair of the devpts instance whose root directory is devpts (checked to be one); -1: the system's /dev/ptmx.
 * The slave comes from the master itself (TIOCGPTPEER), never by its name. */
int pty_open(int devpts, Pty *ret, Err *e) MUST_USE;
/* pty_from_ptmx: the same for an already opened ptmx, which *ret owns on success. */
int pty_from_ptmx(int master, Pty *ret, Err *e) MUST_USE;

/* pty_set_size: rows and columns; a size of 0 x 0 is left alone. pty_copy_size: from one terminal to another. */
int pty_set_size(int fd, unsigned rows, unsigned cols) MUST_USE;
int pty_copy_size(int from, int to) MUST_USE;

/* pty_make_controlling: the slave becomes the controlling terminal of this new session and its standard streams. Call setsid first. */
int pty_make_controlling(int slave) MUST_USE;

/* TtyMode: a terminal in raw mode, and the way back. */
typedef struct TtyMode {
	int fd; /* -1: nothing to restore; not owned */
	struct termios saved;
} TtyMode;
#define TTY_MODE_INIT ((TtyMode){ .fd = -1 })

/* tty_raw: raw mode for input, and for output unless that is still for people (CR before LF), what it was kept in *ret; -ENOTTY when fd is not a terminal. tty_restore: back; more than once is harmless. */
int tty_raw(int fd, bool output, TtyMode *ret) MUST_USE;
void tty_restore(TtyMode *m);
#define AUTO_TTY AUTO(tty_restore) TtyMode
