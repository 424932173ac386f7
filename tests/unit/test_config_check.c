/* test_config_check.c: what create refuses and warns of, in docker's words. */
#include "spec_sample.h"

#include <sys/resource.h>

#include "engine/config_check.h"

typedef struct Case {
	const char *config, *host; /* members of the documents */
	const char *error;         /* NULL: accepted */
} Case;

static void check(Sample *s, const char *config, const char *host, StrList *warnings)
{
	char c[8192], h[8192];
	snprintf(c, sizeof c, "{%s}", config);
	snprintf(h, sizeof h, "{%s}", host);
	sample_init(s, c, h);
	s->r = config_check(&s->config, &s->host, &s->machine, &s->arena, warnings, &s->e);
}

static void check_cases(const Case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_SAMPLE s;
		StrList warnings = { 0 };
		check(&s, cases[i].config, cases[i].host, &warnings);
		if (!cases[i].error) {
			if (s.r < 0) fail_msg("{%s} {%s}: refused: %s", cases[i].config, cases[i].host, s.e.msg);
			if (warnings.n) fail_msg("{%s} {%s}: warned: %s", cases[i].config, cases[i].host, warnings.items[0]);
			continue;
		}
		if (s.r >= 0) fail_msg("{%s} {%s}: accepted", cases[i].config, cases[i].host);
		assert_string_equal(s.e.msg, cases[i].error);
	}
}

