/* progress.c: see progress.h. */
#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/json.h"
#include "base/size.h"
#include "sys/fd.h"

enum { ROWS = 24, COLUMNS = 80, BAR_MAX = 50, BAR_MIN = 10, BAR_OTHERS = 60, FRAME_MAX = 4 * 1024 * 1024 };
static const int64_t INTERVAL = 100 * DURATION_MILLISECOND, SAMPLE_INTERVAL = 500 * DURATION_MILLISECOND;

static const struct {
	const char *name;
	bool numbers, final;
} statuses[PROGRESS_STATUSES] = {
	[PROGRESS_PULLING] = { "Pulling fs layer" },
	[PROGRESS_WAITING] = { "Waiting" },
	[PROGRESS_DOWNLOADING] = { "Downloading", .numbers = true },
	[PROGRESS_VERIFYING] = { "Verifying Checksum" },
	[PROGRESS_DOWNLOADED] = { "Download complete" },
	[PROGRESS_EXTRACTING] = { "Extracting", .numbers = true },
	[PROGRESS_PULLED] = { "Pull complete", .final = true },
	[PROGRESS_EXISTS] = { "Already exists", .final = true },
	[PROGRESS_PREPARING] = { "Preparing" },
	[PROGRESS_PUSHING] = { "Pushing", .numbers = true },
	[PROGRESS_PUSHED] = { "Pushed", .final = true },
	[PROGRESS_LAYER_EXISTS] = { "Layer already exists", .final = true },
	[PROGRESS_MOUNTED] = { "Mounted from", .final = true },
	[PROGRESS_RETRYING] = { "Retrying in" },
};

const char *progress_status_name(ProgressStatus s)
{
	return statuses[s].name;
}

int progress_mode(const char *value, int fd)
{
	static const struct {
		const char *name;
		ProgressMode mode;
	} modes[] = { { "tty", PROGRESS_TTY }, { "plain", PROGRESS_PLAIN }, { "json", PROGRESS_JSON }, { "quiet", PROGRESS_QUIET } };
	const char *term = getenv("TERM");
	if (!value || !*value || streq(value, "auto")) return isatty(fd) && term && !streq(term, "dumb") ? PROGRESS_TTY : PROGRESS_PLAIN;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (streq(value, modes[i].name)) return (int)modes[i].mode;
	return -EINVAL;
}

static void read_size(Progress *p)
{
	struct winsize w = { 0 };
	bool known = ioctl(p->fd, TIOCGWINSZ, &w) == 0;
	p->rows = known && w.ws_row > 3 ? w.ws_row : ROWS;
	p->columns = known && w.ws_col > 10 ? w.ws_col : COLUMNS;
}

void progress_init(Progress *p, int fd, ProgressMode mode)
{
	const char *no_color = getenv("NO_COLOR");
	*p = (Progress){ .mode = mode, .fd = fd, .color = !no_color || !*no_color, .frame = BUF_INIT(FRAME_MAX) };
	read_size(p);
}

void progress_done(Progress *p)
{
	free(p->lines);
	buf_done(&p->frame);
	*p = (Progress){ .fd = -1, .mode = PROGRESS_QUIET };
}

/* A name from outside, without what commands a terminal. */
static void copy_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
	str_harmless(to);
}

static ProgressLine *find_line(Progress *p, const char *id)
{
	for (size_t i = p->n; i--;)
		if (strncmp(p->lines[i].id, id, PROGRESS_ID_MAX - 1) == 0) return &p->lines[i];
	if (p->n == PROGRESS_LINES_MAX) return NULL;
	if (p->n == p->capacity) {
		size_t capacity = p->capacity ? p->capacity * 2 : 16;
		ProgressLine *lines = realloc(p->lines, capacity * sizeof *lines);
		if (!lines) return NULL;
		p->lines = lines;
		p->capacity = capacity;
	}
	ProgressLine *l = &p->lines[p->n++];
	*l = (ProgressLine){ .status = PROGRESS_STATUSES, .start = -1 };
	copy_name(l->id, sizeof l->id, id);
	return l;
}

/* ---- text ---- */

/* "[=====>     ]  12.3MB/50MB" */
static void put_numbers(const ProgressLine *l, size_t bar, Buf *b)
{
	char current[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];
	size_format((double)l->current, SIZE_DECIMAL, current);
	size_format((double)l->total, SIZE_DECIMAL, total);
	if (l->total <= 0 || l->current > l->total) {
		buf_printf(b, "%8s", current);
		return;
	}
	if (bar) {
		size_t done = (size_t)((double)l->current / (double)l->total * (double)bar);
		buf_putc(b, '[');
		for (size_t i = 0; i < done; i++)
			buf_putc(b, '=');
		buf_putc(b, '>');
		buf_printf(b, "%*s] ", (int)(bar - done), "");
	}
	buf_printf(b, "%8s/%s", current, total);
}

static void put_status(const ProgressLine *l, Buf *b)
{
	buf_puts(b, statuses[l->status].name);
	if (l->detail[0]) buf_printf(b, " %s", l->detail);
}

