/* fuzz_passwd.c: user, a group to add, passwd and group file, separated by '|'. Whoever is found has ids in range and is one of those in the file, or
 * an id that was asked for. */
#include "fuzz.h"
#include "oci/passwd.h"

static bool is_digits(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9') return false;
	return s.n;
}

/* An id is itself; a name stands at the beginning of a line, or behind blanks there. */
static void check_id(Str asked, Str file, uint32_t id)
{
	uint32_t v;
	if (!asked.n) return;
	if (is_digits(asked)) {
		assert(str_to_u32(asked, &v) == 0 && v == id);
		return;
	}
	Str line, name, rest;
	bool known = false;
	while (str_next(&file, '\n', &line)) {
		str_cut(str_trim(line), ':', &name, &rest);
		known |= name.n == asked.n && memcmp(name.p, asked.p, name.n) == 0;
	}
	assert(known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Str user, add, passwd, group, name, in;
	Err e = ERR_INIT;
	PasswdUser u;
	str_cut((Str){ text, strlen(text) }, '|', &user, &add);
	str_cut(add, '|', &add, &passwd);
	str_cut(passwd, '|', &passwd, &group);
	char *who = arena_str(&a, user), *more = arena_str(&a, add);
	assert(who && more);
	StrList list = { .items = (const char *[]){ more, NULL }, .n = add.n ? 1 : 0 };
	if (passwd_find_user_in(passwd, group, who, &list, &a, &u, &e) < 0) {
		assert(*e.msg);
		return 0;
	}
	str_cut(user, ':', &name, &in);
	check_id(name, passwd, u.uid);
	check_id(in, group, u.gid);
	uint32_t added;
	bool listed = !is_digits(add) || str_to_u32(add, &added) < 0;
	for (size_t i = 0; !listed && i < u.groups.n; i++)
		listed = u.groups.items[i] == added;
	assert(listed);
	assert(u.groups.n && u.groups.items[0] == u.gid && u.uid <= PASSWD_ID_MAX);
	for (size_t i = 0; i < u.groups.n; i++)
		assert(u.groups.items[i] <= PASSWD_ID_MAX);
	assert(!u.home || *u.home);
	return 0;
}
