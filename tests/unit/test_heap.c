/* The heap of programs on musl, under other names beside the C library's own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define malloc heap_malloc
#define free heap_free
#define calloc heap_calloc
#define realloc heap_realloc
#define aligned_alloc heap_aligned_alloc
void *heap_malloc(size_t n);
void heap_free(void *p);
void *heap_calloc(size_t n, size_t size);
void *heap_realloc(void *p, size_t n);
void *heap_aligned_alloc(size_t alignment, size_t n);
#include "base/heap.c"
#undef malloc
#undef free
#undef calloc
#undef realloc
#undef aligned_alloc

#include "check.h"

enum { BLOCKS = 400, ROUNDS = 40000 };

/* a generator of our own: the same sequence in each run */
static uint32_t next_number(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* What is in use stays as it is; what was free is given again. */
static void trimmed(void **state)
{
	(void)state;
	char *kept[8], *freed[8];
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		freed[i] = heap_malloc(9000 << i % 3);
		kept[i] = heap_malloc(9000 << i % 3);
		memset(freed[i], 'f', 9000 << i % 3);
		memset(kept[i], 'k', 9000 << i % 3);
	}
	for (size_t i = 0; i < ARRAY_LEN(freed); i++)
		heap_free(freed[i]);
	heap_trim();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		char *again = heap_malloc(9000 << i % 3);
		assert_true(kept[i][0] == 'k' && kept[i][8999 << i % 3] == 'k');
		assert_true(again[5000] != 'f'); /* the kernel has taken the page */
		memset(again, 'a', 9000 << i % 3);
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		assert_true(kept[i][0] == 'k');
}

static size_t some_size(uint32_t *seed)
{
	static const size_t most[] = { 1, 40, 700, 5000, 40000, 300000 };
	return next_number(seed) % most[next_number(seed) % ARRAY_LEN(most)];
}

typedef struct Held {
	unsigned char *p;
	size_t n;
	unsigned char mark;
} Held;

static void assert_intact(const Held *h)
{
	if (h->p && h->n) assert_true(h->p[0] == h->mark && h->p[h->n / 2] == h->mark && h->p[h->n - 1] == h->mark);
}

static void fill(Held *h, void *p, size_t n, unsigned char mark)
{
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 16, 0);
	*h = (Held){ p, n, mark };
	memset(p, mark, n);
}

static void blocks_do_not_touch_each_other(void **state)
{
	static Held held[BLOCKS];
	uint32_t seed = 1;
	for (int i = 0; i < ROUNDS; i++) {
		Held *h = &held[next_number(&seed) % BLOCKS];
		size_t n = some_size(&seed);
		unsigned char mark = (unsigned char)next_number(&seed);
		assert_intact(h);
		switch (next_number(&seed) % 4) {
		case 0:
			heap_free(h->p);
			*h = (Held){ 0 };
			break;
		case 1: {
			unsigned char *p = heap_calloc(n, 1);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(p[k], 0);
			heap_free(h->p);
			fill(h, p, n, mark);
			break;
		}
		case 2: {
			unsigned char *p = heap_realloc(h->p, n);
			size_t kept = n < h->n ? n : h->n;
			assert_non_null(p);
			if (kept) assert_true(p[0] == h->mark && p[kept - 1] == h->mark);
			fill(h, p, n, mark);
			break;
		}
		default:
			heap_free(h->p);
			fill(h, heap_malloc(n), n, mark);
			break;
		}
	}
	for (int i = 0; i < BLOCKS; i++) {
		assert_intact(&held[i]);
		heap_free(held[i].p);
	}
}

/* What a program that stays takes over and over costs nothing new. */
static void a_freed_block_serves_again(void **state)
{
	for (size_t n = 1; n < 100000; n = n * 3 + 1) {
		void *first = heap_malloc(n);
		heap_free(first);
		for (int i = 0; i < 100; i++) {
			void *p = heap_malloc(n);
			assert_ptr_equal(p, first);
			heap_free(p);
		}
	}
}

static void the_last_block_grows_in_place(void **state)
{
	char *p = heap_malloc(100), *q = heap_malloc(100), *grown = q;
	for (size_t n = 200; n < 4000; n += 200)
		grown = heap_realloc(grown, n);
	assert_ptr_equal(grown, q);
	heap_free(grown);
	heap_free(p);
}

static void what_cannot_be_is_refused(void **state)
{
	volatile size_t huge = SIZE_MAX; /* volatile: the compiler knows better than to call with it */
	errno = 0;
	assert_null(heap_malloc(huge));
	assert_int_equal(errno, ENOMEM);
	assert_null(heap_malloc(huge - 20));
	assert_null(heap_calloc(huge / 2, 3));
	assert_null(heap_realloc(NULL, huge));
	assert_null(heap_aligned_alloc(4096, 10));
	char *p = heap_malloc(10);
	memcpy(p, "still here", 10);
	assert_null(heap_realloc(p, huge));
	assert_memory_equal(p, "still here", 10);
	heap_free(p);
	heap_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_block_grows_in_place), /* first: no freed block serves before it */
		cmocka_unit_test(blocks_do_not_touch_each_other), cmocka_unit_test(a_freed_block_serves_again),
		cmocka_unit_test(what_cannot_be_is_refused),      cmocka_unit_test(trimmed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
