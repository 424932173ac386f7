/* mounts.c: see mounts.h. */
#include "engine/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/mount_idmap.h"
#include "monitor/event_log.h"
#include "runtime/tree_copy.h"
#include "sys/path.h"

enum { POINTS_MAX = 1024 };

typedef struct Resolve {
	Engine *g;
	const HostConfig *host;
	Arena *a;
	Volumes volumes;
	MountPointList list;
	Err *e;
} Resolve;

static int no_memory(const Resolve *x)
{
	return err_sys(x->e, ENOMEM, "resolve mounts");
}

static MountPoint *find_point(const Resolve *x, const char *destination)
{
	for (size_t i = 0; i < x->list.n; i++)
		if (streq(x->list.items[i].destination, destination)) return &x->list.items[i];
	return NULL;
}

/* What no container's user is to own: podman's list. */
static bool is_system_path(const char *path)
{
	static const char *const names[] = { "/",     "/bin", "/boot",  "/dev",   "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow",
					     "/home", "/lib", "/lib64", "/media", "/opt", "/proc",       "/root",    "/run",
					     "/sbin", "/srv", "/sys",   "/tmp",   "/usr", "/var",        "/var/lib", "/var/log" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(path, names[i])) return true;
	return false;
}

static int add_point(Resolve *x, const MountPoint *p)
{
	if (p->chown && p->source && is_system_path(p->source))
		return err_set(x->e, ERR_CONFIG, EPERM, "chowning host path \"%s\" is not allowed. You can manually `chown -R` it",
			       p->source);
	if (find_point(x, p->destination)) return err_set(x->e, ERR_CONFIG, EINVAL, "Duplicate mount point: %s", p->destination);
	if (x->list.n == POINTS_MAX) return err_set(x->e, ERR_CONFIG, EINVAL, "more than %d mounts", POINTS_MAX);
	x->list.items[x->list.n++] = *p;
	return 0;
}

/* ---- destinations and options ---- */

static int take_destination(const Resolve *x, const char *text, const char **ret)
{
	if (!text || *text != '/')
		return err_set(x->e, ERR_CONFIG, EINVAL,
			       "invalid mount config for type \"volume\": invalid mount path: '%s' mount path must be absolute",
			       text ? text : "");
	*ret = path_clean(x->a, text);
	if (!*ret) return no_memory(x);
	return streq(*ret, "/") ? err_set(x->e, ERR_CONFIG, EINVAL, "invalid volume specification: destination can't be '/'") : 0;
}

static bool is_propagation(Str s)
{
	static const char *const names[] = { "shared", "rshared", "slave", "rslave", "private", "rprivate" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(s, names[i])) return true;
	return false;
}

static int bad_mode(const Resolve *x, const char *mode)
{
	return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mode: %s", mode);
}

/* Counts of each kind: one of them at most, as docker has it. */
typedef struct ModeCounts {
	int access, label, propagation, copy, consistency, recursion, chown, overlay, idmap;
	int exec, suid, dev;
} ModeCounts;

/* podman's flags: of what is mounted, and of all below it. Naming one of them says nothing of the others. */
static const struct {
	const char *name, *option;
	size_t count; /* in ModeCounts */
} flag_words[] = {
	{ "exec", "rexec", offsetof(ModeCounts, exec) },     { "noexec", "rnoexec", offsetof(ModeCounts, exec) },
	{ "suid", "rsuid", offsetof(ModeCounts, suid) },     { "nosuid", "rnosuid", offsetof(ModeCounts, suid) },
	{ "dev", "rdev", offsetof(ModeCounts, dev) },        { "nodev", "rnodev", offsetof(ModeCounts, dev) },
	{ "bind", "bind", offsetof(ModeCounts, recursion) }, { "rbind", "rbind", offsetof(ModeCounts, recursion) },
};

