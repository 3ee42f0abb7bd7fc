// The table of handles while its objects are created and destroyed.
#include "core/handle_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <vector>

namespace moe::testing {
namespace {

struct Probe;
using Table = HandleTable<Probe>;

// Its destructor lets another thread use the table.
struct Probe {
  Table& table;
  std::vector<bool>& was_free;
  std::vector<std::future<uint64_t>>& tasks;

  ~Probe() {
    tasks.push_back(std::async(std::launch::async, [&t = table] { return t.insert(nullptr); }));
    was_free.push_back(tasks.back().wait_for(std::chrono::seconds(2)) == std::future_status::ready);
  }
};

TEST(HandleTableTest, IsFreeWhileAnObjectGoes) {
  Table table(1, "probe");
  std::vector<bool> was_free;
  std::vector<std::future<uint64_t>> tasks;
  const auto probe = [&] { return std::shared_ptr<Probe>(new Probe{table, was_free, tasks}); };
  const uint64_t first = table.insert(probe());
  table.insert(probe());
  table.insert(probe());
  table.remove(first);
  table.remove_if([](const Probe&) { return true; });
  EXPECT_EQ(was_free, std::vector<bool>({true, true, true}));
}

}  // namespace
}  // namespace moe::testing
