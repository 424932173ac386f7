/* transfer_wire.h: what `skep` and its worker `skep-transfer` say to each other.
 *
 * A SOCK_SEQPACKET socket pair; each message is one JSON object of at most TRANSFER_MESSAGE_MAX bytes, requests with their
 * descriptors beside it. What may be longer (manifests, lists of tags, layers) goes through descriptors. Many requests may be
 * under way; every one is answered by any number of TRANSFER_PROGRESS and TRANSFER_LOCATION events and then by exactly one
 * TRANSFER_DONE or TRANSFER_FAILED.
 *
 * The one who asks resolves names, mirrors and credentials; the worker knows endpoints only and opens no file of the store.
 * Both sides check what they decode: the worker has read hostile bytes.
 */
#pragma once

#include "base/bind.h"
#include "oci/compression.h"

enum {
	TRANSFER_MESSAGE_MAX = 160 << 10, /* below the default send buffer of a socket */
	TRANSFER_FDS_MAX = 4,
	TRANSFER_REQUESTS_MAX = 1024, /* under way at once */
	TRANSFER_RATIO =
		2000, /* TransferLimits.ratio of whatever skep takes in; gzip cannot exceed 1032, which layers full of zeros do reach */
};

typedef enum {
	TRANSFER_PING = 1,        /* GET /v2/: do the credentials work? DONE: identity_token, when the token server gave one */
	TRANSFER_MANIFEST_GET,    /* repository, reference, accept, limit; BODY: the bytes */
	TRANSFER_MANIFEST_HEAD,   /* the same without the bytes */
	TRANSFER_MANIFEST_PUT,    /* repository, reference or tags, media_type, size, digest; INPUT: the bytes */
	TRANSFER_MANIFEST_DELETE, /* repository, reference (a tag or a digest) */
	TRANSFER_TAGS,            /* repository, limit; BODY: one tag a line */
	TRANSFER_CATALOG,         /* limit; BODY: one repository a line */
	TRANSFER_SEARCH, /* reference: the term; limit; BODY: JSON objects of results, one a line. Asks docker's index (v1) of the endpoint */
	TRANSFER_REFERRERS, /* repository, digest, artifact_type, limit; BODY: an image index */
	TRANSFER_BLOB_HEAD, /* repository, digest */
	TRANSFER_BLOB_GET,  /* repository, digest, size, urls, ranges; BODY (optional, resumed), TAR, INDEX (optional) */
	TRANSFER_BLOB_PUT, /* repository, digest, size, mount_from, chunk, location; INPUT: the bytes; without it the blob is mounted or -ENOENT */
	TRANSFER_BLOB_DELETE, /* repository, digest */
	TRANSFER_LAYER_IMPORT, /* no network: INPUT, a tar of any compression; TAR, INDEX, BODY (a copy of INPUT), each optional. With none of TAR,
				  * INDEX and diff_id the bytes are only hashed and copied */
	TRANSFER_LAYER_FETCH,    /* LAYER_IMPORT of what is at the one address in urls, which is asked without credentials */
	TRANSFER_LAYER_COMPRESS, /* no network: INPUT, a tar; BODY: the compressed blob; compression, level */
	TRANSFER_POST,           /* size, media_type; INPUT: the bytes, sent to url of the endpoint, whose credentials are not used */
	TRANSFER_CANCEL,         /* the request with id `cancel` fails soon; it is not answered itself */
} TransferOp;

/* TransferRole: what a descriptor is for. They are passed in the order of the request's list `fds`. */
typedef enum { TRANSFER_BODY = 1, TRANSFER_TAR, TRANSFER_INDEX, TRANSFER_INPUT } TransferRole;

/* TransferEndpoint: one registry to ask. Credentials go to the origin of url and to the token server that it names, nowhere else. */
typedef struct TransferEndpoint {
	const char *url;        /* "https://registry-1.docker.io": scheme, host, maybe port and a path that comes before /v2/ */
	const char *repository; /* when it differs here from the request's (a mirror with a prefix); NULL: the same */
	const char *username, *password;
	const char *identity_token; /* OAuth2 refresh token, as docker login stores it; wins over username and password */
	const char *bearer_token;   /* sent as it is ("registrytoken") */
	const char *ca;             /* PEM: authorities beside the system's */
	const char *cert, *key;     /* PEM: client certificate and its key */
	bool insecure;              /* the server's certificate is not verified */
} TransferEndpoint;

/* TransferTuning: 0 stands for the default in the comment. */
typedef struct TransferTuning {
	uint32_t attempts;    /* per endpoint and without progress: 5; 2 while another endpoint follows */
	uint32_t backoff_ms;  /* before the second attempt, then doubled, at most 30 s; Retry-After is respected up to 2 min: 500 */
	uint32_t connect_ms;  /* to connect, TLS included: 15,000 */
	uint32_t stall_ms;    /* without a byte, or below 1 KiB/s: 30,000 */
	uint32_t deadline_ms; /* for the whole request; none */
	uint32_t redirects;   /* 10 */
	uint32_t ranges;      /* parallel range requests of one blob, for blobs of 16 MiB or more: 1 (none); at most 8 */
	uint32_t progress_ms; /* between two progress events: 100 */
} TransferTuning;

