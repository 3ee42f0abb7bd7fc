#include "moe/embedding.h"

#include "core/check.h"
#include "core/weights.h"

namespace moe {
namespace {

// positions and its table come together or not at all.
void check_pair(const moe_tensor* positions, const char* table_name, const moe_tensor* table) {
  if ((positions == nullptr) != (table == nullptr)) {
    invalid("positions and ", table_name, " are given together or both null, ",
            positions == nullptr ? "positions" : table_name, " is null");
  }
}

}  // namespace
}  // namespace moe

moe_status moe_embedding_forward(moe_stream stream, const moe_tensor* ids, const moe_tensor* table,
                                 const moe_tensor* positions, const moe_tensor* position_table, const moe_tensor* y,
                                 MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& tokens = moe::check_tensor("ids", ids, moe::kInt32Only, {moe::kAny});
    const moe_tensor& weights = moe::check_weights("table", table, 2, *moe::find_stream(stream)->shared_device());
    const int64_t count = tokens.shape[0], width = weights.shape[1];
    moe::check_pair(positions, "position_table", position_table);
    moe::check_optional("positions", positions, moe::kInt32Only, {count});
    moe::check_optional("position_table", position_table, moe::kFloating, {moe::kAny, width});
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {count, width});
    moe::check_written({{"y", y}},
                       {{"ids", ids}, {"table", table}, {"positions", positions}, {"position_table", position_table}});
    MOE_CALL(stream, embedding_forward, tokens, weights, positions, position_table, output);
  });
}

moe_status moe_embedding_backward(moe_stream stream, const moe_tensor* ids, const moe_tensor* positions,
                                  const moe_tensor* dy, const moe_tensor* dtable, const moe_tensor* dposition_table,
                                  MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& tokens = moe::check_tensor("ids", ids, moe::kInt32Only, {moe::kAny});
    const moe_tensor& gradient = moe::check_tensor("dtable", dtable, moe::kFloat32Only, {moe::kAny, moe::kAny});
    const int64_t count = tokens.shape[0], width = gradient.shape[1];
    moe::check_pair(positions, "dposition_table", dposition_table);
    moe::check_optional("positions", positions, moe::kInt32Only, {count});
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {count, width});
    moe::check_optional("dposition_table", dposition_table, moe::kFloat32Only, {moe::kAny, width});
    moe::check_written({{"dtable", dtable}, {"dposition_table", dposition_table}},
                       {{"ids", ids}, {"positions", positions}, {"dy", dy}});
    MOE_CALL(stream, embedding_backward, tokens, positions, upstream, gradient, dposition_table);
  });
}
