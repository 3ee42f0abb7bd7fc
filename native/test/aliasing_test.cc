// Every kernel call refuses an output that aliases an input or another output, unless its header allows it; and on the
// CPU it allocates nothing after its first call of a size. Covers all entry points of the ABI that take tensors.
#include <functional>
#include <set>

#include "test/allocations.h"
#include "test/structs.h"
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

struct Argument {
  const char* name;
  Tensor tensor;
};

Argument floats(const char* name, std::initializer_list<int64_t> shape) { return {name, Tensor(MOE_FLOAT32, shape)}; }
Argument ints(const char* name, std::initializer_list<int64_t> shape) { return {name, Tensor(MOE_INT32, shape)}; }

template <typename... Arguments>
std::vector<Argument> all(Arguments&&... arguments) {
  std::vector<Argument> list;
  (list.push_back(std::forward<Arguments>(arguments)), ...);
  return list;
}

class AliasingTest : public KernelTest {
 protected:
  using Views = std::vector<moe_tensor>;
  using Call = std::function<moe_status(const moe_tensor* views)>;

  static void expect_no_allocation(const std::function<moe_status()>& again) {
    if (!kCountsAllocations || !on_cpu()) return;
    const int64_t before = allocations();
    const moe_status status = again();
    EXPECT_EQ(allocations(), before);
    EXPECT_MOE_OK(status);
  }

  // `call` takes the arguments in order; the first `written` are outputs. An argument whose name is one of `in_place`
  // may alias the first one.
  void check(const char* what, const std::vector<Argument>& arguments, size_t written, const Call& call,
             const std::set<std::string>& in_place = {}) {
    SCOPED_TRACE(what);
    int64_t most = 0;
    for (const Argument& argument : arguments) most = std::max(most, argument.tensor.view().bytes);
    // Each argument in the memory of every other that is large enough, also moved by an element.
    std::vector<std::shared_ptr<uint8_t>> memory;
    Views views;
    for (const Argument& argument : arguments) {
      memory.push_back(test_memory(static_cast<size_t>(most) + 4));
      views.push_back(argument.tensor.view());
      std::memcpy(memory.back().get(), views.back().data, static_cast<size_t>(views.back().bytes));
      views.back().data = memory.back().get();
    }
    ASSERT_MOE_OK(call(views.data()));
    expect_no_allocation([&] { return call(views.data()); });
    for (size_t i = 0; i < written; ++i) {
      for (size_t j = 0; j < views.size(); ++j) {
        if (i == j || (j < i && j < written)) continue;
        const std::string expected = std::string(arguments[i].name) + " and " + arguments[j].name + " share memory";
        Views shared = views;
        shared[i].data = views[j].data;
        if (i == 0 && in_place.contains(arguments[j].name)) {
          EXPECT_MOE_OK(call(shared.data())) << expected;
          shared[i].data = static_cast<char*>(views[j].data) + 4;
        }
        EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, expected, call(shared.data()));
      }
    }
  }
};

