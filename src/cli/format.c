/* format.c: see format.h. */
#include "cli/format.h"

#include "cli/table.h"

/* The backslash forms that shells hand on: "\t" and "\n" as two characters. */
static char *unescape(const char *text, Arena *a)
{
	char *copy = arena_strdup(a, text), *to = copy;
	if (!copy) return NULL;
	for (const char *p = text; *p; p++) {
		bool escape = p[0] == '\\' && (p[1] == 't' || p[1] == 'n');
		*to++ = (char)(!escape ? *p : p[1] == 't' ? '\t' : '\n');
		p += escape;
	}
	*to = 0;
	return copy;
}

static JsonValue text_value(const char *s)
{
	return (JsonValue){ .type = JSON_STRING, .n = (uint32_t)strlen(s), .s = s };
}

static int make_titles(Format *f, const FormatField *fields)
{
	size_t n = 0;
	while (fields && fields[n].name)
		n++;
	JsonMember *members = arena_array(f->arena, n + 1, sizeof *members);
	JsonValue *titles = arena_alloc(f->arena, sizeof *titles);
	if (!members || !titles) return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		members[i] = (JsonMember){ .key = fields[i].name, .value = text_value(fields[i].title) };
	*titles = (JsonValue){ .type = JSON_OBJECT, .n = (uint32_t)n, .members = members };
	f->titles = titles;
	return 0;
}

/* "table", or "table " and more; *rest is what follows. */
static bool is_table(const char *text, const char **rest)
{
	if (!starts_with(text, "table")) return false;
	*rest = text + strlen("table");
	return !**rest || **rest == ' ' || **rest == '\\' || **rest == '\t' || **rest == '{';
}

int format_init(Format *f, const char *text, const char *standard, const FormatField *fields, const TemplateHost *host, Arena *a, Err *e)
{
	const char *rest = "";
	*f = (Format){ .host = host, .arena = a, .out = BUF_INIT(FORMAT_OUTPUT_MAX) };
	if (text && streq(text, "json")) return 0;
	if (!text || !*text || (is_table(text, &rest) && !str_trim(str_of(rest)).n)) text = standard;
	f->table = is_table(text, &rest);
	Str trimmed = str_trim(str_of(f->table ? rest : text));
	char *source = f->table ? arena_str(a, trimmed) : arena_strdup(a, text);
	source = source ? unescape(source, a) : NULL;
	if (!source || make_titles(f, fields) < 0) return err_sys(e, ENOMEM, "--format");
	int r = template_parse(str_of(source), "", a, &f->template, e);
	return r < 0 ? err_wrap(e, "template parsing error") : 0;
}

void format_done(Format *f)
{
	buf_done(&f->out);
}

/* A copy whose strings keep to their cells, and command no terminal: an image's author chose them. */
static const JsonValue *harmless(const Format *f, const JsonValue *row)
{
	JsonValue *copy = arena_alloc(f->arena, sizeof *copy);
	if (!copy) return NULL;
	*copy = *row;
	if (row->type != JSON_OBJECT) return copy;
	copy->members = arena_array(f->arena, row->n + 1, sizeof *copy->members);
	for (size_t i = 0; copy->members && i < row->n; i++) {
		JsonMember *m = &copy->members[i];
		*m = row->members[i];
		if (m->value.type != JSON_STRING || str_is_plain(m->value.s)) continue;
		char *text = arena_strdup(f->arena, m->value.s);
		if (!text) return NULL;
		str_harmless(text);
		m->value.s = text;
	}
	return copy->members ? copy : NULL;
}

static int put_row(Format *f, const JsonValue *row, const TemplateHost *host, Err *e)
{
	JsonWriter w = JSON_WRITER(&f->out);
	int r = 0;
	if (f->template)
		r = template_execute(f->template, row, host, f->arena, &f->out, e);
	else
		json_value(&w, row);
	buf_putc(&f->out, '\n');
	return r < 0 ? err_wrap(e, "template parsing error") : 0;
}

int format_row(Format *f, const JsonValue *row, Err *e)
{
	if (f->table && !(row = harmless(f, row))) return err_sys(e, ENOMEM, "--format");
	return put_row(f, row, f->host, e);
}

int format_texts(Format *f, const StrPair *texts, size_t n, Err *e)
{
	JsonMember *members = arena_array(f->arena, n + 1, sizeof *members);
	if (!members) return err_sys(e, ENOMEM, "--format");
	for (size_t i = 0; i < n; i++)
		members[i] = (JsonMember){ .key = texts[i].key, .value = text_value(texts[i].value) };
	return format_row(f, &(JsonValue){ .type = JSON_OBJECT, .n = (uint32_t)n, .members = members }, e);
}

int format_finish(Format *f, const Buf **ret, Err *e)
{
	if (f->table) {
		const TemplateHost header = { .header = true };
		AUTO_BUF rows = BUF_INIT(FORMAT_OUTPUT_MAX);
		rows = f->out;
		f->out = BUF_INIT(FORMAT_OUTPUT_MAX);
		int r = put_row(f, f->titles, &header, e);
		if (r < 0) return r;
		buf_put(&f->out, buf_str(&rows), rows.n);
		f->out.failed = f->out.failed || rows.failed;
		AUTO_BUF aligned = BUF_INIT(FORMAT_OUTPUT_MAX);
		if (table_align((Str){ buf_str(&f->out), f->out.n }, f->arena, &aligned) < 0) return err_sys(e, ENOMEM, "--format");
		Buf plain = f->out;
		f->out = aligned;
		aligned = plain;
	}
	if (buf_failed(&f->out)) return err_sys(e, ENOMEM, "--format");
	*ret = &f->out;
	return 0;
}
