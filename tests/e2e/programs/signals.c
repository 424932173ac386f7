/* signals: prints the name of each signal it gets, one per line; "ready" first. Ends on SIGUSR2. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(&set, &info);
		if (sig < 0) continue;
		printf("%s\n", sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");
		if (sig == SIGUSR2) return 7;
	}
}
