/* test_spec.c: what is said of configurations that cannot be: one line, the place in the document, and what is allowed there. */
#include "check.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>

#include "oci/spec.h"
#include "sys/fd.h"

enum { ARENA_MAX = 64 << 20 };

typedef struct Parsed {
	Arena arena;
	Err e;
	int r;
	OciSpec spec;
} Parsed;

static void parsed_done(Parsed *p)
{
	arena_done(&p->arena);
}
#define AUTO_PARSED AUTO(parsed_done) Parsed

static Parsed parse(Str text)
{
	Parsed p = { .arena = ARENA_INIT(ARENA_MAX), .e = ERR_INIT };
	char *copy = arena_str(&p.arena, text);
	assert_non_null(copy);
	p.r = oci_spec_parse(copy, text.n, &p.arena, &p.spec, &p.e);
	return p;
}

/* Documents here are written with ' for ". */
static Parsed parse_quoted(const char *quoted)
{
	AUTO_FREE char *text = strdup(quoted);
	assert_non_null(text);
	for (char *p = text; *p; p++)
		if (*p == '\'') *p = '"';
	return parse(str_of(text));
}

static void assert_one_line(const Err *e)
{
	for (const char *p = e->msg; *p; p++)
		if (iscntrl((unsigned char)*p)) fail_msg("control character in \"%s\"", e->msg);
	if (!starts_with(e->msg, "config.json: ")) fail_msg("\"%s\" does not name the document", e->msg);
	assert_true(e->errnum > 0 && e->code != ERR_NONE);
}

static void assert_refused(const Parsed *p, const char *document, const char *where, const char *why)
{
	if (p->r >= 0) fail_msg("accepted: %s", document);
	assert_one_line(&p->e);
	if (!starts_with(p->e.msg + strlen("config.json: "), where)) fail_msg("\"%s\" does not begin with \"%s\"", p->e.msg, where);
	if (!strstr(p->e.msg, why)) fail_msg("\"%s\" does not say \"%s\"", p->e.msg, why);
}

static void assert_accepted(const Parsed *p, const char *document)
{
	if (p->r < 0) fail_msg("%s: refused: %s", p->e.msg, document);
	assert_string_equal(p->e.msg, "");
}

#define DOCUMENT(more) "{'ociVersion':'1.2.0','root':{'path':'r'}" more "}"
#define PROCESS(more) DOCUMENT(",'process':{'cwd':'/','args':['a']" more "}")
#define LINUX(members) DOCUMENT(",'linux':{" members "}")
#define NAMESPACES(list, more) LINUX("'namespaces':[" list "]" more)
#define TYPE(name) "{'type':'" name "'}"
#define MAP(container, host, size) "{'containerID':" #container ",'hostID':" #host ",'size':" #size "}"

/* ---- values that no field takes: for every row of the tables ---- */

/* Way: where a row stands: the document around its value, and its path as messages write it. */
typedef struct Way {
	char before[1024], after[256], path[256];
} Way;

static void refuse_value(const Way *w, const char *value, const char *suffix, const char *why)
{
	char document[2048], where[320];
	snprintf(document, sizeof document, "%s%s%s", w->before, value, w->after);
	snprintf(where, sizeof where, "%s%s: ", w->path, suffix);
	AUTO_PARSED p = parse(str_of(document));
	assert_refused(&p, document, where, why);
}

static void refuse_range(const Way *w, const BindRow *row)
{
	char value[32];
	if (!row->max) return;
	if (row->max < UINT64_MAX) {
		snprintf(value, sizeof value, "%llu", (unsigned long long)row->max + 1);
		refuse_value(w, value, "", "expected an integer from ");
	}
	snprintf(value, sizeof value, "%lld", (long long)row->min - 1);
	refuse_value(w, value, "", "expected an integer from ");
}

static void refuse_integer(const Way *w, const BindRow *row)
{
	bool is_unsigned = row->kind == BIND_U32 || row->kind == BIND_U64 || row->kind == BIND_OPT_UINT;
	refuse_value(w, "\"7\"", "", "expected an integer");
	refuse_value(w, "1.5", "", "expected an integer");
	refuse_value(w, "true", "", "got boolean");
	if (is_unsigned) refuse_value(w, "-1", "", "expected");
	if (row->kind == BIND_U32 || row->kind == BIND_I32) refuse_value(w, "4294967296", "", "expected");
	if (row->kind == BIND_I32) refuse_value(w, "-2147483649", "", "expected");
	if (row->kind == BIND_I64 || row->kind == BIND_OPT_INT) refuse_value(w, "9223372036854775808", "", "expected");
	refuse_range(w, row);
}

