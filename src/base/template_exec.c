/* template_exec.c: runs a parsed template, see template.h. */
#include <stdarg.h>

#include "base/template_impl.h"

typedef enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

static int eval_pipe(Exec *x, const JsonValue *dot, const Pipe *p, JsonValue *ret);
static int walk(Exec *x, const JsonValue *dot, const Node *n); /* a Flow, or a negative errno */

/* The reason with its place: where `at` points, shown as source. */
static int fail_place(Exec *x, const char *at, Str source, const char *reason)
{
	size_t line = 1, column = 0;
	for (const char *p = x->t->text.p; p < at; p++) {
		column = *p == '\n' ? 0 : column + 1;
		line += *p == '\n';
	}
	return err_set(x->e, ERR_CONFIG, EINVAL, "template: %s:%zu:%zu: executing \"%s\" at <%.*s>: %s", x->t->name, line, column,
		       x->t->name, (int)(source.n > 200 ? 200 : source.n), source.p, reason);
}

static int fail_at(Exec *x, Str source, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fail_operand(Exec *x, const Operand *o, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail_at(Exec *x, Str source, const char *fmt, ...)
{
	char reason[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	return fail_place(x, source.p, source, reason);
}

static int fail_operand(Exec *x, const Operand *o, const char *fmt, ...)
{
	char reason[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	return fail_place(x, o->at, o->source, reason);
}

static int step(Exec *x, Str source)
{
	return ++x->steps > TEMPLATE_STEPS_MAX ? fail_at(x, source, "more than %d steps", TEMPLATE_STEPS_MAX) : 0;
}

static int fail_missing(Exec *x, const Operand *o, size_t k, const JsonValue *of)
{
	const char *name = o->fields[k];
	bool known = k == 0 && o->kind != OPERAND_DOT;
	if (of->type == JSON_OBJECT && x->host->type && k == 0)
		return fail_operand(x, o, "can't evaluate field %s in type %s", name, x->host->type);
	if (of->type == JSON_OBJECT) return fail_operand(x, o, "map has no entry for key \"%s\"", name);
	if (of->type == JSON_NULL && k == 0) return fail_operand(x, o, "nil data; no entry for key \"%s\"", name);
	if (of->type == JSON_NULL) return fail_operand(x, o, "nil pointer evaluating interface {}.%s", name);
	return fail_operand(x, o, "can't evaluate field %s in type %s", name, known ? value_type(of) : "interface {}");
}

/* Field k of an operand, asked of *v; args are those of a method. */
static int eval_field(Exec *x, const Operand *o, size_t k, const JsonValue *args, size_t n, JsonValue *v)
{
	const JsonValue *member = json_get(v, o->fields[k]);
	if (member && member->go & JSON_FOREIGN) member = NULL;
	if (member && n) return fail_operand(x, o, "%s is not a method but has arguments", o->fields[k]);
	if (member) {
		*v = *member;
		return 0;
	}
	if (x->host->field) {
		Err why = ERR_INIT;
		JsonValue of = *v;
		int r = x->host->field(x->host->arg, &of, o->fields[k], args, n, x->arena, v, &why);
		if (r < 0) return fail_operand(x, o, "error calling %s: %s", o->fields[k], why.msg);
		if (r > 0) return 0;
	}
	if (!x->host->missing_is_null || v->type != JSON_OBJECT) return fail_missing(x, o, k, v);
	*v = (JsonValue){ .type = JSON_NULL };
	return 0;
}

static Variable *find_variable(Exec *x, const char *name)
{
	for (size_t i = x->n_variables; i--;)
		if (streq(x->variables[i].name, name)) return &x->variables[i];
	return NULL;
}

/* An operand before its fields. */
static int eval_base(Exec *x, const JsonValue *dot, const Operand *o, JsonValue *ret)
{
	const Variable *variable;
	switch (o->kind) {
	case OPERAND_DOT:
		*ret = *dot;
		return 0;
	case OPERAND_NIL:
		*ret = (JsonValue){ .type = JSON_NULL };
		return 0;
	case OPERAND_CONST:
		*ret = o->value;
		return 0;
	case OPERAND_VARIABLE:
		variable = find_variable(x, o->name);
		if (!variable) return fail_at(x, o->source, "undefined variable: %s", o->name);
		*ret = variable->value;
		return 0;
	case OPERAND_PIPE:
		return eval_pipe(x, dot, o->pipe, ret);
	case OPERAND_FUNCTION:
		break;
	}
	return -EINVAL;
}

static int call(Exec *x, const JsonValue *dot, const PipeCommand *c, const JsonValue *final, JsonValue *ret);

/* A word as an argument: a function there is called without arguments. */
static int eval_argument(Exec *x, const JsonValue *dot, const Operand *o, JsonValue *ret)
{
	PipeCommand alone = { .args = (Operand *)(uintptr_t)o, .n = 1, .source = o->source };
	int r = step(x, o->source);
	if (r < 0) return r;
	if (o->kind == OPERAND_FUNCTION) return call(x, dot, &alone, NULL, ret);
	r = eval_base(x, dot, o, ret);
	for (size_t k = 0; r >= 0 && k < o->n_fields; k++)
		r = eval_field(x, o, k, NULL, 0, ret);
	return r;
}

/* The arguments of a command and, last, what the pipeline brought. */
static int eval_arguments(Exec *x, const JsonValue *dot, const PipeCommand *c, const JsonValue *final, JsonValue *args, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 1; i < c->n; i++) {
		int r = eval_argument(x, dot, &c->args[i], &args[n++]);
		if (r < 0) return r;
	}
	if (final) args[n++] = *final;
	*ret_n = n;
	return 0;
}

static int check_count(Exec *x, const PipeCommand *c, const TemplateFn *f, size_t n)
{
	Str at = c->args[0].source;
	if (n >= f->min && n <= f->max) return 0;
	if (f->max == f->min) return fail_at(x, at, "wrong number of args for %s: want %zu got %zu", f->name, f->min, n);
	return fail_at(x, at, "wrong number of args for %s: want %s %zu got %zu", f->name, n < f->min ? "at least" : "at most",
		       n < f->min ? f->min : f->max, n);
}

static int fail_type(Exec *x, const Operand *o, const JsonValue *v)
{
	if (o->kind == OPERAND_CONST) return fail_operand(x, o, "expected string; found %.*s", (int)o->source.n, o->source.p);
	if (o->kind == OPERAND_NIL) return fail_operand(x, o, "cannot assign nil to string");
	return fail_operand(x, o, "wrong type for value; expected string; got %s", v->type == JSON_NULL ? "interface {}" : value_type(v));
}

static int check_types(Exec *x, const PipeCommand *c, const TemplateFn *f, const JsonValue *args, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((f->strings >> i & 1) && args[i].type != JSON_STRING) return fail_type(x, &c->args[i + 1 < c->n ? i + 1 : 0], &args[i]);
	return 0;
}

/* and, or: the first argument that decides, or the last. */
static int call_lazy(Exec *x, const JsonValue *dot, const PipeCommand *c, const JsonValue *final, JsonValue *ret)
{
	bool stop = streq(c->args[0].fn->name, "or");
	for (size_t i = 1; i < c->n; i++) {
		int r = eval_argument(x, dot, &c->args[i], ret);
		if (r < 0) return r;
		if (value_truth(ret) == stop) return 0;
	}
	if (final) *ret = *final;
	return 0;
}

static int call(Exec *x, const JsonValue *dot, const PipeCommand *c, const JsonValue *final, JsonValue *ret)
{
	const TemplateFn *f = c->args[0].fn;
	size_t n = c->n - 1 + (final != NULL);
	int r = check_count(x, c, f, n);
	if (r < 0) return r;
	if (f->lazy) return call_lazy(x, dot, c, final, ret);
	JsonValue *args = arena_array(x->arena, n + 1, sizeof *args);
	if (!args) return fail_at(x, c->source, "out of memory");
	r = eval_arguments(x, dot, c, final, args, &n);
	if (r < 0) return r;
	if (f->dockers && x->host->header) {
		*ret = args[0];
		return 0;
	}
	r = check_types(x, c, f, args, n);
	if (r < 0) return r;
	Err *outer = x->e, why = ERR_INIT;
	x->e = &why;
	r = f->call(x, args, n, ret);
	x->e = outer;
	return r < 0 ? fail_at(x, c->source, "error calling %s: %s", f->name, why.msg) : 0;
}

static int eval_command(Exec *x, const JsonValue *dot, const PipeCommand *c, const JsonValue *final, JsonValue *ret)
{
	const Operand *first = &c->args[0];
	JsonValue args[65];
	size_t n = 0;
	int r = step(x, c->source);
	if (r < 0) return r;
	if (first->kind == OPERAND_FUNCTION) return call(x, dot, c, final, ret);
	if (!first->n_fields && (c->n > 1 || final))
		return fail_at(x, first->source, "can't give argument to non-function %.*s", (int)first->source.n, first->source.p);
	if (first->kind == OPERAND_NIL) return fail_at(x, first->source, "nil is not a command");
	r = eval_base(x, dot, first, ret);
	for (size_t k = 0; r >= 0 && k < first->n_fields; k++) {
		bool last = k + 1 == first->n_fields;
		JsonValue of = *ret;
		if (last && (c->n > 1 || final)) r = eval_arguments(x, dot, c, final, args, &n);
		if (r >= 0) r = eval_field(x, first, k, args, last ? n : 0, &of);
		*ret = of;
	}
	return r;
}

static int set_variable(Exec *x, const Pipe *p, const char *name, const JsonValue *v)
{
	Variable *variable = p->assigns ? find_variable(x, name) : NULL;
	if (p->assigns && !variable) return fail_at(x, p->source, "undefined variable: %s", name);
	if (!variable) {
		if (x->n_variables == TEMPLATE_VARIABLES_MAX)
			return fail_at(x, p->source, "more than %d variables", TEMPLATE_VARIABLES_MAX);
		variable = &x->variables[x->n_variables++];
	}
	*variable = (Variable){ name, *v };
	return 0;
}

static int eval_commands(Exec *x, const JsonValue *dot, const Pipe *p, JsonValue *ret)
{
	const JsonValue *final = NULL;
	JsonValue value = { .type = JSON_NULL };
	for (const PipeCommand *c = p->first; c; c = c->next) {
		JsonValue before = value;
		int r = eval_command(x, dot, c, final ? &before : NULL, &value);
		if (r < 0) return r;
		final = &value;
	}
	*ret = value;
	return 0;
}

static int eval_pipe(Exec *x, const JsonValue *dot, const Pipe *p, JsonValue *ret)
{
	int r = eval_commands(x, dot, p, ret);
	if (r >= 0 && p->n_declared) r = set_variable(x, p, p->declared[0], ret);
	return r;
}

static int walk_action(Exec *x, const JsonValue *dot, const Node *n)
{
	JsonValue v;
	int r = eval_pipe(x, dot, n->pipe, &v);
	if (r < 0 || n->pipe->n_declared) return r;
	if (v.type == JSON_NULL && !(v.go & JSON_NIL))
		buf_puts(x->out, "<no value>");
	else
		r = value_print(x, x->out, &v);
	return r < 0 ? fail_at(x, n->pipe->source, "out of memory") : 0;
}

static int walk_if_or_with(Exec *x, const JsonValue *dot, const Node *n)
{
	JsonValue v;
	size_t mark = x->n_variables;
	int r = eval_pipe(x, dot, n->pipe, &v);
	if (r >= 0) {
		bool truth = value_truth(&v);
		r = walk(x, truth && n->kind == NODE_WITH ? &v : dot, truth ? n->body : n->otherwise);
	}
	x->n_variables = mark;
	return r;
}

/* What is ranged over, without the declaration. */
static Str range_source(const Node *n)
{
	const char *from = n->pipe->first->source.p;
	return (Str){ from, (size_t)(n->pipe->source.p + n->pipe->source.n - from) };
}

static int iterate(Exec *x, const Node *n, const JsonValue *key, const JsonValue *value)
{
	const Pipe *p = n->pipe;
	size_t mark = x->n_variables;
	int r = step(x, p->source);
	if (r >= 0 && p->n_declared == 1) r = set_variable(x, p, p->declared[0], value);
	if (r >= 0 && p->n_declared == 2) r = set_variable(x, p, p->declared[0], key);
	if (r >= 0 && p->n_declared == 2) r = set_variable(x, p, p->declared[1], value);
	if (r >= 0) r = walk(x, value, n->body);
	x->n_variables = mark;
	return r;
}

static int range_array(Exec *x, const Node *n, const JsonValue *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		JsonValue key = value_int(i);
		int r = iterate(x, n, &key, &v->items[i]);
		if (r < 0) return r;
		if (r == FLOW_BREAK) break;
	}
	return 0;
}

static int range_object(Exec *x, const Node *n, const JsonValue *v)
{
	const JsonMember **members;
	if (value_members(x, v, &members) < 0) return fail_at(x, n->pipe->source, "out of memory");
	for (uint32_t i = 0; i < v->n; i++) {
		JsonValue key = value_string(members[i]->key, strlen(members[i]->key));
		int r = iterate(x, n, &key, &members[i]->value);
		if (r < 0) return r;
		if (r == FLOW_BREAK) break;
	}
	return 0;
}

static int range_number(Exec *x, const Node *n, const JsonValue *v)
{
	if (n->pipe->n_declared > 1)
		return fail_at(x, range_source(n), "can't use %lld to iterate over more than one variable", (long long)v->i);
	for (int64_t i = 0; i < v->i; i++) {
		JsonValue key = value_int(i);
		int r = iterate(x, n, &key, &key);
		if (r < 0) return r;
		if (r == FLOW_BREAK) break;
	}
	return 0;
}

static int walk_range(Exec *x, const JsonValue *dot, const Node *n)
{
	JsonValue v;
	size_t mark = x->n_variables;
	int r = eval_commands(x, dot, n->pipe, &v);
	if (r < 0) return r;
	bool some = v.type == JSON_INT ? v.i > 0 : value_truth(&v);
	if (v.type == JSON_ARRAY && some)
		r = range_array(x, n, &v);
	else if (v.type == JSON_OBJECT && some)
		r = range_object(x, n, &v);
	else if (v.type == JSON_INT && some)
		r = range_number(x, n, &v);
	else if (v.type == JSON_ARRAY || v.type == JSON_OBJECT || v.type == JSON_NULL || v.type == JSON_INT)
		r = walk(x, dot, n->otherwise);
	else {
		AUTO_BUF shown = BUF_INIT(256);
		(void)!value_print(x, &shown, &v);
		r = fail_at(x, range_source(n), "range can't iterate over %s", buf_str(&shown));
	}
	x->n_variables = mark;
	return r;
}

static int walk(Exec *x, const JsonValue *dot, const Node *n)
{
	for (; n; n = n->next) {
		int r = step(x, n->pipe ? n->pipe->source : n->text);
		if (r < 0) return r;
		switch (n->kind) {
		case NODE_TEXT:
			buf_put(x->out, n->text.p, n->text.n);
			break;
		case NODE_ACTION:
			r = walk_action(x, dot, n);
			break;
		case NODE_IF:
		case NODE_WITH:
			r = walk_if_or_with(x, dot, n);
			break;
		case NODE_RANGE:
			r = walk_range(x, dot, n);
			break;
		case NODE_BREAK:
			return FLOW_BREAK;
		case NODE_CONTINUE:
			return FLOW_CONTINUE;
		}
		if (r != FLOW_ON) return r;
		if (buf_failed(x->out)) return err_set(x->e, ERR_RESOURCE, ENOMEM, "template: %s: the output is too long", x->t->name);
	}
	return FLOW_ON;
}

int template_execute(const Template *t, const JsonValue *data, const TemplateHost *host, Arena *a, Buf *out, Err *e)
{
	static const TemplateHost none;
	AUTO_FREE Exec *x = calloc(1, sizeof *x);
	if (!x) return err_sys(e, ENOMEM, "template");
	x->t = t;
	x->host = host ? host : &none;
	x->arena = a;
	x->out = out;
	x->e = e;
	x->variables[x->n_variables++] = (Variable){ "$", *data };
	int r = walk(x, data, t->nodes);
	return r < 0 ? r : 0;
}
