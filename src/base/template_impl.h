/* template_impl.h: what the parts of the templates share: the parsed form, values, functions. Not for others. */
#pragma once

#include "base/template.h"

typedef struct Pipe Pipe;
typedef struct TemplateFn TemplateFn;

typedef enum { OPERAND_DOT, OPERAND_NIL, OPERAND_CONST, OPERAND_VARIABLE, OPERAND_FUNCTION, OPERAND_PIPE } OperandKind;

/* One word of a command, with the fields asked of it: "$x.A.B". ".A" is OPERAND_DOT with one field. */
typedef struct Operand {
	OperandKind kind;
	Str source;     /* for messages */
	const char *at; /* where messages say it stands: of a chain, its second part, as text/template has it */
	JsonValue value;
	const char *name; /* of the variable, with its "$" */
	const TemplateFn *fn;
	const Pipe *pipe;
	const char **fields;
	size_t n_fields;
} Operand;

typedef struct PipeCommand PipeCommand;
struct PipeCommand {
	PipeCommand *next;
	Operand *args; /* at least one */
	size_t n;
	Str source;
};

struct Pipe {
	const char *declared[2]; /* "$i", "$v" */
	int n_declared;
	bool assigns; /* "=" instead of ":=" */
	PipeCommand *first;
	Str source;
};

typedef enum { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_WITH, NODE_RANGE, NODE_BREAK, NODE_CONTINUE } NodeKind;

typedef struct Node Node;
struct Node {
	NodeKind kind;
	Node *next;
	Str text;
	const Pipe *pipe;
	Node *body, *otherwise;
};

struct Template {
	Str text;
	const char *name;
	Node *nodes;
};

/* Lexer: where in the text the parser stands; what may come next is its to know (template_lex.c). */
typedef struct Lexer {
	const char *name; /* of the template, for messages */
	Str text;
	size_t at;
	bool trim; /* the action before ended in " -}}" */
	Arena *arena;
	Err *e;
} Lexer;

/* lex_fail, _memory, _unexpected, _character: what is wrong where it stands; -EINVAL, -ENOMEM. "unexpected … in <context>" names what stands
 * there as Go does; a character is one that cannot stand right behind a word. */
int lex_fail(Lexer *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
int lex_fail_memory(Lexer *l);
int lex_fail_unexpected(Lexer *l, const char *context);
int lex_fail_character(Lexer *l);

bool lex_is_blank(char c);
bool lex_is_word(char c);
bool lex_is_keyword(Str w);

/* lex_peek: the character that many places on, 0 behind the end. lex_word: the letters and digits that stand here. lex_at_close: the end of an
 * action. Nothing is taken. */
char lex_peek(const Lexer *l, size_t ahead);
Str lex_word(const Lexer *l);
bool lex_at_text(const Lexer *l, const char *s);
bool lex_at_close(const Lexer *l);
bool lex_at_number(const Lexer *l);

/* lex_skip_blanks: were there any? lex_take_…: a constant, by its first character, and the end of an action. */
bool lex_skip_blanks(Lexer *l);
void lex_take_close(Lexer *l);
int lex_take_string(Lexer *l, JsonValue *ret) MUST_USE;
int lex_take_raw_string(Lexer *l, JsonValue *ret) MUST_USE;
int lex_take_character(Lexer *l, JsonValue *ret) MUST_USE;
int lex_take_number(Lexer *l, JsonValue *ret) MUST_USE;

typedef struct Variable {
	const char *name;
	JsonValue value;
} Variable;

/* Exec: one run. */
typedef struct Exec {
	const Template *t;
	const TemplateHost *host;
	Arena *arena;
	Buf *out;
	Err *e;
	unsigned steps;
	Variable variables[TEMPLATE_VARIABLES_MAX];
	size_t n_variables;
} Exec;

/* A function: with n arguments, all evaluated. Fails with the bare reason. */
struct TemplateFn {
	const char *name;
	size_t min, max;
	int (*call)(Exec *x, const JsonValue *args, size_t n, JsonValue *ret);
	bool lazy;    /* and, or: evaluated one after the other until the result stands */
	bool dockers; /* gives back its first argument in a header */
	int strings;  /* bit k: argument k must be a string */
};

const TemplateFn *template_fn_find(Str name);

/* Values (template_value.c). */
static inline JsonValue value_string(const char *s, size_t n)
{
	return (JsonValue){ .type = JSON_STRING, .n = (uint32_t)n, .s = s };
}
static inline JsonValue value_bool(bool v)
{
	return (JsonValue){ .type = JSON_BOOL, .boolean = v };
}
static inline JsonValue value_int(int64_t v)
{
	return (JsonValue){ .type = JSON_INT, .i = v };
}
/* value_take: the content of b as a string value; fails when b has failed or the arena is full. */
int value_take(Exec *x, Buf *b, JsonValue *ret) MUST_USE;
bool value_truth(const JsonValue *v);
/* value_type: Go's name of the type. */
const char *value_type(const JsonValue *v);
/* value_print: as fmt's %v. */
int value_print(Exec *x, Buf *b, const JsonValue *v) MUST_USE;
void value_print_double(Buf *b, double v);
/* value_members: the members of an object in the order of their keys. */
int value_members(Exec *x, const JsonValue *v, const JsonMember ***ret) MUST_USE;
/* value_format: fmt.Sprintf. */
int value_format(Exec *x, Buf *b, const char *format, const JsonValue *args, size_t n) MUST_USE;
