/* cmd_image_inspect.c: image inspect, image history. */
#include "base/size.h"
#include "cli/format.h"
#include "cli/skep/inspect.h"
#include "cli/skep/store.h"
#include "image/siblings.h"

enum { DOCUMENT_MAX = 32 << 20 };

static void put_familiar(JsonWriter *w, const char *key, const StrList *names, Arena *a)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < names->n; i++) {
		Reference ref;
		Err ignored = ERR_INIT;
		const char *text = reference_parse(str_of(names->items[i]), a, &ref, &ignored) < 0 ? NULL : reference_familiar(&ref, a);
		json_string(w, text ? text : names->items[i]);
	}
	json_end_array(w);
}

static void put_digest(JsonWriter *w, const char *key, const Digest *d)
{
	char text[DIGEST_TEXT_MAX];
	if (key) json_key(w, key);
	json_string(w, digest_format(d, text));
}

int image_json(ImageStore *s, const Image *i, Arena *a, JsonWriter *w, Err *e)
{
	ImageConfig c;
	Manifest m;
	ImageLayerList layers;
	int r = image_documents(s, i, a, &m, &c, e);
	if (r < 0 || (r = image_layers(s, &i->manifest, a, &layers, e)) < 0) return r;
	const ImageHistory *last = c.history.n ? &c.history.items[c.history.n - 1] : NULL;
	json_begin_object(w);
	put_digest(w, "Id", &i->id);
	put_familiar(w, "RepoTags", &i->names, a);
	put_familiar(w, "RepoDigests", &i->repo_digests, a);
	json_put_string(w, "Parent", "");
	json_put_string(w, "Comment", last && last->comment ? last->comment : "");
	json_put_string(w, "Created", c.created ? c.created : "");
	json_put_string(w, "Author", c.author ? c.author : "");
	json_key(w, "Config");
	bind_encode(&image_defaults_table, &c.config, w);
	json_put_string(w, "Architecture", c.platform.architecture ? c.platform.architecture : "");
	if (c.platform.variant) json_put_string(w, "Variant", c.platform.variant);
	json_put_string(w, "Os", c.platform.os ? c.platform.os : "");
	json_put_int(w, "Size", i->size);
	json_key(w, "GraphDriver");
	json_begin_object(w);
	json_key(w, "Data");
	json_null(w);
	json_put_string(w, "Name", "erofs");
	json_end_object(w);
	json_key(w, "RootFS");
	json_begin_object(w);
	json_put_string(w, "Type", "layers");
	json_key(w, "Layers");
	json_begin_array(w);
	for (size_t k = 0; k < layers.n; k++)
		put_digest(w, NULL, &layers.items[k].diff_id);
	json_end_array(w);
	json_end_object(w);
	json_key(w, "Descriptor");
	json_begin_object(w);
	json_put_string(w, "mediaType", m.media_type ? m.media_type : MEDIA_TYPE_OCI_MANIFEST);
	put_digest(w, "digest", &i->manifest);
	json_end_object(w);
	json_end_object(w);
	return 0;
}

/* With --platform that of its index. */
static int find_image(const Invocation *in, ImageStore *s, const char *name, Image *ret, Err *e)
{
	const char *text = option_value(in, "platform");
	Platform platform;
	Image found;
	int r = text && *text ? platform_parse(str_of(text), in->arena, &platform, e) : 0;
	if (r >= 0) r = image_find(s, name, in->arena, &found, e);
	return r < 0 ? r : siblings_choose(s, name, &found, text && *text ? &platform : NULL, in->arena, ret, e);
}

int image_inspect_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	bool missing = false;
	int r = skep_store(in, &s, e);
	if (r < 0) return r;
	json_begin_array(&w);
	for (size_t i = 0; i < in->args.n; i++) {
		Image image;
		Err why = ERR_INIT;
		r = find_image(in, s, in->args.items[i], &image, &why);
		if (r >= 0) r = image_json(s, &image, in->arena, &w, &why);
		if (r >= 0) continue;
		*e = why;
		missing = true;
	}
	json_end_array(&w);
	Err printing = ERR_INIT;
	if ((r = inspect_print(in, &b, &printing)) < 0) {
		*e = printing;
		return r;
	}
	return missing ? -(e->errnum ? e->errnum : EIO) : 0;
}

