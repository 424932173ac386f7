/* options_mount.c: --mount: docker's keys, and podman's for what docker has no key for. */
#include <ctype.h>

#include "base/size.h"
#include "cli/skep/container/options_impl.h"

/* One --mount while its fields are read: the options of all types stand here, those that were named are handed out. */
typedef struct MountParse {
	Arena *arena;
	MountRequest *to;
	BindOptions bind;
	VolumeOptions volume;
	VolumeDriverConfig driver;
	TmpfsOptions tmpfs;
	ImageMountOptions image;
	bool has_bind, has_volume, has_tmpfs, has_image;
	const char *subpath; /* podman's, of the type that it turns out to be */
	bool writable;       /* rw was said */
	Err *e;
} MountParse;

typedef struct MountField {
	const char *key, *value; /* the key in small letters */
	const char *text;        /* the whole field */
} MountField;

static int bad_value(const MountParse *m, const MountField *f)
{
	return err_set(m->e, ERR_USAGE, EINVAL, "invalid value for %s: %.*s", f->key, SHOWN, f->value);
}

static char *small_letters(Arena *a, Str s)
{
	char *p = arena_str(a, s);
	for (char *c = p; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return p;
}

static int set_small(const MountParse *m, const char **to, const char *value)
{
	*to = small_letters(m->arena, str_of(value));
	return *to ? 0 : no_memory(m->e);
}

static int set_bool(const MountParse *m, const MountField *f, bool *to)
{
	return str_to_bool(f->value, to) < 0 ? bad_value(m, f) : 0;
}

static int set_pair(const MountParse *m, StrMap *to, const char *text)
{
	Str key, value;
	str_cut(str_of(text), '=', &key, &value);
	if (!key.n) return 0;
	return str_map_set(to, arena_str(m->arena, key), arena_str(m->arena, value), m->arena) < 0 ? no_memory(m->e) : 0;
}

/* ---- keys, by what they belong to; 1: not one of these ---- */

static int set_general(MountParse *m, const MountField *f)
{
	MountRequest *to = m->to;
	if (streq(f->key, "type")) return set_small(m, &to->type, f->value);
	if (streq(f->key, "consistency")) return set_small(m, &to->consistency, f->value);
	if (streq(f->key, "readonly") || streq(f->key, "ro")) return set_bool(m, f, &to->read_only);
	if (streq(f->key, "u") || streq(f->key, "chown")) return set_bool(m, f, &to->chown);
	if (streq(f->key, "rw") || streq(f->key, "readwrite")) {
		if (set_bool(m, f, &m->writable) < 0) return -EINVAL;
		to->read_only = !m->writable;
		return 0;
	}
	if (streq(f->key, "subpath")) {
		m->subpath = f->value;
		return 0;
	}
	if (streq(f->key, "target") || streq(f->key, "dst") || streq(f->key, "destination")) {
		to->target = f->value;
		return 0;
	}
	if (!streq(f->key, "source") && !streq(f->key, "src")) return 1;
	to->source = *f->value == '.' ? absolute_path(m->arena, f->value) : f->value;
	return to->source ? 0 : no_memory(m->e);
}

static int set_recursion(MountParse *m, const MountField *f)
{
	BindOptions *b = &m->bind;
	if (streq(f->value, "enabled")) return 0;
	if (streq(f->value, "disabled"))
		b->non_recursive = true;
	else if (streq(f->value, "writable"))
		b->read_only_non_recursive = true;
	else if (streq(f->value, "readonly"))
		b->read_only_force_recursive = true;
	else
		return err_set(m->e, ERR_USAGE, EINVAL,
			       "invalid value for %s: %.*s (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")", f->key,
			       SHOWN, f->value);
	m->has_bind |= !streq(f->value, "enabled");
	return 0;
}

/* docker's switches are "true" and "false"; podman's idmap also says which ids. */
static int set_idmap(MountParse *m, const MountField *f)
{
	bool yes = true;
	m->bind.idmap = strchr(f->value, '=') ? f->value : "";
	if (*m->bind.idmap) return 0;
	int r = set_bool(m, f, &yes);
	if (!yes) m->bind.idmap = NULL;
	return r;
}

