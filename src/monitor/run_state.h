/* run_state.h: how a container is doing: state.json in its directory, written by whoever holds its lock, read by everybody.
 *
 *   lock        held (an open file description lock) by the container's monitor, and by the command that is about to start one
 *   state.json  replaced atomically; says what was true when the holder last wrote
 *
 * So "running" in the file with nobody holding the lock means that the monitor was killed, or the machine: run_state_load says so.
 */
#pragma once

#include "base/bind.h"
#include "sys/fd.h"

typedef enum { RUN_CREATED, RUN_RUNNING, RUN_RESTARTING, RUN_EXITED, RUN_DEAD } RunStatus;
extern const BindName run_status_names[]; /* "created", "running", … */

typedef struct HealthResult {
	int64_t start, end; /* ns since 1970 */
	int32_t exit_code;
	const char *output; /* at most HEALTH_OUTPUT_MAX bytes */
} HealthResult;
enum { HEALTH_OUTPUT_MAX = 4096, HEALTH_RESULTS = 5 };

typedef struct RunHealth {
	const char *status; /* "starting", "healthy", "unhealthy" */
	int32_t failing_streak;
	LIST_OF(HealthResult) log;
} RunHealth;

typedef struct RunState {
	int status; /* RunStatus */
	int64_t pid;
	uint64_t start_time;             /* of pid, see proc.h */
	int64_t started_at, finished_at; /* ns since 1970; 0: never */
	int32_t exit_code;
	const char *error; /* why it could not be started, or was lost */
	bool oom_killed;
	bool stopped_by_user; /* stop or kill: "unless-stopped" and the like leave it alone */
	int32_t restart_count;
	int64_t backoff;  /* ns: the next restart waits so long */
	const char *boot; /* the boot it was started in */
	const RunHealth *health;
	uint64_t dropped;     /* bytes that attached clients were too slow for */
	uint64_t log_dropped; /* bytes that the log could not take */
} RunState;

extern const BindTable run_state_table;

enum { RUN_STATE_MAX = 65536 };

/* run_state_read: as it was written; a file that is not there reads as "created". run_state_write: atomically; durable waits for the disk. */
int run_state_read(int dir, Arena *a, RunState *ret, Err *e) MUST_USE;
int run_state_write(int dir, const RunState *s, bool durable, Err *e) MUST_USE;

/* run_lock: takes the lock of the container whose directory dir is: its descriptor, which children inherit with the lock. -EBUSY when
 * somebody has it. run_lock_wait: the same, waiting up to timeout_ms. run_is_locked: whether somebody has it: 1, 0, -errno. */
int run_lock(int dir, Err *e) MUST_USE;
int run_lock_wait(int dir, int timeout_ms, Err *e) MUST_USE;
int run_is_locked(int dir) MUST_USE;

/* run_state_load: run_state_read, and whether a monitor attends it. A container that should run and is not attended has lost its monitor:
 * *ret_lost. (Who has its lock and ends what is left of it has written an error to the state before.) */
int run_state_load(int dir, Arena *a, RunState *ret, bool *ret_lost, Err *e) MUST_USE;

/* boot_id: the kernel's id of this boot. */
enum { BOOT_ID_SIZE = 40 };
int boot_id(char text[static BOOT_ID_SIZE]) MUST_USE;
