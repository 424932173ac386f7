/* fuzz_container_options.c: the small languages of run's options, one text a line, the first letter says of which: what is taken keeps the
 * promises that the engine relies on, what is refused has one line of reason. */
#include "cli/skep/container/options_impl.h"
#include "fuzz.h"

static void check_volume(const char *text, Arena *a, Err *e)
{
	Str source;
	(void)a;
	if (volume_parse(text, &source, e) < 0) return;
	assert(*text && source.p == text && source.n < strlen(text));
	assert(!source.n || (text[source.n] == ':' && text[source.n + 1]));
}

static void check_mounts(const char *text, Arena *a, Err *e)
{
	MountRequest m, again;
	AUTO_BUF b = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&b);
	Err why = ERR_INIT;
	if (mount_parse(text, a, &m, e) < 0) return;
	assert(*m.type && m.target && *m.target);
	assert(!m.bind || streq(m.type, "bind"));
	assert(!m.volume || streq(m.type, "volume"));
	assert(!m.tmpfs || streq(m.type, "tmpfs"));
	assert(!m.image || streq(m.type, "image"));
	bind_encode(&mount_request_table, &m, &w);
	char *json = arena_strdup(a, buf_str(&b));
	assert(json && !buf_failed(&b));
	int r = bind_parse(&mount_request_table, json, strlen(json), &again, "mount", a, &why);
	assert(r == 0 || r == -ENOMEM);
	if (r < 0) return;
	assert(again.read_only == m.read_only && !again.bind == !m.bind && !again.volume == !m.volume);
}

static void check_ulimits(const char *text, Arena *a, Err *e)
{
	Ulimit u;
	(void)a;
	if (ulimit_parse(text, &u, e) < 0) return;
	assert(starts_with(text, u.name) && text[strlen(u.name)] == '=');
	assert(u.hard == -1 || (u.soft != -1 && u.soft <= u.hard));
}

static void check_devices(const char *text, Arena *a, Err *e)
{
	DeviceMapping d;
	if (device_parse(text, a, &d, e) < 0) return;
	size_t n = strlen(d.cgroup_permissions);
	assert(*d.path_on_host && *d.path_in_container == '/');
	assert(n >= 1 && n <= 3 && strspn(d.cgroup_permissions, "rwm") == n);
}

static bool is_port(const char *s, char end)
{
	Str number, rest;
	uint32_t n;
	return str_cut(str_of(s), end, &number, &rest) && str_to_u32(number, &n) == 0 && n <= 65535;
}

static void check_ports(const char *text, Arena *a, Err *e)
{
	PortMappings l = { 0 };
	if (port_parse(text, a, &l, e) < 0) return;
	assert(l.n >= 1 && l.n <= 65536);
	for (size_t i = 0; i < l.n; i++) {
		const char *protocol = strchr(l.items[i].port, '/') + 1;
		assert(is_port(l.items[i].port, '/'));
		assert(streq(protocol, "tcp") || streq(protocol, "udp") || streq(protocol, "sctp"));
		assert(strspn(l.items[i].host, "0123456789-") == strlen(l.items[i].host));
		assert(!*l.items[i].ip || ip_is_valid(str_of(l.items[i].ip)));
	}
}

static void check_networks(const char *text, Arena *a, Err *e)
{
	EndpointRequest n;
	if (network_parse(text, a, &n, e) < 0) return;
	assert(n.network && n.addresses);
	assert(n.network == text || *n.network);
}

/* The same rules from outside, where nothing of them is kept. */
static void check_rules(const char *text, Arena *a, Err *e)
{
	static int (*const rules[])(const char *text, Err *e) = {
		check_env,        check_label,       check_mount,  check_ulimit,  check_blkio_weight, check_rate_bps,
		check_rate_iops,  check_device_rule, check_gpus,   check_network, check_ip,           check_dns_search,
		check_extra_host, check_link,        check_sysctl, check_attach,
	};
	(void)a;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		*e = ERR_INIT;
		int r = rules[i](text, e);
		assert(r == 0 || (r < 0 && e->code != ERR_NONE && *e->msg));
		if (r == 0) assert(e->code == ERR_NONE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct {
		char letter;
		void (*check)(const char *text, Arena *a, Err *e);
	} languages[] = { { 'v', check_volume }, { 'm', check_mounts },   { 'u', check_ulimits }, { 'd', check_devices },
			  { 'p', check_ports },  { 'n', check_networks }, { 'r', check_rules } };
	AUTO_FREE char *text = fuzz_copy(data, n);
	Str rest = str_of(text), line;
	while (str_next(&rest, '\n', &line)) {
		AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
		Err e = ERR_INIT;
		const char *s = line.n ? arena_str(&a, (Str){ line.p + 1, line.n - 1 }) : NULL;
		for (size_t i = 0; s && i < ARRAY_LEN(languages); i++)
			if (languages[i].letter == *line.p) languages[i].check(s, &a, &e);
		assert(!strchr(e.msg, '\n'));
	}
	return 0;
}
