/* fuzz_log.c: files of logs that somebody else has written: the first byte chooses the driver and how many lines are wanted; what follows is the file that
 * is written, and behind a line "---\n" the compressed one before it. Each line that is handed out is
 * within bounds, and of JSON there are not more than were asked for. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/log_reader.h"
#include "fuzz.h"

enum { LINES_MAX = 100000 };

static volatile uint64_t seen; /* so that everything is looked at */

static char path[] = "/tmp/fuzz_log.XXXXXX";

static void remove_place(void)
{
	(void)!rmdir(path);
}

static int place(void)
{
	static int dir = -1;
	if (dir >= 0) return dir;
	assert(mkdtemp(path) && atexit(remove_place) == 0);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(dir >= 0);
	return dir;
}

static void put_file(int dir, const char *name, const char *p, size_t n)
{
	AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0 && fd_write_all(fd, p, n) == 0);
}

/* How many lines there are; each byte of them is looked at. */
static int64_t read_all(int dir, const char *driver, int64_t tail)
{
	static const StrMap none = { 0 };
	AUTO_LOG_READER *r = NULL;
	const LogEntry *entry;
	Err e = ERR_INIT;
	int x;
	int64_t lines = 0;
	const LogReadOptions o = { .dir = dir, .id = "x", .driver = driver, .options = &none, .tail = tail };
	assert(log_reader_open(&o, &r, &e) >= 0);
	while ((x = log_reader_next(r, &entry, &e)) > 0 && lines < LINES_MAX) {
		uint64_t sum = (uint64_t)entry->line.time;
		assert(entry->line.stream == LOG_STDOUT || entry->line.stream == LOG_STDERR);
		for (size_t i = 0; i < entry->line.text.n; i++)
			sum = sum * 31 + (unsigned char)entry->line.text.p[i];
		for (size_t i = 0; i < entry->fields.n; i++)
			sum = sum * 31 + strlen(entry->fields.items[i].key) + strlen(entry->fields.items[i].value);
		seen += sum;
		lines++;
	}
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int dir = place();
	if (!n) return 0;
	const char *driver = data[0] & 1 ? "local" : "json-file", *name = data[0] & 1 ? LOG_LOCAL_NAME : "x-json.log";
	char older[LOG_FILE_PATH_MAX];
	const char *p = (const char *)data + 1, *cut = memmem(p, n - 1, "---\n", 4);
	size_t first = cut ? (size_t)(cut - p) : n - 1;
	log_file_name(name, 1, true, older);
	(void)!unlinkat(dir, "x-json.log", 0);
	(void)!unlinkat(dir, LOG_LOCAL_NAME, 0);
	(void)!unlinkat(dir, older, 0);
	put_file(dir, name, p, first);
	if (cut) put_file(dir, older, cut + 4, n - 1 - first - 4);
	int64_t lines = read_all(dir, driver, -1), tail = data[0] >> 1, got = read_all(dir, driver, tail);
	assert(data[0] & 1 || (got <= tail && got <= lines));
	(void)!unlinkat(dir, name, 0);
	(void)!unlinkat(dir, older, 0);
	return 0;
}
