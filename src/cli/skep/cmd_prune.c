/* cmd_prune.c: container, image, network, volume and system prune: what nobody uses any more goes. */
#include "base/size.h"
#include "base/time.h"
#include "cli/skep/confirm.h"
#include "cli/skep/containers.h"
#include "cli/skep/filters.h"
#include "cli/skep/store.h"
#include "engine/boot.h"
#include "engine/control.h"
#include "engine/mounts.h"
#include "engine/network_admin.h"
#include "engine/usage.h"
#include "engine/view.h"
#include "monitor/event_log.h"

enum { OUTPUT_MAX = 16 << 20 };

typedef struct Pruning {
	Invocation *in;
	const StrList *filters;
	Engine engine;
	Buf out;
	int64_t freed;
} Pruning;

static void pruning_done(Pruning *p)
{
	engine_close(&p->engine);
	buf_done(&p->out);
}

#define PRUNING(in) \
	{ \
		.in = (in), .filters = option_list(in, "filter"), .engine = { .root_dir = -1 }, .out = BUF_INIT(OUTPUT_MAX) \
	}

static int print_pruned(Pruning *p, Err *e)
{
	char size[SIZE_TEXT_MAX];
	size_format((double)p->freed, SIZE_DECIMAL, size);
	buf_printf(&p->out, "Total reclaimed space: %s\n", size);
	return print_buf(&p->out, e);
}

static void tell_pruned(const Pruning *p, const char *type, int64_t freed)
{
	char number[24];
	Err ignored = ERR_INIT;
	snprintf(number, sizeof number, "%lld", (long long)freed);
	StrPair reclaimed = { "reclaimed", number };
	(void)!event_append(p->engine.root_dir, &(Event){ .type = type, .action = "prune", .id = "", .attributes = { &reclaimed, 1 } },
			    NULL, &ignored);
}

static void put_deleted(Pruning *p, const char *title, const Buf *names)
{
	if (names->n) buf_printf(&p->out, "Deleted %s:\n%s\n", title, names->p);
	p->out.failed |= names->failed;
}

/* ---- containers ---- */

static int prune_container(Pruning *p, const Record *c, Buf *ids, Err *e)
{
	ContainerView v;
	int64_t own = 0, all = 0;
	Arena *a = p->in->arena;
	int r = container_view(&p->engine, c, a, &v, e);
	if (r < 0) return r;
	if (v.state.status == RUN_RUNNING || v.state.status == RUN_RESTARTING) return 0;
	if ((r = filter_prune(p->filters, &c->config.labels, c->created, e)) <= 0) return r;
	if ((r = container_usage(&p->engine, c, a, &own, &all, e)) < 0) return r;
	r = engine_remove(&p->engine, c, &(RemoveOptions){ .volumes = false }, e);
	if (r < 0) return r == -ENOENT ? 0 : r; /* somebody else has removed it meanwhile */
	buf_printf(ids, "%s\n", c->id);
	p->freed += own;
	return 0;
}

