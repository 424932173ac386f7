/* cmd_df.c: system df: what images, containers and volumes take, and what of it would be free without those that nobody uses. */
#include "base/size.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "cli/skep/store.h"
#include "engine/mounts.h"
#include "engine/usage.h"
#include "engine/view.h"

typedef struct Usage {
	const char *type;
	int64_t total, active, size, reclaimable;
} Usage;

typedef struct Df {
	Invocation *in;
	Engine engine;
	Buf out;
} Df;

static void df_done(Df *d)
{
	engine_close(&d->engine);
	buf_done(&d->out);
}

static void shown_size(int64_t bytes, char text[static SIZE_TEXT_MAX])
{
	size_format_digits((double)bytes, SIZE_DECIMAL, 4, text);
}

static int put_table(Df *d, const char *title, Format *f, Err *e)
{
	const Buf *table;
	int r = format_finish(f, &table, e);
	if (r < 0) return r;
	buf_puts(&d->out, title);
	buf_put(&d->out, table->p, table->n);
	return 0;
}

/* ---- sums ---- */

static int look_at_containers(Df *d, Usage *u, Err *e)
{
	RecordList l;
	int r = record_list(&d->engine, d->in->arena, &l, e);
	u->total = (int64_t)l.n;
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		ContainerView v;
		int64_t own = 0, all = 0;
		if ((r = container_view(&d->engine, &l.items[i], d->in->arena, &v, e)) < 0) return r;
		if ((r = container_usage(&d->engine, &l.items[i], d->in->arena, &own, &all, e)) < 0) return r;
		bool runs = v.state.status == RUN_RUNNING || v.state.status == RUN_RESTARTING;
		u->active += runs;
		u->size += own;
		if (!runs) u->reclaimable += own;
	}
	return r;
}

static int look_at_volumes(Df *d, Usage *u, Err *e)
{
	const Volumes all = engine_volumes(&d->engine);
	VolumeList l;
	int r = volume_list(&all, d->in->arena, &l, e);
	u->total = (int64_t)l.n;
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		StrList users;
		int64_t size = volume_usage(&d->engine, l.items[i].name);
		r = volume_users(&all, l.items[i].name, d->in->arena, &users, e);
		u->size += size;
		if (r >= 0 && users.n)
			u->active++;
		else
			u->reclaimable += size;
	}
	return r;
}

static int put_usage(const Df *d, Format *f, const Usage *u, Err *e)
{
	char size[SIZE_TEXT_MAX], free_text[SIZE_TEXT_MAX], with_share[2 * SIZE_TEXT_MAX], total[24], active[24];
	shown_size(u->size, size);
	shown_size(u->reclaimable, free_text);
	snprintf(with_share, sizeof with_share, "%s (%d%%)", free_text, u->size ? (int)(u->reclaimable * 100 / u->size) : 0);
	snprintf(total, sizeof total, "%jd", (intmax_t)u->total);
	snprintf(active, sizeof active, "%jd", (intmax_t)u->active);
	const StrPair row[] = { { "Active", active },
				{ "Reclaimable", u->size ? with_share : free_text },
				{ "Size", size },
				{ "TotalCount", total },
				{ "Type", u->type } };
	return format_texts(f, row, ARRAY_LEN(row), e);
}

/* --layers: what images are kept as. */
static int put_layers(const Df *d, Format *f, const StoreUsage *s, Err *e)
{
	int r = put_usage(d, f, &(Usage){ "Layers", s->layers, s->layers, s->layer_size, 0 }, e);
	return r < 0 ? r : put_usage(d, f, &(Usage){ "Blobs", s->blobs, s->blobs, s->blob_size, 0 }, e);
}

static int put_sums(Df *d, Err *e)
{
	static const TemplateHost host = { .type = "*formatter.diskUsageImagesContext" };
	static const FormatField fields[] = { { "Type", "TYPE" }, { "TotalCount", "TOTAL" },        { "Active", "ACTIVE" },
					      { "Size", "SIZE" }, { "Reclaimable", "RECLAIMABLE" }, { 0 } };
	AUTO_FORMAT f = { 0 };
	StoreUsage s;
	Usage containers = { .type = "Containers" }, volumes = { .type = "Local Volumes" };
	int r = format_init(&f, option_value(d->in, "format"), "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
			    fields, &host, d->in->arena, e);
	if (r < 0 || (r = store_usage(d->engine.store, &s, e)) < 0) return r;
	if ((r = look_at_containers(d, &containers, e)) < 0 || (r = look_at_volumes(d, &volumes, e)) < 0) return r;
	if ((r = put_usage(d, &f, &(Usage){ "Images", s.images, s.active, s.size, s.reclaimable }, e)) < 0) return r;
	if ((r = put_usage(d, &f, &containers, e)) < 0 || (r = put_usage(d, &f, &volumes, e)) < 0) return r;
	if ((r = put_usage(d, &f, &(Usage){ .type = "Build Cache" }, e)) < 0) return r;
	if (option_switch(d->in, "layers") && (r = put_layers(d, &f, &s, e)) < 0) return r;
	return put_table(d, "", &f, e);
}

