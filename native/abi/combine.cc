#include "moe/combine.h"

#include "core/routes.h"

namespace moe {
namespace {

struct Checked {
  moe_combine_inputs in;
  moe_routes routes;
};

// The expert rows, routes and residual branch of S tokens.
Checked check_combine(int64_t tokens, int64_t width, const moe_combine_inputs* inputs, const moe_routes* routes) {
  const moe_combine_inputs in = check_struct("inputs", inputs);
  check_tensor("rows", in.rows, kFloating, {kAny, width});
  const moe_routes table = check_routes(routes, tokens);
  check_tensor("weight", table.weight, kFloat32Only, {tokens, table.expert->shape[1]});
  if ((in.mlp == nullptr) != (in.coefficient == nullptr)) {
    invalid("mlp and coefficient are given together or both null, ", in.mlp == nullptr ? "mlp" : "coefficient",
            " is null");
  }
  check_optional("mlp", in.mlp, kFloating, {tokens, width});
  check_optional("coefficient", in.coefficient, kFloat32Only, {tokens, 2});
  return {in, table};
}

}  // namespace
}  // namespace moe

moe_status moe_combine_forward(moe_stream stream, const moe_combine_inputs* inputs, const moe_routes* routes,
                               const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = output.shape[0], width = output.shape[1];
    const auto [in, table] = moe::check_combine(tokens, width, inputs, routes);
    moe::check_optional("skip", in.skip, moe::kFloating, {tokens, width});
    moe::check_written({{"y", y}}, {{"rows", in.rows},
                                    {"expert", table.expert},
                                    {"position", table.position},
                                    {"weight", table.weight},
                                    {"offsets", table.offsets},
                                    {"coefficient", in.coefficient}});
    moe::check_written_or_same({"y", y}, {"mlp", in.mlp});
    moe::check_written_or_same({"y", y}, {"skip", in.skip});
    MOE_LAUNCH(stream, combine_forward, in, table, output);
  });
}

moe_status moe_combine_backward(moe_stream stream, const moe_tensor* dy, const moe_combine_inputs* inputs,
                                const moe_routes* routes, const moe_combine_gradients* gradients, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = upstream.shape[0], width = upstream.shape[1];
    const auto [in, table] = moe::check_combine(tokens, width, inputs, routes);
    const moe_combine_gradients out = moe::check_struct("gradients", gradients);
    moe::check_tensor("drows", out.drows, moe::kFloating, {in.rows->shape[0], width});
    moe::check_tensor("dweight", out.dweight, moe::kFloat32Only, {tokens, table.expert->shape[1]});
    if (in.mlp != nullptr) {
      moe::check_tensor("dmlp", out.dmlp, moe::kFloating, {tokens, width});
      moe::check_tensor("dcoefficient", out.dcoefficient, moe::kFloat32Only, {tokens, 2});
    } else if (out.dmlp != nullptr || out.dcoefficient != nullptr) {
      moe::invalid(out.dmlp != nullptr ? "dmlp" : "dcoefficient", " is given without mlp and coefficient");
    }
    moe::check_written(
        {{"drows", out.drows}, {"dweight", out.dweight}, {"dmlp", out.dmlp}, {"dcoefficient", out.dcoefficient}},
        {{"dy", dy},
         {"rows", in.rows},
         {"expert", table.expert},
         {"position", table.position},
         {"weight", table.weight},
         {"offsets", table.offsets},
         {"mlp", in.mlp},
         {"coefficient", in.coefficient}});
    MOE_LAUNCH(stream, combine_backward, upstream, in, table, out);
  });
}
