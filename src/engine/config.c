/* config.c: see config.h. The order of rows is the order of keys in `inspect`. */
#include "engine/config.h"

#include "engine/mount_point.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}
#define KEPT .flags = BIND_ALWAYS
#define TEXT .flags = BIND_ALWAYS | BIND_TEXT
#define NIL .flags = BIND_ALWAYS | BIND_NULL

#define C(json_name, k, field, ...) ROW(ContainerConfig, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(container_config_table, "config", ContainerConfig, C("Hostname", BIND_STRING, hostname, TEXT),
	   C("Domainname", BIND_STRING, domainname, TEXT), C("User", BIND_STRING, user, TEXT),
	   C("AttachStdin", BIND_BOOL, attach_stdin, KEPT), C("AttachStdout", BIND_BOOL, attach_stdout, KEPT),
	   C("AttachStderr", BIND_BOOL, attach_stderr, KEPT), C("ExposedPorts", BIND_KEYS, exposed_ports), C("Tty", BIND_BOOL, tty, KEPT),
	   C("OpenStdin", BIND_BOOL, open_stdin, KEPT), C("StdinOnce", BIND_BOOL, stdin_once, KEPT), C("Env", BIND_STRINGS, env, NIL),
	   C("Cmd", BIND_STRINGS, cmd, NIL), C("Healthcheck", BIND_POINTER, healthcheck, .sub = &healthcheck_table),
	   C("Image", BIND_STRING, image, TEXT), C("Volumes", BIND_KEYS, volumes, NIL), C("WorkingDir", BIND_STRING, working_dir, TEXT),
	   C("Entrypoint", BIND_STRINGS, entrypoint, NIL), C("MacAddress", BIND_STRING, mac_address),
	   C("OnBuild", BIND_STRINGS, on_build, NIL), C("Labels", BIND_MAP, labels, KEPT), C("StopSignal", BIND_STRING, stop_signal),
	   C("StopTimeout", BIND_OPT_INT, stop_timeout), C("Shell", BIND_STRINGS, shell));
#undef C

#define L(json_name, k, field, ...) ROW(LogConfig, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(log_config_table, "log config", LogConfig, L("Type", BIND_STRING, type, TEXT), L("Config", BIND_MAP, options, KEPT));
#undef L

BIND_TABLE(restart_policy_table, "restart policy", RestartPolicy, ROW(RestartPolicy, "Name", BIND_STRING, name, TEXT),
	   ROW(RestartPolicy, "MaximumRetryCount", BIND_I32, maximum_retry_count, KEPT));

BIND_TABLE(weight_device_table, "device", WeightDevice, ROW(WeightDevice, "Path", BIND_STRING, path, TEXT),
	   ROW(WeightDevice, "Weight", BIND_U32, weight, KEPT));
BIND_TABLE(throttle_device_table, "device", ThrottleDevice, ROW(ThrottleDevice, "Path", BIND_STRING, path, TEXT),
	   ROW(ThrottleDevice, "Rate", BIND_U64, rate, KEPT));
BIND_TABLE(device_mapping_table, "device", DeviceMapping, ROW(DeviceMapping, "PathOnHost", BIND_STRING, path_on_host, TEXT),
	   ROW(DeviceMapping, "PathInContainer", BIND_STRING, path_in_container, TEXT),
	   ROW(DeviceMapping, "CgroupPermissions", BIND_STRING, cgroup_permissions, TEXT));
BIND_TABLE(device_request_table, "device request", DeviceRequest, ROW(DeviceRequest, "Driver", BIND_STRING, driver, TEXT),
	   ROW(DeviceRequest, "Count", BIND_I32, count, KEPT), ROW(DeviceRequest, "DeviceIDs", BIND_STRINGS, device_ids, NIL),
	   ROW(DeviceRequest, "Capabilities", BIND_RAW, capabilities, NIL), ROW(DeviceRequest, "Options", BIND_MAP, options, KEPT));
BIND_TABLE(ulimit_table, "ulimit", Ulimit, ROW(Ulimit, "Name", BIND_STRING, name, TEXT), ROW(Ulimit, "Hard", BIND_I64, hard, KEPT),
	   ROW(Ulimit, "Soft", BIND_I64, soft, KEPT));

#define B(json_name, k, field, ...) ROW(BindOptions, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(bind_options_table, "bind options", BindOptions, B("Propagation", BIND_STRING, propagation),
	   B("NonRecursive", BIND_BOOL, non_recursive), B("CreateMountpoint", BIND_BOOL, create_mountpoint),
	   B("ReadOnlyNonRecursive", BIND_BOOL, read_only_non_recursive), B("ReadOnlyForceRecursive", BIND_BOOL, read_only_force_recursive),
	   B("Relabel", BIND_STRING, relabel), B("IDMap", BIND_STRING, idmap));
