/* userns.c: see userns.h. */
#include "engine/userns.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/fd.h"

enum { SUBID_MAX = 1 << 20, RANGES_MAX = 64 };

static int invalid(Err *e, const char *what, Str text, const char *why)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid %s \"%.*s\": %s", what, (int)text.n, text.p, why);
}

/* ---- who may give what ---- */

int subid_read(const char *path, const char *user, Arena *a, IdRanges *ret, Err *e)
{
	char *text;
	size_t n;
	Err missing = ERR_INIT;
	IdRanges l = { .items = arena_array(a, RANGES_MAX, sizeof *l.items) };
	if (!l.items) return err_sys(e, ENOMEM, "read %s", path);
	*ret = l;
	int r = fd_read_file(AT_FDCWD, path, SUBID_MAX, a, &text, &n, &missing);
	if (r == -ENOENT) return 0;
	if (r < 0) {
		*e = missing;
		return r;
	}
	Str rest = { text, n }, line;
	while (str_next(&rest, '\n', &line) && l.n < RANGES_MAX) {
		Str name, first, size;
		IdRange range;
		line = str_trim(line);
		if (!str_cut(line, ':', &name, &first) || !str_cut(first, ':', &first, &size) || !str_eq(name, user)) continue;
		if (str_to_u32(first, &range.first) < 0 || str_to_u32(size, &range.size) < 0 || !range.size) continue;
		if (range.size > UINT32_MAX - range.first) range.size = UINT32_MAX - range.first; /* the last id is none */
		l.items[l.n++] = range;
	}
	ret->n = l.n;
	return 0;
}

/* By name, else by id: both are allowed in the file. */
static int read_ranges(const char *path, const UsernsOwner *o, const char *name, Arena *a, IdRanges *ret, Err *e)
{
	char id[16];
	int r = subid_read(path, o->rootless ? name : "containers", a, ret, e);
	if (r < 0 || ret->n) return r;
	snprintf(id, sizeof id, "%u", o->uid);
	if (o->rootless) return subid_read(path, id, a, ret, e);
	ret->items[ret->n++] = USERNS_RANGE;
	return 0;
}

int userns_owner(uint32_t uid, uint32_t gid, const char *name, bool rootless, Arena *a, UsernsOwner *ret, Err *e)
{
	UsernsOwner o = { .uid = uid, .gid = gid, .rootless = rootless, .subuid_file = "/etc/subuid", .subgid_file = "/etc/subgid" };
	int r = read_ranges(o.subuid_file, &o, name, a, &o.subuids, e);
	if (r < 0 || (r = read_ranges(o.subgid_file, &o, name, a, &o.subgids, e)) < 0) return r;
	if (!rootless && (r = idmap_read(getpid(), a, &o.own, e)) < 0) return r;
	*ret = o;
	return 0;
}

/* ---- lists of mappings ---- */

typedef struct MapBuild {
	IdMappings list;
	const char *what;
	Err *e;
} MapBuild;

static int map_init(MapBuild *m, const char *what, Arena *a, Err *e)
{
	*m = (MapBuild){ .what = what, .e = e };
	m->list.items = arena_array(a, IDMAP_MAX, sizeof *m->list.items);
	return m->list.items ? 0 : err_sys(e, ENOMEM, "%s", what);
}

static int map_add(MapBuild *m, uint32_t container, uint32_t host, uint32_t size)
{
	if (!size) return 0;
	if (m->list.n == IDMAP_MAX) return err_set(m->e, ERR_CONFIG, EINVAL, "%s: more than %d mappings", m->what, IDMAP_MAX);
	m->list.items[m->list.n++] = (IdMapping){ .container_id = container, .host_id = host, .size = size };
	return 0;
}

/* What lies in [from, end) of one side of a mapping is taken out of it: what stays is at most two. */
static int cut_mapping(MapBuild *m, IdMapping old, uint64_t first, uint64_t from, uint64_t end)
{
	uint64_t low = from > first ? from - first : 0, high = end > first ? end - first : 0;
	if (low >= old.size || high <= low) return map_add(m, old.container_id, old.host_id, old.size);
	int r = map_add(m, old.container_id, old.host_id, (uint32_t)low);
	if (r < 0 || high >= old.size) return r;
	return map_add(m, old.container_id + (uint32_t)high, old.host_id + (uint32_t)high, old.size - (uint32_t)high);
}

