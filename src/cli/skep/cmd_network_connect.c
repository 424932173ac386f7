/* cmd_network_connect.c: network connect, disconnect. */
#include "cli/skep/containers.h"
#include "engine/network_connect.h"

static int check_names(const Invocation *in, Err *e)
{
	static const char *const kinds[] = { "network", "container" };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!str_trim(str_of(in->args.items[i])).n)
			return err_set(e, ERR_USAGE, EINVAL, "invalid %s name or ID: value is empty", kinds[i]);
	return 0;
}

static int take_driver_options(const Invocation *in, StrMap *to, Err *e)
{
	const StrList *given = option_list(in, "driver-opt");
	for (size_t i = 0; i < given->n; i++) {
		Str key, value;
		if (!str_cut(str_of(given->items[i]), '=', &key, &value) || !str_trim(key).n)
			return err_set(e, ERR_USAGE, EINVAL, "invalid key/value pair format in driver options");
		if (str_map_set(to, arena_str(in->arena, str_trim(key)), arena_str(in->arena, str_trim(value)), in->arena) < 0)
			return err_sys(e, ENOMEM, "network connect");
	}
	return 0;
}

static const char *text_of(const Invocation *in, const char *option)
{
	const char *text = option_value(in, option);
	return text && *text ? text : NULL;
}

static int wanted(const Invocation *in, EndpointAddresses *addresses, EndpointRequest *ret, Err *e)
{
	*addresses =
		(EndpointAddresses){ .ip = text_of(in, "ip"), .ip6 = text_of(in, "ip6"), .link_local = *option_list(in, "link-local-ip") };
	*ret = (EndpointRequest){ .network = in->args.items[0],
				  .links = *option_list(in, "link"),
				  .aliases = *option_list(in, "alias"),
				  .gateway_priority = (int32_t)option_number(in, "gw-priority") };
	if (addresses->ip || addresses->ip6 || addresses->link_local.n) ret->addresses = addresses;
	return take_driver_options(in, &ret->driver_options, e);
}

int network_connect_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	EndpointAddresses addresses;
	EndpointRequest q;
	Record c;
	int r = check_names(in, e);
	if (r < 0 || (r = wanted(in, &addresses, &q, e)) < 0 || (r = skep_engine(in, &g, e)) < 0) return r;
	r = record_find(&g, in->args.items[1], in->arena, &c, e);
	return r < 0 ? r : networking_connect(&g, &c, &q, in->arena, e);
}

int network_disconnect_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	int r = check_names(in, e);
	if (r < 0 || (r = skep_engine(in, &g, e)) < 0) return r;
	r = record_find(&g, in->args.items[1], in->arena, &c, e);
	return r < 0 ? r : networking_disconnect(&g, &c, in->args.items[0], option_switch(in, "force"), in->arena, e);
}
