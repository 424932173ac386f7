/* check_impl.h: what the files of check.h share. */
#pragma once

#include "image/check.h"
#include "image/layer_import.h"
#include "image/store_impl.h"

typedef struct Check {
	ImageStore *store;
	const CheckRequest *req;
	TransferClient *client; /* NULL: not needed so far */
	CheckResult result;
} Check;

/* check_report: counts the finding and hands it over. why: of the repair, may be NULL. */
void check_report(Check *c, FindingKind kind, const Digest *d, const char *path, Repair repair, const char *what, const Err *why);
int check_worker(Check *c, Err *e) MUST_USE;

/* check_fix_blob: fetches it, or takes it out of the books. check_fix_layer: from its blob, or fetched, or out of the books. Never fail: what
 * became of it is the result, why is for the message. */
Repair check_fix_blob(Check *c, const Digest *d, Err *why);
Repair check_fix_layer(Check *c, const Digest *diff_id, Err *why);
/* check_put_index: the index that was made takes the place of the one of that layer. */
Repair check_put_index(Check *c, const Digest *diff_id, LayerImport *made, Err *why);
/* check_put_name: the tar's second name (store_name_tar). */
Repair check_put_name(Check *c, const Digest *diff_id, Err *why);

/* check_files: files and rows that do not belong together. */
int check_files(Check *c, Err *e) MUST_USE;
