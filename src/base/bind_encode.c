/* bind_encode.c: structs into documents, see bind.h. */
#include "base/bind.h"

static bool is_absent(const BindRow *row, const void *p)
{
	switch (row->kind) {
	case BIND_BOOL:
		return !*(const bool *)p;
	case BIND_I32:
	case BIND_U32:
		return *(const uint32_t *)p == 0;
	case BIND_ENUM:
		return *(const int *)p == 0;
	case BIND_I64:
	case BIND_U64:
		return *(const uint64_t *)p == 0;
	case BIND_OPT_BOOL:
		return !((const OptBool *)p)->set;
	case BIND_OPT_INT:
		return !((const OptInt *)p)->set;
	case BIND_OPT_UINT:
		return !((const OptUint *)p)->set;
	case BIND_STRING:
	case BIND_POINTER:
	case BIND_RAW:
		return !*(const void *const *)p;
	case BIND_DIGEST:
		return !((const Digest *)p)->algorithm;
	case BIND_OBJECT:
		return false;
	default:
		return ((const ObjList *)p)->n == 0;
	}
}

/* A struct by value is left out when nothing in it would be written. */
static bool is_absent_object(const BindTable *t, const char *obj, bool brief)
{
	for (size_t i = 0; i < t->n; i++) {
		const BindRow *row = &t->rows[i];
		if (row->flags & BIND_ALWAYS && !brief) return false;
		bool absent =
			row->kind == BIND_OBJECT ? is_absent_object(row->sub, obj + row->offset, brief) : is_absent(row, obj + row->offset);
		if (!absent) return false;
	}
	return true;
}

static void encode_digest(const Digest *d, JsonWriter *w)
{
	char text[DIGEST_TEXT_MAX];
	json_string(w, digest_format(d, text));
}

static void encode_items(const BindRow *row, const void *p, JsonWriter *w)
{
	const ObjList *l = p;
	json_begin_array(w);
	for (size_t i = 0; i < l->n; i++) {
		if (row->kind == BIND_STRINGS)
			json_string(w, ((const char *const *)l->items)[i]);
		else if (row->kind == BIND_U32S)
			json_uint(w, ((const uint32_t *)l->items)[i]);
		else if (row->kind == BIND_DIGESTS)
			encode_digest(&((const Digest *)l->items)[i], w);
		else if (row->kind == BIND_ENUMS)
			json_string(w, bind_name(row->sub, ((const int *)l->items)[i]));
		else
			bind_encode(row->sub, (const char *)l->items + i * ((const BindTable *)row->sub)->size, w);
	}
	json_end_array(w);
}

static void encode_maps(const BindRow *row, const void *p, JsonWriter *w)
{
	const ObjList *l = p;
	json_begin_object(w);
	for (size_t i = 0; i < l->n; i++) {
		if (row->kind == BIND_KEYS) {
			json_key(w, ((const char *const *)l->items)[i]);
			json_begin_object(w);
			json_end_object(w);
			continue;
		}
		if (row->kind == BIND_MAP) {
			const StrPair *pair = (const StrPair *)l->items + i;
			json_put_string(w, pair->key, pair->value);
			continue;
		}
		const char *obj = (const char *)l->items + i * ((const BindTable *)row->sub)->size;
		json_key(w, *(const char *const *)obj);
		bind_encode(row->sub, obj, w);
	}
	json_end_object(w);
}

/* Written although absent: on request, and where a reader would refuse the document without it. A zero is such a
 * value; an empty string or list is refused all the same. */
static bool is_owed(const BindRow *row, bool brief)
{
	if (row->flags & BIND_ALWAYS && !brief) return true;
	if (!(row->flags & BIND_REQUIRED)) return false;
	switch (row->kind) {
	case BIND_BOOL:
	case BIND_I32:
	case BIND_U32:
	case BIND_I64:
	case BIND_U64:
	case BIND_ENUM:
	case BIND_OBJECT:
		return true;
	default:
		return false;
	}
}

/* Of the kinds that know "absent" from zero, so that it is still absent when read again. */
static bool is_null(const BindRow *row, const void *p)
{
	if (row->flags & BIND_NULL) return is_absent(row, p);
	if (row->flags & BIND_TEXT) return false;
	switch (row->kind) {
	case BIND_OPT_BOOL:
	case BIND_OPT_INT:
	case BIND_OPT_UINT:
	case BIND_STRING:
	case BIND_POINTER:
	case BIND_RAW:
	case BIND_DIGEST:
		return is_absent(row, p);
	default:
		return false;
	}
}

static void encode_field(const BindRow *row, const void *p, JsonWriter *w)
{
	if (is_null(row, p)) {
		json_null(w);
		return;
	}
	switch (row->kind) {
	case BIND_BOOL:
		json_bool(w, *(const bool *)p);
		return;
	case BIND_OPT_BOOL:
		json_bool(w, ((const OptBool *)p)->v);
		return;
	case BIND_I32:
		json_int(w, *(const int32_t *)p);
		return;
	case BIND_U32:
		json_uint(w, *(const uint32_t *)p);
		return;
	case BIND_I64:
		json_int(w, *(const int64_t *)p);
		return;
	case BIND_U64:
		json_uint(w, *(const uint64_t *)p);
		return;
	case BIND_OPT_INT:
		json_int(w, ((const OptInt *)p)->v);
		return;
	case BIND_OPT_UINT:
		json_uint(w, ((const OptUint *)p)->v);
		return;
	case BIND_STRING:
		json_string(w, *(const char *const *)p ? *(const char *const *)p : "");
		return;
	case BIND_ENUM:
		json_string(w, bind_name(row->sub, *(const int *)p));
		return;
	case BIND_OBJECT:
		bind_encode(row->sub, p, w);
		return;
	case BIND_POINTER:
		bind_encode(row->sub, *(const void *const *)p, w);
		return;
	case BIND_RAW:
		json_value(w, *(const JsonValue *const *)p);
		return;
	case BIND_DIGEST:
		encode_digest(p, w);
		return;
	case BIND_MAP:
	case BIND_OBJMAP:
	case BIND_KEYS:
		encode_maps(row, p, w);
		return;
	default:
		encode_items(row, p, w);
	}
}

void bind_encode(const BindTable *t, const void *obj, JsonWriter *w)
{
	json_begin_object(w);
	for (size_t i = 0; i < t->n; i++) {
		const BindRow *row = &t->rows[i];
		const char *p = (const char *)obj + row->offset;
		bool absent = row->kind == BIND_OBJECT ? is_absent_object(row->sub, p, w->brief) : is_absent(row, p);
		if (absent && !is_owed(row, w->brief)) continue;
		json_key(w, row->name);
		encode_field(row, p, w);
	}
	json_end_object(w);
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const StrPair *)a)->key, ((const StrPair *)b)->key);
}

void str_map_sort(StrMap *m)
{
	if (m->n) qsort(m->items, m->n, sizeof *m->items, compare_pairs);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void str_list_sort(StrList *l)
{
	if (l->n) qsort(l->items, l->n, sizeof *l->items, compare_strings);
}
