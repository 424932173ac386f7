/* event.c: see event.h. */
#include "image/event.h"

#include "monitor/event_log.h"

enum { EVENT_ARENA = 16 << 20 };

static const StrMap *labels_of(ImageStore *s, const char *id, Arena *a)
{
	Image i;
	Err ignored = ERR_INIT;
	ImageConfig *c = arena_alloc(a, sizeof *c);
	if (!c || image_find(s, id, a, &i, &ignored) < 0 || image_documents(s, &i, a, NULL, c, &ignored) < 0) return NULL;
	return &c->config.labels;
}

void image_event(ImageStore *s, const char *action, const char *id, const char *name)
{
	AUTO_ARENA a = ARENA_INIT(EVENT_ARENA);
	Err ignored = ERR_INIT;
	const StrMap *labels = labels_of(s, id, &a);
	StrMap all = { 0 };
	for (size_t i = 0; labels && i < labels->n; i++)
		if (str_map_set(&all, labels->items[i].key, labels->items[i].value, &a) < 0) return;
	if (str_map_set(&all, "name", name, &a) < 0) return;
	str_map_sort(&all);
	(void)!event_append(s->root, &(Event){ .type = "image", .action = action, .id = id, .attributes = all }, NULL, &ignored);
}

void image_event_removal(ImageStore *s, const Image *i, const Removal *done)
{
	char id[DIGEST_TEXT_MAX];
	digest_format(&i->id, id);
	for (size_t k = 0; k < done->untagged.n; k++)
		image_event(s, "untag", id, id);
	if (done->deleted.n) image_event(s, "delete", id, id);
}
