/* attendant_impl.h: the parts of an attendant, between its files. */
#pragma once

#include "attendant/answerer.h"
#include "attendant/attendant.h"
#include "engine/engine.h"
#include "monitor/attendance.h"

typedef struct Attendant Attendant;
typedef struct Connection Connection;
typedef struct Registration Registration;

enum { BUCKETS = 256 };

/* Registration: a container that runs. */
struct Registration {
	Attendant *t;
	Connection *owner; /* NULL: it has ended; stays until the child knows */
	char id[ATTENDANCE_ID + 1];
	int sockets[ATTENDANCE_SOCKETS]; /* -1: none, so the child need not know of it */
	uint32_t slot;
	bool told;      /* the child has it, as far as we know */
	bool has_links; /* its names are those of others, too */
	bool queued;
	uint64_t job;     /* of its place in the queue */
	uint64_t add_job; /* by which the child was told of it first */
	Registration *prev, *next;
	Registration *queue_next;
};

/* Connection: a monitor or a command. */
struct Connection {
	Attendant *t;
	int fd;
	LoopFd watch;
	Registration *registration;
	bool waits;               /* for the jobs up to until */
	uint64_t from, to, until; /* what fails from `from` to `to` is its failure */
	Err *failure;
	Connection *prev, *next;
	Connection *wait_prev, *wait_next;
};

/* Helper: the child, and what it is to be told: jobs, numbered in their order. */
typedef struct Helper {
	int sock; /* -1: there is none */
	LoopFd watch;
	LoopExit exit;
	int pidfd; /* -1: there is none, or nobody can wait for it */
	LoopTimer again, patience;
	bool rests;    /* until again: they die young */
	bool serves;   /* it has been told that it knows all */
	bool waits;    /* with that: those who lost the last attendant are still coming */
	LoopTimer all; /* until then, and since then */
	int64_t since;
	int64_t backoff, begun;
	uint64_t last, sent, confirmed; /* jobs: given out; told the child; confirmed */
	Registration *first, **end;     /* the queue */
	LoopDefer work;
	Buf document;
} Helper;

/* Healer: who has changed our rules, and what is done about it. */
typedef enum { HEALER_NOTHING, HEALER_HOSTS /* our rule among the host's */, HEALER_ALL, HEALER_ANEW /* also what is there */ } HealerNeed;
typedef struct Healer {
	int watch;    /* -1: nf_tables cannot be watched */
	uint32_t own; /* the generation that our last healing made */
	LoopFd readable;
	LoopTimer timer;
	bool table_gone, part_gone, hosts_changed; /* in this transaction: of ours; of others */
	HealerNeed need;
	int64_t since, last, wait; /* CLOCK_MONOTONIC: of the need; of the last healing; how long to wait for quiet */
} Healer;

struct Attendant {
	const AttendantOptions *o;
	Loop loop;
	int dir, lock, listen;
	LoopFd listening;
	LoopTimer idle, close_engine, files;
	LoopSignals signals;
	Engine engine;
	bool engine_open;
	Connection *connections, *waiting, *waiting_last;
	Registration *buckets[BUCKETS];
	Registration **slots; /* by number */
	size_t slots_n, registrations_n;
	Helper helper;
	Healer healer;
	int notify; /* of the host's resolv.conf; -1 */
	LoopFd notified;
};

/* attendant.c: the database, opened when it is needed; it is closed when it was not for a second. attendant_idle: a connection has come or gone. */
int attendant_engine(Attendant *t, Engine **ret, Err *e) MUST_USE;
void attendant_engine_close(Attendant *t);
void attendant_idle(Attendant *t);

/* connections.c */
void connection_accept_all(Attendant *t);
/* connections_settle: answers those who wait for what is confirmed by now. connections_fail: a job has failed. connections_restart: all jobs have others' numbers. */
void connections_settle(Attendant *t);
void connections_fail(Attendant *t, uint64_t job, const Err *why);
void connections_restart(Attendant *t);
void connections_close(Attendant *t);

/* registrations.c */
int registration_add(Attendant *t, Connection *c, const char *id, int *sockets, Err *e) MUST_USE; /* takes the sockets */
void registration_end(Registration *r);                                                           /* its owner has */
Registration *registration_find(const Attendant *t, const char *id);
void registration_free(Registration *r);
/* registrations_tell: that one (its id may be of none), or all: NULL. */
void registrations_tell(Attendant *t, const char *id);

/* helper.c */
void helper_init(Attendant *t);
void helper_tell(Registration *r); /* puts it in the queue, at its end, unless it stands there */
/* helper_wait: the last attendant was killed: its monitors are to come before somebody is answered; again: one has. */
void helper_wait(Attendant *t);
void helper_done(Attendant *t);

/* healer.c */
void healer_init(Attendant *t);
void healer_now(Attendant *t); /* the rules may be wrong */
void healer_done(Attendant *t);

/* host_files.c: the host's name servers */
void host_files_init(Attendant *t);
void host_files_done(Attendant *t);
