/* certs.c: see certs.h. */
#include "image/certs.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys/fd.h"

enum { PEM_MAX = 1 << 20 };

const char *user_config_dir(const char *name, Arena *a)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	if (xdg && *xdg == '/') return arena_printf(a, "%s/%s", xdg, name);
	return home && *home == '/' ? arena_printf(a, "%s/.config/%s", home, name) : NULL;
}

static int add_string(StrList *l, const char *s, Arena *a)
{
	const char **items = arena_array(a, l->n + 2, sizeof *items);
	if (!items || !s) return -ENOMEM;
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n] = s;
	*l = (StrList){ items, l->n + 1 };
	return 0;
}

static int take_cert(const char *dir, const char *name, Arena *a, Certs *to, Err *e)
{
	const char *path = arena_printf(a, "%s/%s", dir, name);
	if (!path) return err_sys(e, ENOMEM, "certificates");
	if (ends_with(name, ".crt")) return add_string(&to->ca, path, a) < 0 ? err_sys(e, ENOMEM, "certificates") : 0;
	bool is_cert = ends_with(name, ".cert"), is_key = ends_with(name, ".key");
	if (!is_cert && !is_key) return 0;
	int stem = (int)(strlen(path) - strlen(is_cert ? "cert" : "key"));
	const char *cert = arena_printf(a, "%.*scert", stem, path), *key = arena_printf(a, "%.*skey", stem, path);
	if (!cert || !key) return err_sys(e, ENOMEM, "certificates");
	if (is_cert && access(key, F_OK) < 0)
		return err_set(e, ERR_CONFIG, ENOENT, "missing key %s for client certificate %s: authorities have the extension .crt", key,
			       cert);
	if (is_key && access(cert, F_OK) < 0) return err_set(e, ERR_CONFIG, ENOENT, "missing client certificate %s for key %s", cert, key);
	if (is_key || to->cert) return 0;
	to->cert = cert;
	to->key = key;
	return 0;
}

int certs_find(const char *host, Arena *a, Certs *ret, Err *e)
{
	const char *const all[] = { user_config_dir("containers", a), user_config_dir("docker", a), "/etc/containers", "/etc/docker" };
	*ret = (Certs){ 0 };
	if (strchr(host, '/') || host[0] == '.') return err_set(e, ERR_CONFIG, EINVAL, "\"%.100s\" is no host", host);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *dir = all[i] ? arena_printf(a, "%s/certs.d/%s", all[i], host) : "";
		struct dirent **names;
		if (!dir) return err_sys(e, ENOMEM, "certificates");
		int n = *dir ? scandir(dir, &names, NULL, alphasort) : -1, x = 0;
		if (n < 0) continue;
		for (int k = 0; k < n; k++) {
			if (x >= 0) x = take_cert(dir, names[k]->d_name, a, ret, e);
			free(names[k]);
		}
		free(names);
		return x;
	}
	return 0;
}

/* The contents of PEM files, one after the other; NULL without any. */
static int read_pem(const StrList *files, Arena *a, const char **ret, Err *e)
{
	AUTO_BUF all = BUF_INIT(PEM_MAX);
	for (size_t i = 0; i < files->n; i++) {
		char *text;
		size_t n;
		int r = fd_read_file(AT_FDCWD, files->items[i], PEM_MAX, a, &text, &n, e);
		if (r < 0) return r;
		buf_put(&all, text, n);
		buf_putc(&all, '\n');
	}
	*ret = files->n ? arena_strdup(a, buf_str(&all)) : NULL;
	return files->n && (buf_failed(&all) || !*ret) ? err_sys(e, ENOMEM, "certificates") : 0;
}

static int read_one(const char *file, Arena *a, const char **ret, Err *e)
{
	const StrList one = { (const char *[]){ file }, file ? 1 : 0 };
	return read_pem(&one, a, ret, e);
}

int certs_read(const Certs *c, Arena *a, TransferEndpoint *to, Err *e)
{
	int r = read_pem(&c->ca, a, &to->ca, e);
	if (r >= 0) r = read_one(c->cert, a, &to->cert, e);
	return r < 0 ? r : read_one(c->key, a, &to->key, e);
}
