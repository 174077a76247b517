/*
 * The tree's changes of shape. A full node is split from above: as long as
 * the leaf is full, the highest full node under one with room is split, and
 * the key is looked up again. A node that becomes too small is merged with
 * its neighbour under the same parent, or they share evenly.
 */
#include "daemon/store/tree.h"

#include <string.h>

static uint32_t node_max(const struct tree_node *node)
{
	return node->level == 0 ? TREE_LEAF_MAX : TREE_INNER_MAX;
}

static uint32_t node_min(const struct tree_node *node)
{
	return node->level == 0 ? TREE_LEAF_MIN : TREE_INNER_MIN;
}

static uint64_t node_new(struct mapping *map, uint32_t level)
{
	uint64_t offset = mapping_take(map, MAPPING_CLASS_NODE);
	struct tree_node *node = tree_node_at(map, offset);

	tree_open(node);
	node->next = 0;
	node->count = 0;
	node->level = (uint16_t)level;
	node->prefix = 0;
	tree_close(node);
	return offset;
}

/* Whoever still reads the node finds its word changed. */
static void node_free(struct mapping *map, uint64_t offset)
{
	struct tree_node *node = tree_node_at(map, offset);

	tree_open(node);
	node->count = 0;
	tree_close(node);
	mapping_give(map, offset);
}

void tree_init(struct mapping *map, struct tree *tree)
{
	assert(tree->root == 0);
	tree->root = node_new(map, 0);
	tree->height = 1;
	tree->count = 0;
}

uint64_t tree_bound_new(struct mapping *map, struct key left, struct key right)
{
	uint32_t size = tree_common(left, right) + 1;
	uint32_t bytes = (uint32_t)sizeof(struct tree_bound) + size;
	struct tree_bound *bound;
	uint64_t offset;

	assert(size <= right.size);
	if (bytes <= TREE_BOUND_SMALL)
		bytes = TREE_BOUND_SMALL;
	else if (bytes <= TREE_BOUND_MEDIUM)
		bytes = TREE_BOUND_MEDIUM;
	else
		bytes = MAPPING_BLOCK_MAX;
	offset = mapping_take(map, mapping_class(map, bytes));
	bound = mapping_at(map, offset);
	bound->size = size;
	memcpy(bound->bytes, right.bytes, size);
	return offset;
}

uint32_t tree_prefix(const struct mapping *map, const struct tree *tree,
		     const struct tree_path *path, uint32_t level,
		     uint32_t index)
{
	const struct tree_node *node;
	struct key low = {NULL, 0}, high = {NULL, 0};
	bool has_low = false, has_high = false;

	for (; level < tree->height && !(has_low && has_high); level++) {
		node = tree_node_see(map, path->node[level]);
		if (!has_low && index > 0) {
			low = tree_key(map, node, index);
			has_low = true;
		}
		if (!has_high && index + 1 < node->count) {
			high = tree_key(map, node, index + 1);
			has_high = true;
		}
		index = level + 1 < tree->height ? path->index[level + 1] : 0;
	}
	return has_low && has_high ? tree_common(low, high) : 0;
}

void tree_rebuild(const struct mapping *map, struct tree_node *node,
		  uint32_t prefix)
{
	uint32_t i = node->level == 0 ? 0 : 1;

	node->prefix = (uint16_t)prefix;
	if (node->level > 0)
		node->mark[0] = 0;
	for (; i < node->count; i++)
		node->mark[i] = tree_mark(tree_key(map, node, i), prefix);
}

/* Gives a node its prefix; with the same one its marks are right already. */
static void refit(const struct mapping *map, struct tree_node *node,
		  uint32_t prefix)
{
	if (node->prefix != prefix)
		tree_rebuild(map, node, prefix);
}

/* Copies `count` slots between nodes of one level; both are open. */
static void copy_slots(struct tree_node *to, uint32_t at,
		       const struct tree_node *from, uint32_t begin,
		       uint32_t count)
{
	size_t size = count * sizeof(uint64_t);

	memmove(&to->mark[at], &from->mark[begin], size);
	if (to->level == 0) {
		memmove(&to->leaf.item[at], &from->leaf.item[begin], size);
		return;
	}
	memmove(&to->inner.bound[at], &from->inner.bound[begin], size);
	memmove(&to->inner.child[at], &from->inner.child[begin], size);
}

