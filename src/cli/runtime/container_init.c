/* container_init.c: the first process of a container with --init: starts the program, forwards signals to it, reaps what others leave behind.
 *
 * This program under another name, bound into the container: it is static, so an image needs nothing for it. It allocates nothing and
 * stays for as long as the container's program.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/runtime/commands.h"

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NO_COMMAND = 127, EXIT_SIGNALLED = 128 };

/* What a process does to itself is its own: forwarded, a crash of this program would be told as one of the other. */
static const int own_signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

static void fail(const char *what)
{
	dprintf(2, CONTAINER_INIT_NAME ": %s: %s\n", what, err_text(errno));
}

/* Its own process group, in the foreground of the terminal if there is one: what is typed there goes to it, not to this process as well. */
static void take_terminal(void)
{
	sigset_t ttou, old;
	setpgid(0, 0);
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU); /* its effect on a group in the background, which this still is */
	if (sigprocmask(SIG_BLOCK, &ttou, &old) < 0) return;
	if (tcsetpgrp(0, getpgrp()) < 0 && errno != ENOTTY && errno != ENXIO && errno != EBADF && errno != EPERM) fail("take the terminal");
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static NORETURN void become(char **argv, const sigset_t *mask)
{
	take_terminal();
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	int status = errno == ENOENT || errno == ENOTDIR ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
	fail(argv[0]);
	_exit(status);
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? EXIT_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Everyone who has ended. Returns the program's exit status once it has, else -1. */
static int reap(pid_t program)
{
	int status, ret = -1;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == program) ret = exit_status(status);
	return ret;
}

static int serve(pid_t program, const sigset_t *signals)
{
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(signals, &info);
		if (signal < 0 && errno != EINTR) {
			fail("wait for signals");
			return 1;
		}
		if (signal > 0 && signal != SIGCHLD) kill(program, signal); /* it may have ended meanwhile: SIGCHLD says so next */
		int status = signal == SIGCHLD ? reap(program) : -1;
		if (status >= 0) return status;
	}
}

int container_init_main(int argc, char **argv)
{
	sigset_t signals, old;
	char **program = argv + 1;
	if (argc > 1 && strcmp(argv[1], "--") == 0) program++;
	if (argc < 1 || !*program) {
		dprintf(2, "usage: " CONTAINER_INIT_NAME " [--] PROGRAM [ARGUMENT...]\n");
		return 1;
	}
	sigfillset(&signals);
	for (size_t i = 0; i < ARRAY_LEN(own_signals); i++)
		sigdelset(&signals, own_signals[i]);
	if (sigprocmask(SIG_BLOCK, &signals, &old) < 0) {
		fail("block signals");
		return 1;
	}
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("become a subreaper");
	pid_t pid = fork();
	if (pid < 0) {
		fail("fork");
		return 1;
	}
	if (pid == 0) become(program, &old);
	return serve(pid, &signals);
}
