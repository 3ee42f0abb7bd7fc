// Dense GEMM and the experts' grouped GEMM relative to the machine's ceilings: its rates of fused multiply-adds and of
// reading memory, both measured first.
//
// gemm_bench [--seconds S] [--only TEXT] [--onednn]     runs each cell for S seconds (default 1); only cells whose line
// contains TEXT; --onednn adds oneDNN's matmul with packed weights to the dense cells (builds that found oneDNN).
#include <dirent.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cpu/simd/target.h"
#include "moe/moe.h"
#include "test/structs.h"

#if defined(MOE_BENCH_ONEDNN)
#include <dnnl.hpp>
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/gemm_bench.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "bench/ceilings-inl.h"

#if HWY_ONCE
namespace moe::bench {
namespace {

using testing::Epilogue;
using testing::form;

HWY_EXPORT(multiply_add);
HWY_EXPORT(dot_bf16);
HWY_EXPORT(dot_int8);
HWY_EXPORT(read_streams);

double g_seconds = 1;
std::string g_only;
moe_device g_device;
moe_stream g_stream;
int g_threads;
double g_peak_flops, g_peak_bf16, g_peak_int8, g_bandwidth;

void require(moe_status status) {
  if (status == MOE_OK) return;
  char text[512];
  moe_last_error(text, sizeof(text));
  std::fprintf(stderr, "%s\n", text);
  std::exit(1);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Asks for real-time priority for all threads of this process, so that other work does not disturb a timed call.
// Without permission the call runs at normal priority.
void set_priority(bool real_time) {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return;
  sched_param parameter{};
  parameter.sched_priority = real_time ? 10 : 0;
  while (const dirent* entry = ::readdir(tasks)) {
    const int task = std::atoi(entry->d_name);
    if (task > 0) ::sched_setscheduler(task, real_time ? SCHED_FIFO : SCHED_OTHER, &parameter);
  }
  ::closedir(tasks);
}

struct Timing {
  double median, best;
};

Timing measure(const std::function<void(int)>& call) {
  call(0);
  std::vector<double> times;
  double spent = 0;
  for (int i = 1; spent < g_seconds || times.size() < 5;) {
    set_priority(true);
    double burst = 0;
    while (burst < 0.2 && (spent + burst < g_seconds || times.size() < 5)) {
      const double start = now();
      call(i++);
      times.push_back(now() - start);
      burst += times.back();
    }
    set_priority(false);
    spent += burst;
    ::usleep(static_cast<useconds_t>(std::min(burst, 1.0) * 5e5));  // leaves time to other processes
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[0]};
}

void report(const std::string& name, int32_t dtype, double flops, double bytes, const std::function<void(int)>& call) {
  if (name.find(g_only) == std::string::npos) return;
  const Timing t = measure(call);
  const double peak = dtype == MOE_FLOAT32 ? g_peak_flops : dtype == MOE_BFLOAT16 ? g_peak_bf16 : g_peak_int8;
  const double floor = std::max(flops / peak, bytes / g_bandwidth);
  std::printf("%-44s %10.3f ms (best %9.3f) %7.1f GFLOP/s %6.1f GB/s  %3.0f %% of roofline (best %3.0f %%)\n",
              name.c_str(), t.median * 1e3, t.best * 1e3, flops / t.median / 1e9, bytes / t.median / 1e9,
              100 * floor / t.median, 100 * floor / t.best);
  std::fflush(stdout);
}

// Device memory filled with small numbers in either dtype.
class Buffer {
 public:
  Buffer(int32_t dtype, std::vector<int64_t> shape, int32_t layout = MOE_ROW_MAJOR) {
    int64_t bytes = dtype == MOE_FLOAT32 || dtype == MOE_INT32 ? 4 : 2;
    for (int64_t size : shape) bytes *= size;
    const auto rank = static_cast<int32_t>(shape.size());
    if (layout != MOE_ROW_MAJOR) require(moe_gemm_packed_bytes(g_device, dtype, rank, shape.data(), &bytes));
    void* memory = nullptr;
    require(moe_memory_allocate(g_device, bytes, &memory));
    for (int64_t i = 0; i < bytes / 4; ++i) static_cast<uint32_t*>(memory)[i] = 0x3c003c00u;  // 0.0078
    view_ = {sizeof(moe_tensor), dtype, memory, bytes, rank, layout, {}};
    std::copy(shape.begin(), shape.end(), view_.shape);
  }
  Buffer(const Buffer&) = delete;
  Buffer(Buffer&& other) : view_(other.view_) { other.view_.data = nullptr; }
  ~Buffer() {
    if (view_.data == nullptr) return;
    require(moe_memory_free(g_device, view_.data));
    require(moe_memory_trim(g_device));
  }
  operator const moe_tensor*() const { return &view_; }
  char* data() const { return static_cast<char*>(view_.data); }
  int64_t bytes() const { return view_.bytes; }

 private:
  moe_tensor view_{};
};

void on_threads(const std::function<void(int)>& body) {
  std::vector<std::thread> team;
  for (int t = 0; t < g_threads; ++t) team.emplace_back(body, t);
  for (std::thread& thread : team) thread.join();
}

void measure_ceilings() {
  std::vector<float> sink(static_cast<size_t>(g_threads) * 16);
  std::vector<double> flops(static_cast<size_t>(g_threads));
  const auto peak = [&](const char* what, double (*multiply)(int64_t, float, float*)) {
    const Timing t = measure([&](int i) {
      on_threads([&](int thread) { flops[thread] = multiply(20'000'000, static_cast<float>(i), &sink[thread * 16]); });
    });
    const double work = flops[0] * g_threads;
    std::printf("%s, %d threads: %7.1f GFLOP/s (best %.1f)\n", what, g_threads, work / t.median / 1e9,
                work / t.best / 1e9);
    return work / t.median;
  };
  g_peak_flops = peak("fused multiply-adds of f32", HWY_DYNAMIC_POINTER(multiply_add));
  g_peak_bf16 = peak("dot products of bf16", HWY_DYNAMIC_POINTER(dot_bf16));
  g_peak_int8 = peak("dot products of int8", HWY_DYNAMIC_POINTER(dot_int8));
  const int64_t share = int64_t{512} << 20;
  const Buffer memory(MOE_FLOAT32, {(share * g_threads + 4096) / 4});
  for (int streams : {1, 2, 4}) {
    for (bool past_caches : {false, true}) {
      const Timing t = measure([&](int) {
        on_threads([&](int thread) {
          HWY_DYNAMIC_DISPATCH(read_streams)
          (memory.data() + thread * share, share, streams, past_caches, &sink[thread * 16]);
        });
      });
      const double rate = static_cast<double>(share) * g_threads;
      std::printf("memory reads, %d threads, %d streams%s: %5.1f GB/s (best %.1f)\n", g_threads, streams,
                  past_caches ? " past the caches" : "", rate / t.median / 1e9, rate / t.best / 1e9);
      g_bandwidth = std::max(g_bandwidth, rate / t.median);
    }
  }
  std::printf("\n");
}

// Block formats, and bytes per element in a file.
struct Format {
  moe_dtype dtype;
  const char* name;
  double bytes;
};
constexpr Format kFormats[] = {
    {MOE_Q8_0, "q8_0", 34.0 / 32},       {MOE_Q4_0, "q4_0", 18.0 / 32},        {MOE_MXFP4, "mxfp4", 17.0 / 32},
    {MOE_Q4_K, "q4_k", 144.0 / 256},     {MOE_Q5_K, "q5_k", 176.0 / 256},      {MOE_Q6_K, "q6_k", 210.0 / 256},
    {MOE_Q8_128, "q8_128", 130.0 / 128}, {MOE_Q4_1, "q4_1", 20.0 / 32},        {MOE_Q5_1, "q5_1", 24.0 / 32},
    {MOE_Q2_K, "q2_k", 84.0 / 256},      {MOE_Q3_K, "q3_k", 110.0 / 256},      {MOE_IQ4_NL, "iq4_nl", 18.0 / 32},
    {MOE_IQ4_XS, "iq4_xs", 136.0 / 256}, {MOE_FP8_128, "fp8_128", 132.0 / 128}};

const char* name_of(int32_t dtype) { return dtype == MOE_BFLOAT16 ? "bf16" : "f32"; }

#if defined(MOE_BENCH_ONEDNN)
// oneDNN multiplies bfloat16 only where the processor does.
bool onednn_has(int32_t dtype) {
  moe_device_info info{};
  info.struct_size = sizeof(info);
  require(moe_device_describe(g_device, &info));
  return dtype == MOE_FLOAT32 || info.native_bfloat16 == 1;
}

void dense_onednn(int64_t m, int64_t n, int64_t k, int32_t dtype, int copies) {
  using dnnl::memory;
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  static dnnl::stream stream(engine);
  const auto type = dtype == MOE_BFLOAT16 ? memory::data_type::bf16 : memory::data_type::f32;
  const dnnl::matmul::primitive_desc description(engine, memory::desc({m, k}, type, memory::format_tag::ab),
                                                 memory::desc({k, n}, type, memory::format_tag::any),
                                                 memory::desc({m, n}, type, memory::format_tag::ab));
  dnnl::matmul matmul(description);
  std::vector<Buffer> weights;
  std::vector<memory> b;
  for (int i = 0; i < copies; ++i) {
    weights.emplace_back(MOE_FLOAT32, std::vector{static_cast<int64_t>(description.weights_desc().get_size() + 3) / 4});
    b.emplace_back(description.weights_desc(), engine, weights.back().data());
  }
  const Buffer x(dtype, {m, k}), y(dtype, {m, n});
  memory a(description.src_desc(), engine, x.data()), c(description.dst_desc(), engine, y.data());
  char name[96];
  std::snprintf(name, sizeof(name), "oneDNN %s M=%ld N=%ld K=%ld", name_of(dtype), m, n, k);
  report(name, dtype, 2.0 * m * n * k, static_cast<double>(n * k) * (dtype == MOE_BFLOAT16 ? 2 : 4), [&](int i) {
    matmul.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b[i % copies]}, {DNNL_ARG_DST, c}});
    stream.wait();
  });
}
#endif