static int prune_containers(Pruning *p, Err *e)
{
	AUTO_BUF ids = BUF_INIT(OUTPUT_MAX);
	RecordList l;
	int64_t before = p->freed;
	int r = filter_prune_check(p->filters, true, e);
	if (r >= 0) r = record_list(&p->engine, p->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = prune_container(p, &l.items[i], &ids, e);
	put_deleted(p, "Containers", &ids);
	if (r >= 0) tell_pruned(p, "container", p->freed - before);
	return r < 0 ? r : engine_sweep(&p->engine, e);
}

int container_prune_run(Invocation *in, Err *e)
{
	AUTO(pruning_done) Pruning p = PRUNING(in);
	if (!confirmed(in, "WARNING! This will remove all stopped containers.")) return 0;
	int r = skep_engine(in, &p.engine, e);
	return r < 0 || (r = prune_containers(&p, e)) < 0 ? r : print_pruned(&p, e);
}

/* ---- volumes ---- */

static int prune_volume(Pruning *p, const Volumes *all, const Volume *v, Buf *names, Err *e)
{
	Err why = ERR_INIT;
	int r = filter_prune(p->filters, &v->labels, 0, e);
	if (r <= 0) return r;
	int64_t size = volume_usage(&p->engine, v->name);
	r = volume_remove(all, v->name, &why);
	if (r == -EBUSY || r == -ENOENT) return 0; /* a container has it, or somebody else was quicker */
	if (r < 0) {
		*e = why;
		return r;
	}
	volume_event(&p->engine, "destroy", v->name);
	buf_printf(names, "%s\n", v->name);
	p->freed += size;
	return 0;
}

static int prune_volumes(Pruning *p, bool all, Err *e)
{
	const Volumes v = engine_volumes(&p->engine);
	AUTO_BUF names = BUF_INIT(OUTPUT_MAX);
	VolumeList l;
	int64_t before = p->freed;
	int r = filter_prune_check(p->filters, false, e);
	if (r >= 0) r = volume_list(&v, p->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		if (all || l.items[i].anonymous) r = prune_volume(p, &v, &l.items[i], &names, e);
	put_deleted(p, "Volumes", &names);
	if (r >= 0) tell_pruned(p, "volume", p->freed - before);
	return r < 0 ? r : store_sweep(p->engine.store, e);
}

int volume_prune_run(Invocation *in, Err *e)
{
	AUTO(pruning_done) Pruning p = PRUNING(in);
	bool all = option_switch(in, "all");
	if (!confirmed(in, all ? "WARNING! This will remove all volumes not used by at least one container."
			       : "WARNING! This will remove anonymous local volumes not used by at least one container."))
		return 0;
	int r = skep_engine(in, &p.engine, e);
	return r < 0 || (r = prune_volumes(&p, all, e)) < 0 ? r : print_pruned(&p, e);
}

/* ---- networks ---- */

static int prune_network(Pruning *p, const Network *n, Buf *names, Err *e)
{
	Err why = ERR_INIT;
	int r = engine_network_prunable(n) ? filter_prune(p->filters, &n->labels, n->created, e) : 0;
	if (r <= 0) return r;
	r = engine_network_remove(&p->engine, n, &why);
	if (r == -EBUSY || r == -ENOENT) return 0; /* a container runs in it, or somebody else was quicker */
	if (r < 0) {
		*e = why;
		return r;
	}
	buf_printf(names, "%s\n", n->name);
	return 0;
}

static int prune_networks(Pruning *p, Err *e)
{
	const Networks all = networking_networks(&p->engine);
	AUTO_BUF names = BUF_INIT(OUTPUT_MAX);
	NetworkList l;
	int r = filter_prune_check(p->filters, true, e);
	if (r >= 0) r = network_list(&all, p->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = prune_network(p, &l.items[i], &names, e);
	put_deleted(p, "Networks", &names);
	if (r >= 0) tell_pruned(p, "network", 0);
	return r;
}

int network_prune_run(Invocation *in, Err *e)
{
	AUTO(pruning_done) Pruning p = PRUNING(in);
	if (!confirmed(in, "WARNING! This will remove all custom networks not used by at least one container.")) return 0;
	int r = skep_engine(in, &p.engine, e);
	return r < 0 || (r = prune_networks(&p, e)) < 0 ? r : print_buf(&p.out, e);
}

/* ---- images ---- */

static int passes(Pruning *p, const Image *i, Err *e)
{
	ImageConfig c;
	int64_t created = 1; /* long ago, when the image does not say */
	if (!p->filters->n) return 1;
	int r = image_documents(p->engine.store, i, p->in->arena, NULL, &c, e);
	if (r < 0) return r;
	if (i->created && time_parse(str_of(i->created), &created) < 0) created = 1;
	return filter_prune(p->filters, &c.config.labels, created, e);
}

static int prune_image(Pruning *p, const Image *i, Buf *names, Err *e)
{
	Removal done;
	Err why = ERR_INIT;
	int r = passes(p, i, e);
	if (r <= 0) return r;
	r = image_remove(p->engine.store, i, true, p->in->arena, &done, &why);
	if (r == -EBUSY) return 0; /* a container has it, or it is mounted */
	if (r < 0) {
		*e = why;
		return r;
	}
	put_removal(p->engine.store, i, &done, "untagged", "deleted", names);
	p->freed += done.freed;
	return 0;
}

static int prune_images(Pruning *p, bool all, Err *e)
{
	AUTO_BUF names = BUF_INIT(OUTPUT_MAX);
	ImageList l;
	int64_t before = p->freed;
	int r = filter_prune_check(p->filters, true, e);
	if (r >= 0) r = image_list(p->engine.store, p->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		if (all || !l.items[i].names.n) r = prune_image(p, &l.items[i], &names, e);
	put_deleted(p, "Images", &names);
	if (r >= 0) tell_pruned(p, "image", p->freed - before);
	return r;
}

int image_prune_run(Invocation *in, Err *e)
{
	AUTO(pruning_done) Pruning p = PRUNING(in);
	bool all = option_switch(in, "all"), blobs = option_switch(in, "blobs");
	const char *warning = blobs ? "WARNING! This will remove the compressed layers of all images; a push will compress them anew."
			      : all ? "WARNING! This will remove all images without at least one container associated to them."
				    : "WARNING! This will remove all dangling images.";
	if (blobs && p.filters->n)
		return err_set(e, ERR_USAGE, EINVAL, "--blobs: the layers of all images go: there is no --filter with it");
	if (!confirmed(in, warning)) return 0;
	int r = skep_engine(in, &p.engine, e);
	if (r >= 0) r = blobs ? store_drop_blobs(p.engine.store, &p.freed, e) : prune_images(&p, all, e);
	return r < 0 ? r : print_pruned(&p, e);
}

/* ---- all of it ---- */

static bool has_until(const StrList *filters)
{
	for (size_t i = 0; i < filters->n; i++)
		if (starts_with(filters->items[i], "until=")) return true;
	return false;
}

/* docker's words. There is no build cache yet. */
static const char *system_warning(const Pruning *p, bool all, bool volumes, Buf *b)
{
	buf_puts(b, "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n");
	if (volumes) buf_puts(b, "  - all anonymous volumes not used by at least one container\n");
	buf_puts(b, all ? "  - all images without at least one container associated to them\n  - all build cache\n"
			: "  - all dangling images\n  - unused build cache\n");
	if (p->filters->n) buf_puts(b, "\n  Items to be pruned will be filtered with:\n");
	for (size_t i = 0; i < p->filters->n; i++)
		buf_printf(b, "  - %s\n", p->filters->items[i]);
	return buf_str(b);
}

int system_prune_run(Invocation *in, Err *e)
{
	AUTO(pruning_done) Pruning p = PRUNING(in);
	AUTO_BUF warning = BUF_INIT(OUTPUT_MAX);
	bool all = option_switch(in, "all"), volumes = option_switch(in, "volumes");
	if (volumes && has_until(p.filters))
		return err_set(e, ERR_USAGE, EINVAL, "ERROR: The \"until\" filter is not supported with \"--volumes\"");
	if (!confirmed(in, system_warning(&p, all, volumes, &warning))) return 0;
	int r = skep_engine(in, &p.engine, e);
	if (r >= 0) r = prune_containers(&p, e);
	if (r >= 0) r = prune_networks(&p, e);
	if (r >= 0 && volumes) r = prune_volumes(&p, false, e);
	if (r >= 0) r = prune_images(&p, all, e);
	return r < 0 ? r : print_pruned(&p, e);
}
