// Runs the products of a call: packs rows of a, then gives strips of a few panels of b to the threads. Strips and
// blocks only decide who computes what when, never in which order an element's products are summed.
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
#include "cpu/gemm/strip-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

// `scratch` is the member's; with `holds_strip` it still holds the strip that its last task packed.
template <class Products, class Weight = typename Products::Weight>
void run_task(const Plan& plan, const Epilogue& epilogue, int64_t strip_index, int64_t chunk, char* scratch,
              bool holds_strip) {
  const Product& product = *plan.product;
  const bool gated = epilogue.gated();
  const Strip strip = make_strip(plan, gated, strip_index);
#if MOE_TILES
  struct None {};
  [[maybe_unused]] const std::conditional_t<kInTiles<Products>, TileRegisters, None> registers{};
#endif
  auto* packed = reinterpret_cast<Weight*>(scratch);
  auto* own_rows = reinterpret_cast<float*>(scratch + plan.packed_bytes());
  float* tile = own_rows + plan.own_row_words();

  Panels<Weight> panels;
  panels.piece = plan.packs_pieces() ? packed : nullptr;
  panels.stride = plan.tiling.in_place ? product.b.inner_stride : kPanelColumns;
  panels.next_strip = plan.strip_panels(gated) * kPanelColumns;
  for (int64_t p = 0; p < strip.panels && panels.piece == nullptr; ++p) {
    const int64_t size = panel_size(product.b.dtype, product.inner);
    if (plan.tiling.in_place) {
      panels.whole[p] = static_cast<const Weight*>(product.b.at(strip.panel[p] * kPanelColumns, 0).data);
    } else if (product.b.packed) {
      panels.whole[p] = static_cast<const Weight*>(product.b.data) + strip.panel[p] * size;
    } else {
      panels.whole[p] = packed + p * size;
      if (!holds_strip) pack_panel(product, strip.panel[p], 0, product.inner, packed + p * size);
    }
  }
  for (int64_t i = plan.blocks * chunk / plan.chunks; i < plan.blocks * (chunk + 1) / plan.chunks; ++i) {
    const Block block(plan, i);
    if (is_short<Products>(product, epilogue)) {
      multiply_short<Products>(plan, epilogue, strip, panels, block, tile);
    } else {
      multiply_strip<Products>(plan, epilogue, strip, panels, block, own_rows, tile);
    }
    if (is_sums(product, epilogue)) {
      if (kInTiles<Products>) move_sums(plan, epilogue, strip, block, tile);
      continue;
    }
    with_activation(epilogue.activation,
                    [&](auto activation) { finish_strip(plan, epilogue, strip, block, tile, activation); });
  }
  if (is_sums(product, epilogue)) hwy::FlushStream();
}

constexpr int64_t kMultiplyAddsPerNanosecond = 8;  // of one row, by one thread at least; of many it is 50

// The plan that task `task` belongs to, by the plans' first tasks.
template <int64_t Plan::* kFirst>
const Plan& find_plan(const Plan* plans, int64_t count, int64_t task) {
  return *(std::upper_bound(plans, plans + count, task, [](int64_t t, const Plan& plan) { return t < plan.*kFirst; }) -
           1);
}

// body(the plan's way of multiplying)
template <class Body>
void with_products(const Plan& plan, Body&& body) {
#if MOE_TILES
  if (plan.way == Way::kTiles) return body(TileProducts());
#endif
#if MOE_NATIVE_DOT
  if (plan.way == Way::kPairs) return body(PairProducts());
#endif
  plan.product->b.dtype == MOE_BFLOAT16 ? body(WidenedProducts()) : body(FloatProducts());
}

void run_products_kernel(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue) {
  const bool gated = epilogue.gated();
  const Arena::Frame frame(stream.arena());
  const int threads = threads_of(stream);
  auto* plans = stream.arena().take<Plan>(count);
  int64_t strips = 0, packed = 0, scratch = 0;
  const Call call(products, count, gated, threads);
  for (int64_t i = 0; i < count; ++i) {
    const Product& product = products[i];
    const int64_t c_columns = gated ? product.columns / 2 : product.columns;
    plans[i].product = &product;
    plans[i].way = way_of(product);
    plans[i].tiling = tiling_of(product, plans[i].way, call);
    plans[i].panels = c_columns == 0 ? 0 : ceil_div(product.rows, plans[i].panel_rows());
    plans[i].strips = product.rows == 0 ? 0 : ceil_div(c_columns, plans[i].strip_panels(gated) * kPanelColumns);
    plans[i].blocks = ceil_div(plans[i].panels, plans[i].tiling.block);
    // Blocks that pack their own rows are few and long: every thread gets as many as the others.
    if (plans[i].tiling.own_rows) {
      plans[i].blocks = ceil_div(plans[i].blocks, call.threads_a_product) * call.threads_a_product;
    }
    strips += plans[i].strips;
    packed += plans[i].packed_words();
    scratch = std::max(scratch, plans[i].scratch_bytes());
  }
  auto* packed_a = stream.arena().take<float>(packed);
  const LocalScratch<char> local(stream, scratch);
  // Rows are shared out only where strips are too few to keep every thread busy: each chunk reads the weights anew.
  const int64_t wanted_chunks = strips == 0 ? 1 : ceil_div(kTasksPerThread * threads, strips);
  int64_t pack_tasks = 0, tasks = 0, multiply_adds = 0;
  for (int64_t i = 0; i < count; ++i) {
    plans[i].packed_a = packed_a;
    packed_a += plans[i].packed_words();
    plans[i].chunks = plans[i].tiling.own_rows ? plans[i].blocks : std::min(wanted_chunks, plans[i].blocks);
    plans[i].first_pack_task = pack_tasks;
    pack_tasks += plans[i].tiling.own_rows ? 0 : plans[i].blocks;
    plans[i].first_task = tasks;
    tasks += plans[i].strips * plans[i].chunks;
    multiply_adds += products[i].rows * products[i].columns * products[i].inner;
  }
  parallel_tasks(stream, pack_tasks, packed / kPackedPerNanosecond, [&](int64_t task, int) {
    const Plan& plan = find_plan<&Plan::first_pack_task>(plans, count, task);
    const Product& product = *plan.product;
    const Block block(plan, task - plan.first_pack_task);
    float* to = plan.packed_a + block.row[0] * plan.row_words(product.inner);
    for (int64_t k = 0; k < product.inner; k += block.inner) {
      to = pack_block(plan, block, k, std::min(block.inner, product.inner - k), to);
    }
  });
  auto* held_strip = stream.arena().take<int64_t>(threads);  // by its first task
  std::fill_n(held_strip, threads, -1);
  parallel_tasks(stream, tasks, multiply_adds / kMultiplyAddsPerNanosecond, [&](int64_t task, int member) {
    const Plan& plan = find_plan<&Plan::first_task>(plans, count, task);
    const int64_t index = task - plan.first_task, strip = index / plan.chunks, chunk = index % plan.chunks;
    const bool holds_strip = std::exchange(held_strip[member], task - chunk) == task - chunk;
    with_products(plan, [&](auto products) {
      run_task<decltype(products)>(plan, epilogue, strip, chunk, local[member], holds_strip);
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
