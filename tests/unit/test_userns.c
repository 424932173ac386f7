/* test_userns.c: which ids of the host a container's users are. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/id_ranges.h"

enum { MEMORY_MAX = 1 << 20 };

static IdRange ranges[] = { { 100000, 1000 }, { 500000, 65536 } };

static UsernsOwner owner_of(bool rootless)
{
	static IdMapping own = { 0, 0, UINT32_MAX };
	UsernsOwner o = { .rootless = rootless, .subuid_file = "/nonexistent/subuid", .subgid_file = "/nonexistent/subgid" };
	if (rootless) o.uid = 1000, o.gid = 1001;
	if (!rootless) o.own.uids = o.own.gids = (IdMappings){ &own, 1 };
	o.subuids.items = o.subgids.items = ranges;
	o.subuids.n = o.subgids.n = 2;
	return o;
}

static const char *text_of(const IdMappings *m, Buf *b)
{
	for (size_t i = 0; i < m->n; i++)
		buf_printf(b, "%s%u:%u:%u", i ? " " : "", m->items[i].container_id, m->items[i].host_id, m->items[i].size);
	return buf_str(b);
}

#define LIST(...) \
	((StrList){ .items = (const char *[]){ __VA_ARGS__, NULL }, .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *) })

typedef struct Case {
	bool rootless;
	HostConfig host;
	UsernsKind kind;
	const char *uids, *gids; /* NULL: none */
	uint32_t size;
	const char *error; /* a part of it */
} Case;