/* Those ids of the container, or of the host, are mapped no more. */
static int map_cut(MapBuild *m, bool host, uint32_t from, uint32_t size, Arena *a)
{
	MapBuild kept;
	int r = map_init(&kept, m->what, a, m->e);
	for (size_t i = 0; r >= 0 && i < m->list.n; i++) {
		IdMapping old = m->list.items[i];
		r = cut_mapping(&kept, old, host ? old.host_id : old.container_id, from, (uint64_t)from + size);
	}
	if (r >= 0) m->list = kept.list;
	return r;
}

/* The ids from `skip` on of those that ranges have, taken in their order, as container's and the following. Returns how many there were. */
static int map_ranges(MapBuild *m, uint32_t container, const IdRanges *ranges, uint64_t skip, uint64_t size, uint64_t *ret_done)
{
	uint64_t done = 0;
	for (size_t i = 0; i < ranges->n && done < size; i++) {
		IdRange range = ranges->items[i];
		if (skip >= range.size) {
			skip -= range.size;
			continue;
		}
		uint64_t n = range.size - skip < size - done ? range.size - skip : size - done;
		if (container + done + n > UINT32_MAX) n = UINT32_MAX - container - done;
		int r = map_add(m, (uint32_t)(container + done), (uint32_t)(range.first + skip), (uint32_t)n);
		if (r < 0) return r;
		done += n;
		skip = 0;
	}
	*ret_done = done;
	return 0;
}

/* ---- --uidmap, --gidmap ---- */

#define MAP_FORM "expected [+ug]CONTAINER:[@]HOST[:SIZE]"

/* MapText: one mapping as it was asked for. */
typedef struct MapText {
	bool extends; /* '+': what stands in its way is taken out of the mappings before */
	bool users, groups;
	bool direct; /* '@': of a caller without privileges, too, HOST is an id of the machine */
	uint32_t container, host, size;
} MapText;

static int parse_text(const char *text, const char *what, MapText *ret, Err *e)
{
	Str rest = str_of(text), container, host, size;
	MapText t = { .size = 1 };
	for (; rest.n && strchr("+ug", *rest.p); rest.p++, rest.n--) {
		t.extends |= *rest.p == '+';
		t.users |= *rest.p == 'u';
		t.groups |= *rest.p == 'g';
	}
	if (!t.users && !t.groups) t.users = t.groups = true;
	bool two = str_cut(rest, ':', &container, &host), three = two && str_cut(host, ':', &host, &size);
	t.direct = two && host.n && *host.p == '@';
	if (t.direct) host = (Str){ host.p + 1, host.n - 1 };
	if (!two || str_to_u32(container, &t.container) < 0 || str_to_u32(host, &t.host) < 0 || (three && str_to_u32(size, &t.size) < 0))
		return invalid(e, what, str_of(text), MAP_FORM);
	if (!t.size) return invalid(e, what, str_of(text), "no ids");
	*ret = t;
	return 0;
}

/* IdSource: where ids come from: those of the caller without privileges, counted from itself (0) on; ranges NULL: the machine's. */
typedef struct IdSource {
	uint32_t own;
	const IdRanges *ranges;
} IdSource;

static bool has_ids(const IdSource *from, uint32_t first, uint32_t size)
{
	if (first == from->own && size == 1) return true;
	for (size_t i = 0; i < from->ranges->n; i++) {
		IdRange r = from->ranges->items[i];
		if (first >= r.first && (uint64_t)first + size <= (uint64_t)r.first + r.size) return true;
	}
	return false;
}

/* The mapping by ids of the machine: more than one where the ranges of the caller are apart. 1: there are not that many. */
static int resolve(MapBuild *m, const MapText *t, const IdSource *from)
{
	uint32_t container = t->container, host = t->host, size = t->size;
	uint64_t done = 0;
	int r;
	if (from->ranges && t->direct && !has_ids(from, host, size)) return 1;
	if (!from->ranges || t->direct) return map_add(m, container, host, size);
	if (host == 0) {
		if ((r = map_add(m, container++, from->own, 1)) < 0) return r;
		size--;
		host++;
	}
	if ((r = map_ranges(m, container, from->ranges, host - 1, size, &done)) < 0) return r;
	return done != size;
}

static int add_text(MapBuild *m, const char *text, const MapText *t, const IdSource *from, Arena *a)
{
	MapBuild own;
	int r = map_init(&own, m->what, a, m->e);
	if (r < 0 || (r = resolve(&own, t, from)) < 0) return r;
	if (r > 0) return invalid(m->e, m->what, str_of(text), "this user has not that many subordinate ids");
	if (t->extends && !m->list.n) return invalid(m->e, m->what, str_of(text), "there is no mapping before it to extend");
	for (size_t i = 0; i < own.list.n; i++) {
		IdMapping x = own.list.items[i];
		if (t->extends &&
		    ((r = map_cut(m, false, x.container_id, x.size, a)) < 0 || (r = map_cut(m, true, x.host_id, x.size, a)) < 0))
			return r;
		if ((r = map_add(m, x.container_id, x.host_id, x.size)) < 0) return r;
	}
	return 0;
}

