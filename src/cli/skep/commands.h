/* commands.h: the commands of skep. Names, forms, texts and exit statuses are the docker CLI's where there is such a command. */
#pragma once

#include "cli/command.h"

extern const Program skep_program;

/* Skep: what the global options say; Invocation.app. */
typedef struct Skep {
	const char *root;     /* --root: images, containers, everything that stays */
	const char *run_root; /* --run-root: what need not survive a boot */
	const char *config;   /* --config: the client's files; NULL: not given */
	char **argv;          /* the command line as it came */
} Skep;

static inline const Skep *skep_of(const Invocation *in)
{
	return in->app;
}

/* The commands, each in the file of its noun. All return the exit status, or -errno with e set. */
int version_run(Invocation *in, Err *e);
int network_attend_run(Invocation *in, Err *e);
int info_run(Invocation *in, Err *e);
int image_ls_run(Invocation *in, Err *e);
int image_tag_run(Invocation *in, Err *e);
int image_rm_run(Invocation *in, Err *e);
int image_prune_run(Invocation *in, Err *e);
int image_inspect_run(Invocation *in, Err *e);
int image_history_run(Invocation *in, Err *e);
int image_bootstrap_run(Invocation *in, Err *e);
int image_mount_run(Invocation *in, Err *e);
int image_unmount_run(Invocation *in, Err *e);
int pull_run(Invocation *in, Err *e);
int push_run(Invocation *in, Err *e);
int serve_run(Invocation *in, Err *e);
int image_check_run(Invocation *in, Err *e);
int save_run(Invocation *in, Err *e);
int load_run(Invocation *in, Err *e);
int import_run(Invocation *in, Err *e);
int export_run(Invocation *in, Err *e);
int manifest_create_run(Invocation *in, Err *e);
int manifest_annotate_run(Invocation *in, Err *e);
int manifest_inspect_run(Invocation *in, Err *e);
int manifest_push_run(Invocation *in, Err *e);
int manifest_rm_run(Invocation *in, Err *e);
int login_run(Invocation *in, Err *e);
int logout_run(Invocation *in, Err *e);
int search_run(Invocation *in, Err *e);
int df_run(Invocation *in, Err *e);
int system_prune_run(Invocation *in, Err *e);
int create_run(Invocation *in, Err *e);
int run_run(Invocation *in, Err *e);
int container_attach_run(Invocation *in, Err *e);
int container_exec_run(Invocation *in, Err *e);
int container_inspect_run(Invocation *in, Err *e);
int events_run(Invocation *in, Err *e);
int inspect_run(Invocation *in, Err *e);
int container_ls_run(Invocation *in, Err *e);
int container_logs_run(Invocation *in, Err *e);
int container_log_pack_run(Invocation *in, Err *e);
int container_kill_run(Invocation *in, Err *e);
int container_pause_run(Invocation *in, Err *e);
int volume_create_run(Invocation *in, Err *e);
int volume_inspect_run(Invocation *in, Err *e);
int volume_ls_run(Invocation *in, Err *e);
int volume_prune_run(Invocation *in, Err *e);
int volume_rm_run(Invocation *in, Err *e);
int network_connect_run(Invocation *in, Err *e);
int network_create_run(Invocation *in, Err *e);
int network_disconnect_run(Invocation *in, Err *e);
int network_exists_run(Invocation *in, Err *e);
int network_inspect_run(Invocation *in, Err *e);
int network_ls_run(Invocation *in, Err *e);
int network_prune_run(Invocation *in, Err *e);
int network_reload_run(Invocation *in, Err *e);
int network_rm_run(Invocation *in, Err *e);
int boot_run(Invocation *in, Err *e);
int container_port_run(Invocation *in, Err *e);
int container_prune_run(Invocation *in, Err *e);
int container_update_run(Invocation *in, Err *e);
int container_rename_run(Invocation *in, Err *e);
int container_cp_run(Invocation *in, Err *e);
int container_diff_run(Invocation *in, Err *e);
int container_commit_run(Invocation *in, Err *e);
int container_export_run(Invocation *in, Err *e);
int container_restart_run(Invocation *in, Err *e);
int container_rm_run(Invocation *in, Err *e);
int container_start_run(Invocation *in, Err *e);
int container_stats_run(Invocation *in, Err *e);
int container_stop_run(Invocation *in, Err *e);
int container_top_run(Invocation *in, Err *e);
int container_unpause_run(Invocation *in, Err *e);
int container_wait_run(Invocation *in, Err *e);
