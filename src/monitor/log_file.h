/* log_file.h: a log in files: NAME is written, NAME.1 was before it, NAME.2 before that; with compression those are NAME.1.gz, …
 *
 * What is compressed is named in the file's comment (log_file_comment), so that a reader who holds the plain one finds its place. The plain file goes
 * only after the compressed one has its name; a reader who finds both takes the plain one. Compressing is the work of a child, one file at a time: what it
 * has not done when it is killed is begun again at the next opening.
 */
#pragma once

#include "monitor/log_options.h"
#include "sys/fd.h"

enum { LOG_FILE_NAME_MAX = 160, LOG_FILE_PATH_MAX = LOG_FILE_NAME_MAX + 40 };
#define LOG_LOCAL_NAME "container.log" /* of the driver local */
#define LOG_FILE_DEFAULT_SIZE (INT64_C(10) << 20)
#define LOG_FILE_DEFAULT_COUNT 5

typedef struct LogFile {
	int dir, fd;
	char name[LOG_FILE_NAME_MAX];
	int64_t size, max_size, max_file; /* bytes; files in all */
	bool compress;
	const StrList *packer;
	/* whole: where the whole records of a file of that size end: what a crash has left behind that is cut off */
	int (*whole)(int fd, int64_t size, int64_t *ret);
	pid_t packing;     /* the child; 0: none */
	int64_t packing_i; /* which file it compresses */
} LogFile;

/* log_file_init: the defaults of json-file or local. */
void log_file_init(LogFile *f, const LogKind *kind);
/* log_file_options: max-size, max-file and compress, of which f holds the defaults. Docker's words. */
int log_file_options(LogFile *f, const StrMap *options, Err *e) MUST_USE;
int log_file_open(LogFile *f) MUST_USE;
/* log_file_append: whole records, in one write; to a new file when this one is full. A failed one leaves nothing of them. */
int log_file_append(LogFile *f, const void *p, size_t n) MUST_USE;
/* log_file_is_full: with n more bytes. */
static inline bool log_file_is_full(const LogFile *f, size_t n)
{
	return f->size + (int64_t)n >= f->max_size;
}
void log_file_exited(LogFile *f, pid_t pid, int status);
void log_file_close(LogFile *f);

/* log_file_name: of the i-th file, 0 being the one that is written. */
void log_file_name(const char *name, int64_t i, bool packed, char ret[static LOG_FILE_PATH_MAX]);
/* log_file_comment: what the compressed form of the file says of it. */
enum { LOG_FILE_COMMENT_MAX = 64 };
struct stat;
void log_file_comment(const struct stat *st, char ret[static LOG_FILE_COMMENT_MAX]);
