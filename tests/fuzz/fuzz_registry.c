/* fuzz_registry.c: what clients send that the registry reads itself. The first byte chooses: a manifest, a token with a good signature's
 * place, a path, ranges, a password file, the keys of another token server. */
#include "fuzz.h"

#include "registry/htpasswd.h"
#include "registry/manifest.h"
#include "registry/name.h"
#include "registry/range.h"
#include "registry/token.h"

static void read_manifest(Str s)
{
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	ManifestView v;
	Err e = ERR_INIT;
	Digest d;
	if (manifest_view(s, "", &a, &v, &e) < 0) {
		if (!e.msg[0]) abort();
		return;
	}
	/* what becomes a row or a file's name is a digest */
	for (size_t i = 0; i < v.n; i++)
		if (digest_parse(str_of(v.references[i].digest), &d) < 0) abort();
	if (v.subject && digest_parse(str_of(v.subject), &d) < 0) abort();
}

/* Nobody has its other half. */
static const char public_key[] = "-----BEGIN PUBLIC KEY-----\n"
				 "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEME6Exh3cNFsfPo4p+xWDBmjRzRlt\n"
				 "+PqrVta2JGU5YIh7NfXHqkmX7scdr2DlAwMgkvM91QI90xcD/rhYHOL8Iw==\n"
				 "-----END PUBLIC KEY-----\n";

static void read_foreign_token(Str s)
{
	static SignatureKeys *keys;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Token t;
	Err e = ERR_INIT;
	if (!keys && signature_keys_parse(str_of(public_key), "key", &keys, &e) < 0) abort();
	if (token_verify_foreign(keys, s, "it", "it", 0, &a, &t) >= 0) abort();
}

static void read_keys(Str s)
{
	SignatureKeys *keys;
	Err e = ERR_INIT;
	if (signature_keys_parse(s, "f", &keys, &e) >= 0)
		signature_keys_free(keys);
	else if (!e.msg[0])
		abort();
}

static void read_token(Str s)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	TokenKey key = { { 0 } };
	Token t;
	/* nobody here knows the key */
	if (token_verify(&key, s, "it", "it", 0, &a, &t) >= 0) abort();
}

static void read_path(Str s)
{
	Route r = route_parse(s);
	if (name_valid(r.name) && memmem(r.name.p, r.name.n, "..", 2)) abort();
	if (session_valid(r.reference) && memchr(r.reference.p, '/', r.reference.n)) abort();
	(void)!tag_valid(r.reference);
}

static void read_range(Str s)
{
	uint64_t from = 0, n = 0, to;
	if (range_parse(s, 1000, &from, &n) == RANGE_PART && (!n || from >= 1000 || n > 1000 - from)) abort();
	if (chunk_range_parse(s, &from, &to) >= 0 && to < from) abort();
}

static void read_passwords(Str s)
{
	Htpasswd *h;
	Err e = ERR_INIT;
	if (htpasswd_parse(s, "f", &h, &e) >= 0) htpasswd_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size) return 0;
	Str s = { (const char *)data + 1, size - 1 };
	switch (data[0] % 6) {
	case 0:
		read_manifest(s);
		break;
	case 1:
		read_token(s);
		read_foreign_token(s);
		break;
	case 2:
		read_path(s);
		break;
	case 3:
		read_range(s);
		break;
	case 4:
		read_passwords(s);
		break;
	default:
		read_keys(s);
	}
	return 0;
}
