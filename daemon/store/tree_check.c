/* Every invariant of tree.h, for tests: a walk in the order of keys. */
#include "daemon/store/tree.h"

/* What a walk knows; a frame is a node whose children are being walked. */
struct walk {
	const struct mapping *map;
	const struct tree *tree;
	struct tree_path path; /* index: the child that is being walked */
	uint64_t leaf; /* that must come next, by the last one's link; 0 */
	uint64_t count;
	uint64_t bytes;
	const char *what;
};

static bool is_at_edge(const struct walk *walk, uint32_t level)
{
	const struct tree_node *node;

	for (level++; level < walk->tree->height; level++) {
		node = tree_node_see(walk->map, walk->path.node[level]);
		if (walk->path.index[level] + 1 != node->count)
			return false;
	}
	return true;
}

/* The bound below or above a node, if there is one. */
static bool find_bound(const struct walk *walk, uint32_t level, uint32_t upper,
		       struct key *ret_bound)
{
	const struct tree_node *node;
	uint32_t index;

	for (level++; level < walk->tree->height; level++) {
		node = tree_node_see(walk->map, walk->path.node[level]);
		index = walk->path.index[level] + upper;
		if (index == 0 || index >= node->count)
			continue;
		*ret_bound = tree_key(walk->map, node, index);
		return true;
	}
	return false;
}

static const char *check_slots(const struct walk *walk,
			       const struct tree_node *node)
{
	uint32_t i = node->level == 0 ? 0 : 1, prefix = 0;
	struct key low, high, key, last = {NULL, 0};
	bool has_low = find_bound(walk, node->level, 0, &low);
	bool has_high = find_bound(walk, node->level, 1, &high);

	if (has_low && has_high)
		prefix = tree_common(low, high);
	if (node->prefix != prefix)
		return "a node has another prefix than its bounds";
	for (; i < node->count; i++) {
		key = tree_key(walk->map, node, i);
		if ((has_low && key_compare(key, low) < 0) ||
		    (has_high && key_compare(key, high) >= 0))
			return "a key lies outside of its node's bounds";
		if (last.bytes != NULL && key_compare(last, key) >= 0)
			return "keys are out of order";
		if (node->mark[i] != tree_mark(key, prefix))
			return "a mark differs from its key";
		last = key;
	}
	return NULL;
}

static const char *check_node(struct walk *walk, uint32_t level)
{
	uint64_t offset = walk->path.node[level];
	const struct tree_node *node = tree_node_see(walk->map, offset);
	uint32_t max = level == 0 ? TREE_LEAF_MAX : TREE_INNER_MAX;
	uint32_t min = level == 0 ? TREE_LEAF_MIN : TREE_INNER_MIN;

	if (node->level != level || node->count > max)
		return "a node is not of its level, or too full";
	if (is_at_edge(walk, level))
		min = level == 0 ? (walk->tree->height > 1) : 2;
	if (node->count < min)
		return "a node is too empty";
	if ((node->word & 1) != 0)
		return "a node was left open";
	if (level == 0 && walk->leaf != 0 && walk->leaf != offset)
		return "a leaf's link leads elsewhere";
	return check_slots(walk, node);
}

static void count_node(struct walk *walk, const struct tree_node *node)
{
	uint32_t i;

	walk->bytes += TREE_NODE_SIZE;
	if (node->level == 0) {
		walk->count += node->count;
		walk->leaf = node->next;
		return;
	}
	for (i = 1; i < node->count; i++) {
		uint32_t size = (uint32_t)sizeof(struct tree_bound) +
				tree_key(walk->map, node, i).size;

		if (size <= TREE_BOUND_SMALL)
			walk->bytes += TREE_BOUND_SMALL;
		else if (size <= TREE_BOUND_MEDIUM)
			walk->bytes += TREE_BOUND_MEDIUM;
		else
			walk->bytes += MAPPING_BLOCK_MAX;
	}
}

/* Goes down to the first leaf below; false: something is wrong. */
static bool go_down(struct walk *walk, uint32_t level)
{
	const struct tree_node *node;

	for (;;) {
		walk->what = check_node(walk, level);
		if (walk->what != NULL)
			return false;
		node = tree_node_see(walk->map, walk->path.node[level]);
		count_node(walk, node);
		if (level == 0)
			return true;
		walk->path.index[level] = 0;
		walk->path.node[level - 1] = node->inner.child[0];
		level--;
	}
}

/* Goes up to a node with another child; its level, or the tree's height. */
static uint32_t go_on(struct walk *walk)
{
	const struct tree_node *node;
	uint32_t level = 1;

	for (; level < walk->tree->height; level++) {
		node = tree_node_see(walk->map, walk->path.node[level]);
		if (walk->path.index[level] + 1 >= node->count)
			continue;
		walk->path.index[level]++;
		walk->path.node[level - 1] =
			node->inner.child[walk->path.index[level]];
		break;
	}
	return level;
}

int tree_check(const struct mapping *map, const struct tree *tree,
	       uint64_t *ret_bytes, const char **ret_what)
{
	struct walk walk = {.map = map, .tree = tree};
	uint32_t level = tree->height;

	walk.path.node[tree->height - 1] = tree->root;
	do {
		if (!go_down(&walk, level - 1)) {
			*ret_what = walk.what;
			return -1;
		}
		level = go_on(&walk);
	} while (level < tree->height);
	if (walk.leaf != 0 || walk.count != tree->count) {
		*ret_what = "a tree does not end where it should";
		return -1;
	}
	*ret_bytes = walk.bytes;
	return 0;
}
