/* monitor_impl.h: the parts of a monitor, between its files. */
#pragma once

#include <signal.h>

#include "monitor/attendance.h"
#include "monitor/config.h"
#include "monitor/log_sink.h"
#include "monitor/run_state.h"
#include "monitor/shared_layers.h"
#include "monitor/wire.h"
#include "runtime/container.h"
#include "sys/cgroup.h"
#include "sys/loop.h"

typedef struct Monitor Monitor;
typedef struct Health Health;

/* Client: a connection. */
typedef struct Client Client;
struct Client {
	Monitor *m;
	int fd;
	LoopFd watch;
	unsigned streams;    /* WIRE_OUT, WIRE_ERR: what it gets */
	bool waits;          /* to be told of the end */
	bool waits_for_good; /* but not of one after which it is started again */
	bool stops;          /* an answer to WIRE_STOP is owed */
	bool gone;           /* closed; to be freed when nothing walks the list */
	Buf out;             /* messages that the socket has no room for, each behind its length */
	uint64_t dropped;    /* bytes of output, not told yet */
	int64_t stalled;     /* since when out has been full; 0: it is not */
	Client *next;
};

/* Output: one of the container's streams. */
typedef struct Output {
	Monitor *m;
	int fd; /* the read end, or the terminal's master; -1 */
	LogStream stream;
	LoopFd watch;
	bool paused;
} Output;

typedef struct Input {
	Monitor *m;
	int fd; /* the write end, or the terminal's master (not owned then); -1 */
	LoopFd watch;
	Buf pending;
	bool ending; /* close when all is written */
} Input;

/* Stop: a stop under way. */
typedef struct Stop {
	bool running;
	LoopTimer timer;
} Stop;

struct Monitor {
	Arena arena; /* of the configuration and the state */
	MonitorConfig config;
	int dir, lock, root, spec, root_dir; /* of the container; of the engine's state */
	int layers;                          /* of its image; -1: none that are offered */
	int netns, userns; /* its network namespace and the owner of that, until the container has them; -1: made with the container */
	int names[2];      /* sockets that are asked for names; -1: none */
	int *ports;        /* sockets of its published ports */
	size_t n_ports;
	int rules;                        /* network_hold_release */
	char offered[SHARED_LAYERS_NAME]; /* as this */
	const int *sources;               /* of its mounts, until it has them */
	size_t n_sources;
	Log log;
	Runtime rt;
	Loop loop;
	RunState state;
	ContainerProcess process;
	LoopExit exit;
	LoopSignals signals;
	Output output[2];
	Input input;
	LogSink *sink;          /* NULL: closed */
	int64_t log_loss_saved; /* CLOCK_MONOTONIC: when the state said last how much the log has lost */
	int listen;
	LoopFd listening;
	Client *clients;
	LoopTimer resume; /* of outputs that wait for a slow client */
	Stop stop;
	LoopTimer again;
	Attendance attendance; /* of its networks */
	OomWatch oom;
	LoopFd oom_watch;
	Container container; /* its Cgroup is what oom watches */
	Arena container_arena;
	bool ended, killed_by_user;
	const Client *keeper;   /* who starts the container again after its end; NULL: nobody */
	bool kept;              /* so it is not removed then */
	const Client *promiser; /* who removes the container after its end; NULL: nobody, or it is done */
	const char *set_aside;  /* below ingest/: our directory, after that */
	bool awaits_promise;
	int status; /* exit status */
	Health *health;
	bool restart_once; /* the health check wants it, whatever the policy is */
};

/* stdio.c: pipes or a terminal, the log, the way of the output to the clients. */
int stdio_open(Monitor *m, int ret_child[static 3],
	       Err *e) MUST_USE;                       /* ret_child: for the program, owned by the caller; -1 with a terminal */
int stdio_attend(Monitor *m, Err *e) MUST_USE;         /* after the start */
void stdio_drain(Monitor *m);                          /* what is left when the program has ended; closes */
void stdio_input(Monitor *m, const char *p, size_t n); /* n = 0: the end */
void stdio_resize(Monitor *m, unsigned rows, unsigned columns);
void stdio_resume(Monitor *m); /* some client has room again */

/* clients.c */
int clients_listen(Monitor *m, Err *e) MUST_USE;
void clients_unlisten(Monitor *m);                         /* no further ones */
int client_add(Monitor *m, int fd, Client **ret) MUST_USE; /* takes fd */
void client_receive(Client *c);                            /* what it has said so far */
void client_tell(Client *c, WireKind kind, int value, int more, const void *data, size_t n);
void client_tell_error(Client *c, const Err *e);
void clients_output(Monitor *m, LogStream stream, const char *p, size_t n);
bool clients_are_full(const Monitor *m);                                              /* some client that still counts has no room */
void clients_tell_all(Monitor *m, WireKind kind, int value, int more, bool for_good); /* those who wait */
void client_forget(Client *c);                                                        /* somebody else has its connection now */
void clients_close(Monitor *m);                                                       /* delivers what it can within a second */

/* exec.c: runs the process in the container, in a helper that answers the client itself; takes the descriptors. */
void exec_start(Monitor *m, Client *c, const WireHead *h, const char *data, size_t n, int *fds, size_t n_fds);
/* exec_probe: runs args in the container, its output into out; the helper's pid, which ends with the program's status, or by SIGALRM when that took longer
 * than timeout ns. */
pid_t exec_probe(Monitor *m, const StrList *args, int out, int64_t timeout) MUST_USE;

/* monitor.c: requests */
int monitor_signal(Monitor *m, int signal, Err *e) MUST_USE;
int monitor_stop(Monitor *m, int timeout, int signal, Err *e) MUST_USE;
void monitor_event(Monitor *m, const char *action, const char *key, const char *value);
int monitor_save(Monitor *m);
/* monitor_device: one more that leaves its bridge at the end. */
int monitor_device(Monitor *m, int index, Err *e) MUST_USE;
/* monitor_names: takes both descriptors and registers the container anew. */
int monitor_names(Monitor *m, int *fds, size_t n_fds, Err *e) MUST_USE;
/* monitor_promise: who removes the container: somebody; NULL: nobody any more, as it is done when set_aside says where the directory is. */
void monitor_promise(Monitor *m, const Client *promiser, const char *set_aside);

/* health.c */
int health_open(Monitor *m, Err *e) MUST_USE; /* "starting", before anybody is told that the container runs */
void health_start(Monitor *m);
void health_stop(Monitor *m);
pid_t health_helper(const Monitor *m); /* the child that health.c waits for itself; 0: none */
