/* main.c: skep-transfer: started by skep with a socket, for the work that touches the network or inflates. Not for people. */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "transfer/sandbox.h"
#include "transfer/serve.h"

static int usage(void)
{
	fputs("skep-transfer is started by skep: skep-transfer --protocol=1 [--fd=N] [--offline]\n", stderr);
	return 2;
}

/* is_socket: the kind that requests come over. */
static bool is_socket(int fd)
{
	int type = 0;
	socklen_t n = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	ServeOptions o = { .sock = 3 };
	bool protocol = false;
	for (int i = 1; i < argc; i++) {
		Str arg = str_of(argv[i]);
		if (str_eq(arg, "--protocol=1"))
			protocol = true;
		else if (str_eq(arg, "--offline"))
			o.offline = true;
		else if (!str_starts(arg, "--fd=") || str_to_int((Str){ arg.p + 5, arg.n - 5 }, &o.sock) < 0)
			return usage();
	}
	if (!protocol || !is_socket(o.sock) || fcntl(o.sock, F_SETFD, FD_CLOEXEC) < 0) return usage();
	/* the terminal's signals are for the one who started it, whose end we see */
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGQUIT, &ignore, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	mallopt(M_ARENA_MAX, 2);              /* memory is bounded by what is in flight, not by threads */
	mallopt(M_MMAP_THRESHOLD, 128 << 10); /* large buffers go back when they are freed */
	mallopt(M_TRIM_THRESHOLD, 16 << 20);  /* an index is freed chunk by chunk: not 600 calls to give back what the next one needs */
	int r = sandbox_enter(o.offline, &e);
	if (r >= 0) r = serve(&o, &e);
	if (r < 0) fprintf(stderr, "skep-transfer: %s\n", e.msg);
	fflush(stderr);
	_exit(r < 0); /* threads may be at work: nobody waits for them */
}
