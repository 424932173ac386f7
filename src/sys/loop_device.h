/* loop_device.h: a file as a block device, for file systems that want one. (sys/loop.h is the event loop.) */
#pragma once

#include "base/err.h"

/* loop_device_attach: a read-only loop device of 512-byte blocks over the file. Returns its descriptor. The device is free again when the last
 * user, a mount made of it or a descriptor, is gone. -EOPNOTSUPP: this machine has no loop devices; -EPERM. Needs CAP_SYS_ADMIN. */
int loop_device_attach(int file, Err *e) MUST_USE;
/* loop_device_attach_writable: the same, to be written to. file: opened for that. */
int loop_device_attach_writable(int file, Err *e) MUST_USE;
/* loop_device_find: the writable one that is over the file already. -ENOENT: none is. */
int loop_device_find(int file, Err *e) MUST_USE;
