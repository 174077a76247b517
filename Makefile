# Conclave. `make help` lists what can be asked for.
#
# There is no recursion: every flavour is a set of flags whose objects live in
# build/<flavour>/, and one template below writes the rules of all flavours.
# Source files are found by wildcard, sorted into the floors of the tree. A
# program is linked as soon as a file of its floor holds main().

VERSION = 0.1.0
ABI = 1
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
DESTDIR =

ifeq ($(origin CC),default)
CC = gcc
endif
CXX_GNU = g++
CLANG = clang-14
CLANGXX = clang++-14
AR = ar
GCOV = gcov
CLANG_FORMAT = clang-format-14
PKG_CONFIG = pkg-config

# What a person may add; ours come first and stay.
CPPFLAGS =
CFLAGS =
LDFLAGS =
OF_OBJECT =

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef -Wformat=2 -Wcast-qual -Wwrite-strings -Wpointer-arith \
	-Wframe-larger-than=4096 -Wconversion -Wno-sign-conversion -Werror

# Asserts are always on; the forced header refuses NDEBUG.
OUR_CPPFLAGS = -I. -D_GNU_SOURCE= -include tests/lint/always_assert.h
OUR_CFLAGS = -std=gnu11 -g -pthread $(WARNINGS)

# Flavours. Sanitizers enlarge frames and blind the flow analysis of gcc, so
# the two warnings that this upsets are left to the release flavour.
SANITIZE = -O1 -fno-omit-frame-pointer -Wframe-larger-than=1000000
FLAVOURS = release clang asan tsan coverage fuzz

release.cc = $(CC)
release.flags = -O2

clang.cc = $(CLANG)
clang.flags = -O2

asan.cc = $(CC)
asan.flags = $(SANITIZE) -fsanitize=address,undefined \
	-fno-sanitize-recover=all -Wno-maybe-uninitialized

tsan.cc = $(CLANG)
tsan.flags = $(SANITIZE) -fsanitize=thread

coverage.cc = gcc
coverage.flags = -O0 --coverage

fuzz.cc = $(CLANG)
fuzz.flags = $(SANITIZE) -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=all

# Sources by floor.
has_main = $(if $(1),$(shell grep -lw '^int main' $(1) /dev/null))

