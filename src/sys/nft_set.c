/* nft_set.c: sets, maps and their elements. */
#include "sys/nft_impl.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <net/if.h>

/* Entries of a set's user data, and orders of bytes, as nft numbers them. */
enum { SET_KEY_ORDER = 0, SET_DATA_ORDER = 1, SET_COMMENT = 7, ELEMENT_COMMENT = 0 };
enum { ORDER_NONE, ORDER_HOST, ORDER_BIG };
enum { TYPE_BITS = 6, TYPES = 1 << TYPE_BITS };
/* more than any element takes: two keys and a value of 64 bytes or a verdict with a chain's name, and a comment */
enum { ELEMENT_MAX = 1024 };

/* ---- types ---- */

static const struct {
	uint8_t length, order;
} types[TYPES] = {
	[NFT_TYPE_IPV4] = { 4, ORDER_BIG },     [NFT_TYPE_IPV6] = { 16, ORDER_BIG },    [NFT_TYPE_ETHER] = { 6, ORDER_BIG },
	[NFT_TYPE_PROTO] = { 1, ORDER_BIG },    [NFT_TYPE_PORT] = { 2, ORDER_BIG },     [NFT_TYPE_MARK] = { 4, ORDER_HOST },
	[NFT_TYPE_IFINDEX] = { 4, ORDER_HOST }, [NFT_TYPE_IFNAME] = { 16, ORDER_HOST },
};

/* Concatenation: what its fields make together. Fields are 0 when one is of an unknown type. */
typedef struct Concatenation {
	uint32_t type, length, order;
	size_t fields;
} Concatenation;

static Concatenation concatenate(const NftType t[static NFT_FIELDS_MAX])
{
	Concatenation c = { 0 };
	for (; c.fields < NFT_FIELDS_MAX && t[c.fields]; c.fields++) {
		unsigned k = t[c.fields];
		if (k >= TYPES || !types[k].length) return (Concatenation){ 0 };
		c.type = c.type << TYPE_BITS | k;
		c.length = (c.length + 3) / 4 * 4 + types[k].length;
		c.order = c.fields ? ORDER_NONE : types[k].order;
	}
	if (c.fields > 1) c.length = (c.length + 3) / 4 * 4;
	return c;
}

/* ---- sets ---- */

/* Each field's length, without which the kernel takes the key for one field, and the number of elements. */
static void put_description(NftBatch *b, const NftSet *s, size_t fields)
{
	if (!s->size && fields < 2) return;
	size_t nest = nft_open_nest(b, NFTA_SET_DESC);
	if (s->size) nft_put_be32(b, NFTA_SET_DESC_SIZE, s->size);
	if (fields > 1) {
		size_t list = nft_open_nest(b, NFTA_SET_DESC_CONCAT);
		for (size_t i = 0; i < fields; i++) {
			size_t item = nft_open_nest(b, NFTA_LIST_ELEM);
			nft_put_be32(b, NFTA_SET_FIELD_LEN, types[s->key[i]].length);
			nft_close_nest(b, item);
		}
		nft_close_nest(b, list);
	}
	nft_close_nest(b, nest);
}

static size_t add_entry(uint8_t *to, uint8_t entry, const void *p, size_t n)
{
	to[0] = entry;
	to[1] = (uint8_t)n;
	memcpy(to + 2, p, n);
	return n + 2;
}

static void put_userdata(NftBatch *b, const char *comment, uint32_t key_order, uint32_t data_order)
{
	uint8_t tlv[2 * (2 + sizeof key_order) + 2 + NFT_COMMENT_MAX + 1];
	size_t n = add_entry(tlv, SET_KEY_ORDER, &key_order, sizeof key_order);
	if (data_order) n += add_entry(tlv + n, SET_DATA_ORDER, &data_order, sizeof data_order);
	/* all of it must fit the 256 bytes that the kernel keeps */
	if (comment && strlen(comment) + 1 > NFT_USERDATA_MAXLEN - n - 2)
		nft_fault(b, "the comment of a set is too long");
	else if (comment)
		n += add_entry(tlv + n, SET_COMMENT, comment, strlen(comment) + 1);
	nft_put(b, NFTA_SET_USERDATA, tlv, n);
}

