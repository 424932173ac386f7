/* network_admin.c: see network_admin.h. */
#include "engine/network_admin.h"

#include "engine/network_connect.h"
#include "engine/network_rules.h"

int engine_network_create(Engine *g, const Network *want, Arena *a, Network *ret, Err *e)
{
	const Networks all = networking_networks(g);
	int r = network_create(&all, want, a, ret, e);
	if (r >= 0) network_event(g, ret, "create", NULL);
	return r;
}

int engine_network_find(Engine *g, const char *name, Arena *a, Network *ret, Err *e)
{
	const Networks all = networking_networks(g);
	if (!str_trim(str_of(name)).n) return err_set(e, ERR_USAGE, EINVAL, "invalid network name or ID: value is empty");
	return network_find(&all, name, a, ret, e);
}

static int drop(void *arg, const Network *n, Err *e)
{
	(void)arg;
	return networking_drop(n, e);
}

int engine_network_remove(Engine *g, const Network *n, Err *e)
{
	Networks all = networking_networks(g);
	all.drop = drop;
	int r = network_remove(&all, n, e);
	if (r < 0) return r;
	network_event(g, n, "destroy", NULL);
	return 0;
}

bool engine_network_prunable(const Network *n)
{
	return network_is_user(n) && !n->config_only;
}
