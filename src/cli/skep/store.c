/* store.c: see store.h. */
#include "cli/skep/store.h"

#include "base/duration.h"
#include "base/time.h"
#include "image/event.h"
#include "sys/fd_limit.h"

enum { DESCRIPTORS_MAX = 16 << 10 };

int skep_store(const Invocation *in, ImageStore **ret, Err *e)
{
	/* an image has up to 500 layers, each with three files while it is being pulled, and the usual limit is 1,024 */
	(void)fd_limit_raise(DESCRIPTORS_MAX);
	return image_store_open(skep_of(in)->root, ret, e);
}

void put_removal(ImageStore *s, const Image *i, const Removal *r, const char *untagged, const char *deleted, Buf *out)
{
	image_event_removal(s, i, r);
	for (size_t k = 0; k < r->untagged.n; k++)
		buf_printf(out, "%s: %s\n", untagged, r->untagged.items[k]);
	for (size_t k = 0; k < r->deleted.n; k++)
		buf_printf(out, "%s: %s\n", deleted, r->deleted.items[k]);
}

const char *short_id(const Digest *d, char text[static DIGEST_HEX_MAX])
{
	digest_hex(d, text);
	text[12] = 0;
	return text;
}

void age_of(int64_t created, char text[static AGE_TEXT_MAX])
{
	duration_human(time_now() - created, text);
	memcpy(text + strlen(text), " ago", sizeof " ago");
}

void time_of(int64_t created, char text[static AGE_TEXT_MAX])
{
	time_format(created, TIME_SECONDS, text);
	char *day = strchr(text, 'T'), *zone = strchr(text, 'Z');
	if (day) *day = ' ';
	if (zone) memcpy(zone, " +0000 UTC", sizeof " +0000 UTC");
}

void age_text(const char *created, char text[static AGE_TEXT_MAX])
{
	int64_t at;
	if (created && time_parse(str_of(created), &at) == 0)
		age_of(at, text);
	else
		memcpy(text, "N/A", sizeof "N/A");
}

void time_text(const char *created, char text[static AGE_TEXT_MAX])
{
	int64_t at;
	if (created && time_parse(str_of(created), &at) == 0)
		time_of(at, text);
	else
		memcpy(text, "N/A", sizeof "N/A");
}
