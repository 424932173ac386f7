/* cmd_serve.c: commands whose work is done by skep-serve: the servers, with TLS and threads, which every other command starts faster without. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/skep/commands.h"
#include "sys/own_program.h"

int serve_run(Invocation *in, Err *e)
{
	int program = own_program_open("skep-serve", SKEP_LIBEXEC_DIR, e);
	if (program < 0) return program;
	syscall(SYS_execveat, program, "", skep_of(in)->argv, environ, AT_EMPTY_PATH);
	return err_sys(e, errno, "start skep-serve");
}
