/* config.h: what a container was asked to be: docker's Config and HostConfig (Engine API 1.51, ContainerCreate) as C structs.
 *
 *  - One set of structs for the command line, the database, `inspect` and the API: names and meanings are the API's.
 *  - As with all bound documents, absent is NULL, an empty list, 0, or an Opt* that is not set.
 *  - `container_config_merge` fills what the user left open from the image; what is stored is the merged form, as docker stores it.
 */
#pragma once

#include "oci/image_config.h"

/* ContainerConfig: what runs, whichever machine it runs on. */
typedef struct ContainerConfig {
	const char *hostname, *domainname;
	const char *user; /* "name|uid[:group|gid]" */
	bool attach_stdin, attach_stdout, attach_stderr;
	StrList exposed_ports; /* "80/tcp" */
	bool tty, open_stdin, stdin_once;
	StrList env, cmd;
	const Healthcheck *healthcheck;
	const char *image; /* as the user named it */
	StrList volumes;   /* paths of anonymous volumes */
	const char *working_dir;
	StrList entrypoint;
	bool entrypoint_set; /* the user's, also when it is empty: then neither the image's entrypoint nor its command holds */
	const char *mac_address;
	StrList on_build;
	StrMap labels;
	const char *stop_signal;
	OptInt stop_timeout; /* s */
	StrList shell;
} ContainerConfig;

typedef struct LogConfig {
	const char *type; /* "json-file", "local", "journald", "syslog", "none"; "": the default */
	StrMap options;
} LogConfig;

typedef struct RestartPolicy {
	const char *name; /* "no", "always", "unless-stopped", "on-failure" */
	int32_t maximum_retry_count;
} RestartPolicy;

typedef struct WeightDevice {
	const char *path;
	uint32_t weight;
} WeightDevice;
typedef struct ThrottleDevice {
	const char *path;
	uint64_t rate;
} ThrottleDevice;
typedef LIST_OF(ThrottleDevice) ThrottleDeviceList;

typedef struct DeviceMapping {
	const char *path_on_host, *path_in_container, *cgroup_permissions;
} DeviceMapping;

typedef struct DeviceRequest {
	const char *driver;
	int32_t count; /* -1: all */
	StrList device_ids;
	const JsonValue *capabilities; /* a list of lists */
	StrMap options;
} DeviceRequest;

typedef struct Ulimit {
	const char *name;
	int64_t hard, soft; /* -1: unlimited */
} Ulimit;

/* MountPoint: a row of HostConfig.Mounts: what --mount says. */
typedef struct BindOptions {
	const char *propagation;
	bool non_recursive, create_mountpoint, read_only_non_recursive, read_only_force_recursive;
	/* podman's, not in docker's API */
	const char *relabel; /* "shared", "private" */
	const char *idmap;   /* see MountPoint.idmap */
} BindOptions;
typedef struct VolumeDriverConfig {
	const char *name;
	StrMap options;
} VolumeDriverConfig;
typedef struct VolumeOptions {
	bool no_copy;
	StrMap labels;
	const VolumeDriverConfig *driver_config;
	const char *subpath;
} VolumeOptions;
typedef struct TmpfsOptions {
	int64_t size_bytes; /* 0: the kernel's default */
	uint32_t mode;
	const JsonValue *options; /* [["exec"], ["size", "1m"]] */
} TmpfsOptions;
typedef struct ImageMountOptions {
	const char *subpath;
	bool writable; /* podman's */
} ImageMountOptions;
typedef struct MountRequest {
	const char *type; /* "bind", "volume", "tmpfs", "image" */
	const char *source, *target;
	bool read_only;
	const char *consistency;
	const BindOptions *bind;
	const VolumeOptions *volume;
	const TmpfsOptions *tmpfs;
	const ImageMountOptions *image;
	/* podman's */
	StrList flags; /* "noexec", "suid", …; "tmpcopyup" */
	bool chown;    /* U */
} MountRequest;

/* IdMapTexts: "container:host:size" of users and of groups. */
typedef struct IdMapTexts {
	StrList uids, gids;
} IdMapTexts;

/* HostConfig: what the container gets of this machine. */
typedef struct HostConfig {
	StrList binds; /* "/host:/container[:options]", "volume:/container" */
	const char *container_id_file;
	LogConfig log_config;
	const char *network_mode;       /* "none", "host", "container:…", "ns:/path", "default", a network's name */
	const JsonValue *port_bindings; /* {"80/tcp": [{"HostIp": …, "HostPort": …}]} */
	RestartPolicy restart_policy;
	bool auto_remove;
	const char *volume_driver;
	StrList volumes_from; /* "container[:ro|rw]" */
	U32List console_size; /* rows, columns */
	StrMap annotations;
	StrList cap_add, cap_drop;
	const char *cgroupns_mode; /* "host", "private" */
	StrList dns, dns_options, dns_search;
	StrList extra_hosts; /* "name:address" */
	StrList group_add;
	const char *ipc_mode, *cgroup;
	StrList links;
	int32_t oom_score_adj;
	const char *pid_mode;
	bool privileged, publish_all_ports, readonly_rootfs;
	StrList security_opt;
	StrMap storage_opt;
	StrMap tmpfs; /* path -> options */
	const char *uts_mode, *userns_mode;
	int64_t shm_size; /* bytes */
	StrMap sysctls;
	const char *runtime, *isolation;
	/* resources */
	int64_t cpu_shares, memory, nano_cpus;
	const char *cgroup_parent;
	uint32_t blkio_weight;
	LIST_OF(WeightDevice) blkio_weight_device;
	ThrottleDeviceList blkio_device_read_bps, blkio_device_write_bps, blkio_device_read_iops, blkio_device_write_iops;
	int64_t cpu_period, cpu_quota, cpu_realtime_period, cpu_realtime_runtime;
	const char *cpuset_cpus, *cpuset_mems;
	LIST_OF(DeviceMapping) devices;
	StrList device_cgroup_rules;
	LIST_OF(DeviceRequest) device_requests;
	int64_t memory_reservation, memory_swap;
	OptInt memory_swappiness;
	OptBool oom_kill_disable;
	OptInt pids_limit;
	LIST_OF(Ulimit) ulimits;
	LIST_OF(MountRequest) mounts;
	StrList masked_paths, readonly_paths;
	bool masked_paths_set, readonly_paths_set; /* given, also when empty (systempaths=unconfined) */
	OptBool init;
	/* podman's and ours, not in docker's API */
	const char *rootfs;       /* --rootfs: a directory in place of an image */
	StrList uid_map, gid_map; /* "[+ug]container:[@]host[:size]" */
	const char *subuid_name, *subgid_name;
	const IdMapTexts *id_mappings; /* what came of these: those of its user namespace; NULL: it has the host's */
	const char *health_on_failure; /* "none", "kill", "restart", "stop" */
} HostConfig;

extern const BindTable container_config_table, host_config_table, mount_request_table, restart_policy_table;

/* container_config_merge: the image's environment (what the user set wins), labels, ports, volumes, working directory, user, stop signal, health
 * check, and its entrypoint and command by docker's rules. -EINVAL "no command specified". */
int container_config_merge(ContainerConfig *c, const ImageDefaults *image, Arena *a, Err *e) MUST_USE;
