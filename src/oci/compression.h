/* compression.h: how layers and archives are compressed: in media types, in requests to the worker. */
#pragma once

typedef enum {
	COMPRESSION_AUTO, /* not said: by the first bytes */
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
	COMPRESSION_XZ, /* read only: no media type of a layer says it; nor the next */
	COMPRESSION_BZIP2,
} Compression;