TEST_F(AliasingTest, Elementwise) {
  check("cast", all(floats("y", {4}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_cast(stream, &a[1], &a[0]); }, {"x"});
  check("add", all(floats("y", {4}), floats("a", {4}), floats("b", {4})), 1,
        [&](const moe_tensor* a) { return moe_add(stream, 1, &a[1], 1, &a[2], &a[0]); }, {"a", "b"});
  check("clamp forward", all(floats("y", {4}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_clamp_forward(stream, 1, &a[1], &a[0]); }, {"x"});
  check("clamp backward", all(floats("dx", {4}), floats("x", {4}), floats("dy", {4})), 1,
        [&](const moe_tensor* a) { return moe_clamp_backward(stream, 1, &a[1], &a[2], &a[0]); }, {"x", "dy"});
  check("exp forward", all(floats("y", {4}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_exp_forward(stream, 1, &a[1], &a[0]); }, {"x"});
  check("soft cap", all(floats("y", {4}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_soft_cap(stream, 1, &a[1], &a[0]); }, {"x"});
  check("exp backward", all(floats("dx", {4}), floats("x", {4}), floats("dy", {4})), 1,
        [&](const moe_tensor* a) { return moe_exp_backward(stream, 1, &a[1], &a[2], &a[0]); }, {"x", "dy"});
  check("activation forward", all(floats("y", {2, 4}), floats("x", {2, 4})), 1,
        [&](const moe_tensor* a) { return moe_activation_forward(stream, activation_of(MOE_SILU), &a[1], &a[0]); });
  check("activation backward", all(floats("dx", {2, 4}), floats("x", {2, 4}), floats("dy", {2, 4})), 1,
        [&](const moe_tensor* a) {
          return moe_activation_backward(stream, activation_of(MOE_SILU), &a[1], &a[2], &a[0]);
        },
        {"x"});
  check("jitter", all(floats("y", {4}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_jitter(stream, 1, 2, 0.1f, &a[1], &a[0]); }, {"x"});
}

TEST_F(AliasingTest, Embedding) {
  check("forward",
        all(floats("y", {2, 4}), ints("ids", {2}), floats("table", {3, 4}), ints("positions", {2}),
            floats("position_table", {3, 4})),
        1, [&](const moe_tensor* a) { return moe_embedding_forward(stream, &a[1], &a[2], &a[3], &a[4], &a[0]); });
  check("backward",
        all(floats("dtable", {3, 4}), floats("dposition_table", {3, 4}), ints("ids", {2}), ints("positions", {2}),
            floats("dy", {2, 4})),
        2, [&](const moe_tensor* a) { return moe_embedding_backward(stream, &a[2], &a[3], &a[4], &a[0], &a[1]); });
}

TEST_F(AliasingTest, Norm) {
  check("layer norm forward",
        all(floats("y", {2, 4}), floats("mean", {2}), floats("rstd", {2}), floats("x", {2, 4}), floats("gamma", {4}),
            floats("beta", {4})),
        3, [&](const moe_tensor* a) {
          return moe_layer_norm_forward(stream, norm(1, &a[4], &a[5], &a[1], &a[2]), &a[3], &a[0]);
        });
  check("layer norm backward",
        all(floats("dx", {2, 4}), floats("dgamma", {4}), floats("dbeta", {4}), floats("dy", {2, 4}),
            floats("x", {2, 4}), floats("gamma", {4}), floats("mean", {2}), floats("rstd", {2})),
        3, [&](const moe_tensor* a) {
          return moe_layer_norm_backward(stream, norm(0, &a[5], nullptr, &a[6], &a[7]), &a[4], &a[3], &a[0], &a[1],
                                         &a[2]);
        });
  check("RMS norm forward", all(floats("y", {2, 4}), floats("rstd", {2}), floats("x", {2, 4}), floats("gamma", {4})), 2,
        [&](const moe_tensor* a) {
          return moe_rms_norm_forward(stream, norm(1, &a[3], nullptr, nullptr, &a[1]), &a[2], &a[0]);
        });
  check("RMS norm backward",
        all(floats("dx", {2, 4}), floats("dgamma", {4}), floats("dy", {2, 4}), floats("x", {2, 4}),
            floats("gamma", {4}), floats("rstd", {2})),
        2, [&](const moe_tensor* a) {
          return moe_rms_norm_backward(stream, norm(0, &a[4], nullptr, nullptr, &a[5]), &a[3], &a[2], &a[0], &a[1]);
        });
}

TEST_F(AliasingTest, Attention) {
  check("rotary",
        all(floats("y", {1, 1, 4}), floats("x", {1, 1, 4}), ints("positions", {1}), floats("cosine", {3, 2}),
            floats("sine", {3, 2})),
        1, [&](const moe_tensor* a) { return moe_rotary(stream, &a[1], rotary_angles(&a[2], &a[3], &a[4]), 1, &a[0]); },
        {"x"});
  check("head copy", all(floats("y", {1, 2, 4}), floats("x", {2, 1, 4})), 1,
        [&](const moe_tensor* a) { return moe_head_copy(stream, head_columns(1, 0, 2, 2), &a[1], &a[0]); });
  check("forward",
        all(floats("out", {1, 2, 1, 4}), floats("logsumexp", {1, 1, 2}), floats("q", {1, 2, 1, 4}),
            floats("k", {1, 2, 1, 4}), floats("v", {1, 2, 1, 4}), floats("sinks", {1})),
        2, [&](const moe_tensor* a) {
          return moe_attention_forward(stream, attention_config(1), attention_inputs(&a[2], &a[3], &a[4], &a[5]), &a[0],
                                       &a[1]);
        });
  check("backward",
        all(floats("dq", {1, 2, 1, 4}), floats("dk", {1, 2, 1, 4}), floats("dv", {1, 2, 1, 4}), floats("dsinks", {1}),
            floats("q", {1, 2, 1, 4}), floats("k", {1, 2, 1, 4}), floats("v", {1, 2, 1, 4}), floats("sinks", {1}),
            floats("out", {1, 2, 1, 4}), floats("logsumexp", {1, 1, 2}), floats("dout", {1, 2, 1, 4})),
        4, [&](const moe_tensor* a) {
          return moe_attention_backward(stream, attention_config(1), attention_inputs(&a[4], &a[5], &a[6], &a[7]),
                                        &a[8], &a[9], &a[10], attention_gradients(&a[0], &a[1], &a[2], &a[3]));
        });
  check("cache append",
        all(floats("keys", {2, 3, 1, 4}), floats("values", {2, 3, 1, 4}), floats("k", {1, 1, 4}),
            floats("v", {1, 1, 4}), ints("table", {2, 1}), ints("slot", {1}), ints("position", {1})),
        2, [&](const moe_tensor* a) {
          return moe_cache_append(stream, &a[2], &a[3], cache_places(&a[0], &a[1], &a[4], &a[5], &a[6]));
        });
  check("decode",
        all(floats("out", {1, 1, 4}), floats("q", {1, 1, 4}), floats("sinks", {1}), floats("keys", {2, 3, 1, 4}),
            floats("values", {2, 3, 1, 4}), ints("table", {2, 1}), ints("slot", {1}), ints("position", {1})),
        1, [&](const moe_tensor* a) {
          return moe_attention_decode(stream, attention_config(1), &a[1], &a[2],
                                      cache_places(&a[3], &a[4], &a[5], &a[6], &a[7]), &a[0]);
        });
  check("biased",
        all(floats("out", {1, 1, 4}), floats("q", {1, 1, 4}), floats("bias", {3, 1}), ints("bias.position", {1}),
            floats("keys", {2, 3, 1, 4}), floats("values", {2, 3, 1, 4}), ints("table", {2, 1}), ints("slot", {1}),
            ints("position", {1})),
        1, [&](const moe_tensor* a) {
          return moe_attention_biased(stream, attention_config(1), relative_bias(&a[2], &a[3]), &a[1],
                                      cache_places(&a[4], &a[5], &a[6], &a[7], &a[8]), &a[0]);
        });
  const auto bytes = [](const char* name) { return Argument{name, Tensor(MOE_INT8, {2, 3, 1, 4})}; };
  check("int8 cache append",
        all(bytes("keys"), bytes("values"), floats("key_scales", {2, 3, 1}), floats("value_scales", {2, 3, 1}),
            floats("k", {1, 1, 4}), floats("v", {1, 1, 4}), ints("table", {2, 1}), ints("slot", {1}),
            ints("position", {1})),
        4, [&](const moe_tensor* a) {
          return moe_cache_append(stream, &a[4], &a[5], int8_places(&a[0], &a[1], &a[2], &a[3], &a[6], &a[7], &a[8]));
        });
  check("int8 decode",
        all(floats("out", {1, 1, 4}), floats("q", {1, 1, 4}), floats("sinks", {1}), bytes("keys"), bytes("values"),
            floats("key_scales", {2, 3, 1}), floats("value_scales", {2, 3, 1}), ints("table", {2, 1}),
            ints("slot", {1}), ints("position", {1})),
        1, [&](const moe_tensor* a) {
          return moe_attention_decode(stream, attention_config(1), &a[1], &a[2],
                                      int8_places(&a[3], &a[4], &a[5], &a[6], &a[7], &a[8], &a[9]), &a[0]);
        });
}

TEST_F(AliasingTest, Gemm) {
  check("gemm",
        all(floats("c", {2, 4}), floats("preactivation", {2, 4}), floats("a", {2, 3}), floats("b", {3, 4}),
            floats("bias", {4}), floats("addend", {2, 4})),
        2, [&](const moe_tensor* a) {
          return moe_gemm(stream, form(0, 0), &a[2], &a[3], &a[0], Epilogue(MOE_SILU, &a[4], &a[1], &a[5]));
        });
  check("column sum", all(floats("y", {4}), floats("x", {2, 4})), 1,
        [&](const moe_tensor* a) { return moe_column_sum(stream, &a[1], &a[0]); });
}

TEST_F(AliasingTest, Gate) {
  const moe_gate_config config = gate_config(1);
  for (const bool noisy : {false, true}) {  // a bias or noise
    const auto forward = [&](const moe_tensor* a) {
      return moe_gate_forward(stream, &config,
                              gate_inputs(&a[8], &a[9], noisy ? nullptr : &a[11], noisy ? &a[11] : nullptr, &a[10]),
                              all_routes(&a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &a[6], &a[7]));
    };
    std::vector<Argument> arguments =
        all(floats("scores", {2, 3}), ints("expert", {2, 1}), ints("position", {2, 1}), floats("weight", {2, 1}),
            ints("choice", {2, 1}), ints("counts", {3}), ints("offsets", {4}), floats("losses", {2}),
            floats("logits", {2, 3}), Argument{"used", Tensor(MOE_UINT8, {2})}, floats("priority", {2, 3}));
    arguments.push_back(noisy ? floats("noise", {2, 3}) : floats("bias", {3}));
    check("forward", arguments, 8, forward);
  }
  check("backward",
        all(floats("dlogits", {2, 3}), floats("logits", {2, 3}), Argument{"used", Tensor(MOE_UINT8, {2})},
            floats("scores", {2, 3}), ints("expert", {2, 1}), ints("choice", {2, 1}), floats("dweight", {2, 1}),
            ints("batch_used", {1}), ints("batch_chosen", {1, 3})),
        1, [&](const moe_tensor* a) {
          return moe_gate_backward(stream, &config, gate_inputs(&a[1], &a[2], nullptr, nullptr, nullptr),
                                   chosen_routes(&a[3], &a[4], &a[5]),
                                   gate_gradients(1, 1, &a[6], &a[0], &a[7], &a[8]));
        });
}

TEST_F(AliasingTest, Balance) {
  const auto config = balance_config(MOE_SOFTMAX, 1, 1);
  const auto doubles = [](const char* name, std::initializer_list<int64_t> shape) {
    return Argument{name, Tensor(MOE_FLOAT64, shape)};
  };
  check("forward",
        all(ints("used", {2}), ints("chosen", {2, 3}), doubles("sums.scores", {2, 3}), doubles("entropy", {2}),
            floats("scores", {4, 3}), ints("choice", {4, 1})),
        4, [&](const moe_tensor* a) {
          return moe_balance_forward(stream, config, &a[4], &a[5], balance_sums(&a[0], &a[1], &a[2], &a[3]));
        });
  check("join",
        all(ints("used", {1}), ints("chosen", {1, 3}), doubles("sums.scores", {1, 3}), floats("z", {1}),
            doubles("parts", {2, 6})),
        4,
        [&](const moe_tensor* a) { return moe_balance_join(stream, &a[4], balance_sums(&a[0], &a[1], &a[2]), &a[3]); });
  check("loss", all(floats("loss", {1}), ints("used", {2}), ints("chosen", {2, 3}), doubles("sums.scores", {2, 3})), 1,
        [&](const moe_tensor* a) {
          return moe_balance_loss(stream, config, balance_sums(&a[1], &a[2], &a[3]), 2, &a[0]);
        });
  check("backward", all(floats("dlogits", {4, 3}), floats("scores", {4, 3}), ints("used", {2}), ints("chosen", {2, 3})),
        1, [&](const moe_tensor* a) {
          return moe_balance_backward(stream, config, 1, &a[1], balance_sums(&a[2], &a[3], nullptr), &a[0]);
        });
}

// One token, which is the only row of the only expert.
Argument one_row() { return {"offsets", Tensor::of(MOE_INT32, {2}, {0, 1})}; }

TEST_F(AliasingTest, Dispatch) {
  check("forward",
        all(floats("rows", {1, 4}), floats("x", {1, 4}), ints("expert", {1, 1}), ints("position", {1, 1}), one_row()),
        1,
        [&](const moe_tensor* a) { return moe_dispatch_forward(stream, &a[1], table_of(&a[2], &a[3], &a[4]), &a[0]); });
  check("backward",
        all(floats("dx", {1, 4}), floats("drows", {1, 4}), ints("expert", {1, 1}), ints("position", {1, 1}), one_row()),
        1, [&](const moe_tensor* a) {
          return moe_dispatch_backward(stream, &a[1], table_of(&a[2], &a[3], &a[4]), &a[0]);
        });
}

TEST_F(AliasingTest, Exchange) {
  moe_blocks one{};
  one.struct_size = sizeof one;
  one.count = one.rows[0] = 1;
  check("block copy", all(floats("y", {1, 4}), floats("x", {1, 4})), 1,
        [&](const moe_tensor* a) { return moe_block_copy(stream, &one, &a[1], &a[0]); });
  check("slot starts", all(ints("slots", {1, 4}), ints("starts", {2}), one_row()), 2,
        [&](const moe_tensor* a) { return moe_slot_starts(stream, 2, &a[2], &a[0], &a[1]); });
  check("slot routes",
        all(ints("expert", {2, 1}), ints("position", {2, 1}), ints("offsets", {2}), ints("slots", {1, 4})), 3,
        [&](const moe_tensor* a) { return moe_slot_routes(stream, 1, &a[3], &a[0], &a[1], &a[2]); });
}

TEST_F(AliasingTest, Expert) {
  check("forward",
        all(floats("y", {1, 4}), floats("preactivation", {1, 4}), floats("x", {1, 3}), one_row(),
            floats("weights", {1, 4, 3}), floats("bias", {1, 4}), floats("addend", {1, 4})),
        2, [&](const moe_tensor* a) {
          return moe_expert_forward(stream, &a[2], &a[3], &a[4], &a[0], Epilogue(MOE_SILU, &a[5], &a[1], &a[6]));
        });
  check("backward input", all(floats("dx", {1, 3}), floats("dy", {1, 4}), one_row(), floats("weights", {1, 4, 3})), 1,
        [&](const moe_tensor* a) { return moe_expert_backward_input(stream, &a[1], &a[2], &a[3], &a[0]); });
  check(
      "backward weights",
      all(floats("dweights", {1, 4, 3}), floats("dbias", {1, 4}), floats("dy", {1, 4}), floats("x", {1, 3}), one_row()),
      2,
      [&](const moe_tensor* a) { return moe_expert_backward_weights(stream, 0, &a[2], &a[3], &a[4], &a[0], &a[1]); });
}

TEST_F(AliasingTest, TeamsOfThreadsAllocateNothing) {
  if (!kCountsAllocations || !on_cpu()) GTEST_SKIP() << "allocations are not counted here";
  moe_stream team = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 4, &team));
  const Tensor one(MOE_FLOAT32, {1}), sum(MOE_FLOAT32, {1});
  const int64_t before = allocations();
  ASSERT_MOE_OK(moe_square_sum(team, one, sum));
  EXPECT_GT(allocations(), before);  // the first scratch memory
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Tensor x(dtype, {600, 512}), weights(dtype, {2, 1024, 512}), y(dtype, {600, 1024}), dx(dtype, {600, 512});
    const Tensor offsets = Tensor::of(MOE_INT32, {3}, {0, 400, 600}), dweights(MOE_FLOAT32, {2, 1024, 512});
    const std::function<moe_status()> calls[] = {
        [&] { return moe_expert_forward(team, x, offsets, weights, y, Epilogue(MOE_GELU)); },
        [&] { return moe_expert_backward_input(team, y, offsets, weights, dx); },
        [&] { return moe_expert_backward_weights(team, 0, y, x, offsets, dweights, nullptr); }};
    for (const auto& call : calls) {
      ASSERT_MOE_OK(call());
      expect_no_allocation(call);
    }
  }
  ASSERT_MOE_OK(moe_stream_destroy(team));
}

TEST_F(AliasingTest, Combine) {
  check("forward",
        all(floats("y", {1, 4}), floats("rows", {1, 4}), ints("expert", {1, 1}), ints("position", {1, 1}),
            floats("weight", {1, 1}), one_row(), floats("mlp", {1, 4}), floats("coefficient", {1, 2}),
            floats("skip", {1, 4})),
        1,
        [&](const moe_tensor* a) {
          return moe_combine_forward(stream, combine_inputs(&a[1], &a[6], &a[7], &a[8]),
                                     table_of(&a[2], &a[3], &a[5], &a[4]), &a[0]);
        },
        {"mlp", "skip"});
  check("backward",
        all(floats("drows", {1, 4}), floats("dweight", {1, 1}), floats("dmlp", {1, 4}), floats("dcoefficient", {1, 2}),
            floats("dy", {1, 4}), floats("rows", {1, 4}), ints("expert", {1, 1}), ints("position", {1, 1}),
            floats("weight", {1, 1}), one_row(), floats("mlp", {1, 4}), floats("coefficient", {1, 2})),
        4, [&](const moe_tensor* a) {
          return moe_combine_backward(stream, &a[4], combine_inputs(&a[5], &a[10], &a[11]),
                                      table_of(&a[6], &a[7], &a[9], &a[8]),
                                      combine_gradients(&a[0], &a[1], &a[2], &a[3]));
        });
}

TEST_F(AliasingTest, Sample) {
  check("sample",
        all(ints("tokens", {2}), floats("logits", {2, 40}), floats("temperature", {2}), floats("min_p", {2}),
            ints("top_k", {2}), floats("top_p", {2}), Argument{"uniform", Tensor(MOE_FLOAT64, {2})}),
        1, [&](const moe_tensor* a) {
          return moe_sample(stream, sampling(&a[2], &a[3], &a[4], &a[5], &a[6], &a[0]), &a[1]);
        });
}

TEST_F(AliasingTest, Loss) {
  check("cross-entropy",
        all(floats("dlogits", {2, 3}), floats("losses", {2}), floats("logits", {2, 3}), ints("targets", {2})), 2,
        [&](const moe_tensor* a) { return moe_cross_entropy(stream, tokens_of(0, 1, &a[3], &a[1]), &a[2], &a[0]); },
        {"logits"});
  check("linear cross-entropy",
        all(floats("losses", {2}), floats("dhidden", {2, 4}), floats("dweights", {3, 4}), floats("hidden", {2, 4}),
            floats("weights", {3, 4}), ints("targets", {2})),
        3, [&](const moe_tensor* a) {
          return moe_linear_cross_entropy(stream, tokens_of(0, 1, &a[5], &a[0]), &a[3], &a[4], &a[1], &a[2]);
        });
  check("linear distillation",
        all(floats("losses", {2}), floats("divergences", {2}), floats("dhidden", {2, 4}), floats("dweights", {3, 4}),
            floats("hidden", {2, 4}), floats("weights", {3, 4}), ints("targets", {2}),
            floats("teacher's hidden", {2, 5}), floats("teacher's weights", {3, 5})),
        4, [&](const moe_tensor* a) {
          return moe_linear_distillation(stream, tokens_of(0, 1, &a[6], &a[0]), teacher_of(2, 1, &a[7], &a[8], &a[1]),
                                         &a[4], &a[5], &a[2], &a[3]);
        });
}

TEST_F(AliasingTest, Optimizer) {
  check("AdamW",
        all(floats("parameter", {4}), floats("first_moment", {4}), floats("second_moment", {4}),
            Argument{"copy", Tensor(MOE_BFLOAT16, {4})}, floats("gradient", {4})),
        4, [&](const moe_tensor* a) {
          return moe_adamw_step(stream, adamw(0.1f, 0.9f, 0.9f, 1e-8f, 0, 1, 1), &a[0], &a[4], &a[1], &a[2], &a[3]);
        });
  check("square sum", all(floats("sum", {1}), floats("x", {4})), 1,
        [&](const moe_tensor* a) { return moe_square_sum(stream, &a[1], &a[0]); });
}

}  // namespace
}  // namespace moe::testing
