/* platform.h: which image fits which machine: containerd's rules, in Go's words for systems and processors.
 *
 * Normal form: lower case; amd64 (from x86_64, x86-64), 386 (i386), arm64 (aarch64), arm (armhf is v7, armel v6); no variant
 * for amd64 v1 and arm64 v8, "v7" for arm without one.
 */
#pragma once

#include "oci/manifest.h"

/* platform_host: of this machine, normal, static. */
const Platform *platform_host(void);

/* platform_parse: "linux/arm64/v8", "linux/amd64", "linux(6.1)/amd64", or one part alone: a system (its processor is the host's)
 * or a processor ("arm64"; its system is Linux). *ret is normal, its strings lie in the arena. -EINVAL, -ENOMEM. */
int platform_parse(Str s, Arena *a, Platform *ret, Err *e) MUST_USE;
/* platform_normalize: 0 or -ENOMEM. Unknown words stay, in lower case. */
int platform_normalize(const Platform *p, Arena *a, Platform *ret) MUST_USE;
/* platform_format: "linux/arm/v7", "unknown" without a system; NULL when the arena is full. */
const char *platform_format(const Platform *p, Arena *a) MUST_USE;

/* platform_rank: how well an image for `offered` fits where `wanted` is wanted, both normal: 0 exactly, higher is worse (older
 * variants, then the 32-bit processor that a 64-bit one also is), -1 not at all. */
int platform_rank(const Platform *wanted, const Platform *offered);

/* index_choose: the position in i->manifests of the best for `wanted` (normal), the first of equals. Entries that do not say their
 * platform come last, attestations never. Entries that are no manifests or indexes are passed over. -ENOENT names what there is. */
int index_choose(const Index *i, const Platform *wanted, Arena *a, size_t *ret, Err *e) MUST_USE;
