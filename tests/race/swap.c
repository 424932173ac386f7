/* swap: keeps exchanging files, links and directories while somebody else walks over them.
 *
 *   swap THREADS {x:A:B | r:PATH}…
 *
 * x:A:B   exchanges A and B (renameat2, RENAME_EXCHANGE): the usual attack, a directory that is a link at the next look
 * r:PATH  removes what is at PATH, so that it must be made again
 *
 * Each thread takes one of them at random, then lets a random moment pass, from none to some hundred microseconds. Says "ready" when all
 * threads run; at the end of stdin it ends, with "N swaps" on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WORK_MAX = 64, THREADS_MAX = 16, PAUSE_MAX = 300000 /* ns */ };

/* Names in directories that are held open: with paths we would walk into our own links. */
typedef struct Work {
	int dir_a, dir_b;
	const char *a, *b; /* b NULL: remove a */
} Work;

static Work work[WORK_MAX];
static size_t n_work;
static atomic_bool over;
static atomic_ulong swaps;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void do_one(const Work *w)
{
	if (w->b) {
		if (renameat2(w->dir_a, w->a, w->dir_b, w->b, RENAME_EXCHANGE) == 0) atomic_fetch_add(&swaps, 1);
		return;
	}
	if (unlinkat(w->dir_a, w->a, 0) == 0 || unlinkat(w->dir_a, w->a, AT_REMOVEDIR) == 0) atomic_fetch_add(&swaps, 1);
}

static void *swap_thread(void *p)
{
	uint64_t state = (uint64_t)(uintptr_t)p * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	if (!state) state = 1;
	while (!atomic_load(&over)) {
		do_one(&work[next(&state) % n_work]);
		uint64_t pause = next(&state) % PAUSE_MAX;
		/* half of the time at once: two exchanges between two steps of the walker are what hits */
		if (pause & 1) continue;
		struct timespec t = { .tv_nsec = (long)pause };
		nanosleep(&t, NULL);
	}
	return NULL;
}

static int open_parent(char *path, const char **ret_name)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	char *slash = strrchr(path, '/');
	if (!slash || slash == path) return -1;
	*slash = 0;
	*ret_name = slash + 1;
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	if (fd < 0) fprintf(stderr, "swap: %s: %s\n", path, strerror(errno));
	return fd;
}

static int parse(char *text)
{
	Work *w = &work[n_work];
	bool exchange = strncmp(text, "x:", 2) == 0;
	if (n_work == WORK_MAX || (!exchange && strncmp(text, "r:", 2) != 0)) return -1;
	if (exchange) {
		char *colon = strchr(text + 2, ':');
		if (!colon) return -1;
		*colon = 0;
		if ((w->dir_b = open_parent(colon + 1, &w->b)) < 0) return -1;
	}
	if ((w->dir_a = open_parent(text + 2, &w->a)) < 0) return -1;
	n_work++;
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	char c;
	int n = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;
	for (int i = 2; i < argc; i++)
		if (parse(argv[i]) < 0) n = 0;
	if (n < 1 || n > THREADS_MAX) {
		fprintf(stderr, "usage: swap THREADS {x:A:B | r:PATH}…\n");
		return 2;
	}
	for (int i = 0; i < n; i++) {
		int r = pthread_create(&threads[i], NULL, swap_thread, (void *)(uintptr_t)(i + 1));
		if (r) {
			fprintf(stderr, "swap: thread: %s\n", strerror(r));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	atomic_store(&over, true);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%lu swaps\n", atomic_load(&swaps));
	return 0;
}