/* The texts that are for users, or for groups. */
static int parse_maps(const StrList *texts, const char *what, const IdSource *from, bool gids, Arena *a, IdMappings *ret, Err *e)
{
	MapBuild m;
	int r = map_init(&m, what, a, e);
	for (size_t i = 0; r >= 0 && i < texts->n; i++) {
		MapText t;
		if ((r = parse_text(texts->items[i], what, &t, e)) < 0) return r;
		if (gids ? t.groups : t.users) r = add_text(&m, texts->items[i], &t, from, a);
	}
	if (r >= 0) r = idmap_check(&m.list, what, e);
	if (r >= 0) *ret = m.list;
	return r;
}

static IdSource source_of(const UsernsOwner *o, bool gids)
{
	return (IdSource){ .own = gids ? o->gid : o->uid, .ranges = !o->rootless ? NULL : gids ? &o->subgids : &o->subuids };
}

static int plan_maps(const HostConfig *h, const UsernsOwner *o, Arena *a, UsernsPlan *p, Err *e)
{
	const StrList *uids = h->uid_map.n ? &h->uid_map : &h->gid_map, *gids = h->gid_map.n ? &h->gid_map : &h->uid_map;
	const IdSource users = source_of(o, false), groups = source_of(o, true);
	p->kind = USERNS_MAPS;
	int r = parse_maps(uids, "--uidmap", &users, false, a, &p->maps.uids, e);
	return r < 0 ? r : parse_maps(gids, "--gidmap", &groups, true, a, &p->maps.gids, e);
}

/* ---- --subuidname, --subgidname ---- */

static int map_named(const char *file, const char *name, const char *what, Arena *a, IdMappings *ret, Err *e)
{
	IdRanges ranges;
	MapBuild m;
	uint64_t done;
	int r = subid_read(file, name, a, &ranges, e);
	if (r < 0) return r;
	if (!ranges.n) return err_set(e, ERR_CONFIG, EINVAL, "no %s ranges found for user \"%.128s\" in %s", what, name, file);
	if ((r = map_init(&m, what, a, e)) < 0 || (r = map_ranges(&m, 0, &ranges, 0, UINT32_MAX, &done)) < 0) return r;
	*ret = m.list;
	return idmap_check(ret, file, e);
}

static int plan_named(const HostConfig *h, const UsernsOwner *o, Arena *a, UsernsPlan *p, Err *e)
{
	const char *users = h->subuid_name ? h->subuid_name : h->subgid_name, *groups = h->subgid_name ? h->subgid_name : users;
	p->kind = USERNS_MAPS;
	int r = map_named(o->subuid_file, users, "subuid", a, &p->maps.uids, e);
	return r < 0 ? r : map_named(o->subgid_file, groups, "subgid", a, &p->maps.gids, e);
}

/* ---- keep-id, nomap, and what a user without privileges gets ---- */

/* own < 0: the caller is nobody in the container. */
static int map_around(const char *what, int64_t own, uint32_t own_host, const IdRanges *ranges, uint64_t size, Arena *a, IdMappings *ret,
		      Err *e)
{
	MapBuild m;
	uint64_t below = own < 0 ? 0 : (uint64_t)own, done = 0;
	int r = map_init(&m, what, a, e);
	if (r < 0 || (below && (r = map_ranges(&m, 0, ranges, 0, below, &done)) < 0)) return r;
	if (done < below)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: %llu subordinate ids are needed below %lld, this user has %llu", what,
			       (unsigned long long)below, (long long)own, (unsigned long long)done);
	uint32_t next = (uint32_t)below;
	if (own >= 0 && (r = map_add(&m, next++, own_host, 1)) < 0) return r;
	if (size > next && (r = map_ranges(&m, next, ranges, below, size - next, &done)) < 0) return r;
	if (!m.list.n) return err_set(e, ERR_CONFIG, EINVAL, "%s: this user has no subordinate ids", what);
	*ret = m.list;
	return 0;
}

static int plan_around(const UsernsOwner *o, int64_t uid, int64_t gid, uint64_t size, Arena *a, UsernsPlan *p, Err *e)
{
	p->kind = USERNS_MAPS;
	int r = map_around("uids", uid, o->uid, &o->subuids, size, a, &p->maps.uids, e);
	return r < 0 ? r : map_around("gids", gid, o->gid, &o->subgids, size, a, &p->maps.gids, e);
}

