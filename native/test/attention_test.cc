// Attention over whole sequences: against float64, central differences, and other paths bit by bit.
#include "test/attention_reference.h"

namespace moe::testing {
namespace {

class AttentionTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    info_.struct_size = sizeof(info_);
    ASSERT_MOE_OK(moe_device_describe(device, &info_));
  }

  void expect_reference(moe_dtype dtype, const AttentionShape& shape, moe_stream on, bool with_sinks = false) const;

 private:
  moe_device_info info_{};
};

// Inputs, outputs and gradients of one attention layer.
struct Layer {
  AttentionShape shape;
  float scale;
  bool with_sinks;
  Tensor q, k, v, sinks, dout, out, logsumexp, dq, dk, dv, dsinks;

  Layer(moe_dtype dtype, const AttentionShape& s, uint64_t seed, bool has_sinks = false)
      : shape(s),
        scale(1 / std::sqrt(static_cast<float>(s.head_size))),
        with_sinks(has_sinks),
        q(Tensor::random(dtype, {s.sequences, s.length, s.heads, s.head_size}, seed, -2, 2)),
        k(Tensor::random(dtype, {s.sequences, s.length, s.groups, s.head_size}, seed + 1, -2, 2)),
        v(Tensor::random(dtype, {s.sequences, s.length, s.groups, s.head_size}, seed + 2)),
        sinks(Tensor::random(MOE_FLOAT32, {s.heads}, seed + 4, -3, 3)),
        dout(Tensor::random(dtype, {s.sequences, s.length, s.heads, s.head_size}, seed + 3)),
        out(dtype, {s.sequences, s.length, s.heads, s.head_size}),
        logsumexp(MOE_FLOAT32, {s.sequences, s.heads, s.length}),
        dq(dtype, {s.sequences, s.length, s.heads, s.head_size}),
        dk(dtype, {s.sequences, s.length, s.groups, s.head_size}),
        dv(dtype, {s.sequences, s.length, s.groups, s.head_size}),
        dsinks(MOE_FLOAT32, {s.heads}) {}

  void forward(moe_stream stream) { ASSERT_MOE_OK(moe_attention_forward(stream, config(), inputs(), out, logsumexp)); }
  void backward(moe_stream stream) {
    dsinks.fill(0);
    ASSERT_MOE_OK(moe_attention_backward(stream, config(), inputs(), out, logsumexp, dout,
                                         attention_gradients(dq, dk, dv, with_sinks ? &dsinks.view() : nullptr)));
  }
  Passed<moe_attention_config> config() const {
    return attention_config(scale, shape.window, shape.mask, shape.soft_cap);
  }
  Passed<moe_attention_inputs> inputs() const {
    return attention_inputs(q, k, v, with_sinks ? &sinks.view() : nullptr);
  }
  AttentionReference reference(const Tensor* upstream = nullptr) const {
    return reference_attention(shape, q, k, v, with_sinks ? &sinks : nullptr, scale, upstream);
  }
};

void AttentionTest::expect_reference(moe_dtype dtype, const AttentionShape& shape, moe_stream on,
                                     bool with_sinks) const {
  SCOPED_TRACE(text(shape) + (with_sinks ? ", sinks" : ""));
  Layer layer(dtype, shape, 17, with_sinks);
  layer.forward(on);
  const bool trained = on_cpu() || shape.head_size <= 256;
  if (trained) layer.backward(on);
  const AttentionReference expected = layer.reference(&layer.dout);
  const bool half = dtype == MOE_BFLOAT16;
  // Products of bfloat16 take weights and their gradients rounded by 2^-8: 2e-3 of values of 1/2 on average.
  const bool rounded = half && (!on_cpu() || info_.native_bfloat16 == 1);
  const double relative = half ? 4e-3 : 5e-6;  // bfloat16 outputs are rounded by 2^-8
  expect_near(layer.out, expected.out, rounded ? 2e-3 : 2e-6, relative, "out");
  expect_near(layer.logsumexp, expected.logsumexp, 2e-6, 1e-6, "logsumexp");
  if (!trained) return;
  expect_near(layer.dv, expected.dv, rounded ? 1e-2 : 5e-6, relative, "dv");
  const double of_out = rounded ? 1e-2 : half ? 5e-3 : 5e-6;  // the backward reads the rounded `out`
  expect_near(layer.dq, expected.dq, of_out, relative, "dq");
  expect_near(layer.dk, expected.dk, of_out, relative, "dk");
  if (with_sinks) expect_near(layer.dsinks, expected.dsinks, half ? 2e-2 : 1e-5, relative, "dsinks");
}