static void insert_child(const struct mapping *map, struct tree_node *parent,
			 uint32_t index, uint64_t bound, uint64_t child)
{
	assert(parent->count < TREE_INNER_MAX && index > 0);
	copy_slots(parent, index + 1, parent, index, parent->count - index);
	parent->count++;
	parent->inner.bound[index] = bound;
	parent->inner.child[index] = child;
	parent->mark[index] =
		tree_mark(tree_key(map, parent, index), parent->prefix);
}

bool tree_at_end(const struct mapping *map, const struct tree *tree,
		 const struct tree_path *path)
{
	uint32_t level;

	if (path->index[0] != tree_node_see(map, path->node[0])->count)
		return false;
	for (level = 1; level < tree->height; level++)
		if (path->index[level] + 1 !=
		    tree_node_see(map, path->node[level])->count)
			return false;
	return true;
}

/* Splits the path's full node at `level`; its parent has room. */
static void split(struct mapping *map, const struct tree *tree,
		  const struct tree_path *path, uint32_t level)
{
	struct tree_node *node = tree_node_at(map, path->node[level]);
	struct tree_node *parent = tree_node_at(map, path->node[level + 1]);
	uint64_t offset = node_new(map, level), bound;
	struct tree_node *right = tree_node_at(map, offset);
	uint32_t index = path->index[level + 1], at = node->count / 2u;

	assert(node->count == node_max(node));
	if (tree_at_end(map, tree, path))
		at = node->count - (level == 0 ? 1u : 2u);
	if (level == 0)
		bound = tree_bound_new(map, tree_key(map, node, at - 1),
				       tree_key(map, node, at));
	else
		bound = node->inner.bound[at];
	tree_open(node);
	tree_open(right);
	tree_open(parent);
	right->prefix = node->prefix;
	right->count = (uint16_t)(node->count - at);
	copy_slots(right, 0, node, at, right->count);
	node->count = (uint16_t)at;
	if (level == 0) {
		right->next = node->next;
		node->next = offset;
	} else {
		right->inner.bound[0] = 0;
		right->mark[0] = 0;
	}
	insert_child(map, parent, index + 1, bound, offset);
	refit(map, node, tree_prefix(map, tree, path, level + 1, index));
	refit(map, right, tree_prefix(map, tree, path, level + 1, index + 1));
	tree_close(parent);
	tree_close(right);
	tree_close(node);
}

static void grow(struct mapping *map, struct tree *tree)
{
	uint64_t offset = node_new(map, tree->height);
	struct tree_node *root = tree_node_at(map, offset);

	assert(tree->height < TREE_HEIGHT_MAX);
	tree_open(root);
	root->count = 1;
	root->mark[0] = 0;
	root->inner.bound[0] = 0;
	root->inner.child[0] = tree->root;
	tree_close(root);
	tree->root = offset;
	tree->height++;
}

static bool is_full(const struct mapping *map, uint64_t offset)
{
	const struct tree_node *node = tree_node_see(map, offset);

	return node->count == node_max(node);
}

void tree_insert(struct mapping *map, struct tree *tree, uint64_t item,
		 struct tree_path *path)
{
	struct key key = version_key(map, version_see(map, item));
	struct tree_node *leaf;
	uint32_t level, index;

	assert(!path->found);
	while (is_full(map, path->node[0])) {
		level = 1;
		while (level < tree->height && is_full(map, path->node[level]))
			level++;
		if (level == tree->height)
			grow(map, tree);
		else
			split(map, tree, path, level - 1);
		(void)tree_locate(map, tree, key, path); /* not there yet */
	}
	leaf = tree_node_at(map, path->node[0]);
	index = path->index[0];
	tree_open(leaf);
	copy_slots(leaf, index + 1, leaf, index, leaf->count - index);
	leaf->count++;
	leaf->leaf.item[index] = item;
	leaf->mark[index] = tree_mark(key, leaf->prefix);
	tree_close(leaf);
	tree->count++;
}

static void remove_slot(struct tree_node *node, uint32_t index)
{
	assert(index < node->count);
	copy_slots(node, index, node, index + 1, node->count - index - 1u);
	node->count--;
}

