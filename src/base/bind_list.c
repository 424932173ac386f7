/* bind_list.c: lists and maps of strings that grow in an arena, see bind.h. */
#include "base/bind.h"

int str_list_add(StrList *l, const char *s, Arena *a)
{
	if (!s) return -ENOMEM;
	if ((l->n & (l->n - 1)) == 0) { /* full whenever its length is a power of two */
		const char **items = arena_array(a, (l->n ? l->n * 2 : 1) + 1, sizeof *items);
		if (!items) return -ENOMEM;
		if (l->n) memcpy(items, l->items, l->n * sizeof *items);
		l->items = items;
	}
	l->items[l->n++] = s;
	l->items[l->n] = NULL;
	return 0;
}

int str_map_set(StrMap *m, const char *key, const char *value, Arena *a)
{
	if (!key || !value) return -ENOMEM;
	for (size_t i = 0; i < m->n; i++) {
		if (!streq(m->items[i].key, key)) continue;
		m->items[i].value = value;
		return 0;
	}
	if ((m->n & (m->n - 1)) == 0) {
		StrPair *items = arena_array(a, m->n ? m->n * 2 : 1, sizeof *items);
		if (!items) return -ENOMEM;
		if (m->n) memcpy(items, m->items, m->n * sizeof *items);
		m->items = items;
	}
	m->items[m->n++] = (StrPair){ key, value };
	return 0;
}

bool str_list_has(const StrList *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], s)) return true;
	return false;
}
