/* test_dbus.c: the D-Bus client against scripted peers, and the systemd driver against a systemd that is played by a child. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "check.h"
#include "sys/cgroup_impl.h"
#include "sys/dbus.h"

enum { SECOND = 1000000000 };

static int64_t soon(void)
{
	return time_monotonic() + INT64_C(10) * SECOND;
}

/* A message of a peer: type, serial, what it answers (0: nothing), member, error name; body as given. */
static void make_message(Buf *m, int type, uint32_t serial, uint32_t reply, const char *member, const char *error, const char *signature,
			 const Buf *body)
{
	static const char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';
	AUTO_BUF b = BUF_INIT(DBUS_MESSAGE_MAX);
	dbus_put_byte(&b, (uint8_t)order);
	dbus_put_byte(&b, (uint8_t)type);
	dbus_put_byte(&b, 0);
	dbus_put_byte(&b, 1);
	dbus_put_u32(&b, body ? (uint32_t)body->n : 0);
	dbus_put_u32(&b, serial);
	DBusArray fields = dbus_open_array(&b, 8);
	dbus_align(&b, 8);
	dbus_put_byte(&b, 77); /* a field nobody knows: to be skipped */
	dbus_put_signature(&b, "a{sv}");
	DBusArray dict = dbus_open_array(&b, 8);
	dbus_put_string(&b, "k");
	dbus_put_signature(&b, "t");
	dbus_put_u64(&b, 1);
	dbus_close_array(&b, dict);
	if (reply) {
		dbus_align(&b, 8);
		dbus_put_byte(&b, 5);
		dbus_put_signature(&b, "u");
		dbus_put_u32(&b, reply);
	}
	const struct {
		uint8_t code;
		const char *type, *value;
	} texts[] = { { 2, "s", member ? "org.freedesktop.systemd1.Manager" : NULL }, { 3, "s", member }, { 4, "s", error } };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!texts[i].value) continue;
		dbus_align(&b, 8);
		dbus_put_byte(&b, texts[i].code);
		dbus_put_signature(&b, texts[i].type);
		dbus_put_string(&b, texts[i].value);
	}
	if (signature) {
		dbus_align(&b, 8);
		dbus_put_byte(&b, 8);
		dbus_put_signature(&b, "g");
		dbus_put_signature(&b, signature);
	}
	dbus_close_array(&b, fields);
	dbus_align(&b, 8);
	if (body) buf_put(&b, body->p, body->n);
	buf_put(m, b.p, b.n);
}

/* ---- marshalling ---- */

static void bodies_are_aligned(void **state)
{
	AUTO_BUF b = BUF_INIT(1024);
	dbus_put_byte(&b, 7);
	dbus_put_u32(&b, 0x01020304);
	dbus_put_string(&b, "ab");
	dbus_put_u64(&b, 1);
	DBusArray a = dbus_open_array(&b, 8);
	dbus_align(&b, 8);
	dbus_put_signature(&b, "s");
	dbus_close_array(&b, a);
	dbus_close_array(&b, dbus_open_array(&b, 8));
	static const uint8_t little[] = { 7, 0, 0, 0, 4, 3, 2, 1, 2, 0, 0, 0, 'a', 'b', 0, 0, 1, 0, 0, 0,
					  0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1,   's', 0, 0, 0, 0, 0, 0 };
	assert_false(buf_failed(&b));
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) skip();
	assert_int_equal(b.n, sizeof little);
	assert_memory_equal(b.p, little, sizeof little);
}

