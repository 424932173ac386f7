/* options_table.c: the options of create, run, update and exec, once, in the order of their names as --help shows them. */
#include "cli/skep/container/options_impl.h"

#define NUMBER(n, l, h, ...) OPTION(INT, n, l, NULL, h, __VA_ARGS__)
#define INT32(n, h, ...) OPTION(INT, n, 0, NULL, h, .min = INT32_MIN, .max = INT32_MAX, __VA_ARGS__)
#define BYTES(n, l, h, ...) OPTION(BYTES, n, l, NULL, h, __VA_ARGS__)
#define DURATION(n, h) OPTION(DURATION, n, 0, NULL, h)

/* What runs and stands in for its neighbours' places in the tables below. */
#define DETACH_KEYS VALUE("detach-keys", 0, NULL, "Override the key sequence for detaching a container")
#define ENV LIST("env", 'e', NULL, "Set environment variables", .check = check_env)
#define ENV_FILE LIST("env-file", 0, NULL, "Read in a file of environment variables")
#define INTERACTIVE SWITCH("interactive", 'i', "Keep STDIN open even if not attached")
#define TTY SWITCH("tty", 't', "Allocate a pseudo-TTY")
#define USER VALUE("user", 'u', NULL, "Username or UID (format: <name|uid>[:<group|gid>])")
#define WORKDIR VALUE("workdir", 'w', NULL, "Working directory inside the container")

/* Limits that can also be changed later. */
#define BLKIO_WEIGHT \
	OPTION(UINT, "blkio-weight", 0, "uint16", "Block IO (relative weight), between 10 and 1000, or 0 to disable", .max = UINT16_MAX)
#define CPU_LIMITS \
	NUMBER("cpu-period", 0, "Limit CPU CFS (Completely Fair Scheduler) period"), \
		NUMBER("cpu-quota", 0, "Limit CPU CFS (Completely Fair Scheduler) quota"), \
		NUMBER("cpu-rt-period", 0, "Limit CPU real-time period in microseconds"), \
		NUMBER("cpu-rt-runtime", 0, "Limit CPU real-time runtime in microseconds"), \
		NUMBER("cpu-shares", 'c', "CPU shares (relative weight)"), OPTION(DECIMAL, "cpus", 0, NULL, "Number of CPUs"), \
		VALUE("cpuset-cpus", 0, NULL, "CPUs in which to allow execution (0-3, 0,1)"), \
		VALUE("cpuset-mems", 0, NULL, "MEMs in which to allow execution (0-3, 0,1)")
