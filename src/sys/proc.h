/* proc.h: facts about processes, and pidfds.
 *
 * A pid alone names nobody: it is reused. Keep (pid, start time) in files, a pidfd in memory: open the pidfd first, then compare
 * the start time; from then on the pidfd is that process.
 */
#pragma once

#include "base/defs.h"

/* ProcStat: from one read of /proc/PID/stat. */
typedef struct ProcStat {
	char state; /* R S D T t Z X I */
	pid_t ppid, pgrp, session;
	uint64_t start_time; /* clock ticks after boot; with the pid it names a process */
	uint32_t ignored;    /* bit n - 1: signal n (1 to 31) is ignored */
} ProcStat;

/* proc_stat: -ESRCH when there is no such process. proc_stat_parse: from the text of the file. */
int proc_stat(pid_t pid, ProcStat *ret) MUST_USE;
int proc_stat_parse(const char *text, ProcStat *ret) MUST_USE;
int proc_start_time(pid_t pid, uint64_t *ret) MUST_USE;
/* proc_state: the letter, or -errno. */
int proc_state(pid_t pid) MUST_USE;

/* pid_open: a pidfd, close-on-exec. -ESRCH. pid_open_exact: only when the process started at start_time (else -ESRCH). */
int pid_open(pid_t pid) MUST_USE;
int pid_open_exact(pid_t pid, uint64_t start_time) MUST_USE;
int pid_send(int pidfd, int signal) MUST_USE;
/* pid_has_exited: 1 when the process has terminated (a zombie has), 0, or -errno. Works for processes that are not ours. */
int pid_has_exited(int pidfd) MUST_USE;
/* pid_wait_exit: waits for that up to timeout_ms (-1: for ever). 0, -ETIMEDOUT. */
int pid_wait_exit(int pidfd, int timeout_ms) MUST_USE;
/* pid_wait: reaps our child; *ret_status as from waitpid(2), for WIFEXITED and so on. -ECHILD when it is not ours. */
int pid_wait(int pidfd, int *ret_status) MUST_USE;

/* proc_spawn: fn(arg) in a child that shares our memory and keeps us waiting until it executes a program or ends, with fn's result as its
 * status: a fork without a copy of the address space, for single-threaded callers. Its pid, or -errno. */
pid_t proc_spawn(int (*fn)(void *), void *arg) MUST_USE;

/* signal_by_name: "TERM", "SIGTERM", "sigterm", "15", "RTMIN", "RTMIN+3", "SIGRTMAX-1"; 0 to 64 ("0" only asks whether the
 * process is there). RTMIN is 34, as the C library and docker count. -EINVAL otherwise. */
int signal_by_name(const char *name) MUST_USE;
/* signal_name: "SIGTERM", "SIGRTMIN+3"; NULL when out of range. */
const char *signal_name(int signal);