static void readers_stop_at_the_end(void **state)
{
	AUTO_BUF b = BUF_INIT(1024);
	dbus_put_string(&b, "hello");
	dbus_put_u64(&b, 5);
	DBusReader r = { .p = (const uint8_t *)b.p, .n = b.n };
	assert_string_equal(dbus_get_string(&r), "hello");
	assert_int_equal(dbus_get_u64(&r), 5);
	assert_false(r.failed);
	assert_int_equal(dbus_get_u32(&r), 0);
	assert_true(r.failed);
	r = (DBusReader){ .p = (const uint8_t *)b.p, .n = 8 }; /* the string is cut */
	assert_string_equal(dbus_get_string(&r), "");
	assert_true(r.failed);
	buf_reset(&b);
	dbus_put_u32(&b, 3);
	buf_put(&b, "a\0b", 4); /* a NUL inside */
	r = (DBusReader){ .p = (const uint8_t *)b.p, .n = b.n };
	assert_string_equal(dbus_get_string(&r), "");
	assert_true(r.failed);
}

static void nothing_malformed_is_taken(void **state)
{
	AUTO_BUF m = BUF_INIT(4096), body = BUF_INIT(1024);
	DBusMessage d;
	dbus_put_string(&body, "text");
	make_message(&m, DBUS_ERROR, 4, 9, NULL, "a.b.Error", "s", &body);
	assert_int_equal(dbus_parse((const uint8_t *)m.p, m.n, &d), 0);
	assert_int_equal(d.reply_to, 9);
	assert_string_equal(d.error, "a.b.Error");
	assert_string_equal(dbus_get_string(&d.body), "text");
	/* every single byte changed, every cut: it may be refused, it may not be read beyond its end (AddressSanitizer looks on) */
	for (size_t cut = 0; cut < m.n; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, m.p, cut);
		assert_true(dbus_parse(copy, cut, &d) < 0);
		free(copy);
	}
	for (size_t at = 0; at < m.n; at++) {
		for (int flip = 1; flip < 256; flip += 37) {
			uint8_t *copy = malloc(m.n);
			memcpy(copy, m.p, m.n);
			copy[at] ^= (uint8_t)flip;
			if (dbus_parse(copy, m.n, &d) >= 0) (void)dbus_get_string(&d.body);
			free(copy);
		}
	}
	uint8_t head[16];
	memcpy(head, m.p, sizeof head);
	memset(head + 4, 0xff, 4);
	assert_int_equal(dbus_size(head), -EMSGSIZE);
	memcpy(head, m.p, sizeof head);
	memset(head + 12, 0xff, 4);
	assert_int_equal(dbus_size(head), -EMSGSIZE);
	head[0] ^= 'l' ^ 'B';
	assert_int_equal(dbus_size(head), -EPROTO);
}

static void nesting_is_bounded(void **state)
{
	static const uint8_t zeros[256];
	char deep[200];
	memset(deep, 'a', sizeof deep);
	deep[sizeof deep - 2] = 'y';
	deep[sizeof deep - 1] = 0;
	const char *at = deep;
	DBusReader r = { .p = zeros, .n = sizeof zeros };
	dbus_skip(&r, &at);
	assert_true(r.failed);
	memset(deep, '(', sizeof deep - 1);
	at = deep;
	r = (DBusReader){ .p = zeros, .n = sizeof zeros };
	dbus_skip(&r, &at);
	assert_true(r.failed);
	/* a variant in a variant in … */
	AUTO_BUF b = BUF_INIT(1024);
	for (int i = 0; i < 100; i++)
		dbus_put_signature(&b, "v");
	at = "v";
	r = (DBusReader){ .p = (const uint8_t *)b.p, .n = b.n };
	dbus_skip(&r, &at);
	assert_true(r.failed);
}

/* ---- one connection, the peer's words written beforehand ---- */

static int scripted(DBus *b, const char *first, const Buf *rest, bool hello, int *ret_peer, Err *e)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[1], first, strlen(first)), strlen(first));
	if (rest) assert_int_equal(write(pair[1], rest->p, rest->n), rest->n);
	*ret_peer = pair[1];
	return dbus_start(b, pair[0], hello, 1000, soon(), e);
}

static bool is_second(const DBusMessage *m, void *p)
{
	return m->type == DBUS_SIGNAL && streq(m->member, "Second");
}

