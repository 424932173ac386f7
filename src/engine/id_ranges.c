/* id_ranges.c: see id_ranges.h. */
#include "engine/id_ranges.h"

#include <fcntl.h>

#include "sys/fd.h"

enum { USED_MAX = 1 << 20 };

/* ---- which are free ---- */

/* What containers have, the first first, and what the plan itself asks for. */
static int read_used(Db *db, bool gids, const IdMappings *asked, Arena *a, IdRanges *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "SELECT count(*) FROM id_ranges WHERE gids = ?", DB_ARGS(db_int(gids)), &rows, e);
	size_t n = r > 0 ? (size_t)db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	IdRanges l = { .items = n <= USED_MAX ? arena_array(a, n + asked->n + 1, sizeof *l.items) : NULL };
	if (r < 0) return r;
	if (!l.items) return err_sys(e, ENOMEM, "read the ids of containers");
	r = db_query(db, "SELECT first, size FROM id_ranges WHERE gids = ? ORDER BY first", DB_ARGS(db_int(gids)), &rows, e);
	while (r >= 0 && l.n < n && (r = db_next(&rows, e)) > 0)
		l.items[l.n++] = (IdRange){ (uint32_t)db_row_int(&rows, 0), (uint32_t)db_row_int(&rows, 1) };
	for (size_t i = 0; i < asked->n; i++)
		l.items[l.n++] = (IdRange){ asked->items[i].host_id, asked->items[i].size };
	*ret = l;
	return r < 0 ? r : 0;
}

/* The first id from `from` on that begins `size` of them that nobody has. */
static uint64_t skip_used(const IdRanges *used, uint64_t from, uint32_t size)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (size_t i = 0; i < used->n; i++) {
			uint64_t first = used->items[i].first, end = first + used->items[i].size;
			if (from >= end || from + size <= first) continue;
			from = end;
			moved = true;
		}
	}
	return from;
}

static int choose(Db *db, const UsernsPlan *p, bool gids, Arena *a, uint32_t *ret, Err *e)
{
	const IdRanges *from = gids ? &p->gid_ranges : &p->uid_ranges;
	IdRanges used = { 0 };
	int r = read_used(db, gids, gids ? &p->maps.gids : &p->maps.uids, a, &used, e);
	for (size_t i = 0; r >= 0 && i < from->n; i++) {
		IdRange range = from->items[i];
		uint64_t first = skip_used(&used, range.first, p->size);
		if (first + p->size > (uint64_t)range.first + range.size) continue;
		*ret = (uint32_t)first;
		return 0;
	}
	return r < 0 ? r
		     : err_set(e, ERR_RESOURCE, ENOSPC, "not enough unused IDs in user namespace: no %u %s in a row are free", p->size,
			       gids ? "gids" : "uids");
}

int id_ranges_choose(Db *db, UsernsPlan *p, Arena *a, Err *e)
{
	uint32_t uid = 0, gid = 0;
	int r = choose(db, p, false, a, &uid, e);
	if (r < 0 || (r = choose(db, p, true, a, &gid, e)) < 0) return r;
	return userns_give(p, uid, gid, a, e);
}

static int insert(Db *db, const char *container, bool gids, const IdMappings *l, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		r = db_run(db, "INSERT INTO id_ranges(container, gids, first, size) VALUES(?, ?, ?, ?)",
			   DB_ARGS(db_text(container), db_int(gids), db_int(l->items[i].host_id), db_int(l->items[i].size)), e);
	return r < 0 ? r : 0;
}

int id_ranges_insert(Db *db, const char *container, const IdMaps *m, Err *e)
{
	int r = insert(db, container, false, &m->uids, e);
	return r < 0 ? r : insert(db, container, true, &m->gids, e);
}

/* ---- what a container was given ---- */

static int to_texts(const IdMappings *l, Arena *a, StrList *ret)
{
	*ret = (StrList){ 0 };
	for (size_t i = 0; i < l->n; i++) {
		const IdMapping *m = &l->items[i];
		if (str_list_add(ret, arena_printf(a, "%u:%u:%u", m->container_id, m->host_id, m->size), a) < 0) return -ENOMEM;
	}
	return 0;
}

int userns_keep(HostConfig *h, const IdMaps *m, Arena *a, Err *e)
{
	IdMapTexts *t = arena_alloc(a, sizeof *t);
	if (!t || to_texts(&m->uids, a, &t->uids) < 0 || to_texts(&m->gids, a, &t->gids) < 0) return err_sys(e, ENOMEM, "id mappings");
	h->id_mappings = t;
	return 0;
}

static int from_texts(const StrList *texts, Arena *a, IdMappings *ret, Err *e)
{
	IdMappings l = { .items = arena_array(a, texts->n + 1, sizeof *l.items) };
	if (!l.items) return err_sys(e, ENOMEM, "id mappings");
	for (size_t i = 0; i < texts->n; i++) {
		IdMapping *m = &l.items[l.n++];
		Str rest = str_of(texts->items[i]), inside, host, size;
		str_cut(rest, ':', &inside, &rest);
		str_cut(rest, ':', &host, &size);
		if (str_to_u32(inside, &m->container_id) < 0 || str_to_u32(host, &m->host_id) < 0 || str_to_u32(size, &m->size) < 0)
			return err_set(e, ERR_STATE, EUCLEAN, "id mappings: \"%.64s\" is none", texts->items[i]);
	}
	*ret = l;
	return idmap_check(ret, "id mappings", e);
}

int userns_maps(const HostConfig *h, Arena *a, IdMaps *ret, Err *e)
{
	*ret = (IdMaps){ 0 };
	if (!h->id_mappings) return 0;
	int r = from_texts(&h->id_mappings->uids, a, &ret->uids, e);
	return r < 0 ? r : from_texts(&h->id_mappings->gids, a, &ret->gids, e);
}

int userns_at(const char *path, Arena *a, IdMaps *ret, Err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno, "cannot find specified user namespace path %.256s", path);
	int r = idmap_of_userns(fd, a, ret, e);
	return r < 0 ? err_wrap(e, "user namespace %.256s", path) : 0;
}

int userns_open(const IdMaps *m, int *ret, Err *e)
{
	int fd = m->uids.n ? idmap_userns_fd(&m->uids, &m->gids, e) : -1;
	if (m->uids.n && fd < 0) return fd;
	*ret = fd;
	return 0;
}