#undef B
BIND_TABLE(volume_driver_table, "volume driver", VolumeDriverConfig, ROW(VolumeDriverConfig, "Name", BIND_STRING, name),
	   ROW(VolumeDriverConfig, "Options", BIND_MAP, options));
BIND_TABLE(volume_options_table, "volume options", VolumeOptions, ROW(VolumeOptions, "NoCopy", BIND_BOOL, no_copy),
	   ROW(VolumeOptions, "Labels", BIND_MAP, labels),
	   ROW(VolumeOptions, "DriverConfig", BIND_POINTER, driver_config, .sub = &volume_driver_table),
	   ROW(VolumeOptions, "Subpath", BIND_STRING, subpath));
BIND_TABLE(tmpfs_options_table, "tmpfs options", TmpfsOptions, ROW(TmpfsOptions, "SizeBytes", BIND_I64, size_bytes),
	   ROW(TmpfsOptions, "Mode", BIND_U32, mode), ROW(TmpfsOptions, "Options", BIND_RAW, options));
BIND_TABLE(image_mount_options_table, "image options", ImageMountOptions, ROW(ImageMountOptions, "Subpath", BIND_STRING, subpath),
	   ROW(ImageMountOptions, "Writable", BIND_BOOL, writable));

#define M(json_name, k, field, ...) ROW(MountRequest, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(mount_request_table, "mount", MountRequest, M("Type", BIND_STRING, type, TEXT), M("Source", BIND_STRING, source),
	   M("Target", BIND_STRING, target, TEXT), M("ReadOnly", BIND_BOOL, read_only), M("Consistency", BIND_STRING, consistency),
	   M("BindOptions", BIND_POINTER, bind, .sub = &bind_options_table),
	   M("VolumeOptions", BIND_POINTER, volume, .sub = &volume_options_table),
	   M("TmpfsOptions", BIND_POINTER, tmpfs, .sub = &tmpfs_options_table),
	   M("ImageOptions", BIND_POINTER, image, .sub = &image_mount_options_table), M("Flags", BIND_STRINGS, flags),
	   M("Chown", BIND_BOOL, chown));
#undef M

BIND_TABLE(id_map_texts_table, "id mappings", IdMapTexts, ROW(IdMapTexts, "UidMap", BIND_STRINGS, uids, KEPT),
	   ROW(IdMapTexts, "GidMap", BIND_STRINGS, gids, KEPT));

