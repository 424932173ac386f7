/* test_tar.c: archives made by hand: what the tar reader says of them, which it refuses and with which words; the canonical writer; and
 * whiteouts. Archives of other programs: tests/tar. */
#include "alloc.h"
#include "tar_sample.h"

#include "base/str.h"
#include "oci/tar_impl.h"
#include "oci/whiteout.h"

enum { ARCHIVE_MAX = 4 << 20 };
#define GNU "ustar  "
#define P10 "0123456789"
#define P100 P10 P10 P10 P10 P10 P10 P10 P10 P10 P10
#define P255 P100 P100 P10 P10 P10 P10 P10 "01234"

typedef struct Case {
	const char *what;
	Piece pieces[4];
	const char *says; /* the members; or, when it begins with "tar: ", the refusal */
} Case;

/* An entry of an old GNU sparse map, and the size behind four of them. */
#define PAIR(offset, n) \
	"0000000" offset "\0" \
	"0000000" n "\0"
#define NO_PAIR "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define MAP_END(more, size) more "0000000" size

static const Case cases[] = {
	/* ---- formats ---- */
	{ "nothing at all", { { .zeros = 2 } }, "" },
	{ "a file", { { .name = "a", .data = "hello" }, { .zeros = 2 } }, "file a size=5 at 512:hello" },
	{ "no end", { { .name = "a", .data = "hello" } }, "file a size=5 at 512:hello" },
	{ "one zero block", { { .name = "a" }, { .zeros = 1 } }, "file a" },
	{ "zeros behind the end", { { .name = "a" }, { .zeros = 9 } }, "file a" },
	{ "all types",
	  { { .name = "h", .type = '1', .link = "./x" },
	    { .name = "c", .type = '3', .major = "0000005", .minor = "0000001" },
	    { .name = "b", .type = '4', .major = "0007777", .minor = "3777777" },
	    { .name = "p", .type = '6' } },
	  "hard link h -> x; character device c dev=5:1; block device b dev=4095:1048575; fifo p" },
	{ "contiguous", { { .name = "a", .type = '7', .data = "x" } }, "file a size=1 at 512:x" },
	{ "symbolic link, verbatim", { { .name = "s", .type = '2', .link = "..//./x/" } }, "symbolic link s -> ..//./x/" },
	{ "v7", { { .name = "a", .magic = "", .type = 'V', .data = "x" } }, "file a size=1 at 512:x" },
	{ "v7 directory", { { .name = "a/", .magic = "", .type = 'V', .mode = "0000755" } }, "directory a 755" },
	{ "v7 has no prefix", { { .name = "a", .magic = "", .prefix = "b" } }, "file a" },
	{ "ustar prefix", { { .name = "a", .prefix = "b/c" } }, "file b/c/a" },
	{ "both full", { { .name = P100, .prefix = P100 } }, "file " P100 "/" P100 },
	{ "star's prefix is shorter", { { .name = "a", .prefix = P100 P10 P10 P10 "/", .star = true } }, "file " P100 P10 P10 P10 "/a" },
	{ "GNU has none", { { .name = "a", .prefix = "b", .magic = GNU } }, "file a" },
	{ "unknown magic with prefix",
	  { { .name = "a", .prefix = "b", .magic = "ustar 00" } },
	  "tar: byte 0: the header has a prefix, but neither the magic of ustar nor that of GNU tar" },
	{ "owners", { { .name = "a", .uid = "0001750", .gid = "0000144", .uname = "bee" } }, "file a 1000:100 u=bee" },
	{ "mode bits alone", { { .name = "a", .mode = "0104755" } }, "file a 4755" },
	{ "numbers with blanks", { { .name = "a", .mode = "   644 ", .uid = "      ", .gid = " 12 \0" } }, "file a 0:10" },
	{ "mtime", { { .name = "a", .mtime = "13777777777" } }, "file a @1610612735.000000000" },
	{ "signed checksum", { { .name = "\xff\xfe", .signed_sum = true } }, "file \xff\xfe" },
	{ "long names",
	  { { .name = "long", .type = 'L', .magic = GNU, .data = P100 "/x" },
	    { .name = "long", .type = 'K', .magic = GNU, .data = P100 "/y" },
	    { .name = P100, .type = '2', .magic = GNU, .link = P100 },
	    { .name = "z" } },
	  "symbolic link " P100 "/x -> " P100 "/y; file z" },
	/* ---- pax ---- */
	{ "pax",
	  { { .name = "h",
	      .data = "abc",
	      .pax = { "path=a/b", "uid=4294967294", "gid=7", "mtime=-1.5", "uname=\xc3\xa9", "gname=g", "size=3", "atime=1", "comment=x",
		       "VENDOR.x=y" } } },
	  "file a/b 4294967294:7 u=\xc3\xa9 g=g @-2.500000000 size=3 at 1536:abc" },
	{ "pax wins over the size",
	  { { .name = "a", .size = "00000000000", .data = "abc", .pax = { "size=3" } } },
	  "file a size=3 at 1536:abc" },
	{ "the last record wins", { { .name = "h", .pax = { "path=a", "path=b", "uid=1", "uid=" } } }, "file b" },
	{ "records end with their member", { { .name = "a", .pax = { "uid=5" } }, { .name = "b" } }, "file a 5:0; file b" },
	{ "linkpath", { { .name = "a", .type = '1', .link = "x", .pax = { "linkpath=/b//c" } } }, "hard link a -> b/c" },
	{ "devices",
	  { { .name = "a", .type = '3', .pax = { "SCHILY.devmajor=8", "SCHILY.devminor=300" } } },
	  "character device a dev=8:300" },
	{ "times",
	  { { .name = "a", .pax = { "mtime=1.1234567899" } },
	    { .name = "b", .pax = { "mtime=-0.25" } },
	    { .name = "c", .pax = { "mtime=-3" } } },
	  "file a @1.123456789; file b @-1.750000000; file c @-3.000000000" },
	{ "attributes",
	  { { .name = "a",
	      .pax = { "SCHILY.xattr.user.b=2", "SCHILY.xattr.user.a=1",
		       "SCHILY.xattr.user.e=", "LIBARCHIVE.xattr.user.b=eA==", "LIBARCHIVE.xattr.user%2ec=eHk", "SCHILY.xattr.user.b=3",
		       "LIBARCHIVE.xattr.user.a=eA", "SCHILY.xattr.user.k%3Dv%25%41=p=q" } } },
	  "file a user.a=1 user.b=3 user.c=xy user.e= user.k=v%%41=p=q" },
	{ "global ones are ignored", { { .global = 'g', .pax = { "comment=0123", "mtime=5", "uname=x" } }, { .name = "a" } }, "file a" },
	{ "an empty one", { { .global = 'x' }, { .name = "a" } }, "file a" },
	/* ---- sparse files ---- */
	{ "old GNU",
	  { { .name = "a",
	      .type = 'S',
	      .magic = GNU,
	      .data = "abcdef",
	      .at386 = PAIR("0001", "0002") PAIR("0010", "0004") NO_PAIR NO_PAIR MAP_END("\0", "0020"),
	      .n386 = 109 } },
	  "file a size=16 stored=6 1+2 8+4 at 512:abcdef" },
	{ "old GNU, a hole at the end",
	  { { .name = "a",
	      .type = 'S',
	      .magic = GNU,
	      .data = "ab",
	      .at386 = PAIR("0000", "0002") PAIR("0020", "0000") NO_PAIR NO_PAIR MAP_END("\0", "0020"),
	      .n386 = 109 } },
	  "file a size=16 stored=2 0+2 at 512:ab" },
	{ "0.0",
	  { { .name = "a",
	      .data = "abc",
	      .pax = { "GNU.sparse.size=9", "GNU.sparse.numblocks=2", "GNU.sparse.offset=1", "GNU.sparse.numbytes=2", "GNU.sparse.offset=5",
		       "GNU.sparse.numbytes=1" } } },
	  "file a size=9 stored=3 1+2 5+1 at 1536:abc" },
	{ "0.1",
	  { { .name = "GNUSparseFile.1/a",
	      .data = "abc",
	      .pax = { "GNU.sparse.size=9", "GNU.sparse.numblocks=2", "GNU.sparse.name=a", "GNU.sparse.map=1,2,5,1" } } },
	  "file a size=9 stored=3 1+2 5+1 at 1536:abc" },
	{ "1.0",
	  { { .name = "x",
	      .size = "00000001003",
	      .blocks = "2\n1\n2\n5\n1\n",
	      .pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9", "GNU.sparse.name=a" } },
	    { .blocks = "abc" },
	    { .name = "b" } },
	  "file a size=9 stored=3 1+2 5+1 at 2048:abc; file b" },
	{ "one hole",
	  { { .name = "a", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=", "GNU.sparse.numblocks=0" } } },
	  "file a size=9 stored=0" },
	/* ---- 1, 4, 5, 9: names ---- */
	{ "absolute", { { .name = "/etc/passwd" } }, "file etc/passwd" },
	{ "dots and slashes", { { .name = ".///./a/.//b" }, { .name = "./c/./", .type = '5' } }, "file a/b; directory c" },
	{ "the root",
	  { { .name = "./", .type = '5' }, { .name = "/", .type = '5' }, { .name = ".", .type = '5' } },
	  "directory ; directory ; directory " },
	{ "..", { { .name = "../a" } }, "tar: \"../a\": \"..\" in a name" },
	{ ".. inside", { { .name = "a/../b" } }, "tar: \"a/../b\": \"..\" in a name" },
	{ ".. at the end", { { .name = "a/..", .type = '5' } }, "tar: \"a/..\": \"..\" in a name" },
	{ ".. by prefix", { { .name = "a", .prefix = ".." } }, "tar: \"../a\": \"..\" in a name" },
	{ ".. by pax", { { .name = "a", .pax = { "path=/../../a" } } }, "tar: \"/../../a\": \"..\" in a name" },
	{ ".. by a long name",
	  { { .name = "l", .type = 'L', .magic = GNU, .data = "x/../../a" }, { .name = "a" } },
	  "tar: \"x/../../a\": \"..\" in a name" },
	{ "..x is a name", { { .name = "..x/..." } }, "file ..x/..." },
	{ "empty", { { .name = "" } }, "tar: \"\": an empty name" },
	{ "a file as the root", { { .name = "./" } }, "tar: \"./\": the root can only be a directory" },
	{ "a file with a slash", { { .name = "a/" } }, "tar: \"a/\": the name of a file ends in \"/\"" },
	{ "255 bytes", { { .name = "a", .pax = { "path=x/" P255 } } }, "file x/" P255 },
	{ "256 bytes",
	  { { .name = "a", .pax = { "path=x/" P255 "6" } } },
	  "tar: \"x/" P100 P100 P10 P10 P10 P10 P10 "0123…\": a part of the name is longer than 255 bytes" },
	{ "not UTF-8", { { .name = "\xff\xfe/\x80" } }, "file \xff\xfe/\x80" },
	{ "control characters", { { .name = "a\x1b[31m/../" } }, "tar: \"a?[31m/../\": \"..\" in a name" },
	{ "names by pax and by GNU",
	  { { .name = "l", .type = 'L', .magic = GNU, .data = "x" }, { .name = "h", .pax = { "path=a" } } },
	  "tar: \"a\": named by a pax record and by a GNU long name" },
	{ "two long names",
	  { { .name = "l", .type = 'L', .magic = GNU, .data = "x" }, { .name = "l", .type = 'L', .magic = GNU, .data = "y" } },
	  "tar: byte 1024: a second header of the same kind for one member" },
	{ "two pax headers",
	  { { .global = 'x', .pax = { "path=a" } }, { .name = "h", .pax = { "path=b" } } },
	  "tar: byte 1024: a second header of the same kind for one member" },
	{ "hard link out",
	  { { .name = "a", .type = '1', .link = "../../etc/passwd" } },
	  "tar: \"a\": \"..\" in the target of a hard link" },
	{ "hard link, absolute", { { .name = "a", .type = '1', .link = "/etc/passwd" } }, "hard link a -> etc/passwd" },
	{ "hard link to itself", { { .name = "a", .type = '1', .link = "./a" } }, "tar: \"a\": a hard link to itself" },
	{ "hard link to the root", { { .name = "a", .type = '1', .link = "/" } }, "tar: \"a\": a hard link to the root" },
	{ "hard link to nothing", { { .name = "a", .type = '1' } }, "tar: \"a\": a link without a target" },
	{ "symbolic link to nothing", { { .name = "a", .type = '2' } }, "tar: \"a\": a link without a target" },
	{ "targets by pax and by GNU",
	  { { .name = "l", .type = 'K', .magic = GNU, .data = "x" }, { .name = "a", .type = '2', .pax = { "linkpath=y" } } },
	  "tar: \"a\": the target is given by a pax record and by a GNU long name" },
	/* ---- 6: types ---- */
	{ "unknown type", { { .name = "a", .type = 'V' } }, "tar: \"a\": an unknown type of member: \"V\" (0x56)" },
	{ "unprintable type", { { .name = "a", .type = '\x80' } }, "tar: \"a\": an unknown type of member: \"?\" (0x80)" },
	{ "multi-volume", { { .name = "a", .type = 'M', .magic = GNU } }, "tar: \"a\": an unknown type of member: \"M\" (0x4d)" },
	{ "device too large",
	  { { .name = "a", .type = '3', .major = "0010000" } },
	  "tar: \"a\": the device number is not from 0:0 to 4095:1048575" },
	{ "device no number",
	  { { .name = "a", .type = '4', .minor = "x" } },
	  "tar: \"a\": the device number is not from 0:0 to 4095:1048575" },
	{ "a file's device does not count", { { .name = "a", .major = "x" } }, "file a" },
	{ "uid is no id", { { .name = "a", .pax = { "uid=4294967295" } } }, "tar: \"a\": the uid is not from 0 to 4294967294" },
	{ "gid is no id", { { .name = "a", .pax = { "gid=18446744073709551615" } } }, "tar: \"a\": the gid is not from 0 to 4294967294" },
	{ "uid negative",
	  { { .name = "a", .uid = "\xff\xff\xff\xff\xff\xff\xff\xff" } },
	  "tar: \"a\": the uid is not from 0 to 4294967294" },
	/* ---- 7: extended attributes ---- */
	{ "no name",
	  { { .name = "a", .pax = { "SCHILY.xattr.=x" } } },
	  "tar: byte 512: extended header: \"SCHILY.xattr.\": the name of an extended attribute must have 1 to 255 bytes, no NUL among them" },
	{ "a NUL in the name",
	  { { .name = "a", .pax = { "LIBARCHIVE.xattr.a%00b=eA" } } },
	  "tar: byte 512: extended header: \"LIBARCHIVE.xattr.a\": the name of an extended attribute must have 1 to 255 bytes, no NUL among them" },
	{ "long name",
	  { { .name = "a", .pax = { "SCHILY.xattr." P255 "6=x" } } },
	  "tar: byte 512: extended header: \"SCHILY.xattr." P10 P10 P10 P10 P10 P10 P10 P10
	  "0123456\": the name of an extended attribute must have 1 to 255 bytes, no NUL among them" },
	{ "no base64",
	  { { .name = "a", .pax = { "LIBARCHIVE.xattr.a=e*" } } },
	  "tar: byte 512: extended header: \"LIBARCHIVE.xattr.a\": the value is not base64" },
	{ "cut base64",
	  { { .name = "a", .pax = { "LIBARCHIVE.xattr.a=eHh4e" } } },
	  "tar: byte 512: extended header: \"LIBARCHIVE.xattr.a\": the value is not base64" },
	/* ---- 10: what readers see differently ---- */
	{ "bad checksum", { { .name = "a" }, { .name = "b", .bad_sum = true } }, "tar: byte 512: the checksum of the header is wrong" },
	{ "no tar", { { .blocks = P100 P100 P100 P100 P100 "0123456789ab" } }, "tar: byte 0: the checksum of the header is wrong" },
	{ "truncated header", { { .name = "a", .blocks = "x", .cut = 513 } }, "tar: byte 511: the archive is truncated" },
	{ "truncated data", { { .name = "a", .data = "hello", .cut = 509 } }, "tar: byte 515: the archive is truncated, in \"a\"" },
	{ "truncated padding", { { .name = "a", .data = "hello", .cut = 1 } }, "tar: byte 1023: the archive is truncated, in \"a\"" },
	{ "truncated long name",
	  { { .name = "l", .type = 'L', .magic = GNU, .data = "hello", .cut = 1 } },
	  "tar: byte 1023: the archive is truncated" },
	{ "truncated long name, after a file",
	  { { .name = "a" }, { .name = "l", .type = 'L', .magic = GNU, .data = "hello", .cut = 1 } },
	  "tar: byte 1535: the archive is truncated" },
	{ "pax header at the end", { { .global = 'x', .pax = { "path=a" } } }, "tar: byte 1024: the archive is truncated" },
	{ "pax header before the end",
	  { { .global = 'x', .pax = { "path=a" } }, { .zeros = 2 } },
	  "tar: byte 0: an extended header or long name without a member" },
	{ "one zero block between", { { .name = "a" }, { .zeros = 1 }, { .name = "b" } }, "tar: byte 1024: data after a zero block" },
	{ "more members after the end",
	  { { .name = "a" }, { .zeros = 2 }, { .name = "b" } },
	  "tar: byte 1536: data after the end of the archive" },
	{ "garbage after the end",
	  { { .zeros = 5 }, { .name = "\0\0", .blocks = "x", .cut = 500 } },
	  "tar: byte 2660: data after the end of the archive" },
	{ "negative size", { { .name = "a", .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" } }, "tar: \"a\": a negative size" },
	{ "negative size by pax",
	  { { .name = "a", .pax = { "size=-1" } } },
	  "tar: byte 512: extended header: \"size\": the value is not a number from 0 to 2^64-1" },
	{ "negative size, pax or not",
	  { { .name = "a", .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", .pax = { "size=0" } } },
	  "tar: \"a\": a negative size" },
	{ "size of 2^64",
	  { { .name = "a", .pax = { "size=18446744073709551616" } } },
	  "tar: byte 512: extended header: \"size\": the value is not a number from 0 to 2^64-1" },
	{ "size of 2^63", { { .name = "a", .pax = { "size=9223372036854775808" } } }, "tar: \"a\": a negative size" },
	{ "size of 8 EiB", { { .name = "a", .pax = { "size=9223372036854775807" } } }, "tar: \"a\": the size is over the limit" },
	{ "size no number", { { .name = "a", .size = "0000000000x" } }, "tar: byte 0: the size in the header is not a number" },
	{ "size with a 9", { { .name = "a", .size = "00000000009" } }, "tar: byte 0: the size in the header is not a number" },
	{ "size in hex",
	  { { .name = "a", .pax = { "size=0x3" } } },
	  "tar: byte 512: extended header: \"size\": the value is not a number from 0 to 2^64-1" },
	{ "base-256 beyond 63 bits",
	  { { .name = "a", .size = "\x80\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01" } },
	  "tar: byte 0: the size in the header is not a number" },
	{ "base-256 of another kind",
	  { { .name = "a", .uid = "\xc0\x01\x01\x01\x01\x01\x01\x01" } },
	  "tar: byte 0: the uid in the header is not a number" },
	{ "mode no number", { { .name = "a", .mode = "rw-r--r" } }, "tar: byte 0: the mode in the header is not a number" },
	{ "mtime no number", { { .name = "a", .mtime = "-0000000001" } }, "tar: byte 0: the mtime in the header is not a number" },
	{ "mtime no time",
	  { { .name = "a", .pax = { "mtime=1.2.3" } } },
	  "tar: byte 512: extended header: \"mtime\": the value is not a time" },
	{ "mtime +1", { { .name = "a", .pax = { "mtime=+1" } } }, "tar: byte 512: extended header: \"mtime\": the value is not a time" },
	{ "mtime too large",
	  { { .name = "a", .pax = { "mtime=9223372036854775808" } } },
	  "tar: byte 512: extended header: \"mtime\": the value is not a time" },
	{ "hard link with data", { { .name = "a", .type = '1', .link = "b", .data = "x" } }, "tar: \"a\": only a file can have data" },
	{ "directory with data", { { .name = "a", .type = '5', .data = "x" } }, "tar: \"a\": only a file can have data" },
	{ "symbolic link with data by pax",
	  { { .name = "a", .type = '2', .link = "b", .pax = { "size=512" } } },
	  "tar: \"a\": only a file can have data" },
	{ "record without length", { { .name = "a", .raw = "path=x\n" } }, "tar: byte 512: a record without a length" },
	{ "record with a sign", { { .name = "a", .raw = "+9 path=x\n" } }, "tar: byte 512: a record without a length" },
	{ "record too long", { { .name = "a", .raw = "99 path=x\n" } }, "tar: byte 512: the length of a record does not lead to its end" },
	{ "record too short", { { .name = "a", .raw = "8 path=x\n" } }, "tar: byte 512: the length of a record does not lead to its end" },
	{ "record of nothing", { { .name = "a", .raw = "0 path=x\n" } }, "tar: byte 512: the length of a record does not lead to its end" },
	{ "record with a huge length",
	  { { .name = "a", .raw = "18446744073709551615 path=x\n" } },
	  "tar: byte 512: the length of a record does not lead to its end" },
	{ "the second is wrong",
	  { { .name = "a", .raw = "9 path=x\n7 path=x\n" } },
	  "tar: byte 521: the length of a record does not lead to its end" },
	{ "record without =", { { .name = "a", .raw = "9 path x\n" } }, "tar: byte 512: a record that is no key=value" },
	{ "record without a key", { { .name = "a", .raw = "5 =x\n" } }, "tar: byte 512: a record that is no key=value" },
	{ "record with an empty key", { { .name = "a", .raw = "6 =xx\n" } }, "tar: byte 512: a record that is no key=value" },
	{ "global path",
	  { { .global = 'g', .pax = { "path=x" } } },
	  "tar: byte 512: extended header: \"path\": must not stand in a global header" },
	{ "global size",
	  { { .global = 'g', .pax = { "comment=x", "size=5" } } },
	  "tar: byte 525: extended header: \"size\": must not stand in a global header" },
	{ "global owner",
	  { { .global = 'g', .pax = { "uid=0" } } },
	  "tar: byte 512: extended header: \"uid\": must not stand in a global header" },
	{ "global attribute",
	  { { .global = 'g', .pax = { "SCHILY.xattr.a=x" } } },
	  "tar: byte 512: extended header: \"SCHILY.xattr.a\": must not stand in a global header" },
	{ "global between",
	  { { .global = 'x', .pax = { "uid=1" } }, { .global = 'g' } },
	  "tar: byte 1024: a global header between a member and its extended header" },
	{ "pax size of a long name",
	  { { .global = 'x', .pax = { "size=0" } }, { .name = "l", .type = 'L', .magic = GNU, .data = "b" }, { .name = "a" } },
	  "file b" },
	/* ---- 10, 11: sparse files ---- */
	{ "star's sparse",
	  { { .name = "a", .data = "x", .pax = { "SCHILY.realsize=9" } } },
	  "tar: \"a\": sparse files as star writes them are not supported" },
	{ "old sparse of another format", { { .name = "a", .type = 'S' } }, "tar: \"a\": a sparse file of an unknown kind" },
	{ "unknown version",
	  { { .name = "a", .pax = { "GNU.sparse.major=2", "GNU.sparse.minor=0", "GNU.sparse.realsize=0" } } },
	  "tar: \"a\": a sparse file of an unknown kind" },
	{ "unknown record",
	  { { .name = "a", .pax = { "GNU.sparse.new=2" } } },
	  "tar: byte 512: extended header: \"GNU.sparse.new\": a sparse file of an unknown kind" },
	{ "a name alone",
	  { { .name = "a", .pax = { "GNU.sparse.name=b" } } },
	  "tar: \"b\": a sparse file of two kinds at once, or without a map or a size" },
	{ "half a version",
	  { { .name = "a", .pax = { "GNU.sparse.major=1", "GNU.sparse.realsize=0" } } },
	  "tar: \"a\": a sparse file of two kinds at once, or without a map or a size" },
	{ "two sizes",
	  { { .name = "a", .pax = { "GNU.sparse.size=1", "GNU.sparse.realsize=2", "GNU.sparse.map=0,0" } } },
	  "tar: \"a\": a sparse file of two kinds at once, or without a map or a size" },
	{ "sparse directory",
	  { { .name = "a", .type = '5', .pax = { "GNU.sparse.size=9", "GNU.sparse.map=0,0" } } },
	  "tar: \"a\": only a file can be sparse" },
	{ "overlapping",
	  { { .name = "a", .data = "abcd", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=0,2,1,2" } } },
	  "tar: \"a\": the extents of a sparse file overlap or go backwards" },
	{ "beyond the size",
	  { { .name = "a", .data = "ab", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=8,2" } } },
	  "tar: \"a\": an extent of a sparse file lies beyond its size" },
	{ "overflowing",
	  { { .name = "a", .data = "ab", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=18446744073709551615,2" } } },
	  "tar: \"a\": an extent of a sparse file lies beyond its size" },
	{ "not all data",
	  { { .name = "a", .data = "abc", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=0,2" } } },
	  "tar: \"a\": the extents of a sparse file do not add up to its stored data" },
	{ "odd map",
	  { { .name = "a", .data = "abc", .pax = { "GNU.sparse.size=9", "GNU.sparse.map=0,3,5" } } },
	  "tar: \"a\": the map of a sparse file is no list of pairs of numbers" },
	{ "wrong count",
	  { { .name = "a", .data = "abc", .pax = { "GNU.sparse.size=9", "GNU.sparse.numblocks=2", "GNU.sparse.map=0,3" } } },
	  "tar: \"a\": the map of a sparse file has not as many extents as it says" },
	{ "two offsets",
	  { { .name = "a", .pax = { "GNU.sparse.offset=1", "GNU.sparse.offset=1" } } },
	  "tar: byte 535: extended header: \"GNU.sparse.offset\": the map of a sparse file is no list of pairs of numbers" },
	{ "no offset",
	  { { .name = "a", .pax = { "GNU.sparse.numbytes=1" } } },
	  "tar: byte 512: extended header: \"GNU.sparse.numbytes\": the map of a sparse file is no list of pairs of numbers" },
	{ "offset alone",
	  { { .name = "a", .pax = { "GNU.sparse.offset=1" } } },
	  "tar: byte 535: the map of a sparse file is no list of pairs of numbers" },
	{ "8 EiB of hole",
	  { { .name = "a", .pax = { "GNU.sparse.size=9223372036854775807", "GNU.sparse.map=0,0" } } },
	  "tar: \"a\": the size is over the limit" },
	{ "a map without data",
	  { { .name = "a", .pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9" } } },
	  "tar: \"a\": the map of a sparse file is longer than its data" },
	{ "a map that is text",
	  { { .name = "a",
	      .data = "1\n0\nx\n",
	      .size = "00000001000",
	      .pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9" } } },
	  "tar: \"a\": the map of a sparse file is no list of pairs of numbers" },
	{ "a map with too many",
	  { { .name = "a",
	      .data = "99999999999\n",
	      .size = "00000001000",
	      .pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9" } } },
	  "tar: \"a\": the map of a sparse file has too many extents" },
	{ "old map without numbers",
	  { { .name = "a", .type = 'S', .magic = GNU, .at386 = "x", .n386 = 1 } },
	  "tar: \"a\": the map of a sparse file is no list of pairs of numbers" },
	{ "old map in the middle of nowhere",
	  { { .name = "a", .type = 'S', .magic = GNU, .at386 = NO_PAIR NO_PAIR NO_PAIR NO_PAIR MAP_END("\1", "0020"), .n386 = 109 } },
	  "tar: \"a\": the map of a sparse file has not as many extents as it says" },
	{ "old map cut off",
	  { { .name = "a",
	      .type = 'S',
	      .magic = GNU,
	      .at386 = PAIR("0000", "0001") PAIR("0002", "0001") PAIR("0004", "0001") PAIR("0006", "0001") MAP_END("\1", "0020"),
	      .n386 = 109 } },
	  "tar: byte 512: the archive is truncated, in \"a\"" },
};

static int check_case(const Case *c, size_t chunk)
{
	AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX);
	Err e = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(c->pieces); i++) {
		static const Piece none;
		if (memcmp(&c->pieces[i], &none, sizeof none) != 0) sample_piece(&archive, &c->pieces[i]);
	}
	/* in a block of exactly its size: a sanitizer sees the first byte read past it */
	AUTO_FREE char *exact = malloc(archive.n + 1);
	assert_non_null(exact);
	memcpy(exact, buf_str(&archive), archive.n);
	int r = sample_read(exact, archive.n, chunk, NULL, &says, &e);
	const char *got = r < 0 ? e.msg : buf_str(&says);
	if (!streq(got, c->says)) {
		print_error("%s, by %zu bytes:\n%s\nnot\n%s\n", c->what, chunk, got, c->says);
		return 1;
	}
	assert_int_equal(r < 0, starts_with(c->says, "tar: "));
	if (r < 0) assert_true(r == -EBADMSG || r == -E2BIG || r == -ENAMETOOLONG);
	return 0;
}

static void test_cases(void **state)
{
	static const size_t chunks[] = { SIZE_MAX / 2, 1, 7, 511, 512, 513, 1024 };
	int wrong = 0;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t k = 0; k < ARRAY_LEN(chunks); k++)
			wrong += check_case(&cases[i], chunks[k]);
	assert_int_equal(wrong, 0);
}

/* ---- what the table cannot say ---- */

static void test_numbers(void **state)
{
	static const struct {
		const char *field;
		size_t n;
		bool ok;
		int64_t v;
	} rows[] = {
		{ "0000644", 8, true, 0644 },
		{ "00000644", 8, true, 0644 },
		{ "777777777777", 12, true, 0777777777777 },
		{ "  644 \0x", 8, true, 0644 },
		{ "\0\0\0\0\0\0\0", 8, true, 0 },
		{ "\x80\0\0\0\xff\xff\xff\xfe", 8, true, 0xfffffffe },
		{ "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, true, INT64_MAX },
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, true, INT64_MIN },
		{ "\xff\xff\xff\xff\xff\xff\xff\xfe", 8, true, -2 },
		{ "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, false, 0 },
		{ "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12, false, 0 },
		{ "\x80\0\0\x01\0\0\0\0\0\0\0\0", 12, false, 0 },
		{ "\x81\0\0\0\0\0\0\0", 8, false, 0 },
		{ "\xfe\xff\xff\xff\xff\xff\xff\xff", 8, false, 0 },
		{ "0000648", 8, false, 0 },
		{ "06 4 00", 8, false, 0 },
		{ "-000001", 8, false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t v = 0;
		if (tar_number((const unsigned char *)rows[i].field, rows[i].n, &v) != rows[i].ok || v != rows[i].v)
			fail_msg("%zu: %lld", i, (long long)v);
	}
}

static void refused(Buf *archive, const TarLimits *limits, const char *why)
{
	AUTO_BUF says = BUF_INIT(ARCHIVE_MAX);
	Err e = ERR_INIT;
	assert_true(sample_read(archive->p, archive->n, 1000, limits, &says, &e) < 0);
	assert_string_equal(e.msg, why);
	assert_int_equal(-sample_read(archive->p, archive->n, 1, limits, &says, &e), e.errnum);
	assert_string_equal(e.msg, why);
}

static void test_limits(void **state)
{
	TarLimits l = TAR_LIMITS_DEFAULT;
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX);
	Err e = ERR_INIT;
	sample_piece(&b, &(Piece){ .name = "a/b",
				   .data = "xyz",
				   .pax = { "SCHILY.xattr.user.a=1234", "GNU.sparse.map=0,1,2,1,4,1", "GNU.sparse.size=9" } });
	sample_piece(&b, &(Piece){ .name = "s", .type = '2', .link = "abc" });
	/* each limit exactly met, then missed by one */
	l = (TarLimits){ .entries = 2, .path = 3, .xattrs_bytes = 10, .pax_bytes = 79, .size = 9, .extents = 3, .depth = 2 };
	assert_int_equal(sample_read(b.p, b.n, 512, &l, &says, &e), 0);
#define LESS(field, why) \
	refused(&b, \
		&(TarLimits){ l.entries - (field == 0), l.path - (field == 1), l.xattrs_bytes - (field == 2), l.pax_bytes - (field == 3), \
			      l.size - (field == 4), l.extents - (field == 5), l.depth - (field == 6) }, \
		why)
	LESS(0, "tar: \"s\": too many members");
	LESS(1, "tar: \"a/b\": the name is too long");
	LESS(2, "tar: byte 512: extended header: \"SCHILY.xattr.user.a\": too many bytes of extended attributes");
	LESS(3, "tar: byte 0: an extended header or long name is too large");
	LESS(4, "tar: \"a/b\": the size is over the limit");
	LESS(5, "tar: \"a/b\": the map of a sparse file has too many extents");
	LESS(6, "tar: \"a/b\": the name has too many parts");
#undef LESS
	l.path = 3;
	buf_reset(&b);
	sample_piece(&b, &(Piece){ .name = "s", .type = '2', .link = "abcd" });
	refused(&b, &l, "tar: \"s\": the target of a link is too long");
	buf_reset(&b);
	sample_piece(&b, &(Piece){ .name = "s", .type = '1', .link = "abcd" });
	refused(&b, &l, "tar: \"s\": the target of a link is too long");
}

static void test_nul_in_records(void **state)
{
	static const struct {
		const char *record;
		size_t n;
		const char *says;
	} rows[] = {
		{ "12 path=a\0b\n", 12, "tar: byte 512: extended header: \"path\": a NUL in the key or the value of a record" },
		{ "11 pa\0th=a\n", 11, "tar: byte 512: a NUL in the key or the value of a record" },
		{ "12 size=1\0"
		  "2\n",
		  12, "tar: byte 512: extended header: \"size\": a NUL in the key or the value of a record" },
		{ "9 path=x\n\0", 10, "tar: byte 521: a record without a length" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF b = BUF_INIT(ARCHIVE_MAX);
		sample_header(&b, &(Piece){ .name = "pax", .type = 'x' }, rows[i].n);
		sample_data(&b, rows[i].record, rows[i].n);
		sample_piece(&b, &(Piece){ .name = "a" });
		refused(&b, NULL, rows[i].says);
	}
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX);
	sample_header(&b, &(Piece){ .name = "long", .type = 'L', .magic = GNU }, 4);
	sample_data(&b, "a\0b", 4);
	refused(&b, NULL, "tar: byte 512: a NUL in a name");
	/* in the value of an attribute it is a byte like any other */
	AUTO_BUF ok = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX);
	Err e = ERR_INIT;
	sample_header(&ok, &(Piece){ .name = "pax", .type = 'x' }, 28);
	sample_data(&ok, "28 SCHILY.xattr.user.a=\0=\n\0\n", 28);
	sample_piece(&ok, &(Piece){ .name = "a" });
	assert_int_equal(sample_read(ok.p, ok.n, 99, NULL, &says, &e), 0);
	assert_string_equal(buf_str(&says), "file a user.a=");
}

/* Old GNU maps of more than four pairs go on in blocks of 21. */
static void test_extensions(void **state)
{
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX), want = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX), data = BUF_INIT(4096);
	char map[4 * 24 + 13 + 1] = "", block[TAR_BLOCK_BYTES];
	Err e = ERR_INIT;
	enum { PAIRS = 4 + 21 + 3 };
	buf_printf(&want, "file a size=%d stored=%d", 2 * PAIRS, PAIRS);
	for (int i = 0; i < 4; i++)
		snprintf(map + (size_t)24 * i, 25, "%011o%c%011o", 2 * i, 0, 1);
	map[96] = 1;
	snprintf(map + 97, 13, "%011o", 2 * PAIRS);
	sample_header(&b, &(Piece){ .name = "a", .type = 'S', .magic = GNU, .at386 = map, .n386 = sizeof map - 1 }, PAIRS);
	for (int at = 4; at < PAIRS; at += 21) {
		memset(block, 0, sizeof block);
		for (int i = 0; i < 21 && at + i < PAIRS; i++)
			snprintf(block + (size_t)24 * i, 25, "%011o%c%011o", 2 * (at + i), 0, 1);
		block[504] = at + 21 < PAIRS;
		buf_put(&b, block, sizeof block);
	}
	for (int i = 0; i < PAIRS; i++) {
		buf_putc(&data, (char)('a' + i % 26));
		buf_printf(&want, " %d+1", 2 * i);
	}
	buf_printf(&want, " at 1536:%s; file b", buf_str(&data));
	sample_data(&b, data.p, data.n);
	sample_piece(&b, &(Piece){ .name = "b" });
	for (size_t chunk = 1; chunk < 4000; chunk = chunk * 2 + 1) {
		buf_reset(&says);
		assert_int_equal(sample_read(b.p, b.n, chunk, NULL, &says, &e), 0);
		assert_string_equal(buf_str(&says), buf_str(&want));
	}
}

/* Data comes as pointers into what was fed. */
typedef struct Window {
	const char *from, *to;
	size_t n;
	int stop;
} Window;

static int window_entry(void *arg, const TarEntry *t, Err *e)
{
	const Window *w = arg;
	return w->stop == 1 ? err_set(e, ERR_STATE, ECANCELED, "stopped") : 0;
}

static int window_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	Window *w = arg;
	const char *b = p;
	assert_true(n && b >= w->from && b + n <= w->to);
	w->n += n;
	return w->stop == 2 ? err_set(e, ERR_STATE, ECANCELED, "stopped") : 0;
}

static void test_no_copy_and_stop(void **state)
{
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX);
	sample_piece(&b, &(Piece){ .name = "a", .data = P255 P255 P255 });
	for (int stop = 0; stop <= 2; stop++) {
		Window w = { b.p, b.p + b.n, 0, stop };
		TarVisitor v = { window_entry, window_data, &w };
		AUTO_TAR_READER *r = tar_reader_new(&v, NULL);
		Err e = ERR_INIT, again = ERR_INIT;
		assert_non_null(r);
		int k = tar_reader_feed(r, b.p, b.n, &e);
		assert_int_equal(k, stop ? -ECANCELED : 0);
		assert_int_equal(tar_reader_finish(r, &again), k);
		assert_string_equal(again.msg, stop ? "stopped" : "");
		assert_int_equal(tar_reader_feed(r, "x", 1, &again), k);
		assert_int_equal(w.n, stop == 1 ? 0 : 765);
	}
}

/* ---- the writer ---- */

static int to_buf(void *arg, const void *p, size_t n, Err *e)
{
	Buf *b = arg;
	buf_put(b, p, n);
	return buf_failed(b) ? err_set(e, ERR_RESOURCE, ENOSPC, "full") : 0;
}

/* Writes one member and its data; what the reader says of it. */
static void written(const TarEntry *t, const char *data, Buf *archive, Buf *ret)
{
	AUTO_TAR_WRITER *w = tar_writer_new(to_buf, archive);
	Err e = ERR_INIT;
	assert_non_null(w);
	if (tar_writer_entry(w, t, &e) < 0) fail_msg("%s", e.msg);
	if (data) assert_int_equal(tar_writer_data(w, data, strlen(data), &e), 0);
	assert_int_equal(tar_writer_finish(w, &e), 0);
	assert_int_equal(archive->n % TAR_BLOCK_BYTES, 0);
	if (sample_read(archive->p, archive->n, 333, NULL, ret, &e) < 0) fail_msg("%s", e.msg);
}

static void test_writer(void **state)
{
	static const TarXattr xattrs[] = { { "user.z", "1", 1 }, { "user.a=%", "x=y\n", 4 } };
	static const TarExtent extents[] = { { 2, 1 }, { 5, 2 } };
	static const struct {
		TarEntry t;
		const char *data, *says;
		size_t n; /* of the archive, blocks */
	} rows[] = {
		{ { .path = "a", .mode = 0644, .size = 3 }, "xyz", "file a size=3 at 512:xyz", 4 },
		{ { .path = "", .type = TAR_DIR, .mode = 0755 }, NULL, "directory  755", 3 },
		{ { .path = "d/e", .type = TAR_DIR, .mode = 01777 }, NULL, "directory d/e 1777", 3 },
		{ { .path = "h", .type = TAR_HARDLINK, .link = "d/x", .mode = 0644 }, NULL, "hard link h -> d/x", 3 },
		{ { .path = "s", .type = TAR_SYMLINK, .link = "../x/", .mode = 0777 }, NULL, "symbolic link s -> ../x/ 777", 3 },
		{ { .path = "c", .type = TAR_CHAR, .major = 4095, .minor = 1048575, .mode = 0644 },
		  NULL,
		  "character device c dev=4095:1048575",
		  3 },
		{ { .path = "p", .type = TAR_FIFO, .mode = 0644 }, NULL, "fifo p", 3 },
		{ { .path = P100, .mode = 0644, .uname = "u", .gname = "g" }, NULL, "file " P100 " u=u g=g", 3 },
		{ { .path = P100 "x", .mode = 0644 }, NULL, "file " P100 "x", 5 },
		{ { .path = "s", .type = TAR_SYMLINK, .link = P255, .mode = 0644, .uname = P100 },
		  NULL,
		  "symbolic link s -> " P255 " u=" P100,
		  5 },
		{ { .path = "a", .mode = 0644, .uid = 2097151, .gid = 2097152 }, NULL, "file a 2097151:2097152", 5 },
		{ { .path = "a", .mode = 0644, .uid = 4294967294, .mtime = -2, .mtime_ns = 500000000 },
		  NULL,
		  "file a 4294967294:0 @-2.500000000",
		  5 },
		{ { .path = "a", .mode = 0644, .mtime = INT64_MIN }, NULL, "file a @-9223372036854775808.000000000", 5 },
		{ { .path = "a", .mode = 0644, .mtime = INT64_MAX, .mtime_ns = 1 }, NULL, "file a @9223372036854775807.000000001", 5 },
		{ { .path = "a", .mode = 0644, .mtime = 8589934591 }, NULL, "file a @8589934591.000000000", 3 },
		{ { .path = "a", .mode = 0644, .xattrs = xattrs, .n_xattrs = 2 }, NULL, "file a user.a=%=x=y\n user.z=1", 5 },
		{ { .path = "a", .mode = 0644, .sparse = true, .size = 9, .stored = 3, .extents = extents, .n_extents = 2 },
		  "xyz",
		  "file a size=9 at 512:",
		  4 },
		{ { .path = "a", .mode = 0644, .sparse = true, .size = 600 }, NULL, "file a size=600 at 512:", 5 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX);
		written(&rows[i].t, rows[i].data, &archive, &says);
		assert_string_equal(buf_str(&says), rows[i].says);
		assert_int_equal(archive.n, rows[i].n * TAR_BLOCK_BYTES);
		if (rows[i].t.n_extents) assert_memory_equal(archive.p + 512, "\0\0x\0\0yz\0\0", 10);
	}
}

static int count_entry(void *arg, const TarEntry *t, Err *e)
{
	int *n = arg;
	assert_string_equal(t->path, n[0] == 0 ? "big" : "small");
	n[0]++;
	return 0;
}

static int count_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	((int *)arg)[1] += (int)n;
	return 0;
}

/* Bytes that are passed over count as read, and only bytes of a file are. */
static void test_skip(void **state)
{
	static char big[3000];
	int counted[2] = { 0 };
	Err e = ERR_INIT;
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX);
	memset(big, 'x', sizeof big - 1);
	sample_piece(&b, &(Piece){ .name = "big", .data = big });
	sample_piece(&b, &(Piece){ .name = "small", .data = "y" });
	sample_piece(&b, &(Piece){ .zeros = 2 });
	AUTO_TAR_READER *r = tar_reader_new(&(TarVisitor){ count_entry, count_data, counted }, NULL);
	assert_non_null(r);
	assert_int_equal(tar_reader_skip(r, 100), 0); /* a header is next */
	assert_int_equal(tar_reader_feed(r, b.p, 512 + 100, &e), 0);
	assert_int_equal(tar_reader_skip(r, 1000), 1000);
	assert_int_equal(tar_reader_skip(r, UINT64_MAX), 2999 - 1100);
	assert_int_equal(tar_reader_skip(r, UINT64_MAX), 0); /* padding is read */
	assert_int_equal(tar_reader_feed(r, b.p + 512 + 2999, b.n - 512 - 2999, &e), 0);
	assert_int_equal(tar_reader_finish(r, &e), 0);
	assert_int_equal(counted[0], 2);
	assert_int_equal(counted[1], 101);
	AUTO_TAR_READER *cut = tar_reader_new(&(TarVisitor){ count_entry, NULL, (int[2]){ 0 } }, NULL);
	assert_non_null(cut);
	assert_int_equal(tar_reader_feed(cut, b.p, 600, &e), 0);
	assert_int_equal(tar_reader_skip(cut, 700), 700);
	assert_int_equal(tar_reader_finish(cut, &e), -EBADMSG);
}

static int count_sink(void *arg, const void *p, size_t n, Err *e)
{
	*(size_t *)arg += n;
	return 0;
}

/* The same on the writer's side: what somebody else has written is not written again. */
static void test_writer_skip(void **state)
{
	size_t n = 0;
	Err e = ERR_INIT;
	AUTO_TAR_WRITER *w = tar_writer_new(count_sink, &n);
	assert_non_null(w);
	assert_int_equal(tar_writer_entry(w, &(TarEntry){ .path = "a", .mode = 0644, .size = 1000 }, &e), 0);
	assert_int_equal(tar_writer_data(w, "0123456789", 10, &e), 0);
	assert_int_equal(tar_writer_skip(w, 990, &e), 0);
	assert_int_equal(tar_writer_finish(w, &e), 0);
	assert_int_equal(n + 990, 512 + 1024 + 1024);
	AUTO_TAR_WRITER *over = tar_writer_new(count_sink, &n);
	assert_non_null(over);
	assert_int_equal(tar_writer_entry(over, &(TarEntry){ .path = "a", .mode = 0644, .size = 5 }, &e), 0);
	assert_int_equal(tar_writer_skip(over, 6, &e), -EINVAL);
}

/* The bytes themselves: what is written today is what was written yesterday. */
static void test_writer_bytes(void **state)
{
	AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX), want = BUF_INIT(ARCHIVE_MAX);
	const TarXattr x[] = { { "user.b", "w", 1 }, { "user.a", "v", 1 } };
	TarEntry t = { .path = "dir/" P100,
		       .mode = 0600,
		       .uid = 5,
		       .gid = 3000000,
		       .mtime = 1,
		       .mtime_ns = 20,
		       .size = 1,
		       .xattrs = x,
		       .n_xattrs = 2 };
	written(&t, "x", &archive, &says);
	sample_piece(&want, &(Piece){ .global = 'x',
				      .pax = { "SCHILY.xattr.user.a=v", "SCHILY.xattr.user.b=w", "gid=3000000", "mtime=1.00000002",
					       "path=dir/" P100 } });
	sample_piece(&want, &(Piece){ .name = "dir/" P10 P10 P10 P10 P10 P10 P10 P10 P10 "012345",
				      .mode = "0000600",
				      .uid = "0000005",
				      .mtime = "00000000001",
				      .data = "x",
				      .major = "0000000",
				      .minor = "0000000" });
	sample_piece(&want, &(Piece){ .zeros = 2 });
	assert_int_equal(archive.n, want.n);
	assert_memory_equal(archive.p + 512, want.p + 512, archive.n - 512); /* the name of the pax header is our own */
	assert_string_equal(archive.p, "././@PaxHeader");
}

/* A record counts the digits of its own length: around 100 and 1000 bytes they become more by being counted. */
static void test_writer_record_lengths(void **state)
{
	char value[1200];
	for (size_t n = 1; n < sizeof value; n++) {
		AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX), says = BUF_INIT(ARCHIVE_MAX), want = BUF_INIT(ARCHIVE_MAX),
			 record = BUF_INIT(ARCHIVE_MAX);
		memset(value, 'v', n);
		value[n] = 0;
		TarXattr x = { "user.a", value, n };
		TarEntry t = { .path = "a", .xattrs = &x, .n_xattrs = 1 };
		written(&t, NULL, &archive, &says);
		buf_printf(&record, "SCHILY.xattr.user.a=%s", value);
		sample_record(&want, buf_str(&record));
		assert_memory_equal(archive.p + TAR_BLOCK_BYTES, want.p, want.n);
	}
}

static void test_writer_refuses(void **state)
{
	static const TarXattr twice[] = { { "user.a", "1", 1 }, { "user.a", "2", 1 } }, unnamed = { "", "1", 1 };
	static const TarExtent beyond = { 8, 2 };
	static const struct {
		TarEntry t;
		const char *why;
	} rows[] = {
		{ { .path = "/a" }, "tar: cannot write \"/a\": the path is not clean" },
		{ { .path = "a/../b" }, "tar: cannot write \"a/../b\": the path is not clean" },
		{ { .path = "a/" }, "tar: cannot write \"a/\": the path is not clean" },
		{ { .path = "" }, "tar: cannot write \"\": the root can only be a directory" },
		{ { .path = "a", .type = TAR_SYMLINK }, "tar: cannot write \"a\": a link without a target" },
		{ { .path = "a", .type = TAR_HARDLINK, .link = "a" }, "tar: cannot write \"a\": the target of the hard link is not clean" },
		{ { .path = "a", .type = TAR_HARDLINK, .link = "../b" },
		  "tar: cannot write \"a\": the target of the hard link is not clean" },
		{ { .path = "a", .uid = UINT32_MAX }, "tar: cannot write \"a\": 4294967295 is no id" },
		{ { .path = "a", .mtime_ns = 1000000000 },
		  "tar: cannot write \"a\": the nanoseconds of its time are not below 1000000000" },
		{ { .path = "a", .type = TAR_BLOCK, .major = 4096 },
		  "tar: cannot write \"a\": the device number is not from 0:0 to 4095:1048575" },
		{ { .path = "a", .type = TAR_DIR, .size = 1 }, "tar: cannot write \"a\": only a file can have data" },
		{ { .path = "a", .size = INT64_MAX }, "tar: cannot write \"a\": the size is too large" },
		{ { .path = "a", .type = (TarType)9 }, "tar: cannot write \"a\": an unknown type" },
		{ { .path = "a", .xattrs = twice, .n_xattrs = 2 }, "tar: cannot write \"a\": an extended attribute twice" },
		{ { .path = "a", .xattrs = &unnamed, .n_xattrs = 1 },
		  "tar: cannot write \"a\": the name of an extended attribute must have 1 to 255 bytes" },
		{ { .path = "a", .sparse = true, .size = 9, .stored = 2, .extents = &beyond, .n_extents = 1 },
		  "tar: cannot write \"a\": its extents are not in order or beyond its size" },
		{ { .path = "a", .sparse = true, .size = 99, .stored = 1, .extents = &beyond, .n_extents = 1 },
		  "tar: cannot write \"a\": its extents do not add up to its stored data" },
	};
	AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX);
	AUTO_TAR_WRITER *w = tar_writer_new(to_buf, &archive);
	Err e = ERR_INIT;
	assert_non_null(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(tar_writer_entry(w, &rows[i].t, &e), -EINVAL);
		assert_string_equal(e.msg, rows[i].why);
	}
	/* a refused member leaves nothing behind, and does not stop the writer */
	assert_int_equal(archive.n, 0);
	TarEntry t = { .path = "a", .size = 2 };
	assert_int_equal(tar_writer_entry(w, &t, &e), 0);
	assert_int_equal(tar_writer_data(w, "x", 1, &e), 0);
	assert_int_equal(tar_writer_finish(w, &e), -EINVAL);
	assert_string_equal(e.msg, "tar: \"a\": only 1 of its 2 bytes were written");
	assert_int_equal(tar_writer_entry(w, &t, &e), -EINVAL);
}

static void test_writer_stops(void **state)
{
	TarEntry t = { .path = "a", .size = 2 };
	Err e = ERR_INIT;
	AUTO_BUF more = BUF_INIT(ARCHIVE_MAX), full = BUF_INIT(600);
	AUTO_TAR_WRITER *w = tar_writer_new(to_buf, &more), *second = tar_writer_new(to_buf, &full);
	assert_true(w && second);
	assert_int_equal(tar_writer_entry(w, &t, &e), 0);
	assert_int_equal(tar_writer_data(w, "xyz", 3, &e), -EINVAL);
	assert_string_equal(e.msg, "tar: \"a\": more data than its size");
	assert_int_equal(tar_writer_entry(second, &t, &e), 0);
	assert_int_equal(tar_writer_data(second, "xy", 2, &e), 0);
	assert_int_equal(tar_writer_finish(second, &e), -ENOSPC);
	e = ERR_INIT;
	assert_int_equal(tar_writer_data(second, "x", 1, &e), -ENOSPC);
	assert_string_equal(e.msg, "full");
}

/* ---- no memory ---- */

static int copy_entry(void *arg, const TarEntry *t, Err *e)
{
	return tar_writer_entry(arg, t, e);
}

static int copy_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	return tar_writer_data(arg, p, n, e);
}

static int to_nowhere(void *arg, const void *p, size_t n, Err *e)
{
	return 0;
}

static int copy(const Buf *archive, Err *e)
{
	AUTO_TAR_WRITER *w = tar_writer_new(to_nowhere, NULL);
	TarVisitor v = { copy_entry, copy_data, w };
	AUTO_TAR_READER *r = w ? tar_reader_new(&v, NULL) : NULL;
	if (!r) return err_sys(e, ENOMEM, "copy");
	int k = tar_reader_feed(r, archive->p, archive->n, e);
	if (!k) k = tar_reader_finish(r, e);
	return k ? k : tar_writer_finish(w, e);
}

/* Each allocation fails in turn: the copy fails with -ENOMEM and a message, and leaks nothing. */
static void test_no_memory(void **state)
{
	AUTO_BUF b = BUF_INIT(ARCHIVE_MAX), map = BUF_INIT(4096);
	buf_puts(&map, "GNU.sparse.map=0,1");
	for (int i = 1; i < 100; i++)
		buf_printf(&map, ",%d,0", i * 2);
	for (int i = 100; i < 200; i++)
		buf_printf(&map, ",%d,1", i * 2);
	sample_piece(&b, &(Piece){ .name = "l", .type = 'L', .magic = GNU, .data = P255 });
	sample_piece(&b,
		     &(Piece){ .name = "a",
			       .type = '2',
			       .link = "x",
			       .pax = { "SCHILY.xattr.a=1", "SCHILY.xattr.b=1", "SCHILY.xattr.c=1", "SCHILY.xattr.d=1", "SCHILY.xattr.e=1",
					"SCHILY.xattr.f=1", "SCHILY.xattr.g=1", "SCHILY.xattr.h=1", "SCHILY.xattr.i=1" } });
	sample_piece(&b, &(Piece){ .name = "s", .data = P100 "x", .pax = { buf_str(&map), "GNU.sparse.size=1000" } });
	sample_piece(&b, &(Piece){ .name = "d", .type = '5' });
	for (unsigned long k = 1;; k++) {
		Err e = ERR_INIT;
		allocation_to_fail = k;
		int r = copy(&b, &e);
		bool all_done = allocation_to_fail > 0; /* fewer than k were made */
		allocation_to_fail = 0;
		if (all_done && r) fail_msg("%s", e.msg);
		if (all_done) break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(e.code, ERR_RESOURCE);
	}
}

/* ---- whiteouts ---- */

static void test_whiteout(void **state)
{
	static const struct {
		const char *path;
		WhiteoutKind kind;
		size_t parent;
		const char *name;
	} rows[] = {
		{ "", WHITEOUT_NONE, 0, NULL },
		{ "a/b", WHITEOUT_NONE, 0, NULL },
		{ ".wh", WHITEOUT_NONE, 0, NULL },
		{ "a.wh.b", WHITEOUT_NONE, 0, NULL },
		{ "wh.b/.whx", WHITEOUT_NONE, 0, NULL },
		{ ".wh.a", WHITEOUT_FILE, 0, "a" },
		{ "d/.wh.a", WHITEOUT_FILE, 1, "a" },
		{ "d/e/.wh..a", WHITEOUT_FILE, 3, ".a" },
		{ ".wh.wh.x", WHITEOUT_FILE, 0, "wh.x" },
		{ ".wh....", WHITEOUT_FILE, 0, "..." },
		{ ".wh..wh", WHITEOUT_FILE, 0, ".wh" },
		{ ".wh..wh..opq", WHITEOUT_OPAQUE, 0, NULL },
		{ "d/e/.wh..wh..opq", WHITEOUT_OPAQUE, 3, NULL },
		{ ".wh..wh.plnk", WHITEOUT_SKIP, 0, NULL },
		{ ".wh..wh.plnk/1.2", WHITEOUT_SKIP, 0, NULL },
		{ ".wh..wh.aufs", WHITEOUT_SKIP, 0, NULL },
		{ "d/.wh..wh.orph", WHITEOUT_SKIP, 0, NULL },
		{ ".wh..wh..opqx", WHITEOUT_SKIP, 0, NULL },
		{ ".wh.", WHITEOUT_INVALID, 0, NULL },
		{ "d/.wh.", WHITEOUT_INVALID, 0, NULL },
		{ ".wh..", WHITEOUT_INVALID, 0, NULL },
		{ ".wh...", WHITEOUT_INVALID, 0, NULL },
		{ ".wh..wh.", WHITEOUT_INVALID, 0, NULL },
		{ ".wh.a/b", WHITEOUT_INVALID, 0, NULL },
		{ "d/.wh.a/.wh.b", WHITEOUT_INVALID, 0, NULL },
		{ ".wh..wh..opq/a", WHITEOUT_INVALID, 0, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Whiteout w = whiteout_classify(rows[i].path);
		if (w.kind != rows[i].kind) fail_msg("\"%s\": %d", rows[i].path, w.kind);
		assert_int_equal(w.parent, rows[i].parent);
		assert_int_equal(!w.name, !rows[i].name);
		if (w.name) assert_string_equal(w.name, rows[i].name);
	}
}

static void test_forged(void **state)
{
	TarXattr x = { "trusted.overlay.opaque", "y", 1 };
	TarEntry device = { .type = TAR_CHAR }, null = { .type = TAR_CHAR, .major = 1, .minor = 3 },
		 dir = { .type = TAR_DIR, .xattrs = &x, .n_xattrs = 1 };
	assert_true(whiteout_is_forged(&device));
	assert_false(whiteout_is_forged(&null));
	assert_true(whiteout_is_forged(&dir));
	x.name = "user.overlay.redirect";
	assert_true(whiteout_is_forged(&dir));
	x.name = "user.overlays";
	assert_false(whiteout_is_forged(&dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),          cmocka_unit_test(test_numbers),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_nul_in_records), cmocka_unit_test(test_extensions),   cmocka_unit_test(test_no_copy_and_stop),
		cmocka_unit_test(test_writer),         cmocka_unit_test(test_writer_bytes), cmocka_unit_test(test_writer_record_lengths),
		cmocka_unit_test(test_writer_refuses), cmocka_unit_test(test_writer_stops), cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_whiteout),       cmocka_unit_test(test_forged),       cmocka_unit_test(test_skip),
		cmocka_unit_test(test_writer_skip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
