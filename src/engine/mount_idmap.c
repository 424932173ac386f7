/* mount_idmap.c: see mount_idmap.h. */
#include "engine/mount_idmap.h"

static int parse_range(Str text, IdMapping *ret)
{
	uint32_t *const numbers[] = { &ret->container_id, &ret->host_id, &ret->size };
	Str part;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!text.n || !str_next(&text, '-', &part) || str_to_u32(part, numbers[i]) < 0) return -EINVAL;
	return text.n ? -EINVAL : 0;
}

static int parse_list(Str text, const char *what, Arena *a, IdMappings *ret, Err *e)
{
	Str range;
	*ret = (IdMappings){ .items = arena_array(a, IDMAP_MAX, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "idmap");
	while (text.n && str_next(&text, '#', &range)) {
		if (ret->n == IDMAP_MAX || parse_range(range, &ret->items[ret->n]) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "invalid idmap: %s: \"%.*s\": ID-HOSTID-LENGTH is needed, at most %d of them",
				       what, (int)range.n, range.p, IDMAP_MAX);
		ret->n++;
	}
	return idmap_check(ret, what, e);
}

int mount_idmap_parse(const char *text, Arena *a, IdMappings *ret_uids, IdMappings *ret_gids, Err *e)
{
	Str rest = str_of(text), part, key, value;
	*ret_uids = *ret_gids = (IdMappings){ 0 };
	while (rest.n && str_next(&rest, ';', &part)) {
		bool pair = str_cut(part, '=', &key, &value), uids = str_eq(key, "uids");
		if (!pair || (!uids && !str_eq(key, "gids")))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid idmap: \"%.*s\": uids=… or gids=… is needed", (int)part.n, part.p);
		int r = parse_list(value, uids ? "uids" : "gids", a, uids ? ret_uids : ret_gids, e);
		if (r < 0) return r;
	}
	if (!ret_uids->n) *ret_uids = *ret_gids;
	if (!ret_gids->n) *ret_gids = *ret_uids;
	return ret_uids->n ? 0 : err_set(e, ERR_CONFIG, EINVAL, "invalid idmap: it maps nothing");
}
