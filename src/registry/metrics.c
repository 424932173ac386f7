/* metrics.c: see metrics.h. */
#include "registry/metrics.h"

#include <inttypes.h>

static const int64_t bounds[METRICS_BUCKETS] = { 100000,   250000,   500000,    1000000,   2500000,    5000000,
						 10000000, 50000000, 100000000, 500000000, 1000000000, 10000000000 };

static const char *const route_names[METRICS_ROUTES] = {
	[ROUTE_NONE] = "none",           [ROUTE_BASE] = "base",   [ROUTE_CATALOG] = "catalog", [ROUTE_TAGS] = "tags",
	[ROUTE_MANIFEST] = "manifest",   [ROUTE_BLOB] = "blob",   [ROUTE_UPLOADS] = "uploads", [ROUTE_UPLOAD] = "upload",
	[ROUTE_REFERRERS] = "referrers", [ROUTE_TOKEN] = "token", [ROUTE_HEALTH] = "healthz",  [ROUTE_METRICS] = "metrics",
};

void metrics_request(Metrics *m, RouteKind route, int status, int64_t took)
{
	size_t bucket = 0;
	if (status >= 100 && status < 600) m->requests[route][status / 100]++;
	while (bucket < METRICS_BUCKETS && took > bounds[bucket])
		bucket++;
	m->buckets[bucket]++;
	m->duration += took;
}

static void head(Buf *out, const char *name, const char *help, const char *type)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(Buf *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, help, "counter");
	buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void histogram(const Metrics *m, Buf *out)
{
	const char *name = "skep_registry_response_seconds";
	uint64_t sum = 0;
	head(out, name, "Time from a request's head to the head of its answer.", "histogram");
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		sum += m->buckets[i];
		buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)bounds[i] / 1e9, sum);
	}
	sum += m->buckets[METRICS_BUCKETS];
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %g\n%s_count %" PRIu64 "\n", name, sum, name, (double)m->duration / 1e9,
		   name, sum);
}

void metrics_write(const Metrics *m, const MetricsGauge *gauges, size_t n, Buf *out)
{
	head(out, "skep_registry_requests_total", "Requests answered, by endpoint and class of status.", "counter");
	for (size_t route = 0; route < METRICS_ROUTES; route++)
		for (int class = 1; class < 6; class ++)
			if (m->requests[route][class])
				buf_printf(out, "skep_registry_requests_total{route=\"%s\",code=\"%dxx\"} %" PRIu64 "\n",
					   route_names[route], class, m->requests[route][class]);
	histogram(m, out);
	counter(out, "skep_registry_received_bytes_total", "Bytes of blobs and manifests received.", m->bytes_in);
	counter(out, "skep_registry_sent_bytes_total", "Bytes of bodies handed to clients.", m->bytes_out);
	counter(out, "skep_registry_blobs_pushed_total", "Blobs stored by an upload.", m->blobs_pushed);
	counter(out, "skep_registry_mounts_total", "Blobs taken over from another repository.", m->mounts);
	counter(out, "skep_registry_manifests_pushed_total", "Manifests stored.", m->manifests_pushed);
	counter(out, "skep_registry_logins_refused_total", "Wrong passwords and tokens.", m->logins_refused);
	for (size_t i = 0; i < n; i++) {
		head(out, gauges[i].name, gauges[i].help, gauges[i].counter ? "counter" : "gauge");
		buf_printf(out, "%s %.17g\n", gauges[i].name, gauges[i].value);
	}
}
