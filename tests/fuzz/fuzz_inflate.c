/* fuzz_inflate.c: streams of any compression: fed at once and in pieces of a size that the first byte gives, the result is the same,
 * whatever the room for the output; and the limits hold. */
#include "fuzz.h"
#include "transfer/inflate.h"

enum { OUT_MAX = 1 << 20, ROOM_MAX = 64 << 10 };

typedef struct Out {
	uint8_t buffer[ROOM_MAX];
	size_t room;
	uint64_t n, sum; /* bytes, and something that depends on all of them and their order */
} Out;

static int out_room(void *arg, uint8_t **ret_p, size_t *ret_n, Err *e)
{
	Out *o = arg;
	*ret_p = o->buffer;
	*ret_n = o->room;
	return 0;
}

static int out_done(void *arg, size_t n, Err *e)
{
	Out *o = arg;
	assert(n <= o->room);
	for (size_t i = 0; i < n; i++)
		o->sum = (o->sum ^ o->buffer[i]) * UINT64_C(0x100000001b3);
	o->n += n;
	return 0;
}

static int run(const uint8_t *data, size_t n, size_t piece, size_t room, Out *o)
{
	Err e = ERR_INIT;
	AUTO_INFLATE *i = NULL;
	const TransferLimits limits = { .tar_size = OUT_MAX };
	*o = (Out){ .room = room };
	const InflateSink sink = { .room = out_room, .done = out_done, .arg = o };
	assert(inflate_new(COMPRESSION_AUTO, &limits, &sink, &i, &e) == 0);
	for (size_t at = 0; at < n; at += piece) {
		int r = inflate_feed(i, data + at, n - at < piece ? n - at : piece, &e);
		assert(o->n <= OUT_MAX + room);
		if (r < 0) {
			assert(e.errnum > 0 && e.msg[0]);
			return r;
		}
	}
	return inflate_finish(i, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static Out whole, pieces;
	if (n < 2) return 0;
	size_t piece = data[0] ? data[0] : 1, room = data[0] & 1 ? 1 + data[0] * 7u : ROOM_MAX;
	AUTO_FREE uint8_t *exact = malloc(n - 1);
	assert(exact);
	memcpy(exact, data + 1, n - 1);
	int a = run(exact, n - 1, n, ROOM_MAX, &whole);
	int b = run(exact, n - 1, piece, room, &pieces);
	if (a == -EFBIG || b == -EFBIG || a == -ENOMEM || b == -ENOMEM) return 0;
	assert((a < 0) == (b < 0));
	if (a == 0) assert(whole.n == pieces.n && whole.sum == pieces.sum);
	return 0;
}