/* ---- history ---- */

typedef struct Step {
	const ImageHistory *h;
	int64_t size;
	const char *id;
} Step;

static int put_step(Invocation *in, Format *f, const Step *s, Err *e)
{
	AUTO_BUF b = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&b);
	JsonValue row;
	char age[AGE_TEXT_MAX], size[SIZE_TEXT_MAX], number[24];
	bool full = option_switch(in, "no-trunc"), human = option_switch(in, "human");
	const char *by = s->h->created_by ? s->h->created_by : "";
	size_t n = strlen(by);
	enum { SHOWN = 45 };
	age_text(s->h->created, age);
	size_format_digits((double)s->size, SIZE_DECIMAL, 3, size);
	snprintf(number, sizeof number, "%jd", (intmax_t)s->size);
	size_t cut = !full && n > SHOWN ? SHOWN - 1 : n;
	while (cut < n && cut > 0 && ((unsigned char)by[cut] & 0xc0) == 0x80)
		cut--; /* not inside of a character */
	json_begin_object(&w);
	json_put_string(&w, "Comment", s->h->comment ? s->h->comment : "");
	json_put_string(&w, "CreatedAt", s->h->created ? s->h->created : "");
	json_put_string(&w, "CreatedBy", cut < n ? arena_printf(in->arena, "%.*s…", (int)cut, by) ?: "" : by);
	json_put_string(&w, "CreatedSince", human ? age : s->h->created ? s->h->created : "N/A");
	json_put_string(&w, "ID", s->id);
	json_put_string(&w, "Size", human ? size : number);
	json_end_object(&w);
	char *text = buf_failed(&b) ? NULL : arena_str(in->arena, (Str){ b.p, b.n });
	if (!text) return err_sys(e, ENOMEM, "history");
	int r = json_parse(text, b.n, in->arena, &row, e);
	return r < 0 ? r : format_row(f, &row, e);
}

/* The newest step first; only the last of a series of steps has an image, and only the last of all is known. */
static int put_steps(Invocation *in, Format *f, const Image *i, const ImageConfig *c, const ImageLayerList *layers, Err *e)
{
	char hex[DIGEST_HEX_MAX], id[DIGEST_TEXT_MAX];
	size_t layer = layers->n;
	for (size_t k = c->history.n; k > 0; k--) {
		const ImageHistory *h = &c->history.items[k - 1];
		Step s = { .h = h, .id = "<missing>" };
		if (k == c->history.n) s.id = option_switch(in, "no-trunc") ? digest_format(&i->id, id) : short_id(&i->id, hex);
		if (!h->empty_layer && layer > 0) s.size = (int64_t)layers->items[--layer].size;
		int r = put_step(in, f, &s, e);
		if (r < 0) return r;
	}
	return 0;
}

int image_history_run(Invocation *in, Err *e)
{
	static const FormatField fields[] = { { "ID", "IMAGE" },
					      { "CreatedSince", "CREATED" },
					      { "CreatedAt", "CREATED AT" },
					      { "CreatedBy", "CREATED BY" },
					      { "Size", "SIZE" },
					      { "Comment", "COMMENT" },
					      { 0 } };
	static const TemplateHost host = { .type = "*image.historyContext" };
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_FORMAT f = { 0 };
	const Buf *out;
	Image i;
	ImageConfig c;
	ImageLayerList layers;
	bool quiet = option_switch(in, "quiet");
	int r = format_init(&f, quiet ? "{{.ID}}" : option_value(in, "format"),
			    "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", fields, &host, in->arena, e);
	if (r < 0 || (r = skep_store(in, &s, e)) < 0 || (r = find_image(in, s, in->args.items[0], &i, e)) < 0) return r;
	if ((r = image_documents(s, &i, in->arena, NULL, &c, e)) < 0 || (r = image_layers(s, &i.manifest, in->arena, &layers, e)) < 0)
		return r;
	if ((r = put_steps(in, &f, &i, &c, &layers, e)) < 0) return r;
	if ((r = format_finish(&f, &out, e)) < 0) return r;
	return print_buf(out, e);
}
