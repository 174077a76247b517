/*
 * Mappings for images.
 */
#include "daemon/spare.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Its descriptor and pages are the helper's from here on. */
static void hand_over(struct spare *spare, struct memory *memory)
{
	int result = helper_renew(spare->helper, memory);

	if (result < 0)
		return; /* too much waits there: in the next turn */
	memset(memory, 0, sizeof(*memory));
	memory->fd = -1;
	spare->left = NULL;
}

void spare_turn(struct spare *spare)
{
	struct memory *memory = &spare->memories[0];

	if (!spare->left)
		return;
	if (memory->base != spare->left)
		memory = &spare->memories[1];
	assert(memory->base == spare->left);
	hand_over(spare, memory);
}

void spare_left(struct spare *spare, void *base)
{
	assert(base && !spare->left);
	spare->left = base;
	spare_turn(spare);
}

void spare_renewed(struct spare *spare, const struct helper_answer *answer)
{
	struct memory *memory = &spare->memories[0];

	assert(answer->kind == HELPER_MEMORY);
	if (memory->base)
		memory = &spare->memories[1];
	assert(!memory->base);
	if (answer->error == 0) {
		*memory = answer->memory;
		node_spare(spare->node, memory->base);
		return;
	}
	log_begin(spare->log, LOG_ERROR, "no memory for the next image");
	log_errno(spare->log, answer->error);
	log_text(spare->log, "next",
		 "give it more memory and start it again: until then it takes "
		 "no snapshot from other members");
	log_end(spare->log);
}
