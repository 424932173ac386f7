/* cap.c: see cap.h. */
#include "sys/cap.h"

#include <ctype.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROW(key, field) \
	{ \
		.name = (key), .kind = BIND_STRINGS, .offset = offsetof(Capabilities, field) \
	}
BIND_TABLE(capabilities_table, "capabilities", Capabilities, ROW("bounding", bounding), ROW("effective", effective),
	   ROW("inheritable", inheritable), ROW("permitted", permitted), ROW("ambient", ambient));

const BindName cap_names[] = {
	{ "CAP_CHOWN", 0 },
	{ "CAP_DAC_OVERRIDE", 1 },
	{ "CAP_DAC_READ_SEARCH", 2 },
	{ "CAP_FOWNER", 3 },
	{ "CAP_FSETID", 4 },
	{ "CAP_KILL", 5 },
	{ "CAP_SETGID", 6 },
	{ "CAP_SETUID", 7 },
	{ "CAP_SETPCAP", 8 },
	{ "CAP_LINUX_IMMUTABLE", 9 },
	{ "CAP_NET_BIND_SERVICE", 10 },
	{ "CAP_NET_BROADCAST", 11 },
	{ "CAP_NET_ADMIN", 12 },
	{ "CAP_NET_RAW", 13 },
	{ "CAP_IPC_LOCK", 14 },
	{ "CAP_IPC_OWNER", 15 },
	{ "CAP_SYS_MODULE", 16 },
	{ "CAP_SYS_RAWIO", 17 },
	{ "CAP_SYS_CHROOT", 18 },
	{ "CAP_SYS_PTRACE", 19 },
	{ "CAP_SYS_PACCT", 20 },
	{ "CAP_SYS_ADMIN", 21 },
	{ "CAP_SYS_BOOT", 22 },
	{ "CAP_SYS_NICE", 23 },
	{ "CAP_SYS_RESOURCE", 24 },
	{ "CAP_SYS_TIME", 25 },
	{ "CAP_SYS_TTY_CONFIG", 26 },
	{ "CAP_MKNOD", 27 },
	{ "CAP_LEASE", 28 },
	{ "CAP_AUDIT_WRITE", 29 },
	{ "CAP_AUDIT_CONTROL", 30 },
	{ "CAP_SETFCAP", 31 },
	{ "CAP_MAC_OVERRIDE", 32 },
	{ "CAP_MAC_ADMIN", 33 },
	{ "CAP_SYSLOG", 34 },
	{ "CAP_WAKE_ALARM", 35 },
	{ "CAP_BLOCK_SUSPEND", 36 },
	{ "CAP_AUDIT_READ", 37 },
	{ "CAP_PERFMON", 38 },
	{ "CAP_BPF", 39 },
	{ "CAP_CHECKPOINT_RESTORE", 40 },
	{ 0 },
};
enum { CAP_KNOWN = ARRAY_LEN(cap_names) - 2, CAP_MAX = 63 };

int cap_by_name(const char *name)
{
	char full[32] = "CAP_";
	size_t at = strncasecmp(name, "CAP_", 4) == 0 ? 0 : 4, n = strlen(name);
	if (at + n >= sizeof full) return -EINVAL;
	for (size_t i = 0; i <= n; i++)
		full[at + i] = (char)toupper((unsigned char)name[i]);
	int cap = bind_value(cap_names, full);
	return cap < 0 ? -EINVAL : cap;
}

const char *cap_name(int cap)
{
	return bind_name(cap_names, cap);
}

static bool cap_exists(int cap)
{
	return cap <= CAP_MAX && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0;
}

int cap_last(void)
{
	int cap = CAP_KNOWN;
	while (cap > 0 && !cap_exists(cap))
		cap--;
	while (cap_exists(cap + 1))
		cap++;
	return cap;
}

uint64_t cap_parse_list(const StrList *names, CapUnknown *unknown, void *data)
{
	uint64_t set = 0;
	for (size_t i = 0; i < names->n; i++) {
		/* every kernel from 5.10 on has all of the table */
		int cap = bind_value(cap_names, names->items[i]);
		if (cap >= 0)
			set |= CAP_BIT(cap);
		else if (unknown)
			unknown(data, names->items[i]);
	}
	return set;
}

int cap_drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap <= CAP_MAX; cap++) {
		if (keep & CAP_BIT(cap)) continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
		int r = -errno, present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (present < 0) return 0; /* beyond the kernel's last */
		if (present) return r;
	}
	return 0;
}

uint64_t cap_get_bounding(void)
{
	uint64_t set = 0;
	for (int cap = 0; cap <= CAP_MAX; cap++) {
		int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (r < 0) break;
		if (r) set |= CAP_BIT(cap);
	}
	return set;
}

static uint64_t join(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

int cap_get(CapSets *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	if (syscall(SYS_capget, &head, d) < 0) return -errno;
	*ret = (CapSets){
		.effective = join(d[0].effective, d[1].effective),
		.permitted = join(d[0].permitted, d[1].permitted),
		.inheritable = join(d[0].inheritable, d[1].inheritable),
	};
	return 0;
}

int cap_set(const CapSets *s)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable },
		{ (uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32), (uint32_t)(s->inheritable >> 32) },
	};
	return syscall(SYS_capset, &head, d) < 0 ? -errno : 0;
}

uint64_t cap_get_permitted(void)
{
	CapSets s = { 0 };
	return cap_get(&s) < 0 ? 0 : s.permitted;
}

uint64_t cap_get_effective(void)
{
	CapSets s = { 0 };
	return cap_get(&s) < 0 ? 0 : s.effective;
}

int cap_set_ambient(uint64_t set)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -errno;
	int r = 0;
	for (int cap = 0; cap <= CAP_MAX; cap++)
		if ((set & CAP_BIT(cap)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && r == 0) r = -errno;
	return r;
}

uint64_t cap_get_ambient(void)
{
	uint64_t set = 0;
	for (int cap = 0; cap <= CAP_MAX; cap++) {
		int r = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0);
		if (r < 0) break;
		if (r) set |= CAP_BIT(cap);
	}
	return set;
}
