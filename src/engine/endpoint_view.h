/* endpoint_view.h: a container's networks and ports, as docker's API shows them.
 */
#pragma once

#include "engine/attachment.h"
#include "engine/record.h"
#include "network/ports.h"

typedef struct EndpointView {
	bool known;    /* there is such a network; if not, only at.request is set */
	Attachment at; /* with addresses where the container has some */
} EndpointView;
typedef LIST_OF(EndpointView) EndpointViewList;

/* networking_view: of all that the container is connected to, by name. running: it has what the rows say. */
int networking_view(Engine *g, const Record *c, bool running, Arena *a, EndpointViewList *ret, Err *e) MUST_USE;
/* network_settings_json: the member "NetworkSettings". pid: of the container's init; 0: it does not run. */
int network_settings_json(Engine *g, const Record *c, int64_t pid, Arena *a, JsonWriter *w, Err *e) MUST_USE;
/* dns_names: what the container is called on its user networks: name, aliases, the id's beginning, hostname. */
int dns_names(const Record *c, const EndpointRequest *q, Arena *a, StrList *ret) MUST_USE;
