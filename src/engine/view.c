/* view.c: see view.h. */
#include "engine/view.h"

#include "base/duration.h"
#include "base/time.h"
#include "engine/control.h"
#include "engine/endpoint_view.h"
#include "engine/spec.h"
#include "engine/start.h"
#include "engine/usage.h"

int container_view(Engine *g, const Record *c, Arena *a, ContainerView *ret, Err *e)
{
	*ret = (ContainerView){ .record = c };
	int r = engine_state(g, c, a, &ret->state, e);
	if (r == -ENOENT) { /* being removed, or half of it was lost */
		ret->state = (RunState){ .status = RUN_DEAD };
		return 0;
	}
	if (r < 0) return r;
	ret->paused = ret->state.status == RUN_RUNNING && engine_is_paused(g, c) > 0;
	return 0;
}

const char *container_view_status(const ContainerView *v)
{
	return v->paused ? "paused" : bind_name(run_status_names, v->state.status);
}

static void ago(int64_t since, char text[static DURATION_TEXT_MAX])
{
	duration_human(time_now() - since, text);
}

void container_view_text(const ContainerView *v, char text[static VIEW_TEXT_MAX])
{
	char when[DURATION_TEXT_MAX];
	const RunState *s = &v->state;
	const char *health = s->health && s->health->status ? s->health->status : "";
	switch (s->status) {
	case RUN_RUNNING:
		ago(s->started_at, when);
		if (v->paused)
			snprintf(text, VIEW_TEXT_MAX, "Up %s (Paused)", when);
		else if (streq(health, "starting"))
			snprintf(text, VIEW_TEXT_MAX, "Up %s (health: starting)", when);
		else if (*health && !streq(health, "none"))
			snprintf(text, VIEW_TEXT_MAX, "Up %s (%s)", when, health);
		else
			snprintf(text, VIEW_TEXT_MAX, "Up %s", when);
		return;
	case RUN_RESTARTING:
		ago(s->finished_at, when);
		snprintf(text, VIEW_TEXT_MAX, "Restarting (%d) %s ago", s->exit_code, when);
		return;
	case RUN_EXITED:
		ago(s->finished_at, when);
		snprintf(text, VIEW_TEXT_MAX, "Exited (%d) %s ago", s->exit_code, when);
		return;
	case RUN_DEAD:
		snprintf(text, VIEW_TEXT_MAX, "Dead");
		return;
	default:
		snprintf(text, VIEW_TEXT_MAX, "Created");
	}
}

static void put_word(Buf *b, const char *word)
{
	const char *quote = b->n && strchr(word, ' ') ? "'" : "";
	if (b->n) buf_putc(b, ' ');
	buf_puts(b, quote);
	buf_puts(b, word);
	buf_puts(b, quote);
}

