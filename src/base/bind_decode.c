/* bind_decode.c: documents into structs, see bind.h. */
#include "base/bind.h"

#include <inttypes.h>

/* One step of the way from the document to a value: a member's name or, without one, an item's index. */
typedef struct Step {
	const char *key;
	uint32_t index;
} Step;

typedef struct Decoder {
	const char *document;
	Arena *arena;
	Err *e;
	Step steps[JSON_DEPTH_MAX + 1];
	size_t depth;
	char path[256]; /* the steps as text; for messages only, and made for them: see path_text */
} Decoder;

static int decode_object(Decoder *d, const BindTable *t, const JsonValue *v, void *obj);

/* key: NULL for an item of a list. Returns the depth to go back to. */
static size_t path_push(Decoder *d, const char *key, uint32_t index)
{
	if (d->depth < ARRAY_LEN(d->steps)) d->steps[d->depth] = (Step){ key, index };
	return d->depth++;
}

static void path_pop(Decoder *d, size_t depth)
{
	d->depth = depth;
}

/* What does not fit is cut. */
static const char *path_text(Decoder *d)
{
	size_t at = 0, room = sizeof d->path;
	d->path[0] = 0;
	for (size_t i = 0; i < d->depth && i < ARRAY_LEN(d->steps) && at < room; i++) {
		const Step *s = &d->steps[i];
		int n = s->key ? snprintf(d->path + at, room - at, "%s%s", i ? "." : "", s->key)
			       : snprintf(d->path + at, room - at, "[%u]", s->index);
		if (n > 0) at += (size_t)n;
	}
	return d->path;
}

static int refuse(Decoder *d, const JsonValue *v, const char *expected)
{
	const char *got = v->type == JSON_DOUBLE ? "number with a fraction or exponent" : json_type_name(v->type);
	return err_set(d->e, ERR_CONFIG, EINVAL, "%s: %s: expected %s, got %s (byte %u)", d->document, d->depth ? path_text(d) : "document",
		       expected, got, v->offset);
}

static int refuse_range(Decoder *d, const JsonValue *v, int64_t min, uint64_t max)
{
	return err_set(d->e, ERR_CONFIG, EINVAL, "%s: %s: expected an integer from %" PRId64 " to %" PRIu64 " (byte %u)", d->document,
		       path_text(d), min, max, v->offset);
}

static int no_memory(Decoder *d)
{
	return err_set(d->e, ERR_RESOURCE, ENOMEM, "%s: document too large", d->document);
}

static int decode_signed(Decoder *d, const JsonValue *v, int64_t min, int64_t max, int64_t *ret)
{
	if (v->type == JSON_UINT) return refuse_range(d, v, min, (uint64_t)max);
	if (v->type != JSON_INT) return refuse(d, v, "an integer");
	if (v->i < min || v->i > max) return refuse_range(d, v, min, (uint64_t)max);
	*ret = v->i;
	return 0;
}

static int decode_unsigned(Decoder *d, const JsonValue *v, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (v->type != JSON_INT && v->type != JSON_UINT) return refuse(d, v, "an integer");
	if (v->type == JSON_INT && v->i < 0) return refuse_range(d, v, (int64_t)min, max);
	uint64_t x = v->type == JSON_INT ? (uint64_t)v->i : v->u;
	if (x < min || x > max) return refuse_range(d, v, (int64_t)min, max);
	*ret = x;
	return 0;
}