static const Case cases[] = {
	{ false, { .userns_mode = NULL }, USERNS_HOST, NULL, NULL, 0, NULL },
	{ false, { .userns_mode = "host" }, USERNS_HOST, NULL, NULL, 0, NULL },
	{ false, { .userns_mode = "container:x" }, USERNS_JOIN, NULL, NULL, 0, NULL },
	{ false, { .userns_mode = "ns:/proc/1/ns/user" }, USERNS_JOIN, NULL, NULL, 0, NULL },
	{ false, { .userns_mode = "auto" }, USERNS_AUTO, NULL, NULL, 1024, NULL },
	{ false, { .userns_mode = "private" }, USERNS_AUTO, NULL, NULL, 1024, NULL },
	{ false, { .userns_mode = "auto:size=5000" }, USERNS_AUTO, NULL, NULL, 5000, NULL },
	{ false, { .userns_mode = "auto:size=5000,uidmapping=1:7:2,gidmapping=0:9:1" }, USERNS_AUTO, "1:7:2", "0:9:1", 5000, NULL },
	{ false, { .userns_mode = "auto:size=0" }, USERNS_AUTO, NULL, NULL, 0, "size=0 leaves no id" },
	{ false, { .userns_mode = "auto:size=x" }, USERNS_AUTO, NULL, NULL, 0, "invalid size \"x\"" },
	{ false, { .userns_mode = "auto:colour=red" }, USERNS_AUTO, NULL, NULL, 0, "expected size=, uidmapping= or gidmapping=" },
	{ false, { .userns_mode = "auto:uidmapping=1" }, USERNS_AUTO, NULL, NULL, 0, "expected [+ug]CONTAINER:[@]HOST[:SIZE]" },
	{ false, { .userns_mode = "keep-id" }, USERNS_SAME, "0:0:4294967295", "0:0:4294967295", 0, NULL },
	{ false,
	  { .userns_mode = "keep-id:size=5" },
	  USERNS_HOST,
	  NULL,
	  NULL,
	  0,
	  "cannot set max size for user namespace when not running rootless" },
	{ false, { .subuid_name = "x" }, USERNS_MAPS, NULL, NULL, 0, "no subuid ranges found for user \"x\" in /nonexistent/subuid" },
	{ false, { .userns_mode = "nomap" }, USERNS_HOST, NULL, NULL, 0, "nomap is only supported in rootless mode" },
	{ false, { .userns_mode = "else" }, USERNS_HOST, NULL, NULL, 0, "invalid USER mode: else" },
	{ false, { .uid_map = LIST("0:100:10", "10:5") }, USERNS_MAPS, "0:100:10 10:5:1", "0:100:10 10:5:1", 0, NULL },
	{ false, { .gid_map = LIST("0:100:10") }, USERNS_MAPS, "0:100:10", "0:100:10", 0, NULL },
	{ false, { .uid_map = LIST("0:1:2"), .gid_map = LIST("0:3:4") }, USERNS_MAPS, "0:1:2", "0:3:4", 0, NULL },
	{ false, { .uid_map = LIST("0:1:2", "1:9:1") }, USERNS_MAPS, NULL, NULL, 0, "--uidmap" }, /* overlap */
	{ false, { .uid_map = LIST("0:1:0") }, USERNS_MAPS, NULL, NULL, 0, "no ids" },
	{ false, { .uid_map = LIST("1:1:9") }, USERNS_MAPS, NULL, NULL, 0, "maps no id of the host to user 0 of the container" },
	{ false, { .uid_map = LIST("u0:1:9") }, USERNS_MAPS, NULL, NULL, 0, "maps no id of the host to group 0 of the container" },
	/* '+' takes out of the mappings before what it stands in the way of, on both sides */
	{ false,
	  { .uid_map = LIST("0:100000:1000", "+5:200000") },
	  USERNS_MAPS,
	  "0:100000:5 6:100006:994 5:200000:1",
	  "0:100000:5 6:100006:994 5:200000:1",
	  0,
	  NULL },
	{ false,
	  { .uid_map = LIST("0:0:65000", "+100000:1") },
	  USERNS_MAPS,
	  "0:0:1 2:2:64998 100000:1:1",
	  "0:0:1 2:2:64998 100000:1:1",
	  0,
	  NULL },
	{ false, { .uid_map = LIST("0:50:10", "+3:54:2") }, USERNS_MAPS, "0:50:3 6:56:4 3:54:2", "0:50:3 6:56:4 3:54:2", 0, NULL },
	{ false, { .uid_map = LIST("0:50:10", "20:60:5", "+0:50:30") }, USERNS_MAPS, "0:50:30", "0:50:30", 0, NULL },
	{ false, { .uid_map = LIST("0:50:10", "+10:60:5") }, USERNS_MAPS, "0:50:10 10:60:5", "0:50:10 10:60:5", 0, NULL },
	{ false, { .uid_map = LIST("+0:50:10") }, USERNS_MAPS, NULL, NULL, 0, "there is no mapping before it to extend" },
	/* 'u' and 'g': for one of both alone */
	{ false, { .gid_map = LIST("0:0:1000", "g2000:2000:1") }, USERNS_MAPS, "0:0:1000", "0:0:1000 2000:2000:1", 0, NULL },
	{ false,
	  { .uid_map = LIST("0:5:9"), .gid_map = LIST("0:300000:100", "+g5:400000:2") },
	  USERNS_MAPS,
	  "0:5:9",
	  "0:300000:5 7:300007:93 5:400000:2",
	  0,
	  NULL },
	{ false, { .uid_map = LIST("0:@100:5") }, USERNS_MAPS, "0:100:5", "0:100:5", 0, NULL },
	{ false, { .uid_map = LIST("x0:1:1") }, USERNS_MAPS, NULL, NULL, 0, "expected [+ug]CONTAINER:[@]HOST[:SIZE]" },
	{ false, { .uid_map = LIST("0:1:1:1") }, USERNS_MAPS, NULL, NULL, 0, "expected [+ug]CONTAINER:[@]HOST[:SIZE]" },
	{ false, { .uid_map = LIST("0") }, USERNS_MAPS, NULL, NULL, 0, "expected [+ug]CONTAINER:[@]HOST[:SIZE]" },
	{ false, { .uid_map = LIST("0:-1:1") }, USERNS_MAPS, NULL, NULL, 0, "expected [+ug]CONTAINER:[@]HOST[:SIZE]" },
	{ false, { .uid_map = LIST("0:4294967295:2") }, USERNS_MAPS, NULL, NULL, 0, "--uidmap" },
	/* an ordinary user: itself is root, its ranges are the rest */
	{ true,
	  { .userns_mode = NULL },
	  USERNS_MAPS,
	  "0:1000:1 1:100000:1000 1001:500000:65536",
	  "0:1001:1 1:100000:1000 1001:500000:65536",
	  0,
	  NULL },
	{ true,
	  { .userns_mode = "keep-id" },
	  USERNS_MAPS,
	  "0:100000:1000 1000:1000:1 1001:500000:65536",
	  "0:100000:1000 1000:500000:1 1001:1001:1 1002:500001:65535",
	  0,
	  NULL },
	{ true,
	  { .userns_mode = "keep-id:uid=5,gid=0,size=10" },
	  USERNS_MAPS,
	  "0:100000:5 5:1000:1 6:100005:4",
	  "0:1001:1 1:100000:9",
	  0,
	  NULL },
	{ true,
	  { .userns_mode = "keep-id:uid=66537" },
	  USERNS_HOST,
	  NULL,
	  NULL,
	  0,
	  "66537 subordinate ids are needed below 66537, this user has 66536" },
	{ true, { .userns_mode = "keep-id:name=x" }, USERNS_HOST, NULL, NULL, 0, "expected uid=, gid= or size=" },
	{ true, { .userns_mode = "nomap" }, USERNS_MAPS, "0:100000:1000 1000:500000:65536", "0:100000:1000 1000:500000:65536", 0, NULL },
	{ true, { .uid_map = LIST("0:1:10", "10:0") }, USERNS_MAPS, "0:100000:10 10:1000:1", "0:100000:10 10:1001:1", 0, NULL },
	{ true,
	  { .uid_map = LIST("0:0:1500") },
	  USERNS_MAPS,
	  "0:1000:1 1:100000:1000 1001:500000:499",
	  "0:1001:1 1:100000:1000 1001:500000:499",
	  0,
	  NULL },
	{ true,
	  { .uid_map = LIST("0:1:10", "+u5:@500003:2", "g10:0") },
	  USERNS_MAPS,
	  "0:100000:5 7:100007:3 5:500003:2",
	  "0:100000:10 10:1001:1",
	  0,
	  NULL },
	{ true, { .uid_map = LIST("0:@1:1") }, USERNS_MAPS, NULL, NULL, 0, "this user has not that many subordinate ids" },
	{ true, { .uid_map = LIST("0:996:10") }, USERNS_MAPS, "0:100995:5 5:500000:5", "0:100995:5 5:500000:5", 0, NULL },
	{ true, { .uid_map = LIST("0:1:70000") }, USERNS_MAPS, NULL, NULL, 0, "this user has not that many subordinate ids" },
};

