/* seccomp_agent.c: the seccomp listener goes to the agent (config-linux.md, "Seccomp": ContainerProcessState). */
#include <sys/socket.h>

#include "runtime/launch.h"

int seccomp_agent_send(const Launch *l, pid_t pid, int fd, Err *e)
{
	const SeccompProfile *p = l->spec->lnx->seccomp;
	AUTO_BUF out = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&out);
	Container now = *l->container;
	if (!l->exec) now.state.pid = pid;
	json_begin_object(&w);
	json_put_string(&w, "ociVersion", OCI_VERSION);
	json_key(&w, "fds");
	json_begin_array(&w);
	json_string(&w, "seccompFd");
	json_end_array(&w);
	json_put_int(&w, "pid", pid);
	json_put_string(&w, "metadata", p->listener_metadata ? p->listener_metadata : "");
	json_key(&w, "state");
	container_state_write(&now, l->exec ? STATUS_RUNNING : STATUS_CREATING, false, &w);
	json_end_object(&w);
	if (buf_failed(&out)) return err_sys(e, ENOMEM, "seccomp agent");
	AUTO_FD int sock = fd_connect_unix(-100, p->listener_path, SOCK_STREAM);
	if (sock < 0)
		return err_sys(e, sock, "failed to connect with seccomp agent specified in the seccomp profile: %s", p->listener_path);
	int r = fd_send(sock, out.p, out.n, &fd, 1);
	return r < 0 ? err_sys(e, r, "failed to send seccomp fd to %s", p->listener_path) : 0;
}