static void a_call_gets_its_own_answer(void **state)
{
	AUTO_BUF words = BUF_INIT(8192), name = BUF_INIT(64), body = BUF_INIT(64);
	Err e = ERR_INIT;
	DBus b;
	AUTO_FD int peer = -1;
	DBusMessage m;
	dbus_put_string(&name, ":1.5");
	dbus_put_string(&body, "yes");
	make_message(&words, DBUS_RETURN, 1, 1, NULL, NULL, "s", &name); /* Hello */
	make_message(&words, DBUS_SIGNAL, 2, 0, "First", NULL, NULL, NULL);
	make_message(&words, DBUS_RETURN, 3, 99, NULL, NULL, NULL, NULL); /* of some other call */
	make_message(&words, DBUS_RETURN, 4, 2, NULL, NULL, "s", &body);
	make_message(&words, DBUS_SIGNAL, 5, 0, "First", NULL, NULL, NULL);
	make_message(&words, DBUS_SIGNAL, 6, 0, "Second", NULL, NULL, NULL);
	assert_int_equal(scripted(&b, "OK 0123456789abcdef\r\n", &words, true, &peer, &e), 0);
	const DBusCall call = { "a.b", "/c", "d.e", "Do", "s" };
	assert_int_equal(dbus_call(&b, &call, &body, &m, &e), 0);
	assert_string_equal(m.signature, "s");
	assert_string_equal(dbus_get_string(&m.body), "yes");
	assert_int_equal(dbus_wait(&b, is_second, NULL, &e), 0);
	char sent[1024];
	ssize_t n = read(peer, sent, sizeof sent);
	static const char auth[] = "\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n"; /* "1000" */
	assert_true(n > (ssize_t)sizeof auth);
	assert_memory_equal(sent, auth, sizeof auth - 1);
	assert_non_null(memmem(sent, (size_t)n, "Hello", 6));
	assert_non_null(memmem(sent, (size_t)n, "d.e", 4));
	dbus_done(&b);
}

static void errors_tell_what_the_peer_said(void **state)
{
	AUTO_BUF words = BUF_INIT(8192), body = BUF_INIT(64);
	Err e = ERR_INIT;
	DBus b;
	DBusMessage m;
	AUTO_FD int peer = -1;
	dbus_put_string(&body, "Unit x.scope already exists.");
	make_message(&words, DBUS_ERROR, 4, 1, NULL, "org.freedesktop.systemd1.UnitExists", "s", &body);
	assert_int_equal(scripted(&b, "OK 1\r\n", &words, false, &peer, &e), 0);
	const DBusCall call = { "a.b", "/c", "d.e", "Start", NULL };
	assert_int_equal(dbus_call(&b, &call, NULL, &m, &e), -EREMOTEIO);
	assert_string_equal(m.error, "org.freedesktop.systemd1.UnitExists");
	assert_string_equal(e.msg, "Start: org.freedesktop.systemd1.UnitExists: Unit x.scope already exists.");
	close(peer); /* the peer is gone */
	peer = -1;
	assert_true(dbus_call(&b, &call, NULL, &m, &e) < 0);
	assert_string_equal(m.error, "");
	dbus_done(&b);
}

static void refusals_and_silence_end(void **state)
{
	Err e = ERR_INIT;
	DBus b;
	AUTO_FD int peer = -1, other = -1, third = -1;
	assert_int_equal(scripted(&b, "REJECTED EXTERNAL\r\n", NULL, false, &peer, &e), -EACCES);
	assert_int_equal(scripted(&b, "OK 1\r\n", NULL, false, &other, &e), 0);
	const DBusCall call = { "a.b", "/c", "d.e", "Start", NULL };
	b.deadline = time_monotonic() + SECOND / 50;
	assert_int_equal(dbus_call(&b, &call, NULL, NULL, &e), -ETIMEDOUT);
	dbus_done(&b);
	char line[600];
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = 0;
	assert_int_equal(scripted(&b, line, NULL, false, &third, &e), -EPROTO);
}

/* ---- properties of units ---- */

