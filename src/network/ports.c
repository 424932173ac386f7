/* ports.c: see ports.h. */
#include "network/ports.h"

#include <netinet/in.h>
#include <stdio.h>

const char *port_protocol(uint8_t protocol)
{
	return protocol == IPPROTO_UDP ? "udp" : protocol == IPPROTO_SCTP ? "sctp" : "tcp";
}

/* Rows that p cannot stand beside; ?1 protocol, ?2 port, ?3 address, ?4 whether it means all of its family. */
#define CONFLICTS \
	"FROM ports WHERE protocol = ?1 AND port = ?2 AND length(host) = length(?3)" \
	" AND (?4 OR host = ?3 OR host = zeroblob(length(?3)))"

static DbValue db_host(const PublishedPort *p)
{
	return db_blob(p->host.bytes, ip_size(&p->host));
}

static int in_use(const Networks *all, const PublishedPort *p, const char *owner, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	Err ignored = ERR_INIT;
	char host[IP_TEXT_MAX];
	const bool six = p->host.family == 6;
	int r = db_get(all->db, "SELECT name FROM containers WHERE id = ?", DB_ARGS(db_text(owner)), &rows, &ignored);
	return err_set(e, ERR_STATE, EADDRINUSE, "Bind for %s%s%s:%u failed: port is already allocated: by \"%.128s\" (%.12s)",
		       six ? "[" : "", ip_format(&p->host, host), six ? "]" : "", p->host_port, r > 0 ? db_row_text(&rows, 0) : "?", owner);
}

/* One of those that are in the way; 1, 0: nobody is. */
static int find_owner(const Networks *all, const PublishedPort *p, const char *container, Arena *a, const char **ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(
		all->db, "SELECT container " CONFLICTS " AND container <> ?5 LIMIT 1",
		DB_ARGS(db_int(p->protocol), db_int(p->host_port), db_host(p), db_int(ip_is_unspecified(&p->host)), db_text(container)),
		&rows, e);
	if (r > 0 && db_row_dup(&rows, 0, a, ret) < 0) return err_sys(e, ENOMEM, "publish a port");
	return r;
}

int port_reserve(const Networks *all, const PublishedPort *p, const char *container, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	const char *owner;
	int r;
	while ((r = find_owner(all, p, container, &a, &owner, e)) > 0) {
		if ((r = all->runs(all->arg, owner, e)) != 0) return r < 0 ? r : in_use(all, p, owner, e);
		if ((r = ipam_take_over(all, owner, e)) <= 0) return r < 0 ? r : in_use(all, p, owner, e);
	}
	if (r < 0) return r;
	r = db_run(all->db, "INSERT OR REPLACE INTO ports(protocol, port, host, target, container) VALUES(?, ?, ?, ?, ?)",
		   DB_ARGS(db_int(p->protocol), db_int(p->host_port), db_host(p), db_int(p->port), db_text(container)), e);
	return r < 0 ? r : 0;
}

int ports_of(const Networks *all, const char *container, Arena *a, OwnedPortList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0;
	int r = db_get(all->db, "SELECT count(*) FROM ports WHERE ?1 IS NULL OR container = ?1",
		       DB_ARGS(container ? db_text(container) : db_null()), &rows, e);
	if (r > 0) n = (size_t)db_row_int(&rows, 0);
	db_rows_done(&rows);
	*ret = (OwnedPortList){ .items = arena_array(a, n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list ports");
	if (r >= 0)
		r = db_query(all->db,
			     "SELECT container, protocol, host, port, target FROM ports WHERE ?1 IS NULL OR container = ?1"
			     " ORDER BY container, target, protocol, length(host), host, port",
			     DB_ARGS(container ? db_text(container) : db_null()), &rows, e);
	while (r >= 0 && ret->n < n && (r = db_next(&rows, e)) > 0) {
		OwnedPort *p = &ret->items[ret->n++];
		*p = (OwnedPort){ .port = { .protocol = (uint8_t)db_row_int(&rows, 1),
					    .host = ip_from_bytes(db_row_blob(&rows, 2)),
					    .host_port = (uint16_t)db_row_int(&rows, 3),
					    .port = (uint16_t)db_row_int(&rows, 4) } };
		if (db_row_dup(&rows, 0, a, &p->container) < 0) return err_sys(e, ENOMEM, "list ports");
	}
	return r < 0 ? r : 0;
}

int port_free(const Networks *all, PublishedPort *p, uint16_t first, uint16_t last, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	uint32_t at = first;
	int r = db_query(all->db,
			 "SELECT DISTINCT port FROM ports WHERE protocol = ?1 AND port BETWEEN ?2 AND ?3 AND length(host) = length(?4)"
			 " AND (?5 OR host = ?4 OR host = zeroblob(length(?4))) ORDER BY port",
			 DB_ARGS(db_int(p->protocol), db_int(first), db_int(last), db_host(p), db_int(ip_is_unspecified(&p->host))), &rows,
			 e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0 && db_row_int(&rows, 0) == at)
		at++;
	if (r < 0) return r;
	if (at > last) return err_set(e, ERR_RESOURCE, ENOSPC, "no port from %u to %u is free", first, last);
	p->host_port = (uint16_t)at;
	return 0;
}

int ports_leave(const Networks *all, const char *container, int family, Err *e)
{
	int r = db_run(all->db, "DELETE FROM ports WHERE container = ? AND length(host) = ?",
		       DB_ARGS(db_text(container), db_int(family == 6 ? 16 : 4)), e);
	return r < 0 ? r : 0;
}
