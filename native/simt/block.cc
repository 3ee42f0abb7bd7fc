#include "simt/block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace simt {
namespace {

constexpr size_t kSharedAlignment = 128;  // alignment of MOE_DYNAMIC_SHARED
constexpr size_t kSharedPeriod = 1024;    // the largest alignment that a kernel may assume

std::string name_of(const char* noun, const uint3& index) {
  std::ostringstream text;
  text << noun << " (" << index.x << ", " << index.y << ", " << index.z << ")";
  return text.str();
}

}  // namespace

thread_local Block* Block::current_ = nullptr;

void Block::run_grid(dim3 grid, dim3 block, size_t shared_bytes, uint64_t seed, const std::function<void()>& kernel) {
  static thread_local Block keeper;  // reused, so that stacks are allocated once
  Block& self = keeper;
  std::mt19937_64 random(seed);
  gridDim = grid;
  blockDim = block;
  self.count_ = static_cast<int>(block.x * block.y * block.z);
  while (static_cast<int>(self.threads_.size()) < self.count_) self.threads_.push_back(std::make_unique<Thread>());
  std::vector<unsigned> order(grid.x * grid.y * grid.z);
  for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  // Exactly as large as requested and full of NaN, so that AddressSanitizer sees overruns and tests see reads of
  // unwritten memory. It starts at any multiple of 128, like memory after a GPU's static shared memory.
  const size_t before = random() % (kSharedPeriod / kSharedAlignment) * kSharedAlignment;
  void* memory = nullptr;
  if (::posix_memalign(&memory, kSharedPeriod, before + std::max<size_t>(shared_bytes, 1)) != 0) throw std::bad_alloc();
  const std::unique_ptr<unsigned char, decltype(&std::free)> keeper_of_shared(static_cast<unsigned char*>(memory),
                                                                              &std::free);
  struct Running {
    explicit Running(Block* block) { current_ = block; }
    ~Running() { current_ = nullptr; }
  } running(&self);
  for (unsigned i : order) {
    blockIdx = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
    self.shared_ = keeper_of_shared.get() + before;
    std::memset(self.shared_, kUnwritten, shared_bytes);
    self.async_.start(self.shared_, shared_bytes, kSharedPeriod + before, random);
    self.run(kernel, random);
  }
}

void Block::run(const std::function<void()>& kernel, std::mt19937_64& random) {
  kernel_ = &kernel;
  meetings_.clear();
  meetings_.resize(static_cast<size_t>((count_ + kWarp - 1) / kWarp));
  alive_ = count_;
  barriers_ = {};
  error_.clear();
  std::vector<int> order(static_cast<size_t>(count_));
  for (int i = 0; i < count_; ++i) {
    Thread& thread = *threads_[static_cast<size_t>(i)];
    const auto n = static_cast<unsigned>(i);
    thread.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / (blockDim.x * blockDim.y)};
    thread.lane = i % kWarp;
    thread.warp = i / kWarp;
    thread.state = Thread::kReady;
    thread.copies.clear();
    thread.groups.clear();
    thread.fiber.start(&enter);
    order[static_cast<size_t>(i)] = i;
  }
  // One warp may wait until all others do, so that warps drift apart.
  const int warps = static_cast<int>(meetings_.size());
  int lagging = warps;
  while (alive_ > 0 && error_.empty()) {
    std::shuffle(order.begin(), order.end(), random);
    if (random() % 16 == 0) lagging = static_cast<int>(random() % (2 * meetings_.size()));
    bool moved = false;
    for (int i : order) {
      Thread& thread = *threads_[static_cast<size_t>(i)];
      if (thread.warp == lagging || !may_go_on(thread)) continue;
      moved = true;
      thread.state = Thread::kReady;
      running_ = &thread;
      threadIdx = thread.index;
      thread.fiber.resume();
      running_ = nullptr;
      if (!error_.empty()) break;
    }
    moved |= release_barriers();
    if (!error_.empty()) break;
    if (!moved && std::exchange(lagging, warps) < warps) continue;
    try {
      moved |= async_.land_some(!moved);
    } catch (const std::exception& failure) {
      error_ = failure.what();
    }
    if (!moved && error_.empty()) error_ = deadlock();
  }
  if (error_.empty()) error_ = async_.unfinished();
  // The next kernel restarts fibers that still wait.
  if (!error_.empty()) throw std::runtime_error(name_of("block", blockIdx) + ": " + error_);
}

void Block::enter() {
  Fiber::arrived();
  Block& block = current();
  Thread& self = block.thread();
  try {
    (*block.kernel_)();
  } catch (const std::exception& failure) {
    if (block.error_.empty()) block.error_ = failure.what();
  }
  self.state = Thread::kDone;
  --block.alive_;
  self.fiber.leave_for_good();
}