/* Two neighbours and their parent, all open. */
struct pair {
	struct tree_node *parent;
	struct tree_node *left;
	struct tree_node *right;
	uint32_t index; /* of the left one */
};

/* The left one takes all; the right one is empty then. */
static void merge(struct mapping *map, const struct tree *tree,
		  const struct tree_path *path, struct pair *pair)
{
	struct tree_node *left = pair->left, *right = pair->right;
	uint64_t bound = pair->parent->inner.bound[pair->index + 1];

	if (left->level == 0) {
		left->next = right->next;
		mapping_give(map, bound);
	} else {
		right->inner.bound[0] = bound;
	}
	copy_slots(left, left->count, right, 0, right->count);
	left->count = (uint16_t)(left->count + right->count);
	right->count = 0;
	remove_slot(pair->parent, pair->index + 1);
	tree_rebuild(
		map, left,
		tree_prefix(map, tree, path, left->level + 1u, pair->index));
}

/* Each gets half; the bound between them moves. */
static void share(struct mapping *map, const struct tree *tree,
		  const struct tree_path *path, struct pair *pair)
{
	struct tree_node *left = pair->left, *right = pair->right;
	uint64_t *bound = &pair->parent->inner.bound[pair->index + 1];
	uint32_t half = (left->count + right->count) / 2u, moved;

	if (left->level > 0)
		right->inner.bound[0] = *bound;
	if (left->count < half) {
		moved = half - left->count;
		copy_slots(left, left->count, right, 0, moved);
		copy_slots(right, 0, right, moved, right->count - moved);
		right->count = (uint16_t)(right->count - moved);
	} else {
		moved = left->count - half;
		copy_slots(right, moved, right, 0, right->count);
		copy_slots(right, 0, left, half, moved);
		right->count = (uint16_t)(right->count + moved);
	}
	left->count = (uint16_t)half;
	if (left->level == 0) {
		mapping_give(map, *bound);
		*bound = tree_bound_new(map, tree_key(map, left, half - 1),
					tree_key(map, right, 0));
	} else {
		*bound = right->inner.bound[0];
		right->inner.bound[0] = 0;
	}
	tree_rebuild(map, pair->parent, pair->parent->prefix);
	tree_rebuild(
		map, left,
		tree_prefix(map, tree, path, left->level + 1u, pair->index));
	tree_rebuild(map, right,
		     tree_prefix(map, tree, path, left->level + 1u,
				 pair->index + 1));
}

/* Mends the path's node at `level`; whether its parent may need it too. */
static bool mend(struct mapping *map, const struct tree *tree,
		 const struct tree_path *path, uint32_t level)
{
	struct tree_node *parent = tree_node_at(map, path->node[level + 1]);
	uint32_t index = path->index[level + 1];
	uint64_t left, right;
	struct pair pair;
	bool merges;

	assert(parent->count > 1);
	if (index > 0)
		index--;
	left = parent->inner.child[index];
	right = parent->inner.child[index + 1];
	pair = (struct pair){parent, tree_node_at(map, left),
			     tree_node_at(map, right), index};
	tree_open(parent);
	tree_open(pair.left);
	tree_open(pair.right);
	merges = pair.left->count + pair.right->count <= node_max(pair.left);
	if (merges)
		merge(map, tree, path, &pair);
	else
		share(map, tree, path, &pair);
	tree_close(pair.right);
	tree_close(pair.left);
	tree_close(parent);
	if (merges)
		node_free(map, right);
	return merges;
}

void tree_remove(struct mapping *map, struct tree *tree, struct tree_path *path)
{
	struct tree_node *node = tree_node_at(map, path->node[0]);
	uint64_t offset;
	uint32_t level = 0;

	assert(path->found);
	tree_open(node);
	remove_slot(node, path->index[0]);
	tree_close(node);
	tree->count--;
	while (level + 1 < tree->height && node->count < node_min(node) &&
	       mend(map, tree, path, level)) {
		level++;
		node = tree_node_at(map, path->node[level]);
	}
	node = tree_node_at(map, tree->root);
	while (node->level > 0 && node->count == 1) {
		offset = tree->root;
		tree->root = node->inner.child[0];
		tree->height--;
		node_free(map, offset);
		node = tree_node_at(map, tree->root);
	}
}
