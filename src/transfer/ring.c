/* ring.c: see ring.h. */
#include "transfer/ring.h"

#include <assert.h>
#include <pthread.h>

typedef struct Chunk {
	uint8_t *p;
	size_t n;
} Chunk;

struct Ring {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t size;
	unsigned count;
	uint64_t put, taken; /* chunks handed over, chunks given back; the one being filled is put % count */
	bool reading;        /* the consumer has chunk taken % count in hand */
	bool ended, aborted;
	Chunk chunks[];
};

int ring_new(size_t size, unsigned count, Ring **ret)
{
	Ring *r = calloc(1, sizeof *r + count * sizeof r->chunks[0]);
	if (!r) return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->size = size;
	r->count = count;
	*ret = r;
	return 0;
}

void ring_free(Ring *r)
{
	if (!r) return;
	for (unsigned i = 0; i < r->count; i++)
		free(r->chunks[i].p);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}

int ring_room(Ring *r, uint8_t **ret_p, size_t *ret_n)
{
	pthread_mutex_lock(&r->lock);
	while (!r->aborted && r->put - r->taken == r->count)
		pthread_cond_wait(&r->changed, &r->lock);
	bool aborted = r->aborted;
	pthread_mutex_unlock(&r->lock);
	if (aborted) return -EPIPE;
	Chunk *c = &r->chunks[r->put % r->count]; /* ours until it is handed over */
	if (!c->p) c->p = malloc(r->size);
	if (!c->p) return -ENOMEM;
	*ret_p = c->p + c->n;
	*ret_n = r->size - c->n;
	return 0;
}

static void hand_over(Ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->put++;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void ring_done(Ring *r, size_t n)
{
	Chunk *c = &r->chunks[r->put % r->count];
	assert(n <= r->size - c->n);
	c->n += n;
	if (c->n == r->size) hand_over(r);
}

int ring_put(Ring *r, const void *p, size_t n)
{
	const uint8_t *from = p;
	while (n) {
		uint8_t *to = NULL;
		size_t room = 0;
		int x = ring_room(r, &to, &room);
		if (x < 0) return x;
		assert(to);
		size_t k = n < room ? n : room;
		memcpy(to, from, k);
		ring_done(r, k);
		from += k;
		n -= k;
	}
	return 0;
}

void ring_end(Ring *r)
{
	pthread_mutex_lock(&r->lock);
	/* a chunk is begun only after there was room for it: what stands at put is the producer's, unless the ring is full */
	if (r->put - r->taken < r->count && r->chunks[r->put % r->count].n) r->put++;
	r->ended = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

int ring_next(Ring *r, const uint8_t **ret_p, size_t *ret_n)
{
	int x = 1;
	pthread_mutex_lock(&r->lock);
	if (r->reading) {
		r->chunks[r->taken % r->count].n = 0;
		r->taken++;
		r->reading = false;
		pthread_cond_signal(&r->changed);
	}
	while (!r->aborted && !r->ended && r->put == r->taken)
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->aborted) {
		x = -EPIPE;
	} else if (r->put == r->taken) {
		x = 0;
	} else {
		r->reading = true;
		*ret_p = r->chunks[r->taken % r->count].p;
		*ret_n = r->chunks[r->taken % r->count].n;
	}
	pthread_mutex_unlock(&r->lock);
	return x;
}

void ring_abort(Ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->aborted = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
