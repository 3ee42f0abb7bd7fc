// The two outer loops: cuts the products of a group into blocks of C, packs A, and shares the blocks among the threads.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "cpu/gemm/product.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gemm/driver.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gemm/epilogue-inl.h"
#include "cpu/gemm/macro_kernel-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

// Computes one column block of C for the m_task'th share of the row blocks. `scratch` is the thread's own.
template <Kernel kKernel>
void run_task(const Plan& plan, const Epilogue& epilogue, int64_t n_block, int64_t m_task, char* scratch) {
  const Product& product = plan.product;
  const ColumnBlock columns(plan, epilogue.gated(), n_block);
#if MOE_TILES
  struct None {};
  constexpr int kTileBytes = kKernel == Kernel::kAmx ? 64 : 32 / parts_of(kKernel);  // of k per row
  [[maybe_unused]] const std::conditional_t<in_tiles(kKernel), TileRegisters<kTileBytes>, None> registers{};
#endif
  auto* b_buffer = reinterpret_cast<Weight<kKernel>*>(scratch);
  auto* a_buffer = reinterpret_cast<float*>(scratch + plan.b_bytes());
  float* sums = a_buffer + plan.a_words();

  const Weight<kKernel>* b = b_buffer;
  if (plan.blocking.rank_k) {
    const int64_t size = panel_size(product.b.dtype, product.inner);
    if (product.b.packed) b = static_cast<const Weight<kKernel>*>(product.b.data) + columns.panel(0) * size;
    if constexpr (!multiplies_blocks(kKernel)) {
      for (int64_t p = 0; p < columns.panels && !product.b.packed; ++p) {
        pack_b_panel(product, columns.panel(p), 0, product.inner, b_buffer + p * size);
      }
    }
  }
  for (int64_t m_block = plan.first_m_block(m_task); m_block < plan.first_m_block(m_task + 1); ++m_block) {
    const RowBlock rows(plan, m_block);
    if (plan.blocking.rank_k) {
      rank_k_kernel<kKernel>(plan, epilogue, columns, rows, b, sums);
    } else {
      macro_kernel<kKernel>(plan, epilogue, columns, rows, a_buffer, b_buffer, sums);
    }
    if (writes_sums<kKernel>(product, epilogue)) continue;
    with_activation(epilogue.activation,
                    [&](auto activation) { finish_block(plan, epilogue, columns, rows, sums, activation); });
  }
  if (epilogue.streams_c) hwy::FlushStream();
}

// Low estimate of one thread's multiply-adds: a single row is bound by memory; many rows reach 50.
constexpr int64_t kMultiplyAddsPerNanosecond = 8;

// The plan that contains task `task`, given each plan's first task.
template <int64_t Plan::* kFirst>
const Plan& find_plan(const Plan* plans, int64_t count, int64_t task) {
  return *(std::upper_bound(plans, plans + count, task, [](int64_t t, const Plan& plan) { return t < plan.*kFirst; }) -
           1);
}

// Calls body(std::integral_constant<Kernel, kernel>).
template <class Body>
void with_kernel(Kernel kernel, Body&& body) {
  const auto visit = [&](auto index) {
    constexpr Kernel kEach = static_cast<Kernel>(index.value);
    if constexpr (kEach == Kernel::kDot ? MOE_NATIVE_DOT : MOE_TILES || !in_tiles(kEach)) {
      if (kernel == kEach) body(std::integral_constant<Kernel, kEach>());
    }
  };
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    (visit(std::integral_constant<int, kIndex>()), ...);
  }(std::make_integer_sequence<int, static_cast<int>(Kernel::kTileByteHalfMins) + 1>());
}

