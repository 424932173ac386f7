/* create.c: see create.h. */
#include "engine/create.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "engine/config_check.h"
#include "engine/log_fields.h"
#include "engine/mounts.h"
#include "engine/root_size.h"
#include "engine/spec.h"
#include "image/snapshot.h"
#include "oci/passwd.h"
#include "sys/fd.h"
#include "sys/tree_remove.h"

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* What a container without a word about it gets, as docker writes it down. */
static void set_defaults(Record *c)
{
	static uint32_t no_console[2];
	HostConfig *h = &c->host;
	if (!h->log_config.type || !*h->log_config.type) h->log_config.type = "json-file";
	str_map_sort(&h->log_config.options);
	if (!h->network_mode || !*h->network_mode || streq(h->network_mode, "default"))
		h->network_mode = geteuid() == 0 ? "bridge" : "none"; /* devices take privileges */
	if (!h->restart_policy.name || !*h->restart_policy.name) h->restart_policy.name = "no";
	if (!h->ipc_mode || !*h->ipc_mode) h->ipc_mode = "private";
	if (!h->runtime || !*h->runtime) h->runtime = "skep-runtime";
	if (!h->shm_size) h->shm_size = INT64_C(64) << 20;
	if (!h->console_size.n) h->console_size = (U32List){ no_console, ARRAY_LEN(no_console) };
	c->config.image = or_empty(c->config.image);
}

/* "container:NAME" becomes "container:ID", so that renaming does not matter. */
static int take_peer(Engine *g, const char **mode, const char *what, Arena *a, Err *e)
{
	Record other;
	if (!*mode || !starts_with(*mode, "container:")) return 0;
	int r = record_find(g, *mode + strlen("container:"), a, &other, e);
	if (r < 0) return what ? err_wrap(e, "%s", what) : r;
	*mode = arena_printf(a, "container:%s", other.id);
	return *mode ? 0 : err_sys(e, ENOMEM, "create");
}

static int take_peers(Engine *g, HostConfig *h, Arena *a, Err *e)
{
	int r = take_peer(g, &h->network_mode, "joining network namespace of container", a, e);
	if (r >= 0) r = take_peer(g, &h->pid_mode, NULL, a, e);
	if (r >= 0) r = take_peer(g, &h->userns_mode, "looking up container to share user namespace with", a, e);
	return r < 0 ? r : take_peer(g, &h->ipc_mode, NULL, a, e);
}

/* --link of the default network, "container[:alias]": the name as it is, with its alias. */
static int take_links(Engine *g, HostConfig *h, Arena *a, Err *e)
{
	for (size_t i = 0; streq(h->network_mode, "bridge") && i < h->links.n; i++) { /* of others they are names (endpoint.h) */
		Str name, alias;
		Record other;
		bool named = str_cut(str_of(h->links.items[i]), ':', &name, &alias);
		char *text = arena_str(a, name);
		if (!text) return err_sys(e, ENOMEM, "create");
		int r = record_find(g, text, a, &other, e);
		if (r < 0) return err_wrap(e, "could not get container for %s", text);
		h->links.items[i] = arena_printf(a, "%s:%.*s", other.name, (int)(named ? alias.n : name.n), named ? alias.p : name.p);
		if (!h->links.items[i]) return err_sys(e, ENOMEM, "create");
	}
	return 0;
}

/* ---- the user namespace ---- */

/* The highest id that the image has a name for, or that the container is to run as. */
static int highest_id(Engine *g, const CreateRequest *q, const Record *c, uint32_t *ret, Err *e)
{
	const SnapshotOptions o = SNAPSHOT_OPTIONS;
	Str user;
	uint32_t id;
	AUTO_FD int root =
		q->image ? snapshot_mount(g->store, q->image, &o, NULL, e) : open(c->host.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) return q->image ? root : err_sys(e, errno, "open the root directory %s", c->host.rootfs);
	*ret = passwd_highest_id(root);
	str_cut(str_of(or_empty(c->config.user)), ':', &user, &(Str){ 0 });
	if (str_to_u32(user, &id) >= 0 && id > *ret) *ret = id;
	return 0;
}

/* The ids of the container whose user namespace is joined, or of the namespace at the path: its files belong to these. */
static int take_joined(Engine *g, UsernsPlan *p, Arena *a, Err *e)
{
	Record other;
	if (starts_with(p->peer, "ns:")) return userns_at(p->peer + strlen("ns:"), a, &p->maps, e);
	int r = record_find(g, p->peer + strlen("container:"), a, &other, e);
	return r < 0 ? r : userns_maps(&other.host, a, &p->maps, e);
}

static int plan_userns(Engine *g, const CreateRequest *q, Record *c, Arena *a, UsernsPlan *ret, Err *e)
{
	UsernsOwner owner;
	uint32_t highest = 0;
	const char *mode = or_empty(c->host.userns_mode);
	*ret = (UsernsPlan){ .kind = USERNS_HOST };
	if (!userns_is_wanted(&c->host)) return 0;
	int r = starts_with(mode, "auto") || streq(mode, "private") ? highest_id(g, q, c, &highest, e) : 0;
	if (r >= 0) r = userns_owner(geteuid(), getegid(), or_empty(getenv("USER")), geteuid() != 0, a, &owner, e);
	if (r >= 0) r = userns_plan(&c->host, &owner, highest, a, ret, e);
	if (r >= 0 && ret->kind == USERNS_JOIN) r = take_joined(g, ret, a, e);
	if (r >= 0 && ret->user && !*or_empty(q->config.user)) c->config.user = ret->user;
	return r;
}

