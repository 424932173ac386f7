/* syslog_target.h: where the log driver "syslog" sends what: its options. */
#pragma once

#include "base/bind.h"

enum { SYSLOG_HOST_MAX = 4096 };

typedef enum { SYSLOG_UNIX, SYSLOG_RFC3164, SYSLOG_RFC5424, SYSLOG_RFC5424_MICRO } SyslogFormat;

typedef struct SyslogTarget {
	int type;   /* SOCK_DGRAM, SOCK_STREAM; 0: the machine's own, whatever it is */
	bool local; /* a path */
	char host[SYSLOG_HOST_MAX], port[16];
	int facility;
	SyslogFormat format;
} SyslogTarget;

/* syslog_target_parse: -EINVAL with docker's words; -ENOTSUP for TLS. */
int syslog_target_parse(const StrMap *options, SyslogTarget *ret, Err *e) MUST_USE;
