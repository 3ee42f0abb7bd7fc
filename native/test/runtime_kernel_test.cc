// Runtime kernels in the emulation: what they compute, what they refuse, and which calls they serve. Java tests compile
// them by NVRTC.
#include <cstring>

#include "test/gate_reference.h"
#include "test/gemm_reference.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // fields that do not belong to a kernel's kind are 0
namespace moe::testing {
namespace {

class RuntimeKernelTest : public KernelTest {
 protected:
  moe_status install(moe_runtime_kernel kernel, const char* image) {
    kernel.struct_size = sizeof(kernel);
    return moe_runtime_kernel_install(device, &kernel, image, static_cast<int64_t>(std::strlen(image)));
  }
};

using RuntimeInstallTest = RuntimeKernelTest;

TEST_F(RuntimeInstallTest, RefusesWhatIsNoKernel) {
  moe_runtime_kernel kernel{.kind = MOE_RUNTIME_GATE, .experts = 8, .top_k = 1};
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel is null", moe_runtime_kernel_install(device, nullptr, "", 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "struct_size 0", moe_runtime_kernel_install(device, &kernel, "", 1));
  kernel.struct_size = sizeof(kernel);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "image is null", moe_runtime_kernel_install(device, &kernel, nullptr, 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "image_bytes is 0", moe_runtime_kernel_install(device, &kernel, "", 0));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "", moe_runtime_kernel_install(stream, &kernel, "", 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.kind is 7", install({.kind = 7}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.experts is 1025", install({.experts = 1025, .top_k = 1}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.top_k is 9, expected 1 to 8",
                     install({.experts = 8, .top_k = 9}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "a multiple of 8", install({.kind = MOE_RUNTIME_EXPERT, .inner = 12}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "activation is custom (7), and none was installed",
                     install({.kind = MOE_RUNTIME_EXPERT, .activation = MOE_CUSTOM_ACTIVATION, .inner = 8}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.inner is 64, expected 0",
                     install({.experts = 8, .top_k = 1, .inner = 64}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.score is 1, expected 0",
                     install({.kind = MOE_RUNTIME_ACTIVATION, .score = MOE_SIGMOID}, "x"));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "kernel.reserved is 3, expected 0",
                     install({.kind = MOE_RUNTIME_ACTIVATION, .reserved = 3}, "x"));
  const moe_status status = emulated() ? MOE_INVALID_ARGUMENT : MOE_UNSUPPORTED;
  const char* sentence = emulated() ? "image of 7 bytes cannot be loaded" : "takes no runtime kernels";
  if (std::string(backend_under_test()) != "cuda") {
    EXPECT_MOE_REFUSED(status, sentence, install({.experts = 8, .top_k = 1}, "nothing"));
  }
}

TEST_F(RuntimeInstallTest, ACustomActivationMustBeInstalled) {
  const Tensor x = Tensor::random(MOE_FLOAT32, {2, 8}, 1);
  const Tensor y(MOE_FLOAT32, {2, 8});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "activation is custom (7), and none was installed on this device",
                     moe_activation_forward(stream, activation_of(MOE_CUSTOM_ACTIVATION), x, y));
}

struct GateCase {
  const char* image;
  int64_t experts;
  moe_gate_config config;
};

GateCase gate_case(const char* image, int64_t experts, int32_t top_k, moe_score score, moe_queue_order order,
                   moe_normalization normalization) {
  GateCase gate{image, experts, gate_config(top_k)};
  gate.config.score = score;
  gate.config.queue_order = order;
  gate.config.normalization = normalization;
  gate.config.auxiliary_choices = top_k;
  return gate;
}

std::vector<GateCase> gate_cases() {
  return {gate_case("gate_8_1", 8, 1, MOE_SOFTMAX, MOE_TOKEN_MAJOR, MOE_RAW),
          gate_case("gate_12_10", 12, 10, MOE_SOFTMAX, MOE_TOKEN_MAJOR, MOE_SURVIVORS),
          gate_case("gate_70_5", 70, 5, MOE_SIGMOID, MOE_CHOICE_MAJOR, MOE_CHOSEN),
          gate_case("gate_1024_16", 1024, 16, MOE_SOFTMAX, MOE_CHOICE_MAJOR, MOE_RAW)};
}

// Only the emulation has images for the next tests.
class EmulatedGateTest : public RuntimeKernelTest {
 protected:
  void install_gate(const GateCase& gate) {
    ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_GATE,
                           .experts = static_cast<int32_t>(gate.experts),
                           .top_k = gate.config.top_k,
                           .score = gate.config.score,
                           .queue_order = gate.config.queue_order,
                           .chosen = gate.config.normalization == MOE_RAW ? 0 : 1},
                          gate.image));
  }
};

TEST_F(EmulatedGateTest, AgreesWithTheReference) {
  for (GateCase gate : gate_cases()) {
    install_gate(gate);
    for (const int64_t tokens : {0, 1, 7, 33, 64}) {
      SCOPED_TRACE(std::string(gate.image) + " of " + std::to_string(tokens));
      const bool dressed = tokens % 2 == 1;  // with a bias, padding and the finer rules of weights
      gate.config.auxiliary_choices = dressed ? 1 : gate.config.top_k;
      gate.config.weight_scale = dressed ? 2.5f : 1.0f;
      GateInput in(tokens, gate.experts, gate.config);
      in.logits = Tensor::random(MOE_FLOAT32, {tokens, gate.experts}, 7 + static_cast<uint64_t>(tokens), -3, 3);
      if (dressed) {
        in.bias = Tensor::random(MOE_FLOAT32, {gate.experts}, 3, -0.5, 0.5);
        in.used = Tensor(MOE_UINT8, {tokens});
        for (int64_t s = 0; s < tokens; ++s) in.used->set(s, s % 4 != 1);
      }
      const GateOutput out(in);
      ASSERT_MOE_OK(run_gate(stream, in, out));
      ASSERT_MOE_OK(moe_stream_synchronize(stream));
      const GateReference want = reference_gate(in);
      EXPECT_EQ(values_of(out.expert), want.expert);
      EXPECT_EQ(values_of(out.position), want.position);
      EXPECT_EQ(values_of(out.choice), want.choice);
      EXPECT_EQ(values_of(out.counts), want.counts);
      EXPECT_EQ(values_of(out.offsets), want.offsets);
      expect_near(out.scores, want.scores, 1e-7, 2e-6, "scores");
      expect_near(out.weight, want.weight, 1e-7, 2e-6, "weight");
      expect_near(out.losses, want.losses, 1e-6, 2e-6, "losses");
    }
  }
}

// A token must be routed alike by a prefill and by a decode step.
TEST_F(EmulatedGateTest, HasTheBitsOfTheAheadOfTimeKernels) {
  for (const GateCase& gate : gate_cases()) {
    GateInput in(50, gate.experts, gate.config);
    in.logits = Tensor::random(MOE_FLOAT32, {50, gate.experts}, 11, -3, 3);
    const GateOutput own(in), compiled(in);
    ASSERT_MOE_OK(run_gate(stream, in, own));
    install_gate(gate);
    ASSERT_MOE_OK(run_gate(stream, in, compiled));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    expect_same_routes(own, compiled);
    expect_near(compiled.losses, values_of(own.losses), 1e-6, 1e-6, "losses");
  }
}

TEST_F(EmulatedGateTest, ATokensBitsDoNotDependOnItsNeighbours) {
  const GateCase gate = gate_cases()[2];
  install_gate(gate);
  GateInput all(20, gate.experts, gate.config);
  all.logits = Tensor::random(MOE_FLOAT32, {20, gate.experts}, 5, -3, 3);
  const GateOutput of_all(all);
  ASSERT_MOE_OK(run_gate(stream, all, of_all));
  for (int64_t s = 0; s < 20; ++s) {
    GateInput one(1, gate.experts, gate.config);
    for (int64_t e = 0; e < gate.experts; ++e) one.logits.set(e, all.logits[s * gate.experts + e]);
    const GateOutput of_one(one);
    ASSERT_MOE_OK(run_gate(stream, one, of_one));
    for (int64_t e = 0; e < gate.experts; ++e) ASSERT_EQ(of_one.scores[e], of_all.scores[s * gate.experts + e]);
    for (int64_t c = 0; c < gate.config.top_k; ++c) {
      ASSERT_EQ(of_one.expert[c], of_all.expert[s * gate.config.top_k + c]);
      ASSERT_EQ(of_one.weight[c], of_all.weight[s * gate.config.top_k + c]);
    }
  }
}

TEST_F(EmulatedGateTest, RefusesWhatCannotBeRanked) {
  const GateCase gate = gate_cases()[1];
  install_gate(gate);
  GateInput in(3, gate.experts, gate.config);
  in.logits = Tensor::random(MOE_FLOAT32, {3, gate.experts}, 5);
  in.logits.set(gate.experts + 4, std::nan(""));
  const GateOutput out(in);
  const auto run = [&] {
    const moe_status status = run_gate(stream, in, out);
    return status == MOE_OK ? moe_stream_synchronize(stream) : status;
  };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logits[1, 4] is NaN", run());
  for (int64_t e = 0; e < gate.experts; ++e) in.logits.set(gate.experts + e, -INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "every logit of token 1 is -inf", run());
  in.logits.set(gate.experts + 4, 0);  // one open expert is enough
  EXPECT_MOE_OK(run());
  in.bias = Tensor::random(MOE_FLOAT32, {gate.experts}, 3);
  in.bias->set(2, INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias[2] is inf", run());
}

class EmulatedExpertTest : public RuntimeKernelTest {
 protected:
  // Groups of 0, 1, 16, 3 and 9 rows, then rows that belong to none.
  static constexpr int64_t kRows = 33, kExperts = 5;
  const Tensor offsets = Tensor::of(MOE_INT32, {kExperts + 1}, {0, 0, 1, 17, 20, 29});

  void check(moe_runtime_kernel kernel, const char* image, int64_t columns, double tolerance,
             const std::function<double(double)>& activation) {
    kernel.kind = MOE_RUNTIME_EXPERT;
    ASSERT_MOE_OK(install(kernel, image));
    const bool gated = kernel.activation == MOE_SWIGLU || kernel.activation == MOE_GEGLU_TANH;
    const auto type = [](int32_t dtype) { return static_cast<moe_dtype>(dtype); };
    const Tensor x = Tensor::random(type(kernel.x_dtype), {kRows, kernel.inner}, 1);
    const Tensor weights = Tensor::random(type(kernel.weights_dtype), {kExperts, columns, kernel.inner}, 2, -0.3, 0.3);
    const Tensor bias = Tensor::random(MOE_FLOAT32, {kExperts, columns}, 3);
    const Tensor addend = Tensor::random(type(kernel.x_dtype), {kRows, columns}, 4);
    const int64_t outputs = gated ? columns / 2 : columns;
    Tensor y(type(kernel.y_dtype), {kRows, outputs}), pre(type(kernel.y_dtype), {kRows, columns});
    Tensor plain(type(kernel.y_dtype), {kRows, outputs});
    for (Tensor* out : {&y, &pre, &plain}) out->fill(-77);
    std::vector<double> want(kRows * outputs, -77), want_pre(kRows * columns, -77);
    for (int64_t e = 0; e < kExperts; ++e) {
      for (auto row = static_cast<int64_t>(offsets[e]); row < static_cast<int64_t>(offsets[e + 1]); ++row) {
        for (int64_t n = 0; n < columns; ++n) {
          double sum = bias[e * columns + n] + addend[row * columns + n];
          for (int64_t k = 0; k < kernel.inner; ++k) {
            sum += x[row * kernel.inner + k] * weights[(e * columns + n) * kernel.inner + k];
          }
          want_pre[row * columns + n] = sum;
        }
        for (int64_t n = 0; n < outputs; ++n) {
          const double* sums = &want_pre[row * columns];
          want[row * outputs + n] = activation(sums[n]) * (gated ? sums[n + outputs] : 1);
        }
      }
    }
    ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(kernel.activation, bias, pre, addend)));
    ASSERT_MOE_OK(
        moe_expert_forward(stream, x, offsets, weights, plain, Epilogue(kernel.activation, bias, nullptr, addend)));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    expect_near(y, want, tolerance, tolerance, "y");
    expect_near(pre, want_pre, tolerance, tolerance, "preactivation");
    expect_same_bits(y, plain, "with and without the preactivation");
    expect_same_rows_alone(kernel, x, weights, bias, addend, y);
  }