static void test_plans(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const Case *c = &cases[i];
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		AUTO_BUF uids = BUF_INIT(4096), gids = BUF_INIT(4096);
		Err e = ERR_INIT;
		UsernsPlan p = { .size = 4711 };
		UsernsOwner o = owner_of(c->rootless);
		int r = userns_plan(&c->host, &o, 500, &a, &p, &e);
		if (c->error) {
			if (r >= 0 || !strstr(e.msg, c->error)) fail_msg("%zu: %d, \"%s\"", i, r, e.msg);
			assert_int_equal(p.size, 4711);
			continue;
		}
		if (r < 0) fail_msg("%zu: %s", i, e.msg);
		if (p.kind != c->kind || p.size != c->size) fail_msg("%zu: kind %d, size %u", i, p.kind, p.size);
		if (!streq(text_of(&p.maps.uids, &uids), c->uids ? c->uids : "")) fail_msg("%zu: uids %s", i, buf_str(&uids));
		if (!streq(text_of(&p.maps.gids, &gids), c->gids ? c->gids : "")) fail_msg("%zu: gids %s", i, buf_str(&gids));
		if (p.kind == USERNS_JOIN) assert_string_equal(p.peer, c->host.userns_mode);
	}
}

/* An automatic range is as large as the image needs, within limits. */
static void test_auto_size(void **state)
{
	static const uint32_t sizes[][2] = { { 0, 1024 },      { 1022, 1024 },   { 1023, 1024 },   { 1024, 1025 },
					     { 65534, 65535 }, { 65535, 65536 }, { 65536, 65536 }, { 2147483647, 65536 } };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		Err e = ERR_INIT;
		UsernsPlan p;
		UsernsOwner o = owner_of(false);
		HostConfig h = { .userns_mode = "auto" };
		assert_int_equal(userns_plan(&h, &o, sizes[i][0], &a, &p, &e), 0);
		assert_int_equal(p.size, sizes[i][1]);
	}
}

