#include "simt/counted/families.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

#include "test/structs.h"

namespace moe::counted {

using namespace testing;  // the ABI's structs

namespace {

constexpr int64_t kModel = 2048, kInner = 1024, kExperts = 64, kChoices = 8;                // M, F, E, K
constexpr int64_t kHeads = 32, kKeyHeads = 8, kHead = 128, kPositions = 1024, kBlock = 64;  // of attention
constexpr int64_t kVocabulary = 151936;

int64_t element_bytes(int32_t dtype) { return dtype == MOE_BFLOAT16 ? 2 : dtype == MOE_FLOAT64 ? 8 : 4; }

double bytes_of(std::initializer_list<const moe_tensor*> tensors) {
  int64_t sum = 0;
  for (const moe_tensor* tensor : tensors) sum += tensor->bytes;
  return static_cast<double>(sum);
}

double product(std::initializer_list<int64_t> factors) {
  return std::accumulate(factors.begin(), factors.end(), 1.0,
                         [](double a, int64_t b) { return a * static_cast<double>(b); });
}

template <typename Value>
moe_tensor* holding(Operands& operands, moe_dtype dtype, std::initializer_list<int64_t> shape,
                    const std::vector<Value>& values) {
  moe_tensor* made = operands.make(dtype, shape);
  require(moe_memory_write(operands.stream, values.data(), made->bytes, made->data));
  return made;
}

template <typename Value>
moe_tensor* filled(Operands& operands, moe_dtype dtype, int64_t count, Value value) {
  return holding(operands, dtype, {count}, std::vector<Value>(static_cast<size_t>(count), value));
}

std::vector<int32_t> ascending(int64_t count) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

std::vector<float> normal(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::mt19937_64 generator(1);
  std::normal_distribution<float> distribution(0, 3);
  for (float& value : values) value = distribution(generator);
  return values;
}

// Tokens that choose their experts uniformly.
struct Routes {
  Routes(Operands& operands, int64_t tokens) : rows(tokens * kChoices) {
    std::mt19937_64 generator(1);
    std::vector<int32_t> all = ascending(kExperts), counts(kExperts), starts(kExperts + 1), experts, positions;
    for (int64_t route = 0; route < rows; ++route) {
      if (route % kChoices == 0) std::shuffle(all.begin(), all.end(), generator);
      experts.push_back(all[static_cast<size_t>(route % kChoices)]);
      positions.push_back(counts[static_cast<size_t>(experts.back())]++);
    }
    std::partial_sum(counts.begin(), counts.end(), starts.begin() + 1);
    used = kExperts - std::count(counts.begin(), counts.end(), 0);
    expert = holding(operands, MOE_INT32, {tokens, kChoices}, experts);
    position = holding(operands, MOE_INT32, {tokens, kChoices}, positions);
    offsets = holding(operands, MOE_INT32, {kExperts + 1}, starts);
    weight = operands.make(MOE_FLOAT32, {tokens, kChoices});
  }
  auto table() const { return table_of(expert, position, offsets, weight); }