TEST_F(AttentionTest, AgreesWithFloat64AtEveryLengthAndHeadSize) {
  for (int64_t length : {1, 2, 3, 17, 64, 65, 100}) {
    for (int64_t head_size : {8, 16, 32, 64, 80, 128}) {
      expect_reference(MOE_FLOAT32, {2, length, 2, 1, head_size, 0}, stream);
    }
  }
  expect_reference(MOE_FLOAT32, {1, 3, 1, 1, 1, 0}, stream);
  expect_reference(MOE_FLOAT32, {1, 70, 3, 3, 13, 0}, stream);
}

TEST_F(AttentionTest, AgreesWithFloat64OverGroupsAndWindows) {
  for (int64_t groups : {1, 2, 6}) {
    for (int64_t window : {0, 1, 4, 33, 1000}) expect_reference(MOE_FLOAT32, {2, 101, 6, groups, 16, window}, stream);
  }
  expect_reference(MOE_FLOAT32, {1, 300, 2, 2, 32, 97}, stream);
}

TEST_F(AttentionTest, AgreesWithFloat64InBfloat16) {
  for (int64_t length : {1, 17, 65, 100}) {
    for (int64_t head_size : {8, 80, 128}) expect_reference(MOE_BFLOAT16, {2, length, 4, 2, head_size, 0}, stream);
  }
  expect_reference(MOE_BFLOAT16, {1, 130, 4, 1, 13, 5}, stream);
}

TEST_F(AttentionTest, AgreesWithFloat64AtWideHeadsAndManyQueryHeads) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    expect_reference(dtype, {1, 70, 2, 1, 160, 0}, stream);
    expect_reference(dtype, {1, 40, 2, 1, 256, 7}, stream);
    expect_reference(dtype, {1, 5, 40, 2, 8, 0}, stream);
    // A wide head of CUDA: some of its warps have no column, a part, or all.
    expect_reference(dtype, {1, 40, 2, 1, 257, 0}, stream);
    expect_reference(dtype, {1, 40, 3, 1, 512, 7}, stream, true);
    expect_reference(dtype, {1, 70, 2, 2, 576, 0, MOE_FULL}, stream);
  }
  expect_reference(MOE_FLOAT32, {1, 5, 130, 2, 8, 0}, stream);
  expect_reference(MOE_FLOAT32, {1, 3, 40, 1, 576, 0}, stream);
}

TEST_F(AttentionTest, HeadsWiderThanTilesAreRefused) {
  if (on_cpu()) GTEST_SKIP() << "the CPU has heads of every width";
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Layer trained(dtype, {1, 3, 2, 1, 257, 0}, 3), wide(dtype, {1, 3, 2, 1, 577, 0}, 3);
    EXPECT_MOE_REFUSED(
        MOE_UNSUPPORTED,
        "the head size is 257, CUDA has up to 256 in the backward of attention: train this model on a CPU",
        moe_attention_backward(stream, trained.config(), trained.inputs(), trained.out, trained.logsumexp, trained.dout,
                               attention_gradients(trained.dq, trained.dk, trained.dv, nullptr)));
    EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "the head size is 577, CUDA has up to 576 in attention",
                       moe_attention_forward(stream, wide.config(), wide.inputs(), wide.out, nullptr));
  }
}

TEST_F(AttentionTest, AgreesWithFloat64InChunks) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t window : {1, 5, 31, 32, 33, 64, 65, 1000}) {
      expect_reference(dtype, {2, 150, 4, 2, 16, window, MOE_CHUNKED}, stream, true);
    }
  }
}

