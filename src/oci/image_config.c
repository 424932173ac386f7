/* image_config.c: see image_config.h. */
#include "oci/image_config.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

/* The order of rows is the order in which keys are written. */
BIND_TABLE(image_defaults_table, "config", ImageDefaults, ROW(ImageDefaults, "User", BIND_STRING, user),
	   ROW(ImageDefaults, "ExposedPorts", BIND_KEYS, exposed_ports), ROW(ImageDefaults, "Env", BIND_STRINGS, env),
	   ROW(ImageDefaults, "Entrypoint", BIND_STRINGS, entrypoint), ROW(ImageDefaults, "Cmd", BIND_STRINGS, cmd),
	   ROW(ImageDefaults, "Volumes", BIND_KEYS, volumes), ROW(ImageDefaults, "WorkingDir", BIND_STRING, working_dir),
	   ROW(ImageDefaults, "Labels", BIND_MAP, labels), ROW(ImageDefaults, "StopSignal", BIND_STRING, stop_signal),
	   ROW(ImageDefaults, "ArgsEscaped", BIND_BOOL, args_escaped),
	   ROW(ImageDefaults, "Healthcheck", BIND_POINTER, healthcheck, .sub = &healthcheck_table),
	   ROW(ImageDefaults, "OnBuild", BIND_STRINGS, on_build), ROW(ImageDefaults, "Shell", BIND_STRINGS, shell));

BIND_TABLE(rootfs_table, "rootfs", ImageRootfs, ROW(ImageRootfs, "type", BIND_STRING, type, .flags = BIND_REQUIRED),
	   ROW(ImageRootfs, "diff_ids", BIND_DIGESTS, diff_ids, .flags = BIND_ALWAYS));

BIND_TABLE(history_table, "history", ImageHistory, ROW(ImageHistory, "created", BIND_STRING, created),
	   ROW(ImageHistory, "created_by", BIND_STRING, created_by), ROW(ImageHistory, "author", BIND_STRING, author),
	   ROW(ImageHistory, "comment", BIND_STRING, comment), ROW(ImageHistory, "empty_layer", BIND_BOOL, empty_layer));

BIND_TABLE(image_config_table, "image config", ImageConfig, ROW(ImageConfig, "created", BIND_STRING, created),
	   ROW(ImageConfig, "author", BIND_STRING, author),
	   ROW(ImageConfig, "architecture", BIND_STRING, platform.architecture, .flags = BIND_ALWAYS),
	   ROW(ImageConfig, "os", BIND_STRING, platform.os, .flags = BIND_ALWAYS),
	   ROW(ImageConfig, "os.version", BIND_STRING, platform.os_version),
	   ROW(ImageConfig, "os.features", BIND_STRINGS, platform.os_features), ROW(ImageConfig, "variant", BIND_STRING, platform.variant),
	   ROW(ImageConfig, "config", BIND_OBJECT, config, .sub = &image_defaults_table, .flags = BIND_ALWAYS),
	   ROW(ImageConfig, "rootfs", BIND_OBJECT, rootfs, .sub = &rootfs_table, .flags = BIND_REQUIRED),
	   ROW(ImageConfig, "history", BIND_LIST, history, .sub = &history_table));

static int check(const ImageConfig *c, Err *e)
{
	size_t steps = 0;
	if (!streq(c->rootfs.type, "layers"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "image config: rootfs.type: \"%.64s\" is not supported, \"layers\" is",
			       c->rootfs.type);
	if (c->rootfs.diff_ids.n > LAYERS_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "image config: rootfs.diff_ids: %zu of them, at most %d can be mounted",
			       c->rootfs.diff_ids.n, LAYERS_MAX);
	for (size_t i = 0; i < c->history.n; i++)
		steps += !c->history.items[i].empty_layer;
	if (steps > c->rootfs.diff_ids.n)
		return err_set(e, ERR_CONFIG, EINVAL, "image config: history: too many non-empty layers: %zu, where rootfs has %zu", steps,
			       c->rootfs.diff_ids.n);
	return 0;
}

int image_config_parse(const char *text, size_t n, Arena *a, ImageConfig *ret, Err *e)
{
	ImageConfig c;
	if (n > MANIFEST_MAX) return err_set(e, ERR_CONFIG, EFBIG, "image config: %zu bytes long, at most %d are allowed", n, MANIFEST_MAX);
	char *copy = arena_str(a, (Str){ text, n });
	if (!copy) return err_sys(e, ENOMEM, "parse image config");
	int r = bind_parse(&image_config_table, copy, n, &c, "image config", a, e);
	if (r >= 0) r = check(&c, e);
	if (r >= 0) *ret = c;
	return r;
}

int image_config_check_layers(const ImageConfig *c, const Manifest *m, Err *e)
{
	if (c->rootfs.diff_ids.n == m->layers.n) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "image config: rootfs.diff_ids: %zu of them, where the manifest has %zu layers",
		       c->rootfs.diff_ids.n, m->layers.n);
}

int image_config_encode(ImageConfig *c, Buf *b)
{
	JsonWriter w = JSON_WRITER(b);
	str_list_sort(&c->config.exposed_ports);
	str_list_sort(&c->config.volumes);
	str_map_sort(&c->config.labels);
	bind_encode(&image_config_table, c, &w);
	return buf_failed(b) ? -EFBIG : 0;
}

/* A copy of a list with room for one more. */
static void *grown(const void *items, size_t n, size_t size, Arena *a)
{
	char *p = arena_array(a, n + 1, size);
	if (p && n) memcpy(p, items, n * size);
	return p;
}

int image_config_add_step(ImageConfig *c, const ImageHistory *step, const Digest *diff_id, Arena *a, Err *e)
{
	ImageHistory *history = grown(c->history.items, c->history.n, sizeof *history, a);
	Digest *ids = c->rootfs.diff_ids.items;
	if (!step->empty_layer) {
		if (c->rootfs.diff_ids.n >= LAYERS_MAX)
			return err_set(e, ERR_CONFIG, EINVAL, "image: more than %d layers cannot be mounted", LAYERS_MAX);
		ids = grown(ids, c->rootfs.diff_ids.n, sizeof *ids, a);
	}
	if (!history || (!step->empty_layer && !ids)) return err_sys(e, ENOMEM, "add a step to an image");
	history[c->history.n] = *step;
	c->history = (ImageHistoryList){ history, c->history.n + 1 };
	if (step->empty_layer) return 0;
	ids[c->rootfs.diff_ids.n] = *diff_id;
	c->rootfs.diff_ids = (DigestList){ ids, c->rootfs.diff_ids.n + 1 };
	return 0;
}
