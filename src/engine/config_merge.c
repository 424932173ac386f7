/* config_merge.c: what a container takes from its image, by docker's rules. */
#include "engine/config.h"

static Str env_name(const char *item)
{
	const char *end = strchr(item, '=');
	return (Str){ item, end ? (size_t)(end - item) : strlen(item) };
}

static bool env_has(const StrList *env, Str name)
{
	for (size_t i = 0; i < env->n; i++) {
		Str have = env_name(env->items[i]);
		if (have.n == name.n && memcmp(have.p, name.p, name.n) == 0) return true;
	}
	return false;
}

static bool list_has(const StrList *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], s)) return true;
	return false;
}

/* The image's first, then those of the user; of one name the user's alone. */
static int merge_env(ContainerConfig *c, const ImageDefaults *image, Arena *a)
{
	const char **items = arena_array(a, c->env.n + image->env.n + 1, sizeof *items);
	size_t n = 0;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < c->env.n; i++)
		items[n++] = c->env.items[i];
	for (size_t i = 0; i < image->env.n; i++)
		if (!env_has(&c->env, env_name(image->env.items[i]))) items[n++] = image->env.items[i];
	c->env = (StrList){ items, n };
	return 0;
}

static int merge_set(StrList *to, const StrList *from, Arena *a)
{
	const char **items = arena_array(a, to->n + from->n + 1, sizeof *items);
	size_t n = 0;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < to->n; i++)
		items[n++] = to->items[i];
	for (size_t i = 0; i < from->n; i++)
		if (!list_has(to, from->items[i])) items[n++] = from->items[i];
	*to = (StrList){ items, n };
	return 0;
}

static int merge_labels(StrMap *to, const StrMap *from, Arena *a)
{
	StrPair *items = arena_array(a, to->n + from->n + 1, sizeof *items);
	size_t n = 0;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < to->n; i++)
		items[n++] = to->items[i];
	for (size_t i = 0; i < from->n; i++)
		if (!str_map_get(to, from->items[i].key)) items[n++] = from->items[i];
	*to = (StrMap){ items, n };
	return 0;
}

static int merge_health(ContainerConfig *c, const Healthcheck *image, Arena *a)
{
	if (!image) return 0;
	if (!c->healthcheck) {
		c->healthcheck = image;
		return 0;
	}
	Healthcheck *h = arena_alloc(a, sizeof *h);
	if (!h) return -ENOMEM;
	*h = *c->healthcheck;
	if (!h->test.n) h->test = image->test;
	if (!h->interval) h->interval = image->interval;
	if (!h->timeout) h->timeout = image->timeout;
	if (!h->start_period) h->start_period = image->start_period;
	if (!h->start_interval) h->start_interval = image->start_interval;
	if (!h->retries) h->retries = image->retries;
	c->healthcheck = h;
	return 0;
}

int container_config_merge(ContainerConfig *c, const ImageDefaults *image, Arena *a, Err *e)
{
	if (!c->user || !*c->user) c->user = image->user;
	if (!c->working_dir || !*c->working_dir) c->working_dir = image->working_dir;
	if (!c->stop_signal || !*c->stop_signal) c->stop_signal = image->stop_signal;
	if (!c->entrypoint_set) {
		if (!c->cmd.n) c->cmd = image->cmd;
		c->entrypoint = image->entrypoint;
	}
	c->on_build = image->on_build;
	c->shell = image->shell;
	int r = merge_env(c, image, a);
	if (r >= 0) r = merge_set(&c->exposed_ports, &image->exposed_ports, a);
	if (r >= 0) r = merge_set(&c->volumes, &image->volumes, a);
	if (r >= 0) r = merge_labels(&c->labels, &image->labels, a);
	if (r >= 0) r = merge_health(c, image->healthcheck, a);
	if (r < 0) return err_sys(e, r, "configure the container");
	if (c->entrypoint.n + c->cmd.n == 0) return err_set(e, ERR_CONFIG, EINVAL, "no command specified");
	return 0;
}