static void test_giving(void **state)
{
	static const struct {
		const char *mode, *uids, *gids;
	} rows[] = {
		{ "auto:size=2000", "0:300000:2000", "0:400000:2000" },
		{ "auto:size=2000,uidmapping=0:7:1", "0:7:1 1:300000:1999", "0:400000:2000" },
		{ "auto:size=2000,uidmapping=5:7:10,uidmapping=1000:90:1", "5:7:10 1000:90:1 0:300000:5 15:300005:985 1001:300990:999",
		  "0:400000:2000" },
		{ "auto:size=10,gidmapping=5:7:10", "0:300000:10", "5:7:10 0:400000:5" },
		{ "auto:size=10,gidmapping=50:7:10", "0:300000:10", "50:7:10 0:400000:10" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		AUTO_BUF uids = BUF_INIT(4096), gids = BUF_INIT(4096);
		Err e = ERR_INIT;
		UsernsPlan p;
		UsernsOwner o = owner_of(false);
		HostConfig h = { .userns_mode = rows[i].mode };
		assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
		if (userns_give(&p, 300000, 400000, &a, &e) < 0) fail_msg("%s: %s", rows[i].mode, e.msg);
		assert_int_equal(p.kind, USERNS_MAPS);
		assert_string_equal(text_of(&p.maps.uids, &uids), rows[i].uids);
		assert_string_equal(text_of(&p.maps.gids, &gids), rows[i].gids);
	}
}

static void test_giving_what_is_not_there(void **state)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	UsernsOwner o = owner_of(false);
	UsernsPlan p;
	HostConfig h = { .userns_mode = "auto:size=1000" };
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
	assert_int_equal(userns_give(&p, UINT32_MAX - 999, 5, &a, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "no 1000 ids are left from 4294966296 on"));
	assert_int_equal(p.kind, USERNS_AUTO);
	/* two ids of the host for one of the container's */
	h.userns_mode = "auto:size=1000,uidmapping=0:300000:1";
	e = ERR_INIT;
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
	assert_int_equal(userns_give(&p, 300000, 300000, &a, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "uids"));
}

static void read_subid(const char *text, const char *user, const char *expected)
{
	char path[] = "/tmp/test_subid-XXXXXX";
	int fd = mkstemp(path);
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	AUTO_BUF b = BUF_INIT(4096);
	Err e = ERR_INIT;
	IdRanges l;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int r = subid_read(path, user, &a, &l, &e);
	unlink(path);
	assert_int_equal(r, 0);
	for (size_t i = 0; i < l.n; i++)
		buf_printf(&b, "%s%u:%u", i ? " " : "", l.items[i].first, l.items[i].size);
	assert_string_equal(buf_str(&b), expected);
}

