/* seccomp_profiles.h: profiles for the tests of the seccomp compiler: from JSON, and one as large as those in daily use. */
#pragma once

#include "base/bind.h"
#include "check.h"
#include "sys/seccomp.h"
#include "sys/seccomp_arch.h"

#define FIELD(T, key, bind_kind, member, ...) \
	{ \
		.name = (key), .kind = (bind_kind), .offset = offsetof(T, member), __VA_ARGS__ \
	}

BIND_TABLE(arg_table, "arg", SeccompArg, FIELD(SeccompArg, "index", BIND_U32, index), FIELD(SeccompArg, "value", BIND_U64, value),
	   FIELD(SeccompArg, "valueTwo", BIND_U64, value_two), FIELD(SeccompArg, "op", BIND_ENUM, op, .sub = seccomp_op_names));

BIND_TABLE(rule_table, "rule", SeccompRule, FIELD(SeccompRule, "names", BIND_STRINGS, names),
	   FIELD(SeccompRule, "action", BIND_ENUM, action, .sub = seccomp_action_names),
	   FIELD(SeccompRule, "errnoRet", BIND_OPT_UINT, errno_ret, .max = UINT32_MAX),
	   FIELD(SeccompRule, "args", BIND_LIST, args, .sub = &arg_table));

BIND_TABLE(profile_table, "profile", SeccompProfile,
	   FIELD(SeccompProfile, "defaultAction", BIND_ENUM, default_action, .sub = seccomp_action_names),
	   FIELD(SeccompProfile, "defaultErrnoRet", BIND_OPT_UINT, default_errno_ret, .max = UINT32_MAX),
	   FIELD(SeccompProfile, "architectures", BIND_ENUMS, architectures, .sub = seccomp_arch_names),
	   FIELD(SeccompProfile, "flags", BIND_ENUMS, flags, .sub = seccomp_flag_names),
	   FIELD(SeccompProfile, "listenerPath", BIND_STRING, listener_path),
	   FIELD(SeccompProfile, "syscalls", BIND_LIST, syscalls, .sub = &rule_table));

/* profile_of: a profile from JSON in which ' stands for ". */
static inline SeccompProfile profile_of(Arena *a, const char *json)
{
	SeccompProfile p;
	Err e = ERR_INIT;
	char *text = arena_strdup(a, json);
	assert_non_null(text);
	for (char *c = text; *c; c++)
		if (*c == '\'') *c = '"';
	if (bind_parse(&profile_table, text, strlen(text), &p, "test", a, &e) < 0) fail_msg("%s", e.msg);
	return p;
}

/* What an engine's default profile leaves out. */
static const char *const denied_by_default[] = {
	"_sysctl",
	"acct",
	"add_key",
	"afs_syscall",
	"bdflush",
	"bpf",
	"break",
	"clock_settime",
	"clock_settime64",
	"clone",
	"clone3",
	"create_module",
	"delete_module",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"ftime",
	"get_kernel_syms",
	"get_mempolicy",
	"getpmsg",
	"gtty",
	"idle",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lock",
	"lookup_dcookie",
	"mbind",
	"migrate_pages",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"mpx",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"personality",
	"pidfd_getfd",
	"pivot_root",
	"prof",
	"profil",
	"putpmsg",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"security",
	"set_mempolicy",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"socket",
	"stime",
	"stty",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"tuxcall",
	"ulimit",
	"umount",
	"umount2",
	"unshare",
	"uselib",
	"userfaultfd",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
	"vserver",
};

static inline bool denied(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(denied_by_default); i++)
		if (streq(denied_by_default[i], name)) return true;
	return false;
}

/* profile_like_default: every system call of x86 that is not denied above, and the conditions that default profiles have. */
static inline SeccompProfile profile_like_default(Arena *a)
{
	SeccompProfile p = profile_of(
		a, "{'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_X86','SCMP_ARCH_X32'],"
		   "'syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW'},"
		   "{'names':['personality'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':0,'op':'SCMP_CMP_EQ'}]},"
		   "{'names':['personality'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':8,'op':'SCMP_CMP_EQ'}]},"
		   "{'names':['personality'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':131072,'op':'SCMP_CMP_EQ'}]},"
		   "{'names':['personality'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':131080,'op':'SCMP_CMP_EQ'}]},"
		   "{'names':['personality'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':4294967295,'op':'SCMP_CMP_EQ'}]},"
		   "{'names':['clone'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':2114060288,'op':'SCMP_CMP_MASKED_EQ'}]},"
		   "{'names':['clone3'],'action':'SCMP_ACT_ERRNO','errnoRet':38},"
		   "{'names':['socket'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':40,'op':'SCMP_CMP_NE'}]}]}");
	StrList *names = &p.syscalls.items[0].names;
	names->items = arena_array(a, (size_t)seccomp_syscall_count() + 1, sizeof *names->items);
	assert_non_null(names->items);
	names->n = 0;
	const SeccompArch *wide = seccomp_arch(bind_value(seccomp_arch_names, "SCMP_ARCH_X86_64"));
	const SeccompArch *narrow = seccomp_arch(bind_value(seccomp_arch_names, "SCMP_ARCH_X86"));
	for (int row = 0; row < seccomp_syscall_count(); row++) {
		bool here = seccomp_syscall_nr(wide, row) != SECCOMP_NO_NR || seccomp_syscall_nr(narrow, row) != SECCOMP_NO_NR;
		if (here && !denied(seccomp_syscall_name(row))) names->items[names->n++] = seccomp_syscall_name(row);
	}
	return p;
}
