/* fuzz_bind.c: a struct decoded from any document is encoded as a document that decodes to the same. */
#include "base/bind.h"
#include "bind_sample.h"
#include "fuzz.h"

static int decode(char *text, size_t n, Sample *s, Arena *a)
{
	Err e = ERR_INIT;
	int r = sample_parse(text, n, s, "config.json", a, &e);
	if (r < 0)
		assert(e.code != ERR_NONE && starts_with(e.msg, "config.json: "));
	else
		assert(e.code == ERR_NONE);
	return r;
}

static char *encode(const Sample *s)
{
	AUTO_BUF b = BUF_INIT(64 << 20);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&sample_table, s, &w);
	char *text = buf_take(&b);
	assert(text);
	return text;
}

/* What holds for every struct that was decoded. */
static void check_sample(const Sample *s)
{
	assert(s->version && *s->version);
	assert(s->mode <= 07777);
	assert(!s->score.set || (s->score.v >= -1000 && s->score.v <= 1000));
	assert(!s->port.set || (s->port.v >= 1 && s->port.v <= 65535));
	assert(s->colour >= COLOUR_NONE && s->colour <= COLOUR_BLUE);
	for (size_t i = 0; i < s->args.n; i++)
		assert(s->args.items[i]);
	assert(!s->args.items || !s->args.items[s->args.n]);
	for (size_t i = 0; i < s->colours.n; i++)
		assert(bind_name(colour_names, s->colours.items[i]));
	assert(!s->hook_pointer || *s->hook_pointer->path);
	for (size_t i = 0; i < s->limits.n; i++)
		assert(*s->limits.items[i].type);
	for (size_t i = 0; i < s->labels.n; i++)
		assert(streq(str_map_get(&s->labels, s->labels.items[i].key), s->labels.items[i].value));
	for (size_t i = 0; i < s->named.n; i++)
		assert(s->named.items[i].key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX), b = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Sample first, second;
	if (decode(text, n, &first, &a) < 0) return 0;
	check_sample(&first);
	AUTO_FREE char *once = encode(&first);
	AUTO_FREE char *parsed = fuzz_copy(once, strlen(once));
	assert(decode(parsed, strlen(once), &second, &b) == 0);
	check_sample(&second);
	AUTO_FREE char *twice = encode(&second);
	assert(streq(once, twice));
	return 0;
}
