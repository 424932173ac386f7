/* command_table.c: every command and option, once. */
#include "cli/command.h"

#define SWITCH(n, l, h) { .name = (n), .letter = (l), .kind = OPTION_SWITCH, .help = (h) }
#define VALUE(n, l, v, h) { .name = (n), .letter = (l), .kind = OPTION_VALUE, .value = (v), .help = (h) }
#define LIST(n, l, v, h) { .name = (n), .letter = (l), .kind = OPTION_LIST, .value = (v), .help = (h) }

const Option global_options[] = {
	SWITCH("debug", 0, "write debug messages"),
	VALUE("log", 0, "FILE", "append messages to FILE instead of writing them to standard error"),
	VALUE("log-format", 0, "FORMAT", "text (default) or json"),
	VALUE("root", 0, "DIR", "keep the containers' state below DIR"),
	SWITCH("systemd-cgroup", 0, "let systemd make the control groups (cgroupsPath is then slice:prefix:name)"),
	VALUE("cgroup-manager", 0, "NAME", "cgroupfs (default), systemd, or disabled for no control groups at all"),
	VALUE("rootless", 0, "MODE", "true, false or auto (default): whether to do without full privileges"),
	{ .name = "criu", .kind = OPTION_VALUE, .value = "PATH", .help = "accepted for old callers; has no effect", .hidden = true },
	SWITCH("help", 'h', "show this help"),
	SWITCH("version", 'v', "print the version"),
	{ 0 },
};

#define LAUNCH_OPTIONS \
	VALUE("bundle", 'b', "DIR", "directory with config.json and the root file system (default: the current one)"), \
		VALUE("console-socket", 0, "PATH", "socket that receives the master end of the container's terminal"), \
		VALUE("pidfd-socket", 0, "PATH", "socket that receives a pidfd of the container's init"), \
		VALUE("pid-file", 0, "FILE", "file to write the process id to"), \
		SWITCH("no-pivot", 0, "move the root instead of pivot_root (for an initial ramfs; weaker isolation)"), \
		SWITCH("no-new-keyring", 0, "keep the session keyring of the caller"), \
		VALUE("preserve-fds", 0, "N", "hand N more descriptors, from 3 on, to the container")