static void refuse_row(const Way *w, const BindRow *row)
{
	switch (row->kind) {
	case BIND_BOOL:
	case BIND_OPT_BOOL:
		refuse_value(w, "\"true\"", "", "expected");
		refuse_value(w, "1", "", "expected");
		break;
	case BIND_STRING:
		refuse_value(w, "7", "", "expected a string");
		refuse_value(w, "[]", "", "got array");
		break;
	case BIND_ENUM:
		refuse_value(w, "7", "", "expected");
		refuse_value(w, "\"no such word\"", "", "; allowed: ");
		break;
	case BIND_ENUMS:
		refuse_value(w, "[\"no such word\"]", "[0]", "; allowed: ");
		refuse_value(w, "\"x\"", "", "expected");
		break;
	case BIND_STRINGS:
	case BIND_U32S:
		refuse_value(w, "7", "", "expected");
		refuse_value(w, "[null]", "[0]", "expected");
		refuse_value(w, "[{}]", "[0]", "got object");
		break;
	case BIND_OBJECT:
	case BIND_POINTER:
		refuse_value(w, "7", "", "expected an object");
		refuse_value(w, "[]", "", "expected an object");
		break;
	case BIND_LIST:
		refuse_value(w, "{}", "", "got object");
		refuse_value(w, "[7]", "[0]", "expected an object");
		break;
	case BIND_MAP:
		refuse_value(w, "[]", "", "expected an object");
		refuse_value(w, "{\"k\":7}", ".k", "expected a string");
		break;
	case BIND_OBJMAP:
		refuse_value(w, "[]", "", "expected an object");
		refuse_value(w, "{\"k\":7}", ".k", "expected an object");
		break;
	case BIND_RAW:
		break;
	default:
		refuse_integer(w, row);
	}
}

/* The way into the members of a row: of its object, of its list's first item, of its map's member "k". */
static Way step(const Way *w, const char *open, const char *close, const char *path)
{
	Way to;
	snprintf(to.before, sizeof to.before, "%s%s", w->before, open);
	snprintf(to.after, sizeof to.after, "%s%s", close, w->after);
	snprintf(to.path, sizeof to.path, "%s%s", w->path, path);
	return to;
}

static size_t refuse_table(const Way *w, const BindTable *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++) {
		const BindRow *row = &t->rows[i];
		char open[128], path[128];
		snprintf(open, sizeof open, "{\"%s\":", row->name);
		snprintf(path, sizeof path, "%s%s", *w->path ? "." : "", row->name);
		Way at = step(w, open, "}", path);
		refuse_row(&at, row);
		n++;
		if (row->kind == BIND_OBJECT || row->kind == BIND_POINTER) {
			n += refuse_table(&at, row->sub);
		} else if (row->kind == BIND_LIST) {
			Way in = step(&at, "[", "]", "[0]");
			n += refuse_table(&in, row->sub);
		} else if (row->kind == BIND_OBJMAP) {
			Way in = step(&at, "{\"k\":", "}", ".k");
			n += refuse_table(&in, row->sub);
		}
	}
	return n;
}

static void every_field_says_what_it_wants(void **state)
{
	(void)state;
	Way top = { 0 };
	size_t n = refuse_table(&top, &oci_spec_table);
	print_message("%zu fields\n", n);
	assert_true(n > 150);
}

/* ---- documents cut short and doubled, made of what engines send ---- */

static const char *const engines[] = { "docker.json", "podman.json", "containerd.json", "cri.json" };

static Str read_engine(const char *name, Arena *a)
{
	char path[256], *text;
	size_t n;
	Err e = ERR_INIT;
	snprintf(path, sizeof path, "%s/config/%s", TEST_CORPUS, name);
	if (fd_read_file(AT_FDCWD, path, OCI_SPEC_MAX, a, &text, &n, &e) < 0) fail_msg("%s", e.msg);
	return (Str){ text, n };
}

static void configurations_of_engines_are_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
		AUTO_PARSED p = parse(read_engine(engines[i], &a));
		assert_accepted(&p, engines[i]);
	}
}

static void truncated_documents_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
		Str whole = str_trim(read_engine(engines[i], &a));
		for (size_t n = 0; n < whole.n; n += 64) {
			size_t at = SIZE_MAX;
			AUTO_PARSED p = parse((Str){ whole.p, n });
			assert_refused(&p, engines[i], "invalid JSON at byte ", "");
			assert_int_equal(sscanf(p.e.msg, "config.json: invalid JSON at byte %zu:", &at), 1);
			assert_true(at <= n);
		}
	}
}