/* Walks an a(sv) and calls the value's reader up: the position of the value of `name`, with its signature. */
static bool find_property(const Buf *b, const char *name, DBusReader *ret, const char **ret_signature)
{
	DBusReader r = { .p = (const uint8_t *)b->p, .n = b->n };
	while (r.at < r.n) {
		r.at = (r.at + 7) / 8 * 8;
		if (r.at >= r.n) break;
		const char *key = dbus_get_string(&r), *signature = dbus_get_signature(&r);
		assert_false(r.failed);
		*ret = r;
		*ret_signature = signature;
		if (streq(key, name)) return true;
		dbus_skip(&r, &signature);
		assert_false(r.failed);
	}
	return false;
}

static void expect_number(const Buf *b, const char *name, uint64_t want)
{
	DBusReader r;
	const char *signature;
	if (!find_property(b, name, &r, &signature)) fail_msg("no %s", name);
	assert_string_equal(signature, "t");
	uint64_t v = dbus_get_u64(&r);
	if (v != want) fail_msg("%s is %ju", name, (uintmax_t)v);
}

static void expect_text(const Buf *b, const char *name, const char *want)
{
	DBusReader r;
	const char *signature;
	if (!find_property(b, name, &r, &signature)) fail_msg("no %s", name);
	assert_string_equal(signature, "s");
	assert_string_equal(dbus_get_string(&r), want);
}

static void expect_none(const Buf *b, const char *name)
{
	DBusReader r;
	const char *signature;
	if (find_property(b, name, &r, &signature)) fail_msg("%s is there", name);
}

static void resources_become_properties(void **state)
{
	AUTO_BUF b = BUF_INIT(1 << 16), old = BUF_INIT(1 << 16);
	Err e = ERR_INIT;
	DBusReader r;
	const char *signature;
	Cgroup cg = { .layout = CGROUP_V2, .driver = CGROUP_SYSTEMD, .unit = "x.scope", .slice = "system.slice" };
	StrPair unified[] = { { "memory.high", "max" }, { "cpu.max", "30000 60000" }, { "pids.max", "0" }, { "misc.max", "x 1" } };
	CgroupDeviceRule rules[] = { { .allow = false },
				     { .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 3 }, .access = "rwm" },
				     { .allow = true, .type = "c", .major = { true, 136 }, .access = "rw" },
				     { .allow = true, .type = "b", .access = "m" } };
	CgroupResources res = {
		.memory = { .limit = { true, 100 }, .swap = { true, 300 }, .reservation = { true, 50 } },
		.cpu = { .shares = { true, 1024 }, .quota = { true, 12345 }, .period = { true, 100000 }, .cpus = "0-2,9", .mems = "1" },
		.block_io.weight = { true, 100 },
		.pids_limit = { true, -1 },
		.devices = { rules, ARRAY_LEN(rules) },
	};
	assert_int_equal(cgroup_unit_resources(&cg, &res, false, 0, &b, &e), 0);
	expect_number(&b, "MemoryMax", 100);
	expect_number(&b, "MemoryLow", 50);
	expect_number(&b, "MemorySwapMax", 200);
	expect_number(&b, "CPUWeight", 100);
	expect_number(&b, "CPUQuotaPerSecUSec", 130000); /* 12.345 % rounded up to whole percents */
	expect_number(&b, "CPUQuotaPeriodUSec", 100000);
	expect_number(&b, "IOWeight", 910);
	expect_number(&b, "TasksMax", UINT64_MAX);
	expect_text(&b, "DevicePolicy", "strict");
	assert_true(find_property(&b, "AllowedCPUs", &r, &signature));
	assert_string_equal(signature, "ay");
	assert_int_equal(dbus_get_u32(&r), 2);
	assert_int_equal(dbus_get_byte(&r), 0x07);
	assert_int_equal(dbus_get_byte(&r), 0x02);
	static const char *const devices[] = { "/dev/char/1:3", "char-136", "block-*" };
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		assert_non_null(memmem(b.p, b.n, devices[i], strlen(devices[i]) + 1));
	cg.layout = CGROUP_HYBRID;
	assert_int_equal(cgroup_unit_resources(&cg, &res, true, 0, &old, &e), 0);
	expect_number(&old, "MemoryLimit", 100);
	expect_number(&old, "CPUShares", 1024);
	expect_number(&old, "BlockIOWeight", 100);
	expect_none(&old, "MemoryMax");
	expect_none(&old, "DevicePolicy"); /* an update leaves the devices alone */
	cg.layout = CGROUP_V2;
	CgroupResources only = { .unified = { unified, ARRAY_LEN(unified) } };
	buf_reset(&b);
	assert_int_equal(cgroup_unit_resources(&cg, &only, true, 0, &b, &e), 0);
	expect_number(&b, "MemoryHigh", UINT64_MAX);
	expect_number(&b, "CPUQuotaPerSecUSec", 500000);
	expect_number(&b, "CPUQuotaPeriodUSec", 60000);
	expect_number(&b, "TasksMax", 1);
	static const StrPair wrong[] = {
		{ "memory.max", "12k" }, { "cpu.max", "x" }, { "cpuset.cpus", "3-1" }, { "cgroup.procs", "1" }, { "a/b", "1" }
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		StrPair one = wrong[i];
		CgroupResources bad = { .unified = { &one, 1 } };
		assert_true(cgroup_unit_resources(&cg, &bad, true, 0, &b, &e) < 0);
	}
}

