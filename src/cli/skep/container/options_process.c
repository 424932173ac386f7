/* options_process.c: what runs, how it is watched, and what becomes of its output. */
#include <strings.h>

#include "cli/skep/container/options_impl.h"

/* ---- streams ---- */

static const char *const streams[] = { "stdin", "stdout", "stderr" };

int check_attach(const char *text, Err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		if (strcasecmp(text, streams[i]) == 0) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "valid streams are STDIN, STDOUT and STDERR");
}

static bool attaches(const StrList *l, const char *stream)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->items[i], stream) == 0) return true;
	return false;
}

int options_streams(const OptionParse *p)
{
	ContainerConfig *c = &p->to->config;
	const StrList *given = option_list(p->in, "attach");
	c->tty = option_switch(p->in, "tty");
	c->open_stdin = option_switch(p->in, "interactive");
	c->attach_stdin = c->open_stdin || attaches(given, "stdin");
	c->attach_stdout = !given->n || attaches(given, "stdout");
	c->attach_stderr = !given->n || attaches(given, "stderr");
	c->stdin_once = c->open_stdin && c->attach_stdin;
	return 0;
}

/* ---- image and command ---- */

int options_command(const OptionParse *p)
{
	ContainerConfig *c = &p->to->config;
	const StrList *args = &p->in->args;
	const char *entrypoint = option_value(p->in, "entrypoint");
	int r = 0;
	if (option_switch(p->in, "rootfs")) {
		char *path = arena_strdup(p->arena, args->items[0]);
		/* as podman spells what is the only way here: in a user namespace the files have the container's ids */
		if (path && ends_with(path, ":idmap")) path[strlen(path) - strlen(":idmap")] = 0;
		p->to->host.rootfs = path ? absolute_path(p->arena, path) : NULL;
		if (!p->to->host.rootfs) r = -ENOMEM;
	} else {
		c->image = args->items[0];
	}
	c->cmd = (StrList){ args->items + 1, args->n - 1 };
	c->entrypoint_set = option_is_set(p->in, "entrypoint");
	if (r >= 0 && c->entrypoint_set && *entrypoint) r = str_list_add(&c->entrypoint, entrypoint, p->arena);
	return r < 0 ? no_memory(p->e) : 0;
}

/* ---- restart ---- */

int restart_policy_parse(const char *text, Arena *a, RestartPolicy *ret, Err *e)
{
	Str name, count;
	int64_t n = 0;
	bool colon = str_cut(str_of(text), ':', &name, &count);
	*ret = (RestartPolicy){ 0 };
	if (!*text) return 0;
	if (colon && !name.n) return err_set(e, ERR_USAGE, EINVAL, "invalid restart policy format: no policy provided before colon");
	if (count.n && (number_parse(count, &n) < 0 || n != (int32_t)n))
		return err_set(e, ERR_USAGE, EINVAL, "invalid restart policy format: maximum retry count must be an integer");
	*ret = (RestartPolicy){ arena_str(a, name), (int32_t)n };
	return ret->name ? 0 : no_memory(e);
}

int options_restart(const OptionParse *p)
{
	return restart_policy_parse(option_value(p->in, "restart"), p->arena, &p->to->host.restart_policy, p->e);
}

/* ---- health ---- */

/* A length of time or a number that may not be negative. */
static int take_count(const OptionParse *p, const char *option, int64_t *ret)
{
	*ret = option_number(p->in, option);
	return *ret < 0 ? err_set(p->e, ERR_USAGE, EINVAL, "--%s cannot be negative", option) : 0;
}

static bool is_given(const OptionParse *p, const char *option)
{
	const char *text = option_value(p->in, option);
	return text && *text;
}

static bool has_health(const OptionParse *p)
{
	static const char *const options[] = { "health-interval", "health-timeout", "health-start-period", "health-retries",
					       "health-start-interval" };
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (option_number(p->in, options[i])) return true;
	return is_given(p, "health-cmd") || is_given(p, "health-http") || is_given(p, "health-tcp");
}

static int make_test(const OptionParse *p, StrList *ret, const char *first, const char *second)
{
	int r = str_list_add(ret, first, p->arena);
	if (r >= 0 && second) r = str_list_add(ret, second, p->arena);
	return r < 0 ? no_memory(p->e) : 0;
}

/* What is asked: a command, or without one a server. */
static int take_test(const OptionParse *p, StrList *ret)
{
	static const struct {
		const char *option, *kind;
	} kinds[] = { { "health-cmd", "CMD-SHELL" }, { "health-http", "HTTP" }, { "health-tcp", "TCP" } };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!is_given(p, kinds[i].option)) continue;
		if (ret->n) return err_set(p->e, ERR_USAGE, EINVAL, "--%s conflicts with another way to check health", kinds[i].option);
		int r = make_test(p, ret, kinds[i].kind, option_value(p->in, kinds[i].option));
		if (r < 0) return r;
	}
	if (is_given(p, "health-http") && !starts_with(option_value(p->in, "health-http"), "http://"))
		return err_set(p->e, ERR_USAGE, EINVAL, "--health-http: \"%s\" is no URL of the form http://ADDRESS[:PORT][/PATH]",
			       option_value(p->in, "health-http"));
	return 0;
}

int options_health(const OptionParse *p)
{
	bool none = option_switch(p->in, "no-healthcheck"), some = has_health(p);
	int64_t retries = 0;
	if (none && some) return err_set(p->e, ERR_USAGE, EINVAL, "--no-healthcheck conflicts with --health-* options");
	if (!none && !some) return 0;
	Healthcheck *h = arena_alloc(p->arena, sizeof *h);
	if (!h) return no_memory(p->e);
	p->to->config.healthcheck = h;
	if (none) return make_test(p, &h->test, "NONE", NULL);
	int r = take_test(p, &h->test);
	if (r >= 0) r = take_count(p, "health-interval", &h->interval);
	if (r >= 0) r = take_count(p, "health-timeout", &h->timeout);
	if (r >= 0) r = take_count(p, "health-retries", &retries);
	if (r >= 0) r = take_count(p, "health-start-period", &h->start_period);
	if (r >= 0) r = take_count(p, "health-start-interval", &h->start_interval);
	h->retries = (int32_t)retries;
	return r;
}

/* ---- log ---- */

int options_logging(const OptionParse *p)
{
	LogConfig *log = &p->to->host.log_config;
	const char *driver = option_value(p->in, "log-driver");
	log->type = driver && *driver ? driver : NULL;
	if (log->type && streq(log->type, "none") && option_list(p->in, "log-opt")->n)
		return err_set(p->e, ERR_USAGE, EINVAL, "invalid logging opts for driver none");
	return option_map(p->in, "log-opt", &log->options) < 0 ? no_memory(p->e) : 0;
}