const Command command_table[] = {
	{ "create", "<container-id>", "create a container", "Makes the container of a bundle and leaves it waiting for start. The id is a name of yours, unique on this machine.",
	  1, 1, false, true, false, { LAUNCH_OPTIONS }, create_run },
	{ "delete", "<container-id>", "delete any resources held by the container often used with detached container",
	  "A container that runs is deleted with --force only: it is killed first. With --force a container that does not exist is no error.", 1, 1,
	  false, false, false, { SWITCH("force", 'f', "kill the container first if it runs") }, delete_run },
	{ "events", "<container-id>", "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
	  "One JSON document a line, until the container is gone.", 1, 1, false, false, false,
	  { VALUE("interval", 0, "DURATION", "time between statistics: 5s (default), 100ms, …"), SWITCH("stats", 0, "print the statistics once and end") },
	  events_run },
	{ "exec", "<container-id> <command> [argument...]", "execute new process inside the container",
	  "The process gets what config.json gives to the container's own, but for what the options or --process change. Exit status: that of the "
	  "process; 255 when it could not be started.",
	  1, -1, true, true, false,
	  { VALUE("console-socket", 0, "PATH", "socket that receives the master end of the terminal"),
	    VALUE("pidfd-socket", 0, "PATH", "socket that receives a pidfd of the process"),
	    VALUE("cwd", 0, "DIR", "working directory in the container"),
	    LIST("env", 'e', "NAME=VALUE", "set an environment variable"),
	    SWITCH("tty", 't', "allocate a terminal"),
	    VALUE("user", 'u', "UID[:GID]", "user and group, by number"),
	    LIST("additional-gids", 'g', "GID", "additional group"),
	    VALUE("process", 'p', "FILE", "process.json: the process as in config.json"),
	    SWITCH("detach", 'd', "do not wait for the process"),
	    VALUE("pid-file", 0, "FILE", "file to write the process id to"),
	    VALUE("process-label", 0, "LABEL", "SELinux label"),
	    VALUE("apparmor", 0, "PROFILE", "AppArmor profile"),
	    SWITCH("no-new-privs", 0, "set no_new_privs"),
	    LIST("cap", 'c', "CAP", "add a capability"),
	    VALUE("preserve-fds", 0, "N", "hand N more descriptors, from 3 on, to the process"),
	    LIST("cgroup", 0, "[CONTROLLERS:]PATH", "enter a cgroup below the container's"),
	    SWITCH("ignore-paused", 0, "start it in a paused container: it runs when that is resumed"),
	    { .name = "no-subreaper", .kind = OPTION_SWITCH, .help = "accepted for old callers; has no effect", .hidden = true } },
	  exec_run },
	{ "features", "", "show the enabled features", "Prints the features document of the OCI runtime specification (JSON).", 0, 0, false, false, false, { { 0 } }, features_run },
	{ "kill", "<container-id> [signal]", "kill sends the specified signal (default: SIGTERM) to the container's init process",
	  "The signal is a name with or without SIG, or a number.", 1, 2, false, false, false,
	  { SWITCH("all", 'a', "send it to every process of the container, also when its init is gone") }, kill_run },
	{ "list", "", "list containers started by this program with the given root", NULL, 0, 0, false, false, false,
	  { VALUE("format", 'f', "FORMAT", "table (default) or json"), SWITCH("quiet", 'q', "only the ids") }, list_run },
	{ "pause", "<container-id>", "pause suspends all processes inside the container", NULL, 1, 1, false, false, false, { { 0 } }, pause_run },
	{ "ps", "<container-id> [ps options]", "display the processes running inside a container", "Options after the id are those of ps(1), default -ef.", 1, -1, true, false,
	  false, { VALUE("format", 'f', "FORMAT", "table (default) or json: the process ids") }, ps_run },
	{ "resume", "<container-id>", "resume all processes that have been previously paused", NULL, 1, 1, false, false, false, { { 0 } }, resume_run },
	{ "run", "<container-id>", "create and run a container", "Stays until the container ends and deletes it; its exit status is the command's.", 1, 1, false, true, false,
	  { LAUNCH_OPTIONS, SWITCH("detach", 'd', "do not wait for the container to end"), SWITCH("keep", 0, "do not delete the container when it ends"),
	    SWITCH("no-subreaper", 0, "accepted for callers of runc; this program never is a subreaper") },
	  run_run },
	{ "spec", "", "create a new specification file", "Writes config.json with a shell on ./rootfs.", 0, 0, false, false, false,
	  { VALUE("bundle", 'b', "DIR", "directory to write it to (default: the current one)"), SWITCH("rootless", 0, "for a user without privileges") }, spec_run },
	{ "start", "<container-id>", "executes the user defined process in a created container", NULL, 1, 1, false, false, false, { { 0 } }, start_run },
	{ "state", "<container-id>", "output the state of a container", "As JSON.", 1, 1, false, false, false, { { 0 } }, state_run },
	{ "update", "<container-id>", "update container resource constraints", "Sizes take a suffix: k, m, g, t (1024-based); -1 is no limit.", 1, 1, false, false, false,
	  { VALUE("resources", 'r', "FILE", "linux.resources as JSON; - reads standard input"),
	    VALUE("blkio-weight", 0, "N", "relative weight of block I/O, 10 to 1000"),
	    VALUE("cpu-period", 0, "US", "CFS period in microseconds"),
	    VALUE("cpu-quota", 0, "US", "CFS quota in microseconds; -1: none"),
	    VALUE("cpu-burst", 0, "US", "CFS burst in microseconds"),
	    VALUE("cpu-share", 0, "N", "relative CPU weight"),
	    VALUE("cpu-rt-period", 0, "US", "realtime period in microseconds"),
	    VALUE("cpu-rt-runtime", 0, "US", "realtime runtime in microseconds"),
	    VALUE("cpuset-cpus", 0, "LIST", "CPUs to use: 0-3,7"),
	    VALUE("cpuset-mems", 0, "LIST", "memory nodes to use"),
	    VALUE("cpu-idle", 0, "0|1", "SCHED_IDLE for the whole group"),
	    VALUE("memory", 0, "SIZE", "memory limit"),
	    VALUE("memory-reservation", 0, "SIZE", "memory reservation (soft limit)"),
	    VALUE("memory-swap", 0, "SIZE", "memory and swap together"),
	    VALUE("kernel-memory", 0, "SIZE", "obsolete: ignored by kernels, with a warning here"),
	    VALUE("kernel-memory-tcp", 0, "SIZE", "obsolete: ignored by kernels, with a warning here"),
	    VALUE("pids-limit", 0, "N", "number of processes; -1: no limit"),
	    VALUE("l3-cache-schema", 0, "SCHEMA", "Intel RDT: L3 cache schema"),
	    VALUE("mem-bw-schema", 0, "SCHEMA", "Intel RDT: memory bandwidth schema") },
	  update_run },
	{ "generate", "man|bash|zsh|fish", "print the manual page or a shell's completion", NULL, 1, 1, false, false, true, { { 0 } }, generate_run },
};

const size_t command_count = ARRAY_LEN(command_table);
