/* log_files.h: the files of one log in their order, while they are rotated and compressed by whoever writes it (monitor/log_file.h).
 *
 * A file is known by its inode and the time of its last change, which the compressed form of it names in its comment; names only say where it is at the
 * moment. Files are renamed from the highest number down, and a file once opened stays readable, so that without any lock
 *  - the file before ours is the first one found above our place, looking upwards, when we are still below it afterwards;
 *  - the file after ours is the first one below our place, when afterwards the gap between, if any, is still one, and then we are still there.
 */
#pragma once

#include "base/gzip.h"
#include "monitor/log_file.h"

/* LogPart: one file. */
typedef struct LogPart {
	int fd;
	bool packed;
	char comment[LOG_FILE_COMMENT_MAX]; /* of a compressed one */
	GzipReader *gzip;                   /* NULL: plain, or not begun */
	int64_t at;                         /* plain: how far it has been read */
} LogPart;

typedef struct LogFiles {
	int dir; /* borrowed */
	char name[LOG_FILE_NAME_MAX];
	int64_t max_file;
	LogPart *parts; /* those that are open, the oldest first */
	size_t n, room;
} LogFiles;

/* log_files_open: all that there are. -ENOENT is no error: there may be none yet. */
int log_files_open(LogFiles *f, int dir, const char *name, int64_t max_file) MUST_USE;
void log_files_done(LogFiles *f);
/* log_files_grow: opens the file behind the last one, when there is one: 1, and 0 when the last one is the one that is written. */
int log_files_grow(LogFiles *f) MUST_USE;
/* log_files_drop: closes the first. */
void log_files_drop(LogFiles *f);

/* log_part_read: what follows, 0 at its end for now. log_part_back: reads the last n bytes of a plain one once more. log_part_rewind: from its
 * beginning. log_part_changed: when it was written last, ns since 1970. */
ssize_t log_part_read(LogPart *p, void *to, size_t n) MUST_USE;
void log_part_back(LogPart *p, size_t n);
int log_part_rewind(LogPart *p) MUST_USE;
int64_t log_part_changed(const LogPart *p);
