/* cmd_manifest.c: manifest create, annotate, inspect, push, rm. */
#include "base/base64.h"
#include "cli/skep/endpoints.h"
#include "cli/skep/store.h"
#include "image/manifest_list.h"
#include "oci/platform.h"

enum { OUTPUT_MAX = 64 << 20, INDENT_LIST = 3, INDENT_TABS = -1 };

typedef struct Session {
	Invocation *in;
	ImageStore *store;
	TransferClient *worker; /* NULL: not needed so far */
} Session;

static void session_done(Session *s)
{
	transfer_stop(s->worker);
	image_store_close(s->store);
}
#define AUTO_SESSION AUTO(session_done) Session

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "manifest");
}

/* A name as it is kept: with a tag, unless it has a digest. */
static int read_name(const Session *s, const char *text, const char *what, Reference *ref, const char **ret, Err *e)
{
	int r = reference_parse(str_of(text), s->in->arena, ref, e);
	if (r < 0) return *what ? err_wrap(e, "error parsing name for manifest%s %s", what, text) : r;
	reference_default_tag(ref);
	*ret = reference_format(ref, s->in->arena);
	return *ret ? 0 : no_memory(e);
}

/* How the repository of ref is reached; with --insecure also without checks and without TLS. */
static int find_endpoints(const Session *s, const Reference *ref, ListEndpoints *ret, Err *e)
{
	Endpoints at;
	int r = endpoints_find(s->in, ref, &at, e);
	if (r < 0) return r;
	*ret = (ListEndpoints){ at.items, at.n };
	if (!option_switch(s->in, "insecure")) return 0;
	TransferEndpoint *items = arena_array(s->in->arena, 2 * at.n + 1, sizeof *items);
	size_t n = 0;
	if (!items) return no_memory(e);
	for (size_t i = 0; i < at.n; i++) {
		items[n] = at.items[i];
		items[n++].insecure = true;
		if (!starts_with(at.items[i].url, "https://")) continue;
		items[n] = at.items[i];
		items[n].url = arena_printf(s->in->arena, "http%s", at.items[i].url + strlen("https"));
		if (!items[n++].url) return no_memory(e);
	}
	*ret = (ListEndpoints){ items, n };
	return 0;
}

static int fetch(Session *s, const Reference *ref, FetchedManifest *ret, Err *e)
{
	ListEndpoints at;
	int r = find_endpoints(s, ref, &at, e);
	if (r >= 0 && !s->worker) r = transfer_start(&(TransferOptions){ 0 }, &s->worker, e);
	return r < 0 ? r : manifest_fetch(s->worker, &at, ref, s->in->arena, ret, e);
}

/* ---- create, annotate, rm ---- */

static int add_entry(Session *s, const char *list, const char *text, Err *e)
{
	Reference ref;
	FetchedManifest m;
	ListEntry entry = { 0 };
	int r = read_name(s, text, "", &ref, &entry.reference, e);
	if (r < 0 || (r = fetch(s, &ref, &m, e)) < 0) return r;
	if (m.document.kind != MEDIA_MANIFEST)
		return err_set(e, ERR_USAGE, EINVAL, "%s is a manifest list: name one of its manifests by digest", entry.reference);
	entry.descriptor = m.descriptor;
	entry.text = m.text;
	entry.n = m.n;
	return manifest_list_put(s->store, list, &entry, e);
}

int manifest_create_run(Invocation *in, Err *e)
{
	AUTO_SESSION s = { .in = in };
	AUTO_BUF out = BUF_INIT(8192);
	Reference ref;
	ManifestList old;
	const char *name;
	int r = read_name(&s, in->args.items[0], " list", &ref, &name, e);
	if (r < 0 || (r = skep_store(in, &s.store, e)) < 0 || (r = manifest_list_get(s.store, name, in->arena, &old, e)) < 0) return r;
	if (r > 0 && !option_switch(in, "amend"))
		return err_set(e, ERR_EXISTS, EEXIST, "refusing to amend an existing manifest list with no --amend flag");
	bool fresh = r == 0;
	r = 0;
	for (size_t i = 1; r >= 0 && i < in->args.n; i++)
		r = add_entry(&s, name, in->args.items[i], e);
	Err ignored = ERR_INIT;
	if (r < 0 && fresh) (void)!manifest_list_drop(s.store, name, &ignored); /* not half of it */
	if (r < 0) return r;
	buf_printf(&out, "Created manifest list %s\n", name);
	return print_buf(&out, e);
}

