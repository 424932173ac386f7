/* attendance.h: what monitors and commands say to the attendant, the one process of an engine that answers names on its networks and puts their rules right
 * (attendant/), over a SOCK_SEQPACKET socket in the run root.
 *
 *   REGISTER  data: a container's id (64 digits); descriptors: none, or two sockets bound in its network namespace, UDP and TCP, that are asked for names (link/redirect.h).
 *             Lasts as long as the connection. What the container is called and which addresses it has the attendant reads from the database. Once more on the same
 *             connection: in place of what was said before.
 *   CHANGED   data: a container's id, or nothing: all. The database says something else now.
 *   OK        the answer: names are up to date.
 *   ERROR     code and errnum of an Err, data: its message.
 *
 * Invariants
 *  - An attendant holds the lock beside its socket, exclusively, from before it listens until it ends: there is one. Who starts it takes the lock and hands it on
 *    as descriptor ATTENDANCE_LOCK_FD; who does not get the lock starts none. One that is started without it takes it, or ends if it cannot.
 *  - It ends when nobody has been connected for some seconds. Who finds no socket, is refused, or reads the end before an answer, starts another and tries again: monitors
 *    do, so commands need not: nobody to be told is no error.
 */
#pragma once

#include "base/bind.h"
#include "base/err.h"
#include "sys/loop.h"

#define ATTENDANCE_SOCKET "attendant"
#define ATTENDANCE_LOCK "attendant.lock"

enum { ATTENDANCE_LOCK_FD = 3, ATTENDANCE_ID = 64, ATTENDANCE_SOCKETS = 2 };
typedef enum { ATTENDANCE_REGISTER = 1, ATTENDANCE_CHANGED, ATTENDANCE_OK = 64, ATTENDANCE_ERROR } AttendanceKind;

typedef struct AttendanceHead {
	uint32_t kind;
	int32_t code, errnum; /* of an error */
} AttendanceHead;

typedef struct AttendanceMessage {
	AttendanceHead head;
	size_t n;
	char data[ERR_MESSAGE_MAX];
	int fds[ATTENDANCE_SOCKETS];
	size_t n_fds;
} AttendanceMessage;

/* attendance_send: e: for ATTENDANCE_ERROR, NULL. -EAGAIN when there is no room and the socket does not block. attendance_receive: 1, 0 at the end; descriptors are the
 * caller's. -EPROTO. */
int attendance_send(int sock, AttendanceKind kind, Str data, const int *fds, size_t n_fds, const Err *e) MUST_USE;
int attendance_receive(int sock, AttendanceMessage *ret) MUST_USE;

/* attendance_changed: what a command that has changed rows of running containers does; id NULL: all. Waits for the answer. 0 also when nobody is there who is
 * interested; what the attendant says; -ETIMEDOUT. */
int attendance_changed(const char *run_root, const char *id, int timeout_ms, Err *e) MUST_USE;

/* ---- the monitor's side ----
 * Registers a container for as long as it runs, whatever happens to the attendant. Nothing of it waits, allocates or fails: what does not work is tried again. */

typedef struct AttendanceOptions {
	const char *run_root;
	const StrList *command; /* starts an attendant; the first word is a path */
	const char *id;
	int sockets[ATTENDANCE_SOCKETS]; /* UDP, TCP; -1: none */
} AttendanceOptions;

/* Attendance: what options point to is borrowed until attendance_stop. Zeroed before. */
typedef struct Attendance {
	AttendanceOptions o;
	Loop *loop;
	int fd;          /* the connection; -1 */
	bool registered; /* the attendant has said so */
	unsigned tries;  /* since it was registered last */
	LoopFd watch;
	LoopTimer again;
	int starting; /* pidfd of an attendant that we have started, until it has let go of us; -1 */
	LoopExit started;
} Attendance;

void attendance_start(Attendance *a, Loop *l, const AttendanceOptions *o);
/* attendance_stop: the registration ends. What was zeroed and never started is left alone. */
void attendance_stop(Attendance *a);
