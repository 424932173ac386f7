/* stats.h: what a container uses, as `stats` shows it. */
#pragma once

#include "engine/record.h"

/* StatsSample: at one moment. */
typedef struct StatsSample {
	int64_t at;   /* CLOCK_MONOTONIC ns */
	bool runs;    /* else all of it is 0 */
	uint64_t cpu; /* ns, of all processors */
	uint64_t memory,
		memory_limit;   /* bytes; without what the kernel can drop at once. The limit is the machine's memory where there is none */
	uint64_t read, written; /* bytes of block devices */
	uint64_t received, sent; /* bytes of its network devices; 0 when it has the host's */
	uint64_t processes;
} StatsSample;

/* engine_stats: of a container that runs or does not. */
int engine_stats(Engine *g, const Record *c, StatsSample *ret, Err *e) MUST_USE;

/* stats_cpu_percent: of one processor, between two samples. */
double stats_cpu_percent(const StatsSample *before, const StatsSample *now);
double stats_memory_percent(const StatsSample *s);

/* stats_network_parse: adds what /proc/PID/net/dev says, the loopback device left out. */
void stats_network_parse(Str text, StatsSample *to);