static int set_bind(MountParse *m, const MountField *f)
{
	if (streq(f->key, "bind-recursive")) return set_recursion(m, f);
	bool propagation = streq(f->key, "bind-propagation"), nonrecursive = streq(f->key, "bind-nonrecursive");
	if (!propagation && !nonrecursive && !streq(f->key, "relabel") && !streq(f->key, "idmap")) return 1;
	m->has_bind = true;
	if (propagation) return set_small(m, &m->bind.propagation, f->value);
	if (nonrecursive) return set_bool(m, f, &m->bind.non_recursive);
	if (streq(f->key, "idmap")) return set_idmap(m, f);
	m->bind.relabel = f->value;
	if (streq(f->value, "shared") || streq(f->value, "private")) return 0;
	return err_set(m->e, ERR_USAGE, EINVAL, "invalid value for relabel: %.*s (must be \"shared\" or \"private\")", SHOWN, f->value);
}

static int set_volume(MountParse *m, const MountField *f)
{
	VolumeOptions *v = &m->volume;
	if (!starts_with(f->key, "volume-")) return 1;
	const char *key = f->key + strlen("volume-");
	m->has_volume = true;
	if (streq(key, "label")) return set_pair(m, &v->labels, f->value);
	if (streq(key, "opt")) return set_pair(m, &m->driver.options, f->value);
	if (streq(key, "nocopy")) return set_bool(m, f, &v->no_copy);
	if (streq(key, "subpath"))
		v->subpath = f->value;
	else if (streq(key, "driver"))
		m->driver.name = f->value;
	else
		return 1;
	return 0;
}

static int set_tmpfs(MountParse *m, const MountField *f)
{
	bool size = streq(f->key, "tmpfs-size");
	uint64_t mode = 0;
	Err why = ERR_INIT;
	if (!size && !streq(f->key, "tmpfs-mode")) return 1;
	m->has_tmpfs = true;
	if (size) return size_parse(str_of(f->value), SIZE_BINARY, &m->tmpfs.size_bytes, &why) < 0 ? bad_value(m, f) : 0;
	if (str_to_u64_base(str_of(f->value), 8, &mode) < 0 || mode > UINT32_MAX) return bad_value(m, f);
	m->tmpfs.mode = (uint32_t)mode;
	return 0;
}

static int set_image(MountParse *m, const MountField *f)
{
	if (!streq(f->key, "image-subpath")) return 1;
	m->has_image = true;
	m->image.subpath = f->value;
	return 0;
}

/* A field without "=". */
static int set_word(MountParse *m, const MountField *f)
{
	static const char *const flags[] = {
		"exec", "noexec", "suid", "nosuid", "dev", "nodev", "bind", "rbind", "tmpcopyup", "notmpcopyup"
	};
	const struct {
		const char *key;
		bool *to, *has;
	} words[] = { { "readonly", &m->to->read_only, NULL },
		      { "ro", &m->to->read_only, NULL },
		      { "volume-nocopy", &m->volume.no_copy, &m->has_volume },
		      { "bind-nonrecursive", &m->bind.non_recursive, &m->has_bind },
		      { "rw", &m->writable, NULL },
		      { "readwrite", &m->writable, NULL },
		      { "u", &m->to->chown, NULL },
		      { "chown", &m->to->chown, NULL } };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!streq(f->key, words[i].key)) continue;
		*words[i].to = true;
		if (words[i].has) *words[i].has = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (streq(f->key, flags[i])) return str_list_add(&m->to->flags, flags[i], m->arena) < 0 ? no_memory(m->e) : 0;
	if (!streq(f->key, "idmap"))
		return err_set(m->e, ERR_USAGE, EINVAL, "invalid field '%.*s' must be a key=value pair", SHOWN, f->text);
	m->bind.idmap = "";
	m->has_bind = true;
	return 0;
}

static int set_field(MountParse *m, const char *text)
{
	static int (*const sets[])(MountParse * m, const MountField *f) = { set_general, set_bind, set_volume, set_tmpfs, set_image };
	Str key, value;
	bool pair = str_cut(str_of(text), '=', &key, &value);
	MountField f = { small_letters(m->arena, key), value.p, text };
	if (!f.key) return no_memory(m->e);
	if (!pair) return set_word(m, &f);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		int r = sets[i](m, &f);
		if (r <= 0) return r;
	}
	return err_set(m->e, ERR_USAGE, EINVAL, "unexpected key '%.*s' in '%.*s'", SHOWN, f.key, SHOWN, text);
}

/* ---- all of it ---- */