/* What Go's programs, and so images, run on. */
static bool is_system(const char *os, const char *architecture)
{
	static const char *const pairs[] = {
		"darwin/386",    "darwin/amd64",  "darwin/arm",   "darwin/arm64",  "dragonfly/amd64", "freebsd/386",   "freebsd/amd64",
		"freebsd/arm",   "linux/386",     "linux/amd64",  "linux/arm",     "linux/arm64",     "linux/loong64", "linux/ppc64",
		"linux/ppc64le", "linux/mips",    "linux/mipsle", "linux/mips64",  "linux/mips64le",  "linux/riscv64", "linux/s390x",
		"netbsd/386",    "netbsd/amd64",  "netbsd/arm",   "openbsd/386",   "openbsd/amd64",   "openbsd/arm",   "plan9/386",
		"plan9/amd64",   "solaris/amd64", "windows/386",  "windows/amd64", "windows/arm64",
	};
	char pair[64];
	snprintf(pair, sizeof pair, "%s/%s", os ? os : "", architecture ? architecture : "");
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (streq(pairs[i], pair)) return true;
	return false;
}

int manifest_annotate_run(Invocation *in, Err *e)
{
	AUTO_SESSION s = { .in = in };
	Reference list_ref, ref;
	ManifestList list = { 0 };
	const char *list_name, *name, *value;
	ListEntry *entry = NULL;
	int r = read_name(&s, in->args.items[0], " list", &list_ref, &list_name, e);
	if (r < 0) return err_wrap(e, "annotate");
	if ((r = read_name(&s, in->args.items[1], "", &ref, &name, e)) < 0) return err_wrap(e, "annotate: error parsing name for manifest");
	if ((r = skep_store(in, &s.store, e)) < 0 || (r = manifest_list_get(s.store, list_name, in->arena, &list, e)) < 0) return r;
	for (size_t i = 0; i < list.n; i++)
		if (streq(list.items[i].reference, name)) entry = &list.items[i];
	if (!entry)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "manifest for image %s does not exist in %s", in->args.items[1],
			       in->args.items[0]);
	Platform p = entry->descriptor.platform ? *entry->descriptor.platform : (Platform){ 0 };
	if ((value = option_value(in, "os"))) p.os = value;
	if ((value = option_value(in, "arch"))) p.architecture = value;
	if ((value = option_value(in, "variant"))) p.variant = value;
	if ((value = option_value(in, "os-version"))) p.os_version = value;
	if (option_is_set(in, "os-features")) p.os_features = *option_list(in, "os-features");
	if (!is_system(p.os, p.architecture))
		return err_set(e, ERR_USAGE, EINVAL, "manifest entry for image has unsupported os/arch combination: %s/%s",
			       p.os ? p.os : "", p.architecture ? p.architecture : "");
	entry->descriptor.platform = &p;
	return manifest_list_put(s.store, list_name, entry, e);
}

int manifest_rm_run(Invocation *in, Err *e)
{
	AUTO_SESSION s = { .in = in };
	AUTO_BUF missing = BUF_INIT(OUTPUT_MAX);
	int r = skep_store(in, &s.store, e);
	for (size_t i = 0; r >= 0 && i < in->args.n; i++) {
		Reference ref;
		const char *name;
		r = read_name(&s, in->args.items[i], "", &ref, &name, e);
		if (r >= 0 && (r = manifest_list_drop(s.store, name, e)) == 0)
			buf_printf(&missing, "%sNo such manifest: %s", missing.n ? "\n" : "", name);
	}
	if (r < 0) return r;
	return missing.n ? err_set(e, ERR_NOT_FOUND, ENOENT, "%s", buf_str(&missing)) : 0;
}

