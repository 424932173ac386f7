/* machine.h: what this machine grants containers: its control groups, processors, capabilities, kernel.
 *
 * Looked up when first asked for and remembered: an ordinary start asks little, and tests say what the machine is like (known, has,
 * and the fields) without having it.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

typedef enum {
	/* limits: a controller, and the file in it */
	MACHINE_MEMORY,
	MACHINE_MEMORY_RESERVATION,
	MACHINE_SWAP,
	MACHINE_SWAPPINESS,
	MACHINE_OOM_DISABLE,
	MACHINE_PIDS,
	MACHINE_CPU_SHARES,
	MACHINE_CPU_QUOTA,
	MACHINE_CPU_REALTIME,
	MACHINE_CPUSET,
	MACHINE_IO_WEIGHT,
	MACHINE_IO_WEIGHT_DEVICE,
	MACHINE_IO_READ_BPS,
	MACHINE_IO_WRITE_BPS,
	MACHINE_IO_READ_IOPS,
	MACHINE_IO_WRITE_IOPS,
	/* files of the kernel */
	MACHINE_CGROUP_NAMESPACES,
	MACHINE_SYSCTL_PING,      /* net.ipv4.ping_group_range */
	MACHINE_SYSCTL_LOW_PORTS, /* net.ipv4.ip_unprivileged_port_start */
	MACHINE_THROTTLE,         /* /sys/devices/system/cpu/cpu0/thermal_throttle */
	MACHINE_MQUEUE,           /* /dev/mqueue */
	MACHINE_IPV6,
	/* others */
	MACHINE_CGROUP2, /* and no v1 beside it */
	MACHINE_APPARMOR,
	MACHINE_SELINUX,
	MACHINE_USER_NAMESPACE, /* this process is in one: it is no root of the machine */
	MACHINE_FEATURES,
} MachineFeature;

typedef struct Machine {
	Arena *arena;
	uint64_t known, has;                 /* bits by MachineFeature: looked up, and there */
	unsigned cpus;                       /* that may be used */
	unsigned kernel_major, kernel_minor; /* of the running kernel */
	uint64_t capabilities;               /* that can be granted: bits by number */
	int oom_score_adj;                   /* this process's */
	bool systemd;                        /* containers go into units of systemd */
	const char *mountinfo;               /* file that lists the mounts; NULL: this process's */
	const char *cpu_list, *memory_list;  /* lists as "0-3,7"; NULL: not looked up */
} Machine;

/* machine_init: fills in the plain fields. The lists and features are looked up later; their memory is in the arena. */
void machine_init(Machine *m, Arena *a);
bool machine_has(Machine *m, MachineFeature f);
/* machine_cpu_list, machine_memory_list: what cpuset offers; "" when it cannot be told. */
const char *machine_cpu_list(Machine *m);
const char *machine_memory_list(Machine *m);
/* machine_possible_cpus: those that the kernel has room for, running or not. */
unsigned machine_possible_cpus(void);
/* machine_rlimit: the highest value that may be asked for resource RLIMIT_*: UINT64_MAX without a limit. */
uint64_t machine_rlimit(const Machine *m, int resource);
