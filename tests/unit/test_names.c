/* test_names.c: who is found by whom under which name, and that everything is gone with its container. */
#include "alloc.h"
#include "check.h"
#include "link/names.h"

#define V4(a, b, c, d) .v4 = { a, b, c, d }, .has_v4 = true, .v4_bits = 24
#define V6(last) .v6 = { 0xfd, 1, [15] = last }, .has_v6 = true, .v6_bits = 64
#define NAMES_OF(...) .names = (const char *const[]){ __VA_ARGS__ }, .names_n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)

static Names *new_names(void)
{
	Names *t;
	Err e = ERR_INIT;
	assert_int_equal(names_new(&t, &e), 0);
	return t;
}

static NamesMember *add(Names *t, const char *id, size_t n, const NamesNetwork *networks)
{
	NamesMember *m = NULL;
	Err e = ERR_INIT;
	if (names_add(t, &(NamesContainer){ .id = id, .networks = networks, .networks_n = n }, &m, &e) < 0) fail_msg("%s", e.msg);
	return m;
}

/* The last bytes of the addresses found, as text; "-" for an unknown name. */
static const char *find_max(Names *t, const NamesMember *m, const char *name, size_t size, size_t max)
{
	static char text[1 << 12];
	uint8_t to[16 * 256];
	size_t n = 0, out = 0;
	assert_true(max <= 256);
	if (!names_find(t, m, str_of(name), size, to, max, &n)) return "-";
	text[0] = 0;
	for (size_t i = 0; i < n && i < max; i++)
		out += (size_t)snprintf(text + out, sizeof text - out, "%s%u", i ? " " : "", to[i * size + size - 1]);
	return text;
}

static const char *find4(Names *t, const NamesMember *m, const char *name)
{
	return find_max(t, m, name, 4, 256);
}

static const char *find6(Names *t, const NamesMember *m, const char *name)
{
	return find_max(t, m, name, 16, 256);
}

static const char *reverse(Names *t, const NamesMember *m, uint8_t b, uint8_t d)
{
	static char text[NAMES_REVERSE_MAX];
	return names_find_address(t, m, (const uint8_t[]){ 10, b, 0, d }, 4, text) ? text : "-";
}

static void names_of_shared_networks_only(void **state)
{
	Names *t = new_names();
	(void)state;
	NamesMember *web = add(t, "web", 1, &(NamesNetwork){ "n1", "front", { V4(10, 1, 0, 2) }, NAMES_OF("Web", "www", "0123456789ab") });
	NamesMember *db = add(t, "db", 1, &(NamesNetwork){ "n2", "back", { V4(10, 2, 0, 3), V6(3) }, NAMES_OF("db") });
	NamesMember *app = add(t, "app", 2,
			       (NamesNetwork[]){ { "n1", "front", { V4(10, 1, 0, 4) }, NAMES_OF("app") },
						 { "n2", "back", { V4(10, 2, 0, 4) }, NAMES_OF("app", "two") } });
	assert_string_equal(find4(t, web, "web"), "2"); /* its own */
	assert_string_equal(find4(t, app, "www"), "2");
	assert_string_equal(find4(t, app, "0123456789ab"), "2");
	assert_string_equal(find4(t, app, "www.front"), "2");
	assert_string_equal(find4(t, app, "www.back"), "-");
	assert_string_equal(find4(t, app, "db"), "3");
	assert_string_equal(find6(t, app, "db"), "3");
	assert_string_equal(find6(t, app, "web"), ""); /* known, without one */
	assert_string_equal(find4(t, web, "db"), "-");
	assert_string_equal(find4(t, web, "db.back"), "-");
	assert_string_equal(find4(t, db, "web"), "-");
	assert_string_equal(find4(t, web, "two"), "-");
	assert_string_equal(find4(t, db, "two"), "4");
	assert_string_equal(find4(t, app, "we"), "-");
	assert_string_equal(find4(t, app, ""), "-");
	assert_string_equal(find4(t, app, ".front"), "-");
	assert_string_equal(find4(t, app, "front"), "-");
	assert_string_equal(reverse(t, app, 1, 2), "web.front");
	assert_string_equal(reverse(t, app, 2, 4), "app.back");
	assert_string_equal(reverse(t, db, 1, 2), "-");
	assert_string_equal(reverse(t, app, 1, 9), "-");
	assert_true(names_is_near(app, (const uint8_t[]){ 10, 1, 0, 250 }, 4) && names_is_near(app, (const uint8_t[]){ 10, 2, 0, 250 }, 4));
	assert_false(names_is_near(app, (const uint8_t[]){ 10, 3, 0, 250 }, 4) || names_is_near(web, (const uint8_t[]){ 10, 2, 0, 3 }, 4));
	assert_true(names_is_near(db, (const uint8_t[16]){ 0xfd, 1, [14] = 9 }, 16));
	assert_false(names_is_near(db, (const uint8_t[16]){ 0xfd, 2 }, 16) || names_is_near(web, (const uint8_t[16]){ 0xfd, 1 }, 16));
	names_free(t);
}

