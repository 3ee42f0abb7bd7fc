// The checks of every struct of a call: it is not null, it has its size, and messages name its missing tensors. Covers
// all structs of the ABI.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

class StructTest : public KernelTest {
 protected:
  // Makes `call` with the struct, without it, with another size, and without each tensor that it needs.
  template <typename Struct>
  static void check(const char* name, const Passed<Struct>& passed, std::initializer_list<View Struct::*> members,
                    std::initializer_list<const char*> names, const std::function<moe_status(const Struct*)>& call) {
    SCOPED_TRACE(name);
    EXPECT_MOE_OK(call(passed));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string(name) + " is null", call(nullptr));
    Passed<Struct> spoilt = passed;
    spoilt.value.struct_size -= 4;
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string(name) + " has struct_size", call(spoilt));
    const char* const* member_name = names.begin();
    for (View Struct::* member : members) {
      spoilt = passed;
      spoilt.value.*member = nullptr;
      EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string(*member_name++) + " is null", call(spoilt));
    }
    alignas(Struct) char bytes[sizeof(Struct) + 1];
    std::memcpy(bytes + 1, &passed.value, sizeof(Struct));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string(name) + " is misaligned",
                       call(reinterpret_cast<const Struct*>(bytes + 1)));
  }
};

TEST_F(StructTest, Gate) {
  const GateInput in(8, 4, gate_config(2));
  const GateOutput out(in);
  const Tensor dweight(MOE_FLOAT32, {8, 2}), dlogits(MOE_FLOAT32, {8, 4});
  const auto inputs = gate_inputs(in.logits, nullptr, nullptr, nullptr, nullptr);
  const auto table =
      all_routes(out.scores, out.expert, out.position, out.weight, out.choice, out.counts, out.offsets, out.losses);
  const auto gradients = gate_gradients(1, 1, dweight, dlogits);
  check<moe_gate_inputs>("inputs", inputs, {&moe_gate_inputs::logits}, {"logits"},
                         [&](const moe_gate_inputs* s) { return moe_gate_forward(stream, &in.config, s, table); });
  check<moe_routes>("routes", table,
                    {&moe_routes::scores, &moe_routes::expert, &moe_routes::position, &moe_routes::weight,
                     &moe_routes::choice, &moe_routes::counts, &moe_routes::offsets, &moe_routes::losses},
                    {"scores", "expert", "position", "weight", "choice", "counts", "offsets", "losses"},
                    [&](const moe_routes* s) { return moe_gate_forward(stream, &in.config, inputs, s); });
  check<moe_routes>("routes", chosen_routes(out.scores, out.expert, out.choice),
                    {&moe_routes::scores, &moe_routes::expert, &moe_routes::choice}, {"scores", "expert", "choice"},
                    [&](const moe_routes* s) { return moe_gate_backward(stream, &in.config, inputs, s, gradients); });
  check<moe_gate_gradients>(
      "gradients", gradients, {&moe_gate_gradients::dweight, &moe_gate_gradients::dlogits}, {"dweight", "dlogits"},
      [&](const moe_gate_gradients* s) { return moe_gate_backward(stream, &in.config, inputs, table, s); });
}

TEST_F(StructTest, Balance) {
  const Tensor scores(MOE_FLOAT32, {8, 4}), choice(MOE_INT32, {8, 2}), dlogits(MOE_FLOAT32, {8, 4});
  const Tensor used(MOE_INT32, {2}), chosen(MOE_INT32, {2, 4}), totals(MOE_FLOAT64, {2, 4});
  const auto config = balance_config(MOE_SOFTMAX, 2, 0);
  const auto sums = balance_sums(used, chosen, totals);
  check<moe_balance_config>("config", config, {}, {}, [&](const moe_balance_config* s) {
    return moe_balance_forward(stream, s, scores, choice, sums);
  });
  check<moe_balance_sums>("sums", sums, {&moe_balance_sums::used, &moe_balance_sums::chosen, &moe_balance_sums::scores},
                          {"used", "chosen", "sums.scores"}, [&](const moe_balance_sums* s) {
                            return moe_balance_forward(stream, config, scores, choice, s);
                          });
  const Tensor loss(MOE_FLOAT32, {1}), parts(MOE_FLOAT64, {2, 7});
  const Tensor batch_used(MOE_INT32, {1}), batch_chosen(MOE_INT32, {1, 4}), batch_scores(MOE_FLOAT64, {1, 4});
  check<moe_balance_sums>("sums", balance_sums(batch_used, batch_chosen, batch_scores),
                          {&moe_balance_sums::used, &moe_balance_sums::chosen, &moe_balance_sums::scores},
                          {"used", "chosen", "sums.scores"},
                          [&](const moe_balance_sums* s) { return moe_balance_join(stream, parts, s, loss); });
  check<moe_balance_config>("config", config, {}, {},
                            [&](const moe_balance_config* s) { return moe_balance_loss(stream, s, sums, 2, loss); });
  check<moe_balance_sums>("sums", sums, {&moe_balance_sums::used, &moe_balance_sums::chosen, &moe_balance_sums::scores},
                          {"used", "chosen", "sums.scores"},
                          [&](const moe_balance_sums* s) { return moe_balance_loss(stream, config, s, 2, loss); });
  check<moe_balance_sums>(
      "sums", balance_sums(used, chosen, nullptr), {&moe_balance_sums::used, &moe_balance_sums::chosen},
      {"used", "chosen"},
      [&](const moe_balance_sums* s) { return moe_balance_backward(stream, config, 1, scores, s, dlogits); });
}

