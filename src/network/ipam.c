/* ipam.c: see ipam.h. */
#include "network/ipam.h"

/* Order of blobs is memcmp's: that of addresses of one family. */
static DbValue db_address(const IpAddress *a)
{
	return db_blob(a->bytes, ip_size(a));
}

int ipam_take_over(const Networks *all, const char *container, Err *e)
{
	Err busy = ERR_INIT;
	int r = all->end ? all->end(all->arg, container, &busy) : 0;
	if (r == -EBUSY) return 0;
	if (r < 0) {
		*e = busy;
		return r;
	}
	r = ipam_release(all, container, e);
	return r < 0 ? r : 1;
}

/* ---- who has what ---- */

static int owner_of(const Networks *all, const Network *n, const IpAddress *at, Arena *a, const char **ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	*ret = NULL;
	int r = db_get(all->db, "SELECT container FROM addresses WHERE network = ? AND address = ?",
		       DB_ARGS(db_text(n->id), db_address(at)), &rows, e);
	if (r > 0 && db_row_dup(&rows, 0, a, ret) < 0) return err_sys(e, ENOMEM, "reserve an address");
	return r < 0 ? r : 0;
}

/* 1: it was free, or its owner is gone; 0: somebody has it. */
static int claim(const Networks *all, const Network *n, const char *container, const IpAddress *at, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(65536);
	const char *owner;
	int r = owner_of(all, n, at, &a, &owner, e);
	if (r < 0) return r;
	if (owner && !streq(owner, container)) {
		if ((r = all->runs(all->arg, owner, e)) != 0) return r < 0 ? r : 0;
		if ((r = ipam_take_over(all, owner, e)) <= 0) return r;
	}
	r = db_run(all->db, "INSERT OR REPLACE INTO addresses(network, address, container) VALUES(?, ?, ?)",
		   DB_ARGS(db_text(n->id), db_address(at), db_text(container)), e);
	if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "network %s not found: it was removed meanwhile", n->name);
	return r < 0 ? r : 1;
}

/* ---- one that was asked for ---- */

static int reserve_wanted(const Networks *all, const Network *n, const PoolList *pools, const char *container, const IpAddress *want,
			  const Pool **ret_pool, Err *e)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < pools->n; i++) {
		const Pool *p = &pools->items[i];
		IpAddress gateway = pool_gateway(p);
		if (!ip_prefix_contains(&p->subnet, want)) continue;
		int r = pool_is_usable(p, &gateway, want) ? claim(all, n, container, want, e) : 0;
		if (r < 0) return r;
		*ret_pool = p;
		return r ? 0 : err_set(e, ERR_STATE, EADDRINUSE, "Address already in use");
	}
	return err_set(
		e, ERR_CONFIG, EINVAL,
		"invalid config for network %s: invalid endpoint settings: no configured subnet or ip-range contain the IP address %s",
		n->name, ip_format(want, text));
}

/* ---- any ---- */

/* The smallest of the pool that has no row; 1, or 0 when all have. */
static int first_free(const Networks *all, const Network *n, const Pool *p, IpAddress *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	IpAddress gateway = pool_gateway(p), at = ip_prefix_first(&p->range), last = ip_prefix_last(&p->range);
	int r = pool_skip(p, &gateway, &at);
	if (!r) return 0;
	r = db_query(
		all->db,
		"SELECT address FROM addresses WHERE network = ?1 AND address >= ?2 AND address <= ?3 AND length(address) = ?4 ORDER BY address",
		DB_ARGS(db_text(n->id), db_address(&at), db_address(&last), db_int((int64_t)ip_size(&at))), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		IpAddress has = ip_from_bytes(db_row_blob(&rows, 0));
		if (ip_compare(&has, &at) < 0) continue;
		if (ip_compare(&has, &at) > 0) break;
		if (!ip_add(&at, 1, &at) || !pool_skip(p, &gateway, &at)) return 0;
	}
	if (r < 0) return r;
	*ret = at;
	return 1;
}

static int reserve_any(const Networks *all, const Network *n, const PoolList *pools, int family, const char *container, IpAddress *ret,
		       const Pool **ret_pool, Err *e)
{
	for (size_t i = 0; i < pools->n; i++) {
		if (pools->items[i].subnet.address.family != family) continue;
		int r = first_free(all, n, &pools->items[i], ret, e);
		if (r > 0) r = claim(all, n, container, ret, e);
		if (r == 0) continue;
		*ret_pool = &pools->items[i];
		return r < 0 ? r : 1;
	}
	return 0;
}

/* The rows of all that do not run any more; the number of them. */
static int release_ended(const Networks *all, const Network *n, const char *container, Err *e)
{
	enum { ROUND = 64 };
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	const char *ended[ROUND];
	size_t n_ended = 0;
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(all->db, "SELECT DISTINCT container FROM addresses WHERE network = ? AND container <> ?",
			 DB_ARGS(db_text(n->id), db_text(container)), &rows, e);
	while (r >= 0 && n_ended < ROUND && (r = db_next(&rows, e)) > 0) {
		int runs = all->runs(all->arg, db_row_text(&rows, 0), e);
		if (runs < 0) return runs;
		if (!runs && db_row_dup(&rows, 0, &a, &ended[n_ended++]) < 0) return err_sys(e, ENOMEM, "reserve an address");
	}
	db_rows_done(&rows);
	for (size_t i = 0; r >= 0 && i < n_ended; i++)
		r = ipam_take_over(all, ended[i], e);
	return r < 0 ? r : (int)n_ended;
}

int ipam_reserve(const Networks *all, const Network *n, const PoolList *pools, int family, const char *container, const IpAddress *want,
		 IpAddress *ret, const Pool **ret_pool, Err *e)
{
	if (want->family) {
		*ret = *want;
		return reserve_wanted(all, n, pools, container, want, ret_pool, e);
	}
	int r = reserve_any(all, n, pools, family, container, ret, ret_pool, e);
	if (r == 0 && (r = release_ended(all, n, container, e)) > 0) r = reserve_any(all, n, pools, family, container, ret, ret_pool, e);
	if (r == 0)
		return err_set(e, ERR_RESOURCE, ENOSPC, "no available IPv%d addresses on this network's address pools: %s (%s)", family,
			       n->name, n->id);
	return r < 0 ? r : 0;
}

int ipam_release(const Networks *all, const char *container, Err *e)
{
	int r = db_run(all->db, "DELETE FROM addresses WHERE container = ?", DB_ARGS(db_text(container)), e);
	if (r >= 0) r = db_run(all->db, "DELETE FROM ports WHERE container = ?", DB_ARGS(db_text(container)), e);
	return r < 0 ? r : 0;
}

int ipam_leave(const Networks *all, const char *network, const char *container, Err *e)
{
	int r = db_run(all->db, "DELETE FROM addresses WHERE network = ? AND container = ?", DB_ARGS(db_text(network), db_text(container)),
		       e);
	return r < 0 ? r : 0;
}

int ipam_of(const Networks *all, const char *network, const char *container, IpAddress *ret4, IpAddress *ret6, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	*ret4 = *ret6 = (IpAddress){ 0 };
	int r = db_query(all->db, "SELECT address FROM addresses WHERE network = ? AND container = ?",
			 DB_ARGS(db_text(network), db_text(container)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		IpAddress at = ip_from_bytes(db_row_blob(&rows, 0));
		*(at.family == 4 ? ret4 : ret6) = at;
	}
	return r < 0 ? r : 0;
}
