/* format.h: --format: how a command prints its objects.
 *
 *   "", "table"         the command's own table
 *   "table TEMPLATE"    a table of the user's columns, with their titles
 *   "json"              one JSON document a line
 *   "TEMPLATE"          one line for each object
 * \t and \n in a template are a tab and a line end, as docker has it. In a table, values keep to their cells and command no terminal.
 */
#pragma once

#include "base/bind.h"
#include "base/template.h"

/* A field of the rows, and its title in a table. */
typedef struct FormatField {
	const char *name, *title;
} FormatField;

typedef struct Format {
	const Template *template; /* NULL: JSON */
	bool table;
	const TemplateHost *host;
	const JsonValue *titles;
	Arena *arena;
	Buf out; /* the lines so far */
} Format;

enum { FORMAT_OUTPUT_MAX = 64 * 1024 * 1024 };

/* format_init: text as the user gave it, NULL when he did not; standard stands for "" and "table" ("table {{.ID}}\t{{.Name}}"); fields ends in a
 * row without name. host may be NULL; host and fields must outlive f. What is made lives in the arena. -EINVAL with docker's words. */
int format_init(Format *f, const char *text, const char *standard, const FormatField *fields, const TemplateHost *host, Arena *a,
		Err *e) MUST_USE;
void format_done(Format *f);
#define AUTO_FORMAT AUTO(format_done) Format

/* format_row: one object. format_texts: an object whose members are texts. */
int format_row(Format *f, const JsonValue *row, Err *e) MUST_USE;
int format_texts(Format *f, const StrPair *members, size_t n, Err *e) MUST_USE;
/* format_finish: the whole output, aligned when it is a table; valid until format_done. */
int format_finish(Format *f, const Buf **ret, Err *e) MUST_USE;
