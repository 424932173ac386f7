/* test_image_docs.c: manifests, indexes, configurations and platforms: what is read, what is refused, what is written. */
#include "base/hash.h"
#include "check.h"
#include "oci/image_config.h"
#include "oci/platform.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define D(type, size) "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX "\",\"size\":" size "}"
#define OCI_M "application/vnd.oci.image.manifest.v1+json"
#define OCI_I "application/vnd.oci.image.index.v1+json"
#define OCI_C "application/vnd.oci.image.config.v1+json"
#define OCI_L "application/vnd.oci.image.layer.v1.tar+gzip"
#define DOCKER_M "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_I "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_C "application/vnd.docker.container.image.v1+json"
#define DOCKER_L "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define CONFIG "\"config\":" D(OCI_C, "7")
#define LAYERS "\"layers\":[" D(OCI_L, "9") "]"
#define MANIFESTS "\"manifests\":[" D(OCI_M, "11") "]"

typedef struct Parsed {
	Arena arena;
	Err e;
	int r;
	ImageDocument d;
} Parsed;

static void parsed_done(Parsed *p)
{
	arena_done(&p->arena);
}
#define AUTO_PARSED AUTO(parsed_done) Parsed

static Parsed parse(const char *text, const char *announced)
{
	Parsed p = { .arena = ARENA_INIT(64 << 20) };
	p.r = image_document_parse(text, strlen(text), announced, &p.arena, &p.d, &p.e);
	return p;
}

static void documents_are_read_and_written_back(void **state)
{
	(void)state;
	const char *manifests[] = {
		"{\"schemaVersion\":2,\"mediaType\":\"" OCI_M "\"," CONFIG "," LAYERS "}",
		"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}",
		"{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_M "\",\"config\":" D(DOCKER_C, "0") ",\"layers\":[" D(DOCKER_L, "1") "]}",
		"{\"schemaVersion\":2,\"mediaType\":\"" OCI_M "\",\"artifactType\":\"application/x\",\"config\":{\"mediaType\":"
		"\"application/vnd.oci.empty.v1+json\",\"digest\":\"sha256:" HEX "\",\"size\":2,\"data\":\"e30=\"},"
		"\"layers\":[{\"mediaType\":\"text/plain\",\"digest\":\"sha512:" HEX HEX "\",\"size\":9223372036854775807,"
		"\"urls\":[\"https://host.com/x\"],\"annotations\":{\"a\":\"b\"},\"artifactType\":\"t\"}],"
		"\"subject\":" D(OCI_M, "5") ",\"annotations\":{\"z\":\"1\",\"a\":\"\"}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++) {
		AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
		AUTO_PARSED p = parse(manifests[i], NULL);
		if (p.r < 0) fail_msg("%s", p.e.msg);
		assert_int_equal(p.d.kind, MEDIA_MANIFEST);
		assert_int_equal(manifest_encode(&p.d.manifest, &b), 0);
		assert_string_equal(buf_str(&b), manifests[i]);
	}
	const char *index = "{\"schemaVersion\":2,\"mediaType\":\"" OCI_I "\",\"manifests\":[{\"mediaType\":\"" OCI_M
			    "\",\"digest\":\"sha256:" HEX "\",\"size\":1,\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\","
			    "\"os.version\":\"1\",\"os.features\":[\"f\"],\"variant\":\"v8\"}}],\"annotations\":{\"k\":\"v\"}}";
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	AUTO_PARSED p = parse(index, OCI_I);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.d.kind, MEDIA_INDEX);
	assert_string_equal(p.d.media_type, OCI_I);
	assert_int_equal(index_encode(&p.d.index, &b), 0);
	assert_string_equal(buf_str(&b), index);
	AUTO_BUF small = BUF_INIT(40);
	assert_int_equal(index_encode(&p.d.index, &small), -EFBIG);
}