/* What podman says in the same words for several types. */
static int hand_out(MountParse *m)
{
	const MountRequest *to = m->to;
	bool image = streq(to->type, "image"), volume = streq(to->type, "volume");
	if (m->subpath && !image && !volume)
		return err_set(m->e, ERR_USAGE, EINVAL, "cannot mix 'subpath' with mount type '%.*s'", SHOWN, to->type);
	if (m->subpath && image) m->image.subpath = m->subpath;
	if (m->subpath && volume) m->volume.subpath = m->subpath;
	m->image.writable = image && m->writable;
	m->has_image |= image && (m->subpath || m->writable);
	m->has_volume |= volume && m->subpath;
	if (to->chown && !streq(to->type, "bind") && !volume)
		return err_set(m->e, ERR_USAGE, EINVAL, "cannot mix 'chown' with mount type '%.*s'", SHOWN, to->type);
	for (size_t i = 0; i < to->flags.n; i++)
		if (strstr(to->flags.items[i], "tmpcopyup") && !streq(to->type, "tmpfs"))
			return err_set(m->e, ERR_USAGE, EINVAL, "cannot mix '%s' with mount type '%.*s'", to->flags.items[i], SHOWN,
				       to->type);
	return 0;
}

static int check_types(const MountParse *m)
{
	const struct {
		bool has;
		const char *type;
	} rows[] = { { m->has_volume, "volume" }, { m->has_image, "image" }, { m->has_bind, "bind" }, { m->has_tmpfs, "tmpfs" } };
	if (!*m->to->type) return err_set(m->e, ERR_USAGE, EINVAL, "type is required");
	if (!m->to->target || !*m->to->target) return err_set(m->e, ERR_USAGE, EINVAL, "target is required");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].has && !streq(m->to->type, rows[i].type))
			return err_set(m->e, ERR_USAGE, EINVAL, "cannot mix '%s-*' options with mount type '%.*s'", rows[i].type, SHOWN,
				       m->to->type);
	return 0;
}

static int check_recursion(const MountParse *m)
{
	const BindOptions *b = &m->bind;
	if (b->read_only_non_recursive && !m->to->read_only)
		return err_set(m->e, ERR_USAGE, EINVAL,
			       "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
	if (!b->read_only_force_recursive) return 0;
	if (!m->to->read_only)
		return err_set(m->e, ERR_USAGE, EINVAL,
			       "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
	if (!b->propagation || !streq(b->propagation, "rprivate"))
		return err_set(m->e, ERR_USAGE, EINVAL,
			       "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
	return 0;
}

static const void *keep(const MountParse *m, const void *p, size_t n)
{
	void *copy = arena_alloc(m->arena, n);
	return copy ? memcpy(copy, p, n) : NULL;
}

#define KEEP(field) keep(&m, &m.field, sizeof m.field)

int mount_parse(const char *text, Arena *a, MountRequest *ret, Err *e)
{
	StrList fields;
	MountParse m = { .arena = a, .to = ret, .e = e };
	*ret = (MountRequest){ .type = "volume" };
	int r = csv_parse(text, a, &fields, e);
	for (size_t i = 0; r >= 0 && i < fields.n; i++)
		r = set_field(&m, fields.items[i]);
	if (r >= 0) r = check_types(&m);
	if (r >= 0) r = hand_out(&m);
	if (r >= 0) r = check_recursion(&m);
	if (r < 0) return r;
	if (m.has_volume && (m.driver.name || m.driver.options.n)) m.volume.driver_config = KEEP(driver);
	if (m.has_bind) ret->bind = KEEP(bind);
	if (m.has_volume) ret->volume = KEEP(volume);
	if (m.has_tmpfs) ret->tmpfs = KEEP(tmpfs);
	if (m.has_image) ret->image = KEEP(image);
	bool kept = (!m.has_bind || ret->bind) && (!m.has_volume || ret->volume) && (!m.has_tmpfs || ret->tmpfs) &&
		    (!m.has_image || ret->image) && (!m.driver.name || m.volume.driver_config);
	return kept ? 0 : no_memory(e);
}

int check_mount(const char *text, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(CHECK_ARENA_MAX);
	MountRequest ignored;
	return mount_parse(text, &a, &ignored, e);
}

int options_mounts(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "mount");
	MountRequest *items = arena_array(p->arena, given->n + 1, sizeof *items);
	int r = items ? 0 : no_memory(p->e);
	for (size_t i = 0; r >= 0 && i < given->n; i++) {
		r = mount_parse(given->items[i], p->arena, &items[i], p->e);
		if (strstr(given->items[i], "bind-nonrecursive="))
			log_write(&p->in->log, LOG_WARN, "bind-nonrecursive is deprecated, use bind-recursive=disabled instead");
	}
	p->to->host.mounts.items = items;
	p->to->host.mounts.n = given->n;
	return r;
}
