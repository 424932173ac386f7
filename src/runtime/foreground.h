/* foreground.h: a command that stays with the process it started: signals in, terminal both ways, exit status out. */
#pragma once

#include "runtime/launch.h"

/* foreground_attend: until the launched process (a child of ours) has exited: forwards signals to it, relays its terminal, if there is
 * one, to our standard streams (in raw mode), and forwards sd_notify messages. *ret_status: its exit status, 128 + n when signal n killed it. */
int foreground_attend(Launch *l, int *ret_status, Err *e) MUST_USE;

/* foreground_block_signals: to be called before the child is started, so that none is lost; the child resets its own. */
void foreground_block_signals(void);
