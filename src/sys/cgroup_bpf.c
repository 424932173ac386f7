/* cgroup_bpf.c: device rules of v2: a BPF_PROG_TYPE_CGROUP_DEVICE program made by hand and attached to the directory.
 *
 * The program walks the rules from the last to the first, so that the later rule wins, bit by bit of what is asked for: a deny
 * rule that takes a wanted bit refuses, an allow rule strikes its bits from the wanted ones, and none left means yes. What no
 * rule speaks of is refused. On update the program takes the place of the old one in one step. */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char program_name[] = "skep_device";

enum { QUERY_MAX = 64 };

/* ---- the program ---- */

static void emit(CgroupProgram *p, uint8_t code, unsigned dst, unsigned src, int off, int32_t imm)
{
	if (p->n < p->max)
		p->items[p->n++] =
			(struct bpf_insn){ .code = code, .dst_reg = dst & 15u, .src_reg = src & 15u, .off = (int16_t)off, .imm = imm };
	else
		p->failed = true;
}

static void emit_return(CgroupProgram *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Registers: 2 type, 3 what is still wanted, 4 major, 5 minor, 1 scratch. */
static void emit_start(CgroupProgram *p)
{
	const int16_t access_type = offsetof(struct bpf_cgroup_dev_ctx, access_type);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, access_type, 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

/* Skips the rule when reg is another value; the distance is filled in later. */
static void emit_unless(CgroupProgram *p, unsigned reg, int64_t value)
{
	emit(p, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, (int32_t)(uint32_t)value);
}

static void emit_rule(CgroupProgram *p, const CgroupDevice *d)
{
	size_t first = p->n;
	emit_unless(p, BPF_REG_2, d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (d->major >= 0) emit_unless(p, BPF_REG_4, d->major);
	if (d->minor >= 0) emit_unless(p, BPF_REG_5, d->minor);
	size_t tests = p->n;
	if (d->access != CGROUP_ACCESS_ALL && d->allow) {
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, CGROUP_ACCESS_ALL & ~d->access);
		emit(p, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, 0);
	} else if (d->access != CGROUP_ACCESS_ALL) {
		emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, d->access);
		emit(p, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_1, 0, 2, 0);
	}
	emit_return(p, d->allow);
	for (size_t i = first; i < tests && !p->failed; i++)
		p->items[i].off = (int16_t)(p->n - i - 1);
}

int cgroup_program(const CgroupResources *r, Arena *a, CgroupProgram *ret, Err *e)
{
	enum { FIXED = 16, PER_RULE = 8, RULES_MAX = 4096 };
	size_t rules = r->devices.n;
	if (rules > RULES_MAX) return err_set(e, ERR_CONFIG, E2BIG, "more than %d device rules", RULES_MAX);
	*ret = (CgroupProgram){ .max = FIXED + PER_RULE * rules };
	ret->items = arena_array(a, ret->max, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "device rules");
	emit_start(ret);
	for (size_t i = rules; i--;) {
		CgroupDevice d = { 0 };
		int k = cgroup_device_parse(&r->devices.items[i], &d, e);
		if (k < 0) return k;
		if (d.type == 'a') { /* sets aside what stands before it */
			emit_return(ret, d.allow);
			return 0;
		}
		emit_rule(ret, &d);
	}
	emit_return(ret, false);
	return ret->failed ? err_sys(e, E2BIG, "device rules") : 0;
}

/* ---- the kernel ---- */

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof *attr);
	return r < 0 ? -errno : (int)r;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int load(const CgroupProgram *p)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof attr); /* the kernel refuses rubbish in the padding */
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.expected_attach_type = BPF_CGROUP_DEVICE;
	attr.insns = address(p->items);
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = address("Apache-2.0");
	memcpy(attr.prog_name, program_name, sizeof program_name);
	return bpf(BPF_PROG_LOAD, &attr);
}

/* Before Linux 5.11 programs count as locked memory: the limit is lifted for the moment. */
static int load_patiently(const CgroupProgram *p)
{
	struct rlimit old, all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = load(p);
	if (fd != -EPERM || getrlimit(RLIMIT_MEMLOCK, &old) < 0 || setrlimit(RLIMIT_MEMLOCK, &all) < 0) return fd;
	fd = load(p);
	(void)setrlimit(RLIMIT_MEMLOCK, &old);
	return fd;
}

static bool is_ours(int program)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof info;
	attr.info.info = address(&info);
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) >= 0 && streq(info.name, program_name);
}

/* The programs of ours that hang on the directory; those of others (systemd's) stay. */
static int find_old(int dir, int fds[static QUERY_MAX], size_t *ret_n)
{
	uint32_t ids[QUERY_MAX];
	union bpf_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = address(ids);
	attr.query.prog_cnt = QUERY_MAX;
	*ret_n = 0;
	int r = bpf(BPF_PROG_QUERY, &attr);
	if (r < 0) return r;
	uint32_t n = attr.query.prog_cnt;
	for (uint32_t i = 0; i < n; i++) {
		memset(&attr, 0, sizeof attr);
		attr.prog_id = ids[i];
		int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (fd >= 0 && is_ours(fd))
			fds[(*ret_n)++] = fd;
		else
			fd_close(fd);
	}
	return 0;
}

static int attach(int command, int dir, int program, int replace, uint32_t flags)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = flags;
	if (flags & BPF_F_REPLACE) attr.replace_bpf_fd = (uint32_t)replace;
	return bpf(command, &attr);
}

static int attach_instead(int dir, int program, const int *old, size_t n)
{
	size_t replaced = 0;
	int r = n ? attach(BPF_PROG_ATTACH, dir, program, old[0], BPF_F_ALLOW_MULTI | BPF_F_REPLACE) : -EINVAL;
	if (r >= 0)
		replaced = 1;
	else
		r = attach(BPF_PROG_ATTACH, dir, program, 0, BPF_F_ALLOW_MULTI); /* first one, or Linux before 5.6 */
	for (size_t i = replaced; i < n && r >= 0; i++)
		r = attach(BPF_PROG_DETACH, dir, old[i], 0, 0);
	return r;
}

int cgroup_device_v2(const char *dir, const CgroupResources *r, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	CgroupProgram p = { 0 };
	int old[QUERY_MAX];
	size_t n = 0;
	int k = cgroup_program(r, &a, &p, e);
	if (k < 0) return k;
	AUTO_FD int at = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0) return err_sys(e, errno, "open %s", dir);
	AUTO_FD int program = load_patiently(&p);
	if (program < 0) return err_sys(e, program, "load the device program for %s", dir);
	k = find_old(at, old, &n);
	if (k >= 0) k = attach_instead(at, program, old, n);
	while (n)
		fd_close(old[--n]);
	return k < 0 ? err_sys(e, k, "attach the device program to %s", dir) : 0;
}