RAFT = $(wildcard raft/*.c)
DISK = $(wildcard wal/disk*.c)
WAL = $(filter-out $(DISK),$(wildcard wal/*.c))
STORE = $(wildcard daemon/store/*.c)
NODE = $(foreach n,node intake session reply wire,$(wildcard daemon/$n*.c))
PURE = $(RAFT) $(WAL) $(STORE) $(NODE)
SHELL_ALL = $(filter-out $(NODE),$(wildcard daemon/*.c))
SHELL_MAIN := $(call has_main,$(SHELL_ALL))
SHELL_REST = $(filter-out $(SHELL_MAIN),$(SHELL_ALL))
CTL = $(wildcard shm/conclavectl*.c)
BENCHES = $(wildcard bench/*.c)
DEMO = $(wildcard tests/demo/*.c)
SUPPORT = $(wildcard tests/support/*.c)
SCRIPTS = $(wildcard tests/scripts/*.c)
EXPLORE = $(wildcard tests/explore/*.c)
SIM = $(wildcard tests/sim/*.c)
UNIT = $(wildcard tests/unit/test_*.c)
UNIT_SUPPORT = $(wildcard tests/unit/support*.c)
# A disk in memory, in the place of wal/disk*.c, for tests that include it.
MEMORY_DISK = tests/unit/support_disk.c
ON_MEMORY_DISK := $(basename $(notdir $(if $(UNIT),\
	$(shell grep -lE 'support_(disk|memwal|node|handle|cluster|crowd|damaged)\.h' $(UNIT) /dev/null))))
# Who counts what is asked of the allocator: these, and bench.
COUNTING := $(basename $(notdir $(if $(UNIT),\
	$(shell grep -l 'count_malloc\.h' $(UNIT) /dev/null))))
WRAP_MALLOC = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	-Wl,--wrap=aligned_alloc,--wrap=posix_memalign
INTEGRATION = $(wildcard tests/integration/test_*.c)
INTEGRATION_SUPPORT = $(wildcard tests/integration/support*.c)
FUZZERS = $(wildcard tests/fuzz/fuzz_*.c)
SOURCES = $(PURE) $(DISK) $(SHELL_ALL) $(CTL) $(BENCHES) $(DEMO) $(SUPPORT) \
	$(SIM) $(SCRIPTS) $(EXPLORE) $(UNIT) $(UNIT_SUPPORT) $(INTEGRATION) $(INTEGRATION_SUPPORT)

CTL_MAIN := $(call has_main,$(CTL))
BENCH_MAIN := $(call has_main,$(BENCHES))
SIM_MAIN := $(call has_main,$(SIM))
DEMO_MAIN := $(call has_main,$(DEMO))
SCRIPTS_MAIN := $(call has_main,$(SCRIPTS))
EXPLORE_MAIN := $(call has_main,$(EXPLORE))

UNIT_NAMES = $(basename $(notdir $(UNIT)))
INTEGRATION_NAMES = $(basename $(notdir $(INTEGRATION)))
FUZZ_NAMES = $(patsubst fuzz_%,%,$(basename $(notdir $(FUZZERS))))

# The unit tests that ThreadSanitizer has something to say about.
TSAN_TESTS := $(basename $(notdir $(if $(UNIT),\
	$(shell grep -l pthread_create $(UNIT) /dev/null))))

CHECK_CFLAGS = $(eval CHECK_CFLAGS := $$(shell $(PKG_CONFIG) --cflags check \
	2>/dev/null))$(CHECK_CFLAGS)
CHECK_LIBS = $(eval CHECK_LIBS := $$(shell $(PKG_CONFIG) --libs check \
	2>/dev/null))$(CHECK_LIBS)

# Programs of the release flavour land in build/, all others in
# build/<flavour>/bin/.
home = $(if $(filter release,$(1)),build,build/$(1)/bin)
objects = $(patsubst %.c,build/$(1)/%.o,$(2))
programs = $(addprefix $(call home,$(1))/,\
	$(if $(SHELL_MAIN),conclaved) $(if $(CTL_MAIN),conclavectl) \
	$(if $(BENCH_MAIN),bench) $(if $(SIM_MAIN),sim) \
	$(if $(DEMO_MAIN),demo) $(if $(SCRIPTS_MAIN),raft-scripts) \
	$(if $(EXPLORE_MAIN),explore))
units = $(addprefix build/$(1)/unit/,$(UNIT_NAMES))
integrations = $(addprefix build/$(1)/integration/,$(INTEGRATION_NAMES))

Q = $(if $(V),,@)
say = @$(if $(V),:,printf '  %-8s %s\n' $(1) $(2))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

## all: (or nothing) build conclaved, conclavectl, bench and sim
.PHONY: all
all: $(call programs,release)

# $(1) is the flavour. The stamps hold the command and the list of files, so
# that a changed flag or a deleted file rebuilds what depends on it.
define flavour_rules
$(1).compile = $$($(1).cc) $$(OUR_CPPFLAGS) $$(OUR_CFLAGS) $$($(1).flags) \
	$$(CPPFLAGS) $$(CFLAGS)
$(1).link = $$($(1).cc) $$(OUR_CFLAGS) $$($(1).flags) $$(CFLAGS) $$(LDFLAGS)
$(1).archives = build/$(1)/shell.a build/$(1)/disk.a build/$(1)/pure.a
$(1).group = -Wl,--start-group $$($(1).archives) -Wl,--end-group

build/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$$($(1).compile) $$(LDFLAGS)' | cmp -s - $$@ || \
		echo '$$($(1).compile) $$(LDFLAGS)' >$$@

build/$(1)/sources: FORCE
	@mkdir -p $$(@D)
	@echo '$$(SOURCES)' | cmp -s - $$@ || echo '$$(SOURCES)' >$$@

build/$(1)/%.o: %.c build/$(1)/flags | build/headers
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$($(1).compile) $$(OF_OBJECT) -DBUILD_VERSION='"$(VERSION)"' \
		-MMD -MP -c -o $$@ $$<

$$(call objects,$(1),$(SIM)): OF_OBJECT = -DCONCLAVE_SIM_ENV
$$(call objects,$(1),$(UNIT) $(UNIT_SUPPORT) $(INTEGRATION) \
	$(INTEGRATION_SUPPORT)): OF_OBJECT = $$(CHECK_CFLAGS) \
	-Wframe-larger-than=1048576
$$(call objects,$(1),$(UNIT) $(UNIT_SUPPORT) $(INTEGRATION) \
	$(INTEGRATION_SUPPORT)): | build/headers-of-tests

build/$(1)/pure.a: $$(call objects,$(1),$(PURE))
build/$(1)/disk.a: $$(call objects,$(1),$(DISK))
build/$(1)/shell.a: $$(call objects,$(1),$(SHELL_REST))
build/$(1)/%.a: build/$(1)/sources
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$(filter %.o,$$^)

$(call home,$(1))/conclaved: $$(call objects,$(1),$(SHELL_MAIN)) \
		$$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) $$($(1).group) \
		-luring -lssl -lcrypto -ljemalloc -lpthread

$(call home,$(1))/conclavectl: $$(call objects,$(1),$(CTL)) \
		$$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) $$($(1).group) \
		-luring -lpthread

$(call home,$(1))/bench: $$(call objects,$(1),$(BENCHES) $(SUPPORT)) \
		$$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) $$($(1).group) \
		$$(WRAP_MALLOC) -luring -lssl -lcrypto -lpthread -lm

$(call home,$(1))/demo: $$(call objects,$(1),$(DEMO) $(SUPPORT)) \
		build/$(1)/sources
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^)

$(call home,$(1))/raft-scripts: $$(call objects,$(1),$(SCRIPTS)) \
		build/$(1)/pure.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) build/$(1)/pure.a

$(call home,$(1))/explore: $$(call objects,$(1),$(EXPLORE)) \
		build/$(1)/pure.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) build/$(1)/pure.a

$(call home,$(1))/sim: $$(call objects,$(1),$(SIM)) build/$(1)/pure.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) build/$(1)/pure.a -lm

$(addprefix build/$(1)/unit/,$(ON_MEMORY_DISK)): build/$(1)/unit/%: \
		build/$(1)/tests/unit/%.o $$(call objects,$(1),$(UNIT_SUPPORT)) $$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) build/$(1)/pure.a \
		$$(CHECK_LIBS) -lpthread -lm

$(addprefix build/$(1)/unit/,$(filter-out $(ON_MEMORY_DISK),\
		$(UNIT_NAMES))): build/$(1)/unit/%: build/$(1)/tests/unit/%.o \
		$$(call objects,$(1),$(filter-out $(MEMORY_DISK),\
			$(UNIT_SUPPORT))) $$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) $$($(1).group) \
		$$(if $$(filter $$*,$(COUNTING)),$$(WRAP_MALLOC)) \
		$$(CHECK_LIBS) -luring -lssl -lcrypto -lpthread -lm

build/$(1)/integration/%: build/$(1)/tests/integration/%.o \
		$$(call objects,$(1),$(INTEGRATION_SUPPORT) $(SUPPORT)) \
		$$($(1).archives)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(1).link) -o $$@ $$(filter %.o,$$^) $$($(1).group) \
		$$(CHECK_LIBS) -luring -lssl -lcrypto -lpthread -lm

.PHONY: $(1)-programs $(1)-units $(1)-integrations
$(1)-programs: $$(call programs,$(1))
$(1)-units: $$(call units,$(1))
$(1)-integrations: $$(call integrations,$(1))
endef

$(foreach f,$(FLAVOURS),$(eval $(call flavour_rules,$f)))

# A compiler that does not find a header says so in its own words; these two
# say which package has it and which command installs it. `demo` and `test`
# install first.
setup_first = $(if $(filter demo demo-cluster,$(MAKECMDGOALS)),setup)

build/headers: tests/setup | $(setup_first)
	@CC='$(CC)' tests/setup --check build
	@mkdir -p $(@D) && touch $@

build/headers-of-tests: tests/setup | $(setup_first)
	@CC='$(CC)' tests/setup --check check
	@mkdir -p $(@D) && touch $@

.PHONY: setup
setup:
	@tests/setup build

.PHONY: FORCE
FORCE:

## check: run the unit tests (under a minute)
.PHONY: check
check: release-units
	@tests/run --built unit

## test: install what is missing and run everything that CI runs
.PHONY: test
test:
	@tests/setup test
	@tests/run

SEED = 1
STEPS = 100000
MEMBERS =
## sim: replay one simulated history: SEED= STEPS= MEMBERS=
.PHONY: sim
sim: build/sim
	build/sim --seed $(SEED) --steps $(STEPS) \
		$(if $(MEMBERS),--members $(MEMBERS))

## clang: build everything with clang
.PHONY: clang
clang: clang-programs clang-units clang-integrations

## asan: unit tests under AddressSanitizer and UBSan
.PHONY: asan
asan: asan-units asan-programs
	@tests/run --built asan

## tsan: threaded unit tests under ThreadSanitizer
.PHONY: tsan
tsan: $(addprefix build/tsan/unit/,$(TSAN_TESTS))
	@tests/run --built tsan

# A fuzzer is tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput(); what it
# learned is kept in build/fuzz/corpus/NAME, what it starts from may lie in
# tests/fuzz/corpus/NAME.
FUZZ = $(firstword $(FUZZ_NAMES))
FUZZ_SECONDS = 60
build/fuzz/bin/%: build/fuzz/tests/fuzz/fuzz_%.o $(fuzz.archives)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(fuzz.link) -fsanitize=fuzzer -o $@ $(filter %.o,$^) \
		$(fuzz.group) -luring -lssl -lcrypto -lpthread -lm

.PHONY: fuzz fuzzers
fuzzers: $(addprefix build/fuzz/bin/,$(FUZZ_NAMES))
## fuzz: fuzz one decoder: FUZZ= FUZZ_SECONDS=
fuzz: $(if $(FUZZ),build/fuzz/bin/$(FUZZ))
	$(if $(FUZZ),,$(error there is no tests/fuzz/fuzz_*.c yet))
	@mkdir -p build/fuzz/corpus/$(FUZZ)
	build/fuzz/bin/$(FUZZ) -max_total_time=$(FUZZ_SECONDS) \
		-artifact_prefix=build/fuzz/$(FUZZ)- build/fuzz/corpus/$(FUZZ) \
		$(wildcard tests/fuzz/corpus/$(FUZZ))

## lint: floors, tags, headers alone, purity, banned calls, format, clang-tidy
.PHONY: lint
lint:
	@tests/run lint

FORMATTED = $(wildcard $(foreach d,raft wal shm daemon daemon/store bench \
	tests/unit tests/scripts tests/sim tests/integration tests/fuzz \
	tests/lint tests/demo tests/support tests/explore,$d/*.[ch]))
## format: rewrite every source file as .clang-format says
.PHONY: format
format:
	$(CLANG_FORMAT) -i $(FORMATTED)

## coverage: lines and branches that the unit tests reach; raft/ has a bar
.PHONY: coverage
coverage: coverage-units
	@GCOV='$(GCOV)' tests/run --built coverage

# Names of measurements, or alone, core, cluster for all of a kind.
BENCH =
## bench: measure, against the floor of this machine: BENCH=cluster
.PHONY: bench
bench: build/bench build/conclaved build/conclavectl
	build/bench $(BENCH)

## explore: random histories of Raft cores: SEED= STEPS= EXPLORE_SEEDS= TRACE=
.PHONY: explore
EXPLORE_SEEDS = 1
explore: build/explore
	build/explore $(SEED) $(STEPS) $(EXPLORE_SEEDS) $(if $(TRACE),--trace)

# Not recursion, but a script that compiles copies of raft/ with one fault each.
MUTATE =
## mutate: break the core; some test must notice each fault: MUTATE=pattern
.PHONY: mutate
mutate: release-units build/raft-scripts build/explore
	@tests/mutate/run --built '$(MUTATE)'

## demo: install what is missing and see it work
.PHONY: demo
demo: setup $(call programs,release)
	@tests/demo/run

# One of three daemons leads; it is killed every EVERY seconds.
DEMO_SECONDS = 60
DEMO_EVERY = 6
## demo-cluster: the same with three daemons: DEMO_SECONDS= DEMO_EVERY=
.PHONY: demo-cluster
demo-cluster: setup $(call programs,release)
	@tests/demo/run --cluster --seconds $(DEMO_SECONDS) --every $(DEMO_EVERY)

# What is installed: programs, the header as one file, the library made from
# it, and the manual.
MANUAL = $(wildcard docs/*.1 docs/*.3 docs/*.8)
LIBRARY = libconclave.so.$(ABI)
CLIENT = $(if $(wildcard shm/conclave.h),\
	build/conclave.h build/$(LIBRARY) build/conclave.pc)

build/conclave.h: shm/amalgamate $(wildcard shm/*.h)
	@mkdir -p $(@D)
	$(call say,MAKE,$@)
	$(Q)shm/amalgamate >$@

# The same text, in which CONCLAVE_DEF makes the public functions symbols.
build/$(LIBRARY): build/conclave.h build/release/flags
	$(call say,LINK,$@)
	$(Q)$(release.compile) -Wno-missing-prototypes -DCONCLAVE_DEF= -fPIC \
		-shared $(LDFLAGS) -Wl,-soname,$(LIBRARY) -Wl,-z,defs -o $@ \
		-x c $<

build/conclave.pc: Makefile FORCE
	@mkdir -p $(@D)
	@printf '%s\n' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
		'Name: conclave' 'Version: $(VERSION)' \
		'Description: Coordination at memory speed: the client' \
		'Cflags: -I$${includedir} -D_GNU_SOURCE' \
		'Libs: -L$${libdir} -lconclave' >$@

man_folder = $(MANDIR)/man$(subst .,,$(suffix $(1)))
INSTALLED = $(foreach p,conclaved conclavectl,$(DESTDIR)$(BINDIR)/$p) \
	$(DESTDIR)$(INCLUDEDIR)/conclave.h $(DESTDIR)$(LIBDIR)/$(LIBRARY) \
	$(DESTDIR)$(LIBDIR)/libconclave.so \
	$(DESTDIR)$(LIBDIR)/pkgconfig/conclave.pc \
	$(foreach m,$(MANUAL),$(DESTDIR)$(call man_folder,$m)/$(notdir $m))

## install: programs, header, library, manual: PREFIX= DESTDIR=
.PHONY: install uninstall
install: $(filter %/conclaved %/conclavectl,$(call programs,release)) \
		$(CLIENT)
	install -d $(sort $(dir $(INSTALLED)))
	install -m 755 $(filter %/conclaved %/conclavectl,$^) $(DESTDIR)$(BINDIR)
	$(if $(CLIENT),install -m 644 build/conclave.h $(DESTDIR)$(INCLUDEDIR))
	$(if $(CLIENT),install -m 755 build/$(LIBRARY) $(DESTDIR)$(LIBDIR))
	$(if $(CLIENT),ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/libconclave.so)
	$(if $(CLIENT),install -m 644 build/conclave.pc $(DESTDIR)$(LIBDIR)/pkgconfig)
	$(foreach s,1 3 8,$(if $(filter %.$s,$(MANUAL)),install -m 644 \
		$(filter %.$s,$(MANUAL)) $(DESTDIR)$(MANDIR)/man$s;))

## uninstall: remove what install put there
uninstall:
	rm -f $(INSTALLED)

# For tests/run: what the wildcards found.
TIDY_FLAGS = $(OUR_CPPFLAGS) -std=gnu11 $(WARNINGS) -Wno-unused-function \
	-DBUILD_VERSION="$(VERSION)"
COVERED = $(PURE) $(DISK) $(SHELL_REST)
print-%:
	@echo '$($*)'

## clean: remove what was built
.PHONY: clean
clean:
	rm -rf build

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-z-]*\): /\1	/p' Makefile | expand -t 12

-include $(wildcard $(foreach f,$(FLAVOURS),build/$f/*/*.d build/$f/*/*/*.d))