/* ---- -v: each of them ---- */

static int64_t containers_of(const RecordList *l, const Image *i)
{
	int64_t n = 0;
	for (size_t k = 0; k < l->n; k++)
		n += digest_equal(&l->items[k].manifest, &i->manifest);
	return n;
}

/* Bytes of the layers of `mine` that another image has, too. */
static int64_t shared_size(const ImageLayerList *layers, size_t n, size_t mine)
{
	int64_t shared = 0;
	for (size_t k = 0; k < layers[mine].n; k++) {
		const ImageLayer *layer = &layers[mine].items[k];
		bool found = false;
		for (size_t i = 0; i < n && !found; i++)
			for (size_t j = 0; j < layers[i].n && !found; j++)
				found = i != mine && digest_equal(&layers[i].items[j].diff_id, &layer->diff_id);
		if (found) shared += (int64_t)layer->size;
	}
	return shared;
}

static int put_image(const Df *d, Format *f, const Image *i, int64_t shared, int64_t users, Err *e)
{
	char hex[DIGEST_HEX_MAX], age[AGE_TEXT_MAX], size[SIZE_TEXT_MAX], shared_text[SIZE_TEXT_MAX], unique[SIZE_TEXT_MAX], n[24];
	age_text(i->created, age);
	shown_size(i->size, size);
	shown_size(shared, shared_text);
	shown_size(i->size > shared ? i->size - shared : 0, unique);
	snprintf(n, sizeof n, "%jd", (intmax_t)users);
	for (size_t k = 0; k == 0 || k < i->names.n; k++) {
		Reference ref = { 0 };
		int r = i->names.n ? reference_parse(str_of(i->names.items[k]), d->in->arena, &ref, e) : 0;
		if (r < 0) return r;
		const char *repository = i->names.n ? reference_familiar_name(&ref, d->in->arena) : "<none>";
		if (!repository) return err_sys(e, ENOMEM, "system df");
		const StrPair row[] = { { "Repository", repository },
					{ "Tag", ref.tag ? ref.tag : "<none>" },
					{ "ID", short_id(&i->id, hex) },
					{ "CreatedSince", age },
					{ "Size", size },
					{ "SharedSize", shared_text },
					{ "UniqueSize", unique },
					{ "Containers", n } };
		if ((r = format_texts(f, row, ARRAY_LEN(row), e)) < 0) return r;
	}
	return 0;
}

static int put_images(Df *d, Err *e)
{
	static const FormatField fields[] = { { "Repository", "REPOSITORY" },
					      { "Tag", "TAG" },
					      { "ID", "IMAGE ID" },
					      { "CreatedSince", "CREATED" },
					      { "Size", "SIZE" },
					      { "SharedSize", "SHARED SIZE" },
					      { "UniqueSize", "UNIQUE SIZE" },
					      { "Containers", "CONTAINERS" },
					      { 0 } };
	AUTO_FORMAT f = { 0 };
	ImageList images;
	RecordList containers;
	Arena *a = d->in->arena;
	int r = format_init(&f, NULL,
			    "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t"
			    "{{.Containers}}",
			    fields, NULL, a, e);
	if (r < 0 || (r = image_list(d->engine.store, a, &images, e)) < 0 || (r = record_list(&d->engine, a, &containers, e)) < 0) return r;
	ImageLayerList *layers = arena_array(a, images.n + 1, sizeof *layers);
	if (!layers) return err_sys(e, ENOMEM, "system df");
	for (size_t i = 0; r >= 0 && i < images.n; i++)
		r = image_layers(d->engine.store, &images.items[i].manifest, a, &layers[i], e);
	for (size_t i = 0; r >= 0 && i < images.n; i++)
		r = put_image(d, &f, &images.items[i], shared_size(layers, images.n, i), containers_of(&containers, &images.items[i]), e);
	return r < 0 ? r : put_table(d, "Images space usage:\n\n", &f, e);
}

