/* metrics.h: counters of the server, and their text for Prometheus (exposition format 0.0.4). One thread. */
#pragma once

#include "base/buf.h"
#include "registry/name.h"

enum { METRICS_ROUTES = ROUTE_METRICS + 1, METRICS_BUCKETS = 12 };

typedef struct Metrics {
	uint64_t requests[METRICS_ROUTES][6];  /* by status / 100 */
	uint64_t buckets[METRICS_BUCKETS + 1]; /* time to the answer's head; the last: longer than all */
	int64_t duration;                      /* ns together */
	uint64_t bytes_in, bytes_out;
	uint64_t blobs_pushed, manifests_pushed, mounts, logins_refused;
} Metrics;

/* A value that is asked for when the text is made. */
typedef struct MetricsGauge {
	const char *name, *help;
	bool counter;
	double value;
} MetricsGauge;

void metrics_request(Metrics *m, RouteKind route, int status, int64_t took);
void metrics_write(const Metrics *m, const MetricsGauge *gauges, size_t n, Buf *out);
