/* network_hold.c: see network_hold.h. */
#include "monitor/network_hold.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "link/bridge.h"
#include "link/rules.h"

enum { BATCH_MAX = 8 << 20 };

static int rule_of(const MonitorPort *p, RulesPort *ret)
{
	*ret = (RulesPort){
		.direct = p->direct, .host_port = (uint16_t)p->host_port, .port = (uint16_t)p->port, .protocol = (uint8_t)p->protocol
	};
	return ip_parse(str_of(p->host), &ret->host) < 0 || ip_parse(str_of(p->to), &ret->to) < 0 ? -EINVAL : 0;
}

/* All at once; where somebody has taken one away before us, one by one. */
static int remove_ports(const MonitorConfig *c)
{
	Err ignored = ERR_INIT;
	RulesPort rule;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = nft_open(&ignored);
	if (sock < 0) return -1;
	for (size_t i = 0; i < c->ports.n; i++)
		if (rule_of(&c->ports.items[i], &rule) >= 0) rules_ports(&b, NFT_DELETE, &rule, 1);
	if (nft_commit(&b, sock, &ignored) >= 0) return take_fd(sock);
	for (size_t i = 0; i < c->ports.n; i++)
		if (rule_of(&c->ports.items[i], &rule) >= 0) rules_forget(sock, &rule);
	return take_fd(sock);
}

size_t network_hold_unpublish(MonitorConfig *c, int *ports, size_t n_ports, int family)
{
	Err ignored = ERR_INIT;
	RulesPort rule;
	size_t left = 0;
	AUTO_FD int sock = nft_open(&ignored);
	for (size_t i = 0; i < c->ports.n && i < n_ports; i++) {
		const MonitorPort p = c->ports.items[i];
		if (rule_of(&p, &rule) >= 0 && rule.host.family == family) {
			if (sock >= 0) rules_forget(sock, &rule);
			fd_close(ports[i]);
			continue;
		}
		ports[left] = ports[i];
		c->ports.items[left++] = p;
	}
	c->ports.n = left;
	return left;
}

/* Before anybody else can have the container's addresses. */
static void leave_bridges(const MonitorConfig *c)
{
	AUTO_FD int sock = -1;
	Err ignored = ERR_INIT;
	if (!c->devices.n || rtnl_open(&sock, &ignored) < 0) return;
	for (size_t i = 0; i < c->devices.n; i++)
		bridge_leave(sock, (int)c->devices.items[i]);
}

static void make_mark(int dir, const char *name)
{
	AUTO_FD int mark = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	(void)mark;
}

int network_hold_release(const MonitorConfig *c, int *ports, size_t n_ports)
{
	char going[NETWORK_GOING_MAX];
	AUTO_FD int dir = c->ended ? open(c->ended, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int sock = -1;
	leave_bridges(c);
	if (c->ports.n) {
		snprintf(going, sizeof going, NETWORK_GOING, c->id);
		if (dir >= 0) make_mark(dir, going);
		sock = remove_ports(c);
	}
	for (size_t i = 0; i < n_ports; i++)
		ports[i] = fd_close(ports[i]);
	if (dir >= 0) make_mark(dir, c->id);
	if (dir >= 0 && c->ports.n) (void)!unlinkat(dir, going, 0);
	return sock;
}