/* 0: it is no such word. */
static int take_flag(const Resolve *x, Str word, MountPoint *p, ModeCounts *n)
{
	for (size_t i = 0; i < ARRAY_LEN(flag_words); i++) {
		if (!str_eq(word, flag_words[i].name)) continue;
		int *count = (int *)(void *)((char *)n + flag_words[i].count);
		if ((*count)++) return -EINVAL;
		return str_list_add(&p->options, flag_words[i].option, x->a) < 0 ? -ENOMEM : 1;
	}
	return 0;
}

/* podman's other words: U, O, idmap, idmap=uids=…;gids=…. */
static int take_podman_word(const Resolve *x, Str word, MountPoint *p, ModeCounts *n)
{
	Str key, value;
	if (str_eq(word, "U")) {
		p->chown = true;
		return n->chown++;
	}
	if (str_eq(word, "O")) {
		p->overlay = true;
		return n->overlay++;
	}
	bool pair = str_cut(word, '=', &key, &value);
	if (!str_eq(pair ? key : word, "idmap")) return -EINVAL;
	p->idmap = pair ? arena_str(x->a, value) : "";
	return p->idmap ? n->idmap++ : -ENOMEM;
}

static int take_mode_word(const Resolve *x, Str word, MountPoint *p, ModeCounts *n)
{
	if (str_eq(word, "ro") || str_eq(word, "rw")) {
		p->rw = str_eq(word, "rw");
		return n->access++;
	}
	if (str_eq(word, "z") || str_eq(word, "Z")) return n->label++;
	if (str_eq(word, "nocopy") || str_eq(word, "copy")) {
		p->copy_up = str_eq(word, "copy");
		return n->copy++;
	}
	if (str_eq(word, "cached") || str_eq(word, "delegated") || str_eq(word, "consistent")) return n->consistency++;
	if (is_propagation(word)) {
		p->propagation = arena_str(x->a, word);
		return p->propagation ? n->propagation++ : -ENOMEM;
	}
	int r = take_flag(x, word, p, n);
	return r != 0 ? (r > 0 ? 0 : r) : take_podman_word(x, word, p, n);
}

/* Mappings of its own, or those of a user namespace that the container has. */
static int check_idmap(const Resolve *x, const MountPoint *p)
{
	IdMappings uids, gids;
	if (!p->idmap || (!*p->idmap && userns_is_wanted(x->host))) return 0;
	if (!*p->idmap)
		return err_set(
			x->e, ERR_CONFIG, EINVAL,
			"mount %s: idmap needs a user namespace of the container's own, or mappings: idmap=uids=0-1000-1;gids=0-1000-1",
			p->destination);
	return mount_idmap_parse(p->idmap, x->a, &uids, &gids, x->e);
}

/* "ro,z,rslave": into p, which has its defaults already. */
static int take_mode(const Resolve *x, const char *mode, bool bind, MountPoint *p)
{
	Str rest = str_of(mode), word;
	ModeCounts n = { 0 };
	while (str_next(&rest, ',', &word)) {
		int before = take_mode_word(x, word, p, &n);
		if (before != 0) return before == -ENOMEM ? no_memory(x) : bad_mode(x, mode);
	}
	if ((n.copy && bind) || (n.propagation && !bind)) return bad_mode(x, mode);
	p->mode = mode;
	return check_idmap(x, p);
}

/* ---- volumes ---- */

static void event_with(const Engine *g, const char *action, const char *name, StrPair *attributes, size_t n)
{
	Err ignored = ERR_INIT;
	(void)!event_append(g->root_dir, &(Event){ .type = "volume", .action = action, .id = name, .attributes = { attributes, n } }, NULL,
			    &ignored);
}

void volume_event(const Engine *g, const char *action, const char *name)
{
	event_with(g, action, name, &(StrPair){ "driver", "local" }, 1);
}