static int parse_number(Str text, const char *what, uint32_t *ret, Err *e)
{
	return str_to_u32(text, ret) < 0 || *ret == UINT32_MAX ? invalid(e, what, text, "not an id") : 0;
}

/* The ids that root has are the same in the container. */
static int map_same(const IdMappings *own, Arena *a, IdMappings *ret)
{
	*ret = (IdMappings){ .items = arena_array(a, own->n + 1, sizeof *ret->items), .n = own->n };
	for (size_t i = 0; ret->items && i < own->n; i++) {
		IdMapping m = own->items[i];
		ret->items[i] = (IdMapping){ m.container_id, m.container_id, m.size };
	}
	return ret->items ? 0 : -ENOMEM;
}

/* "uid=N,gid=N,size=N" */
static int plan_keep_id(const char *options, const UsernsOwner *o, Arena *a, UsernsPlan *p, Err *e)
{
	Str rest = str_of(options), option, key, value;
	uint32_t uid = o->uid, gid = o->gid, size = UINT32_MAX;
	while (rest.n && str_next(&rest, ',', &option)) {
		str_cut(option, '=', &key, &value);
		uint32_t *to = str_eq(key, "uid") ? &uid : str_eq(key, "gid") ? &gid : str_eq(key, "size") ? &size : NULL;
		if (!to) return invalid(e, "user namespace option", option, "expected uid=, gid= or size=");
		int r = parse_number(value, "user namespace option", to, e);
		if (r < 0) return r;
	}
	p->user = arena_printf(a, "%u:%u", uid, gid);
	if (!p->user) return err_sys(e, ENOMEM, "keep-id");
	if (o->rootless) return plan_around(o, uid, gid, size, a, p, e);
	if (size != UINT32_MAX) return err_set(e, ERR_CONFIG, EINVAL, "cannot set max size for user namespace when not running rootless");
	p->kind = USERNS_SAME;
	bool done = map_same(&o->own.uids, a, &p->maps.uids) >= 0 && map_same(&o->own.gids, a, &p->maps.gids) >= 0;
	return done ? 0 : err_sys(e, ENOMEM, "keep-id");
}

/* ---- auto ---- */

static int add_auto_map(MapBuild *m, Str value, const UsernsOwner *o, bool gids, Arena *a)
{
	const IdSource from = source_of(o, gids);
	const char *text = arena_str(a, value);
	MapText t;
	if (!text) return err_sys(m->e, ENOMEM, "%s", m->what);
	int r = parse_text(text, m->what, &t, m->e);
	return r < 0 ? r : add_text(m, text, &t, &from, a);
}

/* "size=N,uidmapping=…,gidmapping=…" */
static int plan_auto(const char *options, const UsernsOwner *o, uint32_t highest, Arena *a, UsernsPlan *p, Err *e)
{
	Str rest = str_of(options), option, key, value;
	MapBuild uids, gids;
	int r;
	if (o->rootless && !o->subuids.n) return err_set(e, ERR_CONFIG, EINVAL, "--userns auto: this user has no subordinate ids");
	if ((r = map_init(&uids, "uidmapping", a, e)) < 0 || (r = map_init(&gids, "gidmapping", a, e)) < 0) return r;
	uint32_t size = highest < USERNS_SIZE_MIN ? USERNS_SIZE_MIN : highest >= USERNS_SIZE_MAX ? USERNS_SIZE_MAX : highest + 1;
	while (rest.n && str_next(&rest, ',', &option)) {
		str_cut(option, '=', &key, &value);
		if (str_eq(key, "size"))
			r = parse_number(value, "size", &size, e);
		else if (str_eq(key, "uidmapping"))
			r = add_auto_map(&uids, value, o, false, a);
		else if (str_eq(key, "gidmapping"))
			r = add_auto_map(&gids, value, o, true, a);
		else
			r = invalid(e, "user namespace option", option, "expected size=, uidmapping= or gidmapping=");
		if (r < 0) return r;
	}
	if (!size) return err_set(e, ERR_CONFIG, EINVAL, "--userns auto: size=0 leaves no id");
	*p = (UsernsPlan){
		.kind = USERNS_AUTO, .maps = { uids.list, gids.list }, .size = size, .uid_ranges = o->subuids, .gid_ranges = o->subgids
	};
	return 0;
}