// CUDA cuts sequences into tiles of 64 and 128 queries and of 64 keys.
TEST_F(AttentionTest, AgreesWithFloat64AroundTilesOfRows) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t length : {127, 128, 129}) expect_reference(dtype, {1, length, 1, 1, 8, 0}, stream);
    for (int64_t window : {1, 63, 64, 65, 66, 128, 129}) expect_reference(dtype, {1, 200, 2, 1, 16, window}, stream);
    expect_reference(dtype, {2, 129, 4, 2, 16, 0, MOE_FULL}, stream, true);
  }
}

TEST_F(AttentionTest, AgreesWithFloat64OverLongSequences) {
  expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 0}, stream);
  expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 300}, stream);
  expect_reference(MOE_BFLOAT16, {1, 600, 2, 1, 8, 0}, stream);
}

TEST_F(AttentionTest, AgreesWithFloat64WithSinks) {
  for (int64_t length : {1, 3, 33, 65, 130}) {
    for (int64_t head_size : {8, 13, 64}) {
      expect_reference(MOE_FLOAT32, {2, length, 6, 2, head_size, 0}, stream, true);
      expect_reference(MOE_FLOAT32, {2, length, 6, 2, head_size, 7}, stream, true);
    }
    expect_reference(MOE_BFLOAT16, {2, length, 4, 1, 80, 0}, stream, true);
  }
  expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 300}, stream, true);
  expect_reference(MOE_BFLOAT16, {1, 5, 40, 2, 8, 0}, stream, true);
}

TEST_F(AttentionTest, AgreesWithFloat64WithoutAMask) {
  for (bool with_sinks : {false, true}) {
    for (int64_t length : {1, 3, 33, 65, 130}) {
      for (int64_t head_size : {8, 13, 160}) {
        expect_reference(MOE_FLOAT32, {2, length, 4, 2, head_size, 0, MOE_FULL}, stream, with_sinks);
      }
      expect_reference(MOE_BFLOAT16, {2, length, 4, 1, 80, 0, MOE_FULL}, stream, with_sinks);
    }
    expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 0, MOE_FULL}, stream, with_sinks);
    expect_reference(MOE_BFLOAT16, {1, 5, 40, 2, 8, 0, MOE_FULL}, stream, with_sinks);
  }
}

// Scores reach 10, so that caps of 2 and 5 bend them.
TEST_F(AttentionTest, AgreesWithFloat64WithASoftCap) {
  for (float cap : {2.0f, 5.0f, 50.0f}) {
    for (int64_t length : {1, 3, 33, 130}) {
      expect_reference(MOE_FLOAT32, {2, length, 6, 2, 13, 0, MOE_CAUSAL, cap}, stream);
      expect_reference(MOE_FLOAT32, {2, length, 6, 2, 64, 7, MOE_CAUSAL, cap}, stream, true);
      expect_reference(MOE_BFLOAT16, {2, length, 4, 1, 80, 0, MOE_FULL, cap}, stream);
    }
  }
}

TEST_F(AttentionTest, ASoftCapKeepsNaN) {
  Layer layer(MOE_FLOAT32, {1, 3, 1, 1, 8, 0, MOE_CAUSAL, 5}, 3);
  layer.q.set(8, NAN);
  layer.forward(stream);
  layer.backward(stream);
  for (const Tensor* of_queries : {&layer.out, &layer.dq}) {
    EXPECT_FALSE(std::isnan((*of_queries)[0]));
    EXPECT_TRUE(std::isnan((*of_queries)[8]));
  }
}