  // Every row of the group of 9 has the same bits in a group of one.
  void expect_same_rows_alone(const moe_runtime_kernel& kernel, const Tensor& x, const Tensor& weights,
                              const Tensor& bias, const Tensor& addend, const Tensor& y) {
    const int64_t outputs = y.view().shape[1];
    const Tensor alone = Tensor::of(MOE_INT32, {kExperts + 1}, {0, 0, 0, 0, 0, 1});
    Tensor row(static_cast<moe_dtype>(kernel.x_dtype), {1, kernel.inner});
    Tensor out(static_cast<moe_dtype>(kernel.y_dtype), {1, outputs});
    for (int64_t r = 20; r < 29; ++r) {
      for (int64_t k = 0; k < kernel.inner; ++k) row.set(k, x[r * kernel.inner + k]);
      ASSERT_MOE_OK(moe_expert_forward(stream, row, alone, weights, out,
                                       Epilogue(kernel.activation, bias, nullptr, slice(addend, r, 1))));
      ASSERT_MOE_OK(moe_stream_synchronize(stream));
      for (int64_t n = 0; n < outputs; ++n) ASSERT_EQ(out[n], y[r * outputs + n]) << "row " << r << ", column " << n;
    }
  }
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu_tanh(double x) { return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }

TEST_F(EmulatedExpertTest, Float32WithGelu) {
  check({.activation = MOE_GELU_TANH,
         .x_dtype = MOE_FLOAT32,
         .weights_dtype = MOE_FLOAT32,
         .y_dtype = MOE_FLOAT32,
         .inner = 64},
        "expert_64_gelu", 37, 2e-6, gelu_tanh);
}

TEST_F(EmulatedExpertTest, Bfloat16WithSwiglu) {
  check({.activation = MOE_SWIGLU,
         .x_dtype = MOE_BFLOAT16,
         .weights_dtype = MOE_BFLOAT16,
         .y_dtype = MOE_BFLOAT16,
         .inner = 264},
        "expert_264_swiglu", 26, 5e-3, [](double x) { return x * sigmoid(x); });
}

TEST_F(EmulatedExpertTest, MixedWithGeglu) {
  check({.activation = MOE_GEGLU_TANH,
         .x_dtype = MOE_BFLOAT16,
         .weights_dtype = MOE_FLOAT32,
         .y_dtype = MOE_FLOAT32,
         .inner = 72},
        "expert_72_geglu", 26, 5e-6, gelu_tanh);
}

TEST_F(EmulatedExpertTest, MixedWithACustomActivation) {
  ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_ACTIVATION}, "activation"));
  check({.activation = MOE_CUSTOM_ACTIVATION,
         .x_dtype = MOE_FLOAT32,
         .weights_dtype = MOE_BFLOAT16,
         .y_dtype = MOE_FLOAT32,
         .inner = 520},
        "expert_520_custom", 8, 2e-5, [](double x) { return x * std::tanh(x); });
}