static const struct {
	const char *text, *announced, *message;
	ErrCode code;
} refusals[] = {
	/* CVE-2021-41190 */
	{ "{\"schemaVersion\":2," CONFIG "," LAYERS "," MANIFESTS "}", NULL, "manifest: has the fields of an index, too", ERR_SECURITY },
	{ "{\"schemaVersion\":2,\"layers\":[]," MANIFESTS "}", OCI_I, "manifest: has the fields of an index, too", ERR_SECURITY },
	{ "{\"schemaVersion\":2,\"mediaType\":\"" OCI_I "\"," CONFIG "," LAYERS "}", NULL,
	  "manifest: its mediaType \"" OCI_I "\" is that of an index", ERR_SECURITY },
	{ "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_M "\"," MANIFESTS "}", NULL,
	  "index: its mediaType \"" DOCKER_M "\" is that of an image manifest", ERR_SECURITY },
	{ "{\"schemaVersion\":2," CONFIG "," LAYERS "}", OCI_I, "manifest: announced was \"" OCI_I "\"", ERR_SECURITY },
	{ "{\"schemaVersion\":2," MANIFESTS "}", DOCKER_M, "index: announced was \"" DOCKER_M "\"", ERR_SECURITY },
	{ "{\"schemaVersion\":2,\"mediaType\":\"" OCI_M "\"," CONFIG "," LAYERS "}", DOCKER_M,
	  "manifest: its mediaType is \"" OCI_M "\", announced was \"" DOCKER_M "\"", ERR_SECURITY },
	{ "{\"schemaVersion\":2," CONFIG "," LAYERS ",\"Layers\":[]}", NULL, "manifest: key \"Layers\" would be \"layers\" to some readers",
	  ERR_SECURITY },
	{ "{\"schemaVersion\":2," MANIFESTS ",\"layer\\u017f\":[]}", NULL,
	  "manifest: key \"layer\xc5\xbf\" would be \"layers\" to some readers", ERR_SECURITY },
	{ "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"Digest\":\"\"}]}", NULL,
	  "manifest: key \"Digest\" would be \"digest\" to some readers", ERR_SECURITY },
	{ "{\"schemaVersion\":2," CONFIG "," CONFIG "}", NULL, "manifest: invalid JSON", ERR_CONFIG },
	/* shape */
	{ "{}", NULL, "manifest: has neither \"config\" and \"layers\" nor \"manifests\"", ERR_CONFIG },
	{ "[]", NULL, "manifest: expected an object, got array", ERR_CONFIG },
	{ "", NULL, "manifest: invalid JSON at byte 0", ERR_CONFIG },
	{ "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, "manifest: docker's schema 1 is not supported", ERR_UNSUPPORTED },
	{ "{\"schemaVersion\":3," CONFIG "," LAYERS "}", NULL, "manifest: schemaVersion: expected 2, got 3", ERR_CONFIG },
	{ "{" CONFIG "," LAYERS "}", NULL, "manifest: schemaVersion: required, but missing", ERR_CONFIG },
	{ "{\"schemaVersion\":2," LAYERS "}", NULL, "manifest: config: required, but missing", ERR_CONFIG },
	{ "{\"schemaVersion\":2,\"mediaType\":\"text/plain\"," CONFIG "," LAYERS "}", NULL,
	  "manifest: mediaType: unknown type \"text/plain\"", ERR_CONFIG },
	/* descriptors */
	{ "{\"schemaVersion\":2,\"config\":" D(OCI_C, "-1") "," LAYERS "}", NULL, "manifest: config.size: must not be negative",
	  ERR_CONFIG },
	{ "{\"schemaVersion\":2," CONFIG ",\"layers\":[" D(OCI_L, "1") "," D(OCI_L, "-2") "]}", NULL,
	  "manifest: layers[1].size: must not be negative", ERR_CONFIG },
	{ "{\"schemaVersion\":2,\"manifests\":[" D(OCI_M, "-3") "]}", NULL, "index: manifests[0].size: must not be negative", ERR_CONFIG },
	{ "{\"schemaVersion\":2," CONFIG ",\"layers\":[" D(OCI_L, "1e3") "]}", NULL, "manifest: layers[0].size: expected an integer",
	  ERR_CONFIG },
	{ "{\"schemaVersion\":2," CONFIG ",\"layers\":[" D(OCI_L, "9223372036854775808") "]}", NULL,
	  "manifest: layers[0].size: expected an integer", ERR_CONFIG },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"size\":1}}", NULL, "manifest: config.digest: required, but missing",
	  ERR_CONFIG },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:../../x\",\"size\":1}}", NULL,
	  "manifest: config.digest: expected a digest", ERR_CONFIG },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"md5:00\",\"size\":1}}", NULL,
	  "manifest: config.digest: algorithm of \"md5:00\"", ERR_UNSUPPORTED },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX "\",\"size\":3,\"data\":\"e30=\"}}", NULL,
	  "manifest: config.data: expected base64 of 3 bytes", ERR_CONFIG },
};

