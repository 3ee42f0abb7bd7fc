// Several threads on one device, in ways that no caller should use it: nothing may crash, and some results must be
// right.
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "test/structs.h"
#include "test/routes.h"

namespace moe::testing {
namespace {

constexpr int kThreads = 8;
constexpr auto kTime = std::chrono::milliseconds(400);

// A call with outputs of its own and known bits.
struct Known {
  std::function<moe_status(moe_stream, const std::vector<Tensor>&)> call;
  std::function<std::vector<Tensor>()> outputs;
  std::vector<std::vector<uint8_t>> expected;

  std::vector<std::vector<uint8_t>> compute(moe_stream on) const {
    const std::vector<Tensor> made = outputs();
    EXPECT_MOE_OK(call(on, made));
    EXPECT_MOE_OK(moe_stream_synchronize(on));
    std::vector<std::vector<uint8_t>> bits;
    for (const Tensor& each : made) bits.push_back(each.bits());
    return bits;
  }
};

std::vector<Tensor> floats(std::initializer_list<std::vector<int64_t>> shapes) {
  std::vector<Tensor> tensors;
  for (const auto& shape : shapes) tensors.emplace_back(MOE_FLOAT32, shape);
  return tensors;
}

class ConcurrencyTest : public KernelTest {
 protected:
  static constexpr int64_t kTokens = 70, kWidth = 24, kExperts = 5;

  void SetUp() override {
    KernelTest::SetUp();
    add([] { return floats({{kTokens, kWidth}}); },
        [this](moe_stream on, const auto& out) {
          return moe_embedding_forward(on, ids, table, positions, table, out[0]);
        });
    add([this] { return floats({{routes.rows(), kWidth}}); },
        [this](moe_stream on, const auto& out) {
          return moe_dispatch_forward(on, x, table_of(routes.expert, routes.position, routes.offsets), out[0]);
        });
    add([] { return floats({{kTokens, kWidth}}); },
        [this](moe_stream on, const auto& out) {
          return moe_combine_forward(on, combine_inputs(rows, nullptr, nullptr),
                                     table_of(routes.expert, routes.position, routes.offsets, routes.weight), out[0]);
        });
    add([this] { return floats({{routes.rows(), 32}}); },
        [this](moe_stream on, const auto& out) {
          return moe_expert_forward(on, rows, routes.offsets, weights, out[0], Epilogue(MOE_GELU));
        });
    add([] { return floats({{kTokens, 2, 8}}); },
        [this](moe_stream on, const auto& out) {
          return moe_attention_decode(on, attention_config(0.3f), q, sinks,
                                      cache_places(cache, cache, blocks, slots, positions), out[0]);
        });
    add([] { return floats({{kTokens}, {kTokens, kWidth}}); },
        [this](moe_stream on, const auto& out) {
          return moe_cross_entropy(on, tokens_of(0.1f, 1, targets, out[0]), x, out[1]);
        });
    for (const int32_t policy : {MOE_DROPLESS, MOE_DROP_PROBABILITY, MOE_DROP_PRIORITY}) {
      add(&gate_outputs, [this, policy](moe_stream on, const auto& out) { return gate(on, policy, logits, out); });
    }
  }

  static std::vector<Tensor> gate_outputs() {
    std::vector<Tensor> out = floats({{kTokens, kExperts}, {kTokens, 2}, {2}});
    for (int i = 0; i < 3; ++i) out.emplace_back(MOE_INT32, std::vector<int64_t>{kTokens, 2});
    out.emplace_back(MOE_INT32, std::vector<int64_t>{kExperts});
    out.emplace_back(MOE_INT32, std::vector<int64_t>{kExperts + 1});
    return out;
  }