TEST_F(AttentionTest, ASinkAtAnEndOfItsRangeIsNoneOrAll) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Layer none(dtype, {1, 70, 2, 1, 16, 20}, 3), layer(dtype, none.shape, 3, true);
    layer.sinks.fill(-INFINITY);
    for (Layer* each : {&none, &layer}) {
      each->forward(stream);
      each->backward(stream);
    }
    expect_same_bits(none.out, layer.out, "out");
    expect_same_bits(none.logsumexp, layer.logsumexp, "logsumexp");
    expect_same_bits(none.dq, layer.dq, "dq");
    EXPECT_EQ(layer.dsinks[0], 0);
    layer.sinks.fill(1e6);
    layer.forward(stream);
    EXPECT_EQ(values_of(layer.out), std::vector<double>(static_cast<size_t>(layer.out.count()), 0));
  }
}

TEST_F(AttentionTest, DsinksAreAddedTo) {
  Layer layer(MOE_FLOAT32, {2, 9, 4, 2, 8, 0}, 3, true);
  layer.forward(stream);
  layer.backward(stream);
  const std::vector<double> once = values_of(layer.dsinks);
  ASSERT_MOE_OK(moe_attention_backward(stream, layer.config(), layer.inputs(), layer.out, layer.logsumexp, layer.dout,
                                       attention_gradients(layer.dq, layer.dk, layer.dv, layer.dsinks)));
  for (int64_t h = 0; h < 4; ++h) EXPECT_EQ(layer.dsinks[h], 2 * once[h]);
}

TEST_F(AttentionTest, SurvivesLargeScores) {
  Layer layer(MOE_FLOAT32, {1, 70, 1, 1, 8, 0}, 3);
  layer.scale = 1000;
  layer.forward(stream);
  const AttentionReference expected = layer.reference();
  expect_near(layer.out, expected.out, 2e-2, 2e-2, "out");  // scores near 1e4 carry an error of 1e-3 in float32
}

TEST_F(AttentionTest, BackwardIsTheDerivative) {
  for (auto [window, mask, with_sinks, cap] : {std::tuple{0, MOE_CAUSAL, false, 0.0f},
                                               {3, MOE_CAUSAL, false, 3.0f},
                                               {3, MOE_CAUSAL, true, 0.0f},
                                               {0, MOE_FULL, true, 3.0f}}) {
    Layer layer(MOE_FLOAT32, {2, 7, 4, 2, 4, window, mask, cap}, 5, with_sinks);
    layer.forward(single);
    layer.backward(single);
    const auto loss = [&] {
      layer.forward(single);
      return dot(layer.out, layer.dout);
    };
    expect_gradient(layer.q, values_of(layer.dq), loss, 1e-2, 2e-4, 1e-3, "q");
    expect_gradient(layer.k, values_of(layer.dk), loss, 1e-2, 2e-4, 1e-3, "k");
    expect_gradient(layer.v, values_of(layer.dv), loss, 1e-2, 2e-4, 1e-3, "v");
    if (with_sinks) expect_gradient(layer.sinks, values_of(layer.dsinks), loss, 1e-2, 2e-4, 1e-3, "sinks");
  }
}

TEST_F(AttentionTest, BackwardIsTheDerivativeOverSeveralTiles) {
  Layer layer(MOE_FLOAT32, {1, 140, 2, 1, 4, 70}, 5, true);
  layer.forward(stream);
  layer.backward(stream);
  for (auto [x, dx] : {std::pair{&layer.q, &layer.dq}, {&layer.k, &layer.dk}, {&layer.v, &layer.dv}}) {
    const std::vector<double> at = values_of(*x), gradient = values_of(*dx);
    double square = 0;
    for (double element : gradient) square += element * element;
    const auto loss = [&](double step) {  // along the gradient
      for (int64_t i = 0; i < x->count(); ++i) x->set(i, at[i] + step * gradient[i] / std::sqrt(square));
      layer.forward(stream);
      return dot(layer.out, layer.dout);
    };
    const double slope = (loss(0.02) - loss(-0.02)) / 0.04;
    EXPECT_NEAR(slope, std::sqrt(square), 2e-3 * std::sqrt(square));
    loss(0);
  }
}

