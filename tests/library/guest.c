/* guest.c: the program in the containers of test_library.c: says by its exit status what it found. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int wait_for_term(void)
{
	sigset_t set;
	int signal = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (write(1, "ready\n", 6) != 6) return 9;
	return sigwait(&set, &signal) ? 9 : 0;
}

static int has_env(const char *name, const char *value)
{
	const char *have = getenv(name);
	return !have || strcmp(have, value) != 0;
}

static int has_cwd(const char *path)
{
	char have[4096];
	return !getcwd(have, sizeof have) || strcmp(have, path) != 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "wait") == 0) return wait_for_term();
	if (argc == 3 && strcmp(argv[1], "exit") == 0) return (int)strtol(argv[2], NULL, 10);
	if (argc == 4 && strcmp(argv[1], "env") == 0) return has_env(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "cwd") == 0) return has_cwd(argv[2]);
	if (argc == 4 && strcmp(argv[1], "ids") == 0)
		return getuid() != (uid_t)strtol(argv[2], NULL, 10) || getgid() != (gid_t)strtol(argv[3], NULL, 10);
	return 99;
}