  moe_status gate(moe_stream on, int32_t policy, const Tensor& scored, const std::vector<Tensor>& out) const {
    moe_gate_config config{};
    config.struct_size = sizeof(config);
    config.top_k = 2;
    config.drop_policy = policy;
    config.capacity = 11;
    config.groups = config.chosen_groups = 1;
    config.auxiliary_choices = 1;
    config.noise_first_choice = 2;
    config.weight_scale = 1;
    return moe_gate_forward(on, &config, gate_inputs(scored, nullptr, nullptr, nullptr, priority),
                            all_routes(out[0], out[3], out[4], out[1], out[5], out[6], out[7], out[2]));
  }

  void add(std::function<std::vector<Tensor>()> outputs,
           std::function<moe_status(moe_stream, const std::vector<Tensor>&)> call) {
    known.push_back({std::move(call), std::move(outputs), {}});
    known.back().expected = known.back().compute(single);
  }

  // Runs body(thread, generator) repeatedly in this many threads for a fixed time.
  template <typename Body>
  static void in_threads(int threads, Body&& body) {
    const auto end = std::chrono::steady_clock::now() + kTime;
    std::vector<std::thread> running;
    for (int thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        std::mt19937_64 generator(static_cast<uint64_t>(thread));
        while (std::chrono::steady_clock::now() < end) body(thread, generator);
      });
    }
    for (std::thread& each : running) each.join();
  }

  void expect_known(moe_stream on, std::mt19937_64& generator) const {
    const size_t which = generator() % known.size();
    EXPECT_EQ(known[which].compute(on), known[which].expected) << "call " << which;
  }

  static Tensor integers(std::initializer_list<int64_t> shape, int64_t below, uint64_t seed) {
    Tensor tensor(MOE_INT32, shape);
    std::mt19937_64 generator(seed);
    for (int64_t i = 0; i < tensor.count(); ++i) {
      tensor.set(i, static_cast<double>(generator() % static_cast<uint64_t>(below)));
    }
    return tensor;
  }

  const RouteTable routes{kTokens, 2, kExperts, 7};
  const Tensor x = Tensor::random(MOE_FLOAT32, {kTokens, kWidth}, 1);
  const Tensor rows = Tensor::random(MOE_FLOAT32, {routes.rows(), kWidth}, 2);
  const Tensor weights = Tensor::random(MOE_FLOAT32, {kExperts, 32, kWidth}, 3);
  const Tensor table = Tensor::random(MOE_FLOAT32, {16, kWidth}, 4);
  const Tensor logits = Tensor::random(MOE_FLOAT32, {kTokens, kExperts}, 5);
  const Tensor priority = Tensor::random(MOE_FLOAT32, {kTokens, kExperts}, 6);
  const Tensor q = Tensor::random(MOE_FLOAT32, {kTokens, 2, 8}, 7);
  const Tensor sinks = Tensor::random(MOE_FLOAT32, {2}, 8);
  const Tensor cache = Tensor::random(MOE_FLOAT32, {9, 4, 2, 8}, 8);
  const Tensor ids = integers({kTokens}, 16, 9), positions = integers({kTokens}, 16, 10);
  const Tensor blocks = integers({4, 4}, 9, 13), slots = integers({kTokens}, 4, 11),
               targets = integers({kTokens}, kWidth, 12);
  std::vector<Known> known;
};

TEST_F(ConcurrencyTest, CallsOfThreadsOnFewStreamsGiveTheirOwnResults) {
  const moe_stream streams[] = {stream, single, triple};
  in_threads(kThreads, [&](int, std::mt19937_64& generator) {
    const moe_stream on = streams[generator() % 3];
    switch (generator() % 8) {
      case 0: {
        int32_t finished = -1;
        EXPECT_MOE_OK(moe_stream_query(on, &finished));
        EXPECT_TRUE(finished == 0 || finished == 1);
        break;
      }
      case 1: {
        moe_stream own = 0;
        ASSERT_MOE_OK(moe_stream_create(device, 1 + static_cast<int32_t>(generator() % 3), &own));
        expect_known(own, generator);
        EXPECT_MOE_OK(moe_stream_destroy(own));
        break;
      }
      default: expect_known(on, generator);
    }
  });
}

