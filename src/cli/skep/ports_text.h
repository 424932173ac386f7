/* ports_text.h: published and exposed ports in words, as `ps` and `port` show them. */
#pragma once

#include "engine/record.h"
#include "network/ports.h"

/* ports_text: "70/tcp, 0.0.0.0:9000-9001->9000-9001/udp": of one container, out of the ports of all, where it runs. NULL: no memory. */
const char *ports_text(const Record *c, const OwnedPortList *all, Arena *a);
/* port_address_text: "0.0.0.0:8080", "[::]:8080". */
enum { PORT_ADDRESS_MAX = IP_TEXT_MAX + 8 };
const char *port_address_text(const PublishedPort *p, char text[static PORT_ADDRESS_MAX]);
/* port_matches: docker's filters publish and expose: "80", "80/udp", "80-90". published: of the host's ports; else of the container's. -EINVAL. */
int port_matches(const Record *c, const OwnedPortList *all, bool published, Str value, Err *e) MUST_USE;