static int take_volume(Resolve *x, const Volume *want, MountPoint *p)
{
	Volume v;
	bool made = false;
	int r = volume_create(&x->volumes, want, x->a, &v, &made, x->e);
	if (r < 0) return r;
	if (made) volume_event(x->g, "create", v.name);
	p->type = "volume";
	p->name = v.name;
	p->driver = "local";
	p->anonymous = v.anonymous;
	p->source = volume_path(&x->volumes, v.name, x->a);
	if (!p->source) return no_memory(x);
	p->held = str_map_get(&v.options, "type") != NULL;
	if (!p->held && !p->idmap) p->idmap = ""; /* on disk the ids are the container's, whichever these are on the host */
	return 0;
}

static int take_anonymous(Resolve *x, Volume want, MountPoint *p)
{
	char name[VOLUME_ANONYMOUS_NAME + 1];
	int r = volume_new_name(name, x->e);
	if (r < 0) return r;
	want.name = arena_strdup(x->a, name);
	want.anonymous = true;
	return want.name ? take_volume(x, &want, p) : no_memory(x);
}

/* ---- -v ---- */

static int split_bind(const Resolve *x, const char *text, const char **source, const char **destination, const char **mode)
{
	Str rest = str_of(text), parts[3];
	size_t n = 0;
	while (n < 4 && str_next(&rest, ':', &parts[n < 3 ? n : 2]))
		n++;
	if (n > 3) n = 0;
	if (n < 2) return err_set(x->e, ERR_CONFIG, EINVAL, "invalid volume specification: '%s'", text);
	*source = arena_str(x->a, parts[0]);
	*destination = arena_str(x->a, parts[1]);
	*mode = n == 3 ? arena_str(x->a, parts[2]) : "";
	return *source && *destination && *mode ? 0 : no_memory(x);
}

static int add_bind(Resolve *x, const char *text)
{
	const char *source = "", *destination = "", *mode = "";
	MountPoint p = { .rw = true, .mode = "", .propagation = "" };
	int r = split_bind(x, text, &source, &destination, &mode);
	if (r < 0) return r;
	if (*destination != '/')
		return err_set(
			x->e, ERR_CONFIG, EINVAL,
			"invalid volume specification: '%s': invalid mount config for type \"%s\": invalid mount path: '%s' mount path must be absolute",
			text, *source == '/' ? "bind" : "volume", destination);
	bool bind = *source == '/';
	p.destination = path_clean(x->a, destination);
	if (!p.destination) return no_memory(x);
	if (streq(p.destination, "/"))
		return err_set(
			x->e, ERR_CONFIG, EINVAL,
			"invalid volume specification: '%s': invalid mount config for type \"%s\": invalid specification: destination can't be '/'",
			text, bind ? "bind" : "volume");
	p.copy_up = !bind;
	if (bind) {
		p.type = "bind";
		p.source = path_clean(x->a, source);
		p.propagation = "rprivate";
		p.create_source = true;
		if (!p.source) return no_memory(x);
	}
	if (*mode && (r = take_mode(x, mode, bind, &p)) < 0) return r;
	if (!bind) {
		const Volume want = { .name = source, .driver = x->host->volume_driver };
		if ((r = take_volume(x, &want, &p)) < 0) return r;
		if (!*mode) p.mode = "z";
	}
	return add_point(x, &p);
}

/* ---- --mount ---- */

static int bad_mount(const Resolve *x, const MountRequest *m, const char *why)
{
	return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mount config for type \"%s\": %s", m->type, why);
}

/* Relative, and it never leads above where it begins. NULL: nothing was asked for. */
static bool is_local_path(const char *path)
{
	Str rest = str_of(path ? path : ""), part;
	int depth = 0;
	if (path && *path == '/') return false;
	while (depth >= 0 && rest.n && str_next(&rest, '/', &part)) {
		if (str_eq(part, ".."))
			depth--;
		else if (part.n && !str_eq(part, "."))
			depth++;
	}
	return depth >= 0;
}

static int take_bind_options(const Resolve *x, const MountRequest *m, MountPoint *p)
{
	const BindOptions *o = m->bind;
	const char *option = o->non_recursive ? "bind" : o->read_only_non_recursive && m->read_only ? "ro" : NULL;
	if (option && str_list_add(&p->options, option, x->a) < 0) return no_memory(x);
	if (o->relabel) p->mode = streq(o->relabel, "private") ? "Z" : "z";
	p->idmap = o->idmap;
	return check_idmap(x, p);
}