  const moe_tensor *expert, *position, *weight, *offsets;
  int64_t rows, used;  // used: experts that have rows
};

// Both products of the experts, SwiGLU between them.
Call experts(Operands& operands, int64_t tokens) {
  const Routes routes(operands, tokens);
  const auto* x = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  const auto* up = operands.make(MOE_BFLOAT16, {kExperts, 2 * kInner, kModel});
  const auto* inner = operands.make(MOE_BFLOAT16, {routes.rows, kInner});
  const auto* down = operands.make(MOE_BFLOAT16, {kExperts, kModel, kInner});
  const auto* y = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  const double read = bytes_of({up, down}) * static_cast<double>(routes.used) / kExperts;
  return {read + bytes_of({x, inner, inner, y}), product({2, routes.rows, 3, kInner, kModel}),
          [=, s = operands.stream] {
            require(moe_expert_forward(s, x, routes.offsets, up, inner, Epilogue(MOE_SWIGLU)));
            require(moe_expert_forward(s, inner, routes.offsets, down, y, nullptr));
          }};
}

Call input_gradient(Operands& operands, int64_t tokens) {
  const Routes routes(operands, tokens);
  const auto* dy = operands.make(MOE_BFLOAT16, {routes.rows, 2 * kInner});
  const auto* weights = operands.make(MOE_BFLOAT16, {kExperts, 2 * kInner, kModel});
  const auto* dx = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  return {bytes_of({weights}) * static_cast<double>(routes.used) / kExperts + bytes_of({dy, dx}),
          product({2, routes.rows, 2, kInner, kModel}),
          [=, s = operands.stream] { require(moe_expert_backward_input(s, dy, routes.offsets, weights, dx)); }};
}

Call weight_gradient(Operands& operands, int64_t tokens) {
  const Routes routes(operands, tokens);
  const auto* dy = operands.make(MOE_BFLOAT16, {routes.rows, 2 * kInner});
  const auto* x = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  const auto* gradient = operands.make(MOE_FLOAT32, {kExperts, 2 * kInner, kModel});
  return {bytes_of({dy, x, gradient}), product({2, routes.rows, 2, kInner, kModel}), [=, s = operands.stream] {
            require(moe_expert_backward_weights(s, 0, dy, x, routes.offsets, gradient, nullptr));
          }};
}

Call linear(Operands& operands, const moe_tensor* x, const moe_tensor* weights, moe_dtype dtype) {
  const int64_t rows = x->shape[0], columns = weights->shape[0];
  const auto* y = operands.make(dtype, {rows, columns});
  return {bytes_of({x, weights, y}), product({2, rows, columns, kModel}),
          [=, s = operands.stream] { require(moe_gemm(s, form(0, 1), x, weights, y, nullptr)); }};
}

Call dense(Operands& operands, int64_t tokens) {
  return linear(operands, operands.make(MOE_BFLOAT16, {tokens, kModel}), operands.make(MOE_BFLOAT16, {kModel, kModel}),
                MOE_BFLOAT16);
}

Call blocks(Operands& operands, int64_t tokens, moe_dtype format) {
  moe_tensor* weights = operands.make(MOE_FLOAT32, {kModel, kModel});  // has room for it
  require(moe_gemm_packed_bytes(operands.device, format, 2, weights->shape, &weights->bytes));
  weights->dtype = format;
  weights->layout = MOE_PACKED;
  return linear(operands, operands.make(MOE_BFLOAT16, {tokens, kModel}), weights, MOE_BFLOAT16);
}

Call router(Operands& operands, int64_t tokens) {
  return linear(operands, operands.make(MOE_BFLOAT16, {tokens, kModel}), operands.make(MOE_FLOAT32, {kExperts, kModel}),
                MOE_FLOAT32);
}

Call gate(Operands& operands, int64_t tokens) {
  moe_gate_config config{};
  config.struct_size = sizeof(config);
  require(moe_gate_config_default(&config));
  config.top_k = kChoices;
  const auto* logits = holding(operands, MOE_FLOAT32, {tokens, kExperts}, normal(tokens * kExperts));
  const auto* scores = operands.make(MOE_FLOAT32, {tokens, kExperts});
  const auto* counts = operands.make(MOE_INT32, {kExperts});
  const auto* losses = operands.make(MOE_FLOAT32, {2});
  const Routes routes(operands, tokens);
  const auto* choice = operands.make(MOE_INT32, {tokens, kChoices});
  return {
      bytes_of({logits, scores, routes.expert, routes.position, routes.weight, choice, counts, routes.offsets, losses}),
      0, [=, s = operands.stream] {
        require(moe_gate_forward(
            s, &config, gate_inputs(logits, nullptr, nullptr, nullptr, nullptr),
            all_routes(scores, routes.expert, routes.position, routes.weight, choice, counts, routes.offsets, losses)));
      }};
}

Call dispatch(Operands& operands, int64_t tokens) {
  const Routes routes(operands, tokens);
  const auto* x = operands.make(MOE_BFLOAT16, {tokens, kModel});
  const auto* rows = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  return {bytes_of({x, routes.expert, routes.position, routes.offsets, rows}), 0,
          [=, s = operands.stream] { require(moe_dispatch_forward(s, x, routes.table(), rows)); }};
}

Call combine(Operands& operands, int64_t tokens) {
  const Routes routes(operands, tokens);
  const auto* rows = operands.make(MOE_BFLOAT16, {routes.rows, kModel});
  const auto* y = operands.make(MOE_BFLOAT16, {tokens, kModel});
  return {bytes_of({rows, routes.expert, routes.position, routes.weight, routes.offsets, y}), 0,
          [=, s = operands.stream] {
            require(moe_combine_forward(s, combine_inputs(rows, nullptr, nullptr), routes.table(), y));
          }};
}

// One sequence, causal. A long one has an eighth of the heads, one key head with its query heads: else its softmax
// takes the emulation minutes.
struct Sequence {
  Sequence(Operands& operands, int64_t tokens)
      : heads(tokens > 512 ? kHeads / kKeyHeads : kHeads),
        key_heads(tokens > 512 ? 1 : kKeyHeads),
        q(operands.make(MOE_BFLOAT16, {1, tokens, heads, kHead})),
        k(operands.make(MOE_BFLOAT16, {1, tokens, key_heads, kHead})),
        v(operands.make(MOE_BFLOAT16, {1, tokens, key_heads, kHead})),
        pairs(product({heads, tokens, tokens + 1}) / 2) {}

