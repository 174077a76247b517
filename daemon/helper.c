/*
 * The thread for slow calls.
 */
#include "daemon/helper.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
	STACK_SIZE = 256 << 10, /* resolvers keep their buffers there */
};

struct job {
	uint8_t kind; /* enum helper_kind */
	uint64_t tag;
	struct address_parts parts;
	struct memory memory;
};

static void look_up(const struct job *job, struct helper_answer *answer)
{
	int count = address_look_up(&job->parts, answer->found);

	if (count < 0)
		answer->error = count;
	else
		answer->count = (uint32_t)count;
}

/* The pages go when nobody has the file any more: then comes a new one. */
static void renew(struct job *job, struct helper_answer *answer)
{
	size_t size = job->memory.size;

	memory_close(&job->memory);
	answer->error = memory_open(&answer->memory, "conclave-spare", size,
				    MEMORY_READ_ONLY);
}

/* Ends when the loop's end is closed. */
static void *work(void *argument)
{
	int fd = (int)(intptr_t)argument;
	struct job job;

	while (recv(fd, &job, sizeof(job), 0) == sizeof(job)) {
		struct helper_answer answer = {
			.kind = job.kind,
			.tag = job.tag,
		};
		if (job.kind == HELPER_NAME)
			look_up(&job, &answer);
		else
			renew(&job, &answer);
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	(void)close(fd); /* nothing is left on it */
	return NULL;
}

/* Signals are the loop's: the thread is begun with all of them blocked. */
static int start(int fd)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	(void)sigfillset(&all); /* cannot fail */
	int result = pthread_attr_init(&attributes);
	if (result != 0)
		return -result;
	result = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (result == 0)
		result = pthread_attr_setdetachstate(&attributes,
						     PTHREAD_CREATE_DETACHED);
	if (result == 0)
		result = pthread_sigmask(SIG_BLOCK, &all, &before);
	if (result == 0) {
		result = pthread_create(&thread, &attributes, work,
					(void *)(intptr_t)fd);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* as was */
	}
	(void)pthread_attr_destroy(&attributes); /* cannot fail */
	return -result;
}

int helper_open(struct helper *ret_helper)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	int result = start(pair[1]);
	if (result < 0) {
		(void)close(pair[0]); /* nobody has used them */
		(void)close(pair[1]);
		return result;
	}
	ret_helper->jobs = pair[0];
	return 0;
}

void helper_close(struct helper *helper)
{
	if (helper->jobs >= 0)
		(void)close(helper->jobs); /* the thread ends by it */
	helper->jobs = -1;
}

int helper_fd(const struct helper *helper)
{
	assert(helper->jobs >= 0);
	return helper->jobs;
}

static int hand_over(struct helper *helper, const struct job *job)
{
	assert(helper->jobs >= 0);
	ssize_t size = send(helper->jobs, job, sizeof(*job),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (size < 0)
		return -errno;
	assert(size == sizeof(*job));
	return 0;
}

int helper_look_up(struct helper *helper, uint64_t tag,
		   const struct address_parts *parts)
{
	struct job job = {.kind = HELPER_NAME, .tag = tag, .parts = *parts};

	return hand_over(helper, &job);
}

int helper_renew(struct helper *helper, const struct memory *memory)
{
	struct job job = {.kind = HELPER_MEMORY, .memory = *memory};

	assert(memory->base);
	return hand_over(helper, &job);
}

bool helper_next(struct helper *helper, struct helper_answer *ret_answer)
{
	ssize_t size = recv(helper->jobs, ret_answer, sizeof(*ret_answer),
			    MSG_DONTWAIT);

	return size == sizeof(*ret_answer);
}