static int put_container(Df *d, Format *f, const Record *c, Err *e)
{
	char id[RECORD_SHORT_ID + 1], n[24], size[SIZE_TEXT_MAX], created[TIME_TEXT_MAX], age[AGE_TEXT_MAX], status[VIEW_TEXT_MAX];
	ContainerView v;
	int64_t own = 0, all = 0, volumes = 0;
	const char *command = command_text(c, false, d->in->arena);
	if (!command) return err_sys(e, ENOMEM, "system df");
	int r = container_view(&d->engine, c, d->in->arena, &v, e);
	if (r < 0 || (r = container_usage(&d->engine, c, d->in->arena, &own, &all, e)) < 0) return r;
	for (size_t i = 0; i < c->mounts.n; i++)
		volumes += streq(c->mounts.items[i].type, "volume");
	snprintf(id, sizeof id, "%.*s", RECORD_SHORT_ID, c->id);
	snprintf(n, sizeof n, "%jd", (intmax_t)volumes);
	shown_size(own, size);
	time_format(c->created, TIME_NANOSECONDS, created);
	age_text(created, age);
	container_view_text(&v, status);
	const StrPair row[] = { { "ID", id },           { "Image", c->config.image ? c->config.image : "" },
				{ "Command", command }, { "LocalVolumes", n },
				{ "Size", size },       { "RunningFor", age },
				{ "Status", status },   { "Names", c->name } };
	return format_texts(f, row, ARRAY_LEN(row), e);
}

static int put_containers(Df *d, Err *e)
{
	static const FormatField fields[] = { { "ID", "CONTAINER ID" },
					      { "Image", "IMAGE" },
					      { "Command", "COMMAND" },
					      { "LocalVolumes", "LOCAL VOLUMES" },
					      { "Size", "SIZE" },
					      { "RunningFor", "CREATED" },
					      { "Status", "STATUS" },
					      { "Names", "NAMES" },
					      { 0 } };
	AUTO_FORMAT f = { 0 };
	RecordList l;
	int r = format_init(&f, NULL,
			    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t"
			    "{{.Names}}",
			    fields, NULL, d->in->arena, e);
	if (r >= 0) r = record_list(&d->engine, d->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = put_container(d, &f, &l.items[i], e);
	return r < 0 ? r : put_table(d, "\nContainers space usage:\n\n", &f, e);
}

static int put_volumes(Df *d, Err *e)
{
	static const FormatField fields[] = { { "Name", "VOLUME NAME" }, { "Links", "LINKS" }, { "Size", "SIZE" }, { 0 } };
	AUTO_FORMAT f = { 0 };
	VolumeList l;
	const Volumes all = engine_volumes(&d->engine);
	int r = format_init(&f, NULL, "table {{.Name}}\t{{.Links}}\t{{.Size}}", fields, NULL, d->in->arena, e);
	if (r >= 0) r = volume_list(&all, d->in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		char n[24], size[SIZE_TEXT_MAX];
		StrList users;
		if ((r = volume_users(&all, l.items[i].name, d->in->arena, &users, e)) < 0) return r;
		snprintf(n, sizeof n, "%zu", users.n);
		shown_size(volume_usage(&d->engine, l.items[i].name), size);
		const StrPair row[] = { { "Name", l.items[i].name }, { "Links", n }, { "Size", size } };
		r = format_texts(&f, row, ARRAY_LEN(row), e);
	}
	return r < 0 ? r : put_table(d, "\nLocal Volumes space usage:\n\n", &f, e);
}

static int put_each(Df *d, Err *e)
{
	const char *format = option_value(d->in, "format");
	if ((format && *format) || option_switch(d->in, "layers"))
		return err_set(e, ERR_USAGE, EINVAL, "--verbose has a form of its own: there is no --format and no --layers with it");
	int r = put_images(d, e);
	if (r < 0 || (r = put_containers(d, e)) < 0 || (r = put_volumes(d, e)) < 0) return r;
	buf_puts(&d->out, "\nBuild cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n");
	return 0;
}

int df_run(Invocation *in, Err *e)
{
	AUTO(df_done) Df d = { .in = in, .engine = { .root_dir = -1 }, .out = BUF_INIT(FORMAT_OUTPUT_MAX) };
	int r = skep_engine(in, &d.engine, e);
	if (r >= 0) r = option_switch(in, "verbose") ? put_each(&d, e) : put_sums(&d, e);
	return r < 0 ? r : print_buf(&d.out, e);
}
