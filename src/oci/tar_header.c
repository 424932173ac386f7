/* tar_header.c: one header block, see tar_impl.h.
 *
 * The layout is that of POSIX.1-2017 pax, "ustar Interchange Format"; GNU's differs in the magic and in what stands where ustar
 * has the prefix; v7 ends before the magic. */
#include "oci/tar_impl.h"

/* Field: where a field lies in the block. */
typedef struct Field {
	uint16_t offset, n;
} Field;

static const Field NAME = { 0, 100 }, MODE = { 100, 8 }, UID = { 108, 8 }, GID = { 116, 8 }, SIZE = { 124, 12 }, MTIME = { 136, 12 },
		   CHECKSUM = { 148, 8 }, LINK = { 157, 100 }, MAGIC = { 257, 8 }, UNAME = { 265, 32 }, GNAME = { 297, 32 },
		   DEVMAJOR = { 329, 8 }, DEVMINOR = { 337, 8 }, PREFIX = { 345, 155 }, STAR_PREFIX = { 345, 131 };
enum { TYPE_AT = 156, STAR_TRAILER_AT = 508 };

bool tar_is_zero(const void *p, size_t n)
{
	const unsigned char *b = p;
	/* each byte equals the one before it, and the first is 0 */
	return !n || (!b[0] && memcmp(b, b + 1, n - 1) == 0);
}

static Str text(const unsigned char *block, Field f)
{
	const char *p = (const char *)block + f.offset;
	return (Str){ p, strnlen(p, f.n) };
}

static bool number(const unsigned char *block, Field f, int64_t *ret)
{
	return tar_number(block + f.offset, f.n, ret);
}

static bool base256(const unsigned char *p, size_t n, int64_t *ret)
{
	unsigned char sign = p[0] == 0xff ? 0xff : 0;
	uint64_t v = sign ? UINT64_MAX : 0;
	if (p[0] != 0x80 && p[0] != 0xff) return false;
	for (size_t i = 1; i < n; i++) {
		/* what is shifted out, and the bit that becomes the sign, must be the sign's */
		if ((n - i > 8 && p[i] != sign) || (n - i == 8 && (p[i] & 0x80) != (sign & 0x80))) return false;
		v = v << 8 | p[i];
	}
	*ret = (int64_t)v;
	return true;
}

bool tar_number(const unsigned char *p, size_t n, int64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	if (p[0] & 0x80) return base256(p, n, ret);
	while (i < n && (p[i] == ' ' || !p[i]))
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (p[i] - '0'); /* at most 12 digits */
	while (i < n && p[i] == ' ')
		i++;
	if (i < n && p[i]) return false;
	*ret = (int64_t)v;
	return true;
}

/* The sum of all bytes with those of the checksum itself taken as blanks. Old writers added signed chars. */
static bool checksum_is_right(const unsigned char *block)
{
	const uint64_t lanes = 0x00ff00ff00ff00ff;
	uint64_t four = 0, w, high = 0; /* four sums of 16 bits: 128 bytes each, at most 32640 */
	int64_t want, sum;
	if (!number(block, CHECKSUM, &want)) return false;
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i += 8) {
		memcpy(&w, block + i, 8);
		four += (w & lanes) + (w >> 8 & lanes);
	}
	sum = (int64_t)((four & 0xffff) + (four >> 16 & 0xffff) + (four >> 32 & 0xffff) + (four >> 48));
	for (size_t i = 0; i < CHECKSUM.n; i++)
		sum += ' ' - block[CHECKSUM.offset + i];
	if (sum == want) return true;
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
		if (i < CHECKSUM.offset || i >= (size_t)CHECKSUM.offset + CHECKSUM.n) high += block[i] >> 7;
	return sum - 256 * (int64_t)high == want;
}

static TarRule decode_magic(TarHeader *h)
{
	const unsigned char *magic = h->block + MAGIC.offset;
	h->prefix = h->uname = h->gname = (Str){ "", 0 };
	if (memcmp(magic, "ustar", 6) == 0) {
		bool star = memcmp(h->block + STAR_TRAILER_AT, "tar", 4) == 0; /* has times at the end of the prefix */
		h->magic = TAR_USTAR;
		h->prefix = text(h->block, star ? STAR_PREFIX : PREFIX);
	} else if (memcmp(magic, "ustar  ", 8) == 0) {
		h->magic = TAR_GNU;
	} else {
		h->magic = TAR_V7;
		/* some readers take it for ustar's, some do not */
		return memcmp(magic, "ustar", 5) == 0 && h->block[PREFIX.offset] ? TAR_MAGIC : TAR_OK;
	}
	h->uname = text(h->block, UNAME);
	h->gname = text(h->block, GNAME);
	return TAR_OK;
}

TarRule tar_header_decode(const unsigned char block[static TAR_BLOCK_BYTES], TarHeader *ret)
{
	TarHeader *h = ret;
	*h = (TarHeader){ .block = block, .type = (char)block[TYPE_AT], .name = text(block, NAME), .link = text(block, LINK) };
	if (!checksum_is_right(block)) return TAR_CHECKSUM;
	if (!number(block, MODE, &h->mode)) return TAR_MODE;
	if (!number(block, UID, &h->uid)) return TAR_UID;
	if (!number(block, GID, &h->gid)) return TAR_GID;
	if (!number(block, SIZE, &h->size)) return TAR_SIZE;
	if (!number(block, MTIME, &h->mtime)) return TAR_MTIME;
	return decode_magic(h);
}

bool tar_header_device(const TarHeader *h, int64_t *ret_major, int64_t *ret_minor)
{
	if (h->magic == TAR_V7) {
		*ret_major = *ret_minor = 0;
		return true;
	}
	return number(h->block, DEVMAJOR, ret_major) && number(h->block, DEVMINOR, ret_minor);
}
