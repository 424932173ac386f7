/* cap.h: capabilities as 64-bit sets (bit n is capability n), by the kernel's own calls.
 *
 * Order in a child: bounding set first, then (after the switch of user, with PR_SET_KEEPCAPS where needed) cap_set, then
 * the ambient set, whose members must be permitted and inheritable already.
 */
#pragma once

#include "base/bind.h"

/* Capabilities: mirrors `process.capabilities` of the runtime specification: names, in five lists. */
typedef struct Capabilities {
	StrList bounding, effective, inheritable, permitted, ambient;
} Capabilities;

extern const BindTable capabilities_table;

/* All names known here, "CAP_CHOWN" (0) to "CAP_CHECKPOINT_RESTORE" (40): for `features` and messages. */
extern const BindName cap_names[];

#define CAP_BIT(n) (UINT64_C(1) << (n))

/* cap_by_name: number of "CAP_SYS_ADMIN" (any case; "SYS_ADMIN" too), -EINVAL when unknown. cap_name: the reverse, NULL. */
int cap_by_name(const char *name);
const char *cap_name(int cap);

/* cap_last: highest capability of the running kernel; no procfs needed. Costs two prctl on kernels up to date with this table. */
int cap_last(void);

/* CapUnknown: told each name that is unknown here or to the running kernel. */
typedef void CapUnknown(void *data, const char *name);
/* cap_parse_list: the set of names, spelled exactly ("CAP_CHOWN"). Unknown names are left out and reported to unknown (may be
 * NULL), as the specification wants: a warning, not an error. */
uint64_t cap_parse_list(const StrList *names, CapUnknown *unknown, void *data);

/* cap_drop_bounding: drops what is not in keep; one prctl for each capability the kernel knows and keep has not. -EPERM without
 * CAP_SETPCAP, unless all of those are gone already. */
int cap_drop_bounding(uint64_t keep) MUST_USE;
uint64_t cap_get_bounding(void);

typedef struct CapSets {
	uint64_t effective, permitted, inheritable;
} CapSets;
/* cap_get, cap_set: of the calling thread. Bits above cap_last() are an error of the caller (-EPERM). */
int cap_get(CapSets *ret) MUST_USE;
int cap_set(const CapSets *sets) MUST_USE;
uint64_t cap_get_permitted(void);
uint64_t cap_get_effective(void);

/* cap_set_ambient: that set, cleared first; a bit must be permitted and inheritable. All are tried; the first error is returned
 * then, and cap_get_ambient tells what is missing (runc only warns). */
int cap_set_ambient(uint64_t set) MUST_USE;
uint64_t cap_get_ambient(void);
