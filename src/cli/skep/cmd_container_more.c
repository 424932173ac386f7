/* cmd_container_more.c: update, port, boot. */
#include "cli/skep/container_options.h"
#include "cli/skep/containers.h"
#include "cli/skep/ports_text.h"
#include "engine/boot.h"
#include "engine/control.h"
#include "engine/networking.h"
#include "engine/start.h"
#include "engine/update.h"
#include "sys/fd.h"

/* ---- update ---- */

static int update_one(Engine *g, const Record *c, void *arg, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	StrList warnings = { 0 };
	int r = engine_update(g, c, arg, &a, &warnings, e);
	for (size_t i = 0; r >= 0 && i < warnings.n; i++)
		dprintf(2, "WARNING: %s\n", warnings.items[i]);
	return r;
}

int container_update_run(Invocation *in, Err *e)
{
	HostConfig change;
	int r = update_options_parse(in, &change, e);
	return r < 0 ? r : each_container(in, &(EachContainer){ .fn = update_one, .arg = &change }, e);
}

/* ---- port ---- */

/* Those that one port of the container has, or with a line's beginning that says which all of them. */
static int put_published(const OwnedPortList *l, const char *wanted, Err *e)
{
	char address[PORT_ADDRESS_MAX], port[16];
	int n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const PublishedPort *p = &l->items[i].port;
		snprintf(port, sizeof port, "%u/%s", p->port, port_protocol(p->protocol));
		if (wanted && !streq(wanted, port)) continue;
		n++;
		if (dprintf(1, "%s%s%s\n", wanted ? "" : port, wanted ? "" : " -> ", port_address_text(p, address)) < 0)
			return err_sys(e, errno, "write to standard output");
	}
	return n;
}

int container_port_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	RunState state;
	OwnedPortList l = { 0 };
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0 || (r = engine_state(&g, &c, in->arena, &state, e)) < 0)
		return r;
	const Networks networks = networking_networks(&g);
	if (state.status == RUN_RUNNING && (r = ports_of(&networks, c.id, in->arena, &l, e)) < 0) return r;
	if (in->args.n < 2) return (r = put_published(&l, NULL, e)) < 0 ? r : 0;
	const char *port = in->args.items[1];
	Str number = { port, strcspn(port, "/") };
	uint64_t n;
	if (str_to_u64(number, &n) < 0 || n > 65535)
		return err_set(e, ERR_USAGE, EINVAL, "Error: invalid port (%.*s): strconv.ParseUint: parsing \"%.*s\": invalid syntax",
			       (int)number.n, port, (int)number.n, port);
	const char *wanted = port[number.n] ? port : arena_printf(in->arena, "%s/tcp", port);
	if (!wanted) return err_sys(e, ENOMEM, "port");
	if ((r = put_published(&l, wanted, e)) != 0) return r < 0 ? r : 0;
	return err_set(e, ERR_NOT_FOUND, ENOENT, "Error: No public port '%s' published for %s", port, in->args.items[0]);
}

/* ---- boot ---- */

static int boot_one(Engine *g, const Record *c, Arena *a, Err *e)
{
	RunState s;
	int sock = -1, r = engine_state(g, c, a, &s, e);
	if (r < 0) return r == -ENOENT ? 0 : r;
	if (s.status == RUN_RUNNING) return 0;
	if (c->host.auto_remove && s.status != RUN_CREATED) /* whose monitor had no time for it */
		return engine_remove(g, c, &(RemoveOptions){ .volumes = true }, e);
	if (!engine_should_boot(c, &s)) return 0;
	r = engine_start(g, c, &(StartOptions){ 0 }, a, &sock, e);
	fd_close(sock);
	if (r < 0) return r == -EALREADY ? 0 : r;
	return dprintf(1, "%s\n", c->name) < 0 ? err_sys(e, errno, "write to standard output") : 0;
}

int boot_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	RecordList l;
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0 || (r = engine_sweep(&g, e)) < 0 || (r = record_list(&g, in->arena, &l, e)) < 0) return r;
	for (size_t i = l.n; i > 0; i--) { /* the oldest first */
		Err why = ERR_INIT;
		if (boot_one(&g, &l.items[i - 1], in->arena, &why) >= 0) continue;
		err_wrap(&why, "boot %s", l.items[i - 1].name);
		tell_failure(in, &why);
		status = 1;
	}
	return status;
}