TEST_F(AttentionTest, BitsDependOnNeitherThreadsNorRuns) {
  for (auto [dtype, mask, with_sinks] : {std::tuple{MOE_FLOAT32, MOE_CAUSAL, false},
                                         {MOE_BFLOAT16, MOE_CAUSAL, false},
                                         {MOE_FLOAT32, MOE_CAUSAL, true},
                                         {MOE_BFLOAT16, MOE_FULL, true}}) {
    Layer first(dtype, {3, 130, 4, 2, 32, 0, mask}, 7, with_sinks);
    first.forward(single);
    first.backward(single);
    for (moe_stream other : streams()) {
      Layer again(dtype, first.shape, 7, with_sinks);
      again.forward(other);
      again.backward(other);
      expect_same_bits(first.out, again.out, "out");
      expect_same_bits(first.logsumexp, again.logsumexp, "logsumexp");
      expect_same_bits(first.dq, again.dq, "dq");
      expect_same_bits(first.dk, again.dk, "dk");
      expect_same_bits(first.dv, again.dv, "dv");
      expect_same_bits(first.dsinks, again.dsinks, "dsinks");
    }
  }
}

// The part of a tensor that belongs to one of its B sequences.
std::vector<uint8_t> sequence_bits(const Tensor& x, int64_t sequences, int64_t index) {
  const std::vector<uint8_t> all = x.bits();
  const auto size = static_cast<int64_t>(all.size()) / sequences;
  return {all.begin() + index * size, all.begin() + (index + 1) * size};
}

TEST_F(AttentionTest, ASequencesBitsDoNotDependOnTheBatch) {
  for (auto [dtype, window, mask, with_sinks] : {std::tuple{MOE_FLOAT32, 0, MOE_CAUSAL, false},
                                                 {MOE_FLOAT32, 40, MOE_CAUSAL, true},
                                                 {MOE_BFLOAT16, 70, MOE_CAUSAL, false},
                                                 {MOE_FLOAT32, 0, MOE_FULL, true}}) {
    Layer batch(dtype, {5, 77, 4, 2, 16, window, mask}, 11, with_sinks);
    Layer alone(dtype, {1, 77, 4, 2, 16, window, mask}, 11, with_sinks);
    for (auto [from, to] :
         {std::pair{&batch.q, &alone.q}, {&batch.k, &alone.k}, {&batch.v, &alone.v}, {&batch.dout, &alone.dout}}) {
      for (int64_t i = 0; i < to->count(); ++i) to->set(i, (*from)[3 * to->count() + i]);
    }
    batch.forward(stream);
    batch.backward(stream);
    alone.forward(triple);
    alone.backward(triple);
    EXPECT_EQ(sequence_bits(batch.out, 5, 3), alone.out.bits());
    EXPECT_EQ(sequence_bits(batch.logsumexp, 5, 3), alone.logsumexp.bits());
    EXPECT_EQ(sequence_bits(batch.dq, 5, 3), alone.dq.bits());
    EXPECT_EQ(sequence_bits(batch.dk, 5, 3), alone.dk.bits());
    EXPECT_EQ(sequence_bits(batch.dv, 5, 3), alone.dv.bits());
  }
}

TEST_F(AttentionTest, BitsDoNotDependOnAlignment) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Layer aligned(dtype, {1, 70, 4, 2, 72, 0}, 19), other(dtype, aligned.shape, 19);
    for (Tensor* x : {&other.q, &other.k, &other.v, &other.dout, &other.out, &other.dq, &other.dk, &other.dv}) {
      *x = x->misaligned();
    }
    for (Layer* layer : {&aligned, &other}) {
      layer->forward(stream);
      layer->backward(stream);
    }
    expect_same_bits(aligned.out, other.out, "out");
    expect_same_bits(aligned.dq, other.dq, "dq");
    expect_same_bits(aligned.dk, other.dk, "dk");
    expect_same_bits(aligned.dv, other.dv, "dv");
  }
}

