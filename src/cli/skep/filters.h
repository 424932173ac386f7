/* filters.h: --filter: "key=value", in docker's grammar and words. */
#pragma once

#include "base/bind.h"

/* filter_check: is there a value? The rule of the option, so that nobody else has to look. */
int filter_check(const char *text, Err *e) MUST_USE;
/* filter_cut: one that was checked. */
void filter_cut(const char *text, Str *ret_key, Str *ret_value);
int filter_unknown(Str key, Err *e);
/* filter_bool: "true", "1", "false", "0". 1, 0, or -EINVAL "invalid filter 'dangling=[x]'". */
int filter_bool(Str key, Str value, Err *e) MUST_USE;

/* filter_matches: is text equal to the value, or found by it as a regular expression? */
bool filter_matches(Str value, const char *text);
/* filter_label: "key" or "key=value". */
bool filter_label(const StrMap *labels, Str want);

/* FilterFn: does what arg stands for pass one filter? 1, 0, or a negative errno: the filter is wrong. filters_check: asks all of them, for what is wrong.
 * filters_pass: does it pass all? Filters with one key are alternatives, but of labels all are to be met. */
typedef int FilterFn(void *arg, Str key, Str value, Err *e);
int filters_check(const StrList *filters, FilterFn *fn, void *arg, Err *e) MUST_USE;
int filters_pass(const StrList *filters, FilterFn *fn, void *arg, Err *e) MUST_USE;

/* filter_prune_check: are all of them known? filter_prune: does what has these labels and was made then pass until=, label= and label!=? created 0: until is not known. 1, 0, or -EINVAL. */
int filter_prune_check(const StrList *filters, bool until, Err *e) MUST_USE;
int filter_prune(const StrList *filters, const StrMap *labels, int64_t created, Err *e) MUST_USE;