#define H(json_name, k, field, ...) ROW(HostConfig, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(host_config_table, "host config", HostConfig, H("Binds", BIND_STRINGS, binds, NIL),
	   H("ContainerIDFile", BIND_STRING, container_id_file, TEXT),
	   H("LogConfig", BIND_OBJECT, log_config, .sub = &log_config_table, KEPT), H("NetworkMode", BIND_STRING, network_mode, TEXT),
	   H("PortBindings", BIND_RAW, port_bindings), H("RestartPolicy", BIND_OBJECT, restart_policy, .sub = &restart_policy_table, KEPT),
	   H("AutoRemove", BIND_BOOL, auto_remove, KEPT), H("VolumeDriver", BIND_STRING, volume_driver, TEXT),
	   H("VolumesFrom", BIND_STRINGS, volumes_from, NIL), H("ConsoleSize", BIND_U32S, console_size, KEPT),
	   H("Annotations", BIND_MAP, annotations), H("CapAdd", BIND_STRINGS, cap_add, NIL), H("CapDrop", BIND_STRINGS, cap_drop, NIL),
	   H("CgroupnsMode", BIND_STRING, cgroupns_mode, TEXT), H("Dns", BIND_STRINGS, dns, KEPT),
	   H("DnsOptions", BIND_STRINGS, dns_options, KEPT), H("DnsSearch", BIND_STRINGS, dns_search, KEPT),
	   H("ExtraHosts", BIND_STRINGS, extra_hosts, NIL), H("GroupAdd", BIND_STRINGS, group_add, NIL),
	   H("IpcMode", BIND_STRING, ipc_mode, TEXT), H("Cgroup", BIND_STRING, cgroup, TEXT), H("Links", BIND_STRINGS, links, NIL),
	   H("OomScoreAdj", BIND_I32, oom_score_adj, KEPT), H("PidMode", BIND_STRING, pid_mode, TEXT),
	   H("Privileged", BIND_BOOL, privileged, KEPT), H("PublishAllPorts", BIND_BOOL, publish_all_ports, KEPT),
	   H("ReadonlyRootfs", BIND_BOOL, readonly_rootfs, KEPT), H("SecurityOpt", BIND_STRINGS, security_opt, NIL),
	   H("StorageOpt", BIND_MAP, storage_opt), H("Tmpfs", BIND_MAP, tmpfs), H("UTSMode", BIND_STRING, uts_mode, TEXT),
	   H("UsernsMode", BIND_STRING, userns_mode, TEXT), H("ShmSize", BIND_I64, shm_size, KEPT), H("Sysctls", BIND_MAP, sysctls),
	   H("Runtime", BIND_STRING, runtime, TEXT), H("Isolation", BIND_STRING, isolation, TEXT),
	   H("CpuShares", BIND_I64, cpu_shares, KEPT), H("Memory", BIND_I64, memory, KEPT), H("NanoCpus", BIND_I64, nano_cpus, KEPT),
	   H("CgroupParent", BIND_STRING, cgroup_parent, TEXT), H("BlkioWeight", BIND_U32, blkio_weight, KEPT),
	   H("BlkioWeightDevice", BIND_LIST, blkio_weight_device, .sub = &weight_device_table, KEPT),
	   H("BlkioDeviceReadBps", BIND_LIST, blkio_device_read_bps, .sub = &throttle_device_table, KEPT),
	   H("BlkioDeviceWriteBps", BIND_LIST, blkio_device_write_bps, .sub = &throttle_device_table, KEPT),
	   H("BlkioDeviceReadIOps", BIND_LIST, blkio_device_read_iops, .sub = &throttle_device_table, KEPT),
	   H("BlkioDeviceWriteIOps", BIND_LIST, blkio_device_write_iops, .sub = &throttle_device_table, KEPT),
	   H("CpuPeriod", BIND_I64, cpu_period, KEPT), H("CpuQuota", BIND_I64, cpu_quota, KEPT),
	   H("CpuRealtimePeriod", BIND_I64, cpu_realtime_period, KEPT), H("CpuRealtimeRuntime", BIND_I64, cpu_realtime_runtime, KEPT),
	   H("CpusetCpus", BIND_STRING, cpuset_cpus, TEXT), H("CpusetMems", BIND_STRING, cpuset_mems, TEXT),
	   H("Devices", BIND_LIST, devices, .sub = &device_mapping_table, KEPT),
	   H("DeviceCgroupRules", BIND_STRINGS, device_cgroup_rules, NIL),
	   H("DeviceRequests", BIND_LIST, device_requests, .sub = &device_request_table, NIL),
	   H("MemoryReservation", BIND_I64, memory_reservation, KEPT), H("MemorySwap", BIND_I64, memory_swap, KEPT),
	   H("MemorySwappiness", BIND_OPT_INT, memory_swappiness, KEPT), H("OomKillDisable", BIND_OPT_BOOL, oom_kill_disable, KEPT),
	   H("PidsLimit", BIND_OPT_INT, pids_limit, KEPT), H("Ulimits", BIND_LIST, ulimits, .sub = &ulimit_table, KEPT),
	   H("Mounts", BIND_LIST, mounts, .sub = &mount_request_table), H("MaskedPaths", BIND_STRINGS, masked_paths, NIL),
	   H("ReadonlyPaths", BIND_STRINGS, readonly_paths, NIL), H("maskedPathsSet", BIND_BOOL, masked_paths_set),
	   H("readonlyPathsSet", BIND_BOOL, readonly_paths_set), H("Init", BIND_OPT_BOOL, init), H("Rootfs", BIND_STRING, rootfs),
	   H("UIDMap", BIND_STRINGS, uid_map), H("GIDMap", BIND_STRINGS, gid_map), H("SubUIDName", BIND_STRING, subuid_name),
	   H("SubGIDName", BIND_STRING, subgid_name), H("IDMappings", BIND_POINTER, id_mappings, .sub = &id_map_texts_table),
	   H("HealthOnFailure", BIND_STRING, health_on_failure));
#undef H

/* What the API shows comes first; the rest is ours. */
#define P(json_name, k, field, ...) ROW(MountPoint, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(mount_point_table, "mount point", MountPoint, P("Type", BIND_STRING, type, TEXT), P("Name", BIND_STRING, name),
	   P("Source", BIND_STRING, source, TEXT), P("Destination", BIND_STRING, destination, TEXT), P("Driver", BIND_STRING, driver),
	   P("Mode", BIND_STRING, mode, TEXT), P("RW", BIND_BOOL, rw, KEPT), P("Propagation", BIND_STRING, propagation, TEXT),
	   P("options", BIND_STRINGS, options), P("subpath", BIND_STRING, subpath), P("manifest", BIND_STRING, manifest),
	   P("idmap", BIND_STRING, idmap), P("held", BIND_BOOL, held), P("copyUp", BIND_BOOL, copy_up),
	   P("anonymous", BIND_BOOL, anonymous), P("createSource", BIND_BOOL, create_source), P("chown", BIND_BOOL, chown),
	   P("overlay", BIND_BOOL, overlay));
#undef P
