/* template_parse.c: templates from their text, see template.h. */
#include <ctype.h>
#include <stdarg.h>

#include "base/template_impl.h"

typedef enum { LIST_END_TEXT, LIST_END_ELSE, LIST_END_END } ListEnd;

typedef struct Parser {
	Template *t;
	Str text;
	size_t at;
	Arena *arena;
	Err *e;
	bool trim;        /* the action before ended in " -}}" */
	int depth, loops; /* loops: how many ranges are open */
	const char *variables[TEMPLATE_VARIABLES_MAX];
	size_t n_variables;
} Parser;

static int parse_list(Parser *p, Node **ret, ListEnd *ret_end);
static int parse_pipe(Parser *p, const char *context, bool in_parentheses, const Pipe **ret);

static size_t line_at(const Parser *p)
{
	size_t n = 1, end = p->at < p->text.n ? p->at : p->text.n;
	for (size_t i = 0; i < end; i++)
		n += p->text.p[i] == '\n';
	return n;
}

static int fail(Parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(Parser *p, const char *fmt, ...)
{
	char reason[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	return err_set(p->e, ERR_USAGE, EINVAL, "template: %s:%zu: %s", p->t->name, line_at(p), reason);
}

static int fail_memory(Parser *p)
{
	return err_set(p->e, ERR_RESOURCE, ENOMEM, "template: %s: too large", p->t->name);
}

static char peek(const Parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool skip_blanks(Parser *p)
{
	size_t from = p->at;
	while (p->at < p->text.n && is_blank(p->text.p[p->at]))
		p->at++;
	return p->at > from;
}

static bool at_text(const Parser *p, const char *s)
{
	return str_starts((Str){ p->text.p + p->at, p->text.n - p->at }, s);
}

/* The end of an action: "}}", or "-}}" behind a blank. */
static bool at_close(const Parser *p)
{
	return at_text(p, "}}") || (at_text(p, "-}}") && p->at && is_blank(p->text.p[p->at - 1]));
}

static void take_close(Parser *p)
{
	p->trim = peek(p, 0) == '-';
	p->at += p->trim ? 3 : 2;
}

static Str word_at(const Parser *p)
{
	size_t n = 0;
	while (p->at + n < p->text.n && is_word(p->text.p[p->at + n]))
		n++;
	return (Str){ p->text.p + p->at, n };
}

static bool is_keyword(Str w)
{
	static const char *const words[] = {
		"if", "else", "end", "range", "with", "break", "continue", "define", "template", "block", "nil"
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(w, words[i])) return true;
	return false;
}

/* What stands here, as Go names it in "unexpected … in …". */
static int fail_unexpected(Parser *p, const char *context)
{
	Str w = word_at(p);
	size_t k = str_utf8((Str){ p->text.p + p->at, p->text.n - p->at });
	if (p->at >= p->text.n) return fail(p, "unclosed action");
	if (at_close(p)) return fail(p, "unexpected \"}}\" in %s", context);
	if (is_keyword(w)) return fail(p, "unexpected <%.*s> in %s", (int)w.n, w.p, context);
	if (w.n > 10) return fail(p, "unexpected \"%.10s\"... in %s", w.p, context);
	if (w.n) return fail(p, "unexpected \"%.*s\" in %s", (int)w.n, w.p, context);
	if (strchr("|,()=:.", peek(p, 0)))
		return fail(p, "unexpected \"%.*s\" in %s", at_text(p, ":=") ? 2 : 1, p->text.p + p->at, context);
	return fail(p, "unexpected \"%.*s\" in %s", (int)(k ? k : 1), p->text.p + p->at, context);
}

/* A character that cannot stand right behind a word. */
static int fail_character(Parser *p)
{
	size_t k = str_utf8((Str){ p->text.p + p->at, p->text.n - p->at });
	if (p->at >= p->text.n) return fail(p, "unclosed action");
	return fail(p, "bad character U+%04X '%.*s'", (unsigned char)peek(p, 0), (int)(k ? k : 1), p->text.p + p->at);
}

/* ---- constants ---- */

static size_t put_rune(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(lead[n] | c);
	return n;
}

/* Behind a backslash: one escape of a Go string or character, as bytes into to. Their number, or -1. */
static int take_escape(Parser *p, char quote, char to[static 4])
{
	static const char from[] = "abfnrtv\\", into[] = "\a\b\f\n\r\t\v\\";
	char c = peek(p, 0);
	const char *simple = c ? strchr(from, c) : NULL;
	size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0;
	uint64_t v;
	if (simple || c == quote) {
		p->at++;
		to[0] = simple ? into[simple - from] : c;
		return 1;
	}
	if (!digits) return -1;
	bool octal = digits == 3;
	p->at += !octal;
	if (p->text.n - p->at < digits || str_to_u64_base((Str){ p->text.p + p->at, digits }, octal ? 8 : 16, &v) < 0) return -1;
	p->at += digits;
	if (c != 'u' && c != 'U') {
		to[0] = (char)v;
		return v > 255 ? -1 : 1;
	}
	return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? -1 : (int)put_rune(to, (uint32_t)v);
}

/* A quoted string whose end was found at `end`. NULs and broken UTF-8 cannot be in a value. */
static int take_string(Parser *p, JsonValue *ret)
{
	size_t from = p->at++, n = 0;
	char *s = NULL;
	size_t end = p->at;
	for (; end < p->text.n && p->text.p[end] != '"' && p->text.p[end] != '\n'; end++)
		if (p->text.p[end] == '\\') end++;
	if (end >= p->text.n || p->text.p[end] != '"') return fail(p, "unterminated quoted string");
	s = arena_alloc(p->arena, end - from + 1);
	if (!s) return fail_memory(p);
	while (p->at < end) {
		char c = p->text.p[p->at++], bytes[4] = { c };
		int k = c == '\\' ? take_escape(p, '"', bytes) : 1;
		if (k < 0) return fail(p, "invalid syntax");
		if (k == 1 && !bytes[0]) return fail(p, "NUL in a string");
		memcpy(s + n, bytes, (size_t)k);
		n += (size_t)k;
	}
	p->at = end + 1;
	*ret = value_string(s, n);
	return 0;
}

static int take_raw_string(Parser *p, JsonValue *ret)
{
	size_t from = ++p->at;
	const char *end = memchr(p->text.p + from, '`', p->text.n - from);
	if (!end) return fail(p, "unterminated raw quoted string");
	size_t n = (size_t)(end - p->text.p) - from;
	const char *s = arena_str(p->arena, (Str){ p->text.p + from, n });
	if (!s) return fail_memory(p);
	p->at = from + n + 1;
	*ret = value_string(s, n);
	return 0;
}

static int take_character(Parser *p, JsonValue *ret)
{
	p->at++;
	char bytes[4] = { 0 };
	size_t k = str_utf8((Str){ p->text.p + p->at, p->text.n - p->at });
	int n = 1;
	if (peek(p, 0) == '\\') {
		p->at++;
		n = take_escape(p, '\'', bytes);
	} else if (k && peek(p, 0) != '\'' && peek(p, 0) != '\n') {
		memcpy(bytes, p->text.p + p->at, k);
		n = (int)k;
		p->at += k;
	} else {
		n = -1;
	}
	if (n < 0 || peek(p, 0) != '\'') return fail(p, "malformed character constant");
	p->at++;
	uint32_t v = (unsigned char)bytes[0];
	if (n > 1) v &= 0x7fu >> n;
	for (int i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)bytes[i] & 0x3f);
	*ret = value_int(v);
	return 0;
}

/* The text of an integer with its prefix; -EINVAL when it is none. */
static int parse_integer(Str s, JsonValue *ret)
{
	bool negative = s.p[0] == '-';
	unsigned base = 10;
	uint64_t v;
	if (s.p[0] == '-' || s.p[0] == '+') s = (Str){ s.p + 1, s.n - 1 };
	if (s.n > 1 && s.p[0] == '0') {
		char c = (char)(s.p[1] | 0x20);
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		size_t skip = c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
		s = (Str){ s.p + skip, s.n - skip };
	}
	int r = str_to_u64_base(s, base, &v);
	if (r < 0) return r;
	if (v > (uint64_t)INT64_MAX + negative) return -ERANGE;
	*ret = value_int(negative ? (int64_t)(0 - v) : (int64_t)v);
	return 0;
}

static int take_number(Parser *p, JsonValue *ret)
{
	size_t n = 0;
	char text[64], *end;
	Str s = { p->text.p + p->at, 0 };
	while (p->at + n < p->text.n &&
	       (is_word(s.p[n]) || s.p[n] == '.' || ((s.p[n] == '+' || s.p[n] == '-') && (n == 0 || strchr("eEpP", s.p[n - 1])))))
		n++;
	s.n = n;
	int r = parse_integer(s, ret);
	if (r == -ERANGE) return fail(p, "integer overflow: %.*s", (int)(n > 40 ? 40 : n), s.p);
	if (r < 0) {
		if (n >= sizeof text) return fail(p, "bad number syntax: \"%.40s\"", s.p);
		memcpy(text, s.p, n);
		text[n] = 0;
		double v = strtod(text, &end);
		/* strtod knows words too: inf, nan */
		if (*end || !text[strcspn(text, "0123456789")] || v - v != 0) return fail(p, "bad number syntax: \"%s\"", text);
		*ret = (JsonValue){ .type = JSON_DOUBLE, .d = v };
	}
	p->at += n;
	return 0;
}

/* ---- operands and pipelines ---- */

static int take_fields(Parser *p, Operand *o)
{
	while (peek(p, 0) == '.') {
		if (o->n_fields + (o->kind != OPERAND_DOT) == 1) o->at = p->text.p + p->at;
		p->at++;
		Str w = word_at(p);
		if (!w.n) return fail(p, "unexpected <.> in operand");
		const char **fields = arena_array(p->arena, o->n_fields + 1, sizeof *fields);
		if (!fields) return fail_memory(p);
		if (o->n_fields) memcpy(fields, o->fields, o->n_fields * sizeof *fields);
		fields[o->n_fields] = arena_str(p->arena, w);
		if (!fields[o->n_fields]) return fail_memory(p);
		if (++o->n_fields > TEMPLATE_DEPTH_MAX) return fail(p, "more than %d fields in a row", TEMPLATE_DEPTH_MAX);
		o->fields = fields;
		p->at += w.n;
	}
	return 0;
}

static bool is_declared(const Parser *p, const char *name)
{
	for (size_t i = 0; i < p->n_variables; i++)
		if (streq(p->variables[i], name)) return true;
	return false;
}

static int take_variable_name(Parser *p, const char **ret)
{
	size_t from = p->at++;
	p->at += word_at(p).n;
	*ret = arena_str(p->arena, (Str){ p->text.p + from, p->at - from });
	return *ret ? 0 : fail_memory(p);
}

static int take_word(Parser *p, Operand *o)
{
	Str w = word_at(p);
	if (str_eq(w, "true") || str_eq(w, "false")) {
		o->kind = OPERAND_CONST;
		o->value = value_bool(w.p[0] == 't');
	} else if (str_eq(w, "nil")) {
		o->kind = OPERAND_NIL;
	} else if (is_keyword(w)) {
		return fail_unexpected(p, "operand");
	} else {
		o->kind = OPERAND_FUNCTION;
		o->fn = template_fn_find(w);
		if (!o->fn) return fail(p, "function \"%.*s\" not defined", (int)(w.n > 100 ? 100 : w.n), w.p);
	}
	p->at += w.n;
	return 0;
}

static int take_parenthesis(Parser *p, Operand *o)
{
	o->kind = OPERAND_PIPE;
	p->at++;
	if (++p->depth > TEMPLATE_DEPTH_MAX) return fail(p, "more than %d levels of nesting", TEMPLATE_DEPTH_MAX);
	int r = parse_pipe(p, "parenthesized pipeline", true, &o->pipe);
	p->depth--;
	return r;
}

static bool at_number(const Parser *p)
{
	char c = peek(p, 0), next = peek(p, 1);
	if (isdigit((unsigned char)c)) return true;
	return (c == '+' || c == '-' || c == '.') && (isdigit((unsigned char)next) || (next == '.' && c != '.'));
}

static int take_operand(Parser *p, const char *context, Operand *o)
{
	size_t from = p->at;
	char c = peek(p, 0);
	int r = 0;
	*o = (Operand){ .kind = OPERAND_CONST, .at = p->text.p + from };
	if (c == '"') {
		r = take_string(p, &o->value);
	} else if (c == '`') {
		r = take_raw_string(p, &o->value);
	} else if (c == '\'') {
		r = take_character(p, &o->value);
	} else if (c == '$') {
		o->kind = OPERAND_VARIABLE;
		r = take_variable_name(p, &o->name);
		if (r >= 0 && !is_declared(p, o->name)) return fail(p, "undefined variable \"%s\"", o->name);
	} else if (c == '(') {
		r = take_parenthesis(p, o);
	} else if (c == '.' && !at_number(p)) {
		o->kind = OPERAND_DOT;
		if (!is_word(peek(p, 1))) p->at++;
	} else if (at_number(p)) {
		r = take_number(p, &o->value);
	} else if (is_word(c)) {
		r = take_word(p, o);
	} else {
		return fail_unexpected(p, context);
	}
	bool chains = o->kind == OPERAND_DOT || o->kind == OPERAND_VARIABLE || o->kind == OPERAND_PIPE;
	bool lone_dot = o->kind == OPERAND_DOT && p->at > from;
	if (r >= 0 && peek(p, 0) == '.' && (!chains || lone_dot))
		return fail(p, "unexpected . after term \"%.*s\"", (int)(p->at - from), p->text.p + from);
	if (r >= 0 && chains) r = take_fields(p, o);
	o->source = (Str){ p->text.p + from, p->at - from };
	return r;
}

/* May something end here that is no blank? Then the next word stands apart. */
static bool at_terminator(const Parser *p)
{
	char c = peek(p, 0);
	return p->at >= p->text.n || is_blank(c) || strchr("|,):(=", c) || at_close(p);
}

static int parse_command(Parser *p, const char *context, PipeCommand **ret)
{
	enum { ARGS_MAX = 64 };
	PipeCommand *c = arena_alloc(p->arena, sizeof *c);
	Operand args[ARGS_MAX];
	size_t from = p->at;
	if (!c) return fail_memory(p);
	for (;;) {
		if (c->n == ARGS_MAX) return fail(p, "more than %d arguments", ARGS_MAX);
		int r = take_operand(p, c->n ? "operand" : context, &args[c->n]);
		if (r < 0) return r;
		c->n++;
		c->source = (Str){ p->text.p + from, p->at - from };
		if (!at_terminator(p)) return fail_character(p);
		bool apart = skip_blanks(p);
		if (p->at >= p->text.n) return fail(p, "unclosed action");
		if (at_close(p) || peek(p, 0) == '|' || peek(p, 0) == ')') break;
		if (!apart) return fail_unexpected(p, "operand");
	}
	c->args = arena_array(p->arena, c->n, sizeof *c->args);
	if (!c->args) return fail_memory(p);
	memcpy(c->args, args, c->n * sizeof *args);
	*ret = c;
	return 0;
}

static int declare(Parser *p, Pipe *pipe, const char *name)
{
	if (p->n_variables == TEMPLATE_VARIABLES_MAX) return fail(p, "more than %d variables", TEMPLATE_VARIABLES_MAX);
	pipe->declared[pipe->n_declared++] = name;
	p->variables[p->n_variables++] = name;
	return 0;
}

/* "$x :=", "$x =", "$i, $v :=" before a pipeline; anything else leaves the parser where it was. */
static int take_declaration(Parser *p, bool range, Pipe *pipe)
{
	size_t start = p->at;
	const char *names[2];
	int n = 0, r;
	while (n < 2 && peek(p, 0) == '$') {
		r = take_variable_name(p, &names[n++]);
		if (r < 0) return r;
		skip_blanks(p);
		if (!range || peek(p, 0) != ',') break;
		p->at++;
		skip_blanks(p);
	}
	bool declares = at_text(p, ":="), assigns = !declares && peek(p, 0) == '=';
	if (n && !range && peek(p, 0) == ',') return fail(p, "too many declarations in command");
	if (!n || (!declares && !assigns)) {
		bool comma = n == 2 || (n && range && p->at && p->text.p[p->at - 1] == ',');
		if (comma) return fail(p, "range can only initialize variables");
		p->at = start;
		return 0;
	}
	p->at += declares ? 2 : 1;
	pipe->assigns = assigns;
	skip_blanks(p);
	for (int i = 0; i < n; i++) {
		if (assigns && !is_declared(p, names[i])) return fail(p, "undefined variable \"%s\"", names[i]);
		if (assigns)
			pipe->declared[pipe->n_declared++] = names[i];
		else if ((r = declare(p, pipe, names[i])) < 0)
			return r;
	}
	return 0;
}

static bool can_be_called(const PipeCommand *c)
{
	const Operand *o = &c->args[0];
	return o->kind == OPERAND_FUNCTION || o->n_fields;
}

static int check_stages(Parser *p, const Pipe *pipe)
{
	int stage = 2;
	for (const PipeCommand *c = pipe->first->next; c; c = c->next, stage++)
		if (!can_be_called(c)) return fail(p, "non executable command in pipeline stage %d", stage);
	return 0;
}

static int parse_pipe(Parser *p, const char *context, bool in_parentheses, const Pipe **ret)
{
	Pipe *pipe = arena_alloc(p->arena, sizeof *pipe);
	PipeCommand **last = pipe ? &pipe->first : NULL;
	if (!pipe) return fail_memory(p);
	skip_blanks(p);
	size_t from = p->at;
	int r = take_declaration(p, streq(context, "range"), pipe);
	if (r < 0) return r;
	if (p->at >= p->text.n) return fail(p, "unclosed action");
	if (at_close(p) && !in_parentheses) return fail(p, "missing value for %s", context);
	if (peek(p, 0) == ')') return in_parentheses ? fail(p, "missing value for %s", context) : fail(p, "unexpected right paren");
	for (;;) {
		r = parse_command(p, context, last);
		if (r < 0) return r;
		last = &(*last)->next;
		if (peek(p, 0) != '|') break;
		p->at++;
		skip_blanks(p);
		if (p->at >= p->text.n) return fail(p, "unclosed action");
		if (at_close(p)) return fail(p, "missing value for %s", context);
	}
	bool close = peek(p, 0) == ')';
	if (in_parentheses && !close) return fail(p, "unclosed left paren");
	if (!in_parentheses && close) return fail(p, "unexpected right paren");
	pipe->source = (Str){ p->text.p + from, p->at - from };
	while (pipe->source.n && is_blank(pipe->source.p[pipe->source.n - 1]))
		pipe->source.n--;
	p->at += close;
	*ret = pipe;
	return check_stages(p, pipe);
}

/* ---- actions ---- */

static int finish_action(Parser *p, const char *context)
{
	skip_blanks(p);
	if (!at_close(p)) return fail_unexpected(p, context);
	take_close(p);
	return 0;
}

/* if, with, range: at the pipeline. */
static int parse_control(Parser *p, NodeKind kind, const char *context, Node *n)
{
	size_t variables = p->n_variables;
	ListEnd end;
	n->kind = kind;
	if (++p->depth > TEMPLATE_DEPTH_MAX) return fail(p, "more than %d levels of nesting", TEMPLATE_DEPTH_MAX);
	int r = parse_pipe(p, context, false, &n->pipe);
	if (r < 0 || (r = finish_action(p, context)) < 0) return r;
	p->loops += kind == NODE_RANGE;
	r = parse_list(p, &n->body, &end);
	p->loops -= kind == NODE_RANGE;
	if (r < 0) return r;
	if (end == LIST_END_TEXT) return fail(p, "unexpected EOF");
	if (end == LIST_END_ELSE) {
		skip_blanks(p);
		Str w = word_at(p);
		bool chained = (kind == NODE_IF && str_eq(w, "if")) || (kind == NODE_WITH && str_eq(w, "with"));
		if (chained) {
			p->at += w.n;
			n->otherwise = arena_alloc(p->arena, sizeof *n);
			r = n->otherwise ? parse_control(p, kind, context, n->otherwise) : fail_memory(p);
		} else if ((r = finish_action(p, "else")) >= 0) {
			r = parse_list(p, &n->otherwise, &end);
			if (r >= 0 && end == LIST_END_ELSE) r = fail(p, "expected end; found {{else}}");
			if (r >= 0 && end == LIST_END_TEXT) r = fail(p, "unexpected EOF");
		}
		if (r < 0) return r;
	}
	p->depth--;
	p->n_variables = variables;
	return 0;
}

static int parse_loop_word(Parser *p, NodeKind kind, const char *word, Node *n)
{
	n->kind = kind;
	if (!p->loops) return fail(p, "{{%s}} outside {{range}}", word);
	return finish_action(p, word);
}

/* Behind "{{". *ret_end says when the action ended the list; *ret_node stays NULL for a comment. */
static int parse_action(Parser *p, Node **ret_node, ListEnd *ret_end)
{
	skip_blanks(p);
	Str w = word_at(p);
	size_t word_end = p->at + w.n;
	*ret_end = LIST_END_TEXT;
	if (str_eq(w, "end") || str_eq(w, "else")) {
		*ret_end = w.p[1] == 'n' ? LIST_END_END : LIST_END_ELSE;
		p->at = word_end;
		return *ret_end == LIST_END_END ? finish_action(p, "end") : 0;
	}
	Node *n = arena_alloc(p->arena, sizeof *n);
	if (!n) return fail_memory(p);
	*ret_node = n;
	if (is_keyword(w)) p->at = word_end;
	if (str_eq(w, "if")) return parse_control(p, NODE_IF, "if", n);
	if (str_eq(w, "with")) return parse_control(p, NODE_WITH, "with", n);
	if (str_eq(w, "range")) return parse_control(p, NODE_RANGE, "range", n);
	if (str_eq(w, "break")) return parse_loop_word(p, NODE_BREAK, "break", n);
	if (str_eq(w, "continue")) return parse_loop_word(p, NODE_CONTINUE, "continue", n);
	if (str_eq(w, "define") || str_eq(w, "template") || str_eq(w, "block")) return fail(p, "{{%.*s}} is not supported", (int)w.n, w.p);
	if (is_keyword(w)) p->at = word_end - w.n;
	n->kind = NODE_ACTION;
	int r = parse_pipe(p, "command", false, &n->pipe);
	return r < 0 ? r : finish_action(p, "command");
}

/* A comment begins right behind the delimiter, and its end must be followed by one. */
static int skip_comment(Parser *p)
{
	p->at += 2;
	while (p->at < p->text.n && !at_text(p, "*/"))
		p->at++;
	if (p->at >= p->text.n) return fail(p, "unclosed comment");
	p->at += 2;
	if (is_blank(peek(p, 0)) && peek(p, 1) == '-') p->at++;
	if (!at_close(p)) return fail(p, "comment ends before closing delimiter");
	take_close(p);
	return 0;
}

static int add_text(Parser *p, Str text, bool trim_end, Node ***last)
{
	if (p->trim)
		while (text.n && is_blank(text.p[0]))
			text = (Str){ text.p + 1, text.n - 1 };
	while (trim_end && text.n && is_blank(text.p[text.n - 1]))
		text.n--;
	p->trim = false;
	if (!text.n) return 0;
	Node *n = arena_alloc(p->arena, sizeof *n);
	if (!n) return fail_memory(p);
	*n = (Node){ .kind = NODE_TEXT, .text = text };
	**last = n;
	*last = &n->next;
	return 0;
}

static int parse_list(Parser *p, Node **ret, ListEnd *ret_end)
{
	Node **last = ret;
	for (;;) {
		const char *from = p->text.p + p->at;
		size_t left = p->text.n - p->at;
		const char *open = left ? memmem(from, left, "{{", 2) : NULL;
		size_t n = open ? (size_t)(open - from) : left;
		bool trim = open && n + 3 < left && open[2] == '-' && is_blank(open[3]);
		int r = add_text(p, (Str){ from, n }, trim, &last);
		if (r < 0) return r;
		p->at += n;
		*ret_end = LIST_END_TEXT;
		if (!open) return 0;
		p->at += trim ? 4 : 2;
		if (at_text(p, "/*")) {
			r = skip_comment(p);
			if (r < 0) return r;
			continue;
		}
		Node *node = NULL;
		r = parse_action(p, &node, ret_end);
		if (r < 0 || *ret_end != LIST_END_TEXT) return r;
		*last = node;
		last = &node->next;
	}
}

int template_parse(Str text, const char *name, Arena *a, const Template **ret, Err *e)
{
	Template *t = arena_alloc(a, sizeof *t);
	ListEnd end;
	if (!t) return err_sys(e, ENOMEM, "template");
	*t = (Template){ .text = text, .name = name };
	Parser p = { .t = t, .text = text, .arena = a, .e = e, .variables = { "$" }, .n_variables = 1 };
	if (text.n > TEMPLATE_TEXT_MAX) return fail(&p, "longer than %d bytes", TEMPLATE_TEXT_MAX);
	int r = parse_list(&p, &t->nodes, &end);
	if (r < 0) return r;
	if (end != LIST_END_TEXT) return fail(&p, "unexpected {{%s}}", end == LIST_END_ELSE ? "else" : "end");
	*ret = t;
	return 0;
}
