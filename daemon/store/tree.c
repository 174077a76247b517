/* The tree: searching, walking, and what its other files share. */
#include "daemon/store/tree.h"

#include <string.h>

int key_compare(struct key a, struct key b)
{
	uint32_t size = a.size < b.size ? a.size : b.size;
	int order = size == 0 ? 0 : memcmp(a.bytes, b.bytes, size);

	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

struct key tree_key(const struct mapping *map, const struct tree_node *node,
		    uint32_t index)
{
	const struct tree_bound *bound;

	assert(index < node->count);
	if (node->level == 0)
		return version_key(map,
				   version_see(map, node->leaf.item[index]));
	assert(index > 0);
	bound = mapping_see(map, node->inner.bound[index]);
	return (struct key){bound->bytes, bound->size};
}

uint64_t tree_mark(struct key key, uint32_t prefix)
{
	uint64_t mark = 0;

	assert(prefix <= key.size);
	memcpy(&mark, key.bytes + prefix,
	       key.size - prefix < 8 ? key.size - prefix : 8);
	return __builtin_bswap64(mark);
}

uint32_t tree_common(struct key a, struct key b)
{
	uint32_t size = a.size < b.size ? a.size : b.size;
	uint32_t i = 0;

	while (i < size && a.bytes[i] == b.bytes[i])
		i++;
	return i;
}

/*
 * The first slot from `begin` on whose mark is not less: first among every
 * eighth, then among eight. Marks are counted, not branched on: keys come in
 * no order, so every second branch of a binary search would be mispredicted.
 */
static uint32_t lower_bound(const struct tree_node *node, uint32_t begin,
			    uint64_t mark)
{
	const uint64_t *marks = node->mark;
	uint32_t count = node->count, low = begin, end, i;

	for (i = begin + 7; i < count; i += 8)
		low += 8 * (uint32_t)(marks[i] < mark);
	end = low + 8 < count ? low + 8 : count;
	for (i = low; i < end; i++)
		low += marks[i] < mark;
	return low;
}

/* The first slot from `begin` on whose key is not less; whether it is equal. */
static uint32_t search(const struct mapping *map, const struct tree_node *node,
		       uint32_t begin, struct key key, bool *ret_equal)
{
	uint64_t mark = tree_mark(key, node->prefix);
	uint32_t low = lower_bound(node, begin, mark), half, high;
	int order;

	*ret_equal = false;
	for (high = low; high < node->count && node->mark[high] == mark;)
		high++;
	while (low < high) {
		half = low + (high - low) / 2;
		order = key_compare(tree_key(map, node, half), key);
		if (order == 0) {
			*ret_equal = true;
			return half;
		}
		if (order < 0)
			low = half + 1;
		else
			high = half;
	}
	return low;
}

/* The child that a key belongs to. */
static uint32_t search_child(const struct mapping *map,
			     const struct tree_node *node, struct key key)
{
	bool equal;
	uint32_t index = search(map, node, 1, key, &equal);

	return equal ? index : index - 1;
}

uint64_t tree_locate(const struct mapping *map, const struct tree *tree,
		     struct key key, struct tree_path *ret_path)
{
	const struct tree_node *node = tree_node_see(map, tree->root);
	uint64_t offset = tree->root;
	uint32_t level = tree->height - 1;

	while (level > 0) {
		ret_path->node[level] = offset;
		ret_path->index[level] = (uint16_t)search_child(map, node, key);
		offset = node->inner.child[ret_path->index[level]];
		node = tree_node_see(map, offset);
		level--;
	}
	assert(node->level == 0);
	ret_path->node[0] = offset;
	ret_path->index[0] =
		(uint16_t)search(map, node, 0, key, &ret_path->found);
	return ret_path->found ? node->leaf.item[ret_path->index[0]] : 0;
}

uint64_t tree_find(const struct mapping *map, const struct tree *tree,
		   struct key key)
{
	struct tree_path path;

	return tree_locate(map, tree, key, &path);
}

void tree_replace(struct mapping *map, const struct tree_path *path,
		  uint64_t item)
{
	struct tree_cursor cursor = {path->node[0], path->index[0]};

	assert(path->found);
	tree_replace_at(map, &cursor, item);
}

void tree_replace_at(struct mapping *map, const struct tree_cursor *cursor,
		     uint64_t item)
{
	struct tree_node *node = tree_node_at(map, cursor->leaf);

	assert(cursor->index < node->count && node->level == 0);
	tree_open(node);
	node->leaf.item[cursor->index] = item;
	tree_close(node);
}

static uint64_t find_leaf(const struct mapping *map, const struct tree *tree,
			  struct key key)
{
	uint64_t offset = tree->root;
	const struct tree_node *node;
	uint32_t level = tree->height - 1;

	for (; level > 0; level--) {
		node = tree_node_see(map, offset);
		offset = node->inner.child[search_child(map, node, key)];
	}
	return offset;
}

void tree_bump(struct mapping *map, const struct tree *tree, struct key key)
{
	struct tree_node *node = tree_node_at(map, find_leaf(map, tree, key));

	tree_open(node);
	tree_close(node);
}

uint64_t tree_warm_leaf(const struct mapping *map, const struct tree *tree,
			struct key key)
{
	uint64_t leaf = find_leaf(map, tree, key);
	const uint8_t *line = mapping_see(map, leaf);
	uint32_t i;

	/* The head and the marks. */
	for (i = 0; i < offsetof(struct tree_node, leaf.item); i += 64)
		__builtin_prefetch(line + i);
	return leaf;
}

void tree_warm_item(const struct mapping *map, uint64_t leaf, struct key key)
{
	const struct tree_node *node = tree_node_see(map, leaf);
	uint64_t mark = tree_mark(key, node->prefix);
	uint32_t index = lower_bound(node, 0, mark);
	const uint8_t *item;

	if (index == node->count || node->mark[index] != mark)
		return;
	item = mapping_see(map, node->leaf.item[index]);
	__builtin_prefetch(item, 1);
	__builtin_prefetch(item + 64, 1);
}

/* A cursor behind a leaf's last slot moves on to the next leaf. */
static void settle(const struct mapping *map, struct tree_cursor *cursor)
{
	const struct tree_node *node = tree_node_see(map, cursor->leaf);

	while (cursor->index >= node->count) {
		cursor->leaf = node->next;
		cursor->index = 0;
		if (cursor->leaf == 0)
			return;
		node = tree_node_see(map, cursor->leaf);
	}
}

struct tree_cursor tree_seek(const struct mapping *map, const struct tree *tree,
			     struct key key, bool after)
{
	struct tree_path path;
	struct tree_cursor cursor;

	(void)tree_locate(map, tree, key, &path); /* the path is the answer */
	cursor.leaf = path.node[0];
	cursor.index = path.index[0];
	if (path.found && after)
		cursor.index++;
	settle(map, &cursor);
	return cursor;
}

uint64_t tree_item(const struct mapping *map, const struct tree_cursor *cursor)
{
	if (cursor->leaf == 0)
		return 0;
	return tree_node_see(map, cursor->leaf)->leaf.item[cursor->index];
}

void tree_next(const struct mapping *map, struct tree_cursor *cursor)
{
	assert(cursor->leaf != 0);
	cursor->index++;
	settle(map, cursor);
}