static size_t bar_width(const Progress *p)
{
	size_t room = p->columns > BAR_OTHERS ? p->columns - BAR_OTHERS : 0;
	return room < BAR_MIN ? 0 : room > BAR_MAX ? BAR_MAX : room;
}

/* Appends one line of a frame: cut at the terminal's width, the rest of the row cleared. */
static void put_line(Progress *p, Buf *frame, const Buf *text, bool dim)
{
	size_t n = text->n < p->columns ? text->n : p->columns - 1;
	if (dim && p->color) buf_puts(frame, "\033[2m");
	buf_put(frame, buf_str(text), n);
	if (dim && p->color) buf_puts(frame, "\033[0m");
	buf_puts(frame, "\033[K\n");
}

static void put_layer(Progress *p, const ProgressLine *l, Buf *frame)
{
	AUTO_BUF text = BUF_INIT(1024);
	buf_printf(&text, "%s: ", l->id);
	put_status(l, &text);
	if (statuses[l->status].numbers) {
		buf_putc(&text, ' ');
		put_numbers(l, bar_width(p), &text);
	}
	put_line(p, frame, &text, false);
}

/* ---- totals ---- */

static void count_bytes(const Progress *p, int64_t *ret_moved, int64_t *ret_left)
{
	*ret_moved = *ret_left = 0;
	for (size_t i = 0; i < p->n; i++) {
		const ProgressLine *l = &p->lines[i];
		if (l->start < 0) continue;
		*ret_moved += l->current - l->start;
		if (l->total > l->current && statuses[l->status].numbers) *ret_left += l->total - l->current;
	}
}

static void take_sample(Progress *p, int64_t now)
{
	int64_t moved, left;
	count_bytes(p, &moved, &left);
	if (p->n_samples && now - p->samples[(p->n_samples - 1) % PROGRESS_SAMPLES].time < SAMPLE_INTERVAL) return;
	p->samples[p->n_samples % PROGRESS_SAMPLES].time = now;
	p->samples[p->n_samples % PROGRESS_SAMPLES].bytes = moved;
	p->n_samples++;
}

/* Bytes a second over the last seconds; 0: not known yet. */
static double speed(const Progress *p, int64_t now, int64_t moved)
{
	size_t oldest = p->n_samples > PROGRESS_SAMPLES ? p->n_samples - PROGRESS_SAMPLES : 0;
	if (!p->n_samples) return 0;
	int64_t time = now - p->samples[oldest % PROGRESS_SAMPLES].time, bytes = moved - p->samples[oldest % PROGRESS_SAMPLES].bytes;
	return time <= 0 || bytes <= 0 ? 0 : (double)bytes * (double)DURATION_SECOND / (double)time;
}

static void put_totals(Progress *p, Buf *frame, int64_t now)
{
	char text[SIZE_TEXT_MAX], left_text[DURATION_TEXT_MAX];
	AUTO_BUF line = BUF_INIT(1024);
	int64_t moved, left;
	size_t finished = 0;
	for (size_t i = 0; i < p->n; i++)
		finished += statuses[p->lines[i].status].final;
	count_bytes(p, &moved, &left);
	double rate = speed(p, now, moved);
	size_format((double)moved, SIZE_DECIMAL, text);
	buf_printf(&line, "%zu/%zu layers, %s", finished, p->n, text);
	if (rate >= 1) {
		size_format_digits(rate, SIZE_DECIMAL, 3, text);
		buf_printf(&line, ", %s/s", text);
	}
	if (rate >= 1 && left > 0 && (double)left / rate < 1e6) {
		int64_t seconds = (int64_t)((double)left / rate + 0.999);
		duration_format(seconds * DURATION_SECOND, left_text);
		buf_printf(&line, ", %s left", left_text);
	}
	put_line(p, frame, &line, true);
}

/* ---- drawing ---- */

static int flush(Progress *p, const Buf *b)
{
	return buf_failed(b) ? -ENOMEM : b->n ? fd_write_all(p->fd, buf_str(b), b->n) : 0;
}

/* The layers that fit above the totals: those at work first, then as many of the others as there is room for, in their order. */
static size_t put_layers(Progress *p, Buf *frame, size_t room)
{
	size_t working = 0, others = 0, shown = 0;
	for (size_t i = 0; i < p->n; i++)
		working += !statuses[p->lines[i].status].final;
	if (working > room) working = room;
	size_t skip = p->n - working > room - working ? p->n - working - (room - working) : 0;
	for (size_t i = 0; i < p->n && shown < room; i++) {
		bool final = statuses[p->lines[i].status].final;
		if (final && others++ < skip) continue;
		put_layer(p, &p->lines[i], frame);
		shown++;
	}
	return shown;
}

