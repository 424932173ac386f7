/* attendant.h: the one process of an engine that answers the names of containers and puts the rules of their networks right. What it hears is in monitor/attendance.h.
 *
 * Two processes: this one has the database and the rules, and reads nothing of a container's; its child (answerer.h) has the containers' questions, and nothing else.
 *
 * Invariants
 *  - It holds nothing that it could not read again: monitors tell it who runs, the database what they are called. So each of both may die at any time.
 *  - Nobody is waited for: monitors, commands and the child are heard as they speak. Names are told in the order in which somebody asked, and each who asked is
 *    answered when his are known.
 *  - It stays as long as somebody is connected, and a little longer.
 */
#pragma once

#include "base/err.h"

typedef struct AttendantOptions {
	const char *root, *run_root;
	int64_t idle; /* ns that it stays without connections; 0: ten seconds */
} AttendantOptions;

/* attendant_run: takes the lock, leaves its parent (which returns as soon as there is one that listens), stays. 0 also when there is an attendant already. */
int attendant_run(const AttendantOptions *o, Err *e) MUST_USE;