TEST_F(ConcurrencyTest, MemoryIsNobodyElsesUntilItIsFreed) {
  in_threads(kThreads, [&](int thread, std::mt19937_64& generator) {
    void* blocks[6] = {};
    const auto mark = static_cast<int>(thread + 1);
    const auto bytes = [](int block) { return 64 << block; };
    for (int block = 0; block < 6; ++block) {
      ASSERT_MOE_OK(moe_memory_allocate(device, bytes(block), &blocks[block]));
      const std::vector<uint8_t> marks(static_cast<size_t>(bytes(block)), static_cast<uint8_t>(mark));
      EXPECT_MOE_OK(moe_memory_write(stream, marks.data(), bytes(block), blocks[block]));
    }
    if (generator() % 16 == 0) {
      EXPECT_MOE_OK(moe_memory_trim(device));
    }
    moe_memory_usage usage{};
    usage.struct_size = sizeof(usage);
    EXPECT_MOE_OK(moe_memory_usage_get(device, &usage));
    EXPECT_GE(usage.in_use, 64);
    for (int block = 0; block < 6; ++block) {
      std::vector<uint8_t> held(static_cast<size_t>(bytes(block)));
      EXPECT_MOE_OK(moe_memory_read(stream, blocks[block], bytes(block), held.data()));
      EXPECT_TRUE(std::all_of(held.begin(), held.end(), [&](uint8_t byte) { return byte == mark; }));
      EXPECT_MOE_OK(moe_memory_free(device, blocks[block]));
    }
  });
}

// Two threads free one block at the same time: one of them is refused.
TEST_F(ConcurrencyTest, ABlockIsFreedOnce) {
  for (int round = 0; round < 200; ++round) {
    void* block = nullptr;
    ASSERT_MOE_OK(moe_memory_allocate(device, 64, &block));
    std::atomic<int> freed{0}, refused{0};
    const auto free_it = [&] {
      const moe_status status = moe_memory_free(device, block);
      ++(status == MOE_OK ? freed : refused);
      EXPECT_TRUE(status == MOE_OK || status == MOE_INVALID_ARGUMENT);
    };
    std::thread other(free_it);
    free_it();
    other.join();
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(refused, 1);
  }
}

// Other threads close streams and devices: a call runs or is refused, and what it uses lives until it returns.
TEST_F(ConcurrencyTest, DevicesAndStreamsAreClosedInTheMiddleOfCalls) {
  std::atomic<moe_device> owner{0};
  std::atomic<moe_stream> shared{0};
  std::atomic<void*> memory{nullptr};
  const auto reopen = [&] {
    moe_device opened = 0;
    moe_stream on = 0;
    void* block = nullptr;
    ASSERT_MOE_OK(moe_device_open(backend_under_test(), 0, &opened));
    ASSERT_MOE_OK(moe_stream_create(opened, 2, &on));
    ASSERT_MOE_OK(moe_memory_allocate(opened, 4096, &block));
    owner = opened;
    memory = block;
    shared = on;
  };
  reopen();
  in_threads(kThreads, [&](int thread, std::mt19937_64& generator) {
    if (thread == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(generator() % 2000));
      if (generator() % 2 == 0) {
        EXPECT_MOE_OK(moe_stream_destroy(shared));
      }
      EXPECT_MOE_OK(moe_device_close(owner));
      reopen();
      return;
    }
    const auto refused_or_ok = [](moe_status status) {
      EXPECT_TRUE(status == MOE_OK || status == MOE_INVALID_HANDLE) << last_error();
      return status == MOE_OK;
    };
    const moe_stream on = shared;
    const size_t which = generator() % known.size();
    const std::vector<Tensor> out = known[which].outputs();
    if (refused_or_ok(known[which].call(on, out)) && on_cpu()) {
      for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].bits(), known[which].expected[i]) << "call " << which;
    }
    refused_or_ok(moe_stream_synchronize(on));
    moe_stream own = 0;
    if (refused_or_ok(moe_stream_create(owner, 2, &own))) {
      const moe_status status = moe_stream_destroy(own);  // the device may have closed it
      refused_or_ok(status);
    }
    const moe_status freed =
        moe_memory_free(owner, memory);  // the device or another thread may have freed it, or it is another device's
    EXPECT_TRUE(freed == MOE_OK || freed == MOE_INVALID_HANDLE || freed == MOE_INVALID_ARGUMENT);
  });
  EXPECT_MOE_OK(moe_device_close(owner));
}