// 100 rows are a prefill; two of 70 experts have rows, and the grid has a block for each possible one only.
TEST_F(EmulatedExpertTest, ARowHasTheSameBitsInAPrefillAndInADecodeStep) {
  ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_EXPERT, .activation = MOE_GELU_TANH, .inner = 64}, "expert_64_gelu"));
  const Tensor x = Tensor::random(MOE_FLOAT32, {100, 64}, 1), weights = Tensor::random(MOE_FLOAT32, {70, 8, 64}, 2);
  Tensor offsets(MOE_INT32, {71});
  for (int64_t e = 41; e <= 70; ++e) offsets.set(e, e == 70 ? 100 : 67);
  const Tensor all(MOE_FLOAT32, {100, 8}), two(MOE_FLOAT32, {2, 8});
  ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, all, Epilogue(MOE_GELU_TANH)));
  for (int64_t e = 41; e <= 70; ++e) offsets.set(e, e == 70 ? 2 : 1);
  ASSERT_MOE_OK(moe_expert_forward(stream, slice(x, 66, 2), offsets, weights, two, Epilogue(MOE_GELU_TANH)));
  ASSERT_MOE_OK(moe_stream_synchronize(stream));
  expect_same_bits(two, slice(all, 66, 2), "rows of two experts");
  EXPECT_NE(two[0], 0);
}