static int decode_number(Decoder *d, const BindRow *row, const JsonValue *v, void *to)
{
	int64_t i = 0;
	uint64_t u = 0;
	int x;
	switch (row->kind) {
	case BIND_I32:
		x = decode_signed(d, v, INT32_MIN, INT32_MAX, &i);
		if (x >= 0) *(int32_t *)to = (int32_t)i;
		return x;
	case BIND_U32:
		x = decode_unsigned(d, v, 0, row->max ? row->max : UINT32_MAX, &u);
		if (x >= 0) *(uint32_t *)to = (uint32_t)u;
		return x;
	case BIND_I64:
		x = decode_signed(d, v, INT64_MIN, INT64_MAX, &i);
		if (x >= 0) *(int64_t *)to = i;
		return x;
	case BIND_U64:
		x = decode_unsigned(d, v, 0, UINT64_MAX, &u);
		if (x >= 0) *(uint64_t *)to = u;
		return x;
	case BIND_OPT_INT:
		x = decode_signed(d, v, row->max ? row->min : INT64_MIN, row->max ? (int64_t)row->max : INT64_MAX, &i);
		if (x >= 0) *(OptInt *)to = (OptInt){ .set = true, .v = i };
		return x;
	default:
		x = decode_unsigned(d, v, row->max ? (uint64_t)row->min : 0, row->max ? row->max : UINT64_MAX, &u);
		if (x >= 0) *(OptUint *)to = (OptUint){ .set = true, .v = u };
		return x;
	}
}

static int decode_name(Decoder *d, const BindName *names, const JsonValue *v, int *ret)
{
	if (v->type != JSON_STRING) return refuse(d, v, "a string");
	int x = bind_value(names, v->s);
	if (x >= 0) {
		*ret = x;
		return 0;
	}
	AUTO_BUF allowed = BUF_INIT(400);
	for (const BindName *n = names; n->name; n++) {
		if (allowed.n > 300) {
			buf_puts(&allowed, ", …");
			break;
		}
		buf_printf(&allowed, "%s\"%s\"", n == names ? "" : ", ", n->name);
	}
	return err_set(d->e, ERR_CONFIG, EINVAL, "%s: %s: unknown value \"%.64s\" (byte %u); allowed: %s", d->document, path_text(d), v->s,
		       v->offset, buf_str(&allowed));
}

static int decode_digest(Decoder *d, const JsonValue *v, Digest *ret)
{
	if (v->type != JSON_STRING) return refuse(d, v, "a digest");
	int x = digest_parse((Str){ v->s, v->n }, ret);
	if (x == -ENOTSUP)
		return err_set(d->e, ERR_UNSUPPORTED, ENOTSUP,
			       "%s: %s: algorithm of \"%.100s\" (byte %u) is not supported; sha256 and sha512 are", d->document,
			       path_text(d), v->s, v->offset);
	return x < 0 ? refuse(d, v, "a digest such as \"sha256:\" and 64 lower-case hexadecimal digits") : 0;
}

static int decode_plain_item(Decoder *d, const BindRow *row, const JsonValue *item, void *items, uint32_t i)
{
	uint64_t u = 0;
	int x;
	switch (row->kind) {
	case BIND_STRINGS:
		if (item->type != JSON_STRING) return refuse(d, item, "a string");
		((const char **)items)[i] = item->s;
		return 0;
	case BIND_U32S:
		x = decode_unsigned(d, item, 0, UINT32_MAX, &u);
		((uint32_t *)items)[i] = (uint32_t)u;
		return x;
	case BIND_DIGESTS:
		return decode_digest(d, item, &((Digest *)items)[i]);
	default:
		return decode_name(d, row->sub, item, &((int *)items)[i]);
	}
}

/* Lists of plain values: one place for the loop, the path and the memory. */
static int decode_plain_list(Decoder *d, const BindRow *row, const JsonValue *v, void *to)
{
	static const size_t sizes[] = {
		[BIND_STRINGS] = sizeof(char *), [BIND_U32S] = 4, [BIND_ENUMS] = sizeof(int), [BIND_DIGESTS] = sizeof(Digest)
	};
	if (v->type != JSON_ARRAY) return refuse(d, v, "an array");
	void *items = arena_array(d->arena, (size_t)v->n + 1, sizes[row->kind]);
	if (!items) return no_memory(d);
	for (uint32_t i = 0; i < v->n; i++) {
		size_t mark = path_push(d, NULL, i);
		int x = decode_plain_item(d, row, &v->items[i], items, i);
		if (x < 0) return x;
		path_pop(d, mark);
	}
	*(ObjList *)to = (ObjList){ .items = items, .n = v->n };
	return 0;
}

