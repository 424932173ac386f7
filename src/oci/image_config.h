/* image_config.h: the configuration of an image: what it is for, how its containers start, of which layers it consists and how
 * they came about. Spec: OCI image specification 1.1, config.md, with docker's additions (Healthcheck, OnBuild, Shell).
 *
 *  - As with manifests, the received bytes are what counts: the digest of the configuration is the image's id.
 *  - Keys are those of the documents; docker's API uses the same names for `config`, and the same table.
 */
#pragma once

#include "oci/healthcheck.h"
#include "oci/manifest.h"

/* ImageDefaults: what a container of the image runs, unless told otherwise. */
typedef struct ImageDefaults {
	const char *user;
	StrList exposed_ports; /* "80/tcp" */
	StrList env;
	StrList entrypoint, cmd;
	StrList volumes; /* paths */
	const char *working_dir;
	StrMap labels;
	const char *stop_signal;
	bool args_escaped;
	const Healthcheck *healthcheck;
	StrList on_build;
	StrList shell;
} ImageDefaults;

typedef struct ImageRootfs {
	const char *type;    /* "layers" */
	DigestList diff_ids; /* of the uncompressed layers, from the lowest up */
} ImageRootfs;

typedef struct ImageHistory {
	const char *created, *created_by, *author, *comment;
	bool empty_layer; /* the step made no layer */
} ImageHistory;
typedef LIST_OF(ImageHistory) ImageHistoryList;

typedef struct ImageConfig {
	const char *created; /* RFC 3339 */
	const char *author;
	Platform platform;
	ImageDefaults config;
	ImageRootfs rootfs;
	ImageHistoryList history;
} ImageConfig;

extern const BindTable image_defaults_table, image_config_table;

/* image_config_parse: text is not changed; all of *ret lies in the arena. Refused: another rootfs type than "layers", more than
 * LAYERS_MAX layers, more steps with a layer in the history than layers (fewer are common and accepted, as docker does). -EINVAL,
 * -ENOTSUP, -EFBIG, -ENOMEM. */
int image_config_parse(const char *text, size_t n, Arena *a, ImageConfig *ret, Err *e) MUST_USE;
/* image_config_check_layers: the configuration has a diff_id for each layer of the manifest. */
int image_config_check_layers(const ImageConfig *c, const Manifest *m, Err *e) MUST_USE;

/* image_config_encode: compact JSON, keys in the order of the specification's Go structs, appended to b; sorts the maps in *c
 * as Go does. -EFBIG when b does not hold it. */
int image_config_encode(ImageConfig *c, Buf *b) MUST_USE;
/* image_config_add_step: appends to the history and, unless step->empty_layer, diff_id to the layers. Earlier lists stay as they
 * are (they may belong to a base image); strings are not copied. */
int image_config_add_step(ImageConfig *c, const ImageHistory *step, const Digest *diff_id, Arena *a, Err *e) MUST_USE;
