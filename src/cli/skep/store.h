/* store.h: what the commands that work on images share. */
#pragma once

#include "cli/skep/commands.h"
#include "image/catalog.h"

/* skep_store: the store below --root. */
int skep_store(const Invocation *in, ImageStore **ret, Err *e) MUST_USE;

/* put_removal: "untagged: NAME", "deleted: ID", lines in the words that the command has for them; and the events. */
void put_removal(ImageStore *s, const Image *i, const Removal *r, const char *untagged, const char *deleted, Buf *out);

/* short_id: the first twelve digits. */
const char *short_id(const Digest *d, char text[static DIGEST_HEX_MAX]);

/* age_of: how long ago a time (ns since 1970) was, as docker says it: "3 weeks ago". time_of: the time itself, as docker prints it:
 * "2026-01-02 03:04:05 +0000 UTC". age_text, time_text: of an RFC 3339 time; "N/A" when it is none. */
enum { AGE_TEXT_MAX = 64 };
void age_of(int64_t created, char text[static AGE_TEXT_MAX]);
void time_of(int64_t created, char text[static AGE_TEXT_MAX]);
void age_text(const char *created, char text[static AGE_TEXT_MAX]);
void time_text(const char *created, char text[static AGE_TEXT_MAX]);
