/* config.h: what a monitor is told about its container: a JSON document in a file without a name, handed over by the engine at each
 * start, as is config.json (the OCI configuration). The container's directory holds rootfs/ (an empty directory on which the root
 * is mounted), lock, state.json and the log.
 */
#pragma once

#include "oci/healthcheck.h"
#include "sys/fd.h"

typedef struct MonitorLog {
	const char *driver; /* "json-file", "local", "journald", "syslog", "none" */
	StrMap options;
	StrMap fields;   /* that go with each line: what "labels" and "env" choose */
	const char *tag; /* as the option makes it of this container; NULL: none */
	StrList packer;  /* the command that compresses a file */
} MonitorLog;

/* MonitorPort: an element of the rules that goes when the container ends (link/rules.h). */
typedef struct MonitorPort {
	const char *host, *to; /* addresses */
	uint32_t host_port, port, protocol;
	bool direct;
} MonitorPort;

typedef struct MonitorConfig {
	const char *id, *name;
	const char *runtime_root; /* of skep-runtime's state */
	const char *sockets;      /* directory of the monitors' sockets: <id> in it is this one's */
	const char *state_root;   /* the directory that holds events/ */
	int32_t cgroup_driver;    /* CgroupDriver */
	bool tty, open_stdin, stdin_once;
	uint32_t uid, gid; /* of the container's root on the host: its pipes are its */
	MonitorLog log;
	const char *restart; /* "no", "always", "unless-stopped", "on-failure" */
	int32_t restart_max; /* 0: any number */
	const char *stop_signal;
	int32_t stop_timeout; /* s; below 0: for ever */
	const Healthcheck *health;
	const char *health_on_failure;
	const char *layers; /* the directory where others look for its layers (shared_layers.h); NULL: nowhere */
	const char *
		ended; /* the directory where it leaves a file with its id when it has ended: what it has in the database is free; NULL: nothing */
	LIST_OF(MonitorPort) ports;
	U32List devices;   /* indexes of the host's ends of its devices: they leave their bridges when it has ended */
	StrList attendant; /* the command that starts the attendant of its networks; empty: it needs none */
	StrList sources;   /* destinations of mounts whose sources are descriptors (begin.h), in their order */
	StrList volumes;   /* that are mounted while it runs (volume_hold.h) */
	StrMap attributes; /* of the container's events */
	StrList unmounts;  /* volumes of any kind, whose unmounting is told */
	StrList again;     /* the command that starts the container again; executed in place of the monitor */
	StrList remove;    /* the command that removes it (--rm), when no client has promised to; empty: it stays */
} MonitorConfig;

extern const BindTable monitor_config_table;

enum { MONITOR_CONFIG_MAX = 1 << 20 };

/* monitor_config_file: a file without a name that holds it, to be handed to the monitor; its descriptor. monitor_config_read: from such a one. */
int monitor_config_file(const MonitorConfig *c, Err *e) MUST_USE;
int monitor_config_read(int fd, Arena *a, MonitorConfig *ret, Err *e) MUST_USE;