TEST_F(AttentionTest, ARowsBitsDoNotDependOnLaterRows) {
  Layer whole(MOE_FLOAT32, {1, 150, 2, 2, 32, 0}, 13);
  whole.forward(stream);
  for (int64_t length : {1, 31, 32, 33, 64, 65, 149}) {
    Layer prefix(MOE_FLOAT32, {1, length, 2, 2, 32, 0}, 0);
    for (auto [from, to] : {std::pair{&whole.q, &prefix.q}, {&whole.k, &prefix.k}, {&whole.v, &prefix.v}}) {
      for (int64_t i = 0; i < to->count(); ++i) to->set(i, (*from)[i]);
    }
    prefix.forward(stream);
    for (int64_t i = 0; i < prefix.out.count(); ++i) ASSERT_EQ(prefix.out[i], whole.out[i]) << length << " at " << i;
  }
}

TEST_F(AttentionTest, EmptyTensorsAreFine) {
  Layer no_sequence(MOE_FLOAT32, {0, 5, 2, 1, 8, 0}, 1), no_token(MOE_FLOAT32, {2, 0, 2, 1, 8, 0}, 1);
  for (Layer* layer : {&no_sequence, &no_token}) {
    layer->forward(stream);
    layer->backward(stream);
  }
}

TEST_F(AttentionTest, RefusesWhatDoesNotFit) {
  Layer good(MOE_FLOAT32, {2, 3, 4, 2, 8, 0}, 1);
  const auto forward = [&](const moe_tensor* q, const moe_tensor* k, const moe_tensor* v, float scale, int64_t window,
                           const moe_tensor* out) {
    return moe_attention_forward(stream, attention_config(scale, window), attention_inputs(q, k, v), out, nullptr);
  };
  const auto backward = [&](const Layer& of, const moe_attention_gradients* gradients) {
    return moe_attention_backward(stream, of.config(), of.inputs(), good.out, good.logsumexp, good.dout, gradients);
  };
  EXPECT_MOE_OK(forward(good.q, good.k, good.v, 1, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "window is -1", forward(good.q, good.k, good.v, 1, -1, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "scale is inf", forward(good.q, good.k, good.v, INFINITY, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "out and q share memory", forward(good.q, good.k, good.v, 1, 0, good.q));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "v is null", forward(good.q, good.k, nullptr, 1, 0, good.out));
  Tensor three(MOE_FLOAT32, {2, 3, 3, 8}), half(MOE_BFLOAT16, {2, 3, 2, 8}), none(MOE_FLOAT32, {2, 3, 0, 8});
  Tensor short_rows(MOE_FLOAT32, {2, 2, 2, 8});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "4 query heads are no multiple of the 3 key heads",
                     forward(good.q, three, three, 1, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "0 key heads", forward(good.q, none, none, 1, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "q is float32 but v is bfloat16",
                     forward(good.q, good.k, half, 1, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "k has shape [2, 2, 2, 8]",
                     forward(good.q, short_rows, good.v, 1, 0, good.out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "out has shape", forward(good.q, good.k, good.v, 1, 0, good.k));
  Tensor sums(MOE_FLOAT32, {2, 3, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logsumexp has shape [2, 3, 4], expected [2, 4, 3]",
                     moe_attention_forward(stream, good.config(), good.inputs(), good.out, sums));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dk and dv share memory",
                     backward(good, attention_gradients(good.dq, good.dk, good.dk)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dq and dout share memory",
                     backward(good, attention_gradients(good.dout, good.dk, good.dv)));
  Layer sunk(MOE_FLOAT32, good.shape, 1, true);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sinks and dsinks are given together or both null, sinks is null",
                     backward(good, attention_gradients(good.dq, good.dk, good.dv, good.dsinks)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dsinks is null",
                     backward(sunk, attention_gradients(good.dq, good.dk, good.dv)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dsinks and sinks share memory",
                     backward(sunk, attention_gradients(good.dq, good.dk, good.dv, sunk.sinks)));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "sinks has shape [2], expected [4]",
      moe_attention_forward(stream, good.config(), attention_inputs(good.q, good.k, good.v, Tensor(MOE_FLOAT32, {2})),
                            good.out, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config.mask is 3, expected 0 to 2",
                     moe_attention_forward(stream, attention_config(1, 0, 3), good.inputs(), good.out, nullptr));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "config.window is 0 with MOE_CHUNKED, expected 1 or more",
      moe_attention_forward(stream, attention_config(1, 0, MOE_CHUNKED), good.inputs(), good.out, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config.window is 5 with MOE_FULL, expected 0",
                     moe_attention_forward(stream, attention_config(1, 5, MOE_FULL), good.inputs(), good.out, nullptr));
  for (float cap : {-1.0f, INFINITY, NAN}) {
    EXPECT_MOE_REFUSED(
        MOE_INVALID_ARGUMENT, "config.soft_cap is ",
        moe_attention_forward(stream, attention_config(1, 0, MOE_CAUSAL, cap), good.inputs(), good.out, nullptr));
  }
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config is null",
                     moe_attention_forward(stream, nullptr, good.inputs(), good.out, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "inputs is null",
                     moe_attention_forward(stream, good.config(), nullptr, good.out, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "gradients is null", backward(good, nullptr));
  auto inputs = good.inputs();
  inputs.value.struct_size = 8;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "inputs has struct_size 8, expected 40",
                     moe_attention_forward(stream, good.config(), inputs, good.out, nullptr));
}

// Runs the layers of a shape on a default GPU, and on one that an environment variable makes smaller.
class EmulatedAttentionTest : public AttentionTest {
 protected:
  void expect_same_bits_on(const char* variable, const char* value, moe_dtype dtype, const AttentionShape& shape) {
    SCOPED_TRACE(text(shape) + ", " + variable + " " + value);
    const bool trained = shape.head_size <= 256;
    Layer layer(dtype, shape, 5), small(dtype, shape, 5);
    layer.forward(stream);
    if (trained) layer.backward(stream);
    ::setenv(variable, value, 1);
    moe_device gpu = 0;
    moe_stream narrow = 0;
    ASSERT_MOE_OK(moe_device_open("simt", 0, &gpu));
    ASSERT_MOE_OK(moe_stream_create(gpu, 1, &narrow));
    small.forward(narrow);
    if (trained) small.backward(narrow);
    EXPECT_MOE_OK(moe_device_close(gpu));
    ::unsetenv(variable);
    expect_same_bits(small.out, layer.out, "out");
    expect_same_bits(small.logsumexp, layer.logsumexp, "logsumexp");
    expect_same_bits(small.dq, layer.dq, "dq");
    expect_same_bits(small.dk, layer.dk, "dk");
    expect_same_bits(small.dv, layer.dv, "dv");
  }
};

// sm_86 has 99 KiB of shared memory a block.
TEST_F(EmulatedAttentionTest, TilesOfASmallerGpuGiveTheSameBits) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t head_size : {100, 256}) {
      expect_same_bits_on("PANAMOE_SIMT_ARCH", "86", dtype, {1, 40, 2, 1, head_size, 30});
    }
    expect_same_bits_on("PANAMOE_SIMT_ARCH", "86", dtype, {1, 5, 20, 1, 576, 0});
  }
}

// The backward stores the gradients of scores in a share of memory: for a few key heads at a time with 32 MiB, for none
// with 4.
TEST_F(EmulatedAttentionTest, StoredScoresGiveTheBitsOfThoseComputedAnew) {
  for (const char* bytes : {"4194304", "33554432"}) {
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (int64_t window : {0, 66}) {
        expect_same_bits_on("PANAMOE_CUDA_MEMORY_LIMIT", bytes, dtype, {2, 150, 4, 2, 16, window});
      }
      expect_same_bits_on("PANAMOE_CUDA_MEMORY_LIMIT", bytes, dtype, {1, 150, 4, 2, 16, 66, MOE_CHUNKED});
      expect_same_bits_on("PANAMOE_CUDA_MEMORY_LIMIT", bytes, dtype, {3, 70, 2, 2, 13, 0, MOE_FULL});
    }
  }
}

}  // namespace
}  // namespace moe::testing