const char *container_view_command(const Record *c, Arena *a)
{
	const StrList *parts[] = { &c->config.entrypoint, &c->config.cmd };
	AUTO_BUF b = BUF_INIT(1 << 20);
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		for (size_t i = 0; i < parts[k]->n; i++)
			put_word(&b, parts[k]->items[i]);
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

/* ---- inspect ---- */

static void put_time(JsonWriter *w, const char *key, int64_t at)
{
	char text[TIME_TEXT_MAX];
	time_format(at, TIME_NANOSECONDS, text);
	json_put_string(w, key, at ? text : "0001-01-01T00:00:00Z");
}

static void put_health(JsonWriter *w, const RunHealth *h)
{
	json_key(w, "Health");
	json_begin_object(w);
	json_put_string(w, "Status", h->status ? h->status : "none");
	json_put_int(w, "FailingStreak", h->failing_streak);
	json_key(w, "Log");
	json_begin_array(w);
	for (size_t i = 0; i < h->log.n; i++) {
		const HealthResult *r = &h->log.items[i];
		json_begin_object(w);
		put_time(w, "Start", r->start);
		put_time(w, "End", r->end);
		json_put_int(w, "ExitCode", r->exit_code);
		json_put_string(w, "Output", r->output ? r->output : "");
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void put_state(JsonWriter *w, const ContainerView *v)
{
	const RunState *s = &v->state;
	json_key(w, "State");
	json_begin_object(w);
	json_put_string(w, "Status", container_view_status(v));
	json_put_bool(w, "Running", s->status == RUN_RUNNING || s->status == RUN_RESTARTING);
	json_put_bool(w, "Paused", v->paused);
	json_put_bool(w, "Restarting", s->status == RUN_RESTARTING);
	json_put_bool(w, "OOMKilled", s->oom_killed);
	json_put_bool(w, "Dead", s->status == RUN_DEAD);
	json_put_int(w, "Pid", s->pid);
	json_put_int(w, "ExitCode", s->exit_code);
	json_put_string(w, "Error", s->error ? s->error : "");
	put_time(w, "StartedAt", s->started_at);
	put_time(w, "FinishedAt", s->finished_at);
	if (s->health) put_health(w, s->health);
	if (s->dropped) json_put_uint(w, "DroppedBytes", s->dropped);
	if (s->log_dropped) json_put_uint(w, "DroppedLogBytes", s->log_dropped);
	json_end_object(w);
}

static void put_path(JsonWriter *w, const char *key, const Engine *g, const Record *c, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/containers/%s/%s", g->root, c->id, name);
	json_put_string(w, key, path);
}

static void put_files(JsonWriter *w, const Engine *g, const ContainerView *v)
{
	char log[128];
	const char *driver = v->record->host.log_config.type;
	bool file = driver && (streq(driver, "json-file") || !*driver);
	put_path(w, "ResolvConfPath", g, v->record, "resolv.conf");
	put_path(w, "HostnamePath", g, v->record, "hostname");
	put_path(w, "HostsPath", g, v->record, "hosts");
	snprintf(log, sizeof log, "%s-json.log", v->record->id);
	if (file)
		put_path(w, "LogPath", g, v->record, log);
	else
		json_put_string(w, "LogPath", "");
}

static void put_process(JsonWriter *w, const Record *c)
{
	const StrList *parts[] = { &c->config.entrypoint, &c->config.cmd };
	const char *path = NULL;
	for (size_t k = 0; k < ARRAY_LEN(parts) && !path; k++)
		path = parts[k]->n ? parts[k]->items[0] : NULL;
	json_put_string(w, "Path", path ? path : "");
	json_key(w, "Args");
	json_begin_array(w);
	bool first = true;
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		for (size_t i = 0; i < parts[k]->n; i++) {
			if (!first) json_string(w, parts[k]->items[i]);
			first = false;
		}
	json_end_array(w);
}

static void put_mounts(JsonWriter *w, const Record *c)
{
	json_key(w, "Mounts");
	json_begin_array(w);
	for (size_t i = 0; i < c->mounts.n; i++) {
		MountPoint m = c->mounts.items[i]; /* only what the API shows */
		m.options = (StrList){ 0 };
		m.subpath = m.manifest = m.idmap = NULL;
		m.held = m.copy_up = m.anonymous = m.create_source = m.chown = m.overlay = false;
		bind_encode(&mount_point_table, &m, w);
	}
	json_end_array(w);
}

/* With the paths that are hidden by default. */
static void put_host(JsonWriter *w, const Record *c)
{
	HostConfig h = c->host;
	if (!h.masked_paths_set && !h.privileged) h.masked_paths = spec_masked_paths;
	if (!h.readonly_paths_set && !h.privileged) h.readonly_paths = spec_readonly_paths;
	h.masked_paths_set = h.readonly_paths_set = false;
	json_key(w, "HostConfig");
	bind_encode(&host_config_table, &h, w);
}

static void put_driver(JsonWriter *w, const Engine *g, const Record *c)
{
	json_put_string(w, "Driver", "erofs");
	json_put_string(w, "Platform", "linux");
	json_put_string(w, "MountLabel", "");
	json_put_string(w, "ProcessLabel", "");
	json_put_string(w, "AppArmorProfile", "");
	json_key(w, "ExecIDs");
	json_null(w);
	put_host(w, c);
	json_key(w, "GraphDriver");
	json_begin_object(w);
	json_key(w, "Data");
	json_begin_object(w);
	put_path(w, "UpperDir", g, c, "upper");
	put_path(w, "WorkDir", g, c, "work");
	json_end_object(w);
	json_put_string(w, "Name", "erofs");
	json_end_object(w);
}

int container_view_json(Engine *g, const ContainerView *v, bool size, Arena *a, JsonWriter *w, Err *e)
{
	const Record *c = v->record;
	char id[DIGEST_TEXT_MAX];
	const char *name = arena_printf(a, "/%s", c->name);
	int64_t own = 0, all = 0;
	if (!name) return err_sys(e, ENOMEM, "inspect");
	int r = size ? container_usage(g, c, a, &own, &all, e) : 0;
	if (r < 0) return r;
	json_begin_object(w);
	json_put_string(w, "Id", c->id);
	put_time(w, "Created", c->created);
	put_process(w, c);
	put_state(w, v);
	json_put_string(w, "Image", c->image_id.algorithm ? digest_format(&c->image_id, id) : "");
	put_files(w, g, v);
	json_put_string(w, "Name", name);
	json_put_int(w, "RestartCount", v->state.restart_count);
	put_driver(w, g, c);
	if (size) {
		json_put_int(w, "SizeRw", own);
		json_put_int(w, "SizeRootFs", all);
	}
	put_mounts(w, c);
	json_key(w, "Config");
	bind_encode(&container_config_table, &c->config, w);
	r = network_settings_json(g, c, v->state.status == RUN_RUNNING ? v->state.pid : 0, a, w, e);
	json_end_object(w);
	return r;
}