void dense(bool onednn) {
  const std::pair<int64_t, int64_t> sizes[] = {{4096, 1024}, {1024, 4096}};
  for (const auto& [n, k] : sizes) {
    for (int32_t dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      const int copies = 16;  // 128 to 256 MB: weights come from memory
      std::vector<Buffer> packed;
      for (int i = 0; i < copies; ++i) packed.emplace_back(dtype, std::vector{n, k}, MOE_PACKED);
      const Buffer rows(dtype, {n, k});
      for (int64_t m : {1, 2, 4, 8, 16, 64, 512, 2048}) {
        const Buffer a(dtype, {m, k}), c(dtype, {m, n});
        const double flops = 2.0 * m * n * k;
        char name[96];
        std::snprintf(name, sizeof(name), "dense %s packed M=%ld N=%ld K=%ld", name_of(dtype), m, n, k);
        report(name, dtype, flops, packed[0].bytes(),
               [&](int i) { require(moe_gemm(g_stream, form(0, 1), a, packed[i % copies], c, nullptr)); });
#if defined(MOE_BENCH_ONEDNN)
        if (onednn && onednn_has(dtype)) dense_onednn(m, n, k, dtype, copies);
#endif
        if (m < 64) continue;
        std::snprintf(name, sizeof(name), "dense %s NT M=%ld N=%ld K=%ld", name_of(dtype), m, n, k);
        report(name, dtype, flops, rows.bytes(),
               [&](int) { require(moe_gemm(g_stream, form(0, 1), a, rows, c, nullptr)); });
      }
    }
  }
#if !defined(MOE_BENCH_ONEDNN)
  if (onednn) std::printf("built without oneDNN\n");
#endif
}