/* Doubling: writes a tree, and the member number `which` of all of its objects twice. */
typedef struct Doubling {
	JsonWriter w;
	size_t which, seen;
	const char *doubled;
} Doubling;

static void write_doubled(Doubling *d, const JsonValue *v)
{
	if (v->type == JSON_ARRAY) {
		json_begin_array(&d->w);
		for (uint32_t i = 0; i < v->n; i++)
			write_doubled(d, &v->items[i]);
		json_end_array(&d->w);
	} else if (v->type == JSON_OBJECT) {
		json_begin_object(&d->w);
		for (uint32_t i = 0; i < v->n; i++) {
			const JsonMember *m = &v->members[i];
			if (d->seen++ == d->which) {
				d->doubled = m->key;
				json_key(&d->w, m->key);
				json_null(&d->w);
			}
			json_key(&d->w, m->key);
			write_doubled(d, &m->value);
		}
		json_end_object(&d->w);
	} else {
		json_value(&d->w, v);
	}
}

static void duplicate_keys_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
		Str text = read_engine(engines[i], &a);
		Err e = ERR_INIT;
		JsonValue v;
		assert_int_equal(json_parse((char *)(uintptr_t)text.p, text.n, &a, &v, &e), 0);
		for (size_t which = 0;; which++) {
			AUTO_BUF out = BUF_INIT(1 << 20);
			char why[128];
			Doubling d = { .w = JSON_WRITER(&out), .which = which };
			write_doubled(&d, &v);
			if (!d.doubled) {
				assert_true(which > 50);
				break;
			}
			AUTO_PARSED p = parse((Str){ buf_str(&out), out.n });
			snprintf(why, sizeof why, "duplicate key \"%s\"", d.doubled);
			assert_refused(&p, buf_str(&out), "invalid JSON at byte ", why);
		}
	}
}

/* ---- what is missing, and what cannot go together ---- */

typedef struct BadRow {
	const char *document, *where, *why;
} BadRow;