static int take_bind_request(Resolve *x, const MountRequest *m, MountPoint *p)
{
	struct stat st;
	const BindOptions *o = m->bind;
	if (!m->source || !*m->source) return bad_mount(x, m, "field Source must not be empty");
	if (*m->source != '/')
		return err_set(x->e, ERR_CONFIG, EINVAL,
			       "invalid mount config for type \"bind\": invalid mount path: '%s' mount path must be absolute", m->source);
	if (o && o->propagation && *o->propagation && !is_propagation(str_of(o->propagation)))
		return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mount config for type \"bind\": invalid propagation mode: %s",
			       o->propagation);
	p->type = "bind";
	p->source = path_clean(x->a, m->source);
	p->propagation = o && o->propagation && *o->propagation ? o->propagation : "rprivate";
	p->create_source = o && o->create_mountpoint;
	if (!p->source) return no_memory(x);
	if (!p->create_source && stat(p->source, &st) < 0)
		return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mount config for type \"bind\": bind source path does not exist: %s",
			       p->source);
	return o ? take_bind_options(x, m, p) : 0;
}

static int take_volume_request(Resolve *x, const MountRequest *m, MountPoint *p)
{
	const VolumeOptions *o = m->volume;
	const VolumeDriverConfig *d = o ? o->driver_config : NULL;
	bool anonymous = !m->source || !*m->source;
	if (o && o->subpath && *o->subpath && anonymous) return bad_mount(x, m, "must not set Subpath when using anonymous volumes");
	if (o && !is_local_path(o->subpath)) return bad_mount(x, m, "subpath must be a relative path within the volume");
	p->copy_up = !(o && o->no_copy);
	p->subpath = o ? o->subpath : NULL;
	p->mode = "z";
	Volume want = { .name = m->source, .driver = d && d->name ? d->name : x->host->volume_driver };
	if (o) want.labels = o->labels;
	if (d) want.options = d->options;
	return anonymous ? take_anonymous(x, want, p) : take_volume(x, &want, p);
}

static int take_image_request(const Resolve *x, const MountRequest *m, MountPoint *p)
{
	char id[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX];
	const ImageMountOptions *o = m->image;
	Image image;
	if (!m->source || !*m->source) return bad_mount(x, m, "field Source must not be empty");
	if (o && !is_local_path(o->subpath)) return bad_mount(x, m, "subpath must be a relative path within the image");
	int r = image_find(x->g->store, m->source, x->a, &image, x->e);
	if (r < 0) return r;
	p->type = "image";
	p->name = m->source;
	p->source = arena_strdup(x->a, digest_format(&image.id, id));
	p->manifest = arena_strdup(x->a, digest_format(&image.manifest, manifest));
	p->subpath = o ? o->subpath : NULL;
	p->rw = o && o->writable && !m->read_only;
	return p->source && p->manifest ? 0 : no_memory(x);
}

/* "mode=0700", "size=1000", then what else was asked for. */
static int take_tmpfs_request(Resolve *x, const MountRequest *m, MountPoint *p)
{
	const TmpfsOptions *o = m->tmpfs;
	const char **items = arena_array(x->a, m->flags.n + 4, sizeof *items);
	size_t n = 0;
	if (m->source && *m->source) return bad_mount(x, m, "field Source must not be specified");
	if (!items) return no_memory(x);
	p->type = "tmpfs";
	if (o && o->size_bytes && !(items[n++] = arena_printf(x->a, "size=%jd", (intmax_t)o->size_bytes))) return no_memory(x);
	if (o && o->mode && !(items[n++] = arena_printf(x->a, "mode=%o", o->mode))) return no_memory(x);
	if (m->read_only) items[n++] = "ro";
	for (size_t i = 0; i < m->flags.n; i++)
		items[n++] = m->flags.items[i];
	p->options = (StrList){ items, n };
	return 0;
}