static void documents_are_refused_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		AUTO_PARSED p = parse(refusals[i].text, refusals[i].announced);
		if (p.r >= 0) fail_msg("accepted: %s", refusals[i].text);
		if (!starts_with(p.e.msg, refusals[i].message)) fail_msg("%s\ninstead of\n%s", p.e.msg, refusals[i].message);
		assert_int_equal(p.e.code, refusals[i].code);
		assert_int_equal(p.r, -p.e.errnum);
	}
}

static void types_may_be_left_out_or_unknown_outside(void **state)
{
	(void)state;
	const char *manifest = "{\"schemaVersion\":2," CONFIG "," LAYERS "}";
	const struct {
		const char *announced, *type;
	} cases[] = { { NULL, OCI_M },
		      { "", OCI_M },
		      { "application/json", OCI_M },
		      { OCI_M "; charset=utf-8", OCI_M },
		      { "Application/VND.docker.distribution.manifest.v2+JSON", DOCKER_M } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_PARSED p = parse(manifest, cases[i].announced);
		assert_int_equal(p.r, 0);
		assert_string_equal(p.d.media_type, cases[i].type);
	}
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	Index index;
	Manifest m;
	assert_int_equal(manifest_parse(manifest, strlen(manifest), NULL, &a, &m, &e), 0);
	assert_int_equal(m.layers.n, 1);
	assert_int_equal(index_parse(manifest, strlen(manifest), NULL, &a, &index, &e), -EINVAL);
	assert_string_equal(e.msg, "expected an image index, got an image manifest");
}

static void sizes_have_ceilings(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(8 << 20);
	buf_puts(&b, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" D(OCI_L, "1"));
	for (int i = 1; i < LAYERS_MAX; i++)
		buf_puts(&b, "," D(OCI_L, "1"));
	size_t n = b.n;
	buf_puts(&b, "]}");
	AUTO_PARSED most = parse(buf_str(&b), NULL);
	assert_int_equal(most.r, 0);
	assert_int_equal(most.d.manifest.layers.n, LAYERS_MAX);
	b.n = n;
	buf_puts(&b, "," D(OCI_L, "1") "]}");
	AUTO_PARSED more = parse(buf_str(&b), NULL);
	assert_int_equal(more.r, -EINVAL);
	assert_string_equal(more.e.msg, "manifest: layers: 501 of them, at most 500 can be mounted");
	while (b.n <= MANIFEST_MAX)
		buf_puts(&b, "                                                                ");
	AUTO_PARSED large = parse(buf_str(&b), NULL);
	assert_int_equal(large.r, -EFBIG);
	AUTO_ARENA small = ARENA_INIT(100);
	Err e = ERR_INIT;
	ImageDocument d;
	const char *text = "{\"schemaVersion\":2," CONFIG "," LAYERS "}";
	assert_int_equal(image_document_parse(text, strlen(text), NULL, &small, &d, &e), -ENOMEM);
}

static void types_convert_between_families(void **state)
{
	(void)state;
	const char *oci = "{\"schemaVersion\":2,\"mediaType\":\"" OCI_M "\"," CONFIG "," LAYERS "}";
	const char *docker =
		"{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_M "\",\"config\":" D(DOCKER_C, "7") ",\"layers\":[" D(DOCKER_L, "9") "]}";
	Err e = ERR_INIT;
	AUTO_PARSED p = parse(oci, NULL);
	AUTO_BUF b = BUF_INIT(4096);
	assert_int_equal(manifest_convert(&p.d.manifest, MEDIA_DOCKER, &e), 0);
	assert_int_equal(manifest_encode(&p.d.manifest, &b), 0);
	assert_string_equal(buf_str(&b), docker);
	buf_reset(&b);
	assert_int_equal(manifest_convert(&p.d.manifest, MEDIA_OCI, &e), 0);
	assert_int_equal(manifest_encode(&p.d.manifest, &b), 0);
	assert_string_equal(buf_str(&b), oci);
	p.d.manifest.artifact_type = "x";
	assert_int_equal(manifest_convert(&p.d.manifest, MEDIA_DOCKER, &e), -ENOTSUP);
	p.d.manifest.layers.items[0].media_type = "application/vnd.in-toto+json";
	assert_int_equal(manifest_check_image(&p.d.manifest, &e), -ENOTSUP);
	assert_string_equal(e.msg, "not an image that can be run: layers[0] is of type \"application/vnd.in-toto+json\"");
	const char *layers[] = { "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+zstd",
				 "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" };
	const char *others[] = { "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.zstd",
				 "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" };
	for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
		assert_string_equal(media_type_in(MEDIA_DOCKER, media_type(str_of(layers[i]))), others[i]);
		assert_string_equal(media_type_in(MEDIA_OCI, media_type(str_of(others[i]))), layers[i]);
	}
	assert_string_equal(media_type_layer(MEDIA_OCI, COMPRESSION_ZSTD), layers[1]);
	assert_null(media_type(STR("")));
	assert_null(media_type(STR("application/vnd.oci.image.layer.v1.tar+gzi")));
	assert_false(media_type_is(NULL, MEDIA_LAYER));
}