static const BadRow bad_rows[] = {
	{ "", "invalid JSON at byte 0", "" },
	{ "[]", "document: ", "expected an object, got array" },
	{ "{}", "ociVersion: ", "required, but missing" },
	{ "{'ociVersion':''}", "ociVersion: ", "required, but empty" },
	{ "{'ociVersion':'1.2.0'}", "root: ", "required, but missing" },
	{ "{'ociVersion':'1.2.0','root':null}", "root: ", "required" },
	{ "{'ociVersion':'1.2.0','root':{}}", "root.path: ", "required, but missing" },
	{ "{'ociVersion':'1.2.0','root':{'path':''}}", "root.path: ", "required, but empty" },
	{ DOCUMENT("} x"), "invalid JSON at byte ", "" },
	{ DOCUMENT(",'process':{'args':['a']}"), "process.cwd: ", "absolute" },
	{ DOCUMENT(",'process':{'cwd':'a','args':['a']}"), "process.cwd: ", "absolute" },
	{ DOCUMENT(",'process':{'cwd':'/'}"), "process.args: ", "must not be empty" },
	{ DOCUMENT(",'process':{'cwd':'/','args':[]}"), "process.args: ", "must not be empty" },
	{ DOCUMENT(",'process':{'cwd':'/','commandLine':'a'}"), "process: ", "Windows" },
	{ PROCESS(",'env':['A=b','C']"), "process.env[1]: ", "NAME=value" },
	{ PROCESS(",'env':['=b']"), "process.env[0]: ", "NAME=value" },
	{ PROCESS(",'user':{'username':'x'}"), "process: ", "Windows" },
	{ PROCESS(",'user':{'uid':4294967295,'gid':0}"), "process.user.uid: ", "4294967295" },
	{ PROCESS(",'oomScoreAdj':1001"), "process.oomScoreAdj: ", "from -1000 to 1000" },
	{ PROCESS(",'user':{'uid':0,'gid':0,'umask':4096}"), "process.user.umask: ", "from 0 to 4095" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_X','soft':1,'hard':1}]"), "process.rlimits[0].type: ", "RLIMIT_NOFILE" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_CPU','soft':2,'hard':1}]"), "process.rlimits[0]", "" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_CPU','soft':1,'hard':1},{'type':'RLIMIT_CPU','soft':1,'hard':1}]"),
	  "process.rlimits[1]: ", "twice" },
	{ PROCESS(",'scheduler':{'policy':'SCHED_OTHER','nice':20}"), "process.scheduler: ", "-20 to 19" },
	{ PROCESS(",'scheduler':{'policy':'SCHED_FIFO','priority':100}"), "process.scheduler: ", "1 to 99" },
	{ PROCESS(",'scheduler':{'policy':'SCHED_OTHER','runtime':5}"), "process.scheduler: ", "deadline" },
	{ PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}"), "process.ioPriority: ", "0 to 7" },
	{ PROCESS(",'execCPUAffinity':{'initial':'3-1'}"), "process.execCPUAffinity: ", "3-1" },
	{ DOCUMENT(",'mounts':[{'type':'tmpfs'}]"), "mounts[0].destination: ", "required" },
	{ DOCUMENT(",'mounts':[{'destination':'/a'},{'destination':'/b','uidMappings':[" MAP(0, 0, 1) "]}]"),
	  "mounts[1].uidMappings: ", "together" },
	{ DOCUMENT(",'mounts':[{'destination':'/a','uidMappings':[" MAP(0, 0, 0) "],'gidMappings':[" MAP(0, 0, 1) "]}]"),
	  "mounts[0].uidMappings[0]: ", "size is 0" },
	{ DOCUMENT(",'hooks':{'poststop':[{'path':'/a'},{'path':'b'}]}"), "hooks.poststop[1].path: ", "absolute" },
	{ DOCUMENT(",'hooks':{'prestart':[{}]}"), "hooks.prestart[0].path: ", "required" },
	{ DOCUMENT(",'hooks':{'prestart':[{'path':'/a','timeout':0}]}"), "hooks.prestart[0].timeout: ", "from 1 to " },
	{ LINUX("'devices':[{'type':'x','path':'/dev/x'}]"), "linux.devices[0].type: ", "allowed: " },
	{ LINUX("'devices':[{'type':'c','path':'dev/x','major':1,'minor':1}]"), "linux.devices[0].path: ", "absolute" },
	{ LINUX("'devices':[{'type':'c','path':'/dev/x','major':1}]"), "linux.devices[0]: ", "major and minor are required" },
	{ LINUX("'seccomp':{}"), "linux.seccomp.defaultAction: ", "required" },
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_NOTIFY'}"), "linux.seccomp.defaultAction: ", "cannot be the default" },
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':[],'action':'SCMP_ACT_LOG'}]}"),
	  "linux.seccomp.syscalls[0].names: ", "required, but empty" },
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['write'],'action':'SCMP_ACT_NOTIFY'}]}"),
	  "linux.seccomp: ", "write" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_BIND'}"), "linux.memoryPolicy: ", "at least one node" },
	{ LINUX("'rootfsPropagation':'sideways'"), "linux.rootfsPropagation: ", "rslave" },
	{ LINUX("'resources':{'hugepageLimits':[{'limit':1}]}"), "linux.resources.hugepageLimits[0].pageSize: ", "required" },
	{ LINUX("'resources':{'memory':{'swappiness':101}}"), "linux.resources.memory.swappiness: ", "from 0 to 100" },
	{ LINUX("'resources':{'cpu':{'cpus':'abc'}}"), "linux.resources.cpu.cpus: ", "0-3,8" },
	{ LINUX("'resources':{'cpu':{'mems':'0;1'}}"), "linux.resources.cpu.mems: ", "expected a list" },
	{ LINUX("'resources':{'cpu':{'period':999}}"), "linux.resources.cpu.period: ", "1000 to 1000000" },
	{ LINUX("'resources':{'cpu':{'period':1000001}}"), "linux.resources.cpu.period: ", "1000 to 1000000" },
	{ LINUX("'resources':{'cpu':{'quota':999}}"), "linux.resources.cpu.quota: ", "at least 1000" },
	{ LINUX("'resources':{'cpu':{'idle':2}}"), "linux.resources.cpu.idle: ", "0 or 1" },
	{ LINUX("'resources':{'blockIO':{'weight':9}}"), "linux.resources.blockIO.weight: ", "10 to 1000" },
	{ LINUX("'resources':{'blockIO':{'leafWeight':1001}}"), "linux.resources.blockIO.leafWeight: ", "10 to 1000" },
	{ LINUX("'resources':{'blockIO':{'weightDevice':[{'major':8,'minor':0,'weight':5000}]}}"),
	  "linux.resources.blockIO.weightDevice[0].weight: ", "10 to 1000" },
	{ LINUX("'resources':{'devices':[{'allow':true,'type':'x'}]}"), "linux.resources.devices[0].type: ", "allowed: " },
	{ LINUX("'resources':{'devices':[{'allow':true},{'allow':true,'access':'rq'}]}"),
	  "linux.resources.devices[1].access: ", "r, w, m" },
	{ LINUX("'resources':{'hugepageLimits':[{'pageSize':'2M','limit':1}]}"), "linux.resources.hugepageLimits[0].pageSize: ", "2MB" },
	{ LINUX("'resources':{'unified':{'../x.y':'1'}}"), "linux.resources.unified: ", "no slashes" },
	{ LINUX("'resources':{'unified':{'memory':'1'}}"), "linux.resources.unified: ", "CONTROLLER.PARAMETER" },
	{ LINUX("'intelRdt':{'closID':'../x'}"), "linux.intelRdt: ", "ClosID" },
	{ LINUX("'intelRdt':{'closID':'x','memBwSchema':'L3:0=1'}"), "linux.intelRdt: ", "MB:" },
	{ NAMESPACES(TYPE("mount"), ",'maskedPaths':['/a','b']"), "linux.maskedPaths[1]: ", "absolute" },
	{ NAMESPACES(TYPE("mount"), ",'readonlyPaths':['']"), "linux.readonlyPaths[0]: ", "absolute" },
	{ PROCESS(",'user':{'uid':0,'gid':0,'additionalGids':[4294967295]}"), "process.user.additionalGids: ", "4294967295" },
	{ DOCUMENT(",'hostname':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','linux':{'namespaces':[" TYPE(
		  "uts") "]}"),
	  "hostname: ", "at most 64" },
	{ LINUX("'resources':{'memory':{'limit':18446744073709551615}}"), "linux.resources.memory.limit: ", "expected" },
	{ LINUX("'resources':{'pids':{'limit':1e3}}"), "linux.resources.pids.limit: ", "expected an integer" },
};

