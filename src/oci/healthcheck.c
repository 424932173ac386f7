/* healthcheck.c: see healthcheck.h. */
#include "oci/healthcheck.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(healthcheck_table, "healthcheck", Healthcheck, ROW(Healthcheck, "Test", BIND_STRINGS, test),
	   ROW(Healthcheck, "Interval", BIND_I64, interval), ROW(Healthcheck, "Timeout", BIND_I64, timeout),
	   ROW(Healthcheck, "StartPeriod", BIND_I64, start_period), ROW(Healthcheck, "StartInterval", BIND_I64, start_interval),
	   ROW(Healthcheck, "Retries", BIND_I32, retries));
