/* measure.c: `measure FILE COMMAND…`: runs the command, and writes into FILE how many KiB of memory it or a process that it waited for had at
 * most. A process counts what it was before it became the command, too: so it is not for large ones, as tests are, to start what they measure. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status;
	struct rusage usage;
	FILE *to = argc > 2 ? fopen(argv[1], "we") : NULL;
	if (!to) return 125;
	pid_t pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) return 125;
	fprintf(to, "%ld\n", usage.ru_maxrss);
	if (fclose(to)) return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