struct Shape {
  const char* name;
  int64_t model, hidden, experts, choices;
  moe_activation activation;
};

constexpr Shape kShapes[] = {
    {"S1", 1024, 4096, 32, 1, MOE_GELU}, {"S2", 1024, 3584, 8, 2, MOE_SWIGLU}, {"S3", 2048, 1024, 64, 8, MOE_SWIGLU}};

// Each token's `choices` different random experts; rows by expert.
std::vector<Buffer> random_offsets(const Shape& shape, int64_t tokens, int count, double& mean_hit) {
  std::mt19937_64 random(static_cast<uint64_t>(tokens * 131 + shape.experts));
  std::vector<Buffer> tables;
  mean_hit = 0;
  for (int i = 0; i < count; ++i) {
    std::vector<int32_t> rows(static_cast<size_t>(shape.experts));
    std::vector<int64_t> order(static_cast<size_t>(shape.experts));
    for (size_t e = 0; e < order.size(); ++e) order[e] = static_cast<int64_t>(e);
    for (int64_t t = 0; t < tokens; ++t) {
      std::shuffle(order.begin(), order.end(), random);
      for (int64_t j = 0; j < shape.choices; ++j) ++rows[order[j]];
    }
    tables.emplace_back(MOE_INT32, std::vector{shape.experts + 1});
    auto* offsets = reinterpret_cast<int32_t*>(tables.back().data());
    offsets[0] = 0;
    for (int64_t e = 0; e < shape.experts; ++e) {
      offsets[e + 1] = offsets[e] + rows[e];
      mean_hit += rows[e] > 0;
    }
  }
  mean_hit /= count;
  return tables;
}