// Packs a share of B first. Tasks follow memory's order: panels if K is adjacent, else steps of all panels.
int64_t packing_b_tasks(const Plan& plan, const Product& product) {
  if (!plan.packs_b) return 0;
  return product.b.k_stride == 1 ? ceil_div(product.columns, kNr) : ceil_div(product.inner, kPackedSteps);
}
void pack_b_first(const Plan& plan, const Product& product, int64_t task) {
  const bool by_panels = product.b.k_stride == 1;
  const int64_t first = by_panels ? task : 0, end = by_panels ? task + 1 : ceil_div(product.columns, kNr);
  const int64_t k = by_panels ? 0 : task * kPackedSteps;
  const int64_t steps = by_panels ? product.inner : std::min(kPackedSteps, product.inner - k);
  const auto pack = [&](auto* to) {
    for (int64_t p = first; p < end; ++p) {
      pack_b_panel(product, p, k, steps,
                   to + p * panel_size(product.b.dtype, product.inner) + panel_size(product.b.dtype, k));
    }
  };
  plan.kernel == Kernel::kFloat ? pack(plan.packed_b) : pack(reinterpret_cast<hwy::bfloat16_t*>(plan.packed_b));
}

void run_products_kernel(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue) {
  const bool gated = epilogue.gated();
  const Arena::Frame frame(stream.arena());
  auto* plans = stream.arena().take<Plan>(count);
  const Group group(products, count, gated, threads_of(stream));
  int64_t n_blocks = 0, packed = 0, scratch = 0;
  for (int64_t i = 0; i < count; ++i) {
    plans[i] = Plan(products[i], group);
    n_blocks += plans[i].n_blocks;
    packed += plans[i].packed_a_words();
    scratch = std::max(scratch, plans[i].scratch_bytes());
  }
  auto* packed_a = stream.arena().take<float>(packed);
  const LocalScratch<char> local(stream, scratch);
  int64_t b_tasks = 0, pack_tasks = 0, tasks = 0, multiply_adds = 0;
  for (int64_t i = 0; i < count; ++i) {
    Plan& plan = plans[i];
    plan.share_rows(group, n_blocks);
    plan.packed_a = packed_a;
    packed_a += plan.packed_a_words();
    if (plan.packs_b) {
      packed += plan.packed_b_words();
      plan.packed_b = stream.arena().take<float>(plan.packed_b_words());
      plan.product.b = {plan.packed_b, products[i].b.dtype, true};
    }
    plan.first_b_task = b_tasks;
    b_tasks += packing_b_tasks(plan, products[i]);
    plan.first_pack_task = pack_tasks;
    pack_tasks += plan.blocking.packs_a ? 0 : plan.m_tasks * plan.k_blocks();
    plan.first_task = tasks;
    tasks += plan.n_blocks * plan.m_tasks;
    multiply_adds += products[i].rows * products[i].columns * products[i].inner;
  }
  parallel_tasks(stream, b_tasks + pack_tasks, packed / kPackedPerNanosecond, [&](int64_t task, int) {
    if (task < b_tasks) {
      const Plan& plan = find_plan<&Plan::first_b_task>(plans, count, task);
      return pack_b_first(plan, products[&plan - plans], task - plan.first_b_task);
    }
    task -= b_tasks;
    const Plan& plan = find_plan<&Plan::first_pack_task>(plans, count, task);
    const int64_t inner = plan.product.inner, index = task - plan.first_pack_task;
    const int64_t m_task = index / plan.k_blocks(), k = index % plan.k_blocks() * plan.blocking.kc;
    for (int64_t m_block = plan.first_m_block(m_task); m_block < plan.first_m_block(m_task + 1); ++m_block) {
      const RowBlock rows(plan, m_block);
      float* block = plan.packed_a + rows.row(0) * plan.row_words(inner);
      pack_a_block(plan, rows, k, std::min(plan.blocking.kc, inner - k),
                   block + plan.packed_rows(rows.rows()) * plan.row_words(k));
    }
  });
  parallel_tasks(stream, tasks, multiply_adds / kMultiplyAddsPerNanosecond, [&](int64_t task, int member) {
    const Plan& plan = find_plan<&Plan::first_task>(plans, count, task);
    const int64_t index = task - plan.first_task;
    with_kernel(plan.kernel, [&](auto kernel) {
      run_task<kernel.value>(plan, epilogue, index / plan.m_tasks, index % plan.m_tasks, local[member]);
    });
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(run_products_kernel);

void run_products(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(run_products_kernel)(stream, products, count, epilogue);
}

}  // namespace moe::cpu
#endif
