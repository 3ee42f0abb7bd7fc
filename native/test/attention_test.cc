// Attention over whole sequences, against float64, against central differences, and against itself bit by bit.
#include "test/attention_reference.h"

namespace moe::testing {
namespace {

class AttentionTest : public KernelTest {};

// Everything one attention layer reads and writes.
struct Layer {
  AttentionShape shape;
  float scale;
  Tensor q, k, v, dout, out, logsumexp, dq, dk, dv;

  Layer(moe_dtype dtype, const AttentionShape& s, uint64_t seed)
      : shape(s),
        scale(1 / std::sqrt(static_cast<float>(s.head_size))),
        q(Tensor::random(dtype, {s.sequences, s.length, s.heads, s.head_size}, seed, -2, 2)),
        k(Tensor::random(dtype, {s.sequences, s.length, s.groups, s.head_size}, seed + 1, -2, 2)),
        v(Tensor::random(dtype, {s.sequences, s.length, s.groups, s.head_size}, seed + 2)),
        dout(Tensor::random(dtype, {s.sequences, s.length, s.heads, s.head_size}, seed + 3)),
        out(dtype, {s.sequences, s.length, s.heads, s.head_size}),
        logsumexp(MOE_FLOAT32, {s.sequences, s.heads, s.length}),
        dq(dtype, {s.sequences, s.length, s.heads, s.head_size}),
        dk(dtype, {s.sequences, s.length, s.groups, s.head_size}),
        dv(dtype, {s.sequences, s.length, s.groups, s.head_size}) {}

  void forward(moe_stream stream) {
    ASSERT_MOE_OK(moe_attention_forward(stream, q, k, v, scale, shape.window, out, logsumexp));
  }
  void backward(moe_stream stream) {
    ASSERT_MOE_OK(moe_attention_backward(stream, q, k, v, out, logsumexp, dout, scale, shape.window, dq, dk, dv));
  }
};

void expect_reference(moe_dtype dtype, const AttentionShape& shape, moe_stream stream) {
  SCOPED_TRACE(text(shape));
  Layer layer(dtype, shape, 17);
  layer.forward(stream);
  layer.backward(stream);
  const AttentionReference expected = reference_attention(shape, layer.q, layer.k, layer.v, layer.scale, &layer.dout);
  const bool half = dtype == MOE_BFLOAT16;
  // Tensor cores take weights and their gradients rounded to bfloat16, by 2^-8: 2e-3 of values of 1/2 on average.
  const bool rounded = half && !on_cpu();
  const double relative = half ? 4e-3 : 5e-6;  // bfloat16 outputs are rounded by 2^-8
  expect_near(layer.out, expected.out, rounded ? 2e-3 : 2e-6, relative, "out");
  expect_near(layer.logsumexp, expected.logsumexp, 2e-6, 1e-6, "logsumexp");
  expect_near(layer.dv, expected.dv, rounded ? 1e-2 : 5e-6, relative, "dv");
  const double of_out = rounded ? 1e-2 : half ? 5e-3 : 5e-6;  // the backward reads `out`, which was rounded
  expect_near(layer.dq, expected.dq, of_out, relative, "dq");
  expect_near(layer.dk, expected.dk, of_out, relative, "dk");
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
  }
  expect_reference(MOE_FLOAT32, {1, 5, 130, 2, 8, 0}, stream);
}

TEST_F(AttentionTest, AgreesWithFloat64OverLongSequences) {
  expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 0}, stream);
  expect_reference(MOE_FLOAT32, {1, 600, 2, 1, 8, 300}, stream);
  expect_reference(MOE_BFLOAT16, {1, 600, 2, 1, 8, 0}, stream);
}

TEST_F(AttentionTest, SurvivesLargeScores) {
  Layer layer(MOE_FLOAT32, {1, 70, 1, 1, 8, 0}, 3);
  layer.scale = 1000;
  layer.forward(stream);
  const AttentionReference expected = reference_attention(layer.shape, layer.q, layer.k, layer.v, layer.scale);
  expect_near(layer.out, expected.out, 2e-2, 2e-2, "out");  // scores near 1e4 carry an error of 1e-3 in float32
}

TEST_F(AttentionTest, BackwardIsTheDerivative) {
  for (int64_t window : {0, 3}) {
    Layer layer(MOE_FLOAT32, {1, 7, 4, 2, 4, window}, 5);
    layer.forward(single);
    layer.backward(single);
    const auto loss = [&] {
      layer.forward(single);
      return dot(layer.out, layer.dout);
    };
    expect_gradient(layer.q, values_of(layer.dq), loss, 1e-2, 2e-4, 1e-3, "q");
    expect_gradient(layer.k, values_of(layer.dk), loss, 1e-2, 2e-4, 1e-3, "k");
    expect_gradient(layer.v, values_of(layer.dv), loss, 1e-2, 2e-4, 1e-3, "v");
  }
}

TEST_F(AttentionTest, BitsDependOnNeitherThreadsNorRuns) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    Layer first(dtype, {3, 130, 4, 2, 32, 0}, 7);
    first.forward(single);
    first.backward(single);
    for (moe_stream other : {single, stream, triple}) {
      Layer again(dtype, first.shape, 7);
      again.forward(other);
      again.backward(other);
      expect_same_bits(first.out, again.out, "out");
      expect_same_bits(first.logsumexp, again.logsumexp, "logsumexp");
      expect_same_bits(first.dq, again.dq, "dq");
      expect_same_bits(first.dk, again.dk, "dk");
      expect_same_bits(first.dv, again.dv, "dv");
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
  for (int64_t window : {0, 40}) {
    Layer batch(MOE_FLOAT32, {5, 77, 4, 2, 16, window}, 11), alone(MOE_FLOAT32, {1, 77, 4, 2, 16, window}, 0);
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
    return moe_attention_forward(stream, q, k, v, scale, window, out, nullptr);
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
                     moe_attention_forward(stream, good.q, good.k, good.v, 1, 0, good.out, sums));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dk and dv share memory",
                     moe_attention_backward(stream, good.q, good.k, good.v, good.out, good.logsumexp, good.dout, 1, 0,
                                            good.dq, good.dk, good.dk));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dq and dout share memory",
                     moe_attention_backward(stream, good.q, good.k, good.v, good.out, good.logsumexp, good.dout, 1, 0,
                                            good.dout, good.dk, good.dv));
}

}  // namespace
}  // namespace moe::testing
