/* template.h: the templates of --format: a subset of Go's text/template with docker's functions, over a JSON tree.
 *
 * There are
 *   {{pipeline}}  {{if}} {{else if}} {{else}} {{end}}  {{range $i, $v := p}}  {{with}}  {{break}} {{continue}}  {{/ * comment * /}}
 *   {{- trimming -}}, variables ($x := p, $x = p, $), chains (.A.B, $x.B, (p).B), "…", `…`, 'c', numbers, true, false, nil
 *   and or not  eq ne lt le gt ge  len index slice  print printf println  html urlquery
 *   json join split upper lower title pad truncate (docker's)
 * There is no define, template, block, call or js, and no complex numbers.
 *
 * Values are JSON's. An integer is an int, any other number a float64, an object a map[string]interface {}, as far as messages and
 * printf go, unless it is marked as a struct (json.h); maps are walked and printed in the order of their keys, json keeps the order of the
 * document. Missing members are errors.
 * All messages are text/template's: "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"".
 *
 * Limits: nesting TEMPLATE_DEPTH_MAX, text TEMPLATE_TEXT_MAX, variables TEMPLATE_VARIABLES_MAX at a time, and TEMPLATE_STEPS_MAX nodes
 * evaluated in one run; memory by the arena, output by the buffer.
 */
#pragma once

#include "base/json.h"

enum { TEMPLATE_DEPTH_MAX = 64, TEMPLATE_TEXT_MAX = 64 * 1024, TEMPLATE_VARIABLES_MAX = 128, TEMPLATE_STEPS_MAX = 4 * 1024 * 1024 };

typedef struct Template Template;

/* TemplateHost: what the caller adds. All may be zero. */
typedef struct TemplateHost {
	/* field: a member that the object `of` does not have: computed, or a method with arguments (.Label "x"). 1: *ret is it; 0: there is
	 * none; a negative errno with the reason. */
	int (*field)(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e);
	void *arg;
	const char *type;     /* of the data, as Go calls it, for the message of a missing member; NULL: a map */
	bool missing_is_null; /* a missing member prints "<no value>" instead of being an error */
	bool header;          /* docker's functions give back their first argument: the line of titles of a table is made so */
} TemplateHost;

/* template_parse: name stands in messages ("" usually). The template points into text, which must live as long as the arena.
 * -EINVAL with the reason, -ENOMEM. */
int template_parse(Str text, const char *name, Arena *a, const Template **ret, Err *e) MUST_USE;

/* template_execute: appends to out what the template makes of data. host may be NULL. What it computes is kept in the arena. On failure
 * out holds what came before it, and the class of the error is ERR_CONFIG, where that of one that cannot be parsed is ERR_USAGE. */
int template_execute(const Template *t, const JsonValue *data, const TemplateHost *host, Arena *a, Buf *out, Err *e) MUST_USE;