// Indices that change between their check and their use, or during either.
TEST_F(ConcurrencyTest, IndicesThatOthersChangeAreRefusedOrUsedAsTheyWere) {
  if (!on_cpu()) GTEST_SKIP() << "a GPU's kernels read indices themselves";
  RouteTable changing(kTokens, 2, kExperts, 7);
  const Tensor wild = integers({kTokens}, 16, 9), wild_slots = integers({kTokens}, 4, 11);
  const Tensor wild_blocks = integers({4, 4}, 9, 13);
  const int64_t all_rows = changing.rows();
  const auto judge = [](moe_status status) {
    EXPECT_TRUE(status == MOE_OK || status == MOE_INVALID_ARGUMENT) << last_error();
  };
  const moe_stream streams[] = {stream, triple};
  in_threads(kThreads, [&](int thread, std::mt19937_64& generator) {
    if (thread == 0) {
      const Tensor* targets[] = {&changing.expert, &changing.position, &changing.offsets, &wild,
                                 &wild_slots,      &wild_blocks};
      const RouteTable sound(kTokens, 2, kExperts, 7);
      const Tensor* values[] = {&sound.expert, &sound.position, &sound.offsets, &ids, &slots, &blocks};
      for (int change = 0; change < 100; ++change) {
        const size_t which = generator() % 6;
        const auto at = static_cast<int64_t>(generator() % static_cast<uint64_t>(targets[which]->count()));
        int32_t* place = targets[which]->data<int32_t>() + at;
        // Wrong for moments only, so that most checks pass.
        const uint64_t wrong = generator() % 3 == 0 ? generator() : generator() % 99;
        __atomic_store_n(place, static_cast<int32_t>(wrong), __ATOMIC_RELAXED);
        for (int wait = 0; wait < 20; ++wait) std::atomic_signal_fence(std::memory_order_seq_cst);
        __atomic_store_n(place, values[which]->data<int32_t>()[at], __ATOMIC_RELAXED);
        for (int wait = 0; wait < 200; ++wait) std::atomic_signal_fence(std::memory_order_seq_cst);
      }
      return;
    }
    const moe_stream on = streams[generator() % 2];
    const RouteTable& r = changing;
    const Tensor y(MOE_FLOAT32, {kTokens, kWidth}), drows(MOE_FLOAT32, {all_rows, kWidth});
    switch (generator() % 10) {
      case 0: return judge(moe_embedding_forward(on, wild, table, wild, table, y));
      case 1: {
        const Tensor dtable(MOE_FLOAT32, {16, kWidth}), dplaces(MOE_FLOAT32, {16, kWidth});
        return judge(moe_embedding_backward(on, wild, wild, x, dtable, dplaces));
      }
      case 2: return judge(moe_dispatch_forward(on, x, table_of(r.expert, r.position, r.offsets), drows));
      case 3: return judge(moe_dispatch_backward(on, rows, table_of(r.expert, r.position, r.offsets), y));
      case 4:
        return judge(moe_combine_forward(on, combine_inputs(rows, nullptr, nullptr),
                                         table_of(r.expert, r.position, r.offsets, r.weight), y));
      case 5: {
        const Tensor dweight(MOE_FLOAT32, {kTokens, 2});
        return judge(moe_combine_backward(on, x, combine_inputs(rows, nullptr, nullptr),
                                          table_of(r.expert, r.position, r.offsets, r.weight),
                                          combine_gradients(drows, dweight, nullptr, nullptr)));
      }
      case 6: {
        const Tensor out(MOE_FLOAT32, {all_rows, 32}), dweights(MOE_FLOAT32, {kExperts, 32, kWidth});
        const Tensor dbias(MOE_FLOAT32, {kExperts, 32});
        judge(moe_expert_forward(on, rows, r.offsets, weights, out, Epilogue(MOE_SILU)));
        judge(moe_expert_backward_input(on, out, r.offsets, weights, drows));
        return judge(moe_expert_backward_weights(on, 1, out, rows, r.offsets, dweights, dbias));
      }
      case 7: {
        const Tensor out(MOE_FLOAT32, {kTokens, 2, 8}), own_cache(MOE_FLOAT32, {9, 4, 2, 8});
        const Tensor angles(MOE_FLOAT32, {16, 4});
        const Tensor own_values(MOE_FLOAT32, {9, 4, 2, 8});
        judge(moe_cache_append(on, q, q, cache_places(own_cache, own_values, wild_blocks, wild_slots, wild)));
        judge(moe_attention_decode(on, attention_config(0.3f), q, sinks,
                                   cache_places(cache, cache, wild_blocks, wild_slots, wild), out));
        return judge(moe_rotary(on, q, rotary_angles(wild, angles, angles), 1, out));
      }
      case 8: {
        const Tensor losses(MOE_FLOAT32, {kTokens}), dhidden(MOE_FLOAT32, {kTokens, kWidth});
        const Tensor dweights(MOE_FLOAT32, {16, kWidth});
        judge(moe_cross_entropy(on, tokens_of(0, 1, wild, losses), x, y));
        return judge(moe_linear_cross_entropy(on, tokens_of(0, 1, wild, losses), x, table, dhidden, dweights));
      }
      default: {
        const Tensor dlogits(MOE_FLOAT32, {kTokens, kExperts});
        moe_gate_config config{};
        config.struct_size = sizeof(config);
        config.top_k = 2;
        config.groups = config.chosen_groups = 1;
        config.auxiliary_choices = 2;
        config.weight_scale = 1;
        judge(moe_gate_backward(on, &config, gate_inputs(logits, nullptr, nullptr, nullptr, nullptr),
                                chosen_routes(logits, r.expert, r.expert), gate_gradients(1, 1, r.weight, dlogits)));
        return expect_known(on, generator);
      }
    }
  });
}

