/* healthcheck.h: how to find out whether a container does what it is for: docker's addition to the image configuration, and what a monitor runs. */
#pragma once

#include "base/bind.h"

typedef struct Healthcheck {
	StrList test;                                            /* {"NONE"}, {"CMD", …}, {"CMD-SHELL", command}; empty: inherited */
	int64_t interval, timeout, start_period, start_interval; /* ns; 0: inherited */
	int32_t retries;                                         /* 0: inherited */
} Healthcheck;

extern const BindTable healthcheck_table;
