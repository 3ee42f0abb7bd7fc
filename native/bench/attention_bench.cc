// Attention and the fused cross-entropy at sizes of training and generation: time, and GFLOP/s or GB/s of cache read.
//
// attention_bench [--seconds S] [--threads N] [--only TEXT]
// Runs each case for S seconds (default 1) on N threads (default: one per processor) and prints the fastest and the
// median call. Operations exclude what the causal mask hides. Cases with the key/value cache print the positions per
// block; blocks are shuffled.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "moe/moe.h"
#include "test/structs.h"

namespace moe::bench {
namespace {

using testing::teacher_of;
using testing::tokens_of;

double g_seconds = 1;
std::string g_only;
moe_device g_device = 0;
moe_stream g_stream = 0;

void require(moe_status status) {
  if (status == MOE_OK) return;
  char message[512];
  moe_last_error(message, sizeof(message));
  std::fprintf(stderr, "%s\n", message);
  std::exit(1);
}

int64_t bytes_of(moe_dtype dtype) { return dtype == MOE_INT8 ? 1 : dtype == MOE_BFLOAT16 ? 2 : 4; }

class Tensor {
 public:
  Tensor(moe_dtype dtype, std::initializer_list<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    view_ = {sizeof(moe_tensor), dtype, nullptr, count * bytes_of(dtype), static_cast<int32_t>(shape.size()),
             MOE_ROW_MAJOR,      {}};
    std::copy(shape.begin(), shape.end(), view_.shape);
    require(moe_memory_allocate(g_device, view_.bytes, &view_.data));
    if (dtype == MOE_FLOAT32 || dtype == MOE_BFLOAT16) require(moe_random_normal(g_stream, 1, 0, 0, 1, *this));
    if (dtype == MOE_INT8) {
      for (int64_t i = 0; i < count; ++i) static_cast<int8_t*>(view_.data)[i] = static_cast<int8_t>(i * 37 % 255 - 127);
    }
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { require(moe_memory_free(g_device, view_.data)); }
  operator const moe_tensor*() const { return &view_; }
  const moe_tensor* view() const { return &view_; }
  int32_t* indices() const { return static_cast<int32_t*>(view_.data); }

 private:
  moe_tensor view_;
};

void line(const std::string& name, double amount, const char* unit, const std::function<void()>& call) {
  if (name.find(g_only) == std::string::npos) return;
  using Clock = std::chrono::steady_clock;
  call();
  std::vector<double> times;
  for (const auto begin = Clock::now(); std::chrono::duration<double>(Clock::now() - begin).count() < g_seconds;) {
    const auto start = Clock::now();
    call();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  const double best = times.front(), median = times[times.size() / 2];
  std::printf("%-58s %9.3f ms best %9.3f ms median %8.1f %s\n", name.c_str(), best * 1e3, median * 1e3,
              amount / best * 1e-9, unit);
  std::fflush(stdout);
}

const char* name_of(moe_dtype dtype) {
  return dtype == MOE_FLOAT32 ? "float32" : dtype == MOE_BFLOAT16 ? "bfloat16" : "int8";
}

void training(moe_dtype dtype, int64_t B, int64_t L, int64_t H, int64_t G, int64_t D) {
  const Tensor q(dtype, {B, L, H, D}), k(dtype, {B, L, G, D}), v(dtype, {B, L, G, D}), dout(dtype, {B, L, H, D});
  const Tensor out(dtype, {B, L, H, D}), sums(MOE_FLOAT32, {B, H, L});
  const Tensor dq(dtype, {B, L, H, D}), dk(dtype, {B, L, G, D}), dv(dtype, {B, L, G, D});
  const auto pairs = static_cast<double>(B * H) * static_cast<double>(L) * static_cast<double>(L + 1) / 2;
  char text[96];
  std::snprintf(text, sizeof(text), "B%lld L%lld H%lld G%lld D%lld %s", static_cast<long long>(B),
                static_cast<long long>(L), static_cast<long long>(H), static_cast<long long>(G),
                static_cast<long long>(D), name_of(dtype));
  const moe_attention_config config{sizeof(config), MOE_CAUSAL, 0.1f, 0, 0};
  const moe_attention_inputs inputs{sizeof(inputs), q, k, v, nullptr};
  const moe_attention_gradients gradients{sizeof(gradients), dq, dk, dv, nullptr};
  line(std::string("forward  ") + text, pairs * 4 * static_cast<double>(D), "GFLOP/s",
       [&] { require(moe_attention_forward(g_stream, &config, &inputs, out, sums)); });
  require(moe_attention_forward(g_stream, &config, &inputs, out, sums));
  line(std::string("backward ") + text, pairs * 10 * static_cast<double>(D), "GFLOP/s",
       [&] { require(moe_attention_backward(g_stream, &config, &inputs, out, sums, dout, &gradients)); });
}

// T sequences, each at `position`; or, with prefill, rows 0 .. T - 1 of one sequence. The cache has blocks of `block`
// positions, or with 0 one block per sequence; its elements are `cached`: the rows' dtype or int8.
void generation(moe_dtype dtype, moe_dtype cached, int64_t T, int32_t position, bool prefill, int64_t H, int64_t G,
                int64_t D, int64_t block) {
  const int64_t slots = prefill ? 1 : T, capacity = prefill ? T : position + 1;
  if (block == 0) block = capacity;
  const int64_t width = (capacity + block - 1) / block, blocks = slots * width;
  const Tensor q(dtype, {T, H, D}), out(dtype, {T, H, D}), slot(MOE_INT32, {T}), positions(MOE_INT32, {T});
  const Tensor keys(cached, {blocks, block, G, D}), values(cached, {blocks, block, G, D});
  const Tensor key_scales(MOE_FLOAT32, {blocks, block, G}), value_scales(MOE_FLOAT32, {blocks, block, G});
  const Tensor table(MOE_INT32, {slots, width});
  std::iota(table.indices(), table.indices() + blocks, 0);
  std::shuffle(table.indices(), table.indices() + blocks, std::mt19937_64(1));
  for (int64_t t = 0; t < T; ++t) {
    slot.indices()[t] = prefill ? 0 : static_cast<int32_t>(t);
    positions.indices()[t] = prefill ? static_cast<int32_t>(t) : position;
  }
  const auto rows = static_cast<double>(T);
  const bool int8 = cached == MOE_INT8;
  const int64_t key_bytes = 2 * G * (D * bytes_of(cached) + (int8 ? 4 : 0));  // with the value's bytes
  const double amount = prefill ? rows * (rows + 1) / 2 * 4 * static_cast<double>(H * D)
                                : rows * (position + 1) * static_cast<double>(key_bytes);
  char text[96];
  std::snprintf(text, sizeof(text), "%s T%lld position %d H%lld G%lld D%lld block %lld %s%s",
                prefill ? "prefill " : "decode  ", static_cast<long long>(T),
                prefill ? static_cast<int>(T) - 1 : position, static_cast<long long>(H), static_cast<long long>(G),
                static_cast<long long>(D), static_cast<long long>(block), name_of(dtype), int8 ? ", int8 cache" : "");
  const moe_attention_config config{sizeof(config), MOE_CAUSAL, 0.1f, 0, 0};
  const moe_cache_places places{
      sizeof(places), keys, values,   int8 ? key_scales.view() : nullptr, int8 ? value_scales.view() : nullptr,
      table,          slot, positions};
  line(text, amount, prefill ? "GFLOP/s" : "GB/s",
       [&] { require(moe_attention_decode(g_stream, &config, q, nullptr, &places, out)); });
}

// An encoder's layer: a sequence of T rows that all see each other, with a bias by relative position.
void biased(moe_dtype dtype, int64_t T, int64_t H, int64_t D) {
  const int64_t reach = 128;
  const Tensor q(dtype, {T, H, D}), out(dtype, {T, H, D}), keys(dtype, {1, T, H, D}), values(dtype, {1, T, H, D});
  const Tensor bias(MOE_FLOAT32, {2 * reach + 1, H}), table(MOE_INT32, {1, 1}), slot(MOE_INT32, {T});
  const Tensor last(MOE_INT32, {T}), stands(MOE_INT32, {T});
  table.indices()[0] = 0;
  std::fill_n(slot.indices(), T, 0);
  std::fill_n(last.indices(), T, static_cast<int32_t>(T - 1));
  std::iota(stands.indices(), stands.indices() + T, 0);
  char text[96];
  std::snprintf(text, sizeof(text), "biased   T%lld H%lld D%lld %s", static_cast<long long>(T),
                static_cast<long long>(H), static_cast<long long>(D), name_of(dtype));
  const moe_attention_config config{sizeof(config), MOE_CAUSAL, 0.1f, 0, 0};
  const moe_relative_bias relative{sizeof(relative), bias, stands};
  const moe_cache_places places{sizeof(places), keys, values, nullptr, nullptr, table, slot, last};
  line(text, static_cast<double>(T * T) * 4 * static_cast<double>(H * D), "GFLOP/s",
       [&] { require(moe_attention_biased(g_stream, &config, &relative, q, &places, out)); });
}

void cross_entropy(moe_dtype dtype, int64_t S, int64_t M, int64_t V) {
  const Tensor hidden(dtype, {S, M}), weights(dtype, {V, M}), targets(MOE_INT32, {S}), losses(MOE_FLOAT32, {S});
  const Tensor dhidden(dtype, {S, M}), dweights(MOE_FLOAT32, {V, M}), logits(MOE_FLOAT32, {S, V});
  for (int64_t s = 0; s < S; ++s) targets.indices()[s] = static_cast<int32_t>(s * 7919 % V);
  char text[96];
  std::snprintf(text, sizeof(text), "S%lld M%lld V%lld %s", static_cast<long long>(S), static_cast<long long>(M),
                static_cast<long long>(V), name_of(dtype));
  const auto products = static_cast<double>(S) * static_cast<double>(M) * static_cast<double>(V);
  line(std::string("linear cross-entropy ") + text, products * 6, "GFLOP/s", [&] {
    require(moe_linear_cross_entropy(g_stream, tokens_of(0, 1, targets, losses), hidden, weights, dhidden, dweights));
  });
  line(std::string("linear cross-entropy, losses alone ") + text, products * 2, "GFLOP/s", [&] {
    require(moe_linear_cross_entropy(g_stream, tokens_of(0, 1, targets, losses), hidden, weights, nullptr, nullptr));
  });
  // The teacher is twice as wide.
  const Tensor taught(dtype, {S, 2 * M}), teacher(dtype, {V, 2 * M}), divergences(MOE_FLOAT32, {S});
  line(std::string("linear distillation ") + text, products * 10, "GFLOP/s", [&] {
    require(moe_linear_distillation(g_stream, tokens_of(0, 1, targets, losses),
                                    teacher_of(2, 4, taught, teacher, divergences), hidden, weights, dhidden,
                                    dweights));
  });
  line(std::string("cross-entropy in place ") + text, static_cast<double>(S * V) * 8, "GB/s",
       [&] { require(moe_cross_entropy(g_stream, tokens_of(0, 1, targets, losses), logits, logits)); });
}

}  // namespace
}  // namespace moe::bench

int main(int argc, char** argv) {
  using namespace moe::bench;
  int threads = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seconds") g_seconds = std::atof(argv[i + 1]);
    if (option == "--threads") threads = std::atoi(argv[i + 1]);
    if (option == "--only") g_only = argv[i + 1];
  }
  require(moe_device_open("cpu", 0, &g_device));
  require(moe_stream_create(g_device, threads, &g_stream));
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    training(dtype, 8, 256, 8, 8, 32);
    training(dtype, 1, 2048, 8, 2, 64);
    training(dtype, 2, 512, 8, 8, 128);
    for (int64_t block : {0, 32, 16, 1}) {
      for (int64_t rows : {1, 8}) {
        for (int32_t position : {511, 4095}) generation(dtype, dtype, rows, position, false, 8, 8, 32, block);
      }
      generation(dtype, dtype, 1, 4095, false, 32, 8, 128, block);
      generation(dtype, dtype, 2048, 0, true, 8, 8, 32, block);
    }
    for (moe_dtype cached : {dtype, MOE_INT8}) {
      for (int64_t rows : {1, 8}) {
        for (int32_t position : {1023, 4095}) generation(dtype, cached, rows, position, false, 16, 4, 64, 16);
      }
    }
    biased(dtype, 512, 12, 64);
    cross_entropy(dtype, 2048, 256, 8192);
  }
  require(moe_device_close(g_device));
}
