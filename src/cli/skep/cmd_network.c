/* cmd_network.c: network inspect, rm, exists, reload. */
#include "cli/skep/containers.h"
#include "cli/skep/inspect.h"
#include "engine/network_admin.h"
#include "engine/network_rules.h"
#include "engine/network_view.h"

enum { OUTPUT_MAX = 16 << 20 };

/* ---- inspect ---- */

int inspect_network(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e)
{
	Network n;
	int r = engine_network_find(g, name, in->arena, &n, e);
	return r < 0 ? r : network_view_json(g, &n, in->arena, w, e);
}

int network_inspect_run(Invocation *in, Err *e)
{
	return inspect_each(in, inspect_network, e);
}

int network_exists_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Network n;
	int r = skep_engine(in, &g, e);
	if (r < 0) return r;
	r = engine_network_find(&g, in->args.items[0], in->arena, &n, e);
	return r == -ENOENT ? 1 : r;
}

/* ---- rm ---- */

static int remove_one(Invocation *in, Engine *g, const char *name, bool *ret_gone, Err *e)
{
	Network n;
	int r = engine_network_find(g, name, in->arena, &n, e);
	*ret_gone = r == -ENOENT;
	return r < 0 ? r : engine_network_remove(g, &n, e);
}

int network_rm_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0) return r;
	for (size_t i = 0; i < in->args.n; i++) {
		Err why = ERR_INIT;
		bool gone;
		r = remove_one(in, &g, in->args.items[i], &gone, &why);
		if (r < 0 && gone && option_switch(in, "force")) continue;
		if (r < 0) {
			tell_failure(in, &why);
			status = 1;
		} else if (dprintf(1, "%s\n", in->args.items[i]) < 0) {
			return err_sys(e, errno, "write to standard output");
		}
	}
	return status;
}

/* ---- reload ---- */

/* Of the containers named, or of all, those that run and have networks of their own. */
static int list_reloaded(Invocation *in, Engine *g, RecordList *ret, Err *e)
{
	if (!in->args.n || option_switch(in, "all")) return record_list(g, in->arena, ret, e);
	*ret = (RecordList){ .items = arena_array(in->arena, in->args.n, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "network reload");
	for (; ret->n < in->args.n; ret->n++) {
		int r = record_find(g, in->args.items[ret->n], in->arena, &ret->items[ret->n], e);
		if (r < 0) return r;
	}
	return 0;
}

static int put_reloaded(Engine *g, const RecordList *l, Buf *out, Err *e)
{
	const Networks all = networking_networks(g);
	for (size_t i = 0; i < l->n; i++) {
		const Record *c = &l->items[i];
		int r = networking_is_own(c->host.network_mode) ? all.runs(all.arg, c->id, e) : 0;
		if (r < 0) return r;
		if (r) buf_printf(out, "%s\n", c->id);
	}
	return 0;
}

int network_reload_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF ids = BUF_INIT(OUTPUT_MAX);
	RecordList l;
	if (in->args.n && option_switch(in, "all"))
		return err_set(e, ERR_USAGE, EINVAL, "conflicting options: --all and the names of containers");
	int r = skep_engine(in, &g, e);
	if (r >= 0) r = list_reloaded(in, &g, &l, e);
	if (r >= 0) r = networking_heal(&g, true, in->arena, NULL, e);
	if (r >= 0) r = put_reloaded(&g, &l, &ids, e);
	return r < 0 ? r : print_buf(&ids, e);
}
