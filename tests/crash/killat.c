/* killat: runs a command and kills a process of it with SIGKILL at its N-th system call, before that call is made.
 *
 *   killat DEPTH VICTIM N COMMAND [ARGUMENT…]
 *
 * DEPTH says whose calls are counted: 0 the command's own process, 1 its first child, 2 the first child of that one.
 * VICTIM says who is killed then: `self` the process that is counted, `command` the command, `both`.
 * Prints the number of the call it came to. Status: 0 killed, 3 the command ended before the N-th call, 1 something went wrong.
 * The command's standard streams are /dev/null. Processes of the command other than the counted one run untouched. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	KILLED = 0,
	FAILED = 1,
	FINISHED = 3,
	OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC,
	FORKS = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE
};

typedef struct Hunt {
	long depth, at, count;
	const char *victim;
	pid_t command, target;
	pid_t early; /* stopped, and its parent has not told of it yet */
	long now;    /* depth of the target */
} Hunt;

static int fail(const char *what)
{
	fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
	return FAILED;
}

static void become(char **argv)
{
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(127);
	if (null > 2) close(null);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) _exit(127);
	execv(argv[0], argv);
	_exit(127);
}

/* The number of the call at whose entry the target stands; -1 at an exit. */
static long entered(pid_t pid)
{
	struct __ptrace_syscall_info info; /* sys/ptrace.h and linux/ptrace.h exclude each other */
	memset(&info, 0, sizeof info);
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) < 0) return -1;
	return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

static int strike(const Hunt *h, long call)
{
	pid_t pid;
	bool self = strcmp(h->victim, "self") == 0, both = strcmp(h->victim, "both") == 0;
	printf("%ld\n", call);
	fflush(stdout);
	if (!self || both) kill(h->command, SIGKILL);
	if (self || both) kill(h->target, SIGKILL);
	/* a target that lives goes on when we end */
	if (!self && !both && h->target != h->command) ptrace(PTRACE_DETACH, h->target, NULL, NULL);
	/* who traces a process is told of its end first: without us its parent would wait for ever */
	for (int status; (pid = waitpid(-1, &status, __WALL)) > 0;)
		if (pid == h->command && (WIFEXITED(status) || WIFSIGNALED(status))) break;
	return KILLED;
}

static long options(const Hunt *h)
{
	return h->now < h->depth ? OPTIONS | FORKS : OPTIONS;
}

/* The target has forked: its child is the next one down. */
static int descend(Hunt *h)
{
	unsigned long child = 0;
	int status;
	if (ptrace(PTRACE_GETEVENTMSG, h->target, NULL, &child) < 0) return fail("fork");
	if (h->early != (pid_t)child && waitpid((pid_t)child, &status, __WALL) < 0) return fail("wait for the child");
	if (ptrace(PTRACE_DETACH, h->target, NULL, NULL) < 0) return fail("let the parent go");
	h->target = (pid_t)child;
	h->now++;
	h->count = 0;
	if (ptrace(PTRACE_SETOPTIONS, h->target, NULL, (void *)options(h)) < 0) return fail("follow the child");
	return ptrace(PTRACE_SYSCALL, h->target, NULL, NULL) < 0 ? fail("continue the child") : -1;
}

/* One stop of the target. -1 to go on, else the status to end with. */
static int step(Hunt *h, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	if (signal == (SIGTRAP | 0x80)) {
		long call = entered(h->target);
		if (h->now == h->depth && call >= 0 && ++h->count == h->at) return strike(h, call);
		signal = 0;
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
		return descend(h);
	} else if (event || signal == SIGSTOP) {
		signal = 0;
	}
	if (ptrace(PTRACE_SYSCALL, h->target, NULL, (void *)(long)signal) < 0 && errno != ESRCH) return fail("continue");
	return -1;
}

static int hunt(Hunt *h)
{
	int status, r;
	if (waitpid(h->command, &status, 0) < 0 || !WIFSTOPPED(status)) return fail("start");
	if (ptrace(PTRACE_SETOPTIONS, h->command, NULL, (void *)options(h)) < 0 || ptrace(PTRACE_SYSCALL, h->command, NULL, NULL) < 0)
		return fail("trace");
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0) return errno == ECHILD ? FINISHED : fail("wait");
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			/* an init that waits for its start outlives its command: what it does then is another command's */
			if (pid == h->command) return FINISHED;
			continue;
		}
		if (pid != h->target) {
			h->early = pid;
			continue;
		}
		if ((r = step(h, status)) >= 0) return r;
	}
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: killat DEPTH self|command|both N COMMAND [ARGUMENT…]\n");
		return FAILED;
	}
	Hunt h = { .depth = strtol(argv[1], NULL, 10), .victim = argv[2], .at = strtol(argv[3], NULL, 10) };
	h.command = h.target = fork();
	if (h.command < 0) return fail("fork");
	if (h.command == 0) become(argv + 4);
	return hunt(&h);
}