#define KERNEL_MEMORY BYTES("kernel-memory", 0, "Kernel memory limit: no kernel has one any more", .hidden = true)
#define MEMORY_LIMITS \
	BYTES("memory", 'm', "Memory limit"), BYTES("memory-reservation", 0, "Memory soft limit"), \
		BYTES("memory-swap", 0, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", .min = -1)
#define PIDS_LIMIT NUMBER("pids-limit", 0, "Tune container pids limit (set -1 for unlimited)")

#define WINDOWS(kind, name) OPTION(kind, name, 0, NULL, "Of Windows alone", .hidden = true)

#define CREATE_OPTIONS_1 \
	LIST("add-host", 0, NULL, "Add a custom host-to-IP mapping (host:ip)", .check = check_extra_host), \
		LIST("annotation", 0, "map", "Add an annotation to the container (passed through to the OCI runtime)"), \
		LIST("attach", 'a', NULL, "Attach to STDIN, STDOUT or STDERR", .check = check_attach), BLKIO_WEIGHT, \
		LIST("blkio-weight-device", 0, NULL, "Block IO weight (relative device weight)", .check = check_blkio_weight), \
		LIST("cap-add", 0, NULL, "Add Linux capabilities"), LIST("cap-drop", 0, NULL, "Drop Linux capabilities"), \
		VALUE("cgroup-parent", 0, NULL, "Optional parent cgroup for the container"), \
		VALUE("cgroupns", 0, NULL, "Cgroup namespace to use (host|private)"), \
		VALUE("cidfile", 0, NULL, "Write the container ID to the file"), WINDOWS(INT, "cpu-count"), WINDOWS(INT, "cpu-percent"), \
		CPU_LIMITS

#define CREATE_OPTIONS_2 \
	LIST("device", 0, NULL, "Add a host device to the container"), \
		LIST("device-cgroup-rule", 0, NULL, "Add a rule to the cgroup allowed devices list", .check = check_device_rule), \
		LIST("device-read-bps", 0, NULL, "Limit read rate (bytes per second) from a device", .check = check_rate_bps), \
		LIST("device-read-iops", 0, NULL, "Limit read rate (IO per second) from a device", .check = check_rate_iops), \
		LIST("device-write-bps", 0, NULL, "Limit write rate (bytes per second) to a device", .check = check_rate_bps), \
		LIST("device-write-iops", 0, NULL, "Limit write rate (IO per second) to a device", .check = check_rate_iops), \
		SWITCH("disable-content-trust", 0, "Skip image verification", .fallback = "true", .hidden = true), \
		LIST("dns", 0, NULL, "Set custom DNS servers", .check = check_ip), \
		LIST("dns-opt", 0, NULL, "The same as --dns-option", .same = "dns-option", .hidden = true), \
		LIST("dns-option", 0, NULL, "Set DNS options"), \
		LIST("dns-search", 0, NULL, "Set custom DNS search domains", .check = check_dns_search), \
		VALUE("domainname", 0, NULL, "Container NIS domain name"), \
		VALUE("entrypoint", 0, NULL, "Overwrite the default ENTRYPOINT of the image"), ENV, ENV_FILE, \
		LIST("expose", 0, NULL, "Expose a port or a range of ports"), \
		LIST("gidmap", 0, "[+ug]container:host[:size]", "Map a range of group IDs"), \
		LIST("gpus", 0, "gpu-request", "GPU devices to add to the container ('all' to pass all GPUs)", .check = check_gpus), \
		LIST("group-add", 0, NULL, "Add additional groups to join"), \
		VALUE("health-cmd", 0, NULL, "Command to run to check health"), \
		VALUE("health-http", 0, "URL", \
		      "Ask for this to check health (http://127.0.0.1:80/path, in the container's network), without a command"), \
		DURATION("health-interval", "Time between running the check (ms|s|m|h) (default 0s)"), \
		OPTION(ENUM, "health-on-failure", 0, NULL, "What to do when the container is found to be unhealthy", \
		       .choices = CHOICES("none", "kill", "restart", "stop")), \
		INT32("health-retries", "Consecutive failures needed to report unhealthy"), \
		DURATION("health-start-interval", "Time between running the check during the start period (ms|s|m|h) (default 0s)"), \
		DURATION("health-start-period", \
			 "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) " \
			 "(default 0s)"), \
		VALUE("health-tcp", 0, "HOST:PORT", "Connect there to check health, in the container's network, without a command"), \
		DURATION("health-timeout", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"), \
		VALUE("hostname", 'h', NULL, "Container host name"), \
		SWITCH("init", 0, "Run an init inside the container that forwards signals and reaps processes"), INTERACTIVE, \
		WINDOWS(BYTES, "io-maxbandwidth"), WINDOWS(UINT, "io-maxiops"), \
		VALUE("ip", 0, NULL, "IPv4 address (e.g., 172.30.100.104)"), VALUE("ip6", 0, NULL, "IPv6 address (e.g., 2001:db8::33)"), \
		VALUE("ipc", 0, NULL, "IPC mode to use"), VALUE("isolation", 0, NULL, "Container isolation technology"), KERNEL_MEMORY, \
		LIST("label", 'l', NULL, "Set meta data on a container", .check = check_label), \
		LIST("label-file", 0, NULL, "Read in a line delimited file of labels"), \
		LIST("link", 0, NULL, "Add link to another container", .check = check_link), \
		LIST("link-local-ip", 0, NULL, "Container IPv4/IPv6 link-local addresses"), \
		VALUE("log-driver", 0, NULL, "Logging driver for the container"), LIST("log-opt", 0, NULL, "Log driver options"), \
		VALUE("mac-address", 0, NULL, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"), MEMORY_LIMITS, \
		NUMBER("memory-swappiness", 0, "Tune container memory swappiness (0 to 100)", .fallback = "-1"), \
		LIST("mount", 0, "mount", "Attach a filesystem mount to the container", .check = check_mount), \
		VALUE("name", 0, NULL, "Assign a name to the container"), \
		LIST("net", 0, "network", "The same as --network", .same = "network", .hidden = true), \
		LIST("net-alias", 0, NULL, "The same as --network-alias", .same = "network-alias", .hidden = true), \
		LIST("network", 0, "network", "Connect a container to a network", .check = check_network), \
		LIST("network-alias", 0, NULL, "Add network-scoped alias for the container"), \
		SWITCH("no-healthcheck", 0, "Disable any container-specified HEALTHCHECK"), \
		SWITCH("oom-kill-disable", 0, "Disable OOM Killer"), \
		INT32("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)"), VALUE("pid", 0, NULL, "PID namespace to use"), \
		PIDS_LIMIT, VALUE("platform", 0, NULL, "Take the image of this platform"), \
		SWITCH("privileged", 0, "Give extended privileges to this container"), \
		LIST("publish", 'p', NULL, "Publish a container's port(s) to the host"), \
		SWITCH("publish-all", 'P', "Publish all exposed ports to random ports"), \
		VALUE("pull", 0, NULL, "Pull image before creating (\"always\", \"missing\", \"never\")", .fallback = "missing"), \
		SWITCH("quiet", 'q', "Suppress the pull output"), \
		SWITCH("read-only", 0, "Mount the container's root filesystem as read only"), \
		SWITCH("replace", 0, "Remove a container that has the name first"), \
		VALUE("restart", 0, NULL, "Restart policy to apply when a container exits", .fallback = "no"), \
		SWITCH("rm", 0, "Automatically remove the container and its associated anonymous volumes when it exits"), \
		SWITCH("rootfs", 0, "The first argument is a directory with a root file system, not an image"), \
		VALUE("runtime", 0, NULL, "Runtime to use for this container"), LIST("security-opt", 0, NULL, "Security Options"), \
		BYTES("shm-size", 0, "Size of /dev/shm")

#define CREATE_OPTIONS_3 \
	VALUE("stop-signal", 0, NULL, "Signal to stop the container"), INT32("stop-timeout", "Timeout (in seconds) to stop a container"), \
		LIST("storage-opt", 0, NULL, "Storage driver options for the container"), \
		VALUE("subgidname", 0, "name", "Map the group IDs that this name has in /etc/subgid"), \
		VALUE("subuidname", 0, "name", "Map the user IDs that this name has in /etc/subuid"), \
		LIST("sysctl", 0, "map", "Sysctl options", .check = check_sysctl), LIST("tmpfs", 0, NULL, "Mount a tmpfs directory"), TTY, \
		LIST("uidmap", 0, "[+ug]container:host[:size]", "Map a range of user IDs"), \
		LIST("ulimit", 0, "ulimit", "Ulimit options", .check = check_ulimit), \
		SWITCH("use-api-socket", 0, "Bind mount Docker API socket and required auth"), USER, \
		VALUE("userns", 0, NULL, "User namespace to use"), VALUE("uts", 0, NULL, "UTS namespace to use"), \
		LIST("volume", 'v', NULL, "Bind mount a volume"), \
		VALUE("volume-driver", 0, NULL, "Optional volume driver for the container"), \
		LIST("volumes-from", 0, NULL, "Mount volumes from the specified container(s)"), WORKDIR

const Option container_create_options[] = { CREATE_OPTIONS_1, CREATE_OPTIONS_2, CREATE_OPTIONS_3, { 0 } };

const Option container_run_options[] = {
	CREATE_OPTIONS_1,
	SWITCH("detach", 'd', "Run container in background and print container ID"),
	DETACH_KEYS,
	CREATE_OPTIONS_2,
	SWITCH("sig-proxy", 0, "Proxy received signals to the process", .fallback = "true"),
	CREATE_OPTIONS_3,
	{ 0 },
};

const Option container_update_options[] = {
	BLKIO_WEIGHT,  CPU_LIMITS, KERNEL_MEMORY,
	MEMORY_LIMITS, PIDS_LIMIT, VALUE("restart", 0, NULL, "Restart policy to apply when a container exits"),
	{ 0 },
};

const Option container_exec_options[] = {
	SWITCH("detach", 'd', "Detached mode: run command in the background"), DETACH_KEYS, ENV,  ENV_FILE, INTERACTIVE,
	SWITCH("privileged", 0, "Give extended privileges to the command"),    TTY,         USER, WORKDIR,  { 0 },
};
