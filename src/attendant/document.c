/* document.c: see document.h. Numbers of 4 bytes, structs, strings with their NUL behind their length. */
#include "attendant/document.h"

/* ---- writing ---- */

static void put_number(Buf *b, size_t n)
{
	const uint32_t v = (uint32_t)n;
	buf_put(b, &v, sizeof v);
}

static void put_text(Buf *b, const char *s)
{
	const size_t n = strlen(s);
	put_number(b, n);
	buf_put(b, s, n + 1);
}

static void put_network(Buf *b, const NamesNetwork *n)
{
	put_text(b, n->id);
	put_text(b, n->name);
	buf_put(b, &n->address, sizeof n->address);
	put_number(b, n->names_n);
	for (size_t i = 0; i < n->names_n; i++)
		put_text(b, n->names[i]);
}

int document_write(const Document *d, Buf *to, Err *e)
{
	const NamesContainer *c = &d->container;
	buf_reset(to);
	put_text(to, c->id);
	put_number(to, c->internal);
	put_number(to, d->ndots_set);
	put_number(to, d->servers_n);
	buf_put(to, d->servers, d->servers_n * sizeof *d->servers);
	put_number(to, c->networks_n);
	for (size_t i = 0; i < c->networks_n; i++)
		put_network(to, &c->networks[i]);
	put_number(to, c->links_n);
	for (size_t i = 0; i < c->links_n; i++) {
		put_text(to, c->links[i].name);
		buf_put(to, &c->links[i].address, sizeof c->links[i].address);
	}
	if (!buf_failed(to) && to->n <= DOCUMENT_MAX) return 0;
	return err_set(e, ERR_RESOURCE, E2BIG, "the names of container %.12s take more than %d bytes: give it fewer aliases", c->id,
		       DOCUMENT_MAX);
}

/* ---- reading ---- */

typedef struct Reader {
	const char *p;
	size_t n;
	Arena *a;
	bool bad, short_of_memory;
} Reader;

static void take_bytes(Reader *r, void *to, size_t n)
{
	if (n > r->n) r->bad = true;
	if (r->bad) {
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->p, n);
	r->p += n;
	r->n -= n;
}

static size_t take_number(Reader *r, size_t max)
{
	uint32_t v;
	take_bytes(r, &v, sizeof v);
	if (v > max) r->bad = true;
	return r->bad ? 0 : v;
}

static const char *take_text(Reader *r)
{
	const size_t n = take_number(r, DOCUMENT_MAX);
	const char *s = r->p;
	if (r->bad || n >= r->n || s[n] || memchr(s, 0, n)) {
		r->bad = true;
		return "";
	}
	r->p += n + 1;
	r->n -= n + 1;
	return s;
}

static void *make(Reader *r, size_t n, size_t size)
{
	void *p = arena_array(r->a, n + 1, size);
	if (!p) r->bad = r->short_of_memory = true;
	return p;
}

static void take_network(Reader *r, NamesNetwork *n)
{
	n->id = take_text(r);
	n->name = take_text(r);
	take_bytes(r, &n->address, sizeof n->address);
	const size_t names = take_number(r, NAMES_MAX);
	const char **list = make(r, names, sizeof *list);
	for (size_t i = 0; list && i < names; i++)
		list[i] = take_text(r);
	n->names = list;
	n->names_n = list ? names : 0;
}

static void take_networks(Reader *r, NamesContainer *c)
{
	const size_t n = take_number(r, NAMES_NETWORKS_MAX);
	NamesNetwork *networks = make(r, n, sizeof *networks);
	for (size_t i = 0; networks && i < n; i++)
		take_network(r, &networks[i]);
	c->networks = networks;
	c->networks_n = networks ? n : 0;
}

static void take_links(Reader *r, NamesContainer *c)
{
	const size_t n = take_number(r, NAMES_LINKS_MAX);
	NamesLink *links = make(r, n, sizeof *links);
	for (size_t i = 0; links && i < n; i++) {
		links[i].name = take_text(r);
		take_bytes(r, &links[i].address, sizeof links[i].address);
	}
	c->links = links;
	c->links_n = links ? n : 0;
}

int document_read(const char *p, size_t n, Arena *a, Document *ret, Err *e)
{
	Reader r = { .p = p, .n = n, .a = a };
	*ret = (Document){ .container = { .id = take_text(&r) } };
	ret->container.internal = take_number(&r, 1);
	ret->ndots_set = take_number(&r, 1);
	ret->servers_n = take_number(&r, RESOLVER_SERVERS_MAX);
	take_bytes(&r, ret->servers, ret->servers_n * sizeof *ret->servers);
	take_networks(&r, &ret->container);
	take_links(&r, &ret->container);
	if (r.short_of_memory) return err_sys(e, ENOMEM, "read the names of a container");
	return r.bad || r.n ? err_set(e, ERR_INTERNAL, EBADMSG, "the names of a container are malformed") : 0;
}