TEST_F(EmulatedExpertTest, RefusesOffsetsPastTheRows) {
  ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_EXPERT, .activation = MOE_GELU_TANH, .inner = 64}, "expert_64_gelu"));
  const Tensor x = Tensor::random(MOE_FLOAT32, {4, 64}, 1), weights = Tensor::random(MOE_FLOAT32, {2, 8, 64}, 2);
  const Tensor y(MOE_FLOAT32, {4, 8});
  const auto run = [&](const std::vector<double>& values) {
    const Tensor wrong = Tensor::of(MOE_INT32, {3}, values);
    const moe_status status = moe_expert_forward(stream, x, wrong, weights, y, Epilogue(MOE_GELU_TANH));
    return status == MOE_OK ? moe_stream_synchronize(stream) : status;
  };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "past the 4 rows", run({0, 2, 5}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "less than offsets[1]", run({0, 3, 2}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets[0] is 1", run({1, 3, 4}));
  EXPECT_MOE_OK(run({0, 4, 4}));
}

using EmulatedActivationTest = RuntimeKernelTest;

TEST_F(EmulatedActivationTest, IsComputedElementByElement) {
  ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_ACTIVATION}, "activation"));
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const double tolerance = dtype == MOE_FLOAT32 ? 1e-6 : 5e-3;
    const Tensor x = Tensor::random(dtype, {23, 41}, 1, -4, 4), dy = Tensor::random(dtype, {23, 41}, 2);
    const Tensor y(MOE_FLOAT32, {23, 41}), dx(dtype, {23, 41});
    ASSERT_MOE_OK(moe_activation_forward(stream, activation_of(MOE_CUSTOM_ACTIVATION), x, y));
    ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(MOE_CUSTOM_ACTIVATION), x, dy, dx));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    std::vector<double> want, slope;
    for (int64_t i = 0; i < x.count(); ++i) {
      const double t = std::tanh(x[i]);
      want.push_back(x[i] * t);
      slope.push_back(dy[i] * (t + x[i] * (1 - t * t)));
    }
    expect_near(y, want, 1e-6, 1e-6, "y");
    expect_near(dx, slope, tolerance, tolerance, "dx");
  }
}

