/* htpasswd.c: see htpasswd.h. */
#include "registry/htpasswd.h"

#include <crypt.h>
#include <fcntl.h>

#include "base/arena.h"
#include "sys/fd.h"

typedef struct User {
	const char *name, *hash;
} User;

struct Htpasswd {
	Arena arena;
	User *users;
	size_t n;
};

enum { HASH_LENGTH = 60, COST_MAX = 16 };

/* "$2y$10$" and 53 characters. A cost above 16 would hold a thread for seconds: refused with the file. */
static bool is_bcrypt(Str s)
{
	if (s.n != HASH_LENGTH || memcmp(s.p, "$2", 2) != 0 || (s.p[2] != 'a' && s.p[2] != 'b' && s.p[2] != 'y') || s.p[3] != '$' ||
	    s.p[6] != '$')
		return false;
	uint32_t cost;
	if (str_to_u32((Str){ s.p + 4, 2 }, &cost) < 0 || cost < 4 || cost > COST_MAX) return false;
	for (size_t i = 7; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/')) return false;
	}
	return true;
}

static int add_user(Htpasswd *h, Str line, const char *document, size_t number, Err *e)
{
	Str name, hash;
	if (!str_cut(line, ':', &name, &hash) || !name.n || !is_bcrypt(hash))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: line %zu: expected name:hash with a bcrypt hash of cost 4 to %d (htpasswd -B writes it)", document,
			       number, COST_MAX);
	char *user = arena_str(&h->arena, name), *text = arena_str(&h->arena, hash);
	if (!user || !text) return err_sys(e, ENOMEM, "read %s", document);
	if (htpasswd_hash(h, user))
		return err_set(e, ERR_CONFIG, EEXIST, "%s: line %zu: \"%s\" has a line already", document, number, user);
	h->users[h->n++] = (User){ user, text };
	return 0;
}

int htpasswd_parse(Str text, const char *document, Htpasswd **ret, Err *e)
{
	Htpasswd *h = calloc(1, sizeof *h);
	if (!h) return err_sys(e, ENOMEM, "read %s", document);
	size_t lines = 1, number = 0;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	h->arena = ARENA_INIT(2 * text.n + lines * sizeof(User) + 65536);
	h->users = arena_array(&h->arena, lines, sizeof(User));
	int r = h->users ? 0 : err_sys(e, ENOMEM, "read %s", document);
	Str line;
	while (r >= 0 && str_next(&text, '\n', &line)) {
		number++;
		line = str_trim(line);
		if (line.n && line.p[0] != '#') r = add_user(h, line, document, number, e);
	}
	if (r < 0) {
		htpasswd_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

int htpasswd_load(const char *path, Htpasswd **ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(HTPASSWD_FILE_MAX + 4096);
	char *text;
	size_t n;
	int r = fd_read_file(AT_FDCWD, path, HTPASSWD_FILE_MAX, &a, &text, &n, e);
	return r < 0 ? r : htpasswd_parse((Str){ text, n }, path, ret, e);
}

void htpasswd_free(Htpasswd *h)
{
	if (!h) return;
	arena_done(&h->arena);
	free(h);
}

const char *htpasswd_hash(const Htpasswd *h, const char *user)
{
	for (size_t i = 0; i < h->n; i++)
		if (streq(h->users[i].name, user)) return h->users[i].hash;
	return NULL;
}

bool htpasswd_check(const char *hash, const char *password)
{
	/* of no password at all: so an unknown user cannot be told by the time */
	static const char nobody[] = "$2y$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	const char *against = hash ? hash : nobody;
	AUTO_FREE struct crypt_data *data = calloc(1, sizeof *data);
	if (!data) return false;
	/* not crypt_r: AddressSanitizer puts its own in front of that, and then the library is not linked */
	const char *got = crypt_rn(password, against, data, sizeof *data);
	size_t n = strlen(against);
	if (!got || strlen(got) != n) return false;
	uint8_t differ = 0;
	for (size_t i = 0; i < n; i++)
		differ |= (uint8_t)(got[i] ^ against[i]);
	return differ == 0 && hash && strlen(password) <= HTPASSWD_PASSWORD_MAX;
}