/* podman's words for any bind or volume. */
static int take_request_flags(const Resolve *x, const MountRequest *m, MountPoint *p)
{
	ModeCounts n = { 0 };
	p->chown = m->chown;
	if (streq(m->type, "tmpfs")) return 0;
	for (size_t i = 0; i < m->flags.n; i++) {
		int r = take_flag(x, str_of(m->flags.items[i]), p, &n);
		if (r == -ENOMEM) return no_memory(x);
		if (r <= 0) return bad_mount(x, m, "flags that contradict each other, or are not for this type");
	}
	return 0;
}

static int add_request(Resolve *x, const MountRequest *m)
{
	MountPoint p = { .rw = !m->read_only, .mode = "", .propagation = "" };
	if (!m->target || !*m->target) return bad_mount(x, m, "field Target must not be empty");
	if (*m->target != '/')
		return err_set(x->e, ERR_CONFIG, EINVAL,
			       "invalid mount config for type \"%s\": invalid mount path: '%s' mount path must be absolute", m->type,
			       m->target);
	p.destination = path_clean(x->a, m->target);
	if (!p.destination) return no_memory(x);
	if (streq(p.destination, "/")) return bad_mount(x, m, "invalid specification: destination can't be '/'");
	int r;
	if (streq(m->type, "bind"))
		r = take_bind_request(x, m, &p);
	else if (streq(m->type, "volume"))
		r = take_volume_request(x, m, &p);
	else if (streq(m->type, "tmpfs"))
		r = take_tmpfs_request(x, m, &p);
	else if (streq(m->type, "image"))
		r = take_image_request(x, m, &p);
	else
		return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mount config for type \"%s\": mount type unknown", m->type);
	if (r >= 0) r = take_request_flags(x, m, &p);
	return r < 0 ? r : add_point(x, &p);
}

/* ---- --volumes-from, and the volumes of the image ---- */

static int add_from(Resolve *x, const char *text)
{
	Str name, mode;
	Record other;
	bool with_mode = str_cut(str_of(text), ':', &name, &mode);
	char *bare = arena_str(x->a, name);
	if (!bare) return no_memory(x);
	if (!name.n) return err_set(x->e, ERR_CONFIG, EINVAL, "volumes-from specification cannot be an empty string");
	if (with_mode && !str_eq(mode, "ro") && !str_eq(mode, "rw") && !str_eq(mode, "z") && !str_eq(mode, "Z") && !str_eq(mode, "ro,z"))
		return err_set(x->e, ERR_CONFIG, EINVAL, "invalid mode: %.*s", (int)mode.n, mode.p);
	int r = record_find(x->g, bare, x->a, &other, x->e);
	for (size_t i = 0; r >= 0 && i < other.mounts.n; i++) {
		MountPoint p = other.mounts.items[i];
		if (find_point(x, p.destination)) continue;
		p.rw = p.rw && !(with_mode && str_starts(mode, "ro"));
		p.copy_up = false;
		r = add_point(x, &p);
	}
	return r;
}

static int add_own(Resolve *x, const char *path)
{
	MountPoint p = { .rw = true, .mode = "", .propagation = "", .copy_up = true };
	const Volume want = { .driver = x->host->volume_driver };
	int r = take_destination(x, path, &p.destination);
	if (r < 0 || !p.destination || find_point(x, p.destination)) return r;
	for (size_t i = 0; i < x->host->tmpfs.n; i++)
		if (streq(x->host->tmpfs.items[i].key, p.destination)) return 0;
	if ((r = take_anonymous(x, want, &p)) < 0) return r;
	return add_point(x, &p);
}

static size_t depth(const char *path)
{
	size_t n = 0;
	for (; *path; path++)
		n += *path == '/' && path[1];
	return n;
}

static int compare_points(const void *a, const void *b)
{
	const MountPoint *x = a, *y = b;
	size_t m = depth(x->destination), n = depth(y->destination);
	return m != n ? (m > n) - (m < n) : strcmp(x->destination, y->destination);
}

