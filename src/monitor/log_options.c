/* log_options.c: see log_options.h. */
#include "monitor/log_options.h"

#include "base/size.h"
#include "monitor/log_file.h"
#include "monitor/syslog_target.h"

enum { DEFAULT_BUFFER = 1 << 20 };

/* ---- the kinds ---- */

static int check_json_file(const StrMap *options, Err *e)
{
	LogFile f;
	log_file_init(&f, &log_kind_json_file);
	return log_file_options(&f, options, e);
}

static int check_local(const StrMap *options, Err *e)
{
	LogFile f;
	log_file_init(&f, &log_kind_local);
	return log_file_options(&f, options, e);
}

static int check_syslog(const StrMap *options, Err *e)
{
	SyslogTarget t;
	return syslog_target_parse(options, &t, e);
}

static const char *const file_options[] = { "compress", "max-file", "max-size", NULL };
static const char *const json_file_options[] = { "compress", "env",      "env-regex", "labels", "labels-regex",
						 "max-file", "max-size", "tag",       NULL };
static const char *const journald_options[] = { "env", "env-regex", "labels", "labels-regex", "tag", NULL };
static const char *const syslog_options[] = { "env",
					      "env-regex",
					      "labels",
					      "labels-regex",
					      "syslog-address",
					      "syslog-facility",
					      "syslog-format",
					      "syslog-tls-ca-cert",
					      "syslog-tls-cert",
					      "syslog-tls-key",
					      "syslog-tls-skip-verify",
					      "tag",
					      NULL };

const LogKind log_kind_json_file = { .name = "json-file", .own = json_file_options, .check = check_json_file };
const LogKind log_kind_local = { .name = "local", .own = file_options, .check = check_local };
const LogKind log_kind_journald = { .name = "journald", .waits = true, .default_tag = true, .own = journald_options };
const LogKind log_kind_syslog = { .name = "syslog", .waits = true, .default_tag = true, .own = syslog_options, .check = check_syslog };
const LogKind log_kind_none = { .name = "none" };

const LogKind *log_kind_find(const char *name)
{
	static const LogKind *const all[] = { &log_kind_json_file, &log_kind_local, &log_kind_journald, &log_kind_syslog, &log_kind_none };
	if (!name || !*name) return &log_kind_json_file;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (streq(all[i]->name, name)) return all[i];
	return NULL;
}

/* ---- options ---- */

int log_option_failure(Err *e)
{
	return err_wrap(e, "failed to create task for container: failed to initialize logging driver");
}

int log_mode_parse(const StrMap *options, LogMode *ret, Err *e)
{
	const char *mode = str_map_get(options, "mode"), *size = str_map_get(options, "max-buffer-size");
	*ret = (LogMode){ .buffer = DEFAULT_BUFFER };
	if (mode && *mode && !streq(mode, "blocking") && !streq(mode, "non-blocking"))
		return err_set(e, ERR_CONFIG, EINVAL, "logger: logging mode not supported: %s", mode);
	ret->non_blocking = mode && streq(mode, "non-blocking");
	if (!size) return 0;
	if (!ret->non_blocking)
		return err_set(e, ERR_CONFIG, EINVAL, "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
	if (size_parse(str_of(size), SIZE_BINARY, &ret->buffer, e) < 0) return err_wrap(e, "error parsing option max-buffer-size");
	return 0;
}

static bool is_own(const LogKind *t, const char *option)
{
	for (size_t i = 0; t->own && t->own[i]; i++)
		if (streq(t->own[i], option)) return true;
	return false;
}

/* Docker keeps a copy of what it sends away, to be read back; Skep does not, so that this can only be switched off. */
static int check_cache(const char *option, const char *value, Err *e)
{
	if (streq(option, "cache-disabled") && streq(value, "true")) return 0;
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "log opt '%s': no copy is kept of what is sent away: use json-file or local to read it back", option);
}

static int check_names(const LogKind *t, const StrMap *options, Err *e)
{
	for (size_t i = 0; i < options->n; i++) {
		const char *option = options->items[i].key;
		int r = 0;
		if (streq(option, "mode") || streq(option, "max-buffer-size") || is_own(t, option)) continue;
		if (starts_with(option, "cache-"))
			r = check_cache(option, options->items[i].value, e);
		else if (t == &log_kind_local)
			r = err_set(e, ERR_CONFIG, EINVAL, "unknown log opt '%s' for log driver local", option);
		else
			r = err_set(e, ERR_CONFIG, EINVAL, "unknown log opt '%s' for %s log driver", option, t->name);
		if (r < 0) return r;
	}
	return 0;
}

int log_options_check(const char *driver, const StrMap *options, Err *e)
{
	static const char *const dockers[] = { "awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "logentries", "splunk" };
	const LogKind *t = log_kind_find(driver);
	LogMode mode;
	for (size_t i = 0; !t && i < ARRAY_LEN(dockers); i++)
		if (streq(dockers[i], driver))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "log driver %s is not supported: there are json-file, local, journald, syslog and none", driver);
	if (!t) return err_set(e, ERR_CONFIG, EINVAL, "error looking up logging plugin %s: plugin \"%s\" not found", driver, driver);
	if (t == &log_kind_none && options->n) return err_set(e, ERR_CONFIG, EINVAL, "invalid logging opts for driver none");
	int r = log_mode_parse(options, &mode, e);
	if (r < 0 || (r = check_names(t, options, e)) < 0) return r;
	return t->check ? t->check(options, e) : 0;
}
