/* spec_tool: a container as the API's documents describe it, as the config.json that the runtime takes.
 *
 *   spec_tool ID ROOTFS [DIR] <DOCUMENT >config.json
 *
 * DOCUMENT: {"Config": …, "HostConfig": …, "Mounts": […], "Init": program, "CgroupParent": path, "First": host id of an automatic user namespace}.
 * ROOTFS: where users are looked up; DIR: where hosts, hostname and resolv.conf are written. Warnings go to standard error; an error is said there,
 * and the status is 1. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/config_check.h"
#include "engine/etc_files.h"
#include "engine/spec.h"
#include "engine/userns.h"
#include "oci/passwd.h"
#include "sys/fd.h"

enum { DOCUMENT_MAX = 16 << 20, MEMORY_MAX = 256 << 20 };

typedef struct Document {
	const JsonValue *config, *host;
	MountPointList mounts;
	const char *init, *cgroup_parent;
	uint32_t first;
} Document;

BIND_TABLE(document_table, "document", Document, { .name = "Config", .kind = BIND_RAW, .offset = offsetof(Document, config) },
	   { .name = "HostConfig", .kind = BIND_RAW, .offset = offsetof(Document, host) },
	   { .name = "Mounts", .kind = BIND_LIST, .offset = offsetof(Document, mounts), .sub = &mount_point_table },
	   { .name = "Init", .kind = BIND_STRING, .offset = offsetof(Document, init) },
	   { .name = "CgroupParent", .kind = BIND_STRING, .offset = offsetof(Document, cgroup_parent) },
	   { .name = "First", .kind = BIND_U32, .offset = offsetof(Document, first) });

static int part(const BindTable *t, const JsonValue *v, void *to, Arena *a, Err *e)
{
	static const JsonValue empty = { .type = JSON_OBJECT };
	return bind_decode(t, v ? v : &empty, to, t->type, a, e);
}

static int write_etc(const char *path, const SpecInput *in, Arena *a, Err *e)
{
	AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return err_sys(e, errno, "open %s", path);
	EtcFiles f = { .host = in->host,
		       .hostname = spec_hostname(in->id, in->config, in->host, a),
		       .ipv6 = etc_ipv6(in->host, in->machine) };
	return etc_files_write(dir, &f, e);
}

static int set_userns(const Document *d, SpecInput *in, Arena *a, Err *e)
{
	UsernsOwner owner;
	UsernsPlan plan;
	int r;
	if ((r = userns_owner(0, 0, "root", false, a, &owner, e)) < 0) return r;
	if ((r = userns_plan(in->host, &owner, passwd_highest_id(in->root), a, &plan, e)) < 0) return r;
	if (plan.kind == USERNS_AUTO && (r = userns_give(&plan, d->first, d->first, a, e)) < 0) return r;
	in->maps = plan.maps;
	return 0;
}

static int translate(char **argv, const Document *d, Arena *a, Buf *out, Err *e)
{
	ContainerConfig config;
	HostConfig host;
	Machine machine;
	OciSpec spec;
	StrList warnings;
	int r;
	if ((r = part(&container_config_table, d->config, &config, a, e)) < 0 || (r = part(&host_config_table, d->host, &host, a, e)) < 0)
		return r;
	machine_init(&machine, a);
	if ((r = config_check(&config, &host, &machine, a, &warnings, e)) < 0) return r;
	for (size_t i = 0; i < warnings.n; i++)
		fprintf(stderr, "WARNING: %s\n", warnings.items[i]);
	AUTO_FD int root = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) return err_sys(e, errno, "open %s", argv[2]);
	SpecInput in = { .id = argv[1],
			 .config = &config,
			 .host = &host,
			 .machine = &machine,
			 .mounts = &d->mounts,
			 .root = root,
			 .dir = argv[3],
			 .init_program = d->init,
			 .cgroup_parent = d->cgroup_parent };
	if ((r = set_userns(d, &in, a, e)) < 0) return r;
	if (argv[3] && (r = write_etc(argv[3], &in, a, e)) < 0) return r;
	if ((r = spec_make(&in, a, &spec, e)) < 0) return r;
	bind_encode(&oci_spec_table, &spec, &JSON_WRITER(out));
	return buf_failed(out) ? err_sys(e, ENOMEM, "write the specification") : 0;
}

static int run(char **argv, Arena *a, Err *e)
{
	AUTO_BUF in = BUF_INIT(DOCUMENT_MAX), out = BUF_INIT(DOCUMENT_MAX);
	JsonValue v;
	Document d;
	int r = fd_read_all(0, &in);
	if (r < 0) return err_sys(e, r, "read the document");
	if ((r = json_parse(in.p, in.n, a, &v, e)) < 0 || (r = bind_decode(&document_table, &v, &d, "document", a, e)) < 0) return r;
	if ((r = translate(argv, &d, a, &out, e)) < 0) return r;
	r = fd_write_all(1, out.p, out.n);
	return r < 0 ? err_sys(e, r, "write the specification") : 0;
}

int main(int argc, char **argv)
{
	AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
	Err e = ERR_INIT;
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: spec_tool ID ROOTFS [DIR] <DOCUMENT\n");
		return 2;
	}
	if (run(argv, &a, &e) >= 0) return 0;
	fprintf(stderr, "%s\n", e.msg);
	return 1;
}