static void dots_in_names_and_networks(void **state)
{
	Names *t = new_names();
	(void)state;
	NamesMember *m = add(t, "m", 3,
			     (NamesNetwork[]){ { "n1", "c.d", { V4(10, 1, 0, 1) }, NAMES_OF("a.b", "x") },
					       { "n2", "D", { V4(10, 2, 0, 2) }, NAMES_OF("a.b.c", "y") },
					       { "n3", "e", { V4(10, 3, 0, 3) }, NAMES_OF("y.d", "x") } });
	assert_string_equal(find4(t, m, "a.b.c.d"), "2"); /* the shortest network name first */
	assert_string_equal(find4(t, m, "a.b"), "1");
	assert_string_equal(find4(t, m, "y.d"), "3"); /* the whole name before any network's */
	assert_string_equal(find4(t, m, "x"), "1");   /* the first network alone */
	assert_string_equal(find4(t, m, "x.e"), "3");
	assert_string_equal(find4(t, m, "x.c.d"), "1");
	assert_string_equal(find4(t, m, "x.d"), "-");
	names_free(t);
}

static void aliases_take_turns(void **state)
{
	Names *t = new_names();
	NamesMember *m[4];
	(void)state;
	for (uint8_t i = 0; i < 4; i++) {
		const char id[] = { (char)('a' + i), 0 };
		m[i] = add(t, id, 1, &(NamesNetwork){ "n", "net", { V4(10, 1, 0, i) }, NAMES_OF(id, "all", "all") });
	}
	NamesMember *six = add(t, "six", 1, &(NamesNetwork){ "n", "net", { V6(6) }, NAMES_OF("six", "all") });
	assert_string_equal(find4(t, m[0], "all"), "0 1 2 3");
	assert_string_equal(find6(t, m[0], "all"), "6"); /* does not take a turn of the other's */
	assert_string_equal(find4(t, m[0], "all"), "1 2 3 0");
	assert_string_equal(find_max(t, m[1], "all", 4, 2), "2 3");
	names_remove(t, m[3]); /* whose turn it is */
	assert_string_equal(find4(t, m[0], "all"), "0 1 2");
	names_remove(t, six);
	assert_string_equal(find6(t, m[0], "all"), "");
	names_remove(t, m[0]);
	names_remove(t, m[2]);
	assert_string_equal(find4(t, m[1], "all"), "1");
	assert_string_equal(find4(t, m[1], "all"), "1");
	assert_string_equal(find4(t, m[1], "a"), "-");
	assert_string_equal(reverse(t, m[1], 1, 0), "-");
	names_free(t);
}

static void links_are_ones_own(void **state)
{
	Names *t = new_names();
	NamesMember *app;
	Err e = ERR_INIT;
	const NamesLink links[] = { { "DB", { V4(10, 1, 0, 7) } }, { "web", { V4(10, 1, 0, 8) } } };
	const NamesNetwork network = { "n", "net", { V4(10, 1, 0, 1) }, NAMES_OF("app") };
	(void)state;
	NamesMember *web = add(t, "web", 1, &(NamesNetwork){ "n", "net", { V4(10, 1, 0, 2), V6(2) }, NAMES_OF("web") });
	assert_int_equal(names_add(t, &(NamesContainer){ "app", &network, 1, links, 2, true }, &app, &e), 0);
	assert_true(names_internal(app) && !names_internal(web) && names_member(t, "app") == app);
	assert_string_equal(names_id(app), "app");
	assert_string_equal(find4(t, app, "db"), "7");
	assert_string_equal(find4(t, app, "db.net"), "7");
	assert_string_equal(find4(t, app, "db.other"), "-");
	assert_string_equal(find4(t, app, "web"), "8"); /* before the name of another */
	assert_string_equal(find6(t, app, "web"), "");
	assert_string_equal(find4(t, web, "db"), "-");
	assert_string_equal(find4(t, web, "web"), "2");
	names_free(t);
}

static int try(Names *t, const NamesContainer *c)
{
	NamesMember *m;
	Err e = ERR_INIT;
	int r = names_add(t, c, &m, &e);
	if (r < 0 && !*e.msg) fail_msg("no reason for %d", r);
	return r;
}

static int try_name(Names *t, const char *name)
{
	return try(t, &(NamesContainer){ "x", &(NamesNetwork){ "n", "net", { V4(10, 1, 0, 1) }, .names = &name, .names_n = 1 }, 1 });
}

