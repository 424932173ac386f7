/* etc_files.h: /etc/hosts, /etc/hostname and /etc/resolv.conf of a container, as docker writes them.
 *
 * They lie in the container's directory and are mounted from there (spec.h), so what a container writes to them lasts. At each start hosts and
 * hostname are made anew; a resolv.conf that somebody has changed since it was made is left as it is.
 */
#pragma once

#include "engine/config.h"
#include "engine/machine.h"
#include "sys/fd.h"

#define ETC_FILES_HOST "/etc" /* where the host's own are */

typedef struct EtcAddress {
	const char *address; /* text of an IPv4 or IPv6 address */
	const char *names;   /* as the line has them: "web.example.org web" */
} EtcAddress;

typedef struct EtcFiles {
	const HostConfig *host; /* extra_hosts, dns, dns_search, dns_options, network_mode */
	const char *hostname;
	bool ipv6;                     /* the container's network has it */
	LIST_OF(EtcAddress) addresses; /* of the container, and of those it knows by name */
	StrList gateways;              /* what "host-gateway" stands for; empty: it is refused */
	const char *resolver;          /* the only name server, where the network has one of its own; NULL: those of the host, or --dns */
	const char *host_etc;          /* NULL: ETC_FILES_HOST */
	const char *host_resolved;     /* file that lists the real servers where the host's names a stub; NULL: systemd-resolved's */
} EtcFiles;

/* etc_ipv6: what EtcFiles.ipv6 is for a container with that configuration: the kernel has it, and no sysctl of the container turns it off. */
bool etc_ipv6(const HostConfig *h, Machine *m);

/* etc_files_write: into dir. Each file replaced as a whole. -EINVAL: host-gateway without one; or what writing gave. */
int etc_files_write(int dir, const EtcFiles *f, Err *e) MUST_USE;
/* etc_resolv_rewrite: resolv.conf in place, of a container that runs and has this very file; one that somebody has changed is left as it is. */
int etc_resolv_rewrite(int dir, const EtcFiles *f, Err *e) MUST_USE;

/* etc_hosts_text, etc_resolv_text: what would be written. */
int etc_hosts_text(const EtcFiles *f, Buf *out, Err *e) MUST_USE;
int etc_resolv_text(const EtcFiles *f, Buf *out, Err *e) MUST_USE;

/* etc_servers: the name servers that a resolver of the network asks: --dns, or the host's, as etc_resolv_text finds them; those of the host's loopback
 * addresses, too. *ret_ndots: --dns-option or the host's file say ndots. */
int etc_servers(const EtcFiles *f, Arena *a, StrList *ret, bool *ret_ndots, Err *e) MUST_USE;

/* extra_host_check: "name:address" or "name:host-gateway", as --add-host takes it; dns_check: --dns, --dns-search and --dns-option. -EINVAL. */
int extra_host_check(const char *text, Err *e) MUST_USE;
int dns_check(const HostConfig *h, Err *e) MUST_USE;
