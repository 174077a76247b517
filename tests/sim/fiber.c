/*
 * Fibers on ucontext; see tests/sim/fiber.h.
 *
 * A fiber that is given up leaves frames behind that never returned. Address
 * Sanitizer marks such frames as poisoned, so that the stack is cleaned
 * before it is used again.
 */
#include "tests/sim/fiber.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FIBER_POISON 1
#endif

#ifdef FIBER_POISON
#include <sanitizer/asan_interface.h>
static void clean(uint8_t *stack)
{
	__asan_unpoison_memory_region(stack, FIBER_STACK_SIZE);
}
#else
static void clean(uint8_t *stack)
{
	(void)stack;
}
#endif

static ucontext_t outside;
static struct fiber *current;

static void enter(void)
{
	struct fiber *fiber = current;
	assert(fiber != NULL);
	fiber->run(fiber->argument);
	fiber->alive = false;
	fiber_yield();
	abort();
}

void fiber_start(struct fiber *fiber, void (*run)(void *), void *argument)
{
	assert(current != fiber);
	if (fiber->stack == NULL) {
		fiber->stack =
			mmap(NULL, FIBER_STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert(fiber->stack != MAP_FAILED);
	}
	clean(fiber->stack);
	int status = getcontext(&fiber->context);
	assert(status == 0);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = FIBER_STACK_SIZE;
	fiber->context.uc_link = NULL;
	fiber->run = run;
	fiber->argument = argument;
	fiber->alive = true;
	makecontext(&fiber->context, enter, 0);
}

void fiber_resume(struct fiber *fiber)
{
	assert(current == NULL);
	assert(fiber->alive);
	current = fiber;
	int status = swapcontext(&outside, &fiber->context);
	assert(status == 0);
	current = NULL;
}

void fiber_yield(void)
{
	assert(current != NULL);
	struct fiber *fiber = current;
	int status = swapcontext(&fiber->context, &outside);
	assert(status == 0);
}

void fiber_kill(struct fiber *fiber)
{
	assert(current != fiber);
	fiber->alive = false;
}

struct fiber *fiber_current(void)
{
	return current;
}

void fiber_release(struct fiber *fiber)
{
	if (fiber->stack != NULL)
		munmap(fiber->stack, FIBER_STACK_SIZE);
	memset(fiber, 0, sizeof(*fiber));
}
