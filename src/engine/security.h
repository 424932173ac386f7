/* security.h: HostConfig.SecurityOpt, the options of --security-opt, taken apart. */
#pragma once

#include "base/bind.h"

typedef struct Security {
	bool no_new_privileges;
	bool writable_cgroups;
	bool open_paths;      /* systempaths=unconfined: nothing masked, nothing read-only */
	const char *seccomp;  /* NULL: the default profile; "unconfined"; the text of a profile */
	const char *apparmor; /* NULL: nothing asked for */
	bool label_disable;
	StrMap labels; /* SELinux: user, role, type, level, filetype */
} Security;

/* security_parse: the last of several options of a kind counts. -EINVAL with docker's words. */
int security_parse(const StrList *options, Arena *a, Security *ret, Err *e) MUST_USE;
