/* exec_request.c: see exec_request.h. */
#include "monitor/exec_request.h"

#define R(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(MonitorExec, field), ##__VA_ARGS__ \
	}
BIND_TABLE(monitor_exec_table, "exec", MonitorExec, R("id", BIND_STRING, id), R("args", BIND_STRINGS, args, .flags = BIND_REQUIRED),
	   R("env", BIND_STRINGS, env), R("user", BIND_STRING, user), R("workingDir", BIND_STRING, working_dir), R("tty", BIND_BOOL, tty),
	   R("privileged", BIND_BOOL, privileged), R("rows", BIND_U32, rows), R("columns", BIND_U32, columns),
	   R("quiet", BIND_BOOL, quiet));
#undef R
