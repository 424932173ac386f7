/* schema.c: the tables of skep.db. A migration that has been released is never changed: add one. */
#include "image/store_impl.h"

static const char *const migrations[] = {
	/* blobs that are there */
	"CREATE TABLE contents(digest TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	/* layers that are there: bytes of the tar, of the index, of the files in it; names; whether it hides all layers below */
	"CREATE TABLE layers(diff_id TEXT PRIMARY KEY, tar_size INTEGER NOT NULL, index_size INTEGER NOT NULL, size INTEGER NOT NULL,"
	" entries INTEGER NOT NULL, opaque INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	/* what a layer looks like when it is transferred; the blob may be gone, its digest is worth knowing all the same */
	"CREATE TABLE forms(blob TEXT PRIMARY KEY, diff_id TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX forms_diff_id ON forms(diff_id);"
	/* images of one platform; target: the index it was chosen from, or the manifest again */
	"CREATE TABLE images(manifest TEXT PRIMARY KEY, media_type TEXT NOT NULL, target TEXT NOT NULL, id TEXT NOT NULL, os TEXT, architecture TEXT, variant TEXT,"
	" created TEXT, size INTEGER NOT NULL, added INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX images_id ON images(id);"
	"CREATE INDEX images_target ON images(target);"
	"CREATE TABLE image_contents(manifest TEXT NOT NULL REFERENCES images ON DELETE CASCADE, digest TEXT NOT NULL,"
	" PRIMARY KEY(manifest, digest)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_contents_digest ON image_contents(digest);"
	"CREATE TABLE image_layers(manifest TEXT NOT NULL REFERENCES images ON DELETE CASCADE, position INTEGER NOT NULL, diff_id TEXT NOT NULL,"
	" blob TEXT, PRIMARY KEY(manifest, position)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_layers_diff_id ON image_layers(diff_id);"
	"CREATE TABLE names(name TEXT PRIMARY KEY, manifest TEXT NOT NULL REFERENCES images) STRICT, WITHOUT ROWID;"
	"CREATE INDEX names_manifest ON names(manifest);"
	/* where it came from or went to: what can be fetched again, from there */
	"CREATE TABLE repo_digests(repository TEXT NOT NULL, target TEXT NOT NULL, manifest TEXT NOT NULL REFERENCES images ON DELETE CASCADE,"
	" PRIMARY KEY(repository, target, manifest)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX repo_digests_manifest ON repo_digests(manifest);"
	/* what a process that works on something has found to be there; it ends with the process */
	"CREATE TABLE leases(id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, start_time INTEGER NOT NULL, boot TEXT NOT NULL) STRICT;"
	"CREATE TABLE lease_items(lease INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE, digest TEXT NOT NULL,"
	" PRIMARY KEY(lease, digest)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX lease_items_digest ON lease_items(digest);"
	/* files, by path below the state directory, that are being put in place or are to be taken away */
	"CREATE TABLE doomed(path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
	/* uploads that were interrupted, and where the registry lets them go on */
	"CREATE TABLE uploads(repository TEXT NOT NULL, digest TEXT NOT NULL, location TEXT NOT NULL, PRIMARY KEY(repository, digest)) STRICT,"
	" WITHOUT ROWID;"
	/* how often the names have changed; and how often they had when index.json was written */
	"CREATE TABLE generation(id INTEGER PRIMARY KEY CHECK (id = 1), names INTEGER NOT NULL, written INTEGER NOT NULL) STRICT;"
	"INSERT INTO generation VALUES(1, 1, 0);",
	/* lists of manifests in the making: a name, and what it stands for (manifest_list.h) */
	"CREATE TABLE list_entries(list TEXT NOT NULL, reference TEXT NOT NULL, position INTEGER NOT NULL, descriptor TEXT NOT NULL,"
	" manifest BLOB NOT NULL, PRIMARY KEY(list, reference)) STRICT, WITHOUT ROWID;",
	/* forms of all layers of an image together, by chainID: 'merged' and 'trees', which are also the directories they lie in */
	"CREATE TABLE snapshots(kind TEXT NOT NULL, chain_id TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(kind, chain_id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE image_chains(manifest TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, chain_id TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_chains_chain_id ON image_chains(chain_id);"
	/* images that users have mounted: in the mount namespace (its inode) of one boot */
	"CREATE TABLE mounts(path TEXT NOT NULL, namespace INTEGER NOT NULL, boot TEXT NOT NULL, mount_id INTEGER NOT NULL,"
	" manifest TEXT NOT NULL REFERENCES images, PRIMARY KEY(path, namespace, boot)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX mounts_manifest ON mounts(manifest);",
	/* which file index.json was when it was written: a power cut may bring back the one before */
	"ALTER TABLE generation ADD COLUMN file TEXT NOT NULL DEFAULT '';",
	/* containers (engine/record.h): what each was asked to be, as documents; manifest: its image, NULL for a root directory of the user's */
	"CREATE TABLE containers(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, manifest TEXT REFERENCES images, image_id TEXT, created INTEGER NOT NULL,"
	" config TEXT NOT NULL, host TEXT NOT NULL, mounts TEXT NOT NULL) STRICT;"
	"CREATE INDEX containers_manifest ON containers(manifest);"
	/* volumes (volume/volume.h), and which containers have them */
	"CREATE TABLE volumes(name TEXT PRIMARY KEY, driver TEXT NOT NULL, created INTEGER NOT NULL, anonymous INTEGER NOT NULL, labels TEXT NOT NULL,"
	" options TEXT NOT NULL) STRICT;"
	"CREATE TABLE volume_uses(volume TEXT NOT NULL REFERENCES volumes ON UPDATE CASCADE, container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE,"
	" PRIMARY KEY(volume, container)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX volume_uses_container ON volume_uses(container);",
	/* images that are mounted in containers */
	"CREATE TABLE IF NOT EXISTS container_images(container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE, manifest TEXT NOT NULL REFERENCES images,"
	" PRIMARY KEY(container, manifest)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS container_images_manifest ON container_images(manifest);"
	/* ids of the host that containers' user namespaces have (engine/id_ranges.h); gids: 0: of users, 1: of groups */
	"CREATE TABLE IF NOT EXISTS id_ranges(container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE, gids INTEGER NOT NULL, first INTEGER NOT NULL,"
	" size INTEGER NOT NULL, PRIMARY KEY(gids, first, container)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS id_ranges_container ON id_ranges(container);",
	/* networks (network/network.h), which containers are connected to them and how, in the order of connecting; addresses and ports that running containers
	   have (network/ipam.h): blobs of 4 or 16 bytes */
	"CREATE TABLE networks(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created INTEGER NOT NULL, document TEXT NOT NULL) STRICT,"
	" WITHOUT ROWID;"
	"CREATE TABLE endpoints(container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE, network TEXT NOT NULL, position INTEGER NOT NULL,"
	" request TEXT NOT NULL, PRIMARY KEY(container, network)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE addresses(network TEXT NOT NULL REFERENCES networks ON DELETE CASCADE, address BLOB NOT NULL, container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE,"
	" PRIMARY KEY(network, address)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX addresses_container ON addresses(container);"
	"CREATE TABLE ports(protocol INTEGER NOT NULL, port INTEGER NOT NULL, host BLOB NOT NULL,"
	" container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE, PRIMARY KEY(protocol, port, host)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX ports_container ON ports(container);",
	/* what a container is connected to stands in its row; target: the container's port of a published one */
	"DROP TABLE endpoints;"
	"ALTER TABLE containers ADD COLUMN networks TEXT NOT NULL DEFAULT '{}';"
	"DROP TABLE ports;"
	"CREATE TABLE ports(protocol INTEGER NOT NULL, port INTEGER NOT NULL, host BLOB NOT NULL, target INTEGER NOT NULL,"
	" container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE, PRIMARY KEY(protocol, port, host)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX ports_container ON ports(container);",
};

const DbSchema image_schema = {
	.program = "skep",
	.application_id = 0x536b6570, /* "Skep" */
	.migrations = migrations,
	.n = ARRAY_LEN(migrations),
};
