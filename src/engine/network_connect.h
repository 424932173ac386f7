/* network_connect.h: networks that a container gets and loses after it was made, also while it runs.
 */
#pragma once

#include "engine/networking.h"

/* networking_connect: one more, q->network being a name or an id. In a running container the device is there when this returns. -EEXIST: it is connected already; -EINVAL: its mode has no networks of its own. */
int networking_connect(Engine *g, const Record *c, const EndpointRequest *q, Arena *a, Err *e) MUST_USE;
/* networking_disconnect: force: also of a network that is not there any more. -ENOENT, -EINVAL: it is not connected. */
int networking_disconnect(Engine *g, const Record *c, const char *network, bool force, Arena *a, Err *e) MUST_USE;
/* network_event: connect and disconnect have the container. */
void network_event(const Engine *g, const Network *n, const char *action, const char *container);