/* What runc's callers send for "not set", and the ends of the ranges. */
static const char *const unusual[] = {
	LINUX("'resources':{'cpu':{'quota':0,'period':0,'shares':0,'idle':1,'cpus':'','mems':''},'blockIO':{'weight':0,'leafWeight':0}}"),
	LINUX("'resources':{'cpu':{'quota':-1,'period':1000,'cpus':'0-31:2/4,40','mems':'all'},'blockIO':{'weight':10,'leafWeight':1000}}"),
	LINUX("'resources':{'cpu':{'quota':1000,'period':1000000},'memory':{'swappiness':100},'unified':{'memory.high':'max\\n'}}"),
	LINUX("'resources':{'devices':[{'allow':false,'access':'rwm'},{'allow':true,'type':'','access':''},{'allow':true,'access':'rwma'}]}"),
	LINUX("'resources':{'hugepageLimits':[{'pageSize':'1GB','limit':0},{'pageSize':'64KB','limit':0}]}"),
	LINUX("'intelRdt':{'closID':'/'}"),
	PROCESS(",'user':{'uid':0,'gid':0,'additionalGids':[0,4294967294]}"),
};

static void unusual_documents_are_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unusual); i++) {
		AUTO_PARSED p = parse_quoted(unusual[i]);
		assert_accepted(&p, unusual[i]);
	}
}

static void bad_documents_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		AUTO_PARSED p = parse_quoted(bad_rows[i].document);
		assert_refused(&p, bad_rows[i].document, bad_rows[i].where, bad_rows[i].why);
	}
}