// The gate reads its own choices again, and logits after it has looked for NaN. ThreadSanitizer would rightly report
// the threads that change both.
TEST_F(ConcurrencyTest, TheGateBelievesNothingThatOthersCanChange) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a race by intent";
#else
  if (!on_cpu()) GTEST_SKIP() << "a GPU's kernels read values themselves";
  const Tensor changing = Tensor::random(MOE_FLOAT32, {kTokens, kExperts}, 5);
  const std::vector<Tensor> out = gate_outputs();
  const moe_stream streams[] = {stream, triple};
  in_threads(4, [&](int thread, std::mt19937_64& generator) {
    if (thread > 1) {
      const int32_t policy = std::array{MOE_DROPLESS, MOE_DROP_PROBABILITY, MOE_DROP_PRIORITY}[generator() % 3];
      const moe_status status = gate(streams[thread - 2], policy, changing, out);
      EXPECT_TRUE(status == MOE_OK || status == MOE_INVALID_ARGUMENT) << last_error();
      return;
    }
    volatile float* logit = changing.data<float>() + generator() % static_cast<uint64_t>(changing.count());
    const float before = *logit;
    *logit = generator() % 2 == 0 ? NAN : -INFINITY;
    const Tensor& target = out[3 + generator() % 5];
    volatile int32_t* index = target.data<int32_t>() + generator() % static_cast<uint64_t>(target.count());
    *index = static_cast<int32_t>(generator());
    *logit = std::isfinite(before) ? before : 0.5f;
  });
#endif
}

}  // namespace
}  // namespace moe::testing