static void test_config(void **state)
{
	static const Case cases[] = {
		{ "", "", NULL },
		{ "'WorkingDir':'/a'", "", NULL },
		{ "'WorkingDir':'a'", "", "the working directory 'a' is invalid, it needs to be an absolute path" },
		{ "'StopSignal':'SIGTERM'", "", NULL },
		{ "'StopSignal':'rtmin+3'", "", NULL },
		{ "'StopSignal':'37'", "", NULL },
		{ "'StopSignal':'TERMINATE'", "", "invalid signal: TERMINATE" },
		{ "'StopSignal':'0'", "", "invalid signal: 0" },
		{ "'StopSignal':'65'", "", "invalid signal: 65" },
		{ "'Env':['A=1','B=']", "", NULL },
		{ "'Env':['A=1','=x']", "", "invalid environment variable: =x" },
		{ "'Env':['']", "", "invalid environment variable: " },
		{ "'Healthcheck':{'Interval':1000000,'Retries':1}", "", NULL },
		{ "'Healthcheck':{'Interval':999999}", "", "Interval in Healthcheck cannot be less than 1ms" },
		{ "'Healthcheck':{'Timeout':-1}", "", "Timeout in Healthcheck cannot be less than 1ms" },
		{ "'Healthcheck':{'StartPeriod':5}", "", "StartPeriod in Healthcheck cannot be less than 1ms" },
		{ "'Healthcheck':{'StartInterval':5}", "", "StartInterval in Healthcheck cannot be less than 1ms" },
		{ "'Healthcheck':{'Retries':-1}", "", "Retries in Healthcheck cannot be negative" },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_restart(void **state)
{
	static const Case cases[] = {
		{ "", "'RestartPolicy':{'Name':'no'}", NULL },
		{ "", "'RestartPolicy':{'Name':'always'}", NULL },
		{ "", "'RestartPolicy':{'Name':'unless-stopped'}", NULL },
		{ "", "'RestartPolicy':{'Name':'on-failure','MaximumRetryCount':3}", NULL },
		{ "", "'AutoRemove':true,'RestartPolicy':{'Name':'no'}", NULL },
		{ "", "'AutoRemove':true,'RestartPolicy':{'Name':'always'}", "can't create 'AutoRemove' container with restart policy" },
		{ "", "'RestartPolicy':{'Name':'on-failure','MaximumRetryCount':-1}",
		  "invalid restart policy: maximum retry count cannot be negative" },
		{ "", "'RestartPolicy':{'Name':'always','MaximumRetryCount':2}",
		  "invalid restart policy: maximum retry count can only be used with 'on-failure'" },
		{ "", "'RestartPolicy':{'Name':'no','MaximumRetryCount':-2}",
		  "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative" },
		{ "", "'RestartPolicy':{'Name':'sometimes'}",
		  "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'" },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_modes(void **state)
{
	static const Case cases[] = {
		{ "'Hostname':'h'", "'NetworkMode':'host'", NULL },
		{ "'Hostname':'h'", "'UTSMode':'host'", "conflicting options: hostname and the UTS mode" },
		{ "'Domainname':'d'", "'UTSMode':'host'", "conflicting options: domainname and the UTS mode" },
		{ "", "'UTSMode':'hosts'", "invalid UTS mode: hosts" },
		{ "", "'PidMode':'host'", NULL },
		{ "", "'PidMode':'container:x'", NULL },
		{ "", "'PidMode':'container:'", "invalid PID mode: container:" },
		{ "", "'PidMode':'x'", "invalid PID mode: x" },
		{ "", "'IpcMode':'shareable'", NULL },
		{ "", "'IpcMode':'none'", NULL },
		{ "", "'IpcMode':'container:'", "failed to join IPC namespace: invalid name or ID supplied: \"\"" },
		{ "", "'IpcMode':'public'", "invalid IPC mode: public" },
		{ "", "'ShmSize':-1", "SHM size can not be less than 0" },
		{ "", "'CgroupnsMode':'private'", NULL },
		{ "", "'CgroupnsMode':'public'", "invalid cgroup namespace mode: public" },
		{ "", "'NetworkMode':'container:x'", NULL },
		{ "", "'NetworkMode':'container:'", "invalid network mode: invalid container format container:<name|id>" },
		{ "", "'NetworkMode':'container'", "invalid network mode: invalid container format container:<name|id>" },
		{ "", "'NetworkMode':'ns:'", "invalid network mode: ns: needs a path" },
		{ "'Hostname':'h'", "'NetworkMode':'container:x'", "conflicting options: hostname and the network mode" },
		{ "", "'NetworkMode':'container:x','Dns':['1.1.1.1']", "conflicting options: dns and the network mode" },
		{ "", "'NetworkMode':'container:x','ExtraHosts':['a:1.1.1.1']",
		  "conflicting options: custom host-to-IP mapping and the network mode" },
		{ "", "'NetworkMode':'container:x','PublishAllPorts':true",
		  "conflicting options: port publishing and the container type network mode" },
		{ "", "'NetworkMode':'container:x','PortBindings':{'80/tcp':[{'HostPort':'80'}]}",
		  "conflicting options: port publishing and the container type network mode" },
		{ "'ExposedPorts':{'80/tcp':{}}", "'NetworkMode':'container:x'",
		  "conflicting options: port exposing and the container type network mode" },
		{ "", "'NetworkMode':'container:x','Links':['a']",
		  "conflicting options: container type network can't be used with links. This would result in undefined behavior" },
		{ "", "'NetworkMode':'host','Links':['a']",
		  "conflicting options: host type networking can't be used with links. This would result in undefined behavior" },
		{ "", "'UsernsMode':'host'", NULL },
		{ "", "'UsernsMode':'auto:size=2000'", NULL },
		{ "", "'UsernsMode':'keep-id'", NULL },
		{ "", "'UsernsMode':'container:x'", NULL },
		{ "", "'UsernsMode':'nomap:x'", "invalid USER mode: nomap:x" },
		{ "", "'UsernsMode':'remap'", "invalid USER mode: remap" },
		{ "", "'UsernsMode':'auto','UIDMap':['0:1:2']",
		  "conflicting options: --uidmap and --gidmap cannot be used with --userns auto" },
		{ "", "'UsernsMode':'host','SubUIDName':'x'",
		  "conflicting options: --subuidname and --subgidname cannot be used with --userns host" },
		{ "", "'SubGIDName':'x','GIDMap':['0:1:2']",
		  "conflicting options: --subuidname and --subgidname cannot be used with --uidmap and --gidmap" },
		{ "", "'SubGIDName':'x'", NULL },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_memory(void **state)
{
	static const Case cases[] = {
		{ "", "'Memory':6291456", NULL },
		{ "", "'Memory':6291455", "Minimum memory limit allowed is 6MB" },
		{ "", "'Memory':-1", "Minimum memory limit allowed is 6MB" },
		{ "", "'Memory':10485760,'MemorySwap':-1", NULL },
		{ "", "'Memory':10485760,'MemorySwap':10485760", NULL },
		{ "", "'Memory':10485760,'MemorySwap':10485759", "Minimum memoryswap limit should be larger than memory limit, see usage" },
		{ "", "'MemorySwap':10485760", "You should always set the Memory limit when using Memoryswap limit, see usage" },
		{ "", "'MemorySwap':-2", "invalid memory swap limit: -2, only -1 means no limit" },
		{ "", "'MemorySwappiness':-1", NULL },
		{ "", "'MemorySwappiness':100", NULL },
		{ "", "'MemorySwappiness':101", "Invalid value: 101, valid memory swappiness range is 0-100" },
		{ "", "'MemorySwappiness':-2", "Invalid value: -2, valid memory swappiness range is 0-100" },
		{ "", "'MemoryReservation':6291456", NULL },
		{ "", "'MemoryReservation':100", "Minimum memory reservation allowed is 6MB" },
		{ "", "'Memory':6291456,'MemoryReservation':6291457",
		  "Minimum memory limit can not be less than memory reservation limit, see usage" },
		{ "", "'PidsLimit':0", NULL },
		{ "", "'PidsLimit':-1", NULL },
		{ "", "'OomKillDisable':true,'Memory':10485760", NULL },
		{ "", "'OomScoreAdj':-1000", NULL },
		{ "", "'OomScoreAdj':1001", "Invalid value 1001, range for oom score adj is [-1000, 1000]" },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_cpu(void **state)
{
	static const Case cases[] = {
		{ "", "'NanoCpus':2000000000", NULL },
		{ "", "'NanoCpus':10000000", NULL },
		{ "", "'NanoCpus':2000000001", "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available" },
		{ "", "'NanoCpus':9999999", "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available" },
		{ "", "'NanoCpus':-1", "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available" },
		{ "", "'NanoCpus':1000000000,'CpuPeriod':1000", "Conflicting options: Nano CPUs and CPU Period cannot both be set" },
		{ "", "'NanoCpus':1000000000,'CpuQuota':1000", "Conflicting options: Nano CPUs and CPU Quota cannot both be set" },
		{ "", "'CpuPeriod':1000,'CpuQuota':-1", NULL },
		{ "", "'CpuPeriod':999", "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)" },
		{ "", "'CpuPeriod':1000001", "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)" },
		{ "", "'CpuQuota':999", "CPU cfs quota can not be less than 1ms (i.e. 1000)" },
		{ "", "'CpuQuota':-2", "CPU cfs quota can not be less than 1ms (i.e. 1000)" },
		{ "", "'CpuShares':2", NULL },
		{ "", "'CpuShares':-1", "invalid CPU shares (-1): value must be a positive integer" },
		{ "", "'CpuRealtimePeriod':1000,'CpuRealtimeRuntime':1000", NULL },
		{ "", "'CpuRealtimePeriod':1000,'CpuRealtimeRuntime':1001",
		  "cpu real-time runtime cannot be higher than cpu real-time period" },
		{ "", "'CpusetCpus':'0-1','CpusetMems':'0'", NULL },
		{ "", "'CpusetCpus':'0,2'", "Requested CPUs are not available - requested 0,2, available: 0-1" },
		{ "", "'CpusetMems':'1'", "Requested memory nodes are not available - requested 1, available: 0" },
	};
	check_cases(cases, ARRAY_LEN(cases));
	AUTO_SAMPLE s;
	StrList w;
	check(&s, "", "'CpusetCpus':'0-x'", &w);
	assert_int_equal(s.r, -EINVAL);
	assert_true(starts_with(s.e.msg, "Invalid value 0-x for cpuset cpus"));
}

static void test_block_io(void **state)
{
	static const Case cases[] = {
		{ "", "'BlkioWeight':10", NULL },
		{ "", "'BlkioWeight':9", "Range of blkio weight is from 10 to 1000" },
		{ "", "'BlkioWeight':1001", "Range of blkio weight is from 10 to 1000" },
		{ "", "'BlkioWeightDevice':[{'Path':'/dev/null','Weight':5}]",
		  "invalid weight 5 for device /dev/null: range is from 10 to 1000" },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_security(void **state)
{
	static const Case cases[] = {
		{ "", "'CapAdd':['net_admin','CAP_SYS_TIME','All'],'CapDrop':['mknod']", NULL },
		{ "", "'CapAdd':['nope']", "invalid CapAdd: unknown capability: \"CAP_NOPE\"" },
		{ "", "'CapDrop':['CAP_NOPE']", "invalid CapDrop: unknown capability: \"CAP_NOPE\"" },
		{ "", "'SecurityOpt':['no-new-privileges','seccomp=unconfined','label=disable','writable-cgroups=true']", NULL },
		{ "", "'SecurityOpt':['no-new-privileges:true','label:type:x','systempaths=unconfined','seccomp=builtin']", NULL },
		{ "", "'SecurityOpt':['something']", "invalid --security-opt 1: \"something\"" },
		{ "", "'SecurityOpt':['some=thing']", "invalid --security-opt 2: \"some=thing\"" },
		{ "", "'SecurityOpt':['no-new-privileges=maybe']", "invalid --security-opt 2: \"no-new-privileges=maybe\"" },
		{ "", "'SecurityOpt':['systempaths=confined']", "invalid --security-opt 2: \"systempaths=confined\"" },
		{ "", "'SecurityOpt':['label=color:red']",
		  "bad label option \"color:red\", valid options 'disable' or 'user, role, level, type, filetype' followed by ':' and a value" },
		{ "", "'SecurityOpt':['seccomp={}']", NULL },
	};
	check_cases(cases, ARRAY_LEN(cases));
	AUTO_SAMPLE s;
	StrList w;
	check(&s, "", "'SecurityOpt':['seccomp=nonsense']", &w);
	assert_int_equal(s.r, -EINVAL);
	assert_true(starts_with(s.e.msg, "decoding seccomp profile failed: "));
}

/* What the machine lacks cannot be given away. */
static void test_granted_capabilities(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	sample_init(&s, "{}", "{'CapAdd':['SYS_RESOURCE']}");
	s.machine.capabilities &= ~(UINT64_C(1) << 24);
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), -EINVAL);
	assert_string_equal(s.e.msg, "invalid CapAdd: capability not supported by your kernel or not available in the current environment: "
				     "\"CAP_SYS_RESOURCE\"");
}

static void test_rest(void **state)
{
	static const Case cases[] = {
		{ "", "'Sysctls':{'net.core.somaxconn':'1','kernel.shmmax':'2','fs.mqueue.msg_max':'3'}", NULL },
		{ "", "'Sysctls':{'kernel.pid_max':'1'}", "sysctl 'kernel.pid_max=1' is not allowed" },
		{ "", "'Sysctls':{'kernel.domainname':'x'}", NULL },
		{ "", "'UTSMode':'host','Sysctls':{'kernel.domainname':'x'}", "sysctl 'kernel.domainname=x' is not allowed" },
		{ "", "'NetworkMode':'host','Sysctls':{'net.core.somaxconn':'1'}",
		  "sysctl \"net.core.somaxconn\" not allowed in host network namespace" },
		{ "", "'IpcMode':'host','Sysctls':{'kernel.shmmax':'1'}",
		  "sysctl \"kernel.shmmax\" is not allowed in the hosts ipc namespace" },
		{ "", "'Devices':[{'PathOnHost':'/dev/null','CgroupPermissions':'rw'}]", NULL },
		{ "", "'Devices':[{'PathOnHost':'/dev/null','CgroupPermissions':'rx'}]", "invalid device mode: rx" },
		{ "", "'DeviceCgroupRules':['c 1:3 rwm','b 8:* r','a *:* m','a']", NULL },
		{ "", "'DeviceCgroupRules':['d 1:3 rwm']", "invalid device cgroup rule format: 'd 1:3 rwm'" },
		{ "", "'DeviceCgroupRules':['c 1:3']", "invalid device cgroup rule format: 'c 1:3'" },
		{ "", "'DeviceCgroupRules':['c 1:3 rwmr']", "invalid device cgroup rule format: 'c 1:3 rwmr'" },
		{ "", "'DeviceCgroupRules':['c 4294967296:3 r']", "invalid major value in device cgroup rule format: 'c 4294967296:3 r'" },
		{ "", "'DeviceCgroupRules':['c 1:4294967296 r']", "invalid minor value in device cgroup rule format: 'c 1:4294967296 r'" },
		{ "", "'DeviceCgroupRules':['c 1:-1 r']", "invalid device cgroup rule format: 'c 1:-1 r'" },
		{ "", "'Tmpfs':{'/t':'size=64m,exec','/u':''}", NULL },
		{ "", "'Tmpfs':{'t':''}", "invalid mount path: 't' mount path must be absolute" },
		{ "", "'Tmpfs':{'/x/..':''}", "invalid specification: destination can't be '/'" },
		{ "", "'Tmpfs':{'/t':'size=1,nonsense'}", "invalid tmpfs option \"nonsense\"" },
		{ "", "'Tmpfs':{'/t':'bind'}", "invalid tmpfs option \"bind\"" },
		{ "", "'StorageOpt':{'size':'10G'}", NULL },
		{ "", "'StorageOpt':{'color':'red'}", "Unknown option color" },
		{ "", "'StorageOpt':{'size':'much'}", "storage option size: invalid size: 'much'" },
		{ "", "'StorageOpt':{'size':'0'}", "storage option size: more than 0 is needed, got 0" },
		{ "", "'Isolation':'default'", NULL },
		{ "", "'Isolation':'hyperv'", "invalid isolation (hyperv): linux only supports 'default'" },
		{ "", "'Annotations':{'':'x'}", "invalid Annotations: the empty string is not permitted as an annotation key" },
		{ "", "'ExtraHosts':['a:b']", "invalid IP address in add-host: \"b\"" },
		{ "", "'Dns':['x']", "x is not an ip address" },
		{ "", "'Ulimits':[{'Name':'nofile','Soft':10,'Hard':20}]", NULL },
		{ "", "'Ulimits':[{'Name':'memlock','Soft':-1,'Hard':-1}]", NULL },
		{ "", "'Ulimits':[{'Name':'files','Soft':10,'Hard':20}]", "invalid ulimit type: files" },
		{ "", "'Ulimits':[{'Name':'nofile','Soft':21,'Hard':20}]",
		  "ulimit soft limit must be less than or equal to hard limit: 21 > 20" },
	};
	check_cases(cases, ARRAY_LEN(cases));
}

static void test_cgroup_parent(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	sample_init(&s, "{}", "{'CgroupParent':'/x'}");
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), 0);
	s.machine.systemd = true;
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), -EINVAL);
	assert_string_equal(s.e.msg, "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"");
}

/* Everything asked for on a machine that can limit nothing: a warning for each, and all of it is gone. */
static void test_discarded(void **state)
{
	static const char *const warnings[] = {
		"Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
		"Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
		"Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
		"Your kernel does not support OomKillDisable. OomKillDisable discarded.",
		"Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
		"Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
		"Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
		"Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
		"Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
		"Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
		"Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
		"Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.",
		"Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
		"Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
	};
	AUTO_SAMPLE s;
	StrList w;
	sample_init(
		&s, "{'Cmd':['a']}",
		"{'Memory':10485760,'MemorySwap':20971520,'MemorySwappiness':5,'MemoryReservation':6291456,'OomKillDisable':true,'PidsLimit':5,"
		"'CpuPeriod':1000,'CpuQuota':2000,'CpuShares':5,'CpusetCpus':'9','BlkioWeight':5,'BlkioWeightDevice':[{'Path':'/x','Weight':5}],"
		"'BlkioDeviceReadBps':[{'Path':'/x','Rate':5}],'BlkioDeviceWriteBps':[{'Path':'/x','Rate':5}],"
		"'BlkioDeviceReadIOps':[{'Path':'/x','Rate':5}],'BlkioDeviceWriteIOps':[{'Path':'/x','Rate':5}]}");
	s.machine.has = 0;
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), 0);
	assert_int_equal(w.n, ARRAY_LEN(warnings));
	for (size_t i = 0; i < w.n; i++)
		assert_string_equal(w.items[i], warnings[i]);
	sample_accept(&s);
	CgroupResources *r = s.spec.lnx->resources, none = { .devices = r->devices };
	r->block_io.weight_device.items = NULL;
	assert_memory_equal(r, &none, sizeof none);
}

static void test_swap_that_cannot_be_limited(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	sample_init(&s, "{'Cmd':['a']}", "{'Memory':10485760}");
	s.machine.has &= ~(UINT64_C(1) << MACHINE_SWAP);
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), 0);
	assert_int_equal(w.n, 1);
	assert_string_equal(
		w.items[0],
		"Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.");
	assert_int_equal(s.host.memory_swap, -1);
	sample_accept(&s);
	assert_false(s.spec.lnx->resources->memory.swap.set);
	assert_int_equal(s.spec.lnx->resources->memory.limit.v, 10485760);
}

static void test_cpus_that_cannot_be_limited(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	sample_init(&s, "{}", "{'NanoCpus':1000000000}");
	s.machine.has &= ~(UINT64_C(1) << MACHINE_CPU_QUOTA);
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), -EINVAL);
	assert_string_equal(s.e.msg,
			    "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted");
}

