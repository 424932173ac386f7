/* heap.c: malloc and its kin for a static program of one short life; linked into programs on musl only.
 *
 * musl's own allocator spreads a small start over many mappings: each block of some size touches three pages and is given back to the
 * kernel when it is freed. Here a page that is touched costs 2 µs and a mapping that comes and goes 8: that was a tenth of a container's start.
 *
 * Blocks are powers of two, cut off one region after the other; freed ones wait in a list of their size. Nothing but large blocks
 * goes back to the kernel: what a program that stays (a foreground run, events) takes over and over it finds in its lists. Programs that
 * link this are single-threaded.
 */
#include <sys/mman.h>

#define HEAP_IS_OURS
#include "base/heap.h"

enum { SMALLEST = 32, LARGE = 128 * 1024, REGION = 512 * 1024, CLASSES = 13, ALIGNMENT = 16 };

/* Before each block. */
typedef struct Block {
	size_t size; /* with this header */
	struct Block *next;
} Block;

_Static_assert(sizeof(Block) == ALIGNMENT, "blocks are aligned for any object");
_Static_assert(SMALLEST << (CLASSES - 1) == LARGE, "one list for each size");

static Block *free_blocks[CLASSES];
static char *region, *region_end;

static unsigned class_of(size_t size)
{
	return size <= SMALLEST ? 0 : (unsigned)(sizeof(long) * 8 - (size_t)__builtin_clzl((size - 1) / SMALLEST));
}

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static Block *take_large(size_t size)
{
	Block *b = map(size);
	if (b) b->size = size;
	return b;
}

static Block *take_small(unsigned class)
{
	size_t size = (size_t)SMALLEST << class;
	Block *b = free_blocks[class];
	if (b) {
		free_blocks[class] = b->next;
		return b;
	}
	if ((size_t)(region_end - region) < size) {
		char *fresh = map(REGION);
		if (!fresh) return NULL;
		region = fresh;
		region_end = fresh + REGION;
	}
	b = (Block *)(void *)region;
	region += size;
	b->size = size;
	return b;
}

/* Under names of their own: a compiler makes a call of calloc out of malloc and memset, in calloc too. */
static void *take_block(size_t n)
{
	if (n > PTRDIFF_MAX - sizeof(Block)) {
		errno = ENOMEM;
		return NULL;
	}
	size_t size = n + sizeof(Block);
	Block *b = size > LARGE ? take_large(size) : take_small(class_of(size));
	if (!b) errno = ENOMEM;
	return b ? b + 1 : NULL;
}

void *malloc(size_t n)
{
	return take_block(n);
}

static void give_back(Block *b)
{
	if (b->size > LARGE) {
		int keep = errno;
		munmap(b, b->size);
		errno = keep;
		return;
	}
	unsigned class = class_of(b->size);
	b->next = free_blocks[class];
	free_blocks[class] = b;
}

void free(void *p)
{
	if (p) give_back((Block *)p - 1);
}

void *calloc(size_t n, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	void *p = take_block(total);
	const bool fresh =
		p && ((Block *)p - 1)->size > LARGE; /* a mapping of its own is zero, and takes no memory where it is not touched */
	return p && !fresh ? memset(p, 0, total) : p;
}

/* The block cut off last grows where it stands: a buffer that is being filled is never copied. */
static bool grow_last(Block *b, size_t size)
{
	if (size > LARGE || (char *)b + b->size != region) return false;
	size_t want = (size_t)SMALLEST << class_of(size);
	if (want - b->size > (size_t)(region_end - region)) return false;
	region += want - b->size;
	b->size = want;
	return true;
}

void *realloc(void *p, size_t n)
{
	if (!p) return take_block(n);
	Block *b = (Block *)p - 1;
	if (n <= b->size - sizeof *b || (n < LARGE && grow_last(b, n + sizeof *b))) return p;
	void *fresh = take_block(n);
	if (!fresh) return NULL;
	memcpy(fresh, p, b->size - sizeof *b);
	give_back(b);
	return fresh;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	if (alignment <= ALIGNMENT) return take_block(n);
	errno = ENOMEM; /* nothing here asks for more */
	return NULL;
}

void heap_trim(void)
{
	enum { PAGE = 4096 };
	for (size_t class = 0; class < CLASSES; class ++)
		for (Block *b = (size_t)SMALLEST << class > PAGE ? free_blocks[class] : NULL; b; b = b->next) {
			uintptr_t from = ((uintptr_t)(b + 1) + PAGE - 1) & -(uintptr_t)PAGE,
				  to = ((uintptr_t)b + b->size) & -(uintptr_t)PAGE;
			if (to > from) (void)!madvise((void *)from, to - from, MADV_DONTNEED);
		}
}
