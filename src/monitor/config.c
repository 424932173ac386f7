/* config.c: see config.h. */
#include "monitor/config.h"

#include <fcntl.h>

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(monitor_log_table, "log", MonitorLog, ROW(MonitorLog, "driver", BIND_STRING, driver),
	   ROW(MonitorLog, "options", BIND_MAP, options), ROW(MonitorLog, "fields", BIND_MAP, fields),
	   ROW(MonitorLog, "tag", BIND_STRING, tag), ROW(MonitorLog, "packer", BIND_STRINGS, packer));

BIND_TABLE(monitor_port_table, "port", MonitorPort, ROW(MonitorPort, "host", BIND_STRING, host), ROW(MonitorPort, "to", BIND_STRING, to),
	   ROW(MonitorPort, "hostPort", BIND_U32, host_port), ROW(MonitorPort, "port", BIND_U32, port),
	   ROW(MonitorPort, "protocol", BIND_U32, protocol), ROW(MonitorPort, "direct", BIND_BOOL, direct));

#define M(json_name, k, field, ...) ROW(MonitorConfig, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(monitor_config_table, "monitor", MonitorConfig, M("id", BIND_STRING, id, .flags = BIND_REQUIRED), M("name", BIND_STRING, name),
	   M("runtimeRoot", BIND_STRING, runtime_root, .flags = BIND_REQUIRED), M("sockets", BIND_STRING, sockets, .flags = BIND_REQUIRED),
	   M("stateRoot", BIND_STRING, state_root, .flags = BIND_REQUIRED), M("cgroupDriver", BIND_I32, cgroup_driver),
	   M("tty", BIND_BOOL, tty), M("openStdin", BIND_BOOL, open_stdin), M("stdinOnce", BIND_BOOL, stdin_once), M("uid", BIND_U32, uid),
	   M("gid", BIND_U32, gid), M("log", BIND_OBJECT, log, .sub = &monitor_log_table), M("restart", BIND_STRING, restart),
	   M("restartMax", BIND_I32, restart_max), M("stopSignal", BIND_STRING, stop_signal), M("stopTimeout", BIND_I32, stop_timeout),
	   M("health", BIND_POINTER, health, .sub = &healthcheck_table), M("healthOnFailure", BIND_STRING, health_on_failure),
	   M("layers", BIND_STRING, layers), M("ended", BIND_STRING, ended), M("ports", BIND_LIST, ports, .sub = &monitor_port_table),
	   M("devices", BIND_U32S, devices), M("attendant", BIND_STRINGS, attendant), M("sources", BIND_STRINGS, sources),
	   M("volumes", BIND_STRINGS, volumes), M("unmounts", BIND_STRINGS, unmounts), M("attributes", BIND_MAP, attributes),
	   M("again", BIND_STRINGS, again), M("remove", BIND_STRINGS, remove));
#undef M

int monitor_config_read(int fd, Arena *a, MonitorConfig *ret, Err *e)
{
	char *text, path[FD_PATH_MAX];
	size_t n;
	int r = fd_read_file(AT_FDCWD, fd_path(fd, path), MONITOR_CONFIG_MAX, a, &text, &n, e);
	return r < 0 ? r : bind_parse(&monitor_config_table, text, n, ret, "the monitor's configuration", a, e);
}

int monitor_config_file(const MonitorConfig *c, Err *e)
{
	AUTO_BUF b = BUF_INIT(MONITOR_CONFIG_MAX);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&monitor_config_table, c, &w);
	if (buf_failed(&b))
		return err_set(e, ERR_RESOURCE, EFBIG, "the monitor's configuration is larger than %d bytes", MONITOR_CONFIG_MAX);
	int fd = fd_memory_file("monitor.json", b.p, b.n);
	return fd < 0 ? err_sys(e, -fd, "start a monitor") : fd;
}