TEST_F(StructTest, DispatchAndCombine) {
  const Tensor x(MOE_FLOAT32, {1, 4}), rows(MOE_FLOAT32, {1, 4}), index(MOE_INT32, {1, 1}), weight(MOE_FLOAT32, {1, 1});
  const Tensor offsets = Tensor::of(MOE_INT32, {2}, {0, 1}), dweight(MOE_FLOAT32, {1, 1}), y(MOE_FLOAT32, {1, 4});
  const auto table = table_of(index, index, offsets, weight);
  check<moe_routes>("routes", table, {&moe_routes::expert, &moe_routes::position, &moe_routes::offsets},
                    {"expert", "position", "offsets"},
                    [&](const moe_routes* s) { return moe_dispatch_forward(stream, x, s, rows); });
  const auto inputs = combine_inputs(rows, nullptr, nullptr);
  check<moe_routes>("routes", table,
                    {&moe_routes::expert, &moe_routes::position, &moe_routes::offsets, &moe_routes::weight},
                    {"expert", "position", "offsets", "weight"},
                    [&](const moe_routes* s) { return moe_combine_forward(stream, inputs, s, y); });
  check<moe_combine_inputs>("inputs", inputs, {&moe_combine_inputs::rows}, {"rows"},
                            [&](const moe_combine_inputs* s) { return moe_combine_forward(stream, s, table, y); });
  check<moe_combine_gradients>(
      "gradients", combine_gradients(x, dweight, nullptr, nullptr),
      {&moe_combine_gradients::drows, &moe_combine_gradients::dweight}, {"drows", "dweight"},
      [&](const moe_combine_gradients* s) { return moe_combine_backward(stream, y, inputs, table, s); });
}

TEST_F(StructTest, ProductsNormsLossesOptimizer) {
  const Tensor a(MOE_FLOAT32, {2, 4}), b(MOE_FLOAT32, {4, 4}), c(MOE_FLOAT32, {2, 4});
  check<moe_gemm_config>("config", form(0, 1), {}, {},
                         [&](const moe_gemm_config* s) { return moe_gemm(stream, s, a, b, c, nullptr); });
  const Epilogue epilogue(MOE_GELU);
  moe_epilogue wrong = *static_cast<const moe_epilogue*>(epilogue);
  wrong.struct_size = 4;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "epilogue has struct_size 4", moe_gemm(stream, form(0, 1), a, b, c, &wrong));
  const Tensor gamma(MOE_FLOAT32, {4}), beta(MOE_FLOAT32, {4}), statistics(MOE_FLOAT32, {2});
  check<moe_norm>("norm", norm(1, gamma, beta, nullptr, nullptr), {&moe_norm::gamma, &moe_norm::beta},
                  {"gamma", "beta"}, [&](const moe_norm* s) { return moe_layer_norm_forward(stream, s, a, c); });
  check<moe_norm>("norm", norm(1, gamma, nullptr, nullptr, statistics), {&moe_norm::gamma, &moe_norm::rstd},
                  {"gamma", "rstd"},
                  [&](const moe_norm* s) { return moe_rms_norm_backward(stream, s, a, a, c, beta); });
  const Tensor targets(MOE_INT32, {2}), losses(MOE_FLOAT32, {2});
  check<moe_token_losses>("tokens", tokens_of(0, 1, targets, losses),
                          {&moe_token_losses::targets, &moe_token_losses::losses}, {"targets", "losses"},
                          [&](const moe_token_losses* s) { return moe_cross_entropy(stream, s, a, nullptr); });
  const Tensor uniform(MOE_FLOAT64, {2});
  check<moe_sampling>("sampling", sampling(losses, losses, targets, losses, uniform, Tensor(MOE_INT32, {2})),
                      {&moe_sampling::temperature, &moe_sampling::min_p, &moe_sampling::top_k, &moe_sampling::top_p,
                       &moe_sampling::uniform, &moe_sampling::tokens},
                      {"temperature", "min_p", "top_k", "top_p", "uniform", "tokens"},
                      [&](const moe_sampling* s) { return moe_sample(stream, s, a); });
  const Tensor w(MOE_FLOAT32, {4}), m(MOE_FLOAT32, {4}), v(MOE_FLOAT32, {4});
  check<moe_adamw_config>("config", adamw(0.1f, 0.9f, 0.9f, 1e-8f, 0, 1, 1), {}, {}, [&](const moe_adamw_config* s) {
    return moe_adamw_step(stream, s, w, gamma, m, v, nullptr);
  });
}

}  // namespace
}  // namespace moe::testing