static const BadRow namespace_rows[] = {
	{ NAMESPACES(TYPE("pids"), ""), "linux.namespaces[0].type: ", "allowed: " },
	{ NAMESPACES("{}", ""), "linux.namespaces[0].type: ", "required" },
	{ NAMESPACES(TYPE("pid") "," TYPE("ipc") "," TYPE("pid"), ""), "linux.namespaces[2]: ", "a second namespace of type pid" },
	{ NAMESPACES("{'type':'pid','path':'proc/1/ns/pid'}", ""), "linux.namespaces[0].path: ", "absolute" },
	{ DOCUMENT(",'hostname':'a','linux':{'namespaces':[" TYPE("pid") "]}"), "hostname: ", "UTS namespace" },
	{ DOCUMENT(",'domainname':'a'"), "domainname: ", "UTS namespace" },
	{ NAMESPACES(TYPE("user"), ""), "linux.uidMappings: ", "needs uidMappings and gidMappings" },
	{ NAMESPACES(TYPE("user"), ",'uidMappings':[" MAP(0, 1, 1) "]"), "linux.uidMappings: ", "gidMappings" },
	{ NAMESPACES("", "'gidMappings':[" MAP(0, 1, 1) "]"), "invalid JSON", "" },
	{ LINUX("'gidMappings':[" MAP(0, 1, 1) "]"), "linux.uidMappings: ", "namespace of type user" },
	{ NAMESPACES(TYPE("user"), ",'uidMappings':[" MAP(0, 1, 2) "," MAP(1, 9, 1) "],'gidMappings':[" MAP(0, 1, 1) "]"),
	  "linux.uidMappings[1]: ", "container ids overlap" },
	{ NAMESPACES(TYPE("user"), ",'uidMappings':[" MAP(0, 4294967295, 2) "],'gidMappings':[" MAP(0, 1, 1) "]"),
	  "linux.uidMappings[0]: ", "highest id" },
	{ LINUX("'timeOffsets':{'monotonic':{'secs':1}}"), "linux.timeOffsets: ", "namespace of type time" },
	{ NAMESPACES("{'type':'time','path':'/proc/1/ns/time'}", ",'timeOffsets':{'monotonic':{'secs':1}}"), "linux.timeOffsets: ", "new" },
	{ NAMESPACES(TYPE("time"), ",'timeOffsets':{'wall':{'secs':1}}"), "linux.timeOffsets: ", "allowed: \"monotonic\", \"boottime\"" },
	{ LINUX("'netDevices':{'eth0':{}}"), "linux.netDevices: ", "namespace of type network" },
	{ NAMESPACES(TYPE("network"), ",'netDevices':{'e/h':{}}"), "linux.netDevices: ", "invalid network device name" },
	{ NAMESPACES(TYPE("network"), ",'netDevices':{'a':{'name':'x'},'b':{'name':'x'}}"), "linux.netDevices: ", "\"x\"" },
	{ LINUX("'maskedPaths':['/proc/keys']"), "linux.maskedPaths: ", "MNT namespace" },
	{ LINUX("'readonlyPaths':['/proc/sys']"), "linux.maskedPaths: ", "MNT namespace" },
};

static void namespaces_have_rules(void **state)
{
	static const char *const good[] = {
		LINUX(""),
		NAMESPACES("", ""),
		NAMESPACES(TYPE("pid") "," TYPE("network") "," TYPE("mount") "," TYPE("ipc") "," TYPE("uts") "," TYPE("cgroup") "," TYPE(
				   "time"),
			   ",'maskedPaths':['/a'],'timeOffsets':{'boottime':{'secs':-1,'nanosecs':1}}"),
		NAMESPACES(TYPE("user"), ",'uidMappings':[" MAP(0, 1, 1) "],'gidMappings':[" MAP(0, 1, 1) "]"),
		NAMESPACES("{'type':'user','path':'/proc/1/ns/user'}", ""), /* joined: it has its mappings */
		DOCUMENT(",'hostname':'','domainname':''"),
		DOCUMENT(",'hostname':'a','linux':{'namespaces':[{'type':'uts','path':'/x'}]}"),
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(namespace_rows); i++) {
		AUTO_PARSED p = parse_quoted(namespace_rows[i].document);
		assert_refused(&p, namespace_rows[i].document, namespace_rows[i].where, namespace_rows[i].why);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_PARSED p = parse_quoted(good[i]);
		assert_accepted(&p, good[i]);
	}
}

static void namespaces_are_found(void **state)
{
	(void)state;
	AUTO_PARSED p = parse_quoted(NAMESPACES(TYPE("pid") ",{'type':'network','path':'/run/netns/a'},{'type':'ipc','path':''}", ""));
	assert_accepted(&p, "namespaces");
	assert_true(oci_is_new(&p.spec, CLONE_NEWPID) && oci_is_new(&p.spec, CLONE_NEWIPC));
	assert_non_null(oci_namespace(&p.spec, CLONE_NEWNET));
	assert_false(oci_is_new(&p.spec, CLONE_NEWNET));
	assert_null(oci_namespace(&p.spec, CLONE_NEWUTS));
	assert_false(oci_is_new(&p.spec, CLONE_NEWUTS));
	assert_non_null(p.spec.lnx->resources); /* there for whoever asks, though the document has none */
}

/* ---- versions ---- */

