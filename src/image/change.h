/* change.h: instructions of a Dockerfile that change what an image says of itself, as `import --change` and `commit --change` take them.
 *
 * CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR; words, quotes and escapes as in a
 * Dockerfile. Variables belong to a build: a "$" in an instruction that would expand it is refused, "\$" and '$' are a dollar sign.
 */
#pragma once

#include "oci/image_config.h"

/* image_change: applies all of them, in order. Lists of *c that change are made anew in the arena; strings are copied. -EINVAL
 * names the instruction. */
int image_change(ImageConfig *c, const StrList *instructions, Arena *a, Err *e) MUST_USE;
