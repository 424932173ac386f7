/* log_options.h: the log drivers by name, and what --log-opt may say to each: for who makes a container and for who reads its log. What they do is in
 * log_driver.h.
 */
#pragma once

#include "base/bind.h"

/* LOG_FIELDS_MAX: the most labels and variables that go with each line. */
enum { LOG_FIELDS_MAX = 256 };

typedef struct LogKind {
	const char *name;
	bool waits;                                  /* for a receiver: not in the monitor */
	bool default_tag;                            /* there always is one */
	const char *const *own;                      /* names of its options, ends in NULL; other than those that all have */
	int (*check)(const StrMap *options, Err *e); /* their values; NULL: none */
} LogKind;

extern const LogKind log_kind_journald, log_kind_json_file, log_kind_local, log_kind_none, log_kind_syslog;

/* log_kind_find: NULL when there is none of that name; "" is the default, json-file. */
const LogKind *log_kind_find(const char *name);
/* log_options_check: driver and options as create gets them. -EINVAL, with docker's words. */
int log_options_check(const char *driver, const StrMap *options, Err *e) MUST_USE;
/* log_option_failure: puts docker's words for a value that the driver does not take before the reason; for `return log_option_failure(e)`. */
int log_option_failure(Err *e);

/* LogMode: "mode" and "max-buffer-size". */
typedef struct LogMode {
	bool non_blocking;
	int64_t buffer; /* bytes */
} LogMode;
int log_mode_parse(const StrMap *options, LogMode *ret, Err *e) MUST_USE;