/* What is understood, and not done yet: nobody shall think that it holds. */
static int check_missing(const HostConfig *h, Err *e)
{
	if (h->device_requests.n)
		return err_set(
			e, ERR_UNSUPPORTED, ENOTSUP,
			"could not select device driver \"%s\": device requests (--gpus) are not supported: give the devices by --device",
			h->device_requests.items[0].driver ? h->device_requests.items[0].driver : "");
	if (h->links.n && streq(h->network_mode, "none"))
		return err_set(e, ERR_CONFIG, EINVAL, "--link %s: a container without a network reaches nobody: leave out --network none",
			       h->links.items[0]);
	return 0;
}

static int check_runtime(const HostConfig *h, Err *e)
{
	static const char *const known[] = { "skep-runtime", "runc", "io.containerd.runc.v2" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (streq(h->runtime, known[i])) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "unknown or invalid runtime name: %s", h->runtime);
}

static int take_image(Engine *g, const CreateRequest *q, Record *c, Arena *a, Err *e)
{
	ImageConfig image;
	if (!q->image) {
		if (c->config.entrypoint.n + c->config.cmd.n == 0) return err_set(e, ERR_CONFIG, EINVAL, "no command specified");
		return 0;
	}
	Image again;
	Err gone = ERR_INIT;
	char id[DIGEST_TEXT_MAX];
	int r = image_documents(g->store, q->image, a, NULL, &image, e);
	if (r == -ENOENT && image_find(g->store, digest_format(&q->image->id, id), a, &again, &gone) == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %s: it was removed meanwhile", c->config.image);
	if (r < 0) return r;
	c->manifest = q->image->manifest;
	c->image_id = q->image->id;
	return container_config_merge(&c->config, &image.config, a, e);
}

static int make_directory(Engine *g, const Record *c, Err *e)
{
	static const char *const below[] = { "rootfs", "upper", "work" };
	char path[RECORD_ID_LENGTH + 16];
	snprintf(path, sizeof path, "containers/%s", c->id);
	if (mkdirat(g->root_dir, path, 0700) < 0) return err_sys(e, errno, "make %s/%s", g->root, path);
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	for (size_t i = 0; i < ARRAY_LEN(below); i++)
		if (mkdirat(dir, below[i], streq(below[i], "upper") ? 0755 : 0700) < 0)
			return err_sys(e, errno, "make %s/%s/%s", g->root, path, below[i]);
	AUTO_FD int lock = openat(dir, "lock", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return lock < 0 ? err_sys(e, errno, "make %s/%s/lock", g->root, path) : root_size_limit(c, dir, e);
}

static void undo_directory(Engine *g, const Record *c)
{
	AUTO_FD int dir = openat(g->root_dir, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) (void)!tree_remove(dir, c->id);
}

int engine_create(Engine *g, const CreateRequest *q, Arena *a, Record *ret, StrList *ret_warnings, Err *e)
{
	char id[RECORD_ID_LENGTH + 1];
	Record c = { .config = q->config, .host = q->host, .created = time_now() };
	Machine machine;
	UsernsPlan ids;
	machine_init(&machine, a);
	*ret_warnings = (StrList){ 0 };
	int r = q->name ? record_name_check(q->name, e) : 0;
	if (r < 0 || (r = config_check(&c.config, &c.host, &machine, a, ret_warnings, e)) < 0 || (r = record_new_id(id, e)) < 0) return r;
	c.id = arena_strdup(a, id);
	if (!c.id) return err_sys(e, ENOMEM, "create a container");
	if (q->name) c.name = q->name[0] == '/' ? q->name + 1 : q->name;
	set_defaults(&c);
	if ((r = take_image(g, q, &c, a, e)) < 0 || (r = log_config_check(&c, a, e)) < 0) return r;
	if ((r = check_runtime(&c.host, e)) < 0 || (r = check_missing(&c.host, e)) < 0) return r;
	if ((r = endpoints_plan(c.host.network_mode, &q->networks, a, &c.networks, e)) < 0 || (r = take_links(g, &c.host, a, e)) < 0)
		return r;
	if ((r = take_peers(g, &c.host, a, e)) < 0 || (r = plan_userns(g, q, &c, a, &ids, e)) < 0) return r;
	if ((!c.config.hostname || !*c.config.hostname) && !(c.config.hostname = spec_hostname(c.id, &c.config, &c.host, a)))
		return err_sys(e, ENOMEM, "create a container");
	if ((r = engine_mounts(g, &c.config, &c.host, a, &c.mounts, e)) < 0) return r;
	if ((r = make_directory(g, &c, e)) >= 0) r = record_insert(g, &c, &ids, a, e);
	if (r < 0) {
		undo_directory(g, &c);
		return r;
	}
	record_event(g, &c, "create", NULL, NULL);
	*ret = c;
	return 0;
}