/* TransferLimits: of what comes out of a layer. 0: no limit. */
typedef struct TransferLimits {
	uint64_t tar_size; /* bytes of the tar */
	uint32_t ratio;    /* tar bytes per compressed byte, once the tar has 64 MiB */
	uint64_t entries;  /* of the tar */
} TransferLimits;

typedef struct TransferRequest {
	uint64_t id;                         /* set by transfer_send(); not 0 */
	int op;                              /* TransferOp */
	LIST_OF(TransferEndpoint) endpoints; /* tried in order */
	const char *repository, *reference, *digest;
	uint64_t size;  /* of the blob or manifest, exact */
	uint64_t limit; /* of BODY: 4 MiB for manifests, 16 MiB for lists when 0 */
	StrList accept; /* media types */
	const char *media_type, *artifact_type;
	StrList tags;         /* MANIFEST_PUT: each gets the manifest */
	StrList urls;         /* BLOB_GET: foreign layer; asked without credentials when no endpoint has it. LAYER_FETCH */
	StrList mount_from;   /* BLOB_PUT: repositories of the same registry that may have it */
	uint64_t chunk;       /* BLOB_PUT: bytes of one PATCH; 0: one PUT */
	const char *location; /* BLOB_PUT: of an interrupted upload, from a TRANSFER_LOCATION event */
	const char *diff_id;  /* BLOB_GET, LAYER_…: what the tar must hash to; NULL: whatever it does */
	int compression;      /* Compression: expected, or wanted by LAYER_COMPRESS (GZIP or ZSTD) */
	int32_t level;        /* LAYER_COMPRESS: 0 is the default; gzip 1 to 9, zstd 1 to 19 */
	TransferLimits limits;
	TransferTuning tuning;
	bool part; /* LAYER_IMPORT: the layer is the `size` bytes at `offset` of INPUT, which is a file */
	uint64_t offset;
	IntList fds; /* TransferRole of each descriptor that comes along */
	uint64_t cancel;
} TransferRequest;

typedef enum { TRANSFER_PROGRESS = 1, TRANSFER_LOCATION, TRANSFER_DONE, TRANSFER_FAILED } TransferKind;

/* TransferEvent. Strings and numbers that do not apply are NULL and 0. */
typedef struct TransferEvent {
	uint64_t id;
	int kind; /* TransferKind */

	/* TRANSFER_PROGRESS: compressed bytes of `size` that are there (resumed ones included), and tar bytes written */
	uint64_t bytes, total, tar_bytes;

	/* TRANSFER_LOCATION: where this upload can be resumed, with `bytes` of it taken by the registry */
	const char *location;

	/* TRANSFER_DONE */
	uint32_t status;          /* HTTP status of the last answer */
	uint32_t endpoint;        /* the index of the one that answered */
	const char *content_type; /* without parameters */
	const char *digest;       /* of the manifest or of the (compressed) blob, computed from the bytes; HEAD: what the registry says */
	uint64_t size;            /* of the same */
	const char *diff_id;
	uint64_t tar_size, entries;
	uint64_t files_size;        /* of the files in the layer, as a reader sees them */
	bool opaque;                /* the layer hides all below it */
	int compression;            /* Compression found */
	uint64_t resumed;           /* bytes that were there before */
	bool existed, mounted;      /* BLOB_PUT: nothing had to be sent */
	const char *subject;        /* MANIFEST_PUT: OCI-Subject, when the registry handles referrers itself */
	const char *warning;        /* the registry's Warning headers */
	const char *identity_token; /* PING: to be kept instead of the password */
	bool more;                  /* TAGS, CATALOG, REFERRERS: cut at the limit */

	/* TRANSFER_FAILED */
	const char *code; /* err_name() of an ErrCode */
	int32_t errnum;
	const char *message;    /* one line: object, operation, reason */
	const char *error_code; /* the registry's own ("MANIFEST_UNKNOWN", "DENIED"), when it gave one */
} TransferEvent;

extern const BindTable transfer_request_table, transfer_event_table;
extern const BindName transfer_op_names[], transfer_role_names[], transfer_kind_names[], compression_names[];

/* transfer_message: the message that says obj. -EMSGSIZE when it is too long. */
int transfer_message(const BindTable *t, const void *obj, Buf *to, Err *e) MUST_USE;

/* transfer_request_parse, transfer_event_parse: check what the table cannot: an id, the members and descriptors that op needs, numbers
 * in range. text as for json_parse. -EINVAL. */
int transfer_request_parse(char *text, size_t n, size_t n_fds, TransferRequest *ret, Arena *a, Err *e) MUST_USE;
int transfer_event_parse(char *text, size_t n, TransferEvent *ret, Arena *a, Err *e) MUST_USE;

/* transfer_event_error: the failure that a TRANSFER_FAILED event tells, as an error of the caller. Returns its negative errno. */
int transfer_event_error(const TransferEvent *ev, Err *e);
