#include "moe/exchange.h"

#include <algorithm>

#include "core/routes.h"
#include "core/slots.h"

namespace moe {
namespace {

// Rows [begin, begin + rows) of a tensor that has `most`.
void check_rows(const char* begin_name, int i, int64_t begin, int64_t rows, const char* name, int64_t most) {
  if (begin < 0 || begin > most || rows > most - begin) {
    invalid(begin_name, "[", i, "] is ", begin, " and rows[", i, "] is ", rows, ", but ", name, " has ", most, " rows");
  }
}

// Refuses two blocks with one row of y.
void check_apart(const moe_blocks& blocks) {
  int64_t end = 0;  // end of the blocks so far
  for (int i = 0; i < blocks.count; ++i) {
    const int64_t begin = blocks.to[i], its_end = begin + blocks.rows[i];
    for (int j = 0; begin < end && j < i; ++j) {
      const int64_t first = std::max(begin, blocks.to[j]);  // the first row that both may have
      if (first < std::min(its_end, blocks.to[j] + blocks.rows[j])) {
        invalid("blocks ", j, " and ", i, " share row ", first, " of y");
      }
    }
    end = std::max(end, its_end);
  }
}

// Also refuses blocks that reach outside x or y.
void check_blocks(const moe_blocks& blocks, int64_t x_rows, int64_t y_rows) {
  if (blocks.count < 0 || blocks.count > MOE_MAX_BLOCKS) {
    invalid("count is ", blocks.count, ", expected 0 to ", MOE_MAX_BLOCKS);
  }
  for (int i = 0; i < blocks.count; ++i) {
    if (blocks.rows[i] < 0) invalid("rows[", i, "] is ", blocks.rows[i], ", expected 0 or more");
    check_rows("from", i, blocks.from[i], blocks.rows[i], "x", x_rows);
    check_rows("to", i, blocks.to[i], blocks.rows[i], "y", y_rows);
  }
  check_apart(blocks);
}

const moe_tensor& check_row_tensor(const char* name, const moe_tensor* tensor) {
  const moe_tensor& checked = check_tensor(name, tensor);
  if (checked.layout != MOE_ROW_MAJOR) invalid(name, " is packed, expected row-major");
  if (checked.rank == 0) invalid(name, " is a scalar, expected rows");
  return checked;
}

}  // namespace
}  // namespace moe

moe_status moe_block_copy(moe_stream stream, const moe_blocks* blocks, const moe_tensor* x, const moe_tensor* y,
                          MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_blocks copied = moe::check_struct("blocks", blocks);
    const moe_tensor& from = moe::check_row_tensor("x", x);
    const moe_tensor& to = moe::check_row_tensor("y", y);
    moe::check_same_dtype("x", from, "y", to);
    if (from.rank != to.rank || !std::equal(from.shape + 1, from.shape + from.rank, to.shape + 1)) {
      moe::invalid("x has shape ", moe::shape_text(from), " but y has ", moe::shape_text(to),
                   ", expected rows of one shape");
    }
    moe::check_blocks(copied, from.shape[0], to.shape[0]);
    moe::check_written({{"y", y}}, {{"x", x}});
    MOE_CALL(stream, block_copy, copied, from, to);
  });
}

moe_status moe_slot_starts(moe_stream stream, int64_t rows, const moe_tensor* offsets, const moe_tensor* slots,
                           const moe_tensor* starts, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& sent = moe::check_tensor("offsets", offsets, moe::kInt32Only, {moe::kAny});
    moe::check_experts("offsets", sent.shape[0] - 1);
    const moe_tensor& messages = moe::check_tensor("slots", slots, moe::kInt32Only, {moe::kAny, moe::kAny});
    if (messages.shape[0] < 1) moe::invalid("slots has no rank");
    const moe_tensor& first = moe::check_tensor("starts", starts, moe::kInt32Only, {sent.shape[0]});
    moe::check_written({{"slots", slots}, {"starts", starts}}, {{"offsets", offsets}});
    MOE_CALL(stream, slot_starts, rows, sent, messages, first);
  });
}

moe_status moe_slot_routes(moe_stream stream, int64_t counts, const moe_tensor* slots, const moe_tensor* expert,
                           const moe_tensor* position, const moe_tensor* offsets, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& messages = moe::check_tensor("slots", slots, moe::kInt32Only, {moe::kAny, moe::kAny});
    const moe_tensor& experts = moe::check_tensor("expert", expert, moe::kInt32Only, {moe::kAny, 1});
    const moe_tensor& places = moe::check_tensor("position", position, moe::kInt32Only, {experts.shape[0], 1});
    const moe_tensor& groups = moe::check_tensor("offsets", offsets, moe::kInt32Only, {moe::kAny});
    moe::check_experts("offsets", groups.shape[0] - 1);
    if (messages.shape[0] < 1 || experts.shape[0] % messages.shape[0] != 0) {
      moe::invalid("expert has ", experts.shape[0], " rows, which are not of ", messages.shape[0], " equal messages");
    }
    if (counts < groups.shape[0] - 1) {
      moe::invalid("counts is ", counts, ", but offsets has ", groups.shape[0] - 1, " experts");
    }
    moe::check_written({{"expert", expert}, {"position", position}, {"offsets", offsets}}, {{"slots", slots}});
    MOE_CALL(stream, slot_routes, counts, messages, experts, places, groups);
  });
}
