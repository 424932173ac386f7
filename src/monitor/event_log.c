/* event_log.c: see event_log.h. */
#include "monitor/event_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"

enum { NAME_DIGITS = 16, NAME_SIZE = NAME_DIGITS + 1, READ_SIZE = 65536, SEGMENTS_MAX = 64 };

typedef struct Segments {
	uint64_t first[SEGMENTS_MAX]; /* rising */
	size_t n;
} Segments;

static void segment_name(uint64_t first, char name[static NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%016" PRIx64, first);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int list_segments(int dir, Segments *ret)
{
	struct dirent *entry;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) return -errno;
	ret->n = 0;
	while ((entry = readdir(d)) && ret->n < SEGMENTS_MAX) {
		char *end;
		if (strlen(entry->d_name) != NAME_DIGITS) continue;
		uint64_t first = strtoull(entry->d_name, &end, 16);
		if (!*end) ret->first[ret->n++] = first;
	}
	qsort(ret->first, ret->n, sizeof *ret->first, compare_numbers);
	return 0;
}

static int open_dir(int root, bool make)
{
	int fd = openat(root, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(root, "events", 0700) < 0 && errno != EEXIST) return -errno;
		fd = openat(root, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	return fd < 0 ? -errno : fd;
}

/* ---- writing ---- */

static void drop_old(int dir, const Segments *s)
{
	for (size_t i = 0; i + EVENT_SEGMENTS - 1 < s->n; i++) {
		char name[NAME_SIZE];
		segment_name(s->first[i], name);
		(void)!unlinkat(dir, name, 0);
	}
}

/* The newest segment, opened for appending; a new one when there is none, or it is full. The directory is locked. */
static int open_newest(int dir, uint64_t *ret_first)
{
	Segments s;
	char name[NAME_SIZE];
	struct stat st;
	int r = list_segments(dir, &s);
	if (r < 0) return r;
	uint64_t first = s.n ? s.first[s.n - 1] : 0;
	segment_name(first, name);
	AUTO_FD int fd = openat(dir, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0) return -errno;
	if (st.st_size >= EVENT_SEGMENT_MAX) {
		first += (uint64_t)st.st_size;
		segment_name(first, name);
		fd_close(fd);
		fd = openat(dir, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0) return -errno;
		drop_old(dir, &s);
	}
	*ret_first = first;
	return take_fd(fd);
}

void event_members(const Event *ev, JsonWriter *w)
{
	json_put_string(w, "Type", ev->type);
	json_put_string(w, "Action", ev->action);
	json_key(w, "Actor");
	json_begin_object(w);
	json_put_string(w, "ID", ev->id);
	json_key(w, "Attributes");
	json_begin_object(w);
	for (size_t i = 0; i < ev->attributes.n; i++)
		json_put_string(w, ev->attributes.items[i].key, ev->attributes.items[i].value);
	json_end_object(w);
	json_end_object(w);
	json_put_string(w, "scope", "local");
	json_put_int(w, "time", ev->time / 1000000000);
	json_put_int(w, "timeNano", ev->time);
}

static void write_event(const Event *ev, JsonWriter *w)
{
	Event dated = *ev;
	if (!dated.time) dated.time = time_now();
	json_begin_object(w);
	event_members(&dated, w);
	json_end_object(w);
}

/* A line that a power cut left without its end gets one. */
static int end_torn_line(int fd, off_t size)
{
	char last = '\n';
	if (size && pread(fd, &last, 1, size - 1) != 1) return -EIO;
	return last == '\n' ? 0 : fd_write_all(fd, "\n", 1);
}

int event_append(int root, const Event *ev, uint64_t *ret_number, Err *e)
{
	AUTO_BUF b = BUF_INIT(EVENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	uint64_t first = 0;
	struct stat st;
	write_event(ev, &w);
	buf_putc(&b, '\n');
	if (buf_failed(&b)) return err_set(e, ERR_RESOURCE, EFBIG, "event %s %s: larger than %d bytes", ev->type, ev->action, EVENT_MAX);
	AUTO_FD int dir = open_dir(root, true);
	if (dir < 0) return err_sys(e, -dir, "open the directory of events");
	if (retry_eintr(flock(dir, LOCK_EX)) < 0) return err_sys(e, errno, "lock the directory of events");
	AUTO_FD int fd = open_newest(dir, &first);
	int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : end_torn_line(fd, st.st_size);
	if (r >= 0 && fstat(fd, &st) < 0) r = -errno;
	if (r >= 0 && (r = fd_write_all(fd, b.p, b.n)) < 0) (void)!ftruncate(fd, st.st_size); /* half a line helps nobody */
	if (r < 0) return err_sys(e, -r, "write an event");
	if (ret_number) *ret_number = first + (uint64_t)st.st_size;
	return 0;
}

/* ---- reading ---- */

static int open_segment(EventReader *r, uint64_t first)
{
	char name[NAME_SIZE];
	segment_name(first, name);
	int fd = openat(r->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) return -errno;
	fd_close(r->segment);
	r->segment = fd;
	r->first = first;
	return 0;
}

/* The segment that holds the event `next`; when that is not kept any more, the oldest. 0 when there is none. */
static int find_segment(EventReader *r)
{
	Segments s;
	int x = list_segments(r->dir, &s);
	if (x < 0 || !s.n) return x;
	size_t i = s.n - 1;
	while (i > 0 && s.first[i] > r->next)
		i--;
	if (s.first[i] > r->next) {
		r->gap = r->next > 0;
		r->next = s.first[i];
	}
	x = open_segment(r, s.first[i]);
	return x < 0 ? x : 1;
}

int event_reader_open(int root, uint64_t from, EventReader *ret, Err *e)
{
	*ret = (EventReader){ .dir = -1, .segment = -1, .next = from, .buf = BUF_INIT(EVENT_MAX + READ_SIZE) };
	ret->dir = open_dir(root, true);
	int r = ret->dir < 0 ? ret->dir : find_segment(ret);
	return r < 0 ? err_sys(e, -r, "open the events") : 0;
}

void event_reader_done(EventReader *r)
{
	fd_close(r->dir);
	fd_close(r->segment);
	buf_done(&r->buf);
}

/* More of the segment behind what the buffer has. */
static ssize_t fill(EventReader *r)
{
	char *to = buf_reserve(&r->buf, READ_SIZE);
	if (!to) return -ENOMEM;
	ssize_t n = retry_eintr(pread(r->segment, to, READ_SIZE, (off_t)(r->next - r->first + r->buf.n)));
	if (n > 0) buf_advance(&r->buf, (size_t)n);
	return n < 0 ? -errno : n;
}

/* To the segment behind this one, when this one has been read to its end. */
static int go_on(EventReader *r)
{
	Segments s;
	int x = list_segments(r->dir, &s);
	if (x < 0) return x;
	for (size_t i = 0; i < s.n; i++)
		if (s.first[i] > r->first) {
			r->gap |= s.first[i] > r->next;
			r->next = s.first[i];
			buf_reset(&r->buf);
			x = open_segment(r, s.first[i]);
			return x < 0 ? x : 1;
		}
	return 0;
}

/* What was handed out last is done with. */
static void consume_given(EventReader *r)
{
	if (!r->given) return;
	buf_consume(&r->buf, r->given);
	r->next += r->given;
	r->given = 0;
}

int event_next(EventReader *r, Str *ret_line, uint64_t *ret_number, Err *e)
{
	consume_given(r);
	for (;;) {
		ssize_t n = r->segment < 0 ? find_segment(r) : 1;
		if (n <= 0) return n < 0 ? err_sys(e, (int)-n, "read the events") : 0;
		const char *end = r->buf.n ? memchr(r->buf.p, '\n', r->buf.n) : NULL;
		if (end) {
			r->given = (size_t)(end - r->buf.p) + 1;
			*ret_line = (Str){ r->buf.p, r->given - 1 };
			*ret_number = r->next;
			return 1;
		}
		n = fill(r);
		if (n == 0 && !r->buf.n) n = go_on(r);
		if (n <= 0) return n < 0 ? err_sys(e, (int)-n, "read the events") : 0;
	}
}

int event_end(int root, uint64_t *ret, Err *e)
{
	Segments s;
	struct stat st;
	char name[NAME_SIZE];
	AUTO_FD int dir = open_dir(root, true);
	int r = dir < 0 ? dir : list_segments(dir, &s);
	*ret = 0;
	if (r < 0) return err_sys(e, -r, "open the events");
	if (!s.n) return 0;
	segment_name(s.first[s.n - 1], name);
	if (fstatat(dir, name, &st, 0) < 0) return err_sys(e, errno, "look at the events");
	*ret = s.first[s.n - 1] + (uint64_t)st.st_size;
	return 0;
}
