/* spec_tables.c: the specification's objects as binding tables, one row per field. */
#include <sched.h>

#include "oci/spec.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(oci_user_table, "user", OciUser, ROW(OciUser, "uid", BIND_U32, uid), ROW(OciUser, "gid", BIND_U32, gid),
	   ROW(OciUser, "umask", BIND_OPT_UINT, umask, .max = 07777), ROW(OciUser, "additionalGids", BIND_U32S, additional_gids),
	   ROW(OciUser, "username", BIND_STRING, username));

BIND_TABLE(oci_console_size_table, "consoleSize", OciConsoleSize, ROW(OciConsoleSize, "height", BIND_U32, height, .max = 65535),
	   ROW(OciConsoleSize, "width", BIND_U32, width, .max = 65535));

BIND_TABLE(oci_process_table, "process", OciProcess, ROW(OciProcess, "terminal", BIND_BOOL, terminal),
	   ROW(OciProcess, "consoleSize", BIND_POINTER, console_size, .sub = &oci_console_size_table),
	   ROW(OciProcess, "user", BIND_OBJECT, user, .sub = &oci_user_table), ROW(OciProcess, "args", BIND_STRINGS, args),
	   ROW(OciProcess, "commandLine", BIND_STRING, command_line), ROW(OciProcess, "env", BIND_STRINGS, env),
	   ROW(OciProcess, "cwd", BIND_STRING, cwd),
	   ROW(OciProcess, "capabilities", BIND_POINTER, capabilities, .sub = &capabilities_table),
	   ROW(OciProcess, "rlimits", BIND_LIST, rlimits, .sub = &rlimit_table),
	   ROW(OciProcess, "noNewPrivileges", BIND_BOOL, no_new_privileges),
	   ROW(OciProcess, "apparmorProfile", BIND_STRING, apparmor_profile),
	   ROW(OciProcess, "oomScoreAdj", BIND_OPT_INT, oom_score_adj, .min = -1000, .max = 1000),
	   ROW(OciProcess, "selinuxLabel", BIND_STRING, selinux_label),
	   ROW(OciProcess, "scheduler", BIND_POINTER, scheduler, .sub = &sched_table),
	   ROW(OciProcess, "ioPriority", BIND_POINTER, io_priority, .sub = &ioprio_table),
	   ROW(OciProcess, "execCPUAffinity", BIND_POINTER, exec_cpu_affinity, .sub = &cpu_affinity_table));

BIND_TABLE(oci_root_table, "root", OciRoot, ROW(OciRoot, "path", BIND_STRING, path, .flags = BIND_REQUIRED),
	   ROW(OciRoot, "readonly", BIND_BOOL, readonly));

BIND_TABLE(oci_mount_table, "mount", OciMount, ROW(OciMount, "destination", BIND_STRING, destination, .flags = BIND_REQUIRED),
	   ROW(OciMount, "type", BIND_STRING, type), ROW(OciMount, "source", BIND_STRING, source),
	   ROW(OciMount, "options", BIND_STRINGS, options), ROW(OciMount, "uidMappings", BIND_LIST, uid_mappings, .sub = &idmap_table),
	   ROW(OciMount, "gidMappings", BIND_LIST, gid_mappings, .sub = &idmap_table));

BIND_TABLE(oci_hook_table, "hook", OciHook, ROW(OciHook, "path", BIND_STRING, path, .flags = BIND_REQUIRED),
	   ROW(OciHook, "args", BIND_STRINGS, args), ROW(OciHook, "env", BIND_STRINGS, env),
	   ROW(OciHook, "timeout", BIND_OPT_INT, timeout, .min = 1, .max = INT32_MAX));

BIND_TABLE(oci_hooks_table, "hooks", OciHooks, ROW(OciHooks, "prestart", BIND_LIST, prestart, .sub = &oci_hook_table),
	   ROW(OciHooks, "createRuntime", BIND_LIST, create_runtime, .sub = &oci_hook_table),
	   ROW(OciHooks, "createContainer", BIND_LIST, create_container, .sub = &oci_hook_table),
	   ROW(OciHooks, "startContainer", BIND_LIST, start_container, .sub = &oci_hook_table),
	   ROW(OciHooks, "poststart", BIND_LIST, poststart, .sub = &oci_hook_table),
	   ROW(OciHooks, "poststop", BIND_LIST, poststop, .sub = &oci_hook_table));