void experts(const Shape& shape, int32_t dtype) {
  const int tables = 16;
  const int64_t model = shape.model, hidden = shape.hidden;
  const int64_t up_columns = shape.activation == MOE_SWIGLU ? 2 * hidden : hidden;
  const double matrix_elements = static_cast<double>(model) * (up_columns + hidden);
  const Buffer up(dtype, {shape.experts, up_columns, model}, MOE_PACKED);
  const Buffer down(dtype, {shape.experts, model, hidden}, MOE_PACKED);
  const Buffer up_rows(dtype, {shape.experts, up_columns, model}), down_rows(dtype, {shape.experts, model, hidden});
  const Buffer up_gradient(MOE_FLOAT32, {shape.experts, up_columns, model});
  for (int64_t tokens : {1, 8, 64, 512, 2048}) {
    const int64_t rows = tokens * shape.choices;
    const Buffer x(dtype, {rows, model}), h(dtype, {rows, hidden}), y(dtype, {rows, model});
    const Buffer dh(dtype, {rows, up_columns});
    double hit = 0;
    const std::vector<Buffer> offsets = random_offsets(shape, tokens, tables, hit);
    const double element = dtype == MOE_BFLOAT16 ? 2 : 4;
    const double flops = 2 * rows * matrix_elements, bytes = hit * matrix_elements * element;
    const double up_flops = 2.0 * rows * model * up_columns, up_elements = hit * model * up_columns;
    const auto name = [&](const char* what) {
      char text[96];
      std::snprintf(text, sizeof(text), "%s %s %s T=%ld hit=%.1f", shape.name, name_of(dtype), what, tokens, hit);
      return std::string(text);
    };
    report(name("forward packed"), dtype, flops, bytes, [&](int i) {
      const Buffer& groups = offsets[i % tables];
      require(moe_expert_forward(g_stream, x, groups, up, h, Epilogue(shape.activation)));
      require(moe_expert_forward(g_stream, h, groups, down, y, nullptr));
    });
    report(name("forward row-major"), dtype, flops, bytes, [&](int i) {
      const Buffer& groups = offsets[i % tables];
      require(moe_expert_forward(g_stream, x, groups, up_rows, h, Epilogue(shape.activation)));
      require(moe_expert_forward(g_stream, h, groups, down_rows, y, nullptr));
    });
    report(name("dgrad"), dtype, up_flops, up_elements * element,
           [&](int i) { require(moe_expert_backward_input(g_stream, dh, offsets[i % tables], up_rows, x)); });
    report(name("wgrad written"), dtype, up_flops, up_elements * 4, [&](int i) {
      require(moe_expert_backward_weights(g_stream, 0, dh, x, offsets[i % tables], up_gradient, nullptr));
    });
    report(name("wgrad added"), dtype, up_flops, up_elements * 8, [&](int i) {
      require(moe_expert_backward_weights(g_stream, 1, dh, x, offsets[i % tables], up_gradient, nullptr));
    });
  }
}

// The experts' forward with weights in blocks. Bytes are a file's, even if packed weights take more. With
// MOE_PACKED_EXACT products and their peak are float32's.
void experts_in_blocks(const Shape& shape, const Format& format, moe_layout layout) {
  const int tables = 16;
  const int64_t up_columns = shape.activation == MOE_SWIGLU ? 2 * shape.hidden : shape.hidden;
  const double matrix_elements = static_cast<double>(shape.model) * (up_columns + shape.hidden);
  const bool exact = layout == MOE_PACKED_EXACT;
  const Buffer up(format.dtype, {shape.experts, up_columns, shape.model}, layout);
  const Buffer down(format.dtype, {shape.experts, shape.model, shape.hidden}, layout);
  for (int64_t tokens : {1, 8, 64, 512, 2048}) {
    const int64_t rows = tokens * shape.choices;
    const Buffer x(MOE_BFLOAT16, {rows, shape.model}), h(MOE_BFLOAT16, {rows, shape.hidden});
    const Buffer y(MOE_BFLOAT16, {rows, shape.model});
    double hit = 0;
    const std::vector<Buffer> offsets = random_offsets(shape, tokens, tables, hit);
    char name[96];
    std::snprintf(name, sizeof(name), "%s %s forward %s T=%ld hit=%.1f", shape.name, format.name,
                  exact ? "exact" : "packed", tokens, hit);
    report(name, exact ? MOE_FLOAT32 : format.dtype, 2 * rows * matrix_elements, hit * matrix_elements * format.bytes,
           [&](int i) {
             const Buffer& groups = offsets[i % tables];
             require(moe_expert_forward(g_stream, x, groups, up, h, Epilogue(shape.activation)));
             require(moe_expert_forward(g_stream, h, groups, down, y, nullptr));
           });
  }
}

