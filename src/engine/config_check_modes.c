/* config_check_modes.c: namespaces that are shared, and what cannot go with it. */
#include "engine/config_check_impl.h"

static bool is(const char *mode, const char *name)
{
	return mode && streq(mode, name);
}

static bool is_empty(const char *mode)
{
	return !mode || !*mode;
}

/* "container:" with something behind it. */
static bool names_container(const char *mode)
{
	return mode && starts_with(mode, "container:") && mode[strlen("container:")];
}

static int check_network(Checker *c)
{
	const HostConfig *h = c->host;
	const char *mode = h->network_mode;
	bool ports = h->publish_all_ports || (h->port_bindings && h->port_bindings->type == JSON_OBJECT && h->port_bindings->n);
	bool hostname = c->config->hostname && *c->config->hostname;
	if (is(h->uts_mode, "host") && hostname) return check_fail(c, "conflicting options: hostname and the UTS mode");
	if (is(h->uts_mode, "host") && !is_empty(c->config->domainname))
		return check_fail(c, "conflicting options: domainname and the UTS mode");
	if (is(mode, "host") && h->links.n)
		return check_fail(
			c, "conflicting options: host type networking can't be used with links. This would result in undefined behavior");
	if (is(mode, "host") && ports) check_warn(c, "Published ports are discarded when using host network mode");
	if (is(mode, "ns:")) return check_fail(c, "invalid network mode: ns: needs a path");
	if (!is(mode, "container") && !(mode && starts_with(mode, "container:"))) return 0;
	if (!names_container(mode)) return check_fail(c, "invalid network mode: invalid container format container:<name|id>");
	if (hostname) return check_fail(c, "conflicting options: hostname and the network mode");
	if (h->links.n)
		return check_fail(
			c, "conflicting options: container type network can't be used with links. This would result in undefined behavior");
	if (h->dns.n) return check_fail(c, "conflicting options: dns and the network mode");
	if (h->extra_hosts.n) return check_fail(c, "conflicting options: custom host-to-IP mapping and the network mode");
	if (ports) return check_fail(c, "conflicting options: port publishing and the container type network mode");
	if (c->config->exposed_ports.n) return check_fail(c, "conflicting options: port exposing and the container type network mode");
	return 0;
}

static int check_ipc(Checker *c)
{
	HostConfig *h = c->host;
	const char *mode = h->ipc_mode;
	if (is_empty(mode)) h->ipc_mode = "private";
	bool known = is_empty(mode) || is(mode, "none") || is(mode, "private") || is(mode, "shareable") || is(mode, "host") ||
		     names_container(mode);
	if (is(mode, "container:")) return check_fail(c, "failed to join IPC namespace: invalid name or ID supplied: \"\"");
	if (!known) return check_fail(c, "invalid IPC mode: %.128s", mode);
	if (h->shm_size < 0) return check_fail(c, "SHM size can not be less than 0");
	if (!h->shm_size) h->shm_size = INT64_C(64) << 20;
	return 0;
}

static int check_cgroupns(Checker *c)
{
	HostConfig *h = c->host;
	bool v2 = machine_has(c->machine, MACHINE_CGROUP2);
	if (!is_empty(h->cgroupns_mode) && !is(h->cgroupns_mode, "private") && !is(h->cgroupns_mode, "host"))
		return check_fail(c, "invalid cgroup namespace mode: %.128s", h->cgroupns_mode);
	if (is_empty(h->cgroupns_mode)) h->cgroupns_mode = v2 ? "private" : "host";
	if (is(h->cgroupns_mode, "private") && !machine_has(c->machine, MACHINE_CGROUP_NAMESPACES))
		check_warn(c, "Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.");
	return 0;
}

static int check_userns(Checker *c)
{
	static const char *const modes[] = { "host", "private", "auto", "keep-id", "nomap" };
	const HostConfig *h = c->host;
	const char *mode = h->userns_mode;
	if ((h->uid_map.n || h->gid_map.n) && !is_empty(mode) && !is(mode, "private"))
		return check_fail(c, "conflicting options: --uidmap and --gidmap cannot be used with --userns %.128s", mode);
	if ((h->subuid_name || h->subgid_name) && !is_empty(mode) && !is(mode, "private"))
		return check_fail(c, "conflicting options: --subuidname and --subgidname cannot be used with --userns %.128s", mode);
	if ((h->subuid_name || h->subgid_name) && (h->uid_map.n || h->gid_map.n))
		return check_fail(c, "conflicting options: --subuidname and --subgidname cannot be used with --uidmap and --gidmap");
	if (is_empty(mode) || names_container(mode) || (starts_with(mode, "ns:/"))) return 0;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		size_t n = strlen(modes[i]);
		bool options = streq(modes[i], "auto") || streq(modes[i], "keep-id");
		if (strncmp(mode, modes[i], n) == 0 && (!mode[n] || (options && mode[n] == ':'))) return 0;
	}
	return check_fail(c, "invalid USER mode: %.128s", mode);
}

int check_modes(Checker *c)
{
	const HostConfig *h = c->host;
	int r;
	if ((r = check_network(c)) < 0 || (r = check_ipc(c)) < 0) return r;
	if (!is_empty(h->pid_mode) && !is(h->pid_mode, "host") && !is(h->pid_mode, "private") && !names_container(h->pid_mode))
		return check_fail(c, "invalid PID mode: %.128s", h->pid_mode);
	if (!is_empty(h->uts_mode) && !is(h->uts_mode, "host") && !is(h->uts_mode, "private"))
		return check_fail(c, "invalid UTS mode: %.128s", h->uts_mode);
	if ((r = check_cgroupns(c)) < 0) return r;
	return check_userns(c);
}