const BindName oci_namespace_names[] = {
	{ "pid", CLONE_NEWPID },       { "network", CLONE_NEWNET }, { "mount", CLONE_NEWNS },
	{ "ipc", CLONE_NEWIPC },       { "uts", CLONE_NEWUTS },     { "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },   { 0 },
};

BIND_TABLE(oci_namespace_table, "namespace", OciNamespace,
	   ROW(OciNamespace, "type", BIND_ENUM, type, .sub = oci_namespace_names, .flags = BIND_REQUIRED),
	   ROW(OciNamespace, "path", BIND_STRING, path));

BIND_TABLE(oci_time_offset_table, "timeOffset", OciTimeOffset, ROW(OciTimeOffset, "secs", BIND_I64, secs),
	   ROW(OciTimeOffset, "nanosecs", BIND_U32, nanosecs, .max = 999999999));

BIND_TABLE(oci_device_table, "device", OciDevice, ROW(OciDevice, "type", BIND_STRING, type, .flags = BIND_REQUIRED),
	   ROW(OciDevice, "path", BIND_STRING, path, .flags = BIND_REQUIRED),
	   ROW(OciDevice, "major", BIND_OPT_INT, major, .min = -1, .max = UINT32_MAX),
	   ROW(OciDevice, "minor", BIND_OPT_INT, minor, .min = -1, .max = UINT32_MAX),
	   ROW(OciDevice, "fileMode", BIND_OPT_UINT, file_mode, .max = 0177777),
	   ROW(OciDevice, "uid", BIND_OPT_UINT, uid, .max = UINT32_MAX), ROW(OciDevice, "gid", BIND_OPT_UINT, gid, .max = UINT32_MAX));

/* ---- linux.resources ---- */

BIND_TABLE(device_rule_table, "device rule", CgroupDeviceRule, ROW(CgroupDeviceRule, "allow", BIND_BOOL, allow),
	   ROW(CgroupDeviceRule, "type", BIND_STRING, type),
	   ROW(CgroupDeviceRule, "major", BIND_OPT_INT, major, .min = -1, .max = UINT32_MAX),
	   ROW(CgroupDeviceRule, "minor", BIND_OPT_INT, minor, .min = -1, .max = UINT32_MAX),
	   ROW(CgroupDeviceRule, "access", BIND_STRING, access));

BIND_TABLE(memory_table, "memory", CgroupMemory, ROW(CgroupMemory, "limit", BIND_OPT_INT, limit),
	   ROW(CgroupMemory, "reservation", BIND_OPT_INT, reservation), ROW(CgroupMemory, "swap", BIND_OPT_INT, swap),
	   ROW(CgroupMemory, "kernel", BIND_OPT_INT, kernel), ROW(CgroupMemory, "kernelTCP", BIND_OPT_INT, kernel_tcp),
	   ROW(CgroupMemory, "swappiness", BIND_OPT_UINT, swappiness, .max = 100),
	   ROW(CgroupMemory, "disableOOMKiller", BIND_OPT_BOOL, disable_oom_killer),
	   ROW(CgroupMemory, "useHierarchy", BIND_OPT_BOOL, use_hierarchy),
	   ROW(CgroupMemory, "checkBeforeUpdate", BIND_OPT_BOOL, check_before_update));

BIND_TABLE(cpu_table, "cpu", CgroupCpu, ROW(CgroupCpu, "shares", BIND_OPT_UINT, shares), ROW(CgroupCpu, "quota", BIND_OPT_INT, quota),
	   ROW(CgroupCpu, "burst", BIND_OPT_UINT, burst), ROW(CgroupCpu, "period", BIND_OPT_UINT, period),
	   ROW(CgroupCpu, "realtimeRuntime", BIND_OPT_INT, realtime_runtime),
	   ROW(CgroupCpu, "realtimePeriod", BIND_OPT_UINT, realtime_period), ROW(CgroupCpu, "cpus", BIND_STRING, cpus),
	   ROW(CgroupCpu, "mems", BIND_STRING, mems), ROW(CgroupCpu, "idle", BIND_OPT_INT, idle));

BIND_TABLE(pids_table, "pids", OptInt, { .name = "limit", .kind = BIND_OPT_INT, .offset = 0 });

BIND_TABLE(block_device_table, "block device", CgroupBlockDevice, ROW(CgroupBlockDevice, "major", BIND_I64, major),
	   ROW(CgroupBlockDevice, "minor", BIND_I64, minor), ROW(CgroupBlockDevice, "weight", BIND_OPT_UINT, weight, .max = 65535),
	   ROW(CgroupBlockDevice, "leafWeight", BIND_OPT_UINT, leaf_weight, .max = 65535),
	   ROW(CgroupBlockDevice, "rate", BIND_OPT_UINT, rate));

BIND_TABLE(block_io_table, "blockIO", CgroupBlockIo, ROW(CgroupBlockIo, "weight", BIND_OPT_UINT, weight, .max = 65535),
	   ROW(CgroupBlockIo, "leafWeight", BIND_OPT_UINT, leaf_weight, .max = 65535),
	   ROW(CgroupBlockIo, "weightDevice", BIND_LIST, weight_device, .sub = &block_device_table),
	   ROW(CgroupBlockIo, "throttleReadBpsDevice", BIND_LIST, read_bps, .sub = &block_device_table),
	   ROW(CgroupBlockIo, "throttleWriteBpsDevice", BIND_LIST, write_bps, .sub = &block_device_table),
	   ROW(CgroupBlockIo, "throttleReadIOPSDevice", BIND_LIST, read_iops, .sub = &block_device_table),
	   ROW(CgroupBlockIo, "throttleWriteIOPSDevice", BIND_LIST, write_iops, .sub = &block_device_table));

BIND_TABLE(hugepage_table, "hugepageLimit", CgroupHugepage, ROW(CgroupHugepage, "pageSize", BIND_STRING, page_size, .flags = BIND_REQUIRED),
	   ROW(CgroupHugepage, "limit", BIND_U64, limit));

BIND_TABLE(priority_table, "priority", CgroupPriority, ROW(CgroupPriority, "name", BIND_STRING, name, .flags = BIND_REQUIRED),
	   ROW(CgroupPriority, "priority", BIND_U32, priority));

typedef struct NetworkResources {
	OptUint class_id;
	ObjList priorities; /* of CgroupPriority */
} NetworkResources;
_Static_assert(offsetof(CgroupResources, net_priorities) - offsetof(CgroupResources, net_class_id) ==
		       offsetof(NetworkResources, priorities),
	       "network rows are relative to net_class_id");

BIND_TABLE(network_table, "network", NetworkResources, ROW(NetworkResources, "classID", BIND_OPT_UINT, class_id, .max = UINT32_MAX),
	   ROW(NetworkResources, "priorities", BIND_LIST, priorities, .sub = &priority_table));

BIND_TABLE(rdma_table, "rdma", CgroupRdma, ROW(CgroupRdma, "hcaHandles", BIND_OPT_UINT, hca_handles, .max = UINT32_MAX),
	   ROW(CgroupRdma, "hcaObjects", BIND_OPT_UINT, hca_objects, .max = UINT32_MAX));

BIND_TABLE(oci_resources_table, "resources", CgroupResources,
	   ROW(CgroupResources, "devices", BIND_LIST, devices, .sub = &device_rule_table),
	   ROW(CgroupResources, "memory", BIND_OBJECT, memory, .sub = &memory_table),
	   ROW(CgroupResources, "cpu", BIND_OBJECT, cpu, .sub = &cpu_table),
	   ROW(CgroupResources, "pids", BIND_OBJECT, pids_limit, .sub = &pids_table),
	   ROW(CgroupResources, "blockIO", BIND_OBJECT, block_io, .sub = &block_io_table),
	   ROW(CgroupResources, "hugepageLimits", BIND_LIST, hugepages, .sub = &hugepage_table),
	   ROW(CgroupResources, "network", BIND_OBJECT, net_class_id, .sub = &network_table),
	   ROW(CgroupResources, "rdma", BIND_OBJMAP, rdma, .sub = &rdma_table), ROW(CgroupResources, "unified", BIND_MAP, unified));

/* ---- linux.seccomp ---- */

BIND_TABLE(seccomp_arg_table, "seccomp argument", SeccompArg, ROW(SeccompArg, "index", BIND_U32, index, .max = 5),
	   ROW(SeccompArg, "value", BIND_U64, value), ROW(SeccompArg, "valueTwo", BIND_U64, value_two),
	   ROW(SeccompArg, "op", BIND_ENUM, op, .sub = seccomp_op_names, .flags = BIND_REQUIRED));

BIND_TABLE(seccomp_rule_table, "seccomp rule", SeccompRule, ROW(SeccompRule, "names", BIND_STRINGS, names, .flags = BIND_REQUIRED),
	   ROW(SeccompRule, "action", BIND_ENUM, action, .sub = seccomp_action_names, .flags = BIND_REQUIRED),
	   ROW(SeccompRule, "errnoRet", BIND_OPT_UINT, errno_ret, .max = UINT32_MAX),
	   ROW(SeccompRule, "args", BIND_LIST, args, .sub = &seccomp_arg_table));

BIND_TABLE(seccomp_table, "seccomp", SeccompProfile,
	   ROW(SeccompProfile, "defaultAction", BIND_ENUM, default_action, .sub = seccomp_action_names, .flags = BIND_REQUIRED),
	   ROW(SeccompProfile, "defaultErrnoRet", BIND_OPT_UINT, default_errno_ret, .max = UINT32_MAX),
	   ROW(SeccompProfile, "architectures", BIND_ENUMS, architectures, .sub = seccomp_arch_names),
	   ROW(SeccompProfile, "flags", BIND_ENUMS, flags, .sub = seccomp_flag_names),
	   ROW(SeccompProfile, "listenerPath", BIND_STRING, listener_path),
	   ROW(SeccompProfile, "listenerMetadata", BIND_STRING, listener_metadata),
	   ROW(SeccompProfile, "syscalls", BIND_LIST, syscalls, .sub = &seccomp_rule_table));

/* ---- linux and the whole ---- */

static const BindName propagation_names[] = {
	{ "", OCI_PROPAGATION_DEFAULT },
	{ "shared", OCI_SHARED },
	{ "slave", OCI_SLAVE },
	{ "private", OCI_PRIVATE },
	{ "unbindable", OCI_UNBINDABLE },
	{ "rshared", OCI_RSHARED },
	{ "rslave", OCI_RSLAVE },
	{ "rprivate", OCI_RPRIVATE },
	{ "runbindable", OCI_RUNBINDABLE },
	{ 0 },
};

BIND_TABLE(oci_linux_table, "linux", OciLinux, ROW(OciLinux, "uidMappings", BIND_LIST, uid_mappings, .sub = &idmap_table),
	   ROW(OciLinux, "gidMappings", BIND_LIST, gid_mappings, .sub = &idmap_table), ROW(OciLinux, "sysctl", BIND_MAP, sysctl),
	   ROW(OciLinux, "resources", BIND_POINTER, resources, .sub = &oci_resources_table),
	   ROW(OciLinux, "cgroupsPath", BIND_STRING, cgroups_path),
	   ROW(OciLinux, "namespaces", BIND_LIST, namespaces, .sub = &oci_namespace_table),
	   ROW(OciLinux, "timeOffsets", BIND_OBJMAP, time_offsets, .sub = &oci_time_offset_table),
	   ROW(OciLinux, "devices", BIND_LIST, devices, .sub = &oci_device_table),
	   ROW(OciLinux, "netDevices", BIND_OBJMAP, net_devices, .sub = &netdev_table),
	   ROW(OciLinux, "seccomp", BIND_POINTER, seccomp, .sub = &seccomp_table),
	   ROW(OciLinux, "rootfsPropagation", BIND_ENUM, rootfs_propagation, .sub = propagation_names),
	   ROW(OciLinux, "maskedPaths", BIND_STRINGS, masked_paths), ROW(OciLinux, "readonlyPaths", BIND_STRINGS, readonly_paths),
	   ROW(OciLinux, "mountLabel", BIND_STRING, mount_label), ROW(OciLinux, "intelRdt", BIND_POINTER, intel_rdt, .sub = &rdt_table),
	   ROW(OciLinux, "memoryPolicy", BIND_POINTER, memory_policy, .sub = &memory_policy_table),
	   ROW(OciLinux, "personality", BIND_POINTER, personality, .sub = &personality_table));

BIND_TABLE(oci_spec_table, "config", OciSpec, ROW(OciSpec, "ociVersion", BIND_STRING, version, .flags = BIND_REQUIRED),
	   ROW(OciSpec, "process", BIND_POINTER, process, .sub = &oci_process_table),
	   ROW(OciSpec, "root", BIND_POINTER, root, .sub = &oci_root_table), ROW(OciSpec, "hostname", BIND_STRING, hostname),
	   ROW(OciSpec, "domainname", BIND_STRING, domainname), ROW(OciSpec, "mounts", BIND_LIST, mounts, .sub = &oci_mount_table),
	   ROW(OciSpec, "hooks", BIND_OBJECT, hooks, .sub = &oci_hooks_table), ROW(OciSpec, "annotations", BIND_MAP, annotations),
	   ROW(OciSpec, "linux", BIND_POINTER, lnx, .sub = &oci_linux_table));