static void test_other_warnings(void **state)
{
	static const struct {
		const char *host, *warning;
	} cases[] = {
		{ "'NetworkMode':'host','PublishAllPorts':true", "Published ports are discarded when using host network mode" },
		{ "'OomKillDisable':true",
		  "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running "
		  "out of resources." },
		{ "'SecurityOpt':['apparmor=mine']", "AppArmor is not enabled on this machine. AppArmor profile discarded." },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		StrList w;
		check(&s, "", cases[i].host, &w);
		if (s.r < 0) fail_msg("%s", s.e.msg);
		assert_int_equal(w.n, 1);
		assert_string_equal(w.items[0], cases[i].warning);
	}
}

/* inspect shows what holds. */
static void test_defaults(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	check(&s, "'WorkingDir':'/a//b/../c'", "'Memory':10485760", &w);
	assert_int_equal(s.r, 0);
	assert_int_equal(s.host.memory_swap, 20971520);
	assert_int_equal(s.host.shm_size, 64 << 20);
	assert_string_equal(s.host.ipc_mode, "private");
	assert_string_equal(s.host.cgroupns_mode, "host");
	assert_true(s.host.oom_kill_disable.set && !s.host.oom_kill_disable.v);
	assert_string_equal(s.config.working_dir, "/a/c");
	s.machine.has |= UINT64_C(1) << MACHINE_CGROUP2;
	s.host.cgroupns_mode = NULL;
	assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), 0);
	assert_string_equal(s.host.cgroupns_mode, "private");
}

