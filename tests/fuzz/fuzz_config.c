/* fuzz_config.c: the runtime configuration, a process and resources: accepted ones survive encoding, refused ones are
 * refused with one line that names the place in the document. */
#include "fuzz.h"
#include "oci/spec.h"

#include <ctype.h>

typedef int ParseFn(char *text, size_t n, Arena *a, void *ret, Err *e);

/* Subject: one kind of document. */
typedef struct Subject {
	const BindTable *table;
	ParseFn *parse;
	const char *document; /* as messages call it */
} Subject;

static int parse_spec(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_spec_parse(text, n, a, ret, e);
}

static int parse_process(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_process_parse(text, n, a, ret, e);
}

static int parse_resources(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_resources_parse(text, n, a, ret, e);
}

/* "hooks.poststop[0]: …" and "root: …" begin with a field of the table, "hook: …" does not. */
static bool names_field(const BindTable *t, const char *message)
{
	for (size_t i = 0; i < t->n; i++) {
		size_t n = strlen(t->rows[i].name);
		if (starts_with(message, t->rows[i].name) && message[n] && strchr(".[: ", message[n])) return true;
	}
	return false;
}

static bool names_place(const Subject *s, const char *message)
{
	size_t n = strlen(s->document);
	if (starts_with(message, s->document) && message[n] == ':') {
		message += n + 2;
		return starts_with(message, "invalid JSON at byte ") || starts_with(message, "document: ") ||
		       names_field(s->table, message);
	}
	/* a process is checked by the same code, whichever document it stood in */
	return starts_with(message, "config.json: process");
}

static void check_refusal(const Subject *s, const Err *e)
{
	assert(e->errnum > 0 && (e->code == ERR_CONFIG || e->code == ERR_RESOURCE || e->code == ERR_UNSUPPORTED));
	for (const char *p = e->msg; *p; p++)
		assert(!iscntrl((unsigned char)*p));
	if (e->code != ERR_RESOURCE) assert(names_place(s, e->msg));
}

/* Parses a copy of the text and encodes what came of it; NULL when it is refused. */
static char *rewritten(const Subject *s, const void *text, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(64 << 20);
	AUTO_FREE char *copy = fuzz_copy(text, n);
	AUTO_FREE void *obj = malloc(s->table->size);
	JsonWriter w = JSON_WRITER(&b);
	Err e = ERR_INIT;
	assert(obj);
	if (s->parse(copy, n, &a, obj, &e) < 0) {
		check_refusal(s, &e);
		return NULL;
	}
	assert(e.code == ERR_NONE);
	bind_encode(s->table, obj, &w);
	char *again = buf_take(&b);
	assert(again);
	return again;
}

static void check(const Subject *s, const uint8_t *data, size_t n)
{
	AUTO_FREE char *once = rewritten(s, data, n);
	if (!once) return;
	AUTO_FREE char *twice = rewritten(s, once, strlen(once));
	assert(twice && streq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const Subject subjects[] = {
		{ &oci_spec_table, parse_spec, "config.json" },
		{ &oci_process_table, parse_process, "process.json" },
		{ &oci_resources_table, parse_resources, "resources" },
	};
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
		check(&subjects[i], data, n);
	return 0;
}