static void versions_are_compared(void **state)
{
	static const char *const good[] = { "1.0.0", "1.0.2", "1.2.1", "1.3.0", "1.99.0", "1.0.0-rc5", "1.3.0-rc.1+dev", "1.0.2+build" };
	static const char *const bad[] = { "1", "1.0", "1.0.", ".1.0", "1..0", "a.b.c", "1.0.x", "v1.0.0", " 1.0.0", "-1.0.0", "1.0.0.0" };
	static const char *const unsupported[] = { "0.9.0", "2.0.0", "4294967295.0.0" };
	char document[128];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(document, sizeof document, "{'ociVersion':'%s','root':{'path':'r'}}", good[i]);
		AUTO_PARSED p = parse_quoted(document);
		assert_accepted(&p, document);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(document, sizeof document, "{'ociVersion':'%s','root':{'path':'r'}}", bad[i]);
		AUTO_PARSED p = parse_quoted(document);
		assert_refused(&p, document, "ociVersion: ", "expected a version such as \"" OCI_VERSION "\"");
	}
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++) {
		snprintf(document, sizeof document, "{'ociVersion':'%s','root':{'path':'r'}}", unsupported[i]);
		AUTO_PARSED p = parse_quoted(document);
		assert_refused(&p, document, "ociVersion: ", "1.0.0 to " OCI_VERSION " are");
		assert_int_equal(p.e.code, ERR_UNSUPPORTED);
	}
}

/* ---- sysctls ---- */

typedef struct SysctlRow {
	const char *name;
	const char *type; /* of the namespace it needs; NULL: never allowed */
	const char *why;  /* then */
} SysctlRow;

static const SysctlRow sysctl_rows[] = {
	{ "net.ipv4.ip_forward", "network", NULL },
	{ "net/ipv4/ip_forward", "network", NULL },
	{ "net/ipv4/conf/eno2.100/rp_filter", "network", NULL },
	{ "net.ipv4.conf.eno2/100.rp_filter", "network", NULL },
	{ "kernel.msgmax", "ipc", NULL },
	{ "kernel.sem", "ipc", NULL },
	{ "kernel/shm_rmid_forced", "ipc", NULL },
	{ "fs.mqueue.msg_max", "ipc", NULL },
	{ "kernel.domainname", "uts", NULL },
	{ "kernel.hostname", NULL, "hostname" },
	{ "user.max_user_namespaces", "user", NULL },
	{ "kernel.core_pattern", NULL, "not in a separate kernel namespace" },
	{ "kernel.semx", NULL, "not in a separate kernel namespace" },
	{ "kernel.shmmax.x", NULL, "not in a separate kernel namespace" },
	{ "vm.swappiness", NULL, "not in a separate kernel namespace" },
	{ "fs.file-max", NULL, "not in a separate kernel namespace" },
	{ "net", NULL, "not in a separate kernel namespace" },
	{ "networks.x", NULL, "not in a separate kernel namespace" },
	{ "", NULL, "empty" },
	{ "net/../kernel/core_pattern", NULL, "is not a sysctl's name" },
	{ "net.//.kernel.core_pattern", NULL, "is not a sysctl's name" },
	{ "net..ipv4", NULL, "is not a sysctl's name" },
	{ "net//ipv4", NULL, "is not a sysctl's name" },
	{ "../net/ipv4", NULL, "is not a sysctl's name" },
	{ "net/ipv4/../../kernel/core_pattern", NULL, "is not a sysctl's name" },
	{ "net.ipv4.//.//.kernel.core_pattern", NULL, "is not a sysctl's name" },
	{ "/net/ipv4", NULL, "not in a separate kernel namespace" },
	{ "net.ipv4.x y", NULL, "is not a sysctl's name" },
	{ "net.ipv4.x\\u000a", NULL, "is not a sysctl's name" },
};

static char *sysctl_document(const char *name, const char *type)
{
	char *text = NULL, namespaces[64] = "";
	const char *maps = type && streq(type, "user") ? ",'uidMappings':[" MAP(0, 1, 1) "],'gidMappings':[" MAP(0, 1, 1) "]" : "";
	if (type) snprintf(namespaces, sizeof namespaces, "{'type':'%s'}", type);
	assert_true(asprintf(&text, "{'ociVersion':'1.2.0','root':{'path':'r'},'linux':{'namespaces':[%s],'sysctl':{'%s':'1'}%s}}",
			     namespaces, name, maps) > 0);
	return text;
}

static void sysctls_belong_to_namespaces(void **state)
{
	static const char *const types[] = { "network", "ipc", "uts", "user", "pid", NULL };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sysctl_rows); i++) {
		const SysctlRow *row = &sysctl_rows[i];
		for (size_t k = 0; k < ARRAY_LEN(types); k++) {
			AUTO_FREE char *document = sysctl_document(row->name, types[k]);
			AUTO_PARSED p = parse_quoted(document);
			if (!row->type)
				assert_refused(&p, document, "linux.sysctl: ", row->why);
			else if (types[k] && streq(types[k], row->type))
				assert_accepted(&p, document);
			else
				assert_refused(&p, document, "linux.sysctl: ", "is not allowed in the host's");
		}
	}
}