  int64_t heads, key_heads;
  const moe_tensor *q, *k, *v;
  double pairs;  // of a query and a key that it sees
};

Call attention(Operands& operands, int64_t tokens) {
  const Sequence of(operands, tokens);
  const auto* out = operands.make(MOE_BFLOAT16, {1, tokens, of.heads, kHead});
  return {bytes_of({of.q, of.k, of.v, out}), of.pairs * 4 * kHead, [=, s = operands.stream] {
            require(moe_attention_forward(s, attention_config(0.1f), attention_inputs(of.q, of.k, of.v), out, nullptr));
          }};
}

Call attention_backward(Operands& operands, int64_t tokens) {
  const Sequence of(operands, tokens), gradients(operands, tokens);
  const auto* out = operands.make(MOE_BFLOAT16, {1, tokens, of.heads, kHead});
  const auto* dout = operands.make(MOE_BFLOAT16, {1, tokens, of.heads, kHead});
  const auto* sums = operands.make(MOE_FLOAT32, {1, of.heads, tokens});
  return {bytes_of({of.q, of.k, of.v, out, dout, sums, gradients.q, gradients.k, gradients.v}), of.pairs * 10 * kHead,
          [=, s = operands.stream] {
            require(moe_attention_backward(s, attention_config(0.1f), attention_inputs(of.q, of.k, of.v), out, sums,
                                           dout, attention_gradients(gradients.q, gradients.k, gradients.v)));
          }};
}

// A step of `tokens` sequences, each of kPositions.
Call attention_decode(Operands& operands, int64_t tokens) {
  const int64_t width = kPositions / kBlock;
  const auto* q = operands.make(MOE_BFLOAT16, {tokens, kHeads, kHead});
  const auto* keys = operands.make(MOE_BFLOAT16, {tokens * width, kBlock, kKeyHeads, kHead});
  const auto* cached = operands.make(MOE_BFLOAT16, {tokens * width, kBlock, kKeyHeads, kHead});
  const auto* table = holding(operands, MOE_INT32, {tokens, width}, ascending(tokens * width));
  const auto* slot = holding(operands, MOE_INT32, {tokens}, ascending(tokens));
  const auto* position = filled(operands, MOE_INT32, tokens, static_cast<int32_t>(kPositions - 1));
  const auto* out = operands.make(MOE_BFLOAT16, {tokens, kHeads, kHead});
  return {bytes_of({q, keys, cached, table, slot, position, out}), product({4, tokens, kHeads, kHead, kPositions}),
          [=, s = operands.stream] {
            require(moe_attention_decode(s, attention_config(0.1f), q, nullptr,
                                         cache_places(keys, cached, table, slot, position), out));
          }};
}

Call norm_forward(Operands& operands, int64_t tokens) {
  const auto* x = operands.make(MOE_BFLOAT16, {tokens, kModel});
  const auto* gamma = operands.make(MOE_FLOAT32, {kModel});
  const auto* rstd = operands.make(MOE_FLOAT32, {tokens});
  const auto* y = operands.make(MOE_BFLOAT16, {tokens, kModel});
  return {bytes_of({x, gamma, rstd, y}), 0, [=, s = operands.stream] {
            require(moe_rms_norm_forward(s, norm(1e-6f, gamma, nullptr, nullptr, rstd), x, y));
          }};
}

Call norm_backward(Operands& operands, int64_t tokens) {
  const auto* x = operands.make(MOE_BFLOAT16, {tokens, kModel});
  const auto* dy = operands.make(MOE_BFLOAT16, {tokens, kModel});
  const auto* dx = operands.make(MOE_BFLOAT16, {tokens, kModel});
  const auto* gamma = operands.make(MOE_FLOAT32, {kModel});
  const auto* dgamma = operands.make(MOE_FLOAT32, {kModel});
  const auto* rstd = operands.make(MOE_FLOAT32, {tokens});
  return {bytes_of({x, dy, dx, gamma, dgamma, dgamma, rstd}), 0, [=, s = operands.stream] {
            require(moe_rms_norm_backward(s, norm(1e-6f, gamma, nullptr, nullptr, rstd), x, dy, dx, dgamma));
          }};
}

// top-k 50, top-p 0.9 at temperature 0.7.
Call sample(Operands& operands, int64_t tokens) {
  const std::vector<float> row = normal(kVocabulary);
  std::vector<float> rows;
  for (int64_t s = 0; s < tokens; ++s) {
    rows.insert(rows.end(), row.begin() + s, row.end());
    rows.insert(rows.end(), row.begin(), row.begin() + s);
  }
  const auto* logits = holding(operands, MOE_FLOAT32, {tokens, kVocabulary}, rows);
  const auto* temperature = filled(operands, MOE_FLOAT32, tokens, 0.7f);
  const auto* min_p = filled(operands, MOE_FLOAT32, tokens, 0.0f);
  const auto* top_k = filled(operands, MOE_INT32, tokens, 50);
  const auto* top_p = filled(operands, MOE_FLOAT32, tokens, 0.9f);
  const auto* uniform = filled(operands, MOE_FLOAT64, tokens, 0.5);
  const auto* chosen = operands.make(MOE_INT32, {tokens});
  return {bytes_of({logits, temperature, min_p, top_k, top_p, uniform, chosen}), 0, [=, s = operands.stream] {
            require(moe_sample(s, sampling(temperature, min_p, top_k, top_p, uniform, chosen), logits));
          }};
}

// A step over M x M parameters, which also writes their copy in bfloat16.
Call optimizer(Operands& operands, int64_t) {
  const auto of = [&](moe_dtype dtype) { return operands.make(dtype, {kModel, kModel}); };
  const auto *parameter = of(MOE_FLOAT32), *gradient = of(MOE_FLOAT32), *first = of(MOE_FLOAT32),
             *second = of(MOE_FLOAT32), *copy = of(MOE_BFLOAT16);
  return {2 * bytes_of({parameter, first, second}) + bytes_of({gradient, copy}), 0, [=, s = operands.stream] {
            require(moe_adamw_step(s, adamw(0.001f, 0.9f, 0.95f, 1e-8f, 0.1f, 1, 1), parameter, gradient, first, second,
                                   copy));
          }};
}

}  // namespace

Operands::~Operands() {
  for (const moe_tensor& tensor : tensors_) require(moe_memory_free(device, tensor.data));
}

moe_tensor* Operands::make(moe_dtype dtype, std::initializer_list<int64_t> shape) {
  moe_tensor made{sizeof(moe_tensor), dtype, nullptr, element_bytes(dtype), static_cast<int32_t>(shape.size()),
                  MOE_ROW_MAJOR,      {}};
  std::copy(shape.begin(), shape.end(), made.shape);
  for (int64_t size : shape) made.bytes *= size;
  require(moe_memory_allocate(device, made.bytes, &made.data));
  return &tensors_.emplace_back(made);
}

const std::vector<Family>& families() {
  const std::vector<int64_t> all{1, 64, 512, 4096}, fewer{1, 64, 512}, training{512, 4096}, step{1, 64};
  static const std::vector<Family> families{
      {"dense product, M x M", all, dense},
      {"experts, both products", all, experts},
      {"experts, gradient of the input", training, input_gradient},
      {"experts, gradient of the weights", training, weight_gradient},
      {"Q8_0 blocks, M x M", fewer,
       [](Operands& operands, int64_t tokens) { return blocks(operands, tokens, MOE_Q8_0); }},
      {"Q4_K blocks, M x M", fewer,
       [](Operands& operands, int64_t tokens) { return blocks(operands, tokens, MOE_Q4_K); }},
      {"router", all, router},
      {"gate", all, gate},
      {"dispatch", all, dispatch},
      {"combine", all, combine},
      {"attention, prefill", all, attention},
      {"attention, decode", step, attention_decode},
      {"attention, backward", all, attention_backward},
      {"RMS norm, forward", all, norm_forward},
      {"RMS norm, backward", all, norm_backward},
      {"sampling", fewer, sample},
      {"AdamW, M x M", {0}, optimizer},
  };
  return families;
}

void require(moe_status status) {
  if (status == MOE_OK) return;
  char message[512];
  moe_last_error(message, sizeof(message));
  std::fprintf(stderr, "%s\n", message);
  std::exit(1);
}

}  // namespace moe::counted