void nft_set_add(NftBatch *b, const NftTable *t, const NftSet *s)
{
	bool verdicts = s->data[0] == NFT_TYPE_VERDICT;
	Concatenation key = concatenate(s->key), data = verdicts ? (Concatenation){ 0 } : concatenate(s->data);
	if (!key.fields || (s->data[0] && !verdicts && !data.fields)) nft_fault(b, "a set of an unknown type");
	uint32_t flags = s->flags | (key.fields > 1 ? NFT_SET_CONCAT : 0) | (s->data[0] ? NFT_SET_MAP : 0);
	nft_table_message(b, NFT_MSG_NEWSET, NLM_F_CREATE, t, NFTA_SET_NAME, s->name);
	nft_put_be32(b, NFTA_SET_FLAGS, flags);
	nft_put_be32(b, NFTA_SET_KEY_TYPE, key.type);
	nft_put_be32(b, NFTA_SET_KEY_LEN, key.length);
	if (s->data[0]) nft_put_be32(b, NFTA_SET_DATA_TYPE, verdicts ? NFT_DATA_VERDICT : data.type);
	if (data.length) nft_put_be32(b, NFTA_SET_DATA_LEN, data.length);
	nft_put_be32(b, NFTA_SET_ID, ++b->sets); /* a name would do, but the kernel insists */
	if (s->timeout) nft_put_be64(b, NFTA_SET_TIMEOUT, s->timeout);
	put_description(b, s, key.fields);
	put_userdata(b, s->comment, key.order, data.order);
}

void nft_set_delete(NftBatch *b, const NftTable *t, const char *name)
{
	nft_table_message(b, NFT_MSG_DELSET, 0, t, NFTA_SET_NAME, name);
}

void nft_set_flush(NftBatch *b, const NftTable *t, const char *name)
{
	nft_table_message(b, NFT_MSG_DELSETELEM, 0, t, NFTA_SET_ELEM_LIST_SET, name);
}

/* ---- values ---- */

void nft_value_add(NftValue *v, const void *p, size_t n)
{
	size_t at = ((size_t)v->n + 3) / 4 * 4;
	if (n > sizeof v->p - at) {
		v->too_big = true;
		return;
	}
	if (n) memcpy(v->p + at, p, n);
	v->n = (uint8_t)(at + n);
	v->fields++;
}

void nft_value_add_proto(NftValue *v, uint8_t proto)
{
	nft_value_add(v, &proto, sizeof proto);
}

void nft_value_add_port(NftValue *v, uint16_t port)
{
	port = htons(port);
	nft_value_add(v, &port, sizeof port);
}

void nft_value_add_u32(NftValue *v, uint32_t host_order)
{
	nft_value_add(v, &host_order, sizeof host_order);
}

void nft_value_add_ifname(NftValue *v, const char *name)
{
	char padded[IFNAMSIZ] = "";
	if (strlen(name) >= sizeof padded) v->too_big = true;
	snprintf(padded, sizeof padded, "%s", name);
	nft_value_add(v, padded, sizeof padded);
}

void nft_value_add_prefix(NftValue *first, NftValue *last, const void *address, size_t n, unsigned bits)
{
	uint8_t from[16] = { 0 }, to[16] = { 0 };
	if (n > sizeof from || bits > 8 * n) {
		first->too_big = last->too_big = true;
		return;
	}
	memcpy(from, address, n);
	for (size_t i = 0; i < n; i++) {
		unsigned kept = bits <= 8 * i ? 0 : bits - 8 * (unsigned)i;
		uint8_t mask = (uint8_t)(kept >= 8 ? 0xff : 0xff00 >> kept);
		from[i] &= mask;
		to[i] = (uint8_t)(from[i] | (uint8_t)~mask);
	}
	nft_value_add(first, from, n);
	nft_value_add(last, to, n);
}

/* ---- elements ---- */