/* ---- configurations ---- */

static const char config_text[] =
	"{\"created\":\"2026-01-02T03:04:05.6Z\",\"author\":\"a\",\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\","
	"\"config\":{\"User\":\"1:2\",\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}},\"Env\":[\"PATH=/bin\"],\"Entrypoint\":[\"/a\"],"
	"\"Cmd\":[\"b\",\"\"],\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/w\",\"Labels\":{\"a\":\"1\",\"b\":\"2\"},\"StopSignal\":\"SIGINT\","
	"\"ArgsEscaped\":true,\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":30000000000,\"Timeout\":1,\"StartPeriod\":2,"
	"\"StartInterval\":3,\"Retries\":4},\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/sh\",\"-c\"]},"
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]},"
	"\"history\":[{\"created\":\"2026-01-02T03:04:05Z\",\"created_by\":\"COPY\",\"author\":\"a\",\"comment\":\"c\"},"
	"{\"created_by\":\"CMD\",\"empty_layer\":true}]}";

static void configurations_are_read_and_written_back(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(1 << 20);
	Err e = ERR_INIT;
	ImageConfig c;
	if (image_config_parse(config_text, strlen(config_text), &a, &c, &e) < 0) fail_msg("%s", e.msg);
	assert_string_equal(c.config.exposed_ports.items[1], "80/tcp");
	assert_int_equal(c.config.healthcheck->interval, 30000000000);
	assert_string_equal(c.platform.variant, "v7");
	assert_int_equal(image_config_encode(&c, &b), 0);
	assert_string_equal(buf_str(&b), config_text);
	/* as docker writes it: nulls, unsorted maps, keys of its own */
	const char *docker = "{\"architecture\":\"amd64\",\"config\":{\"Hostname\":\"x\",\"Cmd\":null,\"Entrypoint\":null,\"OnBuild\":null,"
			     "\"Labels\":{\"b\":\"2\",\"a\":\"1\"},\"ExposedPorts\":{\"9/tcp\":{},\"1/tcp\":{}},\"AttachStdin\":false},"
			     "\"container\":\"c\",\"container_config\":{\"Cmd\":[\"x\"]},\"docker_version\":\"20\",\"os\":\"linux\","
			     "\"rootfs\":{\"diff_ids\":null,\"type\":\"layers\"}}";
	buf_reset(&b);
	if (image_config_parse(docker, strlen(docker), &a, &c, &e) < 0) fail_msg("%s", e.msg);
	assert_int_equal(image_config_encode(&c, &b), 0);
	assert_string_equal(buf_str(&b),
			    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"ExposedPorts\":{\"1/tcp\":{},\"9/tcp\":{}},"
			    "\"Labels\":{\"a\":\"1\",\"b\":\"2\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
}

static void configurations_are_refused_with_a_reason(void **state)
{
	(void)state;
	const struct {
		const char *text, *message;
	} cases[] = {
		{ "{}", "image config: rootfs: required, but missing" },
		{ "{\"rootfs\":{}}", "image config: rootfs.type: required, but missing" },
		{ "{\"rootfs\":{\"type\":\"x\"}}", "image config: rootfs.type: \"x\" is not supported, \"layers\" is" },
		{ "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"x\"]}}", "image config: rootfs.diff_ids[0]: expected a digest" },
		{ "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]},\"history\":[{},{}]}",
		  "image config: history: too many non-empty layers: 2, where rootfs has 1" },
		{ "{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Env\":\"A=b\"}}", "image config: config.Env: expected an array" },
		{ "{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Healthcheck\":{\"Retries\":3000000000}}}",
		  "image config: config.Healthcheck.Retries: expected an integer" },
		{ "{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"User\":\"a\\u0000b\"}}", "image config: invalid JSON" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		ImageConfig c;
		int r = image_config_parse(cases[i].text, strlen(cases[i].text), &a, &c, &e);
		assert_true(r < 0 && r == -e.errnum);
		if (!starts_with(e.msg, cases[i].message)) fail_msg("%s\ninstead of\n%s", e.msg, cases[i].message);
	}
}

static void steps_are_added_without_touching_the_base(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	ImageConfig base, c;
	Manifest m = { 0 };
	Digest id;
	assert_int_equal(image_config_parse(config_text, strlen(config_text), &a, &base, &e), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, "x", 1, &id), 0);
	c = base;
	const ImageHistory run = { .created_by = "RUN make" }, env = { .created_by = "ENV A=b", .empty_layer = true };
	assert_int_equal(image_config_add_step(&c, &env, NULL, &a, &e), 0);
	assert_int_equal(image_config_add_step(&c, &run, &id, &a, &e), 0);
	assert_true(c.history.n == 4 && c.rootfs.diff_ids.n == 2 && base.history.n == 2 && base.rootfs.diff_ids.n == 1);
	assert_string_equal(c.history.items[3].created_by, "RUN make");
	assert_string_equal(c.history.items[1].created_by, "CMD");
	assert_true(digest_equal(&c.rootfs.diff_ids.items[1], &id));
	m.layers.n = 2;
	assert_int_equal(image_config_check_layers(&c, &m, &e), 0);
	assert_int_equal(image_config_check_layers(&base, &m, &e), -EINVAL);
	assert_string_equal(e.msg, "image config: rootfs.diff_ids: 1 of them, where the manifest has 2 layers");
	c.rootfs.diff_ids.n = LAYERS_MAX; /* as if they were there */
	assert_int_equal(image_config_add_step(&c, &run, &id, &a, &e), -EINVAL);
}

/* ---- platforms ---- */

static void platforms_have_a_normal_form(void **state)
{
	(void)state;
	const struct {
		const char *text, *normal;
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/x86_64", "linux/amd64" },
		{ "Linux/AMD64/V1", "linux/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/6", "linux/arm/v6" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armel", "linux/arm/v6" },
		{ "linux/i386/x", "linux/386" },
		{ "arm64", "linux/arm64" },
		{ "x86_64", "linux/amd64" },
		{ "macos/arm64", "darwin/arm64" },
		{ "windows(10.0.1)/amd64", "windows/amd64" },
		{ "linux/riscv64", "linux/riscv64" },
		{ "unknown/unknown", "unknown/unknown" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Err e = ERR_INIT;
		Platform p;
		if (platform_parse(str_of(cases[i].text), &a, &p, &e) < 0) fail_msg("%s", e.msg);
		assert_string_equal(platform_format(&p, &a), cases[i].normal);
	}
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	Platform p;
	assert_int_equal(platform_parse(STR("linux"), &a, &p, &e), 0);
	assert_int_equal(platform_rank(platform_host(), &p), 0);
	const char *bad[] = { "",        "/",      "linux/",   "/amd64",        "linux/amd64/v1/x",
			      "linux/*", "lin ux", "nonsense", "linux(1/amd64", "linux()/amd64" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (platform_parse(str_of(bad[i]), &a, &p, &e) != -EINVAL) fail_msg("%s", bad[i]);
		assert_true(starts_with(e.msg, "invalid platform \""));
	}
}

static void choose(const char *wanted, int want, const char *const offered[])
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	Platform platforms[8], w;
	Descriptor entries[8] = { 0 };
	Index index = { .manifests = { .items = entries } };
	for (; offered[index.manifests.n]; index.manifests.n++) {
		Descriptor *d = &entries[index.manifests.n];
		const char *text = offered[index.manifests.n];
		d->media_type = starts_with(text, "text") ? "text/plain" : OCI_M;
		if (streq(text, "?") || starts_with(text, "text")) continue;
		assert_int_equal(platform_parse(str_of(text), &a, &platforms[index.manifests.n], &e), 0);
		d->platform = &platforms[index.manifests.n];
	}
	size_t at = 99;
	assert_int_equal(platform_parse(str_of(wanted), &a, &w, &e), 0);
	int r = index_choose(&index, &w, &a, &at, &e);
	if (r != (want < 0 ? -ENOENT : 0) || (want >= 0 && at != (size_t)want)) fail_msg("%s: %d, %zu", wanted, r, at);
}

static void the_best_of_an_index_is_chosen(void **state)
{
	(void)state;
	const char *all[] = { "linux/386", "linux/arm/v5", "linux/arm/v7", "linux/arm64", "linux/amd64", "windows/amd64", NULL };
	choose("linux/amd64", 4, all);
	choose("linux/amd64/v3", 4, all);
	choose("linux/arm64", 3, all);
	choose("linux/arm64/v9", 3, all);
	choose("linux/arm", 2, all);
	choose("linux/arm/v6", 1, all);
	choose("linux/386", 0, all);
	choose("windows/amd64", 5, all);
	choose("linux/s390x", -1, all);
	const char *variants[] = { "linux/amd64/v4", "linux/amd64/v2", "linux/amd64", "linux/amd64/v3", NULL };
	choose("linux/amd64", 2, variants);
	choose("linux/amd64/v3", 3, variants);
	choose("linux/amd64/v2", 1, variants);
	const char *narrow[] = { "text/plain", "?", "linux/386", "linux/arm/v6", NULL };
	choose("linux/amd64", 2, narrow);
	choose("linux/arm64", 3, narrow);
	choose("linux/riscv64", 1, narrow);
	const char *nothing[] = { "unknown/unknown", "text/plain", NULL };
	choose("linux/amd64", -1, nothing);
}

static void attestations_are_never_chosen(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	StrPair pair = { "vnd.docker.reference.type", "attestation-manifest" };
	Descriptor entry = { .media_type = OCI_M, .annotations = { &pair, 1 } };
	Index index = { .manifests = { &entry, 1 } };
	size_t at;
	assert_int_equal(index_choose(&index, platform_host(), &a, &at, &e), -ENOENT);
	assert_true(starts_with(e.msg, "no matching manifest for linux/"));
	pair.value = "other";
	assert_int_equal(index_choose(&index, platform_host(), &a, &at, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_and_written_back),
		cmocka_unit_test(documents_are_refused_with_a_reason),
		cmocka_unit_test(types_may_be_left_out_or_unknown_outside),
		cmocka_unit_test(sizes_have_ceilings),
		cmocka_unit_test(types_convert_between_families),
		cmocka_unit_test(configurations_are_read_and_written_back),
		cmocka_unit_test(configurations_are_refused_with_a_reason),
		cmocka_unit_test(steps_are_added_without_touching_the_base),
		cmocka_unit_test(platforms_have_a_normal_form),
		cmocka_unit_test(the_best_of_an_index_is_chosen),
		cmocka_unit_test(attestations_are_never_chosen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