/* A limit above the machine's is refused with both numbers, and with what stands in the way. */
static void test_ulimit_beyond_the_machine(void **state)
{
	const uint64_t resource = UINT64_C(1) << 24; /* CAP_SYS_RESOURCE */
	for (int can = 0; can < 2; can++) {
		AUTO_SAMPLE s;
		StrList w;
		char text[512];
		sample_init(&s, "{}", "{'Ulimits':[{'Name':'nofile','Soft':10,'Hard':4000000000}]}");
		s.machine.capabilities = can ? resource : 0;
		uint64_t most = machine_rlimit(&s.machine, RLIMIT_NOFILE);
		assert_int_equal(config_check(&s.config, &s.host, &s.machine, &s.arena, &w, &s.e), -EPERM);
		snprintf(text, sizeof text,
			 "ulimit nofile: a hard limit of 4000000000 was asked for, but this machine grants no more than %llu (%s)",
			 (unsigned long long)most, can ? "fs.nr_open" : "more needs CAP_SYS_RESOURCE");
		assert_string_equal(s.e.msg, text);
	}
}

static void test_update(void **state)
{
	AUTO_SAMPLE s;
	StrList w;
	sample_init(&s, "{}", "{'MemorySwap':10485760}");
	assert_int_equal(config_check_update(&s.host, &s.machine, &s.arena, &w, &s.e), 0);
	s.host.nano_cpus = 3000000000;
	assert_int_equal(config_check_update(&s.host, &s.machine, &s.arena, &w, &s.e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_block_io),
		cmocka_unit_test(test_security),
		cmocka_unit_test(test_granted_capabilities),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_cgroup_parent),
		cmocka_unit_test(test_discarded),
		cmocka_unit_test(test_swap_that_cannot_be_limited),
		cmocka_unit_test(test_cpus_that_cannot_be_limited),
		cmocka_unit_test(test_other_warnings),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_ulimit_beyond_the_machine),
		cmocka_unit_test(test_update),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