double x_tanh(double x) { return x * std::tanh(x); }

// A custom activation is applied to products of the GPU's own kernels.
TEST_F(EmulatedActivationTest, FollowsProductsThatHaveNoKernelOfTheirOwn) {
  ASSERT_MOE_OK(install({.kind = MOE_RUNTIME_ACTIVATION}, "activation"));
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const double tolerance = dtype == MOE_FLOAT32 ? 1e-5 : 1e-2;
    const Tensor x = Tensor::random(dtype, {70, 24}, 1), weights = Tensor::random(dtype, {2, 40, 24}, 2);
    const Tensor bias = Tensor::random(MOE_FLOAT32, {2, 40}, 3);
    const Tensor offsets = Tensor::of(MOE_INT32, {3}, {0, 30, 66});
    Tensor y(dtype, {70, 40}), pre(dtype, {70, 40}), plain(dtype, {70, 40});
    for (Tensor* out : {&y, &pre, &plain}) out->fill(-77);
    ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_CUSTOM_ACTIVATION, bias, pre)));
    ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, plain, Epilogue(MOE_CUSTOM_ACTIVATION, bias)));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    std::vector<double> want(70 * 40, -77), want_pre(70 * 40, -77);
    for (int64_t row = 0; row < 66; ++row) {
      const int64_t e = row < 30 ? 0 : 1;
      for (int64_t n = 0; n < 40; ++n) {
        double sum = bias[e * 40 + n];
        for (int64_t k = 0; k < 24; ++k) sum += x[row * 24 + k] * weights[(e * 40 + n) * 24 + k];
        want_pre[row * 40 + n] = sum;
        want[row * 40 + n] = x_tanh(sum);
      }
    }
    expect_near(y, want, tolerance, tolerance, "y");  // rows past the groups are left as they are
    expect_near(pre, want_pre, tolerance, tolerance, "preactivation");
    expect_same_bits(y, plain, "with and without the preactivation");

    Tensor dense = Tensor::random(dtype, {40, 24}, 4), c(dtype, {70, 40}), saved(dtype, {70, 40});
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), x, dense, c, Epilogue(MOE_CUSTOM_ACTIVATION, nullptr, saved)));
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    for (int64_t i = 0; i < 70 * 40; ++i) {
      want_pre[i] = 0;
      for (int64_t k = 0; k < 24; ++k) want_pre[i] += x[i / 40 * 24 + k] * dense[i % 40 * 24 + k];
      want[i] = x_tanh(want_pre[i]);
    }
    expect_near(c, want, tolerance, tolerance, "c");
    expect_near(saved, want_pre, tolerance, tolerance, "c's preactivation");
  }
}

}  // namespace
}  // namespace moe::testing
