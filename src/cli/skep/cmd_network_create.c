/* cmd_network_create.c: network create. */
#include "cli/skep/containers.h"
#include "cli/skep/network_options.h"
#include "engine/network_admin.h"

/* Addresses are managed by one driver. */
static int check_ipam(const char *driver, Err *e)
{
	if (!driver || !*driver || streq(driver, "default")) return 0;
	if (streq(driver, "null")) return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "ipv4 pool is empty");
	return err_set(e, ERR_NOT_FOUND, ENOTSUP, "plugin \"%.128s\" not found", driver);
}

static int take_labels(const Invocation *in, StrMap *to)
{
	const StrList *given = option_list(in, "label");
	int r = 0;
	for (size_t i = 0; r >= 0 && i < given->n; i++) {
		Str key, value;
		(void)str_cut(str_of(given->items[i]), '=', &key, &value);
		r = str_map_set(to, arena_str(in->arena, key), arena_str(in->arena, value), in->arena);
	}
	return r;
}

static int take_maps(const Invocation *in, Network *to, StrMap *reserved)
{
	int r = take_labels(in, &to->labels);
	if (r >= 0) r = option_map(in, "opt", &to->options);
	if (r >= 0) r = option_map(in, "ipam-opt", &to->ipam_options);
	return r < 0 ? r : option_map(in, "aux-address", reserved);
}

static int wanted(Invocation *in, Network *ret, Err *e)
{
	StrMap reserved;
	const char *config_from = option_value(in, "config-from");
	*ret = (Network){ .name = in->args.items[0],
			  .driver = option_value(in, "driver"),
			  .scope = option_value(in, "scope"),
			  .ipv4 = option_switch(in, "ipv4"),
			  .ipv6 = option_switch(in, "ipv6"),
			  .internal = option_switch(in, "internal"),
			  .attachable = option_switch(in, "attachable"),
			  .ingress = option_switch(in, "ingress"),
			  .config_only = option_switch(in, "config-only"),
			  .config_from = config_from && *config_from ? config_from : NULL };
	if (take_maps(in, ret, &reserved) < 0) return err_sys(e, ENOMEM, "network create");
	const SubnetOptions subnets = { .subnets = option_list(in, "subnet"),
					.ranges = option_list(in, "ip-range"),
					.gateways = option_list(in, "gateway"),
					.reserved = &reserved };
	int r = network_subnets(&subnets, in->arena, &ret->pools, e);
	return r < 0 ? r : check_ipam(option_value(in, "ipam-driver"), e);
}

int network_create_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Network want, made;
	int r = wanted(in, &want, e);
	if (r < 0 || (r = skep_engine(in, &g, e)) < 0 || (r = engine_network_create(&g, &want, in->arena, &made, e)) < 0) return r;
	return dprintf(1, "%s\n", made.id) < 0 ? err_sys(e, errno, "write to standard output") : 0;
}
