/*
 * Time, chance and the record of what happened; see tests/sim/sim.h.
 */
#include "tests/sim/selftest.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim sim;

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static void remember(uint64_t value)
{
	sim.hash = mix(sim.hash + 0x9e3779b97f4a7c15ull + value);
}

void sim_begin(uint64_t seed)
{
	sim.seed = seed;
	sim.now = SIM_SECOND;
	sim.steps = 0;
	sim.hash = mix(seed);
	sim.healing = false;
	sim.disturbed_until = 0;
	sim.heap_count = 0;
	sim.heap_order = 0;
	sim.line_count = 0;
	for (uint32_t i = 0; i < SIM_STREAMS; i++)
		sim.streams[i] = mix(mix(seed) + i * 0x632be59bd9b4e019ull);
}

/* ---- chance ---- */

uint64_t sim_random(enum sim_stream stream)
{
	assert(stream < SIM_STREAMS);
	sim.streams[stream] += 0x9e3779b97f4a7c15ull;
	return mix(sim.streams[stream]);
}

uint64_t sim_below(enum sim_stream stream, uint64_t bound)
{
	assert(bound > 0);
	return sim_random(stream) % bound;
}

uint64_t sim_between(enum sim_stream stream, uint64_t low, uint64_t high)
{
	assert(low <= high);
	return low + sim_below(stream, high - low + 1);
}

bool sim_chance(enum sim_stream stream, uint32_t in_a_million)
{
	if (in_a_million == 0)
		return false;
	return sim_below(stream, SIM_MILLION) < in_a_million;
}

uint64_t sim_spread(enum sim_stream stream, uint64_t mean)
{
	/*
	 * Halving by coin gives an exponential tail without floating point,
	 * whose rounding could differ between compilers.
	 */
	uint64_t bits = sim_random(stream);
	uint64_t whole = 0;
	while (whole < 8 && (bits & 1) != 0) {
		bits >>= 1;
		whole++;
	}
	uint64_t step = mean * 2 / 3 + 1;
	return whole * step + (bits >> 8) % step;
}

/* ---- events ---- */

static bool sooner(const struct sim_event *a, const struct sim_event *b)
{
	if (a->time != b->time)
		return a->time < b->time;
	return a->order < b->order;
}

static void grow_heap(void)
{
	if (sim.heap_count < sim.heap_room)
		return;
	sim.heap_room = sim.heap_room == 0 ? 4096 : 2 * sim.heap_room;
	sim.heap = realloc(sim.heap, sim.heap_room * sizeof(*sim.heap));
	assert(sim.heap != NULL);
}

void sim_at(uint64_t time, enum sim_event_kind kind, uint32_t who,
	    uint64_t stamp)
{
	assert(time >= sim.now);
	grow_heap();
	struct sim_event event = {
		.time = time,
		.order = sim.heap_order++,
		.kind = kind,
		.who = who,
		.stamp = stamp,
	};
	uint32_t at = sim.heap_count++;
	while (at > 0 && sooner(&event, &sim.heap[(at - 1) / 2])) {
		sim.heap[at] = sim.heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	sim.heap[at] = event;
}

bool sim_next(struct sim_event *ret_event)
{
	if (sim.heap_count == 0)
		return false;
	*ret_event = sim.heap[0];
	struct sim_event last = sim.heap[--sim.heap_count];
	uint32_t at = 0;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= sim.heap_count)
			break;
		if (child + 1 < sim.heap_count &&
		    sooner(&sim.heap[child + 1], &sim.heap[child]))
			child++;
		if (!sooner(&sim.heap[child], &last))
			break;
		sim.heap[at] = sim.heap[child];
		at = child;
	}
	sim.heap[at] = last;
	assert(ret_event->time >= sim.now);
	sim.now = ret_event->time;
	sim.steps++;
	remember(sim.now ^ ((uint64_t)ret_event->kind << 56) ^
		 ((uint64_t)ret_event->who << 48));
	return true;
}

/* ---- what is said ---- */

static void print_line(FILE *out, const struct sim_line *line)
{
	uint32_t next = 0;
	fprintf(out, "%12" PRIu64 ".%03" PRIu64 "  ", line->time / SIM_US,
		line->time % SIM_US);
	for (const char *c = line->format; *c != '\0'; c++) {
		assert(next < 4 || (*c != '%' && *c != '$'));
		if (*c == '%')
			fprintf(out, "%" PRId64, (int64_t)line->values[next++]);
		else if (*c == '$')
			fprintf(out, "%" PRIx64, line->values[next++]);
		else
			fputc(*c, out);
	}
	fputc('\n', out);
}

void sim_trace4(const char *format, uint64_t a, uint64_t b, uint64_t c,
		uint64_t d)
{
	struct sim_line *line = &sim.lines[sim.line_count % SIM_TRACE_LINES];
	sim.line_count++;
	*line = (struct sim_line){
		.time = sim.now,
		.format = format,
		.values = {a, b, c, d},
	};
	remember(a + 3 * b + 5 * c + 7 * d);
	if (sim.trace)
		print_line(stdout, line);
}

void sim_fault(enum sim_fault fault)
{
	assert(fault < SIM_FAULT_COUNT);
	sim.faults[fault]++;
}

void sim_reached(enum sim_point point)
{
	assert(point < SIM_POINT_COUNT);
	sim.points[point]++;
}

const char *sim_fault_name(enum sim_fault fault)
{
	static const char *const names[] = {
#define SIM_FAULT_TEXT(name) #name,
		SIM_FAULTS(SIM_FAULT_TEXT)
#undef SIM_FAULT_TEXT
	};
	return names[fault];
}

const char *sim_point_name(enum sim_point point)
{
	static const char *const names[] = {
#define SIM_POINT_TEXT(name) #name,
		SIM_POINTS(SIM_POINT_TEXT)
#undef SIM_POINT_TEXT
	};
	return names[point];
}

void sim_fail(enum sim_exit code, const char *format, ...)
{
	char reason[512];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	uint64_t first = sim.line_count > SIM_TRACE_LINES
				 ? sim.line_count - SIM_TRACE_LINES
				 : 0;
	if (!sim.trace && !sim.quiet)
		for (uint64_t i = first; i < sim.line_count; i++)
			print_line(stdout, &sim.lines[i % SIM_TRACE_LINES]);
	printf("FAIL seed %" PRIu64 ": %s\n", sim.seed, reason);
	printf("event %" PRIu64 "; to see it again: ", sim.steps);
	if (sim.calm || sim.bug != SIM_BUG_NONE)
		printf("build/sim --seed %" PRIu64 " --steps %" PRIu64
		       " --members %u%s%s%s\n",
		       sim.seed, sim.steps_max, sim.swarm.members,
		       sim.calm ? " --profile calm" : "",
		       sim.bug != SIM_BUG_NONE ? " --bug " : "",
		       sim.bug != SIM_BUG_NONE ? selftest_name(sim.bug) : "");
	else
		printf("make sim SEED=%" PRIu64 " STEPS=%" PRIu64
		       " MEMBERS=%u\n",
		       sim.seed, sim.steps_max, sim.swarm.members);
	fflush(stdout);
	_exit(code);
}
