/* log_fields.c: see log_fields.h. */
#include "engine/log_fields.h"

#include <regex.h>
#include <unistd.h>

#include "base/template.h"
#include "engine/view.h"
#include "monitor/log_options.h"

enum { TAG_MAX = 65536, HOST_MAX = 256 };

static const char *option(const Record *c, const char *name)
{
	const char *value = str_map_get(&c->host.log_config.options, name);
	return value && *value ? value : NULL;
}

/* ---- expressions ---- */

typedef struct Expression {
	bool set;
	regex_t re;
} Expression;

static void expression_done(Expression *x)
{
	if (x->set) regfree(&x->re);
}

/* POSIX extended ones. What Go's have besides and would mean something else here is refused. */
static int expression_init(const Record *c, const char *name, Expression *ret, Err *e)
{
	const char *text = option(c, name);
	ret->set = false;
	if (!text) return 0;
	for (const char *p = text; *p; p++) {
		bool letter =
			p[0] == '\\' && ((p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= '0' && p[1] <= '9'));
		if ((letter && !strchr("wWsSbB", p[1])) || (p[0] == '(' && p[1] == '?'))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "log opt %s: \"%.2s\" is not understood: POSIX extended expressions are", name, p);
		p += p[0] == '\\' && p[1];
	}
	if (regcomp(&ret->re, text, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(e, ERR_CONFIG, EINVAL, "log opt %s: error parsing regexp: `%.128s`", name, text);
	ret->set = true;
	return 0;
}

static bool matches(const Expression *x, const char *name)
{
	return x->set && regexec(&x->re, name, 0, NULL, 0) == 0;
}

static bool is_listed(const char *list, const char *name)
{
	Str rest = str_of(list), one;
	while (str_next(&rest, ',', &one))
		if (str_eq(one, name)) return true;
	return false;
}

/* ---- fields ---- */

static int add(StrMap *to, const char *key, const char *value, Arena *a, Err *e)
{
	if (str_map_set(to, key, value, a) < 0) return err_sys(e, ENOMEM, "the log's fields");
	if (to->n >= LOG_FIELDS_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "log opts labels and env choose more than %d fields", LOG_FIELDS_MAX - 1);
	return 0;
}

static int add_labels(const Record *c, Arena *a, StrMap *to, Err *e)
{
	AUTO(expression_done) Expression x = { 0 };
	const char *list = option(c, "labels");
	int r = expression_init(c, "labels-regex", &x, e);
	for (size_t i = 0; r >= 0 && i < c->config.labels.n; i++) {
		const StrPair *label = &c->config.labels.items[i];
		if (is_listed(list, label->key) || matches(&x, label->key)) r = add(to, label->key, label->value, a, e);
	}
	return r;
}

static int add_variables(const Record *c, Arena *a, StrMap *to, Err *e)
{
	AUTO(expression_done) Expression x = { 0 };
	const char *list = option(c, "env");
	int r = expression_init(c, "env-regex", &x, e);
	for (size_t i = 0; r >= 0 && i < c->config.env.n; i++) {
		Str key, value;
		if (!str_cut(str_of(c->config.env.items[i]), '=', &key, &value)) continue;
		const char *name = arena_str(a, key);
		if (!name) return err_sys(e, ENOMEM, "the log's fields");
		if (is_listed(list, name) || matches(&x, name)) r = add(to, name, value.p, a, e);
	}
	return r;
}

int log_fields(const Record *c, Arena *a, StrMap *ret, Err *e)
{
	StrMap fields = { 0 };
	const char *tag;
	int r = add_labels(c, a, &fields, e);
	if (r < 0 || (r = add_variables(c, a, &fields, e)) < 0 || (r = log_tag(c, a, &tag, e)) < 0) return r;
	const LogKind *t = log_kind_find(c->host.log_config.type);
	if (*tag && t && !t->default_tag && (r = add(&fields, "tag", tag, a, e)) < 0) return r;
	str_map_sort(&fields);
	*ret = fields;
	return 0;
}

/* ---- tag ---- */

static int put_names(const Record *c, Arena *a, JsonWriter *w)
{
	char digest[DIGEST_TEXT_MAX], host[HOST_MAX] = "";
	const char *command = container_view_command(c, a), *image = c->image_id.algorithm ? digest_format(&c->image_id, digest) : "",
		   *hex = strchr(image, ':');
	if (!command) return -ENOMEM;
	(void)!gethostname(host, sizeof host - 1);
	json_begin_object(w);
	json_key(w, "ID");
	json_str(w, (Str){ c->id, RECORD_SHORT_ID });
	json_put_string(w, "FullID", c->id);
	json_put_string(w, "Name", c->name ? c->name : ""); /* none yet while the options are checked */
	json_key(w, "ImageID");
	json_str(w, hex ? (Str){ hex + 1, RECORD_SHORT_ID } : STR(""));
	json_put_string(w, "ImageFullID", image);
	json_put_string(w, "ImageName", c->config.image ? c->config.image : "");
	json_put_string(w, "Command", command);
	json_put_string(w, "Hostname", host);
	json_put_string(w, "DaemonName", "skep");
	json_end_object(w);
	return 0;
}

int log_tag(const Record *c, Arena *a, const char **ret, Err *e)
{
	const LogKind *t = log_kind_find(c->host.log_config.type);
	const char *text = option(c, "tag");
	AUTO_BUF names = BUF_INIT(TAG_MAX), out = BUF_INIT(TAG_MAX);
	JsonWriter w = JSON_WRITER(&names);
	const Template *template;
	JsonValue data;
	*ret = "";
	if (!text && !(t && t->default_tag)) return 0;
	int r = template_parse(str_of(text ? text : "{{.ID}}"), "log-tag", a, &template, e);
	if (r < 0) return log_option_failure(e);
	if (put_names(c, a, &w) < 0 || buf_failed(&names)) return err_sys(e, ENOMEM, "the log's tag");
	char *copy = arena_str(a, (Str){ names.p, names.n });
	if (!copy) return err_sys(e, ENOMEM, "the log's tag");
	if ((r = json_parse(copy, names.n, a, &data, e)) < 0) return r;
	if ((r = template_execute(template, &data, NULL, a, &out, e)) < 0) return log_option_failure(e);
	*ret = buf_failed(&out) ? NULL : arena_strdup(a, buf_str(&out));
	return *ret ? 0 : err_sys(e, ENOMEM, "the log's tag");
}

int log_config_check(const Record *c, Arena *a, Err *e)
{
	StrMap fields;
	int r = log_options_check(c->host.log_config.type, &c->host.log_config.options, e);
	return r < 0 ? r : log_fields(c, a, &fields, e);
}
