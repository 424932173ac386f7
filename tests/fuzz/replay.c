/* replay.c: runs a fuzz target on each file of the folders given, without libFuzzer: the corpora as tests. Prints the
 * file before it runs it, so that the last line names the culprit. */
#include "fuzz.h"
#include "sys/fd.h"

#include <dirent.h>
#include <fcntl.h>

static int replay_file(int dir, const char *name)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	int r = fd_read_file(dir, name, FUZZ_ARENA_MAX / 2, &a, &text, &n, &e);
	if (r < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return r;
	}
	printf("%s\n", name);
	fflush(stdout);
	AUTO_FREE char *exact = malloc(n ? n : 1);
	if (!exact) return -ENOMEM;
	memcpy(exact, text, n);
	return LLVMFuzzerTestOneInput((const uint8_t *)exact, n);
}

/* The number of files, or a negative errno. */
static int replay_folder(const char *path)
{
	int n = 0, r = 0;
	DIR *d = opendir(path);
	if (!d) return -errno;
	for (struct dirent *ent; r >= 0 && (ent = readdir(d));) {
		if (ent->d_name[0] == '.') continue;
		r = replay_file(dirfd(d), ent->d_name);
		n++;
	}
	closedir(d);
	return r < 0 ? r : n;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int n = replay_folder(argv[i]);
		if (n <= 0) {
			fprintf(stderr, "%s: %s\n", argv[i], n ? err_text(-n) : "no files");
			return 1;
		}
		printf("%s: %d files\n", argv[i], n);
	}
	return argc > 1 ? 0 : 2;
}
