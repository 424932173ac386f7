/* size.h: numbers of bytes as docker's users write and read them. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { SIZE_TEXT_MAX = 32 };
/* 1000: 1 kB is 1000 bytes; 1024: 1 KiB is 1024 bytes */
typedef enum { SIZE_DECIMAL = 1000, SIZE_BINARY = 1024 } SizeBase;

/* size_format: four significant digits and a unit: "1.093GB" (SIZE_DECIMAL; docker's HumanSize), "1.018GiB" (SIZE_BINARY; its
 * BytesSize). size_format_digits: with other than four. */
void size_format(double bytes, SizeBase base, char text[static SIZE_TEXT_MAX]);
void size_format_digits(double bytes, SizeBase base, int digits, char text[static SIZE_TEXT_MAX]);

/* size_parse: a decimal number, and b, k, m, g, t or p, alone or with "b" or "ib", in either case: "10m", "1.5 GiB". The base alone
 * says what they stand for, as with docker ("kib" is no other unit than "k"). Bytes in *ret, a fraction of one cut off. -EINVAL with docker's
 * words, -ERANGE beyond INT64_MAX. */
int size_parse(Str s, SizeBase base, int64_t *ret, Err *e) MUST_USE;

/* decimal_parse: [+-]digits[.digits][e[+-]digits], all of s; what docker's users may write for a number with a fraction. -EINVAL. */
int decimal_parse(Str s, double *ret) MUST_USE;
