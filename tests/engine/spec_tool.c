/* spec_tool: a container as the API's documents describe it, as the config.json that the runtime takes.
 *
 *   spec_tool ID ROOTFS [DIR] <DOCUMENT >config.json
 *
 * DOCUMENT: {"Config": …, "HostConfig": …, "Mounts": […], "Init": program, "CgroupParent": path}. ROOTFS: where users are looked up; DIR: where hosts,
 * hostname and resolv.conf lie. Warnings go to standard error; an error is said there, and the status is 1. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/spec.h"
#include "sys/fd.h"

enum { DOCUMENT_MAX = 16 << 20, MEMORY_MAX = 256 << 20 };

typedef struct Document {
	const JsonValue *config, *host;
	MountPointList mounts;
	const char *init, *cgroup_parent;
} Document;

BIND_TABLE(document_table, "document", Document, { .name = "Config", .kind = BIND_RAW, .offset = offsetof(Document, config) },
	   { .name = "HostConfig", .kind = BIND_RAW, .offset = offsetof(Document, host) },
	   { .name = "Mounts", .kind = BIND_LIST, .offset = offsetof(Document, mounts), .sub = &mount_point_table },
	   { .name = "Init", .kind = BIND_STRING, .offset = offsetof(Document, init) },
	   { .name = "CgroupParent", .kind = BIND_STRING, .offset = offsetof(Document, cgroup_parent) });

static int part(const BindTable *t, const JsonValue *v, void *to, Arena *a, Err *e)
{
	static const JsonValue empty = { .type = JSON_OBJECT };
	return bind_decode(t, v ? v : &empty, to, t->type, a, e);
}

static int run(int argc, char **argv, Arena *a, Err *e)
{
	AUTO_BUF in = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX);
	JsonValue v;
	Document d;
	ContainerConfig config;
	HostConfig host;
	Machine machine;
	OciSpec spec;
	int r = fd_read_all(0, &in);
	if (r < 0) return err_sys(e, r, "read the document");
	if ((r = json_parse(in.p, in.n, a, &v, e)) < 0 || (r = bind_decode(&document_table, &v, &d, "document", a, e)) < 0) return r;
	if ((r = part(&container_config_table, d.config, &config, a, e)) < 0 || (r = part(&host_config_table, d.host, &host, a, e)) < 0)
		return r;
	machine_init(&machine, a);
	AUTO_FD int root = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) return err_sys(e, errno, "open %s", argv[2]);
	SpecInput input = { .id = argv[1],
			    .config = &config,
			    .host = &host,
			    .machine = &machine,
			    .mounts = &d.mounts,
			    .root = root,
			    .dir = argc > 3 ? argv[3] : NULL,
			    .init_program = d.init,
			    .cgroup_parent = d.cgroup_parent };
	if ((r = spec_make(&input, a, &spec, e)) < 0) return r;
	bind_encode(&oci_spec_table, &spec, &JSON_WRITER(&out));
	if (buf_failed(&out)) return err_sys(e, ENOMEM, "write the specification");
	return fd_write_all(1, out.p, out.n);
}

int main(int argc, char **argv)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: spec_tool ID ROOTFS [DIR] <DOCUMENT\n");
		return 2;
	}
	if (run(argc, argv, &a, &e) >= 0) return 0;
	fprintf(stderr, "%s\n", e.msg);
	return 1;
}
