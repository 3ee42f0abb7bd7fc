#include "moe/combine.h"

#include "core/routes.h"

namespace moe {
namespace {

// The table of routes and the residual branch of S tokens, next to rows [R, M].
void check_combine(int64_t tokens, int64_t width, const moe_tensor* rows, const moe_tensor* expert,
                   const moe_tensor* position, const moe_tensor* weight, const moe_tensor* offsets,
                   const moe_tensor* mlp, const moe_tensor* coefficient) {
  check_tensor("rows", rows, kFloating, {kAny, width});
  check_routes(tokens, expert, position, offsets);
  check_tensor("weight", weight, kFloat32Only, {tokens, expert->shape[1]});
  if ((mlp == nullptr) != (coefficient == nullptr)) {
    invalid("mlp and coefficient are given together or both null, ", mlp == nullptr ? "mlp" : "coefficient",
            " is null");
  }
  check_optional("mlp", mlp, kFloating, {tokens, width});
  check_optional("coefficient", coefficient, kFloat32Only, {tokens, 2});
}

}  // namespace
}  // namespace moe

moe_status moe_combine_forward(moe_stream stream, const moe_tensor* rows, const moe_tensor* expert,
                               const moe_tensor* position, const moe_tensor* weight, const moe_tensor* offsets,
                               const moe_tensor* mlp, const moe_tensor* coefficient, const moe_tensor* skip,
                               const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = output.shape[0], width = output.shape[1];
    moe::check_combine(tokens, width, rows, expert, position, weight, offsets, mlp, coefficient);
    moe::check_optional("skip", skip, moe::kFloating, {tokens, width});
    moe::check_written({{"y", y}}, {{"rows", rows},
                                    {"expert", expert},
                                    {"position", position},
                                    {"weight", weight},
                                    {"offsets", offsets},
                                    {"coefficient", coefficient}});
    moe::check_written_or_same({"y", y}, {"mlp", mlp});
    moe::check_written_or_same({"y", y}, {"skip", skip});
    MOE_LAUNCH(stream, combine_forward, *rows, *expert, *position, *weight, *offsets, mlp, coefficient, skip, output);
  });
}

moe_status moe_combine_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* rows,
                                const moe_tensor* expert, const moe_tensor* position, const moe_tensor* weight,
                                const moe_tensor* offsets, const moe_tensor* mlp, const moe_tensor* coefficient,
                                const moe_tensor* drows, const moe_tensor* dweight, const moe_tensor* dmlp,
                                const moe_tensor* dcoefficient, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = upstream.shape[0], width = upstream.shape[1];
    moe::check_combine(tokens, width, rows, expert, position, weight, offsets, mlp, coefficient);
    moe::check_tensor("drows", drows, moe::kFloating, {rows->shape[0], width});
    moe::check_tensor("dweight", dweight, moe::kFloat32Only, {tokens, expert->shape[1]});
    if (mlp != nullptr) {
      moe::check_tensor("dmlp", dmlp, moe::kFloating, {tokens, width});
      moe::check_tensor("dcoefficient", dcoefficient, moe::kFloat32Only, {tokens, 2});
    } else if (dmlp != nullptr || dcoefficient != nullptr) {
      moe::invalid(dmlp != nullptr ? "dmlp" : "dcoefficient", " is given without mlp and coefficient");
    }
    moe::check_written({{"drows", drows}, {"dweight", dweight}, {"dmlp", dmlp}, {"dcoefficient", dcoefficient}},
                       {{"dy", dy},
                        {"rows", rows},
                        {"expert", expert},
                        {"position", position},
                        {"weight", weight},
                        {"offsets", offsets},
                        {"mlp", mlp},
                        {"coefficient", coefficient}});
    MOE_LAUNCH(stream, combine_backward, upstream, *rows, *expert, *position, *weight, *offsets, mlp, coefficient,
               *drows, *dweight, dmlp, dcoefficient);
  });
}
