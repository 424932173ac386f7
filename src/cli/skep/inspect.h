/* inspect.h: printing objects as `inspect` does. */
#pragma once

#include "cli/skep/commands.h"
#include "engine/engine.h"

enum { INSPECT_MAX = 32 << 20 };

/* inspect_print: the array in json: as a document, or each object through the template of --format. */
int inspect_print(Invocation *in, const Buf *json, Err *e) MUST_USE;
/* image_json: an image as docker's API has it. */
int image_json(ImageStore *s, const Image *i, Arena *a, JsonWriter *w, Err *e) MUST_USE;

/* inspect_each: fn writes each argument's object; those that are not there are told, and the status is 1. */
typedef int InspectFn(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e);
int inspect_each(Invocation *in, InspectFn *fn, Err *e) MUST_USE;
int inspect_network(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e) MUST_USE;
int inspect_volume(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e) MUST_USE;
