/* library_query.c: libskepruntime: what there is, as JSON. */
#include "runtime/library.h"

int skep_container_state(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	int r = call_container(&c, runtime, id, 0, error);
	if (r < 0) return r;
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	container_state_write(&c.container, container_status(&c.container), true, &w);
	return call_text(&c, &out, ret_json);
}

int skep_container_list(skep_runtime *runtime, char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	StrList ids;
	int r = call_begin(&c, runtime, 0, error);
	if (r < 0 || (r = container_list(&runtime->rt, false, &c.arena, &ids, c.e)) < 0) return r;
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	json_begin_array(&w);
	for (size_t i = 0; i < ids.n; i++) {
		AUTO_ARENA arena = ARENA_INIT(LIBRARY_ARENA_MAX);
		AUTO_CONTAINER one = { .dir = -1 };
		Err vanished = ERR_INIT;
		if (container_load(&runtime->rt, ids.items[i], &arena, &one, &vanished) < 0) continue;
		container_state_write(&one, container_status(&one), true, &w);
	}
	json_end_array(&w);
	return call_text(&c, &out, ret_json);
}

int skep_container_processes(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	U32List pids;
	int r = call_container(&c, runtime, id, 0, error);
	if (r < 0 || (r = cgroup_pids(&c.container.state.cgroup, &c.arena, &pids, c.e)) < 0) return r;
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	json_begin_array(&w);
	for (size_t i = 0; i < pids.n; i++)
		json_uint(&w, pids.items[i]);
	json_end_array(&w);
	return call_text(&c, &out, ret_json);
}

int skep_container_stats(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	int r = call_container(&c, runtime, id, 0, error);
	if (r < 0) return r;
	if (container_status(&c.container) == STATUS_STOPPED)
		return err_set(c.e, ERR_STATE, ESRCH, "container with id %s is not running", id);
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	if ((r = cgroup_stats_write(&c.container.state.cgroup, &w, c.e)) < 0) return r;
	return call_text(&c, &out, ret_json);
}

int skep_features(char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	call_plain(&c, error);
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	container_features_write(&w);
	return call_text(&c, &out, ret_json);
}

int skep_spec_default(int rootless, uint32_t uid, uint32_t gid, char **ret_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	call_plain(&c, error);
	AUTO_BUF out = BUF_INIT(LIBRARY_TEXT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	w.indent = -1;
	oci_spec_write_default(rootless, uid, gid, &w);
	return call_text(&c, &out, ret_json);
}

int skep_spec_check(const char *text, size_t n, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	call_plain(&c, error);
	OciSpec spec;
	if (!text) return err_set(c.e, ERR_USAGE, EINVAL, "text: must not be NULL");
	if (n > OCI_SPEC_MAX) return err_set(c.e, ERR_CONFIG, EFBIG, "config.json: longer than %d bytes", OCI_SPEC_MAX);
	char *copy = arena_str(&c.arena, (Str){ text, n });
	if (!copy) return err_sys(c.e, ENOMEM, "config.json");
	return oci_spec_parse(copy, n, &c.arena, &spec, c.e);
}