static void idle_needs_a_recent_systemd(void **state)
{
	AUTO_BUF b = BUF_INIT(4096);
	Err e = ERR_INIT;
	Cgroup cg = { .layout = CGROUP_V2, .driver = CGROUP_SYSTEMD, .unit = "x.scope", .slice = "system.slice" };
	CgroupResources r = { .cpu.idle = { true, 1 } };
	assert_true(cgroup_unit_wants_version(&r));
	assert_int_equal(cgroup_unit_resources(&cg, &r, true, 247, &b, &e), 0);
	expect_none(&b, "CPUWeight");
	assert_int_equal(cgroup_unit_resources(&cg, &r, true, 252, &b, &e), 0);
	expect_number(&b, "CPUWeight", 0);
}

static void annotations_are_converted(void **state)
{
	AUTO_BUF b = BUF_INIT(8192);
	Err e = ERR_INIT;
	DBusReader r;
	const char *signature;
	static const char *const good[][2] = {
		{ "TimeoutStopSec", "uint64 5" },
		{ "RuntimeMaxSec", "1.25" },
		{ "CollectMode", "'inactive-or-failed'" },
		{ "SendSIGHUP", "true" },
		{ "KillSignal", "int32 15" },
		{ "After", "['a.service', \"b'c.service\"]" },
		{ "Wants", "@as []" },
		{ "MemoryHigh", " 1048576 " },
		{ "Description", "'it\\'s'" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (cgroup_unit_annotation(good[i][0], good[i][1], &b, &e) < 0) fail_msg("%s", e.msg);
	expect_number(&b, "TimeoutStopUSec", 5000000);
	expect_number(&b, "RuntimeMaxUSec", 1250000);
	expect_number(&b, "MemoryHigh", 1048576);
	expect_text(&b, "CollectMode", "inactive-or-failed");
	expect_text(&b, "Description", "it's");
	assert_true(find_property(&b, "KillSignal", &r, &signature));
	assert_string_equal(signature, "i");
	assert_int_equal(dbus_get_u32(&r), 15);
	assert_true(find_property(&b, "After", &r, &signature));
	assert_string_equal(signature, "as");
	(void)dbus_get_u32(&r);
	assert_string_equal(dbus_get_string(&r), "a.service");
	assert_string_equal(dbus_get_string(&r), "b'c.service");
	static const char *const bad[][2] = {
		{ "ExecStartPre", "['/bin/sh']" },
		{ "Slice", "'system.slice'" },
		{ "Delegate", "true" },
		{ "PIDs", "[1]" },
		{ "DevicePolicy", "'auto'" },
		{ "User", "'root'" },
		{ "Sec", "1" },
		{ "", "1" },
		{ "TimeoutStopSec", "'5'" },
		{ "TimeoutStopSec", "-5" },
		{ "TimeoutStopSec", "99999999999999999999" },
		{ "TimeoutStopSec", "5s" },
		{ "CollectMode", "inactive" },
		{ "CollectMode", "'open" },
		{ "CollectMode", "'a' 'b'" },
		{ "After", "['a' 'b']" },
		{ "After", "['a',]" },
		{ "After", "[" },
		{ "After", "'a'" },
		{ "SendSIGHUP", "1" },
		{ "MemoryHigh", "1.5" },
		{ "MemoryHigh", "-1" },
		{ "KillSignal", "4294967296" },
		{ "Description", "'a\nb'" },
		{ "MemoryHigh", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (cgroup_unit_annotation(bad[i][0], bad[i][1], &b, &e) >= 0) fail_msg("%s=%s is taken", bad[i][0], bad[i][1]);
}

static void slices_lie_in_slices(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	static const char *const t[][2] = {
		{ "system.slice", "/system.slice" },
		{ "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice" },
		{ "-.slice", "" },
		{ "a--b.slice", NULL },
		{ "-a.slice", NULL },
		{ "a-.slice", NULL },
		{ ".slice", NULL },
		{ "a/b.slice", NULL },
		{ "system", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char *path = cgroup_slice_path(&a, t[i][0], &e);
		if (t[i][1])
			assert_string_equal(path, t[i][1]);
		else
			assert_null(path);
	}
}

static void units_are_named(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	const CgroupPlace place = { 0 };
	static const struct {
		const char *path, *unit, *inner;
	} t[] = {
		{ NULL, "skep-box.scope", "/system.slice/skep-box.scope" },
		{ "machine-x.slice:libpod:12ab", "libpod-12ab.scope", "/machine.slice/machine-x.slice/libpod-12ab.scope" },
		{ ":cri:ab", "cri-ab.scope", "/system.slice/cri-ab.scope" },
		{ "system.slice::ab", "ab.scope", "/system.slice/ab.scope" },
		{ "a.slice:x:a-b.slice", "a-b.slice", "/a.slice/a-b.slice" },
		{ "-.slice:x:y", "x-y.scope", "/x-y.scope" },
		{ "/a/b", NULL, NULL },
		{ "a.slice:b", NULL, NULL },
		{ "a.slice:b:c:d", NULL, NULL },
		{ "a.slice:b:c/../d", NULL, NULL },
		{ "a:b:c", NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		Err e = ERR_INIT;
		const char *inner = NULL;
		Cgroup cg = { 0 };
		CgroupRequest req = { .path = t[i].path, .id = "box", .driver = CGROUP_SYSTEMD };
		int r = cgroup_plan_unit(&place, &req, &a, &cg, &inner, &e);
		assert_int_equal(r >= 0, t[i].unit != NULL);
		if (r < 0) continue;
		assert_string_equal(cg.unit, t[i].unit);
		assert_string_equal(inner, t[i].inner);
	}
}

/* ---- a systemd in a child ---- */

enum { SEEN_MAX = 32 };

typedef struct Play {
	int sock;
	Buf in;
	uint32_t serial;
	int starts;
	FILE *log;
} Play;

static void say(Play *p, const Buf *m)
{
	if (write(p->sock, m->p, m->n) != (ssize_t)m->n) _exit(3);
}

static void answer(Play *p, const DBusMessage *call, const char *error, const char *signature, const Buf *body)
{
	AUTO_BUF m = BUF_INIT(4096);
	make_message(&m, error ? DBUS_ERROR : DBUS_RETURN, ++p->serial, call->serial, NULL, error, signature, body);
	say(p, &m);
}

static void run_job(Play *p, const DBusMessage *call, const char *unit, const char *result)
{
	AUTO_BUF path = BUF_INIT(256), body = BUF_INIT(512), m = BUF_INIT(4096);
	dbus_put_string(&path, "/org/freedesktop/systemd1/job/7");
	answer(p, call, NULL, "o", &path);
	static const char *const paths[] = { "/org/freedesktop/systemd1/job/6", "/org/freedesktop/systemd1/job/7" };
	for (size_t i = 0; i < 2; i++) { /* somebody else's job first */
		buf_reset(&body);
		dbus_put_u32(&body, 6 + (uint32_t)i);
		dbus_put_string(&body, paths[i]);
		dbus_put_string(&body, unit);
		dbus_put_string(&body, i ? result : "failed");
		make_message(&m, DBUS_SIGNAL, ++p->serial, 0, "JobRemoved", NULL, "uoss", &body);
	}
	say(p, &m);
}

static void act(Play *p, DBusMessage *call)
{
	AUTO_BUF body = BUF_INIT(512);
	fprintf(p->log, "%s", call->member);
	if (streq(call->member, "StartTransientUnit")) {
		const char *unit = dbus_get_string(&call->body);
		fprintf(p->log, " %s %s\n", unit, dbus_get_string(&call->body));
		dbus_put_string(&body, "exists");
		if (p->starts++ == 0)
			answer(p, call, "org.freedesktop.systemd1.UnitExists", "s", &body);
		else
			run_job(p, call, unit, streq(unit, "skep-bad.scope") ? "failed" : "done");
	} else if (streq(call->member, "StopUnit")) {
		const char *unit = dbus_get_string(&call->body);
		fprintf(p->log, " %s\n", unit);
		run_job(p, call, unit, "done");
	} else if (streq(call->member, "Get")) {
		(void)dbus_get_string(&call->body);
		fprintf(p->log, " %s\n", dbus_get_string(&call->body));
		dbus_put_signature(&body, "s");
		dbus_put_string(&body, "252.1-debian");
		answer(p, call, NULL, "v", &body);
	} else {
		fprintf(p->log, "\n");
		answer(p, call, NULL, NULL, NULL);
	}
}

static bool more(Play *p)
{
	char chunk[4096];
	ssize_t n = read(p->sock, chunk, sizeof chunk);
	if (n <= 0) return false;
	buf_put(&p->in, chunk, (size_t)n);
	return true;
}

/* One client from authentication to the end. */
static void serve(Play *p)
{
	while (!p->in.n || !memmem(p->in.p, p->in.n, "BEGIN\r\n", 7))
		if (!more(p)) return;
	size_t head = (size_t)((char *)memmem(p->in.p, p->in.n, "BEGIN\r\n", 7) - p->in.p) + 7;
	if (write(p->sock, "OK 1234\r\n", 9) != 9) _exit(4);
	buf_consume(&p->in, head);
	for (;;) {
		ssize_t size = p->in.n >= 16 ? dbus_size((const uint8_t *)p->in.p) : 0;
		if (size < 0) _exit(5);
		if (!size || p->in.n < (size_t)size) {
			if (!more(p)) return;
			continue;
		}
		DBusMessage call;
		if (dbus_parse((const uint8_t *)p->in.p, (size_t)size, &call) < 0) _exit(6);
		act(p, &call);
		buf_consume(&p->in, (size_t)size);
	}
}

static pid_t play_systemd(int listener, const char *log)
{
	pid_t pid = fork();
	if (pid) return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	Play p = { .log = fopen(log, "we"), .in = BUF_INIT(1 << 20) };
	if (p.log) setvbuf(p.log, NULL, _IONBF, 0); /* a call is in the log before its answer is out */
	while (p.log && (p.sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		buf_reset(&p.in);
		serve(&p);
		close(p.sock);
	}
	_exit(1);
}

static void units_start_change_and_stop(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char dir[] = "/tmp/skep-dbus-XXXXXX", text[4096];
	assert_non_null(mkdtemp(dir));
	char *address = arena_printf(&a, "unix:path=%s/none;unix:path=%s/bus%%2dx", dir, dir), *log = arena_printf(&a, "%s/log", dir);
	AUTO_FD int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int listener = fd_listen_unix(at, "bus-x", SOCK_STREAM, 0600);
	assert_true(listener >= 0);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	pid_t systemd = play_systemd(listener, log);
	CgroupHierarchy h = { .name = "", .mount = dir, .path = arena_printf(&a, "%s/system.slice/skep-box.scope", dir) };
	Cgroup cg = {
		.layout = CGROUP_V2, .driver = CGROUP_SYSTEMD, .unit = "skep-box.scope", .slice = "system.slice", .hierarchies = { &h, 1 }
	};
	StrPair pairs[] = { { "org.systemd.property.TimeoutStopSec", "1" }, { "other", "x" } };
	StrMap annotations = { pairs, 2 };
	CgroupResources r = { .memory.limit = { true, 1 << 20 }, .cpu.idle = { true, 1 } }, less = { .pids_limit = { true, 5 } },
			none = { 0 };
	int started = cgroup_start_unit(&cg, &r, &annotations, "box", 4242, &e);
	int changed = started < 0 ? started : cgroup_update_unit(&cg, &less, &e);
	int same = changed < 0 ? changed : cgroup_update_unit(&cg, &none, &e); /* nothing to say: no connection */
	int stopped = same < 0 ? same : cgroup_remove(&cg, 100, &e);
	Err refused = ERR_INIT;
	cg.unit = "skep-bad.scope";
	int bad = cgroup_start_unit(&cg, &none, NULL, "bad", 4242, &refused);
	kill(systemd, SIGKILL);
	waitpid(systemd, NULL, 0);
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
	assert_true(fd_read_small(AT_FDCWD, log, text, sizeof text) > 0);
	unlinkat(at, "log", 0);
	unlinkat(at, "bus-x", 0);
	unlinkat(at, "system.slice", AT_REMOVEDIR);
	rmdir(dir);
	if (stopped < 0) fail_msg("%s", e.msg);
	assert_true(bad < 0);
	assert_string_equal(refused.msg, "error creating systemd unit `skep-bad.scope`: got `failed`");
	assert_string_equal(text, "Hello\nAddMatch\nSubscribe\nGet Version\n"
				  "StartTransientUnit skep-box.scope replace\nResetFailedUnit\nStartTransientUnit skep-box.scope replace\n"
				  "Hello\nAddMatch\nSubscribe\nSetUnitProperties\n"
				  "Hello\nAddMatch\nSubscribe\nStopUnit skep-box.scope\nResetFailedUnit\n"
				  "Hello\nAddMatch\nSubscribe\nStartTransientUnit skep-bad.scope replace\nResetFailedUnit");
}

static void no_systemd_is_told(void **state)
{
	Err e = ERR_INIT;
	Cgroup cg = { .layout = CGROUP_V2, .driver = CGROUP_SYSTEMD, .unit = "skep-box.scope", .slice = "system.slice" };
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/at/all;tcp:host=x", 1);
	assert_true(cgroup_start_unit(&cg, NULL, NULL, "box", 4242, &e) < 0);
	assert_non_null(strstr(e.msg, "/nowhere/at/all"));
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_aligned),          cmocka_unit_test(readers_stop_at_the_end),
		cmocka_unit_test(nothing_malformed_is_taken),  cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(a_call_gets_its_own_answer),  cmocka_unit_test(errors_tell_what_the_peer_said),
		cmocka_unit_test(refusals_and_silence_end),    cmocka_unit_test(resources_become_properties),
		cmocka_unit_test(idle_needs_a_recent_systemd), cmocka_unit_test(annotations_are_converted),
		cmocka_unit_test(slices_lie_in_slices),        cmocka_unit_test(units_are_named),
		cmocka_unit_test(units_start_change_and_stop), cmocka_unit_test(no_systemd_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