static void sysctl_values_are_one_line(void **state)
{
	(void)state;
	AUTO_PARSED p = parse_quoted(NAMESPACES(TYPE("network"), ",'sysctl':{'net.x':'1\\n2'}"));
	assert_refused(&p, "a line break", "linux.sysctl: ", "line break");
	char name[300], *document = NULL;
	snprintf(name, sizeof name, "net.%0256d", 0);
	document = sysctl_document(name, "network");
	AUTO_PARSED q = parse_quoted(document);
	assert_refused(&q, document, "linux.sysctl: ", "too long a name");
	free(document);
}

/* ---- parts, and the default ---- */

static void parts_are_parsed_alone(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	OciProcess process;
	CgroupResources resources;
	char good[] = "{\"cwd\":\"/\",\"args\":[\"a\",\"b\"],\"user\":{\"uid\":1,\"gid\":2}}", bad[] = "{\"cwd\":\"/\",\"args\":7}";
	char limit[] = "{\"pids\":{\"limit\":5},\"memory\":{\"swap\":-1}}", wrong[] = "{\"memory\":{\"limit\":\"1g\"}}";
	assert_int_equal(oci_process_parse(good, strlen(good), &a, &process, &e), 0);
	assert_true(process.args.n == 2 && process.user.uid == 1 && process.user.gid == 2);
	assert_int_equal(oci_process_parse(bad, strlen(bad), &a, &process, &e), -EINVAL);
	assert_true(starts_with(e.msg, "process.json: args: expected"));
	e = ERR_INIT;
	assert_int_equal(oci_resources_parse(limit, strlen(limit), &a, &resources, &e), 0);
	assert_true(resources.pids_limit.set && resources.pids_limit.v == 5 && resources.memory.swap.v == -1 &&
		    !resources.memory.limit.set);
	assert_int_equal(oci_resources_parse(wrong, strlen(wrong), &a, &resources, &e), -EINVAL);
	assert_true(starts_with(e.msg, "resources: memory.limit: expected an integer, got string"));
	char rule[] = "{\"devices\":[{\"type\":\"x\"}]}";
	assert_int_equal(oci_resources_parse(rule, strlen(rule), &a, &resources, &e), -EINVAL);
	assert_true(starts_with(e.msg, "resources: devices[0].type: unknown value"));
}

static void the_default_is_valid(void **state)
{
	(void)state;
	for (int rootless = 0; rootless <= 1; rootless++) {
		AUTO_BUF out = BUF_INIT(65536);
		JsonWriter w = JSON_WRITER(&out);
		w.indent = -1;
		oci_spec_write_default(rootless, 1000, 1001, &w);
		AUTO_PARSED p = parse((Str){ buf_str(&out), out.n });
		assert_accepted(&p, buf_str(&out));
		assert_string_equal(p.spec.version, OCI_VERSION);
		assert_string_equal(p.spec.process->args.items[0], "sh");
		assert_true(p.spec.process->no_new_privileges && p.spec.root->readonly);
		assert_true(oci_is_new(&p.spec, CLONE_NEWPID) && oci_is_new(&p.spec, CLONE_NEWNS));
		assert_int_equal(oci_is_new(&p.spec, CLONE_NEWUSER), rootless);
		assert_int_equal(oci_is_new(&p.spec, CLONE_NEWNET), !rootless);
		assert_int_equal(p.spec.lnx->uid_mappings.n, rootless);
		if (rootless) {
			assert_int_equal(p.spec.lnx->uid_mappings.items[0].host_id, 1000);
			assert_int_equal(p.spec.lnx->gid_mappings.items[0].host_id, 1001);
		}
		assert_true(p.spec.lnx->masked_paths.n > 0 && p.spec.lnx->readonly_paths.n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_says_what_it_wants),
		cmocka_unit_test(configurations_of_engines_are_accepted),
		cmocka_unit_test(truncated_documents_are_refused),
		cmocka_unit_test(duplicate_keys_are_refused),
		cmocka_unit_test(bad_documents_are_explained),
		cmocka_unit_test(unusual_documents_are_accepted),
		cmocka_unit_test(namespaces_have_rules),
		cmocka_unit_test(namespaces_are_found),
		cmocka_unit_test(versions_are_compared),
		cmocka_unit_test(sysctls_belong_to_namespaces),
		cmocka_unit_test(sysctl_values_are_one_line),
		cmocka_unit_test(parts_are_parsed_alone),
		cmocka_unit_test(the_default_is_valid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