void Block::wait() { running_->fiber.leave(); }

bool Block::may_go_on(Thread& thread) const {
  switch (thread.state) {
    case Thread::kReady: return true;
    case Thread::kInMeeting: return thread.meeting->generation != thread.generation;
    case Thread::kAtMbarrier: return thread.mbarrier->has_completed(thread.parity);
    default: return false;
  }
}

int Block::barrier(int predicate, int number, int threads) {
  Barrier& barrier = barriers_[static_cast<size_t>(number)];
  if (barrier.arrived == 0) barrier.threads = threads;
  if (barrier.threads != threads || (threads > 0 && barrier.arrived == threads)) {
    refuse("barrier " + std::to_string(number) + " is met by other numbers of threads");
  }
  barrier.predicates += predicate != 0;
  ++barrier.arrived;
  running_->state = Thread::kAtBarrier;
  running_->barrier = &barrier;
  wait();
  return barrier.predicates_of_last;
}

void Block::wait_for(const Mbarrier& mbarrier, int parity) {
  if (mbarrier.has_completed(parity)) return;
  running_->state = Thread::kAtMbarrier;
  running_->mbarrier = &mbarrier;
  running_->parity = parity;
  wait();
}

bool Block::release_barriers() {
  bool released = false;
  for (Barrier& barrier : barriers_) {
    if (barrier.arrived == 0 || barrier.arrived != (barrier.threads > 0 ? barrier.threads : alive_)) continue;
    released = true;
    barrier.arrived = 0;
    barrier.predicates_of_last = std::exchange(barrier.predicates, 0);
    for (int i = 0; i < count_; ++i) {
      Thread& thread = *threads_[static_cast<size_t>(i)];
      if (thread.state == Thread::kAtBarrier && thread.barrier == &barrier) thread.state = Thread::kReady;
    }
  }
  return released;
}

const Deposits& Block::meet(unsigned mask, const void* value, size_t bytes, const char* operation) {
  Thread& self = *running_;
  if (bytes > kMostDepositBytes) refuse("a deposit of more than 32 bytes");
  if ((mask >> self.lane & 1) == 0) refuse(std::string(operation) + ": the lane itself is not in the mask");
  auto& of_warp = meetings_[static_cast<size_t>(self.warp)];
  auto found = std::find_if(of_warp.begin(), of_warp.end(), [&](const auto& meeting) { return meeting->mask == mask; });
  if (found == of_warp.end()) {
    of_warp.push_back(std::make_unique<Meeting>());
    of_warp.back()->mask = mask;
    found = of_warp.end() - 1;
  }
  Meeting& meeting = **found;
  if (meeting.arrived == 0) {
    meeting.operation = operation;
  } else if (std::strcmp(meeting.operation, operation) != 0) {
    refuse(std::string("lanes of a warp are in different collectives, ") + meeting.operation + " and " + operation);
  }
  const size_t table = meeting.generation & 1;
  std::memcpy(meeting.deposits[table][self.lane], value, bytes);
  meeting.arrived |= 1u << self.lane;
  if (meeting.arrived == mask) {
    ++meeting.generation;
    meeting.arrived = 0;
  } else {
    self.state = Thread::kInMeeting;
    self.meeting = &meeting;
    self.generation = meeting.generation;
    wait();
  }
  return meeting.deposits[table];
}

std::string Block::deadlock() const {
  for (int i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[static_cast<size_t>(i)];
    std::ostringstream text;
    if (thread.state == Thread::kInMeeting) {
      text << "deadlock: " << name_of("thread", thread.index) << " waits in " << thread.meeting->operation
           << " with mask " << std::hex << thread.meeting->mask << ", where " << thread.meeting->arrived
           << " have arrived";
      return text.str();
    }
    if (thread.state == Thread::kAtBarrier) {
      const Barrier& barrier = *thread.barrier;
      text << "deadlock: " << name_of("thread", thread.index) << " waits at ";
      const auto number = &barrier - barriers_.data();
      number == 0 ? text << "__syncthreads" : text << "barrier " << number;
      text << " with " << barrier.arrived << " of " << (barrier.threads > 0 ? barrier.threads : alive_) << " threads";
      return text.str();
    }
    if (thread.state == Thread::kAtMbarrier) {
      text << "deadlock: " << name_of("thread", thread.index) << " waits for an mbarrier's phase of parity "
           << thread.parity << ", which lacks " << thread.mbarrier->arrivals << " arrivals and "
           << thread.mbarrier->bytes << " bytes";
      return text.str();
    }
  }
  return "deadlock";
}

void Block::refuse(const std::string& what) const {
  throw std::runtime_error(name_of("thread", running_->index) + ": " + what);
}

}  // namespace simt
