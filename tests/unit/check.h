/* check.h: what every unit test includes: cmocka and its prerequisites. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

/* Whether / is no mount, as in a chroot: nothing can be pivoted there, and no container starts. */
static inline bool root_is_no_mount(void)
{
	struct statx x;
	return statx(AT_FDCWD, "/", 0, 0, &x) == 0 && x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
	       !(x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}