static void open_elements(NftBatch *b, uint16_t type, uint16_t flags, const NftTable *t, const char *set)
{
	nft_table_message(b, type, flags, t, NFTA_SET_ELEM_LIST_SET, set);
	b->list = nft_open_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
}

void nft_elements(NftBatch *b, NftVerb verb, const NftTable *t, const char *set)
{
	uint16_t flags = verb == NFT_DELETE ? 0 : NLM_F_CREATE;
	if (verb == NFT_CREATE) flags |= NLM_F_EXCL;
	open_elements(b, verb == NFT_DELETE ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM, flags, t, set);
}

/* The last message has elements: one more like it. Its names move when the buffer grows, so they are copied. */
static void open_again(NftBatch *b)
{
	NftMessage m;
	char table[NFT_NAME_MAXLEN] = "", set[NFT_NAME_MAXLEN] = "";
	nft_close(b);
	Str rest = { b->b.p + b->last, b->b.n - b->last };
	bool there = !buf_failed(&b->b) && b->last && nft_take_message(&rest, &m) > 0;
	if (!there || (!nft_is(&m, NFT_MSG_NEWSETELEM) && !nft_is(&m, NFT_MSG_DELSETELEM))) {
		nft_fault(b, "an element without a set");
		return;
	}
	Str from = nft_attr_text(m.attrs, NFTA_SET_ELEM_LIST_TABLE), name = nft_attr_text(m.attrs, NFTA_SET_ELEM_LIST_SET);
	if (from.n >= sizeof table || name.n >= sizeof set) {
		nft_fault(b, "a name is too long");
		return;
	}
	if (from.n) memcpy(table, from.p, from.n);
	if (name.n) memcpy(set, name.p, name.n);
	open_elements(b, m.type & 0xff, m.flags, &(NftTable){ m.family, table }, set);
}

static bool make_room(NftBatch *b)
{
	if (buf_failed(&b->b) || b->fault) return false;
	if (!b->list || b->b.n - b->list > UINT16_MAX - ELEMENT_MAX) open_again(b);
	return !buf_failed(&b->b) && !b->fault;
}

static void put_value(NftBatch *b, uint16_t type, const NftValue *v)
{
	if (v->too_big) nft_fault(b, "a value is too long");
	nft_put_data(b, type, v->p, v->fields > 1 ? ((size_t)v->n + 3) / 4 * 4 : v->n);
}

void nft_element(NftBatch *b, const NftElement *el)
{
	if (!make_room(b)) return;
	size_t nest = nft_open_nest(b, NFTA_LIST_ELEM);
	put_value(b, NFTA_SET_ELEM_KEY, el->key);
	if (el->last) put_value(b, NFTA_SET_ELEM_KEY_END, el->last);
	if (el->data) put_value(b, NFTA_SET_ELEM_DATA, el->data);
	if (el->verdict) nft_put_verdict(b, NFTA_SET_ELEM_DATA, el->verdict);
	if (el->timeout) nft_put_be64(b, NFTA_SET_ELEM_TIMEOUT, el->timeout);
	nft_put_comment(b, NFTA_SET_ELEM_USERDATA, ELEMENT_COMMENT, el->comment);
	nft_close_nest(b, nest);
}

/* v + 1; false when there is none. */
static bool behind(NftValue *v)
{
	for (size_t i = v->n; i-- > 0;)
		if (++v->p[i]) return true;
	return false;
}

void nft_interval(NftBatch *b, const NftElement *el)
{
	NftElement begin = *el;
	NftValue end = el->last ? *el->last : *el->key;
	begin.last = NULL;
	nft_element(b, &begin);
	if (!behind(&end) || !make_room(b)) return; /* to the end of what there is */
	size_t nest = nft_open_nest(b, NFTA_LIST_ELEM);
	put_value(b, NFTA_SET_ELEM_KEY, &end);
	nft_put_be32(b, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	if (el->timeout) nft_put_be64(b, NFTA_SET_ELEM_TIMEOUT, el->timeout);
	nft_close_nest(b, nest);
}
