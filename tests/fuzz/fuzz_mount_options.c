/* fuzz_mount_options.c: mount options, one a line: whatever they are, what comes out does not contradict itself. */
#include "fuzz.h"
#include "sys/mount.h"

enum { OPTIONS_MAX = 4096 };

static StrList lines(char *text, Arena *a)
{
	const char **items = arena_array(a, OPTIONS_MAX + 1, sizeof *items);
	size_t n = 0;
	assert(items);
	for (char *p = text; *p && n < OPTIONS_MAX;) {
		size_t len = strcspn(p, "\n");
		bool more = p[len];
		p[len] = 0;
		items[n++] = p;
		p += len + more;
	}
	return (StrList){ items, n };
}

static bool is_propagation(unsigned long p)
{
	p &= ~(unsigned long)MS_REC;
	return p == MS_SHARED || p == MS_SLAVE || p == MS_PRIVATE || p == MS_UNBINDABLE;
}

static void check_options(const MountOptions *o)
{
	assert(!(o->flags & o->cleared));
	assert(o->propagations <= ARRAY_LEN(o->propagation));
	for (size_t i = 0; i < o->propagations; i++)
		assert(is_propagation(o->propagation[i]));
	/* of the access times mount_setattr(2) sets one value and clears the whole field; all other flags go one way */
	uint64_t atime = o->rec_set & MOUNT_ATTR__ATIME;
	assert(!(o->rec_set & o->rec_clear & ~(uint64_t)MOUNT_ATTR__ATIME));
	assert(atime == MOUNT_ATTR_RELATIME || atime == MOUNT_ATTR_NOATIME || atime == MOUNT_ATTR_STRICTATIME);
	assert(!atime || (o->rec_clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
	assert(o->idmap >= MOUNT_IDMAP_NONE && o->idmap <= MOUNT_RIDMAP);
	assert(o->data && !strchr(o->data, '\n'));
}

static void add_name(void *data, const char *name)
{
	StrList *known = data;
	assert(known->n < OPTIONS_MAX);
	known->items[known->n++] = name;
}

static bool is_known(const StrList *known, const char *option)
{
	for (size_t i = 0; i < known->n; i++)
		if (streq(known->items[i], option)) return true;
	return false;
}

/* Everything that is no option is the file system's data, in order. */
static void check_data(const StrList *options, const MountOptions *o, Arena *a)
{
	StrList known = { .items = arena_array(a, OPTIONS_MAX, sizeof *known.items) };
	AUTO_BUF data = BUF_INIT(1 << 20);
	assert(known.items);
	mount_option_names(add_name, &known);
	for (size_t i = 0; i < options->n; i++) {
		const char *option = options->items[i];
		if (!*option || is_known(&known, option)) continue;
		if (data.n) buf_putc(&data, ',');
		buf_puts(&data, option);
	}
	assert(!buf_failed(&data) && streq(buf_str(&data), o->data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	StrList options = lines(text, &a);
	MountOptions o;
	Err e = ERR_INIT;
	if (mount_options_parse(&options, &a, &o, &e) < 0) {
		assert(e.code == ERR_CONFIG && *e.msg);
		return 0;
	}
	check_options(&o);
	check_data(&options, &o, &a);
	return 0;
}