int engine_mounts(Engine *g, const ContainerConfig *config, const HostConfig *host, Arena *a, MountPointList *ret, Err *e)
{
	Resolve x = { .g = g, .host = host, .a = a, .volumes = engine_volumes(g), .e = e };
	int r = 0;
	*ret = (MountPointList){ 0 };
	if (!host->binds.n && !host->mounts.n && !host->volumes_from.n && !config->volumes.n) return 0;
	x.list.items = arena_array(a, POINTS_MAX, sizeof *x.list.items);
	if (!x.list.items) return no_memory(&x);
	for (size_t i = 0; r >= 0 && i < host->binds.n; i++)
		r = add_bind(&x, host->binds.items[i]);
	for (size_t i = 0; r >= 0 && i < host->mounts.n; i++)
		r = add_request(&x, &host->mounts.items[i]);
	for (size_t i = 0; r >= 0 && i < host->volumes_from.n; i++)
		r = add_from(&x, host->volumes_from.items[i]);
	for (size_t i = 0; r >= 0 && i < config->volumes.n; i++)
		r = add_own(&x, config->volumes.items[i]);
	if (r < 0) return r;
	qsort(x.list.items, x.list.n, sizeof *x.list.items, compare_points);
	*ret = x.list;
	return 0;
}

/* ---- at the start ---- */

int engine_make_sources(const Record *c, Err *e)
{
	for (size_t i = 0; i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		struct stat st;
		if (!streq(m->type, "bind") || (stat(m->source, &st) == 0)) continue;
		if (!m->create_source)
			return err_set(e, ERR_CONFIG, ENOENT, "invalid mount config for type \"bind\": bind source path does not exist: %s",
				       m->source);
		char path[4096];
		snprintf(path, sizeof path, "%s/", m->source);
		for (char *at = path + 1; *at; at++) {
			if (*at != '/') continue;
			*at = 0;
			if (mkdir(path, 0755) < 0 && errno != EEXIST) return err_sys(e, errno, "make the bind source %s", path);
			*at = '/';
		}
	}
	return 0;
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int is_empty(int dir)
{
	struct dirent *entry;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) return -errno;
	while ((entry = readdir(d)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..")) return 0;
	return 1;
}

/* The directory itself gets the owner and the mode of the image's, too. */
static int fill_one(const MountPoint *m, int source, int root, Err *e)
{
	struct stat st;
	AUTO_FD int from = path_open(root, m->destination, O_RDONLY | O_DIRECTORY, 0);
	if (from == -ENOENT || from == -ENOTDIR) return 0;
	if (from < 0) return err_sys(e, -from, "fill volume %s: open %s of the image", m->name, m->destination);
	AUTO_FD int to = source >= 0 ? openat(source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				     : openat(AT_FDCWD, m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (to < 0 && errno == ENOTDIR && source >= 0) return 0; /* a file of it */
	if (to < 0) return err_sys(e, errno, "open volume %s", m->name);
	int r = is_empty(to);
	if (r <= 0) return r < 0 ? err_sys(e, -r, "read volume %s", m->name) : 0;
	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "fill volume %s", m->name);
	r = tree_copy(from, to, e);
	return r < 0 ? err_wrap(e, "fill volume %s", m->name) : 0;
}

int engine_fill_volumes(Engine *g, const Record *c, const MountSources *sources, int root, int image, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		if (!streq(m->type, "volume") || !m->name) continue;
		StrPair attributes[] = { { "container", c->id },
					 { "destination", m->destination },
					 { "driver", "local" },
					 { "propagation", m->propagation ? m->propagation : "" },
					 { "read/write", m->rw ? "true" : "false" } };
		event_with(g, "mount", m->name, attributes, ARRAY_LEN(attributes));
		if (m->copy_up) r = fill_one(m, sources->fds[i], mount_point_is_mapped(m) ? image : root, e);
	}
	return r;
}