static int decode_list(Decoder *d, const BindTable *t, const JsonValue *v, ObjList *to)
{
	if (v->type != JSON_ARRAY) return refuse(d, v, "an array");
	char *items = arena_array(d->arena, (size_t)v->n + 1, t->size);
	if (!items) return no_memory(d);
	for (uint32_t i = 0; i < v->n; i++) {
		size_t mark = path_push(d, NULL, i);
		int x = decode_object(d, t, &v->items[i], items + i * t->size);
		if (x < 0) return x;
		path_pop(d, mark);
	}
	*to = (ObjList){ .items = items, .n = v->n };
	return 0;
}

static int decode_object_map(Decoder *d, const BindTable *t, const JsonValue *v, ObjList *to)
{
	if (v->type != JSON_OBJECT) return refuse(d, v, "an object");
	char *items = arena_array(d->arena, (size_t)v->n + 1, t->size);
	if (!items) return no_memory(d);
	for (uint32_t i = 0; i < v->n; i++) {
		size_t mark = path_push(d, v->members[i].key, 0);
		int x = decode_object(d, t, &v->members[i].value, items + i * t->size);
		if (x < 0) return x;
		*(const char **)(items + i * t->size) = v->members[i].key;
		path_pop(d, mark);
	}
	*to = (ObjList){ .items = items, .n = v->n };
	return 0;
}

static int decode_map(Decoder *d, const JsonValue *v, StrMap *to)
{
	if (v->type != JSON_OBJECT) return refuse(d, v, "an object of strings");
	StrPair *items = arena_array(d->arena, (size_t)v->n + 1, sizeof *items);
	if (!items) return no_memory(d);
	for (uint32_t i = 0; i < v->n; i++) {
		size_t mark = path_push(d, v->members[i].key, 0);
		if (v->members[i].value.type != JSON_STRING) return refuse(d, &v->members[i].value, "a string");
		items[i] = (StrPair){ v->members[i].key, v->members[i].value.s };
		path_pop(d, mark);
	}
	*to = (StrMap){ .items = items, .n = v->n };
	return 0;
}

static int decode_keys(Decoder *d, const JsonValue *v, StrList *to)
{
	if (v->type != JSON_OBJECT) return refuse(d, v, "an object of empty objects");
	const char **items = arena_array(d->arena, (size_t)v->n + 1, sizeof *items);
	if (!items) return no_memory(d);
	for (uint32_t i = 0; i < v->n; i++) {
		size_t mark = path_push(d, v->members[i].key, 0);
		const JsonValue *value = &v->members[i].value;
		if (value->type != JSON_OBJECT && value->type != JSON_NULL) return refuse(d, value, "an empty object");
		items[i] = v->members[i].key;
		path_pop(d, mark);
	}
	*to = (StrList){ .items = items, .n = v->n };
	return 0;
}

static int decode_pointer(Decoder *d, const BindTable *t, const JsonValue *v, void **to)
{
	void *p = arena_alloc(d->arena, t->size);
	if (!p) return no_memory(d);
	int x = decode_object(d, t, v, p);
	if (x >= 0) *to = p;
	return x;
}

static int decode_field(Decoder *d, const BindRow *row, const JsonValue *v, void *to)
{
	switch (row->kind) {
	case BIND_BOOL:
	case BIND_OPT_BOOL:
		if (v->type != JSON_BOOL) return refuse(d, v, "true or false");
		if (row->kind == BIND_BOOL)
			*(bool *)to = v->boolean;
		else
			*(OptBool *)to = (OptBool){ .set = true, .v = v->boolean };
		return 0;
	case BIND_STRING:
		if (v->type != JSON_STRING) return refuse(d, v, "a string");
		*(const char **)to = v->s;
		return 0;
	case BIND_ENUM:
		return decode_name(d, row->sub, v, to);
	case BIND_STRINGS:
	case BIND_U32S:
	case BIND_ENUMS:
	case BIND_DIGESTS:
		return decode_plain_list(d, row, v, to);
	case BIND_OBJECT:
		return decode_object(d, row->sub, v, to);
	case BIND_POINTER:
		return decode_pointer(d, row->sub, v, to);
	case BIND_LIST:
		return decode_list(d, row->sub, v, to);
	case BIND_MAP:
		return decode_map(d, v, to);
	case BIND_OBJMAP:
		return decode_object_map(d, row->sub, v, to);
	case BIND_RAW:
		*(const JsonValue **)to = v;
		return 0;
	case BIND_DIGEST:
		return decode_digest(d, v, to);
	case BIND_KEYS:
		return decode_keys(d, v, to);
	default:
		return decode_number(d, row, v, to);
	}
}