// The gradient of the input of frozen weights that stay packed, against row-major ones.
void input_gradients() {
  struct Weights {
    const char* name;
    int32_t dtype;
    moe_layout layout;
  };
  constexpr Weights kWeights[] = {{"f32 row-major", MOE_FLOAT32, MOE_ROW_MAJOR},
                                  {"f32 packed", MOE_FLOAT32, MOE_PACKED},
                                  {"q4_0", MOE_Q4_0, MOE_PACKED},
                                  {"q4_k", MOE_Q4_K, MOE_PACKED},
                                  {"bf16 row-major", MOE_BFLOAT16, MOE_ROW_MAJOR},
                                  {"bf16 packed", MOE_BFLOAT16, MOE_PACKED}};
  for (const auto& [experts, rows] : {std::pair<int64_t, int64_t>{1, 512}, {8, 256}}) {
    for (const int64_t size : {1024, 2048, 4096}) {
      const Buffer dy(MOE_FLOAT32, {experts * rows, size}), dx(MOE_FLOAT32, {experts * rows, size});
      const Buffer offsets(MOE_INT32, {experts + 1});
      for (int64_t e = 0; e <= experts; ++e) {
        reinterpret_cast<int32_t*>(offsets.data())[e] = static_cast<int32_t>(e * rows);
      }
      for (const Weights& of : kWeights) {
        char name[96];
        std::snprintf(name, sizeof(name), "input %s E=%ld M=%ld N=K=%ld", of.name, experts, rows, size);
        if (std::string(name).find(g_only) == std::string::npos) continue;
        const Buffer weights(of.dtype, {experts, size, size}, of.layout);
        report(name, MOE_FLOAT32, 2.0 * experts * rows * size * size, weights.bytes(),
               [&](int) { require(moe_expert_backward_input(g_stream, dy, offsets, weights, dx)); });
      }
    }
  }
}

}  // namespace

int run(int argc, char** argv) {
  bool onednn = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--onednn") == 0) {
      onednn = true;
    } else if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
      g_seconds = std::atof(argv[++i]);
    } else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
      g_only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--seconds S] [--only TEXT] [--onednn]\n", argv[0]);
      return 2;
    }
  }
  require(moe_device_open("cpu", 0, &g_device));
  cpu::limit_simd_target(std::getenv("PANAMOE_SIMD"));  // for the ceilings too
  require(moe_stream_create(g_device, 0, &g_stream));
  moe_device_info info{};
  info.struct_size = sizeof(info);
  require(moe_device_describe(g_device, &info));
  g_threads = info.processors;
  std::printf("%s, %s, %d threads\n", info.name, info.target, g_threads);
  measure_ceilings();
  if (std::string("dense oneDNN").find(g_only.substr(0, 5)) != std::string::npos) dense(onednn);
  const auto wanted = [](const std::string& name) {
    const size_t common = std::min(name.size(), g_only.size());
    return name.compare(0, common, g_only, 0, common) == 0;
  };
  if (wanted("input")) input_gradients();
  for (const Shape& shape : kShapes) {
    for (int32_t dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      if (wanted(std::string(shape.name) + " " + name_of(dtype))) experts(shape, dtype);
    }
    for (const Format& format : kFormats) {
      for (moe_layout layout : {MOE_PACKED, MOE_PACKED_EXACT}) {
        if (format.dtype == MOE_FP8_128 && layout == MOE_PACKED) continue;  // always exact
        if (wanted(std::string(shape.name) + " " + format.name)) experts_in_blocks(shape, format, layout);
      }
    }
  }
  require(moe_device_close(g_device));
  return 0;
}

}  // namespace moe::bench

int main(int argc, char** argv) { return moe::bench::run(argc, argv); }
#endif