static void limits_hold(void **state)
{
	Names *t = new_names();
	const char *many[NAMES_MAX + 1];
	NamesNetwork nets[NAMES_NETWORKS_MAX + 1];
	NamesLink links[NAMES_LINKS_MAX + 1];
	char ids[NAMES_NETWORKS_MAX + 1][8], longest[300];
	(void)state;
	memset(longest, 'a', sizeof longest);
	for (size_t i = 63; i < sizeof longest; i += 64)
		longest[i] = '.';
	longest[254] = 0;
	assert_int_equal(try_name(t, longest), -EINVAL);
	assert_int_equal(try_name(t, ""), -EINVAL);
	assert_int_equal(try_name(t, "a b"), -EINVAL);
	assert_int_equal(try_name(t, "a..b"), -EINVAL);
	assert_int_equal(try_name(t, ".a"), -EINVAL);
	assert_int_equal(try_name(t, "a."), -EINVAL);
	assert_int_equal(try_name(t, "\xc3\xa4"), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "name";
	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		snprintf(ids[i], sizeof ids[i], "n%zu", i);
		nets[i] = (NamesNetwork){ ids[i], ids[i], { V4(10, 1, 0, 1) }, many, NAMES_MAX };
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		links[i] = (NamesLink){ .name = "link" };
	assert_int_equal(try(t, &(NamesContainer){ "x", nets, NAMES_NETWORKS_MAX + 1 }), -E2BIG);
	assert_int_equal(try(t, &(NamesContainer){ "x", NULL, 0, links, NAMES_LINKS_MAX + 1 }), -E2BIG);
	assert_int_equal(try(t, &(NamesContainer){ "x", (NamesNetwork[]){ nets[0], nets[0] }, 2 }), -EINVAL);
	nets[0].names_n++;
	assert_int_equal(try(t, &(NamesContainer){ "x", nets, 1 }), -E2BIG);
	nets[0].names_n = 0;
	assert_int_equal(try(t, &(NamesContainer){ "x", nets, 1 }), -EINVAL);
	nets[0].names_n = NAMES_MAX;
	assert_int_equal(try(t, &(NamesContainer){ "", nets, 1 }), -EINVAL);
	longest[253] = 0;
	many[1] = longest;
	assert_int_equal(try(t, &(NamesContainer){ "x", nets, NAMES_NETWORKS_MAX, links, NAMES_LINKS_MAX }), 0);
	assert_int_equal(try(t, &(NamesContainer){ "x", nets, 1 }), -EEXIST);
	assert_string_equal(find4(t, names_member(t, "x"), longest), "1");
	names_free(t);
}

/* The table grows with 5,000 containers of 4 names; adding and removing in every order leaves nothing. */
static void thousands_come_and_go(void **state)
{
	enum { N = 5000 };
	static NamesMember *m[N];
	Names *t = new_names();
	char id[16], alias[16], name[32];
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			snprintf(id, sizeof id, "c%u", i);
			snprintf(alias, sizeof alias, "group%u", i % 50);
			m[i] = add(t, id, 1,
				   &(NamesNetwork){ "n",
						    "net",
						    { .v4 = { 10, (uint8_t)(i >> 8), (uint8_t)i, 1 }, .has_v4 = true },
						    NAMES_OF(id, alias, "everybody") });
		}
		for (unsigned i = 0; i < N; i += 7) {
			size_t n;
			uint8_t to[4];
			const int name_n = snprintf(name, sizeof name, "c%u.net", i);
			assert_true(names_find(t, m[N - 1 - i], (Str){ name, (size_t)name_n }, 4, to, 1, &n));
			assert_true(n == 1 && to[1] == i >> 8 && to[2] == (uint8_t)i);
			assert_true(names_find(t, m[i], STR("group0"), 4, to, 1, &n) && n == N / 50);
			assert_true(names_find(t, m[i], STR("everybody"), 4, to, 1, &n) && n == N);
		}
		for (unsigned i = 0; i < N; i++)
			names_remove(t, m[round ? N - 1 - i : i * 7 % N]);
		assert_null(names_member(t, "c0"));
	}
	names_free(t);
}

/* Each allocation fails in turn: nothing has changed, and nothing is lost. */
static void without_memory_nothing_changes(void **state)
{
	Names *t = new_names();
	const NamesNetwork nets[] = { { "n1", "one", { V4(10, 1, 0, 1), V6(1) }, NAMES_OF("a", "b") },
				      { "n2", "two", { V4(10, 2, 0, 1) }, NAMES_OF("a", "c") } };
	const NamesLink link = { "l", { V4(10, 1, 0, 9) } };
	(void)state;
	NamesMember *m = add(t, "other", 1, &(NamesNetwork){ "n1", "one", { V4(10, 1, 0, 2) }, NAMES_OF("b") });
	int r = -ENOMEM;
	for (int i = 1; r < 0; i++) {
		assert_true(i < 50);
		allocation_to_fail = (unsigned long)i;
		r = try(t, &(NamesContainer){ "x", nets, 2, &link, 1 });
		allocation_to_fail = 0;
		assert_true(r == 0 || r == -ENOMEM);
		if (r < 0) assert_string_equal(find4(t, m, "b"), "2");
		if (r < 0) assert_null(names_member(t, "x"));
	}
	assert_string_equal(find4(t, m, "b"), "2 1");
	names_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_shared_networks_only),
		cmocka_unit_test(dots_in_names_and_networks),
		cmocka_unit_test(aliases_take_turns),
		cmocka_unit_test(links_are_ones_own),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(thousands_come_and_go),
		cmocka_unit_test(without_memory_nothing_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