static bool is_empty(const BindRow *row, const void *field)
{
	switch (row->kind) {
	case BIND_STRING:
		return !*(const char *const *)field || !**(const char *const *)field;
	case BIND_STRINGS:
	case BIND_U32S:
	case BIND_ENUMS:
	case BIND_DIGESTS:
	case BIND_LIST:
	case BIND_MAP:
	case BIND_OBJMAP:
	case BIND_KEYS:
		return ((const ObjList *)field)->n == 0;
	default:
		return false;
	}
}

static int check_required(Decoder *d, const BindTable *t, const JsonValue *v, const char *obj)
{
	for (size_t i = 0; i < t->n; i++) {
		const BindRow *row = &t->rows[i];
		if (!(row->flags & BIND_REQUIRED)) continue;
		const JsonValue *m = json_get(v, row->name);
		bool there = m && m->type != JSON_NULL;
		if (there && !is_empty(row, obj + row->offset)) continue;
		path_push(d, row->name, 0);
		return err_set(d->e, ERR_CONFIG, EINVAL, "%s: %s: required, but %s", d->document, path_text(d),
			       there ? "empty" : "missing");
	}
	return 0;
}

static int decode_object(Decoder *d, const BindTable *t, const JsonValue *v, void *obj)
{
	if (v->type != JSON_OBJECT) return refuse(d, v, "an object");
	size_t at = 0; /* documents usually follow the table's order: start at the row after the last hit */
	for (uint32_t i = 0; i < v->n; i++) {
		const JsonMember *m = &v->members[i];
		const BindRow *row = NULL;
		for (size_t k = 0; k < t->n && !row; k++) {
			size_t j = at + k < t->n ? at + k : at + k - t->n;
			if (!streq(t->rows[j].name, m->key)) continue;
			row = &t->rows[j];
			at = j + 1 < t->n ? j + 1 : 0;
		}
		if (!row || m->value.type == JSON_NULL) continue;
		size_t mark = path_push(d, m->key, 0);
		int x = decode_field(d, row, &m->value, (char *)obj + row->offset);
		if (x < 0) return x;
		path_pop(d, mark);
	}
	return check_required(d, t, v, obj);
}

int bind_decode(const BindTable *t, const JsonValue *v, void *obj, const char *document, Arena *a, Err *e)
{
	Decoder d = { .document = document, .arena = a, .e = e };
	memset(obj, 0, t->size);
	return decode_object(&d, t, v, obj);
}

int bind_parse(const BindTable *t, char *text, size_t n, void *obj, const char *document, Arena *a, Err *e)
{
	AUTO_ARENA tree = ARENA_INIT(a->max);
	JsonValue v;
	int x = json_parse(text, n, &tree, &v, e);
	if (x < 0) return err_wrap(e, "%s", document);
	return bind_decode(t, &v, obj, document, a, e);
}

int bind_value(const BindName *names, const char *name)
{
	for (; names->name; names++)
		if (streq(names->name, name)) return names->value;
	return -1;
}

const char *bind_name(const BindName *names, int value)
{
	for (; names->name; names++)
		if (names->value == value) return names->name;
	return NULL;
}

const char *str_map_get(const StrMap *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (streq(m->items[i].key, key)) return m->items[i].value;
	return NULL;
}