/* ---- inspect ---- */

static int put_text(JsonWriter *w, const char *text, size_t n, Arena *a, Err *e)
{
	JsonValue v;
	char *copy = arena_str(a, (Str){ text, n });
	int r = copy ? json_parse(copy, n, a, &v, e) : no_memory(e);
	if (r >= 0) json_value(w, &v);
	return r;
}

/* One manifest with all that is known of it. */
static int put_verbose(JsonWriter *w, const char *reference, const Descriptor *d, const char *text, size_t n, Arena *a, Err *e)
{
	AUTO_BUF raw = BUF_INIT(2 * MANIFEST_MAX);
	base64_encode(&raw, text, n);
	if (buf_failed(&raw)) return no_memory(e);
	json_begin_object(w);
	json_put_string(w, "Ref", reference);
	json_key(w, "Descriptor");
	bind_encode(&descriptor_table, d, w);
	json_put_string(w, "Raw", buf_str(&raw));
	json_key(w, streq(d->media_type, MEDIA_TYPE_DOCKER_MANIFEST) ? "SchemaV2Manifest" : "OCIManifest");
	int r = put_text(w, text, n, a, e);
	json_end_object(w);
	return r;
}

static int inspect_list(Session *s, const ManifestList *list, Buf *out, Err *e)
{
	const char *type;
	JsonWriter w = JSON_WRITER(out);
	int r = 0;
	if (!option_switch(s->in, "verbose")) return manifest_list_encode(list, s->in->arena, out, &type, e);
	w.indent = INDENT_TABS;
	json_begin_array(&w);
	for (size_t i = 0; r >= 0 && i < list->n; i++) {
		const ListEntry *entry = &list->items[i];
		r = put_verbose(&w, entry->reference, &entry->descriptor, entry->text, entry->n, s->in->arena, e);
	}
	json_end_array(&w);
	return r;
}

static int inspect_entry(Session *s, const ListEntry *entry, Buf *out, Err *e)
{
	JsonWriter w = JSON_WRITER(out);
	w.indent = INDENT_TABS;
	if (!option_switch(s->in, "verbose")) return put_text(&w, entry->text, entry->n, s->in->arena, e);
	return put_verbose(&w, entry->reference, &entry->descriptor, entry->text, entry->n, s->in->arena, e);
}

/* All manifests of an index at a registry, each fetched. */
static int inspect_index(Session *s, const Reference *ref, const FetchedManifest *m, Buf *out, Err *e)
{
	JsonWriter w = JSON_WRITER(out);
	const DescriptorList *l = &m->document.index.manifests;
	int r = 0;
	w.indent = option_switch(s->in, "verbose") ? INDENT_TABS : INDENT_LIST;
	if (w.indent == INDENT_LIST) return put_text(&w, m->text, m->n, s->in->arena, e);
	json_begin_array(&w);
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		FetchedManifest one;
		Reference each = *ref;
		each.digest = l->items[i].digest;
		const char *name = reference_format(&each, s->in->arena);
		r = name ? fetch(s, &each, &one, e) : no_memory(e);
		if (r >= 0) r = put_verbose(&w, name, &l->items[i], one.text, one.n, s->in->arena, e);
	}
	json_end_array(&w);
	return r;
}

static int inspect_remote(Session *s, const Reference *ref, const char *name, Buf *out, Err *e)
{
	FetchedManifest m;
	int r = fetch(s, ref, &m, e);
	if (r == -ENOENT && e->code == ERR_NOT_FOUND) return err_set(e, ERR_NOT_FOUND, ENOENT, "no such manifest: %s", name);
	if (r < 0) return r;
	if (m.document.kind == MEDIA_INDEX) return inspect_index(s, ref, &m, out, e);
	const ListEntry entry = { .reference = name, .descriptor = m.descriptor, .text = m.text, .n = m.n };
	return inspect_entry(s, &entry, out, e);
}

