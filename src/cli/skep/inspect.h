/* inspect.h: printing objects as `inspect` does. */
#pragma once

#include "cli/skep/commands.h"
#include "image/catalog.h"

enum { INSPECT_MAX = 32 << 20 };

/* inspect_print: the array in json: as a document, or each object through the template of --format. */
int inspect_print(Invocation *in, const Buf *json, Err *e) MUST_USE;
/* image_json: an image as docker's API has it. */
int image_json(ImageStore *s, const Image *i, Arena *a, JsonWriter *w, Err *e) MUST_USE;
