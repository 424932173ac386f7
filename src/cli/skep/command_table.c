/* command_table.c: every command and option of skep, once. */
#include "cli/skep/commands.h"

static const Option global_options[] = {
	VALUE("config", 0, NULL, "Location of client config files (default: $DOCKER_CONFIG, else ~/.docker)"),
	SWITCH("debug", 'D', "Enable debug mode"),
	OPTION(ENUM, "log-format", 0, NULL, "Set the format of log messages", .choices = CHOICES("text", "json"), .fallback = "text"),
	VALUE("log-level", 'l', NULL, "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")", .fallback = "info"),
	VALUE("root", 0, NULL,
	      "Keep images and containers below this directory (default: /var/lib/skep; $XDG_DATA_HOME/skep without privileges)"),
	VALUE("run-root", 0, NULL,
	      "Keep what need not survive a boot below this directory (default: /run/skep; $XDG_RUNTIME_DIR/skep without privileges)"),
	SWITCH("version", 'v', "Print version information and quit"),
	{ 0 },
};

#define FORMAT_HELP \
	"Format output using a custom template:\n" \
	"'json':             Print in JSON format\n" \
	"'TEMPLATE':         Print output using the given Go template."

static const Command command_table[] = {
	{ .name = "system", .summary = "Manage Skep" },
	{ .name = "system info",
	  .aliases = "info",
	  .summary = "Display system-wide information",
	  .common = true,
	  .options = OPTIONS(VALUE("format", 'f', NULL, FORMAT_HELP)),
	  .run = info_run },
	{ .name = "version",
	  .summary = "Show the version information",
	  .common = true,
	  .options = OPTIONS(VALUE("format", 'f', NULL, FORMAT_HELP)),
	  .run = version_run },
	{ .name = "generate",
	  .arguments = "man|bash|zsh|fish",
	  .summary = "Print the manual page or a shell's completion",
	  .min_args = 1,
	  .max_args = 1,
	  .hidden = true,
	  .run = generate_run },
};

const Program skep_program = {
	.name = "skep",
	.summary = "Build, ship, run and orchestrate containers",
	.options = global_options,
	.commands = command_table,
	.n_commands = ARRAY_LEN(command_table),
	.parse = parse_docker,
	.help = help_docker,
	.manual = {
		.section = 1,
		.name = "build, ship and run containers",
		.synopsis = "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARG...\\fR]",
		.description = "Works on images and containers without a daemon. Commands, options and output are those of docker(1).",
		.after =
			".SH EXIT STATUS\n0 on success; 125 when an option is wrong; 1 on any other failure; 64 when a template is wrong.\n"
			".SH ENVIRONMENT\n.TP\nDOCKER_CONFIG\nThe directory of the client's config files.\n"
			".TP\nNO_COLOR\nWhen not empty, output has no colours.\n"
			".SH FILES\n.TP\n/var/lib/skep\nImages and containers.\n.SH SEE ALSO\nskep-runtime(8), docker(1), podman(1)\n",
	},
};