/* The first id from `from` on that no mapping of l has, and in *ret_end the end of the gap it begins. */
static uint64_t next_gap(const IdMappings *l, uint64_t from, uint64_t size, uint64_t *ret_end)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (size_t i = 0; i < l->n; i++) {
			uint64_t first = l->items[i].container_id, end = first + l->items[i].size;
			if (from < first || from >= end) continue;
			from = end;
			moved = true;
		}
	}
	*ret_end = size;
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].container_id > from && l->items[i].container_id < *ret_end) *ret_end = l->items[i].container_id;
	return from;
}

static int give(IdMappings *l, const char *what, uint64_t first, uint64_t size, Arena *a, Err *e)
{
	MapBuild m;
	uint64_t at = 0, end;
	int r = map_init(&m, what, a, e);
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		r = map_add(&m, l->items[i].container_id, l->items[i].host_id, l->items[i].size);
	while (r >= 0 && (at = next_gap(l, at, size, &end)) < size) {
		r = map_add(&m, (uint32_t)at, (uint32_t)first, (uint32_t)(end - at));
		first += end - at;
		at = end;
	}
	if (r >= 0) r = idmap_check(&m.list, what, e);
	if (r >= 0) *l = m.list;
	return r;
}

int userns_give(UsernsPlan *p, uint32_t first_uid, uint32_t first_gid, Arena *a, Err *e)
{
	if ((uint64_t)first_uid + p->size > UINT32_MAX || (uint64_t)first_gid + p->size > UINT32_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "--userns auto: no %u ids are left from %u on", p->size,
			       first_uid > first_gid ? first_uid : first_gid);
	IdMaps m = p->maps;
	int r = give(&m.uids, "uids", first_uid, p->size, a, e);
	if (r < 0 || (r = give(&m.gids, "gids", first_gid, p->size, a, e)) < 0) return r;
	*p = (UsernsPlan){ .kind = USERNS_MAPS, .maps = m };
	return 0;
}

/* ---- the mode ---- */

/* What stands behind "name:", "" behind "name"; NULL when the mode is another one. */
static const char *options_of(const char *mode, const char *name)
{
	size_t n = strlen(name);
	if (strncmp(mode, name, n) != 0 || (mode[n] && mode[n] != ':')) return NULL;
	return mode[n] ? mode + n + 1 : "";
}

bool userns_is_wanted(const HostConfig *h)
{
	const char *mode = h->userns_mode ? h->userns_mode : "";
	return h->uid_map.n || h->gid_map.n || h->subuid_name || h->subgid_name || (*mode && !streq(mode, "host"));
}

/* Programs of images count on a root, and so do we: what makes the container's files is it. */
static int check_root(const IdMaps *m, Err *e)
{
	uint32_t id;
	if (idmap_to_host(&m->uids, 0, &id) >= 0 && idmap_to_host(&m->gids, 0, &id) >= 0) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "the user namespace maps no id of the host to %s 0 of the container",
		       idmap_to_host(&m->uids, 0, &id) < 0 ? "user" : "group");
}

int userns_plan(const HostConfig *h, const UsernsOwner *o, uint32_t highest, Arena *a, UsernsPlan *ret, Err *e)
{
	const char *mode = h->userns_mode ? h->userns_mode : "", *options;
	UsernsPlan p = { .kind = USERNS_HOST };
	int r = 0;
	if (h->uid_map.n || h->gid_map.n)
		r = plan_maps(h, o, a, &p, e);
	else if (h->subuid_name || h->subgid_name)
		r = plan_named(h, o, a, &p, e);
	else if (starts_with(mode, "container:") || starts_with(mode, "ns:"))
		p = (UsernsPlan){ .kind = USERNS_JOIN, .peer = mode };
	else if ((options = options_of(mode, "keep-id")))
		r = plan_keep_id(options, o, a, &p, e);
	else if (streq(mode, "nomap") && !o->rootless)
		r = err_set(e, ERR_CONFIG, EINVAL, "nomap is only supported in rootless mode");
	else if (streq(mode, "nomap"))
		r = plan_around(o, -1, -1, UINT32_MAX, a, &p, e);
	else if ((options = options_of(mode, "auto")))
		r = plan_auto(options, o, highest, a, &p, e);
	else if (streq(mode, "private") && !o->rootless)
		r = plan_auto("", o, highest, a, &p, e);
	else if (o->rootless)
		r = plan_around(o, 0, 0, UINT32_MAX, a, &p, e);
	else if (*mode && !streq(mode, "host"))
		r = err_set(e, ERR_CONFIG, EINVAL, "invalid USER mode: %.128s", mode);
	if (r >= 0 && p.kind == USERNS_MAPS) r = check_root(&p.maps, e);
	if (r >= 0) *ret = p;
	return r < 0 ? r : 0;
}
