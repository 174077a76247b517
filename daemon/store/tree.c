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

/* The first slot from `begin` on whose key is not less; whether it is equal. */
static uint32_t search(const struct mapping *map, const struct tree_node *node,
		       uint32_t begin, struct key key, bool *ret_equal)
{
	uint64_t mark = tree_mark(key, node->prefix);
	uint32_t low = begin, count = node->count - begin, half, high;
	bool less;
	int order;

	*ret_equal = false;
	while (count > 0) {
		half = count / 2;
		less = node->mark[low + half] < mark;
		low = less ? low + half + 1 : low;
		count = less ? count - half - 1 : half;
	}
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

void tree_bump(struct mapping *map, const struct tree_path *path)
{
	struct tree_node *node = tree_node_at(map, path->node[0]);

	tree_open(node);
	tree_close(node);
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
