/* asker.h: asks a name server for addresses of names, and how long its answers take. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { ASKER_QUERY_MAX = 300, ASKER_HEADER = 12 };

typedef struct Asker {
	const char *name; /* what is asked for; NULL: c0, c1, … */
	unsigned members; /* so many of these */
	unsigned lookups, window /* queries under way */;
	bool tcp;
	int64_t *took; /* of each answer, ns; sorted by asker_run */
	unsigned lost;
} Asker;

static inline int64_t asker_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void asker_put16(uint8_t *p, size_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* A query for an A record into p, of ASKER_QUERY_MAX bytes; its length. */
static inline size_t asker_query(uint8_t *p, uint16_t id, const char *name)
{
	memcpy(p, "\0\0\1\0\0\1\0\0\0\0\0", ASKER_HEADER);
	asker_put16(p, id);
	size_t n = ASKER_HEADER;
	for (const char *label = name; *label;) {
		const size_t length = strcspn(label, ".");
		if (length > 63 || n + length + 6 > ASKER_QUERY_MAX) abort();
		p[n++] = (uint8_t)length;
		memcpy(p + n, label, length);
		n += length;
		label += length + (label[length] == '.');
	}
	memcpy(p + n, "\0\0\1\0\1", 5);
	return n + 5;
}

static inline bool asker_send(const Asker *a, int fd, uint16_t id)
{
	uint8_t q[2 + ASKER_QUERY_MAX];
	char name[32];
	if (!a->name) snprintf(name, sizeof name, "c%u", (unsigned)id * 7919u % a->members);
	const size_t n = asker_query(q + 2, id, a->name ? a->name : name);
	asker_put16(q, n);
	return send(fd, a->tcp ? q : q + 2, a->tcp ? n + 2 : n, 0) > 0;
}

/* One answer: 1. 0: nothing came in time, what was under way is lost. -1: it is not what was asked for. */
static inline int asker_receive(const Asker *a, int fd, uint16_t *id)
{
	uint8_t p[512];
	if (a->tcp && recv(fd, p, 2, MSG_WAITALL) != 2) return 0;
	const size_t room = a->tcp ? (size_t)(p[0] << 8 | p[1]) : sizeof p;
	const ssize_t n = room > sizeof p ? 0 : recv(fd, p, room, a->tcp ? MSG_WAITALL : 0);
	if (n < 0) return 0;
	if (n <= ASKER_HEADER + 16 || (p[3] & 15) || p[7] != 1) return -1;
	*id = (uint16_t)(p[0] << 8 | p[1]);
	return 1;
}

static inline int asker_order(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* All lookups on a connected socket with a timeout. The seconds that it took; below 0: a wrong answer. */
static inline double asker_run(Asker *a, int fd)
{
	static int64_t sent_at[UINT16_MAX + 1];
	unsigned sent = 0, done = 0;
	uint16_t id = 0;
	const int64_t from = asker_now();
	a->lost = 0;
	while (done + a->lost < a->lookups) {
		for (; sent < a->lookups && sent - done - a->lost < a->window; sent++) {
			sent_at[(uint16_t)sent] = asker_now();
			if (!asker_send(a, fd, (uint16_t)sent)) return -1;
		}
		const int r = asker_receive(a, fd, &id);
		if (r < 0) return -1;
		if (!r)
			a->lost = sent - done;
		else
			a->took[done++] = asker_now() - sent_at[id];
	}
	const double seconds = (double)(asker_now() - from) / 1e9;
	qsort(a->took, done, sizeof *a->took, asker_order);
	return seconds;
}