static void test_subid(void **state)
{
	static const char text[] = "root:100000:65536\n"
				   "user:200000:65536\n"
				   "  user:300000:1000  \n"
				   "user2:5:5\n"
				   "user:x:5\nuser:5\nuser:5:\nuser:5:0\nuser::5\nuser:4294967296:1\n"
				   "1000:400000:10\n"
				   "containers:2147483647:2147483648";
	read_subid(text, "user", "200000:65536 300000:1000");
	read_subid(text, "1000", "400000:10");
	read_subid(text, "nobody", "");
	read_subid(text, "containers", "2147483647:2147483648");
	read_subid("containers:4294967290:100", "containers", "4294967290:5"); /* the last id is none */
	read_subid("", "root", "");
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	IdRanges l = { .n = 5 };
	assert_int_equal(subid_read("/nonexistent/subuid", "root", &a, &l, &e), 0);
	assert_int_equal(l.n, 0);
	int r = subid_read("/dev", "root", &a, &l, &e);
	assert_true(r < 0 && r == -e.errnum && strstr(e.msg, "/dev"));
}

static void write_temporary(char *path, const char *text)
{
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* All ranges of the name, one after the other; one name stands for both. */
static void test_names(void **state)
{
	char users[] = "/tmp/test_subid-XXXXXX", groups[] = "/tmp/test_subid-XXXXXX";
	write_temporary(users, "a:1000:10\nb:5:5\na:3000:20\n");
	write_temporary(groups, "a:7000:30\nc:9000:1\n");
	const struct {
		const char *uid, *gid, *uids, *gids;
	} rows[] = {
		{ "a", NULL, "0:1000:10 10:3000:20", "0:7000:30" },
		{ NULL, "a", "0:1000:10 10:3000:20", "0:7000:30" },
		{ "b", "c", "0:5:5", "0:9000:1" },
		{ "b", NULL, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		AUTO_BUF uids = BUF_INIT(4096), gids = BUF_INIT(4096);
		Err e = ERR_INIT;
		UsernsPlan p;
		UsernsOwner o = owner_of(false);
		o.subuid_file = users;
		o.subgid_file = groups;
		const HostConfig h = { .subuid_name = rows[i].uid, .subgid_name = rows[i].gid };
		assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), rows[i].uids ? 0 : -EINVAL);
		if (!rows[i].uids) continue;
		assert_string_equal(text_of(&p.maps.uids, &uids), rows[i].uids);
		assert_string_equal(text_of(&p.maps.gids, &gids), rows[i].gids);
	}
	unlink(users);
	unlink(groups);
}

/* Whom the container runs as: the caller. */
static void test_kept_user(void **state)
{
	static const struct {
		bool rootless;
		const char *mode, *user;
	} rows[] = { { false, "keep-id", "0:0" },      { false, "keep-id:uid=5", "5:0" },
		     { true, "keep-id", "1000:1001" }, { true, "keep-id:gid=7,uid=6", "6:7" },
		     { true, "nomap", NULL },          { false, "auto", NULL } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		Err e = ERR_INIT;
		UsernsPlan p;
		UsernsOwner o = owner_of(rows[i].rootless);
		const HostConfig h = { .userns_mode = rows[i].mode };
		assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
		if (rows[i].user)
			assert_string_equal(p.user, rows[i].user);
		else
			assert_null(p.user);
	}
}

/* ---- what is reserved ---- */

static const char *const migrations[] = {
	"CREATE TABLE id_ranges(container TEXT NOT NULL, gids INTEGER NOT NULL, first INTEGER NOT NULL, size INTEGER NOT NULL) STRICT;"
};
static const DbSchema schema = { .program = "test", .application_id = 1, .migrations = migrations, .n = 1 };

static IdMapping choose(Db *db, const char *container, const char *mode, int expected)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	UsernsPlan p;
	UsernsOwner o = owner_of(false);
	const HostConfig h = { .userns_mode = mode };
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
	assert_int_equal(id_ranges_choose(db, &p, &a, &e), expected);
	if (expected < 0) return (IdMapping){ 0 };
	assert_int_equal(id_ranges_insert(db, container, &p.maps, &e), 0);
	return p.maps.uids.items[p.maps.uids.n - 1];
}