int manifest_inspect_run(Invocation *in, Err *e)
{
	AUTO_SESSION s = { .in = in };
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	Reference ref, list_ref;
	ManifestList list = { 0 };
	const char *name, *list_name, *last = in->args.items[in->args.n - 1];
	int r = read_name(&s, last, "", &ref, &name, e);
	if (r >= 0) r = skep_store(in, &s.store, e);
	if (r < 0) return r;
	if (in->args.n == 1) {
		r = manifest_list_get(s.store, name, in->arena, &list, e);
		if (r >= 0) r = r > 0 ? inspect_list(&s, &list, &out, e) : inspect_remote(&s, &ref, name, &out, e);
	} else {
		const ListEntry *found = NULL;
		r = read_name(&s, in->args.items[0], "", &list_ref, &list_name, e);
		if (r >= 0) r = manifest_list_get(s.store, list_name, in->arena, &list, e);
		for (size_t i = 0; r >= 0 && i < list.n; i++)
			if (streq(list.items[i].reference, name)) found = &list.items[i];
		if (r < 0) return r;
		if (!found) return err_set(e, ERR_NOT_FOUND, ENOENT, "manifest for image %s does not exist in %s", last, in->args.items[0]);
		r = inspect_entry(&s, found, &out, e);
	}
	buf_putc(&out, '\n');
	return r < 0 ? r : print_buf(&out, e);
}

/* ---- push ---- */

static void print_pushed(void *arg, const ListEntry *entry, const Reference *as)
{
	const Session *s = arg;
	char text[DIGEST_TEXT_MAX];
	const char *name = reference_format(as, s->in->arena);
	printf("Pushed ref %s with digest: %s\n", name ? name : "", digest_format(&entry->descriptor.digest, text));
	fflush(stdout);
}

static int find_sources(Session *s, ListPush *p, Err *e)
{
	Reference *sources = arena_array(s->in->arena, p->list->n + 1, sizeof *sources);
	ListEndpoints *at = arena_array(s->in->arena, p->list->n + 1, sizeof *at);
	int r = sources && at ? find_endpoints(s, p->target, &p->at, e) : no_memory(e);
	for (size_t i = 0; r >= 0 && i < p->list->n; i++) {
		r = reference_parse(str_of(p->list->items[i].reference), s->in->arena, &sources[i], e);
		if (r >= 0) r = find_endpoints(s, &sources[i], &at[i], e);
	}
	p->sources = sources;
	p->source_at = at;
	return r;
}

int manifest_push_run(Invocation *in, Err *e)
{
	AUTO_SESSION s = { .in = in };
	AUTO_BUF out = BUF_INIT(4096);
	Reference ref;
	ManifestList list;
	ListPush push = { .target = &ref, .list = &list, .pushed = print_pushed, .arg = &s };
	Digest digest;
	char text[DIGEST_TEXT_MAX];
	const char *name;
	int r = read_name(&s, in->args.items[0], " list", &ref, &name, e);
	if (r < 0) return r;
	if (ref.digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "cannot push a digest reference");
	if ((r = skep_store(in, &s.store, e)) < 0 || (r = manifest_list_get(s.store, name, in->arena, &list, e)) < 0) return r;
	if (!r) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such manifest: %s", name);
	if ((r = find_sources(&s, &push, e)) < 0 || (r = transfer_start(&(TransferOptions){ 0 }, &s.worker, e)) < 0) return r;
	if ((r = manifest_list_push(s.store, s.worker, &push, in->arena, &digest, e)) < 0) return r;
	if (option_switch(in, "purge") && (r = manifest_list_drop(s.store, name, e)) < 0) return r;
	buf_printf(&out, "%s\n", digest_format(&digest, text));
	return print_buf(&out, e);
}