/* Draws above and then the frame over the last one; nothing when nothing changed. */
static int draw(Progress *p, const Buf *above, bool last, int64_t now)
{
	AUTO_BUF frame = BUF_INIT(FRAME_MAX), out = BUF_INIT((size_t)FRAME_MAX * 2);
	size_t drawn = 0;
	if (p->n) drawn = put_layers(p, &frame, last ? p->n : p->rows - 2);
	if (p->n && !last) put_totals(p, &frame, now);
	drawn += p->n && !last;
	p->next = now + INTERVAL;
	if (!above && !last && frame.n == p->frame.n && (!frame.n || memcmp(frame.p, p->frame.p, frame.n) == 0)) return 0;
	if (p->drawn) buf_printf(&out, "\033[%zuA\r", p->drawn);
	if (above) buf_put(&out, above->p, above->n);
	buf_put(&out, buf_str(&frame), frame.n);
	if (p->drawn > drawn || above) buf_puts(&out, "\033[J");
	p->drawn = drawn;
	Buf old = p->frame;
	p->frame = frame;
	frame = old;
	return flush(p, &out);
}

/* ---- events ---- */

static void put_document(Buf *b, const char *id, const char *status, const ProgressLine *numbers)
{
	JsonWriter w = JSON_WRITER(b);
	json_begin_object(&w);
	json_put_string(&w, "status", status);
	if (numbers) {
		AUTO_BUF text = BUF_INIT(256);
		put_numbers(numbers, BAR_MAX, &text);
		json_key(&w, "progressDetail");
		json_begin_object(&w);
		json_put_int(&w, "current", numbers->current);
		if (numbers->total > 0) json_put_int(&w, "total", numbers->total);
		json_end_object(&w);
		json_put_string(&w, "progress", buf_str(&text));
	} else if (id) {
		json_key(&w, "progressDetail");
		json_begin_object(&w);
		json_end_object(&w);
	}
	if (id) json_put_string(&w, "id", id);
	json_end_object(&w);
	buf_putc(b, '\n');
}

int progress_message(Progress *p, const char *id, const char *text, int64_t now)
{
	char name[PROGRESS_ID_MAX], line[512];
	AUTO_BUF b = BUF_INIT(8192);
	copy_name(name, sizeof name, id);
	copy_name(line, sizeof line, text);
	switch (p->mode) {
	case PROGRESS_QUIET:
		return 0;
	case PROGRESS_JSON:
		put_document(&b, id ? name : NULL, line, NULL);
		return flush(p, &b);
	case PROGRESS_PLAIN:
	case PROGRESS_TTY:
		break;
	}
	buf_printf(&b, "%s%s%s%s\n", name, id ? ": " : "", line, p->mode == PROGRESS_TTY ? "\033[K" : "");
	return p->mode == PROGRESS_TTY ? draw(p, &b, false, now) : flush(p, &b);
}

static int write_line(Progress *p, ProgressLine *l, bool changed, int64_t now)
{
	AUTO_BUF b = BUF_INIT(8192), status = BUF_INIT(512);
	if (!changed && (p->mode == PROGRESS_PLAIN || now - l->written < INTERVAL)) return 0;
	put_status(l, &status);
	if (p->mode == PROGRESS_JSON)
		put_document(&b, l->id, buf_str(&status), statuses[l->status].numbers ? l : NULL);
	else
		buf_printf(&b, "%s: %s\n", l->id, buf_str(&status));
	l->written = now;
	return flush(p, &b);
}

int progress_update(Progress *p, const char *id, ProgressStatus status, int64_t current, int64_t total, const char *detail, int64_t now)
{
	if (p->mode == PROGRESS_QUIET) return 0;
	ProgressLine *l = find_line(p, id);
	if (!l) return 0;
	bool changed = l->status != status;
	l->status = status;
	copy_name(l->detail, sizeof l->detail, detail);
	if (statuses[status].numbers && status != PROGRESS_EXTRACTING) {
		if (l->start < 0 || current < l->start) l->start = current;
	}
	if (statuses[status].numbers) {
		l->current = current;
		l->total = total;
	}
	if (p->mode != PROGRESS_TTY) return write_line(p, l, changed, now);
	take_sample(p, now);
	return now >= p->next ? draw(p, NULL, false, now) : 0;
}

int progress_tick(Progress *p, int64_t now)
{
	if (p->mode != PROGRESS_TTY || now < p->next) return 0;
	take_sample(p, now);
	return draw(p, NULL, false, now);
}

int progress_resize(Progress *p, int64_t now)
{
	unsigned columns = p->columns;
	if (p->mode != PROGRESS_TTY) return 0;
	read_size(p);
	/* A narrower terminal has folded the lines that no longer fit: that many more rows are ours. */
	if (p->columns < columns) {
		Str rest = { buf_str(&p->frame), p->frame.n }, line;
		while (str_next(&rest, '\n', &line)) {
			size_t n = line.n > 3 ? line.n - 3 : 0; /* without the code that clears */
			p->drawn += n > p->columns ? (n - 1) / p->columns : 0;
		}
	}
	if (p->drawn >= p->rows) p->drawn = p->rows - 1;
	buf_reset(&p->frame);
	return draw(p, NULL, false, now);
}

int progress_finish(Progress *p, int64_t now)
{
	if (p->mode != PROGRESS_TTY) return 0;
	int r = draw(p, NULL, true, now);
	p->drawn = p->n = 0; /* what comes now comes below */
	buf_reset(&p->frame);
	return r;
}
