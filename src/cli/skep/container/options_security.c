/* options_security.c: namespaces, --security-opt, capabilities, --sysctl, --storage-opt, --annotation. */
#include <ctype.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include "cli/skep/container/options_impl.h"
#include "sys/fd.h"

enum { PROFILE_MAX = 16 << 20 };

/* ---- namespaces ---- */

static bool is_one_of(const char *s, const char *a, const char *b)
{
	return !s || streq(s, a) || (b && streq(s, b));
}

static bool is_pid_mode(const char *s)
{
	return is_one_of(s, "host", NULL) || (starts_with(s, "container:") && s[strlen("container:")]);
}

/* docker's "host", and podman's */
static bool is_userns_mode(const char *s)
{
	static const char *const alone[] = { "host", "private", "auto", "keep-id", "nomap" }, *const more[] = { "auto:", "keep-id:",
														"container:", "ns:" };
	if (!s) return true;
	for (size_t i = 0; i < ARRAY_LEN(alone); i++)
		if (streq(s, alone[i])) return true;
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (starts_with(s, more[i]) && s[strlen(more[i])]) return true;
	return false;
}

int options_namespaces(const OptionParse *p)
{
	HostConfig *h = &p->to->host;
	if (!is_pid_mode(h->pid_mode)) return err_set(p->e, ERR_USAGE, EINVAL, "--pid: invalid PID mode");
	if (!is_one_of(h->uts_mode, "host", NULL)) return err_set(p->e, ERR_USAGE, EINVAL, "--uts: invalid UTS mode");
	if (!is_userns_mode(h->userns_mode)) return err_set(p->e, ERR_USAGE, EINVAL, "--userns: invalid USER mode");
	if (!is_one_of(h->cgroupns_mode, "private", "host")) return err_set(p->e, ERR_USAGE, EINVAL, "--cgroupns: invalid CGROUP mode");
	bool mapped = h->uid_map.n || h->gid_map.n || h->subuid_name || h->subgid_name;
	if (h->userns_mode && mapped)
		return err_set(p->e, ERR_USAGE, EINVAL,
			       "conflicting options: --userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive");
	return 0;
}

/* ---- --security-opt ---- */

static int read_profile(const char *path, Buf *b, Err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return err_sys(e, errno, "open %.*s", SHOWN, path);
	int r = fd_read_all(fd, b);
	return r < 0 ? err_sys(e, -r, "read %.*s", SHOWN, path) : 0;
}

/* "seccomp={…}" from the file's name. */
static int take_profile(const OptionParse *p, const char *path, const char **ret)
{
	AUTO_BUF file = BUF_INIT(PROFILE_MAX), compact = BUF_INIT(PROFILE_MAX);
	if (read_profile(path, &file, p->e) < 0) return err_wrap(p->e, "opening seccomp profile (%.*s) failed", SHOWN, path);
	if (json_compact((Str){ buf_str(&file), file.n }, &compact, p->e) < 0)
		return err_wrap(p->e, "compacting json for seccomp profile (%.*s) failed", SHOWN, path);
	*ret = arena_printf(p->arena, "seccomp=%s", buf_str(&compact));
	return *ret && !buf_failed(&compact) ? 0 : no_memory(p->e);
}

/* "name=value" or, as it once was, "name:value"; "no-new-privileges" needs no value. */
static int take_security_option(const OptionParse *p, const char *text)
{
	Str name, value;
	bool cut = str_cut(str_of(text), '=', &name, &value);
	bool alone = str_eq(name, "no-new-privileges");
	const char *option = text;
	if (!cut && !alone) cut = str_cut(str_of(text), ':', &name, &value);
	if ((!cut || !value.n) && !str_eq(name, "no-new-privileges"))
		return err_set(p->e, ERR_USAGE, EINVAL, "Invalid --security-opt: \"%.*s\"", SHOWN, text);
	if (streq(text, "systempaths=unconfined")) {
		p->to->host.masked_paths_set = p->to->host.readonly_paths_set = true;
		return 0;
	}
	if (str_eq(name, "seccomp") && !str_eq(value, "builtin") && !str_eq(value, "unconfined")) {
		int r = take_profile(p, value.p, &option);
		if (r < 0) return r;
	}
	return str_list_add(&p->to->host.security_opt, option, p->arena) < 0 ? no_memory(p->e) : 0;
}

/* ---- capabilities: as docker's client sends them: with CAP_, each once, sorted ---- */

static const char *full_name(Arena *a, const char *name)
{
	char *full = arena_printf(a, "%s%s", strncasecmp(name, "CAP_", 4) == 0 || strcasecmp(name, "ALL") == 0 ? "" : "CAP_", name);
	for (char *c = full; c && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return full;
}

static int take_capabilities(const OptionParse *p, const char *option, StrList *to)
{
	const StrList *given = option_list(p->in, option);
	for (size_t i = 0; i < given->n; i++) {
		const char *name = full_name(p->arena, given->items[i]);
		if (name && str_list_has(to, name)) continue;
		if (str_list_add(to, name, p->arena) < 0) return -ENOMEM;
	}
	str_list_sort(to);
	return 0;
}

/* ---- sysctls ---- */

int check_sysctl(const char *text, Err *e)
{
	static const char *const names[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
					     "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced" };
	Str name, value;
	bool pair = str_cut(str_of(text), '=', &name, &value), good = str_starts(name, "net.") || str_starts(name, "fs.mqueue.");
	for (size_t i = 0; !good && i < ARRAY_LEN(names); i++)
		good = str_eq(name, names[i]);
	return pair && good ? 0 : err_set(e, ERR_USAGE, EINVAL, "sysctl '%.*s' is not allowed", SHOWN, text);
}

/* ---- all of it ---- */

int options_security(const OptionParse *p)
{
	HostConfig *h = &p->to->host;
	const StrList *security = option_list(p->in, "security-opt"), *storage = option_list(p->in, "storage-opt");
	int r = 0;
	for (size_t i = 0; r >= 0 && i < security->n; i++)
		r = take_security_option(p, security->items[i]);
	for (size_t i = 0; r >= 0 && i < storage->n; i++)
		if (!strchr(storage->items[i], '=')) r = err_set(p->e, ERR_USAGE, EINVAL, "invalid storage option");
	if (r < 0) return r;
	r = option_map(p->in, "storage-opt", &h->storage_opt);
	if (r >= 0) r = option_map(p->in, "sysctl", &h->sysctls);
	if (r >= 0) r = option_map(p->in, "annotation", &h->annotations);
	if (r >= 0) r = take_capabilities(p, "cap-add", &h->cap_add);
	if (r >= 0) r = take_capabilities(p, "cap-drop", &h->cap_drop);
	return r < 0 ? no_memory(p->e) : 0;
}