/* The first gap that is large enough, in the first range that has one: 100000 to 100999, 500000 to 565535. */
static void test_reserving(void **state)
{
	char path[] = "/tmp/test_ids-XXXXXX";
	assert_non_null(mkdtemp(path));
	char file[64];
	snprintf(file, sizeof file, "%s/db", path);
	Err e = ERR_INIT;
	Db *db = NULL;
	assert_int_equal(db_open(file, &schema, DB_CREATE, &db, &e), 0);
	assert_int_equal(choose(db, "a", "auto:size=600", 0).host_id, 100000);
	assert_int_equal(choose(db, "b", "auto:size=600", 0).host_id, 500000);
	assert_int_equal(choose(db, "c", "auto:size=400", 0).host_id, 100600);
	assert_int_equal(choose(db, "d", "auto:size=1", 0).host_id, 500600);
	assert_int_equal(choose(db, "e", "auto:size=65000", -ENOSPC).host_id, 0);
	/* what it asks for itself is in its own way, too */
	assert_int_equal(choose(db, "f", "auto:size=10,uidmapping=5:500601:1", 0).host_id, 500607);
	assert_true(db_run(db, "DELETE FROM id_ranges WHERE container = 'b'", DB_NONE, &e) > 0);
	assert_int_equal(choose(db, "g", "auto:size=601", 0).host_id, 500611);
	assert_int_equal(choose(db, "h", "auto:size=600", 0).host_id, 500000);
	db_close(db);
	static const char *const names[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(file, sizeof file, "%s/db%s", path, names[i]);
		unlink(file);
	}
	assert_int_equal(rmdir(path), 0);
}

/* What a container was given can be read again. */
static void test_keeping(void **state)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	IdMapping users[] = { { 0, 100000, 10 }, { 10, 5, 1 } }, groups[] = { { 0, 7, 4294967000U } };
	const IdMaps m = { { users, 2 }, { groups, 1 } };
	IdMaps back;
	HostConfig h = { 0 };
	assert_int_equal(userns_maps(&h, &a, &back, &e), 0);
	assert_true(back.uids.n == 0 && back.gids.n == 0);
	assert_int_equal(userns_keep(&h, &m, &a, &e), 0);
	assert_string_equal(h.id_mappings->uids.items[1], "10:5:1");
	assert_int_equal(userns_maps(&h, &a, &back, &e), 0);
	assert_true(idmap_equal(&back.uids, &m.uids) && idmap_equal(&back.gids, &m.gids));
	h.id_mappings = &(IdMapTexts){ .uids = LIST("0:1") };
	assert_int_equal(userns_maps(&h, &a, &back, &e), -EUCLEAN);
}

/* Root always has ids to give. */
static void test_owner(void **state)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	UsernsOwner o;
	assert_int_equal(userns_owner(0, 0, "root", false, &a, &o, &e), 0);
	assert_true(o.subuids.n >= 1 && o.subgids.n >= 1 && o.subuids.items[0].size >= USERNS_SIZE_MAX);
	assert_int_equal(userns_owner(12345, 12345, "no-such-user", true, &a, &o, &e), 0);
	assert_int_equal(o.subuids.n, 0);
	HostConfig h = { .userns_mode = "nomap" };
	UsernsPlan p;
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "this user has no subordinate ids"));
	h.userns_mode = "auto";
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), -EINVAL);
	h.userns_mode = NULL; /* itself alone */
	assert_int_equal(userns_plan(&h, &o, 0, &a, &p, &e), 0);
	assert_int_equal(p.maps.uids.n, 1);
	assert_int_equal(p.maps.uids.items[0].host_id, 12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),     cmocka_unit_test(test_auto_size),
		cmocka_unit_test(test_giving),    cmocka_unit_test(test_giving_what_is_not_there),
		cmocka_unit_test(test_subid),     cmocka_unit_test(test_owner),
		cmocka_unit_test(test_names),     cmocka_unit_test(test_kept_user),
		cmocka_unit_test(test_reserving), cmocka_unit_test(test_keeping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
