/* progress.h: how far a transfer is: one line for each layer, as docker shows it.
 *
 * The module is fed with events and the time; it owns no timer, no signal and no descriptor.
 *   PROGRESS_TTY    lines that are redrawn in place, and a last one with the speed and the time left
 *   PROGRESS_PLAIN  a line for each change of a status
 *   PROGRESS_JSON   a document a line: {"status":…,"progressDetail":{"current":…,"total":…},"progress":…,"id":…}
 *   PROGRESS_QUIET  nothing
 * Control characters in what comes from a registry are replaced. Beyond PROGRESS_LINES_MAX layers, those that come later are not shown.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

typedef enum { PROGRESS_TTY, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_QUIET } ProgressMode;

typedef enum {
	PROGRESS_PULLING, /* "Pulling fs layer" */
	PROGRESS_WAITING,
	PROGRESS_DOWNLOADING, /* with numbers */
	PROGRESS_VERIFYING,   /* "Verifying Checksum" */
	PROGRESS_DOWNLOADED,  /* "Download complete" */
	PROGRESS_EXTRACTING,  /* with numbers */
	PROGRESS_PULLED,      /* "Pull complete" */
	PROGRESS_EXISTS,      /* "Already exists" */
	PROGRESS_PREPARING,
	PROGRESS_PUSHING, /* with numbers */
	PROGRESS_PUSHED,
	PROGRESS_LAYER_EXISTS, /* "Layer already exists" */
	PROGRESS_MOUNTED,      /* "Mounted from <detail>" */
	PROGRESS_RETRYING,     /* "Retrying in <detail>" */
	PROGRESS_STATUSES,
} ProgressStatus;

enum { PROGRESS_LINES_MAX = 4096, PROGRESS_ID_MAX = 64, PROGRESS_DETAIL_MAX = 128, PROGRESS_SAMPLES = 16 };

typedef struct ProgressLine {
	char id[PROGRESS_ID_MAX], detail[PROGRESS_DETAIL_MAX];
	ProgressStatus status;
	int64_t current, total; /* total 0: not known */
	int64_t start;          /* current when it was first told: what was there before is not this transfer's */
	int64_t written;        /* when its last document went out */
} ProgressLine;

typedef struct Progress {
	ProgressMode mode;
	int fd; /* not owned */
	bool color;
	unsigned rows, columns;
	ProgressLine *lines;
	size_t n, capacity;
	Buf frame;    /* what stands on the terminal */
	size_t drawn; /* its lines */
	int64_t next; /* not redrawn before */
	struct {
		int64_t time, bytes;
	} samples[PROGRESS_SAMPLES]; /* of all bytes moved; a ring */
	size_t n_samples;
} Progress;

/* progress_mode: what the value of --progress ("auto", "tty", "plain", "json", "quiet") means on fd: auto is TTY on a terminal that can move its
 * cursor, else PLAIN. -EINVAL for another value. */
int progress_mode(const char *value, int fd) MUST_USE;

/* progress_init: output goes to fd. The size is the terminal's; colours are left out when NO_COLOR is set. */
void progress_init(Progress *p, int fd, ProgressMode mode);
/* progress_done: frees; what is drawn stays as it is. */
void progress_done(Progress *p);
#define AUTO_PROGRESS AUTO(progress_done) Progress

/* All of these write at most once, and return 0 or what the write failed with. now: CLOCK_MONOTONIC in ns. */

/* progress_message: a line of its own, above the layers: id (may be NULL) and text, "latest: Pulling from library/debian". */
int progress_message(Progress *p, const char *id, const char *text, int64_t now) MUST_USE;
/* progress_update: a layer's state. detail may be NULL; current and total in bytes count for the states with numbers. Redraws are at
 * least 100 ms apart, and so are documents that tell of no new status. */
int progress_update(Progress *p, const char *id, ProgressStatus status, int64_t current, int64_t total, const char *detail,
		    int64_t now) MUST_USE;
/* progress_tick: redraws when something changed since; to be called every 100 ms or so. */
int progress_tick(Progress *p, int64_t now) MUST_USE;
/* progress_resize: the terminal has another size (SIGWINCH). */
int progress_resize(Progress *p, int64_t now) MUST_USE;
/* progress_finish: the last state of every layer, without the line of totals. */
int progress_finish(Progress *p, int64_t now) MUST_USE;

const char *progress_status_name(ProgressStatus s);
