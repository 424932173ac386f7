/* template_parse.c: templates from their text, see template.h. */
#include "base/template_impl.h"

typedef enum { LIST_END_TEXT, LIST_END_ELSE, LIST_END_END } ListEnd;

typedef struct Parser {
	Lexer *lex;
	int depth, loops; /* loops: how many ranges are open */
	const char *variables[TEMPLATE_VARIABLES_MAX];
	size_t n_variables;
} Parser;

static int parse_list(Parser *p, Node **ret, ListEnd *ret_end);
static int parse_pipe(Parser *p, const char *context, bool in_parentheses, const Pipe **ret);

/* ---- operands and pipelines ---- */

static int take_fields(Parser *p, Operand *o)
{
	while (lex_peek(p->lex, 0) == '.') {
		if (o->n_fields + (o->kind != OPERAND_DOT) == 1) o->at = p->lex->text.p + p->lex->at;
		p->lex->at++;
		Str w = lex_word(p->lex);
		if (!w.n) return lex_fail(p->lex, "unexpected <.> in operand");
		const char **fields = arena_array(p->lex->arena, o->n_fields + 1, sizeof *fields);
		if (!fields) return lex_fail_memory(p->lex);
		if (o->n_fields) memcpy(fields, o->fields, o->n_fields * sizeof *fields);
		fields[o->n_fields] = arena_str(p->lex->arena, w);
		if (!fields[o->n_fields]) return lex_fail_memory(p->lex);
		if (++o->n_fields > TEMPLATE_DEPTH_MAX) return lex_fail(p->lex, "more than %d fields in a row", TEMPLATE_DEPTH_MAX);
		o->fields = fields;
		p->lex->at += w.n;
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
	size_t from = p->lex->at++;
	p->lex->at += lex_word(p->lex).n;
	*ret = arena_str(p->lex->arena, (Str){ p->lex->text.p + from, p->lex->at - from });
	return *ret ? 0 : lex_fail_memory(p->lex);
}

static int take_word(Parser *p, Operand *o)
{
	Str w = lex_word(p->lex);
	if (str_eq(w, "true") || str_eq(w, "false")) {
		o->kind = OPERAND_CONST;
		o->value = value_bool(w.p[0] == 't');
	} else if (str_eq(w, "nil")) {
		o->kind = OPERAND_NIL;
	} else if (lex_is_keyword(w)) {
		return lex_fail_unexpected(p->lex, "operand");
	} else {
		o->kind = OPERAND_FUNCTION;
		o->fn = template_fn_find(w);
		if (!o->fn) return lex_fail(p->lex, "function \"%.*s\" not defined", (int)(w.n > 100 ? 100 : w.n), w.p);
	}
	p->lex->at += w.n;
	return 0;
}

static int take_parenthesis(Parser *p, Operand *o)
{
	o->kind = OPERAND_PIPE;
	p->lex->at++;
	if (++p->depth > TEMPLATE_DEPTH_MAX) return lex_fail(p->lex, "more than %d levels of nesting", TEMPLATE_DEPTH_MAX);
	int r = parse_pipe(p, "parenthesized pipeline", true, &o->pipe);
	p->depth--;
	return r;
}
static int take_operand(Parser *p, const char *context, Operand *o)
{
	size_t from = p->lex->at;
	char c = lex_peek(p->lex, 0);
	int r = 0;
	*o = (Operand){ .kind = OPERAND_CONST, .at = p->lex->text.p + from };
	if (c == '"') {
		r = lex_take_string(p->lex, &o->value);
	} else if (c == '`') {
		r = lex_take_raw_string(p->lex, &o->value);
	} else if (c == '\'') {
		r = lex_take_character(p->lex, &o->value);
	} else if (c == '$') {
		o->kind = OPERAND_VARIABLE;
		r = take_variable_name(p, &o->name);
		if (r >= 0 && !is_declared(p, o->name)) return lex_fail(p->lex, "undefined variable \"%s\"", o->name);
	} else if (c == '(') {
		r = take_parenthesis(p, o);
	} else if (c == '.' && !lex_at_number(p->lex)) {
		o->kind = OPERAND_DOT;
		if (!lex_is_word(lex_peek(p->lex, 1))) p->lex->at++;
	} else if (lex_at_number(p->lex)) {
		r = lex_take_number(p->lex, &o->value);
	} else if (lex_is_word(c)) {
		r = take_word(p, o);
	} else {
		return lex_fail_unexpected(p->lex, context);
	}
	bool chains = o->kind == OPERAND_DOT || o->kind == OPERAND_VARIABLE || o->kind == OPERAND_PIPE;
	bool lone_dot = o->kind == OPERAND_DOT && p->lex->at > from;
	if (r >= 0 && lex_peek(p->lex, 0) == '.' && (!chains || lone_dot))
		return lex_fail(p->lex, "unexpected . after term \"%.*s\"", (int)(p->lex->at - from), p->lex->text.p + from);
	if (r >= 0 && chains) r = take_fields(p, o);
	o->source = (Str){ p->lex->text.p + from, p->lex->at - from };
	return r;
}

/* May something end here that is no blank? Then the next word stands apart. */
static bool at_terminator(const Parser *p)
{
	char c = lex_peek(p->lex, 0);
	return p->lex->at >= p->lex->text.n || lex_is_blank(c) || strchr("|,):(=", c) || lex_at_close(p->lex);
}

static int parse_command(Parser *p, const char *context, PipeCommand **ret)
{
	enum { ARGS_MAX = 64 };
	PipeCommand *c = arena_alloc(p->lex->arena, sizeof *c);
	Operand args[ARGS_MAX];
	size_t from = p->lex->at;
	if (!c) return lex_fail_memory(p->lex);
	for (;;) {
		if (c->n == ARGS_MAX) return lex_fail(p->lex, "more than %d arguments", ARGS_MAX);
		int r = take_operand(p, c->n ? "operand" : context, &args[c->n]);
		if (r < 0) return r;
		c->n++;
		c->source = (Str){ p->lex->text.p + from, p->lex->at - from };
		if (!at_terminator(p)) return lex_fail_character(p->lex);
		bool apart = lex_skip_blanks(p->lex);
		if (p->lex->at >= p->lex->text.n) return lex_fail(p->lex, "unclosed action");
		if (lex_at_close(p->lex) || lex_peek(p->lex, 0) == '|' || lex_peek(p->lex, 0) == ')') break;
		if (!apart) return lex_fail_unexpected(p->lex, "operand");
	}
	c->args = arena_array(p->lex->arena, c->n, sizeof *c->args);
	if (!c->args) return lex_fail_memory(p->lex);
	memcpy(c->args, args, c->n * sizeof *args);
	*ret = c;
	return 0;
}

static int declare(Parser *p, Pipe *pipe, const char *name)
{
	if (p->n_variables == TEMPLATE_VARIABLES_MAX) return lex_fail(p->lex, "more than %d variables", TEMPLATE_VARIABLES_MAX);
	pipe->declared[pipe->n_declared++] = name;
	p->variables[p->n_variables++] = name;
	return 0;
}

/* "$x :=", "$x =", "$i, $v :=" before a pipeline; anything else leaves the parser where it was. */
static int take_declaration(Parser *p, bool range, Pipe *pipe)
{
	size_t start = p->lex->at;
	const char *names[2];
	int n = 0, r;
	while (n < 2 && lex_peek(p->lex, 0) == '$') {
		r = take_variable_name(p, &names[n++]);
		if (r < 0) return r;
		lex_skip_blanks(p->lex);
		if (!range || lex_peek(p->lex, 0) != ',') break;
		p->lex->at++;
		lex_skip_blanks(p->lex);
	}
	bool declares = lex_at_text(p->lex, ":="), assigns = !declares && lex_peek(p->lex, 0) == '=';
	if (n && !range && lex_peek(p->lex, 0) == ',') return lex_fail(p->lex, "too many declarations in command");
	if (!n || (!declares && !assigns)) {
		bool comma = n == 2 || (n && range && p->lex->at && p->lex->text.p[p->lex->at - 1] == ',');
		if (comma) return lex_fail(p->lex, "range can only initialize variables");
		p->lex->at = start;
		return 0;
	}
	p->lex->at += declares ? 2 : 1;
	pipe->assigns = assigns;
	lex_skip_blanks(p->lex);
	for (int i = 0; i < n; i++) {
		if (assigns && !is_declared(p, names[i])) return lex_fail(p->lex, "undefined variable \"%s\"", names[i]);
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
		if (!can_be_called(c)) return lex_fail(p->lex, "non executable command in pipeline stage %d", stage);
	return 0;
}

static int parse_pipe(Parser *p, const char *context, bool in_parentheses, const Pipe **ret)
{
	Pipe *pipe = arena_alloc(p->lex->arena, sizeof *pipe);
	PipeCommand **last = pipe ? &pipe->first : NULL;
	if (!pipe) return lex_fail_memory(p->lex);
	lex_skip_blanks(p->lex);
	size_t from = p->lex->at;
	int r = take_declaration(p, streq(context, "range"), pipe);
	if (r < 0) return r;
	if (p->lex->at >= p->lex->text.n) return lex_fail(p->lex, "unclosed action");
	if (lex_at_close(p->lex) && !in_parentheses) return lex_fail(p->lex, "missing value for %s", context);
	if (lex_peek(p->lex, 0) == ')')
		return in_parentheses ? lex_fail(p->lex, "missing value for %s", context) : lex_fail(p->lex, "unexpected right paren");
	for (;;) {
		r = parse_command(p, context, last);
		if (r < 0) return r;
		last = &(*last)->next;
		if (lex_peek(p->lex, 0) != '|') break;
		p->lex->at++;
		lex_skip_blanks(p->lex);
		if (p->lex->at >= p->lex->text.n) return lex_fail(p->lex, "unclosed action");
		if (lex_at_close(p->lex)) return lex_fail(p->lex, "missing value for %s", context);
	}
	bool close = lex_peek(p->lex, 0) == ')';
	if (in_parentheses && !close) return lex_fail(p->lex, "unclosed left paren");
	if (!in_parentheses && close) return lex_fail(p->lex, "unexpected right paren");
	pipe->source = (Str){ p->lex->text.p + from, p->lex->at - from };
	while (pipe->source.n && lex_is_blank(pipe->source.p[pipe->source.n - 1]))
		pipe->source.n--;
	p->lex->at += close;
	*ret = pipe;
	return check_stages(p, pipe);
}

/* ---- actions ---- */

static int finish_action(Parser *p, const char *context)
{
	lex_skip_blanks(p->lex);
	if (!lex_at_close(p->lex)) return lex_fail_unexpected(p->lex, context);
	lex_take_close(p->lex);
	return 0;
}

/* if, with, range: at the pipeline. */
static int parse_control(Parser *p, NodeKind kind, const char *context, Node *n)
{
	size_t variables = p->n_variables;
	ListEnd end;
	n->kind = kind;
	if (++p->depth > TEMPLATE_DEPTH_MAX) return lex_fail(p->lex, "more than %d levels of nesting", TEMPLATE_DEPTH_MAX);
	int r = parse_pipe(p, context, false, &n->pipe);
	if (r < 0 || (r = finish_action(p, context)) < 0) return r;
	p->loops += kind == NODE_RANGE;
	r = parse_list(p, &n->body, &end);
	p->loops -= kind == NODE_RANGE;
	if (r < 0) return r;
	if (end == LIST_END_TEXT) return lex_fail(p->lex, "unexpected EOF");
	if (end == LIST_END_ELSE) {
		lex_skip_blanks(p->lex);
		Str w = lex_word(p->lex);
		bool chained = (kind == NODE_IF && str_eq(w, "if")) || (kind == NODE_WITH && str_eq(w, "with"));
		if (chained) {
			p->lex->at += w.n;
			n->otherwise = arena_alloc(p->lex->arena, sizeof *n);
			r = n->otherwise ? parse_control(p, kind, context, n->otherwise) : lex_fail_memory(p->lex);
		} else if ((r = finish_action(p, "else")) >= 0) {
			r = parse_list(p, &n->otherwise, &end);
			if (r >= 0 && end == LIST_END_ELSE) r = lex_fail(p->lex, "expected end; found {{else}}");
			if (r >= 0 && end == LIST_END_TEXT) r = lex_fail(p->lex, "unexpected EOF");
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
	if (!p->loops) return lex_fail(p->lex, "{{%s}} outside {{range}}", word);
	return finish_action(p, word);
}

/* Behind "{{". *ret_end says when the action ended the list; *ret_node stays NULL for a comment. */
static int parse_action(Parser *p, Node **ret_node, ListEnd *ret_end)
{
	lex_skip_blanks(p->lex);
	Str w = lex_word(p->lex);
	size_t word_end = p->lex->at + w.n;
	*ret_end = LIST_END_TEXT;
	if (str_eq(w, "end") || str_eq(w, "else")) {
		*ret_end = w.p[1] == 'n' ? LIST_END_END : LIST_END_ELSE;
		p->lex->at = word_end;
		return *ret_end == LIST_END_END ? finish_action(p, "end") : 0;
	}
	Node *n = arena_alloc(p->lex->arena, sizeof *n);
	if (!n) return lex_fail_memory(p->lex);
	*ret_node = n;
	if (lex_is_keyword(w)) p->lex->at = word_end;
	if (str_eq(w, "if")) return parse_control(p, NODE_IF, "if", n);
	if (str_eq(w, "with")) return parse_control(p, NODE_WITH, "with", n);
	if (str_eq(w, "range")) return parse_control(p, NODE_RANGE, "range", n);
	if (str_eq(w, "break")) return parse_loop_word(p, NODE_BREAK, "break", n);
	if (str_eq(w, "continue")) return parse_loop_word(p, NODE_CONTINUE, "continue", n);
	if (str_eq(w, "define") || str_eq(w, "template") || str_eq(w, "block"))
		return lex_fail(p->lex, "{{%.*s}} is not supported", (int)w.n, w.p);
	if (lex_is_keyword(w)) p->lex->at = word_end - w.n;
	n->kind = NODE_ACTION;
	int r = parse_pipe(p, "command", false, &n->pipe);
	return r < 0 ? r : finish_action(p, "command");
}

/* A comment begins right behind the delimiter, and its end must be followed by one. */
static int skip_comment(Parser *p)
{
	p->lex->at += 2;
	while (p->lex->at < p->lex->text.n && !lex_at_text(p->lex, "*/"))
		p->lex->at++;
	if (p->lex->at >= p->lex->text.n) return lex_fail(p->lex, "unclosed comment");
	p->lex->at += 2;
	if (lex_is_blank(lex_peek(p->lex, 0)) && lex_peek(p->lex, 1) == '-') p->lex->at++;
	if (!lex_at_close(p->lex)) return lex_fail(p->lex, "comment ends before closing delimiter");
	lex_take_close(p->lex);
	return 0;
}

static int add_text(Parser *p, Str text, bool trim_end, Node ***last)
{
	if (p->lex->trim)
		while (text.n && lex_is_blank(text.p[0]))
			text = (Str){ text.p + 1, text.n - 1 };
	while (trim_end && text.n && lex_is_blank(text.p[text.n - 1]))
		text.n--;
	p->lex->trim = false;
	if (!text.n) return 0;
	Node *n = arena_alloc(p->lex->arena, sizeof *n);
	if (!n) return lex_fail_memory(p->lex);
	*n = (Node){ .kind = NODE_TEXT, .text = text };
	**last = n;
	*last = &n->next;
	return 0;
}

static int parse_list(Parser *p, Node **ret, ListEnd *ret_end)
{
	Node **last = ret;
	for (;;) {
		const char *from = p->lex->text.p + p->lex->at;
		size_t left = p->lex->text.n - p->lex->at;
		const char *open = left ? memmem(from, left, "{{", 2) : NULL;
		size_t n = open ? (size_t)(open - from) : left;
		bool trim = open && n + 3 < left && open[2] == '-' && lex_is_blank(open[3]);
		int r = add_text(p, (Str){ from, n }, trim, &last);
		if (r < 0) return r;
		p->lex->at += n;
		*ret_end = LIST_END_TEXT;
		if (!open) return 0;
		p->lex->at += trim ? 4 : 2;
		if (lex_at_text(p->lex, "/*")) {
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
	Lexer lex = { .name = name, .text = text, .arena = a, .e = e };
	Parser p = { .lex = &lex, .variables = { "$" }, .n_variables = 1 };
	if (text.n > TEMPLATE_TEXT_MAX) return lex_fail(&lex, "longer than %d bytes", TEMPLATE_TEXT_MAX);
	int r = parse_list(&p, &t->nodes, &end);
	if (r < 0) return r;
	if (end != LIST_END_TEXT) return lex_fail(&lex, "unexpected {{%s}}", end == LIST_END_ELSE ? "else" : "end");
	*ret = t;
	return 0;
}
